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
SHORTEST_PREFIX = 6


class Listing(NamedTuple):
    """The readable entries of a store and what is wrong with the others.

    Attributes
    ----------
    entries : list of dict
        Sidecars or run manifests, oldest first.
    damaged : list of str
        One message for each file that was altered or cannot be read.
    """

    entries: list[dict[str, Any]]
    damaged: list[str]


def list_results(path: str | Path) -> Listing:
    """List the results of a store without opening any of them.

    Parameters
    ----------
    path : str or Path
        Folder of the store; one that does not exist has no results.

    Returns
    -------
    Listing
        The sidecars, oldest first, and the damaged ones by name.

    Examples
    --------
    >>> list_results("no-such-folder")
    Listing(entries=[], damaged=[])
    """
    root = Path(path)
    return _listing(sidecar_path(root, result_id) for result_id in result_ids(root))


def list_runs(path: str | Path) -> Listing:
    """List the run manifests of a store, oldest first.

    Parameters
    ----------
    path : str or Path
        Folder of the store; one that does not exist has no runs.

    Returns
    -------
    Listing
        The manifests, each with the key ``run_id``, and the damaged ones by name.

    Examples
    --------
    >>> list_runs("no-such-folder").entries
    []
    """
    folder = Path(path) / RUNS
    return _listing(folder / name for name in _names(folder) if name.endswith(".json"))


def result_ids(path: str | Path) -> list[str]:
    """List the ids of the results of a store, in alphabetical order.

    Parameters
    ----------
    path : str or Path
        Folder of the store.

    Returns
    -------
    list of str
        Ids, taken from the names of the sidecars.

    Examples
    --------
    >>> result_ids("no-such-folder")
    []
    """
    stems = (name.removesuffix(".json") for name in _names(Path(path) / RESULTS))
    return [stem for stem in stems if is_result_id(stem)]


def is_result_id(text: str) -> bool:
    """Tell whether a text has the form of a result id: 8 to 64 lower-case hexadecimal digits.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    bool
        False for anything that could be a path.

    Examples
    --------
    >>> is_result_id("0f3a9c21d4"), is_result_id("../0f3a9c21d4")
    (True, False)
    """
    return ID.fullmatch(text) is not None


def find_result(path: str | Path, prefix: str) -> str:
    """Return the id of the one result that begins with `prefix`.

    Parameters
    ----------
    path : str or Path
        Folder of the store.
    prefix : str
        A result id, or at least its first six digits.

    Returns
    -------
    str
        The whole id.

    Raises
    ------
    ResultNotFoundError
        If no result begins so, more than one does, or `prefix` is shorter than six digits.

    Examples
    --------
    >>> find_result("no-such-folder", "0f3a9c")
    Traceback (most recent call last):
    bayes_ptsd.errors.ResultNotFoundError: no-such-folder: no result '0f3a9c'; the store is empty
    """
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
    """Return where the sidecar of a result lies, or would lie.

    Parameters
    ----------
    root : str or Path
        Folder of the store.
    result_id : str
        The whole id.

    Returns
    -------
    Path
        The JSON file.

    Examples
    --------
    >>> sidecar_path("store", "0f3a9c21d4").as_posix()
    'store/results/0f3a9c21d4.json'
    """
    return Path(root) / RESULTS / f"{result_id}.json"


def read_sidecar(root: str | Path, result_id: str) -> dict[str, Any]:
    """Read and verify the sidecar of a result.

    Parameters
    ----------
    root : str or Path
        Folder of the store.
    result_id : str
        The whole id.

    Returns
    -------
    dict
        The metadata, with the keys of docs/guides/store.md.

    Raises
    ------
    StoreError
        If the sidecar is missing, was altered, or belongs to another result.

    Examples
    --------
    >>> read_sidecar("no-such-folder", "0f3a9c21d4")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    bayes_ptsd.errors.StoreError: ...0f3a9c21d4.json: cannot be read (No such file or directory)...
    """
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
    """Read the data file that a sidecar names, and verify every byte of it.

    Parameters
    ----------
    root : str or Path
        Folder of the store.
    sidecar : mapping
        As `read_sidecar` returns it.

    Returns
    -------
    bytes
        The NetCDF file.

    Raises
    ------
    StoreError
        If the file is missing or its SHA-256 is not the one in the sidecar.

    Examples
    --------
    >>> read_verified("no-such-folder", {"result_id": "0f3a9c21d4", "file": "0f3a9c21d4-1.nc"})
    ... # doctest: +ELLIPSIS
    Traceback (most recent call last):
    bayes_ptsd.errors.StoreError: ...0f3a9c21d4-1.nc: cannot be read (No such file or directory)...
    """
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
