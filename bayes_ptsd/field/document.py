"""A field of trials as a document: each study by itself, all pooled, each predicted by the others.

Estimates are pooled where they are analyzed (logarithms of ratios), positive = active treatment
better, with normal likelihoods that have each study's 95% interval; results come back on the
printed scale of the measure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bayes_ptsd.credibility.any_result import result_grid
from bayes_ptsd.credibility.elicited import Beliefs, believed
from bayes_ptsd.credibility.questions import Questions, answers
from bayes_ptsd.errors import EvidenceError, SpecError
from bayes_ptsd.evidence.intervals import critical_value, interval
from bayes_ptsd.evidence.measures import PrintedResult
from bayes_ptsd.evidence.studies import Studies, Study
from bayes_ptsd.exact.history import Heterogeneity, HistoricalTrials, normal_trials
from bayes_ptsd.exact.meta import map_posterior, normal_mixtures
from bayes_ptsd.exact.mixture import Mixture
from bayes_ptsd.exact.scores import crps_mixture, log_score_mixture
from bayes_ptsd.field.audit import audit_study, worst
from bayes_ptsd.priors import FloatArray, Prior

__all__ = [
    "LEVELS",
    "default_heterogeneity",
    "field_document",
    "field_rows",
    "history_of",
    "pooled_se",
]

LEVELS = (0.5, 0.8, 0.95)
"""Levels of the central predictive intervals whose coverage is counted."""
LOG_RATIO_SCALE = 0.5
"""Of the half-normal sd between trials of log ratios: at the scale 95% of trials are within
a factor of 2.7 of their mean; one of the weakly informative choices of [1]_.

References
----------
.. [1] Röver C, Bender R, Dias S, Schmid CH, Schmidli H, Sturtz S, Weber S, Friede T. On weakly
   informative prior distributions for the heterogeneity parameter in Bayesian random-effects
   meta-analysis. Research Synthesis Methods 2021;12:448-474.
"""
SD_SHARE = 0.25
"""Of the half-normal sd between trials of scores, in SDs of the score: that of a replication."""
# two-sided, as replications are judged
SIGNIFICANT = 0.05
# degrees of freedom below which a normal likelihood is visibly narrower than a t: 4% at the 95%
FEW = 30.0


@dataclass(frozen=True)
class Scale:
    """From the scale of analysis, positive = active treatment better, to print."""

    of: Any  # `bayes_ptsd.evidence.measures.Measure`
    sign: int

    def printed(self, value: ArrayLike) -> FloatArray:
        """Return values as they are printed, refused where a ratio is beyond every number."""
        found = np.asarray(self.of.printed(self.sign * np.asarray(value, dtype=float)))
        if not np.isfinite(found).all():
            raise SpecError(
                f"the {self.of.label} of another trial lies beyond every number: give a smaller "
                "--heterogeneity, which is of its logarithm, as 'half-normal 0.5'"
            )
        return found

    def limits(self, ends: ArrayLike) -> list[float]:
        """Return an interval as it is printed, the lower limit first."""
        return sorted(self.printed(ends).tolist())


def default_heterogeneity(studies: Studies, sd: float | None) -> Heterogeneity:
    """Return the prior of the sd between trials where none is given, or ask for one.

    Half-normal: a quarter of the score's SD (`sd`; 1 for standardized differences), .5 for the
    logarithm of ratios.
    """
    measure = studies.measure
    if sd is not None and measure != "md":
        raise SpecError("sd is of the score of mean differences (md); give --heterogeneity")
    if measure == "smd":
        return Heterogeneity("half-normal", SD_SHARE)
    if studies.studies[0].result.of.ratio:
        return Heterogeneity("half-normal", LOG_RATIO_SCALE)
    if measure == "md" and sd is not None:
        return Heterogeneity("half-normal", SD_SHARE * sd)
    more = ", or --sd, of which a quarter is taken" if measure == "md" else ""
    raise SpecError(
        f"how much trials differ is in the unit of a {studies.studies[0].result.of.label}: give "
        f"--heterogeneity, as 'half-normal 2'{more}"
    )


def pooled_se(result: PrintedResult) -> float:
    """Return the standard error of the normal that has the 95% interval of a result."""
    return result.se * float(critical_value(df=result.df)) / float(critical_value())


def history_of(studies: Sequence[Study]) -> HistoricalTrials:
    """Return studies as normal trials where they are analyzed, positive = benefit."""
    return normal_trials(
        [one.name for one in studies],
        y=[one.estimate for one in studies],
        se=[pooled_se(one.result) for one in studies],
    )


def field_document(
    studies: Studies,
    *,
    heterogeneity: Heterogeneity,
    mean: Prior | None = None,
    new_se: float | None = None,
) -> dict[str, Any]:
    """Return a field of trials as a JSON-safe document on the printed scale of its measure.

    `mean` is the prior of the trials' mean, flat by default, and `heterogeneity` that of the sd
    between trials, both where the measure is analyzed and positive = benefit. `new_se` adds what a
    new trial with this standard error would print.
    """
    mean = mean or Prior("flat")
    first = studies.studies[0].result
    scale = Scale(first.of, first.sign)
    history = history_of(studies.studies)
    center, new = normal_mixtures(history, mean=mean, heterogeneity=heterogeneity)
    exact = map_posterior(history, mean=mean, heterogeneity=heterogeneity)
    low, middle, high = exact["tau_quantile"].values.tolist()
    left_out = _left_out(studies.studies, scale, mean, heterogeneity)
    return {
        "evidence_kind": "published",
        "file": studies.file,
        "measure": studies.measure,
        "label": first.of.label,
        "analyzed_as": "logarithm" if first.of.ratio else "difference",
        "null": first.of.null,
        "better": studies.better,
        "read": list(studies.notes),
        "left_out": list(studies.left_out),
        "priors": {"mean": mean.formula, "heterogeneity": heterogeneity.formula},
        "studies": [_study_document(one) for one in studies.studies],
        "field": {
            "mean": _described(center, scale),
            "heterogeneity": {"0.025": low, "0.5": middle, "0.975": high},
            "new_trial": _described(new, scale),
            "new_estimate": None if new_se is None else _new_estimate(new, scale, new_se),
        },
        "leave_one_out": left_out,
        "cannot_say": _cannot_say(studies.studies),
    }


def field_rows(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a field document as rows of a table, one a study."""
    left_out = {one["study"]: one for one in (document["leave_one_out"] or {}).get("trials", ())}
    rows = []
    for one in document["studies"]:
        flat, shrunken = one["posteriors"]["flat"], one["posteriors"]["cochrane"]
        other = left_out.get(one["study"], {})
        low, high = other.get("predicted95", (None, None))
        rows.append({
            "study": one["study"], "line": one["line"], "measure": document["measure"],
            "better": document["better"], "estimate": one["estimate"], "ci95_low": one["ci95"][0],
            "ci95_high": one["ci95"][1], "se_analyzed": one["se"],
            "prob_benefit_flat": flat and flat["prob_benefit"],
            "prob_benefit_cochrane": shrunken["prob_benefit"],
            "shrunken_median": shrunken["median"], "shrunken_low": shrunken["eti95"][0],
            "shrunken_high": shrunken["eti95"][1], "predicted_low": low, "predicted_high": high,
            **{key: other.get(key) for key in ("pit", "log_score", "crps")},
            "audit": one["audit_severity"], "audit_words": one["audit_worst"],
        })  # fmt: skip
    return rows


def _study_document(study: Study) -> dict[str, Any]:
    """Return one study by itself: print, audit, and its posteriors flat and shrunken."""
    result, findings = study.result, audit_study(study)
    ends = interval(result.estimate, result.se, df=result.df)
    return {
        "study": study.name,
        "line": study.line,
        "estimate": float(result.of.printed(result.estimate)),
        "ci95": [float(result.of.printed(end)) for end in ends],
        "benefit_analyzed": study.estimate,
        "se": result.se,
        "df": result.df if math.isfinite(result.df) else None,
        "se_source": result.source,
        "likelihood": result.likelihood,
        "audit": [{"check": f.check, "severity": f.severity, "statement": f.statement}
                  for f in findings],
        "audit_severity": worst(findings).severity,
        "audit_worst": worst(findings).statement,
        "posteriors": {name: _posterior(study, name) for name in ("flat", "cochrane")},
    }  # fmt: skip


def _posterior(study: Study, name: str) -> dict[str, Any] | None:
    """Return P(benefit), median and 95% interval under a prior; None where flat has none."""
    prior = believed(study.result, Beliefs(priors=(name,)))[0]
    try:
        exact = result_grid(study.result, prior, study.result.measure)
    except EvidenceError:
        # an arm without events, or without anything else, has no posterior under a flat prior
        if name == "flat":
            return None
        raise
    found = answers(exact, study.result, Questions(), answer=study.result.measure)
    return {key: found[key] for key in ("median", "eti95", "prob_benefit")}


def _described(found: Mixture, scale: Scale) -> dict[str, Any]:
    """Return median, central intervals and P(benefit) of a distribution."""
    tails = [(1 - level) / 2 for level in LEVELS]
    quantiles = found.quantile([0.5, *tails, *(1 - tail for tail in tails)])
    pairs = zip(LEVELS, quantiles[1:4], quantiles[4:], strict=True)
    return {
        "median": float(scale.printed(quantiles[0])),
        **{f"eti{100 * level:.0f}": scale.limits([low, high]) for level, low, high in pairs},
        "prob_benefit": _above(found, 0.0),
    }


def _above(found: Mixture, value: float) -> float:
    """Return the probability above a value."""
    return 1 - float(found.below(np.array([value]))[0])


def _new_estimate(new: Mixture, scale: Scale, se: float) -> dict[str, Any]:
    """Return what a new trial would print as its estimate."""
    if not (math.isfinite(se) and se > 0):
        raise SpecError(f"the standard error of the new trial must be above 0, got {se:g}")
    predicted = new.widened(se)
    needed = float(critical_value(level=1 - SIGNIFICANT)) * se
    return {"se": se, **_described(predicted, scale),
            f"prob_p_below_{SIGNIFICANT:g}": _above(predicted, needed)}  # fmt: skip


def _left_out(
    studies: Sequence[Study], scale: Scale, mean: Prior, heterogeneity: Heterogeneity
) -> dict[str, Any] | None:
    """Return each study predicted from the others, None where there are none."""
    if len(studies) < 2:
        return None
    trials = []
    for place, study in enumerate(studies):
        others = history_of([*studies[:place], *studies[place + 1 :]])
        new = normal_mixtures(others, mean=mean, heterogeneity=heterogeneity)[1]
        trials.append(_scored(study, new.widened(pooled_se(study.result)), scale))
    count = len(trials)
    return {
        "trials": trials,
        "coverage": [
            {
                "level": level,
                "inside": sum(abs(2 * one["pit"] - 1) <= level for one in trials),
                "of": count,
                "se_if_right": math.sqrt(level * (1 - level) / count),
            }
            for level in LEVELS
        ],
        "mean_log_score": float(np.mean([one["log_score"] for one in trials])),
        "mean_crps": float(np.mean([one["crps"] for one in trials])),
    }


def _scored(study: Study, predicted: Mixture, scale: Scale) -> dict[str, Any]:
    """Return one study's estimate against its predictive distribution, scores as analyzed."""
    found = _described(predicted, scale)
    return {
        "study": study.name,
        "estimate": float(scale.printed(study.estimate)),
        "predicted_median": found["median"],
        **{f"predicted{100 * level:.0f}": found[f"eti{100 * level:.0f}"] for level in LEVELS},
        "pit": float(predicted.below(np.array([study.estimate]))[0]),
        "log_score": log_score_mixture(predicted, study.estimate),
        "crps": crps_mixture(predicted, study.estimate),
    }


def _cannot_say(studies: Sequence[Study]) -> list[str]:
    """Return sentences on what so many studies of this kind cannot say."""
    said = []
    if len(studies) == 1:
        said.append(
            "one study: nothing predicts it, and how much trials differ is its prior alone, on "
            "which the width of a new trial's interval rests"
        )
    elif len(studies) == 2:
        said.append(
            "two studies: each is predicted from one other, and how much trials differ is hardly "
            "more than its prior; a coverage of two says nothing"
        )
    few = [one.name for one in studies if one.result.df < FEW]
    if few:
        said.append(
            f"pooled likelihoods are normal with the study's 95% interval, also where it has less "
            f"than {FEW:g} degrees of freedom ({', '.join(few)}), whose tails are longer"
        )
    empty = [one.name for one in studies if one.result.counts and _is_empty(one)]
    if empty:
        said.append(
            f"an arm without or with only events ({', '.join(empty)}): half a patient is added to "
            "every cell for the pooled estimate, and there is no posterior under a flat prior"
        )
    return said


def _is_empty(study: Study) -> bool:
    """Tell whether a cell of the counts is empty."""
    counts = study.result.counts
    if counts is None:
        return False
    active, control = counts.events_active, counts.events_control
    return not (0 < active < counts.n_active and 0 < control < counts.n_control)
