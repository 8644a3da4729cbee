"""What the page is built of: sections of text, figures, and tables that know their CSV file."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from typing import Any

import great_tables
import pandas as pd

__all__ = ["Figure", "Group", "Line", "Part", "Section", "Table", "block", "details", "gallery"]

# What great_tables adds and the page's own sheet and anchors replace.
NOISE = re.compile(
    r"<style>.*?</style>|\s(?:headers|id|data-quarto-[a-z-]+|style)=\"[^\"]*\"", re.DOTALL
)
GROUP = re.compile(r'(<th class="gt_group_heading"[^>]*>)(.*?)</th>', re.DOTALL)
BLANKS = re.compile(r">\s+<")
# runs of characters that a file name or a link would have to escape
UNSAFE = re.compile(r"[^\w.-]+")
Line = Mapping[Any, Any]
"""A line of a table: numbers by column, or texts by heading."""


@dataclass(frozen=True)
class Table:
    """A table of the page and its CSV file: the same numbers unrounded and as texts.

    Without formats and lines it is a file only, with a link if there is one. A text is plain; what
    follows the bar of a heading is shown, what stands before it keeps equal headings apart.
    """

    name: str  # of the CSV file
    frame: pd.DataFrame  # what the file has, with `evidence_kind`
    formats: Callable[[Line], Line] | None = None  # texts by heading, of one line
    caption: str = ""
    notes: Sequence[str] = ()  # below the table
    lines: Iterable[Line] | None = None  # those shown, where they are not the file's
    convention: str = ""
    group: str = ""  # heading whose texts become rows above their lines
    stub: str = ""  # heading of row labels, the first by default
    spanners: Mapping[str, Sequence[str]] = field(default_factory=dict)  # over several columns
    left: Sequence[str] = ()  # headings of running text
    link: str = ""

    def __post_init__(self) -> None:
        """Name a file in this folder, whatever a model is called."""
        object.__setattr__(self, "name", UNSAFE.sub("-", self.name))

    @cached_property
    def texts(self) -> pd.DataFrame:
        """What is shown, by heading; no line of a table that is a file only."""
        if self.lines is None and self.formats is None:
            return pd.DataFrame()
        lines = self.frame.to_dict("records") if self.lines is None else self.lines
        return pd.DataFrame([self.formats(line) if self.formats else line for line in lines])

    @cached_property
    def html(self) -> str:
        """Markup with caption, evidence and link to the file; nothing where no line is shown."""
        if self.link:
            return f'<p class="note"><a href="tables/{self.name}.csv">{escape(self.link)}</a></p>'
        if self.texts.empty:
            return ""
        kinds = ", ".join(dict.fromkeys(map(str, self.frame["evidence_kind"])))
        evidence = f"{kinds} evidence" + f", convention {self.convention}" * bool(self.convention)
        below = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        return (
            f'<figure class="table"><figcaption>{escape(self.caption)} '
            f'<span class="evidence">{escape(evidence)}</span> '
            f'<a href="tables/{self.name}.csv">CSV</a></figcaption>'
            f'<div class="scroll" tabindex="0">{self._grid()}</div>{below}</figure>'
        )

    def _grid(self) -> str:
        """Return the cells as great_tables makes them, without its styles and ids."""
        headings = [str(heading) for heading in self.texts.columns if heading != self.group]
        label = self.stub or headings[0]
        table = great_tables.GT(
            self.texts.fillna(""), rowname_col=label, groupname_col=self.group or None, id="t"
        )
        table = table.tab_stubhead(label).cols_align("right")
        if self.left:
            table = table.cols_align("left", columns=list(self.left))
        for heading, columns in self.spanners.items():
            table = table.tab_spanner(
                heading, columns=list(columns), id=f"{heading} of {self.name}"
            )
        shown: dict[str, Any] = {
            heading: heading.rpartition("|")[2] for heading in headings if heading != label
        }
        markup = BLANKS.sub("><", NOISE.sub("", table.cols_label(shown).as_raw_html()))
        return GROUP.sub(r"\1<span>\2</span></th>", markup)


@dataclass(frozen=True)
class Figure:
    """A drawing on the page and beside it."""

    name: str  # of the SVG file
    svg: str
    alt: str  # what it shows, in words

    def __post_init__(self) -> None:
        """Name a file in this folder, whatever a model is called."""
        object.__setattr__(self, "name", UNSAFE.sub("-", self.name))

    @property
    def html(self) -> str:
        """The image inside the page, with a link to its file."""
        data = base64.b64encode(self.svg.encode()).decode()
        return (
            f'<figure><img src="data:image/svg+xml;base64,{data}" alt="{escape(self.alt)}">'
            f'<figcaption><a href="figures/{self.name}.svg">SVG</a></figcaption></figure>'
        )


@dataclass(frozen=True)
class Group:
    """Parts inside one element."""

    before: str
    parts: Sequence[Part]
    after: str
    glue: str = "\n"

    @property
    def html(self) -> str:
        """The element; nothing where its parts leave nothing."""
        inside = _html(self.parts, self.glue)
        return f"{self.before}{inside}{self.after}" if inside else ""


Part = str | Table | Figure | Group
"""Markup, or what becomes markup and has files beside the page."""


@dataclass(frozen=True)
class Section:
    """One section of the page; what it writes beside it is found among its parts."""

    id: str  # anchor
    title: str  # plain text
    parts: Sequence[Part]
    priors: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # JSON by file name

    @cached_property
    def html(self) -> str:
        """All parts, one after the other."""
        return _html(self.parts, "\n")

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """CSV files by name, of which several tables may show parts; none without a column."""
        tables = (one for one in _leaves(self.parts) if isinstance(one, Table))
        return {one.name: one.frame for one in tables if len(one.frame.columns)}

    @property
    def figures(self) -> dict[str, str]:
        """SVG files by name."""
        return {one.name: one.svg for one in _leaves(self.parts) if isinstance(one, Figure)}


def details(summary: str, *parts: Part) -> Group:
    """Return a part that opens on demand and is printed in full."""
    return Group(f"<details><summary>{escape(summary)}</summary>", parts, "</details>")


def gallery(figures: Iterable[Figure], *, wide: bool = False) -> Group:
    """Return figures side by side where there is room; nothing where there is none."""
    kind = "gallery wide" if wide else "gallery"
    return Group(f'<div class="{kind}">', tuple(figures), "</div>", glue="")


def block(*parts: Part) -> Group:
    """Return parts as one block of the sheet's columns."""
    return Group("<div>", parts, "</div>")


def _html(parts: Iterable[Part], glue: str) -> str:
    """Return parts as markup; those that are empty leave nothing."""
    made = (part if isinstance(part, str) else part.html for part in parts)
    return glue.join(one for one in made if one)


def _leaves(parts: Iterable[Part]) -> Iterator[Part]:
    """Yield parts and those inside them."""
    for part in parts:
        if isinstance(part, Group):
            yield from _leaves(part.parts)
        else:
            yield part
