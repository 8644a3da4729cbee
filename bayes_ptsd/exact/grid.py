"""A one-dimensional posterior on a grid: density, distribution function, moments.

Whatever engine made it, an exact posterior is stored in this one form. Between grid points the
distribution function is the cubic Hermite interpolant of its values and its derivative, the
density, which keeps probabilities within 1e-8.

A density is integrated between neighboring points by Lobatto's rule of five nodes and checked by
Gauss and Legendre's of three; where they differ, by Gauss-Legendre rules of twice as many nodes
until two of them agree, at last by SciPy's adaptive rule.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bayes_ptsd.errors import FitError
from bayes_ptsd.priors import FloatArray, Prior

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "GridPosterior",
    "density_on_grid",
    "distribution_on_grid",
    "grid_cdf",
    "grid_of_density",
    "grid_of_distribution",
    "grid_quantile",
    "on_grid",
    "spread_grid",
]

# Relative error of the integral above which a fit is refused: eight digits, of which four are
# shown.
TOLERANCE = 1e-8
# Of the integral over a panel, by which two rules may differ before one of more nodes is asked.
PANEL_TOLERANCE = 1e-10
# Of the whole integral: what a panel holds less of moves no digit of a double.
NEGLIGIBLE = 1e-16
# Nodes of the rules asked where the first two differ; the last also resolves a factor of 1e15
# within a panel, and a density that it does not resolve has a kink or a jump there.
ORDERS = (6, 12, 24, 48)
# Nodes beyond either end of a grid, where next to nothing is left.
TAIL_ORDERS = (8, 16)
# Inner nodes of Lobatto's rule on (-1, 1) beside its middle, and weights of ends, these and middle.
LOBATTO_NODE, LOBATTO_WEIGHTS = math.sqrt(3 / 7), (0.1, 49 / 90, 32 / 45)
# The same of the three-node rule of Gauss and Legendre, which has the middle in common.
GAUSS_NODE, GAUSS_WEIGHTS = math.sqrt(3 / 5), (5 / 9, 8 / 9)
# Halvings of a panel until its quantile is known: to 1e-12 of a panel that is 0.016 scales wide.
HALVINGS = 40

Density = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True)
class GridPosterior:
    """A posterior on a grid, one estimand: density and distribution function at its points."""

    value: FloatArray  # increasing, in the unit of the estimand
    pdf: FloatArray
    cdf: FloatArray
    mean: float = math.nan  # NaN, as what follows, where nobody has computed it
    sd: float = math.nan
    error: float = math.nan  # of the integral, relative; 0 in closed form
    log_mass: float = math.nan  # log of the integral of likelihood and prior

    def below(self, x: FloatArray | float) -> FloatArray:
        """Return the probability below `x`."""
        at = np.asarray(x, dtype=float)
        right = np.clip(np.searchsorted(self.value, at), 1, len(self.value) - 1)
        start, width = self.value[right - 1], self.value[right] - self.value[right - 1]
        inside = _cubic((np.clip(at, self.value[0], self.value[-1]) - start) / width,
                        *self._panel(right, width))  # fmt: skip
        outside = (at < self.value[0]) | (at > self.value[-1])
        beyond = np.where(at > self.value[-1], 1.0, 0.0)
        return np.clip(np.where(outside, beyond, inside), 0.0, 1.0)

    def quantile(self, p: FloatArray | float) -> FloatArray:
        """Return the value below which the probability is `p`."""
        target = np.asarray(p, dtype=float)
        right = np.clip(np.searchsorted(self.cdf, target), 1, len(self.cdf) - 1)
        start, width = self.value[right - 1], self.value[right] - self.value[right - 1]
        panel = self._panel(right, width)
        # bisection: the interpolant is monotone to rounding only, where Newton can leave its panel
        share, step = np.full(target.shape, 0.5), 0.25
        for _ in range(HALVINGS):
            share = np.where(_cubic(share, *panel) < target, share + step, share - step)
            step /= 2
        return np.asarray(start + width * share)

    def _panel(
        self, right: NDArray[np.intp], width: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Return probability and slope, per panel, at both ends of the panels of points `right`."""
        left = right - 1
        return self.cdf[left], self.pdf[left] * width, self.cdf[right], self.pdf[right] * width

    def dataset(self) -> xr.Dataset:
        """Return the stored form: ``value, pdf, cdf`` on dim ``grid``, ``mean, sd`` and error."""
        import xarray as xr

        return xr.Dataset(
            {
                "value": ("grid", self.value),
                "pdf": ("grid", self.pdf),
                "cdf": ("grid", self.cdf),
                "mean": self.mean,
                "sd": self.sd,
                "quadrature_error": self.error,
            }
        )


def on_grid(exact: xr.Dataset) -> GridPosterior:
    """Return a stored posterior on a grid (one estimand)."""
    value, pdf, cdf = (exact[name].values for name in ("value", "pdf", "cdf"))
    mean, sd, error = (
        float(exact[name]) if name in exact else math.nan
        for name in ("mean", "sd", "quadrature_error")
    )
    return GridPosterior(value, pdf, cdf, mean, sd, error)


def spread_grid(anchors: list[tuple[float, float]], *, heavy: bool) -> FloatArray:
    """Return grid points that resolve every anchor's center and reach into both tails.

    Anchors are centers and scales of the density's features; points are 0.016 scales apart at a
    center and reach 60 scales out, a million where tails fall off like a power (`heavy`).
    """
    reach = np.arcsinh(1e6 if heavy else 60.0)
    steps = np.sinh(np.linspace(-reach, reach, 1801 if heavy else 601))
    points = np.unique(np.concatenate([center + scale * steps for center, scale in anchors]))
    gap = min(scale for _, scale in anchors) * 1e-6
    return np.asarray(points[np.concatenate([[True], np.diff(points) > gap])])


def grid_of_distribution(distribution: Prior, points: FloatArray) -> xr.Dataset:
    """Put a distribution with known formulas on a grid: ``value, pdf, cdf``, ``mean, sd``."""
    return distribution_on_grid(distribution, points).dataset()


def distribution_on_grid(distribution: Prior, points: FloatArray) -> GridPosterior:
    """Put a distribution with known formulas on a grid."""
    pdf, cdf = distribution.pdf(points), distribution.cdf(points)
    return GridPosterior(points, pdf, cdf, distribution.mean, distribution.sd, 0.0)


def grid_of_density(log_density: Density, points: FloatArray) -> tuple[xr.Dataset, float]:
    """Normalize a density by quadrature between the points of a grid, which must resolve it.

    Beside ``value, pdf, cdf`` and ``mean, sd, quadrature_error``, return the log of its integral.
    """
    found = density_on_grid(log_density, points)
    return found.dataset(), found.log_mass


def density_on_grid(log_density: Density, points: FloatArray) -> GridPosterior:
    """Normalize a density by quadrature between the points of a grid, which must resolve it."""
    nodes, far = _first_nodes(points), _tail_nodes(points)
    logs = log_density(np.concatenate([points, nodes.ravel(), far.ravel()]))
    peak = float(np.max(logs[: points.size]))
    pdf, inner, beyond = np.split(np.exp(logs - peak), [points.size, points.size + nodes.size])

    def density(x: FloatArray) -> FloatArray:
        return np.exp(log_density(x) - peak)

    inside = _inside(density, points, pdf, nodes, inner.reshape(nodes.shape))
    least = NEGLIGIBLE * float(inside.masses.sum())
    tails, tail_errors = _tails(density, points, beyond.reshape(far.shape), least)
    masses = np.concatenate([tails[:1], inside.masses, tails[1:]])
    mass = float(masses.sum())
    error = (inside.error + float(tail_errors.sum())) / mass if mass else math.inf
    if not (np.isfinite(mass) and error < TOLERANCE):
        raise FitError(
            f"quadrature error {error:.1e} exceeds {TOLERANCE:.0e}; is the prior proper?"
        )
    cdf = np.minimum(np.cumsum(masses)[:-1] / mass, 1.0)
    mean = inside.moment(1, 0.0) / mass
    sd = math.sqrt(inside.moment(2, mean) / mass)
    return GridPosterior(points, pdf / mass, cdf, mean, sd, error, peak + math.log(mass))


def grid_cdf(exact: xr.Dataset, x: FloatArray) -> FloatArray:
    """Return the probability below `x` of a posterior on a grid (one estimand)."""
    return on_grid(exact).below(x)


def grid_quantile(exact: xr.Dataset, p: FloatArray) -> FloatArray:
    """Return the value below which the probability is `p` (one estimand)."""
    return on_grid(exact).quantile(p)


@dataclass(frozen=True)
class _Integral:
    """A density integrated over every panel between neighboring points."""

    density: Density
    masses: FloatArray  # of each panel
    error: float  # sum over the panels
    nodes: FloatArray
    weighted: FloatArray  # the density at the nodes times their weights
    rest: FloatArray  # dims (2, panel): ends of the panels that no rule of fixed order resolves

    def moment(self, power: int, about: float) -> float:
        """Return the integral of the density times a power of the distance from `about`."""
        total = float(self.weighted @ (self.nodes - about) ** power)
        if not self.rest.size:
            return total
        return total + float(_adaptive(lambda x: self.density(x) * (x - about) ** power,
                                       *self.rest)[0].sum())  # fmt: skip


def _first_nodes(points: FloatArray) -> FloatArray:
    """Return the inner nodes of the first two rules, dims (node, panel): middle, Lobatto, Gauss."""
    half = np.diff(points) / 2
    at = np.array([0.0, -LOBATTO_NODE, LOBATTO_NODE, -GAUSS_NODE, GAUSS_NODE])
    return np.asarray(points[:-1] + half * (1 + at[:, None]))


def _inside(
    density: Density, points: FloatArray, pdf: FloatArray, nodes: FloatArray, inner: FloatArray
) -> _Integral:
    """Integrate over every panel, with the density at the points and at the first nodes."""
    half = np.diff(points) / 2
    ends, sides, center = LOBATTO_WEIGHTS
    x = np.array([points[:-1], points[1:], nodes[1], nodes[2], nodes[0]])
    terms = half * np.array([ends * pdf[:-1], ends * pdf[1:], sides * inner[1], sides * inner[2],
                             center * inner[0]])  # fmt: skip
    masses = terms.sum(axis=0)
    check = half * (GAUSS_WEIGHTS[0] * (inner[3] + inner[4]) + GAUSS_WEIGHTS[1] * inner[0])
    least = NEGLIGIBLE * float(masses[np.isfinite(masses)].sum())
    good, errors = _compared(masses, check, least)
    if good.all():
        return _Integral(
            density, masses, float(errors.sum()), x.ravel(), terms.ravel(), np.empty((2, 0))
        )
    left = np.flatnonzero(~good)
    finer = _finer(density, points[left], points[left + 1], masses[left], least)
    masses[left] = finer.masses
    return _Integral(
        density,
        masses,
        float(errors[good].sum()) + finer.error,
        np.concatenate([x[:, good].ravel(), finer.nodes]),
        np.concatenate([terms[:, good].ravel(), finer.weighted]),
        finer.rest,
    )


def _finer(
    density: Density, low: FloatArray, high: FloatArray, before: FloatArray, least: float
) -> _Integral:
    """Integrate over the panels that the first two rules do not resolve: `before` is the first."""
    half, masses, error = (high - low) / 2, before.copy(), 0.0
    nodes, weighted, left = [np.empty(0)], [np.empty(0)], np.arange(low.size)
    for order in ORDERS:
        at, weights = _gauss(order)
        x = low[left] + half[left] * (1 + at[:, None])
        terms = density(x.ravel()).reshape(x.shape) * (weights[:, None] * half[left])
        now = terms.sum(axis=0)
        good, errors = _compared(now, masses[left], least)
        masses[left], error = now, error + float(errors[good].sum())
        nodes, weighted = [*nodes, x[:, good].ravel()], [*weighted, terms[:, good].ravel()]
        left = left[~good]
        if not left.size:
            break
    rest = np.array([low[left], high[left]])
    if left.size:
        masses[left], errors = _adaptive(density, *rest)
        error += float(errors.sum())
    return _Integral(density, masses, error, np.concatenate(nodes), np.concatenate(weighted), rest)


def _tail_nodes(points: FloatArray) -> FloatArray:
    """Return the nodes of both rules beyond both ends of a grid, dims (end, node).

    The distance from the middle of the grid is its half width over u, from 0 to 1, in which a tail
    that falls off like a power is a polynomial.
    """
    center, reach = (points[0] + points[-1]) / 2, (points[-1] - points[0]) / 2
    u = np.concatenate([(1 + _gauss(order)[0]) / 2 for order in TAIL_ORDERS])
    return np.asarray(center + reach * np.array([[-1.0], [1.0]]) / u)


def _tails(
    density: Density, points: FloatArray, heights: FloatArray, least: float
) -> tuple[FloatArray, FloatArray]:
    """Return the integrals beyond both ends of a grid and their errors, from heights at nodes."""
    reach, split = (points[-1] - points[0]) / 2, TAIL_ORDERS[0]
    u, weights = (np.concatenate(both) for both in zip(*map(_gauss, TAIL_ORDERS), strict=True))
    terms = heights * (weights / 2) * reach / ((1 + u) / 2) ** 2
    check, found = terms[:, :split].sum(axis=1), terms[:, split:].sum(axis=1)
    good, errors = _compared(found, check, least)
    if good.all():
        return found, errors
    return _adaptive(density, np.array([-np.inf, points[-1]]), np.array([points[0], np.inf]))


def _compared(
    one: FloatArray, other: FloatArray, least: float
) -> tuple[NDArray[np.bool_], FloatArray]:
    """Return where two rules agree, and by how much they differ; what is not finite never does."""
    with np.errstate(invalid="ignore"):
        difference = np.abs(one - other)
        return difference <= PANEL_TOLERANCE * np.abs(one) + least, difference


@cache
def _gauss(order: int) -> tuple[FloatArray, FloatArray]:
    """Return nodes and weights of a Gauss-Legendre rule on (-1, 1)."""
    return np.polynomial.legendre.leggauss(order)


def _adaptive(
    function: Density, low: FloatArray, high: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Integrate adaptively over panels; return integrals and absolute errors."""
    from scipy import integrate

    found = integrate.tanhsinh(function, low, high, rtol=1e-10, atol=1e-15)
    return found.integral, np.abs(found.error)


def _cubic(
    share: FloatArray, low: FloatArray, rise: FloatArray, high: FloatArray, end: FloatArray
) -> FloatArray:
    """Return the cubic with values `low` and `high` and slopes `rise` and `end` at 0 and 1."""
    step = high - low
    return low + share * (rise + share * (3 * step - 2 * rise - end
                                          + share * (rise + end - 2 * step)))  # fmt: skip
