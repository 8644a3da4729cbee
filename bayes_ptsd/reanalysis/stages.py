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
    """Report no progress.

    Examples
    --------
    >>> silent("report", 0, 1)
    """


def joined(*outcomes: Outcome) -> Outcome:
    """Return the outcomes of several stages as one.

    Examples
    --------
    >>> one = {"computed": ["a"], "found": [], "failed": []}
    >>> joined(one, one)["computed"]
    ['a', 'a']
    """
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
    """Fit and save what the store lacks; find the rest.

    Parameters
    ----------
    rows : list of Analysis
        Evidence and specification of each analysis.
    store : ResultStore
        Where results are found and kept.
    fit : callable
        Analysis to its fit.
    settings, seed
        What enters the identity of the results besides the analyses.
    progress : callable
        Called with the stage and how much of it is done.

    Returns
    -------
    dict of str to list of str
        Result ids ``computed``, ``found`` and ``failed``.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     kept([], ResultStore(folder), fit=lambda one: None, settings={"engine": "exact"},
    ...          seed=1, progress=silent)
    {'computed': [], 'found': [], 'failed': []}
    """
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
    """Note the wall time of a stage.

    Examples
    --------
    >>> seconds: dict[str, float] = {}
    >>> with timed(seconds, "report"):
    ...     pass
    >>> list(seconds)
    ['report']
    """
    start = time.perf_counter()
    yield
    seconds[stage] = time.perf_counter() - start
