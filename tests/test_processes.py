"""Processes that share work: killed, stopped and interrupted at any moment, with nothing left."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import time
from multiprocessing.context import SpawnProcess
from pathlib import Path

import pytest
from process_kills import MOMENTS, half_a_result, kill_parent, kill_worker

from bayes_ptsd.errors import WorkerError
from bayes_ptsd.processes import WorkerPool
from bayes_ptsd.store import ResultStore

# what the issue asks for
LIMIT = 5.0  # seconds
SAID = {
    signal.SIGINT: ("bayes-ptsd: interrupted; every result in the store is whole\n", 130),
    signal.SIGTERM: ("bayes-ptsd: terminated; every result in the store is whole\n", 143),
    signal.SIGKILL: ("", -signal.SIGKILL),
}


# a parent in a write is killed in `test_store_crash` as well
@pytest.mark.parametrize(
    ("moment", "number"),
    [(moment, number) for moment in MOMENTS for number in SAID if moment != "save"]
    + [("save", signal.SIGTERM)],
)
def test_nothing_is_left_of_a_killed_parent(
    tmp_path: Path, moment: str, number: signal.Signals
) -> None:
    """Within 5 seconds no process is left, compilers included; one message, and whole results."""
    seen = kill_parent(number, moment, tmp_path)
    assert seen.seconds < LIMIT
    assert (seen.said, seen.status) == SAID[number]
    store = ResultStore(tmp_path / "store")
    assert store.verify(grace=0.0).problems == []
    assert store.catalog() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda one: one.name)
def test_a_parent_in_compiled_code_ends_in_time(tmp_path: Path, number: signal.Signals) -> None:
    """Where Python has no chance to look at signals, the command ends nevertheless."""
    seen = kill_parent(number, "busy", tmp_path)
    assert seen.seconds < LIMIT
    assert (seen.said, seen.status) == SAID[number]


def test_a_second_interrupt_changes_nothing(tmp_path: Path) -> None:
    """Who presses Ctrl-C again sees the same message once, and the same status."""
    seen = kill_parent(signal.SIGINT, "sample", tmp_path, times=2)
    assert seen.seconds < LIMIT
    assert (seen.said, seen.status) == SAID[signal.SIGINT]


def test_a_stopped_worker_is_killed_with_the_rest(tmp_path: Path) -> None:
    """A process that SIGSTOP holds does not survive its parent, whose death it cannot see."""
    assert kill_parent(signal.SIGKILL, "sample", tmp_path, stopped=True).seconds < LIMIT


@pytest.mark.parametrize("moment", MOMENTS)
def test_the_task_of_a_killed_worker_is_repeated(tmp_path: Path, moment: str) -> None:
    """The death and the task are said within 5 seconds, and another process does the task."""
    seen = kill_worker(moment, tmp_path)
    assert seen.seconds < LIMIT
    assert seen.status == 0
    assert "results 0 1\n" in seen.said
    line = "a process ended early (SIGKILL); another one repeats task "
    assert seen.said.count(line) == 1
    assert line in (tmp_path / "log.txt").read_text(encoding="utf-8")
    if moment == "save":
        assert ResultStore(tmp_path / "store").verify(grace=0.0).problems == []
        assert len(ResultStore(tmp_path / "store").catalog()) == 1


def test_a_task_that_kills_twice_is_named(tmp_path: Path) -> None:
    """The second death ends the command, with the task, the signal and what to do; none is left."""
    seen = kill_worker("compile", tmp_path, times=2)
    assert seen.status == 1
    assert seen.said.splitlines()[1:] == [
        "bayes-ptsd: task 0: 2 processes ended early, the last one with SIGKILL; what was finished "
        "is kept: run it again, with fewer processes if memory ran out"
    ]


def test_results_come_in_order_from_as_many_processes_as_asked() -> None:
    """What processes return is what this one computes, and an error is raised here as there."""
    with WorkerPool(2) as pool:
        assert list(pool.map(pow, range(8), [3] * 8)) == [n**3 for n in range(8)]
        with pytest.raises(ValueError, match="invalid literal"):
            pool.submit(int, "x").result()
        pids = {pool.submit(os.getpid).result() for _ in range(5)}
        assert 1 <= len(pids) <= 2
        assert pids == pids - {os.getpid()}


def test_a_process_that_ends_takes_no_other_task_with_it(caplog: pytest.LogCaptureFixture) -> None:
    """Its own is tried twice and named with the exit status; the others have their results."""
    with WorkerPool(2, label="number {}".format) as pool:
        ending, *others = pool.submit(os._exit, 7), *(pool.submit(abs, -n) for n in range(4))
        assert [other.result() for other in others] == [0, 1, 2, 3]
        with pytest.raises(WorkerError, match=r"number 7: 2 processes .* exit status 7; .* kept"):
            ending.result()
        assert pool.submit(abs, -5).result() == 5
    assert caplog.messages == [
        "a process ended early (exit status 7); another one repeats number 7"
    ]
    assert caplog.records[0].levelno == logging.WARNING


def test_the_status_of_a_dead_process_is_waited_for(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However late the thread that reaps a process notes its status, it is the one that is said."""
    waitpid = os.waitpid

    def slow(pid: int, options: int) -> tuple[int, int]:
        found = waitpid(pid, options)
        time.sleep(0.2)
        return found

    monkeypatch.setattr(os, "waitpid", slow)
    with WorkerPool(1) as pool, pytest.raises(WorkerError, match="the last one with exit status 7"):
        pool.submit(os._exit, 7).result()
    assert caplog.messages == ["a process ended early (exit status 7); another one repeats task 1"]


def test_half_a_result_is_no_endless_wait() -> None:
    """A process that dies while it writes its result is a dead one, not one that is waited for."""
    with WorkerPool(1) as pool, pytest.raises(WorkerError, match="the last one with SIGKILL"):
        pool.submit(half_a_result).result(timeout=60)


def test_an_idle_process_that_dies_is_replaced() -> None:
    """Nobody's task was with it, and the next one finds a process."""
    with WorkerPool(1) as pool:
        first = pool.submit(os.getpid).result()
        os.kill(first, signal.SIGKILL)
        assert pool.submit(os.getpid).result() != first


def test_a_stopped_process_is_waited_for() -> None:
    """To be stopped is not to be dead: its task goes on with it."""
    with WorkerPool(1) as pool:
        pid = pool.submit(os.getpid).result()
        stopped = pool.submit(signal.raise_signal, signal.SIGSTOP)
        with pytest.raises(TimeoutError):
            stopped.result(timeout=1.0)
        os.kill(pid, signal.SIGCONT)
        assert stopped.result(timeout=60) is None
        assert pool.submit(os.getpid).result() == pid


def test_leaving_ends_what_is_running() -> None:
    """The block ends at once, no process is left, and tasks that were not done are cancelled."""
    before = multiprocessing.active_children()
    with WorkerPool(1) as pool:
        assert pool.submit(abs, -1).result() == 1
        running, waiting = pool.submit(time.sleep, 600), pool.submit(abs, -2)
        begun = time.monotonic()
    assert time.monotonic() - begun < LIMIT
    assert multiprocessing.active_children() == before
    assert waiting.cancelled()
    assert running.done()
    with pytest.raises(RuntimeError, match="the processes have ended"):
        pool.submit(abs, -3)


def test_what_cannot_be_started_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system without room for another process is named as the cause, task by task."""

    def full(_: SpawnProcess) -> None:
        raise OSError("Resource temporarily unavailable")

    monkeypatch.setattr(SpawnProcess, "start", full)
    with WorkerPool(2) as pool:
        for number in (1, 2):
            refused = rf"task {number}: no process .* \(Resource temporarily unavailable\)"
            with pytest.raises(WorkerError, match=refused):
                pool.submit(abs, -1).result()
