"""Blocks of simulations: seeds that no worker decides, and any executor to share them among."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, as_completed
from typing import TypeVar

import numpy as np

__all__ = ["BLOCK", "blocks_of", "run_tasks", "seed_of"]

Task = TypeVar("Task")
Result = TypeVar("Result")

BLOCK = 24
"""Simulations that share a seed; one block is computed whole or truncated, never otherwise cut."""


def seed_of(seed: int, *place: int) -> int:
    """Return the 64-bit seed of one place in a study, independent of all other places."""
    return int(np.random.SeedSequence(seed, spawn_key=place).generate_state(1, np.uint64)[0])


def blocks_of(simulations: int) -> list[tuple[int, int]]:
    """Return number and used size of every block; the last one may be used in part."""
    return [
        (number, min(BLOCK, simulations - first))
        for number, first in enumerate(range(0, simulations, BLOCK))
    ]


def run_tasks(
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    *,
    executor: Executor | None = None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[Result]:
    """Run a function on every task, here or by an executor, and keep the order of the tasks.

    `function` is one of a module, so that another process finds it.
    """
    if executor is None:
        found = []
        for done, task in enumerate(tasks, 1):
            found.append(function(task))
            progress(done, len(tasks))
        return found
    futures: list[Future[Result]] = [executor.submit(function, task) for task in tasks]
    try:
        for done, future in enumerate(as_completed(futures), 1):
            future.result()
            progress(done, len(tasks))
    finally:
        for future in futures:
            future.cancel()
    return [future.result() for future in futures]
