"""Printed rows and claims as targets of the search."""

from __future__ import annotations

import numpy as np
from scipy import stats

from bayes_ptsd.audit.precision import largest_sd
from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence.intervals import FloatArray
from bayes_ptsd.evidence.readings import crossover_reading_of
from bayes_ptsd.reconstruction.boxes import ANYTHING, Box, PrintedRow
from bayes_ptsd.reconstruction.plan import WITHOUT_CHANGE, Plan, halves_of
from bayes_ptsd.reconstruction.search import Contrast, Goal
from bayes_ptsd.reconstruction.sizes import FEWEST
from bayes_ptsd.reconstruction.statistics import Analysis, Response, least_squares

__all__ = [
    "absent_t",
    "add_crossover",
    "add_first_period",
    "printed_contrast",
    "reading_of",
    "refuse_impossible",
]

# two-sided, by which the paper calls an effect present or absent (item D.ALPHA of its design)
LEVEL = 0.05
# in squared reference SDs; nearer to 0 the optimizers of mixed models stop early
LEAST_COVARIANCE = 0.02


def reading_of(plan: Plan, *, baseline: bool) -> str:
    """Return the reading of an endpoint's crossover row: change needs a baseline to change from."""
    return plan.reading if baseline else WITHOUT_CHANGE.get(plan.reading, plan.reading)


def printed_contrast(
    goal: Goal, response: Response, analysis: Analysis, row: PrintedRow, *, scale: float
) -> Contrast:
    """Return one printed row as a contrast of a response."""
    square = goal.statistics.quadratic([(response, response, analysis.residual)])
    line = goal.statistics.linear(response, analysis.coefficient)
    factor = analysis.factor / analysis.df
    boxes = (row.estimate, row.low, row.high, row.t)
    return Contrast(line, square, scale, factor, row.quantile, boxes)


def add_first_period(
    goal: Goal,
    plan: Plan,
    row: PrintedRow,
    *,
    response: Response,
    baseline: FloatArray | None,
) -> None:
    """Add a first-period row: difference of the score after the infusion, given its baseline."""
    who = np.ones(plan.size, bool) if baseline is None else np.isfinite(baseline)
    columns = [np.ones(plan.size), plan.ket]
    columns += [] if baseline is None else [np.nan_to_num(baseline)]
    analysis = least_squares(np.column_stack(columns), who, 1)
    goal.contrasts.append(printed_contrast(goal, response, analysis, row, scale=-1.0))


def add_crossover(
    goal: Goal,
    plan: Plan,
    row: PrintedRow,
    *,
    first: Response,
    second: Response,
    reading: str,
    order_claims: bool = False,
) -> None:
    """Add a crossover row under a reading, what is claimed about it, and a positive covariance.

    `first` and `second` are what is analyzed in each period: scores, or changes from the period's
    baseline.
    """
    contrasts = [_treatment(goal, plan, row, first, second, reading=reading, who=plan.completer)]
    if plan.has("without the 2 late second infusions", "crossover", "unchanged", row.endpoint):
        on_time = plan.completer & ~plan.late
        again = _treatment(goal, plan, row, first, second, reading=reading, who=on_time)
        verdict = _verdict(row, df=row.df - float(plan.late.sum()))
        contrasts.append(_with_boxes(again, (ANYTHING, ANYTHING, ANYTHING, verdict)))
    if order_claims:
        contrasts += _orders(goal, plan, row, first, second, reading=reading)
    goal.contrasts.extend(contrasts)
    least = LEAST_COVARIANCE * plan.unit(row.endpoint) ** 2
    _add_covariance(goal, plan, first, second, least=least * (plan.completer.sum() - 2))


def _design(plan: Plan) -> FloatArray:
    """Return intercept and sequence, coded so that the intercept weights sequences equally."""
    return np.column_stack([np.ones(plan.size), plan.ket - 0.5])


def _treatment(
    goal: Goal,
    plan: Plan,
    row: PrintedRow,
    first: Response,
    second: Response,
    *,
    reading: str,
    who: np.ndarray,
) -> Contrast:
    """Return the treatment contrast of the crossover rows."""
    analysis = least_squares(_design(plan), who, 1)
    boxes = (row.estimate, row.low, row.high, row.t)
    if reading == "carryover_covariate":
        line = goal.statistics.linear(first, analysis.coefficient)
        both = [(y, y, analysis.residual) for y in (first, second)]
        square = goal.statistics.quadratic(both)
        factor = analysis.factor / analysis.df / 2
        return Contrast(line, square, -1.0, factor, row.quantile, boxes)
    difference = Response(second.weight - first.weight, second.offset - first.offset)
    scale = 0.5 / crossover_reading_of(reading).scale
    return printed_contrast(goal, difference, analysis, row, scale=scale)


def _orders(
    goal: Goal, plan: Plan, row: PrintedRow, first: Response, second: Response, *, reading: str
) -> list[Contrast]:
    """Return the period and carryover contrasts that the text calls absent."""
    free = absent_t(row.df)
    found = []
    difference = Response(second.weight - first.weight, second.offset - first.offset)
    total = Response(second.weight + first.weight, second.offset + first.offset)
    wanted = {
        "period": (difference, 0, reading != "carryover_covariate"),
        "carryover": (total, 1, True),
    }
    for term, (response, which, tested) in wanted.items():
        if tested and plan.has(term, "crossover", "absent", row.endpoint):
            analysis = least_squares(_design(plan), plan.completer, which)
            contrast = printed_contrast(goal, response, analysis, row, scale=1.0)
            found.append(_with_boxes(contrast, (ANYTHING, ANYTHING, ANYTHING, free)))
    return found


def _add_covariance(
    goal: Goal, plan: Plan, first: Response, second: Response, *, least: float
) -> None:
    """Keep the covariance of the periods positive, where a random intercept prints the same."""
    residual = least_squares(_design(plan), plan.completer, 1).residual
    place = goal.statistics.quadratic([(first, second, residual)])
    goal.squares.append((place, 1 / least, (1.0, np.inf)))


def absent_t(df: float) -> Box:
    """Return the absolute t statistics of a claim that an effect is absent."""
    return 0.0, float(stats.t.isf(LEVEL / 2, df))


def _verdict(row: PrintedRow, *, df: float) -> Box:
    """Return the absolute t statistics on the side of 5% where the printed P is."""
    edge = float(stats.t.isf(LEVEL / 2, df))
    return (edge, np.inf) if row.printed[3] < LEVEL else (0.0, edge)


def _with_boxes(contrast: Contrast, boxes: tuple[Box, Box, Box, Box]) -> Contrast:
    """Return the same contrast with other boxes."""
    fields = (contrast.linear, contrast.quadratic, contrast.scale, contrast.factor)
    return Contrast(*fields, contrast.quantile, boxes)


def refuse_impossible(plan: Plan) -> None:
    """Refuse baselines of other patients, small groups, and a spread that no scores have."""
    names = {True: plan.evidence.trial.active, False: plan.evidence.trial.control}
    for endpoint, pair in plan.baselines.items():
        for first, printed in zip((True, False), pair, strict=True):
            here = int((plan.active_first == first).sum())
            if not FEWEST <= printed.n <= here:
                raise EvidenceError(
                    f"baseline.csv has n = {printed.n} of '{endpoint}' for {names[first]} first, "
                    f"where {here} patients are reconstructed; correct n in baseline.csv, flow.csv "
                    "or effects.csv"
                )
    for (_, analysis), row in plan.rows.items():
        _refuse_spread(plan, row, crossed=analysis == "crossover")


def _refuse_spread(plan: Plan, row: PrintedRow, *, crossed: bool) -> None:
    """Refuse a row of too few patients, or with a spread that no scores of the range have."""
    who = plan.completer if crossed else np.ones(plan.size, bool)
    sizes = np.bincount(plan.active_first[who].astype(int), minlength=2)
    low, high = plan.bounds(row.endpoint)
    if sizes.min() < FEWEST:
        raise EvidenceError(
            f"row '{row.id}': {sizes[1]} and {sizes[0]} patients in its groups; give "
            f"{FEWEST} or more in each, as n or in flow.csv"
        )
    se = float(row.targets(1, np.random.default_rng(0))[1, 0])
    spread = se / float(np.sqrt((1 / sizes).sum())) * (halves_of(plan.reading) if crossed else 1.0)
    most = largest_sd((low, high), {str(k): int(n) for k, n in enumerate(sizes)})
    limit = (2 if crossed else 1) * most
    if plan.whole(row.endpoint) and spread > limit:
        what = "differences between periods" if crossed else "scores"
        raise EvidenceError(
            f"row '{row.id}' needs an SD of {spread:.3g} of {what}; with {sizes.sum()} "
            f"patients the range of '{row.endpoint}' allows at most {limit:.3g}: correct the row, "
            "its n or the range"
        )
