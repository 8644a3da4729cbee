"""Ordered categories in PyMC: cutpoints, shares, and patients who are rated twice.

Functions of `categorical.cells` again, for tensors.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pymc.distributions.dist_math import normal_lcdf

__all__ = ["category_shares", "induced_cutpoints", "observe_repeated", "spaced_cutpoints"]

NODES = np.linspace(-6.0, 6.0, 31)
"""Patient effects in standard deviations, for the trapezoidal rule: its error is about
exp(-2 pi^2 / (0.4 sd)), 1e-7 and less up to a patient sd of 3."""
# Outer limits of the first and the last category: beyond any cutpoint, and finite so that
# logarithms and gradients are
FAR = 1e3


def induced_cutpoints(share: Any, link: str) -> Any:
    """Return the cutpoints at which a link's distribution function cuts shares, dim (cut)."""
    below, above = pt.cumsum(share)[:-1], pt.cumsum(share[::-1])[::-1][1:]
    if link == "logit":
        return pt.log(below) - pt.log(above)
    return pt.switch(below < above, pm.math.probit(below), -pm.math.probit(above))


def spaced_cutpoints(cutpoint: Any, log_ratio: Any) -> Any:
    """Return cutpoints with gaps times ``exp(log_ratio)`` and the same mean.

    Dims (observation, cut), of cutpoints of dim (cut) and log ratios (observation, gap).
    """
    gaps = (cutpoint[1:] - cutpoint[:-1])[None, :] * pt.exp(log_ratio)
    steps = pt.concatenate([pt.zeros_like(gaps[:, :1]), pt.cumsum(gaps, axis=1)], axis=1)
    return steps - steps.mean(axis=1, keepdims=True) + cutpoint.mean()


def observe_repeated(
    name: str, place: Any, *, cuts: Any, spread: Any, member: Any, link: str, dims: str
) -> Any:
    """Observe categories, inside a model, of which those of one patient share a normal effect.

    Sampling an effect for each patient beside their standard deviation mixes slowly; here the
    likelihood of each patient is a sum over effects, in logs, whose terms keep their digits in
    both tails.

    `place` is the category of each observation, from 0; `cuts` are cutpoints less the linear
    predictor without the patient's effect, dims (observation, cut); `spread` is the standard
    deviation of the effects; `member` has each patient's observations, dims (subject, 2), and their
    number where there is no second.
    """

    def log_probability(value: Any, cuts: Any, spread: Any, member: Any) -> Any:
        end = pt.full_like(cuts[:, :1], FAR)
        edges = pt.concatenate([-end, cuts, end], axis=1)
        rows, effect = pt.arange(cuts.shape[0]), spread * NODES
        low = edges[rows, value][:, None] - effect
        high = edges[rows, value + 1][:, None] - effect
        share = _log_share(low, high, link)
        share = pt.concatenate([share, pt.zeros_like(share[:1])], axis=0)
        between = share[member[:, 0]] + share[member[:, 1]]
        weight = -(NODES**2) / 2
        weight = weight - np.log(np.exp(weight).sum())
        return pt.logsumexp(between + weight, axis=1).sum()

    def draw(cuts: Any, spread: Any, member: Any, size: Any) -> Any:
        effect = spread * pm.Normal.dist(0, 1, size=(member.shape[0],))
        number = pt.arange(cuts.shape[0])[:, None, None]
        own = (pt.eq(member[None], number).any(axis=2) * effect).sum(axis=1)
        return pm.Categorical.dist(p=category_shares(cuts - own[:, None], link))

    return pm.CustomDist(
        name,
        cuts,
        spread,
        member,
        logp=log_probability,
        dist=draw,
        signature="(n,k),(),(s,p)->(n)",
        observed=place,
        dims=dims,
    )


def category_shares(cuts: Any, link: str) -> Any:
    """Return the probabilities of the categories between cuts, dims (observation, category)."""
    below = pm.math.sigmoid(cuts) if link == "logit" else pm.math.invprobit(cuts)
    end = pt.ones_like(cuts[:, :1])
    edges = pt.concatenate([pt.zeros_like(end), below, end], axis=1)
    return edges[:, 1:] - edges[:, :-1]


def _log_share(low: Any, high: Any, link: str) -> Any:
    """Return the log probability of the latent response between two limits."""
    if link == "logit":
        return pt.log(-pt.expm1(low - high)) - pt.softplus(-high) - pt.softplus(low)
    # above the middle the upper tails are the small numbers
    upper = pt.gt(low, 0)
    below, above = pt.switch(upper, -high, low), pt.switch(upper, -low, high)
    largest = normal_lcdf(0, 1, above)
    return largest + pt.log(-pt.expm1(normal_lcdf(0, 1, below) - largest))
