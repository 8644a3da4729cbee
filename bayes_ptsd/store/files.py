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
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bayes_ptsd.errors import StoreError
from bayes_ptsd.inputs import SpecialFileError, open_regular
from bayes_ptsd.whole_files import link_new, sync_folder, temporary_file, unique_ending

__all__ = [
    "LARGEST_METADATA",
    "REMOVED",
    "RESULTS",
    "RUNS",
    "SCHEMA",
    "TAGS",
    "TEMPORARY",
    "command",
    "folder_names",
    "make_folders",
    "publish",
    "publish_once",
    "read_named",
    "read_regular",
    "read_sealed",
    "sealed",
    "stems",
    "writing",
]

# the first version of the format; a change that a reader of this one would misread raises it
SCHEMA = 1
RESULTS = "results"
RUNS = "runs"
TAGS = "tags"
REMOVED = "removed"
TEMPORARY = "tmp"
SEAL = "metadata_sha256"
# bytes: a sidecar has about 5,000; the manifest of a run of 100,000 results would have 4 million
LARGEST_METADATA = 2**24


def make_folders(root: Path, *further: str) -> None:
    """Create the folders of a store, where they are missing; a link in their place is refused."""
    folders = [root / name for name in (RESULTS, RUNS, TEMPORARY, *further)]
    for folder in folders:
        _refuse_link(folder)
    if all(folder.is_dir() for folder in folders):
        return
    with writing(root):
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
    sync_folder(root)


def folder_names(folder: Path) -> list[str]:
    """List a folder of a store; one that is not there is empty, and no link is followed."""
    _refuse_link(folder)
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(f"{folder}: cannot be read as a store ({error.strerror})") from error


def stems(names: Iterable[str], pattern: re.Pattern[str]) -> list[str]:
    """Return those names of JSON files, without their suffix, that have a pattern."""
    found = (name.removesuffix(".json") for name in names if name.endswith(".json"))
    return [stem for stem in found if pattern.fullmatch(stem)]


def publish(path: Path, content: bytes) -> None:
    """Write a file of a store so that it appears whole; an existing one is replaced."""
    with writing(path), temporary_file(_temporary(path), content) as temporary:
        os.replace(temporary, path)
        sync_folder(path.parent)


def publish_once(path: Path, content: bytes) -> bool:
    """Write a file that appears whole, unless it is there; return whether this call wrote it.

    Of several processes that publish one path at once, the first wins.
    """
    with writing(path), temporary_file(_temporary(path), content) as temporary:
        made = link_new(temporary, path)
        if made:
            sync_folder(path.parent)
    return made


def sealed(content: Mapping[str, Any]) -> bytes:
    """Write JSON values (no NaN) as ASCII, keys sorted, with their digest as `metadata_sha256`."""
    digest = hashlib.sha256(_canonical(content)).hexdigest()
    return _canonical({**content, SEAL: digest})


def read_sealed(path: Path) -> dict[str, Any]:
    """Read what `sealed` wrote, without its digest; an altered file or other schema is refused."""
    content = _parsed(read_regular(path, most=LARGEST_METADATA))
    if content is None:
        raise StoreError(f"{path}: damaged: it is not what was written")
    schema = content.get("schema")
    if type(schema) is not int or schema != SCHEMA:
        raise StoreError(
            f"{path}: has schema {schema!r:.60} and this version reads {SCHEMA}; "
            "use the version of bayes_ptsd that wrote it"
        )
    return content


def read_named(
    path: Path,
    key: str,
    checked: Callable[[Mapping[str, Any], object], dict[str, Any]],
    remedy: str,
) -> dict[str, Any]:
    """Read sealed metadata that `checked` takes and whose `key` is the name of its file.

    Whatever is wrong with it is one StoreError that ends in the remedy.
    """
    try:
        content = checked(read_sealed(path), f"{path}: sealed but wrong")
        if content[key] != path.name.removesuffix(".json"):
            raise StoreError(f"{path}: damaged: it was written under another name")
        return content
    except StoreError as error:
        raise StoreError(f"{error}; {remedy}") from error


def read_regular(path: Path, *, most: int | None = None) -> bytes:
    """Read a file that is one: no link is followed, no pipe or device opened, no giant read."""
    try:
        with open_regular(path, follow=False) as file:
            size = os.fstat(file.fileno()).st_size
            if most is not None and size > most:
                raise StoreError(
                    f"{path}: damaged: it has {size} bytes, and at most {most} were written"
                )
            return file.read()
    except SpecialFileError as error:
        raise StoreError(f"{path}: damaged: {error.strerror} is in place of the file") from error
    except PermissionError as error:
        raise StoreError(f"{path}: cannot be read (permit reading it first)") from error
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror})") from error


def command(words: str, root: str | Path) -> str:
    """Return a command about a store, quoted for a shell and for a sentence."""
    text = str(root)
    if text != shlex.quote(text):
        text = shlex.quote(text) if set(text) & set('"$`\\!') else f'"{text}"'
    return f"'bayes-ptsd {words} --store {text}'"


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


def _refuse_link(folder: Path) -> None:
    """Refuse a link in place of a folder of a store."""
    if folder.is_symlink():
        raise StoreError(
            f"{folder}: is a link, and no link inside a store is followed; put the folder itself "
            "in its place"
        )


def _canonical(content: Mapping[str, Any]) -> bytes:
    """Write JSON in the only form that `read_sealed` accepts."""
    raw = (json.dumps(content, sort_keys=True, indent=1, allow_nan=False) + "\n").encode()
    if b"\\ud" in raw:
        # half of a surrogate pair is no text: nothing could print it
        json.dumps(content, ensure_ascii=False).encode()
    return raw


def _parsed(raw: bytes) -> dict[str, Any] | None:
    """Return sealed metadata, or None if any byte of it differs from what was written."""
    try:
        content = json.loads(raw)
        del content[SEAL]
        # whole bytes, because a changed space or digit notation leaves the parsed values equal
        return content if raw == sealed(content) else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _temporary(path: Path) -> Path:
    """Return a name in the folder of unfinished files, on the same file system."""
    return path.parent.parent / TEMPORARY / f"{path.name}.{unique_ending()}"
