"""Seconds of each published reanalysis as one command, in one process; and its page, written.

Run by hand: `python benchmarks/reanalyses.py`, a line a command; `--write` writes docs/gallery.md
from the same answers. The numbers are held by `tests/test_published_reanalyses.py`, seconds by
nothing.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from reanalyses import CABANA, ROWS, cabana_words, gallery, judged  # noqa: E402

__all__ = ["main", "seconds"]


def seconds() -> dict[str, tuple[float, float]]:
    """Return wall and CPU seconds of every command, after a first one that imports."""
    commands = {row.id: row.words for row in ROWS}
    commands |= {f"CABANA, {name}": cabana_words(mean, sd) for name, mean, sd, *_ in CABANA}
    judged("--measure md --estimate 1 --se 1 --prior flat")
    found = {}
    for name, words in commands.items():
        wall, busy = time.perf_counter(), time.process_time()
        judged(words)
        found[name] = time.perf_counter() - wall, time.process_time() - busy
    return found


def main() -> None:
    """Print a line a command and the slowest, and write the page if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write docs/gallery.md")
    asked = parser.parse_args()
    found = seconds()
    for name, (wall, busy) in found.items():
        print(f"{wall:6.2f} s wall {busy:6.2f} s CPU  {name}")
    slowest = max(found, key=lambda name: found[name][1])
    print(f"{len(found)} commands, the slowest {found[slowest][1]:.2f} s CPU ({slowest})")
    if asked.write:
        (ROOT / "docs" / "gallery.md").write_text(gallery(), "utf-8")


if __name__ == "__main__":
    main()
