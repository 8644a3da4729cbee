"""Several binary items of the same people under one hierarchical prior of their log odds ratios.

The counts of the items are tempered: people who report one item tend to report others, so seven
items are not seven trials. Deterministic, on grids.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.polynomial import legendre
from scipy import special, stats

from bayes_ptsd.errors import EvidenceError, SpecError
from bayes_ptsd.priors import FloatArray

__all__ = ["items_summary", "tempering"]

# Of the grids of log odds ratios: half of it moves no P(more) of the printed items by 4e-4, and
# three digits are shown.
STEP = 0.05
# Odds ratios of an item from 1/3000 to 3000; a wider grid moves no result by 1e-6.
ITEM = np.arange(-8, 8 + STEP / 2, STEP)
# Of the mean of the items: four prior standard deviations to each side.
CENTER = np.arange(-4, 4 + STEP / 2, STEP)
# Prior of the mean: odds ratios from 1/7 to 7 have 95%.
CENTER_SD = 1.0
# Half-normal scale of the prior of the sd of the items: it lies below 1, a factor of 2.7 in the
# odds ratio, with 95%.
SPREAD_SD = 0.5
# Gauss-Legendre nodes of the spread: twice as many move results by 1e-5 or less.
SPREADS = 32
# Spread at which its integral ends: five prior scales, beyond which the prior has 6e-7.
LARGEST = 2.5
# Gauss-Legendre nodes of the angle of each control risk: twice as many change nothing above 1e-10.
RISKS = 64
# Both ends of the central 95% and the median.
TAILS = (0.025, 0.5, 0.975)


def tempering(correlation: float, items: int) -> float:
    """Return the weight of every count where the items of a person correlate.

    1 / (1 + (items - 1) correlation), the design effect of a cluster of items.
    """
    return 1 / (1 + (items - 1) * correlation)


def items_summary(
    events: Sequence[tuple[int, int]],
    n: tuple[int, int],
    *,
    correlations: Sequence[float] = (0.0, 0.1, 0.2, 0.3, 0.4),
) -> xr.Dataset:
    """Summarize log odds ratios of several items that borrow strength from each other.

    Dims ``correlation, item, bound``; every count weighs as `tempering` says at each correlation.
    Log odds ratios are active over control, positive with more events under the active treatment.
    ``center`` and ``spread`` are the mean and standard deviation of the items.

    Notes
    -----
    Log odds ratio_j ~ Normal(center, spread^2), center ~ Normal(0, 1), spread ~ half-normal(0.5);
    the control risk of each item has a Jeffreys prior and is integrated out.
    """
    if len(events) < 2 or any(
        not 0 <= y <= m for pair in events for y, m in zip(pair, n, strict=True)
    ):
        raise EvidenceError(f"{list(events)} of {n}: give two items or more, 0 <= events <= n")
    if any(not 0 <= r <= 1 for r in correlations):
        raise SpecError(f"correlations {list(correlations)}: give numbers from 0 to 1")
    parts = [_posterior(_likelihood(events, n, tempering(r, len(events)))) for r in correlations]
    weights = [tempering(r, len(events)) for r in correlations]
    return (
        xr.concat(parts, dim="correlation")
        .assign_coords(correlation=list(correlations), weight=("correlation", weights))
        .assign_attrs(spread_prior_mean=SPREAD_SD * np.sqrt(2 / np.pi))
    )


def _likelihood(events: Sequence[tuple[int, int]], n: tuple[int, int], weight: float) -> FloatArray:
    """Return the likelihood of log odds ratios, control risks integrated, dims (item, value)."""
    x, share = legendre.leggauss(RISKS)
    # Jeffreys: the angle of the risk is uniform
    risk = np.sin((x + 1) * np.pi / 4) ** 2
    control = special.logit(risk)
    active = control[:, None] + ITEM
    found = []
    for more, fewer in events:
        log = more * special.log_expit(active) + (n[0] - more) * special.log_expit(-active)
        log += (stats.binom.logpmf(fewer, n[1], risk))[:, None]
        found.append(special.logsumexp(weight * log, b=share[:, None], axis=0))
    logs = np.array(found)
    likelihood: FloatArray = np.exp(logs - logs.max(axis=1, keepdims=True))
    return likelihood


def _posterior(likelihood: FloatArray) -> xr.Dataset:
    """Return the summary of one hierarchical posterior on the grids."""
    x, share = legendre.leggauss(SPREADS)
    spread = (x + 1) / 2 * LARGEST
    prior = np.outer(share * stats.halfnorm.pdf(spread, scale=SPREAD_SD),
                     stats.norm.pdf(CENTER, scale=CENTER_SD))  # fmt: skip
    kernel = np.exp(-0.5 * ((ITEM - CENTER[:, None]) / spread[:, None, None]) ** 2)
    # normalized on the grid, so that a spread below its step is a point there
    kernel /= kernel.sum(axis=2, keepdims=True)
    marginal = kernel @ likelihood.T
    joint = prior * marginal.prod(axis=2)
    joint /= joint.sum()
    density = np.array([
        np.tensordot(joint / marginal[:, :, j], kernel, axes=2) * row
        for j, row in enumerate(likelihood)
    ])  # fmt: skip
    items = [_described(ITEM, one) for one in density]
    center, sigma = joint.sum(axis=0), joint.sum(axis=1)
    middle = _described(CENTER, center)
    mean = float(sigma @ spread)
    return xr.Dataset(
        {
            **{key: ("item", [one[key] for one in items])
               for key in ("mean", "sd", "median", "prob_more_active")},
            "eti95": (("item", "bound"), [one["eti95"] for one in items]),
            "center_mean": middle["mean"],
            "center_sd": middle["sd"],
            "center_eti95": ("bound", middle["eti95"]),
            "prob_center_more": middle["prob_more_active"],
            "spread_mean": mean,
            "spread_sd": float(np.sqrt(sigma @ (spread - mean) ** 2)),
        },
        coords={"bound": ["low", "high"]},
    )  # fmt: skip


def _described(grid: FloatArray, mass: FloatArray) -> dict[str, float | list[float]]:
    """Return moments, quantiles and P(> 0) of masses on an even grid, each spread over its cell."""
    mass = mass / mass.sum()
    mean = float(mass @ grid)
    edges = np.concatenate([grid - STEP / 2, [grid[-1] + STEP / 2]])
    below = np.concatenate([[0.0], np.cumsum(mass)])
    low, median, high = np.interp(TAILS, below, edges)
    return {
        "mean": mean,
        "sd": float(np.sqrt(mass @ (grid - mean) ** 2)),
        "median": float(median),
        "eti95": [float(low), float(high)],
        "prob_more_active": float(1 - np.interp(0.0, edges, below)),
    }
