"""Printed statistics as forms of integer scores, and residuals that have them before rounding.

Every estimate of the paper is a linear form of the scores, every residual sum of squares a
quadratic one. A change of a few scores changes each form by a few products, so thousands of
changes can be tried at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence.intervals import FloatArray

__all__ = [
    "Analysis",
    "Cells",
    "IntArray",
    "Response",
    "Statistics",
    "equicorrelated",
    "least_squares",
    "orthogonal",
    "residuals",
    "with_gram",
]

IntArray: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True)
class Cells:
    """Scores that may be changed: patient, column (such as ``"madrs.2"``) and bounds of each."""

    patient: IntArray
    column: tuple[str, ...]
    low: FloatArray
    high: FloatArray
    subjects: int

    @classmethod
    def of(cls, columns: Mapping[str, tuple[NDArray[np.bool_], float, float]]) -> Cells:
        """Return the cells of columns, each given by who has a score and its bounds."""
        who = [np.flatnonzero(mask) for mask, _, _ in columns.values()]
        sizes = [len(index) for index in who]
        bounds = np.repeat([(low, high) for _, low, high in columns.values()], sizes, axis=0)
        names = tuple(np.repeat(list(columns), sizes).tolist())
        size = len(next(iter(columns.values()))[0])
        return cls(np.concatenate(who), names, bounds[:, 0], bounds[:, 1], size)

    def take(self, table: Mapping[str, FloatArray]) -> FloatArray:
        """Return the scores of the cells, dim (cell,), from columns over all patients."""
        pairs = zip(self.patient.tolist(), self.column, strict=True)
        return np.array([table[column][patient] for patient, column in pairs])

    def put(self, values: FloatArray) -> dict[str, FloatArray]:
        """Return columns over all patients, NaN where a patient has no cell."""
        columns: dict[str, FloatArray] = {}
        for name in dict.fromkeys(self.column):
            here = np.array(self.column) == name
            columns[name] = np.full(self.subjects, np.nan)
            columns[name][self.patient[here]] = values[here]
        return columns

    def response(self, weights: Mapping[str, float], offset: FloatArray | float = 0.0) -> Response:
        """Return the weighted sum of columns plus an offset, one value per patient."""
        weight = np.array([weights.get(column, 0.0) for column in self.column])
        return Response(weight, np.broadcast_to(np.asarray(offset, float), (self.subjects,)))


@dataclass(frozen=True)
class Response:
    """What is analyzed: weighted scores, dim (cell,), plus constants, dim (subject,)."""

    weight: FloatArray
    offset: FloatArray


@dataclass(frozen=True)
class Analysis:
    """Least squares with fixed covariates, for one coefficient.

    Attributes
    ----------
    coefficient : ndarray
        Weights that make the coefficient from the response, dim (subject,); zero outside the
        patients analyzed.
    residual : ndarray
        The matrix that makes residuals, dims (subject, subject).
    factor : float
        Variance of the coefficient in units of the residual variance.
    """

    coefficient: FloatArray
    residual: FloatArray
    factor: float
    df: int

    def fit(self, response: FloatArray) -> tuple[float, float]:
        """Return estimate and standard error for the scores of all patients."""
        y = np.nan_to_num(response)
        return float(self.coefficient @ y), float(
            np.sqrt(self.factor * (y @ self.residual @ y) / self.df)
        )


def least_squares(design: FloatArray, who: NDArray[np.bool_], which: int) -> Analysis:
    """Return the analysis of the patients `who` for column `which` of a design (subject, column).

    Rows of patients left out are ignored; a design without a unique solution is refused.
    """
    x = design[who]
    if np.linalg.matrix_rank(x) < x.shape[1]:
        raise EvidenceError("the patients do not determine the analysis: columns are collinear")
    inverse = np.linalg.inv(x.T @ x)
    hat = x @ inverse @ x.T
    coefficient, residual = np.zeros(len(who)), np.zeros((len(who), len(who)))
    coefficient[who] = (inverse @ x.T)[which]
    residual[np.ix_(who, who)] = np.eye(len(x)) - hat
    return Analysis(coefficient, residual, float(inverse[which, which]), len(x) - x.shape[1])


@dataclass
class Statistics:
    """Linear and quadratic statistics of the cells, collected and then evaluated together."""

    cells: Cells
    _linear: list[FloatArray] = field(default_factory=list)
    _linear_constant: list[float] = field(default_factory=list)
    _matrix: list[FloatArray] = field(default_factory=list)
    _slope: list[FloatArray] = field(default_factory=list)
    _constant: list[float] = field(default_factory=list)

    def linear(self, response: Response, coefficient: FloatArray) -> int:
        """Add a linear statistic and return its place."""
        self._linear.append(response.weight * coefficient[self.cells.patient])
        self._linear_constant.append(float(coefficient @ response.offset))
        return len(self._linear) - 1

    def quadratic(self, parts: Sequence[tuple[Response, Response, FloatArray]]) -> int:
        """Add the quadratic statistic that is the sum of ``y' M z`` and return its place."""
        patient, size = self.cells.patient, len(self.cells.patient)
        matrix, slope, constant = np.zeros((size, size)), np.zeros(size), 0.0
        for y, z, m in parts:
            product = np.outer(y.weight, z.weight) * m[np.ix_(patient, patient)]
            matrix += (product + product.T) / 2
            slope += (y.weight * (m @ z.offset)[patient] + z.weight * (m @ y.offset)[patient]) / 2
            constant += float(y.offset @ m @ z.offset)
        self._matrix.append(matrix)
        self._slope.append(slope)
        self._constant.append(constant)
        return len(self._matrix) - 1

    def arrays(self) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
        """Return linear statistics and their constants; matrices, slopes and constants."""
        size = len(self.cells.patient)
        return (
            np.array(self._linear).reshape(-1, size),
            np.array(self._linear_constant),
            np.array(self._matrix).reshape(-1, size, size),
            np.array(self._slope).reshape(-1, size),
            np.array(self._constant),
        )


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
