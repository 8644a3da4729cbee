"""Scores of period 2 that make the crossover rows exact before rounding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayes_ptsd.evidence.intervals import FloatArray
from bayes_ptsd.reconstruction.plan import Plan, halves_of
from bayes_ptsd.reconstruction.statistics import equicorrelated, orthogonal, with_gram

__all__ = ["CrossoverTargets", "exact_period_two", "first_difference"]


@dataclass(frozen=True)
class CrossoverTargets:
    """Unrounded crossover results, dim (part,), of parts that add up to a total, or of one."""

    estimate: FloatArray
    se: FloatArray
    total_se: float
    reading: str


def first_difference(plan: Plan, first: FloatArray) -> FloatArray:
    """Return the benefit in period 1 among those rated twice, dim (part,)."""
    early = plan.completer & plan.active_first
    late = plan.completer & ~plan.active_first
    difference: FloatArray = first[late].mean(axis=0) - first[early].mean(axis=0)
    return difference


def exact_period_two(
    plan: Plan,
    first: FloatArray,
    targets: CrossoverTargets,
    shape: FloatArray,
    *,
    correlation: float,
    level: FloatArray,
    shift: float = 0.0,
) -> FloatArray | None:
    """Return what was analyzed in period 2, exact for every crossover row before rounding.

    Dims (subject, part), NaN where there is no second rating; None if the standard errors cannot
    come out with this `correlation` of the two periods' sums. `first` is what was analyzed in
    period 1 (scores, or changes), `shape` directions of the residuals, both (subject, part);
    `level` the mean over the two sequences in period 2, dim (part,); `shift` the difference of
    period 2 less that of period 1, where the reading leaves it open.
    """
    who, sequence = plan.completer, plan.ket[plan.completer]
    columns = np.column_stack([np.ones(len(sequence)), sequence])
    before = orthogonal(first[who], columns)
    root = float(np.sqrt((1 / np.bincount(sequence.astype(int))).sum()))
    df = len(sequence) - 2
    own = before.T @ before
    halves = halves_of(targets.reading)
    gram = equicorrelated(df * (halves * targets.se / root) ** 2,
                          df * (halves * targets.total_se / root) ** 2)  # fmt: skip
    if gram is None:
        return None
    first_sd, spread = np.sqrt(own.sum() / df), np.sqrt(gram.sum() / df)
    if targets.reading == "carryover_covariate":
        squared = 2 * spread**2 - first_sd**2
        slope = correlation * np.sqrt(max(squared, 0)) / first_sd
        left = 2 * gram - own - slope**2 * own
    else:
        inside = (correlation * first_sd) ** 2 - first_sd**2 + spread**2
        slope = correlation * (correlation + np.sqrt(max(inside, 0)) / first_sd)
        left = gram - (1 - slope) ** 2 * own
    free = with_gram(shape[who], np.column_stack([columns, before]), left)
    if free is None or slope <= 0:
        return None
    difference = _period_two_difference(plan, first, targets, shift)
    means = level + (sequence[:, None] - 0.5) * difference
    result = np.full(first.shape, np.nan)
    result[who] = means + slope * before + free
    return result


def _period_two_difference(
    plan: Plan, first: FloatArray, targets: CrossoverTargets, shift: float
) -> FloatArray:
    """Return the benefit in period 2 that the estimates leave, dim (part,)."""
    early = first_difference(plan, first)
    if targets.reading == "carryover_covariate":
        return early + shift / len(early)
    return np.asarray(halves_of(targets.reading) * targets.estimate - early)
