"""What a replication that was done says about the original: one estimate beside another.

Both estimates are normal with a known standard error (convention N), on the scale of the analysis:
a ratio enters as its logarithm. `c` is the variance of the original over that of the replication.

References
----------
.. [1] Pawel S, Held L. The sceptical Bayes factor for the assessment of replication success.
   Journal of the Royal Statistical Society B 2022;84(3):879-911.
.. [2] Verhagen J, Wagenmakers EJ. Bayesian tests to quantify the result of a replication attempt.
   Journal of Experimental Psychology: General 2014;143(4):1457-1475.
.. [3] Patil P, Peng RD, Leek JT. What should researchers expect when they replicate studies? A
   statistical view of replicability in psychological science. Perspectives on Psychological
   Science 2016;11(4):539-544.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from scipy import special

from bayes_ptsd.credibility.bayes_factors import bayes_factor_10
from bayes_ptsd.credibility.catalog import SOURCES, Quantity
from bayes_ptsd.credibility.replication import SCEPTICAL_CALIBRATIONS, sceptical_p_value
from bayes_ptsd.errors import SpecError
from bayes_ptsd.evidence.intervals import interval, p_value, se_from_interval
from bayes_ptsd.priors import FloatArray, normal

__all__ = ["REPLICATION_QUANTITIES", "replication_document", "sceptical_bayes_factor"]

# Relative variances of the skeptical prior at which its two Bayes factors are compared, before the
# crossing is found between two of them: both are smooth in its logarithm, and cross once or twice.
PRIORS = 2001
OTHER_SIGN = "the replication points the other way"

REPLICATION_QUANTITIES: Mapping[str, Quantity] = {
    "estimate": Quantity("replication estimate", "as printed", unit="score"),
    "se": Quantity("standard error", "(U - L) / (2 x 1.959964)", unit="score"),
    "relative_size": Quantity("relative size c", "so^2 / sr^2"),
    "relative_effect": Quantity(
        "relative effect", "replication / original", undefined="the original estimate is 0"
    ),
    "one_sided_p": Quantity(
        "one-sided P of the replication, direction of the original",
        "1 - Phi(zr sign(zo))",
        undefined="the original estimate is 0 and has no direction",
    ),
    "sceptical_p": Quantity(
        "one-sided sceptical P",
        "1 - Phi(zS) (nominal), 1 - Phi(1.272 zS) (golden), sqrt(P0(ZS >= zS))/2 (controlled)",
        "held2020, held2022, micheloud2023",
        OTHER_SIGN,
    ),
    "replication_bayes_factor": Quantity(
        "replication Bayes factor, as in the original over no difference",
        "f(replication | N(original, so^2)) / f(replication | 0)",
        "verhagen2014",
    ),
    "sceptical_bayes_factor": Quantity(
        "sceptical Bayes factor, success below 1",
        "least BF of 0 over the skeptic in the original that the replication's BF of the skeptic "
        "over the original does not exceed",
        "pawel2022",
        "the replication does not convince a skeptic of any kind",
    ),
    "prediction_low": Quantity(
        "95% prediction interval, lower", "original - 1.96 sqrt(so^2 + sr^2)", "patil2016",
        unit="score",
    ),
    "prediction_high": Quantity(
        "95% prediction interval, upper", "original + 1.96 sqrt(so^2 + sr^2)", "patil2016",
        unit="score",
    ),
    "prediction": Quantity(
        "replication estimate and the prediction interval", "inside or outside", "patil2016"
    ),
    "difference_p": Quantity(
        "two-sided P of no difference between the studies",
        "2 (1 - Phi(|replication - original| / sqrt(so^2 + sr^2)))",
        "patil2016",
    ),
}  # fmt: skip


def replication_document(
    original: tuple[float, float, float], replication: tuple[float, float, float]
) -> dict[str, Any]:
    """Return what a replication says about the original as a JSON-safe document.

    Both are estimate, lower and upper 95% limit; a value that is missing is None, with the reason
    in its ``note``.
    """
    (one, so), (two, sr) = (
        _with_error(original, "original"),
        _with_error(replication, "replication"),
    )
    items = list(_items(_figures(one, so, two, sr)))
    used = {key for item in items for key in item["source"].split(", ") if key}
    return {
        "input": {"estimate": two, "ci95": list(replication[1:])},
        "quantities": items,
        "sources": {key: SOURCES[key] for key in sorted(used)},
    }


def sceptical_bayes_factor(zo: float, zr: float, *, c: float) -> float:
    """Return the sceptical Bayes factor [1]_, NaN where there is none.

    A skeptic's prior ``N(0, g so^2)`` has in the original the Bayes factor ``BF0S = sqrt(1 + g)
    exp(-g zo^2 / (2 (1 + g)))`` of no difference over it, which falls until ``g = zo^2 - 1``. The
    replication succeeds at that level if its own Bayes factor of the skeptic over the original's
    posterior, ``BFSA``, is not above it; the result is the least such level.
    """
    widest = max(zo**2 - 1, 0.0)
    if _gap(np.array(widest), zo, zr, c) <= 0:
        return float(np.exp(_log_objection(np.array(widest), zo)))
    grid = np.expm1(np.linspace(0, math.log1p(widest), PRIORS))
    convinced = np.flatnonzero(_gap(grid, zo, zr, c) <= 0)
    if not len(convinced):
        return math.nan
    place = convinced[-1]
    bracket = (grid[place], grid[place + 1])
    from scipy.optimize import elementwise

    root = elementwise.find_root(lambda g: _gap(g, zo, zr, c), bracket).x
    return float(np.exp(_log_objection(root, zo)))


def _log_objection(g: FloatArray, zo: float) -> FloatArray:
    """Return log BF0S of the original: no difference over a skeptic of relative variance `g`."""
    return np.asarray(0.5 * np.log1p(g) - 0.5 * g / (1 + g) * zo**2)


def _gap(g: FloatArray, zo: float, zr: float, c: float) -> FloatArray:
    """Return log BFSA of the replication minus log BF0S of the original: below 0 is success."""
    # in units of the replication's standard error: skeptic's and advocate's predictive variances
    skeptic, advocate = 1 + c * g, 1 + c
    shift = zr - zo * math.sqrt(c)
    log_ratio = 0.5 * (np.log(advocate / skeptic) - zr**2 / skeptic + shift**2 / advocate)
    return np.asarray(log_ratio - _log_objection(g, zo))


def _with_error(printed: tuple[float, float, float], name: str) -> tuple[float, float]:
    """Return estimate and standard error of a printed interval."""
    estimate, low, high = printed
    if not (all(map(math.isfinite, printed)) and low < high and low <= estimate <= high):
        raise SpecError(
            f"{name}: estimate {estimate:g} with limits {low:g} and {high:g}; give the lower limit "
            "first, and an estimate between the limits"
        )
    return estimate, float(se_from_interval(low, high))


def _figures(one: float, so: float, two: float, sr: float) -> dict[str, Any]:
    """Return every measure of an original estimate and its replication."""
    zo, zr, c, spread = one / so, two / sr, (so / sr) ** 2, math.hypot(so, sr)
    low, high = map(float, interval(one, spread))
    alike = zo * zr > 0
    return {
        "estimate": two,
        "se": sr,
        "relative_size": c,
        "relative_effect": two / one if one else math.nan,
        "one_sided_p": float(special.ndtr(-math.copysign(zr, zo * zr))) if one else math.nan,
        "sceptical_p": {
            name: sceptical_p_value(zo, zr, c=c, calibration=name) if alike else math.nan
            for name in SCEPTICAL_CALIBRATIONS
        },
        "replication_bayes_factor": bayes_factor_10(normal(one, so), normal(two, sr)),
        "sceptical_bayes_factor": sceptical_bayes_factor(zo, zr, c=c),
        "prediction_low": low,
        "prediction_high": high,
        "prediction": "inside" if low <= two <= high else "outside",
        "difference_p": float(p_value(two - one, spread)),
    }


def _items(figures: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield one entry per figure."""
    for name, found in figures.items():
        one = REPLICATION_QUANTITIES[name]
        for label, value in found.items() if isinstance(found, dict) else [("", found)]:
            said = value if isinstance(value, str) or math.isfinite(value) else None
            yield {
                "name": name,
                "label": ", ".join(filter(None, (one.label, label))),
                "value": said,
                "unit": one.unit,
                "formula": one.formula,
                "source": one.source,
                "note": one.undefined if said is None else "",
            }
