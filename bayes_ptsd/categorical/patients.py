"""Patients in ordered categories: which category, under which treatment, in which period."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.patient_arrays import outcomes_of
from bayes_ptsd.priors import FloatArray
from bayes_ptsd.trial import Endpoint

__all__ = ["CategoryScores", "category_scores"]

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]
INSTEAD = {
    "continuous": "take model 'crossover'",
    "ordinal": "take model 'ordinal'",
    "binary": "take model 'binary'",
}


@dataclass(frozen=True)
class CategoryScores:
    """Categories of subjects by period."""

    endpoint: str
    visit: str
    categories: IntArray  # of the endpoint, in order
    place: IntArray  # of the observed category, dims (subject, period); 0 where there is none
    there: BoolArray  # whether there is a score, dims (subject, period)
    active: FloatArray  # 1 under the active treatment, else 0, dims (subject, period)
    subject: NDArray[np.generic]
    sequence: NDArray[np.str_]
    baseline: FloatArray | None  # before the first treatment, less the subjects' mean
    notes: tuple[str, ...]  # what was left out


def category_scores(
    evidence: Evidence, *, both: bool, baseline: bool, wanted: str
) -> CategoryScores:
    """Arrange patients in ordered categories, of `both` periods or of the first (or only) one.

    Subjects without a score in the periods that are analyzed are left out and counted.
    """
    outcomes, endpoint, visit = _outcome(evidence, wanted)
    if both and evidence.trial.design != "crossover":
        raise EvidenceError(
            f"trial '{evidence.trial.name}' is parallel and has one period: take model "
            f"'{wanted}-first-period'"
        )
    values = outcomes["value"] if both else outcomes["value"].sel(period=[1])
    categories = _categories(endpoint, values)
    keep = values.notnull().any("period").values
    values = values.isel(subject=keep)
    notes = [f"{int((~keep).sum())} subjects without any score are left out"] if ~keep.all() else []
    active = (values["treatment"] == evidence.trial.active).values.astype(float)
    there = values.notnull().values
    _refuse_one_arm(active[there], endpoint.id)
    before = _baseline(outcomes.isel(subject=keep), endpoint.id) if baseline else None
    return CategoryScores(
        endpoint=endpoint.id,
        visit=visit,
        categories=categories,
        place=np.where(there, np.nan_to_num(values.values) - categories[0], 0).astype(int),
        there=there,
        active=active,
        subject=values["subject"].values,
        sequence=values["sequence"].values.astype(str),
        baseline=before,
        notes=tuple(notes),
    )


def _outcome(evidence: Evidence, wanted: str) -> tuple[xr.Dataset, Endpoint, str]:
    """Return scores by subject and period, their endpoint and the label of their visit."""
    outcomes = outcomes_of(evidence)
    if outcomes.sizes["endpoint"] != 1 or outcomes.sizes["visit"] != 1:
        names, visits = (list(map(str, outcomes[dim].values)) for dim in ("endpoint", "visit"))
        raise EvidenceError(
            f"select one endpoint and visit first: select_outcome(evidence, '{names[0]}', "
            f"visit='{visits[0]}'); there are {', '.join(names)} at {', '.join(visits)}"
        )
    endpoint = evidence.trial.endpoint(str(outcomes["endpoint"].values[0]))
    if endpoint.kind != wanted:
        raise EvidenceError(
            f"endpoint '{endpoint.id}' is {endpoint.kind}, and this model is for {wanted} "
            f"endpoints: {INSTEAD[endpoint.kind]}, or correct its kind in the trial file"
        )
    visit = str(outcomes["visit"].values[0])
    plain = outcomes.isel(endpoint=0, visit=0).transpose("subject", "period")
    return plain.drop_vars(["endpoint", "visit", "hours"], errors="ignore"), endpoint, visit


def _categories(endpoint: Endpoint, values: xr.DataArray) -> IntArray:
    """Return every category of an endpoint; refuse scores that are none."""
    if endpoint.kind != "binary" and endpoint.range is None:
        raise EvidenceError(
            f"endpoint '{endpoint.id}' has no range: which categories there are cannot be seen "
            "from those that occurred; add range = [lowest, highest] to the trial file"
        )
    low, high = (0.0, 1.0) if endpoint.kind == "binary" else endpoint.range or (0.0, 1.0)
    found = values.values[values.notnull().values]
    odd = (found < low) | (found > high) | (found != np.round(found))
    if odd.any() or low != round(low) or high != round(high):
        raise EvidenceError(
            f"endpoint '{endpoint.id}': categories are whole numbers from {low:g} to {high:g}; "
            f"found {found[odd][0] if odd.any() else low:g}"
        )
    return np.arange(int(low), int(high) + 1)


def _refuse_one_arm(active: FloatArray, endpoint: str) -> None:
    """Refuse scores of one treatment only."""
    if active.all() or not active.any():
        raise EvidenceError(f"endpoint '{endpoint}' has scores under one treatment only")


def _baseline(outcomes: xr.Dataset, endpoint: str) -> FloatArray:
    """Return the centered baseline before the first treatment, one a subject."""
    if "baseline" not in outcomes or not bool(outcomes["baseline"].notnull().any()):
        raise EvidenceError(
            f"the model has baseline = 'covariate', but endpoint '{endpoint}' has no baseline"
        )
    # that of period 2 is measured after treatment and is never a covariate
    before = outcomes["baseline"].sel(period=1).values.astype(float)
    if not np.isfinite(before).all():
        raise EvidenceError(
            f"{int((~np.isfinite(before)).sum())} subjects have no baseline of endpoint "
            f"'{endpoint}'; impute it beforehand or leave it out"
        )
    return np.asarray(before - before.mean())
