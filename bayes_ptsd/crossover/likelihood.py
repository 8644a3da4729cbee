"""Likelihood and replicated scores of a crossover, from draws of its parameters.

The scores of a patient are one vector, normal or Student-t, with everything that belongs to the
patient integrated out: ``p(scores | parameters)`` by subject is what leave-one-subject-out
needs, and replicates are of new patients. Equations in ``docs/methods/crossover-model.md``.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy import special

from bayes_ptsd.crossover.model import CrossoverModel
from bayes_ptsd.priors import FloatArray

__all__ = ["patient_moments", "replicated_scores", "subject_log_likelihood"]

Moments = tuple[FloatArray, FloatArray, FloatArray | None]


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
    columns = [_baseline_means(flat, model), mean]
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
    >>> from bayes_ptsd.crossover.example import example_patients
    >>> from bayes_ptsd.crossover.model import crossover_model
    >>> from bayes_ptsd.crossover.priors import draw_priors
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
    if model.baselines is None:
        return model.pairs.score
    both = np.stack([model.baselines, model.pairs.score], axis=-1)
    return both.reshape(len(both), 4)


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


def _baseline_means(flat: xr.Dataset, model: CrossoverModel) -> FloatArray:
    """Return the mean baselines of a joint model, dims (sample, subject, period)."""
    half = model.pairs.active_first - 0.5
    mean = np.repeat(flat["baseline_level"].values[:, None, :], len(half), axis=1)
    if "baseline_carryover" in flat:
        mean[:, :, 1] += model.sign * flat["baseline_carryover"].values[:, None] * half
    if "sequence_effect" in flat:
        mean = mean + flat["sequence_effect"].values[:, None, None] * half[:, None]
    return mean


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
