"""Likelihood and replicated scores of a crossover, from draws of its parameters.

The scores of a patient are one vector, normal or Student-t, with everything that belongs to the
patient integrated out: ``p(scores | parameters)`` by subject is what leave-one-subject-out
needs, and replicates are of new patients. Equations in ``docs/methods/crossover-model.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from scipy import special

from bayes_ptsd.gaussian.parameters import NU_FLOOR
from bayes_ptsd.priors import FloatArray, Prior
from bayes_ptsd.scaled_priors import PriorVector
from bayes_ptsd.structures.crossover.baselines import baseline_means, joint_values
from bayes_ptsd.structures.crossover.model import CrossoverModel
from bayes_ptsd.structures.patients import PRIOR_DRAWS

__all__ = [
    "crossover_groups",
    "draw_priors",
    "has_proper_priors",
    "log_priors",
    "patient_moments",
    "replicated_scores",
    "subject_log_likelihood",
]

Moments = tuple[FloatArray, FloatArray, FloatArray | None]
NAMES: Mapping[str, str] = {"treatment": "treatment_difference", "sequence": "sequence_effect"}
"""Names in the posterior of parameters that are called otherwise there."""


def patient_moments(draws: xr.Dataset, model: CrossoverModel) -> Moments:
    """Return mean (sample, subject, column), covariance (sample, column, column) and nu (sample).

    Score units as recorded. Columns are periods 1 and 2, of a joint model baseline 1, score 1,
    baseline 2, score 2; the covariance of a Student-t model is its scale matrix; nu is None for a
    normal one.
    """
    flat = draws.stack(sample=("chain", "draw")).transpose("sample", ...)
    mean = _means(flat, model)
    nu = flat["nu"].values if "nu" in flat else None
    if model.baselines is None:
        return mean, _covariance(flat, model), nu
    columns = [baseline_means(flat, model), mean]
    joint = np.stack(columns, axis=-1).reshape(*mean.shape[:2], 4)
    return joint, flat["covariance"].values, nu


def subject_log_likelihood(draws: xr.Dataset, model: CrossoverModel) -> xr.DataArray:
    """Return the log density of each patient's observed scores under each draw.

    Parameters
    ----------
    draws : xr.Dataset
        Parameters of the model, dims ``chain`` and ``draw``.
    model : CrossoverModel
        Its patients and options.

    Returns
    -------
    xr.DataArray
        Dims (chain, draw, subject), subject effects integrated out.

    Examples
    --------
    >>> from bayes_ptsd.structures.crossover.example import example_patients
    >>> from bayes_ptsd.structures.crossover.model import crossover_model
    >>> from bayes_ptsd.structures.crossover.likelihood import draw_priors
    >>> from bayes_ptsd.models_files import load_model
    >>> model = crossover_model(example_patients(), load_model("crossover"))
    >>> dict(subject_log_likelihood(draw_priors(model, 10, seed=1), model).sizes)
    {'chain': 1, 'draw': 10, 'subject': 24}
    """
    mean, covariance, nu = patient_moments(draws, model)
    values = _values(model)
    density = np.empty(mean.shape[:2])
    there = np.isfinite(values)
    for pattern in np.unique(there, axis=0):
        rows = np.flatnonzero((there == pattern).all(axis=1))
        columns = np.flatnonzero(pattern)
        residual = values[np.ix_(rows, columns)] - mean[:, rows][:, :, columns]
        density[:, rows] = _log_density(residual, covariance[:, columns][:, :, columns], nu)
    shape = (draws.sizes["chain"], draws.sizes["draw"], len(values))
    coords = {"chain": draws["chain"], "draw": draws["draw"], "subject": model.pairs.subject}
    return xr.DataArray(density.reshape(shape), dims=("chain", "draw", "subject"), coords=coords)


def replicated_scores(
    draws: xr.Dataset, model: CrossoverModel, rng: np.random.Generator
) -> xr.Dataset:
    """Draw scores of new patients, dims (chain, draw, subject, period), NaN where one is missing.

    Sequences and missing cells are those of the data; a joint model has ``baseline``, too.
    """
    mean, covariance, nu = patient_moments(draws, model)
    root = np.linalg.cholesky(covariance)
    noise = np.einsum("sij,snj->sni", root, rng.normal(size=mean.shape))
    if nu is not None:
        weight = rng.chisquare(nu[:, None], size=mean.shape[:2]) / nu[:, None]
        noise /= np.sqrt(weight)[:, :, None]
    drawn = np.where(np.isfinite(_values(model)), mean + noise, np.nan)
    shape = (draws.sizes["chain"], draws.sizes["draw"], len(model.sequence), 2)
    names = ["score"] if model.baselines is None else ["baseline", "score"]
    columns = drawn.reshape(*drawn.shape[:2], 2, len(names))
    dims = ("chain", "draw", "subject", "period")
    found = {name: (dims, columns[..., i].reshape(shape)) for i, name in enumerate(names)}
    coords = {name: draws[name] for name in ("chain", "draw")}
    return xr.Dataset(found, coords={**coords, **model.observed.drop_vars(names).coords})


def _values(model: CrossoverModel) -> FloatArray:
    """Return what was observed, dims (subject, column)."""
    return model.pairs.score if model.baselines is None else joint_values(model)


def _means(flat: xr.Dataset, model: CrossoverModel) -> FloatArray:
    """Return the mean scores, dims (sample, subject, period)."""
    half = model.pairs.active_first - 0.5
    active = np.stack([half, -half], axis=1)
    late = np.stack([np.zeros_like(half), half], axis=1)
    mean = _levels(flat)[:, None, :] + model.sign * (
        flat["treatment_difference"].values[:, None, None] * active
    )
    if "carryover" in flat:
        mean = mean + model.sign * flat["carryover"].values[:, None, None] * late
    if "sequence_effect" in flat:
        mean = mean + flat["sequence_effect"].values[:, None, None] * half[:, None]
    if "baseline_slope" in flat and model.pairs.baseline is not None:
        centered = model.pairs.baseline - model.pairs.baseline.mean()
        mean = mean + flat["baseline_slope"].values[:, None, :] * centered[:, None]
    return np.asarray(mean)


def _levels(flat: xr.Dataset) -> FloatArray:
    """Return the mean over both treatments in each period, dims (sample, period)."""
    change = flat["period_effect"].values[:, None] * np.array([-0.5, 0.5])
    return np.asarray(flat["level"].values[:, None] + change)


def _covariance(flat: xr.Dataset, model: CrossoverModel) -> FloatArray:
    """Return the covariance of a patient's two scores, dims (sample, period, period)."""
    if model.options["form"] == "random_intercept":
        within = _by_period(flat["sd_within"])
        between = flat["sd_subject"].values[:, None, None] ** 2
        return np.asarray(between + np.eye(2) * within[:, :, None] ** 2)
    sd = _by_period(flat["sd_period"])
    rho = flat["correlation"].values[:, None, None]
    pattern = np.eye(2) + rho * (1 - np.eye(2))
    return np.asarray(sd[:, :, None] * sd[:, None, :] * pattern)


def _by_period(sd: xr.DataArray) -> FloatArray:
    """Return a standard deviation by period, dims (sample, period)."""
    return np.asarray(sd.values if sd.ndim == 2 else np.repeat(sd.values[:, None], 2, axis=1))


def _log_density(residual: FloatArray, covariance: FloatArray, nu: FloatArray | None) -> FloatArray:
    """Return the normal or Student-t log density of residuals (sample, subject, column)."""
    size = residual.shape[-1]
    root = np.linalg.cholesky(covariance)
    log_det = 2 * np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)[:, None]
    square = np.sum(np.linalg.solve(root, np.swapaxes(residual, 1, 2)) ** 2, axis=1)
    if nu is None:
        return np.asarray(-0.5 * (size * np.log(2 * np.pi) + log_det + square))
    nu = nu[:, None]
    constant = special.gammaln((nu + size) / 2) - special.gammaln(nu / 2)
    constant = constant - 0.5 * (size * np.log(nu * np.pi) + log_det)
    return np.asarray(constant - (nu + size) / 2 * np.log1p(square / nu))


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
            found[name] = values.copy(data=_log_prior(key, prior, values.values))
    if "covariance" in draws:
        found |= _joint_log_priors(draws, model)
    return xr.Dataset(found)


def _joint_log_priors(draws: xr.Dataset, model: CrossoverModel) -> dict[str, xr.DataArray]:
    """Return log densities of a joint model's correlations, up to a constant, and baseline sds."""
    covariance = draws["covariance"].transpose("chain", "draw", ...).values
    sd = np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1))
    log_det = np.linalg.slogdet(covariance)[1] - 2 * np.log(sd).sum(axis=-1)
    shape = float(model.priors["correlations"].params["shape"])
    before = _log_prior("sd_period", model.priors["sd_period"], sd[..., [0, 2]])
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


def _log_prior(key: str, prior: Prior | PriorVector, value: FloatArray) -> FloatArray:
    """Return the log density of a parameter's prior."""
    if key == "nu" and isinstance(prior, Prior):
        return np.asarray(prior.logpdf(value) - np.log(prior.sf(NU_FLOOR)))
    if key == "correlation" and prior.dist == "beta":
        return np.asarray(prior.logpdf((1 + value) / 2) - np.log(2))
    return prior.logpdf(value)


def crossover_groups(
    posterior: xr.Dataset, model: CrossoverModel, *, seed: int, prior: xr.Dataset | None = None
) -> dict[str, xr.Dataset]:
    """Compute data, predictive, likelihood and prior groups from draws of the parameters.

    ``log_likelihood`` is by subject, its effects integrated out, ``log_prior`` by parameter; where
    a prior is improper there are no ``prior`` and ``prior_predictive``.
    """
    after, before = np.random.default_rng(seed).spawn(2)
    constants: dict[str, Any] = {"active_first": ("subject", model.pairs.active_first)}
    if model.pairs.baseline is not None:
        constants["baseline"] = ("subject", model.pairs.baseline)
    found = {
        "observed_data": model.observed,
        "constant_data": xr.Dataset(constants, coords={"subject": model.pairs.subject}),
        "posterior_predictive": replicated_scores(posterior, model, after),
        "log_likelihood": xr.Dataset({"score": subject_log_likelihood(posterior, model)}),
        "log_prior": log_priors(posterior, model),
    }
    if not has_proper_priors(model):
        return found
    drawn = draw_priors(model, PRIOR_DRAWS, seed=seed) if prior is None else prior
    return found | {
        "prior": drawn,
        "prior_predictive": replicated_scores(drawn, model, before),
    }
