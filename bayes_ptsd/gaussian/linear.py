"""Linear coefficients given the standard deviations: integrated out in closed form.

Small systems are solved for many nodes at once, so the loops run over coefficients and the arrays
over data sets, prior components and nodes, dims ``(dataset, component, node)``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import special

from bayes_ptsd.errors import SpecError
from bayes_ptsd.priors import FloatArray, Prior

__all__ = ["LinearPosterior", "NormalComponents", "normal_components", "solve"]

# log(2 pi), of the normal density's constant.
LOG_2PI = math.log(2 * math.pi)
# A squared pivot this small beside its diagonal entry has lost 12 of a double's 16 digits.
PIVOT = 1e-12


@dataclass(frozen=True)
class NormalComponents:
    """A prior of the coefficients as a sum of independent normals."""

    log_weight: FloatArray  # dim (component,)
    mean: FloatArray  # dims (component, coefficient)
    precision: FloatArray  # the same; zero means flat

    @property
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
    """Normal posteriors of the coefficients at each node."""

    # With the component's prior weight, dims (dataset, component, node); NaN where the system is
    # singular to rounding.
    log_marginal: FloatArray
    # (row, column) of the lower Cholesky factor of the precision
    factor: dict[tuple[int, int], FloatArray]
    half: list[FloatArray]  # by coefficient, the mean less its center before the factor's transpose
    center: FloatArray  # of the coefficients, dims (dataset, coefficient)

    @cached_property
    def mean(self) -> list[FloatArray]:
        """Posterior means by coefficient; a search for the box needs none."""
        parts = _backward(self.factor, self.half)
        return [part + self.center[:, i, None, None] for i, part in enumerate(parts)]

    def combination(self, vector: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return mean and sd of a linear combination of the coefficients at each node."""
        terms = [value * mean for value, mean in zip(vector, self.mean, strict=True) if value]
        columns = [np.full(1, value) for value in vector]
        root = _forward(self.factor, columns)
        return sum(terms, np.zeros(1)), np.sqrt(sum((part**2 for part in root), np.zeros(1)))

    def draw(self, noise: FloatArray) -> list[FloatArray]:
        """Turn standard normal `noise`, coefficient dim first, into draws of the coefficients."""
        moves = _backward(self.factor, list(noise))
        return [mean + move for mean, move in zip(self.mean, moves, strict=True)]


def solve(
    moments: FloatArray,
    weights: FloatArray,
    *,
    log_det: FloatArray,
    count: FloatArray,
    prior: NormalComponents,
    center: FloatArray,
) -> LinearPosterior:
    """Integrate the linear coefficients out at each node, in closed form [1]_.

    `moments` are cross-products of the design columns and, last, the residual scores, dims
    ``(dataset, block, column, column)``; `weights` the entries of the inverse covariance that
    multiply the blocks, ``(dataset, block, node)``; `log_det` that of the covariance of all `count`
    scores, ``(dataset, node)``; `center` the coefficients that were subtracted from the scores.

    References
    ----------
    .. [1] Lindley DV, Smith AFM. Bayes estimates for the linear model. JRSS B 1972;34:1-41.
    """
    size = moments.shape[-1] - 1
    entry = _entries(moments, weights)
    shift = prior.mean - center[:, None, :]
    pull = (prior.precision * shift)[:, :, :, None]
    for i in range(size):
        entry[i, i] = entry[i, i] + prior.precision[None, :, i, None]
    factor = _cholesky(entry, size)
    half = _forward(factor, [entry[size, i] + pull[:, :, i] for i in range(size)])
    fit = sum(part**2 for part in half)
    total = entry[size, size] + (prior.precision * shift**2).sum(axis=2)[:, :, None]
    # flat coefficients keep the sqrt(2 pi) of their integral; log_norm cancels it for proper ones
    log_marginal = prior.log_norm[None, :, None] - 0.5 * (
        (count[:, None, None] - size) * LOG_2PI + log_det[:, None, :] + total - fit
    )
    log_marginal = log_marginal - sum(np.log(factor[i, i]) for i in range(size))
    return LinearPosterior(log_marginal, factor, half, center)


def _entries(moments: FloatArray, weights: FloatArray) -> dict[tuple[int, int], FloatArray]:
    """Return the lower entries of the weighted cross-products, dims (dataset, 1, node)."""
    pairs = [(i, j) for i in range(moments.shape[-1]) for j in range(i + 1)]
    rows, columns = map(list, zip(*pairs, strict=True))
    weighted = np.einsum("dkp,dkn->dpn", moments[:, :, rows, columns], weights)
    return {pair: weighted[:, number, None, :] for number, pair in enumerate(pairs)}


def _less(value: FloatArray, terms: Iterable[FloatArray]) -> FloatArray:
    """Subtract the sum of terms, nothing where there is none: a pass over all nodes costs."""
    known = list(terms)
    return value - sum(known[1:], known[0]) if known else value


def _cholesky(
    entry: Mapping[tuple[int, int], FloatArray], size: int
) -> dict[tuple[int, int], FloatArray]:
    """Factor symmetric matrices given by their lower entries."""
    factor: dict[tuple[int, int], FloatArray] = {}
    for j in range(size):
        square = _less(entry[j, j], (factor[j, k] ** 2 for k in range(j)))
        # lost to rounding: such nodes, at the rim of the widest box, count as impossible
        factor[j, j] = np.sqrt(np.where(square > PIVOT * entry[j, j], square, np.nan))
        for i in range(j + 1, size):
            rest = _less(entry[i, j], (factor[i, k] * factor[j, k] for k in range(j)))
            factor[i, j] = rest / factor[j, j]
    return factor


def _forward(
    factor: Mapping[tuple[int, int], FloatArray], right: list[FloatArray]
) -> list[FloatArray]:
    """Solve with the lower factor."""
    found: list[FloatArray] = []
    for i, value in enumerate(right):
        known = (factor[i, k] * found[k] for k in range(i))
        found.append(_less(value, known) / factor[i, i])
    return found


def _backward(
    factor: Mapping[tuple[int, int], FloatArray], right: list[FloatArray]
) -> list[FloatArray]:
    """Solve with the transpose of the lower factor."""
    size = len(right)
    found: list[FloatArray] = [np.zeros(1)] * size
    for i in reversed(range(size)):
        known = (factor[k, i] * found[k] for k in range(i + 1, size))
        found[i] = _less(right[i], known) / factor[i, i]
    return found
