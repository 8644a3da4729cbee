"""Verify a store, clear away what killed writers left, and remove results.

Needs only the standard library: a digest tells whether a file is the one that was saved. No link is
followed, and nothing is deleted but what this store can have written.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from bayes_ptsd.errors import ResultNotFoundError, StoreError, visible
from bayes_ptsd.store.catalog import (
    Listing,
    find_result,
    listed,
    read_manifest,
    read_sidecar,
    read_verified,
    sidecar_path,
)
from bayes_ptsd.store.files import (
    REMOVED,
    RESULTS,
    RUNS,
    TAGS,
    TEMPORARY,
    command,
    folder_names,
    read_regular,
    stems,
    writing,
)
from bayes_ptsd.store.metadata import DATA_FILE, ID, RUN_ID, TAG
from bayes_ptsd.store.records import bury, read_tombstone
from bayes_ptsd.store.report_folder import Sweep, sweep_leftovers, verify_report
from bayes_ptsd.store.tags import read_tag
from bayes_ptsd.whole_files import unique_ending

__all__ = [
    "GRACE",
    "REPORT",
    "Verification",
    "remove_result",
    "remove_run",
    "remove_tag",
    "verify_store",
]

# seconds: a writer publishes the sidecar right after its data file, and an hour is far longer
GRACE = 3600.0
REPORT = "report"
SIDES = {RESULTS: ID, RUNS: RUN_ID, TAGS: TAG, REMOVED: ID}
"""Stems of the JSON files of each folder."""
ENDING = r"\.[0-9]+\.[0-9a-f]{16}"
PROBE = re.compile(rf"writable{ENDING}")
SIDECARS = "|".join(pattern.pattern for pattern in SIDES.values())
UNFINISHED = re.compile(
    rf"(?:(?:{SIDECARS})\.json|{DATA_FILE.pattern}|{PROBE.pattern}|clock){ENDING}"
)


class Verification(NamedTuple):
    """What `verify_store` found; `problems` holds a message for each damaged or missing file."""

    checked: int
    problems: list[str]
    swept: list[str]  # names of the unfinished files that were deleted
    unfinished: list[str]  # names of those left, as their writer may still be at work
    foreign: list[str]  # names of what is not the store's and was left alone


def verify_store(path: str | Path, *, grace: float = GRACE) -> Verification:
    """Read every byte of a store and its report, and delete what killed writers left behind.

    A result is never deleted, damaged or not, nor anything that is not named, and for data not
    made, as the store does it. Unfinished files go once they are older than `grace`, in seconds by
    the clock of the file system. A result that a run names, and that nobody removed, is a problem.
    """
    root = Path(path)
    names, problems = _names(root)
    ids = _stems(names, RESULTS)
    problems += [problem for result_id in ids for problem in _problem(root, result_id)]
    runs = listed(root, RUNS, _stems(names, RUNS), read_manifest)
    tags = listed(root, TAGS, _stems(names, TAGS), read_tag)
    gone = [result_id for result_id in _stems(names, REMOVED) if result_id not in ids]
    removed = listed(root, REMOVED, gone, read_tombstone)
    problems += [*runs.damaged, *tags.damaged, *removed.damaged]
    lost = _lost(root, runs, removed, gone) if {RESULTS, REMOVED} <= set(names) else {}
    problems += [_lost_message(root, *one) for one in lost.items()]
    problems += _loose_tags(root, tags) if RUNS in names else []
    wrong, strange = verify_report(root / REPORT, root)
    sweep = _sweep(root, names, lost, grace)
    foreign = [visible(name) for name in [*sweep.foreign, *strange]]
    return Verification(len(ids), problems + wrong, sweep.swept, sweep.unfinished, foreign)


def remove_result(path: str | Path, result_id: str) -> str:
    """Remove a result and return its id; manifests that name it stay, and a tombstone says so.

    It may be damaged, without its data or its sidecar, or gone: whatever `verify_store` names.
    """
    root = Path(path)
    whole = find_result(root, result_id, among=_removable(root))
    # the sidecar first: without it the result does not exist, and the rest is swept
    _delete(sidecar_path(root, whole))
    for name in folder_names(root / RESULTS):
        match = DATA_FILE.fullmatch(name)
        if match is not None and match[1] == whole:
            _delete(root / RESULTS / name)
    bury(root, whole)
    return whole


def remove_run(path: str | Path, run_id: str) -> str:
    """Remove the damaged manifest of a run, given by its whole id; a good one is history."""
    place = _existing(path, RUNS, run_id)
    try:
        read_manifest(path, run_id)
    except StoreError:
        _delete(place)
        return run_id
    raise StoreError(f"{place}: is whole, and the record of a run stays; nothing was removed")


def remove_tag(path: str | Path, name: str) -> str:
    """Remove a tag that is damaged or whose run is gone; a good one keeps its run."""
    place = _existing(path, TAGS, name)
    try:
        run_id = read_tag(path, name)["run_id"]
    except StoreError:
        run_id = ""
    if os.path.lexists(Path(path) / RUNS / f"{run_id}.json"):
        raise StoreError(f"{place}: is whole, and a tag keeps its run; nothing was removed")
    _delete(place)
    return name


def _names(root: Path) -> tuple[dict[str, list[str]], list[str]]:
    """List the folders of a store, and say which of them cannot be listed."""
    names, problems = {}, []
    for folder in (*SIDES, TEMPORARY):
        try:
            names[folder] = folder_names(root / folder)
        except StoreError as error:
            problems.append(str(error))
    return names, problems


def _stems(names: dict[str, list[str]], folder: str) -> list[str]:
    """Return what the JSON files of a folder are called."""
    return stems(names.get(folder, ()), SIDES[folder])


def _problem(root: Path, result_id: str) -> Iterator[str]:
    """Yield what is wrong with one result, if anything is."""
    try:
        read_verified(root, read_sidecar(root, result_id, anew=True))
    except StoreError as error:
        # a result that is removed while others are verified is not a damaged one
        if os.path.lexists(sidecar_path(root, result_id)):
            yield str(error)


def _lost(
    root: Path, runs: Listing, removed: Listing, buried: Iterable[str] = ()
) -> dict[str, str]:
    """Return the results that a run names and that are gone, not removed since; with the run.

    Of those that are `buried` under a damaged tombstone nothing more is said.
    """
    since = dict.fromkeys(buried, "later") | {
        one["result_id"]: one["removed"] for one in removed.entries
    }
    return {
        result_id: run["run_id"]
        for run in runs.entries
        for result_id in run["results"]
        if since.get(result_id, "") < run["created"]
        and not os.path.lexists(sidecar_path(root, result_id))
    }


def _lost_message(root: Path, result_id: str, run_id: str) -> str:
    """Say that a result is gone."""
    return (
        f"{sidecar_path(root, result_id)}: missing, and run {run_id} names this result; compute it "
        f"again, or take it for removed with {command(f'store remove {result_id}', root)}"
    )


def _loose_tags(root: Path, tags: Listing) -> Iterator[str]:
    """Yield the tags whose run is gone."""
    for tag in tags.entries:
        if not os.path.lexists(root / RUNS / f"{tag['run_id']}.json"):
            yield (
                f"{root / TAGS / tag['tag']}.json: names run {tag['run_id']}, which is missing; "
                f"remove the tag with {command('store remove --tag ' + tag['tag'], root)}"
            )


def _removable(root: Path) -> set[str]:
    """Return the ids of all results of which something is there, or which are lost."""
    names, problems = _names(root)
    if RESULTS not in names:
        raise StoreError(problems[0])
    runs = listed(root, RUNS, _stems(names, RUNS), read_manifest)
    removed = listed(root, REMOVED, _stems(names, REMOVED), read_tombstone)
    good = {one["result_id"] for one in removed.entries}
    data = (match[1] for name in names[RESULTS] if (match := DATA_FILE.fullmatch(name)))
    unburied = set(_stems(names, REMOVED)) - good
    return {*_stems(names, RESULTS), *data, *_lost(root, runs, removed), *unburied}


def _existing(path: str | Path, folder: str, name: str) -> Path:
    """Return the file of a manifest or a tag, which must be there."""
    place = Path(path) / folder / f"{name}.json"
    if not SIDES[folder].fullmatch(name) or not os.path.lexists(place):
        raise ResultNotFoundError(f"{path}: has no {folder.removesuffix('s')} {name!r}")
    return place


def _delete(path: Path) -> None:
    """Delete what has the name of a file of the store; a folder must be empty."""
    with writing(path):
        if path.is_dir() and not path.is_symlink():
            if any(path.iterdir()):
                raise StoreError(
                    f"{path}: is a folder with files that are not the store's; move it away first"
                )
            path.rmdir()
        else:
            path.unlink(missing_ok=True)


def _sweep(root: Path, names: dict[str, list[str]], lost: Collection[str], grace: float) -> Sweep:
    """Delete unfinished files older than `grace`; name those, those that stay and foreign ones."""
    found = Sweep([], [], list(_strange(root)))
    candidates = []
    for folder, here in names.items():
        for name in here:
            if _is_unfinished(root, folder, name, lost):
                candidates.append(root / folder / name)
            elif not name.startswith(".") and not _belongs(root, folder, name, lost):
                found.foreign.append(f"{folder}/{name}")
    idle = TEMPORARY not in names or not (candidates or any(root.glob(f".{REPORT}-*")))
    now = None if idle else _file_system_time(root)
    for path in candidates:
        if _deleted(root, path, lost, now, grace):
            found.swept.append(path.name)
        elif os.path.lexists(path):
            found.unfinished.append(path.name)
    beside = sweep_leftovers(root / REPORT, now, grace)
    return Sweep(*(one + other for one, other in zip(found, beside, strict=True)))


def _strange(root: Path) -> Iterator[str]:
    """Yield what lies in the folder of a store and is none of its folders."""
    own = {*SIDES, TEMPORARY, REPORT}  # and what is hidden is the file manager's
    for name in sorted(os.listdir(root)) if root.is_dir() else ():
        if name not in own and not name.startswith("."):
            yield name


def _deleted(
    root: Path, path: Path, lost: Collection[str], now: float | None, grace: float
) -> bool:
    """Delete an unfinished file that is old enough, and tell whether it is deleted."""
    try:
        if now is None or now - path.lstat().st_mtime < grace:
            return False
        # its writer may have finished in the meantime
        if not _is_unfinished(root, path.parent.name, path.name, lost):
            return False
        path.unlink()
    except OSError:
        return False
    return True


def _is_unfinished(root: Path, folder: str, name: str, lost: Collection[str]) -> bool:
    """Tell whether a file is one that a killed writer left: by its name, and data by its digest."""
    path = root / folder / name
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return False
        if folder == TEMPORARY:
            return UNFINISHED.fullmatch(name) is not None
        if folder != RESULTS:
            return False
        match = DATA_FILE.fullmatch(name)
        if match is None:
            return PROBE.fullmatch(name) is not None
        if _is_named(root, name, match[1], lost):
            return False
        return hashlib.sha256(read_regular(path)).hexdigest().startswith(match[2])
    except (OSError, StoreError):
        return False


def _belongs(root: Path, folder: str, name: str, lost: Collection[str]) -> bool:
    """Tell whether a name is one that the store gave."""
    if folder == TEMPORARY:
        return False
    if stems([name], SIDES[folder]):
        return True
    match = DATA_FILE.fullmatch(name) if folder == RESULTS else None
    return match is not None and _is_named(root, name, match[1], lost)


def _is_named(root: Path, name: str, result_id: str, lost: Collection[str]) -> bool:
    """Tell whether a data file is that of a result, of a damaged one perhaps, or of a lost one."""
    if not os.path.lexists(sidecar_path(root, result_id)):
        return result_id in lost
    try:
        return bool(read_sidecar(root, result_id)["file"] == name)
    except StoreError:
        # the damaged sidecar may have named this very file
        return True


def _file_system_time(root: Path) -> float | None:
    """Ask the file system for the time, which on a network differs from this machine's."""
    probe = root / TEMPORARY / f"clock.{unique_ending()}"
    try:
        probe.touch()
        try:
            return probe.stat().st_mtime
        finally:
            probe.unlink()
    except OSError:
        return None
