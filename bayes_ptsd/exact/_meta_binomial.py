"""Binomial trials given the standard deviation between them: two inner integrals, vectorized.

The mean log odds is integrated for each tau on a grid that is found: its log posterior is concave,
so that an interval holds it when both ends lie far below the middle, and is narrowed to where it
matters. There it is as smooth as a polynomial, so that the trials, whose number is what costs, are
asked at few Chebyshev points. Each trial's own log odds is integrated around the mode of its
integrand, on points that spread like a sinh.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special
from scipy.interpolate import BarycentricInterpolator, make_interp_spline

from bayes_ptsd.errors import FitError
from bayes_ptsd.exact.history import HistoricalTrials, log_binomial, rough_logit
from bayes_ptsd.priors import FloatArray

__all__ = ["BinomialNodes", "binomial_nodes"]

DROP = 40.0
"""Log units below the peak at which the grid of the mean ends: a mass of 1e-17."""
SCAN = 25
"""Points that narrow the interval of the mean: each round keeps a twelfth of it at best."""
LEAST_POINTS, MOST_POINTS = 97, 1537
"""Of the grid of the mean; doubled until leaving out every second point changes nothing."""
GRID_TOLERANCE = 1e-5
"""Change of a log likelihood without every second point; the error with them is its square."""
FEWEST_DEGREES, MOST_DEGREES = 16, 512
"""Of the polynomial in the mean: 500 alike trials need 16, one event in a vague prior 128."""
DEGREE_TOLERANCE = 1e-6
"""Miss of half the degrees, in log units; that of all of them is its square."""
NEWTON_STEPS, NEWTON_TOLERANCE = 12, 1e-3
"""Of a trial's mode, in its own widths: the points around it reach twelve widths to each side."""
GUESS = 11.0
"""Standard deviations that the first interval of the mean reaches, of which nine are DROP."""
# Trapezoidal rule in sinh for a trial's own log odds, in widths at its mode: dense there, and out
# to 12 widths, since with r = 0 or r = n one side is flat.
INNER = np.sinh(np.linspace(-3.6, 3.6, 49)) / 1.5
# The step between nodes times the derivative of their sinh.
INNER_WEIGHT = np.cosh(np.linspace(-3.6, 3.6, 49)) * 7.2 / 48 / 1.5
HERMITE, HERMITE_WEIGHT = np.polynomial.hermite_e.hermegauss(24)
FLOOR = 1e-4
"""Below it the likelihood, a function of tau squared, is flat to a relative 1e-6."""


@dataclass(frozen=True)
class BinomialNodes:
    """Posterior of the mean log odds given each tau, on a grid of its own for each."""

    mu: FloatArray  # grid, dims (tau, mu)
    log_density: FloatArray  # normalized, the same dims
    log_likelihood: FloatArray  # of tau, up to a constant

    def moments(self) -> tuple[FloatArray, FloatArray]:
        """Return mean and variance of the mean log odds given each tau."""
        step = self.mu[:, 1:2] - self.mu[:, :1]
        weight = np.exp(self.log_density) * step
        center = (weight * self.mu).sum(axis=1)
        return center, (weight * (self.mu - center[:, None]) ** 2).sum(axis=1)

    def beyond(self, tau: FloatArray, low: float, high: float) -> FloatArray:
        """Return the probability of a new trial's log odds below `low` and above `high`."""
        weight = np.exp(self.log_density) * (self.mu[:, 1:2] - self.mu[:, :1])
        sides = ((low - self.mu) / tau[:, None], (self.mu - high) / tau[:, None])
        return np.stack([(weight * special.ndtr(side)).sum(axis=1) for side in sides])

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
    """Return the posterior of the mean log odds, a priori normal, given each tau (log odds)."""
    # every tau below the floor is one
    tau, every = np.unique(np.maximum(tau, FLOOR), return_inverse=True)

    def log_joint(mu: FloatArray) -> FloatArray:
        logs = -0.5 * ((mu - center) / sigma) ** 2
        for (size, events), count in _alike(trials):
            logs = logs + count * _log_inner(mu, tau[:, None], size=size, events=events)
        return np.asarray(logs)

    low, high = _interval(log_joint, *_guess(trials, tau, center=center, sigma=sigma))
    smooth = _polynomial(log_joint, low, high)
    points = LEAST_POINTS
    while points <= MOST_POINTS:
        place = np.linspace(0, 1, points)
        logs = smooth(place)
        step = np.log((high - low) / (points - 1))
        total = special.logsumexp(logs, axis=1) + step
        coarse = special.logsumexp(logs[:, ::2], axis=1) + step + np.log(2)
        if np.abs(total - coarse).max() < GRID_TOLERANCE:
            mu = low[:, None] + (high - low)[:, None] * place
            return BinomialNodes(mu[every], (logs - total[:, None])[every], total[every])
        points = 2 * points - 1
    raise FitError(
        f"the posterior of the mean log odds is not resolved by {MOST_POINTS} points; "
        f"narrow its prior, whose sd is {sigma:g} log odds: an sd of 5 reaches beyond one "
        "event in a thousand million"
    )


def _polynomial(
    log_joint: Callable[[FloatArray], FloatArray], low: FloatArray, high: FloatArray
) -> Callable[[FloatArray], FloatArray]:
    """Return the log posterior of the mean as a polynomial of the place, 0 to 1, between the ends.

    Chebyshev points of twice the degree hold those of the degree, so that each doubling only asks
    for the points between them and tells by how much half of them had missed.
    """

    def at(place: FloatArray) -> FloatArray:
        return log_joint(low[:, None] + (high - low)[:, None] * place).T

    degree = FEWEST_DEGREES // 2
    place = _chebyshev(degree)
    logs = at(place)
    while True:
        smooth = BarycentricInterpolator(place, logs, rng=0)
        finer = _chebyshev(2 * degree)
        between = at(finer[1::2])
        missed = np.abs(smooth(finer[1::2]) - between).max()
        values = np.empty((len(finer), len(low)))
        values[::2], values[1::2] = logs, between
        degree, place, logs = 2 * degree, finer, values
        if missed < DEGREE_TOLERANCE or degree >= MOST_DEGREES:
            finest = BarycentricInterpolator(place, logs, rng=0)
            return lambda wanted: np.asarray(finest(wanted).T)


def _chebyshev(degree: int) -> FloatArray:
    """Return the Chebyshev points of the second kind from 0 to 1."""
    return np.asarray(np.sin(np.pi / 2 * np.arange(degree + 1) / degree) ** 2)


def _alike(trials: HistoricalTrials) -> list[tuple[tuple[float, float], int]]:
    """Return sizes and events with how many trials have both."""
    pairs = list(zip(trials.size.tolist(), trials.events.tolist(), strict=True))
    return [(pair, pairs.count(pair)) for pair in dict.fromkeys(pairs)]


def _guess(
    trials: HistoricalTrials, tau: FloatArray, *, center: float, sigma: float
) -> tuple[FloatArray, FloatArray]:
    """Return for each tau where the mean is if every trial's log odds is roughly normal."""
    logit, se = rough_logit(trials)
    weight = 1 / (se**2 + tau[:, None] ** 2)
    precision = weight.sum(axis=1) + sigma**-2
    middle = (weight @ logit + center * sigma**-2) / precision
    reach = GUESS / np.sqrt(precision)
    return middle - reach, middle + reach


def _interval(
    log_joint: Callable[[FloatArray], FloatArray], low: FloatArray, high: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return for each tau an interval beyond whose ends the posterior of the mean is nothing."""
    place = np.linspace(0, 1, SCAN)
    while True:
        mu = low[:, None] + (high - low)[:, None] * place
        logs = log_joint(mu)
        inside = logs > logs.max(axis=1, keepdims=True) - DROP
        first, last = inside.argmax(axis=1), SCAN - 1 - inside[:, ::-1].argmax(axis=1)
        width = high - low
        open_low, open_high = first == 0, last == SCAN - 1
        if (open_low | open_high).any():
            low, high = low - width * open_low, high + width * open_high
            continue
        row = np.arange(len(low))
        low, high = mu[row, first - 1], mu[row, last + 1]
        # the ends move by less than two of the spaces that the kept points span
        if (last - first >= SCAN // 2).all():
            return low, high


def _log_inner(mu: FloatArray, tau: FloatArray, *, size: float, events: float) -> FloatArray:
    """Return the log likelihood of one trial, its own log odds integrated out."""
    mode, spread = _mode(mu, tau, size=size, events=events)
    # every power is taken below that at the mode, so that none overflows
    half = -0.5 / tau**2
    top = log_binomial(mode, size=size, events=events) + half * (mode - mu) ** 2
    total = np.zeros(mu.shape)
    for node, node_weight in zip(INNER, INNER_WEIGHT, strict=True):
        theta = mode + spread * node
        value = log_binomial(theta, size=size, events=events) + half * (theta - mu) ** 2
        total += node_weight * np.exp(value - top)
    return np.asarray(np.log(total) + top + np.log(spread) - np.log(tau))


def _mode(
    mu: FloatArray, tau: FloatArray, *, size: float, events: float
) -> tuple[FloatArray, FloatArray]:
    """Return where a trial's own log odds is most probable, and its width there."""
    mode = np.full_like(mu, special.logit((events + 0.5) / (size + 1)))
    weight = tau**2 / (tau**2 + (size + 1) / (events + 0.5) / (size - events + 0.5))
    mode = weight * mode + (1 - weight) * mu
    for _ in range(NEWTON_STEPS):
        p = special.expit(mode)
        slope = events - size * p - (mode - mu) / tau**2
        curvature = size * p * (1 - p) + tau**-2
        # a step longer than three widths of the prior or three units overshoots the flat side
        step = np.clip(slope / curvature, -3.0, 3.0)
        mode = mode + step
        if (np.abs(step) * np.sqrt(curvature)).max() < NEWTON_TOLERANCE:
            break
    return mode, 1 / np.sqrt(size * special.expit(mode) * special.expit(-mode) + tau**-2)
