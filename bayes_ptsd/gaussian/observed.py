"""Patients' vectors of scores, jointly normal, with missing ones integrated out."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from numba.extending import register_jitable
from pytensor.gradient import DisconnectedType, grad_not_implemented, grad_undefined
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.link.numba.dispatch.basic import (
    numba_njit,
    register_funcify_default_op_cache_key,
)

from bayes_ptsd.gaussian.covariance import log_matrix_density
from bayes_ptsd.priors import FloatArray, Prior

__all__ = ["MaskedNormal", "masked_normal", "observe_masked", "partial_correlations"]

# log(2 pi), of the density of a normal
LOG_2PI = float(np.log(2 * np.pi))
# PyTensor keeps machine code on disk under this number: changed code is another one
CODE = zlib.crc32(Path(__file__).read_bytes())


def observe_masked(
    name: str, values: FloatArray, *, mean: Any, covariance: Any, dims: Sequence[str]
) -> Any:
    """Observe vectors of scores of which some are missing, inside a model.

    The density is the marginal one of the scores that are there. Scores, and which of them are
    there, are data that can be exchanged. Density and gradient are one node of the graph
    (`MaskedNormal`), so that compiling takes as long for twelve occasions as for two.

    Parameters
    ----------
    name : str
        Name of the observed variable.
    values : ndarray
        Scores, NaN where missing, shape (subject, place).
    mean : tensor
        Shape (subject, place).
    covariance : tensor
        Shape (place, place).
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


def partial_correlations(prior: Prior, count: int, *, dim: str) -> Any:
    """Return partial correlations by pair (1, 0), (2, 0), (2, 1), under their matrix's prior."""
    unit = pm.Uniform("partial_unit", 0, 1, dims=dim)
    partial = pm.Deterministic("partial_correlation", 2 * unit - 1, dims=dim)
    # densities of the partial correlations, whose range is twice that of the units
    pairs = count * (count - 1) // 2
    density = log_matrix_density(prior, partial, count, xp=pt, inverse=_log_inverse_diagonal)
    density = density + pairs * np.log(2)
    pm.Potential("correlations", density)
    return partial


@register_jitable  # type: ignore[untyped-decorator]
def masked_normal(
    value: FloatArray, mean: FloatArray, covariance: FloatArray, there: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the log density of normal vectors and its gradients in mean and covariance.

    With K the inverse of the covariance of the places that are there and u = K (value - mean), the
    gradients are u and (u u' - K) / 2; K is made once for all patients who miss the same.

    Parameters
    ----------
    value, mean, there : ndarray
        Dims (subject, place); `there` is 1 where a value is, 0 where it is missing.
    covariance : ndarray
        Dims (place, place); where it is not positive definite the density is NaN.

    Returns
    -------
    ndarray, ndarray, ndarray
        Log density of all patients, without dims; gradients of dims (subject, place) and
        (place, place).

    Examples
    --------
    >>> there = np.array([[1.0, 0.0]])
    >>> density, slope, _ = masked_normal(np.ones((1, 2)), np.zeros((1, 2)), 4 * np.eye(2), there)
    >>> round(float(density), 4), slope
    (-1.7371, array([[0.25, 0.  ]]))
    """
    places = there.shape[1]
    residual = (value - mean) * there
    slope, curve = np.zeros(residual.shape), np.zeros((places, places))
    precision, log_det, total = curve, 0.0, 0.0
    # equal patterns beside each other; beyond 53 places some may not be, which costs time only
    order = np.argsort((there * 2.0 ** np.arange(places)).sum(axis=1))
    for step, patient in enumerate(order):
        if step == 0 or np.any(there[patient] != there[order[step - 1]]):
            precision, log_det = masked_inverse(covariance, there[patient])
        for i in range(places):
            for j in range(places):
                slope[patient, i] += precision[i, j] * residual[patient, j]
        total -= 0.5 * log_det
        for i in range(places):
            total -= 0.5 * (LOG_2PI * there[patient, i] + residual[patient, i] * slope[patient, i])
            for j in range(places):
                curve[i, j] += 0.5 * (slope[patient, i] * slope[patient, j] - precision[i, j])
    return np.asarray(total), slope, curve


@register_jitable  # type: ignore[untyped-decorator]
def masked_inverse(covariance: FloatArray, there: FloatArray) -> tuple[FloatArray, float]:
    """Return inverse, zero where a place is missing, and log determinant of what is there.

    By the sweep operator (Goodnight JH, American Statistician 1979;33:149-158).
    """
    places = len(there)
    swept, column, log_det = np.zeros((places, places)), np.zeros(places), 0.0
    for i in range(places):
        for j in range(places):
            swept[i, j] = -covariance[i, j] * there[i] * there[j]
    for k in range(places):
        if there[k] == 0:
            continue
        pivot = -swept[k, k]
        log_det += np.log(pivot)
        column[:] = swept[k]
        for i in range(places):
            for j in range(places):
                swept[i, j] += column[i] * column[j] / pivot
        for i in range(places):
            swept[k, i] = swept[i, k] = -column[i] / pivot
        swept[k, k] = 1 / pivot
    return swept, log_det


class MaskedNormal(Op):  # type: ignore[misc]
    """`masked_normal` as a node whose gradient is among its own results."""

    __props__ = ()

    def make_node(self, value: Any, mean: Any, covariance: Any, there: Any) -> Any:
        """Return the node of value, mean, covariance and places that are there."""
        inputs = [pt.as_tensor(one).astype("float64") for one in (value, mean, covariance, there)]
        return Apply(self, inputs, [pt.dscalar(), pt.dmatrix(), pt.dmatrix()])

    def perform(self, node: Any, inputs: Any, output_storage: Any) -> None:
        """Compute without Numba."""
        results = masked_normal(*inputs)
        for storage, result in zip(output_storage, results, strict=True):
            storage[0] = result

    def pullback(self, inputs: Any, outputs: Any, cotangents: Any) -> list[Any]:
        """Return the gradient of the density; a gradient of that is an error."""
        if not all(isinstance(one.type, DisconnectedType) for one in cotangents[1:]):
            return [
                grad_not_implemented(self, place, one, "second derivatives")
                for place, one in enumerate(inputs)
            ]
        slope, curve = (cotangents[0] * one for one in outputs[1:])
        return [-slope, slope, curve, grad_undefined(self, 3, inputs[3])]

    def L_op(self, inputs: Any, outputs: Any, output_grads: Any) -> list[Any]:
        """Return the same, under the name that PyTensor 2 calls."""
        return self.pullback(inputs, outputs, output_grads)


@register_funcify_default_op_cache_key(MaskedNormal)  # type: ignore[untyped-decorator]
def _compiled(op: Any, node: Any, **_: Any) -> tuple[Any, int]:
    """Return the function that Numba compiles."""
    return numba_njit(masked_normal), CODE


def _log_inverse_diagonal(matrix: Any) -> Any:
    """Return the sum of the logarithms of the diagonal of the inverse of a correlation matrix.

    An element of it is the determinant without one occasion, divided by that of the matrix: both
    are densities at zero.
    """
    zeros = pt.zeros_like(matrix)
    count = matrix.shape[0]
    every, others = pt.ones_like(matrix), 1 - pt.eye(count)
    whole, without = (MaskedNormal()(zeros, zeros, matrix, one)[0] for one in (every, others))
    return 2 * (whole - without) + count * LOG_2PI


def _log_density(value: Any, mean: Any, covariance: Any, there: Any) -> Any:
    """Return the log density of all patients, missing occasions integrated out."""
    return MaskedNormal()(value, mean, covariance, there)[0]


def _draw(mean: Any, covariance: Any, there: Any, size: Any) -> Any:
    """Return what all patients' occasions would be; zero where one is missing."""
    noise = pm.Normal.dist(0, 1, size=(mean.shape[0], mean.shape[1]))
    root = pt.linalg.cholesky(covariance)
    return (mean + (noise[:, None, :] * root[None, :, :]).sum(axis=2)) * there
