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
from bayes_ptsd.plans.plan import Groups, Plan
from bayes_ptsd.priors import Prior
from bayes_ptsd.spec import ModelSpec

if TYPE_CHECKING:
    import pymc as pm

__all__ = ["categorical_plan"]

INTERNAL = ("category_share", "subject_standard", "category", "subject")
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
    main = "risk" if problem.separate_risks else "treatment"
    asked, prior = problem.spec.priors[main], problem.priors[main]
    tables = {name: value.table() for name, value in problem.priors.items()}
    units = estimand_units(problem)
    return {
        "timepoint": problem.scores.visit,
        "prior": asked if isinstance(asked, str) else _name(prior),
        "prior_table": json.dumps(prior.table()),
        "prior_formula": prior.formula,
        "priors": json.dumps(tables),
        "size": json.dumps(problem.size),
        "estimand_nulls": json.dumps({key: NULLS[key] for key in NULLS if key in units}),
        "estimand_units": json.dumps(units),
    }


def _name(prior: Prior) -> str:
    """Return a word for a prior that is given in full."""
    return "custom" if prior.proper else prior.dist


def _kind(problem: CategoricalModel) -> str:
    """Return what is compiled into a model and is not data."""
    priors = {
        name: prior.table() if prior.dist == "mixture" else prior.dist
        for name, prior in problem.priors.items()
    }
    content = {
        "options": dict(problem.options),
        "priors": priors,
        "categories": len(problem.categories),
    }
    return json.dumps(["categorical", content], sort_keys=True)
