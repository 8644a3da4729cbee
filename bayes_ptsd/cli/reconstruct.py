"""The command that reconstructs patients from printed numbers."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayes_ptsd.cli._options import Evidence_, Run, grouped
from bayes_ptsd.cli._output import Talk, emit, say, show_table
from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.whole_files import refuse_taken, write_new

if TYPE_CHECKING:
    from bayes_ptsd.evidence import Evidence
    from bayes_ptsd.reconstruction.run import Reconstruction

__all__ = ["reconstruct_command"]

# Fewer sets, about a second each, are made before another process has imported what it needs.
FEW = 4


@grouped
def reconstruct_command(
    *,
    m: Annotated[int, typer.Option("--m", min=1, help="Sets of patients per reading.")] = 20,
    reading: Annotated[
        str, typer.Option("--reading", help="Reading of the crossover rows, or 'all'.")
    ] = "as_published",
    flow_reading: Annotated[
        str, typer.Option("--flow-reading", help="Reading of the flow: paper or registry.")
    ] = "paper",
    nuisance: Annotated[
        str | None, typer.Option("--nuisance", help="Priors of what is not printed: file or name.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", help="Folder for patient files and their trial file."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Processes; one per core otherwise.")
    ] = None,
    evidence: Evidence_ = None,
    run: Run,
) -> None:
    """Reconstruct patients that print every number of the paper, and verify each set."""
    from bayes_ptsd.evidence.published import load_published
    from bayes_ptsd.reconstruction.plan import READINGS
    from bayes_ptsd.reconstruction.run import reconstructions

    talk, printed = run.talk(), load_published(evidence)
    share = workers or (min(os.cpu_count() or 1, m) if m >= FEW else 1)
    talk.say(f"seed {run.fixed_seed}, {share} processes")
    limits = _limits(printed, flow_reading)
    documents, files = [], dict[Path, bytes]()
    names = READINGS if reading == "all" else (reading,)
    _refuse_names(printed, names, flow_reading, nuisance=nuisance, m=m, folder=output)
    for name in names:
        running = reconstructions(
            printed, m=m, reading=name, flow_reading=flow_reading, seed=run.fixed_seed,
            nuisance=nuisance, workers=share,
        )  # fmt: skip
        made = _watched(running, talk, f"{name}, {flow_reading}", m)
        documents.append(_document(made, m))
        if output is not None:
            files |= _contents(made, output)
    if files:
        write_new(files, error=EvidenceError, parents=True)
    written = [str(path) for path in files if path.suffix == ".csv"]
    content = {"seed": run.fixed_seed, "readings": documents, **limits, "files": written}
    if run.json:
        emit("reconstruct", content)
    else:
        _show(content)


def _limits(printed: Evidence, flow_reading: str) -> dict[str, Any]:
    """Return what no patients can print and, if there are any, the rows that none were matched to.

    A trial whose print does not suffice is refused here, before anything is drawn.
    """
    from bayes_ptsd.reconstruction.exclusions import impossibilities
    from bayes_ptsd.reconstruction.plan import plan_of

    unmatched = plan_of(printed, flow_reading=flow_reading).unmatched
    found = [{"place": one.place, "statement": one.statement} for one in impossibilities(printed)]
    return {"findings": found} | ({"unmatched": list(unmatched)} if unmatched else {})


def _watched(
    running: Iterator[Reconstruction], talk: Talk, name: str, m: int
) -> list[Reconstruction]:
    """Return what is being made, with a bar for people."""
    made = []
    with talk.progress() as progress:
        for one in running:
            made.append(one)
            progress(name, len(made), m)
    return made


def _document(made: list[Reconstruction], m: int) -> dict[str, Any]:
    """Return what was made under one reading."""
    from statistics import median

    said = made[0].patients.assumptions
    seconds = [one.seconds for one in made]
    drawn = sum(one.drawn for one in made)
    return {
        "evidence_kind": "reconstructed",
        "crossover_reading": said["crossover_reading"],
        "flow_reading": said["flow_reading"],
        "m": m,
        "verified": sum(all(number.agrees for number in one.checked) for one in made),
        "drawn": drawn,
        "attempts_per_success": sum(one.starts for one in made) / len(made),
        "drawn_per_verified": drawn / len(made),
        "seconds": {"median": median(seconds), "max": max(seconds)},
        "seconds_verifying": median([one.verifying for one in made]),
        "numbers": _numbers(made),
        "digests": [one.patients.digest for one in made],
    }


def _numbers(made: list[Reconstruction]) -> list[dict[str, Any]]:
    """Return every printed number with the range of the recomputed ones."""
    rows = zip(*(one.checked for one in made), strict=True)
    return [
        {
            "id": row[0].id,
            "quantity": row[0].quantity,
            "method": row[0].method,
            "printed": row[0].printed,
            "lowest": min(number.recomputed for number in row),
            "highest": max(number.recomputed for number in row),
        }
        for row in rows
    ]


def _contents(made: list[Reconstruction], folder: Path) -> dict[Path, bytes]:
    """Return files that the reader takes back: patients, and the trial unless it is there."""
    from bayes_ptsd.evidence.patient_writers import patients_csv, trial_toml

    trial = folder / "trial.toml"
    text = trial_toml(made[0].patients.trial)
    files: dict[Path, bytes] = {} if trial.exists() else {trial: text.encode()}
    for number, one in enumerate(made, start=1):
        said = one.patients.assumptions
        name = _file_name(
            said["crossover_reading"], said["flow_reading"], said.get("nuisance_priors", ""), number
        )
        files[folder / name] = patients_csv(one.patients).encode()
    return files


def _refuse_names(
    printed: Evidence,
    readings: Sequence[str],
    flow_reading: str,
    *,
    nuisance: str | None,
    m: int,
    folder: Path | None,
) -> None:
    """Refuse a file of patients that is there, before any are searched for."""
    if folder is None:
        return
    from bayes_ptsd.reconstruction.nuisance import load_nuisance
    from bayes_ptsd.reconstruction.plan import plan_of

    plans = [plan_of(printed, reading=one, flow_reading=flow_reading) for one in readings]
    label = load_nuisance(nuisance, joint=plans[0].joint).label
    names = (
        folder / _file_name(one.reading, one.flow_reading, label, number)
        for one in plans for number in range(1, m + 1)
    )  # fmt: skip
    refuse_taken(names, error=EvidenceError)


def _file_name(reading: str, flow_reading: str, label: str, number: int) -> str:
    """Return the name of the file of one set of patients; `label` of priors that are not usual."""
    return "-".join([*filter(None, (reading, flow_reading, label)), f"{number:03d}.csv"])


def _show(content: dict[str, Any]) -> None:
    """Print counts, then printed beside recomputed numbers, then what cannot be printed."""
    columns = ["reading", "flow", "verified", "drawn", "starts", "seconds (median)", "max"]
    rows = [
        [
            document["crossover_reading"], document["flow_reading"],
            f"{document['verified']} of {document['m']}", str(document["drawn"]),
            f"{document['attempts_per_success']:.2f}",
            f"{document['seconds']['median']:.2f}", f"{document['seconds']['max']:.2f}",
        ]
        for document in content["readings"]
    ]  # fmt: skip
    show_table("Reconstructed patients; starts per set", columns, rows, prose=["flow"])
    for document in content["readings"]:
        title = f"Printed and recomputed (reconstructed, {document['crossover_reading']})"
        lines = [
            [
                number["id"], number["quantity"], number["method"], number["printed"],
                f"{number['lowest']:.4f}", f"{number['highest']:.4f}",
            ]
            for number in document["numbers"]
        ]  # fmt: skip
        heads = ["row", "number", "analysis", "printed", "lowest", "highest"]
        show_table(title, heads, lines, prose=["number", "analysis"])
    for finding in content["findings"]:
        say(f"no patients print: {finding['statement']}")
    for path in content["files"]:
        say(f"written: {path}")
    for row in content.get("unmatched", ()):
        say(f"not matched: {row}")
