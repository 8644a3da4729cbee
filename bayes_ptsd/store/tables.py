"""The catalog as a table for people and other programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd

from bayes_ptsd.errors import StoreError, nearest

__all__ = ["flat_table", "write_new", "write_table"]


def flat_table(entries: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Spread sidecars over the columns of a table.

    Parameters
    ----------
    entries : iterable of mapping
        Sidecars.

    Returns
    -------
    pandas.DataFrame
        One row each, indexed by `result_id`; a table within a table becomes columns with dotted
        names, a list of numbers becomes columns that end in its positions from 0, and any other
        list the JSON text of it.

    Examples
    --------
    >>> entry = {"result_id": "0f3a9c21d4", "summary": {"eti95": [4.8, 20.6]}}
    >>> flat_table([entry]).columns.to_list()
    ['summary.eti95.0', 'summary.eti95.1']
    """
    rows = [dict(_flat("", entry)) for entry in entries]
    table = pd.DataFrame(rows, columns=None if rows else ["result_id"])
    return table.set_index("result_id")


def write_table(table: pd.DataFrame, path: Path) -> Path:
    """Write a table to a new CSV or Parquet file.

    Parameters
    ----------
    table : pandas.DataFrame
        What `flat_table` returns.
    path : Path
        The new file; its suffix, ``.csv`` or ``.parquet``, decides.

    Returns
    -------
    Path
        The new file.

    Raises
    ------
    StoreError
        If the suffix is another one, the file exists already, or it cannot be written.

    Examples
    --------
    >>> write_table(flat_table([]), Path("catalog.xlsx"))
    Traceback (most recent call last):
    bayes_ptsd.errors.StoreError: catalog.xlsx: suffix '.xlsx'; known: .csv, .parquet
    """
    if path.suffix == ".csv":
        return write_new(path, table.to_csv(lineterminator="\n").encode())
    if path.suffix == ".parquet":
        buffer = BytesIO()
        table.apply(_one_type).to_parquet(buffer)
        return write_new(path, buffer.getvalue())
    raise StoreError(f"{path}: suffix '{path.suffix}'{nearest(path.suffix, ['.csv', '.parquet'])}")


def write_new(path: Path, content: bytes) -> Path:
    """Write a file that must not be there yet.

    Parameters
    ----------
    path : Path
        The new file.
    content : bytes
        All of it.

    Returns
    -------
    Path
        The same path.

    Raises
    ------
    StoreError
        If the file exists already or cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_new(Path(folder, "catalog.csv"), b"result_id").read_bytes()
    b'result_id'
    """
    try:
        with path.open("xb") as file:
            file.write(content)
    except FileExistsError as error:
        raise StoreError(f"{path}: exists already; name another file") from error
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error.strerror})") from error
    return path


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
