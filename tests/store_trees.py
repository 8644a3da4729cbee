"""Small results for the tests of the store."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import xarray as xr


def result_tree(result_id: str = "0f3a9c21d4b7", seed: int = 1, **attrs: Any) -> xr.DataTree:
    """Return a result with every kind of variable and attribute a fit has."""
    draws = np.random.default_rng(seed).normal(12.7, 4.0, size=(2, 50))
    posterior = xr.Dataset(
        {"treatment": (("chain", "draw"), draws)},
        coords={"chain": [0, 1], "draw": np.arange(50)},
        attrs={"sampling_time": 0.5, "sample_dims": ["chain", "draw"]},
    )
    exact = xr.Dataset(
        {"mean": 12.7, "quantile": ("prob", [4.8, 12.7, 20.6])},
        coords={"prob": [0.025, 0.5, 0.975]},
    )
    checks = xr.Dataset(
        {"passed": ("check", [True, False]), "figure": ("check", [1.0, np.nan])},
        coords={"check": ["rhat", "naïve ✓"]},
    )
    tree = xr.DataTree.from_dict({"posterior": posterior, "exact": exact, "checks": checks})
    tree.attrs = {
        "result_id": result_id, "spec": json.dumps({"model": "published"}),
        "evidence_kind": "published", "evidence_digest": "5b1e", "seed": seed,
        "versions": json.dumps({"numpy": np.__version__}), "seconds": 0.25,
        "warnings": json.dumps(["the interval is asymmetric"]), "model": "published",
        "endpoint": "ies_r", "contrast": "T2.IESR.F", "prior": "weak", "convention": "T",
        "crossover_reading": "as_published", "engine": "exact", "checks_passed": 1,
        "summary": json.dumps({"treatment_difference": {"mean": 12.7, "eti95": [4.8, 20.6]}}),
        **attrs,
    }  # fmt: skip
    return tree


def small_tree(result_id: str = "0f3a9c21d4b7", seed: int = 1) -> xr.DataTree:
    """Return the smallest result, for tests that save very many."""
    tree = xr.DataTree.from_dict({"exact": xr.Dataset({"mean": 12.7 + seed})})
    tree.attrs = result_tree(result_id, seed).attrs
    return tree
