"""One sheet of an Excel workbook: its cells as the program shows them, hidden ones too, and said.

The sheet is read once, as a stream of rows: a blank in its last cell costs nothing, and what must
not be guessed (merged cells, formulas without a value) is seen on the way.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
from openpyxl.reader.excel import ExcelReader  # type: ignore[import-untyped]
from openpyxl.styles.numbers import (  # type: ignore[import-untyped]
    BUILTIN_FORMATS,
    is_date_format,
    is_timedelta_format,
)
from openpyxl.utils import get_column_letter  # type: ignore[import-untyped]
from openpyxl.worksheet import _reader as sheet_reader  # type: ignore[import-untyped]
from openpyxl.xml.constants import ARC_STYLE, SHEET_MAIN_NS  # type: ignore[import-untyped]
from openpyxl.xml.functions import fromstring, iterparse  # type: ignore[import-untyped]

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence.file_limits import check_archive, check_cells, check_rows
from bayes_ptsd.evidence.plain_cells import (
    Cell,
    Content,
    Objects,
    plain_cell,
    refuse_title,
    table_of,
)

__all__ = ["read_excel"]

SHEET = "patients"
# rows among which the header is looked for, if the first is none
SAMPLE = 20
# hidden rows or columns that a note names, so that it stays on one line
LISTED = 8

# rows without a value, as formats leave them down to the end of a sheet; those without a number
# stay, for the numbers of others follow from them
EMPTY_ROW = re.compile(
    rb'<row (?=[^>]*\br="\d)[^>]*(?:/>|>(?:<c [^>]*/>|<c [^>]*[^>/]></c>)*</row>)'
)
# bytes of the formats of a workbook: Excel's own limit of 65,490 formats of cells takes about ten
# million
MAX_STYLES = 2**24

Row = tuple[int, dict[int, Cell]]
"""Number of a row, and its filled cells by number of column."""


@dataclass
class Sheet:
    """What a sheet says beside its cells, gathered while its rows go by."""

    hidden_rows: set[int] = field(default_factory=set)
    hidden_columns: set[int] = field(default_factory=set)
    merged: list[str] = field(default_factory=list)
    unvalued: list[str] = field(default_factory=list)
    filtered: str = ""


def read_excel(path: Path, content: bytes) -> Content:
    """Read the sheet of the patients, counting rows as the program does."""
    archive = ZipFile(io.BytesIO(content))
    check_archive(path, archive)
    if "xl/workbook.xml" not in archive.namelist():
        raise EvidenceError(f"{path}: is a zip archive, not an Excel workbook")
    book = ExcelReader(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
    book.read_manifest()
    book.read_strings()
    book.read_workbook()
    sheets = {sheet.name: (sheet.state, rel) for sheet, rel in book.parser.find_sheets()}
    sheets = {name: found for name, found in sheets.items() if "chartsheet" not in found[1].Type}
    name = _named(path, {name: state for name, (state, _) in sheets.items()})
    found = Sheet()
    rows = list(_rows(path, book, sheets[name][1].target, found))
    if not rows:
        raise EvidenceError(f"{path}: sheet '{name}' is empty")
    refuse_title(path, [(n, list(cells.values())) for n, cells in rows[:SAMPLE]], unit="row")
    _check(path, found)
    header, body = rows[0][1], rows[1:]
    names = [str(cell) for cell in header.values()]
    check_cells(path, len(body) * len(names), len(names))
    table = table_of(_columns(body, list(header)), names)
    states = {other: state for other, (state, _) in sheets.items()}
    notes = [*_hidden_sheets(states, name), *_hidden_cells(found, rows)]
    return Content(table, [number for number, _ in body], notes=notes)


def _named(path: Path, states: Mapping[str, str]) -> str:
    """Return the name of the sheet of the patients: the one so named, else the only one."""
    if SHEET in states or len(states) == 1:
        return SHEET if SHEET in states else next(iter(states))
    hidden = [name for name, state in states.items() if state != "visible"]
    listed = f" (hidden: {', '.join(hidden[:LISTED])})" if hidden else ""
    raise EvidenceError(
        f"{path}: has {len(states)} sheets{listed}; call the one with the rows '{SHEET}'"
    )


def _rows(path: Path, book: Any, part: str, found: Sheet) -> Iterator[Row]:
    """Yield the rows of a sheet that have anything in them; note the rest in `found`."""
    dates, spans = _date_styles(path, book.archive)
    source = io.BytesIO(EMPTY_ROW.sub(b"", book.archive.read(part)))
    parser = sheet_reader.WorkSheetParser(
        source, book.shared_strings, data_only=True, epoch=book.wb.epoch,
        date_formats=dates, timedelta_formats=spans,
    )  # fmt: skip
    count = 0
    for _, element in iterparse(source):
        if element.tag != sheet_reader.ROW_TAG:
            _note(element, found)
            continue
        number, cells = _row(parser, element, found)
        element.clear()
        if cells:
            count += 1
            check_rows(path, count, more=True)
            yield number, cells


def _date_styles(path: Path, archive: ZipFile) -> tuple[set[int], set[int]]:
    """Return the formats of cells that show dates or times, and those that show durations."""
    if ARC_STYLE not in archive.namelist():
        return set(), set()
    if archive.getinfo(ARC_STYLE).file_size > MAX_STYLES:
        raise EvidenceError(
            f"{path}: has more formats than a sheet of patients needs; copy the cells into a new "
            "workbook, values only"
        )
    root = fromstring(archive.read(ARC_STYLE))
    codes = dict(BUILTIN_FORMATS)
    for node in root.iter(f"{{{SHEET_MAIN_NS}}}numFmt"):
        codes[int(node.get("numFmtId"))] = node.get("formatCode")
    used = root.find(f"{{{SHEET_MAIN_NS}}}cellXfs")
    shown = [codes.get(int(node.get("numFmtId") or 0), "") for node in used or ()]
    dates, spans = (
        {style for style, code in enumerate(shown) if tells(code)}
        for tells in (is_date_format, is_timedelta_format)
    )
    return dates, spans


def _row(parser: Any, element: Any, found: Sheet) -> Row:
    """Return the filled cells of a row; note whether it is hidden and its formulas."""
    number, cells = parser.parse_row(element)
    parser.row_dimensions.clear()
    if _is_hidden(element, "ht"):
        found.hidden_rows.add(number)
    if next(element.iter(sheet_reader.FORMULA_TAG), None) is not None:
        columns = (cell["column"] for cell in cells if cell["value"] is None)
        empty = {cell["column"]: node for cell, node in zip(cells, element, strict=True)}
        found.unvalued += [
            f"{get_column_letter(column)}{number}"
            for column in columns
            if _lacks_value(empty[column])
        ]
    plain = ((cell["column"], plain_cell(cell["value"])) for cell in cells)
    return number, {column: cell for column, cell in plain if cell is not None}


def _lacks_value(cell: Any) -> bool:
    """Tell a formula that no program has computed; an empty text is a value that one computed."""
    computed = cell.get("t") == "str" and cell.find(sheet_reader.VALUE_TAG) is not None
    return cell.find(sheet_reader.FORMULA_TAG) is not None and not computed


def _note(element: Any, found: Sheet) -> None:
    """Note hidden columns, merged cells and the filter of a sheet."""
    if element.tag == sheet_reader.COL_TAG and _is_hidden(element, "width"):
        found.hidden_columns.update(range(int(element.get("min")), int(element.get("max")) + 1))
    elif element.tag == sheet_reader.MERGE_TAG:
        found.merged += [part.get("ref") for part in element]
    elif element.tag == sheet_reader.FILTER_TAG:
        found.filtered = element.get("ref") or "the sheet"


def _is_hidden(element: Any, size: str) -> bool:
    """Tell whether a row or column is hidden or has no size."""
    return element.get("hidden") in {"1", "true"} or float(element.get(size) or 1) == 0


def _check(path: Path, found: Sheet) -> None:
    """Refuse merged cells and formulas without a value: both would read as missing."""
    if found.merged:
        first = min(found.merged)
        raise EvidenceError(f"{path}: cells {first} are merged; unmerge them and fill in each row")
    if found.unvalued:
        raise EvidenceError(
            f"{path}: cell {found.unvalued[0]} is a formula without a stored value; open the file "
            "in its program and save it, or paste the values"
        )


def _columns(rows: Sequence[Row], columns: Sequence[int]) -> list[Objects]:
    """Return the cells of the columns that have a name, None where there is none."""
    place = {column: index for index, column in enumerate(columns)}
    table = np.full((len(columns), len(rows)), None, dtype=object)
    for index, (_, cells) in enumerate(rows):
        for column, cell in cells.items():
            if column in place:
                table[place[column], index] = cell
    return list(table)


def _hidden_sheets(states: Mapping[str, str], name: str) -> Iterator[str]:
    """Say that the sheet that was read is hidden, and which hidden ones were not."""
    hidden = [other for other, state in states.items() if state != "visible" and other != name]
    if states[name] != "visible":
        yield f"sheet '{name}' is hidden and was read"
    if hidden:
        yield f"sheet '{name}' was read, not the hidden {_several('sheet', hidden)}"


def _hidden_cells(found: Sheet, rows: Sequence[Row]) -> Iterator[str]:
    """Say which rows and columns are hidden, and whether there is a filter."""
    numbers = [str(number) for number, _ in rows if number in found.hidden_rows]
    letters = [get_column_letter(column) for column in rows[0][1] if column in found.hidden_columns]
    if numbers:
        yield _were_read(numbers, "row")
    if letters:
        yield _were_read(letters, "column")
    if found.filtered:
        yield f"a filter is set on {found.filtered}; rows were read whether it shows them or not"


def _were_read(names: Sequence[str], what: str) -> str:
    """Say that hidden rows or columns were read."""
    verb = "were" if len(names) > 1 else "was"
    plural = "s" * (len(names) > 1)
    return f"{len(names):,} hidden {what}{plural} {verb} read ({_several(what, names)})"


def _several(what: str, names: Sequence[str]) -> str:
    """Return names behind what they are names of, the first few of many."""
    plural = "s" * (len(names) > 1)
    more = len(names) - LISTED
    listed = [*names[:LISTED], *([f"{more:,} more"] if more > 0 else [])]
    return f"{what}{plural} {' and '.join(filter(None, [', '.join(listed[:-1]), listed[-1]]))}"
