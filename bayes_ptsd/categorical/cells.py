"""Categories between cutpoints of a latent response: links, cutpoints and probabilities.

``P(category <= k) = F(cut[k])`` where a cut is a cutpoint less the linear predictor, effect of the
patient included; F is the distribution function of the link.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from scipy import special

from bayes_ptsd.priors import FloatArray

__all__ = [
    "EFFECTS",
    "LATENT_SD",
    "LINKS",
    "cumulative_probabilities",
    "induced_cutpoints",
    "probabilities_between",
    "probability_of",
    "spaced_cutpoints",
]

LINKS: Mapping[str, Callable[[FloatArray], FloatArray]] = {
    "logit": special.expit,
    "probit": special.ndtr,
}
"""Distribution function of the latent response, by name of the link."""

LATENT_SD: Mapping[str, float] = {"logit": math.pi / math.sqrt(3), "probit": 1.0}
"""Standard deviation of the latent response of a patient, by link."""

EFFECTS: Mapping[str, str] = {"logit": "log_odds_ratio", "probit": "probit_difference"}
"""Name of a difference on the scale of the link."""


def induced_cutpoints(shares: FloatArray, link: str) -> FloatArray:
    """Return the cutpoints at which a link's distribution function cuts shares of categories.

    Shares sum to one over the last axis, which is one shorter in what is returned; it increases.
    """
    below = np.cumsum(shares, axis=-1)[..., :-1]
    above = np.cumsum(shares[..., ::-1], axis=-1)[..., ::-1][..., 1:]
    if link == "logit":
        return np.asarray(np.log(below) - np.log(above))
    return np.asarray(np.where(below < above, special.ndtri(below), -special.ndtri(above)))


def spaced_cutpoints(cutpoint: FloatArray, log_ratio: FloatArray) -> FloatArray:
    """Return cutpoints with gaps times ``exp(log_ratio)`` and the same mean, last dim cut."""
    gaps = np.diff(cutpoint, axis=-1) * np.exp(log_ratio)
    start = np.zeros_like(gaps[..., :1])
    steps = np.concatenate([start, np.cumsum(gaps, axis=-1)], axis=-1)
    center = cutpoint.mean(axis=-1, keepdims=True) - steps.mean(axis=-1, keepdims=True)
    return np.asarray(steps + center)


def cumulative_probabilities(cuts: FloatArray, link: str) -> FloatArray:
    """Return the probability of the category below each cut or a lower one."""
    return np.asarray(LINKS[link](cuts))


def probabilities_between(cuts: FloatArray, link: str) -> FloatArray:
    """Return the probabilities of the categories between cuts, the last axis one longer."""
    below = cumulative_probabilities(cuts, link)
    # each difference is taken in the tail where the numbers are small
    above = cumulative_probabilities(-cuts, link)
    inner = np.where(cuts[..., :-1] > 0, above[..., :-1] - above[..., 1:], np.diff(below))
    return np.concatenate([below[..., :1], inner, above[..., -1:]], axis=-1)


def probability_of(place: int, cuts: FloatArray, link: str) -> FloatArray:
    """Return the probability of one category, counted from 0; the last axis goes."""
    around = cuts[..., max(place - 1, 0) : place + 1]
    return np.asarray(probabilities_between(around, link)[..., min(place, 1)])
