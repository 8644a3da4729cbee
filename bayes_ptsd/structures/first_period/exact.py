"""The exact engine behind a first-period specification."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import xarray as xr

from bayes_ptsd.errors import SpecError
from bayes_ptsd.gaussian.arms import arm_posterior, arm_problem
from bayes_ptsd.gaussian.axes import inverse_sd
from bayes_ptsd.gaussian.problem import Problem
from bayes_ptsd.priors import Prior
from bayes_ptsd.provenance import EXACT_DRAWS
from bayes_ptsd.scaled_priors import PriorVector
from bayes_ptsd.structures.first_period.model import FirstPeriodModel, linear_columns

__all__ = ["exact_first_period", "first_period_problem", "why_not_exact"]

COVARIATE = "covariate "


def why_not_exact(options: Mapping[str, Any]) -> str:
    """Say why the exact engine has no answer for a first-period model; empty where it has one."""
    if options["likelihood"] != "normal":
        return f"it integrates normal likelihoods, not {options['likelihood']}"
    return ""


def first_period_problem(model: FirstPeriodModel) -> Problem:
    """Reduce a comparison of arms, one data set, to what its exact posterior needs."""
    if reason := why_not_exact(model.options):
        raise SpecError(f"no exact engine for model '{model.spec.name}': {reason}; take nuts")
    columns, priors = linear_columns(model), _column_priors(model)
    sd_prior = priors["sd_residual"]
    return arm_problem(
        model.score,
        model.active,
        columns,
        {name: priors[name] for name in columns},
        inverse_sd if sd_prior.dist == "inverse_sd" else sd_prior,
        equal=model.options["arm_sd"] == "equal",
    )


def exact_first_period(model: FirstPeriodModel, *, seed: int) -> dict[str, xr.Dataset]:
    """Return the groups ``posterior``, ``exact`` and ``quadrature`` of a comparison of two arms.

    The posterior has 4,000 independent draws in one chain, ``quadrature`` the error figures; an
    improper posterior is a FitError.
    """
    tree = arm_posterior(first_period_problem(model), draws=EXACT_DRAWS, seed=seed)
    figures = ("quadrature_error", "box_edge", "nodes_per_axis", "log_marginal_likelihood")
    return {
        "posterior": _labeled(tree["posterior"].to_dataset(), model),
        "exact": tree["exact"].to_dataset(),
        "quadrature": xr.Dataset({name: tree.attrs[name] for name in figures}),
    }


def _column_priors(model: FirstPeriodModel) -> dict[str, Prior]:
    """Return the prior of every linear column, and of the standard deviation."""
    found: dict[str, Prior] = {}
    for one in model.parameters.values():
        labels = (
            [f"{COVARIATE}{c}" for c in model.coords["column"]]
            if one.dims == ("column",)
            else [one.name]
        )
        each = one.prior.priors if isinstance(one.prior, PriorVector) else [one.prior] * len(labels)
        found |= dict(zip(labels, each, strict=True))
    return found


def _labeled(posterior: xr.Dataset, model: FirstPeriodModel) -> xr.Dataset:
    """Put covariates on one dim and label the arms."""
    names = [str(name) for name in posterior.data_vars if str(name).startswith(COVARIATE)]
    if names:
        dim = xr.Variable("column", model.coords["column"])
        together = xr.concat([posterior[name] for name in names], dim=dim)
        posterior = posterior.drop_vars(names)
        posterior["covariate"] = together.transpose("chain", "draw", "column")
    if "treatment" in posterior.dims:
        posterior = posterior.assign_coords(treatment=list(model.arms))
    return posterior
