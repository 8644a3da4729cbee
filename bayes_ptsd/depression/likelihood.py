"""Likelihood and replicated scores of outcome and mediator, from draws of the parameters."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from bayes_ptsd.depression.model import DepressionModel, mediator_columns, outcome_columns
from bayes_ptsd.priors import FloatArray

__all__ = ["replicated_scores", "subject_log_likelihood"]


def subject_log_likelihood(draws: xr.Dataset, model: DepressionModel) -> xr.DataArray:
    """Return the log density of each patient's two scores, dims (chain, draw, subject).

    That of the mediator plus that of the outcome given the mediator.
    """
    first = _linear(draws, mediator_columns(model))
    second = _linear(draws, outcome_columns(model))
    total = _log_normal(model.mediator_score, first, draws["mediator_sd"])
    total = total + _log_normal(model.score, second, draws["sd_residual"])
    return total.assign_coords(subject=model.subject)


def replicated_scores(
    draws: xr.Dataset, model: DepressionModel, rng: np.random.Generator
) -> xr.Dataset:
    """Draw ``score`` (chain, draw, subject, endpoint) of new patients, the outcome first.

    Arms and baselines are those of the data; an outcome goes with the mediator drawn for it.
    """
    mean = _linear(draws, mediator_columns(model))
    mediator = mean + draws["mediator_sd"] * mean.copy(data=rng.normal(size=mean.shape))
    # what the observed mediators contribute is replaced by what the new ones do
    moved = mediator - model.mediator_score
    slope = draws["mediator_slope"]
    if "interaction" in draws:
        slope = slope + draws["interaction"] * _subjects(model.contrast)
    outcome = _linear(draws, outcome_columns(model)) + slope * moved
    outcome = outcome + draws["sd_residual"] * mean.copy(data=rng.normal(size=mean.shape))
    dims = ("chain", "draw", "subject", "endpoint")
    labels = xr.Variable("endpoint", [model.endpoint.id, model.mediator.id])
    score = xr.concat([outcome, mediator], dim=labels).transpose(*dims)
    return score.assign_coords(subject=model.subject).to_dataset(name="score")


def _linear(draws: xr.Dataset, columns: Mapping[str, FloatArray]) -> xr.DataArray:
    """Return the mean of every patient's score, dims (chain, draw, subject)."""
    terms = [draws[name].drop_attrs() * _subjects(column) for name, column in columns.items()]
    mean: xr.DataArray = sum(terms[1:], terms[0])
    return mean.transpose("chain", "draw", "subject")


def _subjects(values: FloatArray) -> xr.DataArray:
    """Return one number per patient with its dim."""
    return xr.DataArray(values, dims="subject")


def _log_normal(score: FloatArray, mean: xr.DataArray, sd: xr.DataArray) -> xr.DataArray:
    """Return log normal densities, dims (chain, draw, subject)."""
    standard = (_subjects(score) - mean) / sd
    logs: xr.DataArray = -0.5 * standard**2 - np.log(sd) - 0.5 * np.log(2 * np.pi)
    return logs.transpose("chain", "draw", "subject")
