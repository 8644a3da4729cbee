"""Arithmetic of one printed estimate: interval, standard error, t statistic, P value, rounding.

A printed confidence interval, the degrees of freedom behind it and a two-sided P value are three
views of one standard error. `df` infinite is the normal distribution (convention N); a finite
`df` is Student's t (convention T). Every function takes numbers or arrays that broadcast.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.location_scale import t_quantile

__all__ = [
    "FloatArray",
    "center",
    "critical_value",
    "half_unit",
    "interval",
    "is_middle",
    "p_value",
    "rounding_box",
    "se_from_interval",
    "se_from_p",
    "t_statistic",
]

FloatArray: TypeAlias = NDArray[np.float64]
# of a limit: numbers that were computed rather than printed differ by so much from their middle
ARITHMETIC = 1e-9


def critical_value(*, df: ArrayLike = np.inf, level: float = 0.95) -> FloatArray:
    """Return the quantile of t that bounds a central interval, shape of `df`.

    Refused: a `df` below 1 or a `level` outside (0, 1).
    """
    if not 0 < level < 1:
        raise EvidenceError(f"confidence level {level}: give a number between 0 and 1, as 0.95")
    degrees = np.asarray(df, dtype=float)
    if not np.all(degrees >= 1):
        raise EvidenceError(f"degrees of freedom {df!r}: give 1 or more, or none for the normal")
    return t_quantile(0.5 + level / 2, degrees)


def center(low: ArrayLike, high: ArrayLike) -> FloatArray:
    """Return the middle of an interval, in score units."""
    result: FloatArray = (np.asarray(low, dtype=float) + np.asarray(high, dtype=float)) / 2
    return result


def se_from_interval(
    low: ArrayLike, high: ArrayLike, *, df: ArrayLike = np.inf, level: float = 0.95
) -> FloatArray:
    """Return the standard error, width over twice the critical value; low must be below high."""
    width = np.asarray(high, dtype=float) - np.asarray(low, dtype=float)
    if np.any(width <= 0):
        raise EvidenceError(
            f"interval {low!r} to {high!r}: the lower limit must be below the upper"
        )
    result: FloatArray = width / (2 * critical_value(df=df, level=level))
    return result


def is_middle(estimate: float, low: float, high: float, *, logarithms: bool = False) -> bool:
    """Tell whether an estimate can be the middle of its interval, but for the rounding of print.

    The three are taken to be printed with as many decimals as the one that has most. On the scale
    of `logarithms` all must be above 0, else it is not.
    """
    half = half_unit(estimate, low, high)
    ends = np.array([[low - half, high - half], [low + half, high + half]])
    if not logarithms:
        least, most = ends.mean(axis=1)
        return bool(least <= estimate + half and estimate - half <= most)
    if min(estimate, low) <= 0:
        return False
    # what rounds to a positive number may be next to 0, where its logarithm has no end
    least, most = np.exp(np.log(np.maximum(ends, np.finfo(float).tiny)).mean(axis=1))
    return bool(least <= estimate + half and estimate - half <= most)


def half_unit(*printed: float) -> float:
    """Return half a unit of the last digit of numbers that are printed with as many decimals."""
    return 0.5 * 10.0 ** -max(map(_decimals, printed)) + ARITHMETIC * max(map(abs, printed))


def _decimals(value: float) -> int:
    """Return the digits after the point that a number needs."""
    exponent = Decimal(repr(float(value))).normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def t_statistic(estimate: ArrayLike, se: ArrayLike) -> FloatArray:
    """Return the estimate in units of its standard error, with the sign of the estimate."""
    result: FloatArray = np.asarray(estimate, dtype=float) / np.asarray(se, dtype=float)
    return result


def p_value(estimate: ArrayLike, se: ArrayLike, *, df: ArrayLike = np.inf) -> FloatArray:
    """Return the two-sided P value of no difference; the sign of the estimate does not matter."""
    result: FloatArray = 2 * special.stdtr(df, -np.abs(t_statistic(estimate, se)))
    return result


def interval(
    estimate: ArrayLike, se: ArrayLike, *, df: ArrayLike = np.inf, level: float = 0.95
) -> tuple[FloatArray, FloatArray]:
    """Return the central confidence interval, as (low, high) in score units."""
    half = critical_value(df=df, level=level) * np.asarray(se, dtype=float)
    middle = np.asarray(estimate, dtype=float)
    return middle - half, middle + half


def se_from_p(estimate: ArrayLike, p: ArrayLike, *, df: ArrayLike = np.inf) -> FloatArray:
    """Return the standard error behind a two-sided P value, |estimate| over the quantile of t.

    An estimate of 0, or a P that is not inside (0, 1), is refused: no standard error follows.
    """
    size, probability = np.abs(np.asarray(estimate, dtype=float)), np.asarray(p, dtype=float)
    if np.any(size == 0) or not np.all((probability > 0) & (probability < 1)):
        raise EvidenceError(
            f"estimate {estimate!r} with P {p!r}: a standard error follows only from an estimate "
            "other than 0 and a P value between 0 and 1; give the interval instead"
        )
    result: FloatArray = -size / t_quantile(probability / 2, df)
    return result


def rounding_box(value: ArrayLike, decimals: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return the interval of numbers that print as `value` with so many decimals.

    Closed, half a unit of the last digit on either side. Decimals are digits after the point; a
    negative number means not printed and gives NaN.
    """
    digits = np.asarray(decimals)
    half = np.where(digits < 0, np.nan, 0.5 * 10.0 ** -np.maximum(digits, 0))
    printed = np.asarray(value, dtype=float)
    return printed - half, printed + half
