"""Probabilities of categories with the normal effect of a patient integrated out.

What depends on the effect is averaged by the trapezoidal rule, which for smooth functions on the
whole line converges faster than Gauss-Hermite nodes [1]. Equations in ``docs/methods/ordinal.md``.

[1] Trefethen LN, Weideman JAC. The exponentially convergent trapezoidal rule. SIAM Review
2014;56:385-458.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import special

from bayes_ptsd.categorical.cells import probabilities_between, probability_of
from bayes_ptsd.priors import FloatArray

__all__ = ["averaged_probabilities", "log_probability", "subject_nodes"]

NODES = np.linspace(-8.0, 8.0, 81)
"""Patient effects in standard deviations. The error is about exp(-2 pi^2 / (0.2 sd)) for the logit
and exp(-2 pi^2 / (0.2 sd)^2) for the probit link: 1e-8 and less up to a patient sd of 5."""


def subject_nodes() -> tuple[FloatArray, FloatArray]:
    """Return nodes and weights of a standard normal variable."""
    weights = np.exp(-(NODES**2) / 2)
    return NODES, weights / weights.sum()


def averaged_probabilities(cuts: FloatArray, spread: FloatArray, link: str) -> FloatArray:
    """Return category probabilities of new patients, dims (sample, cell, category).

    `cuts` are those of a patient without effect, dims (sample, cell, cut); `spread` is the standard
    deviation of the effects, dim (sample).
    """
    wide = spread[:, None, None]
    if link == "probit":
        # a normal effect in front of a normal response is again normal
        return probabilities_between(cuts / np.sqrt(1 + wide**2), "probit")
    total = np.zeros((*cuts.shape[:2], cuts.shape[2] + 1))
    for node, weight in zip(*subject_nodes(), strict=True):
        total += weight * probabilities_between(cuts - wide * node, link)
    return total


def log_probability(
    places: Sequence[int], cuts: Sequence[FloatArray], *, spread: FloatArray | None, link: str
) -> FloatArray:
    """Return the log probability of all categories of one patient together, dim (sample).

    Of each occasion the category, from 0, and its cuts without the patient's effect, dims (sample,
    cut); a `spread` of None says that there are no effects.
    """
    nodes, weights = (np.zeros(1), np.ones(1)) if spread is None else subject_nodes()
    sd = np.zeros(len(cuts[0])) if spread is None else spread
    effect = sd[:, None] * nodes
    log_p = np.zeros(effect.shape)
    with np.errstate(divide="ignore"):
        for place, cut in zip(places, cuts, strict=True):
            moved = cut[:, None, :] - effect[:, :, None]
            log_p += np.log(probability_of(place, moved, link))
        return np.asarray(special.logsumexp(log_p, b=weights, axis=1))
