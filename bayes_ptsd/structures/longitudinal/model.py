"""Where a longitudinal specification meets its patients, and the PyMC model of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.trajectories import arm_trajectories, covariate_columns
from bayes_ptsd.frequentist.mmrm import mmrm_analysis
from bayes_ptsd.gaussian.covariance import correlation_matrix, covariance_matrix
from bayes_ptsd.gaussian.parameters import Parameter
from bayes_ptsd.patient_scale import (
    OccasionScale,
    endpoint_scale,
    in_score_units,
    occasion_scale,
    predictor_sd,
)
from bayes_ptsd.priors import MATRICES, FloatArray, Prior
from bayes_ptsd.scaled_priors import prior_vector
from bayes_ptsd.specification import ModelSpec
from bayes_ptsd.structures.arms import ArmsModel, centered_baseline, left_out, recorded_baseline

if TYPE_CHECKING:
    import pymc as pm

__all__ = [
    "BASELINE",
    "LongitudinalModel",
    "longitudinal_model",
    "pymc_model",
    "trajectory_mmrm",
]

BASELINE = "baseline"
"""Label of the occasion before treatment, where the baseline is an outcome."""

NAMES: Mapping[str, str] = {"treatment": "visit_difference", "nugget": "nugget_share"}
STRUCTURES = {
    "unstructured": "unstructured",
    "compound": "compound_symmetric",
    "autoregressive": "autoregressive",
}


@dataclass(frozen=True, kw_only=True)
class LongitudinalModel(ArmsModel):
    """A comparison of two arms at several visits with its data, ready for a sampler."""

    # scores as recorded, dims (subject, occasion), first the baseline if it is an outcome; NaN
    # where missing
    values: FloatArray
    baseline_level: float  # mean of the baselines, score units; NaN without any
    covariates: xr.DataArray  # dims (subject, column)
    visits: tuple[str, ...]
    days: FloatArray  # of the occasions, after treatment; NaN where the trial has none

    @property
    def joint(self) -> bool:
        """Whether the baseline is an outcome."""
        return bool(self.options["baseline"] == "joint")

    @property
    def occasions(self) -> tuple[str, ...]:
        """Labels of what is modeled: the visits, and first the baseline if it is an outcome."""
        return (BASELINE, *self.visits) if self.joint else self.visits

    @property
    def score(self) -> FloatArray:
        """Scores as recorded, dims (subject, visit)."""
        return self.values[:, 1:] if self.joint else self.values

    @property
    def observed(self) -> xr.Dataset:
        """Scores as recorded, dims (subject, visit), arms, and the baseline if it is an outcome."""
        coords = {
            "subject": self.subject,
            "visit": list(self.visits),
            "treatment": ("subject", self.treatment),
        }
        found = xr.Dataset({"score": (("subject", "visit"), self.score)}, coords=coords)
        return found.assign(baseline=("subject", self.values[:, 0])) if self.joint else found

    @property
    def coords(self) -> dict[str, Any]:
        """Labels of the dims that parameters have."""
        labels = self.occasions
        pairs = [f"{labels[j]}, {labels[i]}" for i in range(len(labels)) for j in range(i)]
        return {
            "visit": list(self.visits),
            "occasion": list(labels),
            "visit_pair": pairs,
            "column": self.covariates["column"].values.tolist(),
        }

    @property
    def parameters(self) -> dict[str, Parameter]:
        """Parameters with a prior of their own by their name in the specification.

        With shrinkage the differences at the visits have theirs given two of these; the
        correlations of an unstructured covariance have that of their matrix.
        """
        dims: dict[str, tuple[str, ...]] = {"level": ("occasion",), "covariate": ("column",)}
        if self.options["baseline"] == "covariate":
            dims["baseline_slope"] = ("visit",)
        if self.options["visit_sd"] == "unequal":
            dims["sd_visit"] = ("occasion",)
        names = dict(NAMES)
        if self.options["shrinkage"]:
            names["treatment"] = "shrinkage_mean"
        else:
            dims["treatment"] = ("visit",)
        return {
            name: Parameter(names.get(name, name), prior, dims.get(name, ()))
            for name, prior in self.priors.items()
            if prior.dist not in MATRICES
        }

    @property
    def size(self) -> dict[str, Any]:
        """Numbers of subjects, observations and subjects by arm."""
        seen = int(np.isfinite(self.score).sum())
        return {"subjects": len(self.active), "observations": seen, "by_sequence": self.by_arm}


def pymc_model(model: LongitudinalModel) -> pm.Model:
    """Build the PyMC model, whose equation stands at the head of the room.

    Scores, which of them are there, and prior parameters are data that can be exchanged; an
    improper prior is a SpecError.
    """
    import pymc as pm
    import pytensor.tensor as pt

    from bayes_ptsd.gaussian.observed import observe_masked, partial_correlations
    from bayes_ptsd.pymc_priors import parameter_variable

    options, parameters, count = model.options, model.parameters, len(model.occasions)
    with pm.Model(coords={"subject": model.subject, **model.coords}) as built:
        contrast = pm.Data("contrast", model.contrast, dims="subject")
        benefit = pm.Data("benefit_sign", float(model.sign)) * contrast

        difference = parameter_variable(parameters["treatment"])
        if options["shrinkage"]:
            shrinkage_sd = parameter_variable(parameters["shrinkage_sd"])
            standard = pm.Normal("visit_standard", 0, 1, dims="visit")
            difference = pm.Deterministic(
                "visit_difference", difference + shrinkage_sd * standard, dims="visit"
            )
        pm.Deterministic("treatment_difference", difference.mean())
        if model.joint:  # nobody is treated yet
            difference = pt.concatenate([pt.zeros(1), difference])

        level = parameter_variable(parameters["level"])
        mean = level + benefit[:, None] * difference
        if model.baseline is not None:
            baseline = pm.Data("baseline_centered", model.baseline, dims="subject")
            baseline_slope = parameter_variable(parameters["baseline_slope"])
            mean = mean + baseline[:, None] * baseline_slope
        if model.covariates.size:
            columns = pm.Data("covariates", model.covariates.values, dims=("subject", "column"))
            covariate = parameter_variable(parameters["covariate"])
            mean = mean + (columns * covariate).sum(axis=1)[:, None]

        sd_visit = parameter_variable(parameters["sd_visit"])
        form: dict[str, Any] = {}
        if options["covariance"] == "unstructured":
            form["partial"] = partial_correlations(model.matrix, count, dim="visit_pair")
        elif options["covariance"] == "compound":
            form["correlation"] = parameter_variable(parameters["correlation"])
        else:
            form["half_life"] = parameter_variable(parameters["half_life"])
            if options["nugget"]:
                form["nugget"] = parameter_variable(parameters["nugget"])
        correlations = correlation_matrix(
            options["covariance"], count, days=model.days, xp=pt, **form
        )
        spread = sd_visit if options["visit_sd"] == "unequal" else sd_visit * pt.ones(count)
        covariance = covariance_matrix(correlations, spread)

        dims = ("subject", "occasion")
        observe_masked("score", model.values, mean=mean, covariance=covariance, dims=dims)
    return built


def longitudinal_model(evidence: Evidence, spec: ModelSpec) -> LongitudinalModel:
    """Bring a specification and patients with one endpoint and several visits together.

    Of a crossover only period 1 is read.
    """
    arrays = arm_trajectories(evidence)
    if arrays.sizes["visit"] < 2:
        raise EvidenceError(
            f"model '{spec.name}' compares visits, and there is one with scores; take the model "
            "'first-period'"
        )
    endpoint = evidence.trial.endpoint(arrays.attrs["endpoint"])
    active = arrays["active"].values == 1
    first = arrays["score"].values[:, 0].astype(float)
    reference_sd, scale, said = endpoint_scale(
        endpoint, [first[active], first[~active]], occasion="first-visit"
    )
    values, centered, level = _values(arrays, spec)
    without = LongitudinalModel(
        spec=spec,
        endpoint=replace(endpoint, reference_sd=reference_sd),
        subject=arrays["subject"].values.astype(str),
        values=values,
        active=active,
        arms=(evidence.trial.control, evidence.trial.active),
        baseline=centered,
        baseline_level=level,
        covariates=covariate_columns(evidence, arrays["subject"], spec.options["covariates"]),
        visits=tuple(map(str, arrays["visit"].values)),
        days=_days(arrays, spec),
        priors={},
        notes=(*left_out(arrays, "at any visit"), *said, *_shrunk(spec)),
    )

    def resolved(name: str, occasion: OccasionScale, sd: float | None) -> Prior:
        return in_score_units(
            spec.priors[name], scale=occasion, reference_sd=reference_sd, predictor_sd=sd,
            standard_error=lambda: _standard_error(without),
        )  # fmt: skip

    elements = _elements(without, scale, least_sd=reference_sd)
    return replace(without, priors={
        name: prior_vector([resolved(name, *one) for one in elements.get(name, [(scale, None)])])
        for name in spec.parameters
    })  # fmt: skip


def trajectory_mmrm(model: LongitudinalModel) -> xr.Dataset:
    """Return the `mmrm_analysis` of the same estimands, by REML.

    A baseline that is an outcome is a covariate here, and patients without one are left out.
    """
    rows = np.isfinite(model.score).any(axis=1)
    before = model.baseline
    if model.joint:
        before = model.values[:, 0]
        rows &= np.isfinite(before)
    columns = [model.covariates.values] if model.covariates.size else []
    by_visit = None if before is None else before[rows]
    if model.options["baseline"] == "common_slope" and before is not None:
        columns, by_visit = [*columns, before[:, None]], None
    structure = STRUCTURES[model.options["covariance"]]
    unequal = model.options["visit_sd"] == "unequal" and structure != "unstructured"
    return mmrm_analysis(
        model.observed["score"].isel(subject=rows),
        model.active[rows],
        covariates=np.column_stack(columns)[rows] if columns else None,
        covariates_by_visit=by_visit,
        structure=f"{structure}_heterogeneous" if unequal else structure,
        times=model.days[-len(model.visits) :] if structure == "autoregressive" else None,
        benefit_sign=model.sign,
    )


def _elements(
    model: LongitudinalModel, first: OccasionScale, *, least_sd: float
) -> dict[str, list[tuple[OccasionScale, float | None]]]:
    """Return of each element of a parameter the occasion that it belongs to and its predictor's SD.

    Parameters that are not here belong to the first visit.
    """
    arms = [model.values[model.active], model.values[~model.active]]
    occasions = [
        occasion_scale([arm[:, place] for arm in arms], least_sd=least_sd)
        for place in range(len(model.occasions))
    ]
    levels: list[tuple[OccasionScale, float | None]] = [(one, None) for one in occasions]
    labels, columns = model.covariates["column"].values.tolist(), model.covariates.values.T
    found: dict[str, list[tuple[OccasionScale, float | None]]] = {
        "level": levels,
        "covariate": [(first, predictor_sd(c, n)) for n, c in zip(labels, columns, strict=True)],
    }
    if model.options["visit_sd"] == "unequal":
        found["sd_visit"] = levels
    if model.baseline is not None:
        sd = predictor_sd(model.baseline, "baseline")
        common = model.options["baseline"] == "common_slope"
        found["baseline_slope"] = [(one, sd) for one in ([first] if common else occasions)]
    return found


def _values(arrays: xr.Dataset, spec: ModelSpec) -> tuple[FloatArray, FloatArray | None, float]:
    """Return what is modeled, the baseline as a covariate and the mean baseline."""
    score = arrays["score"].values.astype(float)
    asked = spec.options["baseline"]
    if asked == "none" and "baseline" not in arrays:
        return score, None, float("nan")
    before = recorded_baseline(arrays, spec)
    level = float(np.nanmean(before))
    if asked == "joint":
        return np.column_stack([before, score]), None, level
    if asked == "none":
        return score, None, level
    instead = "baseline = 'joint' (model 'longitudinal-clda')"
    return score, centered_baseline(before, instead=instead), level


def _days(arrays: xr.Dataset, spec: ModelSpec) -> FloatArray:
    """Return the days of the occasions; a baseline is at day zero."""
    if "hours" not in arrays.coords:
        if spec.options["covariance"] == "autoregressive":
            raise EvidenceError(
                f"model '{spec.name}' needs the hours of the visits: add [visits] to the trial file"
            )
        days = np.full(arrays.sizes["visit"], np.nan)
    else:
        days = arrays["hours"].values.astype(float) / 24
    if spec.options["baseline"] != "joint":
        return days
    if spec.options["covariance"] == "autoregressive" and days[0] <= 0:
        raise EvidenceError("the first visit is at hour 0, which is when the baseline was taken")
    return np.concatenate([[0.0], days])


def _shrunk(spec: ModelSpec) -> list[str]:
    """Say that the differences at the visits are drawn toward each other, where they are."""
    if not spec.options["shrinkage"]:
        return []
    return [
        "the differences at the visits are shrunk toward a common mean: each borrows from the "
        "other visits; model 'longitudinal' leaves them independent"
    ]


def _standard_error(model: LongitudinalModel) -> float:
    """Return the standard error of the mean treatment difference by REML."""
    table = trajectory_mmrm(model)
    return float(table["se"].sel(estimand="treatment_difference"))
