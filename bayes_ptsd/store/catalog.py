"""What a store holds, told from its sidecars with the standard library alone.

Beside each result lies a small JSON file, the sidecar; it is what makes a result exist, and
listing a store reads nothing else. docs/guides/store.md describes every key.
"""

from __future__ import annotations

import copy
import difflib
import hashlib
import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from bayes_ptsd.errors import ResultNotFoundError, StoreError
from bayes_ptsd.store.files import (
    RESULTS,
    RUNS,
    command,
    folder_names,
    read_named,
    read_regular,
    read_sealed,
    stems,
)
from bayes_ptsd.store.metadata import ID, RUN_ID, checked_manifest, checked_sidecar, is_result_id

__all__ = [
    "Listing",
    "find_result",
    "is_result_id",
    "list_results",
    "list_runs",
    "listed",
    "read_manifest",
    "read_sidecar",
    "read_verified",
    "result_ids",
    "sidecar_path",
]

# 16**6 is 17 million: in a store of 1,000 results one shares its first six digits with another by
# a chance of 6 in 100,000
SHORTEST_PREFIX = 6
# nanoseconds after a change by which a later one has another time: file systems count in steps, of
# milliseconds mostly and of two seconds at most
SETTLED = 2 * 10**9
# sidecars that a process keeps, each some 20 kB in memory: those of four whole reanalyses
KEPT = 2048


class Listing(NamedTuple):
    """Readable entries of a store, oldest first, and a message for each damaged one."""

    entries: list[dict[str, Any]]
    damaged: list[str]


def list_results(path: str | Path) -> Listing:
    """List the sidecars of a store, opening no data file; a missing folder has no results."""
    found = listed(path, RESULTS, result_ids(path), read_sidecar)
    found.entries.sort(key=lambda entry: (entry["created"], entry["result_id"]))
    return found


def list_runs(path: str | Path) -> Listing:
    """List the run manifests of a store, each with its `run_id`; a missing folder has no runs."""
    return listed(path, RUNS, stems(folder_names(Path(path) / RUNS), RUN_ID), read_manifest)


def result_ids(path: str | Path) -> list[str]:
    """List the ids of the results of a store, in alphabetical order."""
    return stems(folder_names(Path(path) / RESULTS), ID)


def listed(
    path: str | Path,
    folder: str,
    names: Iterable[str],
    read: Callable[[str | Path, str], dict[str, Any]],
) -> Listing:
    """Read metadata by name, apart from those that are damaged."""
    listing = Listing([], [])
    for name in names:
        try:
            listing.entries.append(read(path, name))
        except StoreError as error:
            # one that was removed since its folder was read is not a damaged one
            if os.path.lexists(Path(path) / folder / f"{name}.json"):
                listing.damaged.append(str(error))
    return listing


def find_result(path: str | Path, prefix: str, among: Collection[str] | None = None) -> str:
    """Return the id of the one result that begins with `prefix`, which has at least six digits.

    `among` are by default the ids of the results that the store has.
    """
    ids = sorted(result_ids(path) if among is None else among)
    if prefix in ids:
        return prefix
    if len(prefix) < SHORTEST_PREFIX:
        raise ResultNotFoundError(
            f"{path}: '{prefix}' is too short for a result id; give at least its first "
            f"{SHORTEST_PREFIX} digits"
        )
    found = [result_id for result_id in ids if result_id.startswith(prefix)]
    if len(found) == 1:
        return found[0]
    if found:
        raise ResultNotFoundError(
            f"{path}: {len(found)} results begin with '{prefix}' ({', '.join(found[:3])}"
            f"{', ...' if len(found) > 3 else ''}); give more digits"
        )
    raise ResultNotFoundError(f"{path}: no result '{prefix}'{_hint(prefix, ids)}")


def sidecar_path(root: str | Path, result_id: str) -> Path:
    """Return where the JSON sidecar of a result lies, or would lie."""
    return Path(root) / RESULTS / f"{result_id}.json"


def read_sidecar(root: str | Path, result_id: str, *, anew: bool = False) -> dict[str, Any]:
    """Read the sidecar of a result (keys of docs/guides/store.md); an altered one is refused.

    A process reads a file once, and again if it was changed since, or if it is to be read `anew`.
    """
    if not is_result_id(result_id):
        raise ResultNotFoundError(f"{root}: {result_id!a} is no id of a result")
    path = sidecar_path(root, result_id)
    signature = None if anew else _signature(path)
    try:
        if signature is None:
            return _whole_sidecar(path, result_id)
        return copy.deepcopy(_kept_sidecar(path, result_id, signature))
    except StoreError as error:
        raise StoreError(f"{error}; {_remedy(root, result_id)}") from error


def _signature(path: Path) -> tuple[int, ...] | None:
    """Return what differs whenever a file was changed; None of one changed just now or absent."""
    try:
        found = path.lstat()
    except OSError:
        return None
    if abs(time.time_ns() - max(found.st_mtime_ns, found.st_ctime_ns)) < SETTLED:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


@lru_cache(maxsize=KEPT)
def _kept_sidecar(path: Path, result_id: str, _signature: tuple[int, ...]) -> dict[str, Any]:
    """Return the sidecar of a result as it was read when its file had this signature."""
    return _whole_sidecar(path, result_id)


def _whole_sidecar(path: Path, result_id: str) -> dict[str, Any]:
    """Read the sidecar of a result, which must be whole and of it."""
    sidecar = read_sealed(path)
    if sidecar.get("result_id") != result_id:
        described = ascii(sidecar.get("result_id"))[:66]
        raise StoreError(f"{path}: damaged: it describes result {described}")
    return checked_sidecar(sidecar, f"{path}: sealed but wrong")


def read_manifest(root: str | Path, run_id: str) -> dict[str, Any]:
    """Read the manifest of a run (keys of docs/guides/store.md); an altered one is refused."""
    path = Path(root) / RUNS / f"{run_id}.json"
    words = command(f"store remove --run {run_id}", root)
    remedy = f"the results stay; remove the record with {words}"
    return read_named(path, "run_id", checked_manifest, remedy)


def read_verified(root: str | Path, sidecar: Mapping[str, Any]) -> bytes:
    """Return the NetCDF file that a sidecar names, refused unless its SHA-256 is the sidecar's."""
    path = Path(root) / RESULTS / str(sidecar["file"])
    remedy = _remedy(root, str(sidecar["result_id"]))
    try:
        content = read_regular(path, most=sidecar["size"])
    except StoreError as error:
        raise StoreError(f"{error}; {remedy}") from error
    if len(content) != sidecar["size"] or (
        hashlib.sha256(content).hexdigest() != sidecar["sha256"]
    ):
        raise StoreError(f"{path}: damaged: it is not the file that was saved; {remedy}")
    return content


def _hint(prefix: str, ids: list[str]) -> str:
    """End a message about an id that is not there."""
    if not ids:
        return "; the store is empty"
    close = difflib.get_close_matches(prefix, [*ids, *(i[: len(prefix)] for i in ids)], 1, 0.8)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; it holds {len(ids)}, which 'bayes-ptsd store list' shows"


def _remedy(root: str | Path, result_id: str) -> str:
    """Say what to do about a damaged result."""
    return f"remove it with {command(f'store remove {result_id}', root)} and compute it again"
