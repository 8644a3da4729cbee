"""Commands about patient files: check one, begin one, simulate one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bayes_ptsd.cli._options import Json, KeyFile, Seed, typed_key
from bayes_ptsd.cli._output import emit, say, show_prose, show_table

if TYPE_CHECKING:
    from bayes_ptsd.evidence import Evidence
    from bayes_ptsd.trial import Trial

__all__ = ["check_data", "simulate", "template"]

Folder = Annotated[Path, typer.Argument(help="Folder to write to; nothing is overwritten.")]
TrialFile = Annotated[Path, typer.Option("--trial", help="Trial file.")]
OwnTrial = Annotated[
    Path | None, typer.Option("--trial", help="Trial file; a made-up crossover without it.")
]

Design = Literal["crossover", "parallel"]
Kind = Literal["continuous", "ordinal", "binary"]
MadeUpDesign = Annotated[Design, typer.Option("--design", help="Of the made-up trial.")]
MadeUpKind = Annotated[
    Kind,
    typer.Option(
        "--kind", help="Endpoint of the made-up trial; not continuous: effects in logits."
    ),
]
Treatment = Annotated[
    float, typer.Option("--treatment", help="True difference, positive = active better.")
]
Level = Annotated[float | None, typer.Option("--level", help="Mean under the control in period 1.")]
# A standard deviation.
Total = Annotated[
    float | None, typer.Option("--sd-total", min=0, help="With --correlation: of a score.")
]
Correlation = Annotated[
    float | None, typer.Option("--correlation", help="Between periods of a patient; may be < 0.")
]
VisitCorrelation = Annotated[
    float, typer.Option("--visit-correlation", help="Between visits of a period.")
]
Missing = Annotated[float, typer.Option("--missing", help="P(a score is missing), at random.")]
ByValue = Annotated[
    tuple[float, float],
    typer.Option("--missing-by-value", help="P(an average score is missing), log odds ratio a SD."),
]
Remission = Annotated[
    float | None, typer.Option("--remission", help="No period 2 if better than this score.")
]


def check_data(
    file: Annotated[Path, typer.Argument(help="Patient file.")],
    trial: TrialFile,
    endpoint: Annotated[str | None, typer.Option("--endpoint", help="One endpoint only.")] = None,
    covariates: Annotated[
        str | None, typer.Option("--covariates", help="Columns to read as well, such as sex,age.")
    ] = None,
    key_file: KeyFile = None,
    json: Json = False,
) -> None:
    """Check a patient file: every refusal with its row, else the flow by sequence and period.

    Also lowest and highest scores, what covariates are read as, and what is odd about the file.
    """
    from bayes_ptsd.evidence.patients import load_patients
    from bayes_ptsd.trial import load_trial

    names = [name.strip() for name in (covariates or "").split(",") if name.strip()]
    evidence = load_patients(
        file, load_trial(trial), endpoint=endpoint, covariates=names, key=typed_key(key_file)
    )
    document = {
        "file": str(file), "digest": evidence.digest, "flow": _flow(evidence),
        "scores": _extent(evidence), "covariates": _kinds(evidence), "notes": [*evidence.notes],
    }  # fmt: skip
    if json:
        emit("check-data", document)
    else:
        _show_checked(document)


def _show_checked(document: dict[str, Any]) -> None:
    """Print the flow, the extent of the scores, the kinds of covariates, and notes."""
    columns = ["sequence", "endpoint", "visit", "period", "treatment", "subjects", "scored"]
    columns += ["both periods"] if "both_periods" in document["flow"][0] else []
    rows = [[str(row[key.replace(" ", "_")]) for key in columns] for row in document["flow"]]
    title = f"{document['file']}: accepted; patients by sequence and period"
    show_table(title, columns, rows, prose=["endpoint", "visit", "treatment"])
    columns = ["endpoint", "of", "n", "lowest", "highest"]
    rows = [
        [row["endpoint"], row["of"], str(row["n"]), f"{row['lowest']:g}", f"{row['highest']:g}"]
        for row in document["scores"]
    ]
    show_table("Lowest and highest", columns, rows, prose=["of"])
    show_prose(*(f"covariate {name}: {kind}" for name, kind in document["covariates"].items()))
    show_prose(*(f"note: {note}" for note in document["notes"]))


def template(
    folder: Folder,
    trial: OwnTrial = None,
    design: Annotated[str, typer.Option("--design", help="crossover or parallel.")] = "crossover",
    printed: Annotated[
        bool, typer.Option("--printed", help="For the printed numbers of a paper, not patients.")
    ] = False,
    json: Json = False,
) -> None:
    """Write an empty trial file and an empty patient file, or tables of a paper, to fill in."""
    from bayes_ptsd.evidence.patient_writers import write_printed_template, write_template
    from bayes_ptsd.trial import load_trial

    described = None if trial is None else load_trial(trial)
    if printed:
        files = write_printed_template(folder, described, design=design)
        if json:
            emit("template", {"files": [str(path) for path in files]})
        else:
            say(f"fill in {files[0]} and {files[1]}, then audit --evidence {folder}")
        return
    trial_file, patient_file = write_template(folder, described, design=design)
    if json:
        emit("template", {"trial": str(trial_file), "patients": str(patient_file)})
    else:
        say(f"fill in {trial_file} and {patient_file}, then check-data")


def simulate(
    output: Annotated[Path, typer.Argument(help="A new .csv file.")],
    trial: OwnTrial = None,
    endpoint: Annotated[str | None, typer.Option("--endpoint", help="One of the trial.")] = None,
    design: MadeUpDesign = "crossover",
    kind: MadeUpKind = "continuous",
    n: Annotated[int, typer.Option("--n", min=1, help="Patients per sequence.")] = 20,
    treatment: Treatment = 0.0,
    period: Annotated[float, typer.Option("--period", help="Period 2 minus 1, as recorded.")] = 0.0,
    carryover: Annotated[float, typer.Option("--carryover", help="Benefit left over.")] = 0.0,
    level: Level = None,
    sd_subject: Annotated[float | None, typer.Option("--sd-subject", min=0)] = None,
    sd_within: Annotated[float | None, typer.Option("--sd-within", min=0)] = None,
    sd_total: Total = None,
    correlation: Correlation = None,
    visit_correlation: VisitCorrelation = 0.0,
    missing: Missing = 0.0,
    missing_by_value: ByValue = (0.0, 0.0),
    dropout: Annotated[float, typer.Option("--dropout", help="P(no period 2).")] = 0.0,
    remission: Remission = None,
    seed: Seed = None,
    json: Json = False,
) -> None:
    """Write simulated patients of known truth; with a made-up trial, its trial file beside them."""
    from bayes_ptsd.evidence.patients import write_patients
    from bayes_ptsd.provenance import DEFAULT_SEED
    from bayes_ptsd.simulation.patients import Missingness, simulate_trial

    chosen = DEFAULT_SEED if seed is None else seed
    losses = Missingness(missing, dropout, remission, "active", *missing_by_value)
    evidence = simulate_trial(
        _described(trial, design, kind), endpoint, n_by_sequence=n, seed=chosen,
        treatment=treatment, period=period, carryover=carryover, level=level,
        sd_subject=sd_subject, sd_within=sd_within, sd_total=sd_total, correlation=correlation,
        visit_correlation=visit_correlation, missingness=losses,
    )  # fmt: skip
    beside = output.with_suffix(".toml") if trial is None and output.name else None
    path = write_patients(evidence, output, trial_file=beside)
    described = str(beside or trial)
    document = {"patients": str(path), "trial": described, "seed": chosen, "flow": _flow(evidence)}
    if json:
        emit("simulate", document)
    else:
        say(f"simulated patients: {path} (seed {chosen}); trial file: {described}")


def _described(path: Path | None, design: Design, kind: Kind) -> Trial:
    """Return the trial of a file, or a made-up one."""
    from bayes_ptsd.simulation.patients import made_up_trial
    from bayes_ptsd.trial import load_trial

    if path is not None:
        return load_trial(path)
    return made_up_trial(design, kind=kind, range=(1, 7) if kind == "ordinal" else None)


def _flow(evidence: Evidence) -> list[dict[str, Any]]:
    """Return patients and scores by sequence, period, visit and endpoint."""
    from bayes_ptsd.evidence.patients import flow

    counts = flow(evidence)
    order, crossed = evidence.trial.sequences, evidence.trial.design == "crossover"
    lines = []
    for row in counts["scored"].to_series().reset_index().to_dict("records"):
        line: dict[str, Any] = {str(key): value for key, value in row.items()}
        line["treatment"] = _treatment(order, str(row["sequence"]), int(row["period"]))
        line["subjects"] = int(counts["subjects"].sel(sequence=row["sequence"]))
        if crossed:
            place = {key: row[key] for key in ("sequence", "visit", "endpoint")}
            line["both_periods"] = int(counts["complete"].sel(place))
        lines.append(line)
    return lines


def _extent(evidence: Evidence) -> list[dict[str, Any]]:
    """Return lowest and highest score, and baseline, of every endpoint that has some."""
    from bayes_ptsd.evidence.patient_arrays import outcomes_of

    outcomes, lines = outcomes_of(evidence), []
    for endpoint in map(str, outcomes["endpoint"].values):
        for name, of in (("value", "scores"), ("baseline", "baselines")):
            found = outcomes[name].sel(endpoint=endpoint) if name in outcomes else None
            if found is not None and (n := int(found.notnull().sum())):
                low, high = float(found.min()), float(found.max())
                lines.append(
                    {"endpoint": endpoint, "of": of, "n": n, "lowest": low, "highest": high}
                )
    return lines


def _kinds(evidence: Evidence) -> dict[str, str]:
    """Return what each covariate is read as."""
    from bayes_ptsd.evidence.patient_subjects import covariate_kinds

    return covariate_kinds(evidence)


def _treatment(order: Any, sequence: str, period: int) -> str:
    """Return the treatment of a period; in a parallel trial the sequence is the treatment."""
    return str(order[sequence][period - 1]) if sequence in order else sequence
