"""A posterior that is a mixture of many normals: its moments, and its place on the common grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike
from scipy import special
from scipy.optimize import elementwise

from bayes_ptsd.priors import FloatArray

__all__ = ["Mixture", "mixture_grid"]

# Points of every stored density; NEAR of them on each side of zero, where the density of a product
# has a peak.
GRID, NEAR = 401, 60
# Probability that a grid leaves out on each side: far below the four digits that are shown.
TAIL = 1e-10


@dataclass(frozen=True)
class Mixture:
    """A distribution as a mixture of many normals."""

    weight: FloatArray  # sum to one, dim (component,)
    center: FloatArray
    spread: FloatArray

    @property
    def mean(self) -> float:
        """Mean."""
        return float(self.weight @ self.center)

    @property
    def sd(self) -> float:
        """Standard deviation."""
        return float(np.sqrt(self.weight @ (self.spread**2 + (self.center - self.mean) ** 2)))

    def below(self, value: FloatArray) -> FloatArray:
        """Return the distribution function."""
        return self._summed(value, special.ndtr, self.weight)

    def density(self, value: FloatArray) -> FloatArray:
        """Return the density."""
        height = self.weight / self.spread / np.sqrt(2 * np.pi)
        return self._summed(value, lambda z: np.exp(-0.5 * z**2), height)

    def quantile(self, p: ArrayLike) -> FloatArray:
        """Return the values below which the probability is `p`."""
        target = np.atleast_1d(np.asarray(p, dtype=float))
        # every component has its quantile between these two, and so has the mixture
        ends = self.center[:, None] + self.spread[:, None] * special.ndtri(target)
        room = 1e-9 * (1 + np.abs(ends).max())
        low, high = ends.min(axis=0) - room, ends.max(axis=0) + room
        found = elementwise.find_root(lambda x, q: self.below(x) - q, (low, high), args=(target,))
        return np.asarray(found.x)

    def widened(self, se: float) -> Mixture:
        """Return the distribution with an independent normal error of standard deviation `se`."""
        return replace(self, spread=np.hypot(self.spread, se))

    def _summed(
        self, value: FloatArray, function: Callable[[FloatArray], FloatArray], factor: FloatArray
    ) -> FloatArray:
        """Add a function of the standardized values over the components."""
        parts = np.array_split(np.asarray(value, dtype=float), max(1, len(self.weight) // 2000))
        sums = [function((one[:, None] - self.center) / self.spread) @ factor for one in parts]
        return np.concatenate(sums)


def mixture_grid(mixture: Mixture, error: float) -> xr.Dataset:
    """Put a mixture on the grid of exact posteriors, 401 points.

    Many of them are close to zero, where the density of a product has a peak.
    """
    middle, width = mixture.mean, mixture.sd
    ends = []
    for side in (-1, 1):
        distance = 6.0
        while distance < 1e6:
            below = float(mixture.below(np.array([middle + side * distance * width]))[0])
            if (below if side < 0 else 1 - below) < TAIL:
                break
            distance *= 1.25
        ends.append(side * distance)
    low, high = (float(np.arcsinh(end)) for end in ends)
    points = middle + width * np.sinh(np.linspace(low, high, GRID - 2 * NEAR - 1))
    near = width * np.geomspace(1e-6, 0.3, NEAR)
    points = np.sort(np.concatenate([points, -near, [0.0], near]))
    columns = {"value": points, "pdf": mixture.density(points), "cdf": mixture.below(points)}
    found = {name: ("grid", column) for name, column in columns.items()}
    return xr.Dataset({**found, "mean": middle, "sd": width, "quadrature_error": error})
