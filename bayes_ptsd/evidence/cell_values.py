"""What one cell of a patient file means: a label, a number, a period, a score; or why it is none.

Every function returns what the cell is and, if it is not that, a reason that completes a sentence
after the name of the column. No reason asks to empty a cell that may hold a real score.
"""

from __future__ import annotations

import re
from datetime import date, time
from typing import TypeAlias

import numpy as np

from bayes_ptsd.evidence.patient_files import Cell
from bayes_ptsd.evidence.quoting import Quotes
from bayes_ptsd.inputs import LARGEST
from bayes_ptsd.trial import Endpoint

__all__ = [
    "MISSING_LABEL",
    "MISSING_NUMBERS",
    "NO_NUMBER",
    "NO_PERIOD",
    "NUMBER",
    "cell_number",
    "cell_period",
    "cell_score",
    "cell_text",
    "has_comma",
    "is_missing",
    "outside_periods",
    "plain_minus",
]

ANY_TEXT = Quotes()  # of cells that are in no file
Read: TypeAlias = tuple[float, str]
"""A number, NaN where missing or none, and why it is none."""

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
COMMA = re.compile(r"[+-]?(\d+,\d*|,\d+)([eE][+-]?\d+)?", re.ASCII)
THOUSANDS = re.compile(r"[+-]?\d{1,3}([,. '\u00a0\u202f\u2009]\d{3})+([.,]\d+)?", re.ASCII)
DATE = re.compile(r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}([ T].*)?", re.ASCII)
MISSING_NUMBERS = {"NA", "N/A", "NaN", "nan", "."}
# what word processors and spreadsheets write for a minus sign: hyphens, dashes, the sign itself
DASHES = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212\ufe63\uff0d", "-"))

FIGURE = r"[+-]?\d*[.,]?\d+"
CENSORED = (
    "is a censored score, known only to be beyond a limit: write the number that the protocol"
)
CENSORED += " has for it; an empty cell would be read as missing"
KINDS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(<|>|\u2264|\u2265|&[lg]t;).*"), CENSORED),
    (
        re.compile(r"[<>]?\s*(b(l|q)q|bloq|bql|l?loq|uloq|alq|aloq|b?lod|bld|tntc)\.?", re.I),
        CENSORED,
    ),
    (
        re.compile(r"n\.?\s?d\.?|not det(\.|ected)?", re.I),
        "is 'not detected', a censored score (write the number that the protocol has for it), or "
        "'not done', a missing one (an empty cell)",
    ),
    (
        re.compile(
            rf"{FIGURE}\s*[*\u2020\u2021\u00a7#!?^]+|[*\u2020\u2021#]+\s*{FIGURE}"
            rf"|{FIGURE} ?\([a-z]\)"
        ),
        "has a mark beside the number: find what the mark stands for, then write the number alone",
    ),
    (
        re.compile(rf"(~|\u2248|ca\.?|approx\.?|about)\s*{FIGURE}", re.I),
        "is approximate: write the number that counts",
    ),
    (
        re.compile(rf"{FIGURE}\s*(-|\u2013|to|/)\s*{FIGURE}"),
        "is two numbers: write the one that counts",
    ),
    (re.compile(r"#[A-Z/0]+[!?]?"), "is not a number but the error of a formula; correct it"),
    (
        re.compile(rf"{FIGURE}\s*[^\W\d_\u00b5%\u00b0].*|{FIGURE}\s*[%\u00b0\u00b5].*"),
        "has a unit or words behind the number: write the number alone",
    ),
    (
        re.compile(
            r"-+|\?+|n\.?a\.?|miss(ing)?|none|null|nil|not (done|known|assessed)|unknown", re.I
        ),
        "is not a number; if it says that the score is missing, leave the cell empty",
    ),
)
MISSING_LABEL = re.compile(
    r"\b(missing|unknown|not (done|known|applicable|assessed|available|recorded|measured|reported"
    r"|answered|stated)|no (answer|response|data)|refus(ed|al)|don'?t know|invalid|n/?a|n\.a\.)\b",
    re.I,
)
"""What the label of a value says if it stands for a score that is missing."""

FIRST = {"1", "i", "one", "1st", "first", "01"}
SECOND = {"2", "ii", "two", "2nd", "second", "02"}
# names of periods that are understood to be refused, with their numbers
THIRD = {"3": 3, "iii": 3, "three": 3, "3rd": 3, "third": 3, "4": 4, "iv": 4, "4th": 4}
WORD = r"(?:treatment\s*|trt\s*|study\s*)?(?:period|p\u00e9riode|periode|per|phase|p)"
PERIOD = re.compile(rf"(?:{WORD}[\s._:#-]*)?(\w+?)(?:[\s._-]*{WORD})?\.?", re.I)
OUTSIDE = re.compile(
    r".*(run[\s-]?in|lead[\s-]?in|wash[\s-]?out|screen|base\s?line|follow|pre[\s-]?treat"
    r"|^pre$|^post$|period 0|^p0$|^0$|extension|enrol|random).*",
    re.I,
)


NO_NUMBER = "is not a number; write the score, and an empty cell only where it is missing"
"""What is said of a text that nothing better is known of."""


def is_missing(cell: Cell) -> bool:
    """Tell a score that is missing."""
    return cell is None or (isinstance(cell, str) and cell in MISSING_NUMBERS)


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


def plain_minus(text: str) -> str:
    """Return a text with every dash that stands for a minus sign as a hyphen."""
    return text if text.isascii() else text.translate(DASHES)


def has_comma(cell: Cell) -> bool:
    """Tell a number with a decimal comma."""
    return isinstance(cell, str) and "," in cell and bool(COMMA.fullmatch(plain_minus(cell)))


def cell_number(
    cell: Cell, *, truth_values: bool = False, decimal: str = ".", quoted: Quotes = ANY_TEXT
) -> Read:
    """Return a cell as a number, NaN where missing or none, and why it is none (else empty).

    Numbers may be text with the `decimal` mark; truth values are refused unless allowed.
    """
    if is_missing(cell):
        return np.nan, ""
    if isinstance(cell, bool):
        return (float(cell), "") if truth_values else (np.nan, f"is a truth value ({cell})")
    if isinstance(cell, str):
        text = plain_minus(cell)
        if decimal == "," and COMMA.fullmatch(text):
            text = text.replace(",", ".")
        elif decimal == "," and "." in text and NUMBER.fullmatch(text):
            return np.nan, f"{quoted(cell)} has a point, but the trial file says decimal = ','"
        if not NUMBER.fullmatch(text):
            return np.nan, _not_a_number(cell, quoted, decimal)
        cell = float(text)
    if not isinstance(cell, int | float):
        return np.nan, _odd(cell)
    if cell in (np.inf, -np.inf):
        return np.nan, "is infinite, which no score is; correct it"
    if abs(cell) > LARGEST:
        return np.nan, f"{quoted.number(float(cell))} is too large for a score"
    return float(cell), ""


def _odd(cell: object) -> str:
    """Say what an object is that is neither text nor number; a date of birth is not quoted."""
    if isinstance(cell, date | time) or type(cell).__name__ in {"datetime64", "timedelta64"}:
        return "is a date or time; a spreadsheet may have turned another cell into it"
    return f"is neither text nor a number ({type(cell).__name__})"


def _not_a_number(cell: str, quoted: Quotes, decimal: str) -> str:
    """Say why a text is no number."""
    if quoted.brief:
        return NO_NUMBER
    shown, plain = quoted(cell), plain_minus(cell)
    if DATE.fullmatch(plain):
        return "is a date, not a number"
    if THOUSANDS.fullmatch(plain) or COMMA.fullmatch(plain):
        mark = "point" if decimal == "." else "comma"
        return f"{shown} is not a number; write a decimal {mark}, no thousands separator"
    if not cell.isascii() and any(mark.isdigit() and not mark.isascii() for mark in cell):
        return f"{shown} is not a number; write it with the digits 0 to 9"
    for pattern, what in KINDS:
        if pattern.fullmatch(plain):
            return f"{shown} {what}"
    return f"{shown} {NO_NUMBER}"


def outside_periods(cell: Cell) -> bool:
    """Tell the label of a row that is in neither period, such as a run-in."""
    if isinstance(cell, str):
        return OUTSIDE.fullmatch(cell) is not None
    return isinstance(cell, int | float) and not isinstance(cell, bool) and cell == 0


def cell_period(cell: Cell, *, crossed: bool, quoted: Quotes) -> Read:
    """Return the period of a row: 1 or 2 in a crossover, 1 (or nothing) in a parallel trial.

    P1, Period 1, I, 1st and first are 1.
    """
    number, problem = _period_number(cell, quoted)
    if problem:
        return number, problem
    if np.isnan(number):
        return (number, "is missing; write 1 or 2") if crossed else (1.0, "")
    shown = f"{number:g}" if abs(number) < 100 else quoted.number(number)
    if not crossed:
        return number, "" if number == 1 else f"is {shown} in a parallel trial, which has one"
    if number > 2 and number.is_integer():
        return number, (
            f"is {shown}: crossovers of two periods are what is analyzed here; keep two periods "
            "if they can stand alone"
        )
    if number == 0:
        return number, f"is 0: {LEAVE_OUT}"
    return number, "" if number in (1, 2) else f"is {shown}, neither 1 nor 2"


NO_PERIOD = "write 1 or 2"
LEAVE_OUT = "leave rows before period 1 out; their score can go into baseline"


def _period_number(cell: Cell, quoted: Quotes) -> Read:
    """Return the number that a label of a period has."""
    if not isinstance(cell, str) or cell in MISSING_NUMBERS or NUMBER.fullmatch(cell):
        return cell_number(cell, quoted=quoted)
    if OUTSIDE.fullmatch(cell):
        later = re.search("wash|follow|post|exten", cell, re.I)
        remedy = "leave rows that are in neither period out" if later else LEAVE_OUT
        return np.nan, f"{quoted(cell)} is neither period: {remedy}"
    if DATE.fullmatch(cell):
        return np.nan, f"is a date: {NO_PERIOD}"
    found = PERIOD.fullmatch(cell)
    name = found[1].casefold() if found else ""
    if name in FIRST or name in SECOND:
        return (1.0 if name in FIRST else 2.0), ""
    if name in THIRD:
        return float(THIRD[name]), ""
    return np.nan, f"{quoted(cell)} is not a number: {NO_PERIOD}"


def cell_score(
    cell: Cell, endpoint: Endpoint | None, *, decimal: str = ".", quoted: Quotes = ANY_TEXT
) -> Read:
    """Return a score of an endpoint; of an unknown one only that it is a number is checked."""
    binary = bool(endpoint and endpoint.kind == "binary")
    number, problem = cell_number(cell, truth_values=binary, decimal=decimal, quoted=quoted)
    if problem or endpoint is None or np.isnan(number):
        return number, problem
    shown = quoted.number
    if endpoint.kind == "binary" and number not in (0, 1):
        return number, f"{shown(number)} is neither 0 nor 1 (endpoint '{endpoint.id}' is binary)"
    if endpoint.kind == "ordinal" and not number.is_integer():
        return number, f"{shown(number)} is no category (endpoint '{endpoint.id}' is ordinal)"
    low, high = endpoint.range or (-np.inf, np.inf)
    if not low <= number <= high:
        problem = f"outside the range {low:g} to {high:g} of endpoint '{endpoint.id}'"
        return number, f"{shown(number)} is {problem}"
    return number, ""
