"""Covariance structures of repeated measures, with exact first and second derivatives.

Every structure has two sets of parameters for the same matrices. `working` ones are free of
constraints and are those of R's mmrm; `natural` ones are those of SAS PROC MIXED. Estimates do not
depend on the choice, the second-order terms of Kenward and Roger do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayes_ptsd.errors import SpecError, nearest

__all__ = [
    "STRUCTURES",
    "Covariance",
    "natural_covariance",
    "starting_values",
    "working_covariance",
]

FloatArray = NDArray[np.float64]

STRUCTURES = {
    "unstructured": "a variance for each visit and a covariance for each pair of visits",
    "compound_symmetric": "one variance, one correlation for all pairs of visits",
    "compound_symmetric_heterogeneous": "a variance for each visit, one correlation",
    "autoregressive": "one variance, correlation falling with the time between visits",
    "autoregressive_heterogeneous": "a variance for each visit, correlation falling with time",
}
"""Covariance structures by name, in words."""

# A moderate correlation, far from every boundary, for the search to start at; positive, as scores
# of one patient mostly correlate.
START_CORRELATION = 0.4


@dataclass(frozen=True)
class Covariance:
    """Covariance matrices of groups of subjects, and their derivatives in the parameters."""

    value: FloatArray  # dims (group, visit, visit); one group where all subjects share it
    first: FloatArray  # dims (parameter, group, visit, visit)
    second: FloatArray  # dims (parameter, parameter, group, visit, visit)


def starting_values(structure: str, moments: FloatArray) -> FloatArray:
    """Return working parameters near the mean products of residuals, dims (visit, visit)."""
    if structure not in STRUCTURES:
        raise SpecError(f"no covariance structure '{structure}'{nearest(structure, STRUCTURES)}")
    log_sd = np.log(np.diag(moments)) / 2
    if structure == "unstructured":
        return _unstructured_start(moments, log_sd)
    if not structure.endswith("_heterogeneous"):
        log_sd = np.log(np.mean(np.diag(moments), keepdims=True)) / 2
    return np.append(log_sd, _correlation_start(structure))


def working_covariance(structure: str, theta: FloatArray, times: FloatArray) -> Covariance:
    """Return the covariance matrix at working parameters, one group.

    Unstructured: log standard deviations and the rows of the unit lower triangle that they scale to
    a Cholesky factor. Else: log standard deviations and, for the correlation r, the t of ``r = t /
    sqrt(1 + t^2)`` (compound symmetric) or ``r = 1 / (1 + exp(-t))``.
    """
    if structure == "unstructured":
        return _unstructured(theta, len(times))
    base, slope, bend = _separable(structure, theta, times)
    first, second = np.ones(len(theta)), np.zeros(len(theta))
    first[-1], second[-1] = slope, bend
    return _changed(base, first, second)


def natural_covariance(structure: str, theta: FloatArray, times: FloatArray) -> Covariance:
    """Return the same matrix with derivatives in the natural parameters.

    Variances and covariances (unstructured), the covariance and the variance beyond it (compound
    symmetric), else variances and the correlation at distance 1.
    """
    visits = len(times)
    if structure in ("unstructured", "compound_symmetric"):
        value = working_covariance(structure, theta, times).value
        linear = (
            _elementary(visits)
            if structure == "unstructured"
            else np.stack([np.ones((visits, visits)), np.eye(visits)])
        )
        count = len(theta)
        return Covariance(value, linear[:, None], np.zeros((count, count, 1, visits, visits)))
    base, _, _ = _separable(structure, theta, times)
    variance = np.exp(2 * theta[:-1])
    first = np.append(0.5 / variance, 1.0)
    second = np.append(-0.5 / variance**2, 0.0)
    return _changed(base, first, second)


def _changed(base: Covariance, first: FloatArray, second: FloatArray) -> Covariance:
    """Change each parameter by itself, given derivatives of the old one in the new one."""
    slopes = base.first * first[:, None, None, None]
    bends = base.second * np.multiply.outer(first, first)[:, :, None, None, None]
    own = np.arange(len(first))
    bends[own, own] += base.first * second[:, None, None, None]
    return Covariance(base.value, slopes, bends)


def _separable(
    structure: str, theta: FloatArray, times: FloatArray
) -> tuple[Covariance, float, float]:
    """Return the matrix by log standard deviations and correlation, and how t moves the latter."""
    visits = len(times)
    t = theta[-1]
    if structure.startswith("compound"):
        distance = 1 - np.eye(visits)
        correlation = t / np.sqrt(1 + t**2)
        slope, bend = (1 + t**2) ** -1.5, -3 * t * (1 + t**2) ** -2.5
    else:
        distance = np.abs(np.subtract.outer(times, times))
        correlation = 1 / (1 + np.exp(-t))
        slope = correlation * (1 - correlation)
        bend = slope * (1 - 2 * correlation)
    rows = np.eye(visits) if structure.endswith("_heterogeneous") else np.ones((1, visits))
    degree = rows[:, :, None] + rows[:, None, :]
    sd = np.exp(theta[:-1] @ rows)
    scale = np.outer(sd, sd)
    powers = _powers(correlation, distance)
    value = scale * powers[0]
    first = np.concatenate([degree * value, (scale * powers[1])[None]])
    count = len(theta)
    second = np.empty((count, count, visits, visits))
    second[:-1, :-1] = degree[:, None] * degree[None] * value
    second[:-1, -1] = second[-1, :-1] = degree * scale * powers[1]
    second[-1, -1] = scale * powers[2]
    return Covariance(value[None], first[:, None], second[:, :, None]), float(slope), float(bend)


def _powers(base: float, exponent: FloatArray) -> list[FloatArray]:
    """Return base ** exponent with its first two derivatives in the base, 0 ** 0 being 1."""
    factors = [np.ones_like(exponent), exponent, exponent * (exponent - 1)]
    return [
        factor * np.power(base, np.where(factor == 0, 0.0, exponent - order))
        for order, factor in enumerate(factors)
    ]


def _unstructured(theta: FloatArray, visits: int) -> Covariance:
    """Return the matrix by log standard deviations and unit lower triangle."""
    rows, columns = np.tril_indices(visits, -1)
    sd = np.exp(theta[:visits])
    lower = np.eye(visits)
    lower[rows, columns] = theta[visits:]
    root = sd[:, None] * lower
    count = len(theta)
    first = np.zeros((count, visits, visits))
    second = np.zeros((count, count, visits, visits))
    for row in range(visits):
        first[row, row] = second[row, row, row] = root[row]
    cells = visits + np.arange(len(rows))
    first[cells, rows, columns] = sd[rows]
    second[cells, rows, rows, columns] = second[rows, cells, rows, columns] = sd[rows]
    half = np.einsum("hab,kcb->hkac", first, first) + second @ root.T
    slope = first @ root.T
    return Covariance(
        (root @ root.T)[None],
        (slope + slope.swapaxes(-1, -2))[:, None],
        (half + half.swapaxes(-1, -2))[:, :, None],
    )


def _elementary(visits: int) -> FloatArray:
    """Return one symmetric matrix of zeros and ones for each variance and covariance."""
    rows, columns = np.tril_indices(visits)
    matrices = np.zeros((len(rows), visits, visits))
    cells = np.arange(len(rows))
    matrices[cells, rows, columns] = matrices[cells, columns, rows] = 1.0
    return matrices


def _unstructured_start(moments: FloatArray, log_sd: FloatArray) -> FloatArray:
    """Return parameters of the moments, pulled towards independence until positive definite."""
    diagonal = np.diag(np.diag(moments))
    for weight in (1.0, 0.9, 0.7, 0.4, 0.0):
        candidate = weight * moments + (1 - weight) * diagonal
        if np.linalg.eigvalsh(candidate)[0] > 1e-6 * np.exp(2 * log_sd).min():
            root = np.linalg.cholesky(candidate)
            break
    sd = np.diag(root)
    return np.append(np.log(sd), (root / sd[:, None])[np.tril_indices(len(sd), -1)])


def _correlation_start(structure: str) -> float:
    """Return the working parameter of a moderate correlation."""
    if structure.startswith("compound"):
        return float(START_CORRELATION / np.sqrt(1 - START_CORRELATION**2))
    return float(np.log(START_CORRELATION / (1 - START_CORRELATION)))
