"""Where a first-period specification meets its patients, and the PyMC model of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.trajectories import arm_trajectories, covariate_columns
from bayes_ptsd.frequentist.ancova import ancova_analysis
from bayes_ptsd.gaussian.blocks import Blocks, flat_draws, replicated_cells
from bayes_ptsd.gaussian.parameters import NU_FLOOR, Parameter, draw_parameters
from bayes_ptsd.patient_scale import endpoint_scale, in_score_units, predictor_sd
from bayes_ptsd.priors import FloatArray, Prior
from bayes_ptsd.scaled_priors import prior_vector
from bayes_ptsd.specification import ModelSpec
from bayes_ptsd.structures.arms import ArmsModel, centered_baseline, left_out, recorded_baseline

if TYPE_CHECKING:
    import pymc as pm

__all__ = [
    "FirstPeriodModel",
    "adjustment",
    "draw_priors",
    "first_period_model",
    "linear_columns",
    "patient_blocks",
    "pymc_model",
    "replicated_scores",
]

NAMES: Mapping[str, str] = {"treatment": "treatment_difference"}
SLOPES = ("baseline_slope", "interaction")


@dataclass(frozen=True, kw_only=True)
class FirstPeriodModel(ArmsModel):
    """A comparison of two arms at one visit with its data, ready for any engine."""

    score: FloatArray  # as recorded, dim (subject,)
    covariates: xr.DataArray  # dims (subject, column)
    visit: str

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
        total = len(self.score)
        return {"subjects": total, "observations": total, "by_sequence": self.by_arm}


def pymc_model(model: FirstPeriodModel) -> pm.Model:
    """Build the PyMC model, whose equation stands at the head of the room.

    Scores and prior parameters are data that can be exchanged; an improper prior is a SpecError.
    """
    import pymc as pm
    import pytensor.tensor as pt

    from bayes_ptsd.pymc_priors import parameter_variable

    options, parameters = model.options, model.parameters
    with pm.Model(coords={"subject": model.subject, **model.coords}) as built:
        score = pm.Data("score_data", model.score, dims="subject")
        contrast = pm.Data("contrast", model.contrast, dims="subject")
        benefit = pm.Data("benefit_sign", float(model.sign)) * contrast

        treatment_difference = parameter_variable(parameters["treatment"])
        level = parameter_variable(parameters["level"])
        mean = level + treatment_difference * benefit
        if model.baseline is not None:
            baseline = pm.Data("baseline_centered", model.baseline, dims="subject")
            baseline_slope = parameter_variable(parameters["baseline_slope"])
            mean = mean + baseline_slope * baseline
            if options["interaction"]:
                interaction = parameter_variable(parameters["interaction"])
                mean = mean + interaction * baseline * benefit
        if model.covariates.size:
            columns = pm.Data("covariates", model.covariates.values, dims=("subject", "column"))
            covariate = parameter_variable(parameters["covariate"])
            mean = mean + (columns * covariate).sum(axis=1)

        sd_residual = parameter_variable(parameters["sd_residual"])
        if options["arm_sd"] == "unequal":
            sd_residual = pt.switch(pt.gt(contrast, 0), sd_residual[1], sd_residual[0])

        if options["likelihood"] == "student_t":
            nu = parameter_variable(parameters["nu"])
            pm.StudentT("score", nu=nu, mu=mean, sigma=sd_residual, observed=score, dims="subject")
        else:
            pm.Normal("score", mu=mean, sigma=sd_residual, observed=score, dims="subject")
    return built


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
        notes=(*left_out(arrays, "at this visit"), *said),
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


def patient_blocks(model: FirstPeriodModel) -> Blocks:
    """Return scores, columns and residual variances for the common density."""
    table = linear_columns(model)
    columns = {name: table[name][:, None] for name in table if not name.startswith("covariate ")}
    if model.covariates.size:
        columns["covariate"] = model.covariates.values[:, None, :]
    return Blocks(
        model.score[:, None],
        model.subject,
        columns,
        lambda draws: flat_draws(draws, "sd_residual")[..., None, None] ** 2,
        group=model.active.astype(int) if model.options["arm_sd"] == "unequal" else None,
    )


def replicated_scores(
    draws: xr.Dataset, model: FirstPeriodModel, rng: np.random.Generator
) -> xr.Dataset:
    """Draw ``score`` (chain, draw, subject) of new patients with the same arms and covariates."""
    score = replicated_cells(draws, patient_blocks(model), rng)[..., 0]
    coords = {"chain": draws["chain"], "draw": draws["draw"], **model.observed.coords}
    return xr.Dataset({"score": (("chain", "draw", "subject"), score)}, coords=coords)


def draw_priors(model: FirstPeriodModel, size: int, *, seed: int) -> xr.Dataset:
    """Draw every parameter from its prior, dims ``chain`` (1) and ``draw`` first.

    An improper prior is a SpecError.
    """
    return draw_parameters(list(model.parameters.values()), model.coords, size, seed=seed)


def adjustment(model: FirstPeriodModel) -> FloatArray | None:
    """Return centered baseline and covariates, dims (subject, covariate); None without any."""
    parts = [] if model.baseline is None else [model.baseline[:, None]]
    parts += [model.covariates.values] if model.covariates.size else []
    return np.concatenate(parts, axis=1) if parts else None


def _baseline(arrays: xr.Dataset, spec: ModelSpec) -> FloatArray | None:
    """Return the centered baseline that the model adjusts for."""
    if spec.options["baseline"] == "none":
        return None
    return centered_baseline(recorded_baseline(arrays, spec), instead="baseline = 'none'")


def _predictor_sds(model: FirstPeriodModel) -> dict[str, Sequence[float | None]]:
    """Return the SD of what each slope is of, one a column of the covariates."""
    labels, columns = model.covariates["column"].values.tolist(), model.covariates.values.T
    found: dict[str, Sequence[float | None]] = {
        "covariate": [predictor_sd(c, n) for n, c in zip(labels, columns, strict=True)]
    }
    if model.baseline is not None:
        found |= {name: [predictor_sd(model.baseline, "baseline")] for name in SLOPES}
    return found


def _standard_error(model: FirstPeriodModel) -> float:
    """Return the standard error of the treatment difference by analysis of covariance."""
    table = ancova_analysis(model.score, model.active, covariates=adjustment(model))
    return float(table["se"].sel(estimand="treatment_difference"))
