"""Both regressions with their patients: scores, priors in score units, PyMC model, likelihood."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.outcome import select_outcomes
from bayes_ptsd.evidence.pairs import BoolArray
from bayes_ptsd.evidence.trajectories import arm_trajectories
from bayes_ptsd.frequentist.ancova import ancova_analysis
from bayes_ptsd.gaussian import blocks
from bayes_ptsd.gaussian.parameters import Parameter, draw_parameters
from bayes_ptsd.patient_scale import (
    OccasionScale,
    endpoint_scale,
    in_score_units,
    predictor_sd,
)
from bayes_ptsd.priors import FloatArray, Prior
from bayes_ptsd.specification import ModelSpec, PriorValue
from bayes_ptsd.trial import Endpoint

if TYPE_CHECKING:
    import pymc as pm

__all__ = [
    "DepressionModel",
    "depression_model",
    "draw_priors",
    "mediator_columns",
    "outcome_columns",
    "pymc_model",
    "replicated_scores",
    "rests_on",
    "subject_log_likelihood",
]

NAMES: Mapping[str, str] = {
    "treatment": "controlled_direct_effect",
    "mediator_treatment": "mediator_difference",
}
MEDIATOR = ("mediator_treatment", "mediator_level", "mediator_own_slope", "mediator_sd")
INFORMATIVE: Mapping[str, str] = {
    "mediator_slope": "slope on the mediator (theta)",
    "interaction": "its difference between the arms (omega)",
}
"""What direct and indirect effects rest on beside the data: every result names these priors."""


@dataclass(frozen=True)
class DepressionModel:
    """An outcome, its mediator and both regressions with their data, ready for any engine."""

    spec: ModelSpec
    endpoint: Endpoint  # the outcome; a `reference_sd` that the trial lacks is estimated
    mediator: Endpoint
    subject: np.ndarray[Any, Any]
    score: FloatArray  # as recorded, dim (subject,); so is the mediator
    mediator_score: FloatArray
    active: BoolArray  # dim (subject,)
    arms: tuple[str, str]  # labels of control and active treatment
    baseline: FloatArray | None  # minus its mean, score units; so is the mediator's
    mediator_baseline: FloatArray | None
    priors: Mapping[str, Prior]  # in score units, by parameter
    notes: tuple[str, ...]  # what was taken from the data, and what was left out
    visit: str

    @property
    def options(self) -> Mapping[str, Any]:
        """Options of the specification."""
        return self.spec.options

    @property
    def signs(self) -> tuple[int, int]:
        """Benefit signs of outcome and mediator: +1 if a higher score is better, else -1."""
        return self.endpoint.benefit_sign, self.mediator.benefit_sign

    @property
    def contrast(self) -> FloatArray:
        """Treatment of each patient, 1/2 active and -1/2 control, dim (subject,)."""
        return np.asarray(self.active - 0.5, dtype=float)

    @property
    def mediator_centered(self) -> FloatArray:
        """Mediator minus its mean over these patients, dim (subject,)."""
        return np.asarray(self.mediator_score - self.mediator_score.mean())

    @property
    def observed(self) -> xr.Dataset:
        """Scores as recorded, dims (subject, endpoint), the outcome first, with each arm."""
        labels = np.where(self.active, self.arms[1], self.arms[0])
        coords = {
            "subject": self.subject,
            "endpoint": [self.endpoint.id, self.mediator.id],
            "treatment": ("subject", labels),
        }
        both = np.stack([self.score, self.mediator_score], axis=1)
        return xr.Dataset({"score": (("subject", "endpoint"), both)}, coords=coords)

    @property
    def parameters(self) -> dict[str, Parameter]:
        """Parameters of both regressions by their name in the specification."""
        return {
            name: Parameter(NAMES.get(name, name), prior) for name, prior in self.priors.items()
        }

    @property
    def size(self) -> dict[str, Any]:
        """Numbers of subjects, observations and subjects by arm."""
        counts = {self.arms[i]: int((self.active == bool(i)).sum()) for i in (0, 1)}
        total = len(self.score)
        return {"subjects": total, "observations": 2 * total, "by_sequence": counts}


def depression_model(evidence: Evidence, spec: ModelSpec) -> DepressionModel:
    """Bring a specification and patients with a mediator and an outcome at one visit together."""
    arrays, outcome, mediator = _both(evidence, str(spec.options["mediator"]))
    active = arrays["active"].values == 1
    scales: dict[str, tuple[float, OccasionScale]] = {}
    said: list[str] = []
    for name, end in (("outcome", outcome), ("mediator", mediator)):
        arms = [arrays[name].values[active], arrays[name].values[~active]]
        sd, scale, notes = endpoint_scale(end, arms, occasion=f"first-period {end.id}")
        scales[name], said = (sd, scale), [*said, *notes]
    without = DepressionModel(
        spec=spec,
        endpoint=replace(outcome, reference_sd=scales["outcome"][0]),
        mediator=replace(mediator, reference_sd=scales["mediator"][0]),
        subject=arrays["subject"].values.astype(str),
        score=arrays["outcome"].values.astype(float),
        mediator_score=arrays["mediator"].values.astype(float),
        active=active,
        arms=(evidence.trial.control, evidence.trial.active),
        baseline=_baseline(arrays, spec, "baseline", outcome),
        mediator_baseline=_baseline(arrays, spec, "mediator_baseline", mediator),
        priors={},
        notes=(*_left_out(arrays), *said),
        visit=arrays.attrs["visit"],
    )
    priors = _priors(without, scales)
    named = rests_on(priors, unit=f" ({outcome.id} per {mediator.id})")
    return replace(without, priors=priors, notes=(*without.notes, named))


def outcome_columns(model: DepressionModel) -> dict[str, FloatArray]:
    """Return the linear columns of the outcome by coefficient, dim (subject).

    ``controlled_direct_effect`` first; the coefficients of mediator and interaction are as
    recorded, whichever direction is better.
    """
    treatment = model.contrast
    columns = {
        "controlled_direct_effect": model.signs[0] * treatment,
        "level": np.ones_like(treatment),
    }
    if model.baseline is not None:
        columns["baseline_slope"] = model.baseline
    columns["mediator_slope"] = model.mediator_centered
    if model.mediator_baseline is not None:
        columns["mediator_baseline_slope"] = model.mediator_baseline
    if model.options["interaction"]:
        columns["interaction"] = treatment * model.mediator_centered
    return columns


def mediator_columns(model: DepressionModel) -> dict[str, FloatArray]:
    """Return the linear columns of the mediator by coefficient, dim (subject).

    ``mediator_difference`` first; ``mediator_level`` is the mean over both treatments at the mean
    baseline.
    """
    columns = {
        "mediator_difference": model.signs[1] * model.contrast,
        "mediator_level": np.ones_like(model.contrast),
    }
    if model.mediator_baseline is not None:
        columns["mediator_own_slope"] = model.mediator_baseline
    return columns


def pymc_model(patients: DepressionModel) -> pm.Model:
    """Build the PyMC model of both regressions and of the effects.

    Treatment is 1/2 (active) or -1/2 (control). Scores and prior parameters are data that can be
    exchanged; an improper prior is a SpecError.
    """
    import pymc as pm

    from bayes_ptsd.pymc_priors import prior_variable

    def variable(key: str) -> Any:
        one = patients.parameters[key]
        return prior_variable(one.name, one.prior, exchangeable=True)

    with pm.Model(coords={"subject": patients.subject}) as model:
        treatment = pm.Data("treatment", patients.contrast, dims="subject")
        sign = pm.Data("benefit_sign", float(patients.signs[0]))
        mediator_sign = pm.Data("mediator_benefit_sign", float(patients.signs[1]))
        center = pm.Data("mediator_center", float(patients.mediator_score.mean()))
        scores = pm.Data("mediator_data", patients.mediator_score, dims="subject")
        before = None
        if patients.mediator_baseline is not None:
            before = pm.Data("mediator_baseline", patients.mediator_baseline, dims="subject")

        # the mediator
        level = variable("mediator_level")
        moved = variable("mediator_treatment")
        mean = level + mediator_sign * moved * treatment
        if before is not None:
            mean = mean + variable("mediator_own_slope") * before
        spread = variable("mediator_sd")
        pm.Normal("mediator", mu=mean, sigma=spread, observed=scores, dims="subject")

        # the outcome given the mediator
        controlled = variable("treatment")
        slope = variable("mediator_slope")
        interaction = variable("interaction") if patients.options["interaction"] else 0.0
        mean = variable("level") + sign * controlled * treatment
        mean = mean + (slope + interaction * treatment) * (scores - center)
        if patients.baseline is not None:
            baseline = pm.Data("baseline", patients.baseline, dims="subject")
            mean = mean + variable("baseline_slope") * baseline
        if before is not None:
            mean = mean + variable("mediator_baseline_slope") * before
        score = pm.Data("score_data", patients.score, dims="subject")
        residual = variable("sd_residual")
        pm.Normal("score", mu=mean, sigma=residual, observed=score, dims="subject")

        under_control = level - mediator_sign * moved / 2
        direct = controlled + sign * interaction * (under_control - center)
        indirect = sign * mediator_sign * (slope + interaction / 2) * moved
        pm.Deterministic("natural_direct_effect", direct)
        pm.Deterministic("natural_indirect_effect", indirect)
        pm.Deterministic("treatment_difference", direct + indirect)
    return model


def draw_priors(model: DepressionModel, size: int, *, seed: int) -> xr.Dataset:
    """Draw every parameter of both regressions from its prior, dims ``chain`` (1) and ``draw``.

    An improper prior is a SpecError.
    """
    return draw_parameters(list(model.parameters.values()), {}, size, seed=seed)


def subject_log_likelihood(draws: xr.Dataset, model: DepressionModel) -> xr.DataArray:
    """Return the log density of each patient's two scores, dims (chain, draw, subject).

    That of the mediator plus that of the outcome given the mediator.
    """
    mediator, outcome = _blocks(model)
    return blocks.subject_log_likelihood(draws, mediator) + blocks.subject_log_likelihood(
        draws, outcome
    )


def replicated_scores(
    draws: xr.Dataset, model: DepressionModel, rng: np.random.Generator
) -> xr.Dataset:
    """Draw ``score`` (chain, draw, subject, endpoint) of new patients, the outcome first.

    Arms and baselines are those of the data; an outcome goes with the mediator drawn for it.
    """
    first, second = _blocks(model)
    mediator = blocks.replicated_cells(draws, first, rng)
    slope = draws["mediator_slope"].values[..., None]
    if "interaction" in draws:
        slope = slope + draws["interaction"].values[..., None] * model.contrast
    # what the observed mediators contribute is replaced by what the new ones do
    moved = mediator - model.mediator_score[:, None]
    outcome = blocks.replicated_cells(draws, second, rng) + slope[..., None] * moved
    coords = {name: draws[name] for name in ("chain", "draw") if name in draws.coords}
    labels = {"subject": model.subject, "endpoint": [model.endpoint.id, model.mediator.id]}
    dims = ("chain", "draw", "subject", "endpoint")
    score = np.concatenate([outcome, mediator], axis=-1)
    return xr.Dataset({"score": (dims, score)}, coords={**coords, **labels})


def _blocks(model: DepressionModel) -> tuple[blocks.Blocks, blocks.Blocks]:
    """Return the mediator, and the outcome given the mediator, as one cell a patient."""
    parts = (
        (model.mediator_score, mediator_columns(model), "mediator_sd"),
        (model.score, outcome_columns(model), "sd_residual"),
    )
    mediator, outcome = (
        blocks.Blocks(
            score[:, None],
            model.subject,
            {name: column[:, None] for name, column in columns.items()},
            lambda draws, sd=sd: np.square(blocks.flat_draws(draws, sd))[:, None, None],  # type: ignore[misc]
        )
        for score, columns, sd in parts
    )
    return mediator, outcome


def rests_on(priors: Mapping[str, PriorValue], *, unit: str = "") -> str:
    """Name the informative priors that direct and indirect effects rest on."""
    named = [
        f"{said} has prior {prior if isinstance(prior, str) else prior.formula}{unit}"
        for said, prior in ((INFORMATIVE[name], priors[name]) for name in INFORMATIVE
                            if name in priors)
    ]  # fmt: skip
    return f"direct and indirect effects rest on more than the data: the {' and '.join(named)}"


def _both(evidence: Evidence, mediator: str) -> tuple[xr.Dataset, Endpoint, Endpoint]:
    """Return both scores and baselines by subject, complete ones only, and their endpoints."""
    patients = "outcomes" in evidence.data.children
    outcomes = evidence.data["outcomes"].to_dataset() if patients else xr.Dataset()
    names = [str(name) for name in outcomes["endpoint"].values] if patients else []
    others = [name for name in names if name != mediator]
    if patients and (mediator not in names or len(others) != 1):
        raise EvidenceError(
            f"this model needs two endpoints, an outcome and the mediator '{mediator}'; these "
            f"patients have {', '.join(names)}: take select_outcomes(evidence, ['OUTCOME', "
            f"'{mediator}']), or another mediator"
        )
    parts = {}
    for key, name in (("outcome", others[0] if others else mediator), ("mediator", mediator)):
        parts[key] = arm_trajectories(select_outcomes(evidence, [name]) if patients else evidence)
    outcome, second = parts["outcome"].isel(visit=0), parts["mediator"].isel(visit=0)
    joined = xr.Dataset({"outcome": outcome["score"], "active": outcome["active"]})
    joined = xr.merge(
        [joined, second["score"].rename("mediator"), *_befores(outcome, second)],
        join="inner", compat="override",
    )  # fmt: skip
    _refuse_one_arm(joined, mediator)
    subjects = outcomes.sizes["subject"]
    return (
        joined.assign_attrs(
            visit=str(outcome["visit"].item()), lost=subjects - len(joined.subject)
        ),
        evidence.trial.endpoint(outcome.attrs["endpoint"]),
        evidence.trial.endpoint(mediator),
    )


def _befores(outcome: xr.Dataset, mediator: xr.Dataset) -> list[xr.DataArray]:
    """Return the baselines that there are."""
    pairs = ((outcome, "baseline"), (mediator, "mediator_baseline"))
    return [one["baseline"].rename(name) for one, name in pairs if "baseline" in one]


def _refuse_one_arm(joined: xr.Dataset, mediator: str) -> None:
    """Refuse patients of one arm."""
    if len(np.unique(joined["active"].values)) != 2:
        raise EvidenceError(f"patients with both outcome and '{mediator}' are in one arm only")


def _baseline(
    arrays: xr.Dataset, spec: ModelSpec, name: str, endpoint: Endpoint
) -> FloatArray | None:
    """Return a centered baseline that the model adjusts for."""
    if spec.options[name] == "none":
        return None
    if name not in arrays:
        raise EvidenceError(
            f"model '{spec.name}' has {name} = 'covariate', but '{endpoint.id}' has no baseline in "
            f"these patients; take {name} = 'none'"
        )
    values = arrays[name].values.astype(float)
    if missing := int(np.isnan(values).sum()):
        raise EvidenceError(
            f"the baseline of '{endpoint.id}' is missing for {missing} of {len(values)} patients "
            f"with both scores; complete it, leave them out, or take {name} = 'none'"
        )
    return np.asarray(values - values.mean())


def _left_out(arrays: xr.Dataset) -> list[str]:
    """Say how many subjects lack one of the scores."""
    count = int(arrays.attrs["lost"])
    return [f"{count} subjects without both scores at this visit are left out"] if count else []


def _priors(
    model: DepressionModel, scales: Mapping[str, tuple[float, OccasionScale]]
) -> dict[str, Prior]:
    """Return every prior in the unit of its parameter."""
    found = {}
    for name in model.spec.parameters:
        reference_sd, scale = scales["mediator" if name in MEDIATOR else "outcome"]
        found[name] = in_score_units(
            model.spec.priors[name],
            scale=scale,
            reference_sd=reference_sd,
            standard_error=lambda name=name: _standard_error(model, name),  # type: ignore[misc]
            predictor_sd=_predictor_sd(model, name, scales["mediator"][1]),
        )
    return found


def _predictor_sd(model: DepressionModel, name: str, mediator: OccasionScale) -> float | None:
    """Return the SD of what a parameter is the slope of; of the mediator, within the arms."""
    if name in INFORMATIVE:
        return mediator.sd
    if name == "baseline_slope" and model.baseline is not None:
        return predictor_sd(model.baseline, f"baseline of {model.endpoint.id}")
    if name in ("mediator_baseline_slope", "mediator_own_slope"):
        assert model.mediator_baseline is not None
        return predictor_sd(model.mediator_baseline, f"baseline of {model.mediator.id}")
    return None


def _standard_error(model: DepressionModel, name: str) -> float:
    """Return the standard error of a treatment difference by analysis of covariance."""
    own = name == "mediator_treatment"
    columns = mediator_columns(model) if own else outcome_columns(model)
    rest = [value for key, value in columns.items() if key not in ("mediator_level", "level")][1:]
    table = ancova_analysis(
        model.mediator_score if own else model.score,
        model.active,
        covariates=np.stack(rest, axis=1) if rest else None,
    )
    return float(table["se"].sel(estimand="treatment_difference"))
