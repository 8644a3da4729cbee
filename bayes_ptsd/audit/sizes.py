"""Numbers of patients: rows and baseline groups against the flow of patients."""

from __future__ import annotations

import numpy as np
import xarray as xr

from bayes_ptsd.audit.finding import Finding, Section, printed_rows, severity_of
from bayes_ptsd.audit.flow import pick_steps, total_count
from bayes_ptsd.evidence import Evidence

__all__ = ["check_sizes"]


def check_sizes(evidence: Evidence) -> Section:
    """Compare the n of every row and baseline group with the flow of patients.

    Crossover rows are compared with those who completed both periods, other rows and the baseline
    groups with those randomized.
    """
    flow = evidence.data["flow"].to_dataset()
    first = {order[0]: sequence for sequence, order in evidence.trial.sequences.items()}
    groups = {
        name: total_count(flow, "randomized", sequence=first[treatment], reading=None)
        for name, treatment in (
            ("n_active", evidence.trial.active),
            ("n_control", evidence.trial.control),
        )
        if treatment in first
    }
    everybody = _whole(flow, "randomized")
    crossover = dict.fromkeys(("n", "n_active", "n_control"), _whole(flow, "completed_second"))
    checked = [
        *_rows(printed_rows(evidence, ["crossover"]), crossover),
        *_rows(_not_crossover(evidence), {"n": everybody, **groups}),
        *_baseline(evidence, groups),
    ]
    differing = [_finding(*item) for item in checked if item[1] != item[2]]
    if checked and not differing:
        text = f"All {len(checked)} numbers of patients agree with the flow of patients."
        figures = {"checked": len(checked)}
        place = "n of rows and baseline groups"
        differing = [Finding("sizes.n", "sizes", "consistent", place, text, figures)]
    return Section("sizes", None, differing)


def _whole(flow: xr.Dataset, stage: str) -> int:
    """Return the number in the box for everybody, 0 if there is none."""
    return int(flow["count"].sel(step=pick_steps(flow, stage, sequence="", reading=None)).sum())


def _not_crossover(evidence: Evidence) -> xr.Dataset:
    """Return the rows of all other analyses."""
    rows = printed_rows(evidence, treatment_only=False)
    return rows.isel(contrast=rows["analysis"].values != "crossover")


def _rows(rows: xr.Dataset, expected: dict[str, int]) -> list[tuple[str, float, float]]:
    """Return (place, printed, expected) of every printed number of patients.

    Groups of an analysis of fewer patients than stated may be smaller, not larger.
    """
    stated = rows["n_stated"].values
    found = []
    for name, size in expected.items():
        printed = rows[name].values
        others = stated if name == "n" else np.maximum(printed, size)
        counted = np.where(np.isnan(stated), printed, others)
        found += [
            (f"{contrast}, {name}", float(n), float(size))
            for contrast, n in zip(rows["contrast"].values.tolist(), counted, strict=True)
            if size and np.isfinite(n)
        ]
    return found


def _baseline(evidence: Evidence, groups: dict[str, int]) -> list[tuple[str, float, float]]:
    """Return (place, printed, expected) of groups that are larger than those randomized.

    Smaller groups have missing data and are no contradiction.
    """
    if "baseline" not in evidence.data.children:
        return []
    n = evidence.data["baseline"].to_dataset()["n"]
    return [
        (f"{label}, {name}", max(float(value), float(size)), float(size))
        for column, (name, size) in enumerate(groups.items())
        for label, value in zip(
            n["characteristic"].values.tolist(), n.values[:, column], strict=True
        )
    ]


def _finding(place: str, printed: float, expected: float) -> Finding:
    """Return the finding on one number that differs."""
    text = f"n = {printed:g} where the flow of patients has {expected:g}."
    return Finding(
        f"sizes.{place}", "sizes", severity_of(False), place, text,
        {"printed": printed, "expected": expected},
    )  # fmt: skip
