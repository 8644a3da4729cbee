"""Two independent beta risks: moments, quantiles and grids of them and of their contrasts.

A contrast is a difference on its own scale (risks, log risks, log odds). Its distribution function
is an integral over the control risk.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy import integrate, special, stats
from scipy.interpolate import CubicSpline
from scipy.optimize import elementwise

from bayes_ptsd.errors import FitError
from bayes_ptsd.priors import FloatArray

__all__ = [
    "CONTRASTS",
    "RISKS",
    "SCALES",
    "BetaPair",
    "Scale",
    "difference_below",
    "grid_of_estimand",
    "log_grid",
    "moments",
    "prob_more",
    "quantiles",
]

RISKS = ("risk_active", "risk_control")
CONTRASTS = ("risk_difference", "risk_ratio", "odds_ratio")
# Error of a probability that is stated with every result of two risks; a larger one is refused.
TOLERANCE = 1e-9
# A difference of risks ends this far inside -1 and 1, which the double precision there still tells
# from them.
EDGE = 1e-15
# Width in log odds below which a panel is left out: what it holds is of the order of the absolute
# tolerance of the quadrature.
NARROW = 1e-13
# Points of a grid; spaced in sinh, they are 0.006 standard deviations apart at the center.
GRID = 1601
# Tail probabilities at which panels of the integral end: 1e-15 is left out, the others and their
# mirror images follow a beta density from its steep ends to its middle.
PANEL_TAILS = (1e-15, 1e-4, 0.02, 0.5)
# Standard deviations to which a grid reaches at most, for the long tail of a ratio with few events.
REACH = 60.0


@dataclass(frozen=True)
class Scale:
    """A scale on which a contrast is a difference: the way there and the way back."""

    forward: Callable[[FloatArray], FloatArray]
    back: Callable[[FloatArray], FloatArray]


def _same(x: FloatArray) -> FloatArray:
    """Return the argument."""
    return x


SCALES: Mapping[str, Scale] = {
    "risk_difference": Scale(_same, _same),
    "risk_ratio": Scale(np.log, np.exp),
    "odds_ratio": Scale(special.logit, special.expit),
}


@dataclass(frozen=True)
class BetaPair:
    """Shapes of the beta posteriors of the active (1) and the control risk (2)."""

    a1: float
    b1: float
    a2: float
    b2: float


def moments(pair: BetaPair, name: str) -> tuple[float, float]:
    """Return mean and standard deviation in closed form, infinite where they diverge."""
    one, two = stats.beta(pair.a1, pair.b1), stats.beta(pair.a2, pair.b2)
    if name == "risk_active":
        return float(one.mean()), float(one.std())
    if name == "risk_control":
        return float(two.mean()), float(two.std())
    if name == "risk_difference":
        return float(one.mean() - two.mean()), math.hypot(one.std(), two.std())
    odds = name == "odds_ratio"
    first = [_power_mean(pair.a1, pair.b1, k, odds=odds) for k in (1, 2)]
    second = [_power_mean(pair.a2, pair.b2, -k, odds=odds) for k in (1, 2)]
    mean, square = first[0] * second[0], first[1] * second[1]
    return mean, math.sqrt(square - mean**2) if math.isfinite(square) else math.inf


def _power_mean(a: float, b: float, k: int, *, odds: bool) -> float:
    """Return the mean of the k-th power of a beta variable or of its odds."""
    loss = k if odds else 0
    if a + k <= 0 or b - loss <= 0:
        return math.inf
    return math.exp(special.betaln(a + k, b - loss) - special.betaln(a, b))


def quantiles(pair: BetaPair, name: str, p: FloatArray) -> FloatArray:
    """Return quantiles of an estimand; FitError where the root finder fails."""
    if name == "risk_active":
        return np.asarray(stats.beta.ppf(p, pair.a1, pair.b1))
    if name == "risk_control":
        return np.asarray(stats.beta.ppf(p, pair.a2, pair.b2))
    scale = SCALES[name]
    below, above = p / 4, (1 - p) / 4
    one, two = (
        [scale.forward(stats.beta.ppf(q, a, b)) for q in (below, 1 - below, above, 1 - above)]
        for a, b in ((pair.a1, pair.b1), (pair.a2, pair.b2))
    )
    root = elementwise.find_root(
        lambda d, target: _cdf(pair, scale, d) - target,
        (one[0] - two[1], one[3] - two[2]),
        args=(p,),
        tolerances={"xatol": 1e-12, "fatol": 1e-13},
    )
    if not root.success.all():
        raise FitError(f"quantiles of the {name} of {pair} were not found")
    return _contrast(name, root.x)


def _contrast(name: str, d: FloatArray) -> FloatArray:
    """Turn a difference on the contrast's scale into the contrast."""
    return d if name == "risk_difference" else np.exp(d)


def prob_more(pair: BetaPair) -> float:
    """Return the probability of the larger active risk."""
    return 1 - float(_cdf(pair, SCALES["odds_ratio"], np.array(0.0)))


def difference_below(pair: BetaPair, d: FloatArray) -> FloatArray:
    """Return the probability that the active risk minus the control risk is below `d`."""
    return _cdf(pair, SCALES["risk_difference"], np.asarray(d, dtype=float))


def _cdf(pair: BetaPair, scale: Scale, d: FloatArray) -> FloatArray:
    """Return the distribution function of the difference on a scale.

    The control risk is integrated over its log odds, where its density falls off exponentially, in
    panels that resolve both posteriors.
    """
    low, top = _control_limits(scale, d)
    own, other = _log_odds_edges(pair.a2, pair.b2), _log_odds_edges(pair.a1, pair.b1)
    moved = scale.back(scale.forward(special.expit(other))[:, None] - d.ravel())
    limits = special.logit([low.ravel(), top.ravel()]).clip(own[0], own[-1])
    inner = [np.broadcast_to(own[:, None], moved.shape), special.logit(moved.clip(0, 1))]
    edges = np.sort(np.concatenate(inner).clip(*limits), axis=0).reshape(-1, *d.shape)
    constant = special.betaln(pair.a2, pair.b2)

    def integrand(x: FloatArray, shift: FloatArray) -> FloatArray:
        active = scale.back(scale.forward(special.expit(x)) + shift).clip(0, 1)
        weight = pair.a2 * special.log_expit(x) + pair.b2 * special.log_expit(-x) - constant
        return np.asarray(np.exp(weight) * special.betainc(pair.a1, pair.b1, active))

    panels = integrate.tanhsinh(integrand, edges[:-1], edges[1:], args=(d,), atol=1e-13, rtol=1e-10)
    # SciPy returns NaN for a panel as narrow as the spacing of its edges
    wide = edges[1:] - edges[:-1] > NARROW
    parts = np.where(wide, [panels.integral, panels.error], 0.0).sum(axis=1)
    error = np.max(parts[1])
    if not error <= TOLERANCE:
        raise FitError(f"quadrature error {error:.1e} exceeds {TOLERANCE:.0e} for {pair}")
    return np.asarray(parts[0] + special.betaincc(pair.a2, pair.b2, top))


def _log_odds_edges(a: float, b: float) -> FloatArray:
    """Return log odds that cut a beta distribution into panels, tails of 1e-15 left out."""
    tails = np.array(PANEL_TAILS)
    upper = -special.logit(special.betaincinv(b, a, tails[:-1]))
    return np.concatenate([special.logit(special.betaincinv(a, b, tails)), upper[::-1]])


def _control_limits(scale: Scale, d: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the control risks between which the active risk `d` away lies between 0 and 1."""
    if scale is SCALES["risk_difference"]:
        return np.clip(-d, 0, 1), np.clip(1 - d, 0, 1)
    if scale is SCALES["risk_ratio"]:
        return np.zeros_like(d), np.exp(-np.maximum(d, 0))
    return np.zeros_like(d), np.ones_like(d)


def grid_of_estimand(pair: BetaPair, name: str) -> xr.Dataset:
    """Return density and distribution function of an estimand on a grid."""
    if name in RISKS:
        shapes = (pair.a1, pair.b1) if name == "risk_active" else (pair.a2, pair.b2)
        points, pdf, cdf = _risk_grid(*shapes)
    else:
        points, pdf, cdf = _contrast_grid(pair, name)
    mean, sd = moments(pair, name)
    return xr.Dataset(
        {
            "value": ("grid", points),
            "pdf": ("grid", pdf),
            "cdf": ("grid", cdf),
            "mean": mean,
            "sd": sd,
            "quadrature_error": 0.0 if name in RISKS else TOLERANCE,
        }
    )


def log_grid(pair: BetaPair, name: str) -> xr.Dataset:
    """Return density and distribution function of the log of a ratio on a grid."""
    ratios, pdf, cdf = _contrast_grid(pair, name)
    mean, sd = _log_moments(pair, odds=name == "odds_ratio")
    return xr.Dataset(
        {
            "value": ("grid", np.log(ratios)),
            "pdf": ("grid", pdf * ratios),
            "cdf": ("grid", cdf),
            "mean": mean,
            "sd": sd,
            "quadrature_error": TOLERANCE,
        }
    )


def _risk_grid(a: float, b: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Put a beta distribution on a grid that is even in its log odds' standard deviations."""
    center = float(special.digamma(a) - special.digamma(b))
    spread = math.sqrt(special.polygamma(1, a) + special.polygamma(1, b))
    points = special.expit(_steps(center, spread, low=-300.0, high=34.0))
    return points, stats.beta.pdf(points, a, b), stats.beta.cdf(points, a, b)


def _contrast_grid(pair: BetaPair, name: str) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Put a contrast on a grid that is even in standard deviations on the contrast's scale."""
    if name == "risk_difference":
        d = _steps(*moments(pair, name), low=EDGE - 1, high=1 - EDGE)
    else:
        d = _steps(*_log_moments(pair, odds=name == "odds_ratio"), low=-300.0, high=300.0)
    cdf = np.maximum.accumulate(_cdf(pair, SCALES[name], d))
    pdf = CubicSpline(d, cdf)(d, 1).clip(min=0.0)
    points = _contrast(name, d)
    return points, pdf / (1.0 if name == "risk_difference" else points), cdf


def _log_moments(pair: BetaPair, *, odds: bool) -> tuple[float, float]:
    """Return mean and standard deviation of the log ratio of the risks or of their odds."""
    signs = ((pair.a1, pair.b1, 1.0), (pair.a2, pair.b2, -1.0))
    center = sum(
        sign * (special.digamma(a) - special.digamma(b if odds else a + b)) for a, b, sign in signs
    )
    variance = sum(
        special.polygamma(1, a) + special.polygamma(1, b if odds else a + b) * (1 if odds else -1)
        for a, b, _ in signs
    )
    return float(center), math.sqrt(variance)


def _steps(center: float, spread: float, *, low: float, high: float) -> FloatArray:
    """Return grid points, densest at the center, from one end of the range to the other."""
    first, last = (np.clip((end - center) / spread, -REACH, REACH) for end in (low, high))
    steps = np.sinh(np.linspace(np.arcsinh(first), np.arcsinh(last), GRID))
    return np.asarray(center + spread * steps)
