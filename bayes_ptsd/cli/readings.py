"""The command that weighs the readings of the crossover contrast."""

from __future__ import annotations

from typing import Any

from bayes_ptsd.cli._output import Evidence_, Json, emit, number, show_prose, show_table

__all__ = ["readings_command"]


def readings_command(evidence: Evidence_ = None, json: Json = False) -> None:
    """Weigh the readings of the crossover contrast by the precision that was printed."""
    from bayes_ptsd.evidence.published import load_published
    from bayes_ptsd.readings.notes import readings_document
    from bayes_ptsd.readings.weights import weigh_readings

    document = readings_document(weigh_readings(load_published(evidence)))
    if json:
        emit("readings", document)
        return
    names = [one["reading"] for one in document["readings"]]
    heads = [name.replace("_", " ") for name in names]
    _show_weights(document, names, heads)
    _show_rows(document, names, heads)
    readings = [
        [head, f"{one['scale']:g}", one["estimand"]]
        for head, one in zip(heads, document["readings"], strict=True)
    ]
    columns = ["reading", "scale", "what the printed number is"]
    show_table("The readings", columns, readings, prose=columns[2:])
    show_prose(*document["notes"])


def _show_weights(document: dict[str, Any], names: list[str], heads: list[str]) -> None:
    """Print the weights, a line per assumption."""
    rows = [
        [line["assumption"], *(number(line["weights"].get(name), 3) for name in names)]
        for line in document["assumptions"]
    ]
    title = "Weight of each reading of the crossover contrast, by what is assumed (published)"
    show_table(title, ["assumption", *heads], rows)


def _show_rows(document: dict[str, Any], names: list[str], heads: list[str]) -> None:
    """Print what each endpoint says."""
    rows = [
        [
            row["endpoint"], f"{row['crossover']}, {row['first_period']}", number(row["ratio"]),
            number(row["log_ratio"]), number(row["tail"], 4),
            *(number(row["expected_ratio"][name]) for name in names),
        ]
        for row in document["rows"]
    ]  # fmt: skip
    columns = ["endpoint", "rows", "ratio", "x", "P(x or more | as published)"]
    title = "Squared standard error, crossover over first period: printed, and expected (middle)"
    show_table(title, [*columns, *heads], rows, prose=["rows"])
