"""Everything that one printed result of any measure says, as a document on its printed scale."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_ptsd.credibility.document import credibility_document
from bayes_ptsd.credibility.elicited import Beliefs, believed, in_words, prior_measure, scale_of
from bayes_ptsd.credibility.prior_plane import (
    Evidential,
    boundary_mean,
    interpolated,
    plane_sds,
    prob_beyond,
    sds_of_belief,
)
from bayes_ptsd.credibility.questions import (
    TAILS,
    Questions,
    absolute_answer,
    answers,
    benefit_curve,
    check_questions,
)
from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence.intervals import interval
from bayes_ptsd.evidence.measures import MEASURES, PrintedResult, bounded
from bayes_ptsd.exact.grid import GridPosterior, on_grid
from bayes_ptsd.exact.summary import grid_posterior
from bayes_ptsd.priors import FloatArray, Prior, reflected, student_t

if TYPE_CHECKING:
    pass

__all__ = [
    "claims_document",
    "result_document",
    "result_grid",
    "result_likelihood",
]

# Points of the curve of P(beyond t): from one to the next it moves by about a hundredth.
CURVE = 201
# Probabilities of the posteriors between which it runs; beyond, two digits say 0 or 1.
ENDS = np.array([0.0005, 0.9995])


def result_likelihood(result: PrintedResult) -> Prior:
    """Return the likelihood over the effect where it is analyzed, sign as printed.

    Normal, or Student-t with finite degrees of freedom; of counts the normal approximation on the
    scale of their prior.
    """
    return student_t(result.df, *scale_of(result))


def result_grid(result: PrintedResult, prior: Prior, answer: str) -> GridPosterior:
    """Return the posterior of a printed result on a grid, where `answer` is analyzed."""
    if result.counts is None:
        return grid_posterior(result_likelihood(result), prior)
    from bayes_ptsd.exact.two_binomials import counts_posterior

    return on_grid(
        counts_posterior(result.counts, prior, scale=prior_measure(result), answer=answer)
    )


def result_document(
    result: PrintedResult,
    *,
    beliefs: Beliefs | None = None,
    asked: Questions | None = None,
    answer: str = "",
    claims: Sequence[float] = (),
    claim_level: float = 0.95,
    relative_size: float = 1.0,
) -> dict[str, Any]:
    """Return all that a printed result says under every prior as a JSON-safe document.

    `asked` is on the printed scale of `answer`, `claims` (thresholds of the prior plane) on that of
    the prior. Measures of credibility come from the interval, on the scale of analysis and with
    benefit as positive.
    """
    asked = asked or Questions()
    answer = _answer(result, answer)
    check_questions(asked, result, answer)
    priors = believed(result, beliefs or Beliefs())
    posteriors = {_label(one): result_grid(result, one, answer) for one in priors}
    of = MEASURES[prior_measure(result)]
    return {
        "result": _described(result, answer),
        "priors": [
            {
                "prior": _label(one),
                "formula": one.formula,
                "table": one.table(),
                "words": in_words(one, of),
            }
            for one in priors
        ],
        "posteriors": [
            {"prior": _label(one), **answers(posteriors[_label(one)], result, asked, answer=answer),
             **_absolute(result, one, asked)}
            for one in priors
        ],
        "curve": _curve(result, posteriors, answer),
        "claims": claims_document(result, claims, claim_level, priors=priors),
        "credibility": _credibility(result, priors, relative_size),
    }  # fmt: skip


def _answer(result: PrintedResult, answer: str) -> str:
    """Return the measure of the answer; another than the printed one needs counts."""
    answer = answer or result.measure
    if answer == result.measure:
        return answer
    from bayes_ptsd.exact.two_binomials import ANSWERS

    if result.counts is None or answer not in ANSWERS:
        raise EvidenceError(
            f"an answer as '{answer}' needs counts of both arms, and is one of {', '.join(ANSWERS)}"
            "; a ratio with a control risk gives a risk difference"
        )
    return answer


def _label(prior: Prior) -> str:
    """Return the name of a prior for people: that of the family, else its formula."""
    return prior.formula if prior.name == "custom" else prior.name


def _described(result: PrintedResult, answer: str) -> dict[str, Any]:
    """Return what was printed and how it was read."""
    ends = interval(result.estimate, result.se, df=result.df)
    return {
        "measure": result.measure,
        "label": result.of.label,
        "answer": answer,
        "analyzed_as": "logarithm" if result.of.ratio else "difference",
        "null": result.of.null,
        "better": result.better,
        "better_is_default": result.assumed,
        "estimate": float(result.of.printed(result.estimate)),
        "ci95": [float(result.of.printed(end)) for end in ends],
        "analyzed_estimate": result.estimate,
        "se": result.se,
        "df": result.df if math.isfinite(result.df) else None,
        "se_source": result.source,
        "likelihood": result.likelihood,
        "prior_scale": _prior_scale(result),
        "counts": result.counts.text if result.counts else None,
    }


def _prior_scale(result: PrintedResult) -> dict[str, Any]:
    """Return what priors are of, with the estimate there."""
    measure, (estimate, se) = prior_measure(result), scale_of(result)
    return {
        "measure": measure,
        "label": MEASURES[measure].label,
        "null": MEASURES[measure].null,
        "analyzed_estimate": estimate,
        "se": se,
    }


def _absolute(result: PrintedResult, prior: Prior, asked: Questions) -> dict[str, Any]:
    """Return the risk difference and NNT of counts, unless a control risk is given for them."""
    if result.counts is None or asked.control_risk is not None:
        return {}
    exact = result_grid(result, prior, "rd")
    return {"absolute": absolute_answer(exact.quantile(TAILS), result.sign, "these patients")}


def _curve(
    result: PrintedResult, posteriors: Mapping[str, GridPosterior], answer: str
) -> dict[str, Any]:
    """Return P(benefit beyond t) under every prior over values that the posteriors reach."""
    measure = MEASURES[answer]
    ends = np.array([one.quantile(ENDS) for one in posteriors.values()])
    low, high = min(float(ends.min()), 0.0), max(float(ends.max()), 0.0)
    printed = np.asarray(measure.printed(np.linspace(low, high, CURVE)))
    return {
        "threshold": printed.tolist(),
        "prob_beyond": {
            name: benefit_curve(one, measure, result.sign, printed)
            for name, one in posteriors.items()
        },
    }


def claims_document(
    result: PrintedResult,
    thresholds: Sequence[float],
    level: float,
    *,
    priors: Sequence[Prior] = (),
) -> list[dict[str, Any]]:
    """Return which normal priors make each claim ``P(benefit beyond t) > level`` true.

    Thresholds are on the printed scale of the prior. Boundary means are on it and where the prior
    is a normal one; SDs are on the latter. `priors` are asked one by one as well.
    """
    if not thresholds:
        return []
    evidence, scale = _evidential(result), prior_measure(result)
    posteriors = {_label(one): result_grid(result, one, scale) for one in priors}
    return [
        _claim(result, evidence, one, level) | {"priors": _holders(result, posteriors, one, level)}
        for one in thresholds
    ]


def _holders(
    result: PrintedResult, posteriors: Mapping[str, GridPosterior], printed: float, level: float
) -> list[dict[str, Any]]:
    """Return what each prior makes of a claim."""
    measure, at = MEASURES[prior_measure(result)], np.array([printed])
    found = {
        name: benefit_curve(one, measure, result.sign, at)[0] for name, one in posteriors.items()
    }
    return [
        {"prior": name, "probability": one, "makes_claim": one > level}
        for name, one in found.items()
    ]


def _evidential(result: PrintedResult) -> Evidential:
    """Return the likelihood with benefit as positive."""
    if result.counts is None:
        return Evidential.of(_benefit_positive(result, result_likelihood(result)))
    estimate, se = scale_of(result)
    from bayes_ptsd.exact.two_binomials import counts_log_likelihood

    of_counts = counts_log_likelihood(result.counts, scale=prior_measure(result))

    def log_density(effect: FloatArray) -> FloatArray:
        return of_counts(result.sign * effect)

    return interpolated(log_density, result.sign * estimate, se)


def _benefit_positive(result: PrintedResult, prior: Prior) -> Prior:
    """Return a distribution with benefit as positive, under the name that it has as printed."""
    return prior if result.sign > 0 else reflected(prior).named(_label(prior), prior.source)


def _claim(
    result: PrintedResult, evidence: Evidential, printed: float, level: float
) -> dict[str, Any]:
    """Return the plane of one claim."""
    measure, sign = MEASURES[prior_measure(result)], result.sign
    threshold = sign * measure.analyzed(bounded(printed, "the threshold of a claim"))
    sds = plane_sds(evidence)
    boundary = np.array([boundary_mean(evidence, sd, threshold, level) for sd in sds])
    ranges = sds_of_belief(evidence, threshold, level, sds=sds, boundary=boundary)
    means = sign * boundary
    beyond = ">" if sign > 0 else "<"
    with np.errstate(over="ignore"):
        shown = np.asarray(measure.printed(means))
    return {
        "claim": f"P({prior_measure(result).upper()} {beyond} {printed:g}) > {level:g}",
        "threshold": printed,
        "level": level,
        "widest_prior_probability": prob_beyond(evidence, 0.0, float(sds[-1]), threshold),
        "prior_sd": sds.tolist(),
        "boundary_mean": means.tolist(),
        "boundary_mean_printed": [one if math.isfinite(one) else None for one in shown.tolist()],
        "holds_for_means": "above" if sign > 0 else "below",
        "neutral_prior_sd": [[low, high if math.isfinite(high) else None] for low, high in ranges],
        "who": _believers(ranges, measure.null),
    }


def _believers(ranges: Sequence[tuple[float, float]], null: float) -> str:
    """Say which priors that are centered on no effect make a claim."""
    if not ranges:
        return f"no prior centered on {null:g} makes this claim"
    if ranges[0] == (0.0, math.inf):
        return f"every prior centered on {null:g} makes this claim"
    parts = [
        f"above {low:.4g}" if math.isinf(high) else f"from {low:.4g} to {high:.4g}"
        for low, high in ranges
    ]
    return f"a prior centered on {null:g} makes this claim where its SD is {' or '.join(parts)}"


def _credibility(
    result: PrintedResult, priors: Sequence[Prior], relative_size: float
) -> dict[str, Any]:
    """Return the measures of credibility of the interval, benefit as positive."""
    likelihood = _benefit_positive(result, result_likelihood(result))
    low, high = likelihood.interval()
    return credibility_document(
        likelihood.params["mu"],
        low,
        high,
        df=result.df if math.isfinite(result.df) else None,
        priors=[_benefit_positive(result, one) for one in priors],
        relative_size=relative_size,
    )
