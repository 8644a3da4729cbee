"""The plan of a comparison of the arms that is adjusted for a mediator."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bayes_ptsd.checks.depression import depression_checks
from bayes_ptsd.depression.effects import EFFECTS, estimand_units, mediation_effects
from bayes_ptsd.depression.exact import exact_depression
from bayes_ptsd.depression.groups import depression_groups
from bayes_ptsd.depression.model import DepressionModel, depression_model
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.plans.patients import patient_attrs, prior_kinds
from bayes_ptsd.plans.plan import Groups, Plan
from bayes_ptsd.spec import ModelSpec

if TYPE_CHECKING:
    import pymc as pm

__all__ = ["depression_plan"]


def depression_plan(evidence: Evidence, spec: ModelSpec) -> Plan:
    """Plan the analysis of an outcome and its mediator at one visit."""
    problem = depression_model(evidence, spec)

    def build() -> pm.Model:
        from bayes_ptsd.build.depression import depression_pymc

        return depression_pymc(problem)

    def derive(model: pm.Model | None, groups: Groups, seed: int) -> Groups:
        posterior = groups["posterior"]
        found = depression_groups(posterior, problem, seed=seed)
        return {"posterior": posterior.assign(mediation_effects(posterior, problem))} | found

    return Plan(
        endpoint=problem.endpoint,
        attrs=_attrs(problem),
        notes=problem.notes,
        kind=_kind(problem),
        why_not_exact="",
        build=build,
        exact=lambda seed: exact_depression(problem, seed=seed),
        derive=derive,
        check=lambda fit: depression_checks(fit, problem),
    )


def _attrs(problem: DepressionModel) -> dict[str, Any]:
    """Return what names the analysis and its estimands."""
    named = patient_attrs(problem.spec, problem.priors, visit=problem.visit, size=problem.size)
    return named | {
        "mediator": problem.mediator.id,
        "estimand_nulls": json.dumps(dict.fromkeys(EFFECTS, 0.0)),
        "estimand_units": json.dumps(estimand_units(problem)),
    }


def _kind(problem: DepressionModel) -> str:
    """Return what is compiled into a model and is not data."""
    options = {key: value for key, value in problem.options.items() if key != "mediator"}
    kinds = prior_kinds(problem.priors, inside=())
    return json.dumps(["depression", options, kinds], sort_keys=True)
