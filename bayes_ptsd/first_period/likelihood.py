"""Likelihood and replicated scores of a first-period model, from draws of its parameters."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy import stats

from bayes_ptsd.first_period.model import FirstPeriodModel, linear_columns

__all__ = ["arm_means", "replicated_scores", "subject_log_likelihood"]


def subject_log_likelihood(draws: xr.Dataset, model: FirstPeriodModel) -> xr.DataArray:
    """Return the log density of each patient's score, dims (chain, draw, subject)."""
    sd = _residual_sd(draws, model)
    standard = (model.observed["score"] - _means(draws, model)) / sd
    standard = standard.drop_vars("treatment").transpose("chain", "draw", "subject")
    if "nu" in draws:
        density = stats.t.logpdf(standard.values, draws["nu"].values[:, :, None])
    else:
        density = stats.norm.logpdf(standard.values)
    return (standard.copy(data=density) - np.log(sd)).transpose("chain", "draw", "subject")


def replicated_scores(
    draws: xr.Dataset, model: FirstPeriodModel, rng: np.random.Generator
) -> xr.Dataset:
    """Draw ``score`` (chain, draw, subject) of new patients with the same arms and covariates."""
    mean = _means(draws, model)
    noise = rng.normal(size=mean.shape)
    if "nu" in draws:
        nu = draws["nu"].values[:, :, None]
        noise /= np.sqrt(rng.chisquare(nu, size=mean.shape) / nu)
    score = mean + _residual_sd(draws, model) * mean.copy(data=noise)
    return score.transpose("chain", "draw", "subject").to_dataset(name="score")


def arm_means(draws: xr.Dataset, model: FirstPeriodModel) -> xr.DataArray:
    """Return each arm's mean score at the mean covariates, dims (chain, draw, treatment).

    Score units as recorded, the control arm first.
    """
    level, half = draws["level"], 0.5 * model.sign * draws["treatment_difference"]
    both = [level - half, level + half]
    return xr.concat(both, dim=xr.Variable("treatment", list(model.arms))).transpose(
        "chain", "draw", "treatment"
    )


def _means(draws: xr.Dataset, model: FirstPeriodModel) -> xr.DataArray:
    """Return the mean of every patient's score, dims (chain, draw, subject)."""
    columns = linear_columns(model)
    names = [name for name in columns if not name.startswith("covariate ")]
    table = xr.DataArray(
        np.stack([columns[name] for name in names]),
        dims=("coefficient", "subject"),
        coords=model.observed.coords,
    )
    coefficients = xr.concat([draws[name].drop_attrs() for name in names], dim="coefficient")
    mean: xr.DataArray = xr.dot(coefficients, table, dim="coefficient")
    if "covariate" in draws:
        mean = mean + xr.dot(draws["covariate"], model.covariates, dim="column")
    return mean.transpose("chain", "draw", "subject")


def _residual_sd(draws: xr.Dataset, model: FirstPeriodModel) -> xr.DataArray:
    """Return the residual scale of every patient, or the common one with dim (subject) of one."""
    sd = draws["sd_residual"]
    if "treatment" not in sd.dims:
        return sd
    place = xr.DataArray(model.active.astype(int), dims="subject")
    return sd.isel(treatment=place).drop_vars("treatment").transpose("chain", "draw", "subject")
