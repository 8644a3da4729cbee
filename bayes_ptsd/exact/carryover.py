"""Carryover as a prior: from the crossover contrast to the first-period contrast.

No test decides between the two analyses. The prior of the carryover does, continuously, and the
sweep shows what each choice costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import xarray as xr
from scipy import interpolate, optimize, special

from bayes_ptsd.errors import SpecError
from bayes_ptsd.evidence.pairs import CrossoverPairs
from bayes_ptsd.exact.crossover import CrossoverPriors, crossover_batch
from bayes_ptsd.priors import FloatArray, Prior, normal

__all__ = ["carryover_sweep", "carryover_tipping", "fixed_carryover"]

# Posterior standard deviations within which a tipping value is sought: a carryover mostly moves the
# difference by half as much, so that what 40 of them do not tip, nothing does.
REACH = 40.0
# Both ends of the central 95%.
TAILS = (0.025, 0.975)
# Probabilities are kept this far from 0 and 1, where probits are still finite.
CLIP = (1e-15, 1 - 1e-15)
# P(difference > 0) is the probability of benefit.
ZERO = np.zeros(1)
# Posterior sds from the mean at which P(greater) is computed and interpolated as a probit: dense
# around the 1.96 of a normal, where the limits are, and out to 4 for heavy tails. Limits are those
# of the full posterior to 1e-4 posterior sds.
PROBES = np.array([0.6, 1.2, 1.5, 1.75, 2.0, 2.25, 2.5, 3.0, 4.0])


def carryover_sweep(
    pairs: CrossoverPairs,
    priors: CrossoverPriors,
    *,
    sds: Sequence[float],
    benefit_sign: int = 1,
    covariance: str = "random_intercept",
    interval: bool = True,
) -> xr.Dataset:
    """Show how the treatment difference depends on the prior of the carryover.

    That prior is normal with mean zero and each of the `sds` in turn, in score units: 0 leaves
    carryover out, infinity makes it flat; a ``carryover`` prior that is given is replaced. ``mean,
    sd, prob_benefit`` (benefit-positive, score units) and ``eti95`` are on dim ``carryover_sd``.
    """
    tables = []
    for sd in sds:
        chosen = _with_carryover(priors, sd)

        def solved(thresholds: FloatArray = ZERO, chosen: CrossoverPriors = chosen) -> xr.Dataset:
            return crossover_batch(
                _batch(pairs), chosen, benefit_sign=benefit_sign, covariance=covariance,
                thresholds=thresholds.tolist(),
            ).isel(dataset=0)  # fmt: skip

        one = _treatment(solved())
        if interval:
            probes = float(one["mean"]) + float(one["sd"]) * np.r_[-PROBES[::-1], PROBES]
            above = solved(probes)["prob_greater"].sel(estimand="treatment_difference")
            one["eti95"] = ("bound", _limits(probes, above.values))
        tables.append(one)
    axis = xr.Variable("carryover_sd", np.asarray(sds, dtype=float))
    sweep = xr.concat(tables, dim=axis)
    return sweep.assign_coords(bound=["low", "high"]) if interval else sweep


def fixed_carryover(
    pairs: CrossoverPairs,
    priors: CrossoverPriors,
    *,
    values: Sequence[float],
    benefit_sign: int = 1,
    covariance: str = "random_intercept",
) -> xr.Dataset:
    """Compute the treatment difference if the carryover were known.

    The values are benefit-positive, in score units; as `carryover_sweep`, on dim ``carryover``.
    """
    carryover = np.asarray(values, dtype=float)
    score = np.repeat(_batch(pairs).score, len(carryover), axis=0)
    # half of it up, half down, as the column of the model: the level's prior then sees none of it
    score[:, :, 1] -= benefit_sign * carryover[:, None] * (pairs.active_first - 0.5)
    table = crossover_batch(
        replace(pairs, score=score),
        {name: prior for name, prior in priors.items() if name != "carryover"},
        benefit_sign=benefit_sign,
        covariance=covariance,
    )
    return _treatment(table).rename(dataset="carryover").assign_coords(carryover=carryover)


def carryover_tipping(
    pairs: CrossoverPairs,
    priors: CrossoverPriors,
    *,
    probability: float = 0.95,
    benefit_sign: int = 1,
    covariance: str = "random_intercept",
) -> float:
    """Find the carryover that would bring the probability of benefit to a given value.

    In score units, benefit-positive: a smaller one gives a smaller probability. NaN if none within
    40 posterior standard deviations does.
    """
    if not 0 < probability < 1:
        raise SpecError(f"probability is {probability}; it lies between 0 and 1")

    def excess(carryover: float) -> float:
        # probits are nearly a line in the carryover: few steps to the root
        found = float(table(carryover)["prob_benefit"].item())
        return float(special.ndtri(np.clip(found, *CLIP)) - special.ndtri(probability))

    def table(carryover: float) -> xr.Dataset:
        return fixed_carryover(
            pairs, priors, values=[carryover], benefit_sign=benefit_sign, covariance=covariance
        )

    start = table(0.0)
    mean, sd = (float(start[key].item()) for key in ("mean", "sd"))
    middle = float(np.clip(2 * (special.ndtri(probability) * sd - mean), -REACH * sd, REACH * sd))
    for width in (2.0, 8.0, 2 * REACH):
        low, high = middle - width * sd, middle + width * sd
        if excess(low) < 0 < excess(high):
            return float(optimize.brentq(excess, low, high, xtol=1e-8 * sd))
    return float("nan")


def _with_carryover(priors: CrossoverPriors, sd: float) -> CrossoverPriors:
    """Return the priors with a normal carryover prior of this standard deviation, or none."""
    if not sd >= 0:
        raise SpecError(f"carryover standard deviation is {sd}; it is zero or positive")
    chosen = {name: prior for name, prior in priors.items() if name != "carryover"}
    if sd > 0:
        chosen["carryover"] = normal(0, sd) if np.isfinite(sd) else Prior("flat")
    return chosen


def _limits(value: FloatArray, above: FloatArray) -> FloatArray:
    """Return the limits of the equal-tailed interval from probabilities above some values."""
    # on the probit scale a distribution function is nearly a line
    score = -special.ndtri(above)
    inside = np.isfinite(score)
    curve = interpolate.PchipInterpolator(score[inside], value[inside])
    return np.asarray(curve(special.ndtri(TAILS)))


def _batch(pairs: CrossoverPairs) -> CrossoverPairs:
    """Return one data set as a batch of one."""
    if pairs.batched:
        raise SpecError("carryover is swept for one data set at a time")
    score: FloatArray = pairs.score[None].copy()
    return replace(pairs, score=score)


def _treatment(table: xr.Dataset) -> xr.Dataset:
    """Return what a sweep reports of the treatment difference."""
    chosen = table.sel(estimand="treatment_difference", drop=True)
    return chosen[["mean", "sd", "log_marginal_likelihood"]].assign(
        prob_benefit=chosen["prob_greater"].sel(threshold=0.0, drop=True)
    )
