"""A result as the bytes of one NetCDF-4 file, and back.

Only numbers, booleans and text are written, so that opening a file can never run code: there are
no Python objects in it.
"""

from __future__ import annotations

import io
import os
import tempfile
import warnings
from collections.abc import Hashable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr

from bayes_ptsd.errors import StoreError

__all__ = ["decode", "encode", "write_zarr"]

# attributes that NetCDF conventions give a meaning, by which values would be altered on reading
RESERVED = {
    "_FillValue", "_Unsigned", "add_offset", "calendar", "coordinates", "dtype", "grid_mapping",
    "missing_value", "scale_factor",
}  # fmt: skip

# attributes of which HDF5 and NetCDF make dimensions, and that are no one's values
INTERNAL = {
    "DIMENSION_LIST", "REFERENCE_LIST", "_NCProperties", "_Netcdf4Coordinates", "_Netcdf4Dimid",
    "_nc3_strict",
}  # fmt: skip
# how NetCDF calls a dimension without a variable of its name
NO_VARIABLE = "This is a netCDF dimension but not a netCDF variable."
# bytes below which the index of a compressed variable takes what compression spares
LEAST_COMPRESSED = 2048
# bytes that are compressed in one piece, which HDF5 takes below 4 GB only; of more it finds pieces
MOST_AT_ONCE = 2**28
# by which a program is told, as CF packs values, that what is stored in single precision is double
AS_DOUBLE = {"scale_factor": np.float64(1.0)}
# of zlib: level 1 takes a third of the time of 4 and gains the same on draws, to one in a hundred
EFFORT = 1


def encode(tree: xr.DataTree) -> bytes:
    """Write a result as a NetCDF-4 file in memory; a kind that it cannot hold is refused by name.

    Variables are numbers (integers, 4- or 8-byte floats), booleans or text. Boolean attributes
    become 0 or 1, and a list of one becomes its item, as NetCDF has neither. Compressed without
    loss: single precision takes what it holds exactly, such as the draws of the sampler. One
    opening of the file for all groups, which xarray opens once a group and more.
    """
    nodes = {node.path: _writable(node) for node in tree.subtree}
    buffer = io.BytesIO()
    try:
        with h5py.File(buffer, "w", libver=("v110", "v110"), track_order=True) as file:
            numbers = count()
            for path, dataset in nodes.items():
                group = file if path == "/" else file.create_group(path, track_order=True)
                _write(group, dataset, numbers)
    except Exception as error:
        raise StoreError(f"this result cannot be written as NetCDF: {error}") from error
    return buffer.getvalue()


def decode(content: bytes) -> xr.DataTree:
    """Read a result from the bytes of its file into memory, with the types it was saved with."""
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            return xr.DataTree.from_dict(dict(_nodes(file)))
    except Exception as error:
        raise StoreError(f"not a NetCDF-4 file: {error}") from error


def _write(group: h5py.Group, dataset: xr.Dataset, numbers: Iterator[int]) -> None:
    """Write the variables, dimensions and attributes of one group; a dimension takes a number."""
    variables, attributes = xr.conventions.encode_dataset_coordinates(dataset)
    _set_attributes(group, attributes)
    written = {name: _write_variable(group, str(name), one) for name, one in variables.items()}
    scales = {}
    for dim, size in dataset.sizes.items():
        if dim in written:
            scale, label = written[dim], str(dim)
        else:
            scale = group.create_dataset(str(dim), shape=(size,), dtype=">f4")
            label = f"{NO_VARIABLE}{size:10d}"
        scale.make_scale(label)
        scale.attrs["_Netcdf4Dimid"] = np.int32(next(numbers))
        scales[dim] = scale
    for name, one in variables.items():
        if name not in scales:
            for axis, dim in enumerate(one.dims):
                written[name].dims[axis].attach_scale(scales[dim])


def _write_variable(group: h5py.Group, name: str, variable: xr.Variable) -> h5py.Dataset:
    """Write the values and attributes of one variable: a boolean as a byte that says so."""
    values, attributes = variable.values, dict(variable.attrs)
    options: dict[str, Any] = {}
    if values.dtype.kind == "b":
        values, attributes = values.astype("int8"), attributes | {"dtype": "bool"}
    if values.dtype.kind == "U":
        values, options = values.astype(object), {"dtype": h5py.string_dtype()}
    elif values.nbytes >= LEAST_COMPRESSED:
        if values.dtype == np.float64 and _is_single(values):
            values, attributes = values.astype(np.float32), attributes | AS_DOUBLE
        chunks = values.shape if values.nbytes <= MOST_AT_ONCE else True
        options = {"chunks": chunks, "compression": "gzip", "shuffle": True,
                   "compression_opts": EFFORT}  # fmt: skip
    written = group.create_dataset(name, data=values, **options)
    _set_attributes(written, attributes)
    return written


def _is_single(values: np.ndarray[Any, Any]) -> bool:
    """Tell whether single precision holds every value exactly."""
    with np.errstate(over="ignore"):
        return np.array_equal(values.astype(np.float32), values, equal_nan=True)


def _set_attributes(place: h5py.Group | h5py.Dataset, attributes: Mapping[Any, Any]) -> None:
    """Write attributes: text, numbers, and lists of either."""
    for name, value in attributes.items():
        texts = isinstance(value, list) and isinstance(value[0], str)
        place.attrs[name] = np.array(value, dtype=h5py.string_dtype()) if texts else value


def _nodes(group: h5py.Group) -> Iterator[tuple[str, xr.Dataset]]:
    """Yield every group below one, and itself first, as datasets by their path."""
    items = list(group.items())
    arrays = [(name, one) for name, one in items if isinstance(one, h5py.Dataset)]
    attributes = _read_attributes(group)
    coordinates = set(str(attributes.pop("coordinates", "")).split())
    variables = {}
    for name, one in arrays:
        variable, further = _read_variable(name, one)
        coordinates |= further
        if variable is not None:
            variables[name] = variable
    coordinates |= {name for name, one in variables.items() if one.dims == (name,)}
    yield (
        group.name,
        xr.Dataset(
            {name: one for name, one in variables.items() if name not in coordinates},
            {name: one for name, one in variables.items() if name in coordinates},
            attributes,
        ),
    )
    for _, one in items:
        if isinstance(one, h5py.Group):
            yield from _nodes(one)


def _read_variable(name: str, stored: h5py.Dataset) -> tuple[xr.Variable | None, set[str]]:
    """Return a variable and the names of its coordinates; nothing of a dimension without values."""
    attributes = _read_attributes(stored)
    is_scale = attributes.pop("CLASS", "") == "DIMENSION_SCALE"
    if is_scale and attributes.pop("NAME", "").startswith(NO_VARIABLE):
        return None, set()
    further = set(str(attributes.pop("coordinates", "")).split())
    dims = (name,) if is_scale else _dimensions(stored)
    if h5py.check_string_dtype(stored.dtype) is not None:
        values = stored.asstr()[()]
        values = np.asarray(values, dtype=object).astype(str) if stored.shape else np.array(values)
    else:
        values = stored[()]
    if attributes.get("dtype") == "bool":
        del attributes["dtype"]
        values = values.astype(bool)
    if attributes.pop("scale_factor", None) is not None:
        values = values.astype(np.float64)
    return xr.Variable(dims, values, attributes), further


def _dimensions(stored: h5py.Dataset) -> tuple[str, ...]:
    """Return the names of the dimensions of a variable."""
    scales = stored.attrs["DIMENSION_LIST"] if stored.shape else ()
    return tuple(str(stored.file[one[0]].name).rpartition("/")[2] for one in scales)


def _read_attributes(place: h5py.Group | h5py.Dataset) -> dict[str, Any]:
    """Return the attributes that are values: not those by which HDF5 and NetCDF know dimensions."""
    found = {}
    for name in place.attrs:
        if name in INTERNAL:
            continue
        value = place.attrs[name]
        if isinstance(value, np.ndarray):
            value = value.tolist() if value.dtype.kind == "O" else value
            value = value[0] if len(value) == 1 else value
        elif isinstance(value, bytes):
            value = value.decode()
        found[name] = value
    return found


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
