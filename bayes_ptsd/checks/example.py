"""A small exact fit of simulated patients with everything that the checks read."""

from __future__ import annotations

import xarray as xr

from bayes_ptsd.crossover.exact import exact_crossover
from bayes_ptsd.crossover.example import example_patients
from bayes_ptsd.crossover.groups import crossover_groups
from bayes_ptsd.crossover.model import crossover_model
from bayes_ptsd.models_files import load_model

__all__ = ["example_fit"]


def example_fit(name: str = "crossover") -> xr.DataTree:
    """Return an exact fit of the simulated example, without checks and attributes."""
    model = crossover_model(example_patients(), load_model(name))
    groups = exact_crossover(model, seed=1)
    return xr.DataTree.from_dict(groups | crossover_groups(groups["posterior"], model, seed=1))
