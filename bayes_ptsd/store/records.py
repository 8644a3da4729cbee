"""What is written down beside a result and about a run, as JSON values.

Needs only the standard library.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from bayes_ptsd.errors import StoreError
from bayes_ptsd.store.catalog import read_sidecar, sidecar_path
from bayes_ptsd.store.files import (
    REMOVED,
    RESULTS,
    RUNS,
    SCHEMA,
    command,
    make_folders,
    publish,
    publish_once,
    read_named,
    sealed,
)
from bayes_ptsd.store.metadata import (
    checked_manifest,
    checked_sidecar,
    checked_tombstone,
    is_result_id,
)

__all__ = [
    "bury",
    "describe",
    "package_version",
    "publish_result",
    "read_tombstone",
    "record_run",
    "sealed_text",
    "timestamp",
]

REQUIRED = ("result_id", "spec", "evidence_kind", "evidence_digest", "seed", "versions", "model")
OPTIONAL = (
    "seconds", "warnings", "endpoint", "contrast", "prior", "convention", "crossover_reading",
    "engine", "checks_passed", "summary", "reconstructions", "flow_reading",
    "printed_digest", "nuisance_priors",
)  # fmt: skip
JSON_TEXTS = ("spec", "versions", "warnings", "summary")


def describe(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    """Return what a sidecar says about a result, from the root attributes of its tree.

    JSON texts become JSON values, in which NaN and infinity become null; an optional attribute that
    is not there is None.
    """
    for name in REQUIRED:
        if name not in attrs:
            raise StoreError(f"a result needs the attribute '{name}' at its root")
    if not is_result_id(str(attrs["result_id"])):
        raise StoreError(
            f"result_id {attrs['result_id']!r} is not 8 to 64 lower-case hexadecimal digits"
        )
    return {name: _copied(name, attrs.get(name)) for name in (*REQUIRED, *OPTIONAL)}


def publish_result(root: Path, content: bytes, described: Mapping[str, Any]) -> None:
    """Publish the data file of a result, then the sidecar that makes the result exist.

    Of several writers of one result the first to publish its sidecar wins, and the others delete
    what they wrote. Killed at any moment, a writer leaves the whole result or none.
    """
    result_id = str(described["result_id"])
    digest = hashlib.sha256(content).hexdigest()
    data = root / RESULTS / f"{result_id}-{digest[:16]}.nc"
    sidecar = {
        **described,
        "schema": SCHEMA,
        "file": data.name,
        "sha256": digest,
        "size": len(content),
        "created": timestamp(datetime.now(UTC)),
        "package_version": package_version(),
    }
    what = f"the attributes of result {result_id}"
    text = sealed_text(sidecar, what)
    checked_sidecar(sidecar, what)
    make_folders(root)
    publish(data, content)
    if not publish_once(sidecar_path(root, result_id), text):
        _yield_to_winner(root, result_id, data)
    elif not os.path.lexists(data):
        # a writer that slept for hours between the two steps was swept by `verify_store`
        publish(data, content)
    if not (root / REMOVED).is_symlink():
        with contextlib.suppress(OSError):
            (root / REMOVED / f"{result_id}.json").unlink(missing_ok=True)


def record_run(
    path: str | Path,
    kind: str,
    *,
    request: Mapping[str, Any],
    results: Sequence[str],
    versions: Mapping[str, str] | None = None,
    notes: Mapping[str, Any] | None = None,
) -> str:
    """Write the manifest of a run and return its id, UTC time and random digits: ids sort by time.

    `kind` is the command; `results` are in the order of the report; `versions` always gains this
    package and Python.
    """
    now = datetime.now(UTC)
    run_id = f"{now:%Y%m%dT%H%M%S.%fZ}-{secrets.token_hex(4)}"
    own = {"bayes_ptsd": package_version(), "python": platform.python_version()}
    manifest = {
        "schema": SCHEMA,
        "run_id": run_id,
        "kind": kind,
        "created": timestamp(now),
        "request": _plain(dict(request)),
        "results": list(results),
        "versions": {**(versions or {}), **own},
        "notes": _plain(dict(notes or {})),
    }
    content = sealed_text(manifest, "the manifest of this run")
    checked_manifest(manifest, "the manifest of this run")
    make_folders(Path(path))
    publish_once(Path(path) / RUNS / f"{run_id}.json", content)
    return run_id


def bury(root: Path, result_id: str) -> None:
    """Write down that a result was removed, so that nobody takes it for a lost one."""
    content = {"schema": SCHEMA, "result_id": result_id, "removed": timestamp(datetime.now(UTC))}
    make_folders(root, REMOVED)
    publish(root / REMOVED / f"{result_id}.json", sealed(content))


def read_tombstone(root: str | Path, result_id: str) -> dict[str, Any]:
    """Read what is left of a removed result; an altered one is refused."""
    path = Path(root) / REMOVED / f"{result_id}.json"
    remedy = f"write it again with {command(f'store remove {result_id}', root)}"
    return read_named(path, "result_id", checked_tombstone, remedy)


def sealed_text(content: Mapping[str, Any], what: str) -> bytes:
    """Return `sealed` metadata; the StoreError for what is not JSON names it by `what`."""
    try:
        return sealed(content)
    except (TypeError, ValueError, RecursionError) as error:
        raise StoreError(f"{what} cannot be written as JSON: {error}") from error


def package_version() -> str:
    """Return the version of this package, "unknown" where it is not installed."""
    try:
        return metadata.version("bayes-ptsd")
    except metadata.PackageNotFoundError:
        return "unknown"


def timestamp(now: datetime) -> str:
    """Write a moment in UTC as ISO 8601 with microseconds, so that texts sort by time."""
    return now.astimezone(UTC).isoformat(timespec="microseconds")


def _yield_to_winner(root: Path, result_id: str, data: Path) -> None:
    """Delete this writer's data file, unless the faster writer's sidecar names it too."""
    # what cannot be deleted here is swept later: no sidecar names it
    with contextlib.suppress(OSError, StoreError):
        if read_sidecar(root, result_id)["file"] != data.name:
            data.unlink(missing_ok=True)


def _copied(name: str, value: Any) -> Any:
    """Return an attribute as the JSON value of a sidecar."""
    if name not in JSON_TEXTS or value is None:
        return _plain(value)
    try:
        return _plain(json.loads(value))
    except (TypeError, ValueError) as error:
        raise StoreError(f"attribute '{name}' is not a JSON text: {error}") from error


def _plain(value: Any) -> Any:
    """Return plain JSON values: NaN and infinity become null, array scalars numbers."""
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float) and not (float("-inf") < value < float("inf")):
        return None
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
