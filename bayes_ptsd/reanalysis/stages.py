"""What the stages of the main job share: progress, seconds, and results found or computed once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import xarray as xr

from bayes_ptsd.contrasts import Analysis
from bayes_ptsd.provenance import make_result_id
from bayes_ptsd.store import ResultStore
from bayes_ptsd.store.catalog import read_sidecar

__all__ = ["Outcome", "Progress", "joined", "kept", "silent", "timed"]

Progress = Callable[[str, int, int], None]
"""Called with the stage, how much of it is done and of how much."""
Outcome = dict[str, list[str]]
"""Result ids ``computed``, ``found`` and, if a required check failed, ``failed``."""


def silent(stage: str, done: int, total: int) -> None:
    """Report no progress."""


def joined(*outcomes: Outcome) -> Outcome:
    """Return the outcomes of several stages as one."""
    return {
        key: [name for one in outcomes for name in one[key]]
        for key in ("computed", "found", "failed")
    }


def kept(
    rows: list[Analysis],
    store: ResultStore,
    fit: Callable[[Analysis], xr.DataTree],
    *,
    settings: Mapping[str, Any],
    seed: int,
    progress: Progress,
) -> Outcome:
    """Fit and save what the store lacks and find the rest; `settings` and `seed` enter the ids."""
    outcome: Outcome = {"computed": [], "found": [], "failed": []}
    stage = f"{settings['engine']} posteriors"
    for number, analysis in enumerate(rows):
        progress(stage, number, len(rows))
        result_id = make_result_id(*analysis, settings=settings, seed=seed)
        if store.has(result_id):
            outcome["found"].append(result_id)
        else:
            outcome["computed"].append(store.save(fit(analysis)))
        if not read_sidecar(store.path, result_id)["checks_passed"]:
            outcome["failed"].append(result_id)
    progress(stage, len(rows), len(rows))
    return outcome


@contextmanager
def timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    """Note the wall time of a stage."""
    start = time.perf_counter()
    yield
    seconds[stage] = time.perf_counter() - start
