"""Prior draws and prior densities of a first-period model, by parameter."""

from __future__ import annotations

import xarray as xr

from bayes_ptsd.first_period.model import FirstPeriodModel
from bayes_ptsd.parameters import draw_parameters, log_prior_densities

__all__ = ["draw_priors", "has_proper_priors", "log_priors"]


def has_proper_priors(model: FirstPeriodModel) -> bool:
    """Tell whether every prior of a model is a distribution that can be drawn from.

    Examples
    --------
    >>> from bayes_ptsd.crossover.example import example_patients
    >>> from bayes_ptsd.first_period.model import first_period_model
    >>> from bayes_ptsd.spec import load_model
    >>> has_proper_priors(first_period_model(example_patients(), load_model("first-period")))
    True
    """
    return all(prior.proper for prior in model.priors.values())


def draw_priors(model: FirstPeriodModel, size: int, *, seed: int) -> xr.Dataset:
    """Draw every parameter of a model from its prior.

    Parameters
    ----------
    model : FirstPeriodModel
        With proper priors.
    size : int
        Number of draws.
    seed : int
        Seed of the draws.

    Returns
    -------
    xr.Dataset
        Dims ``chain`` (1) and ``draw``, ``treatment`` and ``column`` where a parameter has them.

    Raises
    ------
    SpecError
        If a prior is improper.

    Examples
    --------
    >>> from bayes_ptsd.crossover.example import example_patients
    >>> from bayes_ptsd.first_period.model import first_period_model
    >>> from bayes_ptsd.spec import load_model
    >>> model = first_period_model(example_patients(), load_model("first-period"))
    >>> draw_priors(model, 100, seed=1).sizes["draw"]
    100
    """
    return draw_parameters(list(model.parameters.values()), model.coords, size, seed=seed)


def log_priors(draws: xr.Dataset, model: FirstPeriodModel) -> xr.Dataset:
    """Return the log prior density of each parameter at each draw.

    Parameters
    ----------
    draws : xr.Dataset
        Parameters of the model, dims ``chain`` and ``draw``.
    model : FirstPeriodModel
        Its priors.

    Returns
    -------
    xr.Dataset
        One variable a parameter, with its dims; improper priors up to a constant.

    Examples
    --------
    >>> from bayes_ptsd.crossover.example import example_patients
    >>> from bayes_ptsd.first_period.model import first_period_model
    >>> from bayes_ptsd.spec import load_model
    >>> model = first_period_model(example_patients(), load_model("first-period"))
    >>> sorted(log_priors(draw_priors(model, 10, seed=1), model))
    ['baseline_slope', 'level', 'sd_residual', 'treatment_difference']
    """
    return log_prior_densities(draws, list(model.parameters.values()))
