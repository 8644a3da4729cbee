"""Prior draws and prior densities of a longitudinal model, by parameter."""

from __future__ import annotations

import numpy as np
import xarray as xr

from bayes_ptsd.gaussian.covariance import draw_partials, log_matrix_density
from bayes_ptsd.gaussian.parameters import draw_parameters, log_prior_densities
from bayes_ptsd.longitudinal.likelihood import derived
from bayes_ptsd.longitudinal.model import LongitudinalModel
from bayes_ptsd.priors import Prior

__all__ = ["draw_priors", "has_proper_priors", "log_priors"]

PARTIAL = "partial_correlation"


def has_proper_priors(model: LongitudinalModel) -> bool:
    """Tell whether every prior of a model is a distribution that can be drawn from."""
    return all(prior.proper for prior in model.priors.values())


def draw_priors(model: LongitudinalModel, size: int, *, seed: int) -> xr.Dataset:
    """Draw every parameter from its prior, with the estimands; an improper prior is a SpecError.

    Dims ``chain`` (1) and ``draw`` first.
    """
    drawn = draw_parameters(list(model.parameters.values()), model.coords, size, seed=seed)
    rng = np.random.default_rng([seed, 1])
    if model.options["shrinkage"]:
        noise = rng.normal(size=(1, size, len(model.visits)))
        standard = xr.DataArray(noise, dims=("chain", "draw", "visit"))
        spread = drawn["shrinkage_sd"] * standard
        drawn["visit_difference"] = (drawn["shrinkage_mean"] + spread).assign_coords(
            visit=list(model.visits)
        )
    if model.options["covariance"] == "unstructured":
        partial = draw_partials(_matrix(model), len(model.occasions), (1, size), rng)
        drawn = drawn.assign_coords(visit_pair=model.coords["visit_pair"])
        drawn[PARTIAL] = (("chain", "draw", "visit_pair"), partial)
    return derived(drawn, model)


def log_priors(draws: xr.Dataset, model: LongitudinalModel) -> xr.Dataset:
    """Return the log prior density of each parameter at each draw, improper up to a constant.

    Also ``correlations`` of an unstructured matrix. With shrinkage the differences at the visits
    have none of their own: strengthening the prior means that of their mean and spread.
    """
    found = log_prior_densities(draws, list(model.parameters.values()))
    if model.options["covariance"] == "unstructured":
        pairs = list(draws[PARTIAL].transpose("visit_pair", "chain", "draw").values)
        density = log_matrix_density(_matrix(model), pairs, len(model.occasions))
        found["correlations"] = (("chain", "draw"), density)
    return found


def _matrix(model: LongitudinalModel) -> Prior:
    """Return the prior of an unstructured correlation matrix."""
    prior = model.priors["correlations"]
    assert isinstance(prior, Prior)
    return prior
