"""Commands about printed numbers: audit, one interval, readings, what is assumed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import typer

from bayes_ptsd.cli._options import Evidence_, Json, typed_prior
from bayes_ptsd.cli._output import emit, number, show_prose, show_table
from bayes_ptsd.errors import SpecError

__all__ = ["audit", "credibility", "readings_command", "sensitivity"]


def audit(
    evidence: Evidence_ = None,
    flow_reading: Annotated[
        str, typer.Option("--flow-reading", help="paper or registry: who completed both periods.")
    ] = "paper",
    json: Json = False,
) -> None:
    """Check the printed numbers against each other and say where they disagree."""
    from bayes_ptsd.audit import audit_document, audit_frame
    from bayes_ptsd.audit import audit_evidence as run
    from bayes_ptsd.evidence.published import load_published

    tree = run(load_published(evidence), flow_reading=flow_reading)
    if json:
        emit("audit", audit_document(tree))
        return
    frame = audit_frame(tree)
    rows = [
        [str(value) for value in row] for row in frame[["severity", "place", "statement"]].values
    ]
    columns = ["severity", "place", "statement"]
    show_table("Audit of the printed numbers", columns, rows, prose=columns)


def credibility(
    estimate: Annotated[
        float | None, typer.Option("--estimate", help="Printed estimate; or --evidence.")
    ] = None,
    ci: Annotated[
        tuple[float, float] | None, typer.Option("--ci", help="Printed 95% limits, low high.")
    ] = None,
    evidence: Evidence_ = None,
    contrast: Annotated[
        str | None, typer.Option("--contrast", help="Printed row of --evidence, where it has more.")
    ] = None,
    df: Annotated[float | None, typer.Option("--df", help="Degrees of freedom of the t.")] = None,
    relative_size: Annotated[
        float, typer.Option("--relative-size", help="Size of a replication, original = 1.")
    ] = 1.0,
    sd: Annotated[
        float | None, typer.Option("--sd", help="Total SD of the score: adds the prior family.")
    ] = None,
    prior: Annotated[
        list[str] | None,
        typer.Option("--prior", help="Of the family, or 'normal(0, 20)' in points; repeatable."),
    ] = None,
    json: Json = False,
) -> None:
    """Say everything that one printed interval says about its own credibility."""
    from bayes_ptsd.credibility import credibility_document

    estimate, ci, df, sd = _asked_interval(estimate, ci, df, sd, folder=evidence, contrast=contrast)
    document = credibility_document(
        estimate,
        ci[0],
        ci[1],
        df=df,
        sd=sd,
        priors=[typed_prior(text) for text in prior] if prior else None,
        relative_size=relative_size,
    )
    if json:
        emit("credibility", document)
        return
    conventions = list(document["conventions"])
    columns = ["quantity", *conventions, "note"]
    rows = _by_convention(document["quantities"], conventions)
    title = "Credibility of one interval, by likelihood convention"
    show_table(title, columns, rows, prose=["note"])


def _asked_interval(
    estimate: float | None,
    ci: tuple[float, float] | None,
    df: float | None,
    sd: float | None,
    *,
    folder: Path | None,
    contrast: str | None,
) -> tuple[float, tuple[float, float], float | None, float | None]:
    """Return estimate, 95% limits, degrees of freedom and total SD, typed or of a printed row."""
    from bayes_ptsd.evidence.published import load_published, select_contrast, sole_contrast

    if folder is None and contrast is None:
        if estimate is None or ci is None:
            raise SpecError("give --estimate E and --ci LOW HIGH, or --evidence and --contrast")
        return estimate, ci, df, sd
    if estimate is not None or ci is not None or df is not None:
        raise SpecError("--evidence and --contrast name a row; drop --estimate, --ci and --df")
    printed = load_published(folder)
    name = sole_contrast(printed) if contrast is None else contrast
    row = select_contrast(printed, name).data["effects"].to_dataset()
    found, low, high, freedom = (
        float(row[key]) for key in ("estimate", "interval_low", "interval_high", "df")
    )
    own = printed.trial.endpoint(str(row["endpoint"].item())).reference_sd
    return found, (low, high), freedom if freedom < math.inf else None, own if sd is None else sd


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
