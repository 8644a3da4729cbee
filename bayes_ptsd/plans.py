"""What each structure contributes to a fit; everything else about a fit is the same for all."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayes_ptsd.checks.crossover import crossover_checks
from bayes_ptsd.crossover.exact import exact_crossover, why_not_exact
from bayes_ptsd.crossover.groups import crossover_groups
from bayes_ptsd.crossover.model import CrossoverModel, crossover_model
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.exact.printed import accepted_row, describe_row, fit_exact, row_prior
from bayes_ptsd.priors import Prior
from bayes_ptsd.spec import ModelSpec
from bayes_ptsd.trial import Endpoint

if TYPE_CHECKING:
    import pymc as pm

__all__ = ["PLANS", "Groups", "Plan"]

Groups = dict[str, xr.Dataset]

INTERNAL = ("correlation_unit", "covariance_root", "subject_standard", "patient_weight")
"""Variables that a sampler moves and nobody asks about."""


@dataclass(frozen=True)
class Plan:
    """One analysis as its structure sees it.

    Attributes
    ----------
    endpoint : Endpoint
        The outcome; its constants travel with the fit.
    attrs : mapping
        Attributes that name the analysis: contrast or visit, prior, numbers of patients.
    notes : tuple of str
        What a reader has to know, in words; they become warnings of the result.
    kind : str
        What two analyses share if one compiled model serves both.
    why_not_exact : str
        Why there is no exact posterior; empty where there is one.
    build : callable
        Returns the PyMC model.
    exact : callable
        Seed to the groups of the exact posterior, or to the whole fit.
    derive : callable
        Model or None, groups and seed to the predictive, likelihood and prior groups.
    check : callable
        Fit to the groups of its checks beyond convergence.
    """

    endpoint: Endpoint
    attrs: Mapping[str, Any]
    notes: tuple[str, ...]
    kind: str
    why_not_exact: str
    build: Callable[[], pm.Model]
    exact: Callable[[int], Groups | xr.DataTree]
    derive: Callable[[pm.Model | None, Groups, int], Groups]
    check: Callable[[xr.DataTree], Groups]


def _summary_plan(evidence: Evidence, spec: ModelSpec) -> Plan:
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


def _crossover_plan(evidence: Evidence, spec: ModelSpec) -> Plan:
    """Plan the analysis of a crossover in patients."""
    problem = crossover_model(evidence, spec)

    def build() -> pm.Model:
        from bayes_ptsd.build.crossover import crossover_pymc

        return crossover_pymc(problem)

    def derive(model: pm.Model | None, groups: Groups, seed: int) -> Groups:
        prior = None
        if model is not None and problem.options["baseline"] == "joint":
            from bayes_ptsd.sampler import draw_prior

            prior = draw_prior(model, seed=seed)
        posterior = groups["posterior"].drop_vars(INTERNAL, errors="ignore")
        found = crossover_groups(posterior, problem, seed=seed, prior=prior)
        return {"posterior": posterior} | found

    return Plan(
        endpoint=problem.endpoint,
        attrs=_crossover_attrs(problem),
        notes=problem.notes,
        kind=_crossover_kind(problem),
        why_not_exact=why_not_exact(spec.options),
        build=build,
        exact=lambda seed: exact_crossover(problem, seed=seed),
        derive=derive,
        check=lambda fit: crossover_checks(fit, range_=problem.endpoint.range),
    )


def _crossover_attrs(problem: CrossoverModel) -> dict[str, Any]:
    """Return what names the analysis of a crossover."""
    asked, prior = problem.spec.priors["treatment"], problem.priors["treatment"]
    tables = {name: value.table() for name, value in problem.priors.items()}
    return {
        "timepoint": problem.visit,
        "prior": asked if isinstance(asked, str) else _name(prior),
        "prior_table": json.dumps(prior.table()),
        "prior_formula": prior.formula,
        "priors": json.dumps(tables),
        "size": json.dumps(problem.size),
    }


def _name(prior: Prior) -> str:
    """Return a word for a prior that is given in full."""
    return "custom" if prior.proper else prior.dist


def _crossover_kind(problem: CrossoverModel) -> str:
    """Return what is compiled into a crossover model and is not data."""
    inside = ("nu", "sd_period") if problem.options["baseline"] == "joint" else ("nu",)

    def fixed(name: str, prior: Prior) -> Any:
        return prior.table() if name in inside or prior.dist == "mixture" else prior.dist

    priors = {name: fixed(name, prior) for name, prior in problem.priors.items()}
    content: dict[str, Any] = {"options": dict(problem.options), "priors": priors}
    if problem.baselines is not None:
        there = np.isfinite(np.stack([problem.baselines, problem.pairs.score]))
        content |= {"sign": problem.sign, "there": there.astype(int).tolist()}
    return json.dumps(["crossover", content], sort_keys=True)


PLANS: Mapping[str, Callable[[Evidence, ModelSpec], Plan]] = {
    "summary": _summary_plan,
    "crossover": _crossover_plan,
}
