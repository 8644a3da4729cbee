"""Binomial trials given the standard deviation between them: two inner integrals, vectorized.

The mean log odds is integrated on a grid around its approximate posterior for each tau; each
trial's own log odds around the mode of its integrand, on points that spread like a sinh.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special
from scipy.interpolate import make_interp_spline

from bayes_ptsd.errors import FitError
from bayes_ptsd.exact.history import HistoricalTrials, log_binomial, rough_logit
from bayes_ptsd.priors import FloatArray

__all__ = ["BinomialNodes", "binomial_nodes"]

STEP, REACH = 0.25, 12.0
INNER = np.sinh(np.linspace(-3.6, 3.6, 49)) / 1.5
INNER_WEIGHT = np.cosh(np.linspace(-3.6, 3.6, 49)) * 7.2 / 48 / 1.5
HERMITE, HERMITE_WEIGHT = np.polynomial.hermite_e.hermegauss(24)
EDGE = 1e-9
FLOOR = 1e-4
"""Below it the likelihood, a function of tau squared, is flat to a relative 1e-6."""


@dataclass(frozen=True)
class BinomialNodes:
    """Posterior of the mean log odds given each tau, on a grid of its own for each.

    Attributes
    ----------
    mu : ndarray
        Grid, dims (tau, mu).
    log_density : ndarray
        Log posterior density, normalized, same dims.
    log_likelihood : ndarray
        Log likelihood of tau, up to a constant.

    Examples
    --------
    >>> BinomialNodes(np.zeros((1, 1)), np.zeros((1, 1)), np.zeros(1)).mu.shape
    (1, 1)
    """

    mu: FloatArray
    log_density: FloatArray
    log_likelihood: FloatArray

    def moments(self) -> tuple[FloatArray, FloatArray]:
        """Return mean and variance of the mean log odds given each tau."""
        step = self.mu[:, 1:2] - self.mu[:, :1]
        weight = np.exp(self.log_density) * step
        center = (weight * self.mu).sum(axis=1)
        return center, (weight * (self.mu - center[:, None]) ** 2).sum(axis=1)

    def predictive(self, index: int, tau: float, theta: FloatArray) -> FloatArray:
        """Return the density of a new trial's log odds given one tau."""
        mu, logs = self.mu[index], self.log_density[index]
        step = float(mu[1] - mu[0])
        if tau > 1.3 * step:
            z = (theta[:, None] - mu) / tau
            kernel = np.exp(-0.5 * z**2) / (tau * np.sqrt(2 * np.pi))
            return np.asarray(kernel @ np.exp(logs) * step)
        # a kernel narrower than the grid: integrate over it instead, on the smooth log density
        spline = make_interp_spline(mu, logs, k=5)
        places = theta[:, None] - tau * HERMITE
        inside = (places >= mu[0]) & (places <= mu[-1])
        density = np.where(inside, np.exp(spline(np.clip(places, mu[0], mu[-1]))), 0.0)
        return np.asarray(density @ HERMITE_WEIGHT / HERMITE_WEIGHT.sum())


def binomial_nodes(
    trials: HistoricalTrials, tau: FloatArray, *, center: float, sigma: float
) -> BinomialNodes:
    """Return the posterior of the mean log odds given each standard deviation between trials.

    Parameters
    ----------
    trials : HistoricalTrials
        Binomial.
    tau : ndarray
        Standard deviations between trials, log odds.
    center, sigma : float
        Normal prior of the mean log odds.

    Returns
    -------
    BinomialNodes
        Its posterior, and the likelihood of each `tau`.

    Raises
    ------
    FitError
        If a grid does not hold the posterior.

    Examples
    --------
    >>> from bayes_ptsd.exact.history import binomial_trials
    >>> trials = binomial_trials(["A"], n=[20], r=[10])
    >>> nodes = binomial_nodes(trials, np.array([0.1]), center=0, sigma=2)
    >>> abs(round(float(nodes.moments()[0][0]), 6))
    0.0
    """
    tau = np.maximum(tau, FLOOR)
    logit, se = rough_logit(trials)
    weight = 1 / (se**2 + tau[:, None] ** 2)
    precision = weight.sum(axis=1) + sigma**-2
    middle = (weight @ logit + center / sigma**2) / precision
    steps = np.arange(-REACH, REACH + STEP / 2, STEP)
    mu = middle[:, None] + steps / np.sqrt(precision)[:, None]
    logs = -0.5 * ((mu - center) / sigma) ** 2
    for size, events in zip(trials.size, trials.events, strict=True):
        logs = logs + _log_inner(mu, tau[:, None], size=size, events=events)
    step = np.log(STEP / np.sqrt(precision))
    total = special.logsumexp(logs, axis=1) + step
    density = logs - total[:, None]
    edge = np.maximum(density[:, 0], density[:, -1]) - density.max(axis=1)
    if not (edge < np.log(EDGE)).all():
        raise FitError("the posterior of the mean log odds leaves its grid")
    return BinomialNodes(mu, density, total)


def _log_inner(mu: FloatArray, tau: FloatArray, *, size: float, events: float) -> FloatArray:
    """Return the log likelihood of one trial, its own log odds integrated out."""
    mode = np.full_like(mu, special.logit((events + 0.5) / (size + 1)))
    weight = tau**2 / (tau**2 + (size + 1) / (events + 0.5) / (size - events + 0.5))
    mode = weight * mode + (1 - weight) * mu
    for _ in range(12):
        p = special.expit(mode)
        slope = events - size * p - (mode - mu) / tau**2
        curvature = size * p * (1 - p) + tau**-2
        # a step longer than three widths of the prior or three units overshoots the flat side
        mode = mode + np.clip(slope / curvature, -3.0, 3.0)
    spread = 1 / np.sqrt(size * special.expit(mode) * special.expit(-mode) + tau**-2)
    logs = np.full(mu.shape, -np.inf)
    for node, node_weight in zip(INNER, INNER_WEIGHT, strict=True):
        theta = mode + spread * node
        value = log_binomial(theta, size=size, events=events) - 0.5 * ((theta - mu) / tau) ** 2
        logs = np.logaddexp(logs, value + np.log(node_weight))
    return np.asarray(logs + np.log(spread) - np.log(tau))
