"""Subscales against their total: sums of estimates, and the correlation the errors imply."""

from __future__ import annotations

import numpy as np
import xarray as xr

from bayes_ptsd.audit.finding import Figure, Finding, Section, printed_rows, severity_of
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.intervals import rounding_box

__all__ = ["check_subscales", "mean_correlation"]

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
        rows = rows.isel(contrast=np.isfinite(rows["ci_low"].values))
        for analysis in np.unique(rows["analysis"].values).tolist():
            here = rows.isel(contrast=rows["analysis"].values == analysis)
            for total in evidence.trial.endpoints:
                record = _record(here, total, analysis)
                if record and not (corrected and _same(records, record)):
                    records.append({**record, "variant": variant})
    findings = [_finding(record) for record in records]
    return Section("subscales", _table(records), findings)


def _record(here: xr.Dataset, total: str, analysis: str) -> dict[str, Figure] | None:
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


def _same(records: list[dict[str, Figure]], record: dict[str, Figure]) -> bool:
    """Tell whether the same rows have been compared before."""
    return any(other["rows"] == record["rows"] for other in records)


def _finding(record: dict[str, Figure]) -> Finding:
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


def _table(records: list[dict[str, Figure]]) -> xr.Dataset | None:
    """Return the records along `comparison`."""
    if not records:
        return None
    labels = [f"{r['total']}.{r['analysis']}.{r['variant']}" for r in records]
    columns = {name: ("comparison", [r[name] for r in records]) for name in records[0]}
    return xr.Dataset(columns, {"comparison": labels})
