"""Two risks with beta priors: the exact posterior of both and of every contrast."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from bayes_ptsd.exact._risks import RISKS, BetaPair, grid_of_estimand, log_grid
from bayes_ptsd.priors import Prior
from bayes_ptsd.provenance import EXACT_DRAWS

__all__ = ["RISKS", "beta_posterior", "exact_risks"]


def beta_posterior(prior: Prior, events: int, size: int) -> tuple[float, float]:
    """Return both shapes of a risk after so many events among so many, under a beta prior."""
    return prior.params["shape1"] + events, prior.params["shape2"] + size - events


def exact_risks(
    shapes: Mapping[str, tuple[float, float]], *, benefit_sign: int, seed: int
) -> dict[str, xr.Dataset]:
    """Compute the posterior of two risks and their contrasts in closed form or by quadrature.

    `shapes` are those of the beta posteriors of ``risk_active`` and ``risk_control``. Contrasts are
    positive where the active treatment is better; their error is below 1e-9.
    """
    rng = np.random.default_rng(seed)
    drawn = {
        name: (("chain", "draw"), rng.beta(*pair, size=(1, EXACT_DRAWS)))
        for name, pair in shapes.items()
    }
    coords = {"chain": [0], "draw": np.arange(EXACT_DRAWS)}
    grids = _grids(BetaPair(*shapes["risk_active"], *shapes["risk_control"]), benefit_sign)
    exact = [grid.expand_dims(estimand=[name]) for name, grid in grids.items()]
    return {
        "posterior": xr.Dataset(drawn, coords=coords),
        "exact": xr.concat(exact, dim="estimand"),
    }


def _grids(pair: BetaPair, benefit_sign: int) -> dict[str, xr.Dataset]:
    """Return the distribution of every contrast, benefit-positive, and of both risks."""
    # a contrast of an unwanted event is benefit the other way round
    benefit = pair if benefit_sign > 0 else BetaPair(pair.a2, pair.b2, pair.a1, pair.b1)
    return {
        "treatment_difference": grid_of_estimand(benefit, "risk_difference"),
        "log_odds_ratio": log_grid(benefit, "odds_ratio"),
        "log_risk_ratio": log_grid(benefit, "risk_ratio"),
        "risk_active": grid_of_estimand(pair, "risk_active"),
        "risk_control": grid_of_estimand(pair, "risk_control"),
    }
