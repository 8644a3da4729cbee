"""Likelihood, replicates and estimands of a longitudinal model, from draws of its parameters.

The scores of a patient are one normal vector; visits that are missing are integrated out, so the
density by subject is the marginal one that leave-one-subject-out needs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from bayes_ptsd.gaussian.covariance import correlation_entries, covariance_entries
from bayes_ptsd.longitudinal.model import LongitudinalModel
from bayes_ptsd.priors import FloatArray

__all__ = ["arm_means", "derived", "replicated_scores", "subject_log_likelihood"]

# log(2 pi), of the density of a normal
LOG_2PI = float(np.log(2 * np.pi))


def derived(draws: xr.Dataset, model: LongitudinalModel) -> xr.Dataset:
    """Add the estimands that are functions of the parameters.

    ``treatment_difference`` (the mean of ``visit_difference`` over the visits, positive where the
    active treatment is better), ``interaction_max`` (the largest distance of a visit's difference
    from that mean: P(> MCID) is the probability of any interaction of that size),
    ``visit_correlation`` by pair of occasions, and ``arm_mean`` (treatment, visit) at the mean
    baseline and covariates, as recorded.
    """
    difference = draws["visit_difference"]
    mean = difference.mean("visit")
    entries = _correlations(draws, model)
    count = len(model.occasions)
    pairs = [entries[i][j] for i in range(count) for j in range(i)]
    shape = (draws.sizes["chain"], draws.sizes["draw"])
    table = np.stack(
        [np.broadcast_to(pair, shape[0] * shape[1]).reshape(shape) for pair in pairs], -1
    )
    labels = {"visit_pair": model.coords["visit_pair"]}
    return draws.assign_coords(labels).assign(
        treatment_difference=mean,
        interaction_max=abs(difference - mean).max("visit"),
        visit_correlation=(("chain", "draw", "visit_pair"), table),
        arm_mean=arm_means(draws, model),
    )


def arm_means(draws: xr.Dataset, model: LongitudinalModel) -> xr.DataArray:
    """Return each arm's mean score at the mean covariates, dims (chain, draw, treatment, visit).

    Score units as recorded, the control arm first.
    """
    level = draws["level"].sel(occasion=list(model.visits)).rename(occasion="visit")
    half = 0.5 * model.sign * draws["visit_difference"]
    both = [level - half, level + half]
    dim = xr.Variable("treatment", list(model.arms))
    return xr.concat(both, dim=dim).transpose("chain", "draw", "treatment", "visit")


def subject_log_likelihood(draws: xr.Dataset, model: LongitudinalModel) -> xr.DataArray:
    """Return the log density of each patient's observed values, dims (chain, draw, subject).

    Missing visits are integrated out; with a joint baseline it is of baseline and scores together.
    """
    covariance = _covariance(draws, model)
    there = np.isfinite(model.values)
    density = np.empty((len(covariance), len(there)))
    for pattern in np.unique(there, axis=0):
        rows = np.flatnonzero((there == pattern).all(axis=1))
        cells = np.flatnonzero(pattern)
        residual = model.values[np.ix_(rows, cells)] - _means(draws, model, rows)[:, :, cells]
        density[:, rows] = _normal(residual, covariance[:, cells][:, :, cells])
    shape = (draws.sizes["chain"], draws.sizes["draw"], len(there))
    coords = {"chain": draws["chain"], "draw": draws["draw"], "subject": model.subject}
    return xr.DataArray(density.reshape(shape), dims=("chain", "draw", "subject"), coords=coords)


def replicated_scores(
    draws: xr.Dataset, model: LongitudinalModel, rng: np.random.Generator
) -> xr.Dataset:
    """Draw ``score`` (chain, draw, subject, visit) of new patients, NaN where one is missing.

    Arms, baselines and missing visits are those of the data.
    """
    root = np.linalg.cholesky(_covariance(draws, model))
    values = _means(draws, model, np.arange(len(model.active)))
    values += np.einsum("sij,snj->sni", root, rng.normal(size=values.shape))
    score = values[:, :, 1:] if model.joint else values
    score = np.where(np.isfinite(model.score), score, np.nan)
    shape = (draws.sizes["chain"], draws.sizes["draw"], *model.score.shape)
    coords = {"chain": draws["chain"], "draw": draws["draw"], **model.observed.coords}
    dims = ("chain", "draw", "subject", "visit")
    return xr.Dataset({"score": (dims, score.reshape(shape))}, coords=coords)


def _flat(draws: xr.Dataset, name: str) -> FloatArray:
    """Return draws of one parameter, chains and draws first and together."""
    values = draws[name].transpose("chain", "draw", ...).values
    return np.asarray(values.reshape(values.shape[0] * values.shape[1], *values.shape[2:]))


def _means(draws: xr.Dataset, model: LongitudinalModel, rows: Any) -> FloatArray:
    """Return the means of some patients' occasions, dims (sample, subject, occasion)."""
    benefit = model.sign * model.contrast[rows]
    difference = _flat(draws, "visit_difference")
    if model.joint:  # nobody is treated yet
        difference = np.concatenate([np.zeros_like(difference[:, :1]), difference], axis=1)
    mean = _flat(draws, "level")[:, None, :] + benefit[:, None] * difference[:, None, :]
    if model.baseline is not None:
        slope = _flat(draws, "baseline_slope")
        by_visit = slope[:, None, :] if slope.ndim == 2 else slope[:, None, None]
        mean = mean + model.baseline[rows, None] * by_visit
    if model.covariates.size:
        shift = _flat(draws, "covariate") @ model.covariates.values[rows].T
        mean = mean + shift[:, :, None]
    return np.asarray(mean)


def _correlations(draws: xr.Dataset, model: LongitudinalModel) -> list[list[Any]]:
    """Return the correlations of the occasions, entries of dim (sample)."""
    found = {
        name: _flat(draws, key)
        for name, key in (
            ("correlation", "correlation"),
            ("half_life", "half_life"),
            ("nugget", "nugget_share"),
        )
        if key in draws
    }
    partial = _flat(draws, "partial_correlation").T if "partial_correlation" in draws else ()
    structure = str(model.options["covariance"])
    return correlation_entries(
        structure, len(model.occasions), partial=list(partial), days=model.days, **found
    )


def _covariance(draws: xr.Dataset, model: LongitudinalModel) -> FloatArray:
    """Return the covariance of the occasions, dims (sample, occasion, occasion)."""
    sd = _flat(draws, "sd_visit")
    count = len(model.occasions)
    columns = list(sd.T) if sd.ndim == 2 else [sd] * count
    entries = covariance_entries(_correlations(draws, model), columns)
    table = [np.stack([np.broadcast_to(value, len(sd)) for value in row], -1) for row in entries]
    return np.stack(table, axis=1)


def _normal(residual: FloatArray, covariance: FloatArray) -> FloatArray:
    """Return the normal log density of residuals, dims (sample, subject, occasion)."""
    root = np.linalg.cholesky(covariance)
    log_det = 2 * np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)[:, None]
    square = np.sum(np.linalg.solve(root, np.swapaxes(residual, 1, 2)) ** 2, axis=1)
    return np.asarray(-0.5 * (residual.shape[2] * LOG_2PI + log_det + square))
