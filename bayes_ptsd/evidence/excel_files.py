"""One sheet of an Excel workbook: its cells as the program shows them, hidden ones too, and said.

The sheet is read once, as a stream of rows: a blank in its last cell costs nothing, and what must
not be guessed (merged cells, formulas without a value) is seen on the way.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
from openpyxl.cell.text import Text  # type: ignore[import-untyped]
from openpyxl.reader.excel import ExcelReader  # type: ignore[import-untyped]
from openpyxl.styles.numbers import (  # type: ignore[import-untyped]
    BUILTIN_FORMATS,
    is_date_format,
    is_timedelta_format,
)
from openpyxl.utils import coordinate_to_tuple, get_column_letter  # type: ignore[import-untyped]
from openpyxl.utils.datetime import from_excel, from_ISO8601  # type: ignore[import-untyped]
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

ROW, VALUE, FORMULA, INLINE, COLUMN, MERGED, FILTER = (
    f"{{{SHEET_MAIN_NS}}}{tag}"
    for tag in ("row", "v", "f", "is", "col", "mergeCells", "autoFilter")
)


@dataclass(frozen=True)
class Book:
    """What cells refer to: shared texts, the first day, formats of dates and of durations."""

    texts: Sequence[str]
    epoch: datetime
    dates: Set[int]
    spans: Set[int]


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
    reader = ExcelReader(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
    reader.read_manifest()
    reader.read_strings()
    reader.read_workbook()
    sheets = {sheet.name: (sheet.state, rel) for sheet, rel in reader.parser.find_sheets()}
    sheets = {name: found for name, found in sheets.items() if "chartsheet" not in found[1].Type}
    name = _named(path, {name: state for name, (state, _) in sheets.items()})
    found = Sheet()
    rows = list(_rows(path, reader, sheets[name][1].target, found))
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


def _rows(path: Path, reader: Any, part: str, found: Sheet) -> Iterator[Row]:
    """Yield the rows of a sheet that have anything in them; note the rest in `found`."""
    book = Book(reader.shared_strings, reader.wb.epoch, *_date_styles(path, reader.archive))
    number = count = 0
    for _, element in iterparse(io.BytesIO(EMPTY_ROW.sub(b"", reader.archive.read(part)))):
        if element.tag != ROW:
            _note(element, found)
            continue
        number = _row_number(element, number)
        cells = _row(element, number, book, found)
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


def _row_number(element: Any, above: int) -> int:
    """Return the number of a row, which may be written as 3.0; the next one if it has none."""
    given = float(element.get("r", above + 1))
    if not given.is_integer():
        raise ValueError(f"{given} is not the number of a row")
    return int(given)


def _row(element: Any, number: int, book: Book, found: Sheet) -> dict[int, Cell]:
    """Return the filled cells of a row; note whether it is hidden and its formulas."""
    if _is_hidden(element, "ht"):
        found.hidden_rows.add(number)
    cells: dict[int, Cell] = {}
    column = 0
    for cell in element:
        place = cell.get("r")
        column = coordinate_to_tuple(place)[1] if place else column + 1
        value = _value(cell, book)
        if value is None and _lacks_value(cell):
            found.unvalued.append(f"{get_column_letter(column)}{number}")
        if (plain := plain_cell(value)) is not None:
            cells[column] = plain
    return cells


def _value(cell: Any, book: Book) -> Cell:
    """Return what a cell shows, by the type that it declares: a number where it declares none."""
    kind = cell.get("t", "n")
    if kind == "inlineStr":
        text = cell.find(INLINE)
        return None if text is None else Text.from_tree(text).content
    written = cell.findtext(VALUE)
    if not written:
        return None
    if kind == "n":
        return _number(written, int(cell.get("s") or 0), book)
    if kind == "s":
        return book.texts[int(written)]
    if kind == "b":
        return bool(int(written))
    return from_ISO8601(written) if kind == "d" else written


def _number(written: str, style: int, book: Book) -> Cell:
    """Return a number, or the date, time or duration that its format shows it as."""
    number = float(written) if set(written) & set(".Ee") else int(written)
    if style not in book.dates:
        return number
    try:
        return from_excel(number, book.epoch, timedelta=style in book.spans)
    except (OverflowError, ValueError):  # the program shows no date either
        return "#VALUE!"


def _lacks_value(cell: Any) -> bool:
    """Tell a formula that no program has computed; an empty text is a value that one computed."""
    computed = cell.get("t") == "str" and cell.find(VALUE) is not None
    return cell.find(FORMULA) is not None and not computed


def _note(element: Any, found: Sheet) -> None:
    """Note hidden columns, merged cells and the filter of a sheet."""
    if element.tag == COLUMN and _is_hidden(element, "width"):
        found.hidden_columns.update(range(int(element.get("min")), int(element.get("max")) + 1))
    elif element.tag == MERGED:
        found.merged += [part.get("ref") for part in element]
    elif element.tag == FILTER:
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
