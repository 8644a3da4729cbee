"""Tables of many studies of one question: each row a printed result, refused by row and column.

A plain table has a column ``study`` and the words of `bayes_ptsd.evidence.measures.ROW`, a row per
study. A table by the metapsy data standard is known by its columns ``condition_arm1`` and
``condition_arm2`` (`bayes_ptsd.evidence.metapsy`). Estimates keep the sign of print; `Study.sign`
says which direction is benefit.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bayes_ptsd.errors import (
    EvidenceError,
    StatisticalWarning,
    nearest,
    refuse_unknown_keys,
    shown,
)
from bayes_ptsd.evidence.csv_table import Table, read_table
from bayes_ptsd.evidence.measures import (
    DIRECTIONS,
    MEASURES,
    ROW,
    Counts,
    PrintedResult,
    printed_result,
)
from bayes_ptsd.evidence.metapsy import is_metapsy, metapsy_measure, metapsy_rows

__all__ = ["Studies", "Study", "read_studies"]

TEXTS = ("measure", "counts", "better")
"""Words of a row that are no numbers."""
BESIDE = ("source", "note")
"""Columns of a plain table that are kept for people."""


@dataclass(frozen=True)
class Study:
    """One study of a table: what was printed, and what is computed from it."""

    name: str
    line: int  # of the file
    row: Mapping[str, Any]  # words of `bayes_ptsd.evidence.measures.ROW`, as printed
    result: PrintedResult  # turned to the direction of the first study of the table
    decimals: Mapping[str, int] = field(default_factory=dict)  # printed digits after the point

    @property
    def estimate(self) -> float:
        """The estimate where it is analyzed, positive = active treatment better."""
        return self.result.sign * self.result.estimate


@dataclass(frozen=True)
class Studies:
    """The studies of a table, of one measure, with what was left out of it and why."""

    file: str
    studies: tuple[Study, ...]
    left_out: tuple[str, ...] = ()  # sentences, one a row
    notes: tuple[str, ...] = ()  # sentences on how the table was read

    @property
    def measure(self) -> str:
        """The measure of every study, a key of `bayes_ptsd.evidence.measures.MEASURES`."""
        return self.studies[0].result.measure

    @property
    def better(self) -> str:
        """The direction of benefit in which every result is: lower or higher."""
        return self.studies[0].result.better


def read_studies(
    path: Path, *, measure: str = "", better: str = "", where: Sequence[str] = ()
) -> Studies:
    """Read a table of studies, plain or by the metapsy data standard.

    `measure` and `better` hold for rows that do not say their own; `where` keeps the rows of a
    metapsy table whose columns have these values, as ``"time=post"``. Refused, naming file, line,
    study and column: what no study prints, more rows than one of a study, studies of several
    measures, ratios that are better in different directions. Differences of the other direction
    than the first are turned, which the notes say.
    """
    if measure and measure not in MEASURES:
        raise EvidenceError(f"unknown measure '{shown(measure)}'{nearest(measure, MEASURES)}")
    if better and better not in DIRECTIONS:
        raise EvidenceError(f"better is '{shown(better)}': say lower or higher")
    table = read_table(path, path.name, required=["study"], key="study", any_column=True)
    found = (
        _metapsy(table, measure, better, where)
        if is_metapsy(table)
        else _plain(table, measure, better, where)
    )
    _check_one_question(found)
    return _in_one_direction(found)


def _plain(table: Table, measure: str, better: str, where: Sequence[str]) -> Studies:
    """Return the studies of a plain table."""
    columns = tuple(table.rows[0])
    refuse_unknown_keys(
        columns, {"study", *ROW, *BESIDE}, f"{table.file}, line 1", error=EvidenceError
    )
    if where:
        raise EvidenceError(
            f"{table.file}: rows are chosen (--where) in tables by the metapsy data standard, which"
            " have columns condition_arm1 and condition_arm2; keep the rows of one question"
        )
    _check_names(table)
    numbers = {name: table.number(name) for name in ROW if name not in TEXTS}
    decimals = {name: table.decimals(name) for name in numbers}
    studies = []
    for index, cells in enumerate(table.rows):
        texts = {name: cells.get(name, "") for name in TEXTS}
        row = texts | {name: float(values[index]) for name, values in numbers.items()}
        row["measure"] = row["measure"] or measure
        row["better"] = row["better"] or better
        if not row["measure"]:
            known = ", ".join(MEASURES)
            table.refuse(index, "measure", f"is empty; say what the study prints: {known}")
        kept = {key: value for key, value in row.items() if value == value and value != ""}
        digits = {key: int(decimals[key][index]) for key in kept if key in decimals}
        studies.append(_study(table, index, kept, digits))
    return Studies(table.file, tuple(studies))


def _metapsy(table: Table, measure: str, better: str, where: Sequence[str]) -> Studies:
    """Return the studies of a table by the metapsy data standard."""
    asked = measure or metapsy_measure(table)
    rows, left_out, notes = metapsy_rows(table, asked, better=better, where=where)
    studies = tuple(_study(table, index, row, {}) for index, row in rows)
    return Studies(table.file, studies, tuple(left_out), tuple(notes))


def _study(table: Table, index: int, row: Mapping[str, Any], decimals: Mapping[str, int]) -> Study:
    """Return one study; what its row cannot mean is refused, what is odd is warned of, by name."""
    name, line = table.rows[index]["study"], table.lines[index]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", StatisticalWarning)
        try:
            result = printed_result(row)
        except EvidenceError as error:
            raise EvidenceError(
                f"{table.file}, line {line} (study '{shown(name)}'): {error}"
            ) from None
    for item in caught:
        warnings.warn(f"{name}: {item.message}", StatisticalWarning, stacklevel=4)
    return Study(name, line, row, result, decimals)


def _check_names(table: Table) -> None:
    """Refuse a study that has a second row."""
    first: dict[str, int] = {}
    for index, row in enumerate(table.rows):
        name = row["study"]
        if name in first:
            table.refuse(
                index, "study", f"also stands on line {first[name]}: patients would count twice; "
                "keep one row a study, or give trials names of their own"
            )  # fmt: skip
        first[name] = table.lines[index]


def _check_one_question(found: Studies) -> None:
    """Refuse several measures, and ratios that are better in different directions."""
    first = found.studies[0]
    for one in found.studies[1:]:
        where = f"{found.file}, line {one.line} (study '{shown(one.name)}')"
        if one.result.measure != first.result.measure:
            raise EvidenceError(
                f"{where}, column 'measure': {one.result.measure}, but line {first.line} has "
                f"{first.result.measure}: measures are not pooled; keep one of them in the file. "
                "Counts can be or, rr or rd, means with SDs and n md or smd, as the column says"
            )
        if one.result.better != first.result.better and one.result.of.ratio:
            raise EvidenceError(
                f"{where}, column 'better': {one.result.better}, but line {first.line} has "
                f"{first.result.better}: print all ratios in one direction (1 over an odds or "
                "hazard ratio turns it), or keep one direction in the file"
            )


def _in_one_direction(found: Studies) -> Studies:
    """Return studies with differences of the other direction than the first turned."""
    turned = [one.name for one in found.studies if one.result.better != found.better]
    if not turned:
        return found
    studies = tuple(
        replace(one, result=_turned(one.result)) if one.name in turned else one
        for one in found.studies
    )
    note = f"turned, so that {found.better} is better throughout: {', '.join(turned)}"
    return replace(found, studies=studies, notes=(*found.notes, note))


def _turned(result: PrintedResult) -> PrintedResult:
    """Return a difference with the other direction of benefit; events become their absence."""
    one = result.counts
    counts = one and Counts(
        one.n_active - one.events_active, one.n_active,
        one.n_control - one.events_control, one.n_control,
    )  # fmt: skip
    better = next(word for word in DIRECTIONS if word != result.better)
    return replace(result, estimate=-result.estimate, better=better, counts=counts)
