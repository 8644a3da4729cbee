"""Patients' vectors of scores, jointly normal, with missing ones integrated out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayes_ptsd.gaussian.covariance import log_matrix_density, root_entries
from bayes_ptsd.priors import FloatArray, Prior

__all__ = ["observe_masked", "partial_correlations"]

# log(2 pi), of the density of a normal
LOG_2PI = float(np.log(2 * np.pi))


def observe_masked(
    name: str, values: FloatArray, *, mean: Any, covariance: Any, dims: Sequence[str]
) -> Any:
    """Observe vectors of scores of which some are missing, inside a model.

    A missing score has the row of an independent variable of variance 1 and a residual of zero,
    which leaves the marginal density of the others. Scores, and which of them are there, are data
    that can be exchanged. The Cholesky factor is written out entry by entry, all patients at once:
    compiling grows with the cube of the length of a vector, sampling stays fast.

    Parameters
    ----------
    name : str
        Name of the observed variable.
    values : ndarray
        Scores, NaN where missing, shape (subject, place).
    mean : tensor
        Shape (subject, place).
    covariance : tensor
        Of static shape (place, place).
    dims : sequence of str
        Dims of the observed variable.

    Returns
    -------
    tensor
        The observed variable; replicates are zero where a score is missing.

    Examples
    --------
    >>> values = np.array([[1.0, 2.0], [0.5, np.nan]])
    >>> with pm.Model(coords={"subject": [1, 2], "place": [1, 2]}) as model:
    ...     mean = pt.zeros((2, 2)) + pm.Normal("mu")
    ...     dims = ("subject", "place")
    ...     score = observe_masked("score", values, mean=mean, covariance=pt.eye(2), dims=dims)
    >>> [data.name for data in model.data_vars]
    ['score_data', 'there']
    """
    seen = np.isfinite(values)
    data = pm.Data(f"{name}_data", np.where(seen, values, 0.0))
    there = pm.Data("there", seen.astype(float))
    return pm.CustomDist(
        name,
        mean,
        covariance,
        there,
        logp=_log_density,
        dist=_draw,
        signature="(n,t),(t,t),(n,t)->(n,t)",
        observed=data,
        dims=tuple(dims),
    )


def partial_correlations(prior: Prior, count: int, *, dim: str) -> list[Any]:
    """Return partial correlations by pair (1, 0), (2, 0), (2, 1), under their matrix's prior."""
    unit = pm.Uniform("partial_unit", 0, 1, dims=dim)
    partial = pm.Deterministic("partial_correlation", 2 * unit - 1, dims=dim)
    pairs = [partial[k] for k in range(count * (count - 1) // 2)]
    # densities of the partial correlations, whose range is twice that of the units
    density = log_matrix_density(prior, pairs, count, log=pt.log) + len(pairs) * np.log(2)
    pm.Potential("correlations", density)
    return pairs


def _log_density(value: Any, mean: Any, covariance: Any, there: Any) -> Any:
    """Return the log density of all patients, missing occasions integrated out."""
    count = len(covariance.type.shape) and covariance.type.shape[0]
    entries = [[covariance[i, j] for j in range(count)] for i in range(count)]
    masks = [there[:, i] for i in range(count)]
    root = root_entries(entries, masks)
    residual = (value - mean) * there
    standard: list[Any] = []
    total = -0.5 * LOG_2PI * there.sum()
    for i, row in enumerate(root):
        rest = residual[:, i]
        for k in range(i):
            rest = rest - row[k] * standard[k]
        standard.append(rest / row[i])
        total = total - (0.5 * standard[i] ** 2 + pt.log(row[i])).sum()
    return total


def _draw(mean: Any, covariance: Any, there: Any, size: Any) -> Any:
    """Return what all patients' occasions would be; zero where one is missing."""
    noise = pm.Normal.dist(0, 1, size=(mean.shape[0], mean.shape[1]))
    root = pt.linalg.cholesky(covariance)
    return (mean + (noise[:, None, :] * root[None, :, :]).sum(axis=2)) * there
