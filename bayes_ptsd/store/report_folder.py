"""The folder of a report: its files with their digests, put in its place whole or not at all.

A report is written into a temporary folder beside its place, `.<name>-<8 random characters>`, with
a sealed list of its files, and then renamed. Needs only the standard library.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from bayes_ptsd.errors import StoreError
from bayes_ptsd.store.files import SCHEMA, command, read_regular, read_sealed, sealed
from bayes_ptsd.whole_files import sync_folder, write_synced

__all__ = ["LIST", "MARK", "PAGE", "Sweep", "is_sealed_report", "publish_report", "report_origin",
           "seal_report", "sweep_leftovers", "verify_report"]  # fmt: skip

PAGE = "index.html"
LIST = "files.json"
MARK = f'<meta name="digests" content="{LIST}">'
"""On a page whose folder has a list; earlier ones have none."""
OWN = re.compile(rf"{PAGE}|{LIST}|tables/[^/]+\.csv|figures/[^/]+\.svg|priors/[^/]+\.json")
LEFT_OVER = re.compile(r"(?:new|old[0-9]?)(?:/(.+))?")
# two reports that are finished at once take turns; a third and a fourth do, too
TURNS = 8


class Sweep(NamedTuple):
    """Names of what was deleted, of what may still be at work, and of what is not the store's."""

    swept: list[str]
    unfinished: list[str]
    foreign: list[str]


def seal_report(folder: Path, origin: str = "") -> None:
    """Write the list of the files of a new report with their digests, and force it to disk.

    `origin` is the digest of what it was made from.
    """
    digests = {name: _digest(folder / name) for name in _names(folder)}
    listed = {"schema": SCHEMA, "files": digests, "made_from": origin}
    write_synced(folder / LIST, sealed(listed))


def report_origin(folder: Path) -> str:
    """Return the digest of what a report was made from; nothing of one that does not tell."""
    try:
        return str(read_sealed(folder / LIST).get("made_from", ""))
    except StoreError:
        return ""


def publish_report(new: Path, target: Path) -> None:
    """Put a finished report in its place; an earlier one gives way to it, or stays on failure.

    Files of others in the earlier folder stay in it.
    """
    for turn in range(TURNS):
        old = new.with_name(f"old{turn}")
        with contextlib.suppress(FileNotFoundError):
            target.rename(old)
        try:
            new.rename(target)
            break
        except OSError as error:
            # another report was put there in between, and gives way in turn
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or turn == TURNS - 1:
                if old.exists() and not target.exists():
                    old.rename(target)
                raise
    sync_folder(target.parent)
    for turn in range(TURNS):
        _keep_foreign(new.with_name(f"old{turn}"), target)


def is_sealed_report(folder: Path) -> bool:
    """Tell whether a folder has the list of a report, whatever became of its files."""
    try:
        return bool(_listed(folder / LIST))
    except StoreError:
        return False


def verify_report(folder: Path, root: Path) -> tuple[list[str], list[str]]:
    """Return what is wrong with a report, and the files in its folder that are not of it.

    Of a folder that is none, and of a report from before there were lists, nothing is known.
    """
    if folder.is_symlink() or (os.path.lexists(folder) and not folder.is_dir()):
        return [], [folder.name]
    place = folder / LIST
    words = command("report", root)
    remedy = f"write the report again with {words} (and with the options it was made with)"
    try:
        if os.path.lexists(place) or _marked(folder / PAGE):
            listed = _listed(place)
            problems = [
                f"{folder / name}: {fault}; {remedy}"
                for name, digest in listed.items()
                if (fault := _fault(folder / name, digest))
            ]
            strange = sorted(_names(folder) - {*listed, LIST})
            return problems, [f"{folder.name}/{name}" for name in strange if not _hidden(name)]
    except StoreError as error:
        return [f"{error}; {remedy}"], []
    return [], []


def sweep_leftovers(target: Path, now: float | None, grace: float) -> Sweep:
    """Delete what killed writers of a report left beside it, once it is older than `grace`."""
    found = Sweep([], [], [])
    pattern = re.compile(rf"\.{re.escape(target.name)}-[a-z0-9_]{{8}}")
    for name in sorted(os.listdir(target.parent)) if target.parent.is_dir() else []:
        place = target.parent / name
        if not pattern.fullmatch(name) or place.is_symlink() or not place.is_dir():
            continue
        if not all(_is_left_over(one) for one in _names(place)):
            found.foreign.append(name)
        elif now is None or now - place.stat().st_mtime < grace:
            found.unfinished.append(name)
        else:
            _delete(place, target)
            found.swept.append(name)
    return found


def _delete(place: Path, target: Path) -> None:
    """Delete a leftover; the earlier report in it is put back if nothing took its place."""
    earlier = next((old for old in sorted(place.glob("old?")) if (old / PAGE).is_file()), None)
    if earlier is not None and not os.path.lexists(target):
        earlier.rename(target)
    shutil.rmtree(place, ignore_errors=True)


def _keep_foreign(old: Path, target: Path) -> None:
    """Move the files of others from an earlier report to the one that took its place."""
    try:
        own = set(_listed(old / LIST)) | {LIST}
    except StoreError:
        own = {name for name in _names(old) if OWN.fullmatch(name)}
    for name in _names(old) - own:
        if not os.path.lexists(target / name):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (old / name).rename(target / name)


def _listed(place: Path) -> Mapping[str, str]:
    """Read the list of a report, every name one that a report has."""
    files = read_sealed(place).get("files")
    if (
        not isinstance(files, dict)
        or PAGE not in files
        or not all(OWN.fullmatch(name) and name != LIST for name in files)
        or not all(isinstance(digest, str) for digest in files.values())
    ):
        raise StoreError(f"{place}: sealed but wrong: 'files' is not the digests of a report")
    return dict(files)


def _fault(path: Path, digest: str) -> str:
    """Say what is wrong with one file of a report; nothing if it is as it was written."""
    if path.parent.is_symlink():
        return "damaged: its folder is a link"
    if not os.path.lexists(path):
        return "missing"
    try:
        return "" if _digest(path) == digest else "changed since it was written"
    except StoreError as error:
        return str(error).removeprefix(f"{path}: ")


def _digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(read_regular(path)).hexdigest()


def _marked(page: Path) -> bool:
    """Tell whether a page says that its folder has a list."""
    try:
        return MARK.encode() in read_regular(page)
    except StoreError:
        return False


def _names(folder: Path) -> set[str]:
    """Return the files below a folder by relative name; a link is one of them, never followed."""
    return set(_walked(folder, ""))


def _walked(folder: Path, prefix: str) -> Iterator[str]:
    """Yield the files below a folder by relative name."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        for name in sorted(os.listdir(folder)):
            if stat.S_ISDIR((folder / name).lstat().st_mode):
                yield from _walked(folder / name, f"{prefix}{name}/")
            else:
                yield f"{prefix}{name}"


def _is_left_over(name: str) -> bool:
    """Tell whether a file in a temporary folder is one of a report."""
    match = LEFT_OVER.fullmatch(name)
    return match is not None and (match[1] is None or OWN.fullmatch(match[1]) is not None)


def _hidden(name: str) -> bool:
    """Tell whether a file is one that file managers and network drives leave."""
    return any(part.startswith(".") for part in name.split("/"))
