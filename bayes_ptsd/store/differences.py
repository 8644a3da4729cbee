"""What differs between two results, or between two runs, told from their sidecars alone."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bayes_ptsd.errors import StoreError
from bayes_ptsd.store.catalog import find_result, read_sidecar, sidecar_path
from bayes_ptsd.store.tags import find_run

__all__ = ["diff_results", "diff_runs"]

IGNORED = {"schema", "file", "size", "sha256", "created", "seconds", "result_id", "dropped"}
ANALYSIS = (
    "model", "evidence_kind", "evidence_digest", "contrast", "endpoint", "crossover_reading",
    "convention", "prior", "engine",
)  # fmt: skip
"""What two runs mean by the same analysis."""


def diff_results(path: str | Path, first: str, second: str) -> list[dict[str, Any]]:
    """List the `key`s (nested ones joined by a point) whose values differ between two results.

    None stands where one has no such key; when and how fast they were computed is left out.
    """
    one, other = (
        dict(_flat("", read_sidecar(path, find_result(path, result_id))))
        for result_id in (first, second)
    )
    return [
        {"key": key, "first": one.get(key), "second": other.get(key)}
        for key in sorted({*one, *other})
        if one.get(key) != other.get(key)
    ]


def diff_runs(path: str | Path, first: str, second: str) -> list[dict[str, Any]]:
    """List the analyses in which two runs (tags or ids) differ, with the estimate in each.

    `first` and `second` hold `result_id`, `mean` and `prob_benefit`; None where a run lacks it.
    """
    one, other = (_analyses(path, find_run(path, run)) for run in (first, second))
    return [
        {"analysis": analysis, "first": one.get(analysis), "second": other.get(analysis)}
        for analysis in dict.fromkeys([*one, *other])
        if _identity(one.get(analysis)) != _identity(other.get(analysis))
    ]


def _analyses(path: str | Path, run: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the results of a run by what they analyze."""
    found: dict[str, dict[str, Any]] = {}
    for result_id in run["results"]:
        try:
            sidecar = read_sidecar(path, result_id)
        except StoreError:
            there = os.path.lexists(sidecar_path(path, result_id))
            words = "damaged: see 'bayes-ptsd store verify'" if there else "gone since"
            found[f"result {result_id}, {words}"] = {"result_id": result_id}
            continue
        difference = (sidecar.get("summary") or {}).get("treatment_difference") or {}
        kept = {key: difference.get(key) for key in ("mean", "prob_benefit")}
        found[_named(sidecar)] = {"result_id": result_id, **kept}
    return found


def _named(sidecar: Mapping[str, Any]) -> str:
    """Return what a result analyzes, in words."""
    values = {key: str(sidecar[key]) for key in ANALYSIS if sidecar.get(key)}
    if "evidence_digest" in values:
        values["evidence_digest"] = values["evidence_digest"][:10]
    return ", ".join(values.values())


def _identity(result: Mapping[str, Any] | None) -> str | None:
    """Return the id of a result, if there is one."""
    return None if result is None else str(result["result_id"])


def _flat(prefix: str, content: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield nested values under joined keys."""
    for key, value in content.items():
        if not prefix and key in IGNORED:
            continue
        if isinstance(value, Mapping):
            yield from _flat(f"{prefix}{key}.", value)
        else:
            yield f"{prefix}{key}", value
