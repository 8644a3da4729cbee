"""The prior plane: which normal priors make a stated claim true, and which do not.

A claim is ``P(effect > t) > q``. For every prior SD there is one prior mean above which it holds
[1]_, because a prior that is farther to the right makes larger effects more probable whatever the
likelihood is. In closed form for a normal likelihood, else the root of a quadrature. Everything
here is on the scale of analysis, positive = benefit.

References
----------
.. [1] Hoefler M, Miller R. The region of evidence: for which prior assumptions does a posterior
   claim hold? Advances in Methods and Practices in Psychological Science 2023 (bayesROE).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.polynomial import legendre
from scipy import special

from bayes_ptsd.errors import SpecError
from bayes_ptsd.priors import FloatArray, Prior

__all__ = [
    "Evidential",
    "boundary_mean",
    "interpolated",
    "plane_sds",
    "prob_beyond",
    "sds_of_belief",
]

# Edges of panels around every feature, in its standard deviations: geometric, so that a narrow
# prior within a wide likelihood and the reverse are both resolved, to where exp(-800) is left.
STEPS = np.sinh(np.linspace(-math.asinh(40.0), math.asinh(40.0), 41))
# Nodes of each panel: twice as many change no probability by 1e-12.
NODES, WEIGHTS = legendre.leggauss(12)
# Of the boundary in prior SDs or standard errors, whichever is less: it is promised to 1e-6.
CLOSE = 1e-10
# Ends of the plane in standard errors of the estimate: a prior of a twentieth says everything, one
# of twenty nothing; and its points, a tenth of a decade apart at most.
NARROWEST, WIDEST, POINTS = 0.05, 20.0, 61
# Points of an interpolated log likelihood, and the log odds to which they reach.
INTERPOLATED, FARTHEST = 1201, 20.0
# Log likelihood below its peak that is interpolated; beyond, it is continued as a straight line.
DEEPEST = 600.0


@dataclass(frozen=True)
class Evidential:
    """A likelihood of an effect: its log density, with a center and a scale to look around."""

    log_density: Callable[[FloatArray], FloatArray]
    center: float
    scale: float
    normal: bool

    @classmethod
    def of(cls, likelihood: Prior) -> Evidential:
        """Return that of a normal or Student-t likelihood."""
        center, scale = likelihood.params["mu"], likelihood.params["sigma"]
        df = likelihood.params.get("nu", math.inf)

        def log_density(effect: FloatArray) -> FloatArray:
            squared = ((effect - center) / scale) ** 2
            if math.isinf(df):
                return np.asarray(-squared / 2)
            return np.asarray(-(df + 1) / 2 * np.log1p(squared / df))

        return cls(log_density, center, scale, math.isinf(df))

    @cached_property
    def edges(self) -> FloatArray:
        """Edges of panels around the center."""
        return np.asarray(self.center + self.scale * STEPS)


def interpolated(
    log_density: Callable[[FloatArray], FloatArray], center: float, scale: float
) -> Evidential:
    """Return a likelihood that is costly to compute as a cubic through its values."""
    from scipy.interpolate import CubicSpline

    reach = math.asinh(max(FARTHEST / scale, STEPS[-1]))
    x = center + scale * np.sinh(np.linspace(-reach, reach, INTERPOLATED))
    logs = log_density(x)
    kept = np.isfinite(logs) & (logs > np.nanmax(logs) - DEEPEST)
    spline = CubicSpline(x[kept], logs[kept])
    low, high = x[kept][0], x[kept][-1]

    def continued(points: FloatArray) -> FloatArray:
        inside = np.clip(points, low, high)
        return np.asarray(spline(inside) + spline(inside, 1) * (points - inside))

    return Evidential(continued, center, scale, normal=False)


def prob_beyond(evidence: Evidential, mean: float, sd: float, threshold: float) -> float:
    """Return P(effect > threshold) under a normal prior."""
    if evidence.normal:
        spread = math.hypot(evidence.scale, sd)
        middle = (evidence.center * sd**2 + mean * evidence.scale**2) / spread**2
        return float(special.ndtr((middle - threshold) / (evidence.scale * sd / spread)))
    shrunk = sd**2 / (sd**2 + evidence.scale**2)
    rough = mean + shrunk * (evidence.center - mean), sd * math.sqrt(1 - shrunk)
    around = [center + scale * STEPS for center, scale in ((mean, sd), rough)]
    edges = np.unique(np.concatenate([evidence.edges, *around, [threshold]]))
    half = np.diff(edges)[:, None] / 2
    x = edges[:-1, None] + half * (1 + NODES)
    logs = evidence.log_density(x) - ((x - mean) / sd) ** 2 / 2
    panels = (np.exp(logs - logs.max()) * WEIGHTS * half).sum(axis=1)
    return float(panels[edges[:-1] >= threshold].sum() / panels.sum())


def boundary_mean(evidence: Evidential, sd: float, threshold: float, level: float) -> float:
    """Return the prior mean above which P(effect > threshold) exceeds the level, to 1e-6."""
    if not 0 < level < 1:
        raise SpecError(f"claim level {level:g}: give a probability between 0 and 1, as 0.95")
    s2, variance = evidence.scale**2, evidence.scale**2 + sd**2
    spread = evidence.scale * sd / math.sqrt(variance)
    middle = threshold + float(special.ndtri(level)) * spread
    guess = (middle * variance - evidence.center * sd**2) / s2
    if evidence.normal:
        return guess

    from scipy.optimize import brentq

    def excess(mean: float) -> float:
        return prob_beyond(evidence, mean, sd, threshold) - level

    step = max(sd, evidence.scale)
    low, high = guess - step, guess + step
    while excess(low) > 0:
        low, step = low - 2 * step, 2 * step
    while excess(high) < 0:
        high, step = high + 2 * step, 2 * step
    return float(brentq(excess, low, high, xtol=CLOSE * min(sd, evidence.scale)))


def plane_sds(evidence: Evidential) -> FloatArray:
    """Return the prior SDs of the plane, from one that says everything to one that says nothing."""
    return np.asarray(evidence.scale * np.geomspace(NARROWEST, WIDEST, POINTS))


def sds_of_belief(
    evidence: Evidential,
    threshold: float,
    level: float,
    *,
    sds: FloatArray,
    boundary: FloatArray,
    mean: float = 0.0,
) -> list[tuple[float, float]]:
    """Return the ranges of prior SDs with which a prior of a given mean makes the claim.

    `boundary` holds the means at `sds`, between which ends are found to 1e-6; a range that reaches
    the first or the last of them goes on to 0 or is without end.
    """
    from scipy.optimize import brentq

    def excess(sd: float) -> float:
        return mean - boundary_mean(evidence, sd, threshold, level)

    held = boundary < mean
    changes = np.flatnonzero(held[1:] != held[:-1])
    ends = [
        float(brentq(excess, sds[one], sds[one + 1], xtol=CLOSE * evidence.scale))
        for one in changes
    ]
    ends = [*([0.0] if held[0] else []), *ends, *([math.inf] if held[-1] else [])]
    return list(zip(ends[::2], ends[1::2], strict=True))
