"""Covariance of a patient's occasions, written once for arrays of draws and for PyMC variables.

Entries are lists of lists of whatever the parameters are: numbers, arrays of draws, symbols.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from bayes_ptsd.priors import FloatArray

__all__ = [
    "LKJ_SHAPE",
    "correlation_entries",
    "covariance_entries",
    "partial_shapes",
    "root_entries",
]

LKJ_SHAPE = 1.0
"""Shape of the LKJ distribution of an unstructured correlation matrix: uniform over matrices."""

Entries = list[list[Any]]


def partial_shapes(count: int) -> FloatArray:
    """Return the beta shapes of the partial correlations whose matrix is LKJ(1).

    Parameters
    ----------
    count : int
        Number of occasions.

    Returns
    -------
    ndarray
        One a pair, in the order (1, 0), (2, 0), (2, 1), ...; ``(1 + partial) / 2`` has the beta
        distribution with both shapes equal to it [1]_.

    References
    ----------
    .. [1] Lewandowski D, Kurowicka D, Joe H. Generating random correlation matrices based on vines
       and extended onion method. Journal of Multivariate Analysis 2009;100:1989-2001.

    Examples
    --------
    >>> partial_shapes(3)
    array([1.5, 1.5, 1. ])
    """
    pairs = [(i, j) for i in range(count) for j in range(i)]
    return np.array([LKJ_SHAPE + (count - 2 - j) / 2 for _, j in pairs])


def correlation_entries(
    structure: str,
    count: int,
    *,
    partial: Sequence[Any] = (),
    correlation: Any = None,
    half_life: Any = None,
    nugget: Any = None,
    days: FloatArray | None = None,
) -> Entries:
    """Return the correlations of the occasions.

    Parameters
    ----------
    structure : {"unstructured", "compound", "autoregressive"}
        Structure of the covariance.
    count : int
        Number of occasions.
    partial : sequence
        Partial correlations of an unstructured matrix, by pair.
    correlation
        Of a compound symmetric one.
    half_life, nugget, days
        Of an autoregressive one: ``(1 - nugget) 2^(-gap / half_life)`` with the gap in days.

    Returns
    -------
    list of list
        Symmetric, ones on the diagonal.

    Examples
    --------
    >>> days = np.array([1.0, 2.0, 7.0])
    >>> correlation_entries("autoregressive", 3, half_life=1.0, days=days)[2][0]
    np.float64(0.015625)
    """
    if structure == "unstructured":
        root = _partial_root(partial, count)
        lower = [
            [sum(root[i][k] * root[j][k] for k in range(j + 1)) for j in range(i)]
            for i in range(count)
        ]
    elif structure == "compound":
        lower = [[correlation] * i for i in range(count)]
    else:
        assert days is not None
        share = 1.0 if nugget is None else 1 - nugget
        lower = [
            [share * 0.5 ** ((days[i] - days[j]) / half_life) for j in range(i)]
            for i in range(count)
        ]
    return [
        [1.0 if i == j else lower[max(i, j)][min(i, j)] for j in range(count)] for i in range(count)
    ]


def covariance_entries(correlations: Entries, sd: Sequence[Any]) -> Entries:
    """Return covariances from correlations and standard deviations.

    Examples
    --------
    >>> covariance_entries([[1.0, 0.5], [0.5, 1.0]], [2.0, 3.0])
    [[4.0, 3.0], [3.0, 9.0]]
    """
    size = range(len(sd))
    return [[sd[i] * sd[j] * correlations[i][j] for j in size] for i in size]


def root_entries(covariance: Entries, there: Sequence[Any]) -> Entries:
    """Return the Cholesky factor of the covariance of the occasions that are there.

    Parameters
    ----------
    covariance : list of list
        Of all occasions.
    there : sequence
        One an occasion: 1 where it is observed, 0 where missing, for every patient. A missing
        occasion gets variance 1 and no covariance, so that a residual of zero adds nothing.

    Returns
    -------
    list of list
        Lower triangle.

    Examples
    --------
    >>> root_entries([[4.0, 2.0], [2.0, 5.0]], [1.0, 1.0])
    [[2.0], [1.0, 2.0]]
    >>> root_entries([[4.0, 2.0], [2.0, 5.0]], [0.0, 1.0])[1][0]
    0.0
    """
    root: Entries = []
    for i in range(len(there)):
        row: list[Any] = []
        for j in range(i):
            value = covariance[i][j] * there[i] * there[j]
            for k in range(j):
                value = value - row[k] * root[j][k]
            row.append(value / root[j][j])
        square = covariance[i][i] * there[i] + (1 - there[i])
        for value in row:
            square = square - value**2
        root.append([*row, square**0.5])
    return root


def _partial_root(partial: Sequence[Any], count: int) -> Entries:
    """Return the Cholesky factor of a correlation matrix from its partial correlations."""
    taken = iter(partial)
    root: Entries = [[1.0]]
    for i in range(1, count):
        rest: Any = 1.0
        row = []
        for value in itertools.islice(taken, i):
            row.append(value * rest**0.5)
            rest = rest * (1 - value**2)
        root.append([*row, rest**0.5])
    return root
