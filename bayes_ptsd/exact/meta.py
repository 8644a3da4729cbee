"""Meta-analytic-predictive distributions by quadrature: what a new trial's parameter will be.

Trial parameters are normal around a mean with a standard deviation between trials, tau. Given tau,
everything is normal in closed form (normal trials) or one more integral (binomial trials, on the
log-odds scale); tau is integrated out by the trapezoidal rule on its logarithm, whose error falls
exponentially for such densities. The error reported is the change when every second node is left
out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy import special
from scipy.interpolate import make_interp_spline

from bayes_ptsd.errors import FitError, SpecError
from bayes_ptsd.exact._meta_binomial import BinomialNodes, binomial_nodes
from bayes_ptsd.exact.grid import spread_grid
from bayes_ptsd.exact.history import Heterogeneity, HistoricalTrials
from bayes_ptsd.exact.mixture import Mixture
from bayes_ptsd.priors import FloatArray, Prior

__all__ = ["map_posterior", "normal_mixtures"]

# Of log tau, an odd number, so that every second one keeps both ends.
NODES = 241
# Change of a probability without every second node above which a result is refused; the error with
# all of them is far smaller, as the rule converges exponentially.
TOLERANCE = 1e-5
# The smallest sum of weights that is divided by.
LEAST = 1e-300
DEPTH = 24.0
"""Nodes reach to where the density of log tau has fallen by exp(-DEPTH)."""
# Quantiles of tau that are shown: both ends of the central 95% and the median.
PROBABILITIES = (0.025, 0.5, 0.975)


@dataclass(frozen=True)
class TauNodes:
    """Nodes over the standard deviation between trials: positions, values, posterior weights."""

    x: FloatArray
    tau: FloatArray
    weight: FloatArray

    def average(self, values: FloatArray, *, every: int = 1) -> FloatArray:
        """Return an average over the first dim, from all nodes or from every second one."""
        weight = self.weight[::every]
        return np.asarray(weight @ values[::every] / weight.sum())

    def expect(self, values: FloatArray) -> float:
        """Return a posterior expectation."""
        return float(self.weight @ values)


def map_posterior(
    trials: HistoricalTrials, *, mean: Prior, heterogeneity: Heterogeneity
) -> xr.Dataset:
    """Compute the meta-analytic-predictive distribution of a new trial's parameter [1]_.

    The prior of the mean is normal or flat, in the unit of the parameter; log odds for binomial
    trials, where it must be normal. ``value, pdf, cdf`` on dim ``grid`` and ``mean, sd`` are of the
    new trial, on the probability scale for binomial trials; ``mu_*`` and ``tau_*`` are the
    hyperparameters, and ``quadrature_error`` is in probability. Moments that do not exist are
    infinite.

    References
    ----------
    .. [1] Neuenschwander B, Capkun-Niggli G, Branson M, Spiegelhalter DJ. Summarizing historical
       information on controls in clinical trials. Clinical Trials 2010;7:5-18.
    """
    if mean.dist not in ("normal", "flat"):
        raise SpecError(f"the prior of the mean is normal or flat, not {mean.dist}")
    if trials.likelihood == "binomial":
        if mean.dist == "flat":
            raise SpecError("binomial trials need a normal prior on the mean log odds, as N(0, 2²)")
        return _binomial(trials, mean, heterogeneity)
    return _normal(trials, mean, heterogeneity)


def normal_mixtures(
    trials: HistoricalTrials, *, mean: Prior, heterogeneity: Heterogeneity
) -> tuple[Mixture, Mixture]:
    """Return the mean of normal trials, and a new trial's parameter, as mixtures over tau."""
    nodes, mu, variance = _normal_nodes(trials, mean, heterogeneity)
    spread = np.sqrt(variance + nodes.tau**2)
    new = Mixture(nodes.weight, mu, spread)
    share = nodes.weight[::2]
    # every second node may have no weight at all where they are too far apart: an error of one
    half = Mixture(share / max(float(share.sum()), LEAST), mu[::2], spread[::2])
    likeliest = int(np.argmax(nodes.weight))
    at = mu[likeliest] + spread[likeliest] * np.linspace(-3, 3, 25)
    _check_error(float(np.abs(new.below(at) - half.below(at)).max()))
    return Mixture(nodes.weight, mu, np.sqrt(variance)), new


def _check_error(error: float) -> None:
    """Refuse what is not accurate, in probability."""
    if not error < TOLERANCE:
        raise FitError(
            f"quadrature over tau: error {error:.1e} in probability exceeds {TOLERANCE:.0e}; is "
            "one standard error, or the heterogeneity, in another unit than the rest?"
        )


def _normal_nodes(
    trials: HistoricalTrials, mean: Prior, heterogeneity: Heterogeneity
) -> tuple[TauNodes, FloatArray, FloatArray]:
    """Return nodes over tau with mean and variance of the trials' mean at each."""

    def given_tau(tau: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        weight = 1 / (trials.se**2 + tau[:, None] ** 2)
        center, pull = (0.0, 0.0) if mean.dist == "flat" else _center_and_precision(mean)
        precision = weight.sum(axis=1) + pull
        mu = (weight @ trials.estimate + pull * center) / precision
        misfit = (weight * (trials.estimate - mu[:, None]) ** 2).sum(axis=1)
        misfit = misfit + pull * (center - mu) ** 2
        log_likelihood = 0.5 * (np.log(weight).sum(axis=1) - np.log(precision) - misfit)
        return log_likelihood, mu, 1 / precision

    def log_density(tau: FloatArray) -> FloatArray:
        return given_tau(tau)[0] + heterogeneity.logpdf(tau)

    power = _tail_power(trials, mean, heterogeneity)
    scale = float(np.median(trials.se))
    nodes = _tau_nodes(log_density, heterogeneity, scale=scale, power=power)
    return nodes, *given_tau(nodes.tau)[1:]


def _normal(trials: HistoricalTrials, mean: Prior, heterogeneity: Heterogeneity) -> xr.Dataset:
    """Return the predictive distribution of normal trials, a normal mixture over tau."""
    order = _tail_power(trials, mean, heterogeneity)
    nodes, mu, variance = _normal_nodes(trials, mean, heterogeneity)
    spread = np.sqrt(variance + nodes.tau**2)
    center, sd = _moments(nodes, mu, spread**2)
    narrow = float(spread[int(np.argmax(nodes.weight))])
    points = spread_grid([(center, narrow), (center, sd)], heavy=math.isfinite(order))
    z = (points[:, None] - mu) / spread
    pdf = (np.exp(-0.5 * z**2) / spread / math.sqrt(2 * math.pi)) @ nodes.weight
    below = special.ndtr(z)
    cdf = nodes.average(below.T)
    error = float(np.abs(cdf - nodes.average(below.T, every=2)).max())
    return _result(
        nodes, points, pdf, cdf, center=center, sd=sd if order > 3 else math.inf,
        mu=_moments(nodes, mu, variance), tail=order, error=error,
    )  # fmt: skip


def _binomial(trials: HistoricalTrials, mean: Prior, heterogeneity: Heterogeneity) -> xr.Dataset:
    """Return the predictive distribution of binomial trials, on the probability scale."""
    center, sigma = mean.params["mu"], mean.params["sigma"]

    last: list[BinomialNodes] = []

    def log_density(tau: FloatArray) -> FloatArray:
        # what was found at the nodes, which are asked for last, is wanted again
        last[:] = [binomial_nodes(trials, tau, center=center, sigma=sigma)]
        return last[0].log_likelihood + heterogeneity.logpdf(tau)

    partial = (trials.events > 0) & (trials.events < trials.size)
    order = heterogeneity.tail + float(partial.sum())
    nodes = _tau_nodes(log_density, heterogeneity, scale=0.5, power=order)
    given = last[0]
    mu_mean, mu_variance = given.moments()
    spread = np.sqrt(mu_variance + nodes.tau**2)
    middle, sd = _moments(nodes, mu_mean, spread**2)
    narrow = float(spread[int(np.argmax(nodes.weight))])
    grid = LogOddsGrid.around(middle, narrow=narrow, wide=sd)
    densities = np.stack([given.predictive(i, tau, grid.theta) for i, tau in enumerate(nodes.tau)])
    beyond = given.beyond(nodes.tau, float(grid.theta[0]), float(grid.theta[-1]))
    parts = np.column_stack([beyond[0], densities, beyond[1]])
    low, *density, high = nodes.average(parts)
    value, pdf, cdf, p_mean, p_sd = grid.on_probability_scale(np.array(density), low, high)
    low, *density, high = nodes.average(parts, every=2)
    coarse = grid.on_probability_scale(np.array(density), low, high)[2]
    error = float(np.abs(cdf - coarse).max())
    return _result(
        nodes, value, pdf, cdf, center=p_mean, sd=p_sd, mu=_moments(nodes, mu_mean, mu_variance),
        tail=order, error=error,
    )  # fmt: skip


@dataclass(frozen=True)
class LogOddsGrid:
    """Log odds on a sinh-spaced grid, in whose index integrals are splines."""

    step: FloatArray
    theta: FloatArray
    slope: FloatArray

    @classmethod
    def around(cls, middle: float, *, narrow: float, wide: float) -> LogOddsGrid:
        """Place 1001 points, dense within `narrow` and out to 14 `wide` or log odds of 36."""
        ends = np.clip([middle - 14 * wide, middle + 14 * wide], -36, 36)
        low, high = np.arcsinh((ends - middle) / narrow)
        step = np.linspace(low, high, 1001)
        return cls(step, middle + narrow * np.sinh(step), narrow * np.cosh(step))

    def on_probability_scale(
        self, density: FloatArray, below: float, above: float
    ) -> tuple[FloatArray, FloatArray, FloatArray, float, float]:
        """Return value, density, distribution function, mean and sd of the inverse logit."""
        inside = self._integral(density)
        total = below + float(inside[-1]) + above
        if abs(total - 1) > 1e-6:
            raise FitError(f"the predictive density integrates to {total:.8g}: not resolved")
        value = special.expit(self.theta)
        mean = float(self._integral(density * value)[-1]) + above
        second = float(self._integral(density * (value - mean) ** 2)[-1])
        second += above * (1 - mean) ** 2 + below * mean**2
        jacobian = value * special.expit(-self.theta)
        keep = np.concatenate([[True], np.diff(value) > 0]) & (jacobian > 0)
        cdf = np.clip(np.maximum.accumulate(below + inside), 0, 1)
        return value[keep], density[keep] / jacobian[keep], cdf[keep], mean, math.sqrt(second)

    def _integral(self, values: FloatArray) -> FloatArray:
        """Integrate over the log odds from the first point."""
        spline = make_interp_spline(self.step, values * self.slope, k=5)
        return np.asarray(spline.antiderivative()(self.step))


def _center_and_precision(mean: Prior) -> tuple[float, float]:
    """Return mean and precision of a normal prior."""
    return mean.params["mu"], mean.params["sigma"] ** -2


def _tau_nodes(
    log_density: Callable[[FloatArray], FloatArray],
    heterogeneity: Heterogeneity,
    *,
    scale: float,
    power: float,
) -> TauNodes:
    """Place nodes where the posterior of tau is, equally spaced on a scale without ends."""
    bounded = heterogeneity.kind == "uniform"

    def tau_of(x: FloatArray) -> FloatArray:
        return heterogeneity.scale * special.expit(x) if bounded else np.exp(x)

    def log_weight(x: FloatArray) -> FloatArray:
        slope = special.log_expit(x) + special.log_expit(-x) + math.log(heterogeneity.scale)
        return log_density(tau_of(x)) + (slope if bounded else x)

    middle = 0.0 if bounded else math.log(min(scale, heterogeneity.scale))
    # far enough to the right for the second moment of tau, where it has one
    moment = 0 if bounded or power <= 2 else 1 if power <= 3 else 2
    low, high = _reach(log_weight, middle, moment)
    x = np.linspace(low - 0.5, high + 0.5, NODES)
    logs = log_weight(x)
    weight = np.exp(logs - logs.max())
    return TauNodes(x, tau_of(x), weight / weight.sum())


def _reach(
    log_weight: Callable[[FloatArray], FloatArray], middle: float, moment: int
) -> tuple[float, float]:
    """Return the first and last places of a scan at which the posterior of log tau is not nothing.

    Every sixth place is asked first, then those beside the highest and beside where it falls off.
    """
    scan = middle + np.linspace(-45, 45, 181)
    height = np.full(len(scan), -np.inf)
    height[::6] = log_weight(scan[::6])
    for lift in (0, moment):
        peak = int((height + lift * scan).argmax())
        _fill(height, scan, log_weight, range(peak - 6, peak + 7))
    lifted = height + moment * scan
    low = int((height > height.max() - DEPTH).argmax())
    high = len(scan) - 1 - int((lifted > lifted.max() - DEPTH)[::-1].argmax())
    _fill(height, scan, log_weight, [*range(low - 6, low), *range(high + 1, high + 7)])
    lifted = height + moment * scan
    return (
        float(scan[height > height.max() - DEPTH][0]),
        float(scan[lifted > lifted.max() - DEPTH][-1]),
    )


def _fill(
    height: FloatArray,
    scan: FloatArray,
    log_weight: Callable[[FloatArray], FloatArray],
    places: Iterable[int],
) -> None:
    """Ask for the heights at some places of a scan that have not been asked for."""
    wanted = [one for one in places if 0 <= one < len(scan) and np.isneginf(height[one])]
    if wanted:
        height[wanted] = log_weight(scan[wanted])


def _moments(nodes: TauNodes, mean: FloatArray, variance: FloatArray) -> tuple[float, float]:
    """Return mean and standard deviation of a mixture over the nodes."""
    center = nodes.expect(mean)
    return center, math.sqrt(nodes.expect(variance + (mean - center) ** 2))


def _tail_power(trials: HistoricalTrials, mean: Prior, heterogeneity: Heterogeneity) -> float:
    """Return the power at which the posterior density of tau falls off."""
    return heterogeneity.tail + len(trials.study) - (mean.dist == "flat")


def _result(
    nodes: TauNodes,
    points: FloatArray,
    pdf: FloatArray,
    cdf: FloatArray,
    *,
    center: float,
    sd: float,
    mu: tuple[float, float],
    tail: float,
    error: float,
) -> xr.Dataset:
    """Assemble the stored form, and refuse one that is not accurate."""
    _check_error(error)
    tau_mean = nodes.expect(nodes.tau) if tail > 2 else math.inf
    tau_sd = math.sqrt(nodes.expect((nodes.tau - tau_mean) ** 2)) if tail > 3 else math.inf
    fine = np.linspace(nodes.x[0], nodes.x[-1], 20_001)
    below = make_interp_spline(nodes.x, nodes.weight, k=5).antiderivative()(fine)
    places = np.interp(PROBABILITIES, below / below[-1], fine)
    quantiles = make_interp_spline(nodes.x, nodes.tau, k=5)(places)
    return xr.Dataset(
        {
            "value": ("grid", points),
            "pdf": ("grid", pdf),
            "cdf": ("grid", cdf),
            "mean": center,
            "sd": sd,
            "quadrature_error": error,
            "tau_mean": tau_mean,
            "tau_sd": tau_sd,
            "tau_quantile": ("probability", quantiles),
            "mu_mean": mu[0],
            "mu_sd": mu[1],
        },
        coords={"probability": list(PROBABILITIES)},
    )
