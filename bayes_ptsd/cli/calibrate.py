"""The command that calibrates a model: ranks of known truths, and what a decision rule does."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayes_ptsd.cli._options import Engine, Patients, Run, Variant, grouped
from bayes_ptsd.cli._output import CHECK_FAILED, Talk, emit, number, show_table
from bayes_ptsd.cli.fit import chosen_specs
from bayes_ptsd.errors import BayesPtsdError, SpecError
from bayes_ptsd.whole_files import refuse_taken, write_new

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from bayes_ptsd.structures.crossover.model import CrossoverModel

__all__ = ["calibrate_command"]

Numbers = list[float] | None
Texts = list[str] | None


@dataclass(frozen=True)
class Study:
    """How many trials are simulated, how each is fitted, and by whom."""

    # two, as one trial has no spread over simulations
    simulations: Annotated[int, typer.Option("--simulations", min=2, help="Simulated trials.")] = (
        200
    )
    # one draw already gives a rank, 0 or 1
    draws: Annotated[int, typer.Option("--draws", min=1, help="Posterior draws a trial.")] = 100
    engine: Engine = "auto"
    # this process is the first
    workers: Annotated[
        int, typer.Option("--workers", min=1, help="Processes that share the work.")
    ] = 1
    cluster: Annotated[
        str | None,
        typer.Option("--cluster", help="Address of a dask scheduler, instead of --workers."),
    ] = None


@dataclass(frozen=True)
class Pattern(Patients):
    """Patients who give the pattern of the simulated ones."""

    trial: Annotated[Path | None, typer.Option("--trial", help="Trial file of own patients.")] = (
        None
    )
    data: Annotated[
        Path | None, typer.Option("--data", help="Patient file that gives the pattern.")
    ] = None


@dataclass(frozen=True)
class Truths:
    """Values of the true parameters, in reference SDs."""

    treatment: Annotated[
        Numbers, typer.Option("--treatment", help="True effect, SDs; repeatable.")
    ] = None
    carryover: Annotated[
        Numbers, typer.Option("--carryover", help="True carryover, SDs; repeatable.")
    ] = None
    correlation: Annotated[
        Numbers, typer.Option("--correlation", help="True correlation of a patient; repeatable.")
    ] = None

    def grid(self) -> dict[str, Sequence[float]]:
        """Return what is asked for, else the default grid."""
        # from none to a large effect, without and with a carryover of the usual size
        default = Truths([0.0, 0.3, 0.6, 0.9], [0.0, 0.4], [0.5])
        return {name: given or getattr(default, name) for name, given in vars(self).items()}


@dataclass(frozen=True)
class Files:
    """What is written, of what is asked for."""

    ranks_only: Annotated[
        bool, typer.Option("--ranks-only", help="No operating characteristics.")
    ] = False
    ranks: Annotated[Path | None, typer.Option("--ranks", help="Write the ranks, .csv.")] = None
    figure: Annotated[
        Path | None, typer.Option("--figure", help="Write the figure of ranks, .svg.")
    ] = None


@grouped
def calibrate_command(
    *,
    model: Annotated[str, typer.Argument(help="Name of a crossover model, or a TOML file.")],
    study: Study,
    patients: Pattern,
    prior: Annotated[
        str | None, typer.Option("--prior", help="Prior of the treatment, of the family.")
    ] = None,
    set_: Annotated[
        Texts, typer.Option("--set", help="Prior of a parameter, 'treatment=normal(0, 20)'.")
    ] = None,
    option: Annotated[
        Texts, typer.Option("--option", help="Option of the model, 'carryover=true'.")
    ] = None,
    truths: Truths,
    decision: Annotated[
        Numbers, typer.Option("--decision", help="Decide if P(benefit) exceeds this; repeatable.")
    ] = None,
    files: Files,
    run: Run,
) -> None:
    """Calibrate a crossover model on simulated trials, and see what a decision about it does.

    The pattern of patients is that of the published trial unless a file gives another one.
    Exit status 3 if ranks leave the band that calibrated ones stay inside.
    """
    talk = run.talk()
    refuse_taken(filter(None, (files.ranks, files.figure)), error=BayesPtsdError)
    variant = Variant(None if prior is None else [prior], set_, option)
    problem = _problem(model, variant, patients)
    document = _calibrated(
        problem, study, None if files.ranks_only else truths, decision or [],
        seed=run.fixed_seed, talk=talk, files=files,
    )  # fmt: skip
    if run.json:
        emit("calibrate", document)
    else:
        _show(document)
    for warning in document["warnings"]:
        talk.say(warning)
    if document["why_no_decisions"]:
        talk.say(document["why_no_decisions"])
    talk.say(f"seed {run.fixed_seed}, {document['seconds']:.1f} s")
    if not document["calibration"]["passed"]:
        talk.say("ranks leave their band: the posterior is not that of the model")
        raise typer.Exit(CHECK_FAILED)


def _problem(name: str, variant: Variant, patients: Patients) -> CrossoverModel:
    """Return the model with the pattern of the patients."""
    from bayes_ptsd.calibration.pattern import trial_pattern
    from bayes_ptsd.evidence.outcome import select_outcome
    from bayes_ptsd.evidence.patients import load_patients
    from bayes_ptsd.models_files import load_model
    from bayes_ptsd.structures.crossover.model import crossover_model

    spec = load_model(name)
    if spec.room.reads != "periods":
        raise SpecError(
            f"model '{spec.name}' is of structure '{spec.structure}'; calibrate simulates "
            "patients of a crossover: take a model such as 'crossover'"
        )
    [spec] = chosen_specs(spec, variant)
    trial, data, endpoint = patients.trial, patients.data, patients.endpoint
    if (trial is None) != (data is None):
        raise SpecError("give both --trial and --data, or neither")
    if trial is None or data is None:
        return crossover_model(trial_pattern(endpoint or "ies_r"), spec)
    loaded = load_patients(data, trial, endpoint=endpoint, key=patients.key)
    return crossover_model(select_outcome(loaded, endpoint, visit=patients.visit), spec)


def _calibrated(
    problem: CrossoverModel,
    study: Study,
    truths: Truths | None,
    decisions: Sequence[float],
    *,
    seed: int,
    talk: Talk,
    files: Files,
) -> dict[str, Any]:
    """Simulate, rank and decide; return the document."""
    from bayes_ptsd.calibration.decisions import DECISION, operating_characteristics
    from bayes_ptsd.calibration.document import (
        characteristics_rows,
        model_document,
        ranks_document,
    )
    from bayes_ptsd.calibration.ranks import simulated_ranks
    from bayes_ptsd.calibration.scenarios import scenario_grid
    from bayes_ptsd.provenance import library_versions
    from bayes_ptsd.structures.crossover.exact import why_not_exact

    start = time.perf_counter()
    why_not = why_not_exact(problem.options)
    name = {"auto": "nuts" if why_not else "exact"}.get(study.engine, study.engine)
    rows = []
    with _executor(study.workers, study.cluster) as (executor, parts), talk.progress() as advance:
        ranks = simulated_ranks(
            problem, study.simulations, engine=_engine(name), draws=study.draws,
            seed=seed, executor=executor, parts=parts if name == "nuts" else None,
            progress=lambda done, total: advance(f"ranks, {name}", done, total),
        )  # fmt: skip
        if truths is not None and not why_not:
            found = operating_characteristics(
                problem, scenario_grid(**truths.grid()), study.simulations,
                decisions=decisions or (DECISION,), seed=seed, executor=executor,
                progress=lambda done, total: advance("decisions, exact", done, total),
            )  # fmt: skip
            rows = characteristics_rows(found)
    _write(ranks, f"{problem.spec.name}, {name}", files)
    return {
        **model_document(problem), "simulations": study.simulations, "draws": study.draws,
        "seed": seed, "engine": name,
        "calibration": ranks_document(ranks),
        "operating_characteristics": rows,
        "warnings": [*problem.evidence.notes],
        "why_no_decisions": f"no operating characteristics: {why_not}" if why_not else "",
        "versions": dict(library_versions()),
        "seconds": time.perf_counter() - start,
    }  # fmt: skip


def _engine(name: str) -> Any:
    """Return the engine of that name."""
    from bayes_ptsd.calibration.ranks import exact_engine

    if name == "exact":
        return exact_engine
    if name != "nuts":
        raise SpecError(f"unknown engine '{name}'; auto, exact or nuts")
    from bayes_ptsd.calibration.nuts import nuts_engine

    return nuts_engine


@contextmanager
def _executor(workers: int, cluster: str | None) -> Iterator[tuple[Executor | None, int]]:
    """Yield an executor and into how many parts sampling is shared; none for one process."""
    if cluster is not None:
        try:
            from distributed import Client
        except ImportError as error:
            raise BayesPtsdError(
                "--cluster needs dask with its scheduler, the package 'distributed', here and on "
                "the cluster; without it use --workers"
            ) from error
        with Client(cluster) as client:
            yield client.get_executor(), max(1, sum(client.ncores().values()))
    elif workers == 1:
        yield None, 1
    else:
        from bayes_ptsd.calibration.document import task_name
        from bayes_ptsd.processes import WorkerPool

        with WorkerPool(workers, label=task_name) as executor:
            yield executor, workers


def _write(ranks: Any, title: str, files: Files) -> None:
    """Write ranks and figure where they are asked for, both or neither."""
    contents = {}
    if files.ranks is not None:
        frame = ranks["rank"].to_series().unstack("quantity")
        contents[files.ranks] = (
            frame[list(ranks["quantity"].values)].to_csv(lineterminator="\n").encode()
        )
    if files.figure is not None:
        from bayes_ptsd.plots.ranks import ranks_figure
        from bayes_ptsd.plots.style import figure_svg

        contents[files.figure] = figure_svg(ranks_figure(ranks, title=title)).encode()
    if contents:
        write_new(contents, error=BayesPtsdError)


def _show(document: Mapping[str, Any]) -> None:
    """Print both tables."""
    calibration = document["calibration"]
    rows = [
        [one["quantity"], number(one["deviation"], 3), number(one["p_value"], 3),
         "inside" if one["inside"] else "outside"]
        for one in calibration["quantities"]
    ]  # fmt: skip
    title = (
        f"{document['model']}, {document['engine']}: ranks of {calibration['simulations']} known "
        f"truths among {calibration['draws']} draws (simulated)"
    )
    show_table(title, ["quantity", "largest deviation", "P", "95% band, all at once"], rows)
    rows = [
        [number(one["treatment"], 2), number(one["carryover"], 2), number(one["correlation"], 2),
         f"> {one['decision']:g}", f"{one['probability']:.3f} ({one['probability_error']:.3f})",
         f"{one['coverage']:.3f} ({one['coverage_error']:.3f})",
         f"{number(one['bias'])} ({one['bias_error']:.2f})"]
        for one in document["operating_characteristics"]
    ]  # fmt: skip
    if rows:
        columns = ["true effect, SD", "carryover, SD", "correlation", "P(benefit)",
                   "decided", "95% ETI covers", "bias, score units"]  # fmt: skip
        show_table("What the decision does (simulated; Monte Carlo error)", columns, rows)
