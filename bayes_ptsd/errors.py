"""What can go wrong, named by the stage at which it goes wrong.

Every message says what is wrong, where (file, row, column or key) and what to do about it. What it
quotes from files cannot forge or reorder a line of it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable
from difflib import get_close_matches

__all__ = [
    "BayesPtsdError",
    "EvidenceError",
    "FitError",
    "ResultNotFoundError",
    "SpecError",
    "StatisticalWarning",
    "StoreError",
    "WorkerError",
    "is_invisible",
    "nearest",
    "refuse_unknown_keys",
    "shown",
    "visible",
]

# controls, formats (zero-width and bidirectional marks), surrogates, line and paragraph separators
INVISIBLE = ("Cc", "Cf", "Cs", "Zl", "Zp")
# characters of a name that a message quotes: whole names are told apart, a line is not filled
QUOTED = 60
# names that a message lists: a screen has about as many lines
LISTED = 30


def is_invisible(character: str) -> bool:
    """Tell what no font draws: controls, marks of direction, and what is no character at all."""
    place = ord(character)
    # U+FDD0 to U+FDEF and the last two of every plane, which XML forbids
    nothing = 0xFDD0 <= place <= 0xFDEF or place & 0xFFFE == 0xFFFE
    return nothing or unicodedata.category(character) in INVISIBLE


def visible(text: str, *, keep: str = "") -> str:
    r"""Return a text whose control and invisible characters are escapes, such as ``\x1b``.

    Those to `keep` stay, such as the ends of the lines of a whole page.
    """
    odd = filter(is_invisible, set(text) - set(keep))
    return text.translate({ord(one): one.encode("unicode_escape").decode() for one in odd})


def shown(name: object) -> str:
    """Return a name as a message quotes it, cut where it is long."""
    text = str(name)
    return text if len(text) <= QUOTED else f"{text[:QUOTED]}..."


class BayesPtsdError(Exception):
    """Base of every error that bayes_ptsd raises on purpose: each argument is one line."""

    def __str__(self) -> str:
        """Return the message, a line an argument, without control characters."""
        return "\n".join(visible(str(line)) for line in self.args)


class SpecError(BayesPtsdError, ValueError):
    """A model, a prior, a trial file or a request is not a valid one."""


class EvidenceError(BayesPtsdError, ValueError):
    """Evidence (printed numbers or patient rows) cannot be used as it stands."""


class FitError(BayesPtsdError, RuntimeError):
    """A posterior could not be computed to its promised accuracy."""


class StoreError(BayesPtsdError, RuntimeError):
    """The results store cannot be read or written, or a stored file is damaged."""


class ResultNotFoundError(StoreError, KeyError):
    """No stored result has the requested id."""

    def __str__(self) -> str:
        """Return the message without the quotes that KeyError puts around it."""
        return BayesPtsdError.__str__(self)


class WorkerError(BayesPtsdError, RuntimeError):
    """A task could not be carried out because the processes that had it ended early."""


class StatisticalWarning(UserWarning):
    """A finding about the statistics that the reader of a result must see."""


def nearest(name: str, names: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the closest of `names`, else the list of them."""
    known = sorted(names)
    close = get_close_matches(name, known, n=1) if len(name) <= QUOTED else []
    if close:
        return f"; did you mean '{close[0]}'?"
    more = f" and {len(known) - LISTED} more" if len(known) > LISTED else ""
    return f"; known: {', '.join(map(shown, known[:LISTED])) or 'none'}{more}"


def refuse_unknown_keys(
    found: Iterable[str], allowed: Collection[str], where: str, *, error: type[BayesPtsdError]
) -> None:
    """Raise `error` for the first unknown key, naming `where` and the nearest allowed name."""
    for key in found:
        if key not in allowed:
            raise error(f"{where}: unknown key '{shown(key)}'{nearest(key, allowed)}")
