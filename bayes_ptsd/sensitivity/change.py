"""One assumption that was changed, and what the answer became."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Change"]


class Change(NamedTuple):
    """One assumption and the summary it leads to, measured from the base of its `evidence_kind`."""

    assumption: str  # what is assumed; ``base`` for the starting point
    alternative: str  # what in place of the base
    summary: dict[str, float]  # score units, benefit-positive
    evidence_kind: str = "published"
