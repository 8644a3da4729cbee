"""The plan of a comparison of the arms at several visits."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bayes_ptsd.checks.longitudinal import longitudinal_checks
from bayes_ptsd.errors import FitError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.longitudinal.groups import longitudinal_groups
from bayes_ptsd.longitudinal.likelihood import derived
from bayes_ptsd.longitudinal.model import LongitudinalModel, longitudinal_model
from bayes_ptsd.plans.patients import patient_attrs, prior_kinds
from bayes_ptsd.plans.plan import Groups, Plan
from bayes_ptsd.spec import ModelSpec

if TYPE_CHECKING:
    import pymc as pm

__all__ = ["longitudinal_plan"]

NO_ENGINE = "the covariance of several visits has no closed form"
# acceptance rate under shrinkage instead of the usual .8: the spread between visits can be near
# zero, where shorter steps diverge less
CAREFUL = 0.95
INTERNAL = ("partial_unit", "visit_standard")
"""Variables that a sampler moves and nobody asks about."""


def longitudinal_plan(evidence: Evidence, spec: ModelSpec) -> Plan:
    """Plan the analysis of a comparison of the arms at several visits."""
    problem = longitudinal_model(evidence, spec)

    def build() -> pm.Model:
        from bayes_ptsd.build.longitudinal import longitudinal_pymc

        return longitudinal_pymc(problem)

    def exact(seed: int) -> Groups:
        raise FitError(f"no exact engine for model '{spec.name}': {NO_ENGINE}; take engine 'nuts'")

    def derive(model: pm.Model | None, groups: Groups, seed: int) -> Groups:
        posterior = derived(groups["posterior"].drop_vars(INTERNAL, errors="ignore"), problem)
        return {"posterior": posterior} | longitudinal_groups(posterior, problem, seed=seed)

    visits = ", ".join(problem.visits)
    return Plan(
        endpoint=problem.endpoint,
        attrs=patient_attrs(spec, problem.priors, visit=visits, size=problem.size),
        notes=problem.notes,
        kind=_kind(problem),
        why_not_exact=NO_ENGINE,
        build=build,
        exact=exact,
        derive=derive,
        check=lambda fit: longitudinal_checks(fit, range_=problem.endpoint.range),
        target_accept=CAREFUL if spec.options["shrinkage"] else 0.8,
    )


def _kind(problem: LongitudinalModel) -> str:
    """Return what is compiled into a longitudinal model and is not data."""
    options: dict[str, Any] = {**problem.options, "covariates": bool(problem.covariates.size)}
    days = problem.days.tolist() if problem.options["covariance"] == "autoregressive" else []
    kinds = prior_kinds(problem.priors, inside=("correlations",))
    return json.dumps(["longitudinal", options, kinds, days], sort_keys=True)
