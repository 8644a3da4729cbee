"""Folders of printed numbers as somebody fills them in: a command answers or has one message.

Run by hand: `python benchmarks/folders.py --folders 500`. The folders are those of
`tests/odd_folders.py`, the same for the same seed; the commands that write a page, which take
seconds each, have every twenty-fifth of them. A line a failure; the status is 1 if there is any.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from pathlib import Path

TESTS = Path(__file__).parents[1] / "tests"
sys.path.insert(0, str(TESTS))

from odd_folders import PAGES, QUICK, failures, write_folder  # noqa: E402

__all__ = ["count", "main"]

# of the folders, one in so many goes through the commands that write a page
EVERY = 25


def count(first: int, folders: int) -> list[str]:
    """Return a line for every command that failed, of seeds from `first` on, printed as found."""
    found = []
    for seed in range(first, first + folders):
        with tempfile.TemporaryDirectory() as place:
            folder = write_folder(Path(place) / f"seed-{seed}", seed)
            commands = QUICK + (PAGES if seed % EVERY == 0 else ())
            wrong = failures(folder, commands, Path(place) / "store")
        found += wrong
        for line in wrong:
            print(line, flush=True)
    return found


def main() -> None:
    """Run as many folders as asked for and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folders", type=int, default=500)
    parser.add_argument("--first", type=int, default=0)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    start = time.perf_counter()
    found = count(asked.first, asked.folders)
    seconds = time.perf_counter() - start
    print(f"{asked.folders} folders, {len(found)} failures, {seconds:.0f} s")
    raise SystemExit(bool(found))


if __name__ == "__main__":
    main()
