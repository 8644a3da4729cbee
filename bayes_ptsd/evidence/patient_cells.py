"""What the cells of a patient file mean: texts, numbers, labels of the trial, scores in range.

Every cell that cannot be what its column says is refused with its row; none is guessed at.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import date, time

import numpy as np
import pandas as pd

from bayes_ptsd.errors import nearest
from bayes_ptsd.evidence.patient_arrays import ONLY_VISIT
from bayes_ptsd.evidence.patient_columns import Layout
from bayes_ptsd.evidence.patient_readers import Cell, Refusal
from bayes_ptsd.trial import Endpoint, Trial

__all__ = ["cell_number", "cell_text", "parse_rows"]

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
