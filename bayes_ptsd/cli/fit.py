"""The command that computes one analysis: a model, its evidence, one or several priors."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayes_ptsd.cli._options import (
    Engine,
    Evidence_,
    Patients,
    Run,
    Store,
    Variant,
    grouped,
    typed_prior,
)
from bayes_ptsd.cli._output import (
    CHECK_FAILED,
    Talk,
    emit,
    interval,
    number,
    show_periods,
    show_ratios,
    show_table,
    store_path,
)
from bayes_ptsd.errors import SpecError

if TYPE_CHECKING:
    from bayes_ptsd.evidence import Evidence
    from bayes_ptsd.specification import ModelSpec

__all__ = ["chosen_specs", "fit_command", "stored_documents"]


@dataclass(frozen=True)
class Sampler:
    """How much NUTS draws."""

    # the least there is to summarize; whether it is enough, the checks say
    draws: Annotated[int, typer.Option("--draws", min=1, help="NUTS draws per chain.")] = 1000
    # without any, step size and scales would be guesses
    tune: Annotated[int, typer.Option("--tune", min=1, help="NUTS tuning steps per chain.")] = 1000
    # with one, R-hat compares its halves
    chains: Annotated[int, typer.Option("--chains", min=1, help="NUTS chains.")] = 4


@grouped
def fit_command(
    *,
    model: Annotated[str, typer.Argument(help="Name of a model, or a TOML file.")],
    patients: Patients,
    contrast: Annotated[
        str | None, typer.Option("--contrast", help="Printed row, T2.IESR.X.")
    ] = None,
    evidence: Evidence_ = None,
    variant: Variant,
    threshold: Annotated[
        list[float] | None,
        typer.Option("--threshold", help="Adds P(estimand > X), score units or ratio; repeatable."),
    ] = None,
    engine: Engine = "auto",
    sampler: Sampler,
    keep_data: Annotated[
        bool, typer.Option("--keep-data", help="Store the patients' rows as well.")
    ] = False,
    store: Store = None,
    run: Run,
) -> None:
    """Compute one analysis, of patients or of a printed row, and store it.

    Exit status 3 if a required check of a result failed; the result is stored and marked.
    """
    from bayes_ptsd.models_files import load_model
    from bayes_ptsd.priors import parse_prior

    talk = run.talk()
    specs = chosen_specs(load_model(model), variant)
    asked = patients.request(contrast=contrast, folder=evidence)
    found = specs[0].room.select(specs[0], asked)
    if not variant.prior:
        specs = [_applied(spec, found, talk) for spec in specs]
    documents = stored_documents(
        found, specs, store=store_path(store),
        seed=run.fixed_seed, engine=engine, sampler=vars(sampler), thresholds=threshold or [],
        keep_data=keep_data, talk=talk,
    )  # fmt: skip
    for text, document in zip(variant.prior or [], documents, strict=False):
        if "(" in text:
            document["prior_formula"] = parse_prior(text).formula
    _report(documents, json=run.json, talk=talk)


def _applied(spec: ModelSpec, evidence: Evidence, talk: Talk) -> ModelSpec:
    """Return a specification as it applies to what was selected, and say how it differs."""
    applied, why = spec.room.applied(spec, evidence)
    if why:
        talk.say(why)
    return applied


def _report(documents: Sequence[dict[str, Any]], *, json: bool, talk: Talk) -> None:
    """Print the results and what there is to say about them; leave with 3 if a check failed."""
    if json:
        emit("fit", documents[0] if len(documents) == 1 else {"fits": documents})
    else:
        _show(documents)
    for name, kind in documents[0].get("covariates", {}).items():
        talk.say(f"covariate {name}: {kind}")
    for document in documents:
        for warning in document["warnings"]:
            talk.say(f"{_prior_of(document)}: {warning}")
    if not all(document["diagnostics"]["passed"] for document in documents):
        talk.say("a required check failed; the result is stored and marked")
        raise typer.Exit(CHECK_FAILED)


def chosen_specs(spec: ModelSpec, variant: Variant) -> list[ModelSpec]:
    """Return the specification for every prior, with its overrides."""
    from bayes_ptsd.specification import parse_option, parse_override

    priors, overrides = variant.prior or [], variant.set_ or []
    spec = spec.having(options=dict(parse_option(text, spec.room) for text in variant.option or []))
    if priors and any(text.partition("=")[0].strip() == "treatment" for text in overrides):
        raise SpecError("--prior and --set treatment=... both give the prior of the treatment")
    own = dict(map(parse_override, overrides))
    # the priors that somebody sets stay as they are under a flat one, which sets others, too
    return [
        one.having(priors=own)
        for one in ([spec.under(typed_prior(text)) for text in priors] or [spec])
    ]


def stored_documents(
    evidence: Evidence,
    specs: Sequence[ModelSpec],
    *,
    store: Path,
    seed: int,
    engine: str,
    sampler: Mapping[str, int],
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


def _prior_of(document: Mapping[str, Any]) -> str:
    """Return the prior of the treatment: its name in the family, or its distribution."""
    return str(document.get("prior_formula", document["prior"]))


def _show(documents: Sequence[dict[str, Any]]) -> None:
    """Print the estimands and the frequentist mirror."""
    rows = []
    for document in documents:
        for name, one in document["estimands"].items():
            rows.append(
                [
                    f"{name} ({_prior_of(document)}, {document['engine']})",
                    one["unit"],
                    number(one["mean"], 3),
                    number(one["sd"], 3),
                    interval(one["eti95"]),
                    number(one["prob_benefit"], 4),
                    number(one["prob_gt_mcid"], 4),
                ]
            )
    mirror = documents[0]["frequentist"]
    if mirror["estimate"] is not None:
        cells = [number(mirror["estimate"], 3), number(mirror["se"], 3), interval(mirror["ci95"])]
        rows.append([f"{mirror['method']}: P {number(mirror['p_value'], 4)}", "", *cells, "", ""])
    first = documents[0]
    title = f"{first['model']}, {first['endpoint']}, positive = active better"
    columns = ["estimand", "unit", "mean", "sd or SE", "95% interval", "P(better)", "P(> MCID)"]
    show_table(f"{title} ({first['evidence_kind']})", columns, rows)
    lines = [(f"{_prior_of(one)}, {one['engine']}", one.get("ratio")) for one in documents]
    show_ratios([*lines, (mirror["method"], mirror.get("ratio"))])
    _show_as_printed(documents)
    show_periods(mirror.get("periods", ()))
    _show_priors(documents)


def _show_as_printed(documents: Sequence[dict[str, Any]]) -> None:
    """Print the answers about a ratio on its printed scale."""
    found = [(_prior_of(one), one["printed_scale"]) for one in documents if "printed_scale" in one]
    if not found:
        return
    first = found[0][1]
    sign = "<" if first["better"] == "lower" else ">"
    heads = [f"P({sign} {one['threshold']:g})" for one in first["beyond"]]
    rows = [
        [name, number(one["median"], 4), interval(one["eti95"], 4), number(one["prob_benefit"], 4),
         *(number(part["probability"], 4) for part in one["beyond"])]
        for name, one in found
    ]  # fmt: skip
    columns = ["prior", "median", "95% interval", "P(better)", *heads]
    show_table(f"{first['label'].capitalize()}, as printed", columns, rows)


def _show_priors(documents: Sequence[dict[str, Any]]) -> None:
    """Print which prior moves the answer by how much, and what the priors alone make of scores."""
    rows = [
        [f"{_prior_of(document)}: {name.removeprefix('power_scaling_')}", number(one["figure"], 3),
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
        [f"{one['endpoint']} ({_prior_of(document)})",
         interval(one["interval95"], 1),
         number(one["share_inside_range"], 3)]
        for document in documents
        for one in document.get("prior_scores", [])
    ]  # fmt: skip
    if rows:
        columns = ["endpoint", "95% of scores", "share inside the range"]
        show_table("Scores under the priors alone (shown, no check)", columns, rows)
