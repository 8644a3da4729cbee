"""Commands that compare: analyses of the same numbers, and models of the same patients."""

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
    Json,
    Patients,
    Priors,
    ReadingWeights,
    Run,
    Store,
    Variant,
    chosen_readings,
    grouped,
    typed_prior,
)
from bayes_ptsd.cli._output import (
    emit,
    interval,
    number,
    printed_words,
    show_periods,
    show_prose,
    show_ratios,
    show_table,
    store_path,
)
from bayes_ptsd.cli.fit import chosen_specs
from bayes_ptsd.errors import SpecError

if TYPE_CHECKING:
    import xarray as xr

    from bayes_ptsd.evidence import Evidence

__all__ = ["compare", "compare_models_command"]

COLUMNS = ("elpd", "se", "elpd_diff", "dse", "weight", "p", "pareto_k_max", "good_k")


@dataclass(frozen=True)
class OneEndpoint(Patients):
    """Patients, all of their endpoints unless one is named."""

    endpoint: Annotated[str | None, typer.Option("--endpoint", help="One endpoint only.")] = None


@grouped
def compare(
    *,
    evidence: Evidence_ = None,
    patients: OneEndpoint,
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

    named = patients.trial is not None or patients.data is not None
    found = _compared(evidence, patients)
    table = run(
        found,
        endpoint=patients.endpoint,
        visit=patients.visit,
        convention=convention,
        models=model,
        priors=[typed_prior(text) for text in prior or PRIOR_FAMILY],
        store=ResultStore(store_path(store)),
        reading_weights=chosen_readings(reading_weights),
    )
    document = (patient_comparison_document if named else comparison_document)(table)
    if named:
        document["notes"] = [*found.notes]
    if json:
        emit("compare", document)
    elif named:
        files = f"--trial {patients.trial} --data {patients.data}"
        files += f" --key-file {patients.key_file}" if patients.key_file else ""
        _show_patients(document, files)
    else:
        _show_printed(document, convention or "T")


def _compared(folder: Path | None, patients: Patients) -> Evidence:
    """Return what is to be compared: patients where files are named, else printed numbers."""
    from bayes_ptsd.evidence.patients import load_patients
    from bayes_ptsd.evidence.published import load_published

    trial, data = patients.trial, patients.data
    if trial is None and data is None:
        return load_published(folder)
    if trial is None or data is None or folder is not None:
        raise SpecError("patients need --trial FILE and --data FILE, printed numbers --evidence")
    return load_patients(data, trial, endpoint=patients.endpoint, key=patients.key)


def _show_printed(document: dict[str, Any], convention: str) -> None:
    """Print the comparison of printed rows."""
    rows = [_comparison_line(row) for row in document["rows"]]
    columns = ["contrast", "reading", "published (95% CI)", "P", "prior", "mean", "95% interval"]
    title = f"Published and Bayesian, convention {convention}, positive = active treatment better"
    columns += ["P(better)", "gap in the mean"]
    show_table(title, columns, rows, prose=["reading", "prior", "gap in the mean"])
    show_prose(*document.get("notes", []))
    if any(row.get("answer") for row in document["rows"]):
        show_prose("Of a ratio the median stands in place of the mean.")
    said = document["reading_weights"]
    if said["weights"] and any(row["crossover_reading"] == "averaged" for row in document["rows"]):
        from bayes_ptsd.readings.notes import average_note

        show_prose(average_note(said["weights"], said["source"]))


def _comparison_line(row: dict[str, Any]) -> list[str]:
    """Return one line of the comparison for people."""
    level = row.get("published_level") or 0.95
    ratio = row.get("answer") is not None
    middle, low, high = (
        row[key] for key in (("answer_median", "answer_low", "answer_high") if ratio
                             else ("mean", "eti95_low", "eti95_high"))
    )  # fmt: skip
    shown = printed_words(*(row[f"published_{key}"] for key in ("estimate", "low", "high")))
    return [
        row["contrast"],
        row["crossover_reading"].replace("_", " ") if row["analysis"] == "crossover" else "",
        shown if level == 0.95 or row["published_low"] is None else f"{shown}, {100 * level:g}%",
        row.get("published_p_bound") or ""
        if row["published_p"] is None
        else f"{row['published_p']:g}",
        row["prior"],
        f"{number(middle)} ({row['answer']})" if ratio else number(middle),
        f"{number(low)} to {number(high)}",
        number(row["prob_benefit"], 4),
        f"{row['gap']}{', as logarithms' if ratio else ''}",
    ]


def _show_patients(document: Mapping[str, Any], files: str) -> None:
    """Print the frequentist analyses, the posteriors with their gaps, and the steps."""
    n = document["n"]
    title = (
        f"{document['endpoint']}: {n['subjects']} patients, {n['complete']} with both periods; "
        f"{document['unit']}, positive = active better ({document['evidence_kind']})"
    )
    rows = [
        [one["method"], one["estimand"].replace("_", " "), number(one["estimate"], 3),
         number(one["se"], 3), number(one["df"], 1), interval(one["ci95"]),
         number(one["p_value"], 4)]
        for one in document["analyses"]
    ]  # fmt: skip
    columns = ["analysis", "estimand", "estimate", "SE", "df", "95% interval", "P"]
    show_table(title, columns, rows, prose=["estimand"])
    for one in document["analyses"]:
        if one["note"]:
            show_table("", [f"note on {one['analysis']}"], [[one["note"]]])
    if document["not_possible"]:
        rows = [[name.replace("_", " "), why] for name, why in document["not_possible"].items()]
        show_table("Not possible with these patients", ["analysis", "why"], rows, prose=["why"])
    show_periods(document["periods"])
    rows = [
        [f"{one['model']}, {one['prior']}", number(one["mean"], 3), number(one["sd"], 3),
         interval(one["eti95"]), number(one["prob_benefit"], 4),
         one["why"] if not one["to_run"] else f"run: {one['to_run']} {files}"]
        for one in document["posteriors"]
    ]  # fmt: skip
    columns = ["model, prior", "mean", "sd", "95% interval", "P(better)"]
    reason = "gap to the frequentist analysis of the same estimand"
    show_table("Posteriors", [*columns, reason], rows, prose=[reason])
    posteriors = document["posteriors"]
    beside = {one["mirror"]["analysis"]: one["mirror"].get("ratio") for one in posteriors}
    lines = [(f"{one['model']}, {one['prior']}", one.get("ratio")) for one in posteriors]
    show_ratios([*beside.items(), *lines])
    _show_steps(document["steps"])
    show_prose(*(f"note: {note}" for note in document["notes"]))


def _show_steps(steps: Sequence[Mapping[str, Any]]) -> None:
    """Print what changes between models."""
    rows = [
        [f"{one['from']} to {one['to']}, {one['prior']}", one["because_of"] + _worth(one),
         number(one["mean"], 3), number(one["sd_ratio"], 3)]
        for one in steps
        if one["mean"] is not None
    ]  # fmt: skip
    if rows:
        columns = ["step, prior", "because of", "mean moves by", "sd ratio"]
        show_table("From model to model", columns, rows, prose=["because of"])


def _worth(one: Mapping[str, Any]) -> str:
    """Say how many complete patients those with one period are worth."""
    worth = one.get("worth_in_complete_patients")
    if worth is None or not one["patients"]:
        return ""
    return f" ({one['patients']}, worth {worth:.1f} complete ones)"


@grouped
def compare_models_command(
    *,
    models: Annotated[list[str], typer.Argument(help="Names of models, or TOML files.")],
    patients: Patients,
    prior: Priors = None,
    engine: Engine = "auto",
    store: Store = None,
    run: Run,
) -> None:
    """Compare models of the same patients by leave-one-subject-out; fits what is not stored yet."""
    from bayes_ptsd.compiled import CompiledModels
    from bayes_ptsd.model_comparison import compare_models
    from bayes_ptsd.models_files import load_model
    from bayes_ptsd.store import ResultStore

    talk = run.talk()
    specs = {
        f"{name} ({text})" if len(prior or []) > 1 else name: spec
        for name in models
        for text, spec in zip(
            prior or [""], chosen_specs(load_model(name), Variant(prior)), strict=True
        )
    }
    first = next(iter(specs.values()))
    found = first.room.select(first, patients.request())
    for note in found.notes:
        talk.say(f"note: {note}")
    results = ResultStore(store_path(store))
    results.check_writable()
    with talk.console.status("reading") as status, warnings.catch_warnings():
        # checks that fail are in each result; here they would be said once a model
        warnings.simplefilter("ignore")
        table = compare_models(
            found, specs, results, engine=engine, compiled=CompiledModels(),
            seed=run.fixed_seed, stage=lambda text: status.update(f"{text} ..."),
        )  # fmt: skip
    if run.json:
        emit(
            "models compare",
            {**table.attrs, "models": [_model_document(one) for one in _rows(table)]},
        )
    else:
        _show_models(table)
    for one in _rows(table):
        if float(one["pareto_k_max"]) > float(one["good_k"]):
            talk.say(
                f"{one['model'].item()}: Pareto k {float(one['pareto_k_max']):.2f} of a patient is "
                f"above {float(one['good_k']):.2f}; its elpd is unreliable"
            )


def _rows(table: xr.Dataset) -> list[xr.Dataset]:
    """Return the models, best first."""
    return [table.isel(model=place) for place in range(table.sizes["model"])]


def _model_document(one: xr.Dataset) -> dict[str, Any]:
    """Return one model as JSON values."""
    names = {name: str(one[name].item()) for name in ("model", "result_id")}
    return {**names, **{name: float(one[name]) for name in COLUMNS}}


def _show_models(table: xr.Dataset) -> None:
    """Print the models, best first."""
    rows = [
        [str(one["model"].item()), *(number(float(one[name])) for name in COLUMNS[:-1])]
        for one in _rows(table)
    ]
    title = f"{table.attrs['endpoint']}, leave-one-subject-out ({table.attrs['evidence_kind']})"
    heads = ["model", "elpd", "se", "difference", "its se", "weight", "parameters", "largest k"]
    show_table(title, heads, rows)
