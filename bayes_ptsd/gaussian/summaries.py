"""What is told about a posterior that was integrated: moments, probabilities, densities, draws."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr
from scipy import special

from bayes_ptsd.evidence.pairs import BoolArray
from bayes_ptsd.gaussian.draws import draw_posterior
from bayes_ptsd.gaussian.problem import Problem, Solution, solve_problem
from bayes_ptsd.gaussian.quadrature import series_cdf, series_pdf
from bayes_ptsd.priors import FloatArray

__all__ = [
    "DRAW_TOLERANCE",
    "Moments",
    "batch_moments",
    "batch_summaries",
    "exact_group",
    "posterior_tree",
    "solution_summaries",
]

# Points of every stored density; spaced in sinh, they give a normal's quantiles to 1e-6 sd.
GRID = 401
# Probability that a grid leaves out on each side: far below the four digits that are shown.
TAIL = 1e-10
# Draws come from the Legendre series itself, not from an integral, so that its highest coefficients
# are their error: a tenth of what is accepted of an integral.
DRAW_TOLERANCE = 1e-3


def posterior_tree(problem: Problem, *, draws: int, seed: int) -> xr.DataTree:
    """Solve one data set: independent draws, densities on a grid, error figures.

    Groups ``posterior`` and ``exact``; attributes ``log_marginal_likelihood, nodes_per_axis,
    box_edge, quadrature_error``.
    """
    solution = solve_problem(problem, tolerance=DRAW_TOLERANCE)
    drawn = draw_posterior(solution, draws=draws, rng=np.random.default_rng(seed))
    posterior = drawn.rename(dataset="chain").assign_coords(chain=[0], draw=np.arange(draws))
    tree = xr.DataTree.from_dict({"posterior": posterior, "exact": exact_group(solution)})
    tree.attrs = {
        "log_marginal_likelihood": float(solution.quadrature.log_evidence[0]),
        "nodes_per_axis": int(solution.quadrature.series.shape[1]),
        "box_edge": float(solution.quadrature.edge[0]),
        "quadrature_error": float(solution.quadrature.resolution[0]),
    }
    return tree


def solution_summaries(solution: Solution, thresholds: Sequence[float]) -> xr.Dataset:
    """Return moments and probabilities of a batch of posteriors, as `batch_summaries`."""
    return batch_summaries([solution], thresholds)


def batch_summaries(solutions: Iterable[Solution], thresholds: Sequence[float]) -> xr.Dataset:
    """Return moments and probabilities of one batch of posteriors that is solved in parts.

    ``mean, sd`` on dims ``(dataset, estimand)``; ``prob_greater`` than the thresholds (score units)
    on ``(dataset, estimand, threshold)``, NaN for standard deviations; ``log_marginal_likelihood``.
    """
    found = batch_moments(solutions, thresholds)
    return xr.Dataset(
        {
            "mean": (("dataset", "estimand"), found.mean),
            "sd": (("dataset", "estimand"), found.sd),
            "prob_greater": (("dataset", "estimand", "threshold"), found.above),
            "log_marginal_likelihood": ("dataset", found.log_evidence),
        },
        coords={
            "estimand": list(found.estimands),
            "threshold": np.asarray(thresholds, dtype=float),
        },
    )


class Moments(NamedTuple):
    """What `batch_summaries` tells, as arrays: only of the estimands that were asked for."""

    estimands: tuple[str, ...]
    mean: FloatArray  # dims (dataset, estimand)
    sd: FloatArray
    above: FloatArray  # P(greater than each threshold), dims (dataset, estimand, threshold)
    log_evidence: FloatArray  # dim (dataset,)


def batch_moments(
    solutions: Iterable[Solution],
    thresholds: Sequence[float],
    estimands: Sequence[str] | None = None,
) -> Moments:
    """Return moments and probabilities of some estimands, all unless named, as arrays."""
    limits, parts = np.asarray(thresholds, dtype=float), []
    names: tuple[str, ...] = ()
    # a solution is thirty times as large as what is told of it: none is kept
    for solution in solutions:
        names = tuple(_names(solution.problem) if estimands is None else estimands)
        table = [_moments(solution, name, limits) for name in names]
        mean, sd, above = (np.stack(each, axis=1) for each in zip(*table, strict=True))
        parts.append((mean, sd, above, solution.quadrature.log_evidence))
    return Moments(names, *map(np.concatenate, zip(*parts, strict=True)))


def _moments(
    solution: Solution, name: str, limits: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return mean and sd, dim dataset, and P(greater than limits) of an estimand by name.

    The probabilities of standard deviations are NaN.
    """
    vector = solution.problem.design.estimands.get(name)
    if vector is None:
        axis = [one.name for one in solution.problem.axes].index(name)
        center, weight = solution.value[:, axis], solution.quadrature.weight
        mean = (weight * center).sum(axis=1)
        square = (weight * (center - mean[:, None]) ** 2).sum(axis=1)
        return mean, np.sqrt(square), np.full((len(center), len(limits)), np.nan)
    center, spread = solution.linear.combination(vector)
    mean = _average(solution.weight, center)
    square = _average(solution.weight, spread**2 + (center - mean[:, None, None]) ** 2)
    above = [_average(solution.weight, special.ndtr((center - one) / spread)) for one in limits]
    return mean, np.sqrt(square), np.stack(above, axis=-1)


def _average(weight: FloatArray, value: FloatArray) -> FloatArray:
    """Return an average over components and nodes, dim dataset."""
    return np.asarray(np.einsum("dcn,dcn->d", weight, np.broadcast_to(value, weight.shape)))


def _names(problem: Problem) -> list[str]:
    """Return the names of all estimands, linear ones first."""
    return [*problem.design.estimands, *(axis.name for axis in problem.axes)]


def exact_group(solution: Solution) -> xr.Dataset:
    """Return density, distribution function and moments of every parameter of one data set.

    ``value, pdf, cdf`` have dims ``(estimand, grid)``.
    """
    summary = solution_summaries(solution, (0.0,)).isel(dataset=0)
    grids = [_linear_grid(solution, v) for v in solution.problem.design.estimands.values()]
    grids += [_axis_grid(solution, axis) for axis in range(len(solution.problem.axes))]
    table = np.stack(grids)
    error = np.full(len(table), float(solution.quadrature.resolution[0]))
    variables = {
        name: (("estimand", "grid"), table[:, i]) for i, name in enumerate(("value", "pdf", "cdf"))
    }
    return xr.Dataset(
        variables | {"quadrature_error": ("estimand", error)},
        coords={"estimand": summary["estimand"]},
    ).assign(mean=summary["mean"], sd=summary["sd"])


def _linear_grid(solution: Solution, vector: FloatArray) -> FloatArray:
    """Return value, density and distribution function of a mixture of normals over the nodes."""
    center, spread = solution.linear.combination(vector)
    keep = _heavy(solution.weight)
    weight = solution.weight[keep] / solution.weight[keep].sum()
    center, spread = (np.broadcast_to(part, keep.shape)[keep] for part in (center, spread))

    def cdf(value: float) -> float:
        return float(weight @ special.ndtr((value - center) / spread))

    middle = float(weight @ center)
    width = float(np.sqrt(weight @ (spread**2 + (center - middle) ** 2)))
    low, high = (_tail(cdf, middle, side * width) for side in (-1, 1))
    # sinh spacing: dense where the density is, out to tails of 1e-10
    reach = np.arcsinh(np.array([low - middle, high - middle]) / width)
    value = middle + width * np.sinh(np.linspace(reach[0], reach[1], GRID))
    below, density = np.empty(GRID), np.empty(GRID)
    height = weight / spread / np.sqrt(2 * np.pi)
    for part in np.array_split(np.arange(GRID), 8):
        z = (value[part, None] - center) / spread
        below[part] = np.einsum("gn,n->g", special.ndtr(z), weight)
        density[part] = np.einsum("gn,n->g", np.exp(-0.5 * z**2), height)
    return np.stack([value, density, below])


def _heavy(weight: FloatArray) -> BoolArray:
    """Tell the nodes that together hold all but 1e-11 of the probability."""
    order = np.sort(weight, axis=None)
    return np.asarray(weight >= order[np.searchsorted(np.cumsum(order), 1e-11)])


def _tail(cdf: Callable[[float], float], middle: float, step: float) -> float:
    """Walk from the center until the probability beyond is negligible."""
    distance = 6.0
    while distance < 1e6:
        value = middle + distance * step
        below = cdf(value)
        if (below if step < 0 else 1 - below) < TAIL:
            break
        distance *= 1.25
    return middle + distance * step


def _axis_grid(solution: Solution, axis: int) -> FloatArray:
    """Return value, density and distribution function of a dispersion parameter."""
    problem, quadrature = solution.problem, solution.quadrature
    unit = np.linspace(-1, 1, GRID)
    half = (quadrature.high[0, axis] - quadrature.low[0, axis]) / 2
    x = quadrature.low[0, axis] + half * (unit + 1)
    series = quadrature.marginal(axis)[0]
    slope = half * np.exp(problem.axes[axis].log_jacobian(x, problem.scale))
    value = problem.axes[axis].value(x, problem.scale)
    below = series_cdf(series, unit) / series_cdf(series, np.ones(1))
    density = np.maximum(series_pdf(series, unit), 0.0)
    return np.stack([value, density / slope, np.clip(np.maximum.accumulate(below), 0, 1)])
