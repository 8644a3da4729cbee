"""What a replication would print, before it is done: distributions and probabilities.

The prior of the replication's difference is a mixture of normals, its estimate normal around the
difference with a known standard error, so the predictive distribution is the same mixture, each
component widened by that error.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, stats

from bayes_ptsd.credibility.replication import (
    SCEPTICAL_CALIBRATIONS,
    replication_probability,
    sceptical_p_value,
)
from bayes_ptsd.errors import SpecError
from bayes_ptsd.priors import FloatArray, Prior, mixture, normal
from bayes_ptsd.replication.mixtures import mixture_parts

__all__ = [
    "advocate_log_bf",
    "bayes_factor_probability",
    "needed_estimate",
    "predict_replication",
    "predictive_distribution",
    "skeptical_mixture_log_bf",
]

# the usual limits of moderate and of strong evidence
BF_LEVELS = (3.0, 10.0)
# one-sided, of two-sided P < .05
LEVEL = 0.025
# Steps of about a tenth of a predictive sd between the 1e-9 quantiles: a log Bayes factor, smooth
# on the scale of a standard error, crosses a level once at most in each.
GRID = 201


def predictive_distribution(prior: Prior, *, se: float) -> Prior:
    """Return the distribution of a replication's estimate: ``se^2`` added to each variance."""
    _check_se(se)
    weights, parts = mixture_parts(prior)
    if {part.dist for part in parts} != {"normal"}:
        raise SpecError(f"{prior.formula} is not normal or a mixture of normals")
    wide = [normal(part.params["mu"], math.hypot(part.params["sigma"], se)) for part in parts]
    return wide[0] if len(wide) == 1 else mixture(weights.tolist(), wide)


def needed_estimate(
    original: tuple[float, float], *, se: float, level: float = LEVEL, calibration: str = "golden"
) -> float:
    """Return the smallest replication estimate whose sceptical P value reaches a level.

    A positive number times the sign of the original, infinite if no replication can reach the
    one-sided `level`. Nominal and golden solve ``zr^2 = zS^2 (1 + c / (zo^2 / zS^2 - 1))`` [1]_;
    controlled is a root found numerically.

    References
    ----------
    .. [1] Held L. A new standard for the analysis and design of replication studies. Journal of
       the Royal Statistical Society A 2020;183(2):431-448.
    """
    estimate, so = original
    for error in (se, so):
        _check_se(error)
    if not estimate or not 0 < level < 0.5:
        raise SpecError(f"estimate {estimate} and level {level}: not 0, and between 0 and .5")
    zo, c, sign = abs(estimate) / so, (so / se) ** 2, math.copysign(1, estimate)
    if calibration == "controlled":
        return sign * se * _controlled(zo, c, level)
    # any calibration but the controlled one is a multiple of zS: 1.96 over that multiple is needed
    factor = float(stats.norm.isf(sceptical_p_value(2.0, 2.0, c=1, calibration=calibration)))
    wanted = float(stats.norm.isf(level)) / (factor / math.sqrt(2))
    if zo <= wanted:
        return sign * math.inf
    return sign * se * wanted * math.sqrt(1 + c / (zo**2 / wanted**2 - 1))


def advocate_log_bf(
    original: tuple[float, float], *, se: float
) -> Callable[[ArrayLike], FloatArray]:
    """Return log BF of "as in the original" over "no difference", by the replication's estimate.

    The natural logarithm. As in the original: the difference has its flat-prior posterior [1]_.

    References
    ----------
    .. [1] Verhagen J, Wagenmakers EJ. Bayesian tests to quantify the result of a replication
       attempt. Journal of Experimental Psychology: General 2014;143:1457-1475.
    """
    expected, nothing = predictive_distribution(normal(*original), se=se), normal(0, se)

    def log_bf(estimate: ArrayLike) -> FloatArray:
        return expected.logpdf(estimate) - nothing.logpdf(estimate)

    return log_bf


def skeptical_mixture_log_bf(
    original: tuple[float, float], *, se: float, skeptic: Prior, null_weight: float = 0.5
) -> Callable[[ArrayLike], FloatArray]:
    """Return log BF of "as in the original" over a skeptic's mixture, by the estimate.

    The skeptic expects ``w delta_0 + (1 - w) skeptic``, w the `null_weight` of no difference at all
    and `skeptic` a normal around 0: the idea of [1]_, with both constants chosen here.

    References
    ----------
    .. [1] Consonni G, Egidi L. Assessing replication success via skeptical mixture priors.
       arXiv:2401.00257.
    """
    if not 0 <= null_weight < 1:
        raise SpecError(f"the weight of no difference lies between 0 and 1, got {null_weight}")
    expected, granted = (
        predictive_distribution(prior, se=se) for prior in (normal(*original), skeptic)
    )
    nothing = normal(0, se)

    def log_bf(estimate: ArrayLike) -> FloatArray:
        doubt = math.log(1 - null_weight) + granted.logpdf(estimate)
        if null_weight:
            doubt = np.logaddexp(doubt, math.log(null_weight) + nothing.logpdf(estimate))
        return np.asarray(expected.logpdf(estimate) - doubt)

    return log_bf


def bayes_factor_probability(
    predictive: Prior, log_bf: Callable[[ArrayLike], FloatArray], *, level: float
) -> float:
    """Return the predictive probability that a Bayes factor reaches a level, on either side."""
    if not level > 0:
        raise SpecError(f"a Bayes factor to reach is positive, got {level}")
    low, high = predictive.quantile([1e-9, 1 - 1e-9])
    ends = np.linspace(float(low), float(high), GRID)

    def above(estimate: ArrayLike) -> FloatArray:
        return log_bf(estimate) - math.log(level)

    height = above(ends)
    edges: list[float] = [-math.inf]
    for left, right, start, stop in zip(ends, ends[1:], height, height[1:], strict=False):
        if start * stop < 0:
            edges.append(float(optimize.brentq(above, left, right)))
    edges.append(math.inf)
    total = 0.0
    for left, right in pairwise(edges):
        inside = min(max(_middle(left, right), ends[0]), ends[-1])
        if above(inside) >= 0:
            total += float(predictive.cdf(right) - predictive.cdf(left))
    return total


def predict_replication(
    prior: Prior,
    *,
    se: float,
    original: tuple[float, float] | None = None,
    skeptic: Prior | None = None,
    mcid: float | None = None,
) -> dict[str, Any]:
    """Return everything that can be foretold of a replication's estimate.

    ``mean, sd, interval95`` of the estimate in score units, and probabilities: ``same_sign``;
    ``p_below_05`` (two-sided P in the same direction); ``estimate_above_mcid``; ``sceptical_p`` by
    calibration; ``bayes_factor`` and ``skeptical_mixture`` by level. The direction is that of the
    `original` (estimate, standard error), else of benefit.
    """
    predictive = predictive_distribution(prior, se=se)
    sign = 1.0 if original is None else math.copysign(1, original[0])
    found: dict[str, Any] = {
        "mean": predictive.mean,
        "sd": predictive.sd,
        "interval95": list(predictive.interval()),
        "same_sign": _beyond(predictive, 0.0, sign),
        "p_below_05": replication_probability(prior, se=se, c=1.0, direction=sign),
    }
    if mcid is not None:
        found["estimate_above_mcid"] = _beyond(predictive, mcid, 1.0)
    if original is None:
        return found
    found["relative_size"] = (original[1] / se) ** 2
    found["sceptical_p"] = {
        name: _beyond(predictive, needed_estimate(original, se=se, calibration=name), sign)
        for name in SCEPTICAL_CALIBRATIONS
    }
    factors = {"bayes_factor": advocate_log_bf(original, se=se)}
    if skeptic is not None:
        factors["skeptical_mixture"] = skeptical_mixture_log_bf(original, se=se, skeptic=skeptic)
    for name, log_bf in factors.items():
        found[name] = {
            f"{level:g}": bayes_factor_probability(predictive, log_bf, level=level)
            for level in BF_LEVELS
        }
    return found


def _beyond(predictive: Prior, value: float, sign: float) -> float:
    """Return the probability of estimates beyond a value in a direction."""
    return float(predictive.sf(value) if sign > 0 else predictive.cdf(value))


def _middle(left: float, right: float) -> float:
    """Return a point between two edges, either of which may be infinite."""
    if math.isinf(left) and math.isinf(right):
        return 0.0
    if math.isinf(left):
        return right - 1e-6 * (1 + abs(right))
    return left + 1e-6 * (1 + abs(left)) if math.isinf(right) else (left + right) / 2


def _controlled(zo: float, c: float, level: float) -> float:
    """Return the z value of a replication at which the controlled P value equals the level."""

    def excess(zr: float) -> float:
        return sceptical_p_value(zo, zr, c=c, calibration="controlled") - level

    high = 60.0
    if excess(high) > 0:
        return math.inf
    return float(optimize.brentq(excess, 1e-3, high, xtol=1e-9))


def _check_se(se: float) -> None:
    """Refuse a standard error that is not positive."""
    if not (math.isfinite(se) and se > 0):
        raise SpecError(f"a standard error must be positive, got {se}")
