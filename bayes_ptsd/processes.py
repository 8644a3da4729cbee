"""Processes that share work: a dead one is noticed and replaced, and none outlives this process.

`WorkerPool` is an executor of `concurrent.futures`, each of its workers a `ProcessPoolExecutor` of
one process: a worker that dies takes one task with it, known by name, and disturbs no other.
"""

from __future__ import annotations

import itertools
import logging
import os
import signal
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import parent_process
from multiprocessing.context import SpawnContext, SpawnProcess
from multiprocessing.queues import SimpleQueue as ProcessQueue
from queue import SimpleQueue
from typing import Any

from bayes_ptsd.errors import WorkerError

__all__ = ["WorkerPool"]

# one death may be an accident, of a task that kills two processes a third would die as well
TRIES = 2

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class _Job:
    """A task, the future that somebody waits for, and how many processes it has taken."""

    call: Callable[[], Any]
    name: str
    future: Future[Any] = field(default_factory=Future)
    tries: int = 0


class WorkerPool(Executor):
    """Processes that take one task at a time, in the order in which tasks are given.

    The task of a process that dies is given to another one, which is logged; if that dies too, its
    future raises a WorkerError. `label` names a task by its first argument; without one tasks are
    counted. Leaving the block, or `shutdown`, ends every process at once with all that it started,
    and a process whose parent is gone ends itself so.
    """

    def __init__(self, workers: int, *, label: Callable[[Any], str] | None = None) -> None:
        counted = map("task {}".format, itertools.count(1))
        self._size, self._label = workers, label or (lambda _: next(counted))
        self._waiting: deque[_Job] = deque()
        self._workers: dict[_Worker, _Job | None] = {}
        # Whatever starts or ends a process or changes who does what is called by this thread: no
        # two at once, and no signal in between, as the main thread alone runs handlers.
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._foreman = threading.Thread(target=self._call, daemon=True)
        self._foreman.start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Give a task to the next free process; function, arguments and result are pickled."""
        if not self._foreman.is_alive():
            raise RuntimeError("the processes have ended; give them tasks inside the block")
        job = _Job(partial(fn, *args, **kwargs), self._label(args[0] if args else None))
        self._waiting.append(job)
        self._calls.put(self._assign)
        return job.future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = True) -> None:
        """End every process at once, whatever it does; tasks that are not done are cancelled."""
        self._calls.put(None)
        if wait:
            self._foreman.join()

    def _call(self) -> None:
        """Do what is to be done, one after the other, then end every process."""
        try:
            for call in iter(self._calls.get, None):
                call()
        finally:
            for worker in self._workers:
                worker.kill()
            for worker in self._workers:
                worker.executor.shutdown(cancel_futures=True)
            for job in (*self._waiting, *filter(None, self._workers.values())):
                if not job.future.cancel():
                    job.future.set_exception(CancelledError())

    def _assign(self) -> None:
        """Give waiting tasks to free processes, starting those that are still missing."""
        while self._waiting and (self._free() or len(self._workers) < self._size):
            job = self._waiting.popleft()
            if job.tries == 0 and not job.future.set_running_or_notify_cancel():
                continue
            job.tries += 1
            try:
                self._give(job)
            except Exception as error:
                refused = f"{job.name}: no process could be started for it ({error})"
                job.future.set_exception(WorkerError(refused))

    def _free(self) -> list[_Worker]:
        """Return the workers that have nothing to do."""
        return [worker for worker, job in self._workers.items() if job is None]

    def _give(self, job: _Job) -> None:
        """Give a task to a free process; one that died while it had nothing to do is replaced."""
        for free in (*self._free(), None):
            worker = free or _Worker()
            try:
                running = worker.executor.submit(job.call)
            except BrokenProcessPool:
                del self._workers[worker]
                continue
            self._workers[worker] = job
            running.add_done_callback(partial(self._hear, worker))
            return

    def _hear(self, worker: _Worker, done: Future[Any]) -> None:
        """Hear, in a thread of the worker, that a task has ended."""
        self._calls.put(partial(self._ended, worker, done))

    def _ended(self, worker: _Worker, done: Future[Any]) -> None:
        """Pass on what became of a task, and give the process or its successor the next one."""
        job, error = self._workers[worker], done.exception()
        assert job is not None
        if isinstance(error, BrokenProcessPool):
            del self._workers[worker]
            self._lost(job, worker.end(), error)
        else:
            self._workers[worker] = None
            if error is None:
                job.future.set_result(done.result())
            else:
                job.future.set_exception(error)
        self._assign()

    def _lost(self, job: _Job, how: str, error: BrokenProcessPool) -> None:
        """Repeat the task of a process that died, unless it is the second one."""
        if job.tries < TRIES:
            logger.warning("a process ended early (%s); another one repeats %s", how, job.name)
            self._waiting.appendleft(job)
            return
        refused = WorkerError(
            f"{job.name}: {TRIES} processes ended early, the last one with {how}; what was "
            "finished is kept: run it again, with fewer processes if memory ran out"
        )
        refused.__cause__ = error
        job.future.set_exception(refused)


class _Worker:
    """An executor of one process."""

    def __init__(self) -> None:
        self.context = _Spawn()
        self.executor = ProcessPoolExecutor(1, mp_context=self.context)

    def kill(self) -> None:
        """Kill the process and what it started."""
        process = self.context.process
        if process is not None and process.pid is not None:
            _kill_group(process.pid)
            process.kill()

    def end(self) -> str:
        """Kill what a dead process started, and say how the process ended."""
        self.kill()
        # The executor's own thread waits for the process. Of two threads that wait for one process,
        # the second hears nothing until the first has noted the status: let the first one end.
        self.executor.shutdown()
        process = self.context.process
        code = None if process is None else process.exitcode
        if code is None:
            return "no exit status"
        return signal.Signals(-code).name if code < 0 else f"exit status {code}"


class _Spawn(SpawnContext):
    """Where an executor of one process has its process and its queue of results from."""

    process: _Process | None = None
    results: _Results

    def SimpleQueue(self) -> _Results:
        """Return the queue through which results come."""
        self.results = _Results(ctx=self)
        return self.results

    def Process(self, *args: Any, **kwargs: Any) -> _Process:  # type: ignore[override]
        """Return the process, not yet started."""
        self.process = _Process(*args, **kwargs)
        self.process.results = self.results
        return self.process


class _Results(ProcessQueue[Any]):
    """A queue that ends for its reader when the process that writes is gone."""

    def only_read(self) -> None:
        """Leave writing to the other process: half a result is then an error, no endless wait."""
        self._writer.close()  # type: ignore[attr-defined]


class _Process(SpawnProcess):
    """A process that leads a group, away from Ctrl-C, and ends with the one that started it."""

    results: _Results

    def start(self) -> None:
        """Start where no interrupt is heard, and let it have the queue of results to itself."""
        if hasattr(signal, "pthread_sigmask"):
            # of this thread, which only starts processes, and so of them while they are starting
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        super().start()
        self.results.only_read()

    def run(self) -> None:
        """Work until there is no more work, or nobody to work for."""
        if hasattr(os, "setpgid"):
            os.setpgid(0, 0)
        threading.Thread(target=_end_with_parent, daemon=True).start()
        super().run()


def _end_with_parent() -> None:
    """Wait for the death of the parent, then kill this process and all that it started."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        _kill_group(os.getpid())
        os._exit(1)


def _kill_group(leader: int) -> None:
    """Kill a process and what it started, where it leads a group and systems have such."""
    if hasattr(os, "killpg"):
        with suppress(OSError):
            os.killpg(leader, signal.SIGKILL)
