"""Printed rows of one analysis against each other: subscales and their total, mediator and effect.

Sums of the subscales' estimates and the correlation that their errors imply; the difference that is
adjusted for a mediator against the total and the mediator's own.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from bayes_ptsd.audit.finding import Figure, Finding, Section, printed_rows, severity_of
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.intervals import rounding_box
from bayes_ptsd.evidence.measured_rows import of_scores

__all__ = ["check_mediation", "check_subscales", "mean_correlation"]

VARIANTS = {"as_printed": False, "corrected": True}


def mean_correlation(total_se: float, part_se: np.ndarray) -> float:
    """Return the common correlation of parts with which their sum has the SE of the total."""
    squares, products = float(part_se @ part_se), float(part_se.sum()) ** 2
    return (total_se**2 - squares) / (products - squares)


def check_subscales(evidence: Evidence) -> Section:
    """Compare the subscales of an outcome with its total, in each analysis, printed and corrected.

    An endpoint is a subscale if its id begins with the id of another endpoint and an underscore.
    """
    records: list[dict[str, Figure]] = []
    for variant, corrected in VARIANTS.items():
        rows = printed_rows(evidence, corrected=corrected)
        kept = np.isfinite(rows["ci_low"].values) & of_scores(rows, logarithms=False)
        rows = rows.isel(contrast=kept)
        for analysis in np.unique(rows["analysis"].values).tolist():
            here = rows.isel(contrast=rows["analysis"].values == analysis)
            for total in evidence.trial.endpoints:
                record = _sum_record(here, total, analysis)
                if record and not (corrected and _same_sum(records, record)):
                    records.append({**record, "variant": variant})
    findings = [_sum_finding(record) for record in records]
    return Section("subscales", _sum_table(records), findings)


def _sum_record(here: xr.Dataset, total: str, analysis: str) -> dict[str, Figure] | None:
    """Return sum and implied correlation of one total in one analysis, if the parts are there."""
    names = here["endpoint"].values.tolist()
    parts = [i for i, name in enumerate(names) if name.startswith(f"{total}_")]
    if names.count(total) != 1 or len(parts) < 2:
        return None
    whole, part = here.isel(contrast=names.index(total)), here.isel(contrast=parts)
    low, high = rounding_box(part["estimate"].values, part["estimate_decimals"].values)
    total_box = rounding_box(float(whole["estimate"]), int(whole["estimate_decimals"]))
    return {
        "total": total,
        "analysis": analysis,
        "rows": ", ".join([str(whole["contrast"].item()), *part["contrast"].values.tolist()]),
        "sum": float(part["estimate"].sum()),
        "sum_low": float(low.sum()),
        "sum_high": float(high.sum()),
        "estimate": float(whole["estimate"]),
        "adds_up": bool(low.sum() <= total_box[1] + 1e-9 and high.sum() >= total_box[0] - 1e-9),
        "se": float(whole["se"]),
        "correlation": mean_correlation(float(whole["se"]), part["se"].values),
    }


def _same_sum(records: list[dict[str, Figure]], record: dict[str, Figure]) -> bool:
    """Tell whether the same rows have been compared before."""
    return any(other["rows"] == record["rows"] for other in records)


def _sum_finding(record: dict[str, Figure]) -> Finding:
    """Return the finding on one sum."""
    possible = -0.5 <= float(record["correlation"] or 0) <= 1
    name = f"{record['total']}.{record['analysis']}.{record['variant']}"
    text = (
        f"{record['analysis']}: the subscale estimates sum to {record['sum']:.3g}, the total is "
        f"{record['estimate']:.3g}; the standard errors imply a mean correlation of "
        f"{record['correlation']:.2f} between subscale estimates"
    )
    text += "" if record["adds_up"] else "; the sums differ by more than rounding"
    text += "" if possible else "; no set of estimates has such a correlation"
    return Finding(
        f"subscales.{name}", "subscales", severity_of(bool(record["adds_up"]) and possible),
        str(record["rows"]), f"{text}.", record,
    )  # fmt: skip


def _sum_table(records: list[dict[str, Figure]]) -> xr.Dataset | None:
    """Return the records along `comparison`."""
    if not records:
        return None
    labels = [f"{r['total']}.{r['analysis']}.{r['variant']}" for r in records]
    columns = {name: ("comparison", [r[name] for r in records]) for name in records[0]}
    return xr.Dataset(columns, {"comparison": labels})


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
        record = _mediation_record(every, covariate)
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
    return Section("mediation", table, [_mediation_finding(record) for record in records])


def _mediation_record(every: xr.Dataset, covariate: xr.Dataset) -> dict[str, Figure] | None:
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


def _mediation_finding(record: dict[str, Figure]) -> Finding:
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
