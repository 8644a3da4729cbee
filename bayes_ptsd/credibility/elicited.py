"""Priors from what people believe: a family, three by three from an MCID, a mass, a past estimate.

Every prior is on the scale on which a printed result is analyzed (the logarithm of a ratio) and has
the sign of print; what is believed is given on the printed scale.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy import special

from bayes_ptsd.credibility.assess import SCALE_FREE
from bayes_ptsd.credibility.replication import CRITICAL_Z
from bayes_ptsd.errors import SpecError, StatisticalWarning
from bayes_ptsd.evidence.measures import MEASURES, Measure, PrintedResult, bounded, printed_result
from bayes_ptsd.prior_family import PRIOR_FAMILY, resolve_prior
from bayes_ptsd.priors import Prior, normal, reflected

__all__ = [
    "STRENGTHS",
    "Beliefs",
    "believed",
    "historical_prior",
    "in_words",
    "mass_prior",
    "prior_measure",
    "scale_of",
    "three_by_three",
]

STRENGTHS: Mapping[str, tuple[float, float]] = {
    "strong": (0.05, 1.5),
    "moderate": (0.15, 2.0),
    "weak": (0.30, 3.0),
}
"""Of Zampieri's grid: what an optimist leaves to harm (a pessimist to benefit), and the ratio that
bounds the central 95% of a neutral prior, as printed reanalyses have them."""
# Standard errors within which a prior's mean is the trial's own estimate: print rounds a logarithm
# to two digits, which is less than this for a standard error above 0.1.
OWN = 0.05


@dataclass(frozen=True)
class Beliefs:
    """Which priors are asked for; values are on the printed scale."""

    priors: tuple[str | Prior, ...] = ()  # names of the family, or distributions where analyzed
    sd: float | None = None  # of the score, for the family
    mcid: float | None = None  # three by three
    mass: tuple[float, float, float] | None = None  # mean, t, P(beyond t)
    historical: tuple[float, float, float] | None = None  # estimate and its 95% interval
    discount: float = 1.0  # share of the historical trial


def believed(result: PrintedResult, beliefs: Beliefs) -> list[Prior]:
    """Return every prior that is asked for, flat before any that is made from a belief.

    Warned of: a prior centered on the trial's own estimate.
    """
    for value in (beliefs.sd, beliefs.mcid, *(beliefs.mass or ()), *(beliefs.historical or ())):
        bounded(value or 0.0, "a number of the prior")
    made: list[Prior] = []
    if beliefs.mcid is not None:
        made += three_by_three(result, beliefs.mcid)
    if beliefs.mass is not None:
        made.append(mass_prior(result, *beliefs.mass))
    if beliefs.historical is not None:
        made.append(historical_prior(result, *beliefs.historical, discount=beliefs.discount))
    named = beliefs.priors or (("flat",) if made and beliefs.sd is None else ())
    found = [*_family_priors(result, named, sd=beliefs.sd), *made]
    for prior in found:
        reflected(prior)  # refuses what lies on one side of 0
    _warn_of_double_use(result, found)
    return found


def prior_measure(result: PrintedResult) -> str:
    """Return the measure that priors are of: for counts with a risk difference, the odds ratio."""
    return "or" if result.counts is not None and result.measure == "rd" else result.measure


def scale_of(result: PrintedResult) -> tuple[float, float]:
    """Return estimate and standard error on the scale of the prior."""
    if result.counts is None:
        return result.estimate, result.se
    return result.counts.wald(prior_measure(result))


def _family_priors(
    result: PrintedResult, asked: Sequence[str | Prior], *, sd: float | None = None
) -> list[Prior]:
    """Return priors of the family and typed ones; `sd` is of the score, 1 where it is the unit.

    Names of the family have benefit as positive and are turned where lower values are better; typed
    ones are as print has it.
    """
    if sd is not None and result.of.ratio:
        raise SpecError(f"sd is of a score; a {result.of.label} has none")
    sd = 1.0 if result.measure == "smd" and sd is None else sd
    se = scale_of(result)[1]
    names = asked or (SCALE_FREE if sd is None else tuple(PRIOR_FAMILY))
    found = []
    for item in names:
        if isinstance(item, Prior):
            found.append(item)
            continue
        if sd is None and item in PRIOR_FAMILY and item not in SCALE_FREE:
            raise SpecError(
                f"prior '{item}' is a multiple of a score's SD: give it (--sd), or take a prior "
                "from an MCID (--mcid) or a mass (--prior-mass)"
            )
        prior = resolve_prior(item, sd=se if sd is None else sd, se=se)
        found.append(prior if result.sign > 0 else reflected(prior))
    return found


def three_by_three(result: PrintedResult, mcid: float) -> list[Prior]:
    """Return optimistic, neutral and pessimistic priors, each strong, moderate and weak [1]_.

    Optimists are centered on the smallest difference that matters, `mcid` on the printed scale, and
    leave .05, .15 or .30 to harm; pessimists mirror them. A neutral prior of a ratio has 95%
    within 1.5, 2 or 3 to either side; that of a difference has the optimist's SD.

    References
    ----------
    .. [1] Zampieri FG, Casey JD, Shankar-Hari M, Harrell FE, Harhay MO. Using Bayesian methods to
       augment the interpretation of critical care trials. American Journal of Respiratory and
       Critical Care Medicine 2021;203(5):543-552.
    """
    measure = MEASURES[prior_measure(result)]
    center = measure.analyzed(mcid)
    if not center * result.sign > 0:
        raise SpecError(
            f"MCID {mcid:g} is not on the side of benefit: with '{result.better}' better it is "
            f"{'above' if result.sign > 0 else 'below'} {measure.null:g}"
        )
    spreads = {
        name: abs(center) / -float(special.ndtri(left)) for name, (left, _) in STRENGTHS.items()
    }
    neutral = {
        name: math.log(limit) / CRITICAL_Z if measure.ratio else spreads[name]
        for name, (_, limit) in STRENGTHS.items()
    }
    centers = {"optimistic": (center, spreads), "neutral": (0.0, neutral),
               "pessimistic": (-center, spreads)}  # fmt: skip
    return [
        normal(middle, sds[strength]).named(f"{belief} {strength}", f"MCID {mcid:g}")
        for belief, (middle, sds) in centers.items()
        for strength in STRENGTHS
    ]


def mass_prior(result: PrintedResult, mean: float, threshold: float, probability: float) -> Prior:
    """Return the normal prior with a mean and P(benefit beyond threshold), on the printed scale."""
    measure = MEASURES[prior_measure(result)]
    center, beyond = measure.analyzed(mean), measure.analyzed(threshold)
    if not 0 < probability < 1:
        raise SpecError(f"a probability lies between 0 and 1, got {probability:g}")
    distance = result.sign * (beyond - center)
    score = -float(special.ndtri(probability))
    if not distance * score > 0:
        side = "below" if distance > 0 else "above"
        raise SpecError(
            f"no normal prior with mean {mean:g} has P(beyond {threshold:g}) = {probability:g}: "
            f"it must be {side} .5, and the threshold other than the mean"
        )
    text = f"P(beyond {threshold:g}) = {probability:g}"
    return normal(center, distance / score).named(f"mean {mean:g}, {text}", text)


def historical_prior(
    result: PrintedResult, estimate: float, low: float, high: float, *, discount: float = 1.0
) -> Prior:
    """Return an earlier trial's estimate with its 95% interval as a prior, at a share of its size.

    A `discount` of 0.5 counts half of its patients, a power prior: the variance is twice as large.
    """
    if not 0 < discount <= 1:
        raise SpecError(f"discount {discount:g}: give the share of the earlier trial, 0 to 1")
    row = {"measure": prior_measure(result), "estimate": estimate, "ci_low": low, "ci_high": high}
    past = printed_result(row)
    text = f"{estimate:g} ({low:g} to {high:g})"
    name = f"historical {text}" + (f", {discount:g} of it" if discount < 1 else "")
    return normal(past.estimate, past.se / math.sqrt(discount)).named(name, text)


def _warn_of_double_use(result: PrintedResult, priors: Sequence[Prior]) -> None:
    """Warn where a prior is centered on the trial's own estimate, or on its mirror image."""
    estimate, se = scale_of(result)
    centers = {prior.formula: prior.params.get("mu", 0.0) for prior in priors}
    own = [
        formula for formula, one in centers.items()
        if one and abs(abs(one) - abs(estimate)) <= OWN * se
    ]  # fmt: skip
    if own:
        warnings.warn(
            f"centered on the trial's own estimate, {estimate:.4g}, or on its mirror image: "
            f"{', '.join(own)}; the data are used twice",
            StatisticalWarning,
            stacklevel=2,
        )


def in_words(prior: Prior, measure: Measure) -> str:
    """Return a prior for people: its central 95% on the printed scale."""
    if not prior.proper:
        return "every value alike"
    low, high = (float(measure.printed(end)) for end in prior.interval())
    return f"95% within {low:.4g} to {high:.4g}"
