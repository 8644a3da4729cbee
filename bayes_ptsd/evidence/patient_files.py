"""Readers of patient files: any format in, one table of plain cells with its row numbers out.

No reader guesses: a file that is not what its suffix says, is cut off, merges cells or keeps
formulas without values is refused. What the cells mean is decided elsewhere.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

import pandas as pd

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence.patient_readers import READERS, Cell, Refusal

__all__ = ["SUFFIXES", "PatientTable", "read_patient_table"]

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
    """

    cells: pd.DataFrame
    row: tuple[int, ...]
    unit: str
    labels: Mapping[str, Mapping[Cell, str]] = field(default_factory=dict)
    refusals: tuple[Refusal, ...] = ()
    digest: bytes = b""


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
