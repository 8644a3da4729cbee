"""Names for runs: a tag points at the manifest of one run and never moves."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bayes_ptsd.errors import ResultNotFoundError, StoreError, nearest
from bayes_ptsd.store.catalog import Listing, list_runs, listed
from bayes_ptsd.store.files import (
    SCHEMA,
    TAGS,
    command,
    folder_names,
    make_folders,
    publish_once,
    read_named,
    sealed,
    stems,
)
from bayes_ptsd.store.metadata import TAG, checked_tag
from bayes_ptsd.store.records import timestamp

__all__ = ["find_run", "list_tags", "read_tag", "tag_run"]


def tag_run(path: str | Path, name: str, run: str | None = None) -> dict[str, Any]:
    """Name a run (id, its beginning or a tag; default the newest); no later run takes that name."""
    if not TAG.fullmatch(name):
        raise StoreError(
            f"{name!r} cannot be a tag: begin with a letter, then letters, digits, '.', '-', '_'"
        )
    root = Path(path)
    run_id = find_run(root, run)["run_id"]
    content = {
        "schema": SCHEMA, "tag": name, "run_id": run_id, "created": timestamp(datetime.now(UTC)),
    }  # fmt: skip
    make_folders(root, TAGS)
    publish_once(root / TAGS / f"{name}.json", sealed(content))
    stored = read_tag(root, name)
    if stored["run_id"] != run_id:
        raise StoreError(
            f"{root}: tag '{name}' is the name of run {stored['run_id']} and stays so; choose "
            "another name"
        )
    return {key: stored[key] for key in ("tag", "run_id", "created")}


def list_tags(path: str | Path) -> Listing:
    """List the tags of a store by name, with their `tag`, `run_id` and `created`."""
    return listed(path, TAGS, stems(folder_names(Path(path) / TAGS), TAG), read_tag)


def read_tag(path: str | Path, name: str) -> dict[str, Any]:
    """Read a tag; an altered one, or one under another name, is refused."""
    place = Path(path) / TAGS / f"{name}.json"
    remedy = f"remove it with {command(f'store remove --tag {name}', path)} and tag the run again"
    return read_named(place, "tag", checked_tag, remedy)


def find_run(path: str | Path, run: str | None = None) -> dict[str, Any]:
    """Return the manifest of a run by tag, id or beginning of an id; the newest by default.

    A damaged manifest or tag is left out with a warning.
    """
    listing, tags = list_runs(path), list_tags(path)
    for message in (*listing.damaged, *tags.damaged):
        warnings.warn(f"left out: {message}", UserWarning, stacklevel=1)
    runs = {entry["run_id"]: entry for entry in listing.entries}
    if not runs:
        raise ResultNotFoundError(f"{path}: no run was recorded yet")
    if run is None:
        return runs[max(runs)]
    named = {one["tag"]: one["run_id"] for one in tags.entries}
    asked = named.get(run, run)
    found = [run_id for run_id in runs if run_id.startswith(asked)]
    if len(found) != 1:
        what = "several runs begin" if found else "no run or tag is called or begins"
        hint = "" if found else nearest(run, [*named, *runs])
        raise ResultNotFoundError(f"{path}: {what} '{run}'{hint}; see 'bayes-ptsd store log'")
    return runs[found[0]]
