"""Residuals with exact cross-products: orthogonal to given columns, with a given Gram matrix."""

from __future__ import annotations

import numpy as np

from bayes_ptsd.evidence.intervals import FloatArray

__all__ = ["equicorrelated", "orthogonal", "residuals", "with_gram"]


def orthogonal(vectors: FloatArray, columns: FloatArray) -> FloatArray:
    """Return vectors less their projection on columns, both with dims (subject, column)."""
    basis, _ = np.linalg.qr(columns)
    result: FloatArray = vectors - basis @ (basis.T @ vectors)
    return result


def with_gram(vectors: FloatArray, columns: FloatArray, gram: FloatArray) -> FloatArray | None:
    """Return vectors orthogonal to columns whose cross-products are exactly `gram`.

    Dims (subject, part), (subject, column), (part, part); None if `gram` is not positive definite.
    """
    if not np.linalg.eigvalsh(gram)[0] > 1e-6 * np.trace(gram):
        return None
    free = orthogonal(vectors, columns)
    own, wanted = np.linalg.cholesky(free.T @ free), np.linalg.cholesky(gram)
    result: FloatArray = free @ np.linalg.inv(own).T @ wanted.T
    return result


def equicorrelated(parts: FloatArray, total: float) -> FloatArray | None:
    """Return the Gram matrix of parts with one correlation that makes that of their sum right.

    `parts` and `total` are sums of squares; None if no correlation does it.
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
    """Return residuals with given cross-products and, perhaps, one given contrast; None if none.

    `along` is the weights of the contrast, dim (subject,), and its values, dim (part,).
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
