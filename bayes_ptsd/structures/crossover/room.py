"""The crossover as a structure of models: options, PyMC model, checks and counterpart."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayes_ptsd.check_roles import Check
from bayes_ptsd.checks.patients import patient_checks
from bayes_ptsd.checks.predictive import Feature, end_features, feature_table
from bayes_ptsd.checks.sensitivity import boundary_checks
from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.patient_arrays import period_differences, period_lines
from bayes_ptsd.frequentist import frequentist_crossover
from bayes_ptsd.frequentist.documents import COLUMNS, analysis_document
from bayes_ptsd.gaussian.parameters import NU_FLOOR
from bayes_ptsd.priors import Prior
from bayes_ptsd.provenance import DEFAULT_SEED
from bayes_ptsd.specification import Groups, ModelSpec, Options, Problem, Structure
from bayes_ptsd.structures.crossover.baselines import pymc_baselines
from bayes_ptsd.structures.crossover.carryover import carryover_groups
from bayes_ptsd.structures.crossover.exact import exact_crossover, why_not_exact
from bayes_ptsd.structures.crossover.example import example_patients
from bayes_ptsd.structures.crossover.likelihood import (
    crossover_groups,
    draw_priors,
    has_proper_priors,
    replicated_scores,
)
from bayes_ptsd.structures.crossover.model import CrossoverModel, crossover_model
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

__all__ = ["CROSSOVER", "crossover_checks", "predictive_features", "pymc_model"]

INTERNAL = ("correlation_unit", "covariance_root", "subject_standard", "patient_weight")
"""Variables that a sampler moves and nobody asks about."""
LEAST = 2.0
"""Patients in a cell that show how far patients differ there."""
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


def pymc_model(model: CrossoverModel) -> pm.Model:
    """Write the equation of the scores out; the joint model of baselines is in `baselines`.

    Subject effects are integrated out: each score is observed given the patient's earlier one, if
    there is one. Scores and prior parameters are data that can be exchanged.
    """
    import pymc as pm
    import pytensor.tensor as pt

    from bayes_ptsd.pymc_priors import prior_distribution

    if model.baselines is not None:
        return pymc_baselines(model)
    pairs, options = model.pairs, model.options
    # observations are ordered by subject, then period
    subject, period = np.nonzero(np.isfinite(pairs.score))
    labels = sorted(set(model.sequence))
    starts = [float(pairs.active_first[model.sequence == name].all()) for name in labels]
    coords = {
        "subject": pairs.subject,
        "period": [1, 2],
        "sequence": labels,
        "observation": np.arange(len(subject)),
    }
    with pm.Model(coords=coords) as built:
        score = pm.Data("score_data", pairs.score[subject, period], dims="observation")
        subject_of = pm.Data("subject_of", subject, dims="observation")
        period_of = pm.Data("period_of", period, dims="observation")
        sign = pm.Data("benefit_sign", float(model.sign))
        starts_active = pm.Data("starts_active", np.array(starts), dims="sequence")
        place = pm.Data("sequence_of", np.searchsorted(labels, model.sequence), dims="subject")
        half = starts_active[place][subject_of] - 0.5
        coded = pt.switch(pt.eq(period_of, 0), half, -half)

        treatment_difference = _variable(model, "treatment", "treatment_difference")
        mean = _variable(model, "level") + _variable(model, "period_effect") * (period_of - 0.5)
        mean = mean + sign * treatment_difference * coded
        if options["carryover"]:
            carryover = _variable(model, "carryover")
            pm.Deterministic("within_patient_contrast", treatment_difference - carryover / 2)
            mean = mean + sign * carryover * half * period_of
        if options["sequence_effect"]:
            mean = mean + _variable(model, "sequence", "sequence_effect") * half
        if pairs.baseline is not None:
            centered = pairs.baseline - pairs.baseline.mean()
            baseline = pm.Data("baseline_centered", centered, dims="subject")
            slope = _variable(model, "baseline_slope", dims="period")
            mean = mean + slope[period_of] * baseline[subject_of]

        nu = None
        if options["likelihood"] == "student_t":
            tails = prior_distribution("nu", model.priors["nu"])
            nu = pm.Truncated("nu", tails, lower=NU_FLOOR)
        if options["subject_effects"] == "sampled":
            pymc_given_effects(model, score, mean, subject_of, period_of, nu)
            return built

        sd, rho = pymc_spread(model)
        # without an earlier score the place is that of the observation itself, and is not used
        second = (period == 1) & pairs.complete[subject]
        earlier = pm.Data("earlier", np.arange(len(subject)) - second, dims="observation")
        paired = pm.Data("paired", second.astype(float), dims="observation")
        before = (score - mean)[earlier] / sd[0]
        expected = mean + paired * rho * sd[period_of] * before
        spread = sd[period_of] * pt.sqrt(1 - paired * rho**2)
        given = {"mu": expected, "observed": score, "dims": "observation"}
        if nu is None:
            pm.Normal("score", sigma=spread, **given)
        else:
            spread = spread * pt.sqrt((nu + paired * before**2) / (nu + paired))
            pm.StudentT("score", nu=nu + paired, sigma=spread, **given)
    return built


def pymc_spread(model: CrossoverModel) -> tuple[Any, Any]:
    """Return the standard deviation of each period and the correlation between them."""
    import pymc as pm
    import pytensor.tensor as pt

    from bayes_ptsd.pymc_priors import prior_variable

    if model.options["form"] == "random_intercept":
        between = _variable(model, "sd_subject")
        sd = pt.sqrt(between**2 + pymc_by_period(model, "sd_within") ** 2)
        return sd, between**2 / (sd[0] * sd[1])
    sd, prior = pymc_by_period(model, "sd_period"), model.priors["correlation"]
    if prior.dist != "beta":
        return sd, _variable(model, "correlation")
    unit = prior_variable("correlation_unit", prior, exchangeable=True)
    return sd, pm.Deterministic("correlation", 2 * unit - 1)


def pymc_given_effects(
    model: CrossoverModel, score: Any, mean: Any, subject_of: Any, period_of: Any, nu: Any
) -> None:
    """Observe each score given an effect of its patient, non-centered."""
    import pymc as pm
    import pytensor.tensor as pt

    sd_subject = _variable(model, "sd_subject")
    sd_within = pymc_by_period(model, "sd_within")
    scale: Any = pt.ones(len(model.sequence))
    if nu is not None:
        scale = 1 / pt.sqrt(pm.Gamma("patient_weight", alpha=nu / 2, beta=nu / 2, dims="subject"))
    standard = pm.Normal("subject_standard", 0, 1, dims="subject")
    effect = pm.Deterministic("subject_effect", sd_subject * standard * scale, dims="subject")
    spread = sd_within[period_of] * scale[subject_of]
    pm.Normal(
        "score", mu=mean + effect[subject_of], sigma=spread, observed=score, dims="observation"
    )


def pymc_by_period(model: CrossoverModel, name: str) -> Any:
    """Return a standard deviation for each period, the same one where they are equal."""
    import pytensor.tensor as pt

    if model.options["period_sd"] == "unequal":
        return _variable(model, name, dims="period")
    return pt.repeat(_variable(model, name)[None], 2)


def _variable(model: CrossoverModel, key: str, name: str = "", *, dims: str | None = None) -> Any:
    """Return a parameter with its prior."""
    from bayes_ptsd.pymc_priors import prior_variable

    return prior_variable(name or key, model.priors[key], dims=dims, exchangeable=True)


def _groups(model: CrossoverModel, groups: Groups, seed: int, built: pm.Model | None) -> Groups:
    """Return predictive, likelihood and prior groups, and what the data say of carryover."""
    prior = None
    if model.options["baseline"] == "joint":
        from bayes_ptsd.sampler import draw_prior

        prior = draw_prior(pymc_model(model) if built is None else built, seed=seed)
    posterior = groups["posterior"].drop_vars(INTERNAL, errors="ignore")
    found = crossover_groups(posterior, model, seed=seed, prior=prior)
    return {"posterior": posterior} | found | carryover_groups(model)


def _checks(model: CrossoverModel, fit: xr.DataTree, _: Mapping[str, Any]) -> Groups:
    """Return the checks beyond convergence."""
    single = {name: one for name, one in model.priors.items() if isinstance(one, Prior)}
    return crossover_checks(fit, range_=model.endpoint.range, priors=single)


def crossover_checks(
    fit: xr.DataTree, *, range_: tuple[float, float] | None, priors: Mapping[str, Prior]
) -> dict[str, xr.Dataset]:
    """Run the predictive, cross-validation, sensitivity and boundary checks of a crossover.

    Beside ``checks`` are the tables behind them, so that a report needs no patients' rows.
    """
    features = predictive_features(fit, range_=range_)
    boundary = boundary_checks(fit["posterior"].to_dataset(), priors)
    return patient_checks(fit, features, ranges=range_, further=[*_cell_checks(fit), *boundary])


def _cell_checks(fit: xr.DataTree) -> list[Check]:
    """Warn where a cell of the design, a sequence in a period, has no patient or a single one."""
    score = fit["observed_data"]["score"]
    counts = score.notnull().groupby("sequence").sum("subject")
    least = counts.isel(counts.argmin(...))  # type: ignore[arg-type]
    figure = int(least)
    said = f"sequence {least['sequence'].item()}, period {int(least['period'])}: its mean is "
    said += "that of one patient" if figure else "what model and priors make of the other cells"
    return [Check("patients_in_each_cell", figure, LEAST, figure >= LEAST, meaning=said)]


def predictive_features(fit: xr.DataTree, *, range_: tuple[float, float] | None) -> xr.Dataset:
    """Compare features of the observed scores with their replicates, as `feature_table`.

    Means and standard deviations by sequence and period, correlation between periods and, with a
    range, numbers of scores at or beyond each end.
    """
    observed = fit["observed_data"].to_dataset()["score"]
    return feature_table(fit, _features(observed) | end_features(range_))


def _features(observed: xr.DataArray) -> dict[str, Feature]:
    """Return the features by name; each takes scores with dims subject and period."""
    found: dict[str, Feature] = {}
    for label in sorted(set(observed["sequence"].values.tolist())):
        rows = np.flatnonzero(observed["sequence"].values == label)
        for period in (1, 2):
            if int(observed.isel(subject=rows).sel(period=period).notnull().sum()) < 2:
                continue
            found[f"mean_{label}_{period}"] = _cell(rows, period, "mean")
            found[f"sd_{label}_{period}"] = _cell(rows, period, "std")
    if int(observed.notnull().all("period").sum()) > 2:
        found["correlation"] = _correlation
    return found


def _cell(rows: NDArray[np.intp], period: int, method: str) -> Feature:
    """Return the mean or standard deviation of one sequence in one period."""

    def feature(scores: xr.DataArray) -> xr.DataArray:
        cell = scores.isel(subject=rows).sel(period=period)
        return cell.mean("subject") if method == "mean" else cell.std("subject", ddof=1)

    return feature


def _correlation(scores: xr.DataArray) -> xr.DataArray:
    """Return the correlation between periods within sequences, complete patients."""
    complete = scores.where(scores.notnull().all("period"))
    centered = complete.groupby("sequence") - complete.groupby("sequence").mean()
    first, second = centered.sel(period=1), centered.sel(period=2)
    product = (first * second).sum("subject")
    return product / np.sqrt((first**2).sum("subject") * (second**2).sum("subject"))


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
        table = frequentist_crossover(model.pairs, benefit_sign=model.sign, known=model.known)
    except EvidenceError as error:
        return {"method": f"none: {error}", **nothing, **beside}
    analyses = {
        str(name): analysis_document(table.sel(analysis=name)) for name in table["analysis"].values
    }
    reasons: dict[str, str] = table.attrs["not_possible"]
    if chosen in reasons:
        found = {"method": f"none: {chosen.replace('_', '-')}: {reasons[chosen]}", **nothing}
    else:
        said = analyses[chosen]
        found = {"method": said["method"], **said["estimands"]["treatment_difference"]}
    return {**found, **beside, "analyses": analyses, "not_possible": reasons}


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
    return lines | treatment_interval(model.priors) | predictive_line(scores, model.endpoint), True


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
    room="bayes_ptsd/structures/crossover",
    uses=_uses,
    conflict=_conflict,
    reads="periods",
    cells="sequence, period",
    prior_estimands=("treatment_difference",),
    select=asked_outcome,
    problem=_problem,
    pymc_model=pymc_model,
    exact=lambda model, seed: exact_crossover(model, seed=seed),
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
