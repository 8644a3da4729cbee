"""The groups that belong to every fit with a mediator, whichever engine drew its posterior."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from bayes_ptsd.depression.effects import mediation_effects
from bayes_ptsd.depression.likelihood import replicated_scores, subject_log_likelihood
from bayes_ptsd.depression.model import DepressionModel
from bayes_ptsd.gaussian.parameters import draw_parameters, log_prior_densities

__all__ = ["depression_groups", "draw_priors"]

# prior draws serve figures and checks; a probability has a Monte Carlo error of at most .016
PRIOR_DRAWS = 1000


def draw_priors(model: DepressionModel, size: int, *, seed: int) -> xr.Dataset:
    """Draw every parameter of both regressions from its prior, dims ``chain`` (1) and ``draw``.

    An improper prior is a SpecError.
    """
    return draw_parameters(list(model.parameters.values()), {}, size, seed=seed)


def depression_groups(
    posterior: xr.Dataset, model: DepressionModel, *, seed: int
) -> dict[str, xr.Dataset]:
    """Compute data, predictive, likelihood and prior groups from draws of the parameters.

    ``log_likelihood`` is by subject, of both scores together; ``prior`` has the effects, too. Where
    a prior is improper there are no ``prior`` and ``prior_predictive``.
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
