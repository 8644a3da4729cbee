"""Commands that look things up: models, stored results, the installation, the citation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from bayes_ptsd.cli._options import Json, Store
from bayes_ptsd.cli._output import CHECK_FAILED, emit, number, say, show_table, store_path

__all__ = ["cite", "doctor", "models_app", "store_app"]

models_app = typer.Typer(help="The shipped models.", no_args_is_help=True)
store_app = typer.Typer(help="Stored results.", no_args_is_help=True)
ResultId = Annotated[str, typer.Argument(help="Result id or its first six digits.")]


@models_app.command("list")
def list_models(json: Json = False) -> None:
    """List the shipped models."""
    from bayes_ptsd.models_files import load_model, shipped_questions

    rows = [list(row) for row in shipped_questions()]
    if json:
        emit("models list", {"models": [load_model(name).document() for name, *_ in rows]})
        return
    columns = ["model", "structure", "question"]
    show_table("Models", columns, rows, prose=columns)


@models_app.command("show")
def show_model(
    name: Annotated[str, typer.Argument(help="Name of a model, or a TOML file.")],
    graph: Annotated[
        bool, typer.Option("--graph/--no-graph", help="Build the PyMC model and print its graph.")
    ] = True,
    json: Json = False,
) -> None:
    """Print a model: specification, equation, priors in score units, PyMC graph."""
    from bayes_ptsd.describe import describe_model
    from bayes_ptsd.models_files import load_model

    document = describe_model(load_model(name), graph=graph)
    if json:
        emit("models show", document)
        return
    lines = [f"{key:<18} {value}" for key, value in document["text"].items()]
    say(*lines)
    if document["graph"]:
        say("", "PyMC graph (mermaid)", *document["graph"].split("\n"))


@store_app.command("list")
def list_results(store: Store = None, json: Json = False) -> None:
    """List the stored results."""
    from bayes_ptsd.store.catalog import list_results as read

    listing = read(store_path(store))
    entries, problems = listing.entries, listing.damaged
    if json:
        found = {"store": str(store_path(store)), "results": entries, "problems": problems}
        emit("store list", found)
        return
    _tell(problems)
    columns = ["result", "model", "evidence", "contrast", "reading", "convention", "prior"]
    show_table(
        f"{len(entries)} results in {store_path(store)}",
        [*columns, "engine", "mean", "P(better)", "checks"],
        [_result_line(entry) for entry in entries],
        prose=columns,
    )


def _tell(problems: list[str]) -> None:
    """Say on stderr what was left out of a list."""
    for problem in problems:
        say(f"left out: {problem}", err=True)


@store_app.command("show")
def show_result(result_id: ResultId, store: Store = None, json: Json = False) -> None:
    """Print one stored result with its estimand, prior, likelihood, checks and provenance."""
    from bayes_ptsd.describe import describe_result
    from bayes_ptsd.store import ResultStore

    document = describe_result(ResultStore(store_path(store)).load(result_id))
    if json:
        emit("store show", document)
        return
    for section, content in document.items():
        lines = (f"  {key:<18} {_plain(value)}" for key, value in content.items())
        say(section, *lines)


def _plain(value: Any) -> str:
    """Return a value in words: of an estimand its mean, interval and probability of benefit."""
    if not isinstance(value, dict) or "eti95" not in value:
        return str(value)
    low, high = value["eti95"]
    text = f"{number(value['mean'], 3)} ({number(low, 3)} to {number(high, 3)})"
    if value["null"] is None:
        return text
    return f"{text}, P(better) {number(value['prob_benefit'], 4)}"


@store_app.command("verify")
def verify_store(store: Store = None, json: Json = False) -> None:
    """Check every file of the store and its report, and sweep what killed processes left.

    What is not the store's is named and left alone. Exit status 1 if something is damaged, missing
    or lost; each message has the command that mends it.
    """
    from bayes_ptsd.store.upkeep import verify_store as verified

    found = verified(store_path(store))
    if json:
        emit("store verify", found._asdict())
    else:
        swept = [f"swept: {name}" for name in found.swept]
        left = [f"not of this store, left alone: {name}" for name in found.foreign]
        say(*found.problems, *swept, *left, f"{found.checked} results checked")
    if found.problems:
        raise typer.Exit(1)


@store_app.command("remove")
def remove_result(
    result_id: Annotated[
        str | None, typer.Argument(help="Result id or its first six digits.")
    ] = None,
    run: Annotated[
        str | None, typer.Option("--run", help="A damaged record of a run: its whole id.")
    ] = None,
    tag: Annotated[
        str | None, typer.Option("--tag", help="A tag that is damaged or has lost its run.")
    ] = None,
    store: Store = None,
    json: Json = False,
) -> None:
    """Remove one result, whole, damaged or lost; a later run computes it again.

    Or remove the record of a run, or a tag, that `store verify` calls damaged.
    """
    from bayes_ptsd.store import upkeep

    given = [(result_id, upkeep.remove_result), (run, upkeep.remove_run), (tag, upkeep.remove_tag)]
    asked = [(name, remove) for name, remove in given if name is not None]
    if len(asked) != 1:
        raise typer.BadParameter("give one result id, or one --run, or one --tag")
    name, remove = asked[0]
    removed = remove(store_path(store), name)
    if json:
        emit("store remove", {"removed": removed})
    else:
        say(f"removed: {removed}")


@store_app.command("export")
def export(
    output: Annotated[
        Path, typer.Argument(help="A .csv or .parquet file; with --result .nc, or a .zarr folder.")
    ],
    result: Annotated[
        str | None, typer.Option("--result", help="One result: its id or first six digits.")
    ] = None,
    store: Store = None,
) -> None:
    """Write the catalog of the store as one table, or one result as NetCDF or Zarr."""
    from bayes_ptsd.store import ResultStore

    found = ResultStore(store_path(store))
    if result is None:
        say(f"catalog: {found.export_catalog(output)}")
    else:
        say(f"result: {found.export(result, output)}")


@store_app.command("log")
def list_runs(store: Store = None, json: Json = False) -> None:
    """List the runs that wrote to the store, newest last."""
    from bayes_ptsd.store.catalog import list_runs as read

    listing = read(store_path(store))
    if json:
        emit("store log", {"runs": listing.entries, "problems": listing.damaged})
        return
    _tell(listing.damaged)
    rows = [
        [run["created"], run["run_id"], run["kind"], str(len(run["results"]))]
        for run in listing.entries
    ]
    columns = ["when (UTC)", "run", "command", "results"]
    show_table(f"Runs in {store_path(store)}", columns, rows, prose=columns[:3])


@store_app.command("tag")
def tag_run(
    name: Annotated[str | None, typer.Argument(help="New name; without one, the tags.")] = None,
    run: Annotated[
        str | None, typer.Argument(help="Run, its beginning or another tag; else the newest.")
    ] = None,
    store: Store = None,
    json: Json = False,
) -> None:
    """Give a run a name that no later run can take, or list the names."""
    from bayes_ptsd.store import tags

    folder = store_path(store)
    listing = tags.list_tags(folder)
    found = listing.entries if name is None else [tags.tag_run(folder, name, run)]
    problems = listing.damaged if name is None else []
    if json:
        emit("store tag", {"tags": found, "problems": problems})
        return
    _tell(problems)
    rows = [[one["tag"], one["run_id"], one["created"]] for one in found]
    columns = ["tag", "run", "since (UTC)"]
    show_table(f"Tags in {folder}", columns, rows, prose=columns)


@store_app.command("diff")
def diff(
    first: Annotated[str, typer.Argument(help="A result, or a run or tag with --runs.")],
    second: Annotated[str, typer.Argument(help="The other one.")],
    runs: Annotated[bool, typer.Option("--runs", help="Compare two runs, not results.")] = False,
    store: Store = None,
    json: Json = False,
) -> None:
    """List what differs between two results, or the analyses in which two runs differ."""
    from bayes_ptsd.store import differences

    compared = differences.diff_runs if runs else differences.diff_results
    found = compared(store_path(store), first, second)
    if json:
        emit("store diff", {"first": first, "second": second, "differences": found})
        return
    head = "analysis" if runs else "key"
    rows = [[str(one[head]), _short(one["first"]), _short(one["second"])] for one in found]
    columns = [head, first, second]
    show_table(f"{len(found)} differences", columns, rows, prose=columns)


def _short(value: Any) -> str:
    """Return one side of a difference for people."""
    if not isinstance(value, dict):
        return "–" if value is None else str(value)  # noqa: RUF001
    shown = f"{value['result_id'][:10]}"
    return shown if "mean" not in value else f"{shown}, mean {number(value['mean'])}"


def _result_line(entry: dict[str, Any]) -> list[str]:
    """Return one line of the catalog for people."""
    entry = {**entry, "contrast": entry.get("contrast") or entry.get("endpoint")}
    if entry.get("reconstructions"):
        entry["engine"] = f"{entry['engine']}, {entry['reconstructions']} sets"
    difference = entry.get("summary", {}).get("treatment_difference", {})
    keys = (
        "model",
        "evidence_kind",
        "contrast",
        "crossover_reading",
        "convention",
        "prior",
        "engine",
    )
    return [
        entry["result_id"][:10],
        *(str(entry.get(key) or "") for key in keys),
        number(difference.get("mean")),
        number(difference.get("prob_benefit"), 4),
        # what a section of the page computed has no checks of its own
        "" if "asked" in entry["spec"] else "passed" if entry.get("checks_passed") else "FAILED",
    ]


def doctor(
    sample: Annotated[
        bool, typer.Option("--sample/--no-sample", help="Compile and sample a small model.")
    ] = True,
    store: Store = None,
    json: Json = False,
) -> None:
    """Check the installation: libraries, store, and one known number from each engine."""
    from bayes_ptsd.installation import check_installation

    found = check_installation(store_path(store), sample=sample)
    bad = [one for one in found if not one.good]
    if json:
        emit("doctor", {"passed": not bad, "findings": [one._asdict() for one in found]})
    else:
        columns = ["what", "found", "verdict"]
        rows = [[one.what, one.found, "good" if one.good else one.remedy] for one in found]
        show_table("Installation", columns, rows, prose=columns)
    if bad:
        raise typer.Exit(CHECK_FAILED)


def cite(json: Json = False) -> None:
    """Print how to cite this program and the trial it reanalyzes."""
    from bayes_ptsd.citation import citations

    found = citations()
    if json:
        emit("cite", {"citations": found})
        return
    cited = (f"{one['text']}\n\n{one['bibtex']}" for one in found)
    say(*"\n\n".join(cited).split("\n"))
