"""The plan of a comparison of the arms at one visit."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bayes_ptsd.checks.first_period import first_period_checks
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.first_period.exact import exact_first_period, why_not_exact
from bayes_ptsd.first_period.groups import first_period_groups
from bayes_ptsd.first_period.likelihood import arm_means
from bayes_ptsd.first_period.model import FirstPeriodModel, first_period_model
from bayes_ptsd.plans.patients import patient_attrs, prior_kinds
from bayes_ptsd.plans.plan import Groups, Plan
from bayes_ptsd.spec import ModelSpec

if TYPE_CHECKING:
    import pymc as pm

__all__ = ["first_period_plan"]


def first_period_plan(evidence: Evidence, spec: ModelSpec) -> Plan:
    """Plan the analysis of a comparison of the arms at one visit."""
    problem = first_period_model(evidence, spec)

    def build() -> pm.Model:
        from bayes_ptsd.build.first_period import first_period_pymc

        return first_period_pymc(problem)

    def derive(model: pm.Model | None, groups: Groups, seed: int) -> Groups:
        posterior = groups["posterior"]
        found = first_period_groups(posterior, problem, seed=seed)
        return {"posterior": posterior.assign(arm_mean=arm_means(posterior, problem))} | found

    return Plan(
        endpoint=problem.endpoint,
        attrs=patient_attrs(spec, problem.priors, visit=problem.visit, size=problem.size),
        notes=problem.notes,
        kind=_kind(problem),
        why_not_exact=why_not_exact(spec.options),
        build=build,
        exact=lambda seed: exact_first_period(problem, seed=seed),
        derive=derive,
        check=lambda fit: first_period_checks(fit, range_=problem.endpoint.range),
    )


def _kind(problem: FirstPeriodModel) -> str:
    """Return what is compiled into a first-period model and is not data."""
    options: dict[str, Any] = {**problem.options, "covariates": bool(problem.covariates.size)}
    kinds = prior_kinds(problem.priors, inside=("nu",))
    return json.dumps(["first_period", options, kinds], sort_keys=True)
