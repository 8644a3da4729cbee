"""The outcome that the total was adjusted for: its baseline and scores, from the regression."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from bayes_ptsd.evidence.intervals import FloatArray
from bayes_ptsd.reconstruction.nuisance import Nuisance
from bayes_ptsd.reconstruction.plan import Plan
from bayes_ptsd.reconstruction.screen import FirstPeriod, Regression, regression_targets
from bayes_ptsd.reconstruction.search import Goal, repair
from bayes_ptsd.reconstruction.single import add_period_two
from bayes_ptsd.reconstruction.statistics import (
    Cells,
    Response,
    Statistics,
    least_squares,
    orthogonal,
    residuals,
    with_gram,
)
from bayes_ptsd.reconstruction.targets import add_crossover, add_first_period
from bayes_ptsd.reconstruction.total import (
    Columns,
    TotalDraw,
    contrast_of_completers,
    fitting_level,
)

__all__ = ["draw_mediator"]

# in 40 sets (8 of each reading, default seed) 40 of 79 searches ended, half of them within 324
# rounds, the last in 1286; the others are begun anew
ROUNDS = 1500


@dataclass(frozen=True)
class _Bed:
    """The total given treatment and its own baseline: what the mediator is laid upon."""

    total: FloatArray
    baseline: FloatArray
    inside: FloatArray
    error: FloatArray
    first: FirstPeriod


def draw_mediator(
    plan: Plan,
    nuisance: Nuisance,
    total: TotalDraw,
    rng: np.random.Generator,
    *,
    tries: int = 6,
) -> TotalDraw | None:
    """Draw integer scores of the mediator that print its own rows and the adjusted regression."""
    bed = _bed(plan, total.columns)
    rounds = 0
    for _ in range(tries):
        regression = regression_targets(plan, bed.first, rng, tries=40)
        start = None if regression is None else _start(plan, nuisance, bed, regression, rng)
        if start is None:
            continue
        columns, accepted = start
        if not _modifier_absent(plan, bed, columns):
            continue
        second = add_period_two(plan, nuisance, plan.mediator, columns, total.columns, rng)
        if second is None:
            continue
        columns, more = second
        found, used = _repaired(plan, bed, columns, rng)
        rounds += used
        if found is not None:
            return TotalDraw(found, accepted | more, rounds)
    return None


def _bed(plan: Plan, columns: Columns) -> _Bed:
    """Return the first-period analysis of the whole-number total."""
    total = sum((columns[f"{part}.1"] for part in plan.parts), np.zeros(plan.size))
    baseline = sum((columns[f"{part}.base1"] for part in plan.parts), np.zeros(plan.size))
    arms = np.column_stack([np.ones(plan.size), plan.ket])
    inside = orthogonal(baseline[:, None], arms)[:, 0]
    design = np.column_stack([arms, baseline])
    everybody = np.ones(plan.size, bool)
    treatment, slope = (least_squares(design, everybody, which) for which in (1, 2))
    error = treatment.residual @ total
    first = FirstPeriod(
        -float(treatment.coefficient @ total), float(slope.coefficient @ total),
        float(error @ error), treatment.factor, slope.factor,
        float(baseline[plan.active_first].mean() - baseline[~plan.active_first].mean()),
    )  # fmt: skip
    return _Bed(total, baseline, inside, error, first)


def _start(
    plan: Plan, nuisance: Nuisance, bed: _Bed, regression: Regression, rng: np.random.Generator
) -> tuple[Columns, dict[str, float]] | None:
    """Lay the mediator and its baseline upon the total, exact before rounding."""
    name, made = plan.mediator, regression
    arms = np.column_stack([np.ones(plan.size), plan.ket])
    known = made.share / made.theta * bed.error
    free = _free(plan, bed, made, arms, rng)
    if free is None:
        return None
    error = known + free
    columns = np.column_stack([arms, bed.inside, bed.error, error])
    rest = with_gram(rng.normal(size=(plan.size, 1)), columns, np.array([[made.noise]]))
    if rest is None:
        return None
    shape = made.tilt * bed.inside + error + rest[:, 0]
    accepted = {
        key: nuisance.draw(name, key, rng)
        for key in ("baseline_mean", "baseline_sd", "improvement")
    }
    scale = accepted["baseline_sd"] / np.sqrt(float(shape @ shape) / (plan.size - 2))
    active = plan.ket - plan.ket.mean()
    baseline = accepted["baseline_mean"] + scale * (shape + made.between * active)
    level = accepted["baseline_mean"] - accepted["improvement"]
    score = level + made.slope * bed.inside + error + made.gap * plan.ket
    bounds = plan.bounds(name)
    found = {
        f"{name}.base1": np.clip(np.rint(baseline), *bounds),
        f"{name}.1": np.clip(np.rint(score + fitting_level(score, bounds)), *bounds),
    }
    return found, accepted


def _free(
    plan: Plan, bed: _Bed, made: Regression, arms: FloatArray, rng: np.random.Generator
) -> FloatArray | None:
    """Return the part of the mediator that the total does not know."""
    columns = np.column_stack([arms, bed.inside, bed.error])
    own = np.array([[made.squares - made.share**2 * bed.first.rss / made.theta**2]])
    along = None
    if plan.reading == "carryover_covariate":
        weights = contrast_of_completers(plan)
        wanted = plan.rows[plan.mediator, "crossover"].targets(1, rng)[0]
        known = made.slope * bed.inside + made.share / made.theta * bed.error
        along = weights, wanted - float(weights @ (known + made.gap * plan.ket))
    free = residuals(rng.normal(size=(plan.size, 1)), columns, own, along=along)
    return None if free is None else free[:, 0]


def _modifier_absent(plan: Plan, bed: _Bed, columns: Columns) -> bool:
    """Tell whether the mediator's baseline leaves the treatment difference alone, as claimed."""
    own = columns[f"{plan.mediator}.base1"]
    if not plan.has(f"{plan.mediator}_baseline", "effect_modifier", "absent", plan.total):
        return True
    design = np.column_stack([np.ones(plan.size), plan.ket, bed.baseline, own, plan.ket * own])
    analysis = least_squares(design, np.ones(plan.size, bool), 4)
    estimate, se = analysis.fit(bed.total)
    return bool(2 * stats.t.sf(abs(estimate / se), analysis.df) > 0.06)


def _repaired(
    plan: Plan, bed: _Bed, columns: Columns, rng: np.random.Generator
) -> tuple[Columns | None, int]:
    """Move the mediator's scores until its rows and the regression print as they should."""
    name = plan.mediator
    everybody = np.ones(plan.size, bool)
    bounds = plan.bounds(name)
    spaces = {f"{name}.1": (everybody, *bounds), f"{name}.2": (plan.completer, *bounds)}
    goal = Goal(Statistics(Cells.of(spaces)))
    cells = goal.statistics.cells
    baseline = columns[f"{name}.base1"]
    again = columns.get(f"{name}.base2", baseline)
    change = float(plan.analyzes_change)
    first = cells.response({f"{name}.1": 1.0}, -change * baseline)
    second = cells.response({f"{name}.2": 1.0}, -change * np.nan_to_num(again))
    score = cells.response({f"{name}.1": 1.0})
    row = plan.rows[name, "first_period"]
    add_first_period(goal, plan, row, response=score, baseline=baseline)
    crossover = plan.rows[name, "crossover"]
    add_crossover(goal, plan, crossover, first=first, second=second, reading=plan.reading)
    _add_regression(goal, plan, bed, baseline, score)
    scores, used = repair(goal, cells.take(columns), rng, rounds=ROUNDS)
    return (None if scores is None else columns | cells.put(scores)), used


def _add_regression(
    goal: Goal, plan: Plan, bed: _Bed, baseline: FloatArray, score: Response
) -> None:
    """Add the regression as a function of the mediator's scores, with its boxes."""
    design = np.column_stack([np.ones(plan.size), plan.ket, bed.baseline, baseline])
    everybody = np.ones(plan.size, bool)
    fixed = [least_squares(design, everybody, which) for which in (1, 2, 3)]
    residual, df = fixed[0].residual, fixed[0].df - 1
    y = residual @ bed.total
    cells = goal.statistics.cells
    active = Response(score.weight * plan.ket[cells.patient], score.offset * plan.ket)
    lines = [goal.statistics.linear(score, analysis.coefficient) for analysis in fixed]
    with_total = goal.statistics.linear(score, y)
    active_total = goal.statistics.linear(active, y)
    squares = [
        goal.statistics.quadratic([(one, other, residual)])
        for one, other in ((score, score), (score, active), (active, active))
    ]
    own = np.array([analysis.fit(bed.total)[0] for analysis in fixed])[:, None]
    factors = np.array([analysis.factor for analysis in fixed])[:, None]
    whole = float(y @ bed.total)
    rows = plan.adjusted_rows

    def values(linear: FloatArray, quadratic: FloatArray) -> FloatArray:
        mm, mk, kk = quadratic[squares]
        theta = linear[with_total] / mm
        rss = whole - theta * linear[with_total]
        on_scores = linear[lines]
        coefficient = own - theta * on_scores
        t = coefficient / np.sqrt(rss / df * (factors + on_scores**2 / mm))
        slope_t = theta / np.sqrt(rss / df / mm)
        left = kk - mk**2 / mm
        product = linear[active_total] - mk * theta
        interaction = (product**2 / left) / ((rss - product**2 / left) / (df - 1))
        found = [-coefficient[0], theta, coefficient[1], -t[0], slope_t, t[1], np.abs(t[2]),
                 np.sqrt(np.maximum(interaction, 0))]  # fmt: skip
        return np.stack(found)

    order = [rows[role] for role in ("treatment", "mediator", "baseline")]
    boxes = [row.estimate for row in order] + [row.t for row in order]
    claims = (f"{plan.mediator}_baseline", f"{plan.mediator}_24h:treatment")
    for term, degrees in zip(claims, (df, df - 1), strict=True):
        absent = plan.has(term, "first_period_adjusted", "absent", plan.total)
        edge = float(stats.t.isf(0.03, degrees)) if absent else np.inf
        boxes.append((-np.inf if not absent else 0.0, edge))
    goal.others.append((values, boxes))
