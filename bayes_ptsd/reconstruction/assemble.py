"""Drawn scores as evidence of kind ``reconstructed``, laid out as all patients are."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import xarray as xr

from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.patient_arrays import outcome_tree
from bayes_ptsd.reconstruction.draw import Drawn
from bayes_ptsd.reconstruction.plan import Plan

__all__ = ["arrange"]


def arrange(
    plan: Plan,
    drawn: Drawn,
    *,
    seed: int,
    index: int,
    rng: np.random.Generator,
    priors: str = "",
) -> Evidence:
    """Arrange drawn scores as patients; `rng` shuffles their labels, which would tell their fate.

    Node ``covariates`` has the score of the gate at two weeks, the reason for which a patient's
    trial ended, and a late second infusion. `priors` names the file of nuisance priors, empty for
    the default.
    """
    columns, order = _with_totals(plan, drawn), rng.permutation(plan.size)
    values, baseline = _arrays(plan, columns, order)
    covariates = xr.Dataset(
        {
            f"{plan.gate}_2_weeks": ("subject", columns[f"{plan.gate}.base2"][order]),
            "reason": ("subject", np.array(plan.reason)[order]),
            "late": ("subject", plan.late[order].astype(float)),
        },
        coords={"subject": values["subject"].values},
    )
    assumptions = {
        "crossover_reading": plan.reading,
        "flow_reading": plan.flow_reading,
        "seed": str(seed),
        "reconstruction": str(index),
        "nuisance": json.dumps({k: round(v, 4) for k, v in drawn.accepted.items()}),
    }
    if priors:
        assumptions["nuisance_priors"] = priors
    tree = outcome_tree(values, baseline=baseline, covariates=covariates)
    return Evidence(
        "reconstructed", plan.evidence.trial, tree, assumptions=assumptions, source="reconstruct"
    )


def _arrays(
    plan: Plan, columns: dict[str, np.ndarray], order: np.ndarray
) -> tuple[xr.DataArray, xr.DataArray]:
    """Return scores and baselines of the patients in a new order."""
    trial = plan.evidence.trial
    endpoints, visits = list(trial.endpoints), list(trial.visits)
    values = np.full((plan.size, 2, len(visits), len(endpoints)), np.nan)
    baseline = np.full((plan.size, 2, len(endpoints)), np.nan)
    for column, scores in columns.items():
        name, _, what = column.partition(".")
        place = endpoints.index(name)
        if what.startswith("base"):
            second = int(what[-1]) - 1
            took_place = plan.infused_twice if second else np.ones(plan.size, bool)
            baseline[:, second, place] = np.where(took_place, scores, np.nan)[order]
        elif what in visits:
            values[:, 0, visits.index(what), place] = scores[order]
        else:
            values[:, int(what) - 1, visits.index(plan.visit(name)), place] = scores[order]
    # a rounded -0.3 is -0.0, which another machine or file would hold as 0.0
    dims, coords = ("subject", "period", "visit", "endpoint"), _coords(plan, order)
    scored = xr.DataArray(values + 0.0, dims=dims, coords=coords)
    before = scored.isel(visit=0, drop=True).copy(data=baseline + 0.0)
    return scored, before.rename("baseline")


def _coords(plan: Plan, order: np.ndarray) -> dict[str, Any]:
    """Return the labels of patients, periods, visits and endpoints."""
    trial = plan.evidence.trial
    active = {turn[0] == trial.active: name for name, turn in trial.sequences.items()}
    sequence = [active[bool(first)] for first in plan.active_first[order]]
    return {
        "subject": [f"R{number:02d}" for number in range(1, plan.size + 1)],
        "period": [1, 2],
        "visit": list(trial.visits),
        "endpoint": list(trial.endpoints),
        "sequence": ("subject", sequence),
        "treatment": (("subject", "period"), [list(trial.sequences[name]) for name in sequence]),
        "hours": ("visit", list(trial.visits.values())),
    }


def _with_totals(plan: Plan, drawn: Drawn) -> dict[str, np.ndarray]:
    """Add the sum of the parts wherever all parts have a score."""
    columns = dict(drawn.columns)
    for what in ("base1", "1", "base2", "2"):
        parts = [columns[f"{part}.{what}"] for part in plan.parts if f"{part}.{what}" in columns]
        if parts:
            columns[f"{plan.total}.{what}"] = np.sum(parts, axis=0)
    return columns
