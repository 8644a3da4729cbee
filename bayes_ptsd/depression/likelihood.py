"""Likelihood and replicated scores of outcome and mediator, from draws of the parameters."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from bayes_ptsd.depression.model import DepressionModel, mediator_columns, outcome_columns
from bayes_ptsd.priors import FloatArray

__all__ = ["replicated_scores", "subject_log_likelihood"]


def subject_log_likelihood(draws: xr.Dataset, model: DepressionModel) -> xr.DataArray:
    """Return the log density of each patient's two scores together under each draw.

    Parameters
    ----------
    draws : xr.Dataset
        Parameters of the model, dims ``chain`` and ``draw``.
    model : DepressionModel
        Its patients and options.

    Returns
    -------
    xr.DataArray
        Dims (chain, draw, subject): of the mediator, plus of the outcome given the mediator.

    Examples
    --------
    >>> from bayes_ptsd.depression.example import example_mediation
    >>> from bayes_ptsd.depression.groups import draw_priors
    >>> from bayes_ptsd.depression.model import depression_model
    >>> from bayes_ptsd.spec import load_model
    >>> model = depression_model(example_mediation(), load_model("depression-adjusted"))
    >>> dict(subject_log_likelihood(draw_priors(model, 10, seed=1), model).sizes)
    {'chain': 1, 'draw': 10, 'subject': 60}
    """
    first = _linear(draws, mediator_columns(model))
    second = _linear(draws, outcome_columns(model))
    total = _log_normal(model.mediator_score, first, draws["mediator_sd"])
    total = total + _log_normal(model.score, second, draws["sd_residual"])
    return total.assign_coords(subject=model.subject)


def replicated_scores(
    draws: xr.Dataset, model: DepressionModel, rng: np.random.Generator
) -> xr.Dataset:
    """Draw mediator and outcome of new patients with the same arms and baselines.

    Parameters
    ----------
    draws : xr.Dataset
        Parameters of the model, dims ``chain`` and ``draw``.
    model : DepressionModel
        Its patients and options.
    rng : Generator
        Source of randomness.

    Returns
    -------
    xr.Dataset
        ``score`` with dims (chain, draw, subject, endpoint), the outcome first; each outcome goes
        with the mediator that was drawn for it.

    Examples
    --------
    >>> from bayes_ptsd.depression.example import example_mediation
    >>> from bayes_ptsd.depression.groups import draw_priors
    >>> from bayes_ptsd.depression.model import depression_model
    >>> from bayes_ptsd.spec import load_model
    >>> model = depression_model(example_mediation(), load_model("depression-adjusted"))
    >>> draws = draw_priors(model, 10, seed=1)
    >>> replicated_scores(draws, model, np.random.default_rng(1))["score"].shape
    (1, 10, 60, 2)
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
