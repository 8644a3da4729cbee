"""Tasks shared among processes: stopped at any moment, nothing half done and nobody left behind."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from typing import Any

from bayes_ptsd.errors import BayesPtsdError, FitError
from bayes_ptsd.reconstructed.tasks import Report, Task, carry_out
from bayes_ptsd.store import ResultStore

__all__ = ["carry_out_all", "working"]


def carry_out_all(
    tasks: Sequence[Task], store: ResultStore, *, seed: int, workers: int, report: Report
) -> None:
    """Carry out tasks in one process or several; the death of a process is a FitError."""
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
    there = [task for task in tasks if task not in missing]
    shared = missing if workers > 1 else []
    links: dict[Any, Any] = {}

    def finish(report: Report) -> None:
        for task in there if shared else tasks:
            carry_out(task, store, seed=seed, report=report)
        while links:
            for link in wait(list(links)):
                _listen(link, links, waiting, report)

    waiting = list(shared)
    try:
        for _ in range(min(workers, len(shared))):
            here, process = _start(store, seed)
            links[here] = process
            here.send(waiting.pop(0))
        yield finish
    finally:
        for process in links.values():
            process.terminate()
            process.join()


def _start(store: ResultStore, seed: int) -> tuple[Any, Any]:
    """Start a process; return the end of a pipe to it, and the process."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_work, args=(there, str(store.path), seed), daemon=True)
    process.start()
    there.close()
    return here, process


def _listen(link: Any, links: dict[Any, Any], waiting: list[Task], report: Report) -> None:
    """Take one message of a process: a result, an error, or that it is ready for more."""
    try:
        kind, text = link.recv()
    except EOFError as error:
        links[link].join()
        raise FitError(
            f"a process that fits models ended early (exit status {links[link].exitcode}); what "
            "it finished is stored: run the command again"
        ) from error
    if kind == "raised":
        raise text
    if kind != "ready":
        report(kind, text)
    elif waiting:
        link.send(waiting.pop(0))
    else:
        link.send(None)
        links.pop(link).join()


def _work(link: Connection, path: str, seed: int) -> None:
    """Carry out tasks until there are no more, or nobody is there to take the results."""
    # an interrupt goes to all processes of a terminal; the one that started this one ends it
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    store = ResultStore(path)
    try:
        while (task := link.recv()) is not None:
            try:
                carry_out(task, store, seed=seed, report=lambda kind, text: link.send((kind, text)))
            except BayesPtsdError as error:
                link.send(("raised", error))
                return
            link.send(("ready", ""))
    except (EOFError, BrokenPipeError):
        return
