"""The command about many trials of one question: audited, pooled, each predicted by the others."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from bayes_ptsd.cli._options import Json, grouped
from bayes_ptsd.cli._output import emit, interval, number, show_prose, show_table, told_warnings
from bayes_ptsd.errors import BayesPtsdError, SpecError
from bayes_ptsd.whole_files import refuse_taken, write_new

__all__ = ["field_command"]

FIGURES = (".svg", ".png")


@dataclass(frozen=True)
class Rows:
    """Which rows of the table are read, and as what."""

    measure: Annotated[
        str | None,
        typer.Option("--measure", help="Of rows that do not say it: md, smd, hr, or, rr, ..."),
    ] = None
    better: Annotated[
        str | None,
        typer.Option("--better", help="Of rows that do not say it: lower or higher."),
    ] = None
    where: Annotated[
        list[str] | None,
        typer.Option("--where", help="Rows of a metapsy table, 'time=post'; repeatable."),
    ] = None


@dataclass(frozen=True)
class Pooling:
    """How trials are pooled; on the scale of analysis, positive = benefit."""

    heterogeneity: Annotated[
        str | None,
        typer.Option(
            "--heterogeneity",
            help="SD between trials, as 'half-normal 2'; default: .25 for smd, .5 for the "
            "logarithm of ratios, a quarter of --sd for md.",
        ),
    ] = None
    sd: Annotated[float | None, typer.Option("--sd", help="Total SD of the score (md).")] = None
    prior_mean: Annotated[
        tuple[float, float] | None,
        typer.Option("--prior-mean", help="Mean and SD of the mean's prior; flat by default."),
    ] = None
    new_se: Annotated[
        float | None,
        typer.Option("--new-se", help="Adds what a new trial with this SE would print."),
    ] = None


@dataclass(frozen=True)
class Written:
    """Files that are written, none of which may be there."""

    figure: Annotated[
        Path | None, typer.Option("--figure", help="Forest plot, to this new .svg or .png.")
    ] = None
    csv_file: Annotated[
        Path | None, typer.Option("--csv", help="A row per study, to this new file.")
    ] = None

    @property
    def paths(self) -> list[Path]:
        """The files that were asked for; a figure that is no SVG or PNG is refused."""
        if self.figure is not None and self.figure.suffix.lower() not in FIGURES:
            raise SpecError(f"--figure {self.figure}: give it a name that ends in .svg or .png")
        return [one for one in (self.figure, self.csv_file) if one is not None]


@grouped
def field_command(
    *,
    file: Annotated[Path, typer.Argument(help="CSV of studies, plain or metapsy data standard.")],
    rows: Rows,
    pooling: Pooling,
    written: Written,
    json: Json = False,
) -> None:
    """Audit and pool many trials of one question, and predict each from the others."""
    from bayes_ptsd.evidence.studies import read_studies
    from bayes_ptsd.exact.history import parse_heterogeneity
    from bayes_ptsd.field.document import default_heterogeneity, field_document
    from bayes_ptsd.priors import normal

    refuse_taken(written.paths, error=BayesPtsdError)
    with told_warnings() as told:
        studies = read_studies(
            file, measure=rows.measure or "", better=rows.better or "", where=rows.where or ()
        )
        if pooling.heterogeneity is None:
            spread = default_heterogeneity(studies, pooling.sd)
        elif pooling.sd is None:
            spread = parse_heterogeneity(pooling.heterogeneity)
        else:
            raise SpecError("--sd stands in for --heterogeneity: give one of them")
        document = field_document(
            studies,
            heterogeneity=spread,
            mean=None if pooling.prior_mean is None else normal(*pooling.prior_mean),
            new_se=pooling.new_se,
        )
    document["warnings"] = told
    _write(document, written)
    if json:
        emit("field", document)
        return
    _show(document)


def _write(document: Mapping[str, Any], asked: Written) -> None:
    """Write the figure and the table that were asked for, both or neither."""
    from bayes_ptsd.field.document import field_rows
    from bayes_ptsd.plots.field import field_figure
    from bayes_ptsd.plots.style import figure_file

    contents: dict[Path, bytes] = {}
    if asked.figure is not None:
        contents[asked.figure] = figure_file(field_figure(document), asked.figure.suffix)
    if asked.csv_file is not None:
        rows = field_rows(document)
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        contents[asked.csv_file] = text.getvalue().encode()
    if contents:
        write_new(contents, error=BayesPtsdError)


def _show(document: Mapping[str, Any]) -> None:
    """Print a field of trials for people."""
    show_prose(*(f"{line[0].upper()}{line[1:]}." for line in document["read"]))
    show_prose(*(f"Left out: {line}." for line in document["left_out"]))
    _show_studies(document)
    columns = ["study", "severity", "what its printed numbers say"]
    rows = [
        [one["study"], part["severity"], part["statement"]]
        for one in document["studies"]
        for part in one["audit"]
    ]
    show_table("Audit of each study", columns, rows, prose=columns)
    _show_field(document)
    _show_left_out(document)
    show_prose(*(f"Cannot be said: {line}." for line in document["cannot_say"]))


def _show_studies(document: Mapping[str, Any]) -> None:
    """Print each study by itself."""
    rows = []
    for one in document["studies"]:
        flat, shrunken = one["posteriors"]["flat"], one["posteriors"]["cochrane"]
        rows.append([
            one["study"], number(one["estimate"]), interval(one["ci95"], 2),
            number(flat and flat["prob_benefit"], 4), number(shrunken["prob_benefit"], 4),
            number(shrunken["median"]), interval(shrunken["eti95"], 2),
        ])  # fmt: skip
    columns = ["study", "estimate", "95% interval", "P(benefit), flat",
               "P(benefit), cochrane", "shrunken", "95% interval"]  # fmt: skip
    what = f"{document['label'].capitalize()}, {document['better']} is better"
    title = f"{what}: each study by itself, published evidence"
    show_table(title, columns, rows)


def _show_field(document: Mapping[str, Any]) -> None:
    """Print the mean, a new trial, and how much trials differ."""
    field = document["field"]
    lines = [("mean of the trials", field["mean"]), ("a new trial's effect", field["new_trial"])]
    if field["new_estimate"] is not None:
        lines.append((f"its estimate, SE {field['new_estimate']['se']:g}", field["new_estimate"]))
    rows = [
        [name, number(one["median"]), interval(one["eti50"], 2), interval(one["eti95"], 2),
         number(one["prob_benefit"], 4)]
        for name, one in lines
    ]  # fmt: skip
    columns = ["quantity", "median", "50% interval", "95% interval", "P(benefit)"]
    priors = document["priors"]
    show_table(f"All trials, mean {priors['mean']}, between trials {priors['heterogeneity']}",
               columns, rows)  # fmt: skip
    low, middle, high = field["heterogeneity"].values()
    show_prose(
        f"SD between trials, where it is analyzed ({document['analyzed_as']}): {middle:.3g} "
        f"({low:.2g} to {high:.3g})."
    )


def _show_left_out(document: Mapping[str, Any]) -> None:
    """Print each trial as the others predict it, and how often intervals held it."""
    found = document["leave_one_out"]
    if found is None:
        return
    rows = [
        [one["study"], number(one["estimate"]), number(one["predicted_median"]),
         interval(one["predicted50"], 2), interval(one["predicted95"], 2), number(one["pit"], 3),
         number(one["log_score"], 3), number(one["crps"], 3)]
        for one in found["trials"]
    ]  # fmt: skip
    columns = ["study", "estimate", "predicted", "50% interval", "95% interval", "PIT (benefit up)",
               "log score", "CRPS"]  # fmt: skip
    show_table("Each trial's estimate as the others predict it", columns, rows)
    held = "; ".join(
        f"{100 * one['level']:.0f}%: {one['inside']} of {one['of']} (SE {one['se_if_right']:.2f})"
        for one in found["coverage"]
    )
    show_prose(
        f"Held by the predictive interval of {held}. Mean log score "
        f"{found['mean_log_score']:.3f}, mean CRPS {found['mean_crps']:.3f}, where it is analyzed."
    )
