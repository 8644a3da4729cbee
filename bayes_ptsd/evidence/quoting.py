"""Which cells of a patient file a message may quote: never one that is, or looks like, an id.

A cell may be in the wrong column: rows shift, columns are swapped. What is quoted is therefore
held against all ids of the file and against their shape, `JOHN-7` being letters, hyphen, digits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from difflib import get_close_matches
from functools import cached_property

from bayes_ptsd.errors import nearest

__all__ = ["BRIEF", "LONGEST", "Quotes"]

# characters of a cell that a message quotes: whole words are told apart, a line is not filled
LONGEST = 40
# digits that say nothing of a person, as those of a period or a category do
TELLING_DIGITS = 3
# where these are in the column of the ids, the ids are in another one, whatever they look like
PERIODS = frozenset({"1", "2"})
HIDDEN = "(not shown, as it looks like an id)"


class Quotes:
    """Quotes cells, but for those that are ids or have the shape of one."""

    def __init__(self, ids: Callable[[], Iterable[str]] = tuple, *, brief: bool = False) -> None:
        self._ids = ids
        # a message has room for few cells: of all further ones only that they are wrong is said
        self.brief = brief

    @cached_property
    def ids(self) -> frozenset[str]:
        """All ids of the file, without regard to case; most files need none of them."""
        return frozenset(text.casefold() for text in self._ids())

    @cached_property
    def shapes(self) -> frozenset[str]:
        """Shapes that the ids have."""
        return frozenset(map(_shape, self.ids))

    @cached_property
    def word_lengths(self) -> tuple[int, int]:
        """Shortest and longest id that is one word, such as a name; any other word can be shown."""
        lengths = [len(text) for text in self.ids if text.isalpha()]
        return (min(lengths), max(lengths)) if lengths else (1, 0)

    def hides(self, text: str, known: Collection[str] = ()) -> bool:
        """Tell whether a text may be an id; what is close to a known label is a typing error."""
        plain = text.strip().casefold()
        if plain in self.ids:
            return True
        if plain.isdigit() and len(plain) < TELLING_DIGITS:
            return False
        if get_close_matches(text, known, n=1):
            return False
        if self.ids and self.ids <= PERIODS:
            return True
        if plain.isalpha():
            low, high = self.word_lengths
            return low <= len(plain) <= high
        return _shape(plain) in self.shapes

    def __call__(self, text: str, known: Collection[str] = ()) -> str:
        """Return a text in quotation marks, cut where it is long, or that it is not shown."""
        if self.brief:
            return "another text"
        if self.hides(text, known):
            return HIDDEN
        return f"'{text}'" if len(text) <= LONGEST else f"'{text[: LONGEST - 3]}...'"

    def number(self, value: float) -> str:
        """Return a number, or that it is not shown because a patient is called like it."""
        if self.brief:
            return "another number"
        same = {f"{value:g}", str(int(value)) if value.is_integer() else str(value)}
        return HIDDEN if same & self.ids else f"{value:g}"

    def unknown(self, text: str, known: Collection[str]) -> str:
        """Say that a label is unknown, and which of the known ones comes closest."""
        if self.brief:
            return "is unknown, too"
        return f"{self(text, known)} is unknown{nearest(text, known)}"


BRIEF = Quotes(brief=True)
"""Quotes nothing, for cells that no message has room for."""


def _shape(text: str) -> str:
    """Return a text with every run of letters as one letter and every run of digits as one."""
    return re.sub(r"\d+", "9", re.sub(r"[^\W\d_]+", "a", text))
