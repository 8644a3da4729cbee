"""What the commands share: one JSON document on stdout, people's text on stderr, exit statuses.

All that the commands print goes through here: texts from files cannot forge, hide or reorder what a
terminal shows.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table
from rich.text import Text

from bayes_ptsd.errors import BayesPtsdError, StatisticalWarning, visible

__all__ = [
    "CHECK_FAILED",
    "Talk",
    "emit",
    "interval",
    "number",
    "printed_words",
    "say",
    "show_mixture",
    "show_periods",
    "show_prose",
    "show_ratios",
    "show_table",
    "store_path",
    "told_warnings",
]

# The first status left: 1 is a wrong request, 2 is usage, as click has it.
CHECK_FAILED = 3
WIDTH = 160  # of tables that no terminal limits
DEFAULT_STORE = "bayes-ptsd-results"


def store_path(option: Path | None) -> Path:
    """Return the store of the option, the environment or the working folder, in that order."""
    return option or Path(os.environ.get("BAYES_PTSD_STORE") or DEFAULT_STORE)


def emit(command: str, document: Mapping[str, Any]) -> None:
    """Print the one JSON document of a command."""
    content = {"schema": 1, "command": command, **document}
    text = json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False)
    # JSON allows characters that a terminal obeys, such as U+009B; its own escapes say the same
    odd = (one for one in set(text) - {"\n"} if visible(one) != one)
    sys.stdout.write(text.translate({ord(one): json.dumps(one)[1:-1] for one in odd}) + "\n")


def say(*lines: str, err: bool = False) -> None:
    """Print lines of text on stdout, or on stderr."""
    typer.echo("\n".join(map(visible, lines)), err=err)


def number(value: float | None, digits: int = 2) -> str:
    """Return a number for people, a dash where there is none."""
    return "–" if value is None or value != value else f"{value:.{digits}f}"  # noqa: RUF001


def interval(limits: Sequence[float | None], digits: int = 3) -> str:
    """Return an interval for people."""
    return " to ".join(number(limit, digits) for limit in limits)


def printed_words(
    estimate: float, low: float | None, high: float | None, p: float | None = None
) -> str:
    """Return a printed row for people: the estimate, and interval and P where they are printed."""
    words = f"{estimate:g}" + ("" if low is None or high is None else f" ({low:g} to {high:g})")
    return words + ("" if p is None else f", P {p:g}")


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


def show_ratios(lines: Sequence[tuple[str, Mapping[str, Any] | None]]) -> None:
    """Print ratios of geometric means with the interval that is held against the limits."""
    ratios = [(name, one) for name, one in lines if one]
    within = [one["within"] for _, one in ratios if "within" in one]
    if not within:
        return
    rows = [
        [name, number(one["median" if "within" in one else "estimate"], 4),
         interval(one["eti90" if "within" in one else "ci90"], 4),
         number(one["within"]["probability"], 4) if "within" in one else ""]
        for name, one in ratios
    ]  # fmt: skip
    low, high = within[0]["limits"]
    columns = ["analysis", "ratio", "90% interval", f"P({low} to {high})"]
    show_table("Ratio of geometric means, active over control as recorded", columns, rows)


def show_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, prose: Sequence[str] = ()
) -> None:
    """Print a table on stdout: first column and prose to the left, figures to the right."""
    # as text: rich takes the label in difference[madrs] for markup
    table = Table(title=_text(title), title_justify="left", header_style="bold", title_style="bold")
    for position, column in enumerate(columns):
        left = position == 0 or column in prose
        table.add_column(_text(column), justify="left" if left else "right")
    for row in rows:
        table.add_row(*map(_text, row))
    width = None if sys.stdout.isatty() else WIDTH
    Console(width=width, highlight=False).print(table)


def _text(text: str) -> Text:
    """Return a text as rich prints it, without markup or control characters."""
    return Text(visible(text))


def show_mixture(title: str, components: list[dict[str, Any]]) -> None:
    """Print the components of a mixture."""
    names = [key for key in components[0] if key not in ("weight", "dist")]
    rows = [
        [str(part["dist"]), number(part["weight"], 4), *(number(part[key], 4) for key in names)]
        for part in components
    ]
    show_table(title, ["component", "weight", *names], rows)


def show_prose(*paragraphs: str) -> None:
    """Print paragraphs below a table on stdout, as wide as the table."""
    console = Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False)
    for text in paragraphs:
        console.print(_text(text))


@contextmanager
def told_warnings() -> Iterator[list[str]]:
    """Collect what the statistics warn of, and say it on stderr."""
    told: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield told
    for item in caught:
        if not issubclass(item.category, StatisticalWarning):
            warnings.warn_explicit(item.message, item.category, item.filename, item.lineno)
    told += [str(item.message) for item in caught if issubclass(item.category, StatisticalWarning)]
    for message in told:
        Console(stderr=True, highlight=False).print(_text(f"warning: {message}"))


class _Said(logging.Handler):
    """Says what the package logs, such as the death of a process, as a message of the command."""

    def __init__(self, talk: Talk) -> None:
        super().__init__(logging.WARNING)
        self.talk = talk

    def emit(self, record: logging.LogRecord) -> None:
        """Say one record."""
        self.talk.say(record.getMessage())


class Talk:
    """Messages and progress for people: on stderr unless quiet, and in a log file if asked for."""

    def __init__(self, *, quiet: bool, log: Path | None) -> None:
        self.console = Console(stderr=True, quiet=quiet, highlight=False)
        self.log = log
        # before anything is computed that the log was to tell about
        self._write("")
        logging.getLogger("bayes_ptsd").handlers = [_Said(self)]

    def say(self, message: str) -> None:
        """Say one message."""
        message = visible(message)
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
                    bars[stage] = progress.add_task(escape(visible(stage)), total=total)
                progress.update(bars[stage], completed=done, total=total)

            yield advance
