"""Whether ranks are uniform: their distribution function and a band that holds it all at once.

With `draws` posterior draws a rank is 0 to `draws`; below ``k / (draws + 1)`` there should be that
share of all ranks. The counts below the successive points are a Markov chain, so the probability
that all of them stay inside a band is computed exactly, by recursion over the points.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy import special

from bayes_ptsd.errors import SpecError
from bayes_ptsd.priors import FloatArray

__all__ = ["band_probability", "rank_band", "rank_ecdf", "uniformity_table"]


def rank_ecdf(ranks: xr.DataArray) -> xr.DataArray:
    """Return the share of ranks below each point, on dim ``point`` instead of ``simulation``.

    Uniform ranks have shares near the points.
    """
    draws = int(ranks.attrs["draws"])
    if ranks.size == 0 or int(ranks.min()) < 0 or int(ranks.max()) > draws:
        raise SpecError(f"ranks among {draws} draws are integers from 0 to {draws}")
    below = np.arange(1, draws + 1)
    shares = (ranks < xr.DataArray(below, dims="point")).mean("simulation")
    return shares.assign_coords(point=below / (draws + 1))


def rank_band(simulations: int, draws: int, *, probability: float = 0.95) -> xr.Dataset:
    """Return the band that holds the whole distribution function of uniform ranks.

    ``low`` and ``high``, shares still inside, on dim ``point``: equal tails at every point, as
    narrow as the joint probability, at least `probability`, allows [1]_.

    References
    ----------
    .. [1] Säilynoja T, Bürkner PC, Vehtari A. Graphical test for discrete uniformity and its
       applications in goodness-of-fit evaluation and multiple sample comparison. Statistics and
       Computing 2022;32:32. doi:10.1007/s11222-022-10090-6.
    """
    if not 0 < probability < 1:
        raise SpecError(f"the probability of a band is {probability}; give one between 0 and 1")
    below, above = 0.0, 1.0
    for _ in range(30):
        middle = (below + above) / 2
        if band_probability(simulations, draws, tail=middle) >= probability:
            below = middle
        else:
            above = middle
    low, high = _limits(simulations, draws, below)
    point = np.arange(1, draws + 1) / (draws + 1)
    return xr.Dataset(
        {"low": ("point", low / simulations), "high": ("point", high / simulations)},
        coords={"point": point},
        attrs={"probability": probability, "tail": below},
    )


def uniformity_table(ranks: xr.DataArray, *, probability: float = 0.95) -> xr.Dataset:
    """Judge the ranks of several quantities, so that all are inside with one probability.

    Each has a band of ``1 - (1 - probability) / quantities``. ``deviation`` is the largest
    difference between the shares and the points; ``p_value`` the probability that uniform ranks
    come as close to the ends of their distribution at some point.
    """
    shares = rank_ecdf(ranks).transpose("point", "quantity")
    simulations, draws = ranks.sizes["simulation"], int(ranks.attrs["draws"])
    p_value = [
        1 - band_probability(simulations, draws, tail=tail)
        for tail in _least_tail(shares.values * simulations, shares["point"].values, simulations)
    ]
    share = (1 - probability) / shares.sizes["quantity"]
    deviation = (shares - shares["point"]).values
    largest = np.take_along_axis(deviation, np.abs(deviation).argmax(axis=0)[None], axis=0)[0]
    return xr.Dataset(
        {
            "deviation": ("quantity", largest),
            "p_value": ("quantity", p_value),
            "inside": ("quantity", np.array(p_value) > share),
        },
        coords={"quantity": ranks["quantity"]},
        attrs={"probability": probability, "band_probability": 1 - share},
    )


def band_probability(simulations: int, draws: int, *, tail: float) -> float:
    """Return the probability that uniform ranks leave no two-sided tail of `tail` at any point.

    Counts with a tail probability of `tail` or less are outside.
    """
    low, high = _limits(simulations, draws, tail)
    if (low > high).any():
        return 0.0
    logs = special.gammaln(np.arange(simulations + 2) + 1.0)
    counts, chances = np.zeros(1, dtype=int), np.ones(1)
    for step in range(draws):
        reached = np.arange(int(low[step]), int(high[step]) + 1)
        share = 1 / (draws + 1 - step)
        left, new = simulations - counts[:, None], reached - counts[:, None]
        possible = (new >= 0) & (new <= left)
        new = np.clip(new, 0, left)
        log_chance = logs[left] - logs[new] - logs[left - new]
        log_chance = log_chance + new * np.log(share) + (left - new) * np.log1p(-share)
        chances = chances @ np.where(possible, np.exp(log_chance), 0.0)
        counts = reached
    return float(min(chances.sum(), 1.0))


def _limits(simulations: int, draws: int, tail: float) -> tuple[FloatArray, FloatArray]:
    """Return the least and the largest count at each point with a two-sided tail above `tail`."""
    count = np.arange(simulations + 1.0)
    point = np.arange(1, draws + 1)[:, None] / (draws + 1)
    lower, upper = _tails(count, point, simulations)
    low = np.argmax(lower > tail / 2, axis=1)
    high = simulations - np.argmax((upper > tail / 2)[:, ::-1], axis=1)
    return low.astype(float), high.astype(float)


def _tails(count: FloatArray, point: FloatArray, simulations: int) -> tuple[FloatArray, FloatArray]:
    """Return the probabilities of a count at most, and at least, as large."""
    lower = special.bdtr(count, simulations, point)
    upper = np.where(count > 0, special.bdtrc(np.maximum(count - 1, 0), simulations, point), 1.0)
    return lower, upper


def _least_tail(counts: FloatArray, point: FloatArray, simulations: int) -> FloatArray:
    """Return the smallest two-sided tail over the points, by quantity."""
    lower, upper = _tails(np.rint(counts), point[:, None], simulations)
    return np.asarray(np.minimum(1.0, 2 * np.minimum(lower, upper).min(axis=0)))
