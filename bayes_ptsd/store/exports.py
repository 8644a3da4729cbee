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
    """Write a result as a new Zarr folder, which appears whole; an existing one is refused."""
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
