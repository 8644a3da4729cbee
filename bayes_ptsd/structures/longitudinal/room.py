"""The room of a comparison of the arms at several visits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayes_ptsd.checks.longitudinal import longitudinal_checks
from bayes_ptsd.errors import EvidenceError, FitError, SpecError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.trajectories import select_endpoint
from bayes_ptsd.frequentist.documents import COLUMNS, analysis_document
from bayes_ptsd.longitudinal.example import example_trajectories
from bayes_ptsd.longitudinal.groups import longitudinal_groups
from bayes_ptsd.longitudinal.likelihood import derived, replicated_scores
from bayes_ptsd.longitudinal.model import LongitudinalModel, longitudinal_model, trajectory_mmrm
from bayes_ptsd.longitudinal.priors import draw_priors, has_proper_priors
from bayes_ptsd.provenance import DEFAULT_SEED
from bayes_ptsd.specification import (
    NAMES,
    Groups,
    ModelSpec,
    Options,
    Problem,
    Request,
    Structure,
)
from bayes_ptsd.structures.patients import (
    PRIOR_DRAWS,
    asked_patients,
    formulas,
    patient_attrs,
    predictive_line,
    prior_kinds,
    treatment_interval,
)

if TYPE_CHECKING:
    import pymc as pm


__all__ = ["LONGITUDINAL"]

NO_ENGINE = "the covariance of several visits has no closed form"
# acceptance rate under shrinkage instead of the usual .8: the spread between visits can be near
# zero, where shorter steps diverge less
CAREFUL = 0.95
INTERNAL = ("partial_unit", "visit_standard")
"""Variables that a sampler moves and nobody asks about."""
CORRELATIONS = {
    "unstructured": ("correlations",),
    "compound": ("correlation",),
    "autoregressive": ("half_life",),
}
SLOPES = ("covariate", "common_slope")


def _uses(options: Options) -> tuple[str, ...]:
    """Return the parameters of a longitudinal model."""
    names = ["treatment", *(["shrinkage_sd"] if options["shrinkage"] else []), "level"]
    names += ["baseline_slope"] if options["baseline"] in SLOPES else []
    names += ["covariate"] if options["covariates"] else []
    names += ["sd_visit", *CORRELATIONS[options["covariance"]]]
    return (*names, *(["nugget"] if options["nugget"] else []))


def _conflict(options: Options) -> str:
    """Say which options of a longitudinal model exclude each other."""
    if options["nugget"] and options["covariance"] != "autoregressive":
        return "nugget = true needs covariance = 'autoregressive'"
    if options["visit_sd"] == "equal" and options["covariance"] == "unstructured":
        return "visit_sd = 'equal' needs covariance = 'compound' or 'autoregressive'"
    return ""


def _select(spec: ModelSpec, request: Request) -> Evidence:
    """Load one outcome at all its visits."""
    loaded, chosen = asked_patients(spec, request)
    if request.visit is not None:
        raise SpecError(
            f"model '{spec.name}' analyzes all visits: leave out --visit {request.visit}"
        )
    return select_endpoint(loaded, chosen)


def _problem(evidence: Evidence, spec: ModelSpec) -> Problem:
    """Bring patients and specification together."""
    model = longitudinal_model(evidence, spec)
    return Problem(
        model=model,
        endpoint=model.endpoint,
        attrs=patient_attrs(spec, model.priors, visit=", ".join(model.visits), size=model.size),
        notes=model.notes,
        compiled=_kind(model),
        why_not_exact=NO_ENGINE,
        target_accept=CAREFUL if spec.options["shrinkage"] else 0.8,
    )


def _kind(problem: LongitudinalModel) -> str:
    """Return what is compiled into a longitudinal model and is not data."""
    options: dict[str, Any] = {**problem.options, "covariates": bool(problem.covariates.size)}
    days = problem.days.tolist() if problem.options["covariance"] == "autoregressive" else []
    kinds = prior_kinds(problem.priors, inside=("correlations",))
    return json.dumps(["longitudinal", options, kinds, days], sort_keys=True)


def _pymc_model(model: LongitudinalModel) -> pm.Model:
    """Build the PyMC model."""
    from bayes_ptsd.build.longitudinal import longitudinal_pymc

    return longitudinal_pymc(model)


def _exact(model: LongitudinalModel, _: int) -> Groups:
    """Refuse: there is none."""
    name = model.spec.name
    raise FitError(f"no exact engine for model '{name}': {NO_ENGINE}; take engine 'nuts'")


def _groups(model: LongitudinalModel, groups: Groups, seed: int, _: pm.Model | None) -> Groups:
    """Return the estimands, and predictive, likelihood and prior groups."""
    posterior = derived(groups["posterior"].drop_vars(INTERNAL, errors="ignore"), model)
    return {"posterior": posterior} | longitudinal_groups(posterior, model, seed=seed)


def _checks(model: LongitudinalModel, fit: xr.DataTree, _: Mapping[str, Any]) -> Groups:
    """Return the checks beyond convergence."""
    return longitudinal_checks(fit, range_=model.endpoint.range)


def _counterpart(model: LongitudinalModel) -> dict[str, Any]:
    """Return the repeated-measures analysis of the estimands of a longitudinal model.

    The covariance structure is that of the model, its nugget left out; a joint baseline is a
    covariate, and patients without one are left out.
    """
    try:
        table = trajectory_mmrm(model)
    except EvidenceError as error:
        return {"method": f"none: {error}", **dict.fromkeys((*COLUMNS, "ci95")), "analyses": {}}
    document = analysis_document(table)
    document["residual_sd"] = dict(
        zip(model.visits, map(float, table["residual_sd"].values), strict=True)
    )
    chosen = document["estimands"]["treatment_difference"]
    return {"method": document["method"], **chosen, "analyses": {"mmrm": document}}


def _prior_lines(model: LongitudinalModel) -> tuple[dict[str, str], bool]:
    """Return the priors in score units, and whether all are proper.

    The correlation of visits has no prior that can be read off: its mean and spread are shown.
    """
    lines = formulas(model.priors)
    if not has_proper_priors(model):
        return lines, False
    drawn = draw_priors(model, PRIOR_DRAWS, seed=DEFAULT_SEED)
    scores = replicated_scores(drawn, model, np.random.default_rng(DEFAULT_SEED))
    mean = drawn["visit_correlation"].mean("visit_pair")
    low, high = mean.quantile([0.025, 0.975]).values
    lines["prior visit correlation"] = (
        f"mean over pairs {float(mean.mean()):.2f}, 95% from {low:.2f} to {high:.2f}"
    )
    return lines | treatment_interval(model.priors) | predictive_line(scores), True


LONGITUDINAL = Structure(
    name="longitudinal",
    options={
        "covariance": ("unstructured", "compound", "autoregressive"),
        "visit_sd": ("unequal", "equal"),
        "nugget": (False, True),
        "baseline": ("covariate", "common_slope", "joint", "none"),
        "shrinkage": (False, True),
        "covariates": NAMES,
    },
    priors=(
        "treatment", "shrinkage_sd", "level", "baseline_slope", "covariate", "sd_visit",
        "correlations", "correlation", "half_life", "nugget",
    ),
    equation="y[i,t] = level[t] + baseline_slope[t] b[i] + s delta[t] x[i] + z[i]'covariate + "
    "e[i,t], x = +1/2 active, -1/2 control, s = +1 if higher is better else -1;  delta[t] ~ the "
    "treatment prior or Normal(mu, shrinkage_sd);  e[i] ~ Normal(0, covariance over the visits);  "
    "treatment difference = mean of delta over the visits",
    room="bayes_ptsd/structures/longitudinal.py",
    uses=_uses,
    conflict=_conflict,
    select=_select,
    problem=_problem,
    pymc_model=_pymc_model,
    exact=_exact,
    groups=_groups,
    checks=_checks,
    counterpart=_counterpart,
    prior_lines=_prior_lines,
    example=lambda _: example_trajectories(),
    locations=("level", "baseline_slope", "covariate"),
    matrices=("correlations",),
    renamed={
        "visit_mean": "'level', the mean over both treatments",
        "baseline_mean": "'level', whose first element is then the baseline",
    },
    version=2,  # treatment coded -1/2 and +1/2: no prior of a level moves the difference
)  # fmt: skip
