"""The room of the parts of a total in patients, at one visit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayes_ptsd.checks.parts import parts_checks
from bayes_ptsd.errors import EvidenceError, FitError, SpecError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.outcome import select_outcomes
from bayes_ptsd.evidence.patients import load_patients
from bayes_ptsd.frequentist.ancova import ancova_analysis
from bayes_ptsd.frequentist.documents import COLUMNS, analysis_document, line
from bayes_ptsd.parts.example import example_parts
from bayes_ptsd.parts.groups import draw_priors, parts_groups
from bayes_ptsd.parts.model import PartsModel, part_names, parts_model
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


__all__ = ["PARTS"]

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
    return select_outcomes(load_patients(data, described), parts, visit=request.visit)


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
        target_accept=0.95,
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


def _pymc_model(model: PartsModel) -> pm.Model:
    """Build the PyMC model."""
    from bayes_ptsd.build.parts import parts_pymc

    return parts_pymc(model)


def _exact(_: PartsModel, __: int) -> Groups:
    """Refuse: there is none."""
    raise FitError(NO_EXACT)


def _groups(model: PartsModel, groups: Groups, seed: int, _: pm.Model | None) -> Groups:
    """Return predictive, likelihood and prior groups."""
    posterior = groups["posterior"].drop_vars(INTERNAL, errors="ignore")
    kept = {"chain", "draw", "endpoint", "pair"}
    posterior = posterior.drop_dims(set(posterior.dims) - kept)
    return {"posterior": posterior} | parts_groups(posterior, model, seed=seed)


def _checks(model: PartsModel, fit: xr.DataTree, _: Mapping[str, Any]) -> Groups:
    """Return the checks beyond convergence."""
    return parts_checks(fit, model)


def _counterpart(model: PartsModel) -> dict[str, Any]:
    """Return the analysis of covariance of the sum of the parts, and of each of them."""
    try:
        document = analysis_document(_ancova(model, None))
        for place, name in enumerate(model.names):
            one = _ancova(model, place).sel(estimand="treatment_difference")
            document["estimands"][f"difference[{name}]"] = line(one)
    except EvidenceError as error:
        return {"method": f"none: {error}", **dict.fromkeys((*COLUMNS, "ci95")), "analyses": {}}
    chosen = document["estimands"]["treatment_difference"]
    return {"method": document["method"], **chosen, "analyses": {"ancova": document}}


def _ancova(model: PartsModel, place: int | None) -> xr.Dataset:
    """Compare the arms on one part, or on the sum of all."""
    score = model.score.sum(axis=1) if place is None else model.score[:, place]
    before = None
    if model.baseline is not None:
        before = model.baseline.sum(axis=1) if place is None else model.baseline[:, place]
    return ancova_analysis(score, model.active, covariates=before, benefit_sign=model.sign)


def _prior_lines(model: PartsModel) -> tuple[dict[str, str], bool]:
    """Return the priors of a specification in words, and whether all are proper."""
    lines = formulas(model.priors)
    if not all(prior.proper for prior in model.priors.values()):
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
    room="bayes_ptsd/structures/parts.py",
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
    example=lambda _: example_parts(),
    kinds=(),
    locations=("level", "baseline_slope"),
    matrices=("correlations",),
    renamed={"intercept": "level"},
    version=2,  # treatment coded -1/2 and +1/2: no prior of a level moves the difference
)  # fmt: skip
