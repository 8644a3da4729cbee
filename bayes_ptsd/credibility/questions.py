"""What is asked of the posterior of a printed result, answered on the printed scale."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from bayes_ptsd.errors import SpecError
from bayes_ptsd.evidence.measures import MEASURES, Measure, PrintedResult, bounded
from bayes_ptsd.exact.grid import GridPosterior
from bayes_ptsd.priors import FloatArray

__all__ = ["Questions", "absolute_answer", "answers", "benefit_curve", "check_questions"]

# Median and ends of the central 95%.
TAILS = np.array([0.5, 0.025, 0.975])


@dataclass(frozen=True)
class Questions:
    """What is asked, on the printed scale of the answer."""

    thresholds: tuple[float, ...] = ()  # P(beyond t), in the direction of benefit
    rope: tuple[float, float] | None = None  # limits of equivalence
    margin: float | None = None  # of non-inferiority, on the side of harm
    control_risk: float | None = None  # at which ratios become risk differences


def check_questions(asked: Questions, result: PrintedResult, answer: str) -> None:
    """Refuse questions that have no answer on the scale of `answer`."""
    measure, sign = MEASURES[answer], result.sign
    for value in (*asked.thresholds, *(asked.rope or ())):
        measure.analyzed(bounded(value, "a threshold or limit"))
    if asked.rope is not None and not asked.rope[0] < asked.rope[1]:
        raise SpecError(f"ROPE {asked.rope[0]:g} to {asked.rope[1]:g}: the lower limit comes first")
    if asked.margin is not None and not measure.analyzed(asked.margin) * sign < 0:
        raise SpecError(
            f"margin {asked.margin:g} is not on the side of harm: with '{result.better}' better "
            f"it is {'below' if sign > 0 else 'above'} {measure.null:g}; for benefit ask "
            "--threshold"
        )
    if asked.control_risk is None:
        return
    if not 0 < asked.control_risk < 1:
        raise SpecError(f"control risk {asked.control_risk:g}: give a risk between 0 and 1")
    if answer not in RISK_OF:
        raise SpecError(
            f"a {measure.label} and a control risk make no other risk: that needs an odds, risk or "
            "hazard ratio"
        )


def answers(
    exact: GridPosterior, result: PrintedResult, asked: Questions, *, answer: str
) -> dict[str, Any]:
    """Return everything that is asked of one posterior, on the printed scale of `answer`."""
    measure, beyond = MEASURES[answer], _beyond(exact, MEASURES[answer], result.sign)
    median, low, high = map(float, measure.printed(exact.quantile(TAILS)))
    if not all(map(math.isfinite, (median, low, high))):
        raise SpecError(
            f"the posterior of the {measure.label} lies beyond every number; is a prior typed that "
            "is not one of its logarithm?"
        )
    found: dict[str, Any] = {
        "median": median,
        "eti95": [low, high],
        "prob_benefit": beyond(measure.null),
        "beyond": [{"threshold": t, "probability": beyond(t)} for t in asked.thresholds],
    }
    if asked.rope is not None:
        found["rope"] = _rope(beyond, asked.rope, result.sign)
    if asked.margin is not None:
        found["noninferiority"] = {"margin": asked.margin, "probability": beyond(asked.margin)}
    if asked.control_risk is not None:
        risk, control = RISK_OF[answer], asked.control_risk
        ends = np.array([median, low, high])
        found["absolute"] = absolute_answer(
            risk(control, ends) - control, result.sign, f"control risk {control:g}"
        )
    return found


def _beyond(exact: GridPosterior, measure: Measure, sign: int) -> Callable[[float], float]:
    """Return the probability of benefit beyond a printed value as a function of it."""

    def probability(threshold: float) -> float:
        below = float(exact.below(measure.analyzed(threshold)))
        return 1 - below if sign > 0 else below

    return probability


def _rope(
    beyond: Callable[[float], float], limits: tuple[float, float], sign: int
) -> dict[str, Any]:
    """Return the probabilities inside and on both sides of a range of equivalence."""
    worse, better = limits if sign > 0 else limits[::-1]
    harm, benefit = 1 - beyond(worse), beyond(better)
    return {
        "limits": list(limits),
        "inside": max(1 - harm - benefit, 0.0),
        "better": benefit,
        "worse": harm,
    }


def _risk_of_odds(control: float, ratio: FloatArray) -> FloatArray:
    """Return the risk whose odds are a ratio times those of the control risk."""
    return np.asarray(special.expit(special.logit(control) + np.log(ratio)))


def _risk_of_risk(control: float, ratio: FloatArray) -> FloatArray:
    """Return the risk that is a ratio times the control risk, at most 1."""
    return np.minimum(control * ratio, 1.0)


def _risk_of_hazard(control: float, ratio: FloatArray) -> FloatArray:
    """Return the risk by the same time where hazards are proportional."""
    return np.asarray(-np.expm1(ratio * math.log1p(-control)))


RISK_OF: dict[str, Callable[[float, FloatArray], FloatArray]] = {
    "or": _risk_of_odds, "rr": _risk_of_risk, "hr": _risk_of_hazard
}  # fmt: skip
"""The active risk at a control risk and a ratio, by the measure."""


def absolute_answer(difference: FloatArray, sign: int, at: str) -> dict[str, Any]:
    """Return median and 95% limits of a risk difference, each with its number needed to treat.

    Of benefit or harm, whichever the difference is; there is none at a difference of 0.
    """
    median, low, high = map(float, difference)
    return {
        "at": at,
        "risk_difference": {"median": median, "eti95": [low, high]},
        "nnt": [_needed(one, sign) for one in (median, low, high)],
    }


def _needed(difference: float, sign: int) -> dict[str, Any]:
    """Return the number needed to treat for one more benefit or harm."""
    return {
        "number": 1 / abs(difference) if difference else None,
        "for_one_more": "benefit" if difference * sign > 0 else "harm",
    }


def benefit_curve(
    exact: GridPosterior, measure: Measure, sign: int, printed: FloatArray
) -> list[float]:
    """Return P(benefit beyond t) at many printed values."""
    below = exact.below(np.log(printed) if measure.ratio else printed)
    return [float(one) for one in (1 - below if sign > 0 else below)]
