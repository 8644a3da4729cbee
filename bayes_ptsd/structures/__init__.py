"""The structures of models: options, priors and equation of each.

A structure decides the builder. A new structure is an entry here and a builder function; a variant
of one is a model file.
"""

from __future__ import annotations

from collections.abc import Mapping

from bayes_ptsd.structures.binary import BINARY
from bayes_ptsd.structures.crossover import CROSSOVER
from bayes_ptsd.structures.depression import DEPRESSION
from bayes_ptsd.structures.first_period import FIRST_PERIOD
from bayes_ptsd.structures.joint import ENDPOINTS, SUBSCALES
from bayes_ptsd.structures.longitudinal import LONGITUDINAL
from bayes_ptsd.structures.ordinal import ORDINAL
from bayes_ptsd.structures.parts import PARTS
from bayes_ptsd.structures.structure import Structure
from bayes_ptsd.structures.summary import SUMMARY

__all__ = ["STRUCTURES", "Structure"]

STRUCTURES: Mapping[str, Structure] = {
    "summary": SUMMARY,
    "crossover": CROSSOVER,
    "first_period": FIRST_PERIOD,
    "longitudinal": LONGITUDINAL,
    "ordinal": ORDINAL,
    "binary": BINARY,
    "depression": DEPRESSION,
    "endpoints": ENDPOINTS,
    "subscales": SUBSCALES,
    "parts": PARTS,
}
