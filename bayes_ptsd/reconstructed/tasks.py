"""One model over several reconstructions as a piece of work: found in the store, or computed."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import xarray as xr

from bayes_ptsd.errors import FitError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.provenance import make_result_id
from bayes_ptsd.reconstructed.pooled import EXACT, LAYOUT, pooled_exact, pooled_fits, pooled_id
from bayes_ptsd.specification import ModelSpec
from bayes_ptsd.store import ResultStore
from bayes_ptsd.store.patients import without_rows

if TYPE_CHECKING:
    from bayes_ptsd.compiled import CompiledModels

__all__ = ["SAMPLER", "Task", "carry_out", "task_settings"]

# half the tuning of `fit_model`, for one of many fits: where that is too short the checks of the
# fit fail, and the pooled result counts it
SAMPLER: Mapping[str, Any] = {"draws": 1000, "tune": 500, "chains": 4}
REPEATABLE = ("prior", "prior_predictive", "log_prior", "log_likelihood", "posterior_predictive")
"""Groups that the seed makes again, and that summaries and checks have been made of."""

Report = Callable[[str, str], None]


@dataclass(frozen=True, eq=False)
class Task:
    """One model over several reconstructions."""

    spec: ModelSpec
    patients: tuple[Evidence, ...]  # the sets, with the outcome selected
    engine: str  # exact or nuts
    printed: str  # digest of the printed evidence that the sets were made from

    def pooled_id(self, seed: int) -> str:
        """Return the id of the pooled result."""
        settings = task_settings(self.engine, pooled=True)
        return pooled_id(self.patients, self.spec, settings=settings, seed=seed)

    def member_ids(self, seed: int) -> list[str]:
        """Return the ids of the fits that are pooled; exact posteriors are not kept one by one."""
        if self.engine == "exact":
            return []
        settings = task_settings(self.engine)
        return [
            make_result_id(one, self.spec, settings=settings, seed=seed) for one in self.patients
        ]


def task_settings(engine: str, *, pooled: bool = False) -> dict[str, Any]:
    """Return the settings that enter the identity of a fit, or of a pooled result."""
    if engine == "exact":
        return dict(EXACT)
    settings = {"engine": "nuts", **SAMPLER}
    return settings | {"pooled": LAYOUT} if pooled else settings


def carry_out(task: Task, store: ResultStore, *, seed: int, report: Report) -> None:
    """Compute and store what a store lacks of a task, each result as soon as it is there.

    `report` is told of every result ``("computed" or "found", id)``, and of every set that could
    not be sampled, or pooled posterior not computed, ``("lost", reason)``.
    """
    name = task.pooled_id(seed)
    if store.has(name):
        for one in [*task.member_ids(seed), name]:
            report("found", one)
        return
    if task.engine == "exact":
        try:
            pooled = pooled_exact(task.patients, task.spec, printed=task.printed, seed=seed)
        except FitError as error:
            report("lost", f"{task.spec.name}: {error}")
            return
    else:
        pooled = _sampled(task, store, seed=seed, report=report)
    report("computed", store.save(pooled))


def _sampled(task: Task, store: ResultStore, *, seed: int, report: Report) -> xr.DataTree:
    """Return the pooled fits, each found or computed and stored."""
    from bayes_ptsd.compiled import CompiledModels

    compiled, fits = CompiledModels(), []
    for patients, result_id in zip(task.patients, task.member_ids(seed), strict=True):
        if store.has(result_id):
            fits.append(store.load(result_id))
            report("found", result_id)
            continue
        try:
            fit = _lean(_fit(task, patients, seed=seed, compiled=compiled))
        except FitError as error:
            report("lost", f"{task.spec.name}: {error}")
            continue
        report("computed", store.save(fit))
        # as it is stored: another process may have been the first to store this fit
        fits.append(store.load(result_id))
    return pooled_fits(
        fits, task.patients, task.spec, printed=task.printed,
        settings=task_settings("nuts", pooled=True), seed=seed,
    )  # fmt: skip


def _fit(task: Task, patients: Evidence, *, seed: int, compiled: CompiledModels) -> xr.DataTree:
    """Sample the model of one set of patients."""
    from bayes_ptsd.fit import fit_model

    with warnings.catch_warnings():
        # what fails is in the result, and the pooled result says of how many
        warnings.simplefilter("ignore")
        return fit_model(
            patients, task.spec, engine="nuts", seed=seed, compiled=compiled, **SAMPLER
        )


def _lean(fit: xr.DataTree) -> xr.DataTree:
    """Return a fit without its rows and what can be made again: a twentieth of its size."""
    lean, dropped = without_rows(fit)
    again = [name for name in REPEATABLE if name in lean.children]
    nodes = {path: node for path, node in lean.children.items() if path not in again}
    tree = xr.DataTree.from_dict({name: node.to_dataset() for name, node in nodes.items()})
    tree.attrs = {**fit.attrs, "dropped": json.dumps([*dropped, *again])}
    return tree
