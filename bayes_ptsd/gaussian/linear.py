"""Linear coefficients given the standard deviations: integrated out in closed form.

Small systems are solved for many nodes at once, so the loops run over coefficients and the arrays
over data sets, prior components and nodes, dims ``(dataset, component, node)``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from scipy import special

from bayes_ptsd.errors import SpecError
from bayes_ptsd.priors import FloatArray, Prior

__all__ = [
    "LinearPosterior",
    "NormalComponents",
    "cross_entries",
    "normal_components",
    "solve",
]

# log(2 pi), of the normal density's constant.
LOG_2PI = math.log(2 * math.pi)
# A pivot this small beside its diagonal entry has lost 12 of a double's 16 digits.
PIVOT = 1e-12
# Multiplications of one matrix product up to which OpenBLAS, NumPy's, uses one thread: others that
# wait for the next one would burn more than they save.
ONE_THREAD = 2**18


@dataclass(frozen=True)
class NormalComponents:
    """A prior of the coefficients as a sum of independent normals."""

    log_weight: FloatArray  # dim (component,)
    mean: FloatArray  # dims (component, coefficient)
    precision: FloatArray  # the same; zero means flat

    @cached_property
    def log_norm(self) -> FloatArray:
        """Log of weight and normalizing constants of the proper factors, dim ``(component,)``."""
        logs = np.where(self.precision > 0, np.log(np.maximum(self.precision, 1e-300)), LOG_2PI)
        return np.asarray(self.log_weight + 0.5 * (logs - LOG_2PI).sum(axis=1))


def normal_components(priors: Mapping[str, Prior]) -> NormalComponents:
    """Write independent priors, one per coefficient in order, as one sum of normals.

    Flat, normal, Student-t, Cauchy, or mixtures of the proper ones; Student-t densities are scale
    mixtures of normals, accurate to about 1e-8.
    """
    parts = [_components(name, prior) for name, prior in priors.items()]
    joint = list(itertools.product(*parts))
    table = np.array(joint).reshape(len(joint), len(parts), 3)
    return NormalComponents(np.log(table[..., 0]).sum(axis=1), table[..., 1], table[..., 2])


def _components(name: str, prior: Prior) -> list[tuple[float, float, float]]:
    """Return weights, means and precisions of the normals that make up one prior."""
    value = prior.params
    if prior.dist == "flat":
        return [(1.0, 0.0, 0.0)]
    if prior.dist == "normal":
        return [(1.0, value["mu"], value["sigma"] ** -2)]
    if prior.dist in ("student_t", "cauchy"):
        return _student_components(value.get("nu", 1.0), value["mu"], value["sigma"])
    if prior.dist == "mixture":
        pairs = zip(prior.weights, prior.components, strict=True)
        return [(w * v, m, p) for w, part in pairs for v, m, p in _components(name, part)]
    raise SpecError(
        f"prior of '{name}' is {prior.dist}; the exact engine takes flat, normal, student_t, "
        "cauchy and mixtures of these: use one of them or fit the model by sampling"
    )


def _student_components(nu: float, mu: float, sigma: float) -> list[tuple[float, float, float]]:
    """Write a Student-t as normals with gamma precisions, by the trapezoid rule in their log."""
    step, shape = 0.5, nu / 2
    low, high = (
        math.log(1e-12) / (shape + 0.5),
        math.log(2 * special.gammainccinv(shape, 1e-14) / nu),
    )
    log_omega = np.arange(low, high + step, step)
    logs = shape * (math.log(shape) + log_omega) - shape * np.exp(log_omega) - math.lgamma(shape)
    keep = logs > -80
    weights = step * np.exp(logs[keep])
    precision = np.exp(log_omega[keep]) / sigma**2
    return [(float(w), mu, float(p)) for w, p in zip(weights, precision, strict=True)]


@dataclass(frozen=True)
class LinearPosterior:
    """Normal posteriors of the coefficients at each node.

    Their precision is ``L D L'``, `lower` the entries of L below its diagonal of ones, `pivot` D.
    """

    # With the component's prior weight, dims (dataset, component, node); NaN where the system is
    # singular to rounding.
    log_marginal: FloatArray
    lower: dict[tuple[int, int], FloatArray]  # by (row, column)
    pivot: list[FloatArray]
    half: list[FloatArray]  # by coefficient, L' times the mean less its center
    center: FloatArray  # of the coefficients, dims (dataset, coefficient)

    @cached_property
    def mean(self) -> list[FloatArray]:
        """Posterior means by coefficient; a search for the box needs none."""
        parts = _backward(self.lower, self.half)
        return [part + self.center[:, i, None, None] for i, part in enumerate(parts)]

    def combination(self, vector: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return mean and sd of a linear combination of the coefficients at each node."""
        terms = [mean if value == 1 else value * mean
                 for value, mean in zip(vector, self.mean, strict=True) if value]  # fmt: skip
        return sum(terms[1:], terms[0]), np.sqrt(self._variance(vector.tolist()))

    def _variance(self, vector: list[float]) -> FloatArray:
        """Return the variance of a linear combination at each node."""
        first = next(i for i, value in enumerate(vector) if value)
        root: dict[int, FloatArray | float] = {first: vector[first]}
        total = np.asarray(vector[first] ** 2 / self.pivot[first])
        for i in range(first + 1, len(vector)):
            root[i] = vector[i] - sum(self.lower[i, k] * root[k] for k in range(first, i))
            total = total + np.square(root[i]) / self.pivot[i]
        return total

    def draw(self, noise: FloatArray) -> list[FloatArray]:
        """Turn standard normal `noise`, coefficient dim first, into draws of the coefficients."""
        scaled = [one / np.sqrt(pivot) for one, pivot in zip(noise, self.pivot, strict=True)]
        moves = _backward(self.lower, scaled)
        return [mean + move for mean, move in zip(self.mean, moves, strict=True)]


def cross_entries(moments: FloatArray, prior: NormalComponents, center: FloatArray) -> FloatArray:
    """Return the lower entries of all cross-products, dims ``(dataset, component, entry, block)``.

    Column by column, each from its diagonal on.
    `moments` are those of the design columns and, last, of the residual scores, dims ``(dataset,
    block, column, column)``; `center` the coefficients that were subtracted from the scores. The
    prior is one more block, the last, whose weight is one at every node.
    """
    size = moments.shape[-1] - 1
    shift = prior.mean - center[:, None, :]
    pull = prior.precision * shift
    own = np.zeros((*shift.shape[:2], 1, size + 1, size + 1))
    own[..., 0, range(size), range(size)] = prior.precision
    own[..., 0, size, :size] = pull
    own[..., 0, size, size] = (pull * shift).sum(axis=2)
    scores = np.broadcast_to(moments[:, None], (*shift.shape[:2], *moments.shape[1:]))
    blocks = np.concatenate([scores, own], axis=2)
    rows, columns = map(list, zip(*_places(size), strict=True))
    return np.ascontiguousarray(np.swapaxes(blocks[..., rows, columns], 2, 3))


def solve(
    entries: FloatArray,
    weights: Sequence[FloatArray],
    *,
    log_det: FloatArray,
    count: FloatArray,
    prior: NormalComponents,
    center: FloatArray,
) -> LinearPosterior:
    """Integrate the linear coefficients out at each node, in closed form [1]_.

    `entries` are from `cross_entries`; `weights` the entries of the inverse covariance that
    multiply the blocks of scores and `log_det` the log determinant of the covariance of all `count`
    scores, dims dataset and those of the nodes, which become one; `center` the coefficients that
    were subtracted from the scores.

    References
    ----------
    .. [1] Lindley DV, Smith AFM. Bayes estimates for the linear model. JRSS B 1972;34:1-41.
    """
    size = center.shape[1]
    table = _weighted(entries, _node_weights(weights, log_det.shape))
    entry = dict(zip(_places(size), table, strict=True))
    pivot = [entry[j, j] for j in range(size)]
    least = [PIVOT * one for one in pivot]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        lower = _eliminate(entry, size)
        logs = entry[size, size]
        logs += log_det.reshape(len(entries), 1, -1)
        for one in pivot:
            logs += np.log(one)
    logs *= -0.5
    # flat coefficients keep the sqrt(2 pi) of their integral; log_norm cancels it for proper ones
    logs += (prior.log_norm - 0.5 * LOG_2PI * (count[:, None] - size))[:, :, None]
    for one, limit in zip(pivot, least, strict=True):
        # lost to rounding: such nodes, at the rim of the widest box, count as impossible
        kept = one > limit
        if not kept.all():
            logs[~kept] = np.nan
    half = [lower.pop((size, j)) for j in range(size)]
    return LinearPosterior(logs, lower, pivot, half, center)


@cache
def _places(size: int) -> list[tuple[int, int]]:
    """Return row and column of the lower entries, column by column, the scores' row the last."""
    return [(i, j) for j in range(size + 1) for i in range(j, size + 1)]


def _node_weights(weights: Sequence[FloatArray], shape: tuple[int, ...]) -> FloatArray:
    """Put the weights of the blocks side by side, the prior's last, dims (dataset, block, node)."""
    table = np.empty((shape[0], len(weights) + 1, *shape[1:]))
    for number, weight in enumerate(weights):
        table[:, number] = weight
    table[:, -1] = 1.0
    return table.reshape(*table.shape[:2], -1)


def _weighted(entries: FloatArray, weights: FloatArray) -> FloatArray:
    """Add the blocks of entries up, dims (entry, dataset, component, node)."""
    count, blocks = entries.shape[2:]
    found = np.empty((count, *entries.shape[:2], weights.shape[-1]))
    step = ONE_THREAD // (count * blocks)
    for start in range(0, weights.shape[-1], step):
        part = slice(start, start + step)
        np.matmul(entries, weights[:, None, :, part], out=np.moveaxis(found[..., part], 0, 2))
    return found


def _eliminate(
    entry: Mapping[tuple[int, int], FloatArray], size: int
) -> dict[tuple[int, int], FloatArray]:
    """Factor symmetric matrices given by their lower entries, which are overwritten.

    Return the entries of L, the scores' row among them. The diagonal becomes the pivots and, last,
    what is left of the squared scores without their regression on the columns.
    """
    lower: dict[tuple[int, int], FloatArray] = {}
    spare = np.empty_like(entry[0, 0])
    for j in range(size):
        for i in range(j + 1, size + 1):
            lower[i, j] = entry[i, j] / entry[j, j]
            for k in range(j + 1, i + 1):
                entry[i, k] -= np.multiply(lower[i, j], entry[k, j], out=spare)
    return lower


def _backward(
    lower: Mapping[tuple[int, int], FloatArray], right: list[FloatArray]
) -> list[FloatArray]:
    """Solve with the transpose of L."""
    size = len(right)
    found = list(right)
    for i in reversed(range(size)):
        for k in range(i + 1, size):
            found[i] = found[i] - lower[k, i] * found[k]
    return found
