"""The groups that belong to every fit of a crossover, whichever engine drew its posterior."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from bayes_ptsd.crossover.likelihood import replicated_scores, subject_log_likelihood
from bayes_ptsd.crossover.model import CrossoverModel
from bayes_ptsd.crossover.priors import draw_priors, has_proper_priors, log_priors

__all__ = ["crossover_groups"]

# prior draws serve figures and checks; a probability has a Monte Carlo error of at most .016
PRIOR_DRAWS = 1000


def crossover_groups(
    posterior: xr.Dataset, model: CrossoverModel, *, seed: int, prior: xr.Dataset | None = None
) -> dict[str, xr.Dataset]:
    """Compute data, predictive, likelihood and prior groups from draws of the parameters.

    ``log_likelihood`` is by subject, its effects integrated out, ``log_prior`` by parameter; where
    a prior is improper there are no ``prior`` and ``prior_predictive``.
    """
    after, before = np.random.default_rng(seed).spawn(2)
    constants: dict[str, Any] = {"active_first": ("subject", model.pairs.active_first)}
    if model.pairs.baseline is not None:
        constants["baseline"] = ("subject", model.pairs.baseline)
    found = {
        "observed_data": model.observed,
        "constant_data": xr.Dataset(constants, coords={"subject": model.pairs.subject}),
        "posterior_predictive": replicated_scores(posterior, model, after),
        "log_likelihood": xr.Dataset({"score": subject_log_likelihood(posterior, model)}),
        "log_prior": log_priors(posterior, model),
    }
    if not has_proper_priors(model):
        return found
    drawn = draw_priors(model, PRIOR_DRAWS, seed=seed) if prior is None else prior
    return found | {
        "prior": drawn,
        "prior_predictive": replicated_scores(drawn, model, before),
    }
