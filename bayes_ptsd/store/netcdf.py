"""A result as the bytes of one NetCDF-4 file, and back.

Only numbers, booleans and text are written, so that opening a file can never run code: there are
no Python objects in it.
"""

from __future__ import annotations

import io
import os
import tempfile
import warnings
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from bayes_ptsd.errors import StoreError

__all__ = ["decode", "encode", "write_zarr"]

# attributes that NetCDF conventions give a meaning, by which values would be altered on reading
RESERVED = {
    "_FillValue", "_Unsigned", "add_offset", "calendar", "coordinates", "dtype", "grid_mapping",
    "missing_value", "scale_factor",
}  # fmt: skip


def encode(tree: xr.DataTree) -> bytes:
    """Write a result as a NetCDF-4 file in memory; a kind that it cannot hold is refused by name.

    Variables are numbers (integers, 4- or 8-byte floats), booleans or text. Boolean attributes
    become 0 or 1, and a list of one becomes its item, as NetCDF has neither.
    """
    nodes = {node.path: _writable(node) for node in tree.subtree}
    buffer = io.BytesIO()
    try:
        # h5netcdf marks missing floats with a fill value, which NaN does without
        xr.DataTree.from_dict(nodes).to_netcdf(
            buffer,
            engine="h5netcdf",
            encoding={
                path: {name: {"_FillValue": None} for name in nodes[path].variables}
                for path in nodes
            },
        )
    except Exception as error:
        raise StoreError(f"this result cannot be written as NetCDF: {error}") from error
    return buffer.getvalue()


def decode(content: bytes) -> xr.DataTree:
    """Read a result from the bytes of its file into memory, with the types it was saved with."""
    try:
        # hours stay numbers, whatever their unit is called
        with xr.open_datatree(
            io.BytesIO(content), engine="h5netcdf", decode_times=False, decode_timedelta=False
        ) as tree:
            # DataTree.load passes over a variable whose name is also that of a group
            nodes = {n.path: n.to_dataset(inherit=False).load() for n in tree.subtree}
            return xr.DataTree.from_dict(nodes, name=tree.name)
    except Exception as error:
        raise StoreError(f"not a NetCDF-4 file: {error}") from error


def _writable(node: xr.DataTree) -> xr.Dataset:
    """Return a node as a dataset that NetCDF can hold, without any encoding it was read with."""
    dataset = node.to_dataset(inherit=False).drop_encoding()
    dataset.attrs = _attributes(dataset.attrs, node.path)
    texts = {}
    for name, variable in dataset.variables.items():
        where = f"{node.path.rstrip('/')}/{name}"
        values = _values(variable.values, where)
        attrs = _attributes(variable.attrs, where)
        if values.dtype != variable.dtype:
            texts[name] = (variable.dims, values, attrs)
        else:
            dataset[name].attrs = attrs
    return dataset.assign(_new(texts, dataset.data_vars)).assign_coords(_new(texts, dataset.coords))


def _new(texts: Mapping[Hashable, Any], names: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
    """Select the replaced variables that are among `names`."""
    return {name: texts[name] for name in texts if name in names}


def _values(values: np.ndarray[Any, Any], where: str) -> np.ndarray[Any, Any]:
    """Return values NetCDF can hold: object arrays of text become fixed-length text."""
    if values.dtype.kind in "OT" and all(isinstance(item, str) for item in values.flat):
        return values.astype(str)
    if values.dtype.kind in "biuU" or values.dtype in (np.float32, np.float64):
        return values
    raise StoreError(
        f"'{where}' has type {values.dtype}; a result holds numbers, booleans and text "
        "(write moments as hours or as ISO 8601 text, and leave Python objects out)"
    )


def _attributes(attrs: Mapping[Any, Any], where: str) -> dict[str, Any]:
    """Return attributes NetCDF can hold."""
    return {str(name): _attribute(value, f"{where}@{name}", name) for name, value in attrs.items()}


def _attribute(value: Any, where: str, name: Any) -> Any:
    """Return an attribute NetCDF can hold: text, a number, or a list of one of them."""
    if name in RESERVED:
        raise StoreError(f"'{where}': NetCDF gives this name a meaning; choose another one")
    items = np.asarray(value)
    if items.dtype.kind == "b":
        return int(value) if items.ndim == 0 else items.astype("int64")
    if isinstance(value, str) or (items.dtype.kind in "iufU" and items.size and items.ndim < 2):
        return items.tolist() if items.dtype.kind == "U" else value
    raise StoreError(
        f"'{where}' is {value!r:.60}; an attribute is a text, a number, or a list of either "
        "(write anything else as JSON text)"
    )


def write_zarr(tree: xr.DataTree, path: Path) -> Path:
    """Write a result as a new Zarr folder, which appears whole; an existing one is refused."""
    if os.path.lexists(path):
        raise StoreError(f"{path}: exists already; name another folder")
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as place:
            with warnings.catch_warnings():
                # zarr 3.1 says that its format has no words for texts of fixed length yet
                warnings.filterwarnings("ignore", category=FutureWarning)
                warnings.filterwarnings("ignore", message=".*Consolidated metadata.*")
                warnings.filterwarnings("ignore", message=".*does not have a Zarr V3 spec.*")
                tree.to_zarr(Path(place, "new"))
            Path(place, "new").rename(path)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error.strerror})") from error
    return path
