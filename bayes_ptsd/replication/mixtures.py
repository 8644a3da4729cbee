"""Mixtures as priors: fitted to a density by weighted EM, made robust, updated by data."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy import special

from bayes_ptsd.errors import EvidenceError, SpecError
from bayes_ptsd.exact.summary import conjugate_posterior
from bayes_ptsd.priors import FloatArray, Prior, mixture, normal

__all__ = [
    "FittedMixture",
    "fit_mixture",
    "mixture_of_draws",
    "mixture_parts",
    "robustify",
    "update_binomial",
    "update_normal",
]

MOST_COMPONENTS = 4
TOLERANCE = 1e-4
CYCLES = 400
PANELS = 500
LIGHTEST = 1e-4
MOST_DRAWS = 4000


@dataclass(frozen=True)
class FittedMixture:
    """A mixture with its distance from the density it stands for.

    Attributes
    ----------
    prior : Prior
        The mixture, heaviest component first.
    divergence : float
        Kullback-Leibler distance from the density to the mixture, in nats.

    Examples
    --------
    >>> FittedMixture(normal(0, 1), 0.0).divergence
    0.0
    """

    prior: Prior
    divergence: float


def fit_mixture(
    exact: xr.Dataset,
    *,
    family: str = "normal",
    components: int | None = None,
    tolerance: float = TOLERANCE,
) -> FittedMixture:
    """Approximate a density by a mixture of normal or beta densities.

    Parameters
    ----------
    exact : xr.Dataset
        Density on a grid: ``value, pdf, cdf`` on dim ``grid``.
    family : {"normal", "beta"}
        Of the components; beta for probabilities.
    components : int, optional
        How many; by default the fewest, up to four, whose distance is below `tolerance`.
    tolerance : float
        Kullback-Leibler distance that is small enough, in nats.

    Returns
    -------
    FittedMixture
        The best of two deterministic starts of the EM algorithm on the grid's panels.

    Raises
    ------
    SpecError
        If the family is unknown or `components` is not positive.

    Examples
    --------
    >>> from bayes_ptsd.exact.grid import grid_of_distribution, spread_grid
    >>> exact = grid_of_distribution(normal(2, 3), spread_grid([(2.0, 3.0)], heavy=False))
    >>> fitted = fit_mixture(exact)
    >>> round(fitted.prior.sd, 3), fitted.divergence < 1e-4
    (3.0, True)
    """
    if family not in ("normal", "beta"):
        raise SpecError(f"a mixture of '{family}' densities is not fitted here; normal or beta is")
    if components is not None and components < 1:
        raise SpecError(f"a mixture has at least one component, got {components}")
    x, weight = _panels(exact)
    best: FittedMixture | None = None
    sizes = range(1, MOST_COMPONENTS + 1) if components is None else [components]
    for size in sizes:
        for start in ("scale", "location") if size > 1 else ("scale",):
            prior = _em(x, weight, family=family, size=size, start=start)
            distance = _divergence(exact, prior)
            if best is None or distance < best.divergence:
                best = FittedMixture(prior, distance)
        if best is not None and best.divergence < tolerance:
            break
    assert best is not None  # the loop runs at least once
    return best


def mixture_of_draws(draws: FloatArray) -> Prior:
    """Return a mixture of one to three normals for posterior draws.

    Parameters
    ----------
    draws : ndarray
        Draws of one parameter, any shape; more than 4,000 as means of as many neighbors.

    Returns
    -------
    Prior
        By EM; as many components as the Bayesian information criterion wants.

    Raises
    ------
    SpecError
        If there are fewer than 100 draws.

    Examples
    --------
    >>> draws = np.random.default_rng(1).normal(5, 2, size=2000)
    >>> mixture_of_draws(draws).dist
    'normal'
    """
    x = np.sort(np.asarray(draws, dtype=float).ravel())
    if x.size < 100 or not np.isfinite(x).all():
        raise SpecError(f"a mixture needs at least 100 finite draws, got {x.size}")
    blocks = np.array_split(x, min(x.size, MOST_DRAWS))
    weight = np.array([block.size for block in blocks]) / x.size
    x = np.array([block.mean() for block in blocks])
    best, lowest = None, math.inf
    for size in (1, 2, 3):
        prior = _em(x, weight, family="normal", size=size, start="scale")
        score = -2 * x.size * float(weight @ prior.logpdf(x)) + (3 * size - 1) * math.log(x.size)
        if score < lowest:
            best, lowest = prior, score
    assert best is not None  # the loop runs
    return best


def robustify(prior: Prior, weak: Prior, *, weight: float) -> Prior:
    """Mix a weakly informative component into a prior.

    Parameters
    ----------
    prior : Prior
        The informative prior.
    weak : Prior
        The weakly informative component, of the same family.
    weight : float
        Weight of `weak`, between 0 and 1.

    Returns
    -------
    Prior
        A mixture whose last component is `weak`: with data that contradict the informative part
        the posterior moves over to it [1]_.

    Raises
    ------
    SpecError
        If the weight is not strictly between 0 and 1.

    References
    ----------
    .. [1] Schmidli H, Gsteiger S, Roychoudhury S, O'Hagan A, Spiegelhalter D, Neuenschwander B.
       Robust meta-analytic-predictive priors in clinical trials with historical control
       information. Biometrics 2014;70:1023-1032.

    Examples
    --------
    >>> robustify(normal(5, 1), normal(0, 20), weight=0.2).weights
    (0.8, 0.2)
    """
    if not 0 < weight < 1:
        raise SpecError(f"the weight of a robust component lies between 0 and 1, got {weight}")
    weights, parts = mixture_parts(prior)
    return mixture([*(w * (1 - weight) for w in weights), weight], [*parts, weak])


def update_normal(prior: Prior, *, estimate: float, se: float) -> Prior:
    """Return the posterior of a normal mixture after an estimate with known standard error.

    Parameters
    ----------
    prior : Prior
        Normal, or a mixture of normals.
    estimate, se : float
        Estimate and its standard error, in the unit of the prior.

    Returns
    -------
    Prior
        The conjugate posterior: each component updated, weights in proportion to how well each
        foretold the estimate.

    Raises
    ------
    SpecError
        If the prior is not normal or `se` not positive.

    Examples
    --------
    >>> update_normal(normal(0, 1), estimate=2.0, se=1.0).params["mu"]
    1.0
    """
    if not (math.isfinite(se) and se > 0):
        raise SpecError(f"a standard error is positive, got {se}")
    if {part.dist for part in mixture_parts(prior)[1]} != {"normal"}:
        raise SpecError(f"{prior.formula} is not normal or a mixture of normals")
    posterior = conjugate_posterior(normal(estimate, se), prior)
    assert posterior is not None  # normal on normal has a closed form
    return posterior


def update_binomial(prior: Prior, *, n: int, r: int) -> Prior:
    """Return the posterior of a beta mixture after r events among n patients.

    Parameters
    ----------
    prior : Prior
        Beta, or a mixture of betas, on a probability.
    n, r : int
        Patients, and those with the event.

    Returns
    -------
    Prior
        The conjugate posterior; weights in proportion to the beta-binomial probability that each
        component gave to `r`.

    Raises
    ------
    SpecError
        If the prior is not beta.
    EvidenceError
        If r is not between 0 and n.

    Examples
    --------
    >>> dict(update_binomial(Prior("beta", {"shape1": 1, "shape2": 1}), n=10, r=3).params)
    {'shape1': 4.0, 'shape2': 8.0}
    """
    weights, parts = mixture_parts(prior)
    if {part.dist for part in parts} != {"beta"}:
        raise SpecError(f"{prior.formula} is not beta or a mixture of betas")
    if not 0 <= r <= n:
        raise EvidenceError(f"r = {r} events is not between 0 and n = {n} patients")
    shapes = np.array([[part.params["shape1"], part.params["shape2"]] for part in parts])
    after = shapes + np.array([r, n - r])
    logs = np.log(weights) + special.betaln(*after.T) - special.betaln(*shapes.T)
    return _assembled(np.exp(logs - special.logsumexp(logs)), [_beta(*pair) for pair in after])


def mixture_parts(prior: Prior) -> tuple[FloatArray, tuple[Prior, ...]]:
    """Return weights and components of a mixture, or one and the prior itself.

    Examples
    --------
    >>> mixture_parts(normal(0, 1))[0]
    array([1.])
    """
    if prior.dist == "mixture":
        return np.array(prior.weights), prior.components
    return np.ones(1), (prior,)


def _panels(exact: xr.Dataset) -> tuple[FloatArray, FloatArray]:
    """Return means and probabilities of panels between points of a grid."""
    value, pdf, cdf = (exact[name].values for name in ("value", "pdf", "cdf"))
    inside = np.flatnonzero((cdf > 1e-12) & (cdf < 1 - 1e-12) & (pdf > 0))
    low, high = special.logit(cdf[inside[[0, -1]]])
    # equal steps of the log odds of the probability: fine in the middle and in both tails
    wanted = special.expit(np.linspace(low, high, PANELS))
    kept = np.unique(inside[np.searchsorted(cdf[inside], wanted).clip(0, len(inside) - 1)])
    x, f, p = value[kept], pdf[kept], cdf[kept]
    width, weight = np.diff(x), np.diff(p)
    below = width * (p[1:] + p[:-1]) / 2 - width**2 * np.diff(f) / 12
    mean = np.clip((np.diff(x * p) - below) / weight, x[:-1], x[1:])
    return mean, weight / weight.sum()


def _divergence(exact: xr.Dataset, prior: Prior) -> float:
    """Return the Kullback-Leibler distance of a mixture, by the trapezoidal rule in probability."""
    value, pdf, cdf = (exact[name].values for name in ("value", "pdf", "cdf"))
    inside = (cdf > 1e-9) & (cdf < 1 - 1e-9) & (pdf > 0)
    ratio = np.log(pdf[inside]) - prior.logpdf(value[inside])
    return max(float(np.trapezoid(ratio, cdf[inside])), 0.0)


def _em(x: FloatArray, weight: FloatArray, *, family: str, size: int, start: str) -> Prior:
    """Maximize the expected log density of a mixture by accelerated EM (SQUAREM)."""
    state = np.column_stack([
        np.full(size, -math.log(size)), _start(x, weight, family=family, size=size, start=start)
    ])  # fmt: skip
    for _ in range(CYCLES):
        first, score = _em_step(x, weight, state, family)
        second, better = _em_step(x, weight, first, family)
        change, bend = first - state, second - 2 * first + state
        length = np.linalg.norm(change) / max(float(np.linalg.norm(bend)), 1e-300)
        with np.errstate(all="ignore"):  # a leap may land where nothing is finite
            leap = state + 2 * length * change + length**2 * bend
            landed, reached = _em_step(x, weight, leap, family)
        state = landed if reached > better else second
        if not better - score > 1e-9:
            break
    parts = state[np.argsort(-state[:, 0])]
    make = normal if family == "normal" else _beta
    scale = (parts[:, 1], np.exp(parts[:, 2])) if family == "normal" else np.exp(parts[:, 1:]).T
    mass = np.exp(parts[:, 0])
    return _assembled(mass / mass.sum(), [make(*pair) for pair in zip(*scale, strict=True)])


def _em_step(
    x: FloatArray, weight: FloatArray, state: FloatArray, family: str
) -> tuple[FloatArray, float]:
    """Return the state after one step of EM, and the expected log density before it."""
    logs = state[:, 0] - np.logaddexp.reduce(state[:, 0]) + _log_densities(x, state, family)
    peak = logs.max(axis=1)
    total = peak + np.log(np.exp(logs - peak[:, None]).sum(axis=1))
    if not np.isfinite(total).all():
        return state, -math.inf
    share = weight[:, None] * np.exp(logs - total[:, None])
    mass = share.sum(axis=0)
    if not mass.min() > 1e-200:
        return state, -math.inf
    parts = _maximize(x, share / mass, state, family)
    mass = np.maximum(mass, LIGHTEST)
    return np.column_stack([np.log(mass / mass.sum()), parts]), float(weight @ total)


def _start(x: FloatArray, weight: FloatArray, *, family: str, size: int, start: str) -> FloatArray:
    """Return components that differ in scale, or in location."""
    mean = float(weight @ x)
    sd = math.sqrt(float(weight @ (x - mean) ** 2))
    places = np.full(size, mean)
    scales = sd * np.geomspace(0.5, 2.0, size) if size > 1 else np.array([sd])
    if start == "location":
        places = np.interp((np.arange(size) + 0.5) / size, np.cumsum(weight), x)
        scales = np.full(size, sd / math.sqrt(size))
    if family == "normal":
        return np.column_stack([places, np.log(scales)])
    count = np.maximum(places * (1 - places) / scales**2 - 1, 0.5)
    return np.asarray(np.log(np.column_stack([places * count, (1 - places) * count])))


def _log_densities(x: FloatArray, state: FloatArray, family: str) -> FloatArray:
    """Return log densities of all components, dims (x, component)."""
    if family == "normal":
        z = (x[:, None] - state[:, 1]) * np.exp(-state[:, 2])
        return np.asarray(-0.5 * z**2 - state[:, 2] - 0.5 * math.log(2 * math.pi))
    a, b = np.exp(state[:, 1:]).T
    logs = np.log(x)[:, None] * (a - 1) + np.log1p(-x)[:, None] * (b - 1)
    return np.asarray(logs - special.betaln(a, b))


def _maximize(x: FloatArray, share: FloatArray, state: FloatArray, family: str) -> FloatArray:
    """Return the parameters that maximize the expected log density of each component."""
    if family == "normal":
        mean = share.T @ x
        spread = np.sqrt(np.einsum("xk,xk->k", share, (x[:, None] - mean) ** 2))
        return np.column_stack([mean, np.log(np.maximum(spread, 1e-6 * np.ptp(x)))])
    target = np.column_stack([share.T @ np.log(x), share.T @ np.log1p(-x)])
    logs = state[:, 1:]
    for _ in range(3):
        a, b = np.exp(logs).T
        both, curve = special.digamma(a + b), special.polygamma(1, a + b)
        miss = target - np.column_stack([special.digamma(a) - both, special.digamma(b) - both])
        jacobian = np.stack([special.polygamma(1, a) - curve, -curve, -curve,
                             special.polygamma(1, b) - curve], axis=-1)  # fmt: skip
        step = np.linalg.solve(jacobian.reshape(-1, 2, 2), miss[..., None])[..., 0]
        logs = logs + np.clip(step / np.exp(logs), -0.5, 0.5)
    return np.asarray(logs)


def _beta(a: float, b: float) -> Prior:
    """Return a beta density."""
    return Prior("beta", {"shape1": float(a), "shape2": float(b)})


def _assembled(weights: FloatArray, parts: list[Prior]) -> Prior:
    """Return a mixture, or its only component."""
    kept = [(float(w), part) for w, part in zip(weights, parts, strict=True) if w > 0]
    if len(kept) == 1:
        return kept[0][1]
    return mixture([w for w, _ in kept], [part for _, part in kept])
