"""One assumption that was changed, and what the answer became."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Change"]


class Change(NamedTuple):
    """One assumption and the summary it leads to.

    Attributes
    ----------
    assumption, alternative : str
        What is assumed (``base`` for the starting point), and what in place of the base.
    summary : dict of str to float
        ``mean, sd, low, high, prob_benefit, prob_gt_mcid``, score units, benefit-positive.
    evidence_kind : str
        What the posterior is made of; a change is measured from the base of the same kind.

    Examples
    --------
    >>> Change("prior", "skeptical prior", {"prob_benefit": 0.977}).evidence_kind
    'published'
    """

    assumption: str
    alternative: str
    summary: dict[str, float]
    evidence_kind: str = "published"
