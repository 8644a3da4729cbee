"""Tables of the page: built by great_tables, styled by the page's own sheet, evidence named."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape

import great_tables
import pandas as pd
from great_tables._text import BaseText

__all__ = ["table_html"]

NOISE = re.compile(
    r"<style>.*?</style>|\s(?:headers|id|data-quarto-[a-z-]+|style)=\"[^\"]*\"", re.DOTALL
)
GROUP = re.compile(r'(<th class="gt_group_heading"[^>]*>)(.*?)</th>', re.DOTALL)
BLANKS = re.compile(r">\s+<")


def table_html(
    frame: pd.DataFrame,
    *,
    caption: str,
    kind: str,
    name: str,
    convention: str = "",
    group: str | None = None,
    stub: str | None = None,
    spanners: Mapping[str, Sequence[str]] | None = None,
    left: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> str:
    """Return a table of texts as markup, with its caption, its evidence and its CSV file.

    Cells are plain text and column names the headings. Values of `group` become rows above their
    group, `stub` is the column of row labels (the first by default), `spanners` are headings over
    several columns, and columns in `left` hold running text.
    """
    label = stub or next(str(column) for column in frame.columns if column != group)
    table = great_tables.GT(frame.fillna(""), rowname_col=label, groupname_col=group, id="t")
    table = table.tab_stubhead(label).cols_align("right")
    if left:
        table = table.cols_align("left", columns=list(left))
    for heading, columns in (spanners or {}).items():
        table = table.tab_spanner(heading, columns=list(columns), id=f"{heading} of {name}")
    heads = {str(c): _label(str(c)) for c in frame.columns if c not in (label, group)}
    labels: dict[str, str | BaseText] = {**heads}
    markup = BLANKS.sub("><", NOISE.sub("", table.cols_label(labels).as_raw_html()))
    markup = GROUP.sub(r"\1<span>\2</span></th>", markup)
    evidence = f"{kind} evidence" + (f", convention {convention}" if convention else "")
    below = "".join(f"<p>{escape(note)}</p>" for note in notes)
    return (
        f'<figure class="table"><figcaption>{escape(caption)} '
        f'<span class="evidence">{escape(evidence)}</span> '
        f'<a href="tables/{name}.csv">CSV</a></figcaption>'
        f'<div class="scroll" tabindex="0">{markup}</div>{below}</figure>'
    )


def _label(column: str) -> str:
    """Return the heading of a column: what follows the bar that keeps equal headings apart."""
    return column.rpartition("|")[2]
