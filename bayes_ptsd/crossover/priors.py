"""Prior draws and prior densities of a crossover model, by parameter."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from bayes_ptsd.crossover.model import CrossoverModel
from bayes_ptsd.priors import FloatArray, Prior
from bayes_ptsd.scaled_priors import PriorVector

__all__ = ["NU_FLOOR", "derived", "draw_priors", "has_proper_priors", "log_priors", "prior_shapes"]

NU_FLOOR = 2.0
"""Student-t patients have a variance: degrees of freedom stay above this."""

NAMES: Mapping[str, str] = {"treatment": "treatment_difference", "sequence": "sequence_effect"}


def prior_shapes(model: CrossoverModel) -> dict[str, tuple[str, Prior | PriorVector, bool]]:
    """Return, by parameter, name in the posterior, prior and whether there is one a period."""
    unequal = model.options["period_sd"] == "unequal"
    twice = {"baseline_slope", "baseline_level", *(("sd_within", "sd_period") if unequal else ())}
    return {
        name: (NAMES.get(name, name), prior, name in twice) for name, prior in model.priors.items()
    }


def has_proper_priors(model: CrossoverModel) -> bool:
    """Tell whether every prior of a model is a distribution that can be drawn from."""
    return all(prior.proper for prior in model.priors.values())


def draw_priors(model: CrossoverModel, size: int, *, seed: int) -> xr.Dataset:
    """Draw every parameter from its prior, dims ``chain`` (1), ``draw`` and, for some, ``period``.

    An improper prior is a SpecError. Not for a joint model, whose correlations PyMC draws.
    """
    rng = np.random.default_rng(seed)
    drawn: dict[str, xr.Variable] = {}
    for key, (name, prior, by_period) in prior_shapes(model).items():
        shape = (1, size, 2) if by_period else (1, size)
        dims = ("chain", "draw", "period")[: len(shape)]
        drawn[name] = xr.Variable(dims, _quantile(key, prior, rng.uniform(size=shape)))
    coords = {"chain": [0], "draw": np.arange(size), "period": [1, 2]}
    return derived(xr.Dataset(drawn, coords=coords))


def derived(draws: xr.Dataset) -> xr.Dataset:
    """Add ``within_patient_contrast``, what a crossover without carryover would estimate.

    It is ``treatment_difference - carryover / 2``; without carryover nothing is added.
    """
    if "carryover" not in draws:
        return draws
    contrast = draws["treatment_difference"] - draws["carryover"] / 2
    return draws.assign(within_patient_contrast=contrast)


def log_priors(draws: xr.Dataset, model: CrossoverModel) -> xr.Dataset:
    """Return the log prior density of each parameter at each draw, improper up to a constant."""
    found = {}
    for key, (name, prior, _) in prior_shapes(model).items():
        if name in draws:
            values = draws[name]
            found[name] = values.copy(data=_log_density(key, prior, values.values))
    if "covariance" in draws:
        found |= _joint_log_priors(draws, model)
    return xr.Dataset(found)


def _joint_log_priors(draws: xr.Dataset, model: CrossoverModel) -> dict[str, xr.DataArray]:
    """Return log densities of a joint model's correlations, up to a constant, and baseline sds."""
    covariance = draws["covariance"].transpose("chain", "draw", ...).values
    sd = np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1))
    log_det = np.linalg.slogdet(covariance)[1] - 2 * np.log(sd).sum(axis=-1)
    shape = float(model.priors["correlations"].params["shape"])
    before = _log_density("sd_period", model.priors["sd_period"], sd[..., [0, 2]])
    coords = {name: draws[name] for name in ("chain", "draw")}
    dims = ("chain", "draw", "period")
    return {
        "correlations": xr.DataArray((shape - 1) * log_det, coords=coords, dims=dims[:2]),
        "sd_baseline": xr.DataArray(before, coords=coords | {"period": [1, 2]}, dims=dims),
    }


def _quantile(key: str, prior: Prior | PriorVector, p: FloatArray) -> FloatArray:
    """Return quantiles of a parameter's prior."""
    if key == "nu" and isinstance(prior, Prior):
        below = float(prior.cdf(NU_FLOOR))
        return prior.quantile(below + (1 - below) * p)
    if key == "correlation" and prior.dist == "beta":
        return np.asarray(2 * prior.quantile(p) - 1)
    return prior.quantile(p)


def _log_density(key: str, prior: Prior | PriorVector, value: FloatArray) -> FloatArray:
    """Return the log density of a parameter's prior."""
    if key == "nu" and isinstance(prior, Prior):
        return np.asarray(prior.logpdf(value) - np.log(prior.sf(NU_FLOOR)))
    if key == "correlation" and prior.dist == "beta":
        return np.asarray(prior.logpdf((1 + value) / 2) - np.log(2))
    return prior.logpdf(value)
