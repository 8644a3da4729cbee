"""The plan of a crossover in patients."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bayes_ptsd.checks.crossover import crossover_checks
from bayes_ptsd.crossover.carryover import carryover_groups
from bayes_ptsd.crossover.exact import exact_crossover, why_not_exact
from bayes_ptsd.crossover.groups import crossover_groups
from bayes_ptsd.crossover.model import CrossoverModel, crossover_model
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.plans.patients import patient_attrs, prior_kinds
from bayes_ptsd.plans.plan import Groups, Plan
from bayes_ptsd.priors import Prior
from bayes_ptsd.spec import ModelSpec

if TYPE_CHECKING:
    import pymc as pm

__all__ = ["crossover_plan"]

INTERNAL = ("correlation_unit", "covariance_root", "subject_standard", "patient_weight")
"""Variables that a sampler moves and nobody asks about."""


def crossover_plan(evidence: Evidence, spec: ModelSpec) -> Plan:
    """Plan the analysis of a crossover in patients."""
    problem = crossover_model(evidence, spec)

    def build() -> pm.Model:
        from bayes_ptsd.build.crossover import crossover_pymc

        return crossover_pymc(problem)

    def derive(model: pm.Model | None, groups: Groups, seed: int) -> Groups:
        prior = None
        if problem.options["baseline"] == "joint":
            from bayes_ptsd.sampler import draw_prior

            prior = draw_prior(build() if model is None else model, seed=seed)
        posterior = groups["posterior"].drop_vars(INTERNAL, errors="ignore")
        found = crossover_groups(posterior, problem, seed=seed, prior=prior)
        return {"posterior": posterior} | found | carryover_groups(problem)

    single = {name: one for name, one in problem.priors.items() if isinstance(one, Prior)}
    return Plan(
        endpoint=problem.endpoint,
        attrs=patient_attrs(spec, problem.priors, visit=problem.visit, size=problem.size),
        notes=problem.notes,
        kind=_kind(problem),
        why_not_exact=why_not_exact(spec.options),
        build=build,
        exact=lambda seed: exact_crossover(problem, seed=seed),
        derive=derive,
        check=lambda fit: crossover_checks(fit, range_=problem.endpoint.range, priors=single),
    )


def _kind(problem: CrossoverModel) -> str:
    """Return what is compiled into a crossover model and is not data."""
    joint = problem.options["baseline"] == "joint"
    inside = ("nu", "sd_period", "correlations") if joint else ("nu",)
    priors = prior_kinds(problem.priors, inside=inside)
    content: dict[str, Any] = {"options": dict(problem.options), "priors": priors}
    if problem.baselines is not None:
        content |= {"sign": problem.sign}
    return json.dumps(["crossover", content], sort_keys=True)
