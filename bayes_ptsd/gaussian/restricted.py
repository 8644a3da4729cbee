"""The restricted likelihood of a Gaussian linear model with blocks of correlated observations.

Subjects with the same observed visits and covariance share one table of cross-products, computed
once: the cost of an evaluation does not grow with their number. The design is orthonormalized and
the outcome replaced by its least-squares residuals, so the tables keep their digits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.gaussian.marginal_covariance import Covariance, FloatArray

__all__ = [
    "Likelihood",
    "Tables",
    "cross_products",
    "gradient",
    "hessian",
    "maximize",
    "restricted_likelihood",
    "whitened_slopes",
]

# At which the search ends; one Newton step from there leaves about its square.
GRADIENT = 1e-6
# Above it there is no maximum. The search may end above GRADIENT at one, since it compares values,
# whose last digits are noise.
LARGEST_GRADIENT = 1e-3


@dataclass(frozen=True)
class Tables:
    """Cross-products of orthonormal design and residuals, by group of like subjects.

    Attributes
    ----------
    products : ndarray
        Dims (group, visit, visit, column, column); the last column is the residual.
    present : ndarray of bool
        Dims (group, visit).
    label : ndarray of int
        The covariance that a group has, dim (group).
    count : ndarray
        Subjects, dim (group).
    ordinary : ndarray
        Least-squares coefficients, dim (coefficient).
    root : ndarray
        Upper triangle that turns coefficients of the design into those of its orthonormal form.
    """

    products: FloatArray
    present: NDArray[np.bool_]
    label: NDArray[np.intp]
    count: FloatArray
    ordinary: FloatArray
    root: FloatArray

    @property
    def freedom(self) -> int:
        """Observations less coefficients."""
        return int(self.count @ self.present.sum(axis=1)) - len(self.ordinary)


@dataclass(frozen=True)
class Likelihood:
    """Twice the negative restricted log likelihood at one covariance, and what inference needs.

    Attributes
    ----------
    value : float
        With the constant of SAS PROC MIXED: ``(n - p) log 2 pi``, without ``log |X'X|``.
    whitened : ndarray
        Cross-products of whitened observations, dims as `Tables.products`.
    inverse_root : ndarray
        Inverse Cholesky factors, zero where a visit is absent, dims (group, visit, visit).
    phi : ndarray
        Covariance of the coefficients of the orthonormal design.
    residual : ndarray
        Weights of the columns of the tables in the residuals of the generalized fit: minus the
        coefficients of the orthonormal design, around the least-squares fit, then one.
    """

    value: float
    whitened: FloatArray
    inverse_root: FloatArray
    phi: FloatArray
    residual: FloatArray


def cross_products(
    outcome: FloatArray, design: FloatArray, label: NDArray[np.intp] | None = None
) -> Tables:
    """Reduce observations to cross-products.

    Parameters
    ----------
    outcome : ndarray
        Dims (subject, visit), NaN where missing.
    design : ndarray
        Dims (subject, visit, coefficient).
    label : ndarray of int, optional
        The covariance that a subject has, dim (subject).

    Returns
    -------
    Tables
        Of the subjects with any observation.

    Raises
    ------
    EvidenceError
        If the design has columns that cannot be told apart, is not finite where there is an
        outcome, or leaves no degree of freedom.

    Examples
    --------
    >>> cross_products(np.arange(6.0).reshape(3, 2), np.ones((3, 2, 1))).freedom
    5
    """
    present = np.isfinite(outcome)
    rows = design[present]
    if not np.isfinite(rows).all():
        raise EvidenceError("a covariate is missing where there is an outcome; leave it out first")
    orthonormal, root = np.linalg.qr(rows)
    pivots = np.abs(np.diag(root))
    if len(rows) <= rows.shape[1] or pivots.min() < 1e-10 * pivots.max():
        raise EvidenceError(
            f"{len(rows)} observations do not determine {rows.shape[1]} coefficients: an arm or "
            "visit is empty, or covariates repeat each other"
        )
    ordinary = linalg.solve_triangular(root, orthonormal.T @ outcome[present])
    columns = np.zeros((*outcome.shape, rows.shape[1] + 1))
    columns[present, :-1] = orthonormal
    columns[present, -1] = outcome[present] - rows @ ordinary
    labels = np.zeros(len(outcome), dtype=int) if label is None else np.asarray(label)
    keys, group = np.unique(np.column_stack([present, labels]), axis=0, return_inverse=True)
    used = np.flatnonzero(keys[:, :-1].any(axis=1))
    blocks = [columns[group.ravel() == number] for number in used]
    return Tables(
        np.stack([np.einsum("iac,ibd->abcd", block, block, optimize=True) for block in blocks]),
        keys[used, :-1].astype(bool),
        keys[used, -1].astype(int),
        np.array([len(block) for block in blocks], dtype=float),
        ordinary,
        root,
    )


def restricted_likelihood(tables: Tables, covariance: Covariance) -> Likelihood:
    """Evaluate the restricted likelihood.

    Parameters
    ----------
    tables : Tables
        The data.
    covariance : Covariance
        Its groups are those of `tables`, or one.

    Returns
    -------
    Likelihood
        Value, and the tables that derivatives and inference are made of.

    Raises
    ------
    numpy.linalg.LinAlgError
        If a covariance matrix is not positive definite.

    Examples
    --------
    >>> tables = cross_products(np.array([[1.0], [3.0]]), np.ones((2, 1, 1)))
    >>> unit = Covariance(np.ones((1, 1, 1)), np.ones((1, 1, 1, 1)), np.zeros((1, 1, 1, 1, 1)))
    >>> round(restricted_likelihood(tables, unit).value, 4)  # log 2 pi + log 2 + 2
    4.531
    """
    there = tables.present
    both = there[:, :, None] & there[:, None, :]
    absent = np.eye(there.shape[1]) * ~there[:, None, :]
    root = np.linalg.cholesky(np.where(both, covariance.value, 0.0) + absent)
    inverse_root = np.linalg.inv(root) - absent
    whitened = _whiten(inverse_root, tables.products)
    total = np.einsum("gaacd->cd", whitened)
    factor = np.linalg.cholesky(total[:-1, :-1])
    phi = linalg.cho_solve((factor, True), np.eye(len(factor)))
    residual = np.append(-phi @ total[:-1, -1], 1.0)
    value = (
        2 * tables.count @ np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
        + 2 * np.log(np.diag(factor)).sum()
        + 2 * np.log(np.abs(np.diag(tables.root))).sum()
        + residual @ total @ residual
        + tables.freedom * np.log(2 * np.pi)
    )
    return Likelihood(float(value), whitened, inverse_root, phi, residual)


def gradient(tables: Tables, covariance: Covariance, at: Likelihood) -> FloatArray:
    """Return first derivatives of twice the negative restricted log likelihood."""
    return np.asarray(np.einsum("hgab,gab->h", covariance.first, _sensitivity(tables, at)))


def hessian(tables: Tables, covariance: Covariance, at: Likelihood) -> FloatArray:
    """Return second derivatives of twice the negative restricted log likelihood."""
    scaled = whitened_slopes(covariance, at)
    middle = 2 * (_trace(at) + _square(at)) - _counts(tables)
    products = np.einsum("gab,hgae->hgbe", middle, scaled, optimize=True)
    slopes = np.einsum("hgab,gabcd->hcd", scaled, at.whitened, optimize=True)
    turned = at.phi @ slopes[:, :-1, :-1]
    pull = slopes[:, :-1, :] @ at.residual
    return np.asarray(
        np.einsum("hkgab,gab->hk", covariance.second, _sensitivity(tables, at))
        + np.einsum("hgbe,kgbe->hk", products, scaled)
        - np.einsum("hij,kji->hk", turned, turned)
        - 2 * pull @ at.phi @ pull.T
    )


def maximize(
    tables: Tables, covariance: Callable[[FloatArray], Covariance], start: FloatArray
) -> FloatArray:
    """Return the parameters at which the restricted likelihood is largest.

    Parameters
    ----------
    tables : Tables
        The data.
    covariance : callable
        From parameters without constraints to `Covariance`.
    start : ndarray
        Dim (parameter).

    Returns
    -------
    ndarray
        Dim (parameter).

    Raises
    ------
    EvidenceError
        If no maximum is found inside the space of the parameters.

    Examples
    --------
    >>> tables = cross_products(np.array([[1.0], [3.0], [8.0]]), np.ones((3, 1, 1)))
    >>> def variance(theta):
    ...     v = np.exp(theta).reshape(1, 1, 1)
    ...     return Covariance(v, v[None], v[None, None])
    >>> round(float(np.exp(maximize(tables, variance, np.zeros(1)))[0]), 6)
    13.0
    """
    from scipy import optimize

    def found(theta: FloatArray) -> tuple[Covariance, Likelihood] | None:
        here = covariance(theta)
        try:
            at = restricted_likelihood(tables, here)
        except np.linalg.LinAlgError:
            return None
        return (here, at) if np.isfinite(at.value) else None

    def target(theta: FloatArray) -> tuple[float, FloatArray]:
        point = found(theta)
        if point is None:
            return np.inf, np.zeros(len(theta))
        return point[1].value, gradient(tables, *point)

    def curvature(theta: FloatArray) -> FloatArray:
        point = found(theta)
        return np.eye(len(theta)) if point is None else hessian(tables, *point)

    with np.errstate(over="ignore", invalid="ignore"):
        best = optimize.minimize(
            target,
            start,
            jac=True,
            hess=curvature,
            method="trust-exact",
            options={"gtol": GRADIENT, "maxiter": 200},
        )
    steepest = float(np.max(np.abs(best.jac)))
    if not (np.isfinite(best.fun) and steepest < LARGEST_GRADIENT) or not _peaked(best.hess):
        raise EvidenceError(
            "the restricted likelihood has no maximum inside the space of the covariance "
            "parameters: a correlation or variance lies at its boundary, or there are too few "
            "subjects for this covariance structure; choose one with fewer parameters"
        )
    # the search compares values, whose last digits are noise; one Newton step uses the slopes
    return np.asarray(best.x - np.linalg.solve(best.hess, best.jac))


def whitened_slopes(covariance: Covariance, at: Likelihood) -> FloatArray:
    """Return derivatives of the covariance between whitening factors, absent visits left out."""
    return np.asarray(at.inverse_root @ covariance.first @ np.swapaxes(at.inverse_root, -1, -2))


def _whiten(inverse_root: FloatArray, products: FloatArray) -> FloatArray:
    """Multiply both visit dimensions of the tables by the inverse Cholesky factors."""
    groups, visits, _, columns, _ = products.shape
    half = inverse_root @ products.reshape(groups, visits, -1)
    half = half.reshape(groups, visits, visits, columns**2).swapaxes(1, 2)
    full = inverse_root @ half.reshape(groups, visits, -1)
    return full.reshape(groups, visits, visits, columns, columns).swapaxes(1, 2)


def _trace(at: Likelihood) -> FloatArray:
    """Return the design part of the tables against the covariance of the coefficients."""
    return np.asarray(np.einsum("gabij,ij->gab", at.whitened[..., :-1, :-1], at.phi))


def _square(at: Likelihood) -> FloatArray:
    """Return cross-products of whitened residuals, dims (group, visit, visit)."""
    return np.asarray(at.whitened @ at.residual @ at.residual)


def _counts(tables: Tables) -> FloatArray:
    """Return the number of subjects on the diagonal where a visit is present."""
    diagonal = tables.count[:, None] * tables.present
    return np.asarray(diagonal[:, :, None] * np.eye(diagonal.shape[1]))


def _sensitivity(tables: Tables, at: Likelihood) -> FloatArray:
    """Return derivatives of the criterion in the covariance matrices themselves."""
    middle = _counts(tables) - _trace(at) - _square(at)
    return np.swapaxes(at.inverse_root, -1, -2) @ middle @ at.inverse_root


def _peaked(hessian_there: FloatArray) -> bool:
    """Tell whether the criterion is curved upward in every direction."""
    values = np.linalg.eigvalsh(hessian_there)
    return bool(values[0] > 1e-8 * values[-1])
