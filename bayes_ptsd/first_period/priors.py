"""Prior draws and prior densities of a first-period model, by parameter."""

from __future__ import annotations

import xarray as xr

from bayes_ptsd.first_period.model import FirstPeriodModel
from bayes_ptsd.gaussian.parameters import draw_parameters, log_prior_densities

__all__ = ["draw_priors", "has_proper_priors", "log_priors"]


def has_proper_priors(model: FirstPeriodModel) -> bool:
    """Tell whether every prior of a model is a distribution that can be drawn from."""
    return all(prior.proper for prior in model.priors.values())


def draw_priors(model: FirstPeriodModel, size: int, *, seed: int) -> xr.Dataset:
    """Draw every parameter from its prior, dims ``chain`` (1) and ``draw`` first.

    An improper prior is a SpecError.
    """
    return draw_parameters(list(model.parameters.values()), model.coords, size, seed=seed)


def log_priors(draws: xr.Dataset, model: FirstPeriodModel) -> xr.Dataset:
    """Return the log prior density of each parameter at each draw, improper up to a constant."""
    return log_prior_densities(draws, list(model.parameters.values()))
