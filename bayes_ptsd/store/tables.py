"""The catalog as a table for people and other programs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd

from bayes_ptsd.errors import StoreError, nearest, visible
from bayes_ptsd.whole_files import write_new

__all__ = ["csv_text", "flat_table", "write_table"]

# what a cell begins with that a spreadsheet computes
FORMULA = ("=", "+", "-", "@", "\t", "\r")
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.ASCII | re.IGNORECASE)


def flat_table(entries: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return a table of a row per sidecar, indexed by `result_id`.

    A table within a table becomes columns with dotted names, a list of numbers columns that end in
    positions from 0, and any other list its JSON text.
    """
    rows = [dict(_flat("", entry)) for entry in entries]
    table = pd.DataFrame(rows, columns=None if rows else ["result_id"])
    return table.set_index("result_id")


def write_table(table: pd.DataFrame, path: Path) -> Path:
    """Write a table to a new file, as CSV or Parquet by its suffix."""
    if path.suffix == ".csv":
        content = csv_text(table).encode()
    elif path.suffix == ".parquet":
        buffer = BytesIO()
        table.apply(_one_type).to_parquet(buffer)
        content = buffer.getvalue()
    else:
        known = nearest(path.suffix, [".csv", ".parquet"])
        raise StoreError(f"{path}: suffix '{path.suffix}'{known}")
    write_new({path: content}, error=StoreError)
    return path


def csv_text(table: pd.DataFrame, *, index: bool = True) -> str:
    """Return a table as CSV in which no text is a formula of a spreadsheet."""
    cells = table.reset_index() if index else table.copy()
    cells.columns = pd.Index([_cell(str(name)) for name in cells.columns])
    for place, dtype in enumerate(cells.dtypes):
        if not pd.api.types.is_numeric_dtype(dtype):
            # object, so that no number beside a text becomes another type
            safe = pd.Series([_cell(value) for value in cells.iloc[:, place]], dtype=object)
            cells.isetitem(place, safe.to_numpy())
    return cells.to_csv(index=False, lineterminator="\n")


def _cell(value: Any) -> Any:
    """Return a cell, a text that a spreadsheet would compute behind an apostrophe."""
    if not isinstance(value, str):
        return value
    text = visible(value)
    return f"'{text}" if value.startswith(FORMULA) and not NUMBER.fullmatch(value) else text


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the columns of a value and what is in them."""
    if isinstance(value, Mapping):
        items: Iterable[tuple[Any, Any]] = value.items()
    elif isinstance(value, list) and value and not any(isinstance(v, (str, dict)) for v in value):
        items = enumerate(value)
    else:
        yield name, json.dumps(value) if isinstance(value, list) else value
        return
    for key, item in items:
        yield from _flat(f"{name}.{key}".lstrip("."), item)


def _one_type(column: pd.Series[Any]) -> pd.Series[Any]:
    """Turn a column of mixed types into text, because a Parquet column has one type."""
    if column.dtype != object or column.dropna().map(type).nunique() < 2:
        return column
    return column.map(str, na_action="ignore")
