"""A one-dimensional posterior on a grid: density, distribution function, moments.

Whatever engine made it, an exact posterior is stored in this one form. Between grid points the
distribution function is the cubic Hermite interpolant of its values and its derivative, the
density, which keeps probabilities within 1e-8.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr
from scipy import integrate
from scipy.interpolate import CubicHermiteSpline

from bayes_ptsd.errors import FitError
from bayes_ptsd.priors import FloatArray, Prior

__all__ = ["grid_cdf", "grid_of_density", "grid_of_distribution", "grid_quantile", "spread_grid"]

# Relative error of the integral above which a fit is refused: eight digits, of which four are
# shown.
TOLERANCE = 1e-8


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
    return _dataset(
        points,
        pdf=distribution.pdf(points),
        cdf=distribution.cdf(points),
        mean=distribution.mean,
        sd=distribution.sd,
        error=0.0,
    )


def grid_of_density(
    log_density: Callable[[FloatArray], FloatArray], points: FloatArray
) -> tuple[xr.Dataset, float]:
    """Normalize a density by quadrature between the points of a grid, which must resolve it.

    Beside ``value, pdf, cdf`` and ``mean, sd, quadrature_error``, return the log of its integral.
    """
    peak = float(np.max(log_density(points)))
    edges = np.concatenate([[-np.inf], points, [np.inf]])
    panels = _panels(lambda x: np.exp(log_density(x) - peak), edges)
    mass = float(panels.integral.sum())
    error = float(np.abs(panels.error).sum()) / mass
    if not (np.isfinite(mass) and error < TOLERANCE):
        raise FitError(
            f"quadrature error {error:.1e} exceeds {TOLERANCE:.0e}; is the prior proper?"
        )
    cdf = np.minimum(np.cumsum(panels.integral)[:-1] / mass, 1.0)

    def moment(power: int, about: float) -> float:
        def integrand(x: FloatArray) -> FloatArray:
            return np.exp(log_density(x) - peak) * (x - about) ** power

        return float(_panels(integrand, points).integral.sum()) / mass

    mean = moment(1, 0.0)
    spread = float(np.sqrt(moment(2, mean)))
    pdf = np.exp(log_density(points) - peak) / mass
    exact = _dataset(points, pdf=pdf, cdf=cdf, mean=mean, sd=spread, error=error)
    return exact, peak + float(np.log(mass))


def grid_cdf(exact: xr.Dataset, x: FloatArray) -> FloatArray:
    """Return the probability below `x` of a posterior on a grid (one estimand)."""
    value, cdf = exact["value"].values, exact["cdf"].values
    inside = CubicHermiteSpline(value, cdf, exact["pdf"].values)(np.clip(x, value[0], value[-1]))
    beyond = np.where(np.asarray(x) > value[-1], 1.0, 0.0)
    outside = (np.asarray(x) < value[0]) | (np.asarray(x) > value[-1])
    return np.clip(np.where(outside, beyond, inside), 0.0, 1.0)


def grid_quantile(exact: xr.Dataset, p: FloatArray) -> FloatArray:
    """Return the value below which the probability is `p` (one estimand)."""
    value, cdf, pdf = (exact[name].values for name in ("value", "cdf", "pdf"))
    target = np.asarray(p, dtype=float)
    right = np.clip(np.searchsorted(cdf, target), 1, len(cdf) - 1)
    low, high = value[right - 1], value[right]
    spline = CubicHermiteSpline(value, cdf, pdf)
    # bisection: the interpolant is monotone to rounding only, where Newton can leave its panel
    for _ in range(40):
        middle = (low + high) / 2
        below = spline(middle) < target
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.asarray((low + high) / 2)


def _panels(function: Callable[[FloatArray], FloatArray], edges: FloatArray) -> Any:
    """Integrate over every panel between neighboring edges."""
    return integrate.tanhsinh(function, edges[:-1], edges[1:], rtol=1e-10, atol=1e-15)


def _dataset(
    points: FloatArray, *, pdf: FloatArray, cdf: FloatArray, mean: float, sd: float, error: float
) -> xr.Dataset:
    """Assemble the stored form."""
    return xr.Dataset(
        {
            "value": ("grid", points),
            "pdf": ("grid", pdf),
            "cdf": ("grid", cdf),
            "mean": mean,
            "sd": sd,
            "quadrature_error": error,
        }
    )
