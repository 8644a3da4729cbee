"""The command that computes one analysis: a model, its evidence, one or several priors."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayes_ptsd.cli._output import (
    CHECK_FAILED,
    Evidence_,
    Json,
    Log,
    Quiet,
    Seed,
    Store,
    Talk,
    emit,
    number,
    show_periods,
    show_table,
    store_path,
)
from bayes_ptsd.errors import SpecError

if TYPE_CHECKING:
    from bayes_ptsd.evidence import Evidence
    from bayes_ptsd.specification import ModelSpec

__all__ = [
    "Options",
    "Outcome",
    "Overrides",
    "Priors",
    "Visit",
    "chosen_specs",
    "fit_command",
    "stored_documents",
]

Model = Annotated[str, typer.Argument(help="Name of a model, or a TOML file.")]
TrialFile = Annotated[Path | None, typer.Option("--trial", help="Trial file of patients.")]
Data = Annotated[Path | None, typer.Option("--data", help="Patient file.")]
Outcome = Annotated[str | None, typer.Option("--endpoint", help="Endpoint of the patients.")]
Visit = Annotated[str | None, typer.Option("--visit", help="Visit of the patients.")]
Contrast = Annotated[str | None, typer.Option("--contrast", help="Printed row, T2.IESR.X.")]
Priors = Annotated[
    list[str] | None,
    typer.Option(
        "--prior",
        help="Prior of the family; repeatable. reference is a stand-in for flat, not a belief.",
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", help="Prior of a parameter, 'treatment=normal(0, 20)'; repeatable."),
]
Options = Annotated[
    list[str] | None,
    typer.Option("--option", help="Option of the model, 'patients=completers'; repeatable."),
]
Thresholds = Annotated[
    list[float] | None,
    typer.Option("--threshold", help="Adds P(estimand > X), score units; repeatable."),
]
Engine = Annotated[
    str, typer.Option("--engine", help="exact, nuts, or auto: exact where there is one.")
]
# The least there is to summarize; whether it is enough, the checks say.
Draws = Annotated[int, typer.Option("--draws", min=1, help="NUTS draws per chain.")]
# Without any, step size and scales would be guesses.
Tune = Annotated[int, typer.Option("--tune", min=1, help="NUTS tuning steps per chain.")]
# With one, R-hat compares its halves.
Chains = Annotated[int, typer.Option("--chains", min=1, help="NUTS chains.")]
KeepData = Annotated[bool, typer.Option("--keep-data", help="Store the patients' rows as well.")]


def fit_command(
    model: Model,
    trial: TrialFile = None,
    data: Data = None,
    endpoint: Outcome = None,
    visit: Visit = None,
    contrast: Contrast = None,
    evidence: Evidence_ = None,
    prior: Priors = None,
    set_: Overrides = None,
    option: Options = None,
    threshold: Thresholds = None,
    engine: Engine = "auto",
    draws: Draws = 1000,
    tune: Tune = 1000,
    chains: Chains = 4,
    keep_data: KeepData = False,
    store: Store = None,
    seed: Seed = None,
    json: Json = False,
    quiet: Quiet = False,
    log: Log = None,
) -> None:
    """Compute one analysis, of patients or of a printed row, and store it.

    Exit status 3 if a required check of a result failed; the result is stored and marked.
    """
    from bayes_ptsd.provenance import DEFAULT_SEED
    from bayes_ptsd.specification import Request

    talk = Talk(quiet=quiet, log=log)
    specs = chosen_specs(model, prior or [], set_ or [], option or [])
    asked = Request(contrast, evidence, trial, data, endpoint, visit)
    found = specs[0].room.select(specs[0], asked)
    documents = stored_documents(
        found,
        specs,
        store=store_path(store),
        seed=DEFAULT_SEED if seed is None else seed,
        engine=engine,
        sampler={"draws": draws, "tune": tune, "chains": chains},
        thresholds=threshold or [],
        keep_data=keep_data,
        talk=talk,
    )
    _report(documents, json=json, talk=talk)


def _report(documents: Sequence[dict[str, Any]], *, json: bool, talk: Talk) -> None:
    """Print the results and what there is to say about them; leave with 3 if a check failed."""
    if json:
        emit("fit", documents[0] if len(documents) == 1 else {"fits": documents})
    else:
        _show(documents)
    for document in documents:
        for warning in document["warnings"]:
            talk.say(f"{document['prior']}: {warning}")
    if not all(document["diagnostics"]["passed"] for document in documents):
        talk.say("a required check failed; the result is stored and marked")
        raise typer.Exit(CHECK_FAILED)


def chosen_specs(
    model: str, priors: Sequence[str], overrides: Sequence[str], options: Sequence[str]
) -> list[ModelSpec]:
    """Return the specification for every prior, with its overrides."""
    from bayes_ptsd.models_files import load_model
    from bayes_ptsd.specification import parse_option, parse_override

    spec = load_model(model)
    spec = spec.having(options=dict(parse_option(text, spec.room) for text in options))
    if priors and any(text.partition("=")[0].strip() == "treatment" for text in overrides):
        raise SpecError("--prior and --set treatment=... both give the prior of the treatment")
    own = dict(map(parse_override, overrides))
    # the priors that somebody sets stay as they are under a flat one, which sets others, too
    return [one.having(priors=own) for one in ([spec.under(name) for name in priors] or [spec])]


def stored_documents(
    evidence: Evidence,
    specs: Sequence[ModelSpec],
    *,
    store: Path,
    seed: int,
    engine: str,
    sampler: dict[str, int],
    thresholds: Sequence[float],
    keep_data: bool,
    talk: Talk,
) -> list[dict[str, Any]]:
    """Find or compute, and store, one result a specification; record the run."""
    from bayes_ptsd.compiled import CompiledModels
    from bayes_ptsd.fit import stored_fit
    from bayes_ptsd.fit_view import fit_document
    from bayes_ptsd.provenance import library_versions
    from bayes_ptsd.store import ResultStore

    results = ResultStore(store)
    results.check_writable()
    documents = []
    compiled = CompiledModels()
    for spec in specs:
        with talk.console.status("reading") as status, warnings.catch_warnings():
            # what fails is in the result and is said once, below the table
            warnings.simplefilter("ignore")
            fit = stored_fit(
                evidence, spec, results, engine=engine, seed=seed, keep_data=keep_data,
                compiled=compiled, stage=lambda text: status.update(f"{text} ..."), **sampler,
            )  # fmt: skip
        documents.append(fit_document(fit, evidence, spec, thresholds=thresholds))
    request = {
        "models": [spec.document() for spec in specs],
        "evidence": evidence.digest,
        "engine": engine,
        "seed": seed,
        **sampler,
    }
    ids = [document["result_id"] for document in documents]
    results.record_run("fit", request, results=ids, versions=library_versions())
    talk.say(f"store {store}, seed {seed}, results {', '.join(name[:10] for name in ids)}")
    return documents


def _show(documents: Sequence[dict[str, Any]]) -> None:
    """Print the estimands and the frequentist mirror."""
    rows = []
    for document in documents:
        for name, one in document["estimands"].items():
            low, high = one["eti95"]
            rows.append(
                [
                    f"{name} ({document['prior']}, {document['engine']})",
                    one["unit"],
                    number(one["mean"], 3),
                    number(one["sd"], 3),
                    f"{number(low, 3)} to {number(high, 3)}",
                    number(one["prob_benefit"], 4),
                    number(one["prob_gt_mcid"], 4),
                ]
            )
    mirror = documents[0]["frequentist"]
    if mirror["estimate"] is not None:
        low, high = mirror["ci95"]
        interval = f"{number(low, 3)} to {number(high, 3)}"
        cells = [number(mirror["estimate"], 3), number(mirror["se"], 3), interval]
        rows.append([f"{mirror['method']}: P {number(mirror['p_value'], 4)}", "", *cells, "", ""])
    first = documents[0]
    title = f"{first['model']}, {first['endpoint']}, positive = active better"
    columns = ["estimand", "unit", "mean", "sd or SE", "95% interval", "P(better)", "P(> MCID)"]
    show_table(f"{title} ({first['evidence_kind']})", columns, rows)
    show_periods(mirror.get("periods", ()))
    _show_priors(documents)


def _show_priors(documents: Sequence[dict[str, Any]]) -> None:
    """Print which prior moves the answer by how much, and what the priors alone make of scores."""
    rows = [
        [f"{document['prior']}: {name.removeprefix('power_scaling_')}", number(one["figure"], 3),
         one["meaning"]]
        for document in documents
        for name, one in document["checks"].items()
        if name.startswith("power_scaling_") and name != "power_scaling_likelihood"
    ]  # fmt: skip
    if rows:
        show_table(
            "Power-scaling: what each kind of prior does to the answer (0.05 and more is felt)",
            ["prior", "sensitivity", "what it says"], rows, prose=["what it says"],
        )  # fmt: skip
    rows = [
        [f"{one['endpoint']} ({document['prior']})",
         " to ".join(number(limit, 1) for limit in one["interval95"]),
         number(one["share_inside_range"], 3)]
        for document in documents
        for one in document.get("prior_scores", [])
    ]  # fmt: skip
    if rows:
        columns = ["endpoint", "95% of scores", "share inside the range"]
        show_table("Scores under the priors alone (shown, no check)", columns, rows)
