"""Verify a store, clear away what killed writers left, and remove results.

Needs only the standard library: a digest tells whether a file is the one that was saved.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bayes_ptsd.errors import StoreError
from bayes_ptsd.store.catalog import (
    find_result,
    list_runs,
    read_sidecar,
    read_verified,
    result_ids,
    sidecar_path,
)
from bayes_ptsd.store.files import RESULTS, TEMPORARY, read_sealed, writing
from bayes_ptsd.store.tags import tag_files

__all__ = ["GRACE", "Verification", "remove_result", "verify_store"]

# seconds: a writer publishes the sidecar right after its data file, and an hour is far longer
GRACE = 3600.0
DATA_FILE = re.compile(r"([0-9a-f]{8,64})-[0-9a-f]{16}\.nc")


class Verification(NamedTuple):
    """What `verify_store` found; `problems` holds a message for each damaged or missing file."""

    checked: int
    problems: list[str]
    swept: list[str]  # names of the unfinished files that were deleted
    unfinished: list[str]  # names of those left, as their writer may still be at work


def verify_store(path: str | Path, *, grace: float = GRACE) -> Verification:
    """Read every byte of a store, and delete what killed writers left behind.

    A result is never deleted, damaged or not. Only files that no sidecar names are, and only once
    they are older than `grace`, in seconds by the clock of the file system.
    """
    root = Path(path)
    ids = result_ids(root)
    problems = [problem for result_id in ids for problem in _problem(root, result_id)]
    problems += list_runs(root).damaged + list(_altered_tags(root))
    swept, unfinished = _sweep(root, grace)
    return Verification(len(ids), problems, swept, unfinished)


def remove_result(path: str | Path, result_id: str) -> str:
    """Remove a result, damaged or not, and return its id; run manifests that name it stay."""
    whole = find_result(path, result_id)
    sidecar = sidecar_path(path, whole)
    with writing(sidecar):
        # the sidecar first: without it the result does not exist, and the rest is swept
        sidecar.unlink(missing_ok=True)
        for data in sidecar.parent.glob(f"{whole}-*.nc"):
            data.unlink(missing_ok=True)
    return whole


def _problem(root: Path, result_id: str) -> Iterator[str]:
    """Yield what is wrong with one result, if anything is."""
    try:
        read_verified(root, read_sidecar(root, result_id))
    except StoreError as error:
        # a result that is removed while others are verified is not a damaged one
        if sidecar_path(root, result_id).exists():
            yield str(error)


def _altered_tags(root: Path) -> Iterator[str]:
    """Yield what is wrong with tags."""
    for place in tag_files(root):
        try:
            read_sealed(place)
        except StoreError as error:
            yield str(error)


def _sweep(root: Path, grace: float) -> tuple[list[str], list[str]]:
    """Delete unfinished files older than `grace`; return their names, and those that stay."""
    candidates = list(_unfinished(root))
    if not candidates:
        return [], []
    now = _file_system_time(root)
    swept, left = [], []
    for path in candidates:
        try:
            old = now is not None and now - path.stat().st_mtime >= grace
            if old and _still_unfinished(root, path):
                path.unlink()
                swept.append(path.name)
            else:
                left.append(path.name)
        except FileNotFoundError:
            continue
        except OSError:
            left.append(path.name)
    return swept, left


def _unfinished(root: Path) -> Iterator[Path]:
    """Yield temporary files, and data files that no sidecar names."""
    for folder in (RESULTS, TEMPORARY):
        for path in sorted((root / folder).glob("*")):
            if folder == TEMPORARY or _still_unfinished(root, path):
                yield path


def _still_unfinished(root: Path, path: Path) -> bool:
    """Tell whether a file is a temporary one or a data file that no sidecar names."""
    if path.parent.name == TEMPORARY:
        return True
    match = DATA_FILE.fullmatch(path.name)
    if match is None:
        return False
    if not sidecar_path(root, match[1]).exists():
        return True
    try:
        return bool(read_sidecar(root, match[1])["file"] != path.name)
    except StoreError:
        # the damaged sidecar may have named this very file
        return False


def _file_system_time(root: Path) -> float | None:
    """Ask the file system for the time, which on a network differs from this machine's."""
    probe = root / TEMPORARY / f"clock.{os.getpid()}.{secrets.token_hex(8)}"
    try:
        probe.touch()
        try:
            return probe.stat().st_mtime
        finally:
            probe.unlink()
    except OSError:
        return None
