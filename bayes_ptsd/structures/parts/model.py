"""Where a specification of the parts of a total meets its patients, and the PyMC model of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from scipy import linalg

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.outcome import select_outcomes
from bayes_ptsd.evidence.trajectories import arm_trajectories
from bayes_ptsd.frequentist.ancova import ancova_analysis
from bayes_ptsd.gaussian.covariance import (
    correlation_matrix,
    covariance_matrix,
    pair_entries,
)
from bayes_ptsd.gaussian.parameters import Parameter
from bayes_ptsd.patient_scale import (
    OccasionScale,
    endpoint_scale,
    in_score_units,
    predictor_sd,
)
from bayes_ptsd.priors import FloatArray, Prior
from bayes_ptsd.scaled_priors import PriorVector
from bayes_ptsd.specification import ModelSpec
from bayes_ptsd.structures.arms import ArmsModel
from bayes_ptsd.trial import Endpoint, Trial

if TYPE_CHECKING:
    import pymc as pm

__all__ = ["PartsModel", "ancova_of", "part_names", "parts_model", "plane_root", "pymc_model"]

NAMES: Mapping[str, str] = {"treatment": "treatment_difference"}
ENDPOINT = ("endpoint",)
DIMS: Mapping[str, tuple[str, ...]] = {
    "level": ENDPOINT, "baseline_slope": ENDPOINT, "sd_residual": ENDPOINT
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class PartsModel(ArmsModel):
    """Parts of a total at one visit with their data, ready for a sampler."""

    # `endpoint` is the total; levels, slopes and sds have a prior for each part, the correlations
    # that of their matrix
    parts: tuple[Endpoint, ...]  # in the order of the trial
    score: FloatArray  # as recorded, dims (subject, endpoint); so is the baseline
    weight: FloatArray  # share of each part in the total's range, dim (endpoint,)
    visit: str

    @property
    def names(self) -> list[str]:
        """Ids of the parts."""
        return [part.id for part in self.parts]

    @property
    def pairs(self) -> list[str]:
        """Labels of the pairs of parts."""
        return [
            f"{self.names[i]} {self.names[j]}" for i in range(len(self.parts)) for j in range(i)
        ]

    @property
    def coords(self) -> dict[str, Any]:
        """Labels of the dims that parameters have."""
        return {"endpoint": self.names, "pair": self.pairs}

    @property
    def parameters(self) -> dict[str, Parameter]:
        """Parameters with a prior of their own by their name in the specification."""
        return {
            name: Parameter(NAMES.get(name, name), prior, DIMS.get(name, ()))
            for name, prior in self.priors.items()
            if name != "correlations"
        }

    @property
    def observed(self) -> xr.Dataset:
        """Scores as recorded, dims (subject, endpoint), with the arm of each subject."""
        coords = {
            "subject": self.subject,
            "endpoint": self.names,
            "treatment": ("subject", self.treatment),
        }
        return xr.Dataset({"score": (("subject", "endpoint"), self.score)}, coords=coords)

    @property
    def size(self) -> dict[str, Any]:
        """Numbers of subjects, observations and subjects by arm."""
        return {
            "subjects": len(self.score),
            "observations": self.score.size,
            "by_sequence": self.by_arm,
        }


def pymc_model(model: PartsModel) -> pm.Model:
    """Build the PyMC model, whose equation stands at the head of the room.

    Scores and prior parameters are data that can be exchanged; an improper prior is a SpecError.
    """
    import pymc as pm
    import pytensor.tensor as pt

    from bayes_ptsd.gaussian.observed import observe_masked, partial_correlations
    from bayes_ptsd.pymc_priors import parameter_variable

    parameters, count, dims = model.parameters, len(model.parts), ("subject", "endpoint")
    with pm.Model(coords={"subject": model.subject, **model.coords}) as built:
        treatment = pm.Data("treatment", model.contrast, dims="subject")
        weight = pm.Data("part_weight", model.weight, dims="endpoint")
        sign = pm.Data("benefit_sign", float(model.sign))

        treatment_difference = parameter_variable(parameters["treatment"])
        heterogeneity = parameter_variable(parameters["heterogeneity"])
        standard = pm.Normal("plane_standard", 0.0, 1.0, shape=count - 1)
        apart = heterogeneity * pt.dot(plane_root(count), standard)
        difference = pm.Deterministic(
            "endpoint_difference", weight * treatment_difference + apart, dims="endpoint"
        )

        level = parameter_variable(parameters["level"])
        mean = level + (sign * treatment)[:, None] * difference
        if model.baseline is not None:
            baseline = pm.Data("baseline", model.baseline, dims=dims)
            baseline_slope = parameter_variable(parameters["baseline_slope"])
            mean = mean + baseline_slope * baseline

        sd_residual = parameter_variable(parameters["sd_residual"])
        partial = partial_correlations(model.matrix, count, dim="pair")
        correlations = correlation_matrix("unstructured", count, partial=partial, xp=pt)
        pm.Deterministic("part_correlation", pair_entries(correlations, count), dims="pair")
        covariance = covariance_matrix(correlations, sd_residual)

        observe_masked("score", model.score, mean=mean, covariance=covariance, dims=dims)
    return built


def part_names(trial: Trial, total: str) -> list[str]:
    """Return the endpoints whose id begins with that of a total and an underscore; two or more."""
    trial.endpoint(total)
    parts = [name for name in trial.endpoints if name.startswith(f"{total}_")]
    if len(parts) < 2:
        raise EvidenceError(f"endpoint '{total}' has no parts; their ids begin with '{total}_'")
    return parts


def plane_root(count: int) -> FloatArray:
    """Return a root, dims (count, count - 1), of ``I - 1/count``: of numbers that sum to zero.

    Its columns are orthonormal: Helmert contrasts, the same on every processor.
    """
    return np.asarray(linalg.helmert(count).T)


def parts_model(evidence: Evidence, spec: ModelSpec) -> PartsModel:
    """Bring a specification and patients with all parts of a total at one visit together.

    Each part needs a range, which weighs it; of a crossover only period 1 is read.
    """
    trial, total = evidence.trial, str(spec.options["total"])
    arrays, lost = _together(evidence, part_names(trial, total))
    active = arrays["active"].values == 1
    score = arrays["score"].transpose("subject", "endpoint").values.astype(float)
    parts = [trial.endpoint(str(name)) for name in arrays["endpoint"].values]
    arms = [score[active], score[~active]]
    scales = [_scale(part, [one[:, i] for one in arms]) for i, part in enumerate(parts)]
    sd, scale, said = endpoint_scale(
        trial.endpoint(total), [one.sum(axis=1) for one in arms], occasion="first-period"
    )
    notes = [f"{lost} subjects without all parts at this visit are left out"] if lost else []
    without = PartsModel(
        spec=spec,
        endpoint=replace(trial.endpoint(total), reference_sd=sd),
        parts=tuple(
            replace(part, reference_sd=one[0]) for part, one in zip(parts, scales, strict=True)
        ),
        subject=arrays["subject"].values.astype(str),
        score=score,
        baseline=_baseline(arrays, spec),
        active=active,
        arms=(trial.control, trial.active),
        weight=_weights(parts),
        priors={},
        notes=(*notes, *said),
        visit=str(arrays["visit"].item()),
    )
    return replace(without, priors=_priors(without, scale, [one[1] for one in scales]))


def _together(evidence: Evidence, names: list[str]) -> tuple[xr.Dataset, int]:
    """Return the scores of all parts by subject, complete ones only, and how many are lost."""
    if "outcomes" not in evidence.data.children:
        raise EvidenceError(f"this model needs patients; this evidence is '{evidence.kind}'")
    found = {name: arm_trajectories(select_outcomes(evidence, [name])) for name in names}
    tables = []
    for name, one in found.items():
        kept = one.isel(visit=0)[[key for key in ("score", "baseline") if key in one]]
        tables.append(kept.expand_dims(endpoint=[name]))
    arrays = xr.concat(tables, dim="endpoint", join="inner", coords="minimal", compat="override")
    active = next(iter(found.values()))["active"].sel(subject=arrays["subject"])
    lost = evidence.data["outcomes"].sizes["subject"] - arrays.sizes["subject"]
    return arrays.assign(active=active), lost


def _scale(part: Endpoint, arms: list[FloatArray]) -> tuple[float, OccasionScale]:
    """Return the reference SD of one part and its scale."""
    if part.range is None:
        raise EvidenceError(f"endpoint '{part.id}' has no 'range', which weighs it in the total")
    return endpoint_scale(part, arms, occasion="first-period")[:2]


def _weights(parts: list[Endpoint]) -> FloatArray:
    """Return the share of each part in the range of all."""
    widths = np.array([part.range[1] - part.range[0] for part in parts if part.range])
    return np.asarray(widths / widths.sum())


def _baseline(arrays: xr.Dataset, spec: ModelSpec) -> FloatArray | None:
    """Return the centered baselines that the model adjusts for."""
    if spec.options["baseline"] == "none":
        return None
    there = "baseline" in arrays
    values = arrays["baseline"].transpose("subject", "endpoint").values if there else np.zeros(0)
    if missing := int(np.isnan(values.astype(float)).any(axis=-1).sum()) if there else 1:
        how = f"is missing for {missing} patients" if there else "is not there"
        raise EvidenceError(f"the baseline of a part {how}; complete it, or take baseline = 'none'")
    return np.asarray(values - values.mean(axis=0), dtype=float)


def _priors(
    model: PartsModel, total: OccasionScale, parts: list[OccasionScale]
) -> dict[str, Prior | PriorVector]:
    """Return the priors in score units."""

    def resolved(name: str, scale: OccasionScale, predictor: float | None = None) -> Prior:
        return in_score_units(
            model.spec.priors[name],
            scale=scale,
            reference_sd=float(model.endpoint.reference_sd or total.sd),
            standard_error=lambda: _standard_error(model),
            predictor_sd=predictor,
        )

    spreads = _baseline_sds(model)
    return {
        name: PriorVector(tuple(map(resolved, [name] * len(parts), parts, spreads)))
        if name in DIMS
        else resolved(name, total)
        for name in model.spec.parameters
    }


def _baseline_sds(model: PartsModel) -> list[float | None]:
    """Return the SD of each part's baseline, None where the model has none."""
    if model.baseline is None:
        return [None] * len(model.parts)
    return [
        predictor_sd(values, f"baseline of {name}")
        for name, values in zip(model.names, model.baseline.T, strict=True)
    ]


def ancova_of(model: PartsModel, place: int | None = None) -> xr.Dataset:
    """Compare the arms on one part, or on the sum of all, each adjusted for its own baseline."""

    def chosen(table: FloatArray) -> FloatArray:
        return np.asarray(table.sum(axis=1) if place is None else table[:, place])

    before = None if model.baseline is None else chosen(model.baseline)
    return ancova_analysis(
        chosen(model.score), model.active, covariates=before, benefit_sign=model.sign
    )


def _standard_error(model: PartsModel) -> float:
    """Return the standard error of the total's difference by analysis of covariance."""
    return float(ancova_of(model)["se"].sel(estimand="treatment_difference"))
