"""The groups that belong to every fit with a mediator, whichever engine drew its posterior."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from bayes_ptsd.depression.effects import mediation_effects
from bayes_ptsd.depression.likelihood import replicated_scores, subject_log_likelihood
from bayes_ptsd.depression.model import DepressionModel
from bayes_ptsd.parameters import draw_parameters, log_prior_densities

__all__ = ["depression_groups", "draw_priors"]

PRIOR_DRAWS = 1000


def draw_priors(model: DepressionModel, size: int, *, seed: int) -> xr.Dataset:
    """Draw every parameter of both regressions from its prior.

    Parameters
    ----------
    model : DepressionModel
        With proper priors.
    size : int
        Number of draws.
    seed : int
        Seed of the draws.

    Returns
    -------
    xr.Dataset
        Dims ``chain`` (1) and ``draw``.

    Raises
    ------
    SpecError
        If a prior is improper.

    Examples
    --------
    >>> from bayes_ptsd.depression.example import example_mediation
    >>> from bayes_ptsd.depression.model import depression_model
    >>> from bayes_ptsd.spec import load_model
    >>> model = depression_model(example_mediation(), load_model("depression-adjusted"))
    >>> draw_priors(model, 100, seed=1).sizes["draw"]
    100
    """
    return draw_parameters(list(model.parameters.values()), {}, size, seed=seed)


def depression_groups(
    posterior: xr.Dataset, model: DepressionModel, *, seed: int
) -> dict[str, xr.Dataset]:
    """Compute data, predictive, likelihood and prior groups from draws of the parameters.

    Parameters
    ----------
    posterior : xr.Dataset
        Draws of every parameter, dims ``chain`` and ``draw``.
    model : DepressionModel
        Model and patients.
    seed : int
        Seed of the replicates and of the prior draws.

    Returns
    -------
    dict of str to xr.Dataset
        ``observed_data, constant_data, posterior_predictive`` (both scores), ``log_likelihood`` (by
        subject, of both together), ``log_prior`` (by parameter) and, where every prior is proper,
        ``prior`` (with the effects), ``prior_predictive``.

    Examples
    --------
    >>> from bayes_ptsd.depression.example import example_mediation
    >>> from bayes_ptsd.depression.model import depression_model
    >>> from bayes_ptsd.spec import load_model
    >>> model = depression_model(example_mediation(), load_model("depression-adjusted"))
    >>> groups = depression_groups(draw_priors(model, 20, seed=1), model, seed=1)
    >>> groups["log_likelihood"]["score"].dims
    ('chain', 'draw', 'subject')
    """
    after, before = np.random.default_rng(seed).spawn(2)
    constants: dict[str, Any] = {"active": ("subject", model.active)}
    for name in ("baseline", "mediator_baseline"):
        if (values := getattr(model, name)) is not None:
            constants[f"{name}_centered"] = ("subject", values)
    parameters = list(model.parameters.values())
    found = {
        "observed_data": model.observed,
        "constant_data": xr.Dataset(constants, coords={"subject": model.subject}),
        "posterior_predictive": replicated_scores(posterior, model, after),
        "log_likelihood": xr.Dataset({"score": subject_log_likelihood(posterior, model)}),
        "log_prior": log_prior_densities(posterior, parameters),
    }
    if not all(prior.proper for prior in model.priors.values()):
        return found
    drawn = draw_priors(model, PRIOR_DRAWS, seed=seed)
    return found | {
        "prior": drawn.assign(mediation_effects(drawn, model)),
        "prior_predictive": replicated_scores(drawn, model, before),
    }
