"""Run as a script: writers that are killed, and writers that race, each in a process of its own.

``store_driver.py save FOLDER`` saves one result over and over, each time into a store of its own
and each time killed one change of the file system later than before, in the middle where the
change is a write; ``remove`` does so to removals, ``report`` to a report over an
earlier one. ``race`` lets many processes save at once.
``save-unlinked`` and ``race-unlinked`` do it on a file system that refuses hard links.
"""

from __future__ import annotations

import errno
import io
import itertools
import os
import runpy
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bayes_ptsd.store import ResultStore
from bayes_ptsd.store.report_folder import publish_report, seal_report
from bayes_ptsd.store.upkeep import remove_result
from bayes_ptsd.whole_files import write_synced

small_tree = runpy.run_path(str(Path(__file__).with_name("store_trees.py")))["small_tree"]
STEPS = ("mkdir", "fsync", "rename", "replace", "link", "unlink")
WRITERS = 8
IDS = ("aaaaaaaa01", "bbbbbbbb02", "cccccccc03")


def in_child(work: Callable[[], None]) -> int:
    """Do the work in a process of its own and return how it ended."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return pid


def die_at(step: int) -> None:
    """Have this process kill itself just before its n-th change of the file system."""
    left = step

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **kwargs)

        return wrapper

    for name in STEPS:
        setattr(os, name, counted(getattr(os, name)))
    io_open = io.open

    def opened(*args: Any, **kwargs: Any) -> Any:
        file = io_open(*args, **kwargs)
        return HalfWriter(file, counted) if "x" in str(args[1:2]) else file

    io.open = opened


class HalfWriter:
    """A file whose `write` puts down half of the bytes before the count is taken."""

    def __init__(self, file: Any, counted: Callable[..., Any]) -> None:
        self.file = file
        self.rest = counted(file.write)

    def __enter__(self) -> HalfWriter:
        """Return the file."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the file."""
        self.file.close()

    def __getattr__(self, name: str) -> Any:
        """Be the file in everything else."""
        return getattr(self.file, name)

    def write(self, content: bytes) -> None:
        """Write in two halves, with a chance to die between them."""
        self.file.write(content[: len(content) // 2])
        self.file.flush()
        self.rest(content[len(content) // 2 :])


def refuse_links() -> None:
    """Have this process and its children live on a file system without hard links."""

    def refuse(*args: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    os.link = refuse  # type: ignore[assignment]


def write_report(folder: Path, text: str) -> None:
    """Write a report of two files as the page does it."""
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".report-") as place:
        new = Path(place, "new")
        (new / "tables").mkdir(parents=True)
        for name in ("index.html", "tables/headline.csv"):
            write_synced(new / name, text.encode())
        seal_report(new)
        publish_report(new, folder / "report")


def kill(folder: Path, task: str) -> None:
    """Kill a writer (or a remover) at every step, until one lives to the end; print how many."""
    for step in itertools.count(1):
        store = ResultStore(folder / f"{step:02d}")
        if task == "remove":
            store.save(small_tree())
        if task == "report":
            write_report(store.path, "first")

        def work(store: ResultStore = store, step: int = step) -> None:
            die_at(step)
            if task == "report":
                write_report(store.path, "second")
            elif task == "remove":
                remove_result(store.path, "0f3a9c21d4b7")
            else:
                store.save(small_tree())

        _, status = os.waitpid(in_child(work), 0)
        if not os.WIFSIGNALED(status):
            assert status == 0
            print(step)
            return


def race(folder: Path) -> None:
    """Let processes with different draws save the same ids, and each also an id of its own."""
    store = ResultStore(folder)
    start, go = os.pipe()

    def work(writer: int) -> None:
        os.close(go)
        os.read(start, 1)
        for result_id in IDS[writer % 3 :] + IDS[: writer % 3]:
            assert store.save(small_tree(result_id, seed=writer)) == result_id
            assert store.load(result_id).attrs["result_id"] == result_id
        store.save(small_tree(f"{writer:08x}99", seed=writer))
        store.record_run("fit", {"writer": writer}, results=IDS)

    pids = [in_child(lambda writer=writer: work(writer)) for writer in range(WRITERS)]
    os.close(go)
    statuses = [os.waitpid(pid, 0)[1] for pid in pids]
    print(statuses.count(0))


if __name__ == "__main__":
    command, _, unlinked = sys.argv[1].partition("-")
    if unlinked:
        refuse_links()
    if command == "race":
        race(Path(sys.argv[2]))
    else:
        kill(Path(sys.argv[2]), command)
