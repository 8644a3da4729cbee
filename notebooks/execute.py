"""Execute the notebooks on results of the quick reanalysis, each within its time.

Run as `make notebooks`. The executed notebooks go to `build-output/notebooks`; nothing beside the
sources changes. Names of notebooks as arguments execute only those; `--store` takes results that
are there already, for somebody who is writing one.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

HERE = Path(__file__).parent
ROOT = HERE.parent
LIMIT = 120
"""Seconds a notebook may take."""
FAILURES = (CellExecutionError, CellTimeoutError, DeadKernelError)


def isolate(scratch: Path) -> None:
    """Keep Jupyter away from the settings, history and start-up files of whoever runs this."""
    os.environ |= {
        name: str(scratch / folder)
        for name, folder in (
            ("IPYTHONDIR", "ipython"),
            ("JUPYTER_CONFIG_DIR", "jupyter-config"),
            ("JUPYTER_DATA_DIR", "jupyter-data"),
            ("JUPYTER_RUNTIME_DIR", "jupyter-runtime"),
        )
    }
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"


def quick_store(scratch: Path) -> Path:
    """Return a store of the quick reanalysis."""
    store = scratch / "store"
    command = [sys.executable, "-m", "bayes_ptsd", "reanalyze", "--quick", "--quiet"]
    start = time.perf_counter()
    # its headline is in the notebooks; what goes wrong is on stderr
    subprocess.run([*command, "--store", str(store)], check=True, stdout=subprocess.DEVNULL)
    say("quick reanalysis", start)
    return store


def say(what: str, start: float, how: str = "") -> None:
    """Print what was done and how long it took."""
    print(f"{what:32}{time.perf_counter() - start:7.1f} s  {how}".rstrip(), flush=True)


def complaints(notebook: nbformat.NotebookNode) -> Iterator[str]:
    """Yield what cells wrote to stderr, where warnings go."""
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if output.output_type == "stream" and output.name == "stderr":
                yield output.text


async def execute(source: Path, output: Path, limit: int, turn: asyncio.Semaphore) -> str:
    """Execute one notebook, keep what it shows, and return why it failed, if it did."""
    notebook = jupytext.read(source)
    client = NotebookClient(
        notebook,
        timeout=limit,
        kernel_name="python3",
        # errors only: that a kernel talks to its own machine over TCP is no news
        extra_arguments=["--IPKernelApp.log_level=40"],
        resources={"metadata": {"path": str(HERE)}},
    )
    problem = ""
    async with turn:
        start = time.perf_counter()
        try:
            await client.async_execute()
        except FAILURES as error:
            problem = str(error)
    seconds = time.perf_counter() - start
    nbformat.write(notebook, output / f"{source.stem}.ipynb")
    if not problem and seconds > limit:
        problem = f"took longer than {limit} s"
    problem = problem or "".join(complaints(notebook))
    say(source.stem, start, "failed" if problem else "")
    return f"{source.name}: {problem}" if problem else ""


async def execute_all(found: list[Path], asked: argparse.Namespace) -> list[str]:
    """Execute notebooks, so many at once, and return why each failed, if it did."""
    turn = asyncio.Semaphore(asked.at_once)
    return await asyncio.gather(*(execute(one, asked.output, asked.limit, turn) for one in found))


def sources(names: list[str]) -> list[Path]:
    """Return the notebooks, or those whose name begins as asked."""
    found = sorted(HERE.glob("[0-9]*.py"))
    wanted = [path for path in found if not names or path.stem.startswith(tuple(names))]
    if not wanted:
        sys.exit(f"no such notebook; there are {', '.join(path.stem for path in found)}")
    return wanted


def main() -> None:
    """Execute what was asked for; exit 1 if anything failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", help="how names of notebooks begin, such as 01")
    parser.add_argument("--store", type=Path, help="results to use; by default a quick reanalysis")
    parser.add_argument("--output", type=Path, default=ROOT / "build-output" / "notebooks")
    parser.add_argument("--at-once", type=int, default=1, help="notebooks at a time, 1 by default")
    parser.add_argument("--limit", type=int, default=LIMIT, help=f"seconds for each; {LIMIT}")
    asked = parser.parse_args()
    asked.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        isolate(Path(folder))
        store = asked.store or quick_store(Path(folder))
        os.environ["BAYES_PTSD_STORE"] = str(store.absolute())
        problems = asyncio.run(execute_all(sources(asked.names), asked))
    if any(problems):
        sys.exit("\n".join(filter(None, problems)))


if __name__ == "__main__":
    main()
