"""The exact posterior of two risks with beta priors, from patients."""

from __future__ import annotations

import numpy as np
import xarray as xr

from bayes_ptsd.categorical.model import CategoricalModel
from bayes_ptsd.errors import SpecError
from bayes_ptsd.exact._risks import BetaPair, grid_of_estimand, log_grid

__all__ = ["exact_risks", "risk_shapes"]

# As many as four chains of 1,000, the default of a sampled fit.
DRAWS = 4000


def risk_shapes(model: CategoricalModel) -> dict[str, tuple[float, float]]:
    """Return both shapes of the beta posterior of each arm's risk; other priors are refused."""
    prior, scores = model.priors["risk"], model.scores
    if prior.dist != "beta":
        raise SpecError(
            f"model '{model.spec.name}': the risks need a beta prior, such as --set "
            f"'risk=beta(0.5, 0.5)', not {prior.dist}"
        )
    found = {}
    for arm, name in ((1, "risk_active"), (0, "risk_control")):
        here = scores.there & (scores.active == arm)
        events, size = int(scores.place[here].sum()), int(here.sum())
        shapes = prior.params["shape1"] + events, prior.params["shape2"] + size - events
        found[name] = shapes
    return found


def exact_risks(model: CategoricalModel, *, seed: int) -> dict[str, xr.Dataset]:
    """Compute the posterior of two risks and their contrasts in closed form or by quadrature.

    Contrasts are positive where the active treatment is better; their error is below 1e-9.
    """
    shapes = risk_shapes(model)
    rng = np.random.default_rng(seed)
    drawn = {
        name: (("chain", "draw"), rng.beta(*pair, size=(1, DRAWS))) for name, pair in shapes.items()
    }
    pair = BetaPair(*shapes["risk_active"], *shapes["risk_control"])
    # a contrast of an unwanted event is benefit the other way round
    benefit = pair if model.sign > 0 else BetaPair(pair.a2, pair.b2, pair.a1, pair.b1)
    grids = {
        "treatment_difference": grid_of_estimand(benefit, "risk_difference"),
        "log_odds_ratio": log_grid(benefit, "odds_ratio"),
        "log_risk_ratio": log_grid(benefit, "risk_ratio"),
        "risk_active": grid_of_estimand(pair, "risk_active"),
        "risk_control": grid_of_estimand(pair, "risk_control"),
    }
    exact = [grid.expand_dims(estimand=[name]) for name, grid in grids.items()]
    coords = {"chain": [0], "draw": np.arange(DRAWS)}
    return {
        "posterior": xr.Dataset(drawn, coords=coords),
        "exact": xr.concat(exact, dim="estimand"),
    }
