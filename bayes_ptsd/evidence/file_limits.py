"""How large a patient file may be: checked before it is read, so that none exhausts the machine.

Trials have thousands of rows. What announces more is a mistake, such as a blank in the last cell
of a sheet, or made to do harm; who means it raises the limit by an environment variable.
"""

from __future__ import annotations

import os
from pathlib import Path
from zipfile import ZipFile

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.inputs import SpecialFileError, open_regular

__all__ = [
    "MAX_BYTES",
    "MAX_ROWS",
    "check_archive",
    "check_cells",
    "check_rows",
    "check_unpacked",
    "max_rows",
    "read_bytes",
]

MAX_ROWS = 2_000_000
"""Rows: 1000 patients, two periods, 50 visits and 20 endpoints; twice what a sheet can hold."""

MAX_BYTES = 2**28
"""Bytes of a file, of what it unpacks to and of its table of cells: 134 for each of those rows."""

ROWS_VARIABLE, BYTES_VARIABLE = "BAYES_PTSD_MAX_ROWS", "BAYES_PTSD_MAX_BYTES"
# bytes of a cell in memory: a reference, and as much again for the values that cells share
CELL_BYTES = 16
# columns of the widest sheet of a spreadsheet; names of columns are compared with one another
MAX_COLUMNS = 16_384
# parts of a zip archive: a workbook has about three a sheet
MAX_PARTS = 10_000


def max_rows() -> int:
    """Return the number of rows up to which files are read."""
    return _limit(ROWS_VARIABLE, MAX_ROWS)


def read_bytes(path: Path) -> bytes:
    """Return the content of a regular file that is there, not empty and not too large."""
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            limit = _check_bytes(path, size, "is of")
            content = file.read(min(size + 1, limit)) if size else b""
    except SpecialFileError as error:
        raise EvidenceError(
            f"{path}: is {error.strerror}; name a file, or copy the data into one"
        ) from error
    except OSError as error:
        raise EvidenceError(f"{path}: cannot be opened ({error.strerror})") from error
    if not content.strip():
        raise EvidenceError(f"{path}: is empty")
    return content


def check_rows(path: Path, rows: int, *, unit: str = "rows", more: bool = False) -> None:
    """Refuse a file of too many rows; `more` if there may be more than `rows`."""
    if rows > max_rows():
        raise EvidenceError(
            f"{path}: has {'at least ' * more}{rows:,} {unit}, and the limit is {max_rows():,}; "
            f"if all of them are data, set the environment variable {ROWS_VARIABLE}="
            f"{_room(rows, more)}"
        )


def check_cells(path: Path, cells: int, columns: int = 1) -> None:
    """Refuse a file of too many cells or columns."""
    if columns > MAX_COLUMNS:
        raise EvidenceError(
            f"{path}: has {columns:,} columns, and the limit is {MAX_COLUMNS:,}; keep those of the "
            "trial"
        )
    _check_bytes(path, cells * CELL_BYTES, f"has {cells:,} cells, which take")


def check_unpacked(path: Path, size: int) -> None:
    """Refuse a file that unpacks to too much."""
    _check_bytes(path, size, "unpacks to")


def check_archive(path: Path, archive: ZipFile) -> None:
    """Refuse a zip archive of too many parts, or that unpacks to too much."""
    parts = archive.infolist()
    if len(parts) > MAX_PARTS:
        raise EvidenceError(
            f"{path}: is an archive of {len(parts):,} parts, and the limit is {MAX_PARTS:,}; save "
            "the sheet of the patients as a file of its own"
        )
    check_unpacked(path, sum(part.file_size for part in parts))


def _check_bytes(path: Path, size: int, what: str) -> int:
    """Refuse too many bytes, return the limit."""
    limit = _limit(BYTES_VARIABLE, MAX_BYTES)
    if size > limit:
        raise EvidenceError(
            f"{path}: {what} {size:,} bytes, and the limit is {limit:,}; if all of it is data, set "
            f"the environment variable {BYTES_VARIABLE}={_room(size, more=False)}"
        )
    return limit


def _room(size: int, more: bool) -> int:
    """Return a limit that a file passes; ten times what was counted if that was not all."""
    return size * (10 if more else 1)


def _limit(variable: str, default: int) -> int:
    """Return a limit, raised or lowered by an environment variable."""
    text = os.environ.get(variable, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdecimal() and int(text) > 0):
        raise EvidenceError(
            f"{variable}: '{text}' is no whole number above 0; write digits only, as {default}, "
            "or unset it"
        )
    return int(text)
