"""Printed baselines as whole scores, and the endpoint that decides about the second infusion."""

from __future__ import annotations

import numpy as np

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence.intervals import FloatArray
from bayes_ptsd.reconstruction.plan import Plan, PrintedBaseline

__all__ = ["draw_baseline", "draw_two_weeks", "whole_scores"]

# in 40 sets (8 of each reading, default seed) half the groups printed after 93 swaps, the last
# after 442: what is not found in a hundred times as many is not there
SWAPS = 40_000


def whole_scores(
    printed: PrintedBaseline, bounds: tuple[float, float], rng: np.random.Generator
) -> FloatArray:
    """Return whole scores with a printed mean and SD, dim (subject,), or raise if none is found.

    Without bounds scores are any numbers.
    """
    mean, sd = np.mean(printed.mean), np.mean(printed.sd)
    if not np.isfinite(bounds).all():
        free = rng.normal(size=printed.n)
        exact: FloatArray = mean + sd * (free - free.mean()) / free.std(ddof=1)
        return exact
    scores = np.clip(np.rint(rng.normal(mean, sd, size=printed.n)), *bounds)
    loss = _misfit(scores, printed)
    for _ in range(SWAPS):
        if loss == 0:
            return scores
        moved = scores.copy()
        cell = rng.integers(printed.n, size=2)
        moved[cell] += rng.choice([-1.0, 0.0, 1.0], size=2)
        moved = np.clip(moved, *bounds)
        worse = _misfit(moved, printed)
        if worse <= loss or rng.uniform() < 0.02:
            scores, loss = moved, worse
    raise EvidenceError(
        f"no whole scores from {bounds[0]:g} to {bounds[1]:g} of {printed.n} patients have the "
        f"printed mean ({mean:.2f}) and SD ({sd:.2f}); correct the row in baseline.csv"
    )


def _misfit(scores: FloatArray, printed: PrintedBaseline) -> float:
    """Return how far mean and SD are from their boxes, in widths."""
    values = (float(scores.mean()), float(scores.std(ddof=1)))
    boxes = (printed.mean, printed.sd)
    return sum(
        max(low + 1e-6 - value, value - high + 1e-6, 0.0) / (high - low)
        for value, (low, high) in zip(values, boxes, strict=True)
    )


def draw_baseline(plan: Plan, name: str, rng: np.random.Generator) -> FloatArray:
    """Return baselines of an endpoint whose mean and SD are printed, NaN where it is missing."""
    low, high = plan.bounds(name)
    if name and name == plan.threshold_endpoint:
        low = max(low, plan.threshold)
    scores = np.full(plan.size, np.nan)
    for active, printed in zip((True, False), plan.baselines[name], strict=True):
        here = np.flatnonzero(plan.active_first == active)
        order = rng.permutation(len(here))
        if plan.analyzes_change:
            # who is rated once needs no baseline for a change
            order = order[np.argsort(~plan.completer[here][order], kind="stable")]
        chosen = here[order[: printed.n]]
        scores[chosen] = whole_scores(printed, (low, high), rng)
    return scores


def draw_two_weeks(
    plan: Plan, baseline: FloatArray, severity: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """Return scores at two weeks on the side of the threshold where each patient was."""
    low, high = plan.bounds(plan.threshold_endpoint)
    below = plan.remitter | plan.late
    near = np.rint(0.75 * baseline + 6 * severity + rng.normal(0, 8, size=plan.size))
    under = np.clip(near, low, plan.threshold - 1)
    over = np.clip(near, plan.threshold, high)
    scores: FloatArray = np.where(below, under, over)
    return np.where(plan.two_weeks, scores, np.nan)
