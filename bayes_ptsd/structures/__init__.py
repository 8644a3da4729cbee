"""The structures of models, one room each.

A new structure is a room and its line here; a variant of one is a model file. Rooms are imported
when they are asked for: `bayes-ptsd credibility` has no use for the covariance of visits.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from bayes_ptsd.specification import Structure

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["STRUCTURES", "structure_named", "structure_of_fit"]

STRUCTURES: Mapping[str, str] = {
    "summary": "summary",
    "crossover": "crossover",
    "crossover_log": "crossover_log",
    "first_period": "first_period",
    "longitudinal": "longitudinal",
    "ordinal": "ordinal",
    "binary": "binary",
    "depression": "depression",
    "endpoints": "joint",
    "subscales": "joint",
    "parts": "parts",
}
"""Structures by name, with the module of the room; the room has it under its name in capitals."""


def structure_named(name: str) -> Structure:
    """Return a structure of models from its room."""
    room = import_module(f"bayes_ptsd.structures.{STRUCTURES[name]}")
    found: Structure = getattr(room, name.upper())
    return found


def structure_of_fit(fit: xr.DataTree) -> Structure:
    """Return the structure that a stored fit is of."""
    return structure_named(json.loads(fit.attrs["spec"])["structure"])
