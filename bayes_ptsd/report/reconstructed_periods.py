"""What the periods of reconstructed patients say alone, and where a model is surer than print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from bayes_ptsd.evidence.intervals import center, p_value
from bayes_ptsd.report.contents import Contents
from bayes_ptsd.report.markup import interval_text, number, paragraph, probability
from bayes_ptsd.report.table import table_html

__all__ = ["beyond_print", "period_frame", "period_table"]

DIFFERENCE = "treatment_difference"
# Heading to patients and period: those who left after the first period are in its first line alone.
PERIODS: Mapping[str, tuple[str, int]] = {
    "D1, all": ("all", 1),
    "D1, completers": ("completers", 1),
    "D2, completers": ("completers", 2),
}
SURER = (
    "The model crossover has a P(benefit) of {benefit}, more than the printed analyses give each "
    "(one-sided, t: {words}). It is sure because of what is assumed: in the sets those who left in "
    "remission are among the best of the first period, which nothing printed says; the model has "
    "one treatment difference where those of the two periods are as far apart as above; and it has "
    "one standard deviation for two periods that need not be alike."
)


def period_frame(entries: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return what each period says alone as numbers, a line for each reading, flow and period."""
    lines, seen = [], set()
    for entry in entries:
        place = (entry["crossover_reading"], entry["flow_reading"])
        periods = entry["summary"][DIFFERENCE].get("periods")
        if periods is None or place in seen:
            continue
        seen.add(place)
        named = dict(zip(("crossover_reading", "flow_reading"), place, strict=True))
        kinds = {key: entry[key] for key in ("reconstructions", "evidence_kind")}
        lines += [named | line | kinds for line in periods]
    return pd.DataFrame(lines)


def period_table(contents: Contents, entries: Sequence[Mapping[str, Any]], kind: str) -> str:
    """Return what each period says alone, by reading and flow, as texts."""
    frame = period_frame(entries)
    if frame.empty:
        return ""
    endpoint = contents.endpoint(contents.primary[0][0])
    digits, lines = contents.digits(contents.primary[0][0]), []
    for (flow, reading), group in frame.groupby(["flow_reading", "crossover_reading"], sort=False):
        at = {(one["patients"], one["period"]): one for one in group.to_dict("records")}
        cells = {
            head: f"{number(at[key]['difference'], digits)} "
            f"({interval_text(at[key]['lowest'], at[key]['highest'], digits)})"
            for head, key in PERIODS.items()
        }
        spread = {f"SD {n}": number(at["completers", n]["sd"], digits) for n in (1, 2)}
        line = {
            "flow": f"flow of patients as in the {flow}",
            "reading": str(reading).replace("_", " "),
        }
        lines.append(line | cells | spread)
    return table_html(
        pd.DataFrame(lines),
        caption=f"Each period alone: differences of means, {endpoint.label}, "
        f"{endpoint.unit}, positive = {contents.trial.active} better.",
        kind=kind, name="reconstructed-periods", group="flow", stub="reading",
        spanners={"mean over the sets (lowest to highest)": list(PERIODS),
                  "SD of completers": ["SD 1", "SD 2"]},
        notes=[
            "D1, D2: difference in the first and in the second period, no model and no baseline. "
            "Of completers they add up to twice the crossover contrast as published, to the "
            "contrast itself unhalved; under the other readings print is of changes, or of the "
            "first period. SD: of the scores within a sequence, mean over the sets."
        ],
    )  # fmt: skip


def beyond_print(contents: Contents, entries: Sequence[Mapping[str, Any]]) -> str:
    """Say why all patients together look surer than either printed analysis, where they do."""
    key = {"model": "crossover", "prior": "reference", "crossover_reading": "as_published",
           "flow_reading": "paper"}  # fmt: skip
    found = [one for one in entries if all(one[name] == value for name, value in key.items())]
    names = dict.fromkeys(name for name, _ in contents.primary)
    printed = [contents.rows[name] for name in names]
    alone = [
        1 - float(p_value(center(row["interval_low"], row["interval_high"]), row["se"],
                          df=row["df"])) / 2
        for row in printed
    ]  # fmt: skip
    benefit = found[0]["summary"][DIFFERENCE]["prob_benefit"] if found else 0.0
    if len(alone) < 2 or benefit <= max(alone):
        return ""
    words = ", ".join(f"{probability(p)} of {name}" for name, p in zip(names, alone, strict=True))
    return paragraph(SURER.format(benefit=probability(benefit), words=words))
