"""What the treatment difference of a crossover owes to what is assumed about carryover.

No test decides between the crossover contrast and the first-period contrast. The prior of the
carryover does, continuously, and the sweep over it shows what each choice costs. Carryover and
treatment difference are positive where the active treatment is better, in score units; a study is
everything a figure or a page needs, without a row of a patient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr
from scipy import interpolate, optimize, special

from bayes_ptsd.errors import BayesPtsdError, SpecError
from bayes_ptsd.evidence.pairs import CrossoverPairs
from bayes_ptsd.priors import FloatArray, Prior, normal
from bayes_ptsd.structures.crossover.exact import (
    CrossoverPriors,
    crossover_batch,
    exact_priors,
    why_not_exact,
)
from bayes_ptsd.structures.crossover.model import CrossoverModel

__all__ = [
    "LEVELS",
    "carryover_document",
    "carryover_groups",
    "carryover_study",
    "carryover_sweep",
    "carryover_tipping",
    "fixed_carryover",
    "without_carryover",
]

# P(benefit) at which the lower limit of the 90% and of the 95% equal-tailed interval is zero
LEVELS = (0.95, 0.975)
SDS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.2, 2.0, 4.0, np.inf)
"""Standard deviations of the carryover prior, in reference SDs of the endpoint."""
# known carryovers are shown up to 1.5 reference SDs either way, nearly four sds of the default
# prior (0.4), and further where a tipping value is
SHOWN = 1.5
# odd, so that no carryover is one of the points
POINTS = 25
# Posterior standard deviations within which a tipping value is sought: a carryover mostly moves the
# difference by half as much, so that what 40 of them do not tip, nothing does.
SOUGHT = 40.0
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


def carryover_study(model: CrossoverModel, *, levels: Sequence[float] = LEVELS) -> xr.Dataset:
    """Compute how a treatment difference depends on what is assumed about carryover.

    The model's own carryover prior, if any, is replaced. On dim ``carryover_sd`` (score units, from
    0, no carryover, to infinity, a flat prior): ``mean, sd, eti95, prob_benefit,
    log_marginal_likelihood``. On dim ``carryover`` (known, score units): ``known_mean,
    known_prob_benefit``. On dim ``level``: ``tipping_carryover``, the known carryover at which
    P(benefit) equals the level (NaN if none within 40 posterior sds), and ``tipping_sd``, the
    smallest prior sd at which P(benefit) falls to it (NaN if none does, 0 if it lies below without
    carryover). A posterior that is improper under some prior is a FitError. Why no test chooses:
    Freeman PR, The performance of the two-stage analysis of two-treatment, two-period crossover
    trials, Statistics in Medicine 1989;8:1421-1432.
    """
    if reason := why_not_exact(model.options):
        raise SpecError(f"carryover is not swept for model '{model.spec.name}': {reason}")
    if model.options["sequence_effect"]:
        raise SpecError("carryover is not swept beside a sequence effect: they are aliased")
    reference = float(model.endpoint.reference_sd or np.nan)
    arguments: dict[str, Any] = {"benefit_sign": model.sign, "covariance": model.options["form"]}
    priors = exact_priors(model)
    sweep = carryover_sweep(model.pairs, priors, sds=[x * reference for x in SDS], **arguments)
    tipping = np.array(
        [carryover_tipping(model.pairs, priors, probability=p, **arguments) for p in levels]
    )
    reach = max(SHOWN * reference, *(1.2 * np.abs(tipping[np.isfinite(tipping)])), 0.0)
    values = np.linspace(-reach, reach, POINTS)
    known = fixed_carryover(model.pairs, priors, values=values.tolist(), **arguments)

    def benefit(sd: float) -> float:
        one = carryover_sweep(model.pairs, priors, sds=[sd], interval=False, **arguments)
        return float(one["prob_benefit"].item())

    crossing = [_first_crossing(sweep["prob_benefit"], p, benefit) for p in levels]
    return sweep.assign(
        known_mean=known["mean"],
        known_prob_benefit=known["prob_benefit"],
        tipping_carryover=("level", tipping),
        tipping_sd=("level", np.array(crossing)),
    ).assign_coords(level=list(levels)).assign_attrs(reference_sd=reference)  # fmt: skip


def carryover_groups(model: CrossoverModel) -> dict[str, xr.Dataset]:
    """Return the group ``carryover`` of a fit, or nothing where there is no such study."""
    if not model.options["carryover"] or why_not_exact(model.options):
        return {}
    try:
        return {"carryover": carryover_study(model)}
    except BayesPtsdError:
        # a flat carryover prior can be improper where the prior of the fit is not
        return {}


def carryover_document(study: xr.Dataset) -> dict[str, Any]:
    """Return a study of carryover as a JSON-safe document, None where there is no number."""
    reference = float(study.attrs["reference_sd"])
    return {
        "reference_sd": reference,
        "sweep": [_sweep_line(study.sel(carryover_sd=sd), reference)
                  for sd in study["carryover_sd"].values],
        "known": [
            {"carryover": float(value), "mean": float(one["known_mean"]),
             "prob_benefit": float(one["known_prob_benefit"])}
            for value in study["carryover"].values
            for one in [study.sel(carryover=value)]
        ],
        "tipping": [_tipping_line(study.sel(level=p), reference) for p in study["level"].values],
    }  # fmt: skip


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
    table = crossover_batch(
        without_carryover(_batch(pairs), carryover, benefit_sign=benefit_sign),
        {name: prior for name, prior in priors.items() if name != "carryover"},
        benefit_sign=benefit_sign,
        covariance=covariance,
    )
    return _treatment(table).rename(dataset="carryover").assign_coords(carryover=carryover)


def without_carryover(
    pairs: CrossoverPairs, values: FloatArray, *, benefit_sign: int
) -> CrossoverPairs:
    """Return every data set once for each known carryover, which is taken off its second period.

    The values are benefit-positive, in score units, and vary fastest in the dim ``dataset``.
    """
    carryover = np.tile(values, len(pairs.score))[:, None]
    score = np.repeat(pairs.score, len(values), axis=0)
    # half of it up, half down, as the column of the model: the level's prior then sees none of it
    score[:, :, 1] -= benefit_sign * carryover * (pairs.active_first - 0.5)
    return replace(pairs, score=score)


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
    middle = float(np.clip(2 * (special.ndtri(probability) * sd - mean), -SOUGHT * sd, SOUGHT * sd))
    for width in (2.0, 8.0, 2 * SOUGHT):
        low, high = middle - width * sd, middle + width * sd
        if excess(low) < 0 < excess(high):
            return float(optimize.brentq(excess, low, high, xtol=1e-8 * sd))
    return float("nan")


def _sweep_line(one: xr.Dataset, reference: float) -> dict[str, Any]:
    """Return the treatment difference under one carryover prior."""
    sd = float(one["carryover_sd"])
    word = "none" if sd == 0 else "flat" if np.isinf(sd) else f"normal(0, {sd:.4g})"
    return {
        "prior": word,
        "prior_sd": _finite(sd),
        "prior_sd_in_sds": _finite(sd / reference),
        "mean": float(one["mean"]),
        "sd": float(one["sd"]),
        "eti95": [float(limit) for limit in one["eti95"].values],
        "prob_benefit": float(one["prob_benefit"]),
        "log_marginal_likelihood": float(one["log_marginal_likelihood"]),
    }


def _tipping_line(one: xr.Dataset, reference: float) -> dict[str, Any]:
    """Return the tipping values of one level."""
    known, sd = float(one["tipping_carryover"]), float(one["tipping_sd"])
    return {
        "prob_benefit": float(one["level"]),
        "carryover": _finite(known),
        "carryover_in_sds": _finite(known / reference),
        "prior_sd": _finite(sd),
        "prior_sd_in_sds": _finite(sd / reference),
    }


def _finite(value: float) -> float | None:
    """Return a number that JSON can hold."""
    return float(value) if np.isfinite(value) else None


def _first_crossing(probability: xr.DataArray, level: float, benefit: Any) -> float:
    """Return the smallest prior sd at which the probability falls to the level."""
    below = probability.values < level
    sds: FloatArray = probability["carryover_sd"].values
    if not below.any():
        return float("nan")
    first = int(np.argmax(below))
    if first == 0:
        return 0.0
    low, high = float(sds[first - 1]), float(sds[first])
    if np.isinf(high):
        high = _finite_end(low, level, benefit)
    if np.isinf(high):
        return high
    return float(optimize.brentq(lambda sd: benefit(sd) - level, low, high, xtol=1e-4 * high))


def _finite_end(low: float, level: float, benefit: Any) -> float:
    """Return a prior sd beyond `low` at which the probability lies below the level."""
    for factor in (10.0, 100.0, 1000.0):
        if benefit(factor * low) < level:
            return factor * low
    return float("inf")


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
