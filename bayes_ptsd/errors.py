"""What can go wrong, named by the stage at which it goes wrong.

Every message says what is wrong, where (file, row, column or key) and what to do about it.
"""

from __future__ import annotations

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
    "nearest",
    "refuse_unknown_keys",
]


class BayesPtsdError(Exception):
    """Base of every error that bayes_ptsd raises on purpose."""


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
        return str(self.args[0]) if self.args else ""


class WorkerError(BayesPtsdError, RuntimeError):
    """A task could not be carried out because the processes that had it ended early."""


class StatisticalWarning(UserWarning):
    """A finding about the statistics that the reader of a result must see."""


def nearest(name: str, names: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the closest of `names`, else the list of them."""
    known = sorted(names)
    close = get_close_matches(name, known, n=1)
    return f"; did you mean '{close[0]}'?" if close else f"; known: {', '.join(known) or 'none'}"


def refuse_unknown_keys(
    found: Iterable[str], allowed: Collection[str], where: str, *, error: type[BayesPtsdError]
) -> None:
    """Raise `error` for the first unknown key, naming `where` and the nearest allowed name."""
    for key in found:
        if key not in allowed:
            raise error(f"{where}: unknown key '{key}'{nearest(key, allowed)}")
