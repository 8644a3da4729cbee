"""Pooled results of reconstructed patients, as a store holds them."""

from __future__ import annotations

from typing import Any

import xarray as xr

from bayes_ptsd.store import ResultStore
from bayes_ptsd.store.results import load_whole

__all__ = ["pooled_entries", "pooled_results"]

KEYS = (
    "model", "prior", "endpoint", "crossover_reading", "flow_reading", "engine", "printed_digest"
)  # fmt: skip


def pooled_entries(
    store: ResultStore | None,
    *,
    printed: str | None = None,
    nuisance: str | None = None,
    **chosen: str,
) -> list[dict[str, Any]]:
    """Return of each analysis the newest sidecar over most sets, in the order first made.

    `nuisance` names the file of nuisance priors of the sets, by default the shipped one: files are
    compared and never put together. `printed` is the digest of the printed evidence.
    """
    wanted: dict[str, str | None] = {**chosen, "nuisance_priors": nuisance}
    wanted |= {} if printed is None else {"printed_digest": printed}
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for entry in [] if store is None else store.catalog():
        sets = entry.get("reconstructions")
        if not sets or any(entry.get(key) != value for key, value in wanted.items()):
            continue
        key = tuple(entry[name] for name in KEYS)
        if key not in found or sets >= found[key]["reconstructions"]:
            found[key] = entry
    return list(found.values())


def pooled_results(
    store: ResultStore | None,
    *,
    printed: str | None = None,
    nuisance: str | None = None,
    **chosen: str,
) -> list[xr.DataTree]:
    """Return the results of `pooled_entries`; ``pooled`` has dims (estimand, reconstruction)."""
    entries = pooled_entries(store, printed=printed, nuisance=nuisance, **chosen)
    return [] if store is None else load_whole(store, (one["result_id"] for one in entries))
