"""Which column of a patient file holds what, and what its cells mean.

A column is called by the trial file, by its role or by CDISC ADaM. The result has one row per
score, whether the file is long (one column of scores) or wide (one per endpoint). Every cell that
cannot be what its column says is refused with its row; none is guessed at.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time

import numpy as np
import pandas as pd

from bayes_ptsd.errors import EvidenceError, nearest
from bayes_ptsd.evidence.patient_arrays import ONLY_VISIT
from bayes_ptsd.evidence.patient_derived import followed, remedy
from bayes_ptsd.evidence.patient_files import Cell, PatientTable, Refusal
from bayes_ptsd.trial import Endpoint, Trial

__all__ = [
    "ADAM_NAMES",
    "KIND_COLUMN",
    "Layout",
    "cell_number",
    "cell_text",
    "find_columns",
    "parse_rows",
    "score_rows",
]

ADAM_NAMES: Mapping[str, str] = {
    "subject": "USUBJID",
    "sequence": "TRTSEQP",
    "period": "APERIOD",
    "treatment": "TRTP",
    "endpoint": "PARAMCD",
    "value": "AVAL",
    "visit": "AVISIT",
    "baseline": "BASE",
}
"""Names of the CDISC ADaM basic data structure that are understood without a mapping."""

KIND_COLUMN = "evidence_kind"
"""Column by which a written file says that its patients are not real ones."""


@dataclass(frozen=True)
class Layout:
    """Where a file holds what: columns by role, scores by endpoint, one for all if `long`."""

    columns: Mapping[str, str]
    scores: Mapping[str, str]
    long: bool


def find_columns(
    table: PatientTable, trial: Trial, *, where: str, endpoint: str | None = None
) -> Layout:
    """Find the columns of a patient file; all that are missing are named in one error.

    A role's column is the one that the trial file names, else that of its name in any case, else
    the ADaM column. One baseline for several endpoints is refused.
    """
    names = [str(name) for name in table.cells.columns]
    # a column 'treatment' that the trial file calls the sequence holds orders, not treatments
    claimed = {str(trial.columns.get(role, "")).casefold() for role in ("sequence", "treatment")}
    columns: dict[str, str] = {}
    missing: list[str] = []
    for role, adam in ADAM_NAMES.items():
        wanted = [name for name in (role, adam) if name.casefold() not in claimed]
        wanted = [str(trial.columns[role])] if role in trial.columns else wanted
        found = next((hit for name in wanted if (hit := _column(name, names, where))), None)
        if found is not None:
            columns[role] = found
        elif role in trial.columns:
            missing.append(_missing(role, [trial.columns[role]], names))
    scores = _wide(trial, columns, names, endpoint=endpoint, missing=missing, where=where)
    long = not scores
    if long and "value" in columns:
        scores = dict.fromkeys([endpoint] if endpoint else trial.endpoints, columns["value"])
    for role in _needed(trial, long=long, endpoint=endpoint):
        if role not in {*columns, *trial.columns, followed(columns, trial)}:
            absent = _missing(role, [role, ADAM_NAMES[role]], names)
            missing.append(absent + remedy(role, columns, trial))
    if missing:
        raise EvidenceError(f"{where}: " + "; ".join(missing))
    if not long and len(scores) > 1 and "baseline" in columns:
        raise EvidenceError(
            f"{where}: column '{columns['baseline']}' cannot be the baseline of {len(scores)} "
            f"endpoints ({', '.join(scores)}); choose one endpoint, or write the file in long form"
        )
    return Layout(columns, scores, long)


def score_rows(
    table: PatientTable, layout: Layout, *, covariates: Sequence[str], where: str
) -> tuple[pd.DataFrame, list[Refusal]]:
    """Arrange the cells by role, one row per score; rows that ADaM marks as derived are refused.

    A role without a column is None throughout, covariates are ``covariate:<name>``, and in wide
    files ``endpoint`` is the endpoint's id.
    """
    cells, refusals = _without_baseline_records(table, layout)
    blank = pd.Series([None] * len(cells), index=cells.index, dtype=object)
    shared = {
        role: cells[layout.columns[role]] if role in layout.columns else blank
        for role in ADAM_NAMES
    }
    shared["row"] = pd.Series(table.row, dtype=int)[cells.index]
    shared[KIND_COLUMN] = cells.get(KIND_COLUMN, blank)
    for name in covariates:
        shared[f"covariate:{name}"] = cells[_covariate(name, layout, list(cells.columns), where)]
    if layout.long:
        return pd.DataFrame(shared).reset_index(drop=True), refusals
    parts = [
        pd.DataFrame({**shared, "value": cells[column]}).assign(endpoint=endpoint)
        for endpoint, column in layout.scores.items()
    ]
    return pd.concat(parts, ignore_index=True), refusals


def _column(name: str, names: Sequence[str], where: str) -> str | None:
    """Return the column of that name: as it is written, else in any case."""
    if name in names:
        return name
    found = [column for column in names if column.casefold() == name.casefold()]
    if len(found) > 1:
        raise EvidenceError(f"{where}: '{name}' could be any of the columns {', '.join(found)}")
    return found[0] if found else None


def _wide(
    trial: Trial,
    columns: Mapping[str, str],
    names: Sequence[str],
    *,
    endpoint: str | None,
    missing: list[str],
    where: str,
) -> dict[str, str]:
    """Return the column of each endpoint; none if the file has one column of scores for all."""
    named = [key for key in trial.endpoints if key in trial.columns]
    if not named and "value" in columns:
        return {}
    scores = {}
    for key in [endpoint] if endpoint else trial.endpoints:
        if found := _column(str(trial.columns.get(key, key)), names, where):
            scores[key] = found
        elif key in named:
            missing.append(_missing(key, [trial.columns[key]], names))
    return scores


def _needed(trial: Trial, *, long: bool, endpoint: str | None) -> list[str]:
    """Return the roles a file must fill."""
    needed = ["subject", "treatment"]
    needed += ["sequence", "period"] if trial.design == "crossover" else []
    needed += ["value"] if long else []
    needed += ["endpoint"] if long and not endpoint and len(trial.endpoints) > 1 else []
    needed += ["visit"] if len(trial.visits) > 1 else []
    return needed


def _missing(role: str, wanted: Sequence[str], names: Sequence[str]) -> str:
    """Say which column is missing and which comes closest."""
    looked = " or ".join(f"'{name}'" for name in wanted)
    return f"no column {looked} for {role}{nearest(wanted[0], filter(None, names))}"


def _covariate(name: str, layout: Layout, names: Sequence[str], where: str) -> str:
    """Return the column of a covariate that is no role's."""
    if name not in names:
        raise EvidenceError(f"{where}: no column '{name}' for a covariate{nearest(name, names)}")
    taken = {*layout.columns.values(), *layout.scores.values(), *ADAM_NAMES, KIND_COLUMN}
    if name in taken:
        raise EvidenceError(f"{where}: column '{name}' has a role and cannot be a covariate too")
    return name


def _without_baseline_records(
    table: PatientTable, layout: Layout
) -> tuple[pd.DataFrame, list[Refusal]]:
    """Leave out ADaM baseline records, whose scores stand in BASE; refuse derived records."""
    cells, refusals = table.cells, list[Refusal]()
    if layout.columns.get("value") != ADAM_NAMES["value"]:
        return cells, refusals
    if "ABLFL" in cells and "baseline" in layout.columns:
        cells = cells[cells["ABLFL"] != "Y"]
    if "DTYPE" in cells:
        derived = cells["DTYPE"].dropna()
        refusals = [
            (table.row[index], f"DTYPE '{what}' marks a derived score; leave derived rows out")
            for index, what in zip(derived.index, derived, strict=True)
        ]
    return cells, refusals


NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
DATE = re.compile(r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}([ T].*)?", re.ASCII)
MISSING_NUMBERS = {"NA", "N/A", "NaN", "nan", "."}
# beyond any score, and below 2^53 = 9.0e15, up to which a float has every whole number
LARGEST = 1e15
# characters of a cell that a message quotes: whole words are told apart, a line is not filled
LONGEST = 40


def cell_text(cell: Cell) -> tuple[str | None, str]:
    """Return a cell as text, and why it is none; 7 and 7.0 are one label."""
    if cell is None:
        return None, "is missing"
    if isinstance(cell, str):
        return cell, ""
    if isinstance(cell, bool):
        return None, f"is a truth value ({cell}), not a label"
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell)), ""
    if isinstance(cell, int | float):
        return str(cell), ""
    return None, _odd(cell)


def cell_number(cell: Cell, *, truth_values: bool = False) -> tuple[float, str]:
    """Return a cell as a number, NaN where missing or none, and why it is none (else empty).

    Numbers may be text with a decimal point; truth values are refused unless allowed.
    """
    if cell is None or (isinstance(cell, str) and cell in MISSING_NUMBERS):
        return np.nan, ""
    if isinstance(cell, bool):
        return (float(cell), "") if truth_values else (np.nan, f"is a truth value ({cell})")
    if isinstance(cell, str):
        if not NUMBER.fullmatch(cell):
            return np.nan, _not_a_number(cell)
        cell = float(cell)
    if not isinstance(cell, int | float):
        return np.nan, _odd(cell)
    if cell in (np.inf, -np.inf):
        return np.nan, "is infinite; leave the cell empty if it is missing"
    if abs(cell) > LARGEST:
        return np.nan, f"{cell:.3g} is too large for a score"
    return float(cell), ""


def parse_rows(
    rows: pd.DataFrame,
    trial: Trial,
    *,
    layout: Layout,
    labels: Mapping[str, Mapping[Cell, str]],
    endpoint: str | None = None,
) -> tuple[pd.DataFrame, list[Refusal]]:
    """Turn plain cells into labels of the trial and numbers, with a refusal per wrong cell.

    Labels are None or NaN where refused, value and baseline NaN where missing or refused.
    `endpoint` is what a file without an endpoint column holds.
    """
    refusals: list[Refusal] = []
    parsed = pd.DataFrame({"row": rows["row"], "subject": rows["subject"]})

    def texts(role: str, known: Collection[str], otherwise: str | None) -> list[str | None]:
        if role not in layout.columns:
            return [otherwise] * len(rows)
        own = labels.get(layout.columns[role], {})
        return _texts(rows, role, known=known, own=own, refusals=refusals)

    parsed["treatment"] = texts("treatment", (trial.active, trial.control), None)
    parsed["endpoint"] = (
        texts("endpoint", trial.endpoints, endpoint or next(iter(trial.endpoints)))
        if layout.long
        else rows["endpoint"]
    )
    parsed["visit"] = texts("visit", trial.visits, next(iter(trial.visits), ONLY_VISIT))
    crossed = trial.design == "crossover"
    parsed["sequence"] = texts("sequence", trial.sequences, None) if crossed else None
    parsed["period"] = [
        _kept(_period(cell, crossed=crossed), row, "period", refusals)
        for row, cell in zip(rows["row"], rows["period"], strict=True)
    ]
    for role in ("value", "baseline"):
        parsed[role] = [
            _kept(_score(cell, trial.endpoints.get(key)), row, role, refusals)
            for row, cell, key in zip(rows["row"], rows[role], parsed["endpoint"], strict=True)
        ]
    return parsed, refusals


def _odd(cell: object) -> str:
    """Say what an object is that is neither text nor number."""
    if isinstance(cell, date | time) or type(cell).__name__ in {"datetime64", "timedelta64"}:
        return f"is a date or time ({cell}); a spreadsheet may have turned a label into it"
    return f"is neither text nor a number ({type(cell).__name__})"


def _not_a_number(cell: str) -> str:
    """Say why a text is no number."""
    short = cell if len(cell) <= LONGEST else f"{cell[: LONGEST - 3]}..."
    if DATE.fullmatch(cell):
        return f"'{short}' is a date, not a number"
    if NUMBER.fullmatch(cell.replace(",", ".", 1)) or NUMBER.fullmatch(cell.replace(",", "")):
        return f"'{short}' is not a number; write a decimal point, no thousands separator"
    return f"'{short}' is not a number; leave the cell empty if it is missing"


def _texts(
    rows: pd.DataFrame,
    role: str,
    *,
    known: Collection[str],
    own: Mapping[Cell, str],
    refusals: list[Refusal],
) -> list[str | None]:
    """Return the labels of a column; those outside `known`, if that is not empty, are refused."""
    result: list[str | None] = []
    by_case = {name.casefold(): name for name in known} if role == "endpoint" else {}
    for row, cell in zip(rows["row"], rows[role], strict=True):
        text, problem = cell_text(cell)
        if text is not None and text not in known and cell in own:
            text = own[cell].strip()
        if text is not None and text not in known:
            text = by_case.get(text.casefold(), text)
        if text is not None and known and text not in known:
            problem, text = f"'{text[:LONGEST]}' is unknown{nearest(text, known)}", None
        if problem:
            refusals.append((row, f"{role} {problem}"))
        result.append(text)
    return result


def _kept(checked: tuple[float, str], row: int, role: str, refusals: list[Refusal]) -> float:
    """Return a number, NaN where there is a problem, and note the problem."""
    number, problem = checked
    if problem:
        refusals.append((row, f"{role} {problem}"))
    return np.nan if problem else number


def _period(cell: Cell, *, crossed: bool) -> tuple[float, str]:
    """Return the period of a row: 1 or 2 in a crossover, 1 (or nothing) in a parallel trial."""
    number, problem = cell_number(cell)
    if problem:
        return number, problem
    if np.isnan(number):
        return (number, "is missing") if crossed else (1.0, "")
    if not crossed:
        return number, "" if number == 1 else f"is {number:g} in a parallel trial, which has one"
    if number > 2 and number.is_integer():
        return number, (
            f"is {number:g}: crossovers of two periods are what is analyzed here; keep two periods "
            "if they can stand alone"
        )
    return number, "" if number in (1, 2) else f"is {number:g}, neither 1 nor 2"


def _score(cell: Cell, endpoint: Endpoint | None) -> tuple[float, str]:
    """Return a score of an endpoint; of an unknown one only that it is a number is checked."""
    number, problem = cell_number(cell, truth_values=bool(endpoint and endpoint.kind == "binary"))
    if problem or endpoint is None or np.isnan(number):
        return number, problem
    if endpoint.kind == "binary" and number not in (0, 1):
        return number, f"{number:g} is neither 0 nor 1 (endpoint '{endpoint.id}' is binary)"
    if endpoint.kind == "ordinal" and not number.is_integer():
        return number, f"{number:g} is no category (endpoint '{endpoint.id}' is ordinal)"
    low, high = endpoint.range or (-np.inf, np.inf)
    if not low <= number <= high:
        problem = f"{number:g} is outside the range {low:g} to {high:g} of endpoint '{endpoint.id}'"
    return number, problem
