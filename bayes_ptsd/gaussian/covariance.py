"""Covariance of a patient's occasions, written once for arrays of draws and for PyMC variables.

Parameters have the dims of draws first, if any; `xp` is NumPy, or ``pytensor.tensor`` for symbols.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special

from bayes_ptsd.priors import FloatArray, Prior

__all__ = [
    "correlation_matrix",
    "covariance_matrix",
    "draw_partials",
    "log_inverse_diagonal",
    "log_matrix_density",
    "pair_entries",
    "partial_shapes",
]


def partial_shapes(count: int, shape: float = 1.0) -> FloatArray:
    """Return the beta shapes of the partial correlations whose matrix is LKJ(shape).

    One a pair, in the order (1, 0), (2, 0), (2, 1), ...; ``(1 + partial) / 2`` has the beta
    distribution with both shapes equal to it; shape 1 is uniform over matrices. Source: Lewandowski
    D, Kurowicka D, Joe H, Journal of Multivariate Analysis 2009;100:1989-2001.
    """
    pairs = [(i, j) for i in range(count) for j in range(i)]
    return np.array([shape + (count - 2 - j) / 2 for _, j in pairs])


def log_inverse_diagonal(matrix: FloatArray) -> FloatArray:
    """Return the sum of the logarithms of the diagonal of the inverse of each matrix."""
    diagonal = np.diagonal(np.linalg.inv(matrix), axis1=-2, axis2=-1)
    return np.asarray(np.log(diagonal).sum(axis=-1))


def log_matrix_density(
    prior: Prior,
    partial: Any,
    count: int,
    *,
    xp: Any = np,
    inverse: Callable[[Any], Any] = log_inverse_diagonal,
) -> Any:
    """Return the normalized log density of partial correlations under a prior of their matrix.

    ``lkj``, or ``uniform_correlations``, under which every correlation is uniform on (-1, 1): that
    of an inverse-Wishart matrix with ``T + 1`` degrees of freedom, T = `count`, with density
    ``|R|^-(T+1) prod (R^-1)_ii^(-(T+1)/2)`` (Barnard J, McCulloch R, Meng X-L, Statistica Sinica
    2000;10:1281-1311). `partial` has the pairs as its last dim, which the density has no more;
    `inverse` is `log_inverse_diagonal` for what the parameters are.
    """
    free = xp.log1p(-(partial**2))
    if prior.dist == "lkj":
        shapes = partial_shapes(count, prior.params["shape"])
        constant = -float(np.sum(special.betaln(shapes, shapes) + (2 * shapes - 1) * np.log(2)))
        return constant + ((shapes - 1) * free).sum(axis=-1)
    half = (count + 1) / 2
    constant = float(count * special.gammaln(half) - special.multigammaln(half, count))
    # from the matrix to partial correlations: the LKJ(1) kernel is the volume element
    powers = partial_shapes(count) - 1 - 2 * half
    matrix = correlation_matrix("unstructured", count, partial=partial, xp=xp)
    return constant + (powers * free).sum(axis=-1) - half * inverse(matrix)


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


def correlation_matrix(
    structure: str,
    count: int,
    *,
    partial: Any = None,
    correlation: Any = None,
    half_life: Any = None,
    nugget: Any = None,
    days: FloatArray | None = None,
    xp: Any = np,
) -> Any:
    """Return the correlations of the occasions, dims (..., occasion, occasion).

    `partial` is that of an unstructured matrix, pairs (1, 0), (2, 0), (2, 1), ... last,
    `correlation` that of a compound symmetric one; an autoregressive one is
    ``(1 - nugget) 2^(-gap / half_life)`` with the gap in days, or ``correlation^gap`` in place of
    the power of 2.

    Examples
    --------
    >>> correlation_matrix("compound", 2, correlation=np.array(0.5))
    array([[1. , 0.5],
           [0.5, 1. ]])
    """
    if structure == "unstructured":
        root = _partial_root(partial, count, xp)
        # a diagonal of exactly 1: that of the product is so only within rounding
        return _apart(xp.matmul(root, xp.swapaxes(root, -1, -2)), count)
    if structure == "compound":
        return _apart(correlation[..., None, None], count)
    assert days is not None
    gaps = np.abs(np.subtract.outer(days, days))
    if correlation is None:
        power = 0.5 ** (gaps / half_life[..., None, None])
    else:
        power = correlation[..., None, None] ** gaps
    return _apart(power if nugget is None else (1 - nugget[..., None, None]) * power, count)


def covariance_matrix(correlations: Any, sd: Any) -> Any:
    """Return covariances from correlations and standard deviations, one an occasion.

    Examples
    --------
    >>> covariance_matrix(np.array([[1.0, 0.5], [0.5, 1.0]]), np.array([2.0, 3.0]))
    array([[4., 3.],
           [3., 9.]])
    """
    return sd[..., :, None] * sd[..., None, :] * correlations


def pair_entries(matrix: Any, count: int) -> Any:
    """Return the entries of matrices below the diagonal, last dim (1, 0), (2, 0), (2, 1), ..."""
    return matrix[(..., *np.tril_indices(count, -1))]


def _apart(entries: Any, count: int) -> Any:
    """Return matrices of these entries off the diagonal, ones on it."""
    one = np.eye(count)
    return one + entries * (1 - one)


def _partial_root(partial: Any, count: int, xp: Any) -> Any:
    """Return the Cholesky factors of correlation matrices from partial correlations by pair.

    A row of a factor is what earlier occasions explain, each of what is left by those before it.
    """
    place = np.zeros((count, count), dtype=int)
    place[np.tril_indices(count, -1)] = range(count * (count - 1) // 2)
    lower = partial[..., place] * np.tril(np.ones((count, count)), -1)
    log_left = xp.log1p(-(lower**2)) / 2
    return (lower + np.eye(count)) * xp.exp(xp.cumsum(log_left, axis=-1) - log_left)
