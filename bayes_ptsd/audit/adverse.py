"""Adverse-event percentages: the denominators that reproduce them and the counts behind them."""

from __future__ import annotations

import math

import numpy as np
import xarray as xr

from bayes_ptsd.audit.finding import Figure, Finding, Section, sections_of, severity_of
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.intervals import rounding_box

__all__ = ["check_adverse_events", "counts_printing"]

# smallest denominator tried: each of fewer than ten people would be more than 10 points, and
# whole percentages would say less than the counts
SMALLEST = 10


def counts_printing(percent: float, decimals: int, n: int) -> list[int]:
    """Return all counts from 0 to n whose percentage of n rounds to the printed one."""
    low, high = (float(limit) / 100 * n for limit in rounding_box(percent, decimals))
    first, last = math.ceil(low - 1e-9), math.floor(high + 1e-9)
    return list(range(max(first, 0), min(last, n) + 1))


def check_adverse_events(evidence: Evidence) -> Section:
    """Find the denominators behind the adverse-event percentages, by treatment.

    `n` is the one that reproduces most percentages, `fits` how many each reproduces; `count` is NaN
    unless exactly one count prints the percentage.
    """
    events = evidence.data["adverse_events"].to_dataset()
    largest = _largest(evidence, events)
    denominators = np.arange(min(SMALLEST, largest), largest + 1)
    treatments = events["treatment"].values.tolist()
    tables = [_one_treatment(events.sel(treatment=name), denominators) for name in treatments]
    table = xr.concat(tables, xr.DataArray(treatments, dims="treatment", name="treatment"))
    table = table.assign_coords(name=("event", events["name"].values))
    section = sections_of(events.isel(event=np.isfinite(events["percent"].values).any(axis=1)))
    findings = [
        _denominator_finding(table, name, section)
        for name in treatments
        if int(table["printed"].sel(treatment=name))
    ]
    for name in treatments:
        findings += _event_findings(events.sel(treatment=name), table.sel(treatment=name), name)
    findings += _caption_findings(evidence, events)
    findings += _pairing_finding(evidence, table, section)
    return Section("adverse_events", table, findings)


def _largest(evidence: Evidence, events: xr.Dataset) -> int:
    """Return the largest possible denominator: everybody randomized, or what is stated."""
    if "flow" in evidence.data.children:
        flow = evidence.data["flow"].to_dataset()
        counts = flow["count"].values[flow["stage"].values == "randomized"]
        if len(counts):
            return max(int(counts.max()), 1)
    stated = events["n"].values[np.isfinite(events["n"].values)]
    return int(stated.max()) if len(stated) else 100


def _one_treatment(events: xr.Dataset, denominators: np.ndarray) -> xr.Dataset:
    """Return fits, best denominator and recovered counts of one treatment."""
    percent, digits = events["percent"].values, events["percent_decimals"].values
    printed = np.isfinite(percent)
    possible = [
        [
            bool(counts_printing(p, int(d), int(n)))
            for p, d in zip(percent[printed], digits[printed], strict=True)
        ]
        for n in denominators
    ]
    fits = np.array(possible, dtype=int).reshape(len(denominators), -1).sum(axis=1)
    n = int(denominators[int(np.argmax(fits))])
    found = [
        counts_printing(p, int(d), n) if ok else []
        for p, d, ok in zip(percent, digits, printed, strict=True)
    ]
    count = [float(values[0]) if len(values) == 1 else np.nan for values in found]
    return xr.Dataset(
        {
            "percent": ("event", percent),
            "count": ("event", count),
            "n": float(n),
            "unique": ("event", [len(values) == 1 for values in found]),
            "fits": ("denominator", fits),
            "printed": int(printed.sum()),
        },
        {"event": events["event"].values, "denominator": denominators},
    )


def _denominator_finding(table: xr.Dataset, treatment: str, section: str) -> Finding:
    """Return the finding on the denominators that fit every percentage of a treatment."""
    arm = table.sel(treatment=treatment)
    total, fits = int(arm["printed"]), arm["fits"]
    all_fit = fits["denominator"].values[fits.values == total].tolist()
    low, high = int(fits["denominator"].min()), int(fits["denominator"].max())
    if len(all_fit) == 1:
        text = f"Of n = {low} to {high}, only {all_fit[0]} reproduces all {total} percentages"
    elif all_fit:
        text = f"n = {', '.join(map(str, all_fit))} reproduce all {total} percentages"
    else:
        text = (
            f"No n from {low} to {high} reproduces all {total} percentages; n = {int(arm['n'])} "
            f"reproduces {int(fits.max())}"
        )
    figures: dict[str, Figure] = {
        "denominators": ", ".join(map(str, all_fit)), "best": int(arm["n"]), "percentages": total,
    }  # fmt: skip
    return Finding(
        f"adverse_events.n.{treatment}", "adverse_events",
        "information" if all_fit else "contradiction",
        f"{section}, {treatment}", f"{treatment}: {text}.", figures,
    )  # fmt: skip


def _event_findings(events: xr.Dataset, table: xr.Dataset, treatment: str) -> list[Finding]:
    """Return findings on percentages without a count, and on stated counts."""
    findings = []
    n = int(table["n"])
    for name in events["event"].values.tolist():
        row, percent = events.sel(event=name), float(events["percent"].sel(event=name))
        if np.isnan(percent):
            continue
        label = f"{name}, {treatment}"
        if not counts_printing(percent, int(row["percent_decimals"]), n):
            text = f"No count out of {n} prints as {percent:g}%, unlike the other percentages."
            findings.append(_event(label, False, text, {"percent": percent, "n": n}))
        if np.isfinite(row["count"]) and np.isfinite(row["n"]):
            count, stated = int(row["count"]), int(row["n"])
            good = count in counts_printing(percent, int(row["percent_decimals"]), stated)
            text = (
                f"Stated as {count} of {stated}, which is {100 * count / stated:.1f}%; printed "
                f"{percent:g}%; the denominator of the other percentages is {n}."
            )
            figures: dict[str, Figure] = {"count": count, "stated_n": stated, "n": n}
            findings.append(_event(f"{label}, stated", good and stated == n, text, figures))
    return findings


def _event(label: str, holds: bool, text: str, figures: dict[str, Figure]) -> Finding:
    """Return a finding on one event under one treatment."""
    return Finding(
        f"adverse_events.{label}", "adverse_events", severity_of(holds), label, text, figures
    )


def _caption_findings(evidence: Evidence, events: xr.Dataset) -> list[Finding]:
    """Return findings on denominators that exceed the period they are printed under."""
    groups = _first_period_groups(evidence)
    findings: list[Finding] = []
    if not groups:
        return findings
    for name in events["event"].values[events["period"].values == "first"].tolist():
        n = {t: float(events["n"].sel(event=name, treatment=t)) for t in groups}
        holds = all(n[t] <= groups[t] for t in groups)
        stated = ", ".join(f"{n[t]:g} ({t})" for t in groups)
        sizes = ", ".join(f"{groups[t]:g} ({t})" for t in groups)
        text = (
            f"Printed under the first period with denominators {stated}; the first period had "
            f"{sizes}."
        )
        if not holds:
            text += " The counts pool both periods."
        figures: dict[str, Figure] = {f"n_{t}": n[t] for t in groups}
        figures |= {f"first_period_{t}": groups[t] for t in groups}
        place = f"{name}, {events['section'].sel(event=name).item()}"
        findings.append(
            Finding(f"adverse_events.period.{name}", "adverse_events", severity_of(holds), place,
                    text, figures)
        )  # fmt: skip
    return findings


def _first_period_groups(evidence: Evidence) -> dict[str, float]:
    """Return patients by first treatment, where the flow names the sequences."""
    if "flow" not in evidence.data.children:
        return {}
    flow = evidence.data["flow"].to_dataset()
    randomized = flow.isel(step=flow["stage"].values == "randomized")
    return {
        evidence.trial.sequences[sequence][0]: float(count)
        for sequence, count in zip(
            randomized["sequence"].values.tolist(), randomized["count"].values, strict=True
        )
        if sequence
    }


def _pairing_finding(evidence: Evidence, table: xr.Dataset, section: str) -> list[Finding]:
    """Return the note that one person can stand in both denominators."""
    groups = _first_period_groups(evidence)
    people, exposures = sum(groups.values()), float(table["n"].sum())
    if not groups or exposures <= people:
        return []
    text = (
        f"The denominators add up to {exposures:g} exposures of {people:g} people, so at least "
        f"{exposures - people:g} people are counted under both treatments; who had an event under "
        "both is not printed, and a comparison of two independent groups ignores the pairing."
    )
    figures: dict[str, Figure] = {
        "exposures": exposures, "people": people, "twice_at_least": exposures - people
    }  # fmt: skip
    return [Finding("adverse_events.pairing", "adverse_events", "caution", section, text, figures)]
