"""Assurance and sizes of a replication as tables of the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from bayes_ptsd.report.contents import Contents
from bayes_ptsd.report.headline import row_heading
from bayes_ptsd.report.markup import ABSENT, number, probability
from bayes_ptsd.report.table import table_html

__all__ = ["DESIGN_NAMES", "assurance_table", "line_heading", "size_table", "trade_off_table"]

# Doublings, from about the size of this trial; both grids of an outlook have them, quick or not.
SHOWN_SIZES = (40, 80, 160, 320)
GOALS = {
    "benefit": "benefit",
    "worthwhile": "worthwhile difference",
    "benefit_skeptical": "benefit, skeptical analysis",
}
DESIGN_NAMES = {
    "parallel": "parallel",
    "repeated": "parallel, mean of 4 visits",
    "crossover": "crossover, all cross",
    "crossover_leavers": "crossover, leavers as here",
}


def line_heading(contents: Contents, line: Mapping[Any, Any]) -> str:
    """Return the row and the reading of a line, as the headline table calls them."""
    return row_heading(contents, (str(line["contrast"]), str(line["reading"]) or "as_published"))


def assurance_table(contents: Contents, frame: pd.DataFrame) -> str:
    """Return assurance and pre-posterior quantiles of two designs as texts."""
    shown = frame[
        (frame["goal"] == "benefit")
        & frame["design"].isin(["parallel", "crossover_leavers"])
        & frame["n"].isin(SHOWN_SIZES)
    ]
    lines = [
        {
            "row": f"{line_heading(contents, line)}, center {line['center']}: "
            f"{DESIGN_NAMES[str(line['design'])]}",
            "patients": f"{line['n']}", "complete": number(line["complete"], 0),
            "SE": number(line["standard_error"]), "assurance": probability(line["assurance"]),
            **{f"{q}%": probability(line[f"prob_q{q}"]) for q in (10, 25, 50, 75, 90)},
        }
        for line in shown.to_dict("records")
    ]  # fmt: skip
    return table_html(
        pd.DataFrame(lines), kind=contents.kind, convention="T", name="replication-assurance",
        caption="Assurance of benefit, and where the replication's own P(benefit) will lie: its "
        "quantiles as foretold today.", group="row", stub="patients",
        spanners={"P(benefit), pre-posterior": [f"{q}%" for q in (10, 25, 50, 75, 90)]},
        notes=["Flat analysis prior. Other designs, goals and sizes are in the CSV file."],
    )  # fmt: skip


def size_table(contents: Contents, frame: pd.DataFrame) -> str:
    """Return the smallest sizes as texts, one column a target."""
    lines = []
    for _, group in frame.groupby(["contrast", "reading", "center", "goal"], sort=False):
        reached = bool(group["n"].notna().any())
        # one line is enough where no design reaches any target
        designs = list(DESIGN_NAMES) if reached else list(DESIGN_NAMES)[:1]
        for design in designs:
            own = group[group["design"] == design]
            if own.empty:
                continue
            first = own.to_dict("records")[0]
            lines.append({
                "row": f"{line_heading(contents, first)}, center {first['center']}: "
                f"{GOALS[str(first['goal'])]}",
                "design": DESIGN_NAMES[design] if reached else "any design",
                "ceiling": probability(first["ceiling"]),
                **{f"n for {probability(target, 1)}": "none" if pd.isna(n) else f"{int(n):,}"
                   for target, n in zip(own["target"], own["n"], strict=True)},
            })  # fmt: skip
    goals = frame.drop_duplicates("goal").to_dict("records")
    words = "; ".join(f"{GOALS[str(line['goal'])]}: {line['goal_words']}" for line in goals)
    return table_html(
        pd.DataFrame(lines),
        caption="Smallest number of patients randomized, in all, that reaches an assurance.",
        kind=contents.kind, convention="T", name="replication-sizes", group="row", stub="design",
        notes=[f"Goals. {words}. none: the target is at or above the ceiling, which no size "
               "passes, or more than 200,000 patients are needed."],
    )  # fmt: skip


def trade_off_table(contents: Contents, frame: pd.DataFrame) -> str:
    """Return crossover against parallel as texts."""
    names = [name for name in DESIGN_NAMES if f"{name}_worth" in frame]
    lines = []
    for line in frame.to_dict("records"):
        texts = {
            "row": f"{line_heading(contents, line)}, center {line['center']}",
            "correlation": f"{line['correlation']:g}", "parallel": _size(line["parallel"]),
        }  # fmt: skip
        for name in names:
            texts[f"{name}|n"] = _size(line[name])
            texts[f"{name}|one is worth"] = number(line[f"{name}_worth"])
        lines.append(texts)
    target = probability(frame["target"].iloc[0], 1)
    return table_html(
        pd.DataFrame(lines),
        caption=f"Crossover against parallel: patients for an assurance of {target} of benefit, by "
        "the correlation of a patient's two scores.",
        kind=contents.kind, convention="T", name="replication-trade-off", group="row",
        stub="correlation",
        spanners={DESIGN_NAMES[name]: [f"{name}|n", f"{name}|one is worth"] for name in names},
        notes=["one is worth: one patient of that crossover, in patients of a parallel trial. It "
               "rests on no carryover and on patients who come back."],
    )  # fmt: skip


def _size(n: float) -> str:
    """Return a number of patients, or that there is none."""
    return ABSENT if pd.isna(n) else f"{int(n):,}"
