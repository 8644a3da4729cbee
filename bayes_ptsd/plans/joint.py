"""The plan of several printed contrasts in one model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bayes_ptsd.checks.joint import joint_checks
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.joint.groups import exact_joint, joint_groups
from bayes_ptsd.joint.model import joint_attrs, joint_model
from bayes_ptsd.plans.plan import Groups, Plan
from bayes_ptsd.spec import ModelSpec

if TYPE_CHECKING:
    import pymc as pm

__all__ = ["joint_plan"]

INTERNAL = ("difference", "common_standard", "own_standard")
"""Variables of the PyMC model that are no estimands."""


def joint_plan(evidence: Evidence, spec: ModelSpec) -> Plan:
    """Plan the analysis of several printed contrasts."""
    model = joint_model(evidence, spec)

    def build() -> pm.Model:
        from bayes_ptsd.build.joint import build_joint

        return build_joint(model.problem, total=model.has_total)

    def derive(_: pm.Model | None, groups: Groups, seed: int) -> Groups:
        posterior = groups["posterior"].drop_vars(INTERNAL, errors="ignore")
        posterior = posterior.drop_dims(set(posterior.dims) - {"chain", "draw", "endpoint"})
        return joint_groups(posterior, model, seed=seed)

    return Plan(
        endpoint=model.endpoint,
        attrs=joint_attrs(model),
        notes=model.problem.assumptions,
        # the numbers are compiled in: nothing is reused
        kind=json.dumps(["joint", evidence.digest, spec.spec_id]),
        why_not_exact="",
        build=build,
        exact=lambda seed: exact_joint(model, seed=seed),
        derive=derive,
        check=lambda fit: joint_checks(fit, model),
        target_accept=0.95,
    )
