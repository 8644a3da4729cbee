"""Normal and Student-t distributions with a location and a scale, by `scipy.special`.

The functions are those that `scipy.stats` calls for them, under the names of its frozen
distributions. What a printed interval is asked needs no others, and `scipy.stats` alone takes as
long to import as a whole command.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

__all__ = ["LocationScale", "t_quantile"]

FloatArray = NDArray[np.float64]
# of the normal density, the logarithm of its constant
LOG_ROOT_2PI = math.log(2 * math.pi) / 2


def t_quantile(p: ArrayLike, df: ArrayLike) -> FloatArray:
    """Return the quantile of Student's t, of the normal with an infinite `df`; they broadcast."""
    probability, degrees = np.asarray(p, dtype=float), np.asarray(df, dtype=float)
    # at its ends the function of a finite df says neither -inf nor inf
    inside = (probability > 0) & (probability < 1)
    student = special.stdtrit(degrees, np.where(inside, probability, 0.5))
    found = np.where(inside & np.isfinite(degrees), student, special.ndtri(probability))
    result: FloatArray = found[()]
    return result


@dataclass(frozen=True)
class LocationScale:
    """A normal distribution, or Student's t with finite degrees of freedom."""

    mu: float
    sigma: float
    df: float = math.inf

    def logpdf(self, x: ArrayLike) -> FloatArray:
        """Log density at `x`."""
        z = (np.asarray(x, dtype=float) - self.mu) / self.sigma
        if math.isinf(self.df):
            return np.asarray(-(z * z) / 2 - (LOG_ROOT_2PI + math.log(self.sigma)))
        half = (self.df + 1) / 2
        constant = math.log(special.poch(self.df / 2, 0.5) / math.sqrt(self.df * math.pi))
        return np.asarray((constant - math.log(self.sigma)) - half * np.log1p(z * z / self.df))

    def cdf(self, x: ArrayLike) -> FloatArray:
        """Probability below `x`."""
        return self._below((np.asarray(x, dtype=float) - self.mu) / self.sigma)

    def sf(self, x: ArrayLike) -> FloatArray:
        """Probability above `x`, accurate in the tail."""
        return self._below((self.mu - np.asarray(x, dtype=float)) / self.sigma)

    def ppf(self, p: ArrayLike) -> FloatArray:
        """Value below which the probability is `p`."""
        return np.asarray(self.mu + self.sigma * t_quantile(p, self.df))

    def mean(self) -> float:
        """Return the expectation, infinite where there is none."""
        return self.mu if self.df > 1 else math.inf

    def var(self) -> float:
        """Variance: infinite up to two degrees of freedom, NaN where there is no expectation."""
        if math.isinf(self.df):
            return self.sigma**2
        if self.df <= 2:
            return math.inf if self.df > 1 else math.nan
        return self.sigma**2 * self.df / (self.df - 2)

    def support(self) -> tuple[float, float]:
        """Lowest and highest value with positive density."""
        return -math.inf, math.inf

    def _below(self, z: FloatArray) -> FloatArray:
        """Probability of a standardized value below `z`."""
        if math.isinf(self.df):
            return np.asarray(special.ndtr(z))
        return np.asarray(special.stdtr(self.df, z))
