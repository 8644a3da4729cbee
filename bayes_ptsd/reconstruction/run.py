"""Reconstructions: drawn, assembled, verified, and drawn anew where one number does not print.

The endpoints of one are drawn in the order in which they hang on each other, and laid out as all
patients are.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.intervals import FloatArray
from bayes_ptsd.evidence.patient_arrays import outcome_tree
from bayes_ptsd.evidence.published import load_published
from bayes_ptsd.processes import WorkerPool
from bayes_ptsd.provenance import DEFAULT_SEED
from bayes_ptsd.reconstruction.mediator import draw_mediator
from bayes_ptsd.reconstruction.nuisance import Nuisance, load_nuisance
from bayes_ptsd.reconstruction.plan import Plan, plan_of
from bayes_ptsd.reconstruction.single import draw_single, standardized
from bayes_ptsd.reconstruction.sizes import orders_of
from bayes_ptsd.reconstruction.targets import refuse_impossible
from bayes_ptsd.reconstruction.total import Columns, TotalDraw, draw_total
from bayes_ptsd.reconstruction.two_week_threshold import draw_baseline, draw_two_weeks
from bayes_ptsd.reconstruction.verification import Checked, verify
from bayes_ptsd.reconstruction.visits import ANALYSIS, draw_visits

__all__ = ["Drawn", "Reconstruction", "arrange", "draw_patients", "reconstruct", "reconstructions"]

Blocks = dict[str, TotalDraw]
# of an endpoint alone: of 30 sets of the AB/BA trial in tests/test_reconstruct_any.py every first
# start led to scores
RESTARTS = 25
# digits of measured scores below their SD: a limit printed with two digits needs four
FINE = 5


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
    if not plan.joint:
        return _draw_alone(plan, nuisance, rng)
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


def _draw_alone(plan: Plan, nuisance: Nuisance, rng: np.random.Generator) -> Drawn | None:
    """Draw endpoints that stand alone, one after the other; the others follow the first."""
    blocks: Blocks = {}
    lead: Columns = {}
    for name in plan.endpoints:
        baseline = draw_baseline(plan, name, rng) if name in plan.baselines else None
        if (name, "first_period") not in plan.rows and (name, "crossover") not in plan.rows:
            continue
        here = _with_change(plan, name, baseline)
        found = draw_single(here, nuisance, name, lead, rng, baseline=baseline, restarts=RESTARTS)
        if found is None:
            return None
        columns = found.columns
        columns = _filled(plan, name, columns, rng) if f"{name}.2" in columns else columns
        blocks[name] = replace(found, columns=columns)
        lead = lead or {key: columns[key] for key in (f"{name}.1", f"{name}.2") if key in columns}
    return _together(blocks, 1) if _later(plan, nuisance, blocks, rng) else None


def _singles(plan: Plan, nuisance: Nuisance, blocks: Blocks, rng: np.random.Generator) -> bool:
    """Add the endpoints that have rows of their own only."""
    total = blocks[plan.total].columns
    done = {plan.total, plan.mediator, *plan.parts}
    for name in dict.fromkeys(endpoint for endpoint, _ in plan.rows):
        if name in done:
            continue
        baseline = draw_baseline(plan, name, rng) if name in plan.baselines else None
        given: Columns = {}
        if name == plan.threshold_endpoint and baseline is not None:
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
    crossed = (name, "crossover") in plan.rows
    if baseline is None or not plan.analyzes_change or not crossed:
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


def arrange(
    plan: Plan,
    drawn: Drawn,
    *,
    seed: int,
    index: int,
    rng: np.random.Generator,
    priors: str = "",
) -> Evidence:
    """Arrange drawn scores as patients; `rng` shuffles their labels, which would tell their fate.

    Node ``covariates`` has the score at two weeks that decided about the second infusion, the
    reason for which a patient's trial ended, and a late second infusion. `priors` names the file of
    nuisance priors, empty for the default.
    """
    columns, order = _with_totals(plan, drawn), rng.permutation(plan.size)
    values, baseline = _arrays(plan, columns, order)
    decides = plan.threshold_endpoint
    two_weeks = {f"{decides}_2_weeks": columns[f"{decides}.base2"][order]} if decides else {}
    covariates = xr.Dataset(
        {name: ("subject", scores) for name, scores in two_weeks.items()}
        | {
            "reason": ("subject", np.array(plan.reason)[order]),
            "late": ("subject", plan.late[order].astype(float)),
        },
        coords={"subject": values["subject"].values},
    )
    assumptions = {
        "crossover_reading": plan.reading,
        "flow_reading": plan.flow_reading,
        "seed": str(seed),
        "reconstruction": str(index),
        "nuisance": json.dumps({k: round(v, 4) for k, v in drawn.accepted.items()}),
    }
    if priors:
        assumptions["nuisance_priors"] = priors
    tree = outcome_tree(values, baseline=baseline, covariates=covariates)
    trial = plan.evidence.trial
    if trial.design == "crossover" and not trial.sequences:
        trial = replace(trial, sequences=orders_of(trial))
    return Evidence("reconstructed", trial, tree, assumptions=assumptions, source="reconstruct")


def _arrays(
    plan: Plan, columns: dict[str, np.ndarray], order: np.ndarray
) -> tuple[xr.DataArray, xr.DataArray]:
    """Return scores and baselines of the patients in a new order."""
    endpoints, visits = plan.endpoints, list(plan.visits)
    values = np.full((plan.size, plan.periods, len(visits), len(endpoints)), np.nan)
    baseline = np.full((plan.size, plan.periods, len(endpoints)), np.nan)
    for column, drawn in columns.items():
        name, _, what = column.partition(".")
        place, scores = endpoints.index(name), _recorded(plan, name, drawn)
        if what.startswith("base"):
            second = int(what[-1]) - 1
            took_place = plan.infused_twice if second else np.ones(plan.size, bool)
            baseline[:, second, place] = np.where(took_place, scores, np.nan)[order]
        elif what in visits:
            values[:, 0, visits.index(what), place] = scores[order]
        else:
            values[:, int(what) - 1, visits.index(plan.visit(name)), place] = scores[order]
    # a rounded -0.3 is -0.0, which another machine or file would hold as 0.0
    dims, coords = ("subject", "period", "visit", "endpoint"), _coords(plan, order)
    scored = xr.DataArray(values + 0.0, dims=dims, coords=coords)
    before = scored.isel(visit=0, drop=True).copy(data=baseline + 0.0)
    return scored, before.rename("baseline")


def _recorded(plan: Plan, name: str, scores: FloatArray) -> FloatArray:
    """Return scores as recorded, measured ones with digits enough for what is printed."""
    recorded: FloatArray = plan.sign(name) * scores
    if not plan.whole(name):
        recorded = np.round(recorded, FINE - int(np.floor(np.log10(plan.unit(name)))))
    return recorded


def _coords(plan: Plan, order: np.ndarray) -> dict[str, Any]:
    """Return the labels of patients, periods, visits and endpoints."""
    trial, orders = plan.evidence.trial, orders_of(plan.evidence.trial)
    active = {turn[0] == trial.active: name for name, turn in orders.items()}
    sequence = [active[bool(first)] for first in plan.active_first[order]]
    return {
        "subject": [f"R{number:02d}" for number in range(1, plan.size + 1)],
        "period": list(range(1, plan.periods + 1)),
        "visit": list(plan.visits),
        "endpoint": plan.endpoints,
        "sequence": ("subject", sequence),
        "treatment": (("subject", "period"), [list(orders[name]) for name in sequence]),
        "hours": ("visit", list(plan.visits.values())),
    }


def _with_totals(plan: Plan, drawn: Drawn) -> dict[str, np.ndarray]:
    """Add the sum of the parts wherever all parts have a score."""
    columns = dict(drawn.columns)
    for what in ("base1", "1", "base2", "2"):
        parts = [columns[f"{part}.{what}"] for part in plan.parts if f"{part}.{what}" in columns]
        if parts:
            columns[f"{plan.total}.{what}"] = np.sum(parts, axis=0)
    return columns


# all 200 sets drawn for the shipped release agreed at once, so ten that do not are no accident
TRIES = 10


@dataclass(frozen=True)
class Reconstruction:
    """One verified reconstruction and what it took.

    Attributes
    ----------
    checked : list of Checked
        Every printed number with the recomputed one; all agree.
    drawn : int
        Sets of patients that were drawn and verified until this one agreed.
    starts : int
        Starts of the search from its first step on.
    seconds, verifying : float
        Time to draw, and to verify.
    """

    patients: Evidence
    checked: list[Checked]
    drawn: int
    starts: int
    seconds: float
    verifying: float


def reconstruct(
    evidence: Evidence | None = None,
    *,
    m: int = 20,
    reading: str = "as_published",
    flow_reading: str = "paper",
    seed: int = DEFAULT_SEED,
    nuisance: str | Path | None = None,
    workers: int = 1,
) -> list[Evidence]:
    """Reconstruct patients whose whole scores print every result of the paper at once.

    Parameters
    ----------
    evidence : Evidence, optional
        Printed numbers as `load_published` returns them; those of the shipped paper otherwise.
    m : int
        How many sets of patients.
    reading : {"as_published", "unhalved", "change", "change_unhalved", "carryover_covariate"}
        How the printed crossover rows are read.
    flow_reading : {"paper", "registry"}
        How the flow of patients is read.
    seed : int
        The same seed gives the same patients, whatever the number of workers.
    nuisance : str or Path, optional
        File of priors for what print leaves open, or the name of one of ``models/nuisance``
        (``wide``, ``low-correlation``, ``high-correlation``); ``reconstruction`` otherwise.
    workers : int
        Processes that share the work.

    Returns
    -------
    list of Evidence
        Of kind ``reconstructed``, laid out as `load_patients` does: every printed number has been
        recomputed from each with statsmodels. They are not the patients of the trial.

    Raises
    ------
    EvidenceError
        If the printed numbers contradict each other, something that a reconstruction needs is not
        printed, a reading is unknown, or no patients are found.
    SpecError
        If the file of priors is not valid.

    Examples
    --------
    >>> patients = reconstruct(m=1, reading="change", seed=7)[0]
    >>> patients.kind, patients.data["outcomes"].sizes["subject"]
    ('reconstructed', 41)
    """
    made = reconstructions(
        evidence, m=m, reading=reading, flow_reading=flow_reading, seed=seed,
        nuisance=nuisance, workers=workers,
    )  # fmt: skip
    return [one.patients for one in made]


def reconstructions(
    evidence: Evidence | None = None,
    *,
    m: int,
    reading: str = "as_published",
    flow_reading: str = "paper",
    seed: int = DEFAULT_SEED,
    nuisance: str | Path | None = None,
    workers: int = 1,
) -> Iterator[Reconstruction]:
    """Yield reconstructions with what each took; arguments and refusals as in `reconstruct`."""
    if m < 1 or workers < 1:
        raise EvidenceError(f"'m' and 'workers' must be at least 1; got {m} and {workers}")
    printed = load_published() if evidence is None else evidence
    plan = plan_of(printed, reading=reading, flow_reading=flow_reading)
    if not plan.joint:
        refuse_impossible(plan)
    priors = load_nuisance(nuisance, joint=plan.joint)
    one = partial(_one, plan, priors, seed)
    yield from map(one, range(m)) if workers == 1 else _shared(one, m, workers)


def _shared(one: Callable[[int], Reconstruction], m: int, workers: int) -> Iterator[Reconstruction]:
    """Yield reconstructions made by several processes, in order."""
    with WorkerPool(min(workers, m), label=_name) as pool:
        yield from pool.map(one, range(m))


def _name(index: int) -> str:
    """Return a task in words."""
    return f"set {index + 1} of reconstructed patients"


def _one(plan: Plan, nuisance: Nuisance, seed: int, index: int) -> Reconstruction:
    """Return one reconstruction, the same whatever the others are."""
    begun, starts, verifying = time.perf_counter(), 0, 0.0
    for drawn in range(1, TRIES + 1):
        rng = np.random.default_rng([seed, index, drawn])
        found = draw_patients(plan, nuisance, rng)
        if found is None:
            continue
        starts += found.attempts
        patients = arrange(plan, found, seed=seed, index=index, rng=rng, priors=nuisance.label)
        checking = time.perf_counter()
        checked = verify(patients, plan.evidence, plan=plan)
        verifying += time.perf_counter() - checking
        if all(number.agrees for number in checked):
            seconds = time.perf_counter() - begun - verifying
            return Reconstruction(patients, checked, drawn, starts, seconds, verifying)
    raise EvidenceError(
        f"reading '{plan.reading}', flow_reading '{plan.flow_reading}': no patients found that "
        "print every number; the evidence may contradict itself (see the audit), or the priors of "
        f"{nuisance.source} leave no room"
    )
