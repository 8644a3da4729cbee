"""The plan of one printed contrast."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bayes_ptsd.evidence import Evidence
from bayes_ptsd.exact.printed import accepted_row, describe_row, fit_exact, row_prior
from bayes_ptsd.plans.plan import Groups, Plan
from bayes_ptsd.spec import ModelSpec

if TYPE_CHECKING:
    import pymc as pm

__all__ = ["summary_plan"]


def summary_plan(evidence: Evidence, spec: ModelSpec) -> Plan:
    """Plan the analysis of one printed contrast."""
    row, prior = accepted_row(evidence, spec), row_prior(spec, evidence)

    def build() -> pm.Model:
        from bayes_ptsd.build.summary import build_summary

        return build_summary(evidence, spec)

    def derive(model: pm.Model | None, groups: Groups, seed: int) -> Groups:
        if model is None:
            return {}
        from bayes_ptsd.sampler import derived_groups

        return derived_groups(model, groups, seed=seed)

    return Plan(
        endpoint=evidence.trial.endpoint(str(row["endpoint"].item())),
        attrs=describe_row(row, spec, prior),
        notes=(),
        kind=json.dumps(["summary", spec.options["convention"], prior.table()], sort_keys=True),
        why_not_exact="",
        build=build,
        exact=lambda seed: fit_exact(evidence, spec, seed=seed),
        derive=derive,
        check=lambda _: {},
    )
