"""Crossovers with one column per period, made into one row per patient and period.

That is how textbooks print them and statistical packages take them. It happens before any cell is
read, so that everything else, the rows of refusals included, is as for files with a row per score.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import pandas as pd

from bayes_ptsd.errors import EvidenceError, nearest
from bayes_ptsd.evidence.patient_files import Cell, PatientTable
from bayes_ptsd.trial import Trial, period_keys

__all__ = ["rows_by_period"]

Held = dict[str, dict[int, str]]
"""Columns by what they hold ("period": scores of the only endpoint) and period."""

PERIOD = "period of the column"
# how columns say their period; the third and fourth are looked for to be refused
NUMERALS = {"1": 1, "2": 2, "3": 3, "4": 4, "i": 1, "ii": 2, "iii": 3, "iv": 4}
ENDPOINT = ("endpoint", "PARAMCD")
STEMS = {"period": "period|p", "treatment": "treatment|trt"}
ONE_FOR_TWO = {
    "period": "rename it, or leave period_1 and period_2 out",
    "treatment": 'if it is the order of treatments, write sequence = "{}"',
    "baseline": 'if it was measured before period 1, write baseline_1 = "{}"',
}
"""What to write where one cell of a patient would be read for two periods."""


def rows_by_period(table: PatientTable, trial: Trial, *, where: str) -> tuple[PatientTable, Trial]:
    """Return one row per patient and period, and the trial that names the columns of these rows.

    Columns of a period are those that the trial file names by ``period_1`` and the like, else those
    whose names say it. A file without them comes back as it is.
    """
    names = [str(name) for name in table.cells.columns]
    named = _named(names, trial, where)
    recognized = _recognized(names, trial, where, scored=bool(_scores(named)))
    held = {**named, **{what: pair for what, pair in recognized.items() if what not in named}}
    if not held:
        return table, trial
    _check(held, names, trial, where)
    joined = {what: " and ".join(pair.values()) for what, pair in held.items()}
    roles = {("value" if what == "period" else what): name for what, name in joined.items()}
    keys = period_keys(trial.endpoints)
    own = {key: name for key, name in trial.columns.items() if key not in keys}
    said = "; ".join(f"{role}: {name}" for role, name in roles.items())
    labels = {joined[what]: _labels(table, pair) for what, pair in held.items()}
    rows = replace(
        table,
        cells=_stacked(table.cells, held, joined),
        row=(*table.row, *table.row),
        labels={**table.labels, **labels},
        notes=(*table.notes, f"read as one column per period, 1 and 2 ({said})"),
    )
    return rows, replace(trial, columns={**own, **roles, "period": PERIOD})


def _labels(table: PatientTable, pair: Mapping[int, str]) -> dict[Cell, str]:
    """Return the value labels of the columns of both periods."""
    found = (table.labels.get(name, {}) for name in pair.values())
    return {cell: text for one in found for cell, text in one.items()}


def _stacked(cells: pd.DataFrame, held: Held, joined: Mapping[str, str]) -> pd.DataFrame:
    """Put the rows of period 2 below those of period 1."""
    used = {name for pair in held.values() for name in pair.values()}
    others = cells[[name for name in cells.columns if name not in used]]

    def filled(cell: object) -> pd.Series:
        return pd.Series([cell] * len(cells), index=cells.index, dtype=object)

    parts = []
    for period in (1, 2):
        own = {
            joined[what]: cells[pair[period]] if period in pair else filled(None)
            for what, pair in held.items()
        }
        parts.append(others.assign(**{PERIOD: filled(period)}, **own))
    return pd.concat(parts, ignore_index=True)


def _named(names: Sequence[str], trial: Trial, where: str) -> Held:
    """Return the columns that the trial file names, all of which must be there."""
    held: Held = {}
    for key, (what, period) in period_keys(trial.endpoints).items():
        if key in trial.columns:
            wanted = str(trial.columns[key])
            found = _spelled(wanted, names)
            if not found:
                near = nearest(wanted, filter(None, names))
                raise EvidenceError(f"{where}: no column '{wanted}' for {key}{near}")
            held.setdefault(what, {})[period] = found[0]
    for what in held.keys() - _whole(held).keys():
        raise EvidenceError(f"{_place(trial)}: {what}_1 and {what}_2 go together; write both")
    return held


def _place(trial: Trial) -> str:
    """Return where the trial names its columns."""
    return f"{trial.source or trial.name} [columns]"


def _spelled(wanted: str, names: Sequence[str]) -> list[str]:
    """Return the column of that name as it is written, else all that differ in case only."""
    return [wanted] if wanted in names else [n for n in names if n.casefold() == wanted.casefold()]


def _whole(held: Held) -> Held:
    """Return what has both periods, and the baseline, which may be of period 1 alone."""
    return {what: pair for what, pair in held.items() if len(pair) == 2 or what == "baseline"}


def _scores(held: Iterable[str]) -> list[str]:
    """Return what holds scores."""
    return [what for what in held if what not in ("baseline", "treatment")]


def _recognized(names: Sequence[str], trial: Trial, where: str, *, scored: bool) -> Held:
    """Return the columns whose names say what they hold, those of scores unless they are named.

    Nothing is recognized in a file that something makes a long one.
    """
    if trial.design != "crossover" or (not scored and _long(names, trial)):
        return {}
    wanted = dict.fromkeys(what for what, _ in period_keys(trial.endpoints).values())
    beside = [what for what in wanted if what not in _scores(wanted)]
    found = {what: _numbered(names, what, where) for what in (beside if scored else wanted)}
    held = _whole({what: pair for what, pair in found.items() if pair})
    if not scored and not _scores(held):
        _refuse_likely(names, trial, where)
        return {}
    return held


def _long(names: Sequence[str], trial: Trial) -> bool:
    """Tell whether a column, in the file or in the trial file, is that of a row per score."""
    columns = {"period", "value", *trial.endpoints}
    known = {"aperiod", "aval", *(name.casefold() for name in columns)}
    return bool(columns & trial.columns.keys() or known & {name.casefold() for name in names})


def _numbered(names: Sequence[str], what: str, where: str) -> dict[int, str]:
    """Return columns named as `what` with a number, such as period1, PERIOD_1 or Period I."""
    name = rf"(?:{STEMS.get(what, re.escape(what))})(?:[ _.-]?0?(\d)|[ _.-](i+|iv))"
    found: dict[int, list[str]] = {}
    for column in names:
        match = re.fullmatch(name, column, re.IGNORECASE)
        numeral = (match[1] or match[2]).casefold() if match else ""
        if numeral in NUMERALS:
            found.setdefault(NUMERALS[numeral], []).append(column)
    if {1, 2} <= found.keys() and (len(found) > 2 or any(len(one) > 1 for one in found.values())):
        listed = ", ".join(column for columns in found.values() for column in columns)
        raise EvidenceError(
            f"{where}: columns {listed} are more than two periods; name those of two periods that "
            f"can stand alone under [columns]: {what}_1 and {what}_2"
        )
    return {period: columns[0] for period, columns in found.items()}


def _refuse_likely(names: Sequence[str], trial: Trial, where: str) -> None:
    """Refuse columns that are likely those of periods or treatments, with what to write."""
    plain = {name.casefold(): name for name in names}
    labels = [plain.get(label.casefold()) for label in (trial.active, trial.control)]
    if all(labels):
        raise EvidenceError(
            f"{where}: columns '{labels[0]}' and '{labels[1]}' are called like the treatments; one "
            "column per treatment is not read: make it one column per period, or one row per "
            "patient and period"
        )
    for first in names:
        for digit in re.finditer("1", first):
            second = plain.get(f"{first[: digit.start()]}2{first[digit.end() :]}".casefold())
            # without a letter they are no names: the file has no header
            if second and first.upper() != first.lower():
                raise EvidenceError(
                    f"{where}: no column 'period' or 'APERIOD' for period; if '{first}' and "
                    f"'{second}' are the scores of periods 1 and 2, write period_1 = \"{first}\" "
                    f'and period_2 = "{second}" under [columns]'
                )


def _check(held: Held, names: Sequence[str], trial: Trial, where: str) -> None:
    """Refuse columns of a period that leave open what they hold, or that hold two things."""
    problems = (
        _unclear(held, trial),
        _named_twice(held, trial),
        _no_endpoint(held, names, trial),
        _one_for_two(held, names, trial),
    )
    for problem in filter(None, problems):
        raise EvidenceError(f"{where}: {problem} under [columns] of the trial file")


def _unclear(held: Held, trial: Trial) -> str:
    """Say why the columns do not tell which of them are the scores of a period."""
    scores = _scores(held)
    both = [key for key in ("period", "value", *trial.endpoints) if key in trial.columns]
    found = ", ".join([*(f"{what}_{period}" for what in held for period in held[what]), *both])
    if trial.design != "crossover":
        return f"a parallel trial has one period; leave {found} out"
    if scores and not both and ("period" not in scores or len(scores) == 1):
        return ""
    named = ", or ".join(f"{key}_1 and {key}_2" for key in ("period", *trial.endpoints))
    return f"{found} leave open which columns are the scores of a period; write {named}"


def _named_twice(held: Held, trial: Trial) -> str:
    """Say which column would hold two things."""
    used = [name for pair in held.values() for name in pair.values()]
    keys = period_keys(trial.endpoints)
    others = {str(name).casefold() for key, name in trial.columns.items() if key not in keys}
    twice = [name for name in used if used.count(name) > 1 or name.casefold() in others]
    return f"column '{twice[0]}' holds one thing; name it once" if twice else ""


def _no_endpoint(held: Held, names: Sequence[str], trial: Trial) -> str:
    """Say that nothing tells the endpoint of the scores."""
    wanted = [str(trial.columns["endpoint"])] if "endpoint" in trial.columns else ENDPOINT
    told = "period" not in held or any(_spelled(name, names) for name in wanted)
    if told or len(trial.endpoints) == 1:
        return ""
    keys = ", or ".join(f"{key}_1 and {key}_2" for key in trial.endpoints)
    listed = " and ".join(held["period"].values())
    return f"{listed} could be of any of {len(trial.endpoints)} endpoints; write {keys}"


def _one_for_two(held: Held, names: Sequence[str], trial: Trial) -> str:
    """Say which column has one cell that would be read for both periods."""
    mapped = {str(name).casefold() for name in trial.columns.values()}
    roles = {"period": "APERIOD", "treatment": "TRTP", "baseline": "BASE"}
    roles |= {key: key for key in trial.endpoints if "period" not in held}
    advice = ONE_FOR_TWO | {key: f"write {key}_1 and {key}_2" for key in trial.endpoints}
    for role, adam in roles.items():
        if role in held and role != "period":
            continue
        wanted = [str(trial.columns[role])] if role in trial.columns else [role, adam]
        for name in (hit for one in wanted for hit in _spelled(one, names)):
            if role in trial.columns or name.casefold() not in mapped:
                return f"column '{name}' has one cell for two periods; {advice[role].format(name)}"
    return ""
