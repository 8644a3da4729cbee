"""The total and its parts: baselines, scores 24 h after each infusion, who goes on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import stats

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence.intervals import FloatArray
from bayes_ptsd.reconstruction.nuisance import Nuisance
from bayes_ptsd.reconstruction.period_two import (
    CrossoverTargets,
    exact_period_two,
    first_difference,
)
from bayes_ptsd.reconstruction.plan import Plan
from bayes_ptsd.reconstruction.screen import FirstPeriod, regression_targets
from bayes_ptsd.reconstruction.search import Goal, repair
from bayes_ptsd.reconstruction.statistics import (
    Cells,
    Statistics,
    equicorrelated,
    orthogonal,
    residuals,
)
from bayes_ptsd.reconstruction.targets import add_crossover, add_first_period

__all__ = ["Columns", "TotalDraw", "draw_total", "fitting_level"]

Columns = dict[str, FloatArray]
# in 40 sets (8 of each reading, default seed) 47 of 82 searches ended, half of them within 837
# rounds, the last in 2452; the others are begun anew
ROUNDS = 2500
# points by which the parts' estimates may miss the total's: less than the half width .05 of a
# printed digit, which the search makes up for
NEAR = 0.03
# a shift of one point costs as much as scores sqrt(.05) = .22 points outside (root mean square):
# staying inside comes first, the size of the shift decides between shifts that do
STIFF = 0.05
# in 40 sets half the screens were passed at the 16th draw, the last at the 127th
SCREENED = 400
# draws of the nuisances: 39 of 121 left no second period in 40 sets
TRIES = 20


@dataclass(frozen=True)
class TotalDraw:
    """Scores of the parts, the accepted nuisances and what the search cost."""

    columns: Columns
    accepted: dict[str, float]
    rounds: int


@dataclass(frozen=True)
class _Start:
    """Parts before rounding: baselines and scores of period 1, and the targets of the crossover."""

    baseline: FloatArray
    first: FloatArray
    crossover: CrossoverTargets
    accepted: dict[str, float]


def draw_total(
    plan: Plan, nuisance: Nuisance, rng: np.random.Generator, *, restarts: int = 30
) -> TotalDraw | None:
    """Draw integer scores of the parts that print every row of the total and of the parts."""
    targets = {name: _targets(plan, name, rng) for name in ("first_period", "crossover")}
    rounds = 0
    for _ in range(restarts):
        start = _first_period(plan, nuisance, targets, rng)
        second = None if start is None else _period_two(plan, nuisance, start, rng)
        if start is None or second is None:
            continue
        columns, accepted = second
        found, used = _repaired(plan, columns, rng)
        rounds += used
        if found is not None:
            return TotalDraw(found, {**start.accepted, **accepted}, rounds)
    return None


def _targets(
    plan: Plan, analysis: str, rng: np.random.Generator
) -> Iterator[tuple[FloatArray, FloatArray, float]]:
    """Yield estimates and standard errors of the parts, and the standard error of the total."""
    for _ in range(50):
        parts = np.stack([plan.rows[name, analysis].targets(4000, rng) for name in plan.parts])
        whole = plan.rows[plan.total, analysis].targets(4000, rng)
        for index in np.flatnonzero(np.abs(parts[:, 0].sum(axis=0) - whole[0]) < NEAR):
            yield parts[:, 0, index], parts[:, 1, index], float(whole[1, index])
    raise EvidenceError(
        f"{analysis}: the estimates of {', '.join(plan.parts)} cannot add up to that of "
        f"{plan.total} inside their rounding boxes"
    )


def _first_period(
    plan: Plan,
    nuisance: Nuisance,
    targets: dict[str, Iterator[tuple[FloatArray, FloatArray, float]]],
    rng: np.random.Generator,
) -> _Start | None:
    """Draw baselines and slope until the adjusted regression can follow, then period 1."""
    for _ in range(SCREENED):
        baseline, accepted = _baselines(plan, nuisance, rng)
        slope = nuisance.draw(plan.total, "slope", rng)
        estimate, se, total_se = next(targets["first_period"])
        if not 0.05 < slope < 0.95:
            continue
        factors = [_factors(plan, b) for b in (*baseline.T, baseline.sum(axis=1))]
        df = plan.rows[plan.total, "first_period"].df
        squares = df * np.array([*se, total_se]) ** 2 / [factor[0] for factor in factors]
        gram = equicorrelated(squares[:-1], squares[-1])
        first = FirstPeriod(
            float(estimate.sum()), slope, squares[-1], *factors[-1], _gap(plan, baseline)
        )
        if gram is not None and regression_targets(plan, first, rng) is not None:
            break
    else:
        return None
    crossover = CrossoverTargets(*next(targets["crossover"]), plan.reading)
    improvement = nuisance.draw(plan.total, "improvement", rng)
    center = baseline - baseline.mean(axis=0)
    fixed = baseline.mean(axis=0) - improvement * weights_of(plan) + slope * center
    fixed = fixed - np.outer(plan.ket, estimate)
    along = None
    if plan.reading == "carryover_covariate":
        along = contrast_of_completers(plan), crossover.estimate - first_difference(plan, fixed)
    columns = np.column_stack([np.ones(plan.size), plan.ket, baseline])
    shape = rng.normal(size=baseline.shape)
    error = residuals(shape, columns, gram, along=along)
    if error is None:
        return None
    accepted |= {"slope": slope, "improvement": improvement}
    first_scores = fixed + error
    if along is None:
        order, accepted["remission"] = _select(plan, nuisance, first_scores.sum(axis=1), rng)
        baseline, first_scores = baseline[order], first_scores[order]
    return _Start(baseline, first_scores, crossover, accepted)


def weights_of(plan: Plan) -> FloatArray:
    """Return the share of each part in the range of the total."""
    span = np.array([high - low for low, high in map(plan.bounds, plan.parts)])
    weights: FloatArray = span / span.sum()
    return weights


def contrast_of_completers(plan: Plan) -> FloatArray:
    """Return the weights that make the first-period benefit among those rated twice."""
    early = plan.completer & plan.active_first
    late = plan.completer & ~plan.active_first
    weights: FloatArray = late / late.sum() - early / early.sum()
    return weights


def _factors(plan: Plan, baseline: FloatArray) -> tuple[float, float]:
    """Return the variances of difference and slope in units of the residual variance."""
    inside = orthogonal(baseline[:, None], np.column_stack([np.ones(plan.size), plan.ket]))
    slope = 1 / float((inside**2).sum())
    gap = _gap(plan, baseline)
    sizes = np.bincount(plan.active_first.astype(int))
    return float((1 / sizes).sum() + gap**2 * slope), slope


def _gap(plan: Plan, baseline: FloatArray) -> float:
    """Return the difference of baselines between sequences, active first less control first."""
    summed = baseline.reshape(plan.size, -1).sum(axis=1)
    return float(summed[plan.active_first].mean() - summed[~plan.active_first].mean())


def _baselines(
    plan: Plan, nuisance: Nuisance, rng: np.random.Generator
) -> tuple[FloatArray, dict[str, float]]:
    """Draw integer baselines of the parts with one correlation."""
    mean = nuisance.draw(plan.total, "baseline_mean", rng)
    sd = nuisance.draw(plan.total, "baseline_sd", rng)
    correlation = nuisance.draw("common", "subscale_correlation", rng)
    weights = weights_of(plan)
    squares = float((weights**2).sum())
    unit = sd / np.sqrt(squares + correlation * (1 - squares))
    common, own = rng.normal(size=(plan.size, 1)), rng.normal(size=(plan.size, len(weights)))
    z = np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own
    low, high = np.array([plan.bounds(name) for name in plan.parts]).T
    scores = np.clip(np.rint(weights * (mean + unit * z)), low, high)
    accepted = {
        "baseline_mean": mean, "baseline_sd": sd, "subscale_correlation": correlation,
    }  # fmt: skip
    return scores, accepted


def _select(
    plan: Plan, nuisance: Nuisance, scores: FloatArray, rng: np.random.Generator
) -> tuple[np.ndarray, float]:
    """Return who stands where: within a sequence, the best of the total tend to be remitters."""
    noise = nuisance.draw("common", "remission", rng)
    order = np.arange(plan.size)
    for sequence in (True, False):
        here = np.flatnonzero(plan.active_first == sequence)
        z = stats.zscore(scores[here])
        ranked = here[np.argsort(z + noise * rng.normal(size=len(here)))]
        leaving = plan.remitter[here]
        order[here[leaving]] = ranked[: leaving.sum()]
        order[here[~leaving]] = rng.permutation(ranked[leaving.sum() :])
    return order, noise


def _period_two(
    plan: Plan, nuisance: Nuisance, start: _Start, rng: np.random.Generator
) -> tuple[Columns, dict[str, float]] | None:
    """Add period 2, with its own baselines where change is analyzed."""
    before = start.baseline if plan.analyzes_change else 0.0
    first = start.first - before
    trial = plan.evidence.trial
    sd = trial.endpoint(plan.total).reference_sd or 1.0
    for _ in range(TRIES):
        correlation = nuisance.draw("common", "correlation", rng)
        period = nuisance.draw(plan.total, "period", rng)
        carryover = nuisance.draw("common", "carryover", rng) * sd
        level = first[plan.completer].mean(axis=0) + period * weights_of(plan)
        shape = rng.normal(size=first.shape)
        second = exact_period_two(
            plan, first, start.crossover, shape,
            correlation=correlation, level=level, shift=carryover,
        )  # fmt: skip
        if second is not None:
            break
    else:
        return None
    accepted = {"correlation": correlation, "period": period}
    if plan.reading == "carryover_covariate":
        accepted["carryover"] = carryover
    return _rounded(plan, start, second, rng), accepted


def _rounded(plan: Plan, start: _Start, second: FloatArray, rng: np.random.Generator) -> Columns:
    """Return whole scores inside their bounds, by column."""
    columns: Columns = {}
    for index, name in enumerate(plan.parts):
        low, high = plan.bounds(name)
        baseline = start.baseline[:, index]
        columns[f"{name}.base1"] = baseline
        columns[f"{name}.1"] = np.clip(np.rint(start.first[:, index]), low, high)
        analyzed = second[:, index]
        if plan.analyzes_change:
            again = period_two_baseline(baseline, analyzed, (low, high), rng)
            columns[f"{name}.base2"] = again
            analyzed = analyzed + again
        else:
            analyzed = analyzed + fitting_level(analyzed, (low, high))
        columns[f"{name}.2"] = np.clip(np.rint(analyzed), low, high)
    return columns


def period_two_baseline(
    baseline: FloatArray,
    change: FloatArray,
    bounds: tuple[float, float],
    rng: np.random.Generator,
    *,
    whole: bool = True,
) -> FloatArray:
    """Return baselines of period 2 near those of period 1 that leave room for a change."""
    low, high = bounds
    spread = 0.25 * float(np.std(baseline[np.isfinite(baseline)]))
    near = baseline + rng.normal(0, spread, size=len(baseline))
    if not whole:
        return np.where(np.isfinite(change), near, np.nan)
    near, moved = np.rint(near), np.rint(change)
    result: FloatArray = np.clip(
        near, np.clip(low - moved, low, high), np.clip(high - moved, low, high)
    )
    return np.where(np.isfinite(change), result, np.nan)


def fitting_level(values: FloatArray, bounds: tuple[float, float]) -> float:
    """Return the shift that balances its own size against scores outside their bounds."""
    here = values[np.isfinite(values)]
    shifts = np.linspace(-0.5, 0.5, 81) * (bounds[1] - bounds[0])
    moved = here[:, None] + shifts
    outside = np.maximum(np.maximum(bounds[0] - moved, moved - bounds[1]), 0)
    cost = (outside**2).mean(axis=0) + STIFF * shifts**2
    return float(shifts[np.argmin(cost)])


def _repaired(plan: Plan, columns: Columns, rng: np.random.Generator) -> tuple[Columns | None, int]:
    """Move scores by a point here and there until everything prints as it should."""
    everybody = np.ones(plan.size, bool)
    spaces = {f"{name}.1": (everybody, *plan.bounds(name)) for name in plan.parts}
    spaces |= {f"{name}.2": (plan.completer, *plan.bounds(name)) for name in plan.parts}
    goal = Goal(Statistics(Cells.of(spaces)))
    for name in (*plan.parts, plan.total):
        parts = plan.parts if name == plan.total else (name,)
        _add_rows(goal, plan, name, parts, columns)
    scores, used = repair(goal, goal.statistics.cells.take(columns), rng, rounds=ROUNDS)
    if scores is None:
        return None, used
    return columns | goal.statistics.cells.put(scores), used


def _add_rows(goal: Goal, plan: Plan, name: str, parts: tuple[str, ...], columns: Columns) -> None:
    """Add the rows of one endpoint, a part or the total."""
    cells = goal.statistics.cells
    baseline = sum((columns[f"{part}.base1"] for part in parts), np.zeros(plan.size))
    again = sum((columns.get(f"{part}.base2", baseline) for part in parts), np.zeros(plan.size))
    change = float(plan.analyzes_change)
    score = cells.response({f"{part}.1": 1.0 for part in parts})
    first = cells.response({f"{part}.1": 1.0 for part in parts}, -change * baseline)
    second = cells.response({f"{part}.2": 1.0 for part in parts}, -change * np.nan_to_num(again))
    row = plan.rows[name, "first_period"]
    add_first_period(goal, plan, row, response=score, baseline=baseline)
    add_crossover(
        goal, plan, plan.rows[name, "crossover"], first=first, second=second,
        reading=plan.reading, order_claims=name == plan.total,
    )  # fmt: skip
