"""Drawn scores as evidence of kind ``reconstructed``, laid out as all patients are."""

from __future__ import annotations

import json

import numpy as np
import xarray as xr

from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.patient_arrays import outcome_tree
from bayes_ptsd.evidence.reconstruct.draw import Drawn
from bayes_ptsd.evidence.reconstruct.plan import Plan

__all__ = ["assemble"]


def assemble(
    plan: Plan, drawn: Drawn, *, seed: int, index: int, rng: np.random.Generator
) -> Evidence:
    """Arrange drawn scores as patients.

    Parameters
    ----------
    plan : Plan
        Patients, trial and readings.
    drawn : Drawn
        Their scores.
    seed, index : int
        What they were drawn with, and their place among the sets of that seed.
    rng : numpy.random.Generator
        Shuffles the labels of the patients, which would tell their fate otherwise.

    Returns
    -------
    Evidence
        Nodes ``outcomes`` and ``covariates`` (score of the gate at two weeks, reason for which a
        patient's trial ended, late second infusion).
    """
    trial, columns = plan.evidence.trial, _with_totals(plan, drawn)
    endpoints, visits = list(trial.endpoints), list(trial.visits)
    order = rng.permutation(plan.size)
    labels = np.array([f"R{number:02d}" for number in range(1, plan.size + 1)])
    first = np.array([name for name, turn in trial.sequences.items() if turn[0] == trial.active])
    other = np.array([name for name in trial.sequences if name not in first])
    sequence = np.where(plan.active_first, first[0], other[0])[order]
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
            visit = visits.index(plan.visit(name))
            values[:, int(what) - 1, visit, place] = scores[order]
    coords = {
        "subject": labels,
        "period": [1, 2],
        "visit": visits,
        "endpoint": endpoints,
        "sequence": ("subject", sequence),
        "treatment": (("subject", "period"), [list(trial.sequences[name]) for name in sequence]),
        "hours": ("visit", list(trial.visits.values())),
    }
    dims = ("subject", "period", "visit", "endpoint")
    # a rounded -0.3 is -0.0, which another machine or file would hold as 0.0
    values, baseline = values + 0.0, baseline + 0.0
    scores_array = xr.DataArray(values, dims=dims, coords=coords)
    before = scores_array.isel(visit=0, drop=True).copy(data=baseline).rename("baseline")
    covariates = xr.Dataset(
        {
            f"{plan.gate}_2_weeks": ("subject", columns[f"{plan.gate}.base2"][order]),
            "reason": ("subject", np.array(plan.reason)[order]),
            "late": ("subject", plan.late[order].astype(float)),
        },
        coords={"subject": labels},
    )
    return Evidence(
        "reconstructed",
        trial,
        outcome_tree(scores_array, baseline=before, covariates=covariates),
        assumptions={
            "crossover_reading": plan.reading,
            "flow_reading": plan.flow_reading,
            "seed": str(seed),
            "reconstruction": str(index),
            "nuisance": json.dumps({k: round(v, 4) for k, v in drawn.accepted.items()}),
        },
        source="reconstruct",
    )


def _with_totals(plan: Plan, drawn: Drawn) -> dict[str, np.ndarray]:
    """Add the sum of the parts wherever all parts have a score."""
    columns = dict(drawn.columns)
    for what in ("base1", "1", "base2", "2"):
        parts = [columns[f"{part}.{what}"] for part in plan.parts if f"{part}.{what}" in columns]
        if parts:
            columns[f"{plan.total}.{what}"] = np.sum(parts, axis=0)
    return columns
