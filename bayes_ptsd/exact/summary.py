"""The posterior of one printed contrast, deterministically.

Two likelihood conventions. **N**: the printed estimate is normal around the treatment difference
with ``s = (U - L) / (2 * 1.959964)``. **T**: the center of the printed interval is Student-t around
it with ``se = (U - L) / (2 * t_df)``, so that a flat prior returns the printed interval exactly.
Closed forms where they exist (normal with flat, normal or normal-mixture priors; Student-t with a
flat prior), else one-dimensional quadrature with a relative error below 1e-8.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bayes_ptsd.exact.grid import (
    GridPosterior,
    density_on_grid,
    distribution_on_grid,
    spread_grid,
)
from bayes_ptsd.location_scale import t_quantile
from bayes_ptsd.priors import FloatArray, Prior, mixture, normal, student_t

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "conjugate_posterior",
    "exact_posterior",
    "grid_posterior",
    "likelihood_of",
    "likelihood_of_interval",
    "log_marginal_likelihood",
    "posterior_points",
    "prior_predictive_tail",
    "sampling_error",
]


def likelihood_of(row: xr.Dataset, convention: str) -> Prior:
    """Return the likelihood of one printed row as a distribution over the treatment difference.

    N: normal around the printed estimate; T: Student-t around the center of the interval, normal
    with infinite or no degrees of freedom. Both are symmetric in estimate and difference, so the
    posterior under a flat prior is this distribution.
    """
    low, high, df = (float(row[name]) for name in ("interval_low", "interval_high", "df"))
    return likelihood_of_interval(float(row["estimate"]), low, high, df, convention)


def likelihood_of_interval(
    estimate: float, low: float, high: float, df: float, convention: str
) -> Prior:
    """Return the likelihood of one printed 95% interval: see `likelihood_of`."""
    if convention == "N":
        return normal(estimate, (high - low) / (2 * float(t_quantile(0.975, math.inf))))
    degrees = df if math.isfinite(df) else math.inf
    se = (high - low) / (2 * float(t_quantile(0.975, degrees)))
    return student_t(degrees, (low + high) / 2, se)


def conjugate_posterior(likelihood: Prior, prior: Prior) -> Prior | None:
    """Return the posterior in closed form, or None where there is none.

    There is one under a flat prior, and of a normal likelihood under normals and their mixtures.
    """
    if prior.dist == "flat":
        return likelihood
    if likelihood.dist != "normal":
        return None
    if prior.dist == "normal":
        return _normal_update(likelihood, prior)
    if prior.dist != "mixture" or {part.dist for part in prior.components} != {"normal"}:
        return None
    log_weights = np.log(prior.weights) + [
        _normal_marginal(likelihood, component) for component in prior.components
    ]
    weights = np.exp(log_weights - np.logaddexp.reduce(log_weights))
    parts = [_normal_update(likelihood, component) for component in prior.components]
    kept = [(w, part) for w, part in zip(weights, parts, strict=True) if w > 0]
    return mixture([w for w, _ in kept], [part for _, part in kept])


def exact_posterior(likelihood: Prior, prior: Prior) -> xr.Dataset:
    """Return the posterior of the treatment difference on a grid, in score units.

    ``value, pdf, cdf`` on dim ``grid``; scalars ``mean, sd, quadrature_error`` (relative, below
    1e-8 or refused) and ``log_marginal_likelihood``, NaN under a flat prior, which has none.
    """
    found = grid_posterior(likelihood, prior)
    return found.dataset().assign(log_marginal_likelihood=found.log_mass)


def grid_posterior(likelihood: Prior, prior: Prior) -> GridPosterior:
    """Return the posterior of the treatment difference on a grid, in score units, as arrays."""
    points = posterior_points(likelihood, prior)
    closed = conjugate_posterior(likelihood, prior)
    if closed is None:
        return density_on_grid(lambda x: likelihood.logpdf(x) + prior.logpdf(x), points)
    found = distribution_on_grid(closed, points)
    return replace(found, log_mass=log_marginal_likelihood(likelihood, prior))


def log_marginal_likelihood(likelihood: Prior, prior: Prior) -> float:
    """Return the log density of the printed estimate under a prior; NaN for the flat prior."""
    if not prior.proper:
        return float("nan")
    if likelihood.dist == "normal" and prior.dist == "normal":
        return _normal_marginal(likelihood, prior)
    if likelihood.dist == "normal" and {part.dist for part in prior.components} == {"normal"}:
        parts = [_normal_marginal(likelihood, component) for component in prior.components]
        return float(np.logaddexp.reduce(np.log(prior.weights) + parts))
    points = posterior_points(likelihood, prior)
    return density_on_grid(lambda x: likelihood.logpdf(x) + prior.logpdf(x), points).log_mass


def prior_predictive_tail(likelihood: Prior, prior: Prior) -> float:
    """Return the two-sided prior predictive tail probability of the printed estimate.

    Probability, before seeing the data, of an estimate at least this far out in its direction,
    doubled (Box's predictive check [1]_); NaN under a flat prior.

    References
    ----------
    .. [1] Box GEP. Sampling and Bayes' inference in scientific modelling and robustness. JRSS A
       1980;143:383-430.
    """
    if not prior.proper:
        return float("nan")
    middle = (np.arange(2000) + 0.5) / 2000
    above = sum(
        weight
        * sampling_error(likelihood).sf(likelihood.params["mu"] - part.quantile(middle)).mean()
        for weight, part in zip(prior.weights or (1.0,), prior.components or (prior,), strict=True)
    )
    return float(2 * min(above, 1 - above))


def sampling_error(likelihood: Prior) -> Prior:
    """Return the distribution of the estimate around the treatment difference: centered at zero."""
    return Prior(likelihood.dist, {**likelihood.params, "mu": 0.0})


def _normal_update(likelihood: Prior, prior: Prior) -> Prior:
    """Combine two normals by precision."""
    precision = np.array([likelihood.params["sigma"], prior.params["sigma"]]) ** -2.0
    centers = np.array([likelihood.params["mu"], prior.params["mu"]])
    return normal(float(precision @ centers / precision.sum()), float(precision.sum() ** -0.5))


def _normal_marginal(likelihood: Prior, prior: Prior) -> float:
    """Return the log density of the estimate when both are normal."""
    spread = np.hypot(likelihood.params["sigma"], prior.params["sigma"])
    return float(normal(prior.params["mu"], float(spread)).logpdf(likelihood.params["mu"]))


def posterior_points(likelihood: Prior, prior: Prior) -> FloatArray:
    """Return increasing grid points (score units) that resolve every feature of the posterior."""
    center, scale = likelihood.params["mu"], likelihood.params["sigma"]
    anchors = [(center, scale)]
    parts = prior.components or ((prior,) if prior.proper else ())
    for part in parts:
        anchors.append((part.mean if np.isfinite(part.mean) else center, _scale(part)))
        rough = _normal_update(normal(center, scale), normal(anchors[-1][0], anchors[-1][1]))
        anchors.append((rough.params["mu"], rough.params["sigma"]))
    if likelihood.dist == "normal" and {part.dist for part in parts} == {"normal"}:
        anchors = anchors[2::2]
    degrees = [p.params["nu"] for p in (likelihood, *parts) if "nu" in p.params]
    heavy = (
        bool(degrees) and all("nu" in p.params for p in (likelihood, *parts)) and min(degrees) < 20
    )
    points = spread_grid(anchors, heavy=heavy)
    # a density that starts with a jump is integrated from the jump
    edges = [edge for part in parts for edge in part.support if np.isfinite(edge)]
    return np.unique(np.concatenate([points, edges]))


def _scale(part: Prior) -> float:
    """Return a scale of a component: its sigma, else a quarter of its central 95%."""
    if "sigma" in part.params and part.dist != "log_normal":
        return part.params["sigma"]
    low, high = part.interval()
    return (high - low) / 4
