"""Where a first-period specification meets its patients: scores, priors in score units, notes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.pairs import BoolArray
from bayes_ptsd.evidence.trajectories import arm_trajectories, covariate_columns
from bayes_ptsd.frequentist.ancova import ancova_analysis
from bayes_ptsd.gaussian.parameters import NU_FLOOR, Parameter
from bayes_ptsd.patient_scale import endpoint_scale, in_score_units, predictor_sd
from bayes_ptsd.priors import FloatArray, Prior
from bayes_ptsd.scaled_priors import PriorVector, prior_vector
from bayes_ptsd.specification import ModelSpec
from bayes_ptsd.trial import Endpoint

__all__ = ["FirstPeriodModel", "adjustment", "first_period_model", "linear_columns"]

NAMES: Mapping[str, str] = {"treatment": "treatment_difference"}
SLOPES = ("baseline_slope", "interaction")


@dataclass(frozen=True)
class FirstPeriodModel:
    """A comparison of two arms at one visit with its data, ready for any engine."""

    spec: ModelSpec
    endpoint: Endpoint  # its `reference_sd` is estimated where the trial gives none
    subject: np.ndarray[Any, Any]
    score: FloatArray  # as recorded, dim (subject,)
    active: BoolArray  # dim (subject,)
    arms: tuple[str, str]  # labels of control and active treatment
    baseline: FloatArray | None  # minus its mean over these patients, score units
    covariates: xr.DataArray  # dims (subject, column)
    priors: Mapping[str, Prior | PriorVector]  # in score units, by parameter
    notes: tuple[str, ...]  # what was taken from the data, and what was left out
    visit: str

    @property
    def options(self) -> Mapping[str, Any]:
        """Options of the specification."""
        return self.spec.options

    @property
    def sign(self) -> int:
        """Benefit sign of the endpoint: +1 if a higher score is better, else -1."""
        return self.endpoint.benefit_sign

    @property
    def contrast(self) -> FloatArray:
        """+1/2 in the active arm, -1/2 in the control arm: a level is the mean over both."""
        return np.where(self.active, 0.5, -0.5)

    @property
    def treatment(self) -> np.ndarray[Any, Any]:
        """Label of each patient's arm."""
        return np.where(self.active, self.arms[1], self.arms[0])

    @property
    def observed(self) -> xr.Dataset:
        """Scores as recorded, dim (subject), with the arm of each subject."""
        coords = {"subject": self.subject, "treatment": ("subject", self.treatment)}
        return xr.Dataset({"score": ("subject", self.score)}, coords=coords)

    @property
    def coords(self) -> dict[str, Any]:
        """Labels of the dims that parameters have."""
        return {"treatment": list(self.arms), "column": self.covariates["column"].values.tolist()}

    @property
    def parameters(self) -> dict[str, Parameter]:
        """Parameters of the model by their name in the specification."""
        unequal = self.options["arm_sd"] == "unequal"
        dims = {"covariate": ("column",)} | ({"sd_residual": ("treatment",)} if unequal else {})
        return {
            name: Parameter(
                NAMES.get(name, name),
                prior,
                dims.get(name, ()),
                floor=NU_FLOOR if name == "nu" else -np.inf,
            )
            for name, prior in self.priors.items()
        }

    @property
    def size(self) -> dict[str, Any]:
        """Numbers of subjects, observations and subjects by arm."""
        counts = {label: int((self.treatment == label).sum()) for label in self.arms}
        total = len(self.score)
        return {"subjects": total, "observations": total, "by_sequence": counts}


def first_period_model(evidence: Evidence, spec: ModelSpec) -> FirstPeriodModel:
    """Bring a first-period specification and patients, of one endpoint and visit, together.

    Of a crossover only period 1 is read.
    """
    arrays = arm_trajectories(evidence)
    if arrays.sizes["visit"] != 1:
        labels = ", ".join(map(str, arrays["visit"].values))
        raise EvidenceError(
            f"select one visit first: select_outcome(evidence, '{arrays.attrs['endpoint']}', "
            f"visit='{arrays['visit'].values[0]}'); there are {labels}"
        )
    endpoint = evidence.trial.endpoint(arrays.attrs["endpoint"])
    score, active = arrays["score"].values[:, 0].astype(float), arrays["active"].values == 1
    reference_sd, scale, said = endpoint_scale(
        endpoint, [score[active], score[~active]], occasion="first-period"
    )
    without = FirstPeriodModel(
        spec=spec,
        endpoint=replace(endpoint, reference_sd=reference_sd),
        subject=arrays["subject"].values.astype(str),
        score=score,
        active=active,
        arms=(evidence.trial.control, evidence.trial.active),
        baseline=_baseline(arrays, spec),
        covariates=covariate_columns(evidence, arrays["subject"], spec.options["covariates"]),
        priors={},
        notes=(*_left_out(arrays), *said),
        visit=str(arrays["visit"].values[0]),
    )

    def resolved(name: str, sd: float | None = None) -> Prior:
        return in_score_units(
            spec.priors[name], scale=scale, reference_sd=reference_sd, predictor_sd=sd,
            standard_error=lambda: _standard_error(without),
        )  # fmt: skip

    predictors = _predictor_sds(without)
    return replace(without, priors={
        name: prior_vector([resolved(name, sd) for sd in predictors.get(name, [None])])
        for name in spec.parameters
    })  # fmt: skip


def linear_columns(model: FirstPeriodModel) -> dict[str, FloatArray]:
    """Return the linear columns of the mean by coefficient, dim (subject).

    ``treatment_difference`` first, then ``level, baseline_slope, interaction`` and ``covariate
    <column>``.
    """
    benefit = model.sign * model.contrast
    columns = {"treatment_difference": benefit, "level": np.ones(len(benefit))}
    if model.baseline is not None:
        columns["baseline_slope"] = model.baseline
        if model.options["interaction"]:
            columns["interaction"] = benefit * model.baseline
    for label in model.covariates["column"].values:
        columns[f"covariate {label}"] = model.covariates.sel(column=label).values
    return columns


def adjustment(model: FirstPeriodModel) -> FloatArray | None:
    """Return centered baseline and covariates, dims (subject, covariate); None without any."""
    parts = [] if model.baseline is None else [model.baseline[:, None]]
    parts += [model.covariates.values] if model.covariates.size else []
    return np.concatenate(parts, axis=1) if parts else None


def _baseline(arrays: xr.Dataset, spec: ModelSpec) -> FloatArray | None:
    """Return the centered baseline that the model adjusts for."""
    if spec.options["baseline"] == "none":
        return None
    if "baseline" not in arrays:
        raise EvidenceError(
            f"model '{spec.name}' has baseline = 'covariate', but these patients have no baseline; "
            "take baseline = 'none'"
        )
    values = arrays["baseline"].values.astype(float)
    if missing := int(np.isnan(values).sum()):
        raise EvidenceError(
            f"the baseline is missing for {missing} of {len(values)} patients with a score; "
            "complete it, leave them out, or take baseline = 'none'"
        )
    return np.asarray(values - values.mean())


def _predictor_sds(model: FirstPeriodModel) -> dict[str, Sequence[float | None]]:
    """Return the SD of what each slope is of, one a column of the covariates."""
    labels, columns = model.covariates["column"].values.tolist(), model.covariates.values.T
    found: dict[str, Sequence[float | None]] = {
        "covariate": [predictor_sd(c, n) for n, c in zip(labels, columns, strict=True)]
    }
    if model.baseline is not None:
        found |= {name: [predictor_sd(model.baseline, "baseline")] for name in SLOPES}
    return found


def _left_out(arrays: xr.Dataset) -> list[str]:
    """Say how many subjects have no score at the visit."""
    count = int(arrays.attrs["subjects_without_score"])
    return [f"{count} subjects without a score at this visit are left out"] if count else []


def _standard_error(model: FirstPeriodModel) -> float:
    """Return the standard error of the treatment difference by analysis of covariance."""
    table = ancova_analysis(model.score, model.active, covariates=adjustment(model))
    return float(table["se"].sel(estimand="treatment_difference"))
