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
    """Return name in the posterior, prior and whether there is one for each period.

    Parameters
    ----------
    model : CrossoverModel
        The model.

    Returns
    -------
    dict
        By parameter of the specification.

    Examples
    --------
    >>> from bayes_ptsd.crossover.example import example_patients
    >>> from bayes_ptsd.crossover.model import crossover_model
    >>> from bayes_ptsd.spec import load_model
    >>> shapes = prior_shapes(crossover_model(example_patients(), load_model("crossover")))
    >>> shapes["treatment"][0], shapes["level"][2]
    ('treatment_difference', False)
    """
    unequal = model.options["period_sd"] == "unequal"
    twice = {"baseline_slope", "baseline_level", *(("sd_within", "sd_period") if unequal else ())}
    return {
        name: (NAMES.get(name, name), prior, name in twice) for name, prior in model.priors.items()
    }


def has_proper_priors(model: CrossoverModel) -> bool:
    """Tell whether every prior of a model is a distribution that can be drawn from.

    Examples
    --------
    >>> from bayes_ptsd.crossover.example import example_patients
    >>> from bayes_ptsd.crossover.model import crossover_model
    >>> from bayes_ptsd.spec import load_model
    >>> has_proper_priors(crossover_model(example_patients(), load_model("crossover")))
    True
    """
    return all(prior.proper for prior in model.priors.values())


def draw_priors(model: CrossoverModel, size: int, *, seed: int) -> xr.Dataset:
    """Draw every parameter of a model from its prior.

    Parameters
    ----------
    model : CrossoverModel
        With proper priors, and not a joint model of baselines, whose correlations PyMC draws.
    size : int
        Number of draws.
    seed : int
        Seed of the draws.

    Returns
    -------
    xr.Dataset
        Dims ``chain`` (1) and ``draw``, and ``period`` where there is one for each.

    Raises
    ------
    SpecError
        If a prior is improper.

    Examples
    --------
    >>> from bayes_ptsd.crossover.example import example_patients
    >>> from bayes_ptsd.crossover.model import crossover_model
    >>> from bayes_ptsd.spec import load_model
    >>> model = crossover_model(example_patients(), load_model("crossover-student-t"))
    >>> float(draw_priors(model, 500, seed=1)["nu"].min()) > 2
    True
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
    """Add the estimands that are functions of the parameters.

    Parameters
    ----------
    draws : xr.Dataset
        Parameters.

    Returns
    -------
    xr.Dataset
        With carryover, the ``within_patient_contrast`` that a crossover without carryover would
        estimate.

    Examples
    --------
    >>> draws = xr.Dataset({"treatment_difference": 6.0, "carryover": 2.0})
    >>> float(derived(draws)["within_patient_contrast"])
    5.0
    """
    if "carryover" not in draws:
        return draws
    contrast = draws["treatment_difference"] - draws["carryover"] / 2
    return draws.assign(within_patient_contrast=contrast)


def log_priors(draws: xr.Dataset, model: CrossoverModel) -> xr.Dataset:
    """Return the log prior density of each parameter at each draw.

    Parameters
    ----------
    draws : xr.Dataset
        Parameters of the model, dims ``chain`` and ``draw``.
    model : CrossoverModel
        Its priors.

    Returns
    -------
    xr.Dataset
        One variable a parameter, with its dims; improper priors up to a constant.

    Examples
    --------
    >>> from bayes_ptsd.crossover.example import example_patients
    >>> from bayes_ptsd.crossover.model import crossover_model
    >>> from bayes_ptsd.spec import load_model
    >>> model = crossover_model(example_patients(), load_model("crossover"))
    >>> sorted(log_priors(draw_priors(model, 10, seed=1), model))
    ['level', 'period_effect', 'sd_subject', 'sd_within', 'treatment_difference']
    """
    found = {}
    for key, (name, prior, _) in prior_shapes(model).items():
        if name in draws:
            values = draws[name]
            found[name] = values.copy(data=_log_density(key, prior, values.values))
    if "covariance" in draws:
        found |= _joint_log_priors(draws, model)
    return xr.Dataset(found)


def _joint_log_priors(draws: xr.Dataset, model: CrossoverModel) -> dict[str, xr.DataArray]:
    """Return the log densities of a joint model's correlations and sds of baselines.

    That of the correlations up to a constant.
    """
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
