"""Patients' rows are not stored unless asked for."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from bayes_ptsd.store import ResultStore
from bayes_ptsd.store.patients import without_rows

small_tree = runpy.run_path(str(Path(__file__).with_name("store_trees.py")))["small_tree"]
SECRET = 71.04296875


def fit_of_patients(result_id: str = "0f3a9c21d4b7") -> xr.DataTree:
    """Return a fit whose every row-wise number is `SECRET`, in each place where rows can be."""

    def rows(*dims: str) -> tuple[tuple[str, ...], np.ndarray]:
        return dims, np.full([2] * len(dims), SECRET)

    tree = xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset(
                {
                    "treatment": (("chain", "draw"), np.ones((1, 3))),
                    "sd_period": (("chain", "draw", "period"), np.ones((1, 3, 2))),
                    "subject_effect": (("chain", "draw", "subject"), np.full((1, 3, 2), SECRET)),
                    "latent": (("chain", "draw", "latent_dim_0"), np.full((1, 3, 2), SECRET)),
                },
                coords={"subject": ["Ann", "Bob"], "period": [1, 2]},
            ),
            "posterior_predictive": xr.Dataset(
                {"y": rows("draw", "measurement"), "mean_y": ("draw", [1.0, 2.0])}
            ),
            "log_likelihood": xr.Dataset({"y": rows("draw", "measurement")}),
            "observed_data": xr.Dataset({"y": rows("measurement")}),
            "constant_data": xr.Dataset({"baseline": rows("person"), "n": 41}),
            "sample_stats": xr.Dataset(
                {"fitted": rows("draw", "person"), "lp": ("draw", [0.5, 0.7])}
            ),
            "checks": xr.Dataset(
                {"pareto_k": rows("obs_id"), "worst": 0.4, "threshold": ("check", [0.7])},
                coords={"Subject": "Ann", "check": ["loo"]},
            ),
        }
    )
    tree.attrs = {**small_tree(result_id).attrs, "evidence_kind": "patients"}
    return tree


def test_no_row_reaches_the_disk(tmp_path: Path) -> None:
    """Neither a value nor a label of a subject is in any byte of the store."""
    store = ResultStore(tmp_path)
    store.save(fit_of_patients())
    loaded = store.load("0f3a9c21d4b7")
    kept = {
        f"{node.path}/{name}"[1:]
        for node in loaded.subtree
        for name in node.to_dataset(inherit=False).data_vars
    }
    assert kept == {
        "posterior/treatment", "posterior/sd_period", "posterior_predictive/mean_y",
        "sample_stats/lp", "checks/worst", "checks/threshold",
    }  # fmt: skip
    for path in tmp_path.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert np.float64(SECRET).tobytes() not in content
            assert b"Ann" not in content
            assert b"71.04296875" not in content


def test_what_was_left_out_is_said(tmp_path: Path) -> None:
    """The result and its sidecar list the groups and variables that are not there."""
    store = ResultStore(tmp_path)
    tree = fit_of_patients()
    store.save(tree)
    (entry,) = store.catalog()
    assert {"observed_data", "constant_data", "posterior/subject_effect"} <= set(entry["dropped"])
    assert json.loads(store.load(entry["result_id"]).attrs["dropped"]) == entry["dropped"]
    assert "dropped" not in tree.attrs
    assert "observed_data" in tree.children


def test_rows_are_kept_when_asked_for(tmp_path: Path) -> None:
    """With `keep_data` the whole fit is stored."""
    store = ResultStore(tmp_path)
    store.save(fit_of_patients(), keep_data=True)
    assert store.load("0f3a9c21d4b7").identical(fit_of_patients())
    assert store.catalog()[0]["dropped"] == []


def test_asking_too_late_is_said(tmp_path: Path) -> None:
    """A result that was stored without rows stays so, and the user is told what to do."""
    store = ResultStore(tmp_path)
    store.save(fit_of_patients())
    with pytest.warns(UserWarning, match="store remove 0f3a9c21d4b7"):
        store.save(fit_of_patients(), keep_data=True)
    assert "observed_data" not in store.load("0f3a9c21d4b7").children


@pytest.mark.parametrize("kind", ["published", "reconstructed", "simulated"])
def test_other_evidence_is_stored_whole(kind: str, tmp_path: Path) -> None:
    """Rows that belong to nobody are part of the result."""
    tree = fit_of_patients()
    tree.attrs["evidence_kind"] = kind
    store = ResultStore(tmp_path)
    store.save(tree)
    assert store.load("0f3a9c21d4b7").identical(tree)


def test_a_fit_without_rows_is_left_alone() -> None:
    """Design dimensions are not rows, even where the data have them."""
    tree = xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset({"mean": (("draw", "treatment"), [[1.0, 2.0]])}),
            "log_likelihood": xr.Dataset({"y": (("draw", "treatment"), [[1.0, 2.0]])}),
        }
    )
    kept, dropped = without_rows(tree)
    assert dropped == []
    assert kept.identical(tree)
