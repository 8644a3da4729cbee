"""Commands about printed numbers: the audit, the comparison, one interval."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayes_ptsd.cli._output import (
    Evidence_,
    Json,
    ReadingWeights,
    Store,
    chosen_readings,
    emit,
    number,
    show_prose,
    show_table,
    store_path,
)
from bayes_ptsd.cli.fit import Data, TrialFile, Visit
from bayes_ptsd.cli.patient_comparison import show_patients
from bayes_ptsd.errors import SpecError

if TYPE_CHECKING:
    from bayes_ptsd.evidence import Evidence
    from bayes_ptsd.priors import Prior

__all__ = ["audit", "compare", "credibility", "sensitivity"]


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


def compare(
    evidence: Evidence_ = None,
    trial: TrialFile = None,
    data: Data = None,
    endpoint: Annotated[str | None, typer.Option("--endpoint", help="One endpoint only.")] = None,
    visit: Visit = None,
    model: Annotated[
        list[str] | None, typer.Option("--model", help="Crossover model of patients; repeatable.")
    ] = None,
    prior: Annotated[
        list[str] | None,
        typer.Option("--prior", help="Of the family, or 'normal(0, 20)' in points; repeatable."),
    ] = None,
    convention: Annotated[
        str | None, typer.Option("--convention", help="T or N, of printed rows; T by default.")
    ] = None,
    reading_weights: ReadingWeights = None,
    store: Store = None,
    json: Json = False,
) -> None:
    """Put frequentist and Bayesian results side by side, with the reason for each gap.

    Of the printed numbers, or of patients with --trial and --data.
    """
    from bayes_ptsd.comparison import compare as run
    from bayes_ptsd.comparison import comparison_document, patient_comparison_document
    from bayes_ptsd.prior_family import PRIOR_FAMILY
    from bayes_ptsd.store import ResultStore

    patients = trial is not None or data is not None
    table = run(
        _compared(evidence, trial, data, endpoint),
        endpoint=endpoint,
        visit=visit,
        convention=convention,
        models=model,
        priors=[_prior(text) for text in prior or PRIOR_FAMILY],
        store=ResultStore(store_path(store)),
        reading_weights=chosen_readings(reading_weights),
    )
    if json:
        emit("compare", (patient_comparison_document if patients else comparison_document)(table))
    elif patients:
        show_patients(patient_comparison_document(table), f"--trial {trial} --data {data}")
    else:
        _show_printed(comparison_document(table), convention or "T")


def _compared(
    folder: Path | None, trial: Path | None, data: Path | None, endpoint: str | None
) -> Evidence:
    """Return what is to be compared: patients where files are named, else printed numbers."""
    from bayes_ptsd.evidence.patients import load_patients
    from bayes_ptsd.evidence.published import load_published
    from bayes_ptsd.trial import load_trial

    if trial is None and data is None:
        return load_published(folder)
    if trial is None or data is None or folder is not None:
        raise SpecError("patients need --trial FILE and --data FILE, printed numbers --evidence")
    return load_patients(data, load_trial(trial), endpoint=endpoint)


def _show_printed(document: dict[str, Any], convention: str) -> None:
    """Print the comparison of printed rows."""
    rows = [_comparison_line(row) for row in document["rows"]]
    columns = ["contrast", "reading", "published (95% CI)", "P", "prior", "mean", "95% interval"]
    title = f"Published and Bayesian, convention {convention}, positive = active treatment better"
    columns += ["P(better)", "gap in the mean"]
    show_table(title, columns, rows, prose=["reading", "prior", "gap in the mean"])
    said = document["reading_weights"]
    if said["weights"] and any(row["crossover_reading"] == "averaged" for row in document["rows"]):
        from bayes_ptsd.readings.notes import average_note

        show_prose(average_note(said["weights"], said["source"]))


def credibility(
    estimate: Annotated[float, typer.Option("--estimate", help="Printed estimate.")],
    ci: Annotated[tuple[float, float], typer.Option("--ci", help="Printed 95% limits, low high.")],
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

    document = credibility_document(
        estimate,
        ci[0],
        ci[1],
        df=df,
        sd=sd,
        priors=[_prior(text) for text in prior] if prior else None,
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


def sensitivity(
    contrast: Annotated[str, typer.Argument(help="Printed row, T2.IESR.X.")],
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
    from bayes_ptsd.evidence.published import load_published
    from bayes_ptsd.sensitivity import ranked_assumptions, ranking_frame, tipping_points

    printed = load_published(evidence)
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


def _prior(text: str) -> str | Prior:
    """Read a prior of the command line: a name of the family or a distribution."""
    from bayes_ptsd.priors import parse_prior

    return parse_prior(text) if "(" in text else text


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


def _published(row: dict[str, Any]) -> str:
    """Return what was printed: the estimate, and the interval if there is one."""
    estimate, low, high = (row[f"published_{key}"] for key in ("estimate", "low", "high"))
    return f"{estimate:g}" + ("" if low is None else f" ({low:g} to {high:g})")


def _comparison_line(row: dict[str, Any]) -> list[str]:
    """Return one line of the comparison for people."""
    return [
        row["contrast"],
        row["crossover_reading"].replace("_", " ") if row["analysis"] == "crossover" else "",
        _published(row),
        f"{row['published_p']:g}",
        row["prior"],
        number(row["mean"]),
        f"{number(row['eti95_low'])} to {number(row['eti95_high'])}",
        number(row["prob_benefit"], 4),
        row["gap"],
    ]
