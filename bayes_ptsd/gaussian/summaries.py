"""What is told about a posterior that was integrated: moments, probabilities, densities, draws."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

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
    limits, parts, names = np.asarray(thresholds, dtype=float), [], []
    # a solution is thirty times as large as what is told of it: none is kept
    for solution in solutions:
        parts.append((*_moments(solution, limits), solution.quadrature.log_evidence))
        names = _names(solution.problem)
    mean, sd, above, log_evidence = (np.concatenate(each) for each in zip(*parts, strict=True))
    return xr.Dataset(
        {
            "mean": (("dataset", "estimand"), mean),
            "sd": (("dataset", "estimand"), sd),
            "prob_greater": (("dataset", "estimand", "threshold"), above),
            "log_marginal_likelihood": ("dataset", log_evidence),
        },
        coords={"estimand": names, "threshold": limits},
    )


def _moments(solution: Solution, limits: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return means, standard deviations and probabilities above limits, dataset and estimand first.

    Limits are a third dim; the probabilities of standard deviations are NaN.
    """
    mean, sd, above = [], [], []
    for vector in solution.problem.design.estimands.values():
        center, spread = solution.linear.combination(vector)
        mean.append((solution.weight * center).sum(axis=(1, 2)))
        second = spread**2 + (center - mean[-1][:, None, None]) ** 2
        sd.append(np.sqrt((solution.weight * second).sum(axis=(1, 2))))
        tails = [special.ndtr((center - limit) / spread) * solution.weight for limit in limits]
        above.append(np.stack([tail.sum(axis=(1, 2)) for tail in tails], axis=-1))
    for axis in range(len(solution.problem.axes)):
        center, weight = solution.value[:, axis], solution.quadrature.weight
        mean.append((weight * center).sum(axis=1))
        sd.append(np.sqrt((weight * (center - mean[-1][:, None]) ** 2).sum(axis=1)))
        above.append(np.full((len(center), len(limits)), np.nan))
    return np.stack(mean, axis=1), np.stack(sd, axis=1), np.stack(above, axis=1)


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
