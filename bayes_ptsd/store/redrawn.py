"""Draws that follow from the rest of a result: not stored, and made when it is loaded.

An exact posterior of one number is its grid, from which any seed makes draws. They are for ArviZ
and for figures; whatever is reported of such a result comes from the grid.
"""

from __future__ import annotations

import json

import xarray as xr

from bayes_ptsd.errors import StoreError
from bayes_ptsd.specification import REDRAWN, Groups
from bayes_ptsd.structures import STRUCTURES, structure_named

__all__ = ["with_draws", "without_draws"]


def without_draws(tree: xr.DataTree) -> xr.DataTree:
    """Return a result without the groups that `with_draws` makes again, all to the last bit."""
    made = _made(tree) if REDRAWN not in tree.attrs else {}
    if not made or not all(
        name in tree.children and tree[name].to_dataset().identical(group)
        for name, group in made.items()
    ):
        return tree
    lean = tree.drop_nodes(list(made))
    lean.attrs[REDRAWN] = 1
    return lean


def with_draws(tree: xr.DataTree) -> xr.DataTree:
    """Return a result with the groups that `without_draws` left out; one that lacks none as it is.

    Another version of NumPy may make other draws of the same posterior.
    """
    if REDRAWN not in tree.attrs:
        return tree
    made = _made(tree)
    if not made:
        raise StoreError("this version cannot make the draws that follow from it")
    del tree.attrs[REDRAWN]
    for name, group in made.items():
        tree[name] = xr.DataTree(group)
    return tree


def _made(tree: xr.DataTree) -> Groups:
    """Return the groups that the structure of a result makes of the rest of it."""
    spec = json.loads(tree.attrs["spec"])
    structure = str(spec.get("structure")) if isinstance(spec, dict) else ""
    if structure not in STRUCTURES:
        return {}
    redrawn = structure_named(structure).redrawn
    return {} if redrawn is None else redrawn(tree)
