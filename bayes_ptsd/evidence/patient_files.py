"""Readers of patient files: any format in, one table of plain cells with its row numbers out.

No reader guesses: a file that is not what its suffix says, is cut off, merges cells or keeps
formulas without values is refused, for what would read as missing or vanish. What the cells mean
is decided elsewhere.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pandas as pd

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence.data_set_files import OLD_STATA, read_parquet, read_statistical
from bayes_ptsd.evidence.file_limits import read_bytes
from bayes_ptsd.evidence.plain_cells import Cell, Content, Refusal, check_names, plain_cell
from bayes_ptsd.evidence.text_files import read_csv

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


def _read_excel(path: Path, content: bytes) -> Content:
    """Read a workbook; its library is loaded for workbooks only."""
    from bayes_ptsd.evidence.excel_files import read_excel

    return read_excel(path, content)


READERS: Mapping[str, Callable[[Path, bytes], Content]] = {
    "csv": read_csv,
    "excel": _read_excel,
    "parquet": read_parquet,
    "xpt": read_statistical,
    "sas7bdat": read_statistical,
    "stata": read_statistical,
    "spss": read_statistical,
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
    if path.suffix.lower() not in SUFFIXES:
        raise EvidenceError(
            f"{path}: cannot tell the format from the suffix '{path.suffix}'; "
            f"known: {', '.join(SUFFIXES)}"
        )
    content = read_bytes(path)
    kind = _kind(path, content)
    found = _read(path, content, kind)
    names = [str(name) for name in found.cells.columns]
    check_names(path, names)
    frame = found.cells.loc[:, [name != "" for name in names]]
    filled = frame.notna().any(axis=1).to_numpy()
    if not filled.any() and not found.refusals:
        raise EvidenceError(f"{path}: has no row of data; write one row per patient and period")
    return PatientTable(
        cells=frame[filled].reset_index(drop=True),
        row=tuple(np.asarray(found.rows, dtype=np.int64)[filled].tolist()),
        unit="line" if kind == "csv" else "row",
        labels=found.labels,
        refusals=tuple(found.refusals),
        digest=blake2b(content).digest(),
        notes=tuple(found.notes),
    )


def _read(path: Path, content: bytes, kind: str) -> Content:
    """Read a file by its format; whatever a library raises becomes one message."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return READERS[kind](path, content)
    except EvidenceError:
        raise
    except Exception as error:  # the libraries raise whatever they like at damaged files
        said = " ".join(f"{type(error).__name__}: {error}".split())
        raise EvidenceError(
            f"{path}: cannot be read as {FORMATS[kind]} ({said}); the file is damaged or of a "
            "version that is not known"
        ) from error


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
