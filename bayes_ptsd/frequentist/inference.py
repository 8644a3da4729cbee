"""Wald and likelihood-ratio inference, and the one form in which an analysis is returned."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike
from scipy import special

from bayes_ptsd.errors import EvidenceError, SpecError
from bayes_ptsd.location_scale import t_quantile

__all__ = ["inference_table", "profile_inference"]

# Wald standard errors to which a limit is sought; a likelihood that has not fallen by there is
# taken never to.
WIDEST = 64.0


def inference_table(
    estimate: Mapping[str, float],
    *,
    se: ArrayLike,
    df: ArrayLike,
    level: float,
    attrs: Mapping[str, str | int | float],
) -> xr.Dataset:
    """Return estimates (score units) with their t-based intervals and two-sided P values.

    ``estimate, se, df, ci_low, ci_high, p_value`` on dim ``estimand``; a standard error that is
    zero or undefined is refused.
    """
    if not 0 < level < 1:
        raise SpecError(f"level is {level}; it lies between 0 and 1, such as 0.95")
    center = np.array(list(estimate.values()), dtype=float)
    spread = np.broadcast_to(np.asarray(se, dtype=float), center.shape)
    freedom = np.broadcast_to(np.asarray(df, dtype=float), center.shape)
    if not ((spread > 1e-12 * np.abs(center)) & np.isfinite(spread) & (freedom > 0)).all():
        raise EvidenceError(
            "a standard error is zero or undefined: the scores do not vary or there are too few "
            "patients"
        )
    half = t_quantile((1 + level) / 2, freedom) * spread
    columns = {
        "estimate": center,
        "se": spread,
        "df": freedom,
        "ci_low": center - half,
        "ci_high": center + half,
        "p_value": 2 * special.stdtr(freedom, -np.abs(center / spread)),
    }
    return xr.Dataset(
        {name: ("estimand", column) for name, column in columns.items()},
        coords={"estimand": list(estimate)},
        attrs={**attrs, "level": level},
    )


def profile_inference(
    highest: Callable[[float], float], estimate: float, *, top: float, se: float, level: float
) -> tuple[float, float, float]:
    """Return both limits and the two-sided P value of zero that the likelihood ratio gives.

    `highest` is the largest log likelihood at a value of the parameter, `top` that at the estimate.
    A limit is infinite where the likelihood does not fall far enough; `se` (Wald) is the unit of
    search.
    """
    cut = float(special.gammaincinv(0.5, level))

    def excess(value: float) -> float:
        return top - highest(value) - cut

    low, high = (_limit(excess, estimate, sign * se) for sign in (-1, 1))
    ratio = max(2 * (top - highest(0.0)), 0.0)
    return low, high, float(special.chdtrc(1, ratio))


def _limit(excess: Callable[[float], float], estimate: float, step: float) -> float:
    """Return where the excess crosses zero, going from the estimate in steps that grow."""
    from scipy import optimize

    near, width = 0.0, 1.5
    while width <= WIDEST:
        if excess(estimate + width * step) > 0:
            root = optimize.brentq(
                lambda k: excess(estimate + k * step), near, width, xtol=1e-6, rtol=1e-9
            )
            return float(estimate + root * step)
        near, width = width, 1.5 * width
    return float(np.copysign(np.inf, step))
