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
    """One section of the page with what is written beside it, by file name."""

    id: str  # anchor
    title: str  # plain text
    html: str  # escaped
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)  # CSV, unrounded
    figures: Mapping[str, str] = field(default_factory=dict)  # SVG
    priors: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # JSON


def number(value: float, digits: int = 1, *, sign: bool = False) -> str:
    """Return a number with fixed decimals and a true minus sign; NaN is a dash, zero unsigned."""
    if value is None or math.isnan(value):
        return ABSENT
    if math.isinf(value):
        return f"{MINUS}\N{INFINITY}" if value < 0 else "\N{INFINITY}"
    text = f"{value:{'+' if sign else ''}.{digits}f}"
    zero = text.strip("+-0.") == ""
    return text.lstrip("+-") if zero else text.replace("-", MINUS)


def probability(value: float, digits: int = 3) -> str:
    """Return a probability as ``.977`` or ``> .999``, never rounded to 0 or 1; NaN is a dash."""
    if value is None or math.isnan(value):
        return ABSENT
    least = 10.0**-digits
    if value > 1 - least / 2:
        return f"> {1 - least:.{digits}f}".replace("0.", ".")
    if value < least / 2:
        return f"< {least:.{digits}f}".replace("0.", ".")
    return f"{value:.{digits}f}".replace("0.", ".", 1)


def printed_number(value: float, decimals: int, *, bare: bool = False) -> str:
    """Return a number with the digits it was printed with; `bare` drops the leading zero, as of P.

    Negative decimals mean that nothing is printed: a dash.
    """
    if decimals < 0 or math.isnan(value):
        return ABSENT
    text = number(value, decimals)
    return text.removeprefix("0") if bare else text


def interval_text(low: float, high: float, digits: int = 1) -> str:
    """Return an interval as text that is never broken over two lines."""
    if math.isnan(low) or math.isnan(high):
        return ABSENT
    return f"{number(low, digits)}{SPACE}to{SPACE}{number(high, digits)}"


def typeset(text: str) -> str:
    """Return text of the evidence in plain words and with the signs of print."""
    for word, plain in WORDS.items():
        text = text.replace(word, plain)
    return re.sub(r"(?<![\w)])-(?=\d)", MINUS, text)


def paragraph(text: str, *, kind: str = "") -> str:
    """Return a paragraph of plain text."""
    return f"<p{_kind(kind)}>{escape(text)}</p>"


def bullets(items: Iterable[str]) -> str:
    """Return a list of items that are markup already."""
    return "<ul>" + "".join(f"<li>{item}</li>" for item in items) + "</ul>"


def details(summary: str, html: str) -> str:
    """Return a part that opens on demand and is printed in full."""
    return f"<details><summary>{escape(summary)}</summary>{html}</details>"


def figure_html(svg: str, *, alt: str, name: str) -> str:
    """Return an SVG as an image inside the page, with its text and the file beside the page."""
    data = base64.b64encode(svg.encode()).decode()
    return (
        f'<figure><img src="data:image/svg+xml;base64,{data}" alt="{escape(alt)}">'
        f'<figcaption><a href="figures/{name}.svg">SVG</a></figcaption></figure>'
    )


def gallery(figures: Iterable[str]) -> str:
    """Return figures side by side where there is room."""
    return f'<div class="gallery">{"".join(figures)}</div>'


def join(*parts: str) -> str:
    """Return parts of markup one after the other."""
    return "\n".join(part for part in parts if part)


def _kind(kind: str) -> str:
    """Return a class attribute."""
    return f' class="{kind}"' if kind else ""
