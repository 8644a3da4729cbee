"""Models of the same patients compared by what each predicts of a patient it has not seen.

A store of patients' results keeps no number per patient, so that pointwise densities are computed
anew from the stored draws and the patients at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayes_ptsd.checks.loo import compare_fits, loo_groups
from bayes_ptsd.errors import FitError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.fit import stored_fit
from bayes_ptsd.provenance import DEFAULT_SEED
from bayes_ptsd.specification import ModelSpec

if TYPE_CHECKING:
    from bayes_ptsd.compiled import CompiledModels
    from bayes_ptsd.store import ResultStore

__all__ = ["compare_models"]

GROUPS = ("posterior", "log_likelihood", "observed_data", "posterior_predictive")


def compare_models(
    evidence: Evidence,
    specs: Mapping[str, ModelSpec],
    store: ResultStore,
    *,
    engine: str = "auto",
    seed: int = DEFAULT_SEED,
    compiled: CompiledModels | None = None,
    stage: Callable[[str], None] = lambda _: None,
) -> xr.Dataset:
    """Compare models of the same patients by leave-one-subject-out, best model first.

    ``elpd`` is the expected log predictive density of the scores of a new patient, summed over
    patients [1]_, with its ``se``; ``elpd_diff`` from the best model is zero or negative, with its
    ``dse``; then stacking ``weight``, effective number of parameters ``p``, and ``pareto_k_max``
    with the largest reliable value ``good_k``.

    References
    ----------
    .. [1] Vehtari A, Gelman A, Gabry J. Practical Bayesian model evaluation using leave-one-out
       cross-validation and WAIC. Statistics and Computing 2017;27:1413-1432.
    """
    fits = {}
    for name, spec in specs.items():
        if spec.room.reads == "rows":
            raise FitError(f"model '{name}' is of printed rows and predicts no patient")
        stored = stored_fit(
            evidence, spec, store, engine=engine, seed=seed, compiled=compiled, stage=stage
        )
        fits[name] = _pointwise(stored, evidence, spec, seed)
    stage("leaving out each patient")
    table = compare_fits(fits)
    order = [str(name) for name in table.index]
    columns = ("elpd", "se", "elpd_diff", "dse", "weight", "p")
    found = {key: ("model", table[key].to_numpy(dtype=float)) for key in columns}
    shapes = [loo_groups(fits[name])["loo"] for name in order]
    found["pareto_k_max"] = ("model", np.array([float(loo["pareto_k"].max()) for loo in shapes]))
    found["good_k"] = ("model", np.array([float(loo["good_k"]) for loo in shapes]))
    ids = [fits[name].attrs["result_id"] for name in order]
    attrs = {key: fits[order[0]].attrs[key] for key in ("evidence_kind", "endpoint")}
    return xr.Dataset(found, coords={"model": order, "result_id": ("model", ids)}, attrs=attrs)


def _pointwise(fit: xr.DataTree, evidence: Evidence, spec: ModelSpec, seed: int) -> xr.DataTree:
    """Return a fit with its densities by patient, computed anew where the store has none."""
    groups: dict[str, Any] = {
        name: node.to_dataset() for name, node in fit.children.items() if name in GROUPS
    }
    if not groups.get("log_likelihood") or "observed_data" not in groups:
        groups |= spec.room.groups(
            spec.room.problem(evidence, spec).model, {"posterior": groups["posterior"]}, seed, None
        )
    tree = xr.DataTree.from_dict({name: groups[name] for name in GROUPS})
    tree.attrs = dict(fit.attrs)
    return tree
