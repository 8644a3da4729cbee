"""Everything that a longitudinal model accepts and does, as one value, and its checks."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayes_ptsd.check_roles import Check
from bayes_ptsd.checks.patients import patient_checks
from bayes_ptsd.checks.predictive import Feature, end_features, feature_table
from bayes_ptsd.checks.sensitivity import boundary_check
from bayes_ptsd.errors import EvidenceError, FitError, SpecError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.trajectories import select_endpoint
from bayes_ptsd.frequentist.documents import analysis_document, answer, no_answer
from bayes_ptsd.gaussian.blocks import patient_groups, subject_log_likelihood
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
from bayes_ptsd.structures.arms import constant_data
from bayes_ptsd.structures.longitudinal.draws import (
    derived,
    draw_priors,
    log_priors,
    patient_blocks,
    replicated_scores,
    trajectory_summary,
)
from bayes_ptsd.structures.longitudinal.example import example_trajectories
from bayes_ptsd.structures.longitudinal.model import (
    LongitudinalModel,
    longitudinal_model,
    pymc_model,
    trajectory_mmrm,
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


__all__ = ["LONGITUDINAL", "visit_boundary_checks", "visit_features"]

NO_ENGINE = "the covariance of several visits has no closed form"
INTERNAL = ("partial_unit", "visit_standard")
"""Variables that a sampler moves and nobody asks about."""
CORRELATIONS = {
    "unstructured": ("correlations",),
    "compound": ("correlation",),
    "autoregressive": ("half_life",),
}
SLOPES = ("covariate", "common_slope")
# Two scores that share 90% of their variance tell one thing.
NEAR_ONE = 0.95
# Two scores always lie on a line: of fewer than three no spread or correlation is a feature.
FEWEST = 3


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
        careful=bool(spec.options["shrinkage"]),
    )


def _kind(problem: LongitudinalModel) -> str:
    """Return what is compiled into a longitudinal model and is not data."""
    options: dict[str, Any] = {**problem.options, "covariates": bool(problem.covariates.size)}
    days = problem.days.tolist() if problem.options["covariance"] == "autoregressive" else []
    kinds = prior_kinds(problem.priors, inside=("correlations",))
    return json.dumps(["longitudinal", options, kinds, days], sort_keys=True)


def _exact(model: LongitudinalModel, _: int) -> Groups:
    """Refuse: there is none."""
    name = model.spec.name
    raise FitError(f"no exact engine for model '{name}': {NO_ENGINE}; take engine 'nuts'")


def _groups(model: LongitudinalModel, groups: Groups, seed: int, _: pm.Model | None) -> Groups:
    """Return the estimands, their courses, and predictive, likelihood and prior groups."""
    posterior = derived(groups["posterior"].drop_vars(INTERNAL, errors="ignore"), model)
    found = patient_groups(
        posterior,
        observed=model.observed,
        constants=constant_data(model, covariates=model.covariates),
        replicated=lambda draws, rng: replicated_scores(draws, model, rng),
        log_likelihood=lambda draws: subject_log_likelihood(draws, patient_blocks(model)),
        log_prior=lambda draws: log_priors(draws, model),
        prior=(lambda: draw_priors(model, PRIOR_DRAWS, seed=seed)) if model.proper else None,
        seed=seed,
    )
    summary = trajectory_summary(posterior, model)
    return {"posterior": posterior, "trajectory_summary": summary} | found


def _checks(model: LongitudinalModel, fit: xr.DataTree, _: Mapping[str, Any]) -> Groups:
    """Run the predictive, cross-validation, sensitivity and boundary checks of several visits."""
    range_ = model.endpoint.range
    observed = fit["observed_data"].to_dataset()["score"]
    features = feature_table(fit, visit_features(observed) | end_features(range_))
    return patient_checks(fit, features, ranges=range_, further=visit_boundary_checks(fit))


def _counterpart(model: LongitudinalModel) -> dict[str, Any]:
    """Return the repeated-measures analysis of the estimands of a longitudinal model.

    The covariance structure is that of the model, its nugget left out; a joint baseline is a
    covariate, and patients without one are left out.
    """
    try:
        table = trajectory_mmrm(model)
    except EvidenceError as error:
        return no_answer(error)
    document = analysis_document(table)
    document["residual_sd"] = dict(
        zip(model.visits, map(float, table["residual_sd"].values), strict=True)
    )
    return answer("mmrm", document)


def _prior_lines(model: LongitudinalModel) -> tuple[dict[str, str], bool]:
    """Return the priors in score units, and whether all are proper.

    The correlation of visits has no prior that can be read off: its mean and spread are shown.
    """
    lines = formulas(model.priors)
    if not model.proper:
        return lines, False
    drawn = draw_priors(model, PRIOR_DRAWS, seed=DEFAULT_SEED)
    scores = replicated_scores(drawn, model, np.random.default_rng(DEFAULT_SEED))
    mean = drawn["visit_correlation"].mean("visit_pair")
    low, high = mean.quantile([0.025, 0.975]).values
    lines["prior visit correlation"] = (
        f"mean over pairs {float(mean.mean()):.2f}, 95% from {low:.2f} to {high:.2f}"
    )
    return lines | treatment_interval(model.priors) | predictive_line(scores, model.endpoint), True


def visit_features(observed: xr.DataArray) -> dict[str, Feature]:
    """Return the features that a comparison over visits leans on.

    Mean of each arm at each visit; standard deviation of each visit and correlation of each pair of
    visits, within arms.
    """
    arm = observed["treatment"].values
    visits = [str(label) for label in observed["visit"].values]
    found: dict[str, Feature] = {}
    for place, visit in enumerate(visits):
        there = np.isfinite(observed.values[:, place])
        for label in sorted(set(arm.tolist())):
            rows = np.flatnonzero((arm == label) & there)
            if len(rows):
                found[f"mean_{label}_{visit}"] = _mean(rows, place)
        if int(there.sum()) >= FEWEST:
            found[f"sd_{visit}"] = _spread(np.flatnonzero(there), place, arm)
    for first, second in itertools.combinations(range(len(visits)), 2):
        both = np.flatnonzero(np.isfinite(observed.values[:, [first, second]]).all(axis=1))
        if len(both) >= FEWEST:
            name = f"correlation_{visits[first]}_{visits[second]}"
            found[name] = _correlation(both, (first, second), arm)
    return found


def visit_boundary_checks(fit: xr.DataTree) -> list[Check]:
    """Warn where the data push correlations of visits to one.

    The largest probability, over pairs, of a correlation beyond +-0.95, against that of the prior
    where every prior is proper.
    """
    after, before = (
        _end_share(fit[group].to_dataset()) if group in fit.children else np.nan
        for group in ("posterior", "prior")
    )
    said = "scores of two visits are almost the same, which is hard to tell from a patient effect"
    return [boundary_check("visit_correlation_at_an_end", after, before, said)]


def _end_share(draws: xr.Dataset) -> float:
    """Return the largest share, over pairs of visits, of correlations beyond +-0.95."""
    beyond = abs(draws["visit_correlation"]) > NEAR_ONE
    return float(beyond.mean(("chain", "draw")).max())


def _mean(rows: NDArray[np.intp], place: int) -> Feature:
    """Return the mean of one arm at one visit."""
    return lambda scores: scores.isel(subject=rows, visit=place).mean("subject")


def _spread(rows: NDArray[np.intp], place: int, arm: NDArray[np.str_]) -> Feature:
    """Return the standard deviation within arms at one visit."""

    def feature(scores: xr.DataArray) -> xr.DataArray:
        centered = _centered(scores.isel(subject=rows, visit=place), arm[rows])
        freedom = len(rows) - len(set(arm[rows].tolist()))
        return ((centered**2).sum("subject") / freedom) ** 0.5

    return feature


def _correlation(rows: NDArray[np.intp], places: tuple[int, int], arm: NDArray[np.str_]) -> Feature:
    """Return the correlation within arms of two visits."""

    def feature(scores: xr.DataArray) -> xr.DataArray:
        one, other = (
            _centered(scores.isel(subject=rows, visit=place), arm[rows]) for place in places
        )
        size = np.sqrt((one**2).sum("subject") * (other**2).sum("subject"))
        return (one * other).sum("subject") / size

    return feature


def _centered(scores: xr.DataArray, arm: NDArray[np.str_]) -> xr.DataArray:
    """Return scores minus the mean of their arm."""
    found = scores.transpose("subject", ...).copy()
    for label in set(arm.tolist()):
        found.values[arm == label] -= found.values[arm == label].mean(axis=0)
    return found


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
    room="bayes_ptsd/structures/longitudinal",
    uses=_uses,
    conflict=_conflict,
    reads="visits",
    cells="visit",
    select=_select,
    problem=_problem,
    pymc_model=pymc_model,
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
