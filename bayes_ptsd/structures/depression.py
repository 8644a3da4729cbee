"""The room of a comparison of the arms that is adjusted for a second outcome, the mediator."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from scipy import linalg

from bayes_ptsd.checks.depression import depression_checks
from bayes_ptsd.depression.effects import EFFECTS, estimand_units, mediation_effects
from bayes_ptsd.depression.exact import exact_depression
from bayes_ptsd.depression.example import example_mediation
from bayes_ptsd.depression.groups import depression_groups, draw_priors
from bayes_ptsd.depression.likelihood import replicated_scores
from bayes_ptsd.depression.model import (
    DepressionModel,
    depression_model,
    mediator_columns,
    outcome_columns,
)
from bayes_ptsd.errors import EvidenceError, SpecError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.outcome import select_outcomes
from bayes_ptsd.evidence.patients import load_patients
from bayes_ptsd.frequentist.documents import COLUMNS, analysis_document
from bayes_ptsd.frequentist.inference import inference_table
from bayes_ptsd.priors import FloatArray
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
from bayes_ptsd.structures.patients import (
    PRIOR_DRAWS,
    formulas,
    patient_attrs,
    patient_files,
    prior_kinds,
)
from bayes_ptsd.trial import load_trial

if TYPE_CHECKING:
    import pymc as pm


__all__ = ["DEPRESSION", "least_squares_effects"]

# the level of the intervals of every analysis and posterior
LEVEL = 0.95
METHOD = "Least squares: outcome on treatment and mediator"
NOTE = (
    "natural effects from products of coefficients, standard errors by the delta method with the "
    "degrees of freedom of the outcome's regression"
)


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
    loaded = load_patients(data, described)
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


def _pymc_model(model: DepressionModel) -> pm.Model:
    """Build the PyMC model."""
    from bayes_ptsd.build.depression import depression_pymc

    return depression_pymc(model)


def _exact(model: DepressionModel, seed: int) -> Groups:
    """Integrate both regressions."""
    return exact_depression(model, seed=seed)


def _groups(model: DepressionModel, groups: Groups, seed: int, _: pm.Model | None) -> Groups:
    """Return the effects, and predictive, likelihood and prior groups."""
    posterior = groups["posterior"]
    found = depression_groups(posterior, model, seed=seed)
    return {"posterior": posterior.assign(mediation_effects(posterior, model))} | found


def _checks(model: DepressionModel, fit: xr.DataTree, _: Mapping[str, Any]) -> Groups:
    """Return the checks beyond convergence."""
    return depression_checks(fit, model)


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


def least_squares_effects(model: DepressionModel) -> xr.Dataset:
    """Return coefficients of both regressions and the effects by least squares, dim ``estimand``.

    Names are those of the posterior; each coefficient has the degrees of freedom of its regression.
    Patients who do not tell the coefficients apart are an EvidenceError.
    """
    outcome = _least_squares(model.score, outcome_columns(model))
    mediator = _least_squares(model.mediator_score, mediator_columns(model))
    both = outcome[0] | mediator[0]
    names = list(both)
    covariance = linalg.block_diag(outcome[1], mediator[1])
    sign, product = model.signs[0], model.signs[0] * model.signs[1]
    moved = product * both["mediator_difference"]
    omega = both.get("interaction", 0.0)
    away = both["mediator_level"] - float(model.mediator_score.mean())
    away = away - model.signs[1] * both["mediator_difference"] / 2
    slope = both["mediator_slope"] + omega / 2
    direct = {
        "controlled_direct_effect": 1.0,
        "interaction": sign * away,
        "mediator_level": sign * omega,
        "mediator_difference": -product * omega / 2,
    }
    indirect = {
        "mediator_slope": moved,
        "interaction": moved / 2,
        "mediator_difference": product * slope,
    }
    keys = direct | indirect
    total = {key: direct.get(key, 0.0) + indirect.get(key, 0.0) for key in keys}
    effects = {
        "treatment_difference": (
            both["controlled_direct_effect"] + sign * omega * away + slope * moved, total
        ),
        "natural_direct_effect": (both["controlled_direct_effect"] + sign * omega * away, direct),
        "natural_indirect_effect": (slope * moved, indirect),
    }  # fmt: skip
    errors = {name: _delta(gradient, names, covariance) for name, (_, gradient) in effects.items()}
    own = dict(zip(names, np.sqrt(np.diag(covariance)), strict=True))
    freedom = {name: outcome[2] if name in outcome[0] else mediator[2] for name in names}
    every = list(effects) + names
    return inference_table(
        {name: value for name, (value, _) in effects.items()} | both,
        se=[(errors | own)[name] for name in every],
        df=[freedom.get(name, outcome[2]) for name in every],
        level=LEVEL,
        attrs={"method": METHOD, "note": NOTE},
    )


def _least_squares(
    score: FloatArray, columns: Mapping[str, FloatArray]
) -> tuple[dict[str, float], FloatArray, float]:
    """Return coefficients, their covariance and the degrees of freedom."""
    x = np.stack(list(columns.values()), axis=1)
    freedom = len(score) - x.shape[1]
    if freedom < 1 or np.linalg.matrix_rank(x) < x.shape[1]:
        raise EvidenceError(f"{len(score)} patients do not tell {x.shape[1]} coefficients apart")
    inverse = np.linalg.inv(x.T @ x)
    found = inverse @ x.T @ score
    variance = float(((score - x @ found) ** 2).sum()) / freedom
    return dict(zip(columns, found.tolist(), strict=True)), variance * inverse, float(freedom)


def _delta(gradient: Mapping[str, float], names: list[str], covariance: FloatArray) -> float:
    """Return the standard error of a function of the coefficients."""
    vector = np.array([gradient.get(name, 0.0) for name in names])
    return float(np.sqrt(vector @ covariance @ vector))


def _prior_lines(model: DepressionModel) -> tuple[dict[str, str], bool]:
    """Return the priors of a specification in words, and whether all are proper."""
    lines = formulas(model.priors)
    if not all(prior.proper for prior in model.priors.values()):
        return lines, False
    low, high = model.priors["treatment"].interval()
    lines["prior interval"] = f"treatment: 95% from {low:.2f} to {high:.2f} score units"
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
    room="bayes_ptsd/structures/depression.py",
    uses=_uses,
    conflict=lambda _: "",
    select=_select,
    problem=_problem,
    pymc_model=_pymc_model,
    exact=_exact,
    groups=_groups,
    checks=_checks,
    counterpart=_counterpart,
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
