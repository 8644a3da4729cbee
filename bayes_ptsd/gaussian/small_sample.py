"""Small-sample inference for linear contrasts: Kenward and Roger, Satterthwaite.

Notation of Kenward and Roger: `phi` the covariance of the coefficients, `P_h` the derivatives of
its inverse in the covariance parameters, `Q_hk` and `R_hk` its second-order terms, `W` the
covariance of the estimated parameters, here the inverse observed information.
"""

from __future__ import annotations

import numpy as np
from scipy import linalg

from bayes_ptsd.gaussian.marginal_covariance import Covariance, FloatArray
from bayes_ptsd.gaussian.restricted import Likelihood, Tables, hessian, whitened_slopes

__all__ = ["contrast_inference"]


def contrast_inference(
    tables: Tables, covariance: Covariance, at: Likelihood, contrasts: FloatArray, *, adjust: bool
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return estimates, standard errors and degrees of freedom of contrasts.

    Parameters
    ----------
    tables : Tables
        The data.
    covariance : Covariance
        At the estimate; which parameters its derivatives are in decides about the adjustment.
    at : Likelihood
        At the estimate.
    contrasts : ndarray
        Weights of the coefficients of the design, dims (contrast, coefficient).
    adjust : bool
        Standard errors of Kenward and Roger instead of those that take the covariance as known.

    Returns
    -------
    estimate, se, df : ndarray
        Dim (contrast). For one contrast the degrees of freedom of Kenward and Roger are those of
        Satterthwaite, and their scale factor is one.

    Examples
    --------
    >>> from bayes_ptsd.gaussian.restricted import cross_products, restricted_likelihood
    >>> tables = cross_products(np.array([[1.0], [3.0], [8.0]]), np.ones((3, 1, 1)))
    >>> v = np.full((1, 1, 1), 13.0)
    >>> here = Covariance(v, np.ones((1, 1, 1, 1)), np.zeros((1, 1, 1, 1, 1)))
    >>> at = restricted_likelihood(tables, here)
    >>> estimate, se, df = contrast_inference(tables, here, at, np.ones((1, 1)), adjust=True)
    >>> np.round([estimate[0], se[0] * np.sqrt(3), df[0]], 4).tolist()
    [4.0, 3.6056, 2.0]
    """
    weights = linalg.solve_triangular(tables.root, contrasts.T, trans="T").T
    estimate = contrasts @ tables.ordinary - weights @ at.residual[:-1]
    slopes = whitened_slopes(covariance, at)
    w = 2 * _inverse(hessian(tables, covariance, at))
    design = at.whitened[..., :-1, :-1]
    p = -np.einsum("hgab,gabij->hij", slopes, design, optimize=True)
    spread = weights @ at.phi
    naive = np.einsum("ci,ci->c", spread, weights)
    relative = np.einsum("ci,hij,cj->ch", spread, p, spread) / naive[:, None]
    df = 2 / np.einsum("ch,hk,ck->c", relative, w, relative)
    if not adjust:
        return estimate, np.sqrt(naive), df
    bias = _bias(covariance, at, slopes, p, w)
    added = 2 * np.einsum("ci,ij,cj->c", spread, bias, spread)
    return estimate, np.sqrt(naive + added), df


def _inverse(curvature: FloatArray) -> FloatArray:
    """Invert the curvature in parameters that may be of very different sizes."""
    size = 1 / np.sqrt(np.abs(np.diag(curvature)))
    return np.asarray(size[:, None] * linalg.inv(size[:, None] * curvature * size) * size)


def _bias(
    covariance: Covariance, at: Likelihood, slopes: FloatArray, p: FloatArray, w: FloatArray
) -> FloatArray:
    """Return the sum of W (Q - P phi P - R / 4) over pairs of parameters."""
    design = at.whitened[..., :-1, :-1]
    bends = np.einsum("hk,hkgab->gab", w, covariance.second)
    curved = at.inverse_root @ bends @ np.swapaxes(at.inverse_root, -1, -2)
    squares = np.einsum("hk,hgae,kgeb->gab", w, slopes, slopes, optimize=True)
    second_order = np.einsum("gab,gabij->ij", squares - curved / 4, design)
    return np.asarray(second_order - np.einsum("hk,hij,jl,klm->im", w, p, at.phi, p, optimize=True))
