"""What the treatment difference of a crossover owes to what is assumed about carryover.

Everything a figure or a page needs, without a row of a patient. Carryover and treatment difference
are positive where the active treatment is better, in score units.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from scipy import optimize

from bayes_ptsd.crossover.exact import exact_priors, why_not_exact
from bayes_ptsd.crossover.model import CrossoverModel
from bayes_ptsd.errors import BayesPtsdError, SpecError
from bayes_ptsd.exact.carryover import carryover_sweep, carryover_tipping, fixed_carryover
from bayes_ptsd.priors import FloatArray

__all__ = ["LEVELS", "carryover_document", "carryover_groups", "carryover_study"]

# P(benefit) at which the lower limit of the 90% and of the 95% equal-tailed interval is zero
LEVELS = (0.95, 0.975)
SDS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.2, 2.0, 4.0, np.inf)
"""Standard deviations of the carryover prior, in reference SDs of the endpoint."""
# known carryovers are shown up to 1.5 reference SDs either way, nearly four sds of the default
# prior (0.4), and further where a tipping value is
REACH = 1.5
# odd, so that no carryover is one of the points
POINTS = 25


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
    reach = max(REACH * reference, *(1.2 * np.abs(tipping[np.isfinite(tipping)])), 0.0)
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
