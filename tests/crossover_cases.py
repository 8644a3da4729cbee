"""Crossovers that several test files share: simulated scores, vague priors, an exact fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from bayes_ptsd.evidence.pairs import CrossoverPairs
from bayes_ptsd.models_files import load_model
from bayes_ptsd.priors import Prior, mixture, normal
from bayes_ptsd.structures.crossover.exact import exact_crossover
from bayes_ptsd.structures.crossover.example import example_patients
from bayes_ptsd.structures.crossover.likelihood import crossover_groups
from bayes_ptsd.structures.crossover.model import crossover_model

__all__ = [
    "COVARIANCE_PRIORS",
    "FLAT",
    "estimand",
    "example_fit",
    "half_normal",
    "simulated",
    "vague",
]

FLAT = Prior("flat")


def half_normal(sigma: float) -> Prior:
    """Return a half-normal prior."""
    return Prior("half_normal", {"sigma": sigma})


def vague(sigma: float = 15.0, **more: Any) -> dict[str, Any]:
    """Return flat priors on the means and half-normal ones on the standard deviations."""
    sds = {"sd_subject": half_normal(sigma), "sd_within": half_normal(sigma)}
    return {"level": FLAT, "period_effect": FLAT, "treatment": FLAT, **sds, **more}


COVARIANCE_PRIORS: Mapping[str, dict[str, Any]] = {
    "random_intercept": {
        "level": normal(40, 15),
        "period_effect": normal(0, 10),
        "treatment": mixture([0.6, 0.4], [normal(0, 10), normal(5, 2)]),
        "carryover": normal(0, 6),
        "sd_subject": half_normal(10.0),
        "sd_within": half_normal(10.0),
    },
    "bivariate": {
        "level": normal(40, 15),
        "period_effect": normal(0, 10),
        "treatment": normal(0, 10),
        "carryover": normal(0, 6),
        "sd_period": Prior("log_normal", {"mu": np.log(10), "sigma": 0.5}),
        "correlation": Prior("beta", {"shape1": 2, "shape2": 2}),
    },
}


def simulated(seed: int, *, count: int = 20, missing: int = 4) -> CrossoverPairs:
    """Return a crossover, lower better, with one-period patients of both kinds."""
    rng = np.random.default_rng(seed)
    active_first = np.arange(count) % 2 == 0
    score = 40 + rng.normal(0, 8, (count, 1)) + rng.normal(0, 6, (count, 2))
    score[:, 0] -= 5 * active_first
    score[:, 1] += 3 - 5 * ~active_first
    score[:missing, 1] = np.nan
    if missing:
        score[-1, 0] = np.nan
    return CrossoverPairs(score, active_first, np.arange(count))


def estimand(fit: xr.DataTree, name: str) -> xr.Dataset:
    """Return the exact group of one estimand."""
    return fit["exact"].to_dataset().sel(estimand=name)


def example_fit(name: str = "crossover") -> xr.DataTree:
    """Return an exact fit of the simulated example, without checks and attributes."""
    model = crossover_model(example_patients(), load_model(name))
    groups = exact_crossover(model, seed=1)
    return xr.DataTree.from_dict(groups | crossover_groups(groups["posterior"], model, seed=1))
