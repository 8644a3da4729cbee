"""The plan of an outcome in ordered categories."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bayes_ptsd.categorical.beta_binomial import exact_risks
from bayes_ptsd.categorical.estimands import NULLS, estimand_units
from bayes_ptsd.categorical.groups import categorical_groups
from bayes_ptsd.categorical.model import CategoricalModel, categorical_model
from bayes_ptsd.checks.categorical import categorical_checks
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.mirrors import frequentist_document
from bayes_ptsd.plans.patients import patient_attrs, prior_kinds
from bayes_ptsd.plans.plan import Groups, Plan
from bayes_ptsd.spec import ModelSpec

if TYPE_CHECKING:
    import pymc as pm

__all__ = ["categorical_plan"]

INTERNAL = ("category_share", "category", "subject")
"""Variables that a sampler moves and nobody asks about, and their labels."""
NO_EXACT = "its likelihood has no closed form"


def categorical_plan(evidence: Evidence, spec: ModelSpec) -> Plan:
    """Plan the analysis of an outcome in ordered categories."""
    problem = categorical_model(evidence, spec)

    def build() -> pm.Model:
        from bayes_ptsd.build.categorical import categorical_pymc

        return categorical_pymc(problem)

    def derive(model: pm.Model | None, groups: Groups, seed: int) -> Groups:
        posterior = groups["posterior"].drop_vars(INTERNAL, errors="ignore")
        return categorical_groups(posterior, problem, seed=seed)

    return Plan(
        endpoint=problem.endpoint,
        attrs=_attrs(problem),
        notes=problem.notes,
        kind=_kind(problem),
        why_not_exact="" if problem.separate_risks else NO_EXACT,
        build=build,
        exact=lambda seed: exact_risks(problem, seed=seed),
        derive=derive,
        check=lambda fit: categorical_checks(
            fit, problem, estimate=frequentist_document(evidence, spec)
        ),
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
