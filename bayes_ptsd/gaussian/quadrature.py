"""Gauss-Legendre quadrature over a box that is found, checked and inverted.

Everything works on a batch of densities at once. Nodes are the tensor of one line an axis, so that
what depends on one axis is computed on its line: densities have dims ``(dataset, node, ...)`` with
one node dim an axis, coordinates the same with ones for the other axes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray

from bayes_ptsd.errors import FitError
from bayes_ptsd.evidence.pairs import BoolArray
from bayes_ptsd.gaussian.axes import Axis
from bayes_ptsd.priors import FloatArray, Prior

__all__ = [
    "Box",
    "LogDensity",
    "Quadrature",
    "find_box",
    "integrate",
    "refuse_inexact",
    "series_cdf",
    "series_pdf",
    "series_quantile",
    "unit_nodes",
]

# Log of the unnormalized densities at the tensor of lines, from `Box.lines`.
LogDensity = Callable[[list[FloatArray]], FloatArray]

# Log units below the peak, by number of axes, that the box holds: a factor of 5e8, or 9e6 where a
# third axis makes nodes dear.
DROP = {1: 20.0, 2: 20.0, 3: 16.0}
# Points an axis of the search for the box: 65, 289 or 2,197 in all, a few times in turn.
SCAN = {1: 65, 2: 17, 3: 13}
# Marginal density accepted at the edge of the box, relative to its peak: fifty times (three axes:
# ninety) what exp(-DROP) leaves there, as the sum over the other axes adds to it.
EDGE_TOLERANCE = {1: 1e-7, 2: 1e-7, 3: 1e-5}

# Parts of the box, a power of two, in one of which a quantile is sought: a fifth of a posterior sd
# each, from whose middle Newton's steps converge.
BRACKETS = 64
# Of the box, to which quantiles are known, and of the integral, as which no double adds a series up
# better.
QUANTILE, ROUNDING = 1e-12, 2e-15
# Steps at most: halvings of a part to QUANTILE where the density is next to nothing.
HALVINGS = 36

# What to do where the density has not fallen off at an edge of the box: priors that are proper or
# not at the lower end of a standard deviation, any at its upper end, any of a correlation.
AT_ZERO = {
    False: "it is improper there: give the standard deviations proper priors such as half_normal",
    True: "these priors are proper, so the scores leave it free to be zero; one whose prior has no "
    "density there, such as log_normal, has a posterior",
}
HEAVY = "it is improper or too heavy-tailed: give it a proper prior such as half_normal"
ALIKE = (
    "the scores of the two periods differ by nothing, or by far less than the priors of the "
    "standard deviations expect; check the scores and reference_sd"
)


@dataclass(frozen=True)
class Box:
    """Where the mass of each density of a batch is."""

    low: FloatArray  # in coordinates, dims (dataset, axis)
    high: FloatArray
    natural: list[tuple[bool, bool]]  # by axis, whether an end of the box is an end of the prior

    def lines(self, unit: FloatArray) -> list[FloatArray]:
        """Return the coordinates at `unit`, 0 to 1 along each axis, as lines that broadcast."""
        width, count = self.high - self.low, self.low.shape[1]
        found = []
        for axis in range(count):
            line = self.low[:, [axis]] + width[:, [axis]] * unit
            found.append(line.reshape(len(line), *(-1 if i == axis else 1 for i in range(count))))
        return found


@dataclass(frozen=True)
class Quadrature:
    """A batch of densities on Gauss-Legendre nodes.

    Attributes
    ----------
    low, high : ndarray
        Box in coordinates, dims ``(dataset, axis)``.
    weight : ndarray
        Posterior probability of each node, dims ``(dataset, node)``; sums to one.
    log_evidence : ndarray
        Log of the integral, dim ``(dataset,)``.
    series : ndarray
        Legendre coefficients of the density over the box mapped to [-1, 1], dims ``(dataset,
        degree, ...)`` with one degree dim an axis; normalized to integrate to one.
    edges : ndarray
        Density at the lower and the upper edge of the box relative to the peak of its marginal,
        zero at an end of the prior, dims ``(dataset, axis, 2)``.
    resolution : ndarray
        Size of the highest coefficients relative to the largest, dim ``(dataset,)``.
    """

    low: FloatArray
    high: FloatArray
    weight: FloatArray
    log_evidence: FloatArray
    series: FloatArray
    edges: FloatArray
    resolution: FloatArray

    @property
    def edge(self) -> FloatArray:
        """Return the largest density at an edge of the box, dim ``(dataset,)``."""
        return np.asarray(self.edges.max(axis=(1, 2)))

    def marginal(self, axis: int) -> FloatArray:
        """Return the Legendre coefficients of one axis, dims ``(dataset, degree)``."""
        return _marginal(self.series, axis)


def unit_nodes(count: int) -> FloatArray:
    """Return the Gauss-Legendre nodes of an axis on [0, 1], to be put into a box."""
    return np.asarray((_rule(count)[0] + 1) / 2)


def integrate(logs: FloatArray, box: Box, scale: FloatArray) -> Quadrature:
    """Integrate densities over their boxes.

    Parameters
    ----------
    logs : ndarray
        Log of the unnormalized densities at the tensor of `unit_nodes` in the box, dims
        ``(dataset, node, ...)`` with one node dim an axis.
    box : Box
        From `find_box`.
    scale : ndarray
        Scale of each data set in score units, dim ``(dataset,)``, for messages.

    Returns
    -------
    Quadrature
        With the two error figures ``edge`` and ``resolution`` to be judged by the caller.

    Raises
    ------
    FitError
        If a density is not a positive number at any node.

    Examples
    --------
    >>> from bayes_ptsd.gaussian.axes import Axis
    >>> axis = Axis("sd", "log", lambda sd: -0.5 * np.log(sd) ** 2 - np.log(sd))
    >>> one = np.ones(1)
    >>> def density(lines):
    ...     value = axis.value(lines[0], one[:, None])
    ...     return axis.log_prior(value) + axis.log_jacobian(lines[0], one[:, None])
    >>> box = find_box(density, [axis], one)
    >>> result = integrate(density(box.lines(unit_nodes(32))), box, one)
    >>> round(float(np.exp(result.log_evidence[0]) ** 2 / (2 * np.pi)), 8)
    1.0
    """
    inner, count = tuple(range(1, logs.ndim)), logs.shape[1]
    weights, transform = _rule(count)[1:]
    peak = logs.max(axis=inner, keepdims=True)
    _refuse_impossible(peak.ravel(), scale)
    density = np.exp(logs - peak)
    weight = density * _tensor(weights, len(inner))
    mass = weight.sum(axis=inner, keepdims=True)
    series = _series(density / mass, transform)
    return Quadrature(
        box.low,
        box.high,
        weight=(weight / mass).reshape(len(logs), -1),
        log_evidence=(peak + np.log(mass)).ravel() + np.log((box.high - box.low) / 2).sum(axis=1),
        series=series,
        edges=_edges(density, weights, box.natural),
        resolution=_resolution(series),
    )


@cache
def _rule(count: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return nodes, weights and what turns values at the nodes into Legendre coefficients."""
    points, weights = legendre.leggauss(count)
    transform = (legendre.legvander(points, count - 1) * weights[:, None]).T
    return points, weights, transform * (np.arange(count) + 0.5)[:, None]


def _tensor(weights: FloatArray, axes: int) -> FloatArray:
    """Return the products of the weights of all axes."""
    return np.asarray(functools.reduce(np.multiply.outer, [weights] * axes))


def _refuse_impossible(peak: FloatArray, scale: FloatArray) -> None:
    """Refuse data sets whose density is no positive number at any node."""
    impossible = ~np.isfinite(peak)
    if impossible.any():
        number = int(np.argmax(impossible))
        raise FitError(
            f"{_data_set(0 if len(peak) > 1 else None, number)}the posterior cannot be computed in "
            f"floating point: the scores vary by {scale[number]:.1e} about the model's means, out "
            "of all proportion to the priors of the coefficients and standard deviations; give "
            "the scores in other units, or priors in the units of the scores"
        )


def find_box(
    log_density: LogDensity, axes: Sequence[Axis], scale: FloatArray, *, wider: bool = False
) -> Box:
    """Zoom in on the region where each density is within exp(-DROP) of its peak.

    `scale` is that of each data set in score units, dim ``(dataset,)``; `wider` says whether the
    widest box is that of densities far from it.
    """
    limits = [axis.limits(scale, wider=wider) for axis in axes]
    least, most = (np.stack([limit[end] for limit in limits], axis=1) for end in (0, 1))
    box = Box(least, most, [(limit[2], limit[3]) for limit in limits])
    count = SCAN[len(axes)]
    unit = np.linspace(0, 1, count)
    for _ in range(12):
        logs = log_density(box.lines(unit))
        peak = logs.max(axis=tuple(range(1, logs.ndim)), keepdims=True)
        first, last = _extent(logs > peak - DROP[len(axes)])
        width = box.high - box.low
        step = width / (count - 1)
        low = np.maximum(least, box.low + step * (first - 1))
        high = np.minimum(most, box.low + step * (last + 1))
        kept = (low >= box.low) & (high <= box.high) & (high - low > 0.8 * width)
        box = replace(box, low=low, high=high)
        if kept.all():
            break
    return box


def _extent(inside: BoolArray) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return first and last index inside along each axis, dims ``(dataset, axis)``."""
    dims = range(1, inside.ndim)
    lines = [inside.any(axis=tuple(other for other in dims if other != axis)) for axis in dims]
    table = np.stack(lines, axis=1)
    return table.argmax(axis=2), inside.shape[1] - 1 - table[:, :, ::-1].argmax(axis=2)


def _series(density: FloatArray, transform: FloatArray) -> FloatArray:
    """Return the Legendre coefficients of a batch of densities given on tensor nodes."""
    # one small product a data set: on few numbers the threads of BLAS cost more than they save
    density = density @ transform.T
    for axis in range(1, density.ndim - 1):
        density = np.moveaxis(transform @ np.moveaxis(density, axis, -2), -2, axis)
    return density


def _resolution(series: FloatArray) -> FloatArray:
    """Return the largest of the two highest coefficients of any axis, relative to the largest."""
    sizes = np.abs(series)
    top = [np.moveaxis(sizes, axis, 1)[:, -2:] for axis in range(1, series.ndim)]
    count = len(series)
    highest = np.max([part.reshape(count, -1).max(axis=1) for part in top], axis=0)
    return np.asarray(highest / sizes.reshape(count, -1).max(axis=1))


def _marginal(series: FloatArray, axis: int) -> FloatArray:
    """Integrate all axes but one out of a tensor of Legendre coefficients."""
    series = np.moveaxis(series, axis + 1, 1)
    others = series.ndim - 2
    return np.asarray(series[(slice(None), slice(None)) + (0,) * others] * 2.0**others)


def _edges(
    density: FloatArray, weights: FloatArray, natural: list[tuple[bool, bool]]
) -> FloatArray:
    """Return the relative marginal densities at the outermost nodes, dims (dataset, axis, 2).

    Ends of the prior are left out: no mass is lost beyond them.
    """
    found = []
    for axis, is_end in enumerate(natural):
        line = np.moveaxis(density, axis + 1, 1)
        for _ in natural[1:]:
            line = np.einsum("d...k,k->d...", line, weights)
        edges = np.where(np.array(is_end), 0.0, line[:, [0, -1]])
        found.append(edges / line.max(axis=1, keepdims=True))
    return np.stack(found, axis=1)


def series_pdf(series: FloatArray, x: FloatArray) -> FloatArray:
    """Evaluate Legendre series, coefficients on the last dim, at `x` in [-1, 1] (broadcast).

    Examples
    --------
    >>> series_pdf(np.array([0.5, 0.25]), np.array([-1.0, 0.0, 1.0]))
    array([0.25, 0.5 , 0.75])
    """
    return np.asarray(legendre.legval(x, np.moveaxis(series, -1, 0), tensor=False))


def series_cdf(series: FloatArray, x: FloatArray) -> FloatArray:
    """Integrate Legendre series from -1 to `x`.

    Examples
    --------
    >>> series_cdf(np.array([0.5, 0.0]), np.array([-1.0, 0.0, 1.0]))
    array([0. , 0.5, 1. ])
    """
    integral = legendre.legint(np.moveaxis(series, -1, 0), lbnd=-1)
    return np.asarray(legendre.legval(x, integral, tensor=False))


def series_quantile(series: FloatArray, p: FloatArray) -> FloatArray:
    """Invert `series_cdf`, normalized, by Newton's steps within a bracket, to 1e-12 of the box.

    Examples
    --------
    >>> series_quantile(np.array([0.5, 0.0]), np.array([0.25]))
    array([-0.5])
    """
    slope = np.ascontiguousarray(np.moveaxis(series, -1, 0))
    integral = np.asarray(legendre.legint(slope, lbnd=-1), dtype=float)
    total = integral.sum(axis=0)
    target = p * total
    low, high = _bracket(integral, target)
    x = (low + high) / 2
    for _ in range(HALVINGS):
        excess = legendre.legval(x, integral, tensor=False) - target
        low, high = np.where(excess < 0, x, low), np.where(excess < 0, high, x)
        with np.errstate(divide="ignore", invalid="ignore"):
            newton = x - excess / legendre.legval(x, slope, tensor=False)
        following = np.where((newton >= low) & (newton <= high), newton, (low + high) / 2)
        there = (np.abs(following - x) < QUANTILE) | (np.abs(excess) < ROUNDING * total)
        if there.all():
            break
        x = following
    return np.asarray(x)


def _bracket(integral: FloatArray, target: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Halve [-1, 1] to where the integral of a series passes the target, by a table of it."""
    basis = legendre.legvander(np.linspace(-1, 1, BRACKETS + 1)[1:-1], len(integral) - 1)
    table = np.moveaxis(integral, 0, -1) @ basis.T
    table = np.broadcast_to(table, (*target.shape, BRACKETS - 1))
    passed, step = np.zeros((*target.shape, 1), dtype=int), BRACKETS // 2
    while step:
        below = np.take_along_axis(table, passed + step - 1, axis=-1) < target[..., None]
        passed, step = np.where(below, passed + step, passed), step // 2
    width = 2 / BRACKETS
    low = width * passed[..., 0] - 1
    return low, low + width


def refuse_inexact(
    result: Quadrature, axes: Sequence[Axis], *, tolerance: float, first: int | None = None
) -> None:
    """Raise unless every data set's box and nodes are good enough.

    `tolerance` bounds the size of the highest Legendre coefficients; `first` is the number of the
    first data set of a batch, for the message.

    Raises
    ------
    FitError
        With the first data set whose box loses mass or whose density is not resolved.
    """
    lost = ~(result.edge <= EDGE_TOLERANCE[result.low.shape[1]])
    if lost.any():
        number = int(np.argmax(lost))
        raise FitError(
            f"{_data_set(first, number)}the posterior of the standard deviations has relative "
            f"density {result.edge[number]:.1e} at the edge of the widest box, "
            f"{_at_edge(result.edges[number], axes)}"
        )
    coarse = ~(result.resolution <= tolerance)
    if coarse.any():
        number = int(np.argmax(coarse))
        raise FitError(
            f"{_data_set(first, number)}the quadrature leaves a relative error of "
            f"{result.resolution[number]:.1e} (allowed {tolerance:.0e}); use priors without "
            "jumps or spikes for the standard deviations; a correlation close to -1 or 1 needs "
            "sampling"
        )


def _data_set(first: int | None, number: int) -> str:
    """Return the number of a data set of a batch as messages begin with it."""
    return "" if first is None else f"data set {first + number}: "


def _at_edge(edges: FloatArray, axes: Sequence[Axis]) -> str:
    """Say at which end of which parameter the density has not fallen off, and what to do."""
    place, end = np.unravel_index(np.argmax(edges), edges.shape)
    axis = axes[int(place)]
    if axis.kind == "atanh":
        return f"where '{axis.name}' is {'1' if end else '-1'}: {ALIKE}"
    if end:
        return f"where '{axis.name}' is largest: {HEAVY}"
    proper = isinstance(axis.prior, Prior) and axis.prior.proper
    return f"where '{axis.name}' is zero: {AT_ZERO[proper]}"
