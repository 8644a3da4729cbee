"""Results taken out of a store, in formats that other programs read."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from pathlib import Path

import xarray as xr

from bayes_ptsd.errors import StoreError

__all__ = ["write_zarr"]


def write_zarr(tree: xr.DataTree, path: Path) -> Path:
    """Write a result as a Zarr folder that must not be there yet.

    Parameters
    ----------
    tree : xr.DataTree
        A result.
    path : Path
        The new folder; it appears whole.

    Returns
    -------
    Path
        The same path; ``xarray.open_datatree(path, engine="zarr")`` reads it.

    Raises
    ------
    StoreError
        If the folder exists already, or it cannot be written.

    Examples
    --------
    >>> tree = xr.DataTree.from_dict({"posterior": xr.Dataset({"tau": ("draw", [8.5, 9.0])})})
    >>> with tempfile.TemporaryDirectory() as place:
    ...     path = write_zarr(tree, Path(place, "result.zarr"))
    ...     float(xr.open_datatree(path, engine="zarr")["posterior/tau"].mean())
    8.75
    """
    if path.exists():
        raise StoreError(f"{path}: exists already; name another folder")
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as place:
            with warnings.catch_warnings():
                # zarr 3.1 says that its format has no words for texts of fixed length yet
                warnings.filterwarnings("ignore", category=FutureWarning)
                warnings.filterwarnings("ignore", message=".*Consolidated metadata.*")
                warnings.filterwarnings("ignore", message=".*does not have a Zarr V3 spec.*")
                tree.to_zarr(Path(place, "new"))
            shutil.move(Path(place, "new"), path)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error.strerror})") from error
    return path
