"""The room of a comparison of the arms at one visit, before anybody changes treatment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayes_ptsd.checks.first_period import first_period_checks
from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.first_period.exact import exact_first_period, why_not_exact
from bayes_ptsd.first_period.groups import first_period_groups
from bayes_ptsd.first_period.likelihood import arm_means, replicated_scores
from bayes_ptsd.first_period.model import FirstPeriodModel, adjustment, first_period_model
from bayes_ptsd.first_period.priors import draw_priors, has_proper_priors
from bayes_ptsd.frequentist.ancova import ancova_analysis
from bayes_ptsd.frequentist.documents import COLUMNS, analysis_document
from bayes_ptsd.provenance import DEFAULT_SEED
from bayes_ptsd.specification import (
    NAMES,
    Groups,
    ModelSpec,
    Options,
    Problem,
    Structure,
)
from bayes_ptsd.structures.crossover.example import example_patients
from bayes_ptsd.structures.patients import (
    PRIOR_DRAWS,
    asked_outcome,
    formulas,
    patient_attrs,
    predictive_line,
    prior_kinds,
    treatment_interval,
)

if TYPE_CHECKING:
    import pymc as pm


__all__ = ["FIRST_PERIOD"]


def _uses(options: Options) -> tuple[str, ...]:
    """Return the parameters of a first-period model."""
    names = ["treatment", "level"]
    names += ["baseline_slope"] if options["baseline"] == "covariate" else []
    names += ["interaction"] if options["interaction"] else []
    names += ["covariate"] if options["covariates"] else []
    names += ["sd_residual"]
    return (*names, *(["nu"] if options["likelihood"] == "student_t" else []))


def _conflict(options: Options) -> str:
    """Say which options of a first-period model exclude each other."""
    if options["interaction"] and options["baseline"] == "none":
        return "interaction = true needs baseline = 'covariate'"
    return ""


def _problem(evidence: Evidence, spec: ModelSpec) -> Problem:
    """Bring patients and specification together."""
    model = first_period_model(evidence, spec)
    return Problem(
        model=model,
        endpoint=model.endpoint,
        attrs=patient_attrs(spec, model.priors, visit=model.visit, size=model.size),
        notes=model.notes,
        compiled=_kind(model),
        why_not_exact=why_not_exact(spec.options),
    )


def _kind(problem: FirstPeriodModel) -> str:
    """Return what is compiled into a first-period model and is not data."""
    options: dict[str, Any] = {**problem.options, "covariates": bool(problem.covariates.size)}
    kinds = prior_kinds(problem.priors, inside=("nu",))
    return json.dumps(["first_period", options, kinds], sort_keys=True)


def _pymc_model(model: FirstPeriodModel) -> pm.Model:
    """Build the PyMC model."""
    from bayes_ptsd.build.first_period import first_period_pymc

    return first_period_pymc(model)


def _exact(model: FirstPeriodModel, seed: int) -> Groups:
    """Integrate the posterior by quadrature."""
    return exact_first_period(model, seed=seed)


def _groups(model: FirstPeriodModel, groups: Groups, seed: int, _: pm.Model | None) -> Groups:
    """Return predictive, likelihood and prior groups, and the means of the arms."""
    posterior = groups["posterior"]
    found = first_period_groups(posterior, model, seed=seed)
    return {"posterior": posterior.assign(arm_mean=arm_means(posterior, model))} | found


def _checks(model: FirstPeriodModel, fit: xr.DataTree, _: Mapping[str, Any]) -> Groups:
    """Return the checks beyond convergence."""
    return first_period_checks(fit, range_=model.endpoint.range)


def _counterpart(model: FirstPeriodModel) -> dict[str, Any]:
    """Return the analysis of covariance of the estimand of a first-period model.

    With a standard deviation for each arm it is restricted maximum likelihood with Kenward-Roger
    inference. An interaction gives each arm its own slope on the baseline, and on the covariates
    where there are any.
    """
    try:
        table = _ancova(model)
    except EvidenceError as error:
        return {"method": f"none: {error}", **dict.fromkeys((*COLUMNS, "ci95")), "analyses": {}}
    document = analysis_document(table)
    chosen = document["estimands"]["treatment_difference"]
    return {"method": document["method"], **chosen, "analyses": {"ancova": document}}


def _ancova(model: FirstPeriodModel) -> Any:
    """Run the analysis of covariance."""
    return ancova_analysis(
        model.score,
        model.active,
        covariates=adjustment(model),
        interaction=model.options["interaction"],
        equal_variances=model.options["arm_sd"] == "equal",
        benefit_sign=model.sign,
    )


def _prior_lines(model: FirstPeriodModel) -> tuple[dict[str, str], bool]:
    """Return the priors in score units, and whether all are proper."""
    lines = formulas(model.priors)
    if not has_proper_priors(model):
        return lines, False
    drawn = draw_priors(model, PRIOR_DRAWS, seed=DEFAULT_SEED)
    scores = replicated_scores(drawn, model, np.random.default_rng(DEFAULT_SEED))
    return lines | treatment_interval(model.priors) | predictive_line(scores), True


FIRST_PERIOD = Structure(
    name="first_period",
    options={
        "baseline": ("covariate", "none"),
        "interaction": (False, True),
        "arm_sd": ("equal", "unequal"),
        "likelihood": ("normal", "student_t"),
        "covariates": NAMES,
    },
    priors=(
        "treatment", "level", "baseline_slope", "interaction", "covariate", "sd_residual", "nu"
    ),
    equation="y[i] = level + baseline_slope b[i] + s (tau + gamma b[i]) x[i] + z[i]'covariate + "
    "e[i], x = +1/2 active, -1/2 control, b = baseline - mean, s = +1 if higher is better "
    "else -1;  e[i] ~ Normal or Student-t with sd_residual",
    room="bayes_ptsd/structures/first_period.py",
    uses=_uses,
    conflict=_conflict,
    select=asked_outcome,
    problem=_problem,
    pymc_model=_pymc_model,
    exact=_exact,
    groups=_groups,
    checks=_checks,
    counterpart=_counterpart,
    prior_lines=_prior_lines,
    example=lambda _: example_patients(),
    locations=("level", "baseline_slope", "interaction", "covariate"),
    renamed={"intercept": "'level', the mean over both treatments"},
    version=2,  # treatment coded -1/2 and +1/2: no prior of a level moves the difference
)  # fmt: skip
