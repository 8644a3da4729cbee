"""Two binomials with a prior on their log odds ratio or log risk ratio, exactly.

The log odds of the control risk have a flat prior, which the events of both arms make proper. The
posterior is a density over the weighted mean of both log odds and their difference, which hardly
correlate; the first is integrated out by the trapezoidal rule, which converges exponentially for a
density that falls off smoothly at both ends. Everything is active over or minus control, as
recorded: more events are a positive logarithm, whatever that means for patients.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import special
from scipy.interpolate import CubicHermiteSpline, CubicSpline

from bayes_ptsd.errors import EvidenceError, FitError, SpecError, nearest
from bayes_ptsd.evidence.measures import Counts
from bayes_ptsd.priors import FloatArray, Prior

__all__ = ["ANSWERS", "PRIOR_SCALES", "counts_log_likelihood", "counts_posterior"]

PRIOR_SCALES = ("or", "rr")
"""Scales of the prior: a log odds ratio or a log risk ratio."""
ANSWERS = ("or", "rr", "rd")
# Nodes of the mean of the log odds, about 0.1 standard deviations apart; of the difference, 0.02,
# between which the distribution function is a cubic; and of an answer on another scale, 0.06.
MEANS, DIFFERENCES, ANSWERED = 161, 801, 301
# Log density below the peak at which both grids end: exp(-40) is left out.
DROP = 40.0
# Log odds at which the search for the peak begins; risks beyond are below 1e-17.
FARTHEST = 40.0
# Rounds of the search, each at least halves the box until it is the posterior's: 2^-12 of it.
ROUNDS = 12
# Largest change of a probability when every second node is left out, some ten times the error that
# is left: four digits are shown.
TOLERANCE = 1e-5
# Standard deviations to which the grid of an answer reaches: beyond is less than the tolerance.
REACH = 9.0
# Rounds of Newton's rule from a linear start within a fiftieth of a standard deviation.
NEWTON = 3
# Share of the range of an answer below which two points of its grid are one.
NARROW = 1e-7


@dataclass(frozen=True)
class _Joint:
    """A density over the mean (rows) and the difference (columns) of two log odds."""

    mean: FloatArray
    difference: FloatArray
    density: FloatArray  # largest value 1
    share: float  # of the control arm in the mean


def counts_posterior(
    counts: Counts, prior: Prior, *, scale: str = "or", answer: str = "or"
) -> xr.Dataset:
    """Return the posterior of a log odds ratio, log risk ratio or risk difference on a grid.

    `prior` is on the logarithm of the ratio that `scale` names; `answer` is what the posterior is
    of. As `bayes_ptsd.exact.grid` has it: ``value, pdf, cdf`` on dim ``grid``; ``mean, sd,
    quadrature_error``. A flat prior needs somebody with and without the event in both arms.
    """
    _check(counts, prior, scale, answer)
    joint = _joint(counts, prior, scale)
    exact = _of_answer(joint, answer)
    half = _Joint(joint.mean[::2], joint.difference[::2], joint.density[::2, ::2], joint.share)
    coarse, _ = _distribution(half, answer, exact["value"].values)
    error = float(np.abs(coarse - exact["cdf"].values).max())
    if not error <= TOLERANCE:
        raise FitError(
            f"counts {counts.text} under {prior.formula}: quadrature error {error:.1e} exceeds "
            f"{TOLERANCE:.0e}; take a prior that is neither as narrow nor as wide"
        )
    return exact.assign(quadrature_error=error)


def counts_log_likelihood(
    counts: Counts, *, scale: str = "or"
) -> Callable[[FloatArray], FloatArray]:
    """Return the log likelihood of a log ratio, the control log odds integrated out under flat."""
    if scale not in PRIOR_SCALES:
        raise SpecError(f"unknown scale '{scale}'{nearest(scale, PRIOR_SCALES)}")
    edges = np.linspace(-FARTHEST, FARTHEST, 4 * DIFFERENCES)
    own = _log_binomial(counts.events_control, counts.n_control, edges)
    near = edges[own > own.max() - 2 * DROP]
    alpha = np.linspace(near[0], near[-1], DIFFERENCES)

    def log_likelihood(theta: FloatArray) -> FloatArray:
        beta = alpha[:, None] + theta if scale == "or" else _log_odds(alpha[:, None], theta)
        logs = _log_binomial(counts.events_control, counts.n_control, alpha)[:, None]
        logs = logs + _log_binomial(counts.events_active, counts.n_active, beta)
        return np.asarray(special.logsumexp(logs, axis=0))

    return log_likelihood


def _log_odds(alpha: FloatArray, log_ratio: FloatArray) -> FloatArray:
    """Return the log odds of the risk that is a ratio times the one with log odds `alpha`."""
    log_risk = special.log_expit(alpha) + log_ratio
    with np.errstate(divide="ignore", invalid="ignore"):
        odds = log_risk - np.log(-np.expm1(log_risk))
    return np.where(log_risk < 0, odds, np.inf)


def _check(counts: Counts, prior: Prior, scale: str, answer: str) -> None:
    """Refuse unknown scales, and counts that a flat prior makes no posterior of."""
    if scale not in PRIOR_SCALES:
        raise SpecError(f"unknown scale '{scale}'{nearest(scale, PRIOR_SCALES)}")
    if answer not in ANSWERS:
        raise SpecError(f"unknown answer '{answer}'{nearest(answer, ANSWERS)}")
    if prior.proper and not abs(float(prior.quantile(0.5))) < FARTHEST:
        raise SpecError(
            f"prior {prior.formula} is of a logarithm: its middle lies beyond {FARTHEST:g}"
        )
    empty = not (
        0 < counts.events_active < counts.n_active and 0 < counts.events_control < counts.n_control
    )
    if empty and not prior.proper:
        raise EvidenceError(
            f"counts {counts.text}: an arm has no or only events, so that the ratio has no "
            "posterior under a flat prior; give --prior, as 'normal(0, 1)' for its logarithm"
        )


def _joint(counts: Counts, prior: Prior, scale: str) -> _Joint:
    """Return the joint posterior density on a grid that holds it."""
    share = _control_share(counts)

    def log_density(mean: FloatArray, difference: FloatArray) -> FloatArray:
        alpha, beta = mean - share * difference, mean + (1 - share) * difference
        logs = _log_binomial(counts.events_active, counts.n_active, beta)
        logs = logs + _log_binomial(counts.events_control, counts.n_control, alpha)
        if scale == "or":
            return np.asarray(logs + prior.logpdf(difference))
        # the log risk ratio is what is flat or normal: by log odds its density has the factor 1 - p
        ratio = special.log_expit(beta) - special.log_expit(alpha)
        return np.asarray(logs + prior.logpdf(ratio) + special.log_expit(-beta))

    mean, difference = _box(log_density, _farthest(prior))
    m, d = np.linspace(*mean, MEANS), np.linspace(*difference, DIFFERENCES)
    logs = log_density(m[:, None], d)
    return _Joint(m, d, np.exp(logs - logs.max()), share)


def _control_share(counts: Counts) -> float:
    """Return the weight that makes the mean of both log odds independent of their difference.

    The active arm's information over that of both, half an event added to each cell.
    """
    a, n1 = counts.events_active + 0.5, counts.n_active + 1
    c, n2 = counts.events_control + 0.5, counts.n_control + 1
    active, control = a * (n1 - a) / n1, c * (n2 - c) / n2
    return float(active / (active + control))


def _farthest(prior: Prior) -> float:
    """Return the largest log odds ratio that has to be looked at."""
    if not prior.proper:
        return FARTHEST
    return FARTHEST + float(np.abs(prior.quantile([1e-9, 1 - 1e-9])).max())


def _box(
    log_density: Callable[[FloatArray, FloatArray], FloatArray], farthest: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the ranges of mean and difference that hold the posterior."""
    ends = (-FARTHEST, FARTHEST), (-farthest, farthest)
    for _ in range(ROUNDS):
        m, d = (np.linspace(*end, MEANS) for end in ends)
        logs = log_density(m[:, None], d)
        near = logs > logs.max() - DROP
        ends = _reach(m, near.any(axis=1)), _reach(d, near.any(axis=0))
    return ends


def _reach(axis: FloatArray, near: FloatArray) -> tuple[float, float]:
    """Return the ends of what is near the peak, one step wider."""
    inside = np.flatnonzero(near)
    return (
        float(axis[max(inside[0] - 1, 0)]),
        float(axis[min(inside[-1] + 1, len(axis) - 1)]),
    )


def _log_binomial(events: int, n: int, log_odds: FloatArray) -> FloatArray:
    """Return the log likelihood of events at log odds, which may be infinite."""
    logs = np.zeros_like(log_odds)
    if events:
        logs = logs + events * special.log_expit(log_odds)
    if n > events:
        logs = logs + (n - events) * special.log_expit(-log_odds)
    return np.asarray(logs)


def _of_answer(joint: _Joint, answer: str) -> xr.Dataset:
    """Return the posterior of an answer on a grid of its own."""
    value = _contrast(joint, answer, joint.mean[:, None], joint.difference)
    weight = joint.density / joint.density.sum()
    mean = float((weight * value).sum())
    sd = math.sqrt(float((weight * (value - mean) ** 2).sum()))
    points = joint.difference if answer == "or" else _points(value, mean, sd)
    cdf, pdf = _distribution(joint, answer, points)
    return xr.Dataset(
        {"value": ("grid", points), "pdf": ("grid", pdf), "cdf": ("grid", cdf), "mean": mean,
         "sd": sd}
    )  # fmt: skip


def _points(value: FloatArray, mean: float, sd: float) -> FloatArray:
    """Return where an answer is looked at: evenly, closer where the log odds say so, and at 0."""
    low, high = (float(np.clip(mean + side * REACH * sd, value.min(), value.max()))
                 for side in (-1, 1))  # fmt: skip
    rows = value[[len(value) // 4, len(value) // 2, 3 * len(value) // 4], :: len(value) // 40]
    points = np.unique(np.concatenate([np.linspace(low, high, ANSWERED), rows.ravel(), [0.0]]))
    points = points[(points >= low) & (points <= high)]
    wide = np.diff(points) > (high - low) * NARROW
    return np.asarray(points[np.concatenate([[True], wide])])


def _contrast(joint: _Joint, answer: str, mean: FloatArray, difference: FloatArray) -> FloatArray:
    """Return the answer at means and differences of the log odds; it rises with the latter."""
    if answer == "or":
        return np.broadcast_to(difference, np.broadcast_shapes(mean.shape, difference.shape))
    alpha, beta = mean - joint.share * difference, mean + (1 - joint.share) * difference
    if answer == "rr":
        return np.asarray(special.log_expit(beta) - special.log_expit(alpha))
    return np.asarray(special.expit(beta) - special.expit(alpha))


def _slope(joint: _Joint, answer: str, mean: FloatArray, difference: FloatArray) -> FloatArray:
    """Return the derivative of the answer by the difference of the log odds."""
    alpha, beta = mean - joint.share * difference, mean + (1 - joint.share) * difference
    if answer == "rr":
        return np.asarray(
            (1 - joint.share) * special.expit(-beta) + joint.share * special.expit(-alpha)
        )
    active, control = (special.expit(one) * special.expit(-one) for one in (beta, alpha))
    return np.asarray((1 - joint.share) * active + joint.share * control)


def _distribution(joint: _Joint, answer: str, points: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return distribution function and density of an answer: sums over the means of log odds."""
    below = CubicSpline(joint.difference, joint.density, axis=1).antiderivative()
    mass = below(joint.difference)
    whole = mass[:, -1].sum()
    if answer == "or":
        total = joint.density.sum(axis=0)
        cdf = CubicHermiteSpline(joint.difference, mass.sum(axis=0), total)(points)
        pdf = np.interp(points, joint.difference, total)
        return np.clip(cdf / whole, 0.0, 1.0), pdf / whole
    at, inside = _differences_at(joint, answer, points)
    curves = [
        CubicHermiteSpline(joint.difference, rows, slopes)
        for rows, slopes in zip(mass, joint.density, strict=True)
    ]
    cdf = np.sum([curve(where) for curve, where in zip(curves, at, strict=True)], axis=0)
    density = np.array([curve(where, 1) for curve, where in zip(curves, at, strict=True)])
    slope = _slope(joint, answer, joint.mean[:, None], at)
    pdf = np.divide(density, slope, out=np.zeros_like(density), where=inside).sum(axis=0)
    return np.maximum.accumulate(np.clip(cdf / whole, 0.0, 1.0)), pdf.clip(min=0.0) / whole


def _differences_at(
    joint: _Joint, answer: str, points: FloatArray
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Return where every mean (rows) has the answer (columns), and whether it has on the grid."""
    mean, grid = joint.mean[:, None], joint.difference
    value = _contrast(joint, answer, mean, grid)
    inside = (points > value[:, :1]) & (points < value[:, -1:])
    at = np.array([np.interp(points, row, grid) for row in value])
    # Newton from within the right cell, which it may not leave: two rounds reach rounding
    cell = np.clip(np.searchsorted(grid, at), 1, len(grid) - 1)
    for _ in range(NEWTON):
        slope = _slope(joint, answer, mean, at)
        step = np.divide(
            points - _contrast(joint, answer, mean, at), slope, out=np.zeros_like(at), where=inside
        )
        at = np.clip(at + step, grid[cell - 1], grid[cell])
    return at, inside
