"""Prior draws and prior densities of a longitudinal model, by parameter."""

from __future__ import annotations

import numpy as np
import xarray as xr

from bayes_ptsd.longitudinal.covariance import draw_partials, log_matrix_density
from bayes_ptsd.longitudinal.likelihood import derived
from bayes_ptsd.longitudinal.model import LongitudinalModel
from bayes_ptsd.parameters import draw_parameters, log_prior_densities
from bayes_ptsd.priors import Prior

__all__ = ["draw_priors", "has_proper_priors", "log_priors"]

PARTIAL = "partial_correlation"


def has_proper_priors(model: LongitudinalModel) -> bool:
    """Tell whether every prior of a model is a distribution that can be drawn from.

    Examples
    --------
    >>> from bayes_ptsd.longitudinal.example import example_trajectories
    >>> from bayes_ptsd.longitudinal.model import longitudinal_model
    >>> from bayes_ptsd.spec import load_model
    >>> has_proper_priors(longitudinal_model(example_trajectories(), load_model("longitudinal")))
    True
    """
    return all(prior.proper for prior in model.priors.values())


def draw_priors(model: LongitudinalModel, size: int, *, seed: int) -> xr.Dataset:
    """Draw every parameter of a model from its prior, with the estimands.

    Parameters
    ----------
    model : LongitudinalModel
        With proper priors.
    size : int
        Number of draws.
    seed : int
        Seed of the draws.

    Returns
    -------
    xr.Dataset
        Dims ``chain`` (1) and ``draw``, ``visit``, ``occasion``, ``visit_pair`` and ``column``
        where a parameter has them.

    Raises
    ------
    SpecError
        If a prior is improper.

    Examples
    --------
    >>> from bayes_ptsd.longitudinal.example import example_trajectories
    >>> from bayes_ptsd.longitudinal.model import longitudinal_model
    >>> from bayes_ptsd.spec import load_model
    >>> model = longitudinal_model(example_trajectories(), load_model("longitudinal"))
    >>> draw_priors(model, 100, seed=1)["visit_correlation"].sizes["visit_pair"]
    6
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
    """Return the log prior density of each parameter at each draw.

    Parameters
    ----------
    draws : xr.Dataset
        Parameters of the model, dims ``chain`` and ``draw``.
    model : LongitudinalModel
        Its priors.

    Returns
    -------
    xr.Dataset
        One variable a parameter, with its dims, and ``correlations`` of an unstructured matrix;
        improper priors up to a constant. With shrinkage
        the differences at the visits have none of their own: strengthening the prior means that
        of their mean and spread.

    Examples
    --------
    >>> from bayes_ptsd.longitudinal.example import example_trajectories
    >>> from bayes_ptsd.longitudinal.model import longitudinal_model
    >>> from bayes_ptsd.spec import load_model
    >>> model = longitudinal_model(example_trajectories(), load_model("longitudinal-shrunk"))
    >>> "visit_difference" in log_priors(draw_priors(model, 10, seed=1), model)
    False
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
