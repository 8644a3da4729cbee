"""Where a crossover specification meets its patients: scores, priors in score units, notes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from bayes_ptsd.errors import EvidenceError, SpecError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.pairs import CrossoverPairs
from bayes_ptsd.evidence.patient_arrays import crossover_arrays
from bayes_ptsd.frequentist import reml_crossover
from bayes_ptsd.patient_scale import (
    OccasionScale,
    endpoint_scale,
    in_score_units,
    occasion_scale,
    predictor_sd,
)
from bayes_ptsd.priors import FloatArray, Prior
from bayes_ptsd.scaled_priors import PriorVector, ScaledPrior
from bayes_ptsd.specification import ModelSpec
from bayes_ptsd.trial import Endpoint

__all__ = ["CrossoverModel", "crossover_model"]


@dataclass(frozen=True)
class CrossoverModel:
    """A crossover model with its data, ready to be computed by any engine."""

    spec: ModelSpec
    endpoint: Endpoint  # its `reference_sd` is estimated where the trial gives none
    pairs: CrossoverPairs  # scores as recorded; the covariate where there is one
    sequence: np.ndarray[Any, Any]  # label, dim (subject,)
    baselines: FloatArray | None  # of the joint model, dims (subject, period)
    # in score units; the levels of joint baselines have one a period
    priors: Mapping[str, Prior | PriorVector]
    notes: tuple[str, ...]  # what was taken from the data, and what was left out
    visit: str
    evidence: Evidence  # what it was made from
    known: Mapping[str, xr.Dataset]  # frequentist analyses that a prior has asked for already

    @property
    def options(self) -> Mapping[str, Any]:
        """Options of the specification."""
        return self.spec.options

    @property
    def sign(self) -> int:
        """Benefit sign of the endpoint: +1 if a higher score is better, else -1."""
        return self.endpoint.benefit_sign

    @property
    def observed(self) -> xr.Dataset:
        """Scores as recorded, dims (subject, period), with the sequence of each subject."""
        coords = {
            "subject": self.pairs.subject,
            "period": [1, 2],
            "sequence": ("subject", self.sequence),
        }
        data = {"score": (("subject", "period"), self.pairs.score)}
        if self.baselines is not None:
            data["baseline"] = (("subject", "period"), self.baselines)
        return xr.Dataset(data, coords=coords)

    @property
    def size(self) -> dict[str, Any]:
        """Numbers of subjects, observations and subjects by sequence."""
        labels, counts = np.unique(self.sequence, return_counts=True)
        return {
            "subjects": len(self.sequence),
            "observations": int(np.isfinite(self.pairs.score).sum()),
            "by_sequence": dict(zip(map(str, labels), map(int, counts), strict=True)),
        }


def crossover_model(evidence: Evidence, spec: ModelSpec) -> CrossoverModel:
    """Bring a crossover specification and patients, of one endpoint and visit, together.

    Scores enter as the room of the specification analyzes them.
    """
    evidence = spec.room.analyzed(evidence)
    arrays = crossover_arrays(evidence, _only_endpoint(evidence))
    endpoint = evidence.trial.endpoint(arrays.attrs["endpoint"])
    notes = []
    if left_out := int(arrays.attrs["subjects_without_score"]):
        notes.append(f"{left_out} subjects without any score are left out")
    _refuse_one_treatment(arrays)
    if spec.options["patients"] == "completers":
        arrays, more = _completers(arrays)
        notes += more
    pairs, baselines = _pairs(arrays, spec)
    sd, scales, said = _scales(endpoint, pairs, spec)
    known: dict[str, xr.Dataset] = {}

    def standard_error() -> float:
        known["reml"] = reml_crossover(pairs, benefit_sign=endpoint.benefit_sign)
        return float(known["reml"]["se"].sel(estimand="treatment_difference"))

    def prior_of(name: str, scale: OccasionScale) -> Prior:
        return in_score_units(
            spec.priors[name], scale=scale, reference_sd=sd, standard_error=standard_error,
            predictor_sd=_predictor_sd(name, pairs),
        )  # fmt: skip

    priors: dict[str, Prior | PriorVector] = {
        name: prior_of(name, scales.get(name, scales[""])) for name in spec.parameters
    }
    if baselines is not None:
        before = [occasion_scale(_arms(baselines, pairs, p), least_sd=sd) for p in (0, 1)]
        priors["baseline_level"] = PriorVector(
            tuple(prior_of("baseline_level", scale) for scale in before)
        )
        if priors["correlations"].dist != "lkj":
            raise SpecError(
                f"model '{spec.name}': the correlations of joint baselines have an lkj prior; "
                "write correlations = lkj(2)"
            )
    return CrossoverModel(
        spec=spec,
        endpoint=replace(endpoint, reference_sd=sd),
        pairs=pairs,
        sequence=arrays["sequence"].values.astype(str),
        baselines=baselines,
        priors=priors,
        notes=(*notes, *said),
        visit=str(arrays.attrs["visit"]),
        evidence=evidence,
        known=known,
    )


def _completers(arrays: xr.Dataset) -> tuple[xr.Dataset, list[str]]:
    """Return the patients with both periods, and who is left out."""
    complete = arrays["y"].notnull().all("period").values
    count = int((~complete).sum())
    kept = arrays.isel(subject=complete)
    if len(set(kept["sequence"].values)) < 2:
        raise EvidenceError(
            f"{int(complete.sum())} subjects have both periods, none of them in one of the "
            "sequences: completers alone say nothing about the treatments; take patients = all"
        )
    return kept, [f"{count} subjects with one period are left out"] if count else []


def _refuse_one_treatment(arrays: xr.Dataset) -> None:
    """Refuse scores that are all under one treatment: the difference would be its prior."""
    under = arrays["active"].values[arrays["y"].notnull().values]
    if under.min() == under.max():
        raise EvidenceError(
            f"endpoint '{arrays.attrs['endpoint']}' has scores under one treatment only, so that "
            "nothing compares the treatments"
        )


def _only_endpoint(evidence: Evidence) -> str:
    """Return the one endpoint of the evidence."""
    if "outcomes" not in evidence.data.children:
        raise EvidenceError(
            f"a crossover model needs patients; this evidence is '{evidence.kind}': load a patient "
            "file, or take a model such as 'published-crossover'"
        )
    names = [str(name) for name in evidence.data["outcomes"].to_dataset()["endpoint"].values]
    if len(names) != 1:
        raise EvidenceError(
            f"select one endpoint first: select_outcome(evidence, '{names[0]}'); there are "
            f"{', '.join(names)}"
        )
    return names[0]


def _pairs(arrays: xr.Dataset, spec: ModelSpec) -> tuple[CrossoverPairs, FloatArray | None]:
    """Return the scores with the baselines that the model uses."""
    wanted = spec.options["baseline"]
    if wanted != "none" and "baseline" not in arrays:
        raise EvidenceError(
            f"model '{spec.name}' has baseline = '{wanted}', but these patients have no baseline"
        )
    before = None
    if wanted == "covariate":
        # that of period 2 is measured after treatment and is never a covariate
        before = arrays["baseline"].sel(period=1).values.astype(float)
    baselines = arrays["baseline"].values.astype(float) if wanted == "joint" else None
    pairs = CrossoverPairs(
        arrays["y"].values.astype(float),
        arrays["active"].sel(period=1).values == 1,
        arrays["subject"].values,
        before,
    )
    return pairs, baselines


def _arms(table: FloatArray, pairs: CrossoverPairs, period: int) -> list[FloatArray]:
    """Return the column of a period by sequence."""
    return [table[pairs.active_first == first, period] for first in (True, False)]


def _scales(
    endpoint: Endpoint, pairs: CrossoverPairs, spec: ModelSpec
) -> tuple[float, dict[str, OccasionScale], list[str]]:
    """Return reference SD, scales by parameter (of all others under ""), and what to say of them.

    Both periods and both treatments count alike in the locations, so that they are blind to which
    treatment is which; the SD is that of the first period.
    """
    arms = [_arms(pairs.score, pairs, period) for period in (0, 1)]
    reference, scale, (located, *said) = endpoint_scale(endpoint, arms[0], occasion="first-period")
    # where nobody has a first or a second period, the other one stands in
    late = occasion_scale(arms[1], least_sd=scale.sd, otherwise=scale.location).location
    early = occasion_scale(arms[0], least_sd=scale.sd, otherwise=late).location
    level, change = (early + late) / 2, late - early
    if any(isinstance(spec.priors[name], ScaledPrior) for name in ("level", "period_effect")):
        located = (
            f"priors of level and period effect are centered where these data lie, at {level:.4g} "
            f"and {change:.4g} {endpoint.unit}, blind to which treatment is which"
        )
        said = [located.replace(" ,", ","), *said]
    scales = {"": scale, "level": OccasionScale(scale.sd, level)}
    return reference, scales | {"period_effect": OccasionScale(scale.sd, change)}, said


def _predictor_sd(name: str, pairs: CrossoverPairs) -> float | None:
    """Return the SD of what a parameter is the slope of, if it is one."""
    if name != "baseline_slope" or pairs.baseline is None:
        return None
    return predictor_sd(pairs.baseline, "baseline")
