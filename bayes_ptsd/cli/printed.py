"""Commands about printed numbers: audit, one interval, readings, what is assumed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from bayes_ptsd.cli._measures import (
    Asked,
    Believed,
    Printed,
    measured_document,
    show_measured,
    write_plane,
)
from bayes_ptsd.cli._options import Evidence_, Json, grouped, typed_prior
from bayes_ptsd.cli._output import emit, number, show_prose, show_table, told_warnings
from bayes_ptsd.errors import BayesPtsdError, SpecError
from bayes_ptsd.whole_files import refuse_taken

__all__ = ["audit", "credibility", "readings_command", "sensitivity"]

# quantities that the posterior of a measure is shown with already
SHOWN = ("posterior_mean", "posterior_low", "posterior_high", "prob_benefit")


def audit(
    evidence: Evidence_ = None,
    flow_reading: Annotated[
        str, typer.Option("--flow-reading", help="paper or registry: who completed both periods.")
    ] = "paper",
    posteriors: Annotated[
        Path | None,
        typer.Option("--posteriors", help="CSV file of printed posteriors, audited instead."),
    ] = None,
    json: Json = False,
) -> None:
    """Check the printed numbers against each other and say where they disagree."""
    from bayes_ptsd.audit import audit_document, audit_evidence, audit_frame, audit_posteriors
    from bayes_ptsd.evidence.published import load_published

    if posteriors is not None and evidence is not None:
        raise SpecError("--posteriors is a report of its own: give it or --evidence, not both")
    tree = (
        audit_evidence(load_published(evidence), flow_reading=flow_reading)
        if posteriors is None
        else audit_posteriors(posteriors)
    )
    if json:
        emit("audit", audit_document(tree))
        return
    frame = audit_frame(tree)
    rows = [
        [str(value) for value in row] for row in frame[["severity", "place", "statement"]].values
    ]
    columns = ["severity", "place", "statement"]
    show_table("Audit of the printed numbers", columns, rows, prose=columns)


@dataclass(frozen=True)
class Replication:
    """A replication that was done."""

    replication: Annotated[
        float | None, typer.Option("--replication", help="Estimate of a replication that was done.")
    ] = None
    replication_ci: Annotated[
        tuple[float, float] | None,
        typer.Option("--replication-ci", help="Its 95% limits, low high."),
    ] = None

    def refuse_half(self) -> None:
        """Refuse an estimate without its limits and limits without an estimate."""
        if (self.replication is None) != (self.replication_ci is None):
            raise SpecError("a replication is an estimate and its limits: give --replication and "
                            "--replication-ci")  # fmt: skip

    def document(self, original: tuple[float, float, float], measure: str) -> dict[str, Any]:
        """Return what it says about an original as analyzed, nothing where there is none.

        The replication is on the printed scale of `measure`.
        """
        from bayes_ptsd.credibility import replication_document
        from bayes_ptsd.evidence.measures import MEASURES

        if self.replication is None or self.replication_ci is None:
            return {}
        analyzed = MEASURES[measure].analyzed
        low, high = map(analyzed, self.replication_ci)
        found = replication_document(original, (analyzed(self.replication), low, high))
        return {"replication": found}


@dataclass(frozen=True)
class Row:
    """A printed row of a folder, in place of what is typed."""

    evidence: Evidence_ = None
    contrast: Annotated[
        str | None, typer.Option("--contrast", help="Printed row of --evidence, where it has more.")
    ] = None

    def fill(self, printed: Printed, beliefs: Believed) -> tuple[Printed, Believed]:
        """Return what the row printed and the total SD of its endpoint, if one is named.

        Of a row that names no measure: estimate, 95% limits, degrees of freedom. A total SD that
        was typed stays.
        """
        if self.evidence is None and self.contrast is None:
            return printed, beliefs
        from bayes_ptsd.evidence.measured_rows import printed_words
        from bayes_ptsd.evidence.published import load_published, select_contrast, sole_contrast

        if printed != Printed():
            raise SpecError("--evidence and --contrast name a row; drop --estimate, --ci, --df and "
                            "whatever else says what was printed")  # fmt: skip
        folder = load_published(self.evidence)
        name = sole_contrast(folder) if self.contrast is None else self.contrast
        row = select_contrast(folder, name).data["effects"].to_dataset()
        estimate, low, high, df = (
            float(row[key]) for key in ("estimate", "interval_low", "interval_high", "df")
        )
        own = folder.trial.endpoint(str(row["endpoint"].item())).reference_sd
        words = printed_words(row)
        found = (
            Printed.of(words)
            if words
            else Printed(estimate=estimate, ci=(low, high), df=df if df < math.inf else None)
        )
        return found, replace(beliefs, sd=own if beliefs.sd is None else beliefs.sd)


@grouped
def credibility(
    printed: Printed,
    row: Row,
    beliefs: Believed,
    asked: Asked,
    relative_size: Annotated[
        float, typer.Option("--relative-size", help="Size of a replication, original = 1.")
    ] = 1.0,
    *,
    replication: Replication,
    json: Json = False,
) -> None:
    """Say everything that one printed result says, and about its own credibility.

    With a --measure, or --counts, on its printed scale and under every prior; priors typed as
    distributions are of the logarithm of a ratio. Without one, of a difference in score units.
    """
    replication.refuse_half()
    printed, beliefs = row.fill(printed, beliefs)
    if printed.measure is None and printed.counts is None:
        _credibility_of_interval(printed, beliefs, asked, replication, relative_size, json)
        return
    from bayes_ptsd.evidence.intervals import interval

    refuse_taken(filter(None, (asked.figure,)), error=BayesPtsdError)
    with told_warnings() as told:
        found = measured_document(printed, beliefs, asked, relative_size)
    original = found["result"]["analyzed_estimate"]
    low, high = map(float, interval(original, found["result"]["se"]))
    done = replication.document((original, low, high), found["result"]["measure"])
    document = found | done | {"warnings": told}
    if asked.figure is not None:
        write_plane(document, asked.figure)
    if json:
        emit("credibility", document)
        return
    show_measured(document)
    known = [one for one in document["credibility"]["quantities"] if one["name"] not in SHOWN]
    title = "Credibility of the interval where it is analyzed, positive = benefit"
    _show_quantities(document["credibility"] | done | {"quantities": known}, title)


def _credibility_of_interval(
    printed: Printed,
    beliefs: Believed,
    asked: Asked,
    replication: Replication,
    relative_size: float,
    json: bool,
) -> None:
    """Print the measures of one 95% interval of a difference in score units."""
    from bayes_ptsd.credibility import credibility_document
    from bayes_ptsd.evidence.measures import ask_for_measure

    estimate, ci = printed.difference(needing_measure=[*beliefs.needing_measure, *asked.given])
    ask_for_measure(estimate, *ci)
    document = credibility_document(
        estimate,
        *ci,
        df=printed.df,
        sd=beliefs.sd,
        priors=[typed_prior(text) for text in beliefs.prior] if beliefs.prior else None,
        relative_size=relative_size,
    )
    document |= replication.document((estimate, *ci), "md")
    if json:
        emit("credibility", document)
        return
    _show_quantities(document, "Credibility of one interval, by likelihood convention")


def _show_quantities(document: dict[str, Any], title: str) -> None:
    """Print the measures of credibility, a line each."""
    conventions = list(document["conventions"])
    columns = ["quantity", *conventions, "note"]
    rows = _by_convention(document["quantities"], conventions)
    show_table(title, columns, rows, prose=["note"])
    if "replication" in document:
        items = document["replication"]["quantities"]
        rows = [[item["label"], _figure(item["value"]), item["note"]] for item in items]
        title = "The replication beside the original, both normal, on the scale of analysis"
        show_table(title, ["quantity", "value", "note"], rows, prose=["note"])


def sensitivity(
    contrast: Annotated[
        str | None,
        typer.Argument(help="Printed row, T2.IESR.X; may be left out if it is the only one."),
    ] = None,
    crossover_reading: Annotated[
        str, typer.Option("--crossover-reading", help="How a crossover row is read.")
    ] = "as_published",
    flow_reading: Annotated[
        str, typer.Option("--flow-reading", help="paper or registry: who completed both periods.")
    ] = "paper",
    reconstructions: Annotated[
        int,
        typer.Option("--reconstructions", help="Sets of reconstructed patients; 0 for none."),
    ] = 20,
    evidence: Evidence_ = None,
    json: Json = False,
) -> None:
    """Change one assumption at a time: prior, reading, unblinding, missing periods, models.

    Models, carryover, readings and flow are changed on reconstructions of the printed numbers.
    """
    from bayes_ptsd.evidence.published import load_published, sole_contrast
    from bayes_ptsd.sensitivity import ranked_assumptions, ranking_frame, tipping_points

    printed = load_published(evidence)
    contrast = sole_contrast(printed) if contrast is None else contrast
    frame = ranking_frame(
        ranked_assumptions(
            printed, contrast, crossover_reading=crossover_reading, flow_reading=flow_reading,
            reconstructions=reconstructions,
        )
    )  # fmt: skip
    points = tipping_points(
        printed, contrast, crossover_reading=crossover_reading, flow_reading=flow_reading
    )
    changes = [dict(zip(frame.columns, line, strict=True)) for line in frame.values.tolist()]
    if json:
        emit("sensitivity", {"changes": changes, "tipping_points": points})
        return
    rows = [_change_line(change) for change in changes]
    columns = ["assumption", "evidence", "mean", "95% interval", "P(better)", "P(> MCID)"]
    columns += ["move of the mean", "move of P(better)"]
    title = f"{contrast}, convention T: one assumption changed at a time"
    show_table(title, columns, rows, prose=["assumption"])
    tipping = [
        [f"{p['assumption']}: {p['who']}", f"{p['level']:g}", number(p["value"])] for p in points
    ]
    columns = ["tipping point", "P(better) falls to", "at"]
    show_table("Tipping points, score units", columns, tipping, prose=["tipping point"])


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


def _change_line(change: dict[str, Any]) -> list[str]:
    """Return one changed assumption for people."""
    return [
        change["alternative"],
        change["evidence_kind"],
        number(change["mean"]),
        f"{number(change['low'])} to {number(change['high'])}",
        number(change["prob_benefit"], 4),
        number(change["prob_gt_mcid"], 4),
        number(change["move_mean"]),
        number(change["move_prob_benefit"], 4),
    ]


def _by_convention(items: list[dict[str, Any]], conventions: list[str]) -> list[list[str]]:
    """Return a line per quantity with a figure per convention."""
    lines: dict[str, dict[str, Any]] = {}
    for item in items:
        line = lines.setdefault(str(item["label"]), {"note": ""})
        line[item["convention"]] = _figure(item["value"])
        line["note"] = line["note"] or str(item["note"])
    return [
        [label, *(line.get(key, "") for key in conventions), line["note"]]
        for label, line in lines.items()
    ]


def _figure(value: Any) -> str:
    """Return a figure for people."""
    return number(value, 4) if isinstance(value, int | float) or value is None else str(value)
