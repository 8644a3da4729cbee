"""What the commands share: one JSON document on stdout, people's text on stderr, exit statuses."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table
from rich.text import Text

from bayes_ptsd.errors import BayesPtsdError

__all__ = [
    "CHECK_FAILED",
    "Evidence_",
    "Json",
    "Log",
    "Quiet",
    "ReadingWeights",
    "Seed",
    "Store",
    "Talk",
    "chosen_readings",
    "emit",
    "number",
    "show_periods",
    "show_prose",
    "show_table",
    "store_path",
]

# The first status left: 1 is a wrong request, 2 is usage, as click has it.
CHECK_FAILED = 3
WIDTH = 160  # of tables that no terminal limits
DEFAULT_STORE = "bayes-ptsd-results"

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no messages.")]
Log = Annotated[Path | None, typer.Option("--log", help="Also write messages to this file.")]
Store = Annotated[
    Path | None,
    typer.Option(
        "--store", help="Results store; else BAYES_PTSD_STORE, else ./bayes-ptsd-results."
    ),
]
Seed = Annotated[int | None, typer.Option("--seed", help="Seed of every draw; fixed by default.")]
Evidence_ = Annotated[
    Path | None,
    typer.Option("--evidence", help="Folder of printed evidence; the shipped paper by default."),
]
ReadingWeights = Annotated[
    str | None,
    typer.Option(
        "--reading-weights",
        help="Of the crossover readings, 'as_published=0.2,unhalved=0.8'; else those of print.",
    ),
]


def store_path(option: Path | None) -> Path:
    """Return the store of the option, the environment or the working folder, in that order."""
    return option or Path(os.environ.get("BAYES_PTSD_STORE") or DEFAULT_STORE)


def chosen_readings(text: str | None) -> dict[str, float] | None:
    """Return weights of readings that were typed, None where none were."""
    from bayes_ptsd.evidence.readings import parse_weights

    return None if text is None else parse_weights(text)


def emit(command: str, document: Mapping[str, Any]) -> None:
    """Print the one JSON document of a command."""
    content = {"schema": 1, "command": command, **document}
    sys.stdout.write(json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n")


def number(value: float | None, digits: int = 2) -> str:
    """Return a number for people, a dash where there is none."""
    return "–" if value is None or value != value else f"{value:.{digits}f}"  # noqa: RUF001


def show_periods(lines: Sequence[Mapping[str, Any]]) -> None:
    """Print what each period of a crossover says alone, as `period_lines` has it."""
    rows = [
        [f"period {one['period']}, {one['patients']}", number(one["difference"], 3),
         number(one["sd"], 3), str(one["n"])]
        for one in lines
    ]  # fmt: skip
    if rows:
        columns = ["patients with a score", "difference", "sd within groups", "n"]
        show_table("Each period alone, control and active compared", columns, rows)


def show_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, prose: Sequence[str] = ()
) -> None:
    """Print a table on stdout: first column and prose to the left, figures to the right."""
    table = Table(title=title, title_justify="left", header_style="bold", title_style="bold")
    for position, column in enumerate(columns):
        left = position == 0 or column in prose
        table.add_column(column, justify="left" if left else "right")
    for row in rows:
        # as text: rich takes the label in difference[madrs] for markup
        table.add_row(*map(Text, row))
    width = None if sys.stdout.isatty() else WIDTH
    Console(width=width, highlight=False).print(table)


def show_prose(*paragraphs: str) -> None:
    """Print paragraphs below a table on stdout, as wide as the table."""
    console = Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False)
    for text in paragraphs:
        console.print(Text(text))


class Talk:
    """Messages and progress for people: on stderr unless quiet, and in a log file if asked for."""

    def __init__(self, *, quiet: bool, log: Path | None) -> None:
        self.console = Console(stderr=True, quiet=quiet, highlight=False)
        self.log = log
        # before anything is computed that the log was to tell about
        self._write("")

    def say(self, message: str) -> None:
        """Say one message."""
        self.console.print(message, markup=False, soft_wrap=True)
        self._write(f"{datetime.now(UTC).isoformat(timespec='seconds')} {message}\n")

    def _write(self, text: str) -> None:
        """Append to the log, if there is one."""
        if self.log is None:
            return
        try:
            with self.log.open("a", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise BayesPtsdError(f"{self.log}: the log cannot be written ({error})") from error

    @contextmanager
    def progress(self) -> Iterator[Callable[[str, int, int], None]]:
        """Show a bar per stage; a spinner turns while one step takes long."""
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn())
        bars: dict[str, Any] = {}
        with Progress(*columns, MofNCompleteColumn(), console=self.console) as progress:

            def advance(stage: str, done: int, total: int) -> None:
                if stage not in bars:
                    bars[stage] = progress.add_task(stage, total=total)
                progress.update(bars[stage], completed=done, total=total)

            yield advance
