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
    """Return the seed of one place in a study, independent of all other places.

    Parameters
    ----------
    seed : int
        Seed of the study.
    place : int
        Where in the study: block, simulation, purpose.

    Returns
    -------
    int
        A seed of 64 bits.

    Examples
    --------
    >>> seed_of(1, 0) != seed_of(1, 1)
    True
    """
    return int(np.random.SeedSequence(seed, spawn_key=place).generate_state(1, np.uint64)[0])


def blocks_of(simulations: int) -> list[tuple[int, int]]:
    """Return number and used size of every block; the last one may be used in part.

    Examples
    --------
    >>> blocks_of(50)
    [(0, 24), (1, 24), (2, 2)]
    """
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

    Parameters
    ----------
    function : callable
        A function of a module, so that another process finds it.
    tasks : sequence
        Its arguments.
    executor : Executor, optional
        Anything with the interface of `concurrent.futures`; without one, tasks run here.
    progress : callable
        Told how many of how many tasks are done.

    Returns
    -------
    list
        Results in the order of the tasks.

    Examples
    --------
    >>> run_tasks(abs, [-1, 2, -3])
    [1, 2, 3]
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
