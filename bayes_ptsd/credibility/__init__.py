"""How credible one printed result is: Bayes factors, reverse-Bayes, shrinkage, replication."""

from __future__ import annotations

from bayes_ptsd.credibility.assess import assess_interval
from bayes_ptsd.credibility.catalog import QUANTITIES, SOURCES
from bayes_ptsd.credibility.document import credibility_document
from bayes_ptsd.credibility.observed_replication import replication_document
from bayes_ptsd.credibility.table import credibility_table

__all__ = [
    "QUANTITIES",
    "SOURCES",
    "assess_interval",
    "credibility_document",
    "credibility_table",
    "replication_document",
]
