"""Tasks shared among processes: stopped at any moment, nothing half done and nobody left behind."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

from bayes_ptsd.errors import BayesPtsdError, FitError
from bayes_ptsd.reconstructed.tasks import Report, Task, carry_out
from bayes_ptsd.store import ResultStore

__all__ = ["carry_out_all"]


def carry_out_all(
    tasks: Sequence[Task], store: ResultStore, *, seed: int, workers: int, report: Report
) -> None:
    """Carry out tasks, in this process or in several that share them.

    A process takes one task at a time, with compiled models of its own. However this ends, no
    process outlives it, and the store holds whole results only.

    Parameters
    ----------
    tasks : sequence of Task
        The work, longest first.
    store : ResultStore
        Where results are found and kept.
    seed : int
        Seed of every draw; results do not depend on the number of processes.
    workers : int
        Processes; 1 works in this one.
    report : callable
        As in `carry_out`; called in this process.

    Raises
    ------
    BayesPtsdError
        What a task raised.
    FitError
        If a process died.

    Examples
    --------
    >>> carry_out_all([], ResultStore("nowhere"), seed=1, workers=2, report=print)
    """
    missing = []
    for task in tasks:
        if workers == 1 or store.has(task.pooled_id(seed)):
            carry_out(task, store, seed=seed, report=report)
        else:
            missing.append(task)
    _share(missing, store, seed=seed, workers=workers, report=report)


def _share(
    tasks: list[Task], store: ResultStore, *, seed: int, workers: int, report: Report
) -> None:
    """Deal tasks to processes, a new one as soon as one is done."""
    context = multiprocessing.get_context("spawn")
    waiting = list(tasks)
    links: dict[Any, Any] = {}
    try:
        for _ in range(min(workers, len(tasks))):
            here, there = context.Pipe()
            process = context.Process(
                target=_work, args=(there, str(store.path), seed), daemon=True
            )
            links[here] = process
            process.start()
            there.close()
            here.send(waiting.pop(0))
        while links:
            for link in wait(list(links)):
                _listen(link, links, waiting, report)
    finally:
        for process in links.values():
            if process.pid is not None:
                process.terminate()
                process.join()


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
