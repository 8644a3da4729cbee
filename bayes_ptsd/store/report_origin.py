"""What a report was made from, as one digest: one that would be the same again is left alone.

The digest is of the program with its models and libraries, of the printed evidence, of every file
of every result, and of what was asked. The list of a report's files holds it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import metadata, resources
from pathlib import Path
from typing import Any

from bayes_ptsd.errors import StoreError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.models_files import models_folder
from bayes_ptsd.provenance import library_versions
from bayes_ptsd.store.files import RESULTS, folder_names, read_regular
from bayes_ptsd.store.report_folder import report_origin, verify_report

__all__ = ["PATIENT_KINDS", "is_current", "last_weights", "only_patients", "origin_digest"]

PATIENT_KINDS = ("patients", "simulated")
"""Kinds of evidence that have a page of their own."""
# what draws figures and writes tables, beside the libraries that compute
DRAWING = ("great-tables", "matplotlib", "pandas")


def origin_digest(
    store: Path,
    evidence: Evidence | None,
    *,
    quick: bool,
    seed: int,
    reading_weights: Mapping[str, float] | None,
) -> str:
    """Return the SHA-256 of everything that decides a page, except how long it took."""
    about = [] if evidence is None else [evidence.digest, evidence.source, list(evidence.notes)]
    weights = None if reading_weights is None else dict(reading_weights)
    summary = hashlib.sha256(json.dumps([_program(), about, quick, seed, weights]).encode())
    for name in sorted(folder_names(store / RESULTS)):
        if name.endswith((".json", ".nc")):
            summary.update(f"\n{name} {_content(store / RESULTS / name)}".encode())
    return summary.hexdigest()


def is_current(folder: Path, store: Path, evidence: Evidence | None, **asked: Any) -> bool:
    """Tell whether a folder holds a whole report that would be the same again.

    `asked` are the keywords of `origin_digest`.
    """
    origin = report_origin(folder)
    if not origin or verify_report(folder, store)[0]:
        return False
    return origin == origin_digest(store, evidence, **asked)


def last_weights(runs: list[dict[str, Any]], digest: str) -> dict[str, float] | None:
    """Return weights set by hand for the newest reanalysis of this evidence, else None."""
    asked = [run["request"] for run in runs if run["kind"] == "reanalyze"]
    found = [one for one in asked if one.get("evidence") == digest]
    weights: dict[str, float] | None = found[-1].get("reading_weights") if found else None
    return weights


def only_patients(entries: list[dict[str, Any]]) -> bool:
    """Tell whether a catalog has results of patients and nothing else."""
    kinds = {entry["evidence_kind"] for entry in entries}
    return bool(kinds) and kinds <= set(PATIENT_KINDS)


def _content(path: Path) -> str:
    """Return the digest of a file of a result, or what keeps it from being read."""
    try:
        return hashlib.sha256(read_regular(path)).hexdigest()
    except StoreError as error:
        return str(error)


@cache
def _program() -> list[Any]:
    """Return the digest of this program's own files, and the versions of its libraries."""
    summary = hashlib.sha256()
    for name, content in _own_files():
        summary.update(name.encode() + hashlib.sha256(content).digest())
    versions = dict(library_versions()) | {name: metadata.version(name) for name in DRAWING}
    return [summary.hexdigest(), versions]


def _own_files() -> Iterator[tuple[str, bytes]]:
    """Yield every file of the package and its models by relative name, no compiled ones."""
    for root in (Path(str(resources.files("bayes_ptsd"))), models_folder()):
        for path in sorted(root.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path.relative_to(root).as_posix(), path.read_bytes()
