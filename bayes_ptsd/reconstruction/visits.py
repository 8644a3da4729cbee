"""Later visits of period 1: the mean over visits, their course, and what is claimed about it."""

from __future__ import annotations

import numpy as np
from scipy import stats

from bayes_ptsd.evidence.intervals import FloatArray
from bayes_ptsd.reconstruction.nuisance import Nuisance
from bayes_ptsd.reconstruction.plan import Plan
from bayes_ptsd.reconstruction.search import Goal, repair
from bayes_ptsd.reconstruction.statistics import (
    Cells,
    IntArray,
    Statistics,
    least_squares,
    orthogonal,
    residuals,
)
from bayes_ptsd.reconstruction.targets import printed_contrast
from bayes_ptsd.reconstruction.total import Columns, TotalDraw

__all__ = ["draw_visits"]

# in 40 sets (8 of each reading, default seed) all 120 searches ended, half of them within 12
# rounds, the last in 175
ROUNDS = 300
ANALYSIS = "first_period_longitudinal"


def draw_visits(
    plan: Plan,
    nuisance: Nuisance,
    name: str,
    score: FloatArray,
    rng: np.random.Generator,
    *,
    restarts: int = 60,
) -> TotalDraw | None:
    """Draw integer scores at the later visits that print the longitudinal row of an endpoint."""
    rounds = 0
    for _ in range(restarts):
        start = _start(plan, nuisance, name, score, rng)
        if start is None:
            continue
        found, used = _repaired(plan, name, score, start[0], rng)
        rounds += used
        if found is not None:
            return TotalDraw(found, start[1], rounds)
    return None


def _start(
    plan: Plan, nuisance: Nuisance, name: str, score: FloatArray, rng: np.random.Generator
) -> tuple[Columns, dict[str, float]] | None:
    """Draw later visits whose mean with the first one is exact before rounding."""
    keys = ("visit_correlation", "visit_sd")
    accepted = {key: nuisance.draw("common", key, rng) for key in keys}
    row = plan.rows[name, ANALYSIS]
    estimate, se = row.targets(1, rng)[:, 0]
    arms = np.column_stack([np.ones(plan.size), plan.ket])
    factor = float(np.linalg.inv(arms.T @ arms)[1, 1])
    inside = orthogonal(score[:, None], arms)[:, 0]
    squares = (plan.size - 2) * se**2 / factor
    share = accepted["visit_correlation"] * np.sqrt(squares / float(inside @ inside))
    left = np.array([[squares * (1 - accepted["visit_correlation"] ** 2)]])
    columns = np.column_stack([arms, inside])
    free = residuals(rng.normal(size=(plan.size, 1)), columns, left)
    if free is None:
        return None
    names = list(plan.visits)
    later = len(names) - 1
    # a course over the visits that is the same in both groups, steep enough to be seen
    spread = plan.unit(name) * accepted["visit_sd"]
    slope = rng.choice([-1.0, 1.0]) * spread * rng.uniform(0.25, 0.45)
    mean = share * inside + free[:, 0] - estimate * (plan.ket - plan.ket.mean())
    level = float(score.mean()) + slope * later / 2
    rest = ((later + 1) * (level + mean) - score) / later
    noise = rng.normal(0, spread, size=(plan.size, later))
    noise -= noise.mean(axis=1, keepdims=True)
    noise = noise - (arms @ np.linalg.lstsq(arms, noise, rcond=None)[0])
    course = slope * (np.arange(later) - (later - 1) / 2)
    found = rest[:, None] + noise + course
    low, high = plan.bounds(name)
    scores = np.clip(np.rint(found), low, high)
    columns_out = {f"{name}.{visit}": scores[:, i] for i, visit in enumerate(names[1:])}
    return columns_out, accepted


def _repaired(
    plan: Plan, name: str, score: FloatArray, columns: Columns, rng: np.random.Generator
) -> tuple[Columns | None, int]:
    """Move scores until the row prints and the course is as claimed."""
    everybody, bounds = np.ones(plan.size, bool), plan.bounds(name)
    goal = Goal(Statistics(Cells.of(dict.fromkeys(columns, (everybody, *bounds)))))
    cells = goal.statistics.cells
    count = len(columns) + 1
    weight = 1 / count
    mean = cells.response(dict.fromkeys(columns, weight), score * weight)
    arms = np.column_stack([np.ones(plan.size), plan.ket - 0.5])
    analysis = least_squares(arms, everybody, 1)
    row = plan.rows[name, ANALYSIS]
    goal.contrasts.append(printed_contrast(goal, mean, analysis, row, scale=-1.0))
    _add_course(goal, plan, name, list(columns), score)
    scores, used = repair(goal, cells.take(columns), rng, rounds=ROUNDS)
    return (None if scores is None else cells.put(scores)), used


def _add_course(goal: Goal, plan: Plan, name: str, columns: list[str], score: FloatArray) -> None:
    """Add the tests of time and of treatment by time, for patients with all visits."""
    cells, visits = goal.statistics.cells, len(columns) + 1
    basis = np.linalg.qr(np.column_stack([np.ones(visits), np.eye(visits)[:, 1:]]))[0][:, 1:]
    contrasts = [
        cells.response(dict(zip(columns, weights[1:], strict=True)), score * weights[0])
        for weights in basis.T
    ]
    arms = np.column_stack([np.ones(plan.size), plan.ket - 0.5])
    both = [least_squares(arms, np.ones(plan.size, bool), which) for which in (0, 1)]
    error = goal.statistics.quadratic([(y, y, both[0].residual) for y in contrasts])
    tests = []
    for analysis in both:
        weight = np.outer(analysis.coefficient, analysis.coefficient) / analysis.factor
        tests.append(goal.statistics.quadratic([(y, y, weight) for y in contrasts]))
    df = both[0].df
    places: IntArray = np.array(tests)

    def ratios(linear: FloatArray, quadratic: FloatArray) -> FloatArray:
        result: FloatArray = quadratic[places] * df / quadratic[error]
        return result

    seen = float(stats.f.isf(0.03, visits - 1, (visits - 1) * df))
    unseen = float(stats.f.isf(0.2, visits - 1, (visits - 1) * df))
    boxes = []
    for term, claim, box in (
        ("time", "present", (seen, np.inf)),
        ("treatment:time", "absent", (0.0, unseen)),
    ):
        boxes.append(box if plan.has(term, ANALYSIS, claim, name) else (-np.inf, np.inf))
    goal.others.append((ratios, boxes))
