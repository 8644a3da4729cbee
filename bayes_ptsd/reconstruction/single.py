"""Endpoints with rows of their own only: both periods, given how the total went."""

from __future__ import annotations

import numpy as np

from bayes_ptsd.evidence.intervals import FloatArray
from bayes_ptsd.reconstruction.nuisance import Nuisance
from bayes_ptsd.reconstruction.period_two import (
    CrossoverTargets,
    exact_period_two,
    first_difference,
)
from bayes_ptsd.reconstruction.plan import WITHOUT_CHANGE, Plan, halves_of
from bayes_ptsd.reconstruction.search import Goal, repair
from bayes_ptsd.reconstruction.statistics import Cells, Statistics, orthogonal, residuals
from bayes_ptsd.reconstruction.targets import add_crossover, add_first_period, reading_of
from bayes_ptsd.reconstruction.total import (
    Columns,
    TotalDraw,
    contrast_of_completers,
    fitting_level,
    period_two_baseline,
)

__all__ = ["add_period_two", "draw_single", "standardized"]

# in 40 sets (8 of each reading, default seed) 160 of 271 searches ended, half of them within 11
# rounds, the last in 231; the others are begun anew
ROUNDS = 250
# draws of the nuisances: 22 of 372 left no second period in 40 sets
TRIES = 20


def standardized(plan: Plan, columns: Columns, period: int) -> FloatArray:
    """Return the total's scores of a period within sequences, with mean 0 and SD 1."""
    names = plan.parts or tuple(dict.fromkeys(name.partition(".")[0] for name in columns))
    total = sum((columns[f"{name}.{period}"] for name in names), np.zeros(plan.size))
    here = np.isfinite(total)
    arms = np.column_stack([np.ones(plan.size), plan.ket])[here]
    left = np.zeros(plan.size)
    left[here] = orthogonal(total[here][:, None], arms)[:, 0]
    scaled: FloatArray = left / left[here].std()
    return scaled


def _shared(plan: Plan, total: Columns, period: int, rng: np.random.Generator) -> FloatArray:
    """Return what other endpoints share of a period: the total, or noise for the first endpoint."""
    if plan.joint or any(name.endswith(f".{period}") for name in total):
        return standardized(plan, total, period)
    return rng.normal(size=plan.size)


def tied(common: FloatArray, loading: float, rng: np.random.Generator) -> FloatArray:
    """Return standard normals that share a factor."""
    noise = rng.normal(size=len(common))
    mixed: FloatArray = loading * common + np.sqrt(1 - loading**2) * noise
    return mixed


def draw_single(
    plan: Plan,
    nuisance: Nuisance,
    name: str,
    total: Columns,
    rng: np.random.Generator,
    *,
    baseline: FloatArray | None = None,
    given: Columns | None = None,
    restarts: int = 200,
) -> TotalDraw | None:
    """Draw integer scores of one endpoint that print its first-period and crossover rows."""
    rounds = 0
    for _ in range(restarts):
        start = _first(plan, nuisance, name, total, baseline, rng)
        if start is None:
            continue
        second: tuple[Columns, dict[str, float]] = start[0] | (given or {}), {}
        if (name, "crossover") in plan.rows:
            again = add_period_two(plan, nuisance, name, second[0], total, rng)
            if again is None:
                continue
            second = again
        found, used = _repaired(plan, name, second[0], rng)
        rounds += used
        if found is not None:
            return TotalDraw(found, start[1] | second[1], rounds)
    return None


def _first(
    plan: Plan,
    nuisance: Nuisance,
    name: str,
    total: Columns,
    given: FloatArray | None,
    rng: np.random.Generator,
) -> tuple[Columns, dict[str, float]] | None:
    """Draw period 1, exact for its row before rounding."""
    accepted = {"first_loading": nuisance.draw("common", "first_loading", rng)}
    shape = tied(_shared(plan, total, 1, rng), accepted["first_loading"], rng)
    baseline = _open_baseline(plan, nuisance, name, accepted, rng) if given is None else given
    adjusted = baseline is not None and plan.adjusts(name)
    has = np.ones(plan.size, bool)
    if baseline is not None and adjusted:
        has = np.isfinite(baseline)
    columns = np.column_stack([np.ones(plan.size), plan.ket])
    fixed = np.zeros(plan.size)
    if baseline is None:
        accepted["level"] = nuisance.open(plan, name, "level", rng)
        fixed += accepted["level"]
    else:
        for key in ("slope", "improvement"):
            accepted[key] = nuisance.open(plan, name, key, rng)
        center = np.nan_to_num(baseline - np.nanmean(baseline))
        fixed += np.nanmean(baseline) - accepted["improvement"]
        if adjusted:
            fixed += accepted["slope"] * center
            columns = np.column_stack([columns, np.nan_to_num(baseline)])
        else:
            shape = shape + accepted["slope"] * center / (center.std() or 1.0)
    estimate, squares = _row_targets(plan, nuisance, name, columns[has], accepted, rng)
    fixed -= estimate * plan.ket
    spread = np.sqrt(squares / (has.sum() - columns.shape[1]))
    error = spread * shape
    along = None
    carried = reading_of(plan, baseline=baseline is not None) == "carryover_covariate"
    # where everybody is rated twice, the difference of period 1 is that contrast already
    if carried and not plan.completer[has].all():
        weights = contrast_of_completers(plan)
        wanted = plan.rows[name, "crossover"].targets(1, rng)[0]
        outside = float(weights[~has] @ error[~has])
        along = weights[has], wanted - float(weights @ fixed) - outside
    inside = residuals(shape[has][:, None], columns[has], np.array([[squares]]), along=along)
    if inside is None:
        return None
    error[has] = inside[:, 0]
    found = {f"{name}.1": plan.scores(name, fixed + error)}
    if baseline is not None:
        found[f"{name}.base1"] = baseline
    return found, accepted


def _open_baseline(
    plan: Plan, nuisance: Nuisance, name: str, accepted: dict[str, float], rng: np.random.Generator
) -> FloatArray | None:
    """Draw a baseline that is not printed, where it has a prior or a row adjusts for it."""
    alone = not plan.joint and (name, "first_period") in plan.rows and plan.adjusts(name)
    if not (nuisance.has(name, "baseline_mean") or alone):
        return None
    for key in ("baseline_mean", "baseline_sd"):
        accepted[key] = nuisance.open(plan, name, key, rng)
    z = tied(rng.normal(size=plan.size), 0.0, rng)
    return plan.scores(name, accepted["baseline_mean"] + accepted["baseline_sd"] * z)


def _row_targets(
    plan: Plan,
    nuisance: Nuisance,
    name: str,
    design: FloatArray,
    accepted: dict[str, float],
    rng: np.random.Generator,
) -> tuple[float, float]:
    """Return difference and residual sum of squares of period 1, printed or from the priors."""
    df = len(design) - design.shape[1]
    if (name, "first_period") in plan.rows:
        estimate, se = plan.rows[name, "first_period"].targets(1, rng)[:, 0]
        factor = float(np.linalg.inv(design.T @ design)[1, 1])
        return float(estimate), df * float(se) ** 2 / factor
    accepted["effect"] = nuisance.open(plan, name, "effect", rng)
    if plan.joint or nuisance.has(name, "residual_sd"):
        accepted["residual_sd"] = nuisance.draw(name, "residual_sd", rng)
    else:
        estimate, accepted["residual_sd"] = _of_crossover(plan, nuisance, name, rng)
        carried = plan.reading == "carryover_covariate"
        accepted["effect"] = estimate if carried else accepted["effect"] + estimate
    return accepted["effect"], df * accepted["residual_sd"] ** 2


def _of_crossover(
    plan: Plan, nuisance: Nuisance, name: str, rng: np.random.Generator
) -> tuple[float, float]:
    """Return difference and SD of period 1 that a crossover row alone suggests.

    Half the sum of two equal differences, and equal SDs with a correlation from the priors.
    """
    estimate, se = plan.rows[name, "crossover"].targets(1, rng)[:, 0]
    halves = halves_of(plan.reading)
    root = np.sqrt((1 / np.bincount(plan.active_first[plan.completer].astype(int))).sum())
    share = 1.0
    if plan.reading != "carryover_covariate":
        share = np.sqrt(2 * (1 - nuisance.draw("common", "correlation", rng)))
    return float(halves * estimate / 2), float(halves * se / root / share)


def add_period_two(
    plan: Plan,
    nuisance: Nuisance,
    name: str,
    columns: Columns,
    total: Columns,
    rng: np.random.Generator,
) -> tuple[Columns, dict[str, float]] | None:
    """Add period 2 of one endpoint, exact for its crossover row before rounding."""
    bounds = plan.bounds(name)
    baseline = columns.get(f"{name}.base1")
    reading = reading_of(plan, baseline=baseline is not None)
    change = reading in WITHOUT_CHANGE
    before = np.zeros(plan.size) if baseline is None or not change else np.nan_to_num(baseline)
    first = columns[f"{name}.1"] - before
    given = columns.get(f"{name}.base2")
    common = _shared(plan, total, 2, rng)
    row = plan.rows[name, "crossover"]
    for _ in range(TRIES):
        estimate, se = row.targets(1, rng)[:, 0]
        if reading == "carryover_covariate":
            estimate = first_difference(plan, first[:, None])[0]
            # measured scores are not moved afterwards until the row prints
            if not plan.whole(name) and not row.prints(estimate, se):
                continue
        targets = CrossoverTargets(np.array([estimate]), np.array([se]), float(se), reading)
        accepted = {
            key: nuisance.draw("common", key, rng) for key in ("correlation", "second_loading")
        }
        accepted["period"] = nuisance.open(plan, name, "period", rng)
        carryover = nuisance.draw("common", "carryover", rng) * plan.unit(name)
        z = tied(common, accepted["second_loading"], rng)
        power = _power(plan, first, se, reading, bounds)
        shape = np.sign(z) * np.abs(z) ** power
        level = first[plan.completer].mean() + accepted["period"]
        second = exact_period_two(
            plan, first[:, None], targets, shape[:, None],
            correlation=accepted["correlation"], level=np.array([level]), shift=carryover,
        )  # fmt: skip
        if second is not None:
            break
    else:
        return None
    again = given
    if change and given is None and baseline is not None:
        again = _second_baseline(plan, name, baseline, second[:, 0], rng)
    found = columns if again is None else columns | {f"{name}.base2": again}
    score = second[:, 0] + (np.nan_to_num(again) if change and again is not None else 0.0)
    if not change and plan.whole(name):
        score = score + fitting_level(score, bounds)
    return found | {f"{name}.2": plan.scores(name, score)}, accepted


def _second_baseline(
    plan: Plan, name: str, baseline: FloatArray, change: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """Return baselines of period 2 that leave room for a change."""
    filled = np.where(np.isfinite(baseline), baseline, np.nanmean(baseline))
    return period_two_baseline(
        plan.scores(name, filled), change, plan.bounds(name), rng, whole=plan.whole(name)
    )


def _power(
    plan: Plan, first: FloatArray, se: float, reading: str, bounds: tuple[float, float]
) -> float:
    """Return the exponent that makes scores as two-humped as their spread needs."""
    sizes = np.bincount(plan.active_first[plan.completer].astype(int))
    halves = halves_of(reading)
    spread = halves * se / np.sqrt((1 / sizes).sum())
    own = float(first[plan.completer].std())
    square = 2 * spread**2 - own**2 if reading == "carryover_covariate" else spread**2 - own**2
    filled = np.sqrt(max(square, own**2 / 4)) / ((bounds[1] - bounds[0]) / 2)
    return float(np.clip(1.6 - 1.6 * filled, 0.03, 1.0))


def _repaired(
    plan: Plan, name: str, columns: Columns, rng: np.random.Generator
) -> tuple[Columns | None, int]:
    """Move scores until the rows of the endpoint print as they should."""
    if not plan.whole(name):
        return columns, 0  # nothing was rounded: the rows are exact as they are
    everybody, bounds = np.ones(plan.size, bool), plan.bounds(name)
    spaces = {f"{name}.1": (everybody, *bounds)}
    crossed = (name, "crossover") in plan.rows
    spaces |= {f"{name}.2": (plan.completer, *bounds)} if crossed else {}
    goal = Goal(Statistics(Cells.of(spaces)))
    cells = goal.statistics.cells
    baseline = columns.get(f"{name}.base1")
    reading = reading_of(plan, baseline=baseline is not None)
    change = reading in WITHOUT_CHANGE and baseline is not None
    offsets = [np.zeros(plan.size)] * 2
    if change:
        offsets = [-np.nan_to_num(columns.get(f"{name}.base{period}", offsets[0]))
                   for period in (1, 2)]  # fmt: skip
    if (name, "first_period") in plan.rows:
        row = plan.rows[name, "first_period"]
        score = cells.response({f"{name}.1": 1.0})
        slope = baseline if plan.adjusts(name) else None
        add_first_period(goal, plan, row, response=score, baseline=slope)
    if crossed:
        first, second = (cells.response({f"{name}.{period}": 1.0}, offsets[period - 1])
                         for period in (1, 2))  # fmt: skip
        row = plan.rows[name, "crossover"]
        add_crossover(goal, plan, row, first=first, second=second, reading=reading)
    scores, used = repair(goal, cells.take(columns), rng, rounds=ROUNDS)
    return (None if scores is None else columns | cells.put(scores)), used
