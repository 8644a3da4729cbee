"""Readers of patient files: any format in, one table of plain cells with its row numbers out.

No reader guesses: a file that is not what its suffix says, is cut off, merges cells or keeps
formulas without values is refused, for what would read as missing or vanish. What the cells mean
is decided elsewhere.
"""

from __future__ import annotations

import csv
import io
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import blake2b
from numbers import Integral, Real
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd

from bayes_ptsd.errors import EvidenceError

__all__ = [
    "READERS",
    "SUFFIXES",
    "Cell",
    "Content",
    "PatientTable",
    "Refusal",
    "plain_cell",
    "read_patient_table",
]

Cell: TypeAlias = Any
"""None (missing), str, bool, int, float, or an object that no column may hold, such as a date."""

Refusal: TypeAlias = tuple[int, str]
"""Number of a row as its reader sees it (0: the file as a whole) and what is wrong with it."""

Content: TypeAlias = tuple[pd.DataFrame, list[int], dict[str, dict[Cell, str]], list[Refusal]]
"""Cells, row numbers, value labels by column, rows that could not be split."""

SHEET = "patients"


def plain_cell(value: object) -> Cell:
    """Return a cell as None, stripped str, bool, int or float.

    None stands for empty text, NaN and the like; anything else comes back as it is.
    """
    if isinstance(value, str):
        return value.strip() or None
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


def _frame(records: list[list[Cell]], names: list[str]) -> pd.DataFrame:
    """Return cells as a table of objects, so that no library changes them."""
    frame = pd.DataFrame(records, columns=range(len(names)), dtype=object)
    for column in frame.columns:
        frame[column] = pd.Series([plain_cell(value) for value in frame[column]], dtype=object)
    frame.columns = pd.Index(names, dtype=object)
    return frame


def _read_csv(path: Path, content: bytes) -> Content:
    """Read delimited text, counting lines as an editor does."""
    text = _text(path, content)
    delimiter = "\t" if path.suffix.lower() == ".tsv" else _delimiter(text)
    lines = _records(path, text, delimiter)
    header = next(lines, (1, []))[1]
    rows, records, refusals = [], [], []
    for line, record in lines:
        if len(record) == len(header):
            rows.append(line)
            records.append(record)
        else:
            refusals.append((line, f"has {len(record)} fields, the header {len(header)}"))
    return _frame(records, [name.strip() for name in header]), rows, {}, refusals


def _text(path: Path, content: bytes) -> str:
    """Decode UTF-8, with or without a mark at its start."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in content:
        raise EvidenceError(f"{path}: is not UTF-8 text (UTF-16, or binary); save it as CSV UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise EvidenceError(
            f"{path}: line {line} has a character that is not UTF-8; save the file as CSV UTF-8"
        ) from error


def _delimiter(text: str) -> str:
    """Return the delimiter that splits the header into most fields; a comma if none does."""
    header = next((line for line in text.splitlines() if line.strip()), "")
    return max(",;\t", key=lambda mark: len(next(csv.reader([header], delimiter=mark), [])))


def _records(path: Path, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield every record that has content with the line on which it begins."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    begin = 1
    try:
        for record in reader:
            if any(cell.strip() for cell in record):
                yield begin, record
            begin = reader.line_num + 1
    except csv.Error as error:
        raise EvidenceError(
            f"{path}: line {begin} is not CSV ({error}); look for a stray quotation mark"
        ) from error


def _read_excel(path: Path, content: bytes) -> Content:
    """Read one sheet, counting rows as the program does."""
    import openpyxl  # type: ignore[import-untyped]

    if "xl/workbook.xml" not in zipfile.ZipFile(io.BytesIO(content)).namelist():
        raise EvidenceError(f"{path}: is a zip archive, not an Excel workbook")
    books = [openpyxl.load_workbook(io.BytesIO(content), data_only=flag) for flag in (True, False)]
    sheet, formulas = (_sheet(path, book) for book in books)
    _check_sheet(path, sheet, formulas)
    lines = [
        (number, list(record))
        for number, record in enumerate(sheet.iter_rows(values_only=True), sheet.min_row)
        if any(plain_cell(cell) is not None for cell in record)
    ]
    if not lines:
        raise EvidenceError(f"{path}: sheet '{sheet.title}' is empty")
    names = [str(plain_cell(name) if plain_cell(name) is not None else "") for name in lines[0][1]]
    return _frame([r for _, r in lines[1:]], names), [n for n, _ in lines[1:]], {}, []


def _sheet(path: Path, book: Any) -> Any:
    """Return the sheet of the patients: the one so named, else the only one."""
    if SHEET in book.sheetnames:
        return book[SHEET]
    if len(book.worksheets) != 1:
        raise EvidenceError(
            f"{path}: has {len(book.worksheets)} sheets; call the one with the rows '{SHEET}'"
        )
    return book.worksheets[0]


def _check_sheet(path: Path, sheet: Any, formulas: Any) -> None:
    """Refuse merged cells and formulas without a value: both would read as missing."""
    if sheet.merged_cells.ranges:
        first = sorted(map(str, sheet.merged_cells.ranges))[0]
        raise EvidenceError(f"{path}: cells {first} are merged; unmerge them and fill in each row")
    for record in formulas.iter_rows():
        for cell in record:
            if cell.data_type == "f" and sheet[cell.coordinate].value is None:
                raise EvidenceError(
                    f"{path}: cell {cell.coordinate} is a formula without a stored value; open "
                    "the file in its program and save it, or paste the values"
                )


def _read_parquet(path: Path, content: bytes) -> Content:
    """Read a Parquet file as it was written, without its pandas index."""
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    table = pq.read_table(io.BytesIO(content))
    names = [str(name) for name in table.column_names]
    records = [list(record) for record in zip(*(c.to_pylist() for c in table.columns), strict=True)]
    return _frame(records, names), list(range(1, len(records) + 1)), {}, []


def _read_statistical(path: Path, content: bytes) -> Content:
    """Read a SAS, Stata or SPSS data set with its value labels."""
    import pyreadstat

    suffix = path.suffix.lower()
    if suffix == ".xpt" and len(content) % 80:
        raise EvidenceError(f"{path}: is cut off (its size is no multiple of 80 bytes)")
    read: Mapping[str, Callable[..., Any]] = {
        ".xpt": pyreadstat.read_xport,
        ".sas7bdat": pyreadstat.read_sas7bdat,
        ".dta": pyreadstat.read_dta,
    }
    data, meta = read.get(suffix, pyreadstat.read_sav)(str(path))
    if meta.number_rows not in (None, -1, len(data)):
        raise EvidenceError(f"{path}: announces {meta.number_rows} rows and has {len(data)}")
    labels = {str(name): dict(table) for name, table in meta.variable_value_labels.items()}
    records = [list(record) for record in data.itertuples(index=False, name=None)]
    names = [str(name) for name in data.columns]
    return _frame(records, names), list(range(1, len(records) + 1)), labels, []


READERS: Mapping[str, Callable[[Path, bytes], Content]] = {
    "csv": _read_csv,
    "excel": _read_excel,
    "parquet": _read_parquet,
    "xpt": _read_statistical,
    "sas7bdat": _read_statistical,
    "stata": _read_statistical,
    "spss": _read_statistical,
}
"""Readers by format."""


FORMATS = {
    "csv": "text (CSV)",
    "excel": "Excel",
    "parquet": "Parquet",
    "xpt": "SAS transport",
    "sas7bdat": "SAS data",
    "stata": "Stata",
    "spss": "SPSS",
}
SUFFIXES: Mapping[str, str] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".xlsx": "excel",
    ".xlsm": "excel",
    ".parquet": "parquet",
    ".xpt": "xpt",
    ".sas7bdat": "sas7bdat",
    ".dta": "stata",
    ".sav": "spss",
    ".zsav": "spss",
}
"""File suffixes that are read, with the format each stands for."""

# the magic number at the start of every SAS data set: twelve zeros and these twenty bytes
SAS_MAGIC = bytes(12) + bytes.fromhex("c2ea8160b31411cfbd92080009c7318c181f1011")
STARTS = (
    (b"PAR1", "parquet"),
    (b"PK\x03\x04", "excel"),
    (b"HEADER RECORD*******LIB", "xpt"),
    (SAS_MAGIC, "sas7bdat"),
    (b"<stata_dta>", "stata"),
    (b"$FL2", "spss"),
    (b"$FL3", "spss"),
)
FOREIGN = (
    (b"\xd0\xcf\x11\xe0", "an old or protected Office file; save it as .xlsx without password"),
    (b"**COMPRESSED**", "made by PROC CPORT; write it with the XPORT engine instead"),
    (b"\x1f\x8b", "a gzip archive; unpack it"),
)
# release bytes of Stata formats 105, 108, 110, 111 and 113 to 115, as they stand in hexadecimal
OLD_STATA = {0x69, 0x6C, 0x6E, 0x6F, 0x71, 0x72, 0x73}


@dataclass(frozen=True)
class PatientTable:
    """The cells of a patient file.

    Attributes
    ----------
    row : tuple of int
        Number of each row as its reader sees it.
    unit : {"line", "row"}
        What `row` counts: lines of a text file, rows of a sheet or observations of a data set.
    labels : mapping of str to mapping
        Value labels by column, for formats that have them.
    refusals : tuple
        Rows that could not be split into columns.
    digest : bytes
        BLAKE2b of the bytes of the file.
    notes : tuple of str
        What is odd about the file and was read all the same, such as hidden rows.
    """

    cells: pd.DataFrame
    row: tuple[int, ...]
    unit: str
    labels: Mapping[str, Mapping[Cell, str]] = field(default_factory=dict)
    refusals: tuple[Refusal, ...] = ()
    digest: bytes = b""
    notes: tuple[str, ...] = ()


def read_patient_table(path: str | Path) -> PatientTable:
    """Read the cells of a patient file without deciding what they mean; empty rows are left out."""
    path = Path(path)
    content = _bytes(path)
    kind = _kind(path, content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            frame, rows, labels, refusals = READERS[kind](path, content)
    except EvidenceError:
        raise
    except Exception as error:  # the libraries raise whatever they like at damaged files
        raise EvidenceError(
            f"{path}: cannot be read as {FORMATS[kind]} ({type(error).__name__}: {error}); the "
            "file is damaged or of a version that is not known"
        ) from error
    _check_names(path, [str(name) for name in frame.columns])
    frame = frame.loc[:, [name != "" for name in frame.columns]]
    filled = frame.notna().any(axis=1).to_numpy()
    if not filled.any() and not refusals:
        raise EvidenceError(f"{path}: has no row of data; write one row per patient and period")
    return PatientTable(
        cells=frame[filled].reset_index(drop=True),
        row=tuple(row for row, keep in zip(rows, filled, strict=True) if keep),
        unit="line" if kind == "csv" else "row",
        labels=labels,
        refusals=tuple(refusals),
        digest=blake2b(content).digest(),
    )


def _bytes(path: Path) -> bytes:
    """Return the content of a file that is there and not empty."""
    if path.suffix.lower() not in SUFFIXES:
        raise EvidenceError(
            f"{path}: cannot tell the format from the suffix '{path.suffix}'; "
            f"known: {', '.join(SUFFIXES)}"
        )
    try:
        content = path.read_bytes()
    except OSError as error:
        raise EvidenceError(f"{path}: cannot be opened ({error.strerror})") from error
    if not content.strip():
        raise EvidenceError(f"{path}: is empty")
    return content


def _kind(path: Path, content: bytes) -> str:
    """Return the format that both suffix and first bytes name."""
    expected = SUFFIXES[path.suffix.lower()]
    for start, what in FOREIGN:
        if content.startswith(start):
            raise EvidenceError(f"{path}: is {what}")
    found = next((kind for start, kind in STARTS if content.startswith(start)), None)
    if found is None and content[0] in OLD_STATA and content[1:3] in (b"\1\1", b"\2\1"):
        found = "stata"
    if (found or "csv") != expected:
        content_is = FORMATS[found] if found else f"not {FORMATS[expected]}"
        ending = next(suffix for suffix, kind in SUFFIXES.items() if kind == (found or "csv"))
        raise EvidenceError(
            f"{path}: its content is {content_is}, whatever its suffix '{path.suffix}' says; "
            f"name it {ending} if that is what it is, or export it again"
        )
    return expected


def _check_names(path: Path, names: list[str]) -> None:
    """Refuse two columns of one name; columns without any name are nobody's."""
    seen: set[str] = set()
    for name in filter(None, names):
        if name in seen:
            raise EvidenceError(f"{path}: two columns are called '{name}'; rename one")
        seen.add(name)
