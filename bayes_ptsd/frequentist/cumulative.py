"""The likelihood of ordered categories: cumulative links, with or without subject effects.

The subject effect is integrated out by Gauss-Hermite quadrature around its mode, subject by subject
(Liu and Pierce 1994). First and second derivatives of the log likelihood are expectations over
the same nodes (Louis 1982); no derivative is a difference.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import special

from bayes_ptsd.categorical.cells import LINKS
from bayes_ptsd.errors import EvidenceError

__all__ = [
    "CategoryData",
    "Evaluation",
    "evaluate",
    "infinite_coefficients",
    "maximize_likelihood",
]

FloatArray = NDArray[np.float64]

# Beyond every cutpoint; its density is zero in double precision under both links
BEYOND = 1e8
# Bound on the Newton steps to a mode, which end at a step of 1e-9; steep links overshoot, and each
# change of direction halves the longest step: 31 of them bring it from 2 to 1e-9.
MODE_STEPS = 60
# Bound on the Newton steps after the search, which end at a gradient of 1e-9; near the root each
# doubles the digits.
POLISH_STEPS = 12
# At 40 log odds a probability is 1 to a double's rounding: a likelihood that is still rising there
# has its maximum at infinity.
LARGEST_PARAMETER = 40.0


@dataclass(frozen=True)
class CategoryData:
    """Ordered categories by subject and occasion."""

    category: NDArray[np.intp]  # from 0, dims (subject, occasion); -1 where missing
    design: FloatArray  # dims (subject, occasion, coefficient); zero where missing
    categories: int  # number of them, each of which is observed
    link: str  # one of categorical.cells.LINKS
    points: int  # nodes of the quadrature; 0 for a model without subject effects

    @property
    def cutpoints(self) -> int:
        """One less than categories."""
        return self.categories - 1

    @cached_property
    def rule(self) -> tuple[FloatArray, FloatArray]:
        """Places and weights of Gauss-Hermite quadrature."""
        places, weights = np.polynomial.hermite.hermgauss(self.points)
        return places, weights

    @property
    def size(self) -> int:
        """Number of parameters: cutpoints, coefficients and, with subject effects, their sd."""
        return self.cutpoints + int(self.design.shape[2]) + (self.points > 0)


@dataclass(frozen=True)
class Evaluation:
    """Log likelihood with its first and second derivatives."""

    value: float  # minus infinity where cutpoints are out of order
    gradient: FloatArray  # dim (parameter)
    hessian: FloatArray  # dims (parameter, parameter)


@dataclass(frozen=True)
class Terms:
    """Log probabilities of the observed categories, and derivatives in their two limits."""

    value: FloatArray
    upper: FloatArray
    lower: FloatArray
    upper2: FloatArray
    lower2: FloatArray
    cross: FloatArray


def evaluate(data: CategoryData, theta: FloatArray) -> Evaluation:
    """Evaluate the likelihood.

    Parameters are cutpoints, coefficients and, with subject effects, their standard deviation,
    whose sign does not matter.
    """
    if not (np.diff(theta[: data.cutpoints]) > 0).all():
        return Evaluation(-np.inf, np.zeros(data.size), np.eye(data.size))
    nodes, log_weights = _nodes(data, theta)
    terms = _terms(data, theta, nodes)
    joint = terms.value.sum(axis=1) + log_weights
    top = joint.max(axis=1, keepdims=True)
    masses = np.exp(joint - top)
    totals = masses.sum(axis=1, keepdims=True)
    share = masses / totals
    upper, lower = _limit_slopes(data, nodes)
    slopes = terms.upper[..., None] * upper + terms.lower[..., None] * lower
    score = slopes.sum(axis=1)
    mean = np.einsum("sq,sqp->sp", share, score)
    hessian = np.einsum("sq,sqp,sqr->pr", share, score, score) - mean.T @ mean
    for weight, left, right in (
        (terms.upper2, upper, upper),
        (terms.lower2, lower, lower),
        (terms.cross, upper, lower),
        (terms.cross, lower, upper),
    ):
        hessian += np.einsum(
            "soq,soqp,soqr->pr", share[:, None] * weight, left, right, optimize=True
        )
    return Evaluation(float((top + np.log(totals)).sum()), mean.sum(axis=0), hessian)


def maximize_likelihood(
    data: CategoryData, start: FloatArray, *, fixed: dict[int, float] | None = None
) -> tuple[FloatArray, Evaluation]:
    """Return the parameters of largest likelihood, some held `fixed`, and the likelihood there.

    The cutpoints of `start` are in order. A likelihood without a finite maximum is refused.
    """
    from scipy import optimize

    held = fixed or {}
    whole = np.array(start, dtype=float)
    whole[list(held)] = list(held.values())
    free = np.setdiff1d(np.arange(data.size), list(held))

    def at(values: FloatArray) -> Evaluation:
        point = whole.copy()
        point[free] = values
        return evaluate(data, point)

    def target(values: FloatArray) -> tuple[float, FloatArray]:
        found = at(values)
        return -found.value, -found.gradient[free]

    best = optimize.minimize(
        target,
        whole[free],
        jac=True,
        hess=lambda values: -at(values).hessian[np.ix_(free, free)],
        method="trust-exact",
        options={"gtol": 1e-7, "maxiter": 60},
    )
    values, found = _polish(at, best.x, free)
    if np.abs(values).max() > LARGEST_PARAMETER:
        raise EvidenceError(
            "the likelihood of the categories keeps rising towards infinite parameters; there is "
            "no estimate"
        )
    highest_bend = np.linalg.eigvalsh(found.hessian[np.ix_(free, free)])[-1]
    if np.abs(found.gradient[free]).max() > 1e-5 or highest_bend > 1e-6:
        raise EvidenceError(
            "the search for the maximum of the likelihood of the categories does not settle: "
            "there is none, or the quadrature is not exact enough"
        )
    whole[free] = values
    return whole, found


def _polish(
    at: Callable[[FloatArray], Evaluation], values: FloatArray, free: NDArray[np.intp]
) -> tuple[FloatArray, Evaluation]:
    """Take Newton steps to the root of the gradient while they bring it closer to zero.

    A coarse quadrature moves the value more than the gradient, and the search compares values.
    """
    found = at(values)
    for _ in range(POLISH_STEPS):
        size = np.abs(found.gradient[free]).max()
        if size < 1e-9:
            break
        step = np.linalg.lstsq(found.hessian[np.ix_(free, free)], found.gradient[free])[0]
        trial = at(values - step)
        if not (np.isfinite(trial.value) and np.abs(trial.gradient[free]).max() < size):
            break
        values, found = values - step, trial
    return values, found


def infinite_coefficients(data: CategoryData) -> list[tuple[int, int]]:
    """Return the coefficients whose estimates are infinite, with the direction, 1 or -1.

    Under separation the likelihood does not fall along some direction of the coefficients, however
    far: each observed category stays between its cutpoints. Whether there is such a direction is a
    linear program for each coefficient [1]_.

    References
    ----------
    .. [1] Albert A, Anderson JA. On the existence of maximum likelihood estimates in logistic
       regression models. Biometrika 1984;71:1-10.
    """
    from scipy import optimize

    there = data.category >= 0
    category, rows = data.category[there], data.design[there]
    limits = np.eye(data.cutpoints)
    below, above = category < data.cutpoints, category > 0
    bounds = np.concatenate(
        [
            np.hstack([-limits[category[below]], rows[below]]),
            np.hstack([limits[category[above] - 1], -rows[above]]),
        ]
    )
    found = []
    for number in range(rows.shape[1]):
        for sign in (1, -1):
            goal = np.zeros(bounds.shape[1])
            goal[data.cutpoints + number] = -sign
            best = optimize.linprog(goal, bounds, np.zeros(len(bounds)), bounds=(-1, 1))
            if best.fun < -1e-7:
                found.append((number, sign))
    return found


def _nodes(data: CategoryData, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return standardized subject effects and log weights, dims (subject, node)."""
    subjects = len(data.category)
    if not data.points:
        return np.zeros((subjects, 1)), np.zeros((subjects, 1))
    mode, spread = _modes(data, theta)
    places, weights = data.rule
    nodes = mode[:, None] + np.sqrt(2) * spread[:, None] * places
    log_scale = np.log(np.sqrt(2) * spread)[:, None]
    log_normal = -(nodes**2) / 2 - np.log(2 * np.pi) / 2
    return nodes, np.log(weights) + places**2 + log_scale + log_normal


def _modes(data: CategoryData, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return mode and width of each subject's effect given its categories."""
    mode = np.zeros(len(data.category))
    sd = theta[-1]
    curvature, longest, step = np.ones_like(mode), np.full_like(mode, 2.0), np.zeros_like(mode)
    for _ in range(MODE_STEPS):
        terms = _terms(data, theta, mode[:, None])
        slope = -sd * (terms.upper + terms.lower).sum(axis=(1, 2)) - mode
        bend = (terms.upper2 + terms.lower2 + 2 * terms.cross).sum(axis=(1, 2))
        curvature = 1 - sd**2 * bend
        # steep links overshoot: a change of direction halves the longest step
        longest = np.where(slope * step < 0, longest / 2, longest)
        step = np.clip(slope / curvature, -longest, longest)
        mode = mode + step
        if np.abs(step).max() < 1e-9:
            break
    return mode, 1 / np.sqrt(curvature)


def _terms(data: CategoryData, theta: FloatArray, nodes: FloatArray) -> Terms:
    """Return log probabilities and derivatives, dims (subject, occasion, node)."""
    coefficients = theta[data.cutpoints : data.cutpoints + data.design.shape[2]]
    shift = data.design @ coefficients
    moved = shift[..., None] + (theta[-1] * nodes[:, None, :] if data.points else 0.0)
    cuts = np.concatenate([[-BEYOND], theta[: data.cutpoints], [BEYOND]])
    lower = cuts[np.maximum(data.category, 0)][..., None] - moved
    upper = cuts[np.maximum(data.category, 0) + 1][..., None] - moved
    cdf = LINKS[data.link]
    # both laws are symmetric: the difference is taken in the tail that keeps its digits
    high = lower + upper > 0
    near, far = np.where(high, -lower, upper), np.where(high, -upper, lower)
    mass = np.maximum(cdf(near) - cdf(far), 1e-300)
    there = (data.category >= 0)[..., None]
    (up, up2), (low, low2) = _densities(data.link, upper), _densities(data.link, lower)
    up, up2, low, low2 = up / mass, up2 / mass, -low / mass, -low2 / mass
    parts = (np.log(mass), up, low, up2 - up**2, low2 - low**2, -up * low)
    return Terms(*(np.where(there, part, 0.0) for part in parts))


def _densities(link: str, value: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the density of the latent variable and its derivative."""
    if link == "probit":
        density = np.exp(-(value**2) / 2) / np.sqrt(2 * np.pi)
        return density, -value * density
    below = special.expit(value)
    density = below * special.expit(-value)
    return density, density * (1 - 2 * below)


def _limit_slopes(data: CategoryData, nodes: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return derivatives of both limits in the parameters, (subject, occasion, node, parameter)."""
    subjects, occasions = data.category.shape
    shape = (subjects, occasions, nodes.shape[1], data.size)
    first, last = data.cutpoints, data.cutpoints + data.design.shape[2]
    common = np.zeros(shape)
    common[..., first:last] = -data.design[:, :, None, :]
    if data.points:
        common[..., -1] = -nodes[:, None, :]
    rows = np.vstack([np.eye(data.cutpoints), np.zeros(data.cutpoints)])
    limits = []
    for cut in (data.category, data.category - 1):
        slopes = common.copy()
        inside = (cut >= 0) & (cut < data.cutpoints)
        slopes[..., :first] = rows[np.where(inside, cut, -1)][:, :, None, :]
        limits.append(slopes)
    return limits[0], limits[1]
