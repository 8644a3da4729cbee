"""The command that compares models of the same patients."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayes_ptsd.cli._output import Json, Log, Quiet, Seed, Store, Talk, emit, number, show_table
from bayes_ptsd.cli._output import store_path as path_of
from bayes_ptsd.cli.fit import (
    Data,
    Engine,
    Outcome,
    Priors,
    TrialFile,
    Visit,
    chosen_specs,
)

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["compare_models_command"]

COLUMNS = ("elpd", "se", "elpd_diff", "dse", "weight", "p", "pareto_k_max", "good_k")


def compare_models_command(
    models: Annotated[list[str], typer.Argument(help="Names of models, or TOML files.")],
    trial: TrialFile = None,
    data: Data = None,
    endpoint: Outcome = None,
    visit: Visit = None,
    prior: Priors = None,
    engine: Engine = "auto",
    store: Store = None,
    seed: Seed = None,
    json: Json = False,
    quiet: Quiet = False,
    log: Log = None,
) -> None:
    """Compare models of the same patients by leave-one-subject-out; fits what is not stored yet."""
    from bayes_ptsd.compiled import CompiledModels
    from bayes_ptsd.model_comparison import compare_models
    from bayes_ptsd.provenance import DEFAULT_SEED
    from bayes_ptsd.specification import Request
    from bayes_ptsd.store import ResultStore

    talk = Talk(quiet=quiet, log=log)
    several = len(prior or []) > 1
    specs = {
        f"{name} ({spec.priors['treatment']})" if several else name: spec
        for name in models
        for spec in chosen_specs(name, prior or [], [], [])
    }
    first = next(iter(specs.values()))
    asked = Request(trial=trial, data=data, endpoint=endpoint, visit=visit)
    patients = first.room.select(first, asked)
    results = ResultStore(path_of(store))
    results.check_writable()
    with talk.console.status("reading") as status, warnings.catch_warnings():
        # checks that fail are in each result; here they would be said once a model
        warnings.simplefilter("ignore")
        table = compare_models(
            patients, specs, results, engine=engine, compiled=CompiledModels(),
            seed=DEFAULT_SEED if seed is None else seed,
            stage=lambda text: status.update(f"{text} ..."),
        )  # fmt: skip
    if json:
        emit("models compare", {**table.attrs, "models": [_document(one) for one in _rows(table)]})
    else:
        _show(table)
    for one in _rows(table):
        if float(one["pareto_k_max"]) > float(one["good_k"]):
            talk.say(
                f"{one['model'].item()}: Pareto k {float(one['pareto_k_max']):.2f} of a patient is "
                f"above {float(one['good_k']):.2f}; its elpd is unreliable"
            )


def _rows(table: xr.Dataset) -> list[xr.Dataset]:
    """Return the models, best first."""
    return [table.isel(model=place) for place in range(table.sizes["model"])]


def _document(one: xr.Dataset) -> dict[str, Any]:
    """Return one model as JSON values."""
    names = {name: str(one[name].item()) for name in ("model", "result_id")}
    return {**names, **{name: float(one[name]) for name in COLUMNS}}


def _show(table: xr.Dataset) -> None:
    """Print the models, best first."""
    rows = [
        [str(one["model"].item()), *(number(float(one[name])) for name in COLUMNS[:-1])]
        for one in _rows(table)
    ]
    title = f"{table.attrs['endpoint']}, leave-one-subject-out ({table.attrs['evidence_kind']})"
    heads = ["model", "elpd", "se", "difference", "its se", "weight", "parameters", "largest k"]
    show_table(title, heads, rows)
