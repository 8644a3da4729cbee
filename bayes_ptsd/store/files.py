"""Files that are whole or absent, and JSON that knows whether it was altered.

A file is written under a temporary name, forced to disk and only then given its own name. So a
process can be killed, or a machine lose power, at any moment, and no reader ever finds half of
one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bayes_ptsd.errors import StoreError

__all__ = [
    "RESULTS",
    "RUNS",
    "SCHEMA",
    "TEMPORARY",
    "make_folders",
    "publish",
    "publish_once",
    "read_sealed",
    "sealed",
    "writing",
]

# the first version of the format; a change that a reader of this one would misread raises it
SCHEMA = 1
RESULTS = "results"
RUNS = "runs"
TEMPORARY = "tmp"
SEAL = "metadata_sha256"


def make_folders(root: Path) -> None:
    """Create the folders of a store, where they are missing."""
    folders = [root / name for name in (RESULTS, RUNS, TEMPORARY)]
    if all(folder.is_dir() for folder in folders):
        return
    with writing(root):
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
    _sync_folder(root)


def publish(path: Path, content: bytes) -> None:
    """Write a file of a store so that it appears whole; an existing one is replaced."""
    with writing(path), _temporary(path, content) as temporary:
        os.replace(temporary, path)
        _sync_folder(path.parent)


def publish_once(path: Path, content: bytes) -> bool:
    """Write a file that appears whole, unless it is there; return whether this call wrote it.

    Of several processes that publish one path at once, the first wins. Where the file system has no
    hard links the check and the renaming are two steps: within that instant a second writer can
    replace the first, and readers still find one of the two whole files.
    """
    with writing(path), _temporary(path, content) as temporary:
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        except OSError:
            if path.exists():
                return False
            os.replace(temporary, path)
        _sync_folder(path.parent)
    return True


def sealed(content: Mapping[str, Any]) -> bytes:
    """Write JSON values (no NaN) as ASCII, keys sorted, with their digest as `metadata_sha256`."""
    digest = hashlib.sha256(_canonical(content)).hexdigest()
    return _canonical({**content, SEAL: digest})


def read_sealed(path: Path) -> dict[str, Any]:
    """Read what `sealed` wrote, without its digest; an altered file or other schema is refused."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror})") from error
    content = _parsed(raw)
    if content is None:
        raise StoreError(f"{path}: damaged: it is not what was written")
    if content.get("schema") != SCHEMA:
        raise StoreError(
            f"{path}: has schema {content.get('schema')!r} and this version reads {SCHEMA}; "
            "use the version of bayes_ptsd that wrote it"
        )
    return content


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn any OSError of the block into a StoreError that names the place."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be written ({error.strerror or error}); make room or permit writing "
            "there, or choose another folder with --store or BAYES_PTSD_STORE"
        ) from error


def _canonical(content: Mapping[str, Any]) -> bytes:
    """Write JSON in the only form that `read_sealed` accepts."""
    return (json.dumps(content, sort_keys=True, indent=1, allow_nan=False) + "\n").encode()


def _parsed(raw: bytes) -> dict[str, Any] | None:
    """Return sealed metadata, or None if any byte of it differs from what was written."""
    try:
        content = json.loads(raw)
        del content[SEAL]
        # whole bytes, because a changed space or digit notation leaves the parsed values equal
        return content if raw == sealed(content) else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


@contextlib.contextmanager
def _temporary(path: Path, content: bytes) -> Iterator[Path]:
    """Hold content in a file on the same file system, on disk before the block begins."""
    folder = path.parent.parent / TEMPORARY
    temporary = folder / f"{path.name}.{os.getpid()}.{secrets.token_hex(8)}"
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Force the names in a folder to disk; systems that cannot open folders do so themselves."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
