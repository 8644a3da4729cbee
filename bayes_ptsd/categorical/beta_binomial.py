"""The exact posterior of two risks with beta priors, from patients."""

from __future__ import annotations

import numpy as np
import xarray as xr

from bayes_ptsd.categorical.model import CategoricalModel
from bayes_ptsd.errors import SpecError
from bayes_ptsd.exact._risks import BetaPair, grid_of_estimand, log_grid

__all__ = ["exact_risks", "risk_shapes"]

DRAWS = 4000


def risk_shapes(model: CategoricalModel) -> dict[str, tuple[float, float]]:
    """Return both shapes of the beta posterior of the risk of each arm.

    Raises
    ------
    SpecError
        If the prior of the risks is no beta distribution.

    Examples
    --------
    >>> from bayes_ptsd.categorical.example import example_categories
    >>> from bayes_ptsd.categorical.model import categorical_model
    >>> from bayes_ptsd.spec import load_model
    >>> patients = example_categories("binary", design="parallel")
    >>> model = categorical_model(patients, load_model("binary-beta-binomial"))
    >>> sum(map(sum, risk_shapes(model).values()))
    42.0
    """
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

    Parameters
    ----------
    model : CategoricalModel
        With ``form = "beta_binomial"``.
    seed : int
        Seed of the 4,000 draws.

    Returns
    -------
    dict of str to xr.Dataset
        Groups ``posterior`` (draws of the risks) and ``exact``: distribution of the risks and of
        the contrasts, positive where the active treatment is better; error below 1e-9.

    Raises
    ------
    SpecError
        If the prior of the risks is no beta distribution.
    FitError
        If a quadrature misses its accuracy.

    Examples
    --------
    >>> from bayes_ptsd.categorical.example import example_categories
    >>> from bayes_ptsd.categorical.model import categorical_model
    >>> from bayes_ptsd.spec import load_model
    >>> patients = example_categories("binary", design="parallel")
    >>> model = categorical_model(patients, load_model("binary-beta-binomial"))
    >>> exact_risks(model, seed=1)["exact"]["estimand"].values[0]
    'treatment_difference'
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
