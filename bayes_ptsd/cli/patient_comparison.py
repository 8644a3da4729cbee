"""A comparison of patients as tables for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bayes_ptsd.cli._output import number, show_periods, show_table

__all__ = ["show_patients"]


def show_patients(document: Mapping[str, Any], files: str) -> None:
    """Print the frequentist analyses, the posteriors with their gaps, and the steps."""
    n = document["n"]
    title = (
        f"{document['endpoint']}: {n['subjects']} patients, {n['complete']} with both periods; "
        f"score units, positive = active better ({document['evidence_kind']})"
    )
    rows = [
        [one["method"], one["estimand"].replace("_", " "), number(one["estimate"], 3),
         number(one["se"], 3), number(one["df"], 1), _interval(one["ci95"]),
         number(one["p_value"], 4)]
        for one in document["analyses"]
    ]  # fmt: skip
    columns = ["analysis", "estimand", "estimate", "SE", "df", "95% interval", "P"]
    show_table(title, columns, rows, prose=["estimand"])
    for one in document["analyses"]:
        if one["note"]:
            show_table("", [f"note on {one['analysis']}"], [[one["note"]]])
    if document["not_possible"]:
        rows = [[name.replace("_", " "), why] for name, why in document["not_possible"].items()]
        show_table("Not possible with these patients", ["analysis", "why"], rows, prose=["why"])
    show_periods(document["periods"])
    rows = [
        [f"{one['model']}, {one['prior']}", number(one["mean"], 3), number(one["sd"], 3),
         _interval(one["eti95"]), number(one["prob_benefit"], 4),
         one["why"] if not one["to_run"] else f"run: {one['to_run']} {files}"]
        for one in document["posteriors"]
    ]  # fmt: skip
    columns = ["model, prior", "mean", "sd", "95% interval", "P(better)"]
    reason = "gap to the frequentist analysis of the same estimand"
    show_table("Posteriors", [*columns, reason], rows, prose=[reason])
    _show_steps(document["steps"])


def _show_steps(steps: Sequence[Mapping[str, Any]]) -> None:
    """Print what changes between models."""
    rows = [
        [f"{one['from']} to {one['to']}, {one['prior']}", one["because_of"] + _worth(one),
         number(one["mean"], 3), number(one["sd_ratio"], 3)]
        for one in steps
        if one["mean"] is not None
    ]  # fmt: skip
    if rows:
        columns = ["step, prior", "because of", "mean moves by", "sd ratio"]
        show_table("From model to model", columns, rows, prose=["because of"])


def _worth(one: Mapping[str, Any]) -> str:
    """Say how many complete patients those with one period are worth."""
    worth = one.get("worth_in_complete_patients")
    if worth is None or not one["patients"]:
        return ""
    return f" ({one['patients']}, worth {worth:.1f} complete ones)"


def _interval(limits: Sequence[float | None]) -> str:
    """Return an interval for people."""
    return f"{number(limits[0], 3)} to {number(limits[1], 3)}"
