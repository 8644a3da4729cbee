"""Tasks shared among processes: stopped at any moment, nothing half done and nobody left behind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager

from bayes_ptsd.processes import WorkerPool
from bayes_ptsd.reconstructed.tasks import Report, Task, carry_out
from bayes_ptsd.store import ResultStore

__all__ = ["carry_out_all", "working"]

# as often as a bar that counts fits of a second and more is worth moving
LOOK = 1.0  # seconds

Told = list[tuple[str, str]]


def carry_out_all(
    tasks: Sequence[Task], store: ResultStore, *, seed: int, workers: int, report: Report
) -> None:
    """Carry out tasks in one process or several; one that kills two processes is a WorkerError."""
    with working(tasks, store, seed=seed, workers=workers) as finish:
        finish(report)


@contextmanager
def working(
    tasks: Sequence[Task], store: ResultStore, *, seed: int, workers: int
) -> Iterator[Callable[[Report], None]]:
    """Have processes begin with tasks, longest first; this one can do other things meanwhile.

    A process takes one task at a time, with compiled models of its own; with one worker there is
    none, and this one does all in the end. However the block ends, no process outlives it, and the
    store holds whole results only. Results do not depend on the number of processes. What is
    yielded waits for the end, raises what `carry_out_all` does, and is told where to report.
    """
    missing = [task for task in tasks if not store.has(task.pooled_id(seed))]
    shared = missing if workers > 1 else []
    here = [task for task in tasks if task not in shared]
    with WorkerPool(min(workers, len(shared)), label=_name) as pool:
        wanted = [one for task in shared for one in task.member_ids(seed) if not store.has(one)]
        running = [pool.submit(_carried_out, task, str(store.path), seed) for task in shared]

        def finish(report: Report) -> None:
            for task in here:
                carry_out(task, store, seed=seed, report=report)
            _follow(running, wanted, store, report)

        yield finish


def _name(task: Task) -> str:
    """Return a task in words."""
    return f"model '{task.spec.name}' ({task.engine}) over {len(task.patients)} sets of patients"


def _carried_out(task: Task, path: str, seed: int) -> Told:
    """Carry out a task in a process of its own and return what it reported."""
    told: Told = []
    carry_out(
        task, ResultStore(path), seed=seed, report=lambda kind, text: told.append((kind, text))
    )
    return told


def _follow(
    running: Iterable[Future[Told]], wanted: list[str], store: ResultStore, report: Report
) -> None:
    """Report wanted fits as they reach the store, and tasks as they end, until all have ended."""
    waiting, early = set(running), set[str]()
    while waiting:
        ended, waiting = wait(waiting, timeout=LOOK, return_when=FIRST_COMPLETED)
        for one in [one for one in wanted if one not in early and store.has(one)]:
            early.add(one)
            report("computed", one)
        for future in ended:
            for kind, text in future.result():
                # a process that took over a task found what had been computed before it
                if text not in early:
                    report(kind, text)
