"""Likelihood-ratio inference for one parameter: profile limits and P value."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import optimize, stats

__all__ = ["profile_inference"]

WIDEST = 64.0


def profile_inference(
    highest: Callable[[float], float], estimate: float, *, top: float, se: float, level: float
) -> tuple[float, float, float]:
    """Return the limits and the P value that the likelihood ratio gives.

    Parameters
    ----------
    highest : callable
        The largest log likelihood at a value of the parameter.
    estimate : float
        Its maximum likelihood estimate.
    top : float
        The log likelihood there.
    se : float
        Wald standard error, the unit of the search.
    level : float
        Confidence level.

    Returns
    -------
    low, high, p_value : float
        The limits are infinite where the likelihood does not fall far enough; the P value is
        two-sided, of zero, from one degree of freedom of chi-squared.

    Examples
    --------
    >>> def parabola(x):
    ...     return -((x - 2) ** 2) / 2
    >>> low, high, p = profile_inference(parabola, 2.0, top=0.0, se=1.0, level=0.95)
    >>> round(low, 4), round(high, 4), round(p, 4)
    (0.04, 3.96, 0.0455)
    """
    cut = float(stats.chi2.ppf(level, 1)) / 2

    def excess(value: float) -> float:
        return top - highest(value) - cut

    low, high = (_limit(excess, estimate, sign * se) for sign in (-1, 1))
    ratio = max(2 * (top - highest(0.0)), 0.0)
    return low, high, float(stats.chi2.sf(ratio, 1))


def _limit(excess: Callable[[float], float], estimate: float, step: float) -> float:
    """Return where the excess crosses zero, going from the estimate in steps that grow."""
    near, width = 0.0, 1.5
    while width <= WIDEST:
        if excess(estimate + width * step) > 0:
            root = optimize.brentq(
                lambda k: excess(estimate + k * step), near, width, xtol=1e-6, rtol=1e-9
            )
            return float(estimate + root * step)
        near, width = width, 1.5 * width
    return float(np.copysign(np.inf, step))
