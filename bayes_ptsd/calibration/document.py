"""Calibration and operating characteristics as documents for JSON and for tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from bayes_ptsd.calibration.decisions import DecisionTask
from bayes_ptsd.calibration.ranks import RankTask
from bayes_ptsd.calibration.uniformity import uniformity_table
from bayes_ptsd.structures.crossover.model import CrossoverModel

__all__ = ["characteristics_rows", "model_document", "ranks_document", "task_name"]

TRUTH = ("treatment", "carryover", "correlation", "sd_ratio", "crossing")


def model_document(model: CrossoverModel) -> dict[str, Any]:
    """Return what was calibrated: model, priors in score units and pattern of the patients."""
    present = np.isfinite(model.pairs.score)
    pattern = {}
    for label in sorted(set(map(str, model.sequence))):
        rows = present[model.sequence == label]
        first, second = map(int, rows.sum(axis=0))
        pattern[label] = {"subjects": len(rows), "period_1": first, "period_2": second}
    return {
        "model": model.spec.name,
        "spec_id": model.spec.spec_id,
        "evidence_kind": "simulated",
        "endpoint": model.endpoint.id,
        "reference_sd": model.endpoint.reference_sd,
        "priors": {name: prior.formula for name, prior in model.priors.items()},
        "pattern": pattern,
    }


def ranks_document(ranks: xr.Dataset, *, probability: float = 0.95) -> dict[str, Any]:
    """Return the judgment of ranks (`uniformity_table`), and what a sampler said of its chains."""
    table = uniformity_table(ranks["rank"], probability=probability)
    rows = [
        {
            "quantity": str(one["quantity"].item()),
            "deviation": float(one["deviation"]),
            "p_value": float(one["p_value"]),
            "inside": bool(one["inside"]),
        }
        for one in (table.isel(quantity=[i]).squeeze() for i in range(table.sizes["quantity"]))
    ]
    document: dict[str, Any] = {
        "simulations": ranks.sizes["simulation"],
        "draws": int(ranks["rank"].attrs["draws"]),
        "probability": probability,
        "passed": all(row["inside"] for row in rows),
        "quantities": rows,
    }
    if "divergences" in ranks:
        document["sampler"] = {
            "rhat_above_1.01": int((ranks["rhat_max"] >= 1.01).sum()),
            "ess_bulk_below_400": int((ranks["ess_bulk_min"] < 400).sum()),
            "with_divergences": int((ranks["divergences"] > 0).sum()),
        }
    return document


def characteristics_rows(characteristics: xr.Dataset) -> list[dict[str, Any]]:
    """Return operating characteristics, one row a scenario and decision.

    Truths are in reference SDs, results in score units.
    """
    figures = [str(name) for name, value in characteristics.items() if value.dims == ("scenario",)]
    rows = []
    for number in range(characteristics.sizes["scenario"]):
        one = characteristics.isel(scenario=number)
        for limit in characteristics["decision"].values:
            taken = one.sel(decision=limit)
            rows.append(
                {name: one[name].item() for name in TRUTH}
                | {"decision": float(limit)}
                | {name: float(taken[name]) for name in ("probability", "probability_error")}
                | {name: float(one[name]) for name in figures}
            )
    return rows


def task_name(task: RankTask | DecisionTask) -> str:
    """Return a piece of the work in words: which blocks of simulated trials, from 1."""
    if isinstance(task, RankTask):
        numbers = ", ".join(str(number + 1) for number, _ in task.blocks)
        return f"ranks of simulated trials, block {numbers}"
    truth = ", ".join(f"{name} {getattr(task.scenario, name)}" for name in TRUTH)
    return f"decisions of block {task.block[0] + 1} under {truth}"
