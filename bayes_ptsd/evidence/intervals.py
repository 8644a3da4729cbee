"""Arithmetic of one printed estimate: interval, standard error, t statistic, P value, rounding.

A printed confidence interval, the degrees of freedom behind it and a two-sided P value are three
views of one standard error. `df` infinite is the normal distribution (convention N); a finite
`df` is Student's t (convention T). Every function takes numbers or arrays that broadcast.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from bayes_ptsd.errors import EvidenceError

__all__ = [
    "FloatArray",
    "center",
    "critical_value",
    "interval",
    "p_value",
    "rounding_box",
    "se_from_interval",
    "se_from_p",
    "t_statistic",
]

FloatArray: TypeAlias = NDArray[np.float64]


def critical_value(*, df: ArrayLike = np.inf, level: float = 0.95) -> FloatArray:
    """Return the quantile of t that bounds a central interval of the given level.

    Parameters
    ----------
    df : float or array, default infinity
        Degrees of freedom, at least 1.
    level : float, default 0.95
        Confidence level, inside (0, 1).

    Returns
    -------
    array
        Positive, without unit, shape of `df`.

    Raises
    ------
    EvidenceError
        If a `df` is below 1 or `level` is outside (0, 1).

    Examples
    --------
    >>> round(float(critical_value(df=27)), 4)
    2.0518
    """
    if not 0 < level < 1:
        raise EvidenceError(f"confidence level {level}: give a number between 0 and 1, as 0.95")
    degrees = np.asarray(df, dtype=float)
    if not np.all(degrees >= 1):
        raise EvidenceError(f"degrees of freedom {df!r}: give 1 or more, or none for the normal")
    result: FloatArray = stats.t.ppf(0.5 + level / 2, degrees)
    return result


def center(low: ArrayLike, high: ArrayLike) -> FloatArray:
    """Return the middle of an interval, in score units.

    Examples
    --------
    >>> float(center(2.5, 22.8))
    12.65
    """
    result: FloatArray = (np.asarray(low, dtype=float) + np.asarray(high, dtype=float)) / 2
    return result


def se_from_interval(
    low: ArrayLike, high: ArrayLike, *, df: ArrayLike = np.inf, level: float = 0.95
) -> FloatArray:
    """Return the standard error behind a central confidence interval.

    Parameters
    ----------
    low, high : float or array
        Limits, score units.
    df : float or array, default infinity
        Degrees of freedom of the interval.
    level : float, default 0.95
        Confidence level.

    Returns
    -------
    array
        Width divided by twice the critical value; score units, positive.

    Raises
    ------
    EvidenceError
        If a lower limit is not below its upper limit, or `df` or `level` is not allowed.

    Examples
    --------
    >>> round(float(se_from_interval(2.5, 22.8, df=27)), 3)
    4.947
    """
    width = np.asarray(high, dtype=float) - np.asarray(low, dtype=float)
    if np.any(width <= 0):
        raise EvidenceError(
            f"interval {low!r} to {high!r}: the lower limit must be below the upper"
        )
    result: FloatArray = width / (2 * critical_value(df=df, level=level))
    return result


def t_statistic(estimate: ArrayLike, se: ArrayLike) -> FloatArray:
    """Return the estimate in units of its standard error, with the sign of the estimate.

    Examples
    --------
    >>> float(t_statistic(3.0, 1.5))
    2.0
    """
    result: FloatArray = np.asarray(estimate, dtype=float) / np.asarray(se, dtype=float)
    return result


def p_value(estimate: ArrayLike, se: ArrayLike, *, df: ArrayLike = np.inf) -> FloatArray:
    """Return the two-sided P value of no difference.

    Parameters
    ----------
    estimate, se : float or array
        Estimate and standard error, same units; the sign of the estimate does not matter.
    df : float or array, default infinity
        Degrees of freedom.

    Returns
    -------
    array
        Inside [0, 1].

    Examples
    --------
    >>> round(float(p_value(12.7, 4.947, df=27)), 4)
    0.0161
    """
    result: FloatArray = 2 * stats.t.sf(np.abs(t_statistic(estimate, se)), df)
    return result


def interval(
    estimate: ArrayLike, se: ArrayLike, *, df: ArrayLike = np.inf, level: float = 0.95
) -> tuple[FloatArray, FloatArray]:
    """Return the central confidence interval, as (low, high) in score units.

    Raises
    ------
    EvidenceError
        If a `df` is below 1 or `level` is outside (0, 1).

    Examples
    --------
    >>> low, high = interval(12.65, 4.947, df=27)
    >>> round(float(low), 2), round(float(high), 2)
    (2.5, 22.8)
    """
    half = critical_value(df=df, level=level) * np.asarray(se, dtype=float)
    middle = np.asarray(estimate, dtype=float)
    return middle - half, middle + half


def se_from_p(estimate: ArrayLike, p: ArrayLike, *, df: ArrayLike = np.inf) -> FloatArray:
    """Return the standard error behind a two-sided P value.

    Parameters
    ----------
    estimate : float or array
        Estimate, score units, not 0.
    p : float or array
        Two-sided P value inside (0, 1).
    df : float or array, default infinity
        Degrees of freedom.

    Returns
    -------
    array
        Absolute estimate divided by the quantile of t; score units, positive.

    Raises
    ------
    EvidenceError
        If an estimate is 0 or a P value is not inside (0, 1): no standard error follows.

    Examples
    --------
    >>> round(float(se_from_p(6.5, 0.0496, df=37)), 2)
    3.2
    """
    size, probability = np.abs(np.asarray(estimate, dtype=float)), np.asarray(p, dtype=float)
    if np.any(size == 0) or not np.all((probability > 0) & (probability < 1)):
        raise EvidenceError(
            f"estimate {estimate!r} with P {p!r}: a standard error follows only from an estimate "
            "other than 0 and a P value between 0 and 1; give the interval instead"
        )
    result: FloatArray = size / stats.t.isf(probability / 2, df)
    return result


def rounding_box(value: ArrayLike, decimals: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return the interval of numbers that print as `value` with so many decimals.

    Parameters
    ----------
    value : float or array
        The printed number.
    decimals : int or array of int
        Digits printed after the point; a negative number means not printed and gives NaN.

    Returns
    -------
    tuple of array
        (low, high), half a unit of the last digit on either side, closed.

    Examples
    --------
    >>> low, high = rounding_box(0.02, 2)
    >>> round(float(low), 3), round(float(high), 3)
    (0.015, 0.025)
    """
    digits = np.asarray(decimals)
    half = np.where(digits < 0, np.nan, 0.5 * 10.0 ** -np.maximum(digits, 0))
    printed = np.asarray(value, dtype=float)
    return printed - half, printed + half
