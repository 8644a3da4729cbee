"""The whole program from a fresh clone: set-up and reanalysis, its store and page, the test suite.

Run by `make benchmarks`, or by hand with the parts that are wanted: `whole.py reanalysis tests`.
Limits are those that this machine's clock should keep; nothing else should run beside it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from results import HERE, record

# Limits in seconds and MB: a quarter of a report and half of a suite as they were before speed was
# worked on, and what people wait for: five minutes.
REPORT, SUITE, FULL, STORE = 23.0, 300.0, 300.0, 70.0
# results of a full run of the shipped paper; another number is another work
RESULTS = 614
PARTS = ("reanalysis", "tests")


class Spent(NamedTuple):
    """Seconds of a command by the clock and of the processors, and what it printed."""

    wall: float
    cpu: float
    text: str


def spent(words: list[str], folder: Path) -> Spent:
    """Run a command in a folder to its end and return what it took."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("BAYES_PTSD_")}
    kept.pop("PYTHONPATH", None)
    before, start = os.times(), time.perf_counter()
    done = subprocess.run(words, cwd=folder, env=kept, capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - start, os.times()
    if done.returncode:
        said = " ".join(words)
        raise SystemExit(f"benchmarks: '{said}' failed:\n{done.stdout}{done.stderr}")
    cpu = after.children_user + after.children_system
    cpu -= before.children_user + before.children_system
    return Spent(wall, cpu, done.stdout + done.stderr)


def reanalysis(clone: Path) -> None:
    """Record a full run and its set-up, its store, and its page made anew."""
    whole = spent(["make", "reanalysis"], clone)
    store = clone / "bayes-ptsd-results"
    found = len([*(store / "results").glob("*.json")])
    if found != RESULTS:
        raise SystemExit(f"benchmarks: a full run stored {found} results, not {RESULTS}")
    record("make reanalysis, set-up included", whole.wall, "s (clock)", beside="limit", peer=FULL)
    size = sum(path.stat().st_size for path in (store / "results").rglob("*") if path.is_file())
    record("its store", size / 1e6, "MB", beside="limit", peer=STORE)
    program = str(clone / ".venv" / "bin" / "bayes-ptsd")
    page = [program, "report", "--store", str(store)]
    other = spent([*page, "--output", str(clone / "other page")], clone)
    record("report of a full store", other.wall, "s (clock)", beside="limit", peer=REPORT)


def tests(clone: Path) -> None:
    """Record the test suite."""
    suite = spent(["make", "test"], clone)
    record("make test", suite.wall, "s (clock)", beside="limit", peer=SUITE)


def main() -> None:
    """Clone what is committed and measure there; the first part sets up."""
    wanted = sys.argv[1:] or list(PARTS)
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", str(HERE.parent), str(clone)], check=True)
        for name, part in (("reanalysis", reanalysis), ("tests", tests)):
            if name in wanted:
                part(clone)


if __name__ == "__main__":
    main()
