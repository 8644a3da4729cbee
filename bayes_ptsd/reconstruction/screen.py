"""What the adjusted regression leaves of the nuisances, before any patient is drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayes_ptsd.evidence.intervals import FloatArray
from bayes_ptsd.reconstruction.plan import Plan

__all__ = ["FirstPeriod", "Regression", "regression_targets", "share_explained"]

# of the fixed point: from 15 on, the results stay the same to 12 digits
PASSES = 25


@dataclass(frozen=True)
class FirstPeriod:
    """The first-period analysis of the total: estimate, slope, error, and its design.

    Attributes
    ----------
    estimate, slope, rss : float
        Benefit, slope on baseline, residual sum of squares.
    treatment_factor, slope_factor : float
        Variances of both coefficients in units of the residual variance.
    gap : float
        Difference of the baselines, active first less control first.
    """

    estimate: float
    slope: float
    rss: float
    treatment_factor: float
    slope_factor: float
    gap: float


@dataclass(frozen=True)
class Regression:
    """Unrounded results of the adjusted regression, and the mediator that makes them.

    With e the residual of the total and b its baseline within arms, the mediator within arms is
    ``slope b + c`` with ``c = share / theta e + u``, its baseline ``tilt b + c + w`` up to scale.

    Attributes
    ----------
    theta, share : float
        Coefficient of the mediator, and its squared partial correlation with the total.
    slope, tilt : float
        Weights of the total's baseline.
    squares, noise : float
        Squared lengths of c and w.
    gap, between : float
        Differences between arms of the mediator and of its baseline, active less control.
    """

    theta: float
    share: float
    slope: float
    tilt: float
    squares: float
    noise: float
    gap: float
    between: float


def share_explained(
    variance: FloatArray, first: FloatArray, difference: FloatArray, df: float
) -> FloatArray:
    """Return the squared partial correlation that makes the adjusted standard error.

    Solves ``variance = (1 - x) (first + difference^2 / (df x))`` for x in (0, 1): squared standard
    errors of the adjusted difference and, at its degrees of freedom, of the unadjusted one, and
    their difference, unadjusted less adjusted.
    """
    extra = difference**2 / df
    linear = first - extra - variance
    result: FloatArray = (linear + np.sqrt(linear**2 + 4 * first * extra)) / (2 * first)
    return result


def regression_targets(
    plan: Plan, first: FirstPeriod, rng: np.random.Generator, *, tries: int = 8
) -> Regression | None:
    """Draw results of the adjusted regression that the first period can have.

    With the mediator's baseline in the model, one degree of freedom fewer than printed; None if no
    draw prints the coefficients and P values together with the mediator's own first-period row.
    """
    rows = plan.adjusted_rows
    drawn = {name: row.targets(tries, rng) for name, row in rows.items()}
    own = plan.rows[plan.mediator, "first_period"].targets(tries, rng)
    wanted = rng.uniform(*_inner(rows["mediator"].t), size=tries)
    with np.errstate(invalid="ignore", divide="ignore"):
        found, fits = _solved(plan, first, drawn, own, wanted)
    good = np.flatnonzero(fits)
    if not len(good):
        return None
    return Regression(*(float(value[good[0]]) for value in found))


def _inner(box: tuple[float, float]) -> tuple[float, float]:
    """Return a box without its outer tenths, where rounding the scores could lead outside."""
    room = 0.1 * (box[1] - box[0])
    return box[0] + room, box[1] - room


def _solved(
    plan: Plan,
    first: FirstPeriod,
    drawn: dict[str, FloatArray],
    own: FloatArray,
    wanted: FloatArray,
) -> tuple[tuple[FloatArray, ...], FloatArray]:
    """Return the parts of `Regression` for every draw, and which of them exist."""
    rows, row = plan.adjusted_rows, plan.rows[plan.mediator, "first_period"]
    df, inside = rows["treatment"].df, 1 / first.slope_factor
    sizes = float((1 / np.bincount(plan.active_first.astype(int))).sum())
    (treatment, error), theta = drawn["treatment"], drawn["mediator"][0]
    coefficient = drawn["baseline"][0]
    slope = (first.slope - coefficient) / theta
    effect = (first.estimate - treatment) / theta
    gap = slope * first.gap - effect
    between, tilt, noise = np.zeros_like(theta), slope.copy(), np.full_like(theta, np.inf)
    for _ in range(PASSES):
        lifted = first.treatment_factor + (between - gap - (tilt - slope) * first.gap) ** 2 / noise
        variance = first.rss * lifted / df
        # what the total's own analysis does not know enters through the mediator
        share = share_explained(error**2, variance, first.estimate - treatment, df)
        squares = share * first.rss / theta**2
        partial = 1 - wanted**2 * (1 - share) / (share * df)
        noise = squares * (1 - partial) / partial
        score = slope**2 * inside + squares
        shape = tilt**2 * inside + squares + noise
        explained = 1 - row.df * own[1] ** 2 / (sizes + between**2 / shape) / score
        tilt = _tilt(slope, inside, squares, noise, explained)
        shape = tilt**2 * inside + squares + noise
        between = (gap + own[0]) * shape / (slope * tilt * inside + squares)
    factor = first.slope_factor + slope**2 / squares + (tilt - slope) ** 2 / noise
    t = coefficient / np.sqrt(first.rss * (1 - share) / df * factor)
    low, high = _inner(rows["baseline"].t)
    fits = (t > low) & (t < high) & (partial > 0.01) & (partial < 0.95) & np.isfinite(between)
    fits &= (share > 0) & (share < 1) & (np.abs(between) < np.sqrt(shape / len(plan.fate)))
    return (theta, share, slope, tilt, squares, noise, gap, between), fits


def _tilt(
    slope: FloatArray, inside: float, length: FloatArray, noise: FloatArray, explained: FloatArray
) -> FloatArray:
    """Return the weight of the total's baseline that makes a squared correlation come out.

    Solves ``(slope x B + E)^2 = explained (slope^2 B + E) (x^2 B + E + W)`` for the x nearest to
    0 with a positive covariance; NaN where there is none.
    """
    whole = explained * (slope**2 * inside + length)
    square = (slope * inside) ** 2 - whole * inside
    half = slope * inside * length
    root = np.sqrt(half**2 - square * (length**2 - whole * (length + noise)))
    both = np.stack([(-half + root) / square, (-half - root) / square])
    both = np.where(slope * both * inside + length > 0, both, np.nan)
    first_smaller = ~(np.abs(both[0]) > np.abs(both[1])) & np.isfinite(both[0])
    nearest: FloatArray = np.where(first_smaller, both[0], both[1])
    return nearest
