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

BF_LEVELS = (3.0, 10.0)
LEVEL = 0.025
GRID = 201


def predictive_distribution(prior: Prior, *, se: float) -> Prior:
    """Return the predictive distribution of a replication's estimate.

    Parameters
    ----------
    prior : Prior
        Normal, or a mixture of normals, on the replication's difference, score units.
    se : float
        Standard error that the replication will have.

    Returns
    -------
    Prior
        The mixture with each variance enlarged by ``se^2``.

    Raises
    ------
    SpecError
        If the prior is not normal or `se` not positive.

    Examples
    --------
    >>> predictive_distribution(normal(8, 3), se=4.0).params["sigma"]
    5.0
    """
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

    Parameters
    ----------
    original : tuple of float
        Estimate and standard error of the original study.
    se : float
        Standard error of the replication.
    level : float
        One-sided level.
    calibration : {"nominal", "golden", "controlled"}
        As `bayes_ptsd.credibility.replication.sceptical_p_value`.

    Returns
    -------
    float
        In the direction of the original, as a positive number times its sign; infinite if no
        replication can reach the level. Nominal and golden solve
        ``zr^2 = zS^2 (1 + c / (zo^2 / zS^2 - 1))`` [1]_; controlled is a root found numerically.

    Raises
    ------
    SpecError
        If a standard error is not positive, the original estimate is 0, or level or calibration
        are not possible.

    References
    ----------
    .. [1] Held L. A new standard for the analysis and design of replication studies. Journal of
       the Royal Statistical Society A 2020;183(2):431-448.

    Examples
    --------
    >>> round(needed_estimate((12.7, 5.1787), se=5.1787) / 5.1787, 3)
    1.981
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

    Parameters
    ----------
    original : tuple of float
        Estimate and standard error of the original study; under the alternative the difference
        has its flat-prior posterior [1]_.
    se : float
        Standard error of the replication.

    Returns
    -------
    callable
        From estimates to natural logarithms of the replication Bayes factor.

    References
    ----------
    .. [1] Verhagen J, Wagenmakers EJ. Bayesian tests to quantify the result of a replication
       attempt. Journal of Experimental Psychology: General 2014;143:1457-1475.

    Examples
    --------
    >>> round(float(advocate_log_bf((12.7, 5.1787), se=5.1787)(12.7)), 3)
    2.66
    """
    expected, nothing = predictive_distribution(normal(*original), se=se), normal(0, se)

    def log_bf(estimate: ArrayLike) -> FloatArray:
        return expected.logpdf(estimate) - nothing.logpdf(estimate)

    return log_bf


def skeptical_mixture_log_bf(
    original: tuple[float, float], *, se: float, skeptic: Prior, null_weight: float = 0.5
) -> Callable[[ArrayLike], FloatArray]:
    """Return log BF of "as in the original" over a skeptic's mixture, by the estimate.

    Parameters
    ----------
    original : tuple of float
        Estimate and standard error of the original study, the advocate's posterior.
    se : float
        Standard error of the replication.
    skeptic : Prior
        Normal prior around 0 of the skeptic who grants a difference, score units.
    null_weight : float
        The skeptic's probability of no difference at all, from 0 to below 1.

    Returns
    -------
    callable
        From estimates to natural logarithms of the Bayes factor. The skeptic expects
        ``w delta_0 + (1 - w) skeptic``: the idea of [1]_, with both constants chosen here.

    Raises
    ------
    SpecError
        If the weight is not possible.

    References
    ----------
    .. [1] Consonni G, Egidi L. Assessing replication success via skeptical mixture priors.
       arXiv:2401.00257.

    Examples
    --------
    >>> log_bf = skeptical_mixture_log_bf((12.7, 5.1787), se=5.1787, skeptic=normal(0, 7.879))
    >>> round(float(log_bf(12.7)), 3)
    1.652
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
    """Return the predictive probability that a Bayes factor reaches a level.

    Parameters
    ----------
    predictive : Prior
        Distribution of the replication's estimate.
    log_bf : callable
        Natural logarithm of the Bayes factor as a function of that estimate.
    level : float
        The level, above 0.

    Returns
    -------
    float
        Probability of all estimates that reach it, on whichever side.

    Raises
    ------
    SpecError
        If the level is not positive.

    Examples
    --------
    >>> log_bf = advocate_log_bf((12.7, 5.1787), se=5.1787)
    >>> round(bayes_factor_probability(normal(12.7, 7.3238), log_bf, level=3.0), 3)
    0.686
    """
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

    Parameters
    ----------
    prior : Prior
        Prior of the replication's difference: normal, or a mixture of normals; score units.
    se : float
        Standard error that the replication will have.
    original : tuple of float, optional
        Estimate and standard error of the original study: adds the measures that compare with it.
    skeptic : Prior, optional
        Normal prior around 0: adds the Bayes factor against a skeptical mixture.
    mcid : float, optional
        Adds the probability of an estimate above it.

    Returns
    -------
    dict
        ``mean, sd, interval95`` of the estimate, and probabilities: ``same_sign``; ``p_below_05``
        (two-sided P in the same direction); ``estimate_above_mcid``; ``sceptical_p`` by
        calibration; ``bayes_factor`` and ``skeptical_mixture`` by level. Direction is that of the
        original, else of benefit.

    Raises
    ------
    SpecError
        If the prior is not normal or a standard error is not positive.

    Examples
    --------
    >>> found = predict_replication(normal(8.6, 3.893), se=3.893, original=(8.6, 3.893))
    >>> round(found["p_below_05"], 3), round(found["same_sign"], 3)
    (0.57, 0.941)
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
