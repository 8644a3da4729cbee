"""Linear columns and scores, reduced to cross-products, and their posterior on nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import special

from bayes_ptsd.errors import FitError, SpecError
from bayes_ptsd.gaussian.axes import Axis
from bayes_ptsd.gaussian.designs import Covariance, Design
from bayes_ptsd.gaussian.linear import (
    LinearPosterior,
    NormalComponents,
    cross_entries,
    normal_components,
    solve,
)
from bayes_ptsd.gaussian.quadrature import (
    EDGE_TOLERANCE,
    Quadrature,
    find_box,
    integrate,
    refuse_inexact,
    unit_nodes,
)
from bayes_ptsd.priors import FloatArray, Prior

__all__ = ["Problem", "Solution", "problem_of_rows", "solve_problem"]

# Highest Legendre coefficients, relative to the largest, above which a result is refused: integrals
# are accurate to about its square, 1e-4.
ACCEPTED = 1e-2
# Nodes an axis, by number of axes, tried in turn until the density is resolved: few first, since
# three axes at 96 already are 885,000 nodes.
NODES = {1: (64, 128), 2: (32, 48, 72, 108), 3: (20, 32, 40, 48, 60, 96)}


@dataclass(frozen=True)
class Problem:
    """Everything about a batch of data sets that the posterior needs."""

    design: Design
    covariance: Covariance
    axes: tuple[Axis, ...]
    prior: NormalComponents
    moments: FloatArray  # cross-products, dims (dataset, block, column, column)
    center: FloatArray  # coefficients subtracted from the scores, (dataset, coefficient)
    count: FloatArray  # patients with both, only the first, only the second period
    scale: FloatArray  # root mean square residual, score units, dim (dataset,)

    def part(self, chosen: slice) -> Problem:
        """Return the problem of some of the data sets."""
        return replace(
            self,
            moments=self.moments[chosen],
            center=self.center[chosen],
            count=self.count[chosen],
            scale=self.scale[chosen],
        )

    @cached_property
    def entries(self) -> FloatArray:
        """The cross-products with those of the coefficients' prior, as `solve` takes them."""
        return cross_entries(self.moments, self.prior, self.center)

    def values(self, coordinate: Sequence[FloatArray]) -> list[FloatArray]:
        """Return the parameters at coordinates, by axis, dataset dim first."""
        return [
            axis.value(x, _leading(self.scale, x.ndim))
            for axis, x in zip(self.axes, coordinate, strict=True)
        ]

    def linear(self, value: Sequence[FloatArray]) -> LinearPosterior:
        """Integrate the coefficients out at parameters by axis, whose dims broadcast."""
        return solve(
            self.entries,
            self.covariance.weights(value),
            log_det=self.covariance.log_det(value, list(_leading(self.count.T, 1 + value[0].ndim))),
            count=self.count @ np.array([2.0, 1.0, 1.0]),
            prior=self.prior,
            center=self.center,
        )

    def log_prior(
        self, coordinate: Sequence[FloatArray], value: Sequence[FloatArray]
    ) -> FloatArray:
        """Return the log prior density of the coordinates, by axis, whose dims broadcast."""
        parts = [
            axis.log_prior(value[i]) + axis.log_jacobian(x, _leading(self.scale, x.ndim))
            for i, (axis, x) in enumerate(zip(self.axes, coordinate, strict=True))
        ]
        return sum(parts[1:], parts[0])


@dataclass(frozen=True)
class Solution:
    """The posterior of a batch on its nodes."""

    problem: Problem
    quadrature: Quadrature
    value: FloatArray  # dispersion parameters, dims (dataset, axis, node)
    linear: LinearPosterior
    weight: FloatArray  # posterior probability, dims (dataset, component, node)


def problem_of_rows(
    design: Design, covariance: Covariance, axes: Sequence[Axis], score: FloatArray
) -> Problem:
    """Reduce linear columns and scores to the cross-products that a posterior needs.

    Scores have dims ``(dataset, subject, period)``, NaN where there is none.
    """
    present = np.isfinite(score)
    prior = normal_components(design.priors)
    columns = np.where(present[..., None], design.columns, 0.0)
    filled = np.where(present, score, 0.0)
    _refuse_aliased(columns, prior, list(design.priors))
    center = _least_squares(columns, filled)
    residual = filled - np.einsum("dspc,dc->dsp", columns, center)
    cells = present.sum(axis=(1, 2))
    scale = _scale(residual, filled, columns=columns, count=cells, axes=axes)
    if len(prior.mean) == 1 and prior.precision.any():
        step = _toward_prior(columns, prior, center, (residual**2).sum(axis=(1, 2)) / cells)
        center = center + step
        residual = residual - np.einsum("dspc,dc->dsp", columns, step)
    rows = np.concatenate([columns, residual[..., None]], axis=-1)
    both, first = present.all(axis=2), present[:, :, 0]
    count = [both, first & ~both, present[:, :, 1] & ~both]
    return Problem(
        design,
        covariance,
        tuple(axes),
        prior,
        moments=covariance.blocks(rows, present),
        center=center,
        count=np.stack([kind.sum(axis=1) for kind in count], axis=1).astype(float),
        scale=scale,
    )


def solve_problem(
    problem: Problem, *, tolerance: float, nodes: int | None = None, first: int | None = None
) -> Solution:
    """Integrate over the dispersion parameters with enough nodes.

    Nodes are added until the highest Legendre coefficients are below `tolerance`, relative to the
    largest; integrals are accurate to about its square. `first` is the number of the first data
    set of a batch, for messages.
    """
    quadrature, lines, linear = _resolved(problem, tolerance, nodes, wider=False)
    if not (quadrature.edge <= EDGE_TOLERANCE[len(problem.axes)]).all():
        quadrature, lines, linear = _resolved(problem, tolerance, nodes, wider=True)
    refuse_inexact(quadrature, problem.axes, tolerance=max(tolerance, ACCEPTED), first=first)
    tensor = np.stack(np.broadcast_arrays(*lines), axis=1)
    value = tensor.reshape(*tensor.shape[:2], -1)
    lost = np.asarray(np.isnan(linear.log_marginal).any(axis=1))
    if lost.any():
        # nodes that are singular to rounding have no weight; a number there keeps sums finite
        heaviest = quadrature.weight.argmax(axis=1)[:, None, None]
        value = np.where(lost[:, None], np.take_along_axis(value, heaviest, axis=2), value)
        linear = problem.linear(list(np.moveaxis(value, 1, 0)))
    weight = quadrature.weight[:, None]
    if linear.log_marginal.shape[1] > 1:
        weight = weight * np.exp(linear.log_marginal - _add(linear.log_marginal)[:, None])
    return Solution(problem, quadrature, value, linear, weight)


def _resolved(
    problem: Problem, tolerance: float, nodes: int | None, *, wider: bool
) -> tuple[Quadrature, list[FloatArray], LinearPosterior]:
    """Integrate with as few of the nodes as resolve the density, else with the most.

    With the parameters, on lines, and the coefficients' posterior at the nodes.
    """
    box = find_box(lambda x: _at(problem, x)[2], problem.axes, problem.scale, wider=wider)
    for count in NODES[len(problem.axes)] if nodes is None else (nodes,):
        value, linear, logs = _at(problem, box.lines(unit_nodes(count)))
        found = integrate(logs, box, problem.scale)
        if float(found.resolution.max()) <= tolerance:
            break
    return found, value, linear


def _at(
    problem: Problem, lines: list[FloatArray]
) -> tuple[list[FloatArray], LinearPosterior, FloatArray]:
    """Return parameters, the coefficients' posterior and the log density at a tensor of lines."""
    value = problem.values(lines)
    linear = problem.linear(value)
    prior = problem.log_prior(lines, value)
    logs = prior + _add(linear.log_marginal).reshape(prior.shape)
    logs[np.isnan(logs)] = -np.inf
    return value, linear, logs


def _leading(values: FloatArray, dims: int) -> FloatArray:
    """Give an array further dims, of length one, after its own."""
    return values.reshape(values.shape + (1,) * (dims - values.ndim))


def _add(logs: FloatArray) -> FloatArray:
    """Add prior components on the log scale, dims (dataset, component, node)."""
    return np.asarray(logs[:, 0] if logs.shape[1] == 1 else special.logsumexp(logs, axis=1))


def _refuse_aliased(columns: FloatArray, prior: NormalComponents, names: list[str]) -> None:
    """Refuse flat coefficients that the cells do not identify."""
    proper = np.diag((prior.precision > 0).all(axis=0).astype(float))
    square = np.einsum("dspc,dspe->dce", columns, columns)
    size = np.sqrt(np.maximum(np.einsum("dcc->dc", square), 1e-300))
    least, direction = np.linalg.eigh(square / size[:, :, None] / size[:, None, :] + proper)
    # rounding leaves 1e-16; designs that are only nearly aliased have information
    lost = least[:, 0] < 1e-9
    if lost.any():
        part = np.abs(direction[np.argmax(lost), :, 0]) > 1e-6
        flat = [name for name, inside in zip(names, part, strict=True) if inside]
        raise SpecError(
            f"flat priors on {', '.join(flat)} leave a direction without information (carryover, "
            "sequence effect and an empty cell of the design cannot be told apart); give one of "
            f"them a proper prior, such as {flat[-1].partition('[')[0]}=normal(0, 20)"
        )


def _least_squares(columns: FloatArray, filled: FloatArray) -> FloatArray:
    """Return coefficients that bring the scores near zero, dims (dataset, coefficient)."""
    square = np.einsum("dspc,dspe->dce", columns, columns)
    right = np.einsum("dspc,dsp->dc", columns, filled)
    return np.asarray((np.linalg.pinv(square, hermitian=True) @ right[..., None])[..., 0])


def _toward_prior(
    columns: FloatArray, prior: NormalComponents, center: FloatArray, variance: FloatArray
) -> FloatArray:
    """Return how far the prior draws coefficients off least squares, given the scores' variance.

    A sharp prior far from the coefficients that were subtracted would leave the densities without
    digits: what it pulls at and what the regression takes out are then alike and huge.
    """
    square = np.einsum("dspc,dspe->dce", columns, columns)
    pull = prior.precision * variance[:, None]
    total = square + pull[:, :, None] * np.eye(pull.shape[1])
    right = pull * (prior.mean - center)
    return np.asarray((np.linalg.pinv(total, hermitian=True) @ right[..., None])[..., 0])


def _scale(
    residual: FloatArray,
    filled: FloatArray,
    *,
    columns: FloatArray,
    count: FloatArray,
    axes: Sequence[Axis],
) -> FloatArray:
    """Return the root mean square residual; refuse scores that should vary and do not.

    Where the coefficients fit all scores exactly the standard deviations have their priors, and the
    scale is that of the first one.
    """
    scale = np.sqrt((residual**2).sum(axis=(1, 2)) / count)
    none = scale <= 1e-12 * np.abs(filled).max(axis=(1, 2))
    if not none.any():
        return np.asarray(scale)
    rows = columns.reshape(len(columns), -1, columns.shape[-1])
    varying = none & (np.linalg.matrix_rank(rows) < count)
    if varying.any():
        which = f"data set {int(np.argmax(varying))}: " if len(scale) > 1 else ""
        raise FitError(
            f"{which}the means of the model fit all scores exactly and leave no residual "
            "variation, so that the scores say nothing about the standard deviations but that "
            "they are zero: are the scores derived or rounded?"
        )
    prior = axes[0].prior
    middle = prior.quantile(0.5) if isinstance(prior, Prior) and prior.proper else 1.0
    return np.where(none, middle, scale)
