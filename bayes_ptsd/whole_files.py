"""Files that are there whole or not at all, whatever fails and whenever.

A file is written under a temporary name in the folder it is for, forced to disk and only then given
its own name. So a full disk, or a process that is killed, leaves no half of it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from bayes_ptsd.errors import BayesPtsdError

__all__ = [
    "link_new",
    "refuse_taken",
    "sync_folder",
    "temporary_file",
    "unique_ending",
    "write_new",
    "write_synced",
]


def unique_ending() -> str:
    """Return what makes a temporary name one of its own: process and random digits."""
    return f"{os.getpid()}.{secrets.token_hex(8)}"


def write_synced(path: Path, content: bytes) -> None:
    """Write a file that is not there yet and force it to disk."""
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def temporary_file(path: Path, content: bytes) -> Iterator[Path]:
    """Hold content in a file that is on disk before the block begins and gone after it."""
    try:
        write_synced(path, content)
        yield path
    finally:
        path.unlink(missing_ok=True)


def link_new(temporary: Path, path: Path) -> bool:
    """Give a temporary file its name unless that is taken; return whether this call did.

    Where the file system has no hard links, checking and renaming are two steps: within that
    instant a second writer can replace the first, and readers still find one of two whole files.
    """
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError:
        if os.path.lexists(path):
            return False
        os.replace(temporary, path)
    return True


def refuse_taken(paths: Iterable[Path], *, error: type[BayesPtsdError]) -> None:
    """Raise `error` for the first name that is taken, before what goes there is computed."""
    for path in paths:
        if os.path.lexists(path):
            raise _taken(path, error)


def write_new(
    contents: Mapping[Path, bytes], *, error: type[BayesPtsdError], parents: bool = False
) -> None:
    """Write files that are not there yet, all of them whole or none; `parents` makes folders.

    A failure is one `error` that names the file, and what this call made is gone again.
    """
    made: list[Path] = []
    here = next(iter(contents))
    try:
        with contextlib.ExitStack() as held:
            ready = {}
            for here, content in contents.items():
                refuse_taken([here], error=error)
                made += _new_folders(here) if parents else []
                place = here.parent / f".bayes-ptsd-{unique_ending()}"
                ready[here] = held.enter_context(temporary_file(place, content))
            for here, temporary in ready.items():
                if not link_new(temporary, here):
                    raise _taken(here, error)
                made.append(here)
        for folder in {path.parent for path in contents}:
            sync_folder(folder)
    except BaseException as failure:
        _undo(made)
        if not isinstance(failure, OSError):
            raise
        raise error(
            f"{here}: cannot be written ({failure.strerror or failure}); make room or permit "
            "writing there, or name a file in another folder"
        ) from failure


def sync_folder(folder: Path) -> None:
    """Force the names in a folder to disk; systems that cannot open folders do so themselves."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _taken(path: Path, error: type[BayesPtsdError]) -> BayesPtsdError:
    """Return the error about a name that is taken, be it by a link that leads nowhere."""
    return error(f"{path}: exists already and is not overwritten; name another file")


def _new_folders(path: Path) -> list[Path]:
    """Make the folders that a file is to lie in, and return those that were not there."""
    missing = [folder for folder in path.parents if not folder.exists()][::-1]
    path.parent.mkdir(parents=True, exist_ok=True)
    return missing


def _undo(made: list[Path]) -> None:
    """Delete files, and folders as far as they are empty, the newest first."""
    for path in reversed(made):
        with contextlib.suppress(OSError):
            if path.is_dir():
                path.rmdir()
            else:
                path.unlink()
