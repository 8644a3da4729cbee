"""Small CSV tables of printed numbers, read strictly and refused by file, line and column.

Cells stay text until they are asked for as numbers, so that the digits a paper printed are known.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from bayes_ptsd.errors import EvidenceError, nearest, refuse_unknown_keys, shown, visible
from bayes_ptsd.evidence.intervals import FloatArray
from bayes_ptsd.inputs import LARGEST, read_text

__all__ = ["Table", "read_table"]

NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)", re.ASCII)
DECIMAL_COMMA = re.compile(r"[-+]?\d*,\d+([eE][-+]?\d+)?", re.ASCII)
"""A number as spreadsheets write it where semicolons part the cells."""


@dataclass(frozen=True)
class Table:
    """A CSV file as text, one dict per row; an empty cell is ``""``, `lines` are of the file."""

    file: str
    rows: tuple[dict[str, str], ...]
    lines: tuple[int, ...]
    key: str = "id"

    def text(self, column: str) -> NDArray[np.str_]:
        """Cells of a column as text; an absent column is all empty."""
        return np.array([row.get(column, "") for row in self.rows], dtype=np.str_)

    def number(self, column: str, *, default: float = np.nan) -> FloatArray:
        """Return a column as numbers, `default` where empty; other cells are refused by line."""
        return np.array(
            [self._number(index, column, default) for index in range(len(self.rows))], dtype=float
        )

    def decimals(self, column: str) -> NDArray[np.int64]:
        """Digits printed after the point in each cell of a column, -1 where empty."""
        return np.array([_decimals(row.get(column, "")) for row in self.rows], dtype=np.int64)

    def one_of(
        self, column: str, allowed: Collection[str], *, empty: bool = False
    ) -> NDArray[np.str_]:
        """Return a column that may hold only some words; other cells are refused by line."""
        for index, row in enumerate(self.rows):
            cell = row.get(column, "")
            if not (cell in allowed or (empty and not cell)):
                self.refuse(
                    index, column, f"'{shown(cell)}' is not allowed{nearest(cell, allowed)}"
                )
        return self.text(column)

    def refuse(self, index: int, column: str, problem: str) -> NoReturn:
        """Raise an `EvidenceError` that names file, line, row id and column."""
        label = shown(self.rows[index].get(self.key, ""))
        raise EvidenceError(
            f"{self.file}, line {self.lines[index]} ({self.key} '{label}'), column '{column}': "
            f"{problem}"
        )

    def _number(self, index: int, column: str, default: float) -> float:
        """One cell as a number."""
        cell = self.rows[index].get(column, "")
        if not cell:
            return default
        if not NUMBER.fullmatch(cell):
            problem = f"'{shown(cell)}' is not a number; write digits, as -0.3, or none"
            self.refuse(index, column, problem)
        if abs(float(cell)) > LARGEST:
            self.refuse(index, column, f"{shown(cell)} is beyond 1e15; write it in a larger unit")
        return float(cell)


def read_table(
    path: Traversable,
    file: str,
    *,
    required: Sequence[str],
    optional: Sequence[str] = (),
    key: str = "id",
    may_be_empty: bool = False,
    any_column: bool = False,
) -> Table:
    """Read a CSV file with a header, unique ids and a row at least; messages call it `file`.

    A table that `may_be_empty` needs no row; one with `any_column` may have columns of its own and
    ids more than once, and semicolons between its cells, whose numbers then may have decimal
    commas. Refused: no UTF-8 CSV, an unknown, missing or repeated column,
    a row of another length than the header, an empty or repeated id (column `key`).
    """
    header, body, lines = _parse(path, file, semicolons=any_column)
    _check_header(header, file, required, (*optional, *header) if any_column else optional)
    for cells, line in zip(body, lines, strict=True):
        if len(cells) != len(header):
            raise EvidenceError(
                f"{file}, line {line}: {len(cells)} cells where the header has {len(header)} "
                "columns; quote cells that contain a comma"
            )
    rows = tuple(
        {name: _clean(cell) for name, cell in zip(header, cells, strict=True)} for cells in body
    )
    if not rows and not may_be_empty:
        raise EvidenceError(f"{file}: has a header and no rows; add at least one")
    table = Table(file, rows, tuple(lines), key)
    _check_ids(table, repeated=any_column)
    return table


def _parse(
    path: Traversable, file: str, *, semicolons: bool
) -> tuple[list[str], list[list[str]], list[int]]:
    """Header, rows that are not blank, and the line on which each row ends.

    Where `semicolons` may part the cells, they do if the first line has no comma.
    """
    text = read_text(path, file, error=EvidenceError)
    first = next((line for line in text.splitlines() if line.strip()), "")
    semicolons = semicolons and ";" in first and "," not in first
    reader = csv.reader(
        text.splitlines(keepends=True), strict=True, delimiter=";" if semicolons else ","
    )
    body: list[list[str]] = []
    lines: list[int] = []
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                body.append([_decimal_point(cell) for cell in cells] if semicolons else cells)
                lines.append(reader.line_num)
    except csv.Error as error:
        raise EvidenceError(f"{file}, line {reader.line_num}: not valid CSV: {error}") from error
    if not body:
        raise EvidenceError(f"{file}: is empty; write a header and one row per printed number")
    return [_clean(name) for name in body[0]], body[1:], lines[1:]


def _check_header(
    header: list[str], file: str, required: Sequence[str], optional: Sequence[str]
) -> None:
    """Refuse columns that are unknown, repeated or missing."""
    refuse_unknown_keys(
        header, {*required, *optional}, f"{file}, line 1 (comma-separated)", error=EvidenceError
    )
    for name in required:
        if name not in header:
            raise EvidenceError(f"{file}, line 1: column '{name}' is missing; add it")
    repeated = [name for name in header if header.count(name) > 1]
    if repeated:
        raise EvidenceError(f"{file}, line 1: column '{shown(repeated[0])}' stands twice; drop one")


def _check_ids(table: Table, *, repeated: bool) -> None:
    """Refuse rows without an id, or with the id of an earlier row unless ids may be `repeated`."""
    seen: dict[str, int] = {}
    for index, row in enumerate(table.rows):
        label, key = row[table.key], table.key
        if not label:
            table.refuse(index, key, f"is empty; give each row its own {key}")
        if label in seen and not repeated:
            table.refuse(index, key, f"is also the {key} of line {seen[label]}; make them differ")
        seen[label] = table.lines[index]


def _clean(cell: str) -> str:
    """Cell in composed letters without space around it, a typeset minus sign as a hyphen."""
    return visible(unicodedata.normalize("NFC", cell).strip().replace("\N{MINUS SIGN}", "-"))


def _decimal_point(cell: str) -> str:
    """Return a cell, a number in it with a decimal point."""
    return cell.replace(",", ".") if DECIMAL_COMMA.fullmatch(cell.strip()) else cell


def _decimals(cell: str) -> int:
    """Digits after the point of a cell, -1 if it is empty."""
    if not cell:
        return -1
    return len(cell.partition(".")[2])
