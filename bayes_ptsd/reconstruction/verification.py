"""Every printed number and claim against what reconstructed patients give.

A set of patients of which one number does not print as the paper has it is never used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import xarray as xr

from bayes_ptsd.audit.finding import printed_rows
from bayes_ptsd.audit.flow import total_count
from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.intervals import rounding_box
from bayes_ptsd.reconstruction.plan import Plan, plan_of
from bayes_ptsd.reconstruction.refit import Refits, Result

__all__ = ["Checked", "verified", "verify"]

Visits: TypeAlias = Mapping[str, tuple[Result, Mapping[str, float]]]
# two-sided, by which the paper calls an effect present or absent (item D.ALPHA of its design)
LEVEL = 0.05
# what a number at the end of its rounding box may miss in floating point
EDGE = 1e-9
LONGITUDINAL = "first_period_longitudinal"
ADJUSTED = "first_period_adjusted"


@dataclass(frozen=True)
class Checked:
    """One number: where it is printed, as what, and what the patients give, unrounded."""

    id: str
    quantity: str
    method: str
    printed: str
    recomputed: float
    agrees: bool


def verify(patients: Evidence, published: Evidence, *, plan: Plan | None = None) -> list[Checked]:
    """Recompute every printed number and claim from reconstructed patients.

    Effects by least squares and by REML, baseline means and SDs, scores inside their bounds; of
    endpoints reconstructed together also claims of the text and the flow of patients. Other
    evidence is refused.
    """
    if patients.kind != "reconstructed":
        raise EvidenceError(f"verify takes reconstructed patients; these are {patients.kind}")
    refits = Refits(patients)
    if plan is None:
        plan = plan_of(published, reading=refits.reading, flow_reading=refits.flow_reading)
    visits = {
        endpoint: refits.visits(endpoint)
        for endpoint, analysis in plan.rows
        if analysis == LONGITUDINAL
    }
    found = list(_effects(refits, plan, visits))
    found += _claims(refits, plan, visits)
    found += _baselines(refits, published, plan)
    found += _flow(refits, published, plan.threshold) if plan.joint else []
    return [*found, _whole(refits)]


def verified(patients: Evidence, published: Evidence) -> bool:
    """Tell whether every printed number comes out of reconstructed patients."""
    return all(checked.agrees for checked in verify(patients, published))


def _effects(refits: Refits, plan: Plan, visits: Visits) -> Iterator[Checked]:
    """Yield the printed effects that are matched, in the order of print."""
    effects = printed_rows(plan.evidence, corrected=True, treatment_only=False)
    matched = {row.id for row in (*plan.rows.values(), *plan.adjusted.values())}
    for contrast in effects["contrast"].values.tolist():
        row = effects.sel(contrast=contrast)
        endpoint, analysis = str(row["endpoint"].item()), str(row["analysis"].item())
        if contrast not in matched:
            continue
        if analysis in ("first_period", "parallel"):
            result = refits.first_period(endpoint, adjusted=plan.adjusts(endpoint))
            yield from _compared(row, "OLS", result)
        elif analysis == ADJUSTED:
            result = refits.adjusted(endpoint, plan.mediator, str(row["term"].item()))
            yield from _compared(row, "OLS, both baselines", result)
        elif analysis == LONGITUDINAL:
            yield from _compared(row, "REML over visits", visits[endpoint][0])
        elif analysis == "crossover":
            fewer = float(plan.completer.sum()) - 2
            if refits.reading != "carryover_covariate":
                result = refits.differences(endpoint, what="treatment")
                result = result.scaled(refits.printed)
                yield from _compared(row, "OLS of differences", result, fewer=fewer)
            yield from _compared(row, "REML over periods", refits.crossover(endpoint), fewer=fewer)


def _compared(
    row: xr.Dataset, method: str, result: Result, *, fewer: float | None = None
) -> Iterator[Checked]:
    """Yield the printed numbers of a row beside the recomputed ones, by the row's own t or normal.

    Where patients have nothing to analyze, its degrees of freedom are less by theirs: `fewer` are
    those of everybody rated twice.
    """
    lost = 0.0 if fewer is None else fewer - result.df
    result = replace(result, df=float(row["df"]) - lost)
    for quantity, value in result.numbers().items():
        digits = int(row[f"{quantity}_decimals"])
        if digits >= 0:
            yield _number(str(row["contrast"].item()), quantity, method,
                          float(row[quantity]), digits, value)  # fmt: skip


def _number(
    name: str, quantity: str, method: str, printed: float, digits: int, value: float
) -> Checked:
    """Return one number beside its printed form."""
    low, high = rounding_box(printed, digits)
    agrees = bool(low - EDGE <= value <= high + EDGE)
    return Checked(name, quantity, method, f"{printed:.{digits}f}", value, agrees)


def _claims(refits: Refits, plan: Plan, visits: Visits) -> Iterator[Checked]:
    """Yield what the text calls present, absent or unchanged, by its P value."""
    total, mediator = plan.total, plan.mediator
    for claim in plan.claims:
        if claim.analysis == LONGITUDINAL and claim.term != "treatment":
            for name in claim.endpoint.split(";"):
                p = visits[name][1][claim.term]
                yield _claim(f"{name} {claim.term}", claim.claim, "REML over visits", p)
        elif claim.analysis == ADJUSTED:
            product = ":" in claim.term
            p = refits.adjusted(total, mediator, claim.term, product=product).p
            yield _claim(f"{total} {claim.term}", claim.claim, "OLS, both baselines", p)
        elif claim.analysis == "effect_modifier":
            p = refits.modifier(total, mediator).p
            yield _claim(f"{total} {mediator}_baseline:treatment", claim.claim, "OLS", p)
        elif claim.analysis == "crossover" and claim.term in ("period", "carryover"):
            if claim.term == "carryover" or refits.reading != "carryover_covariate":
                p = refits.differences(claim.endpoint, what=claim.term).p
                yield _claim(f"{claim.endpoint} {claim.term}", claim.claim, "OLS", p)
        elif claim.claim == "unchanged":
            yield from _unchanged(refits, plan)


def _claim(name: str, claim: str, method: str, p: float) -> Checked:
    """Return one claim beside its P value."""
    agrees = p < LEVEL if claim == "present" else p >= LEVEL
    return Checked(name, "p_value", method, claim, p, bool(agrees))


def _unchanged(refits: Refits, plan: Plan) -> Iterator[Checked]:
    """Yield the crossover rows without the late patients: P on the same side of 5%."""
    for (endpoint, analysis), row in plan.rows.items():
        if analysis != "crossover":
            continue
        if refits.reading == "carryover_covariate":
            p, method = refits.crossover(endpoint, late=False).p, "REML over periods"
        else:
            p = refits.differences(endpoint, what="treatment", late=False).p
            method = "OLS of differences"
        side = "P < 0.05" if row.printed[3] < LEVEL else "P >= 0.05"
        agrees = (p < LEVEL) == (row.printed[3] < LEVEL)
        yield Checked(f"{row.id} without late patients", "p_value", method, side, p, agrees)


def _baselines(refits: Refits, published: Evidence, plan: Plan) -> Iterator[Checked]:
    """Yield the printed baseline means and SDs of endpoints."""
    if not plan.baselines:
        return
    table = published.data["baseline"].to_dataset()
    for index, endpoint in enumerate(table["endpoint"].values.tolist()):
        row = table.isel(characteristic=index)
        if endpoint not in plan.endpoints or row["kind"].item() != "mean_sd":
            continue
        for arm, first in ((0, 1.0), (1, 0.0)):
            scores = refits.baseline(str(endpoint))[refits.active[:, 0] == first]
            scores = scores[np.isfinite(scores)]
            values = {"n": len(scores), "value": scores.mean(), "spread": scores.std(ddof=1)}
            name = f"{row['characteristic'].item()} {row['treatment'].values[arm]}"
            for quantity, value in values.items():
                printed = float(row[quantity][arm])
                digits = int(row[f"{quantity}_decimals"][arm])
                yield _number(name, quantity, "count", printed, digits, float(value))


def _flow(refits: Refits, published: Evidence, limit: float) -> Iterator[Checked]:
    """Yield the counts of the flow that the scores show, by sequence."""
    flow = published.data["flow"].to_dataset()
    scored = refits.outcomes["value"].notnull().any(("visit", "endpoint"))
    names = map(str, refits.covariates.data_vars)
    again = refits.covariates[next(name for name in names if name.endswith("_2_weeks"))].values
    for sequence in refits.trial.sequences:
        here = refits.outcomes["sequence"].values == sequence
        counts = {
            "randomized": int((scored.sel(period=1).values & here).sum()),
            "completed_second": int((scored.sel(period=2).values & here).sum()),
            "remitted": int(((again < limit) & here).sum()),
        }
        for stage, count in counts.items():
            printed = total_count(flow, stage, sequence=sequence, reading=refits.flow_reading)
            yield _number(f"{sequence} {stage}", "count", "count", printed, 0, float(count))


def _whole(refits: Refits) -> Checked:
    """Return whether all scores with a range are whole numbers inside it."""
    outside = 0
    for name in ("value", "baseline"):
        for endpoint in map(str, refits.outcomes["endpoint"].values):
            limits = refits.trial.endpoint(endpoint).range
            values = refits.outcomes[name].sel(endpoint=endpoint).values
            values = values[np.isfinite(values)]
            if limits is None:
                continue
            low, high = limits
            outside += int(((values < low) | (values > high) | (values % 1 != 0)).sum())
    return Checked(
        "scores", "count", "not whole or out of bounds", "0", float(outside), not outside
    )
