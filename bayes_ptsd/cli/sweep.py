"""The command that shows what a treatment difference owes to what is assumed about carryover."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayes_ptsd.cli._options import Patients, Store, Unseeded, Variant, grouped
from bayes_ptsd.cli._output import emit, interval, number, show_table, store_path
from bayes_ptsd.cli.fit import chosen_specs, stored_documents
from bayes_ptsd.errors import StoreError
from bayes_ptsd.whole_files import refuse_taken, write_new

if TYPE_CHECKING:
    import xarray as xr

    from bayes_ptsd.evidence import Evidence
    from bayes_ptsd.specification import ModelSpec

__all__ = ["carryover"]

ANCHORS = {
    "hills_armitage": "Hills-Armitage",
    "reml": "REML, all patients",
    "first_period": "first period, t test",
    "first_period_adjusted": "first period, baseline-adjusted",
}


@dataclass(frozen=True)
class NamedPatients(Patients):
    """Patients, which have to be named."""

    trial: Annotated[Path, typer.Option("--trial", help="Trial file.")] = field()
    data: Annotated[Path, typer.Option("--data", help="Patient file.")] = field()


@grouped
def carryover(
    *,
    patients: NamedPatients,
    variant: Variant,
    model: Annotated[
        str, typer.Option("--model", help="Crossover model with a carryover prior.")
    ] = "crossover-carryover",
    level: Annotated[
        list[float] | None,
        typer.Option("--level", help="P(benefit) to ask tipping values for; repeatable."),
    ] = None,
    figure: Annotated[
        Path | None, typer.Option("--figure", help="Write the figure as SVG to this new file.")
    ] = None,
    store: Store = None,
    run: Unseeded,
) -> None:
    """Show how the treatment difference runs from the crossover to the first-period contrast.

    The prior of the carryover is swept from zero to flat; no test chooses between the analyses.
    """
    from bayes_ptsd.models_files import load_model
    from bayes_ptsd.store import ResultStore

    talk = run.talk()
    specs = chosen_specs(load_model(model), variant)
    found = specs[0].room.select(specs[0], patients.request())
    _refuse_existing(figure, specs)
    fitted = stored_documents(
        found, specs, store=store_path(store), seed=run.fixed_seed, engine="exact",
        sampler={"draws": 1, "tune": 1, "chains": 1}, thresholds=[], keep_data=False, talk=talk,
    )  # fmt: skip
    documents = []
    for spec, document in zip(specs, fitted, strict=True):
        fit = ResultStore(store_path(store)).load(document["result_id"])
        documents.append(_document(fit, document, found, spec, level or []))
    if figure is not None:
        _write_figure(fit, figure)
        talk.say(f"figure: {figure}")
    if run.json:
        emit("carryover", documents[0] if len(documents) == 1 else {"sweeps": documents})
        return
    for document in documents:
        _show(document)
    talk.say(f"carryover test: {documents[0]['carryover_test']['note']}")


def _refuse_existing(figure: Path | None, specs: Sequence[ModelSpec]) -> None:
    """Refuse to overwrite a file, and one file for several figures."""
    if figure is None:
        return
    refuse_taken([figure], error=StoreError)
    if len(specs) > 1:
        raise StoreError(f"{figure}: a figure shows one prior; give one --prior")


def _write_figure(fit: xr.DataTree, path: Path) -> None:
    """Write the figure of a sweep."""
    from bayes_ptsd.plots import carryover_figure, figure_svg

    write_new({path: figure_svg(carryover_figure(fit)).encode()}, error=StoreError)


def _document(
    fit: xr.DataTree,
    document: Mapping[str, Any],
    evidence: Evidence,
    spec: ModelSpec,
    levels: Sequence[float],
) -> dict[str, Any]:
    """Return one sweep with the frequentist analyses beside it."""
    from bayes_ptsd.structures.crossover.carryover import (
        LEVELS,
        carryover_document,
        carryover_study,
    )
    from bayes_ptsd.structures.crossover.model import crossover_model

    stored = "carryover" in fit.children and set(levels) <= set(LEVELS)
    # a level of the caller's own needs the patients again
    study = fit["carryover"].to_dataset() if stored else carryover_study(
        crossover_model(evidence, spec), levels=sorted({*LEVELS, *levels})
    )  # fmt: skip
    named = ("result_id", "model", "endpoint", "evidence_kind", "prior", "n")
    analyses = document["frequentist"]["analyses"]
    test = analyses.get("grizzle", {"note": "", "estimands": {"carryover": None}})
    return {
        **{key: document[key] for key in named},
        **carryover_document(study),
        "anchors": {
            name: {"method": analyses[name]["method"], "note": analyses[name]["note"],
                   **analyses[name]["estimands"]["treatment_difference"]}
            for name in ANCHORS if name in analyses
        },
        "carryover_test": {"note": test["note"], "estimate": test["estimands"]["carryover"]},
    }  # fmt: skip


def _show(document: Mapping[str, Any]) -> None:
    """Print one sweep: a line per carryover prior, the anchors, the tipping values."""
    rows = [
        [
            "none" if one["prior"] == "none" else "flat" if one["prior"] == "flat"
            else f"sd {one['prior_sd']:.3g} ({one['prior_sd_in_sds']:.3g} SD)",
            number(one["mean"], 3), number(one["sd"], 3), interval(one["eti95"]),
            number(one["prob_benefit"], 4), "",
        ]
        for one in document["sweep"]
    ]  # fmt: skip
    rows += [
        [ANCHORS[name], number(one["estimate"], 3), number(one["se"], 3), interval(one["ci95"]),
         "", "< 0.0001" if one["p_value"] < 1e-4 else number(one["p_value"], 4)]
        for name, one in document["anchors"].items()
    ]  # fmt: skip
    title = (
        f"{document['endpoint']}, {document['prior']} prior: treatment difference by carryover "
        f"prior, score units, positive = active better ({document['evidence_kind']})"
    )
    columns = ["carryover prior, or analysis", "mean", "sd or SE", "95% interval", "P(better)", "P"]
    show_table(title, columns, rows)
    columns = ["P(better) falls to", "at a known carryover of", "at a carryover prior sd of"]
    rows = [
        [f"{one['prob_benefit']:g}", _with_sds(one["carryover"], one["carryover_in_sds"]),
         "lies below without carryover" if one["prior_sd"] == 0
         else _with_sds(one["prior_sd"], one["prior_sd_in_sds"])]
        for one in document["tipping"]
    ]  # fmt: skip
    show_table("Tipping values", columns, rows)


def _with_sds(value: float | None, sds: float | None) -> str:
    """Return a tipping value in score units and reference SDs."""
    return "none" if value is None or sds is None else f"{value:.3g} ({sds:.2g} SD)"
