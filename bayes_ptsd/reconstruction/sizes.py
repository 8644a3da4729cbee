"""Who takes part: patients by sequence and fate, from the flow of patients or numbers of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from bayes_ptsd.audit.flow import pick_steps, total_count
from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.reconstruction.boxes import PrintedRow
from bayes_ptsd.trial import Trial

__all__ = ["FEWEST", "orders_of", "patients_of", "patients_of_flow"]

Rows = Mapping[tuple[str, str], PrintedRow]
Patients = dict[str, list[tuple[str, str]]]
"""Fate and reason of every patient, by sequence."""
# patients of a group: with one there is no spread within it
FEWEST = 2


def orders_of(trial: Trial) -> dict[str, tuple[str, ...]]:
    """Return the order of treatments by sequence: as named, else AB and BA, or by treatment."""
    if trial.design == "parallel":
        return {trial.active: (trial.active,), trial.control: (trial.control,)}
    both = (trial.active, trial.control)
    return dict(trial.sequences) or {"AB": both, "BA": both[::-1]}


def patients_of(
    evidence: Evidence, rows: Rows, baselines: Sequence[tuple[int, ...]], reading: str
) -> Patients:
    """Return fate and reason of every patient of endpoints that stand alone.

    From the flow of patients where it has those randomized and, of a crossover, those who completed
    both periods by sequence; else from n of the rows, the larger of all. A number for both groups
    together is split evenly, active first one more where it is odd.
    """
    orders = orders_of(evidence.trial)
    names = [next(name for name, order in orders.items() if order[0] == treatment)
             for treatment in (evidence.trial.active, evidence.trial.control)]  # fmt: skip
    twice = _of_flow(evidence, "completed_second", names, reading)
    everybody = _of_flow(evidence, "randomized", names, reading)
    if everybody is None or (twice is None and evidence.trial.design == "crossover"):
        everybody, twice = _of_rows(evidence, rows, baselines)
    twice = everybody if evidence.trial.design == "parallel" else twice or (0, 0)
    found = {}
    for name, count, both in zip(names, everybody, twice, strict=True):
        if not count >= FEWEST or both > count:
            raise EvidenceError(
                f"{evidence.source}: {count} patients of sequence '{name}', {both} of them rated "
                f"in both periods; give {FEWEST} or more, in flow.csv or as n_active and n_control"
            )
        stays = ("completed_second", "rated in every period")
        found[name] = [stays] * both + [("left_after_first", "not rated twice")] * (count - both)
    return found


def _of_flow(
    evidence: Evidence, stage: str, names: Sequence[str], reading: str
) -> tuple[int, int] | None:
    """Return the people of a stage by sequence, None where the flow does not have them."""
    if "flow" not in evidence.data.children:
        return None
    flow = evidence.data["flow"].to_dataset()
    if not all(pick_steps(flow, stage, sequence=name, reading=reading) for name in names):
        return None
    first, second = (total_count(flow, stage, sequence=name, reading=reading) for name in names)
    return first, second


def _of_rows(
    evidence: Evidence, rows: Rows, baselines: Sequence[tuple[int, ...]]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return everybody and those rated twice, active first and control first, by n of the rows."""
    effects = evidence.data["effects"].to_dataset()
    once, twice = [(n[0], n[1]) for n in baselines], [(0, 0)]
    for (_, analysis), row in rows.items():
        here = effects.sel(contrast=row.id)
        arms = [float(here[name]) for name in ("n_active", "n_control")]
        whole = float(here["n"].fillna(sum(arms)))
        if np.isnan(whole):
            raise EvidenceError(
                f"{evidence.source or 'evidence'}, row '{row.id}': patients cannot be "
                "reconstructed without their number; fill in n, or n_active and n_control, in "
                "effects.csv"
            )
        # in a crossover both groups of a row are all its patients
        separate = not np.isnan(sum(arms)) and analysis != "crossover"
        pair = (arms[0], arms[1]) if separate else (np.ceil(whole / 2), np.floor(whole / 2))
        counts = int(pair[0]), int(pair[1])
        (twice if analysis == "crossover" else once).append(counts)
    both = max(n[0] for n in twice), max(n[1] for n in twice)
    everybody = max(n[0] for n in (*once, both)), max(n[1] for n in (*once, both))
    return everybody, both


def patients_of_flow(evidence: Evidence, reading: str) -> Patients:
    """Return fate and reason of every patient by sequence, as the flow has them."""
    flow = evidence.data["flow"].to_dataset()
    unplaced = _unplaced(evidence, flow, reading)
    found = {}
    for sequence in evidence.trial.sequences:
        done = total_count(flow, "completed_second", sequence=sequence, reading=reading)
        lines = _lines(flow, "delayed", sequence)
        both = [("completed_second", "second infusion completed")] * (done - len(lines))
        second = total_count(flow, "second_infusion", sequence=sequence, reading=reading)
        after = _lines(flow, "left_after_second", sequence)
        ended = _lines(flow, "completed_first", sequence)
        randomized = total_count(flow, "randomized", sequence=sequence, reading=reading)
        early = randomized - len(ended) - second
        mine = [line for line in unplaced if line[2] == sequence] if len(unplaced) else []
        leavers = [("left_after_first", reason) for _, reason, _ in mine]
        if len(leavers) != early or done + len(after) != second:
            raise EvidenceError(
                f"flow of patients, {sequence}, flow_reading '{reading}': {randomized} randomized, "
                f"{second} infused twice, {done} rated twice do not close; see the audit"
            )
        found[sequence] = [*both, *lines, *ended, *after, *leavers]
    return found


def _lines(flow: xr.Dataset, stage: str, sequence: str) -> list[tuple[str, str]]:
    """Return one line per patient of a stage."""
    here = flow.isel(step=(flow["stage"].values == stage) & (flow["sequence"].values == sequence))
    pairs = zip(here["item"].values.tolist(), here["count"].values.tolist(), strict=True)
    return [(stage, str(item)) for item, count in pairs for _ in range(int(count))]


def _unplaced(evidence: Evidence, flow: xr.Dataset, reading: str) -> list[tuple[str, str, str]]:
    """Return who left after the first infusion, in the sequences that the reading has room in."""
    here = flow.isel(step=flow["stage"].values == "left_after_first")
    lines = [
        (str(step), str(item), str(sequence))
        for step, item, sequence, count in zip(
            *(here[name].values.tolist() for name in ("step", "item", "sequence", "count")),
            strict=True,
        )
        for _ in range(int(count))
    ]
    room = {}
    for sequence in evidence.trial.sequences:
        counts = [
            total_count(flow, stage, sequence=sequence, reading=reading)
            for stage in ("randomized", "completed_first", "second_infusion")
        ]
        room[sequence] = counts[0] - counts[1] - counts[2]
    placed = []
    for step, item, sequence in lines:
        # under another reading of the flow the same people belong to the other sequence
        other = next((name for name, left in room.items() if left > 0), sequence)
        chosen = sequence if room.get(sequence, 0) > 0 else other
        room[chosen] -= 1
        placed.append((step, item, chosen))
    return placed
