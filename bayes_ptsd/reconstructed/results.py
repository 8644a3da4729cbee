"""Pooled results of reconstructed patients, as a store holds them."""

from __future__ import annotations

from typing import Any

import xarray as xr

from bayes_ptsd.store import ResultStore

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
    """Return what a store says of its pooled results, without opening them.

    Parameters
    ----------
    store : ResultStore, optional
        No store has no result.
    printed : str, optional
        Digest of the printed evidence; only results of sets made from it.
    nuisance : str, optional
        Only results of sets made under this file of nuisance priors; of the shipped default
        otherwise, because files are compared and never put together.
    chosen : str
        Only results of this ``model``, ``prior``, ``endpoint``, ``crossover_reading``,
        ``flow_reading`` or ``engine``.

    Returns
    -------
    list of dict
        Of each analysis the sidecar of the result over most sets, the newest of those, in the
        order in which they were first made.

    Examples
    --------
    >>> pooled_entries(None)
    []
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
    """Return pooled results: of each analysis the one over most sets, the newest of those.

    Parameters
    ----------
    store, printed, nuisance, chosen
        As in `pooled_entries`.

    Returns
    -------
    list of xr.DataTree
        Each with the group ``pooled`` on dims ``estimand`` and ``reconstruction``. Attributes say
        how many ``reconstructions``, under which readings, and the ids of the ``members``.

    Examples
    --------
    >>> pooled_results(None)
    []
    """
    entries = pooled_entries(store, printed=printed, nuisance=nuisance, **chosen)
    return [] if store is None else [store.load(entry["result_id"]) for entry in entries]
