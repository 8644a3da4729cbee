"""Keep results: immutable, addressed by their inputs, whole or absent.

`ResultStore` saves and loads them. `bayes_ptsd.store.catalog` lists them with the standard library
alone, so that looking something up does not wait for numpy, pandas or xarray.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bayes_ptsd.store.results import ResultStore

__all__ = ["ResultStore"]


def __getattr__(name: str) -> Any:
    """Import `ResultStore`, and with it xarray, when it is first asked for."""
    if name == "ResultStore":
        from bayes_ptsd.store.results import ResultStore

        return ResultStore
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
