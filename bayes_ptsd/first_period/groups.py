"""The groups that belong to every first-period fit, whichever engine drew its posterior."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from bayes_ptsd.first_period.likelihood import replicated_scores, subject_log_likelihood
from bayes_ptsd.first_period.model import FirstPeriodModel
from bayes_ptsd.first_period.priors import draw_priors, has_proper_priors, log_priors

__all__ = ["first_period_groups"]

# prior draws serve figures and checks; a probability has a Monte Carlo error of at most .016
PRIOR_DRAWS = 1000


def first_period_groups(
    posterior: xr.Dataset, model: FirstPeriodModel, *, seed: int
) -> dict[str, xr.Dataset]:
    """Compute data, predictive, likelihood and prior groups from draws of the parameters.

    ``log_likelihood`` is by subject, ``log_prior`` by parameter; where a prior is improper there
    are no ``prior`` and ``prior_predictive``.
    """
    after, before = np.random.default_rng(seed).spawn(2)
    constants: dict[str, Any] = {"active": ("subject", model.active)}
    if model.baseline is not None:
        constants["baseline_centered"] = ("subject", model.baseline)
    if model.covariates.size:
        constants["covariates"] = model.covariates
    found = {
        "observed_data": model.observed,
        "constant_data": xr.Dataset(constants, coords={"subject": model.subject}),
        "posterior_predictive": replicated_scores(posterior, model, after),
        "log_likelihood": xr.Dataset({"score": subject_log_likelihood(posterior, model)}),
        "log_prior": log_priors(posterior, model),
    }
    if not has_proper_priors(model):
        return found
    drawn = draw_priors(model, PRIOR_DRAWS, seed=seed)
    return found | {
        "prior": drawn,
        "prior_predictive": replicated_scores(drawn, model, before),
    }
