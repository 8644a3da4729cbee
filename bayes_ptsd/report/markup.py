"""Pieces of the page: numbers as text, sections, figures, lists; everything escaped here."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any

import pandas as pd

__all__ = [
    "ABSENT",
    "MINUS",
    "SPACE",
    "Section",
    "bullets",
    "details",
    "figure_html",
    "gallery",
    "interval_text",
    "join",
    "number",
    "paragraph",
    "printed_number",
    "probability",
    "typeset",
]

ABSENT = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
SPACE = "\N{NO-BREAK SPACE}"
WORDS = {
    "ci_low": "lower limit",
    "ci_high": "upper limit",
    "first_period": "first period",
    ">=": "\N{GREATER-THAN OR EQUAL TO}",
    "<=": "\N{LESS-THAN OR EQUAL TO}",
}


@dataclass(frozen=True)
class Section:
    """One section of the page with what is written beside it.

    Attributes
    ----------
    id : str
        Anchor.
    title : str
        Heading, plain text.
    html : str
        Body, escaped.
    tables : mapping of str to pd.DataFrame
        CSV files by name, with unrounded numbers.
    figures : mapping of str to str
        SVG files by name.
    priors : mapping of str to dict
        JSON files for other programs by name.

    Examples
    --------
    >>> Section("audit", "Audit", "<p>None.</p>").tables
    {}
    """

    id: str
    title: str
    html: str
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    figures: Mapping[str, str] = field(default_factory=dict)
    priors: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def number(value: float, digits: int = 1, *, sign: bool = False) -> str:
    """Return a number with fixed decimals, a true minus sign, and a dash where there is none.

    Parameters
    ----------
    value : float
        Any number.
    digits : int
        Decimals.
    sign : bool
        Whether positive numbers get a plus.

    Returns
    -------
    str
        Text.

    Examples
    --------
    >>> number(-0.348), number(float("nan")), number(2.0, 2, sign=True)
    ('\N{MINUS SIGN}0.3', '\N{EN DASH}', '+2.00')
    """
    if value is None or math.isnan(value):
        return ABSENT
    if math.isinf(value):
        return f"{MINUS}\N{INFINITY}" if value < 0 else "\N{INFINITY}"
    text = f"{value:{'+' if sign else ''}.{digits}f}"
    zero = text.strip("+-0.") == ""
    return text.lstrip("+-") if zero else text.replace("-", MINUS)


def probability(value: float, digits: int = 3) -> str:
    """Return a probability without its leading zero, never rounded to 0 or 1.

    Parameters
    ----------
    value : float
        Between 0 and 1.
    digits : int
        Decimals.

    Returns
    -------
    str
        Text such as ``.977`` or ``> .999``.

    Examples
    --------
    >>> probability(0.97704), probability(0.99999), probability(0.00001), probability(float("nan"))
    ('.977', '> .999', '< .001', '\N{EN DASH}')
    """
    if value is None or math.isnan(value):
        return ABSENT
    least = 10.0**-digits
    if value > 1 - least / 2:
        return f"> {1 - least:.{digits}f}".replace("0.", ".")
    if value < least / 2:
        return f"< {least:.{digits}f}".replace("0.", ".")
    return f"{value:.{digits}f}".replace("0.", ".", 1)


def printed_number(value: float, decimals: int, *, bare: bool = False) -> str:
    """Return a number with the digits it was printed with.

    Parameters
    ----------
    value : float
        The number.
    decimals : int
        Printed decimals; negative where nothing is printed.
    bare : bool
        Whether to leave out the leading zero, as for P values.

    Returns
    -------
    str
        Text.

    Examples
    --------
    >>> printed_number(0.94, 2), printed_number(0.02, 2, bare=True), printed_number(1.0, -1)
    ('0.94', '.02', '\N{EN DASH}')
    """
    if decimals < 0 or math.isnan(value):
        return ABSENT
    text = number(value, decimals)
    return text.removeprefix("0") if bare else text


def interval_text(low: float, high: float, digits: int = 1) -> str:
    """Return an interval as text that is never broken over two lines.

    Examples
    --------
    >>> interval_text(2.5, 22.8).split()
    ['2.5', 'to', '22.8']
    """
    if math.isnan(low) or math.isnan(high):
        return ABSENT
    return f"{number(low, digits)}{SPACE}to{SPACE}{number(high, digits)}"


def typeset(text: str) -> str:
    """Return text of the evidence in plain words and with the signs of print.

    Examples
    --------
    >>> typeset("ci_low -0.2").encode("ascii", "replace")
    b'lower limit ?0.2'
    """
    for word, plain in WORDS.items():
        text = text.replace(word, plain)
    return re.sub(r"(?<![\w)])-(?=\d)", MINUS, text)


def paragraph(text: str, *, kind: str = "") -> str:
    """Return a paragraph of plain text.

    Examples
    --------
    >>> paragraph("P < .05", kind="note")
    '<p class="note">P &lt; .05</p>'
    """
    return f"<p{_kind(kind)}>{escape(text)}</p>"


def bullets(items: Iterable[str]) -> str:
    """Return a list of items that are markup already.

    Examples
    --------
    >>> bullets(["one"])
    '<ul><li>one</li></ul>'
    """
    return "<ul>" + "".join(f"<li>{item}</li>" for item in items) + "</ul>"


def details(summary: str, html: str) -> str:
    """Return a part that opens on demand and is printed in full.

    Examples
    --------
    >>> details("More", "<p>x</p>")
    '<details><summary>More</summary><p>x</p></details>'
    """
    return f"<details><summary>{escape(summary)}</summary>{html}</details>"


def figure_html(svg: str, *, alt: str, name: str) -> str:
    """Return an SVG as an image inside the page, with its text and the file beside the page.

    Parameters
    ----------
    svg : str
        SVG document.
    alt : str
        What the figure shows, for those who do not see it.
    name : str
        Name of the file in ``figures``.

    Returns
    -------
    str
        Markup.

    Examples
    --------
    >>> "data:image/svg+xml;base64," in figure_html("<svg></svg>", alt="nothing", name="x")
    True
    """
    data = base64.b64encode(svg.encode()).decode()
    return (
        f'<figure><img src="data:image/svg+xml;base64,{data}" alt="{escape(alt)}">'
        f'<figcaption><a href="figures/{name}.svg">SVG</a></figcaption></figure>'
    )


def gallery(figures: Iterable[str]) -> str:
    """Return figures side by side where there is room.

    Examples
    --------
    >>> gallery(["<figure></figure>"])
    '<div class="gallery"><figure></figure></div>'
    """
    return f'<div class="gallery">{"".join(figures)}</div>'


def join(*parts: str) -> str:
    """Return parts of markup one after the other.

    Examples
    --------
    >>> join("<p>a</p>", "", "<p>b</p>").splitlines()
    ['<p>a</p>', '<p>b</p>']
    """
    return "\n".join(part for part in parts if part)


def _kind(kind: str) -> str:
    """Return a class attribute."""
    return f' class="{kind}"' if kind else ""
