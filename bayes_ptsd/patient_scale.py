"""Priors of patient models in score units: where the data lie and how far they spread.

Levels, period effects and slopes are nuisances: their priors are centered where both treatments
together lie and are so wide that they cannot move the difference between the treatments. They are
blind to which arm is which, and no range or midpoint of a scale enters them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bayes_ptsd.errors import BayesPtsdError, EvidenceError, SpecError
from bayes_ptsd.prior_family import resolve_prior
from bayes_ptsd.priors import FloatArray, Prior
from bayes_ptsd.scaled_priors import ScaledPrior
from bayes_ptsd.specification import PriorValue
from bayes_ptsd.trial import Endpoint

__all__ = ["OccasionScale", "endpoint_scale", "in_score_units", "occasion_scale", "predictor_sd"]

NONE = "take baseline = 'none'"
# An SD this small beside the largest score is rounding: 4 of a double's 16 digits are left to it.
ROUNDING = 1e-12
DOUBTFUL = 3.0
"""A reference SD this many times the SD of the data, or this part of it, is said to be doubtful:
a selected sample makes a factor of two, a mistyped number one of ten."""


@dataclass(frozen=True)
class OccasionScale:
    """Where an outcome lies at one occasion and how far it spreads, score units."""

    sd: float  # the larger of the reference SD and the pooled SD within the arms
    location: float  # mean of the two arms' means: swapping the arms changes nothing


def endpoint_scale(
    endpoint: Endpoint, arms: Sequence[FloatArray], *, occasion: str
) -> tuple[float, OccasionScale, list[str]]:
    """Return the reference SD of an endpoint, its scale at the first occasion, and notes on both.

    The SD is the trial file's, or the pooled SD within the arms, whose scores are NaN where
    missing; priors of the treatment difference are multiples of it.
    """
    pooled, unit = _pooled_sd(arms), endpoint.unit
    reference = endpoint.reference_sd
    if reference is None and not pooled > 0:
        raise EvidenceError(
            f"endpoint '{endpoint.id}' has no 'reference_sd' in the trial file and its "
            f"{occasion} scores do not allow to estimate one{_why_no_sd(arms)}"
        )
    scale = occasion_scale(arms, least_sd=reference or pooled)
    notes = [
        f"priors of the levels are centered at the {occasion} mean of both treatments in these "
        f"data, {scale.location:.4g} {unit}, blind to which is which"
    ]
    if reference is None:
        notes.append(
            f"endpoint '{endpoint.id}' has no reference_sd: prior scales and standardized effects "
            f"use the pooled {occasion} SD of these data, {pooled:.4g} {unit}"
        )
    elif pooled > 0 and not 1 / DOUBTFUL < reference / pooled < DOUBTFUL:
        notes.append(
            f"endpoint '{endpoint.id}' has reference_sd = {reference:.4g}, and the pooled "
            f"{occasion} SD of these data is {pooled:.4g} {unit}: check it; skeptical, weak and "
            "enthusiastic priors of the treatment difference are multiples of it"
        )
    return reference or pooled, scale, notes


def occasion_scale(
    arms: Sequence[FloatArray], *, least_sd: float, otherwise: float = 0.0
) -> OccasionScale:
    """Return the scale of an outcome at one occasion, in score units, at least `least_sd`.

    An arm without scores (NaN where missing) is passed over; `otherwise` is the location if nobody
    has a score.
    """
    means = [group.mean() for group in map(_seen, arms) if len(group)]
    location = float(np.mean(means)) if means else otherwise
    return OccasionScale(max(_pooled_sd(arms), least_sd), location)


def predictor_sd(values: FloatArray, name: str) -> float:
    """Return the SD of a baseline or covariate over all patients, in its own unit; never zero."""
    seen = _seen(values)
    sd = float(seen.std(ddof=1)) if len(seen) > 1 else 0.0
    if not sd > 0:
        raise EvidenceError(
            f"'{name}' is the same for all patients, so it has no slope; "
            f"{NONE if name.startswith('baseline') else 'leave it out'}"
        )
    return sd


def in_score_units(
    asked: PriorValue,
    *,
    scale: OccasionScale,
    reference_sd: float,
    standard_error: Callable[[], float],
    predictor_sd: float | None = None,
) -> Prior:
    """Return a prior of a model file in score units.

    The prior `reference`, which stands in for flat, takes the larger of the scale's SD and
    `reference_sd`; `cochrane` alone asks for `standard_error`. `predictor_sd` is that of what the
    parameter is the slope of.
    """
    if isinstance(asked, Prior):
        return asked
    if isinstance(asked, ScaledPrior):
        return asked.resolve(sd=scale.sd, location=scale.location, predictor_sd=predictor_sd)
    se = None
    if asked == "cochrane":
        try:
            se = standard_error()
        except BayesPtsdError as error:
            raise SpecError(f"prior 'cochrane' needs a standard error: {error}") from error
    sd = max(reference_sd, scale.sd) if asked == "reference" else reference_sd
    return resolve_prior(asked, sd=sd, se=se)


def _seen(values: FloatArray) -> FloatArray:
    """Return the values that are not missing."""
    return np.asarray(values[np.isfinite(values)])


def _pooled_sd(arms: Sequence[FloatArray]) -> float:
    """Return the pooled SD within the arms; zero where it cannot be estimated."""
    groups = [group for group in map(_seen, arms) if len(group)]
    freedom = sum(len(group) - 1 for group in groups)
    squares = sum(float(((group - group.mean()) ** 2).sum()) for group in groups)
    sd = float(np.sqrt(squares / freedom)) if freedom > 0 else 0.0
    return sd if sd > ROUNDING * max((np.abs(one).max() for one in groups), default=0.0) else 0.0


def _why_no_sd(arms: Sequence[FloatArray]) -> str:
    """Say why scores give no SD and what to do; where all are alike a reference SD may not help."""
    if max(len(_seen(group)) for group in arms) < 2:
        return ": no two patients of an arm have one; add it"
    return (
        ": they are all alike within the arms; are they derived or rounded? If they are right and "
        "those of another period vary, add it"
    )
