"""The readings of the crossover contrast weighed, on the page: weights, rows, and caveats."""

from __future__ import annotations

from html import escape

import xarray as xr

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence.readings import CROSSOVER_READINGS
from bayes_ptsd.readings.notes import readings_notes
from bayes_ptsd.readings.weights import weigh_readings
from bayes_ptsd.report.contents import Contents
from bayes_ptsd.report.markup import bullets, number, paragraph, plain, probability
from bayes_ptsd.report.section import Part, Section, Table, details

__all__ = ["readings_section"]


def readings_section(contents: Contents) -> Section | None:
    """Return the weights of the readings under every assumption; None where nothing weighs them."""
    try:
        table = weigh_readings(contents.evidence)
    except EvidenceError:
        return None
    by_hand = contents.weights[1] if contents.reading_weights is not None else ""
    parts: list[Part] = [
        paragraph(
            "Each reading says what was analyzed, and so how large the crossover standard error "
            "should be beside the first-period one of the same endpoint. Its weight is how well it "
            "explains the ratios that were printed, with equal odds before."
        ),
        paragraph(f"The averages on this page use other weights, {by_hand}.") if by_hand else "",
        _weights(contents, table),
        bullets(escape(note) for note in readings_notes(table)),
        details("What each endpoint says", _rows(contents, table)),
        details("What the printed number is under each reading", bullets(_estimands(table))),
    ]
    return Section("readings", "How the crossover was read", parts)


def _weights(contents: Contents, table: xr.Dataset) -> Table:
    """Return the weights, a line per assumption; a dash where a reading is left out."""
    frame = table["weight"].to_dataframe().reset_index().dropna(subset="weight")
    return Table(
        "reading-weights", frame.assign(evidence_kind=contents.kind),
        lines=[
            {"assumption": str(one)}
            | {
                plain(name): probability(float(table["weight"].sel(assumption=one, reading=name)))
                for name in table["reading"].values
            }
            for one in table["assumption"].values
        ],
        caption="Weight of each reading of the crossover contrast, by what is assumed.",
        stub="assumption",
    )  # fmt: skip


def _rows(contents: Contents, table: xr.Dataset) -> Table:
    """Return what each endpoint says, a line per endpoint."""
    by_reading = table[["expected_ratio", "log_likelihood"]].to_dataframe().reset_index()
    rows = table.drop_dims(["reading", "assumption"]).to_dataframe().reset_index()
    readings, lines = table["reading"].values, []
    for name in table["endpoint"].values:
        one = table.sel(endpoint=name)
        lines.append(
            {
                "endpoint": contents.trial.endpoint(str(name)).label,
                "printed ratio": number(float(one["ratio"]), 2),
                "x": number(float(one["log_ratio"]), 2),
                "P(x or more | as published)": probability(float(one["tail"]), 4),
            }
            | {
                f"expected|{plain(reading)}": number(
                    float(one["expected_ratio"].sel(reading=reading)), 2
                )
                for reading in readings
            }
        )
    return Table(
        "reading-rows",
        rows.merge(by_reading, on="endpoint").assign(evidence_kind=contents.kind),
        lines=lines,
        caption="Squared standard error of the crossover over that of the first period.",
        stub="endpoint",
        spanners={"expected ratio": [f"expected|{plain(reading)}" for reading in readings]},
        notes=["x is the logarithm of the ratio; expected with every unknown at its middle."],
    )  # fmt: skip


def _estimands(table: xr.Dataset) -> list[str]:
    """Return what the printed number is under each reading."""
    readings = [(str(name), CROSSOVER_READINGS[str(name)]) for name in table["reading"].values]
    return [
        escape(f"{plain(name)}: {one.estimand}; in score units times {one.scale:g}")
        for name, one in readings
    ]
