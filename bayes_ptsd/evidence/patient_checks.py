"""What makes the rows of a patient file a trial; every violation with its row.

All checks run over all rows before anything is refused, so that a file needs to be corrected once.
Messages quote scores and labels, never the id of a subject.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from bayes_ptsd.errors import EvidenceError, SpecError
from bayes_ptsd.evidence.patient_files import Refusal
from bayes_ptsd.trial import Trial

__all__ = ["Orders", "check_design", "check_rows", "refuse"]

Orders = Mapping[str, tuple[str, ...]]
"""Order of treatments by sequence label; in a parallel trial the label is the treatment."""

# reasons of one message, so that a refused file fits a screen
LISTED = 20
# row numbers of one reason, so that it stays on one line
ROWS_LISTED = 8


def refuse(refusals: Iterable[Refusal], *, where: str, unit: str) -> None:
    """Raise one error that lists all refusals, if any: equal reasons share a line.

    Row 0 is the file as a whole; `unit` is what rows are counted in, "line" or "row".
    """
    rows: dict[str, list[int]] = {}
    for row, reason in sorted(set(refusals)):
        rows.setdefault(reason, []).append(row)
    if not rows:
        return
    count = sum(map(len, rows.values()))
    lines = [f"{where}: {count} refusal{'s' * (count > 1)}, nothing was read"]
    lines += [f"  {_place(found, unit)}{reason}" for reason, found in [*rows.items()][:LISTED]]
    if len(rows) > LISTED:
        more = sum(map(len, [*rows.values()][LISTED:]))
        lines.append(f"  and {more} more for {len(rows) - LISTED} other reasons")
    raise EvidenceError(*lines)


def check_design(trial: Trial) -> None:
    """Refuse a crossover that names other sequences than AB and BA; it may name none yet."""
    if trial.design == "parallel" or not trial.sequences:
        return
    wanted = {(trial.active, trial.control), (trial.control, trial.active)}
    if len(trial.sequences) != 2 or set(trial.sequences.values()) != wanted:
        listed = "; ".join(f"{key}: {', '.join(o)}" for key, o in trial.sequences.items())
        raise SpecError(
            f"{trial.source or trial.name} [sequences]: {listed}. A crossover here has two "
            f"sequences of two periods, {trial.active} then {trial.control} and the reverse; "
            "more periods or sequences are not analyzed"
        )


def check_rows(parsed: pd.DataFrame, trial: Trial) -> tuple[Orders, list[Refusal]]:
    """Return the order of treatments by sequence, inferred if not said, and how rows contradict.

    Refused: duplicates, subjects with two sequences or treatments, treatments that contradict the
    sequence, baselines that vary, a sequence too many or too few, endpoints without a score.
    """
    orders, refusals = (
        _crossover(parsed, trial) if trial.design == "crossover" else _parallel(parsed, trial)
    )
    refusals += _duplicates(parsed)
    refusals += _unequal(
        parsed, ["subject", "period", "endpoint"], "baseline",
        "baseline differs from row {row} of the same subject, period and endpoint",
    )  # fmt: skip
    visits = sorted(parsed["visit"].dropna().unique())
    if not trial.visits and len(visits) > 1:
        listed = ", ".join(visits[:ROWS_LISTED])
        refusals.append((0, f"visits {listed}: give their order and hours under [visits]"))
    return orders, refusals + _without_score(parsed)


def _without_score(parsed: pd.DataFrame) -> list[Refusal]:
    """Refuse endpoints that nobody has a score of."""
    some = parsed.groupby("endpoint", sort=False)["value"].count()
    return [(0, f"endpoint '{name}' has no score at all") for name in some.index[some == 0]]


def _place(rows: Sequence[int], unit: str) -> str:
    """Return the rows of a refusal for people."""
    if rows[0] == 0:
        return ""
    listed = ", ".join(map(str, rows[:ROWS_LISTED]))
    more = f" and {len(rows) - ROWS_LISTED} more" if len(rows) > ROWS_LISTED else ""
    return f"{unit}{'s' * (len(rows) > 1)} {listed}{more}: "


def _parallel(parsed: pd.DataFrame, trial: Trial) -> tuple[Orders, list[Refusal]]:
    """Check that everybody has one treatment and both treatments are there."""
    refusals = _unequal(
        parsed, ["subject"], "treatment", "treatment differs from row {row} of the same subject"
    )
    for treatment in (trial.active, trial.control):
        if not (parsed["treatment"] == treatment).any() and parsed["treatment"].notna().any():
            refusals.append((0, f"nobody has treatment '{treatment}'"))
    return {trial.active: (trial.active,), trial.control: (trial.control,)}, refusals


def _crossover(parsed: pd.DataFrame, trial: Trial) -> tuple[Orders, list[Refusal]]:
    """Check sequences: two of them, one a subject, and the treatment of each row agrees."""
    labels = sorted(parsed["sequence"].dropna().unique())
    orders = dict(trial.sequences) or _inferred(parsed, labels, trial)
    refusals = _unequal(
        parsed, ["subject"], "sequence", "sequence differs from row {row} of the same subject"
    )
    if labels and len(labels) != 2:
        refusals.append((0, f"{_listed('sequence', labels)}; a crossover here needs exactly two"))
    elif len(set(orders.values())) < len(labels):
        refusals.append(
            (0, f"sequences {' and '.join(labels)} have the same order of treatments in the rows")
        )
    names = ["row", "sequence", "period", "treatment"]
    for row, label, period, treatment in _known(parsed, names):
        if orders[label][int(period) - 1] != treatment:
            order = ", then ".join(orders[label])
            reason = f"'{treatment}' in period {period:g} contradicts sequence '{label}' ({order})"
            refusals.append((row, f"treatment {reason}"))
    return orders, refusals


def _inferred(parsed: pd.DataFrame, labels: Sequence[str], trial: Trial) -> Orders:
    """Return the order of treatments in which most rows of each sequence were treated."""
    order = (trial.active, trial.control)
    votes = dict.fromkeys(labels, 0)
    for label, period, treatment in _known(parsed, ["sequence", "period", "treatment"]):
        votes[label] += 1 if (period == 1) == (treatment == trial.active) else -1
    return {label: order if count > 0 else order[::-1] for label, count in votes.items()}


def _listed(what: str, labels: Sequence[str]) -> str:
    """Return the labels for people."""
    if len(labels) == 1:
        return f"all rows have {what} '{labels[0]}'"
    return f"{len(labels)} {what}s: {', '.join(labels[:ROWS_LISTED])}"


def _duplicates(parsed: pd.DataFrame) -> list[Refusal]:
    """Refuse every row whose subject, period, visit and endpoint were there before."""
    first: dict[tuple[Any, ...], int] = {}
    refusals = []
    for row, *keys in _known(parsed, ["row", "subject", "period", "visit", "endpoint"]):
        original = first.setdefault(tuple(keys), row)
        if original != row:
            reason = f"repeats row {original} (subject, period, visit and endpoint are the same)"
            refusals.append((row, reason))
    return refusals


def _unequal(parsed: pd.DataFrame, keys: list[str], column: str, message: str) -> list[Refusal]:
    """Refuse every row whose `column` is not that of the first row with the same keys."""
    first: dict[tuple[Any, ...], tuple[Any, int]] = {}
    refusals = []
    for row, value, *group in _known(parsed, ["row", column, *keys]):
        expected, original = first.setdefault(tuple(group), (value, row))
        if value != expected:
            refusals.append((row, message.format(row=original)))
    return refusals


def _known(parsed: pd.DataFrame, names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """Yield these columns of each row that has all of them."""
    for record in zip(*(parsed[name].tolist() for name in names), strict=True):
        if not any(cell is None or cell != cell for cell in record):
            yield record
