"""Two binomial risks: the posterior of each and of their difference, ratio and odds ratio.

The two risks have independent beta posteriors. Everything is computed in closed form or by
quadrature with a stated error; nothing here is Monte Carlo but the draws that go with a posterior.
"More" always means more events under the active treatment: whether that is benefit or harm depends
on the event.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr
from scipy import special

from bayes_ptsd.errors import EvidenceError, SpecError, nearest
from bayes_ptsd.exact._risks import (
    CONTRASTS,
    RISKS,
    BetaPair,
    grid_of_estimand,
    moments,
    prob_more,
    quantiles,
)
from bayes_ptsd.provenance import DEFAULT_SEED, EXACT_DRAWS

__all__ = ["BETA_PRIORS", "binary_posterior", "binary_summary", "prob_more_active"]

BETA_PRIORS: Mapping[str, float] = {"jeffreys": 0.5, "uniform": 1.0}
"""Both shapes of the symmetric beta prior on a risk."""

# Both ends of the central 95% and the median.
TAILS = np.array([0.025, 0.5, 0.975])


def binary_summary(
    events_active: int,
    n_active: int,
    events_control: int,
    n_control: int,
    *,
    prior: str = "jeffreys",
) -> xr.Dataset:
    """Summarize the posterior of two binomial risks and their contrasts.

    The prior, Beta(0.5, 0.5) or Beta(1, 1) [1]_, is on each risk independently. Contrasts are
    active minus or over control; ``mean`` and ``sd`` are infinite where the integral diverges, as
    for a ratio with few control events; ``prob_more_active`` is P(risk_active > risk_control).

    References
    ----------
    .. [1] Brown LD, Cai TT, DasGupta A. Interval estimation for a binomial proportion. Statistical
       Science 2001;16(2):101-133.
    """
    pair = _posterior_shapes(events_active, n_active, events_control, n_control, prior)
    names = [*RISKS, *CONTRASTS]
    center = np.array([moments(pair, name) for name in names])
    tails = np.array([quantiles(pair, name, TAILS) for name in names])
    return xr.Dataset(
        {
            "mean": ("estimand", center[:, 0]),
            "sd": ("estimand", center[:, 1]),
            "median": ("estimand", tails[:, 1]),
            "eti95": (("estimand", "bound"), tails[:, [0, 2]]),
            "prob_more_active": prob_more(pair),
        },
        coords={"estimand": names, "bound": ["low", "high"]},
        attrs={"prior": prior, "convention": "beta-binomial, independent risks"},
    )


def prob_more_active(
    events_active: int,
    n_active: int,
    events_control: int,
    n_control: int,
    *,
    prior: str = "jeffreys",
) -> float:
    """Return the posterior probability that the active risk is the larger one, within 1e-9."""
    return prob_more(_posterior_shapes(events_active, n_active, events_control, n_control, prior))


def binary_posterior(
    events_active: int,
    n_active: int,
    events_control: int,
    n_control: int,
    *,
    prior: str = "jeffreys",
    seed: int = DEFAULT_SEED,
) -> xr.DataTree:
    """Return the posterior of two binomial risks and their contrasts as a fit.

    Group ``posterior`` holds 4,000 draws of the estimands of `binary_summary`, ``exact`` their
    ``value, pdf, cdf`` on dims ``(estimand, grid)``.
    """
    counts = {"active": (events_active, n_active), "control": (events_control, n_control)}
    pair = _posterior_shapes(events_active, n_active, events_control, n_control, prior)
    names = [*RISKS, *CONTRASTS]
    grids = [grid_of_estimand(pair, name).expand_dims(estimand=[name]) for name in names]
    arms = {"arm": list(counts)}
    tree = xr.DataTree.from_dict(
        {
            "posterior": _draws(pair, seed),
            "exact": xr.concat(grids, dim="estimand"),
            "observed_data": xr.Dataset(
                {"events": ("arm", [events for events, _ in counts.values()])}, arms
            ),
            "constant_data": xr.Dataset({"n": ("arm", [n for _, n in counts.values()])}, arms),
        }
    )
    tree.attrs = {"engine": "exact", "structure": "binary", "prior": prior, "seed": seed}
    return tree


def _posterior_shapes(
    events_active: int, n_active: int, events_control: int, n_control: int, prior: str
) -> BetaPair:
    """Check counts and prior, and add the one to the other."""
    if prior not in BETA_PRIORS:
        raise SpecError(f"unknown prior '{prior}' on a risk{nearest(prior, BETA_PRIORS)}")
    shape = BETA_PRIORS[prior]
    shapes = []
    for arm, events, n in (
        ("active", events_active, n_active),
        ("control", events_control, n_control),
    ):
        whole = float(events).is_integer() and float(n).is_integer()
        if not (whole and n > 0 and 0 <= events <= n):
            raise EvidenceError(
                f"{arm} arm: {events} events of {n}; give whole numbers with 0 <= events <= n"
            )
        shapes += [events + shape, n - events + shape]
    return BetaPair(*shapes)


def _draws(pair: BetaPair, seed: int) -> xr.Dataset:
    """Return draws of the two risks and of their contrasts."""
    generator = np.random.default_rng(seed)
    active = generator.beta(pair.a1, pair.b1, size=(1, EXACT_DRAWS))
    control = generator.beta(pair.a2, pair.b2, size=(1, EXACT_DRAWS))
    values = {
        "risk_active": active,
        "risk_control": control,
        "risk_difference": active - control,
        "risk_ratio": active / control,
        "odds_ratio": np.exp(special.logit(active) - special.logit(control)),
    }
    coords = {"chain": [0], "draw": np.arange(EXACT_DRAWS)}
    return xr.Dataset({name: (("chain", "draw"), value) for name, value in values.items()}, coords)
