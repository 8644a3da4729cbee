"""Rows of the metapsy data standard [1]_ as printed results: one row a comparison of two arms.

Arm 1 is taken for the active one. Of the groups of columns that a row may fill, the first that it
does is used: means with SDs and n, changes with SDs and n, the Hedges' g of metapsyTools (``.g``),
a pre-calculated one; for ratios events with totals, then log risk ratios. ``NA`` is an empty cell.
The standard leaves the sign of g open: it is that which ``.g`` has beside the means of other rows.

References
----------
.. [1] Metapsy project. Data format. https://docs.metapsy.org/data-preparation/format
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bayes_ptsd.errors import EvidenceError, nearest, shown
from bayes_ptsd.evidence.csv_table import Table
from bayes_ptsd.inputs import LARGEST

__all__ = ["is_metapsy", "metapsy_measure", "metapsy_rows"]

MARK = ("condition_arm1", "condition_arm2")
"""The columns that every such table has, and a plain one has not."""
DESIGN = (
    "condition_arm1", "condition_arm2", "multi_arm1", "multi_arm2", "outcome_type", "instrument",
    "time", "time_weeks", "rating",
)  # fmt: skip
"""Columns in which the rows of one study may differ."""
MEANS = (
    ("mean_arm", "sd_arm", "n_arm"),
    ("mean_change_arm", "sd_change_arm", "n_change_arm"),
)
"""Groups of columns of scores, before the number of the arm."""
CALCULATED = {
    "smd": ((".g", ".g_se"), ("precalc_g", "precalc_g_se")),
    "rr": ((".log_rr", ".log_rr_se"), ("precalc_log_rr", "precalc_log_rr_se")),
}
COUNTED = ("or", "rr", "rd")
HARM = ("deterioration",)
"""Types of outcome whose events are bad; of response and remission they are good."""
Rows = list[tuple[int, dict[str, Any]]]


def is_metapsy(table: Table) -> bool:
    """Tell a table by the metapsy data standard from a plain one."""
    return set(MARK) <= set(table.rows[0])


def metapsy_measure(table: Table) -> str:
    """Return the measure of a table where none is asked for: smd if a row has scores, else rr."""
    for index in range(len(table.rows)):
        if _scores(table, index) or _calculated(table, index, "smd"):
            return "smd"
    return "rr"


def metapsy_rows(
    table: Table, measure: str, *, better: str = "", where: Sequence[str] = ()
) -> tuple[Rows, list[str], list[str]]:
    """Return rows as printed results, sentences on rows that have none, and on how it was read.

    Scores are taken for symptoms, lower better, and events for good ones except of deterioration,
    unless `better` says otherwise.
    """
    if measure not in ("md", "smd", *COUNTED):
        raise EvidenceError(
            f"{table.file}: the metapsy data standard has no {measure}; ask for smd, md, or, rr or "
            "rd (--measure)"
        )
    chosen = _chosen(table, where)
    sign = _sign_of_g(table) if measure == "smd" else 1
    found: Rows = []
    left_out = []
    for index in chosen:
        row = _printed(table, index, measure, sign)
        if row is None:
            left_out.append(
                f"line {table.lines[index]} ({table.rows[index]['study']}): {_lacking(measure)}"
            )
            continue
        row["better"] = better or _better(table.rows[index], measure)
        found.append((index, row))
    if not found:
        raise EvidenceError(
            f"{table.file}: no row of {len(chosen)} makes a {measure}: {_lacking(measure)}; "
            "ask for another measure (--measure), or other rows (--where)"
        )
    _check_one_row_each(table, [index for index, _ in found])
    return found, left_out, _notes(table, found, measure, better, len(chosen))


def _printed(table: Table, index: int, measure: str, sign: int) -> dict[str, Any] | None:
    """Return a row as a printed result, None where it has none of this measure."""
    if measure in ("md", "smd") and (scores := _scores(table, index)):
        return {"measure": measure, **scores}
    if measure in COUNTED and (counts := _counts(table, index)):
        return {"measure": measure, "counts": counts}
    found = _calculated(table, index, measure)
    if found is None or not sign:
        return None
    estimate, se = sign * found[0], found[1]
    if measure == "rr" and abs(estimate) > math.log(LARGEST):
        table.refuse(index, ".log_rr", f"{estimate:g} is no logarithm of a risk ratio")
    printed = math.exp(estimate) if measure == "rr" else estimate
    return {"measure": measure, "estimate": printed, "se": se}


def _scores(table: Table, index: int) -> dict[str, float]:
    """Return means, SDs and n of both arms by the words of a printed result, or nothing."""
    for columns in MEANS:
        found = {
            f"{word}_{arm}": _value(table, index, f"{column}{number}")
            for number, arm in ((1, "active"), (2, "control"))
            for word, column in zip(("mean", "sd", "n"), columns, strict=True)
        }
        if all(value is not None for value in found.values()):
            return {key: value for key, value in found.items() if value is not None}
    return {}


def _counts(table: Table, index: int) -> str:
    """Return events of both arms as counts are typed, or nothing."""
    cells = []
    for number in (1, 2):
        for column in (f"event_arm{number}", f"totaln_arm{number}"):
            value = _value(table, index, column)
            if value is None:
                return ""
            if value < 0 or value % 1:
                table.refuse(index, column, f"{value:g} is no number of patients")
            cells.append(f"{value:.0f}")
    return f"{cells[0]}/{cells[1]} {cells[2]}/{cells[3]}"


def _calculated(table: Table, index: int, measure: str) -> tuple[float, float] | None:
    """Return an estimate that the table has calculated, with its standard error."""
    for estimate, se in CALCULATED.get(measure, ()):
        pair = _value(table, index, estimate), _value(table, index, se)
        if pair[0] is not None and pair[1] is not None:
            return pair[0], pair[1]
    return None


def _value(table: Table, index: int, column: str) -> float | None:
    """Return a cell as a number, None where it is empty or NA."""
    cell = table.rows[index].get(column, "")
    if cell in ("", "NA", "NaN"):
        return None
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not abs(value) <= LARGEST:
        table.refuse(index, column, f"'{shown(cell)}' is not a number; write digits, or NA")
    return value


def _better(row: Mapping[str, str], measure: str) -> str:
    """Return the direction of benefit of a row by the type of its outcome."""
    if measure in ("md", "smd") or row.get("outcome_type", "") in HARM:
        return "lower"
    return "higher"


def _chosen(table: Table, where: Sequence[str]) -> list[int]:
    """Return the rows that have the values asked for."""
    rows = list(range(len(table.rows)))
    for text in where:
        column, equals, value = text.partition("=")
        column, value = column.strip(), value.strip()
        if not equals:
            raise EvidenceError(f"--where '{shown(text)}': write COLUMN=VALUE, as time=post")
        if column not in table.rows[0]:
            raise EvidenceError(
                f"--where '{shown(text)}': {table.file} has no such column"
                f"{nearest(column, table.rows[0])}"
            )
        rows = [index for index in rows if table.rows[index][column] == value]
        if not rows:
            values = {row[column] for row in table.rows}
            raise EvidenceError(
                f"--where '{shown(text)}': no row of {table.file} is left{nearest(value, values)}"
            )
    return rows


def _check_one_row_each(table: Table, indices: Sequence[int]) -> None:
    """Refuse a study with several rows, naming the columns in which they differ."""
    by_study: dict[str, list[int]] = {}
    for index in indices:
        by_study.setdefault(table.rows[index]["study"], []).append(index)
    for rows in by_study.values():
        if len(rows) == 1:
            continue
        lines = ", ".join(str(table.lines[index]) for index in rows[:5])
        differ = [
            column for column in DESIGN if len({table.rows[i].get(column, "") for i in rows}) > 1
        ]
        first = table.rows[rows[0]]
        example = f"--where '{differ[0]}={first[differ[0]]}'" if differ else ""
        table.refuse(
            rows[1], "study", f"has {len(rows)} rows (lines {lines}), whose patients would count "
            + (f"more than once; they differ in {', '.join(differ)}: choose, as {example}"
               if differ else "more than once, with nothing to choose by; keep one of them")
        )  # fmt: skip


def _lacking(measure: str) -> str:
    """Say which columns a row has not filled."""
    if measure in COUNTED:
        more = ", no log risk ratio" if measure == "rr" else ""
        return f"no events with totals of both arms{more}"
    more = ", no g whose sign is known" if measure == "smd" else ""
    return f"no means or changes with SDs and n of both arms{more}"


def _sign_of_g(table: Table) -> int:
    """Return by which sign ``.g`` is arm 1 minus arm 2: 1, or -1, or 0 where rows contradict.

    Rows that have it beside means tell; where none does, it is 1.
    """
    signs = set()
    for index in range(len(table.rows)):
        scores, g = _scores(table, index), _value(table, index, ".g")
        gap = scores["mean_active"] - scores["mean_control"] if scores else 0.0
        if g and gap:
            signs.add(1 if gap * g > 0 else -1)
    return sum(signs) if len(signs) == 2 else signs.pop() if signs else 1


def _notes(table: Table, found: Rows, measure: str, better: str, chosen: int) -> list[str]:
    """Return sentences on how the table was read."""
    notes = [
        f"metapsy data standard: {len(found)} of {len(table.rows)} rows used, {chosen} chosen; arm "
        "1 is taken for the active one"
    ]
    scores = measure in ("md", "smd")
    if not better:
        taken = "lower scores are" if scores else "events, except of deterioration, are"
        notes.append(f"{taken} taken for benefit (--better says otherwise)")
    ready = sum("estimate" in row for _, row in found)
    if ready:
        turned = scores and _sign_of_g(table) < 0
        how = "turned, as it has the opposite sign of means in other rows" if turned else (
            "taken as arm 1 minus arm 2"
        )  # fmt: skip
        notes.append(f"estimates that the table has calculated: {ready}, {how}")
    return notes
