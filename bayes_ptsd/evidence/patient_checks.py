"""What makes the rows of a patient file a trial; every violation with its row.

All checks run over all rows before anything is refused, so that a file needs to be corrected once.
Messages quote scores and labels, never the id of a subject.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayes_ptsd.errors import EvidenceError, SpecError
from bayes_ptsd.evidence.patient_derived import averaged, to_average
from bayes_ptsd.evidence.patient_files import Refusal
from bayes_ptsd.evidence.quoting import Quotes
from bayes_ptsd.trial import Trial

__all__ = ["Orders", "check_design", "check_rows", "refuse", "unequal"]

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
    table = pd.DataFrame([*refusals], columns=["row", "reason"]).drop_duplicates()
    if table.empty:
        return
    groups = table.groupby("reason")["row"]
    reasons = groups.agg(["min", "size"]).reset_index().sort_values(["min", "reason"])
    listed = reasons["reason"].tolist()[:LISTED]
    rows = table[table["reason"].isin(listed)].groupby("reason")["row"]
    count = len(table)
    lines = [f"{where}: {count} refusal{'s' * (count > 1)}, nothing was read"]
    lines += [f"  {_place(sorted(rows.get_group(one)), unit)}{one}" for one in listed]
    if len(reasons) > LISTED:
        more = int(reasons["size"][LISTED:].sum())
        lines.append(f"  and {more} more for {len(reasons) - LISTED} other reasons")
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


def check_rows(
    parsed: pd.DataFrame, trial: Trial, *, quoted: Quotes
) -> tuple[Orders, list[Refusal]]:
    """Return the order of treatments by sequence, inferred if not said, and how rows contradict.

    Refused: duplicates, subjects with two sequences or treatments, treatments that contradict the
    sequence, baselines that vary, a sequence too many or too few, endpoints without a score.
    Subjects whose numbers start again in each sequence are one refusal, and judged no further.
    """
    label = "sequence" if trial.design == "crossover" else "treatment"
    again, refusals = _numbered_again(parsed, label)
    once = parsed[~parsed["subject"].isin(again)]
    orders, contradictions = (
        _crossover(parsed, once, trial, quoted)
        if trial.design == "crossover"
        else _parallel(parsed, once, trial)
    )
    refusals += contradictions + _duplicates(once[~averaged(once, trial)], trial)
    refusals += unequal(
        once, ["subject", "period", "endpoint"], "baseline",
        "baseline differs from row {row} of the same subject, period and endpoint",
    )  # fmt: skip
    visits = sorted(parsed["visit"].dropna().unique())
    if not trial.visits and len(visits) > 1:
        listed = _labels(visits, parsed, quoted)
        refusals.append((0, f"visits {listed}: give their order and hours under [visits]"))
    return orders, refusals + _without_score(parsed)


def _without_score(parsed: pd.DataFrame) -> list[Refusal]:
    """Refuse endpoints whose cells are all empty."""
    some = parsed.groupby("endpoint", sort=False)["given"].any()
    return [(0, f"endpoint '{name}' has no score at all") for name in some.index[~some]]


def _place(rows: Sequence[int], unit: str) -> str:
    """Return the rows of a refusal for people."""
    if rows[0] == 0:
        return ""
    listed = ", ".join(map(str, rows[:ROWS_LISTED]))
    more = f" and {len(rows) - ROWS_LISTED} more" if len(rows) > ROWS_LISTED else ""
    return f"{unit}{'s' * (len(rows) > 1)} {listed}{more}: "


def _numbered_again(parsed: pd.DataFrame, label: str) -> tuple[set[str], list[Refusal]]:
    """Find subjects who have the same period under two labels: two people of one number.

    One such subject can be a wrong row, which is told by its row.
    """
    keys = ["subject", "period", "visit", "endpoint"]
    known = parsed.dropna(subset=[*keys, label])
    pairs = known[["subject", label]].drop_duplicates()
    several = pairs["subject"][pairs["subject"].duplicated()]
    counts = known[known["subject"].isin(several)].groupby(keys, sort=False)[label].nunique()
    again = set(counts.index.get_level_values("subject")[counts > 1])
    if len(again) < 2:
        return set(), []
    one = "each sequence" if label == "sequence" else "each arm"
    example = " (AB-01, BA-01)" if label == "sequence" else ""
    both = "in both sequences" if label == "sequence" else "under both treatments"
    return again, [
        (0, f"{len(again)} subjects occur {both}: if numbering starts again in {one}, make ids "
         f"unique{example}")
    ]  # fmt: skip


def _parallel(
    parsed: pd.DataFrame, once: pd.DataFrame, trial: Trial
) -> tuple[Orders, list[Refusal]]:
    """Check that everybody has one treatment and both treatments are there."""
    refusals = unequal(
        once, ["subject"], "treatment", "treatment differs from row {row} of the same subject"
    )
    for treatment in (trial.active, trial.control):
        if not (parsed["treatment"] == treatment).any() and parsed["treatment"].notna().any():
            refusals.append((0, f"nobody has treatment '{treatment}'"))
    return {trial.active: (trial.active,), trial.control: (trial.control,)}, refusals


def _crossover(
    parsed: pd.DataFrame, once: pd.DataFrame, trial: Trial, quoted: Quotes
) -> tuple[Orders, list[Refusal]]:
    """Check sequences: two of them, one a subject, and the treatment of each row agrees."""
    labels = sorted(parsed["sequence"].dropna().unique())
    orders = dict(trial.sequences) or _inferred(parsed, labels, trial)
    refusals = unequal(
        once, ["subject"], "sequence", "sequence differs from row {row} of the same subject"
    )
    if labels and len(labels) != 2:
        listed = _listed(labels, parsed, trial, quoted)
        return orders, [*refusals, (0, f"{listed}; a crossover here needs exactly two")]
    if len(set(orders.values())) < len(labels):
        refusals.append(
            (
                0,
                f"sequences {_labels(labels, parsed, quoted)} have the same order of treatments in "
                "the rows",
            )
        )
    return orders, refusals + _contradictions(parsed, orders, trial, quoted)


def _contradictions(
    parsed: pd.DataFrame, orders: Orders, trial: Trial, quoted: Quotes
) -> list[Refusal]:
    """Refuse rows whose treatment is not that of their sequence in their period."""
    known = parsed.dropna(subset=["sequence", "period", "treatment"])
    refusals: list[Refusal] = []
    groups: Any = known.groupby(["sequence", "period", "treatment"], sort=False)["row"]
    for (label, period, treatment), rows in groups:
        if orders[label][int(period) - 1] != treatment:
            order = f"sequence {quoted(label, trial.sequences)} ({', then '.join(orders[label])})"
            reason = f"treatment '{treatment}' in period {period:g} contradicts {order}"
            refusals += [(row, reason) for row in rows]
    return refusals


def _inferred(parsed: pd.DataFrame, labels: Sequence[str], trial: Trial) -> Orders:
    """Return the order of treatments in which most rows of each sequence were treated."""
    order = (trial.active, trial.control)
    known = parsed.dropna(subset=["sequence", "period", "treatment"])
    first = (known["period"] == 1) == (known["treatment"] == trial.active)
    votes = pd.Series(np.where(first, 1, -1)).groupby(known["sequence"].to_numpy()).sum()
    return {label: order if votes.get(label, 0) > 0 else order[::-1] for label in labels}


def _listed(labels: Sequence[str], parsed: pd.DataFrame, trial: Trial, quoted: Quotes) -> str:
    """Return the labels of sequences for people."""
    listed = _labels(labels, parsed, quoted)
    if len(labels) == 1:
        return f"all rows have sequence {quoted(labels[0], trial.sequences)}"
    return f"{len(labels)} sequences: {listed}"


def _labels(labels: Sequence[str], parsed: pd.DataFrame, quoted: Quotes) -> str:
    """List labels, unless there are as many as patients: then they may be patients."""
    if len(labels) > parsed["subject"].nunique():
        return "not shown, as there are more than patients: is it another column?"
    return ", ".join(quoted(one).strip("'") for one in labels[:ROWS_LISTED])


def _duplicates(parsed: pd.DataFrame, trial: Trial) -> list[Refusal]:
    """Refuse every row whose subject, period, visit and endpoint were there before."""
    keys = ["subject", "period", "visit", "endpoint"]
    known = parsed.dropna(subset=keys)
    repeated = known.duplicated(subset=keys, keep=False)
    known = known[repeated]
    original = known.groupby(keys, sort=False)["row"].transform("first")
    again = known["row"] != original
    reason = "repeats row {} (subject, period, visit and endpoint are the same)"
    return [
        (row, reason.format(at) + to_average(endpoint, trial))
        for row, at, endpoint in zip(
            known["row"][again], original[again], known["endpoint"][again], strict=True
        )
    ]


def unequal(parsed: pd.DataFrame, keys: list[str], column: str, message: str) -> list[Refusal]:
    """Refuse every row whose `column` is not that of the first row with the same keys."""
    known = parsed.dropna(subset=[*keys, column])
    groups = known.groupby(keys, sort=False)
    first = groups[column].transform("first")
    wrong = known[column].to_numpy() != first.to_numpy()
    if not wrong.any():
        return []
    original = groups["row"].transform("first")
    return [
        (row, message.replace("{row}", str(at)))  # a name in it may have braces
        for row, at in zip(known["row"][wrong], original[wrong], strict=True)
    ]
