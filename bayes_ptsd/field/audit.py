"""What the printed numbers of one study say about each other, whatever its measure.

Printed digits stand for every number that rounds to them. Only what no unrounded numbers allow is
reported, on the scale of analysis: the logarithm of ratios.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bayes_ptsd.audit.finding import SEVERITIES, Finding, Severity
from bayes_ptsd.evidence.intervals import critical_value, is_middle, p_value, rounding_box
from bayes_ptsd.evidence.measures import PrintedResult, printed_result
from bayes_ptsd.evidence.studies import Study

__all__ = ["audit_study", "worst"]

Box = tuple[float, float]
ARMS = ("mean_active", "sd_active", "n_active", "mean_control", "sd_control", "n_control")
# below every printed ratio, for the logarithm of what rounds to 0
LEAST = 1e-12


def audit_study(study: Study) -> list[Finding]:
    """Return what agrees and what does not among the printed numbers of a study.

    A finding each on the estimate in its interval, the interval and the standard error, P, and the
    estimate against counts and against arms; one that says so where nothing can be compared.
    """
    found = [*_interval_findings(study), *_p_finding(study), *_source_findings(study)]
    if found:
        return found
    text = f"one source, {study.result.source}, with nothing printed beside it to compare"
    return [_finding(study, "alone", "information", text)]


def worst(findings: list[Finding]) -> Finding:
    """Return the gravest of some findings, the first of equals."""
    return min(findings, key=lambda one: SEVERITIES.index(one.severity))


def _finding(study: Study, check: str, severity: Severity, text: str, **figures: Any) -> Finding:
    """Return a finding at a study."""
    place = f"{study.name} (line {study.line})"
    return Finding(f"{check}.{study.name}", check, severity, place, f"{text}.", figures)


def _graver(study: Study) -> Severity:
    """Return the severity of numbers that no Wald interval has: ratios print other intervals."""
    return "caution" if study.result.of.ratio else "contradiction"


def _has(study: Study, *names: str) -> bool:
    """Tell whether a study prints all of these."""
    return all(name in study.row for name in names)


def _box(study: Study, name: str) -> Box:
    """Return what rounds to a printed number, where it is analyzed."""
    ends = rounding_box(float(study.row[name]), study.decimals.get(name, -1))
    low, high = float(ends[0]), float(ends[1])
    if np.isnan(low):
        low = high = float(study.row[name])
    if not study.result.of.ratio or name in ("se", "p_value"):
        return low, high
    return float(np.log(max(low, LEAST))), float(np.log(max(high, LEAST)))


def _interval_findings(study: Study) -> list[Finding]:
    """Return whether the estimate is the middle, and whether the width is that of the SE."""
    if not _has(study, "estimate", "ci_low", "ci_high"):
        return []
    row = study.row
    middle = is_middle(
        row["estimate"], row["ci_low"], row["ci_high"], logarithms=study.result.of.ratio
    )
    numbers = f"{row['estimate']:g} ({row['ci_low']:g} to {row['ci_high']:g})"
    scale = " on the log scale" if study.result.of.ratio else ""
    text = f"the estimate {'is' if middle else 'is not'} the middle of {numbers}{scale}"
    found = [_finding(study, "middle", "consistent" if middle else _graver(study), text)]
    if _has(study, "se"):
        wide, se = _se_of_interval(study), _box(study, "se")
        agree = _meet(wide, se)
        text = f"the width gives a standard error of {_range(wide)}, printed {row['se']:g}"
        found.append(_finding(study, "se", "consistent" if agree else _graver(study), text))
    return found


def _se_of_interval(study: Study) -> Box:
    """Return the standard errors that the printed limits allow."""
    low, high = _box(study, "ci_low"), _box(study, "ci_high")
    level, df = float(study.row.get("level", 0.95)), study.result.df
    quantile = 2 * float(critical_value(df=df, level=level))
    return max(high[0] - low[1], LEAST) / quantile, (high[1] - low[0]) / quantile


def _p_finding(study: Study) -> list[Finding]:
    """Return whether P is that of the estimate over its standard error."""
    if not _has(study, "estimate", "p_value"):
        return []
    if _has(study, "ci_low", "ci_high"):
        se = _se_of_interval(study)
    elif _has(study, "se"):
        se = _box(study, "se")
    else:
        return []
    estimate = _box(study, "estimate")
    sizes = sorted(map(abs, estimate))
    least = 0.0 if estimate[0] <= 0 <= estimate[1] else sizes[0]
    df, printed = study.result.df, _box(study, "p_value")
    given = (
        float(p_value(sizes[1], max(se[0], LEAST), df=df)),
        float(p_value(least, max(se[1], LEAST), df=df)),
    )
    agree = _meet(given, printed)
    text = f"estimate and precision give P {_range(given)}, printed {study.row['p_value']:g}"
    return [_finding(study, "p", "consistent" if agree else _graver(study), text)]


def _source_findings(study: Study) -> list[Finding]:
    """Return whether counts and arms make the printed estimate; adjusted ones differ."""
    if not _has(study, "estimate"):
        return []
    found = []
    for name, words, keys in (("counts", "the counts", ("counts",)), ("arms", "both arms", ARMS)):
        if not _has(study, *keys):
            continue
        made = printed_result({"measure": study.result.measure, **{k: study.row[k] for k in keys}})
        agree = _meet(_box(study, "estimate"), (made.estimate, made.estimate))
        text = (
            f"{words} give {_printed(made):.4g}, printed {study.row['estimate']:g}"
            + ("" if agree else f": adjusted, of other patients, or an error; {words} are analyzed")
        )  # fmt: skip
        found.append(_finding(study, name, "consistent" if agree else "caution", text))
    return found


def _printed(result: PrintedResult) -> float:
    """Return an estimate on the printed scale."""
    return float(result.of.printed(result.estimate))


def _meet(one: Box, other: Box) -> bool:
    """Tell whether two ranges have a number in common, but for binary arithmetic."""
    slack = 1e-9 * (1 + max(map(abs, (*one, *other))))
    return one[0] <= other[1] + slack and other[0] <= one[1] + slack


def _range(box: Box) -> str:
    """Return a range in words, one number where its ends print alike."""
    low, high = f"{box[0]:.3g}", f"{box[1]:.3g}"
    return low if low == high else f"{low} to {high}"
