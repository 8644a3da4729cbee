"""Mixtures as priors: fitted to a density by weighted EM, made robust, updated by data."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy import special

from bayes_ptsd.errors import EvidenceError, SpecError, StatisticalWarning
from bayes_ptsd.exact.summary import conjugate_posterior
from bayes_ptsd.priors import FloatArray, Prior, mixture, normal
from bayes_ptsd.replication._em import maximize

__all__ = [
    "FittedMixture",
    "fit_mixture",
    "mixed",
    "mixture_of_draws",
    "mixture_parts",
    "robustify",
    "update_binomial",
    "update_normal",
]

# as many as RBesT tries; more make a prior that nobody can read
MOST_COMPONENTS = 4
# nats: by Pinsker's inequality no probability is off by more than sqrt(1e-4 / 2) = .007
TOLERANCE = 1e-4
# steps of .11 in the log odds of the probability, between 1e-12 and 1 - 1e-12
PANELS = 500
# what an exact fit stores, and more only cost time: each cycle of EM visits every point
MOST_DRAWS = 4000


@dataclass(frozen=True)
class FittedMixture:
    """A mixture with its distance from the density it stands for."""

    prior: Prior  # heaviest component first
    divergence: float  # Kullback-Leibler distance from the density to the mixture, nats


def fit_mixture(
    exact: xr.Dataset,
    *,
    family: str = "normal",
    components: int | None = None,
    tolerance: float = TOLERANCE,
) -> FittedMixture:
    """Approximate a density on a grid (``value, pdf, cdf``) by a mixture of normals or betas.

    The better of two deterministic starts of EM on the grid's panels. Without `components` it has
    the fewest, up to four, whose Kullback-Leibler distance is below `tolerance`, in nats; a warning
    says so where four do not get there.
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
            prior = _fitted(x, weight, family=family, size=size, start=start)
            distance = _divergence(exact, prior)
            if best is None or distance < best.divergence:
                best = FittedMixture(prior, distance)
        if best is not None and best.divergence < tolerance:
            break
    assert best is not None  # the loop runs at least once
    if components is None and not best.divergence < tolerance:
        warnings.warn(
            f"the mixture of {MOST_COMPONENTS} {family} densities stays {best.divergence:.1e} nats "
            f"from the density it stands for, above {tolerance:g}: ask for more components, or use "
            "the density",
            StatisticalWarning,
            stacklevel=2,
        )
    return best


def mixture_of_draws(draws: FloatArray) -> Prior:
    """Return a mixture of one to three normals, as BIC wants, for at least 100 posterior draws."""
    x = np.sort(np.asarray(draws, dtype=float).ravel())
    if x.size < 100 or not np.isfinite(x).all():
        raise SpecError(f"a mixture needs at least 100 finite draws, got {x.size}")
    blocks = np.array_split(x, min(x.size, MOST_DRAWS))
    weight = np.array([block.size for block in blocks]) / x.size
    x = np.array([block.mean() for block in blocks])
    best, lowest = None, math.inf
    for size in (1, 2, 3):
        prior = _fitted(x, weight, family="normal", size=size, start="scale")
        score = -2 * x.size * float(weight @ prior.logpdf(x)) + (3 * size - 1) * math.log(x.size)
        if score < lowest:
            best, lowest = prior, score
    assert best is not None  # the loop runs
    return best


def robustify(prior: Prior, weak: Prior, *, weight: float) -> Prior:
    """Mix a weakly informative component, which comes last, into a prior.

    With data that contradict the informative part the posterior moves over to it [1]_.

    References
    ----------
    .. [1] Schmidli H, Gsteiger S, Roychoudhury S, O'Hagan A, Spiegelhalter D, Neuenschwander B.
       Robust meta-analytic-predictive priors in clinical trials with historical control
       information. Biometrics 2014;70:1023-1032.
    """
    if not 0 < weight < 1:
        raise SpecError(f"the weight of a robust component lies between 0 and 1, got {weight}")
    weights, parts = mixture_parts(prior)
    return mixture([*(w * (1 - weight) for w in weights), weight], [*parts, weak])


def update_normal(prior: Prior, *, estimate: float, se: float) -> Prior:
    """Return the conjugate posterior of a normal mixture after an estimate with known error.

    Weights are in proportion to how well each component foretold the estimate. A flat prior leaves
    the estimate as it is.
    """
    if not (math.isfinite(se) and se > 0):
        raise SpecError(f"a standard error is positive, got {se}")
    if prior.dist != "flat" and {part.dist for part in mixture_parts(prior)[1]} != {"normal"}:
        raise SpecError(f"{prior.formula} is not normal or a mixture of normals")
    posterior = conjugate_posterior(normal(estimate, se), prior)
    assert posterior is not None  # normal or flat on normal has a closed form
    return posterior


def update_binomial(prior: Prior, *, n: int, r: int) -> Prior:
    """Return the conjugate posterior of a beta mixture after r events among n patients.

    Weights are in proportion to the beta-binomial probability that each component gave to r.
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
    """Return weights and components of a mixture, or one and the prior itself."""
    if prior.dist == "mixture":
        return np.array(prior.weights), prior.components
    return np.ones(1), (prior,)


def mixed(priors: Sequence[Prior], weights: Sequence[float]) -> Prior:
    """Return the mixture of priors, each normal or a mixture of normals."""
    shares: list[float] = []
    parts: list[Prior] = []
    for weight, prior in zip(weights, priors, strict=True):
        inner, components = mixture_parts(prior)
        shares += [weight * float(share) for share in inner]
        parts += components
    return parts[0] if len(parts) == 1 else mixture([s / sum(shares) for s in shares], parts)


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


def _fitted(x: FloatArray, weight: FloatArray, *, family: str, size: int, start: str) -> Prior:
    """Return the mixture that the EM algorithm finds from one start."""
    parts = maximize(x, weight, family=family, size=size, start=start)
    make = normal if family == "normal" else _beta
    scale = (parts[:, 1], np.exp(parts[:, 2])) if family == "normal" else np.exp(parts[:, 1:]).T
    mass = np.exp(parts[:, 0])
    return _assembled(mass / mass.sum(), [make(*pair) for pair in zip(*scale, strict=True)])


def _beta(a: float, b: float) -> Prior:
    """Return a beta density."""
    return Prior("beta", {"shape1": float(a), "shape2": float(b)})


def _assembled(weights: FloatArray, parts: list[Prior]) -> Prior:
    """Return a mixture, or its only component."""
    kept = [(float(w), part) for w, part in zip(weights, parts, strict=True) if w > 0]
    if len(kept) == 1:
        return kept[0][1]
    return mixture([w for w, _ in kept], [part for _, part in kept])
