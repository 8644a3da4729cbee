"""Proper scores of predictive distributions: log score and CRPS, in closed form or as exact sums.

The log score is the log density (log probability) that was given to what happened: larger is
better. The continuous ranked probability score [1]_ is an error in the unit of what is predicted,
the absolute error where everything was put on one value: smaller is better. Both are proper: nobody
expects to score better by predicting anything else than what they believe.

References
----------
.. [1] Gneiting T, Raftery AE. Strictly proper scoring rules, prediction, and estimation. Journal of
   the American Statistical Association 2007;102:359-378.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from bayes_ptsd.errors import SpecError
from bayes_ptsd.exact.mixture import Mixture
from bayes_ptsd.priors import FloatArray

__all__ = ["crps_discrete", "crps_mixture", "log_score_mixture"]

# Pairs of components whose mean distance is computed at a time: 16 MB an array.
PAIRS = 2_000_000


def log_score_mixture(predicted: Mixture, observed: float) -> float:
    """Return the log density that a mixture of normals gave to what was observed."""
    some = predicted.weight > 0
    spread = predicted.spread[some]
    z = (observed - predicted.center[some]) / spread
    logs = np.log(predicted.weight[some]) - 0.5 * z**2 - np.log(spread)
    return float(special.logsumexp(logs) - 0.5 * np.log(2 * np.pi))


def crps_mixture(predicted: Mixture, observed: float) -> float:
    """Return the CRPS of a mixture of normals in its unit: E|X - observed| - E|X - X'| / 2.

    Closed form [1]_, as sums over components and over pairs of them.

    References
    ----------
    .. [1] Grimit EP, Gneiting T, Berrocal VJ, Johnson NA. The continuous ranked probability score
       for circular variables and its application to mesoscale forecast ensemble verification.
       Quarterly Journal of the Royal Meteorological Society 2006;132:2925-2942.
    """
    weight, center, spread = predicted.weight, predicted.center, predicted.spread
    apart = weight @ _mean_size(observed - center, spread)
    within = 0.0
    for rows in np.array_split(np.arange(len(weight)), 1 + len(weight) ** 2 // PAIRS):
        gap = center[rows, None] - center
        size = _mean_size(gap, np.hypot(spread[rows, None], spread))
        within += float(weight[rows] @ size @ weight)
    return float(apart - within / 2)


def crps_discrete(values: FloatArray, probability: FloatArray, observed: float) -> float:
    """Return the CRPS of a distribution on increasing values, in their unit.

    The exact integral of the squared distance between its distribution function and the step at
    what was observed.
    """
    if not (np.diff(values) > 0).all() or abs(float(probability.sum()) - 1) > 1e-9:
        raise SpecError("a discrete distribution has increasing values and probabilities that sum "
                        "to one")  # fmt: skip
    edges = np.unique(np.append(values, observed))
    below = np.concatenate([[0.0], np.cumsum(probability)])
    reached = below[np.searchsorted(values, edges[:-1], side="right")]
    return float(((reached - (edges[:-1] >= observed)) ** 2 * np.diff(edges)).sum())


def _mean_size(center: FloatArray, spread: FloatArray) -> FloatArray:
    """Return E|X| of normals."""
    z = center / spread
    density = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
    return np.asarray(center * (2 * special.ndtr(z) - 1) + 2 * spread * density)
