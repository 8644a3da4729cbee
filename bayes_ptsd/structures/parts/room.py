"""Everything that a model of the parts of a total accepts and does, as one value."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayes_ptsd.checks.patients import patient_checks
from bayes_ptsd.checks.predictive import Feature, endpoint_features, feature_table
from bayes_ptsd.errors import EvidenceError, FitError, SpecError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.outcome import select_outcomes
from bayes_ptsd.evidence.patients import load_patients
from bayes_ptsd.frequentist.documents import analysis_document, answer, line, no_answer
from bayes_ptsd.gaussian.blocks import patient_groups, subject_log_likelihood
from bayes_ptsd.priors import Prior
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
from bayes_ptsd.structures.arms import constant_data
from bayes_ptsd.structures.parts.draws import (
    draw_priors,
    log_priors,
    patient_blocks,
    replicated_scores,
)
from bayes_ptsd.structures.parts.example import example_parts
from bayes_ptsd.structures.parts.model import (
    PartsModel,
    ancova_of,
    part_names,
    parts_model,
    pymc_model,
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


__all__ = ["PARTS", "part_features"]

INTERNAL = ("plane_standard", "partial_unit", "partial_correlation")
NO_EXACT = "it has no quadrature over the covariance of several outcomes"


def _uses(options: Options) -> tuple[str, ...]:
    """Return the parameters of the model."""
    slope = ["baseline_slope"] if options["baseline"] == "covariate" else []
    return ("treatment", "heterogeneity", "level", *slope, "sd_residual", "correlations")


def _select(spec: ModelSpec, request: Request) -> Evidence:
    """Load all parts of the total that the model names."""
    trial, data = patient_files(spec, request)
    described = load_trial(trial)
    if request.endpoint is not None:
        raise SpecError(f"model '{spec.name}' names its total: --option total={request.endpoint}")
    parts = part_names(described, str(spec.options["total"]))
    loaded = load_patients(data, described, key=request.key)
    return select_outcomes(loaded, parts, visit=request.visit)


def _problem(evidence: Evidence, spec: ModelSpec) -> Problem:
    """Bring patients and specification together."""
    model = parts_model(evidence, spec)
    return Problem(
        model=model,
        endpoint=model.endpoint,
        attrs=_attrs(model),
        notes=model.notes,
        compiled=_kind(model),
        why_not_exact=NO_EXACT,
        careful=True,
    )


def _attrs(problem: PartsModel) -> dict[str, Any]:
    """Return what names the analysis and its estimands."""
    named = patient_attrs(problem.spec, problem.priors, visit=problem.visit, size=problem.size)
    constants = {
        part.id: {"unit": part.unit, "mcid": part.mcid, "reference_sd": part.reference_sd}
        for part in problem.parts
    }
    unit = problem.endpoint.unit
    return named | {
        "estimand_nulls": json.dumps({"treatment_difference": 0.0, "difference": 0.0}),
        "estimand_units": json.dumps({"treatment_difference": unit, "heterogeneity": unit}),
        "label_constants": json.dumps(constants),
    }


def _kind(problem: PartsModel) -> str:
    """Return what is compiled into a model and is not data."""
    kinds = prior_kinds(problem.priors, inside=("correlations",))
    return json.dumps(["parts", problem.baseline is not None, kinds], sort_keys=True)


def _exact(_: PartsModel, __: int) -> Groups:
    """Refuse: there is none."""
    raise FitError(NO_EXACT)


def _groups(model: PartsModel, groups: Groups, seed: int, _: pm.Model | None) -> Groups:
    """Return predictive, likelihood and prior groups."""
    posterior = groups["posterior"].drop_vars(INTERNAL, errors="ignore")
    kept = {"chain", "draw", "endpoint", "pair"}
    posterior = posterior.drop_dims(set(posterior.dims) - kept)
    return {"posterior": posterior} | patient_groups(
        posterior,
        observed=model.observed,
        constants=constant_data(model, dims=("subject", "endpoint")),
        replicated=lambda draws, rng: replicated_scores(draws, model, rng),
        log_likelihood=lambda draws: subject_log_likelihood(draws, patient_blocks(model)),
        log_prior=lambda draws: log_priors(draws, model),
        prior=(lambda: draw_priors(model, PRIOR_DRAWS, seed=seed)) if model.proper else None,
        seed=seed,
    )


def _checks(model: PartsModel, fit: xr.DataTree, _: Mapping[str, Any]) -> Groups:
    """Run the predictive, cross-validation and sensitivity checks.

    ``loo`` leaves out all parts of a subject together.
    """
    observed = fit["observed_data"].to_dataset()["score"]
    features = feature_table(fit, part_features(observed, model))
    return patient_checks(fit, features, ranges={part.id: part.range for part in model.parts})


def part_features(observed: xr.DataArray, model: PartsModel) -> dict[str, Feature]:
    """Return each part by arm, scores at its ends, and the correlations of parts within arms."""
    found = endpoint_features(observed, model.parts)
    arms = [np.flatnonzero(model.active == bool(arm)) for arm in (0, 1)]

    def centered(y: xr.DataArray) -> xr.DataArray:
        groups = [y.isel(subject=rows) for rows in arms]
        return xr.concat([one - one.mean("subject") for one in groups], dim="subject")

    for first, second in itertools.combinations(model.names, 2):
        found[f"correlation_{first}_{second}"] = lambda y, a=first, b=second: xr.corr(  # type: ignore[misc]
            centered(y).sel(endpoint=a), centered(y).sel(endpoint=b), dim="subject"
        )
    return found


def _counterpart(model: PartsModel) -> dict[str, Any]:
    """Return the analysis of covariance of the sum of the parts, and of each of them."""
    try:
        document = analysis_document(ancova_of(model))
        for place, name in enumerate(model.names):
            one = ancova_of(model, place).sel(estimand="treatment_difference")
            document["estimands"][f"difference[{name}]"] = line(one)
    except EvidenceError as error:
        return no_answer(error)
    return answer("ancova", document)


def _prior_lines(model: PartsModel) -> tuple[dict[str, str], bool]:
    """Return the priors of a specification in words, and whether all are proper."""
    lines = formulas(model.priors)
    if not model.proper:
        return lines, False
    treatment = model.priors["treatment"]
    assert isinstance(treatment, Prior)
    low, high = treatment.interval()
    lines["prior interval"] = f"treatment: 95% from {low:.2f} to {high:.2f} score units"
    drawn = draw_priors(model, PRIOR_DRAWS, seed=DEFAULT_SEED)
    for name in model.names:
        ends = np.quantile(drawn["endpoint_difference"].sel(endpoint=name), [0.025, 0.975])
        lines[f"prior difference {name}"] = f"95% from {ends[0]:.1f} to {ends[1]:.1f} score units"
    return lines, True


PARTS = Structure(
    name="parts",
    options={"total": NAME, "baseline": ("covariate", "none")},
    priors=(
        "treatment", "heterogeneity", "level", "baseline_slope", "sd_residual", "correlations"
    ),
    equation="y[i,k] = level[k] + s difference[k] x[i] + baseline_slope[k] b[i,k] + e[i,k], "
    "x = 1/2 active, -1/2 control;  e[i] ~ Normal(0, Sigma);  difference[k] = w[k] tau + d[k], "
    "sum of d = 0, d ~ Normal(0, heterogeneity^2) on that plane;  treatment difference = tau",
    room="bayes_ptsd/structures/parts",
    uses=_uses,
    conflict=lambda _: "",
    select=_select,
    problem=_problem,
    pymc_model=pymc_model,
    exact=_exact,
    groups=_groups,
    checks=_checks,
    counterpart=_counterpart,
    prior_lines=_prior_lines,
    example=lambda _: example_parts(),
    kinds=(),
    locations=("level", "baseline_slope"),
    matrices=("correlations",),
    renamed={"intercept": "level"},
    version=2,  # treatment coded -1/2 and +1/2: no prior of a level moves the difference
)  # fmt: skip
