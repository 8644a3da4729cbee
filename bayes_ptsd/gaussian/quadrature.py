"""Gauss-Legendre quadrature over a box that is found, checked and inverted.

Everything works on a batch of densities at once. Arrays have dims ``(dataset, axis, node)`` for
coordinates and ``(dataset, node)`` for densities; a tensor of nodes is flattened in C order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import legendre

from bayes_ptsd.errors import FitError
from bayes_ptsd.evidence.pairs import BoolArray
from bayes_ptsd.gaussian.axes import Axis
from bayes_ptsd.priors import FloatArray, Prior

__all__ = [
    "LogDensity",
    "Quadrature",
    "integrate",
    "refuse_inexact",
    "series_cdf",
    "series_pdf",
    "series_quantile",
]

LogDensity = Callable[[FloatArray], FloatArray]

# Log units below the peak, by number of axes, that the box holds: a factor of 5e8, or 9e6 where a
# third axis makes nodes dear.
DROP = {1: 20.0, 2: 20.0, 3: 16.0}
# Points an axis of the search for the box: 65, 289 or 2,197 in all, a few times in turn.
SCAN = {1: 65, 2: 17, 3: 13}
# Marginal density accepted at the edge of the box, relative to its peak: fifty times (three axes:
# ninety) what exp(-DROP) leaves there, as the sum over the other axes adds to it.
EDGE_TOLERANCE = {1: 1e-7, 2: 1e-7, 3: 1e-5}

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
class Quadrature:
    """A batch of densities on Gauss-Legendre nodes.

    Attributes
    ----------
    low, high : ndarray
        Box in coordinates, dims ``(dataset, axis)``.
    coordinate : ndarray
        Nodes, dims ``(dataset, axis, node)``.
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
    coordinate: FloatArray
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


def integrate(
    log_density: LogDensity,
    axes: Sequence[Axis],
    scale: FloatArray,
    *,
    nodes: int,
    wider: bool = False,
) -> Quadrature:
    """Find the box that holds the mass of each density and integrate over it.

    Parameters
    ----------
    log_density : callable
        Log of the unnormalized densities: coordinates ``(dataset, axis, node)`` to values
        ``(dataset, node)``.
    axes : sequence of Axis
        Their coordinates and ends.
    scale : ndarray
        Scale of each data set in score units, dim ``(dataset,)``.
    nodes : int
        Gauss-Legendre nodes per axis.
    wider : bool
        Whether the widest box is that of densities far from the scale of the data.

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
    >>> def density(x):
    ...     value = axis.value(x[:, 0], one[:, None])
    ...     return axis.log_prior(value) + axis.log_jacobian(x[:, 0], one[:, None])
    >>> result = integrate(density, [axis], one, nodes=32)
    >>> round(float(np.exp(result.log_evidence[0]) ** 2 / (2 * np.pi)), 8)
    1.0
    """
    low, high, natural = _box(log_density, axes, scale, wider)
    points, weights = legendre.leggauss(nodes)
    unit = np.stack([g.ravel() for g in np.meshgrid(*[points] * len(axes), indexing="ij")])
    tensor = np.prod(np.meshgrid(*[weights] * len(axes), indexing="ij"), axis=0).ravel()
    half = (high - low) / 2
    coordinate = low[:, :, None] + half[:, :, None] * (unit + 1)
    logs = log_density(coordinate)
    peak = logs.max(axis=1, keepdims=True)
    _refuse_impossible(peak[:, 0], scale)
    density = np.exp(logs - peak)
    weight = density * tensor
    mass = weight.sum(axis=1)
    shape = (-1, *[nodes] * len(axes))
    series = _series((density / mass[:, None]).reshape(shape), points, weights)
    return Quadrature(
        low,
        high,
        coordinate,
        weight=weight / mass[:, None],
        log_evidence=peak[:, 0] + np.log(mass) + np.log(half).sum(axis=1),
        series=series,
        edges=_edges(density.reshape(shape), weights, natural),
        resolution=_resolution(series),
    )


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


def _box(
    log_density: LogDensity, axes: Sequence[Axis], scale: FloatArray, wider: bool
) -> tuple[FloatArray, FloatArray, list[tuple[bool, bool]]]:
    """Zoom in on the region where the density is within exp(-DROP) of its peak."""
    limits = [axis.limits(scale, wider=wider) for axis in axes]
    least, most = (np.stack([limit[end] for limit in limits], axis=1) for end in (0, 1))
    low, high = least, most
    count = SCAN[len(axes)]
    unit = np.linspace(0, 1, count)
    tensor = np.stack([g.ravel() for g in np.meshgrid(*[unit] * len(axes), indexing="ij")])
    for _ in range(12):
        width = high - low
        logs = log_density(low[:, :, None] + width[:, :, None] * tensor)
        inside = logs > logs.max(axis=1, keepdims=True) - DROP[len(axes)]
        first, last = _extent(inside.reshape(-1, *[count] * len(axes)))
        step = width / (count - 1)
        new_low = np.maximum(least, low + step * (first - 1))
        new_high = np.minimum(most, low + step * (last + 1))
        kept = (new_low >= low) & (new_high <= high) & (new_high - new_low > 0.8 * width)
        settled = bool(kept.all())
        low, high = new_low, new_high
        if settled:
            break
    return low, high, [(limit[2], limit[3]) for limit in limits]


def _extent(inside: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Return first and last index inside along each axis, dims ``(dataset, axis)``."""
    first, last = [], []
    dims = range(1, inside.ndim)
    for axis in dims:
        line = np.asarray(inside.any(axis=tuple(other for other in dims if other != axis)))
        first.append(line.argmax(axis=1))
        last.append(line.shape[1] - 1 - line[:, ::-1].argmax(axis=1))
    return np.stack(first, axis=1).astype(float), np.stack(last, axis=1).astype(float)


def _series(density: FloatArray, points: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the Legendre coefficients of a batch of densities given on tensor nodes."""
    count = len(points)
    transform = (legendre.legvander(points, count - 1) * weights[:, None]).T
    transform *= (np.arange(count) + 0.5)[:, None]
    for axis in range(1, density.ndim):
        # einsum: on matrices this small the threads of BLAS cost more than they save
        moved = np.einsum("d...k,jk->d...j", np.moveaxis(density, axis, -1), transform)
        density = np.moveaxis(moved, -1, axis)
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
    """Invert `series_cdf`, normalized, by bisection to 1e-12 of the box.

    Examples
    --------
    >>> series_quantile(np.array([0.5, 0.0]), np.array([0.25]))
    array([-0.5])
    """
    integral = legendre.legint(np.moveaxis(series, -1, 0), lbnd=-1)
    total = integral.sum(axis=0)
    target = p * total
    low, high = np.full(target.shape, -1.0), np.full(target.shape, 1.0)
    for _ in range(41):
        middle = (low + high) / 2
        below = legendre.legval(middle, integral, tensor=False) < target
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.asarray((low + high) / 2)


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
