"""What all readers of patient files make of a cell: plain values, text in one spelling.

A table of plain cells holds None, text, truth values and numbers, as objects that no library
changes; a cell that is none of these comes through as it is, for its column to refuse.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from numbers import Integral, Real
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.inputs import REORDERING

__all__ = [
    "Cell",
    "Content",
    "Objects",
    "Refusal",
    "check_names",
    "looks_like_names",
    "objects",
    "plain_cell",
    "plain_column",
    "plain_text",
    "refuse_title",
    "table_of",
]

Cell: TypeAlias = Any
"""None (missing), str, bool, int, float, or an object that no column may hold, such as a date."""

Refusal: TypeAlias = tuple[int, str]
"""Number of a row as its reader sees it (0: the file as a whole) and what is wrong with it."""

Objects: TypeAlias = NDArray[np.object_]
"""Cells of one column."""

# characters without width or ink: zero-width space, word joiner, byte-order mark, and the marks
# of writing direction; they make two labels differ that look the same
INVISIBLE = dict.fromkeys([0x200B, 0x200E, 0x200F, 0x2060, 0xFEFF, *map(ord, REORDERING)])
# soft hyphen and the joiners of letters: part of the spelling within a word, nothing at its ends
JOINERS = "\u00ad\u200c\u200d"
# names that a header has at least: subject, treatment and score
FEWEST_NAMES = 3


@dataclass(frozen=True)
class Content:
    """What a reader found: cells, the number of each row, value labels, rows that do not fit."""

    cells: pd.DataFrame
    rows: Sequence[int] | NDArray[np.int64]
    labels: Mapping[str, Mapping[Cell, str]] = field(default_factory=dict)
    refusals: Sequence[Refusal] = ()
    notes: Sequence[str] = ()


def plain_text(text: str) -> str:
    """Return text without space around it and invisible characters, letters composed (NFC)."""
    if text.isascii():
        return text.strip()
    return unicodedata.normalize("NFC", text.translate(INVISIBLE)).strip().strip(JOINERS).strip()


def plain_cell(value: object) -> Cell:
    """Return a cell as None, plain text, bool, int or float.

    None stands for empty text, NaN and the like; anything else comes back as it is.
    """
    if isinstance(value, str):
        return plain_text(value) or None
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, bool) or type(value).__name__ in {"bool", "bool_"}:
        return bool(value)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real | Decimal):
        number = float(value)
        return None if number != number else number
    return value


def plain_column(values: NDArray[Any]) -> Objects:
    """Return the plain cells of a column: texts and floats all at once, others one by one."""
    if values.dtype.kind == "f":
        plain = values.astype(object)
        plain[np.isnan(values)] = None
        return plain
    if values.dtype.kind in "iub":
        return values.astype(object)
    values = values.astype(object)
    try:
        codes, uniques = pd.factorize(values)
    except TypeError:  # lists and the like
        return objects([plain_cell(value) for value in values])
    if all(type(value) is str for value in uniques):  # else True, 1 and 1.0 would be one
        return objects([*map(plain_cell, uniques), None])[codes]
    return objects([plain_cell(value) for value in values])


def objects(values: Sequence[Cell]) -> Objects:
    """Return cells as an array that keeps each as it is, lists too."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def table_of(columns: Sequence[Objects], names: Sequence[str]) -> pd.DataFrame:
    """Return columns of plain cells as a table; two of them may have one name."""
    frame = pd.DataFrame(dict(enumerate(columns)), columns=range(len(names)), dtype=object)
    frame.columns = pd.Index(names, dtype=object)
    return frame


def check_names(where: object, names: Sequence[str]) -> None:
    """Refuse two columns of one name; columns without any name are nobody's."""
    seen: set[str] = set()
    for name in filter(None, names):
        if name in seen:
            raise EvidenceError(f"{where}: two columns are called '{name}'; rename one")
        seen.add(name)


def looks_like_names(cells: Sequence[Cell]) -> bool:
    """Tell whether the cells of a row could be the names of columns: different, and no numbers."""
    texts = [cell for cell in cells if isinstance(cell, str) and not _is_number(cell)]
    return len(texts) == len(cells) >= FEWEST_NAMES and len(set(texts)) == len(texts)


def refuse_title(
    where: object, rows: Sequence[tuple[int, Sequence[Cell]]], *, unit: str, sure: bool = False
) -> None:
    """Refuse a title above the header: a first row of few cells above one that is all names.

    `rows` are the numbers and filled cells of the first rows. If `sure`, the first row cannot be
    the header, however many cells it has.
    """
    number, title = rows[0]
    for place, (below, cells) in enumerate(rows[1:], 2):
        wide = sure or 2 * len(title) <= len(cells)
        if wide and looks_like_names(cells) and _looks_like_data(rows[place:]):
            raise EvidenceError(
                f"{where}: {unit} {number} does not look like a header; {unit} {below} does: "
                "delete what is above it"
            )


def _looks_like_data(rows: Sequence[tuple[int, Sequence[Cell]]]) -> bool:
    """Tell whether the first of some rows has a number in it."""
    return bool(rows) and any(_is_number(cell) for cell in rows[0][1])


def _is_number(cell: Cell) -> bool:
    """Tell whether a cell is a number, or a text that is one with a point or a comma."""
    try:
        float(cell.replace(",", ".") if isinstance(cell, str) else cell)
    except (TypeError, ValueError):
        return False
    return True
