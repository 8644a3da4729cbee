"""Adjustment for a mediator: the adjusted difference against the total and the mediator's own."""

from __future__ import annotations

import numpy as np
import xarray as xr

from bayes_ptsd.audit.finding import Figure, Finding, Section, printed_rows, severity_of
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.intervals import rounding_box

__all__ = ["check_mediation"]


def check_mediation(evidence: Evidence) -> Section:
    """Compare total minus adjusted difference with the path through the mediator, score units.

    A covariate whose term is an endpoint and a time, such as ``madrs_24h``, is a mediator if that
    endpoint has a first-period row at that time. In a linear model the difference removed by the
    adjustment is the coefficient of the mediator times the difference in the mediator.
    """
    every = printed_rows(evidence, corrected=True, treatment_only=False)
    records = []
    for index in np.flatnonzero(every["analysis"].values == "first_period_adjusted").tolist():
        covariate = every.isel(contrast=index)
        record = _record(every, covariate)
        if record:
            records.append(record)
    if not records:
        return Section("mediation", None, [])
    table = xr.Dataset(
        {
            key: ("mediator", [record[key] for record in records])
            for key in records[0]
            if key not in ("mediator", "place")
        },
        {"mediator": [record["mediator"] for record in records]},
    )
    return Section("mediation", table, [_finding(record) for record in records])


def _record(every: xr.Dataset, covariate: xr.Dataset) -> dict[str, Figure] | None:
    """Return the arithmetic of one mediator, if every row it needs is printed."""
    endpoint, time = str(covariate["endpoint"].item()), str(covariate["timepoint"].item())
    mediator = str(covariate["term"].item()).removesuffix(f"_{time}")
    total = _one(every, endpoint=endpoint, analysis="first_period", timepoint=time)
    adjusted = _one(
        every, endpoint=endpoint, analysis="first_period_adjusted", timepoint=time, term="treatment"
    )
    path = _one(every, endpoint=mediator, analysis="first_period", timepoint=time)
    if total is None or adjusted is None or path is None:
        return None
    boxes = [_box(row) for row in (total, adjusted, covariate, path)]
    corners = [a * b for a in boxes[2] for b in boxes[3]]
    slope, df = float(covariate["estimate"]), float(covariate["df"])
    t = slope / float(covariate["se"])
    return {
        "mediator": mediator,
        "total": float(total["estimate"]),
        "adjusted": float(adjusted["estimate"]),
        "removed": float(total["estimate"]) - float(adjusted["estimate"]),
        "removed_low": boxes[0][0] - boxes[1][1],
        "removed_high": boxes[0][1] - boxes[1][0],
        "slope": slope,
        "mediator_difference": float(path["estimate"]),
        "indirect": slope * float(path["estimate"]),
        "indirect_low": min(corners),
        "indirect_high": max(corners),
        "partial_correlation": t / float(np.sqrt(t**2 + df)),
        "se_total": float(total["se"]),
        "place": ", ".join(
            str(row["contrast"].item()) for row in (total, adjusted, covariate, path)
        ),
    }


def _one(every: xr.Dataset, **labels: str) -> xr.Dataset | None:
    """Return the only row with these labels."""
    keep = np.ones(every.sizes["contrast"], dtype=bool)
    for name, label in labels.items():
        keep &= every[name].values == label
    return every.isel(contrast=int(np.flatnonzero(keep)[0])) if keep.sum() == 1 else None


def _box(row: xr.Dataset) -> tuple[float, float]:
    """Return the rounding box of an estimate."""
    low, high = rounding_box(float(row["estimate"]), int(row["estimate_decimals"]))
    return float(low), float(high)


def _finding(record: dict[str, Figure]) -> Finding:
    """Return the finding on one mediator."""
    removed, indirect = float(record["removed"] or 0), float(record["indirect"] or 0)
    # the two models adjust for different baselines, so the identity need not hold to rounding
    close = abs(removed - indirect) < float(record["se_total"] or 0) / 2
    text = (
        f"Adjustment for {record['mediator']} takes {removed:.2f} off the difference "
        f"({record['total']:g} to {record['adjusted']:g}); its coefficient times its own "
        f"difference is {indirect:.2f} ({record['slope']:g} x {record['mediator_difference']:g}). "
        f"Its partial correlation with the outcome is {record['partial_correlation']:.2f}."
    )
    figures = {key: value for key, value in record.items() if key != "place"}
    severity = severity_of(close, otherwise="caution")
    return Finding(
        f"mediation.{record['mediator']}",
        "mediation",
        severity,
        str(record["place"]),
        text,
        figures,
    )
