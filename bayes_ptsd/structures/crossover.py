"""The room of an AB/BA crossover in patients."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayes_ptsd.checks.crossover import crossover_checks
from bayes_ptsd.crossover.carryover import carryover_groups
from bayes_ptsd.crossover.exact import exact_crossover, why_not_exact
from bayes_ptsd.crossover.example import example_patients
from bayes_ptsd.crossover.groups import crossover_groups
from bayes_ptsd.crossover.likelihood import replicated_scores
from bayes_ptsd.crossover.model import CrossoverModel, crossover_model
from bayes_ptsd.crossover.priors import draw_priors, has_proper_priors
from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.patient_arrays import period_differences, period_lines
from bayes_ptsd.frequentist import frequentist_crossover
from bayes_ptsd.frequentist.documents import COLUMNS, analysis_document
from bayes_ptsd.priors import Prior
from bayes_ptsd.provenance import DEFAULT_SEED
from bayes_ptsd.specification import (
    Groups,
    ModelSpec,
    Options,
    Problem,
    Structure,
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


__all__ = ["CROSSOVER"]

INTERNAL = ("correlation_unit", "covariance_root", "subject_standard", "patient_weight")
"""Variables that a sampler moves and nobody asks about."""
BY_PATIENTS = {"completers": "hills_armitage", "all": "reml"}


def _uses(options: Options) -> tuple[str, ...]:
    """Return the parameters of a crossover model."""
    names = ["treatment", "level", "period_effect"]
    names += ["carryover"] if options["carryover"] else []
    names += ["sequence"] if options["sequence_effect"] else []
    if options["baseline"] == "joint":
        share = ["carryover_share"] if options["carryover"] else []
        return (*names, *share, "baseline_level", "sd_period", "correlations")
    names += ["baseline_slope"] if options["baseline"] == "covariate" else []
    intercept = options["form"] == "random_intercept"
    names += ["sd_subject", "sd_within"] if intercept else ["sd_period", "correlation"]
    return (*names, *(["nu"] if options["likelihood"] == "student_t" else []))


def _conflict(options: Options) -> str:
    """Say which options of a crossover model exclude each other."""
    if options["subject_effects"] == "sampled" and options["form"] != "random_intercept":
        return "subject_effects = 'sampled' needs form = 'random_intercept'"
    if options["baseline"] != "joint":
        return ""
    needed = {"form": "bivariate", "period_sd": "unequal", "likelihood": "normal"}
    wrong = [f"{key} = '{value}'" for key, value in needed.items() if options[key] != value]
    return f"baseline = 'joint' needs {wrong[0]}" if wrong else ""


def _problem(evidence: Evidence, spec: ModelSpec) -> Problem:
    """Bring patients and specification together."""
    model = crossover_model(evidence, spec)
    return Problem(
        model=model,
        endpoint=model.endpoint,
        attrs=patient_attrs(spec, model.priors, visit=model.visit, size=model.size),
        notes=model.notes,
        compiled=_kind(model),
        why_not_exact=why_not_exact(spec.options),
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


def _pymc_model(model: CrossoverModel) -> pm.Model:
    """Build the PyMC model."""
    from bayes_ptsd.build.crossover import crossover_pymc

    return crossover_pymc(model)


def _exact(model: CrossoverModel, seed: int) -> Groups:
    """Integrate the posterior by quadrature."""
    return exact_crossover(model, seed=seed)


def _groups(model: CrossoverModel, groups: Groups, seed: int, built: pm.Model | None) -> Groups:
    """Return predictive, likelihood and prior groups, and what the data say of carryover."""
    prior = None
    if model.options["baseline"] == "joint":
        from bayes_ptsd.sampler import draw_prior

        prior = draw_prior(_pymc_model(model) if built is None else built, seed=seed)
    posterior = groups["posterior"].drop_vars(INTERNAL, errors="ignore")
    found = crossover_groups(posterior, model, seed=seed, prior=prior)
    return {"posterior": posterior} | found | carryover_groups(model)


def _checks(model: CrossoverModel, fit: xr.DataTree, _: Mapping[str, Any]) -> Groups:
    """Return the checks beyond convergence."""
    single = {name: one for name, one in model.priors.items() if isinstance(one, Prior)}
    return crossover_checks(fit, range_=model.endpoint.range, priors=single)


def _counterpart(model: CrossoverModel) -> dict[str, Any]:
    """Return the frequentist analysis of the estimand of a crossover model, and all beside it.

    With carryover in the model it is the first-period comparison, for completers Hills-Armitage,
    else the mixed model by REML. ``periods`` has what each period says alone. Of an analysis that
    the patients do not allow there is the reason, under ``not_possible``.
    """
    chosen, nothing = _analysis(model), dict.fromkeys((*COLUMNS, "ci95"))
    periods = period_lines(period_differences(model.evidence, model.endpoint.id))
    beside: dict[str, Any] = {"analyses": {}, "not_possible": {}, "periods": periods}
    try:
        table = frequentist_crossover(model.pairs, benefit_sign=model.sign)
    except EvidenceError as error:
        return {"method": f"none: {error}", **nothing, **beside}
    analyses = {
        str(name): analysis_document(table.sel(analysis=name)) | _spread(table.sel(analysis=name))
        for name in table["analysis"].values
    }
    reasons: dict[str, str] = table.attrs["not_possible"]
    if chosen in reasons:
        found = {"method": f"none: {chosen.replace('_', '-')}: {reasons[chosen]}", **nothing}
    else:
        said = analyses[chosen]
        found = {"method": said["method"], **said["estimands"]["treatment_difference"]}
    return {**found, **beside, "analyses": analyses, "not_possible": reasons}


def _spread(one: xr.Dataset) -> dict[str, dict[str, float]]:
    """Return the standard deviations of a mixed model; nothing of another analysis."""
    found = {name: float(one[name]) for name in ("sd_subject", "sd_within")}
    return {} if np.isnan(found["sd_within"]) else {"standard_deviations": found}


def _analysis(model: CrossoverModel) -> str:
    """Return the analysis whose estimand is that of the model."""
    if model.options["carryover"]:
        return "first_period"
    if model.options["sequence_effect"] and model.options["patients"] == "all":
        return "reml_sequence"
    return BY_PATIENTS[model.options["patients"]]


def _prior_lines(model: CrossoverModel) -> tuple[dict[str, str], bool]:
    """Return the priors in score units, and whether all are proper."""
    lines = formulas(model.priors)
    if not has_proper_priors(model):
        return lines, False
    if model.options["baseline"] == "joint":
        return lines | treatment_interval(model.priors), True
    drawn = draw_priors(model, PRIOR_DRAWS, seed=DEFAULT_SEED)
    scores = replicated_scores(drawn, model, np.random.default_rng(DEFAULT_SEED))
    return lines | treatment_interval(model.priors) | predictive_line(scores), True


CROSSOVER = Structure(
    name="crossover",
    options={
        "form": ("random_intercept", "bivariate"),
        "patients": ("all", "completers"),
        "likelihood": ("normal", "student_t"),
        "period_sd": ("equal", "unequal"),
        "carryover": (False, True),
        "sequence_effect": (False, True),
        "baseline": ("none", "covariate", "joint"),
        "subject_effects": ("integrated", "sampled"),
    },
    priors=(
        "treatment", "level", "period_effect", "carryover", "sequence", "baseline_slope",
        "baseline_level", "sd_subject", "sd_within", "sd_period", "correlation", "correlations",
        "nu", "carryover_share",
    ),
    equation="y[i,p] = level + period_effect (p - 1.5) + s (tau x[i,p] + lambda c[i,p]) + e[i,p], "
    "x = +1/2 if active else -1/2, c = +1/2 (active first) or -1/2 in period 2, else 0, "
    "s = +1 if higher is better else -1;  e[i] ~ Normal2 or Student-t2 with "
    "sd_subject, sd_within (random_intercept) or sd_period, correlation (bivariate)",
    room="bayes_ptsd/structures/crossover.py",
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
    locations=("level", "period_effect", "baseline_slope", "baseline_level"),
    matrices=("correlations",),
    renamed={
        "period_mean": "'level', the mean of both periods and treatments, and 'period_effect', "
        "period 2 minus period 1"
    },
    version=2,  # treatment coded -1/2 and +1/2: no prior of a level moves the difference
)  # fmt: skip
