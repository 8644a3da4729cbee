"""Baseline table: percentages, sums over categories, group sizes, imbalance, missing baselines."""

from __future__ import annotations

import math

import numpy as np
import xarray as xr
from scipy import stats

from bayes_ptsd.audit.finding import (
    Figure,
    Finding,
    Section,
    printed_rows,
    sections_of,
    severity_of,
)
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.intervals import rounding_box

__all__ = ["check_baseline", "standardized_difference"]

# standard deviations: 1.3 standard errors between groups of 22 and 19 (sqrt(1/22 + 1/19) = .31), so
# that randomization alone lists about one continuous row in five
LARGE_SMD = 0.4


def standardized_difference(value: np.ndarray, spread: np.ndarray, *, kind: str) -> float:
    """Return first minus second group over the root mean square SD, NaN if that is 0.

    Proportions, kind "count_pct", are shares inside [0, 1] and their spread is not used.
    """
    variance = spread**2 if kind == "mean_sd" else value * (1 - value)
    scale = math.sqrt(float(variance.mean()))
    return float(value[0] - value[1]) / scale if scale > 0 else np.nan


def check_baseline(evidence: Evidence) -> Section:
    """Check the baseline table; `smd` is first minus second group in SD, `fisher_p` of counts."""
    baseline = evidence.data["baseline"].to_dataset()
    table = _differences(baseline)
    findings = [
        *_percentages(baseline),
        *_sums(baseline),
        _imbalance(baseline, table),
        *_missing(evidence, baseline),
        *_without_baseline(evidence, baseline),
    ]
    return Section("baseline", table, findings)


def _differences(baseline: xr.Dataset) -> xr.Dataset:
    """Return standardized differences and Fisher's P of every row."""
    smd, fisher = [], []
    for name in baseline["characteristic"].values.tolist():
        row = baseline.sel(characteristic=name)
        kind, n, value = str(row["kind"].item()), row["n"].values, row["value"].values
        if kind == "mean_sd":
            smd.append(standardized_difference(value, row["spread"].values, kind=kind))
            fisher.append(np.nan)
        else:
            smd.append(standardized_difference(value / n, row["spread"].values, kind=kind))
            fisher.append(float(stats.fisher_exact(np.stack([value, n - value])).pvalue))
    return xr.Dataset(
        {"smd": ("characteristic", smd), "fisher_p": ("characteristic", fisher)},
        {
            "characteristic": baseline["characteristic"].values,
            "label": ("characteristic", _labels(baseline)),
        },
    )


def _labels(baseline: xr.Dataset) -> list[str]:
    """Return names of rows for people."""
    pairs = zip(baseline["name"].values.tolist(), baseline["level"].values.tolist(), strict=True)
    return [f"{name}: {level}" if level else name for name, level in pairs]


def _percentages(baseline: xr.Dataset) -> list[Finding]:
    """Return a finding per percentage that its count does not give, or one that all agree."""
    findings, checked = [], 0
    for name in baseline["characteristic"].values[baseline["kind"].values == "count_pct"].tolist():
        for treatment in baseline["treatment"].values.tolist():
            cell = baseline.sel(characteristic=name, treatment=treatment)
            n, count, printed = (float(cell[key]) for key in ("n", "value", "spread"))
            low, high = rounding_box(printed, int(cell["spread_decimals"]))
            checked += 1
            percent = 100 * count / n
            if not low - 1e-9 <= percent <= high + 1e-9:
                text = f"{count:g} of {n:g} is {percent:.2f}%; printed {printed:g}%."
                figures: dict[str, Figure] = {"count": count, "n": n, "printed": printed}
                findings.append(
                    Finding(f"baseline.percent.{name}.{treatment}", "baseline", "contradiction",
                            f"{name}, {treatment}", text, figures)
                )  # fmt: skip
    if checked and not findings:
        text = f"All {checked} percentages of the baseline table are those of their counts."
        findings.append(
            Finding(
                "baseline.percent",
                "baseline",
                "consistent",
                sections_of(baseline),
                text,
                {"checked": checked},
            )
        )
    return findings


def _sums(baseline: xr.Dataset) -> list[Finding]:
    """Return a finding per characteristic with several categories and group."""
    findings = []
    counts = baseline.isel(characteristic=baseline["kind"].values == "count_pct")
    names = counts["name"].values
    for name in dict.fromkeys(names.tolist()):
        rows = counts.isel(characteristic=names == name)
        if rows.sizes["characteristic"] < 2:
            continue
        for treatment in rows["treatment"].values.tolist():
            arm = rows.sel(treatment=treatment)
            total, n = float(arm["value"].sum()), float(arm["n"].max())
            text = f"{name}: the categories add up to {total:g} of {n:g} ({treatment} first)"
            text += "." if total == n else f"; {abs(n - total):g} people "
            if total != n:
                text += "have no category in the table." if total < n else "are counted twice."
            place = ", ".join([*rows["characteristic"].values.tolist(), treatment])
            findings.append(
                Finding(f"baseline.sum.{name}.{treatment}", "baseline", severity_of(total == n),
                        place, text, {"sum": total, "n": n})
            )  # fmt: skip
    return findings


def _imbalance(baseline: xr.Dataset, table: xr.Dataset) -> Finding:
    """Return the finding on the rows that differ most between the groups."""
    large = np.abs(table["smd"].values) >= LARGE_SMD
    order = np.argsort(-np.abs(table["smd"].values))
    figures: dict[str, Figure] = {"rows": len(large), "large": int(large.sum())}
    words = []
    for index in order[: int(large.sum())]:
        row, result = baseline.isel(characteristic=index), table.isel(characteristic=index)
        name, p = str(result["characteristic"].item()), float(result["fisher_p"])
        figures |= {f"{name}.smd": float(result["smd"]), f"{name}.fisher_p": p}
        value, n = row["value"].values, row["n"].values
        if np.isnan(p):
            cells = f"{value[0]:g} v {value[1]:g}"
        else:
            cells = f"{value[0]:g}/{n[0]:g} v {value[1]:g}/{n[1]:g}, Fisher P {p:.2g}"
        words.append(f"{result['label'].item()} {cells} ({float(result['smd']):+.2f} SD)")
    text = (
        f"{int(large.sum())} of {len(large)} baseline rows differ by {LARGE_SMD} standard "
        f"deviations or more: {'; '.join(words)}. The first-period analysis adjusts for the "
        "baseline of its own outcome only."
    )
    severity = severity_of(not large.any(), otherwise="caution")
    return Finding("baseline.imbalance", "baseline", severity, sections_of(baseline), text, figures)


def _missing(evidence: Evidence, baseline: xr.Dataset) -> list[Finding]:
    """Compare baselines that some patients lack with the n of their first-period rows."""
    rows = printed_rows(evidence, ["first_period"])
    findings = []
    for name in baseline["characteristic"].values[baseline["endpoint"].values != ""].tolist():
        row = baseline.sel(characteristic=name)
        n, endpoint = float(row["n"].sum()), str(row["endpoint"].item())
        for contrast in rows["contrast"].values[rows["endpoint"].values == endpoint].tolist():
            line = rows.sel(contrast=contrast)
            stated = float(line["n_stated"].fillna(line["n"]))
            text = (
                f"The baseline table has {endpoint} for {n:g} patients "
                f"({' + '.join(f'{size:g}' for size in row['n'].values)}); the first-period row is "
                f"printed with n = {stated:g}"
            )
            holds = n >= stated
            text += "." if holds else f", so a baseline-adjusted analysis has at most {n:g}."
            findings.append(
                Finding(f"baseline.missing.{contrast}", "baseline",
                        severity_of(holds, otherwise="caution"), f"{contrast}, {name}", text,
                        {"n_baseline": n, "n_printed": stated})
            )  # fmt: skip
    return findings


def _without_baseline(evidence: Evidence, baseline: xr.Dataset) -> list[Finding]:
    """Name outcomes of the first-period analysis without a printed baseline."""
    analyzed = dict.fromkeys(printed_rows(evidence, ["first_period"])["endpoint"].values.tolist())
    absent = [name for name in analyzed if name not in baseline["endpoint"].values]
    if not absent:
        return []
    labels = ", ".join(evidence.trial.endpoint(name).label for name in absent)
    text = f"No baseline mean or standard deviation is printed for {labels}."
    return [
        Finding(
            "baseline.absent",
            "baseline",
            "information",
            sections_of(baseline),
            text,
            {"outcomes": len(absent)},
        )
    ]
