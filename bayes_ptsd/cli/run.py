"""Commands that run the reanalysis and write its page."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from bayes_ptsd.cli._options import (
    Evidence_,
    ReadingWeights,
    Run,
    Store,
    Unseeded,
    chosen_readings,
    grouped,
)
from bayes_ptsd.cli._output import (
    CHECK_FAILED,
    Talk,
    emit,
    interval,
    number,
    printed_words,
    show_prose,
    show_table,
    store_path,
)

__all__ = ["reanalyze", "report"]

# A process takes one task at a time, with compiled models of its own, and the tasks that take long
# are the seven models that are sampled: five or six processes would need two rounds as four do.
MOST_WORKERS = 4


@grouped
def reanalyze(
    *,
    store: Store = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Four priors, one convention, nothing sampled.")
    ] = False,
    reconstructions: Annotated[
        int | None,
        typer.Option("--reconstructions", help="Sets of reconstructed patients: 20, quick 5."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, help="Processes that fit models; else one a core, to 4."),
    ] = None,
    evidence: Evidence_ = None,
    reading_weights: ReadingWeights = None,
    run: Run,
) -> None:
    """Reanalyze every printed contrast under every prior, and patients reconstructed from print.

    Writes the report. Resumes where it stopped: what the store holds is found, not repeated.
    """
    from bayes_ptsd.evidence.published import load_published
    from bayes_ptsd.reanalysis import reanalyze as reanalyzed
    from bayes_ptsd.store import ResultStore

    talk = run.talk()
    folder = store_path(store)
    weights = chosen_readings(reading_weights)
    talk.say(f"store {folder}, seed {run.fixed_seed}")
    with talk.progress() as progress:
        done = reanalyzed(
            ResultStore(folder),
            evidence=load_published(evidence),
            quick=quick,
            reconstructions=reconstructions,
            seed=run.fixed_seed,
            workers=workers or min(os.cpu_count() or 1, MOST_WORKERS),
            reading_weights=weights,
            progress=progress,
        )
    if run.json:
        emit("reanalyze", done)
    else:
        _show_headline(done)
    _tell(done, talk)


@grouped
def report(
    *,
    store: Store = None,
    output: Annotated[Path | None, typer.Option("--output", help="Folder of the page.")] = None,
    evidence: Evidence_ = None,
    reading_weights: ReadingWeights = None,
    run: Unseeded,
) -> None:
    """Write the page from the store: the printed numbers, patients, or both, as it holds them.

    What it lacks of the printed numbers is computed by the exact engine. Weights of readings are
    those of the newest reanalysis of these numbers, unless others are given. A page that was made
    from the same results by the same program is left as it is.
    """
    from bayes_ptsd.evidence.published import load_published
    from bayes_ptsd.provenance import DEFAULT_SEED
    from bayes_ptsd.store import ResultStore
    from bayes_ptsd.store.report_folder import PAGE
    from bayes_ptsd.store.report_origin import is_current, last_weights, only_patients

    talk = run.talk()
    results = ResultStore(store_path(store))
    alone = evidence is None and only_patients(results.catalog())
    printed = None if alone else load_published(evidence)
    weights = chosen_readings(reading_weights)
    if weights is None and printed is not None:
        weights = last_weights(results.runs(), printed.digest)
    folder = output or store_path(store) / "report"
    unchanged = is_current(
        folder, results.path, printed, quick=False, seed=DEFAULT_SEED, reading_weights=weights
    )
    if not unchanged:
        from bayes_ptsd.report import write_report

        write_report(printed, results, folder, reading_weights=weights)
    page = folder / PAGE
    if run.json:
        emit("report", {"report": str(page), "unchanged": unchanged})
    words = ", unchanged: it was made from these results by this program" if unchanged else ""
    talk.say(f"report: {page}{words}")


def _tell(done: dict[str, Any], talk: Talk) -> None:
    """Say what was done; leave with 3 if a headline analysis failed its checks."""
    talk.say(_account(done))
    for note in done["notes"]:
        talk.say(note)
    for one in [pooled for pooled in done["pooled"] if not pooled["checks_passed"]]:
        talk.say(f"{one['model']}, reconstructed patients: a fit failed a check; see the page")
    talk.say(f"report: {done['report']}")
    headline = {row["result_id"] for row in done["headline"]} - {None} | set(done["sampled"])
    failed = sorted(headline & set(done["failed"]))
    if failed:
        talk.say(f"a headline analysis failed its checks: {', '.join(failed)}")
        raise typer.Exit(CHECK_FAILED)


def _account(done: dict[str, Any]) -> str:
    """Say what was computed and what was found, and how long each stage took."""
    stages = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in done["seconds"].items())
    if done["computed"] == 0:
        work = f"nothing refitted: all {done['found']} results were found in the store"
    else:
        work = f"{done['computed']} results computed, {done['found']} found in the store"
    return f"{work} ({stages})"


def _show_headline(done: dict[str, Any]) -> None:
    """Print the headline table."""
    rows = []
    for row in done["headline"]:
        label = f"{row['contrast']} {row['analysis'].replace('_', ' ')}"
        if row["analysis"] == "crossover":
            label += f", {row['crossover_reading'].replace('_', ' ')}"
        ratio = row.get("printed_scale")
        rows.append(
            [
                label,
                printed_words(*row["published"]),
                row["prior"],
                f"{number(ratio['median'])} ({ratio['label']})" if ratio else number(row["mean"]),
                interval((ratio or row)["eti95"], 2),
                number(row["prob_benefit"], 4),
                number(row["prob_gt_mcid"], 4),
            ]
        )
    columns = ["contrast", "published (95% CI)", "prior", "mean", "95% interval"]
    ratios = any("printed_scale" in row for row in done["headline"])
    show_table(
        "Ratio as printed, its median (published)"
        if ratios
        else "Treatment difference, score units, positive = active treatment better (published)",
        [*columns, "P(better)", "P(> MCID)"],
        rows,
        prose=["published (95% CI)", "prior"],
    )
    if any(row["analysis"] == "crossover" for row in done["headline"]):
        show_prose(done["reading_weights"]["note"], *_counted_in(done))


def _counted_in(done: dict[str, Any]) -> list[str]:
    """Say what the first row would be with carryover_covariate counted in."""
    share = done["reading_weights"]["weights"].get("carryover_covariate", 0.0)
    first = done["headline"][0]
    if share == 0 or first["crossover_reading"] != "averaged":
        return []
    keys = ("contrast", "prior", "crossover_reading")
    found = {tuple(row[key] for key in keys): row for row in done["headline"]}
    printed = found[first["contrast"], first["prior"], "as_published"]
    from bayes_ptsd.readings.notes import counted_in

    return [counted_in(first, printed, share)]
