"""The groups that belong to every fit of ordered categories."""

from __future__ import annotations

import numpy as np
import xarray as xr

from bayes_ptsd.categorical.estimands import with_estimands
from bayes_ptsd.categorical.model import CategoricalModel
from bayes_ptsd.categorical.priors import draw_priors, log_priors
from bayes_ptsd.categorical.probabilities import replicated_categories, subject_log_likelihood

__all__ = ["categorical_groups"]

# As many draws as a sampled fit has of its prior; prior draws are only looked at.
PRIOR_DRAWS = 1000


def categorical_groups(
    posterior: xr.Dataset, model: CategoricalModel, *, seed: int
) -> dict[str, xr.Dataset]:
    """Compute estimands, data, predictive, likelihood and prior groups from draws.

    ``log_likelihood`` is by subject, its effect integrated out; ``log_prior`` by parameter.
    """
    after, before = np.random.default_rng(seed).spawn(2)
    drawn = draw_priors(model, PRIOR_DRAWS, seed=seed)
    observed = model.observed
    return {
        "posterior": with_estimands(posterior, model),
        "observed_data": observed[["score"]],
        "constant_data": observed[["active"]],
        "posterior_predictive": replicated_categories(posterior, model, after),
        "log_likelihood": xr.Dataset({"score": subject_log_likelihood(posterior, model)}),
        "log_prior": log_priors(posterior, model),
        "prior": with_estimands(drawn, model),
        "prior_predictive": replicated_categories(drawn, model, before),
    }
