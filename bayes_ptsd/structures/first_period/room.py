"""Everything that a first-period model accepts and does, as one value."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayes_ptsd.checks.patients import patient_checks
from bayes_ptsd.checks.predictive import arm_features, end_features, feature_table
from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.frequentist.ancova import ancova_analysis
from bayes_ptsd.frequentist.documents import analysis_document, answer, no_answer
from bayes_ptsd.gaussian.blocks import patient_groups, subject_log_likelihood
from bayes_ptsd.gaussian.parameters import log_prior_densities
from bayes_ptsd.provenance import DEFAULT_SEED
from bayes_ptsd.specification import (
    NAMES,
    Groups,
    ModelSpec,
    Options,
    Problem,
    Structure,
)
from bayes_ptsd.structures.arms import arm_means, constant_data
from bayes_ptsd.structures.crossover.example import example_patients
from bayes_ptsd.structures.first_period.exact import exact_first_period, why_not_exact
from bayes_ptsd.structures.first_period.model import (
    FirstPeriodModel,
    adjustment,
    draw_priors,
    first_period_model,
    patient_blocks,
    pymc_model,
    replicated_scores,
)
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


def _groups(model: FirstPeriodModel, groups: Groups, seed: int, _: pm.Model | None) -> Groups:
    """Return predictive, likelihood and prior groups, and the means of the arms."""
    posterior = groups["posterior"]
    means = arm_means(posterior["level"], posterior["treatment_difference"], model)
    found = patient_groups(
        posterior,
        observed=model.observed,
        constants=constant_data(model, covariates=model.covariates),
        replicated=lambda draws, rng: replicated_scores(draws, model, rng),
        log_likelihood=lambda draws: subject_log_likelihood(draws, patient_blocks(model)),
        log_prior=lambda draws: log_prior_densities(draws, list(model.parameters.values())),
        prior=(lambda: draw_priors(model, PRIOR_DRAWS, seed=seed)) if model.proper else None,
        seed=seed,
    )
    return {"posterior": posterior.assign(arm_mean=means)} | found


def _checks(model: FirstPeriodModel, fit: xr.DataTree, _: Mapping[str, Any]) -> Groups:
    """Run the predictive, cross-validation and sensitivity checks."""
    range_ = model.endpoint.range
    observed = fit["observed_data"].to_dataset()["score"]
    features = feature_table(fit, arm_features(observed) | end_features(range_))
    return patient_checks(fit, features, ranges=range_)


def _counterpart(model: FirstPeriodModel) -> dict[str, Any]:
    """Return the analysis of covariance of the estimand of a first-period model.

    With a standard deviation for each arm it is restricted maximum likelihood with Kenward-Roger
    inference. An interaction gives each arm its own slope on the baseline, and on the covariates
    where there are any.
    """
    try:
        return answer("ancova", analysis_document(_ancova(model)))
    except EvidenceError as error:
        return no_answer(error)


def _ancova(model: FirstPeriodModel) -> xr.Dataset:
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
    if not model.proper:
        return lines, False
    drawn = draw_priors(model, PRIOR_DRAWS, seed=DEFAULT_SEED)
    scores = replicated_scores(drawn, model, np.random.default_rng(DEFAULT_SEED))
    return lines | treatment_interval(model.priors) | predictive_line(scores, model.endpoint), True


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
    room="bayes_ptsd/structures/first_period",
    uses=_uses,
    conflict=_conflict,
    cells="arm",
    prior_estimands=("treatment_difference",),
    select=asked_outcome,
    problem=_problem,
    pymc_model=pymc_model,
    exact=lambda model, seed: exact_first_period(model, seed=seed),
    groups=_groups,
    checks=_checks,
    counterpart=_counterpart,
    prior_lines=_prior_lines,
    example=lambda _: example_patients(),
    locations=("level", "baseline_slope", "interaction", "covariate"),
    renamed={"intercept": "'level', the mean over both treatments"},
    version=2,  # treatment coded -1/2 and +1/2: no prior of a level moves the difference
)  # fmt: skip
