"""Likelihood-ratio inference for one parameter: profile limits and P value."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import optimize, stats

__all__ = ["profile_inference"]

# Wald standard errors to which a limit is sought; a likelihood that has not fallen by there is
# taken never to.
WIDEST = 64.0


def profile_inference(
    highest: Callable[[float], float], estimate: float, *, top: float, se: float, level: float
) -> tuple[float, float, float]:
    """Return both limits and the two-sided P value of zero that the likelihood ratio gives.

    `highest` is the largest log likelihood at a value of the parameter, `top` that at the estimate.
    A limit is infinite where the likelihood does not fall far enough; `se` (Wald) is the unit of
    search.
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
