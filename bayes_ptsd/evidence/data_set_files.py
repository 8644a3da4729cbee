"""Data sets of other programs: Parquet, SAS, Stata and SPSS, with their value labels.

Their heads say how large they are: what they announce is checked before a row is read. What a
program declares to be missing (Stata's `.a`, the missing values of SPSS) is missing here.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence.file_limits import check_cells, check_rows, check_unpacked, max_rows
from bayes_ptsd.evidence.plain_cells import (
    Cell,
    Content,
    Objects,
    check_names,
    objects,
    plain_cell,
    plain_column,
    plain_text,
    table_of,
)
from bayes_ptsd.evidence.spss_dictionary import check_spss_dictionary

__all__ = ["OLD_STATA", "read_parquet", "read_statistical"]

OLD_STATA = {0x69, 0x6C, 0x6E, 0x6F, 0x71, 0x72, 0x73}
"""Release bytes of Stata formats 105, 108, 110, 111 and 113 to 115, as hexadecimal numbers."""

# what text is that is not in the encoding of its file: Western Windows, and what leaves no byte out
FALLBACKS = ("WINDOWS-1252", "LATIN1")
# beginnings of the heads of the data sets in a SAS transport file, versions 5 and 8
MEMBERS = (
    b"HEADER RECORD*******MEMBER  HEADER RECORD",
    b"HEADER RECORD*******MEMBV8  HEADER RECORD",
)


def read_parquet(path: Path, content: bytes) -> Content:
    """Read a Parquet file as it was written, without its pandas index."""
    import pyarrow as pa  # type: ignore[import-untyped]
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    file = pq.ParquetFile(io.BytesIO(content))
    head, schema = file.metadata, file.schema_arrow
    groups = [head.row_group(number) for number in range(head.num_row_groups)]
    rows = max(head.num_rows, sum(group.num_rows for group in groups))
    check_rows(path, rows)
    check_cells(path, rows * len(schema), len(schema))
    check_unpacked(path, sum(group.total_byte_size for group in groups))
    names = [plain_text(str(name)) for name in schema.names]
    check_names(path, names)
    texts = [field.name for field in schema if pa.types.is_string(field.type)]
    nested = [field.name for field in schema if pa.types.is_nested(field.type)]
    table = pq.read_table(
        io.BytesIO(content),
        columns=[name for name in schema.names if name not in nested],
        read_dictionary=texts,
    )
    if table.num_columns and table.num_rows != rows:
        raise EvidenceError(f"{path}: announces {rows} rows and has {table.num_rows}")
    # lists are no cells, and may unpack to any size: that they are lists is all that is kept
    columns = [
        objects([[]] * rows) if name in nested else _arrow_cells(table.column(name))
        for name in schema.names
    ]
    return Content(table_of(columns, names), range(1, rows + 1))


def _arrow_cells(column: Any) -> Objects:
    """Return the cells of an Arrow column: texts by their dictionary, numbers all at once."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.unify_dictionaries().combine_chunks()
        values = objects([*map(plain_cell, column.dictionary.to_pylist()), None])
        codes = column.indices.fill_null(len(values) - 1).to_numpy(zero_copy_only=False)
        return values[np.asarray(codes, dtype=np.int64)]
    if pa.types.is_floating(kind) and not column.null_count:
        return plain_column(column.to_numpy())
    if pa.types.is_integer(kind) and not column.null_count:
        return plain_column(column.to_numpy())
    return plain_column(objects(column.to_pylist()))


def read_statistical(path: Path, content: bytes) -> Content:
    """Read a SAS, Stata or SPSS data set with its value labels."""
    import pyreadstat

    suffix = path.suffix.lower()
    if suffix == ".xpt":
        _check_transport(path, content)
    elif suffix in {".sav", ".zsav"}:
        check_spss_dictionary(content)
    readers: Mapping[str, Callable[..., Any]] = {
        ".xpt": pyreadstat.read_xport,
        ".sas7bdat": pyreadstat.read_sas7bdat,
        ".dta": pyreadstat.read_dta,
    }
    read = readers.get(suffix, pyreadstat.read_sav)
    old = suffix == ".dta" and content[0] in OLD_STATA
    data, meta, encoding = _decoded(path, read, "UTF-8" if old else None)
    names = [plain_text(str(name)) for name in data.columns]
    columns = [plain_column(data.iloc[:, place].to_numpy()) for place in range(len(names))]
    labels = {
        plain_text(str(name)): {
            plain_cell(code): plain_text(str(text)) for code, text in of.items()
        }
        for name, of in meta.variable_value_labels.items()
    }
    texts = [*names, *(text for of in labels.values() for text in of.values())]
    notes = _encoding_notes(encoding, texts, columns)
    return Content(table_of(columns, names), range(1, len(data) + 1), labels, notes=notes)


def _check_transport(path: Path, content: bytes) -> None:
    """Refuse a SAS transport file that is cut off or holds several data sets."""
    if len(content) % 80:
        raise EvidenceError(f"{path}: is cut off (its size is no multiple of 80 bytes)")
    members = sum(content.count(member) for member in MEMBERS)
    if members > 1:
        raise EvidenceError(
            f"{path}: holds {members} data sets; write the one of the patients to a file of its own"
        )


def _decoded(
    path: Path, read: Callable[..., Any], first: str | None
) -> tuple[pd.DataFrame, Any, str | None]:
    """Read with the encoding that the file declares, else with one that suits; say with which."""
    import pyreadstat

    problem: Exception | None = None
    for encoding in (first, *FALLBACKS):
        how = {"encoding": encoding} if encoding else {}
        try:
            return *_read(path, read, how), encoding
        except (UnicodeDecodeError, pyreadstat.ReadstatError) as error:
            problem = problem or error
    assert problem is not None
    raise problem


def _read(path: Path, read: Callable[..., Any], how: Mapping[str, str]) -> tuple[pd.DataFrame, Any]:
    """Read no more rows than announced, and refuse what announces too many."""
    _, head = read(str(path), metadataonly=True, **how)
    announced = head.number_rows if head.number_rows not in (None, -1) else 0
    columns = len(head.column_names)
    check_rows(path, announced)
    check_cells(path, announced * columns, columns)
    data, meta = read(str(path), row_limit=max_rows() + 1, **how)
    check_rows(path, len(data), more=True)
    if meta.number_rows not in (None, -1, len(data)):
        raise EvidenceError(f"{path}: announces {meta.number_rows} rows and has {len(data)}")
    return data, meta


def _encoding_notes(
    encoding: str | None, texts: Sequence[str], columns: Iterable[Objects]
) -> list[str]:
    """Say that letters beyond ASCII were read by an encoding that the file does not declare."""
    if encoding not in FALLBACKS:
        return []
    cells: Iterable[Cell] = (cell for column in columns for cell in pd.unique(column))
    if all(text.isascii() for text in [*texts, *(c for c in cells if isinstance(c, str))]):
        return []
    return [f"letters beyond ASCII were read as {encoding}, which the file does not say"]
