"""The posterior of a printed crossover contrast averaged over readings of what was printed.

Given a reading the posterior is exact, with the reading's own estimate and its own prior in score
units; the average is the mixture of these posteriors. The weights are of the readings given what is
printed about precision. They are not updated by how well a prior on the difference foretells the
estimate of each reading.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from scipy import special

from bayes_ptsd.contrasts import model_of
from bayes_ptsd.estimands import ROPE_SD
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.published import select_contrast
from bayes_ptsd.evidence.readings import CROSSOVER_READINGS
from bayes_ptsd.exact.grid import grid_cdf, grid_quantile
from bayes_ptsd.exact.printed import row_prior
from bayes_ptsd.exact.summary import conjugate_posterior, likelihood_of, posterior_points
from bayes_ptsd.priors import FloatArray, Prior

__all__ = ["averaged_posterior", "averaged_summary"]

# panels are 0.016 scales wide: four Gauss nodes in each integrate a posterior to rounding
NODES = 4
# Of the shortest interval, as of every interval that is shown.
LEVEL = 0.95
# places at which the shortest interval may begin, searched twice: to 1e-6 in probability
PLACES = 201


def averaged_posterior(
    evidence: Evidence,
    contrast: str,
    *,
    weights: Mapping[str, float],
    prior: str | Prior = "flat",
    convention: str = "T",
) -> xr.Dataset:
    """Return the posterior of a printed crossover contrast, averaged over its readings.

    Weights by reading add up to 1 (`bayes_ptsd.evidence.readings.of_treatment`); readings of one
    scale have one posterior. A named prior is resolved for each reading. Like `exact_posterior`:
    score units, positive when the active treatment is better.
    """
    parts = []
    for scale, weight in _scales(weights).items():
        reading = next(n for n in weights if CROSSOVER_READINGS[n].scale == scale)
        row = select_contrast(evidence, contrast, crossover_reading=reading)
        likelihood = likelihood_of(row.data["effects"].to_dataset(), convention)
        spec = model_of(row, convention=convention, prior=prior)
        parts.append((weight, likelihood, row_prior(spec, row)))
    return _mixture(parts)


def averaged_summary(
    posterior: xr.Dataset, *, mcid: float | None = None, sd: float | None = None
) -> dict[str, Any]:
    """Summarize an averaged posterior as results are summarized.

    Without a margin (`mcid`, or `sd` for the narrow ROPE, in score units) what needs one is NaN.
    """
    low, median, high = grid_quantile(posterior, np.array([0.025, 0.5, 0.975])).tolist()

    def below(value: float | None) -> float:
        return float("nan") if value is None else float(grid_cdf(posterior, np.array(value)))

    def within(half: float | None) -> float:
        return float("nan") if half is None else below(half) - below(-half)

    return {
        "mean": float(posterior["mean"]),
        "median": median,
        "sd": float(posterior["sd"]),
        "eti95": [low, high],
        "hdi95": _shortest(posterior),
        "prob_benefit": 1 - below(0.0),
        "prob_gt_mcid": 1 - below(mcid),
        "rope": {"narrow": within(sd and ROPE_SD * sd), "clinical": within(mcid)},
    }


def _scales(weights: Mapping[str, float]) -> dict[float, float]:
    """Return the weight of each scale: readings that share one share their posterior."""
    found: dict[float, float] = {}
    for name, weight in weights.items():
        if weight > 0:
            scale = CROSSOVER_READINGS[name].scale
            found[scale] = found.get(scale, 0.0) + weight
    return found


def _mixture(parts: list[tuple[float, Prior, Prior]]) -> xr.Dataset:
    """Return the mixture of posteriors on the grid points of all of them."""
    points = np.unique(np.concatenate([posterior_points(one, prior) for _, one, prior in parts]))
    weights = np.array([weight for weight, *_ in parts])
    pdfs, cdfs, means, sds = zip(
        *(_on_points(one, prior, points) for _, one, prior in parts), strict=True
    )
    mean = float(weights @ np.array(means))
    spread = float(np.sqrt(weights @ (np.square(sds) + (np.array(means) - mean) ** 2)))
    columns = {
        "value": ("grid", points),
        "pdf": ("grid", weights @ np.array(pdfs)),
        "cdf": ("grid", weights @ np.array(cdfs)),
    }
    return xr.Dataset({**columns, "mean": mean, "sd": spread})


def _on_points(
    likelihood: Prior, prior: Prior, points: FloatArray
) -> tuple[FloatArray, FloatArray, float, float]:
    """Return density, distribution function, mean and sd of one posterior on points."""
    closed = conjugate_posterior(likelihood, prior)
    if closed is not None:
        return closed.pdf(points), closed.cdf(points), closed.mean, closed.sd
    at = likelihood.logpdf(points) + prior.logpdf(points)
    node, rule = special.roots_legendre(NODES)
    half = np.diff(points)[:, None] / 2
    x = points[:-1, None] + half * (1 + node)
    inside = half * rule * np.exp(likelihood.logpdf(x) + prior.logpdf(x) - at.max())
    mass = inside.sum()
    mean = float((inside * x).sum() / mass)
    sd = float(np.sqrt((inside * (x - mean) ** 2).sum() / mass))
    cdf = np.concatenate([[0.0], np.cumsum(inside.sum(axis=1))]) / mass
    return np.exp(at - at.max()) / mass, np.minimum(cdf, 1.0), mean, sd


def _shortest(posterior: xr.Dataset) -> list[float]:
    """Return the shortest interval of probability 0.95, found in two passes over its place."""
    low, high = 1e-9, 1 - LEVEL - 1e-9
    for _ in range(2):
        begin = np.linspace(low, high, PLACES)
        width = grid_quantile(posterior, begin + LEVEL) - grid_quantile(posterior, begin)
        best = int(np.argmin(width))
        low, high = begin[max(best - 1, 0)], begin[min(best + 1, PLACES - 1)]
    low, high = grid_quantile(posterior, np.array([begin[best], begin[best] + LEVEL])).tolist()
    return [low, high]
