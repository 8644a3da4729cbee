"""Bias of the estimate by unblinding: the treatment difference beneath a bias of unknown size.

``estimate ~ likelihood(delta + b)`` with a prior on the bias b, positive where it flatters the
active treatment. No data of the trial inform b: its prior is an assumption and is shown as one.
A prior on b is held as weighted points (quadrature nodes), so that every likelihood and every
prior of the treatment difference take it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import xarray as xr
from scipy import optimize, special
from scipy.interpolate import make_interp_spline

from bayes_ptsd.errors import SpecError
from bayes_ptsd.exact.grid import grid_of_density, grid_quantile
from bayes_ptsd.exact.summary import exact_posterior, posterior_points
from bayes_ptsd.priors import FloatArray, Prior

__all__ = ["Bias", "Change", "biased_posterior", "expectancy_bias", "normal_bias", "tipping_bias"]

# exact for polynomials up to degree 41; P(benefit) is that of a normal convolution to 1e-9
HERMITE = 21


@dataclass(frozen=True)
class Bias:
    """A prior on the bias of an estimate, as weighted points."""

    value: FloatArray  # points, score units; positive flatters the active treatment
    weight: FloatArray
    label: str

    @property
    def mean(self) -> float:
        """Mean of the bias, score units."""
        return float(self.weight @ self.value)

    @property
    def sd(self) -> float:
        """Standard deviation of the bias, score units."""
        return float(np.sqrt(self.weight @ (self.value - self.mean) ** 2))


def normal_bias(mean: float, sd: float) -> Bias:
    """Return a normal prior on the bias, in score units; an sd of 0 makes the bias known."""
    if not sd >= 0:
        raise SpecError(f"standard deviation of the bias is {sd:g}; it is zero or positive")
    if sd == 0:
        return Bias(np.array([float(mean)]), np.ones(1), f"bias = {mean:.4g}")
    nodes, weights = special.roots_hermitenorm(HERMITE)
    label = f"bias ~ N({mean:.4g}, {sd:.4g}²)"
    return Bias(mean + sd * nodes, weights / weights.sum(), label)


def expectancy_bias(difference: FloatArray, *, strength_mean: float, strength_sd: float) -> Bias:
    """Return the bias that expectations of patients cause: ``b = E (q_active - q_control)``.

    q is the probability that a patient believes to have had the active treatment, by treatment. It
    is not the probability of a correct guess, whose difference would vanish if everybody guessed
    right. `difference` holds equally weighted points of ``q_active - q_control``; E, the effect of
    believing against not believing, is normal, in score units.
    """
    strength = normal_bias(strength_mean, strength_sd)
    points = np.multiply.outer(np.asarray(difference, dtype=float), strength.value)
    weights = np.broadcast_to(strength.weight / len(points), points.shape)
    return Bias(points.ravel(), weights.ravel(), "expectancy times difference in beliefs")


def biased_posterior(likelihood: Prior, prior: Prior, bias: Bias) -> xr.Dataset:
    """Return the posterior of delta where the likelihood is of ``delta + bias``, both independent.

    A FitError says that the quadrature does not reach a relative error of 1e-8.
    """
    params = dict(likelihood.params)
    params["mu"] = params["mu"] - bias.mean
    params["sigma"] = float(np.hypot(params["sigma"], bias.sd))
    points = posterior_points(Prior(likelihood.dist, params), prior)
    averaged = _averaged(likelihood, bias, points)
    exact, log_mass = grid_of_density(lambda x: averaged(x) + prior.logpdf(x), points)
    return exact.assign(log_marginal_likelihood=log_mass if prior.proper else np.nan)


def _averaged(
    likelihood: Prior, bias: Bias, points: FloatArray
) -> Callable[[FloatArray], FloatArray]:
    """Return the log likelihood averaged over the bias.

    It is interpolated between the points, because a quadrature would ask for it a million times.
    """
    shifted = likelihood.logpdf(points[:, None] + bias.value) + np.log(bias.weight)
    spline = make_interp_spline(points, special.logsumexp(shifted, axis=1), k=5)

    def log_likelihood(x: FloatArray) -> FloatArray:
        outside = (x < points[0]) | (x > points[-1])
        return np.where(outside, -np.inf, spline(np.clip(x, points[0], points[-1])))

    return log_likelihood


def tipping_bias(likelihood: Prior, prior: Prior, *, level: float = 0.975) -> float:
    """Return the known bias, in score units, at which P(benefit) falls to `level`.

    Under a flat prior it is the lower limit of the interval of that level; it is negative where
    P(benefit) is below the level without any bias.
    """

    def lower(bias: float) -> float:
        moved = {**likelihood.params, "mu": likelihood.params["mu"] - bias}
        exact = exact_posterior(Prior(likelihood.dist, moved), prior)
        return float(grid_quantile(exact, np.array(1 - level)))

    center, scale = likelihood.params["mu"], likelihood.params["sigma"]
    ends = (center - 12 * scale, center + 12 * scale)
    return float(optimize.brentq(lower, *ends, xtol=1e-6 * scale))


class Change(NamedTuple):
    """One assumption and the summary it leads to, measured from the base of its `evidence_kind`."""

    assumption: str  # what is assumed; ``base`` for the starting point
    alternative: str  # what in place of the base
    summary: dict[str, float]  # score units, benefit-positive
    evidence_kind: str = "published"
