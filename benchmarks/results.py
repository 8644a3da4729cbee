"""One table of every benchmark: a value, its peer or limit, their ratio, what was to be reached.

Every script beside this one calls `record`; `make benchmarks` clears the lines first and ends with
`main`, which prints the table and writes it to RESULTS.md with the words of the machine.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
LINES = HERE.parent / "build-output" / "benchmarks.jsonl"
TABLE = HERE / "RESULTS.md"
PACKAGES = ("numpy", "scipy", "pymc", "pytensor", "nutpie", "arviz", "xarray")
HEADS = ("job", "here", "beside", "of that", "ratio", "to reach", "")
GIB = 2**30


def record(
    job: str, here: float, unit: str, *, beside: str, peer: float, most: float = 1.0,
    faster: bool = False,
) -> None:  # fmt: skip
    """Keep a line and print it: a value and that of its peer or limit, in one unit.

    The ratio is ours over the peer's, to be at most `most`; of a job that is to be `faster`, the
    peer's over ours, to be at least that.
    """
    ratio = peer / here if faster else here / peer
    line = {
        "job": job, "here": f"{here:.3g} {unit}", "beside": beside, "of that": f"{peer:.3g} {unit}",
        "ratio": f"{ratio:.3g}", "to reach": f"{most:g} or {'more' if faster else 'less'}",
        "": "" if (ratio >= most if faster else ratio <= most) else "not reached",
    }  # fmt: skip
    LINES.parent.mkdir(exist_ok=True)
    with LINES.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    sys.stdout.write("  ".join(line.values()).rstrip() + "\n")
    sys.stdout.flush()


def table(lines: list[dict[str, Any]]) -> str:
    """Return the lines as a table of Markdown."""
    rows = [HEADS, ["---"] * len(HEADS), *([line[head] for head in HEADS] for line in lines)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def machine() -> str:
    """Say on what the lines were measured."""
    said = []
    for name in PACKAGES:
        try:
            said.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            said.append(f"no {name}")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    return (
        f"{processor()}, {os.cpu_count()} processors, {memory:.0f} GiB, {platform.system()}; "
        f"Python {platform.python_version()}, {', '.join(said)}; commit {commit()}."
    )


def processor() -> str:
    """Return the name of the processor, as well as the system knows it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def commit() -> str:
    """Return the commit that was measured, with a mark where files differ from it."""
    words = ["git", "-C", str(HERE), "describe", "--always", "--dirty", "--exclude=*"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def main() -> None:
    """Print the table and write it."""
    if not LINES.exists():
        raise SystemExit("benchmarks: nothing was measured; run make benchmarks")
    lines = [json.loads(line) for line in LINES.read_text(encoding="utf-8").splitlines()]
    late = sum(line[""] != "" for line in lines)
    text = (
        "# Results of one run of `make benchmarks`\n\n"
        f"{machine()}\n\n"
        "Each value stands beside its peer in the same run, or beside a limit. Seconds are of the "
        "processors unless they are said to be of the clock.\n\n"
        f"{table(lines)}\n\n{len(lines) - late} of {len(lines)} lines reached.\n"
    )
    TABLE.write_text(text, encoding="utf-8")
    sys.stdout.write(f"\n{text}\nwritten to {TABLE}\n")


if __name__ == "__main__":
    main()
