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

SCHEMA = 1
RESULTS = "results"
RUNS = "runs"
TEMPORARY = "tmp"
SEAL = "metadata_sha256"


def make_folders(root: Path) -> None:
    """Create the folders of a store, where they are missing.

    Parameters
    ----------
    root : Path
        Folder of the store.

    Raises
    ------
    StoreError
        If they cannot be created.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     make_folders(Path(folder, "store"))
    ...     sorted(path.name for path in Path(folder, "store").iterdir())
    ['results', 'runs', 'tmp']
    """
    folders = [root / name for name in (RESULTS, RUNS, TEMPORARY)]
    if all(folder.is_dir() for folder in folders):
        return
    with writing(root):
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
    _sync_folder(root)


def publish(path: Path, content: bytes) -> None:
    """Write a file of a store so that it appears whole; an existing one is replaced.

    Parameters
    ----------
    path : Path
        Its place, in one of the folders of a store.
    content : bytes
        All of it.

    Raises
    ------
    StoreError
        If it cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     make_folders(Path(folder))
    ...     publish(Path(folder, "results", "a"), b"whole")
    ...     Path(folder, "results", "a").read_bytes()
    b'whole'
    """
    with writing(path), _temporary(path, content) as temporary:
        os.replace(temporary, path)
        _sync_folder(path.parent)


def publish_once(path: Path, content: bytes) -> bool:
    """Write a file of a store so that it appears whole, unless it is already there.

    Of several processes that publish one path at once, the first wins. Where the file system has
    no hard links the check and the renaming are two steps: within that instant a second writer
    can replace the first, and readers still find one of the two whole files.

    Parameters
    ----------
    path : Path
        Its place, in one of the folders of a store.
    content : bytes
        All of it.

    Returns
    -------
    bool
        Whether this call published the file.

    Raises
    ------
    StoreError
        If it cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     make_folders(Path(folder))
    ...     [publish_once(Path(folder, "runs", "a"), text) for text in (b"first", b"second")]
    [True, False]
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
    """Write metadata as JSON that carries the digest of itself.

    Parameters
    ----------
    content : mapping
        What to write: JSON values only, no NaN.

    Returns
    -------
    bytes
        ASCII JSON, keys sorted, with the added key ``metadata_sha256``.

    Examples
    --------
    >>> json.loads(sealed({"model": "crossover"}))["model"]
    'crossover'
    """
    digest = hashlib.sha256(_canonical(content)).hexdigest()
    return _canonical({**content, SEAL: digest})


def read_sealed(path: Path) -> dict[str, Any]:
    """Read metadata that `sealed` wrote, and verify every byte of it.

    Parameters
    ----------
    path : Path
        Sidecar or run manifest.

    Returns
    -------
    dict
        The metadata without its digest.

    Raises
    ------
    StoreError
        If the file cannot be read, was altered, or has a schema this version does not know.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.json")
    ...     _ = path.write_bytes(sealed({"schema": 1, "model": "crossover"}))
    ...     read_sealed(path)
    {'model': 'crossover', 'schema': 1}
    """
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
    """Turn a failure of the file system into an error that names the place.

    Parameters
    ----------
    path : Path
        What is being written.

    Raises
    ------
    StoreError
        In place of any OSError in the block.

    Examples
    --------
    >>> with writing(Path("results")):
    ...     raise OSError(28, "No space left on device")
    Traceback (most recent call last):
    bayes_ptsd.errors.StoreError: results: cannot be written (No space left on device); make room \
or permit writing there, or choose another folder with --store or BAYES_PTSD_STORE
    """
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
