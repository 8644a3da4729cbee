"""The room: what a model with a mediator accepts, loads, predicts, checks and says."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import xarray as xr

from bayes_ptsd.checks.patients import patient_checks
from bayes_ptsd.checks.predictive import Feature, endpoint_features, feature_table
from bayes_ptsd.errors import EvidenceError, SpecError
from bayes_ptsd.estimands import prob_benefit
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.outcome import select_outcomes
from bayes_ptsd.evidence.patients import load_patients
from bayes_ptsd.frequentist.documents import COLUMNS, analysis_document
from bayes_ptsd.gaussian.blocks import patient_groups
from bayes_ptsd.gaussian.parameters import log_prior_densities
from bayes_ptsd.provenance import DEFAULT_SEED
from bayes_ptsd.specification import (
    NAME,
    Groups,
    ModelSpec,
    Options,
    Problem,
    Request,
    Structure,
)
from bayes_ptsd.structures.depression.effects import (
    EFFECTS,
    estimand_units,
    least_squares_effects,
    mediation_document,
    mediation_effects,
    mediation_summary,
)
from bayes_ptsd.structures.depression.exact import exact_depression
from bayes_ptsd.structures.depression.example import example_mediation
from bayes_ptsd.structures.depression.model import (
    DepressionModel,
    depression_model,
    draw_priors,
    pymc_model,
    replicated_scores,
    subject_log_likelihood,
)
from bayes_ptsd.structures.patients import (
    PRIOR_DRAWS,
    formulas,
    patient_attrs,
    patient_files,
    prior_kinds,
    treatment_interval,
)
from bayes_ptsd.trial import load_trial

__all__ = [
    "DEPRESSION",
    "depression_checks",
    "depression_groups",
    "mediation_features",
]

CONFOUNDED = ("mediator_slope", "interaction")
"""Theta and omega: slopes on a score that was not randomized, whose priors are meant to inform."""


def _uses(options: Options) -> tuple[str, ...]:
    """Return the parameters of both regressions."""
    names = ["treatment", "level"]
    names += ["baseline_slope"] if options["baseline"] == "covariate" else []
    names += ["mediator_slope"]
    adjusts = options["mediator_baseline"] == "covariate"
    names += ["mediator_baseline_slope"] if adjusts else []
    names += ["interaction"] if options["interaction"] else []
    names += ["sd_residual", "mediator_treatment", "mediator_level"]
    names += ["mediator_own_slope"] if adjusts else []
    return (*names, "mediator_sd")


def _select(spec: ModelSpec, request: Request) -> Evidence:
    """Load the outcome asked for, or the only other one, together with the mediator."""
    trial, data = patient_files(spec, request)
    described, mediator = load_trial(trial), str(spec.options["mediator"])
    others = [name for name in described.endpoints if name != mediator]
    if request.endpoint is None and len(others) != 1:
        raise SpecError(f"name the outcome, --endpoint; this trial has {', '.join(others)}")
    chosen = request.endpoint or others[0]
    if chosen == mediator:
        raise SpecError(f"'{chosen}' is the mediator; --option mediator=ENDPOINT names another")
    described.endpoint(mediator)
    loaded = load_patients(data, described, key=request.key)
    return select_outcomes(loaded, [chosen, mediator], visit=request.visit)


def _problem(evidence: Evidence, spec: ModelSpec) -> Problem:
    """Bring patients and specification together."""
    model = depression_model(evidence, spec)
    return Problem(
        model=model,
        endpoint=model.endpoint,
        attrs=_attrs(model),
        notes=model.notes,
        compiled=_kind(model),
    )


def _attrs(problem: DepressionModel) -> dict[str, Any]:
    """Return what names the analysis and its estimands."""
    named = patient_attrs(problem.spec, problem.priors, visit=problem.visit, size=problem.size)
    return named | {
        "mediator": problem.mediator.id,
        "estimand_nulls": json.dumps(dict.fromkeys(EFFECTS, 0.0)),
        "estimand_units": json.dumps(estimand_units(problem)),
    }


def _kind(problem: DepressionModel) -> str:
    """Return what is compiled into a model and is not data."""
    options = {key: value for key, value in problem.options.items() if key != "mediator"}
    kinds = prior_kinds(problem.priors, inside=())
    return json.dumps(["depression", options, kinds], sort_keys=True)


def depression_groups(posterior: xr.Dataset, model: DepressionModel, *, seed: int) -> Groups:
    """Return the effects beside the parameters, and predictive, likelihood and prior groups.

    ``log_likelihood`` is by subject, of both scores together. Where a prior is improper there are
    no ``prior`` and ``prior_predictive``.
    """
    constants: dict[str, Any] = {"active": ("subject", model.active)}
    for name in ("baseline", "mediator_baseline"):
        if (values := getattr(model, name)) is not None:
            constants[f"{name}_centered"] = ("subject", values)

    def before() -> xr.Dataset:
        return _with_effects(draw_priors(model, PRIOR_DRAWS, seed=seed), model)

    found = patient_groups(
        posterior,
        observed=model.observed,
        constants=xr.Dataset(constants, coords={"subject": model.subject}),
        replicated=lambda draws, rng: replicated_scores(draws, model, rng),
        log_likelihood=lambda draws: subject_log_likelihood(draws, model),
        log_prior=lambda draws: log_prior_densities(draws, list(model.parameters.values())),
        prior=before if _all_proper(model) else None,
        seed=seed,
    )
    return {"posterior": _with_effects(posterior, model)} | found


def _with_effects(draws: xr.Dataset, model: DepressionModel) -> xr.Dataset:
    """Return draws with the effects beside the parameters."""
    return draws.assign(mediation_effects(draws, model))


def _all_proper(model: DepressionModel) -> bool:
    """Return whether every parameter has a prior that can be drawn from."""
    return all(prior.drawable for prior in model.priors.values())


def depression_checks(fit: xr.DataTree, model: DepressionModel) -> Groups:
    """Run the predictive, cross-validation and sensitivity checks, and the sweep of confounding.

    Beside the tables of `patient_checks`, ``mediation`` is what correlated errors would make of the
    effects; ``loo`` leaves out both scores of a subject together.
    """
    features = feature_table(
        fit, mediation_features(fit["observed_data"].to_dataset()["score"], model)
    )
    ranges = {one.id: one.range for one in (model.endpoint, model.mediator)}
    found = patient_checks(
        fit, features, estimand="controlled_direct_effect", ranges=ranges, beliefs=CONFOUNDED
    )
    mediation = mediation_summary(
        [fit["posterior"].to_dataset()], [model], prob_total=prob_benefit(fit)
    )
    return found | {"mediation": mediation}


def mediation_features(observed: xr.DataArray, model: DepressionModel) -> dict[str, Feature]:
    """Return what the analysis leans on: both scores by arm, and how they go together."""
    found = endpoint_features(observed, (model.endpoint, model.mediator))
    for label in model.arms:
        rows = np.flatnonzero(observed["treatment"].values == label)
        found[f"correlation_{label}"] = lambda y, rows=rows: xr.corr(  # type: ignore[misc]
            y.isel(subject=rows, endpoint=0), y.isel(subject=rows, endpoint=1), dim="subject"
        )
    return found


def _counterpart(model: DepressionModel) -> dict[str, Any]:
    """Return the least-squares analysis of the effects of a model with a mediator."""
    try:
        document = analysis_document(least_squares_effects(model))
    except EvidenceError as error:
        return {"method": f"none: {error}", **dict.fromkeys((*COLUMNS, "ci95")), "analyses": {}}
    chosen = document["estimands"]["treatment_difference"]
    return {
        "method": document["method"],
        "estimand": "treatment_difference",
        **chosen,
        "analyses": {"least squares": document},
    }


def _document(fit: xr.DataTree) -> dict[str, Any]:
    """Return the share mediated, and both effects by the correlation of the errors."""
    return {"mediation": mediation_document(fit["mediation"].to_dataset())}


def _prior_lines(model: DepressionModel) -> tuple[dict[str, str], bool]:
    """Return the priors of a specification in words, and whether all are proper."""
    lines = formulas(model.priors)
    if not _all_proper(model):
        return lines, False
    lines |= treatment_interval(model.priors)
    drawn = draw_priors(model, PRIOR_DRAWS, seed=DEFAULT_SEED)
    effects = mediation_effects(drawn, model)
    low, high = np.quantile(effects["natural_indirect_effect"].values, [0.025, 0.975])
    lines["prior indirect effect"] = f"95% from {low:.1f} to {high:.1f} score units"
    scores = replicated_scores(drawn, model, np.random.default_rng(DEFAULT_SEED))["score"]
    for endpoint in (model.endpoint, model.mediator):
        ends = np.quantile(scores.sel(endpoint=endpoint.id).values, [0.025, 0.975])
        lines[f"prior predictive {endpoint.id}"] = (
            f"95% of scores from {ends[0]:.1f} to {ends[1]:.1f}"
        )
    return lines, True


DEPRESSION = Structure(
    name="depression",
    options={
        "mediator": NAME,
        "interaction": (False, True),
        "baseline": ("covariate", "none"),
        "mediator_baseline": ("covariate", "none"),
    },
    priors=(
        "treatment", "level", "baseline_slope", "mediator_slope", "mediator_baseline_slope",
        "interaction", "sd_residual", "mediator_treatment", "mediator_level", "mediator_own_slope",
        "mediator_sd",
    ),
    equation="y[i] = level + s tau_c x[i] + baseline_slope b[i] + theta (m[i] - mean m) + "
    "eta m0[i] + omega x[i] (m[i] - mean m) + e[i];  m[i] = a + s_m tau_m x[i] + c m0[i] + u[i];  "
    "x = 1/2 active, -1/2 control;  e, u independent normal;  "
    "treatment difference = tau_c + s omega (a - mean m) + s s_m theta tau_m",
    room="bayes_ptsd/structures/depression",
    uses=_uses,
    conflict=lambda _: "",
    select=_select,
    problem=_problem,
    pymc_model=pymc_model,
    exact=lambda model, seed: exact_depression(model, seed=seed),
    groups=lambda model, groups, seed, _: depression_groups(groups["posterior"], model, seed=seed),
    checks=lambda model, fit, _: depression_checks(fit, model),
    counterpart=_counterpart,
    document=_document,
    prior_lines=_prior_lines,
    example=lambda _: example_mediation(),
    kinds=(),
    effects=("treatment", "mediator_treatment"),
    # a flat total needs both differences flat; theta and omega are beliefs, not locations
    locations=(
        "level", "baseline_slope", "mediator_baseline_slope", "mediator_treatment",
        "mediator_level", "mediator_own_slope",
    ),
    renamed={"intercept": "level", "mediator_mean": "mediator_level"},
    version=2,  # treatment coded -1/2 and +1/2: no prior of a level moves the difference
)  # fmt: skip
