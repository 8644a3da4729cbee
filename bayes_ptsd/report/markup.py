"""Text of the page: numbers, intervals and words, paragraphs and lists; all is escaped here."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from html import escape

__all__ = [
    "ABSENT",
    "MINUS",
    "SPACE",
    "around",
    "bullets",
    "facts",
    "interval_text",
    "number",
    "paragraph",
    "plain",
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


def number(value: float | None, digits: int = 1, *, sign: bool = False) -> str:
    """Return a number with fixed decimals and a true minus sign; NaN is a dash, zero unsigned."""
    if value is None or math.isnan(value):
        return ABSENT
    if math.isinf(value):
        return f"{MINUS}\N{INFINITY}" if value < 0 else "\N{INFINITY}"
    text = f"{value:{'+' if sign else ''}.{digits}f}"
    zero = text.strip("+-0.") == ""
    return text.lstrip("+-") if zero else text.replace("-", MINUS)


def probability(value: float | None, digits: int = 3) -> str:
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


def interval_text(low: float | None, high: float | None, digits: int = 1) -> str:
    """Return an interval as text that is never broken over two lines."""
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return ABSENT
    return f"{number(low, digits)}{SPACE}to{SPACE}{number(high, digits)}"


def around(middle: float, low: float, high: float, digits: int = 1) -> str:
    """Return a number with its interval in parentheses."""
    return f"{number(middle, digits)} ({interval_text(low, high, digits)})"


def typeset(text: str) -> str:
    """Return text of the evidence in plain words and with the signs of print."""
    for word, plain in WORDS.items():
        text = text.replace(word, plain)
    return re.sub(r"(?<![\w)])-(?=\d)", MINUS, text)


def plain(name: object) -> str:
    """Return a name of the evidence or the models with blanks where it has underscores."""
    return str(name).replace("_", " ")


def paragraph(text: str, *, kind: str = "") -> str:
    """Return a paragraph of plain text, of a class of the sheet if `kind` names one."""
    return f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def bullets(items: Iterable[str]) -> str:
    """Return a list of items that are markup already."""
    return "<ul>" + "".join(f"<li>{item}</li>" for item in items) + "</ul>"


def facts(terms: Mapping[str, str]) -> str:
    """Return plain text as a list of terms."""
    pairs = (f"<dt>{escape(key)}</dt><dd>{escape(text)}</dd>" for key, text in terms.items())
    return f"<dl>{''.join(pairs)}</dl>"
