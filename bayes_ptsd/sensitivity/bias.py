"""Bias of the estimate by unblinding: the treatment difference beneath a bias of unknown size.

``estimate ~ likelihood(delta + b)`` with a prior on the bias b, positive where it flatters the
active treatment. No data of the trial inform b: its prior is an assumption and is shown as one.
A prior on b is held as weighted points (quadrature nodes), so that every likelihood and every
prior of the treatment difference take it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy import optimize, special
from scipy.interpolate import make_interp_spline

from bayes_ptsd.errors import SpecError
from bayes_ptsd.exact.grid import grid_of_density, grid_quantile
from bayes_ptsd.exact.summary import exact_posterior, posterior_points
from bayes_ptsd.priors import FloatArray, Prior

__all__ = ["Bias", "biased_posterior", "expectancy_bias", "normal_bias", "tipping_bias"]

HERMITE = 21


@dataclass(frozen=True)
class Bias:
    """A prior on the bias of an estimate, as weighted points.

    Attributes
    ----------
    value, weight : ndarray
        Points in score units (positive flatters the active treatment) and their weights.
    label : str
        In words.

    Examples
    --------
    >>> bias = normal_bias(2.0, 1.5)
    >>> round(bias.mean, 6), round(bias.sd, 6)
    (2.0, 1.5)
    """

    value: FloatArray
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
    """Return a normal prior on the bias.

    Parameters
    ----------
    mean, sd : float
        Score units; an sd of 0 makes the bias known.

    Returns
    -------
    Bias
        Gauss-Hermite points, exact for polynomials up to degree 41.

    Raises
    ------
    SpecError
        If the sd is negative.

    Examples
    --------
    >>> normal_bias(0.0, 2.16).label
    'bias ~ N(0, 2.16²)'
    """
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
    right.

    Parameters
    ----------
    difference : ndarray
        Equally weighted points of ``q_active - q_control``, such as posterior quantiles at the
        midpoints of equal probabilities.
    strength_mean, strength_sd : float
        Normal prior on E, the effect of believing against not believing, score units.

    Returns
    -------
    Bias
        The product of the two.

    Examples
    --------
    >>> bias = expectancy_bias(np.array([0.2, 0.3]), strength_mean=4.0, strength_sd=2.0)
    >>> round(bias.mean, 6)
    1.0
    """
    strength = normal_bias(strength_mean, strength_sd)
    points = np.multiply.outer(np.asarray(difference, dtype=float), strength.value)
    weights = np.broadcast_to(strength.weight / len(points), points.shape)
    return Bias(points.ravel(), weights.ravel(), "expectancy times difference in beliefs")


def biased_posterior(likelihood: Prior, prior: Prior, bias: Bias) -> xr.Dataset:
    """Return the posterior of the treatment difference beneath a bias.

    Parameters
    ----------
    likelihood : Prior
        Normal or Student-t, of the sum of treatment difference and bias.
    prior : Prior
        Of the treatment difference.
    bias : Bias
        Prior on the bias, independent of the treatment difference.

    Returns
    -------
    xr.Dataset
        As `bayes_ptsd.exact.summary.exact_posterior`.

    Raises
    ------
    FitError
        If the quadrature does not reach a relative error of 1e-8.

    Examples
    --------
    >>> from bayes_ptsd.priors import normal
    >>> exact = biased_posterior(normal(12.7, 5.1787), Prior("flat"), normal_bias(2.16, 2.16))
    >>> round(float(exact["mean"]), 2), round(float(exact["sd"]), 3)
    (10.54, 5.611)
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
    """Return the known bias at which P(benefit) falls to a level.

    Parameters
    ----------
    likelihood, prior : Prior
        As in `biased_posterior`.
    level : float
        Probability of benefit.

    Returns
    -------
    float
        Score units; under a flat prior the lower limit of the interval of that level. Negative
        where P(benefit) is below the level without any bias.

    Examples
    --------
    >>> from bayes_ptsd.priors import student_t
    >>> round(tipping_bias(student_t(38, 8.57, 3.76903), Prior("flat")), 2)
    0.94
    """

    def lower(bias: float) -> float:
        moved = {**likelihood.params, "mu": likelihood.params["mu"] - bias}
        exact = exact_posterior(Prior(likelihood.dist, moved), prior)
        return float(grid_quantile(exact, np.array(1 - level)))

    center, scale = likelihood.params["mu"], likelihood.params["sigma"]
    ends = (center - 12 * scale, center + 12 * scale)
    return float(optimize.brentq(lower, *ends, xtol=1e-6 * scale))
