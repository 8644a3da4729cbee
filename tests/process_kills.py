"""Parents and workers killed at chosen moments: what is left of them, after how long, what is said.

Run as a script it is the victim: two processes share two tasks under the command line's own `main`,
and one of them stands still at the moment. Who kills calls `kill_parent` or `kill_worker`; moments
are told by files, never by time. A process inherits the pipes of the one that starts it, so their
end is that of the last process, however far it was from the first.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["MOMENTS", "STAGES", "Seen", "kill_parent", "kill_worker"]

MOMENTS = ("start", "compile", "sample", "save")
"""A process that imports, one that waits for its compiler, one in compiled code, one in a write."""
STAGES = {"fit-compile": "compiling", "fit-sample": "sampling"}
"""Moments of a real fit, seconds later than the others as PyMC has to be imported."""
LONG = 600  # seconds, of what is killed before
IMPORTS = 1.5  # seconds, of a process that has much to import
LOCK = 256  # bytes, more than any system takes
PATIENCE = 60.0  # seconds, for a machine that does many other things


class Seen(NamedTuple):
    """What was seen of a kill: seconds until it had its effect, what was said, how it ended."""

    seconds: float
    said: str
    status: int


def kill_parent(
    number: signal.Signals, moment: str, folder: Path, *, times: int = 1, stopped: bool = False
) -> Seen:
    """Send a signal to a parent while a worker of it is in a moment; seconds until none is left.

    SIGINT goes to its whole group, as from a terminal. At the moment ``busy`` the parent itself is
    in compiled code too; with `stopped` the worker has been stopped before.
    """
    victim = _victim(moment, folder)
    try:
        worker = _appeared(folder, "ready")
        if moment == "busy":
            _appeared(folder, "busy")
        if stopped:
            os.kill(worker, signal.SIGSTOP)
        begun = time.monotonic()
        for _ in range(times):
            send = os.killpg if number == signal.SIGINT else os.kill
            send(victim.pid, number)
            time.sleep(0.2 * (times - 1))  # so that the first one has been heard
        said = victim.communicate(timeout=PATIENCE)[1]
        return Seen(time.monotonic() - begun, said, victim.returncode)
    finally:
        _clear(victim, folder)


def kill_worker(moment: str, folder: Path, *, times: int = 1) -> Seen:
    """Kill a worker in a moment, and who takes over from it; seconds until the last is said."""
    victim = _victim(moment, folder)
    try:
        pids: list[int] = []
        said, begun = "", 0.0
        assert victim.stderr is not None
        while len(pids) < times:
            pids.append(_appeared(folder, "ready", pids))
            if len(pids) == times:
                (folder / "go").touch()
            begun = time.monotonic()
            os.kill(pids[-1], signal.SIGKILL)
            said += victim.stderr.readline()
        seconds = time.monotonic() - begun
        out, rest = victim.communicate(timeout=PATIENCE)
        return Seen(seconds, out + said + rest, victim.returncode)
    finally:
        _clear(victim, folder)


def _victim(moment: str, folder: Path) -> subprocess.Popen[str]:
    """Start a parent that leads a session of its own."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", __file__, moment, str(folder)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def _appeared(folder: Path, kind: str, known: Sequence[int] = ()) -> int:
    """Wait for the file of a process that is not known yet, and return the id of the process."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        pids = {int(path.name.removeprefix(f"{kind}-")) for path in folder.glob(f"{kind}-*")}
        if new := pids - set(known):
            return new.pop()
        time.sleep(0.01)
    raise TimeoutError(f"{folder}: no file of {kind}")


def _clear(victim: subprocess.Popen[str], folder: Path) -> None:
    """Kill what a failed test would leave behind."""
    for pid in [victim.pid, *(int(one.name[6:]) for one in folder.glob("ready-*"))]:
        try:
            os.killpg(pid, signal.SIGKILL)
        except OSError:
            continue
    victim.wait()


def _sleep() -> None:
    """Wait for good in compiled code, which no signal interrupts: for a lock that is its own."""
    system, lock = ctypes.CDLL(None), ctypes.create_string_buffer(LOCK)
    system.pthread_mutex_init(lock, None)
    system.pthread_mutex_lock(lock)
    system.pthread_mutex_lock(lock)


def _stand(moment: str, folder: Path, ready: Path) -> None:
    """Stand still in a moment, after having told that it is there."""
    if moment == "compile":
        with subprocess.Popen(["sleep", str(LONG)]):
            ready.touch()
    elif moment in ("sample", "busy"):
        ready.touch()
        _sleep()
    elif moment == "save":
        _save(folder, lambda: (ready.touch(), _sleep()))
    else:
        _fit(lambda stage: ready.touch() if stage.startswith(STAGES[moment]) else None)


def _fit(told: Callable[[str], None]) -> None:
    """Compile and sample a model, for as long as it is let, and tell of both."""
    import pymc as pm

    from bayes_ptsd.sampler import sample_posterior

    with pm.Model() as model:
        pm.Normal("y", pm.Normal("mu", 0, 1), 1, observed=[1.0])
    sample_posterior(model, draws=10**7, tune=500, chains=2, seed=1, stage=told)


def _save(folder: Path, halfway: Callable[[], Any] = lambda: None) -> None:
    """Save a result, with something to do when half of a file is written."""
    import io

    from store_driver import HalfWriter
    from store_trees import small_tree

    from bayes_ptsd.store import ResultStore

    io_open = io.open

    def stopped(write: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
        return lambda content: (halfway(), write(content))[1]

    def opened(*args: Any, **kwargs: Any) -> Any:
        file = io_open(*args, **kwargs)
        return HalfWriter(file, stopped) if "x" in str(args[1:2]) else file

    io.open = opened
    ResultStore(folder / "store").save(small_tree())


def task(number: int, moment: str, folder: Path) -> int:
    """Stand still in the first task, unless that moment is over; wait for its end in the other."""
    if number == 0 and not (folder / "go").exists():
        _stand(moment, folder, folder / f"ready-{os.getpid()}")
    elif number == 0 and moment == "save":
        _save(folder)
    while not (folder / "go").exists():
        time.sleep(0.01)
    return number


def half_a_result() -> None:
    """Die when half of what this returns has been written."""
    from multiprocessing.connection import Connection

    def half(self: Connection, content: bytes, write: Any = os.write) -> None:
        write(self.fileno(), content[: len(content) // 2])
        os.kill(os.getpid(), signal.SIGKILL)

    Connection._send = half  # type: ignore[attr-defined]


def share(moment: str, folder: Path) -> None:
    """Be the parent of two processes that share two tasks, and print what these return."""
    from bayes_ptsd.cli._output import Talk
    from bayes_ptsd.processes import WorkerPool

    Talk(quiet=False, log=folder / "log.txt")
    with WorkerPool(2, label="task {}".format) as pool:
        running = [pool.submit(task, number, moment, folder) for number in range(2)]
        if moment == "busy":
            _appeared(folder, "ready")
            (folder / f"busy-{os.getpid()}").touch()
            _sleep()
        print("results", *(future.result() for future in running))


if __name__ == "__mp_main__" and sys.argv[1] == "start":
    # a process imports this module before it is given anything to do
    _ready = Path(sys.argv[2]) / f"ready-{os.getpid()}"
    _ready.touch()
    if not _ready.with_name("go").exists():
        time.sleep(IMPORTS)

if __name__ == "__main__":
    from bayes_ptsd import cli

    # which a shell switches off in what it runs in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)
    cli.app = lambda: share(sys.argv[1], Path(sys.argv[2]))  # type: ignore[assignment]
    cli.program()
