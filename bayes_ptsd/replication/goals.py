"""What a replication has to show, and which estimates show it.

Under a flat prior there is one estimate to beat. Under an informative one the posterior probability
rises with the estimate and falls back, because a t likelihood gives way to a prior that it
contradicts: the estimates that reach a goal are one or more intervals, and every end is found.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import special

from bayes_ptsd.errors import SpecError
from bayes_ptsd.priors import FloatArray, Prior
from bayes_ptsd.replication.mixtures import mixture_parts

__all__ = [
    "NODE_WEIGHT",
    "Goal",
    "chi_square",
    "crossings",
    "normal_components",
    "posterior_above",
]

# Normal scores of the standard error: beyond 5.4 lies 7e-8, and steps of .45 are half the coarse
# ones below, which are already exact to 1e-7.
NODES = np.linspace(-5.4, 5.4, 25)
# trapezoidal: in proportion to the normal density
NODE_WEIGHT = np.exp(-0.5 * NODES**2) / np.exp(-0.5 * NODES**2).sum()
COARSE = slice(None, None, 2)
"""Of the nodes that stand for the t likelihood: steps of .9 are exact to 1e-7 from 3 df on."""
PACE = 0.2
"""Estimates at which the goal is looked at lie a fifth of a standard error apart, then 20% farther
each: four times as dense moves an assurance by less than 1e-9."""
BISECTIONS = 40
"""They leave 1e-12 of a gap between two estimates."""
FLAT = Prior("flat")


@dataclass(frozen=True)
class Goal:
    """What a replication has to show."""

    kind: str = "bayes"  # or "frequentist": t test of difference <= margin, one-sided at 1 - level
    margin: float = 0.0  # score units; 0 for benefit, the MCID for a worthwhile one
    level: float = 0.975  # to be exceeded by P(difference > margin); between 0.5 and 1
    analysis: Prior = FLAT  # of the replication's analysis: flat, normal or a mixture of normals

    def __post_init__(self) -> None:
        """Refuse what is not a goal."""
        if self.kind not in ("bayes", "frequentist"):
            raise SpecError(f"a goal is 'bayes' or 'frequentist', not '{self.kind}'")
        if not 0.5 < self.level < 1:
            raise SpecError(f"the level of a goal lies between 0.5 and 1, got {self.level}")
        if not math.isfinite(self.margin):
            raise SpecError(f"the margin of a goal is a number, got {self.margin}")
        kinds = {part.dist for part in mixture_parts(self.analysis)[1]}
        if kinds not in ({"flat"}, {"normal"}):
            raise SpecError(f"an analysis prior is flat or normal, not {self.analysis.formula}")

    @property
    def label(self) -> str:
        """The goal in words."""
        if self.kind == "frequentist":
            return f"two-sided P < {2 * (1 - self.level):.3g}, difference > {self.margin:g}"
        name = "flat" if self.analysis.dist == "flat" else self.analysis.formula
        return f"P(difference > {self.margin:g}) > {self.level:g}, analysis prior {name}"

    @property
    def exact(self) -> bool:
        """Whether the needed estimate is a multiple of the standard error, with nothing beyond."""
        return self.kind == "frequentist" or self.analysis.dist == "flat"


def crossings(goal: Goal, scale: FloatArray, df: float, ends: tuple[float, float]) -> FloatArray:
    """Return the estimates between which the goal is reached, dims (node, cut), cuts in order.

    Even cuts are where the posterior probability rises above the level, odd ones where it falls
    below; what a node lacks is infinite.
    """
    points = _looked_at(goal, scale, ends)
    above = posterior_above(goal, points, scale[:, None], df) > goal.level
    node, place = np.nonzero(above[:, 1:] != above[:, :-1])
    low, high = points[node, place], points[node, place + 1]
    rising = above[node, place + 1]
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        right = (posterior_above(goal, middle, scale[node], df) > goal.level) != rising
        low, high = np.where(right, middle, low), np.where(right, high, middle)
    held = above[:, 0]
    order = np.arange(len(node)) - np.searchsorted(node, node) + held[node]
    cuts = np.full((len(scale), int(order.max(initial=-1)) + 1 + bool(held.any())), np.inf)
    cuts[node, order] = high
    cuts[held, :1] = -np.inf
    return cuts


def _looked_at(goal: Goal, scale: FloatArray, ends: tuple[float, float]) -> FloatArray:
    """Return estimates around the margin and each mean of the prior, dims (node, estimate)."""
    _, mu, _ = normal_components(goal.analysis)
    centers = np.unique(np.append(mu, goal.margin))
    reach = max(abs(end - center) for end in ends for center in centers)
    count = math.ceil(float(np.arcsinh(reach / scale.min())) / PACE)
    steps = np.sinh(PACE * np.arange(-count, count + 1))
    points = centers[:, None] + scale[:, None, None] * steps
    return np.sort(points.reshape(len(scale), -1), axis=1)


def posterior_above(goal: Goal, estimate: FloatArray, scale: FloatArray, df: float) -> FloatArray:
    """Return the posterior probability above the margin, for estimates with standard errors."""
    if goal.exact:
        return np.asarray(special.stdtr(df, (estimate - goal.margin) / scale))
    weights, mu, sigma = normal_components(goal.analysis)
    # t as a normal mixture: variance scale^2 df / chi-square, times each component of the prior
    variance = (scale**2)[..., None, None] * (df / chi_square(df)[COARSE])[:, None]
    total = variance + sigma**2
    gap = estimate[..., None, None] - mu
    mass = np.log(NODE_WEIGHT[COARSE])[:, None]
    logs = np.log(weights) + mass - 0.5 * (gap**2 / total + np.log(total))
    share = np.exp(logs - logs.max(axis=(-1, -2), keepdims=True))
    share /= share.sum(axis=(-1, -2), keepdims=True)
    center = mu + sigma**2 / total * gap
    spread = np.sqrt(variance * sigma**2 / total)
    return np.asarray((share * special.ndtr((center - goal.margin) / spread)).sum(axis=(-1, -2)))


@cache
def chi_square(df: float) -> FloatArray:
    """Return chi-square values at the nodes, which are normal scores."""
    below = 2 * special.gammaincinv(df / 2, special.ndtr(NODES))
    above = 2 * special.gammainccinv(df / 2, special.ndtr(-NODES))
    return np.asarray(np.where(NODES > 0, above, below))


def normal_components(prior: Prior) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return weights, means and sds of a normal mixture, or refuse another prior."""
    weights, parts = mixture_parts(prior)
    if {part.dist for part in parts} != {"normal"}:
        raise SpecError(f"a design prior is normal or a mixture of normals, not {prior.formula}")
    mu, sigma = (np.array([part.params[key] for part in parts]) for key in ("mu", "sigma"))
    return weights, mu, sigma
