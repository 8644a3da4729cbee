"""Patients in ordered categories, arranged for a model, and a simulated trial of known truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.patient_arrays import outcomes_of
from bayes_ptsd.priors import FloatArray
from bayes_ptsd.simulation.patients import Baseline, Missingness, made_up_trial, simulate_trial
from bayes_ptsd.trial import Endpoint

__all__ = ["CategoryScores", "category_scores", "example_categories"]

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
        raise EvidenceError(
            f"endpoint '{endpoint}' has scores under one treatment only, so that nothing compares "
            "the treatments"
        )


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


def example_categories(
    kind: Literal["ordinal", "binary"] = "ordinal",
    *,
    design: Literal["crossover", "parallel"] = "crossover",
    subjects: int = 40,
    effect: float = 1.2,
    link: Literal["logit", "probit"] = "logit",
    baseline: bool = False,
    missing: float = 0.0,
    seed: int = 1,
) -> Evidence:
    """Simulate categories 1 to 5 (lower is better) or 0 and 1 (higher is better).

    `effect` is the benefit of the active treatment on the scale of the link, on which subject
    effects have the standard deviation 1 (none in a parallel trial) and a crossover the period
    effect -0.5; `missing` is the share of second periods lost at random.
    """
    ordinal, crossover = kind == "ordinal", design == "crossover"
    trial = made_up_trial(
        design,
        kind=kind,
        better="lower" if ordinal else "higher",
        range=(1.0, 5.0) if ordinal else None,
    )
    return simulate_trial(
        trial,
        n_by_sequence=subjects // 2,
        treatment=effect,
        period=-0.5 if crossover else 0.0,
        sd_subject=1.0 if crossover else 0.0,
        cutpoints=[-2.0, -0.7, 0.4, 1.6] if ordinal else [0.3],
        link=link,
        baseline=Baseline(mean=0.0) if baseline else None,
        missingness=Missingness(dropout=missing) if missing else None,
        seed=seed,
    )
