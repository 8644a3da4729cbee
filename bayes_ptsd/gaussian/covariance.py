"""Covariance of a patient's occasions, written once for arrays of draws and for PyMC variables.

Entries are lists of lists of whatever the parameters are: numbers, arrays of draws, symbols.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import special

from bayes_ptsd.priors import FloatArray, Prior

__all__ = [
    "correlation_entries",
    "covariance_entries",
    "draw_partials",
    "log_matrix_density",
    "partial_shapes",
    "root_entries",
]

Entries = list[list[Any]]


def partial_shapes(count: int, shape: float = 1.0) -> FloatArray:
    """Return the beta shapes of the partial correlations whose matrix is LKJ(shape).

    One a pair, in the order (1, 0), (2, 0), (2, 1), ...; ``(1 + partial) / 2`` has the beta
    distribution with both shapes equal to it; shape 1 is uniform over matrices. Source: Lewandowski
    D, Kurowicka D, Joe H, Journal of Multivariate Analysis 2009;100:1989-2001.
    """
    pairs = [(i, j) for i in range(count) for j in range(i)]
    return np.array([shape + (count - 2 - j) / 2 for _, j in pairs])


def log_matrix_density(
    prior: Prior, partial: Sequence[Any], count: int, *, log: Callable[[Any], Any] = np.log
) -> Any:
    """Return the normalized log density of partial correlations under a prior of their matrix.

    ``lkj``, or ``uniform_correlations``, under which every correlation is uniform on (-1, 1): that
    of an inverse-Wishart matrix with ``T + 1`` degrees of freedom, T = `count`, with density
    ``|R|^-(T+1) prod (R^-1)_ii^(-(T+1)/2)`` (Barnard J, McCulloch R, Meng X-L, Statistica Sinica
    2000;10:1281-1311). `partial` is by pair: numbers, arrays or symbols, of which `log` is the
    logarithm.
    """
    free = [log(1 - value**2) for value in partial]
    if prior.dist == "lkj":
        shapes = partial_shapes(count, prior.params["shape"])
        constant = -float(np.sum(special.betaln(shapes, shapes) + (2 * shapes - 1) * np.log(2)))
        return constant + sum(((s - 1) * one for s, one in zip(shapes, free, strict=True)), 0.0)
    half = (count + 1) / 2
    constant = float(count * special.gammaln(half) - special.multigammaln(half, count))
    # from the matrix to partial correlations: the LKJ(1) kernel is the volume element
    powers = partial_shapes(count) - 1 - 2 * half
    density = constant + sum((p * one for p, one in zip(powers, free, strict=True)), 0.0)
    return density - half * sum(map(log, _inverse_diagonal(_partial_root(partial, count))), 0.0)


def draw_partials(
    prior: Prior, count: int, size: tuple[int, ...], rng: np.random.Generator
) -> FloatArray:
    """Draw partial correlations under a prior of their matrix, the last dim that of the pairs."""
    if prior.dist == "lkj":
        shapes = partial_shapes(count, prior.params["shape"])
        return np.asarray(2 * rng.beta(shapes, shapes, size=(*size, len(shapes))) - 1)
    noise = rng.normal(size=(*size, count, count + 1))
    covariance = np.linalg.inv(noise @ np.swapaxes(noise, -1, -2))
    root = np.linalg.cholesky(covariance)
    # a row of the factor is what earlier occasions explain, one by one, and what is left
    left = np.cumsum(root[..., ::-1] ** 2, axis=-1)[..., ::-1]
    pairs = (..., *np.tril_indices(count, -1))
    return np.asarray(root[pairs] / np.sqrt(left[pairs]))


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
    """Return the correlations of the occasions: symmetric, ones on the diagonal.

    `partial` is that of an unstructured matrix, by pair, `correlation` that of a compound symmetric
    one; an autoregressive one is ``(1 - nugget) 2^(-gap / half_life)`` with the gap in days, or
    ``correlation^gap`` in place of the power of 2.
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
        gaps = [[days[i] - days[j] for j in range(i)] for i in range(count)]
        lower = [
            [
                share * (0.5 ** (gap / half_life) if correlation is None else correlation**gap)
                for gap in row
            ]
            for row in gaps
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


def _inverse_diagonal(root: Entries) -> list[Any]:
    """Return the diagonal of the inverse of a matrix from its Cholesky factor."""
    inverse: Entries = []
    for i, row in enumerate(root):
        known = [sum(row[k] * inverse[k][j] for k in range(j, i)) for j in range(i)]
        inverse.append([*(-value / row[i] for value in known), 1 / row[i]])
    size = len(root)
    return [sum(inverse[k][i] ** 2 for k in range(i, size)) for i in range(size)]


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
