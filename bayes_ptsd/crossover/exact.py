"""The exact engine behind a crossover specification."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from bayes_ptsd.crossover.model import CrossoverModel
from bayes_ptsd.errors import SpecError
from bayes_ptsd.exact.crossover import crossover_posterior, inverse_sd
from bayes_ptsd.priors import FloatArray, Prior

__all__ = ["DRAWS", "exact_crossover", "exact_priors", "why_not_exact"]

# as many as NUTS keeps by default, 4 chains of 1,000
DRAWS = 4000


def why_not_exact(options: Mapping[str, Any]) -> str:
    """Say why the exact engine has no answer for a crossover model; empty where it has one."""
    if options["likelihood"] != "normal":
        return f"it integrates normal likelihoods, not {options['likelihood']}"
    if options["baseline"] == "joint":
        return "it has no joint model of baselines"
    if options["subject_effects"] == "sampled":
        return "it integrates the subject effects out and draws none"
    if (options["form"], options["period_sd"]) == ("random_intercept", "unequal"):
        return "its random intercept has equal standard deviations; take form = 'bivariate'"
    if (options["form"], options["period_sd"]) == ("bivariate", "equal"):
        return "its bivariate form has a standard deviation for each period"
    return ""


def exact_priors(model: CrossoverModel) -> dict[str, Prior | Callable[[FloatArray], FloatArray]]:
    """Return the priors as the exact engine takes them: of ``inverse_sd`` its density."""
    return {
        name: inverse_sd if prior.dist == "inverse_sd" else prior
        for name, prior in model.priors.items()
        if isinstance(prior, Prior)
    }


def exact_crossover(model: CrossoverModel, *, seed: int) -> dict[str, xr.Dataset]:
    """Return the groups ``posterior``, ``exact`` and ``quadrature`` (error figures) of a crossover.

    The posterior has 4,000 independent draws in one chain; an improper one is a FitError.
    """
    if reason := why_not_exact(model.options):
        raise SpecError(f"no exact engine for model '{model.spec.name}': {reason}; take nuts")
    tree = crossover_posterior(
        model.pairs,
        exact_priors(model),
        benefit_sign=model.sign,
        covariance=model.options["form"],
        draws=DRAWS,
        seed=seed,
    )
    figures = ("quadrature_error", "box_edge", "nodes_per_axis", "log_marginal_likelihood")
    posterior = tree["posterior"].to_dataset()
    if "period" not in posterior.coords:
        posterior = posterior.assign_coords(period=np.array([1, 2]))
    return {
        "posterior": posterior,
        "exact": tree["exact"].to_dataset(),
        "quadrature": xr.Dataset({name: tree.attrs[name] for name in figures}),
    }
