"""What a store holds, told from its sidecars with the standard library alone.

Beside each result lies a small JSON file, the sidecar; it is what makes a result exist, and
listing a store reads nothing else. docs/guides/store.md describes every key.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from bayes_ptsd.errors import ResultNotFoundError, StoreError
from bayes_ptsd.store.files import (
    RESULTS,
    RUNS,
    read_sealed,
)

__all__ = [
    "Listing",
    "find_result",
    "is_result_id",
    "list_results",
    "list_runs",
    "read_sidecar",
    "read_verified",
    "result_ids",
    "sidecar_path",
]

ID = re.compile(r"[0-9a-f]{8,64}")
# 16**6 is 17 million: in a store of 1,000 results one shares its first six digits with another by
# a chance of 6 in 100,000
SHORTEST_PREFIX = 6


class Listing(NamedTuple):
    """Readable entries of a store, oldest first, and a message for each damaged one."""

    entries: list[dict[str, Any]]
    damaged: list[str]


def list_results(path: str | Path) -> Listing:
    """List the sidecars of a store, opening no data file; a missing folder has no results."""
    root = Path(path)
    return _listing(sidecar_path(root, result_id) for result_id in result_ids(root))


def list_runs(path: str | Path) -> Listing:
    """List the run manifests of a store, each with its `run_id`; a missing folder has no runs."""
    folder = Path(path) / RUNS
    return _listing(folder / name for name in _names(folder) if name.endswith(".json"))


def result_ids(path: str | Path) -> list[str]:
    """List the ids of the results of a store, in alphabetical order."""
    stems = (name.removesuffix(".json") for name in _names(Path(path) / RESULTS))
    return [stem for stem in stems if is_result_id(stem)]


def is_result_id(text: str) -> bool:
    """Tell whether a text is 8 to 64 lower-case hexadecimal digits, which no path can be."""
    return ID.fullmatch(text) is not None


def find_result(path: str | Path, prefix: str) -> str:
    """Return the id of the one result that begins with `prefix`, which has at least six digits."""
    ids = result_ids(path)
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


def read_sidecar(root: str | Path, result_id: str) -> dict[str, Any]:
    """Read the sidecar of a result (keys of docs/guides/store.md); an altered one is refused."""
    path = sidecar_path(root, result_id)
    try:
        sidecar = read_sealed(path)
    except StoreError as error:
        raise StoreError(f"{error}; {_remedy(result_id)}") from error
    if sidecar.get("result_id") != result_id:
        raise StoreError(
            f"{path}: damaged: it describes result {sidecar.get('result_id')}; {_remedy(result_id)}"
        )
    return sidecar


def read_verified(root: str | Path, sidecar: Mapping[str, Any]) -> bytes:
    """Return the NetCDF file that a sidecar names, refused unless its SHA-256 is the sidecar's."""
    path = Path(root) / RESULTS / str(sidecar["file"])
    remedy = _remedy(str(sidecar["result_id"]))
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror}); {remedy}") from error
    if hashlib.sha256(content).hexdigest() != sidecar["sha256"]:
        raise StoreError(f"{path}: damaged: it is not the file that was saved; {remedy}")
    return content


def _listing(paths: Iterator[Path]) -> Listing:
    """Read sidecars or manifests, apart from those that are damaged."""
    listing = Listing([], [])
    for path in paths:
        try:
            entry = read_sealed(path)
        except StoreError as error:
            # one that was removed since its folder was read is not a damaged one
            if path.exists():
                listing.damaged.append(str(error))
            continue
        if entry.get("run_id", entry.get("result_id")) == path.stem:
            listing.entries.append(entry)
        else:
            listing.damaged.append(f"{path}: damaged: it was written under another name")
    listing.entries.sort(key=lambda entry: (entry["created"], str(entry.get("result_id"))))
    return listing


def _names(folder: Path) -> list[str]:
    """List a folder; one that is not there is empty."""
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(f"{folder}: cannot be read as a store ({error.strerror})") from error


def _hint(prefix: str, ids: list[str]) -> str:
    """End a message about an id that is not there."""
    if not ids:
        return "; the store is empty"
    close = difflib.get_close_matches(prefix, [*ids, *(i[: len(prefix)] for i in ids)], 1, 0.8)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; it holds {len(ids)}, which 'bayes-ptsd store list' shows"


def _remedy(result_id: str) -> str:
    """Say what to do about a damaged result."""
    return f"remove it with 'bayes-ptsd store remove {result_id}' and compute it again"
