"""The groups that belong to every fit of ordered categories."""

from __future__ import annotations

import numpy as np
import xarray as xr

from bayes_ptsd.categorical.estimands import with_estimands
from bayes_ptsd.categorical.model import CategoricalModel
from bayes_ptsd.categorical.priors import draw_priors, log_priors
from bayes_ptsd.categorical.probabilities import replicated_categories, subject_log_likelihood

__all__ = ["categorical_groups"]

PRIOR_DRAWS = 1000


def categorical_groups(
    posterior: xr.Dataset, model: CategoricalModel, *, seed: int
) -> dict[str, xr.Dataset]:
    """Compute estimands, data, predictive, likelihood and prior groups from draws.

    Parameters
    ----------
    posterior : xr.Dataset
        Draws of every parameter, dims ``chain`` and ``draw``.
    model : CategoricalModel
        Model and patients.
    seed : int
        Seed of the replicates and of the prior draws.

    Returns
    -------
    dict of str to xr.Dataset
        ``posterior`` with the estimands, ``observed_data, constant_data, posterior_predictive,
        log_likelihood`` (by subject, its effect integrated out), ``log_prior`` (by parameter),
        ``prior, prior_predictive``.

    Examples
    --------
    >>> from bayes_ptsd.categorical.example import example_categories
    >>> from bayes_ptsd.categorical.model import categorical_model
    >>> from bayes_ptsd.spec import load_model
    >>> model = categorical_model(example_categories(), load_model("ordinal"))
    >>> groups = categorical_groups(draw_priors(model, 20, seed=1), model, seed=1)
    >>> groups["log_likelihood"]["score"].dims
    ('chain', 'draw', 'subject')
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
