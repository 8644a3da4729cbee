"""The readings of the crossover contrast weighed, on the page: weights, rows, and caveats."""

from __future__ import annotations

from html import escape

import pandas as pd
import xarray as xr

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence.readings import CROSSOVER_READINGS
from bayes_ptsd.readings.notes import readings_notes
from bayes_ptsd.readings.weights import weigh_readings
from bayes_ptsd.report.contents import Contents
from bayes_ptsd.report.markup import (
    ABSENT,
    Section,
    bullets,
    details,
    join,
    number,
    paragraph,
    probability,
)
from bayes_ptsd.report.table import table_html

__all__ = ["readings_section"]


def readings_section(contents: Contents) -> Section | None:
    """Return the weights of the readings under every assumption; None where nothing weighs them."""
    try:
        table = weigh_readings(contents.evidence)
    except EvidenceError:
        return None
    by_hand = contents.weights[1] if contents.reading_weights is not None else ""
    html = join(
        paragraph(
            "Each reading says what was analyzed, and so how large the crossover standard error "
            "should be beside the first-period one of the same endpoint. Its weight is how well it "
            "explains the ratios that were printed, with equal odds before."
        ),
        paragraph(f"The averages on this page use other weights, {by_hand}.") if by_hand else "",
        _weights_table(contents, table),
        bullets(escape(note) for note in readings_notes(table)),
        details("What each endpoint says", _rows_table(contents, table)),
        details("What the printed number is under each reading", bullets(_estimands(table))),
    )
    return Section("readings", "How the crossover was read", html, _numbers(contents, table))


def _numbers(contents: Contents, table: xr.Dataset) -> dict[str, pd.DataFrame]:
    """Return both tables as numbers."""
    weights = table["weight"].to_dataframe().reset_index().dropna(subset="weight")
    by_reading = table[["expected_ratio", "log_likelihood"]].to_dataframe().reset_index()
    rows = table.drop_dims(["reading", "assumption"]).to_dataframe().reset_index()
    rows = rows.merge(by_reading, on="endpoint")
    return {
        "reading-weights": weights.assign(evidence_kind=contents.kind),
        "reading-rows": rows.assign(evidence_kind=contents.kind),
    }


def _weights_table(contents: Contents, table: xr.Dataset) -> str:
    """Return the weights, a line per assumption."""
    lines = [
        {"assumption": str(one)}
        | {
            str(name).replace("_", " "): _weight(
                float(table["weight"].sel(assumption=one, reading=name))
            )
            for name in table["reading"].values
        }
        for one in table["assumption"].values
    ]
    return table_html(
        pd.DataFrame(lines),
        caption="Weight of each reading of the crossover contrast, by what is assumed.",
        kind=contents.kind,
        name="reading-weights",
        stub="assumption",
    )


def _weight(value: float) -> str:
    """Return a weight, a dash where the reading is left out."""
    return ABSENT if value != value else probability(value)


def _rows_table(contents: Contents, table: xr.Dataset) -> str:
    """Return what each endpoint says, a line per endpoint."""
    lines = []
    for name in table["endpoint"].values:
        one = table.sel(endpoint=name)
        expected = {
            f"expected|{str(reading).replace('_', ' ')}": number(
                float(one["expected_ratio"].sel(reading=reading)), 2
            )
            for reading in table["reading"].values
        }
        lines.append(
            {
                "endpoint": contents.trial.endpoint(str(name)).label,
                "printed ratio": number(float(one["ratio"]), 2),
                "x": number(float(one["log_ratio"]), 2),
                "P(x or more | as published)": probability(float(one["tail"]), 4),
                **expected,
            }
        )
    frame = pd.DataFrame(lines)
    return table_html(
        frame,
        caption="Squared standard error of the crossover over that of the first period.",
        kind=contents.kind,
        name="reading-rows",
        stub="endpoint",
        spanners={"expected ratio": [c for c in frame.columns if str(c).startswith("expected|")]},
        notes=["x is the logarithm of the ratio; expected with every unknown at its middle."],
    )


def _estimands(table: xr.Dataset) -> list[str]:
    """Return what the printed number is under each reading."""
    return [
        escape(
            f"{str(name).replace('_', ' ')}: {CROSSOVER_READINGS[str(name)].estimand}; in score "
            f"units times {CROSSOVER_READINGS[str(name)].scale:g}"
        )
        for name in table["reading"].values
    ]
