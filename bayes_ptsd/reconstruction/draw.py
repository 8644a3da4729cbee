"""One reconstruction: all endpoints, in the order in which they hang on each other."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bayes_ptsd.evidence.intervals import FloatArray
from bayes_ptsd.reconstruction.gate import draw_baseline, draw_two_weeks
from bayes_ptsd.reconstruction.mediator import draw_mediator
from bayes_ptsd.reconstruction.nuisance import Nuisance
from bayes_ptsd.reconstruction.plan import Plan
from bayes_ptsd.reconstruction.single import draw_single, standardized
from bayes_ptsd.reconstruction.total import Columns, TotalDraw, draw_total
from bayes_ptsd.reconstruction.visits import ANALYSIS, draw_visits

__all__ = ["Drawn", "draw_patients"]

Blocks = dict[str, TotalDraw]


@dataclass(frozen=True)
class Drawn:
    """All scores of one reconstruction.

    Attributes
    ----------
    columns : dict
        Scores by column: endpoint and ``base1``, ``1``, ``base2``, ``2`` or a later visit.
    accepted : dict
        Accepted nuisances, ``endpoint.name``.
    attempts : int
        Starts from the first step on.
    """

    columns: Columns
    accepted: dict[str, float]
    rounds: dict[str, int]
    attempts: int


def draw_patients(
    plan: Plan, nuisance: Nuisance, rng: np.random.Generator, *, attempts: int = 60
) -> Drawn | None:
    """Draw whole scores of all endpoints that print every result, None if no start led to any."""
    for attempt in range(1, attempts + 1):
        total = draw_total(plan, nuisance, rng)
        if total is None:
            continue
        mediator = draw_mediator(plan, nuisance, total, rng)
        if mediator is None:
            continue
        blocks: Blocks = {plan.total: total, plan.mediator: mediator}
        if _singles(plan, nuisance, blocks, rng) and _later(plan, nuisance, blocks, rng):
            return _together(blocks, attempt)
    return None


def _singles(plan: Plan, nuisance: Nuisance, blocks: Blocks, rng: np.random.Generator) -> bool:
    """Add the endpoints that have rows of their own only."""
    total = blocks[plan.total].columns
    done = {plan.total, plan.mediator, *plan.parts}
    for name in dict.fromkeys(endpoint for endpoint, _ in plan.rows):
        if name in done:
            continue
        baseline = draw_baseline(plan, name, rng) if name in plan.baselines else None
        given: Columns = {}
        if name == plan.gate and baseline is not None:
            severity = standardized(plan, total, 1)
            given[f"{name}.base2"] = draw_two_weeks(plan, baseline, severity, rng)
        here = _with_change(plan, name, baseline)
        found = draw_single(here, nuisance, name, total, rng, baseline=baseline, given=given)
        if found is None:
            return False
        blocks[name] = replace(found, columns=_filled(plan, name, found.columns, rng))
    return True


def _filled(plan: Plan, name: str, columns: Columns, rng: np.random.Generator) -> Columns:
    """Return scores of period 2 also for those whose change cannot be analyzed."""
    second = columns[f"{name}.2"].copy()
    for patient in np.flatnonzero(plan.completer & np.isnan(second)):
        alike = plan.active_first == plan.active_first[patient]
        known = second[alike & np.isfinite(second)]
        second[patient] = rng.choice(known)
    return columns | {f"{name}.2": second}


def _with_change(plan: Plan, name: str, baseline: FloatArray | None) -> Plan:
    """Return the plan without those who have no change to analyze for want of a baseline."""
    if baseline is None or not plan.analyzes_change:
        return plan
    who = plan.completer & np.isfinite(baseline)
    return plan.among(who, name)


def _later(plan: Plan, nuisance: Nuisance, blocks: Blocks, rng: np.random.Generator) -> bool:
    """Add the later visits of the endpoints with a longitudinal row."""
    for name in [endpoint for endpoint, analysis in plan.rows if analysis == ANALYSIS]:
        parts = plan.parts if name == plan.total else (name,)
        columns = blocks[name].columns
        score = sum((columns[f"{part}.1"] for part in parts), np.zeros(plan.size))
        found = draw_visits(plan, nuisance, name, score, rng)
        if found is None:
            return False
        blocks[f"{name} later"] = found
    return True


def _together(blocks: Blocks, attempts: int) -> Drawn:
    """Return all blocks as one."""
    columns: Columns = {}
    accepted: dict[str, float] = {}
    for name, block in blocks.items():
        columns |= block.columns
        accepted |= {f"{name}.{key}": value for key, value in block.accepted.items()}
    return Drawn(columns, accepted, {k: b.rounds for k, b in blocks.items()}, attempts)
