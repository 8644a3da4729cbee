"""Reverse-Bayes measures of one interval: which priors would change what it says.

Analysis of credibility [1]_ uses the two printed limits only, as limits of a normal 95% interval
(convention N); intrinsic credibility [1]_ [2]_ uses the z value. Both work for benefit in either
direction.

References
----------
.. [1] Matthews RAJ. Beyond 'significance': principles and practice of the analysis of credibility.
   Royal Society Open Science 2018;5(1):171047.
.. [2] Held L. The assessment of intrinsic credibility and a new argument for p < 0.005. Royal
   Society Open Science 2019;6(3):181534.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from scipy import special

from bayes_ptsd.errors import SpecError, nearest

__all__ = [
    "INTRINSIC_FACTORS",
    "CriticalPrior",
    "advocacy_limit",
    "critical_prior",
    "intrinsic_p_value",
    "skepticism_limit",
]

INTRINSIC_FACTORS = {
    "held": math.sqrt(1 / 2),
    "matthews": math.sqrt((math.sqrt(5) - 1) / 2),
}
"""Factor on z by which each definition of intrinsic credibility discounts the estimate."""

# of the width: a limit recovered from a P value is 0 but for its arithmetic
AT_ZERO = 1e-9


@dataclass(frozen=True)
class CriticalPrior:
    """The prior at which a 95% posterior interval just touches zero."""

    kind: Literal["skepticism", "advocacy", "undefined"]
    limit: float  # score units, with the sign of the effect; NaN if undefined
    low: float  # of its 95% interval: -|limit| for skepticism; advocacy has 0 and the limit
    high: float
    reason: str  # what the limit means, or why there is none


def critical_prior(low: float, high: float) -> CriticalPrior:
    """Return the analysis of credibility of a 95% interval in score units.

    Skepticism for an interval without zero, advocacy for one around zero, undefined where a limit
    is zero or the interval is symmetric about zero.
    """
    _check_limits(low, high)
    if _at_zero(low, high):
        return _undefined("a limit of the interval is 0, where neither limit is defined")
    if low < 0 < high:
        return _advocacy(low, high)
    limit = skepticism_limit(low, high)
    reason = (
        f"a prior centered on 0 with a 95% interval of {-abs(limit):.4g} to {abs(limit):.4g} or "
        f"narrower makes the posterior interval include 0"
    )
    return CriticalPrior("skepticism", limit, -abs(limit), abs(limit), reason)


def _advocacy(low: float, high: float) -> CriticalPrior:
    """Return the branch for intervals around zero."""
    limit = advocacy_limit(low, high)
    if abs(limit) <= AT_ZERO * (high - low):
        return _undefined("the interval is symmetric about 0: it favors neither direction")
    ends = sorted((0.0, limit))
    reason = (
        f"a prior with a 95% interval of {ends[0]:.4g} to {ends[1]:.4g} makes the posterior "
        f"interval just exclude 0; one that reaches farther from 0 does not"
    )
    return CriticalPrior("advocacy", limit, ends[0], ends[1], reason)


def _undefined(reason: str) -> CriticalPrior:
    """Return the result that has no limit, with the reason."""
    return CriticalPrior("undefined", math.nan, math.nan, math.nan, reason)


def skepticism_limit(low: float, high: float) -> float:
    """Return the skepticism limit of an interval that excludes zero, in score units.

    ``(U - L)^2 / (4 sqrt(U L))`` with the sign of the effect: the prior N(0, (limit / 1.96)^2)
    gives a 95% posterior interval that just touches zero.
    """
    _check_limits(low, high)
    if low <= 0 <= high or _at_zero(low, high):
        raise SpecError(f"the skepticism limit needs an interval without 0, got {low} to {high}")
    return math.copysign((high - low) ** 2 / (4 * math.sqrt(high * low)), low)


def advocacy_limit(low: float, high: float) -> float:
    """Return the advocacy limit of an interval that includes zero, in score units.

    ``-(U + L) (U - L)^2 / (2 U L)`` with the sign of the estimate: the normal prior whose 95%
    interval runs from 0 to the limit gives a posterior interval that just touches zero. Zero if the
    interval is symmetric.
    """
    _check_limits(low, high)
    if not low < 0 < high or _at_zero(low, high):
        raise SpecError(f"the advocacy limit needs an interval around 0, got {low} to {high}")
    return -(high + low) * (high - low) ** 2 / (2 * high * low)


def _check_limits(low: float, high: float) -> None:
    """Refuse limits that are no interval."""
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise SpecError(f"interval limits must be finite and in increasing order: {low} to {high}")


def _at_zero(low: float, high: float) -> bool:
    """Tell a limit that is zero but for the arithmetic that recovered it."""
    return min(abs(low), abs(high)) <= AT_ZERO * (high - low)


def intrinsic_p_value(z: float, *, method: str = "held") -> float:
    """Return the two-sided P value for intrinsic credibility; the sign of z does not matter.

    Held compares the estimate with its prior-predictive distribution under the sufficiently
    skeptical prior, Matthews asks that it lie outside that prior's own 95% interval: ``2 (1 -
    Phi(|z| / sqrt 2))`` or ``2 (1 - Phi(|z| sqrt((sqrt 5 - 1) / 2)))``. A result is intrinsically
    credible at level alpha where this is at most alpha.
    """
    if method not in INTRINSIC_FACTORS:
        raise SpecError(f"unknown method '{method}'{nearest(method, INTRINSIC_FACTORS)}")
    return float(2 * special.ndtr(-abs(z) * INTRINSIC_FACTORS[method]))
