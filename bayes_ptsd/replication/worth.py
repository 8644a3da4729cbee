"""What a prior is worth: effective sample sizes of normal and beta mixtures, by three definitions.

All three are in units of Fisher information of one patient of a stated design. For a single
conjugate component they agree; for mixtures they do not, and the expected local information ratio
(ELIR) is the one that adds up: the expected size after n patients is the size before plus n.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping

import numpy as np
from scipy import integrate, special

from bayes_ptsd.errors import SpecError, StatisticalWarning, nearest
from bayes_ptsd.prior_family import elir_ess
from bayes_ptsd.priors import FloatArray, Prior
from bayes_ptsd.replication.mixtures import mixture_parts

__all__ = [
    "ESS_METHODS",
    "WEAK_LIMITS",
    "effective_size",
    "effective_sizes",
    "weak_component_worth",
]

ESS_METHODS: Mapping[str, str] = {
    "elir": "expected local information ratio: the prior's curvature over the information of one "
    "patient, averaged over the prior",
    "moment": "the single conjugate prior with the same mean and standard deviation",
    "morita": "the prior's curvature at its mean, over the information of one patient",
}
WEAK_LIMITS = (0.1, 2.0)
"""Patients between which a weakly informative component is what its name says."""
# a component worth two patients exactly must not warn for its last digits
ROUNDING = 1e-9


def effective_size(
    prior: Prior, *, method: str = "elir", information: float | None = None
) -> float:
    """Return the effective sample size of a normal or beta prior or a mixture of such.

    Patients of the design that `information` belongs to, Fisher's of one patient about a normal
    parameter; one about a probability has ``1 / (p (1 - p))``. ELIR [1]_ and Morita [2]_ can be
    negative where components lie far apart, and are refused for a mixture with a beta shape below
    one. A single beta is worth the sum of its shapes.

    References
    ----------
    .. [1] Neuenschwander B, Weber S, Schmidli H, O'Hagan A. Predictively consistent prior
       effective sample sizes. Biometrics 2020;76:578-587.
    .. [2] Morita S, Thall PF, Müller P. Determining the effective sample size of a parametric
       prior. Biometrics 2008;64:595-602.
    """
    if method not in ESS_METHODS:
        raise SpecError(f"unknown effective sample size '{method}'{nearest(method, ESS_METHODS)}")
    weights, parts = mixture_parts(prior)
    kinds = {part.dist for part in parts}
    if kinds == {"beta"}:
        return _beta_size(prior, weights, parts, method)
    if kinds != {"normal"}:
        raise SpecError(f"effective sample sizes are of normal or beta priors, not {prior.formula}")
    if information is None or not (math.isfinite(information) and information > 0):
        raise SpecError(f"the information of one patient must be positive, got {information}")
    if method == "elir":
        return elir_ess(prior, information=information)
    if method == "moment":
        return 1 / (prior.sd**2 * information)
    return _normal_curvature(weights, parts, prior.mean) / information


def effective_sizes(prior: Prior, *, information: float | None = None) -> dict[str, float]:
    """Return the effective sample size of a prior by every method, NaN where it has none."""
    low = any(
        min(part.params["shape1"], part.params["shape2"]) < 1
        for part in prior.components
        if part.dist == "beta"
    )
    methods = ["moment"] if low else list(ESS_METHODS)
    known = {name: effective_size(prior, method=name, information=information) for name in methods}
    return {name: known.get(name, math.nan) for name in ESS_METHODS}


def weak_component_worth(weak: Prior, *, information: float | None = None) -> float:
    """Return a weakly informative component's worth in patients; outside 0.1 to 2 it warns."""
    worth = effective_size(weak, information=information)
    low, high = WEAK_LIMITS
    if worth < low:
        told = f"less than {low:g}: data can hardly bring it into play, so the prior is not robust"
    elif worth > high * (1 + ROUNDING):
        told = f"more than {high:g}: it is not weakly informative"
    else:
        return worth
    warnings.warn(
        f"the robust component {weak.formula} is worth {worth:.3g} patients, {told}; is its "
        "standard deviation the one that was meant?",
        StatisticalWarning,
        stacklevel=2,
    )
    return worth


def _normal_curvature(weights: FloatArray, parts: tuple[Prior, ...], x: float) -> float:
    """Return minus the second derivative of the log density of a normal mixture."""
    mu, sigma = (np.array([part.params[key] for part in parts]) for key in ("mu", "sigma"))
    logs = np.log(weights) - 0.5 * ((x - mu) / sigma) ** 2 - np.log(sigma)
    share = np.exp(logs - special.logsumexp(logs))
    slope = -(x - mu) / sigma**2
    return float((share @ slope) ** 2 - share @ (slope**2 - sigma**-2))


def _beta_size(prior: Prior, weights: FloatArray, parts: tuple[Prior, ...], method: str) -> float:
    """Return the effective sample size of a beta mixture."""
    shapes = np.array([[part.params["shape1"], part.params["shape2"]] for part in parts])
    if len(parts) == 1:
        return float(shapes.sum())
    mean = prior.mean
    if method == "moment":
        return mean * (1 - mean) / prior.sd**2 - 1
    if shapes.min() < 1:
        raise SpecError(
            f"{method} of a beta mixture needs shapes of at least one; {prior.formula} has a pole "
            "at an end: take the moment size"
        )
    if method == "morita":
        slope, bend = _beta_derivatives(prior, weights, shapes, np.array(mean))
        # the curvature of a beta with the same mean and no information is taken away
        return float(mean * (1 - mean) * (slope**2 - bend + mean**-2 + (1 - mean) ** -2))
    return _beta_elir(prior, weights, shapes)


def _beta_derivatives(
    prior: Prior, weights: FloatArray, shapes: FloatArray, x: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return first and second derivative of a beta mixture's density over the density."""
    a, b = shapes.T - 1
    place = np.asarray(x)[..., None]
    logs = np.log(weights) + special.xlogy(a, place) + special.xlog1py(b, -place)
    logs = logs - special.betaln(*shapes.T)
    share = np.exp(logs - special.logsumexp(logs, axis=-1, keepdims=True))
    slope = a / place - b / (1 - place)
    bend = slope**2 - a / place**2 - b / (1 - place) ** 2
    return (share * slope).sum(axis=-1), (share * bend).sum(axis=-1)


def _beta_elir(prior: Prior, weights: FloatArray, shapes: FloatArray) -> float:
    """Integrate the squared slope on the log-odds scale; the rest is in closed form.

    With g = p (1 - p), two integrations by parts give ``E[-(log f)'' g] = E[(log f)'^2 g] + 2 -
    f(0) - f(1)``.
    """
    quantiles = [1e-13, 1e-6, 0.01, 0.2, 0.5, 0.8, 0.99, 1 - 1e-6, 1 - 1e-13]
    ends = special.logit(
        np.concatenate([part.quantile(quantiles) for part in mixture_parts(prior)[1]])
    )
    edges = np.unique(np.clip(ends[np.isfinite(ends)], -60, 35))
    edges = np.concatenate([[edges[0] - 10], edges, [min(edges[-1] + 10, 36.0)]])

    def integrand(x: FloatArray) -> FloatArray:
        p = special.expit(x)
        slope = _beta_derivatives(prior, weights, shapes, p)[0]
        return np.asarray(slope**2 * (p * special.expit(-x)) ** 2 * prior.pdf(p))

    squared = float(integrate.tanhsinh(integrand, edges[:-1], edges[1:], rtol=1e-10).integral.sum())
    return squared + 2 - float(prior.pdf(0.0)) - float(prior.pdf(1.0))
