"""What each committed study does around its own work: say what is stale, make it, write a page."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["page_with", "parts_to_make", "write_page"]


def parts_to_make(
    about: str | None,
    *,
    parts: Sequence[str],
    stale: Sequence[str],
    arguments: Sequence[str] | None = None,
) -> list[str]:
    """Return the parts that are to be made, by the options of `make validation`.

    ``--all`` makes all of them anew; ``--check`` says what is stale and ends, with status 1 if
    something is. Options of other studies are passed over.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--all", action="store_true", help="make everything anew")
    parser.add_argument("--check", action="store_true", help="say what is stale and stop")
    asked, _ = parser.parse_known_args(arguments)
    wanted = list(parts if asked.all else stale)
    print(f"stale: {', '.join(wanted) or 'nothing'}", file=sys.stderr)
    if asked.check:
        raise SystemExit(1 if wanted else 0)
    return wanted


def write_page(page: Path, tables: Mapping[str, str]) -> None:
    """Write the tables of a study into its page."""
    page.write_text(page_with(page.read_text(encoding="utf-8"), tables), encoding="utf-8")


def page_with(text: str, tables: Mapping[str, str]) -> str:
    """Return a page with its tables between their marks."""
    for name, table in tables.items():
        mark = re.compile(rf"(<!-- table {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text, count = mark.subn(lambda match, t=table: f"{match[1]}{t}\n{match[2]}", text)
        if count != 1:
            raise SystemExit(f"{count} marks for table '{name}' on the page, expected one")
    return text
