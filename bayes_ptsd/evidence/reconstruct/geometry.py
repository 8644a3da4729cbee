"""Residuals with exact cross-products: orthogonal to given columns, with a given Gram matrix."""

from __future__ import annotations

import numpy as np

from bayes_ptsd.evidence.intervals import FloatArray

__all__ = ["equicorrelated", "orthogonal", "residuals", "with_gram"]


def orthogonal(vectors: FloatArray, columns: FloatArray) -> FloatArray:
    """Return vectors less their projection on columns, both with dims (subject, column).

    Examples
    --------
    >>> orthogonal(np.array([[1.0], [3.0]]), np.ones((2, 1)))
    array([[-1.],
           [ 1.]])
    """
    basis, _ = np.linalg.qr(columns)
    result: FloatArray = vectors - basis @ (basis.T @ vectors)
    return result


def with_gram(vectors: FloatArray, columns: FloatArray, gram: FloatArray) -> FloatArray | None:
    """Return vectors orthogonal to columns whose cross-products are exactly `gram`.

    Parameters
    ----------
    vectors : ndarray
        Directions, dims (subject, part).
    columns : ndarray
        Dims (subject, column).
    gram : ndarray
        Cross-products wanted, dims (part, part).

    Returns
    -------
    ndarray or None
        None if `gram` is not positive definite.

    Examples
    --------
    >>> z = np.random.default_rng(1).normal(size=(9, 2))
    >>> gram = np.array([[4.0, 1.0], [1.0, 2.0]])
    >>> e = with_gram(z, np.ones((9, 1)), gram)
    >>> bool(np.allclose(e.T @ e, gram) and np.allclose(e.sum(axis=0), 0))
    True
    """
    if not np.linalg.eigvalsh(gram)[0] > 1e-6 * np.trace(gram):
        return None
    free = orthogonal(vectors, columns)
    own, wanted = np.linalg.cholesky(free.T @ free), np.linalg.cholesky(gram)
    result: FloatArray = free @ np.linalg.inv(own).T @ wanted.T
    return result


def equicorrelated(parts: FloatArray, total: float) -> FloatArray | None:
    """Return the Gram matrix of parts with one correlation that makes that of their sum right.

    Parameters
    ----------
    parts : ndarray
        Sums of squares of the parts.
    total : float
        Sum of squares of their sum.

    Returns
    -------
    ndarray or None
        Dims (part, part); None if no correlation does it.

    Examples
    --------
    >>> equicorrelated(np.array([1.0, 1.0]), 3.0)
    array([[1. , 0.5],
           [0.5, 1. ]])
    """
    if len(parts) == 1:
        return np.array([[total]])
    root = np.sqrt(parts)
    correlation = (total - parts.sum()) / (root.sum() ** 2 - parts.sum())
    if not -1 / (len(parts) - 1) < correlation < 1:
        return None
    gram: FloatArray = np.outer(root, root) * correlation
    np.fill_diagonal(gram, parts)
    return gram


def residuals(
    vectors: FloatArray,
    columns: FloatArray,
    gram: FloatArray,
    *,
    along: tuple[FloatArray, FloatArray] | None = None,
) -> FloatArray | None:
    """Return residuals with given cross-products and, perhaps, one given contrast.

    Parameters
    ----------
    vectors, columns, gram : ndarray
        As in `with_gram`.
    along : tuple of ndarray, optional
        Weights of a contrast, dim (subject,), and its values, dim (part,).

    Returns
    -------
    ndarray or None
        Dims (subject, part); None if there are none.

    Examples
    --------
    >>> z = np.random.default_rng(1).normal(size=(9, 1))
    >>> weights = np.linspace(-1, 1, 9)
    >>> along = (weights, np.array([2.0]))
    >>> e = residuals(z, np.ones((9, 1)), np.array([[5.0]]), along=along)
    >>> (weights @ e).round(9), (e.T @ e).round(9)
    (array([2.]), array([[5.]]))
    """
    if along is None:
        return with_gram(vectors, columns, gram)
    weights, value = along
    axis = orthogonal(weights[:, None], columns)
    length = float(np.sqrt((axis**2).sum()))
    axis = axis / length
    share = value / length
    rest = with_gram(vectors, np.column_stack([columns, axis]), gram - np.outer(share, share))
    return None if rest is None else rest + axis * share
