"""The plan of the parts of a total in patients."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bayes_ptsd.checks.parts import parts_checks
from bayes_ptsd.errors import FitError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.parts.groups import parts_groups
from bayes_ptsd.parts.model import PartsModel, parts_model
from bayes_ptsd.plans.patients import patient_attrs, prior_kinds
from bayes_ptsd.plans.plan import Groups, Plan
from bayes_ptsd.spec import ModelSpec

if TYPE_CHECKING:
    import pymc as pm

__all__ = ["parts_plan"]

INTERNAL = ("plane_standard", "partial_unit", "partial_correlation")
NO_EXACT = "it has no quadrature over the covariance of several outcomes"


def parts_plan(evidence: Evidence, spec: ModelSpec) -> Plan:
    """Plan the analysis of the parts of a total at one visit."""
    problem = parts_model(evidence, spec)

    def build() -> pm.Model:
        from bayes_ptsd.build.parts import parts_pymc

        return parts_pymc(problem)

    def derive(_: pm.Model | None, groups: Groups, seed: int) -> Groups:
        posterior = groups["posterior"].drop_vars(INTERNAL, errors="ignore")
        kept = {"chain", "draw", "endpoint", "pair"}
        posterior = posterior.drop_dims(set(posterior.dims) - kept)
        return {"posterior": posterior} | parts_groups(posterior, problem, seed=seed)

    def exact(_: int) -> Groups:
        raise FitError(NO_EXACT)

    return Plan(
        endpoint=problem.endpoint,
        attrs=_attrs(problem),
        notes=problem.notes,
        kind=_kind(problem),
        why_not_exact=NO_EXACT,
        build=build,
        exact=exact,
        derive=derive,
        check=lambda fit: parts_checks(fit, problem),
        target_accept=0.95,
    )


def _attrs(problem: PartsModel) -> dict[str, Any]:
    """Return what names the analysis and its estimands."""
    named = patient_attrs(problem.spec, problem.priors, visit=problem.visit, size=problem.size)
    constants = {
        part.id: {"unit": part.unit, "mcid": part.mcid, "reference_sd": part.reference_sd}
        for part in problem.parts
    }
    unit = problem.endpoint.unit
    return named | {
        "estimand_nulls": json.dumps({"treatment_difference": 0.0, "difference": 0.0}),
        "estimand_units": json.dumps({"treatment_difference": unit, "heterogeneity": unit}),
        "label_constants": json.dumps(constants),
    }


def _kind(problem: PartsModel) -> str:
    """Return what is compiled into a model and is not data."""
    kinds = prior_kinds(problem.priors, inside=("correlations",))
    return json.dumps(["parts", problem.baseline is not None, kinds], sort_keys=True)
