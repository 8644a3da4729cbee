"""How values are shown where somebody types their name: a line, and a small table in notebooks.

Tables need no style sheet, everything in them is escaped, and nothing invisible is left.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from bayes_ptsd.errors import visible

__all__ = ["html_table", "listed"]

# a line holds the first few; how many more there are is enough to go on
MOST = 4
# in each cell, as a notebook shows several tables and none has a style sheet of its own
CELL = "text-align: left; padding: 0 1em 0 0; vertical-align: top"


def listed(names: Iterable[object], *, most: int = MOST) -> str:
    """Return names as ``a, b, c``, the first few where they are many, with how many more."""
    shown = [visible(" ".join(str(name).split())) for name in names]
    more = len(shown) - most
    # one more takes no more room than saying so
    return ", ".join(shown) if more < 2 else f"{', '.join(shown[:most])} and {more} more"


def html_table(caption: str, rows: Iterable[Sequence[object]], *, head: Sequence[str] = ()) -> str:
    """Return rows as an HTML table under a caption, the first cell of each row a heading."""
    lines = [f"<table><caption style='text-align: left'>{escape(visible(caption))}</caption>"]
    if head:
        lines += [f"<tr>{''.join(_cell('th', name) for name in head)}</tr>"]
    for first, *rest in rows:
        cells = [_cell("th", first), *(_cell("td", one) for one in rest)]
        lines += [f"<tr>{''.join(cells)}</tr>"]
    return "\n".join([*lines, "</table>"])


def _cell(tag: str, content: object) -> str:
    """Return one cell."""
    return f"<{tag} style='{CELL}'>{escape(visible(str(content)))}</{tag}>"
