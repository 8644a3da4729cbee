"""What the rooms of ordered categories share: everything but options and counterpart."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayes_ptsd.categorical.beta_binomial import exact_risks
from bayes_ptsd.categorical.estimands import NULLS, estimand_units, with_estimands
from bayes_ptsd.categorical.groups import categorical_groups
from bayes_ptsd.categorical.model import CategoricalModel, categorical_model
from bayes_ptsd.categorical.priors import draw_priors
from bayes_ptsd.checks.categorical import categorical_checks
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.provenance import DEFAULT_SEED
from bayes_ptsd.specification import (
    Groups,
    ModelSpec,
    Problem,
)
from bayes_ptsd.structures.patients import (
    PRIOR_DRAWS,
    formulas,
    patient_attrs,
    prior_kinds,
)

if TYPE_CHECKING:
    import pymc as pm


__all__ = ["checks", "exact", "groups", "prior_lines", "problem", "pymc_model"]

INTERNAL = ("category_share", "category", "subject")
"""Variables that a sampler moves and nobody asks about, and their labels."""
NO_EXACT = "its likelihood has no closed form"


def problem(evidence: Evidence, spec: ModelSpec) -> Problem:
    """Bring patients and specification together."""
    model = categorical_model(evidence, spec)
    return Problem(
        model=model,
        endpoint=model.endpoint,
        attrs=_attrs(model),
        notes=model.notes,
        compiled=_kind(model),
        why_not_exact="" if model.separate_risks else NO_EXACT,
    )


def _attrs(problem: CategoricalModel) -> dict[str, Any]:
    """Return what names the analysis and its estimands."""
    units = estimand_units(problem)
    named = patient_attrs(
        problem.spec,
        problem.priors,
        visit=problem.scores.visit,
        size=problem.size,
        main="risk" if problem.separate_risks else "treatment",
    )
    return named | {
        "estimand_nulls": json.dumps({key: NULLS[key] for key in NULLS if key in units}),
        "estimand_units": json.dumps(units),
    }


def _kind(problem: CategoricalModel) -> str:
    """Return what is compiled into a model and is not data."""
    content = {
        "options": dict(problem.options),
        "priors": prior_kinds(problem.priors, inside=()),
        "categories": len(problem.categories),
    }
    return json.dumps(["categorical", content], sort_keys=True)


def pymc_model(model: CategoricalModel) -> pm.Model:
    """Build the PyMC model."""
    from bayes_ptsd.build.categorical import categorical_pymc

    return categorical_pymc(model)


def exact(model: CategoricalModel, seed: int) -> Groups:
    """Return the closed form of two separate risks."""
    return exact_risks(model, seed=seed)


def groups(model: CategoricalModel, found: Groups, seed: int, _: pm.Model | None) -> Groups:
    """Return estimands, and predictive, likelihood and prior groups."""
    posterior = found["posterior"].drop_vars(INTERNAL, errors="ignore")
    return categorical_groups(posterior, model, seed=seed)


def checks(model: CategoricalModel, fit: xr.DataTree, counterpart: Mapping[str, Any]) -> Groups:
    """Return the checks beyond convergence; of separation beside the frequentist estimate."""
    return categorical_checks(fit, model, estimate=counterpart)


def prior_lines(model: CategoricalModel) -> tuple[dict[str, str], bool]:
    """Return the priors of a specification in words, and whether all are proper.

    The prior predictive is what the priors make of the mean difference on the scale.
    """
    lines = formulas(model.priors)
    if model.separate_risks:
        low, high = model.priors["risk"].interval()
        return {**lines, "prior interval": f"risk: 95% from {low:.3f} to {high:.3f}"}, True
    lines["prior categories"] = "shares at the reference: Dirichlet(1, ..., 1)"
    if not all(prior.proper for prior in model.priors.values()):
        return lines, False
    low, high = model.priors["treatment"].interval()
    unit = estimand_units(model)[model.effect]
    lines["prior interval"] = f"treatment: 95% from {low:.2f} to {high:.2f} {unit}"
    drawn = with_estimands(draw_priors(model, PRIOR_DRAWS, seed=DEFAULT_SEED), model)
    low, high = np.quantile(drawn["treatment_difference"].values, [0.025, 0.975])
    ends = f"{model.categories[0]} to {model.categories[-1]}"
    lines["prior predictive"] = (
        f"95% of mean differences from {low:.2f} to {high:.2f} on a scale of {ends}"
    )
    return lines, True
