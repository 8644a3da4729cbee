"""Pooled results of reconstructed patients, as a store holds them."""

from __future__ import annotations

from typing import Any

import xarray as xr

from bayes_ptsd.store import ResultStore

__all__ = ["pooled_results"]

KEYS = ("model", "prior", "endpoint", "crossover_reading", "flow_reading", "engine")


def pooled_results(
    store: ResultStore | None, *, printed: str | None = None, **chosen: str
) -> list[xr.DataTree]:
    """Return pooled results: of each analysis the one over most sets, the newest of those.

    Parameters
    ----------
    store : ResultStore, optional
        No store has no result.
    printed : str, optional
        Digest of the printed evidence; only results of sets made from it.
    chosen : str
        Only results of this ``model``, ``prior``, ``endpoint``, ``crossover_reading``,
        ``flow_reading`` or ``engine``.

    Returns
    -------
    list of xr.DataTree
        Each with the group ``pooled``, in the order in which they were first made. Attributes say
        how many ``reconstructions``, under which readings, and the ids of the ``members``.

    Examples
    --------
    >>> pooled_results(None)
    []
    """
    entries = [] if store is None else store.catalog()
    found: dict[tuple[Any, ...], xr.DataTree] = {}
    for entry in entries:
        wanted = all(entry.get(key) == value for key, value in chosen.items())
        if store is None or not entry.get("reconstructions") or not wanted:
            continue
        fit = store.load(entry["result_id"])
        if printed is not None and fit.attrs["printed_digest"] != printed:
            continue
        key = (*(fit.attrs[name] for name in KEYS), fit.attrs["printed_digest"])
        known = found.get(key)
        if known is None or fit.attrs["reconstructions"] >= known.attrs["reconstructions"]:
            found[key] = fit
    return list(found.values())
