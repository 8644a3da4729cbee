"""Names for runs: a tag points at the manifest of one run and never moves."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bayes_ptsd.errors import ResultNotFoundError, StoreError, nearest
from bayes_ptsd.store.catalog import list_runs
from bayes_ptsd.store.files import SCHEMA, make_folders, publish_once, read_sealed, sealed, writing
from bayes_ptsd.store.records import timestamp

__all__ = ["find_run", "list_tags", "tag_files", "tag_run"]

TAGS = "tags"
NAME = re.compile(r"[A-Za-z][\w.-]{0,63}")


def tag_run(path: str | Path, name: str, run: str | None = None) -> dict[str, Any]:
    """Name a run (id, its beginning or a tag; default the newest); no later run takes that name."""
    if not NAME.fullmatch(name):
        raise StoreError(
            f"'{name}' cannot be a tag: begin with a letter, then letters, digits, '.', '-', '_'"
        )
    root = Path(path)
    run_id = find_run(root, run)["run_id"]
    content = {
        "schema": SCHEMA, "tag": name, "run_id": run_id, "created": timestamp(datetime.now(UTC)),
    }  # fmt: skip
    make_folders(root)
    with writing(root / TAGS):
        (root / TAGS).mkdir(exist_ok=True)
    place = root / TAGS / f"{name}.json"
    publish_once(place, sealed(content))
    stored = read_sealed(place)
    if stored["run_id"] != run_id:
        raise StoreError(
            f"{root}: tag '{name}' is the name of run {stored['run_id']} and stays so; choose "
            "another name"
        )
    return {key: stored[key] for key in ("tag", "run_id", "created")}


def list_tags(path: str | Path) -> list[dict[str, Any]]:
    """List `tag`, `run_id` and `created` of a store's tags by name; an altered one is refused."""
    return [read_sealed(place) for place in tag_files(path)]


def tag_files(path: str | Path) -> list[Path]:
    """Return the files of the tags of a store by name, whole or damaged."""
    return sorted((Path(path) / TAGS).glob("*.json"))


def find_run(path: str | Path, run: str | None = None) -> dict[str, Any]:
    """Return the manifest of a run by tag, id or beginning of an id; the newest by default."""
    runs = {entry["run_id"]: entry for entry in list_runs(path).entries}
    if not runs:
        raise ResultNotFoundError(f"{path}: no run was recorded yet")
    if run is None:
        return runs[max(runs)]
    tags = {one["tag"]: one["run_id"] for one in list_tags(path)}
    asked = tags.get(run, run)
    found = [run_id for run_id in runs if run_id.startswith(asked)]
    if len(found) != 1:
        what = "several runs begin" if found else "no run or tag is called or begins"
        hint = "" if found else nearest(run, [*tags, *runs])
        raise ResultNotFoundError(f"{path}: {what} '{run}'{hint}; see 'bayes-ptsd store log'")
    return runs[found[0]]
