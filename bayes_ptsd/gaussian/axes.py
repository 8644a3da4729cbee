"""Axes of the quadrature: standard deviations and correlations on a scale without ends.

A density over them is smooth there, so that Gauss-Legendre quadrature converges fast.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Literal

import numpy as np

from bayes_ptsd.errors import SpecError
from bayes_ptsd.priors import DISTRIBUTIONS, FloatArray, Prior

__all__ = ["Axis", "DispersionPrior", "inverse_sd", "sd_axis"]

DispersionPrior = Prior | Callable[[FloatArray], FloatArray]

# The widest box, by kind of coordinate: standard deviations of 2e-6 to 8,100 times the residual
# scale, correlations within 1.2e-5 of 1.
LIMITS = {"log": (-13.0, 9.0), "from_zero": (0.0, 9.0), "atanh": (-6.0, 6.0)}


# Where that is too narrow: standard deviations of 1e-11 (a double's digits end there) to 2e17 times
# the residual scale, of a score that is a million times too large or a reference SD that is. A
# posterior that has not fallen off by there is refused, as improper or too heavy-tailed.
WIDER = {"log": (-25.0, 40.0), "from_zero": (0.0, 40.0), "atanh": (-6.0, 6.0)}


# A prior is heavy-tailed if one draw in a million million is a million times the median: a
# half-Cauchy's is 6e11 times, a half-t's with 3 degrees of freedom 9e3, a log-normal's less.
TAIL, HEAVY = 1e-12, 1e6


def inverse_sd(sd: FloatArray) -> FloatArray:
    """Return the log density of the improper prior 1/sd at `sd` (score units, positive)."""
    return -np.log(sd)


def half_normal_logpdf(sd: FloatArray, *, sigma: float) -> FloatArray:
    """Return the log density of a half-normal at `sd`; SciPy's takes a seventh of a whole batch."""
    logs = 0.5 * np.log(2 / np.pi) - np.log(sigma) - 0.5 * (sd / sigma) ** 2
    return np.asarray(np.where(sd < 0, -np.inf, logs))


@dataclass(frozen=True)
class Axis:
    """One dispersion parameter, its prior, and the coordinate it is integrated in."""

    name: str
    # Log of an sd that cannot be zero, log(1 + sd / scale) of one that can, Fisher's z of a
    # correlation.
    kind: Literal["log", "from_zero", "atanh"]
    prior: DispersionPrior  # density, or the log density up to a constant

    def value(self, x: FloatArray, scale: FloatArray) -> FloatArray:
        """Return the parameter at coordinate `x`; `scale` is the scale of the data."""
        if self.kind == "log":
            return np.asarray(scale * np.exp(x))
        return np.asarray(scale * np.expm1(x) if self.kind == "from_zero" else np.tanh(x))

    def coordinate(self, value: FloatArray, scale: FloatArray) -> FloatArray:
        """Return the coordinate of a parameter value, infinite at the ends of its range."""
        with np.errstate(divide="ignore"):
            if self.kind == "log":
                return np.asarray(np.log(value / scale))
            if self.kind == "from_zero":
                return np.asarray(np.log1p(value / scale))
            return np.asarray(np.arctanh(value))

    def log_jacobian(self, x: FloatArray, scale: FloatArray) -> FloatArray:
        """Return log |d value / d x|."""
        if self.kind == "atanh":
            return np.asarray(-2 * (np.abs(x) + np.log1p(np.exp(-2 * np.abs(x))) - np.log(2)))
        return np.asarray(np.log(scale) + x)

    def log_prior(self, value: FloatArray) -> FloatArray:
        """Return the log prior density at parameter values.

        A beta prior of a correlation is that of ``(1 + correlation) / 2``.
        """
        if isinstance(self.prior, Prior) and self.prior.dist == "beta" and self.kind == "atanh":
            return np.asarray(self._log_density((1 + value) / 2) - np.log(2))
        return np.asarray(self._log_density(value), dtype=float)

    @cached_property
    def _log_density(self) -> Callable[[FloatArray], FloatArray]:
        """The log density; SciPy takes a millisecond to make a distribution, so it is kept."""
        if not isinstance(self.prior, Prior):
            return self.prior
        if self.prior.dist == "half_normal":
            return partial(half_normal_logpdf, sigma=self.prior.params["sigma"])
        if self.prior.dist in ("flat", "mixture"):
            return self.prior.logpdf
        density: Callable[[FloatArray], FloatArray]
        density = DISTRIBUTIONS[self.prior.dist].frozen(**self.prior.params).logpdf
        return density

    def limits(
        self, scale: FloatArray, *, wider: bool = False
    ) -> tuple[FloatArray, FloatArray, bool, bool]:
        """Return the widest box, dim ``(dataset,)``, and whether each end is an end of the prior.

        A finite end of the prior's support inside the widest box (and zero, for a standard
        deviation that can be zero) is a natural end: mass beside it is not lost.
        """
        reach = WIDER if wider and self._is_light() else LIMITS
        low, high = (np.full(scale.shape, end) for end in reach[self.kind])
        ends = self._support()
        lower = np.maximum(low, self.coordinate(np.array(ends[0]), scale))
        upper = np.minimum(high, self.coordinate(np.array(ends[1]), scale))
        natural_low = bool((lower > low).any()) or self.kind == "from_zero"
        return lower, upper, natural_low, bool((upper < high).any())

    def _is_light(self) -> bool:
        """Tell whether the prior is proper and of no heavy tail: means exist at any distance."""
        if not isinstance(self.prior, Prior) or not self.prior.proper:
            return False
        middle, far = map(float, self.prior.quantile([0.5, 1 - TAIL]))
        return far < HEAVY * middle

    def _support(self) -> tuple[float, float]:
        """Return the ends of the prior's support within the parameter's range."""
        widest = (-1.0, 1.0) if self.kind == "atanh" else (0.0, np.inf)
        if not isinstance(self.prior, Prior) or not self.prior.proper:
            return widest
        if self.prior.dist == ("beta" if self.kind == "atanh" else "half_normal"):
            return widest
        low, high = map(float, self.prior.quantile([0.0, 1.0]))
        if low < widest[0] or high > widest[1]:
            raise SpecError(
                f"prior of '{self.name}' reaches from {low:g} to {high:g}, the parameter from "
                f"{widest[0]:g} to {widest[1]:g}; use one inside, such as "
                f"{'uniform(-1, 1)' if self.kind == 'atanh' else 'half_normal'}"
            )
        return low, high


def sd_axis(name: str, prior: DispersionPrior, *, may_be_zero: bool) -> Axis:
    """Return the axis of a standard deviation, in score units.

    One that may be zero needs a prior that is integrable there: the posterior would be improper.
    """
    axis = Axis(name, "from_zero" if may_be_zero else "log", prior)
    if may_be_zero and not isinstance(prior, Prior):
        near = np.array([1e-12, 1e-6])
        slope = np.diff(axis.log_prior(near))[0] / np.diff(np.log(near))[0]
        if slope <= -1 + 1e-6:
            raise SpecError(
                f"prior of '{name}' behaves like 1/sd or worse at zero: the posterior is improper; "
                "use a prior that is finite there, such as half_normal"
            )
    return axis
