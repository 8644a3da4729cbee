"""Tags never move, and differences name exactly what differs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import xarray as xr
from typer.testing import CliRunner

from bayes_ptsd.cli import app
from bayes_ptsd.errors import ResultNotFoundError, StoreError
from bayes_ptsd.store import ResultStore
from bayes_ptsd.store.differences import diff_results, diff_runs
from bayes_ptsd.store.tags import find_run, list_tags, tag_run
from bayes_ptsd.store.upkeep import verify_store


def saved(store: ResultStore, result_id: str, **attrs: Any) -> str:
    """Save a small result."""
    tree = xr.DataTree.from_dict({"posterior": xr.Dataset({"tau": ("draw", [1.0, 2.0])})})
    tree.attrs = {
        "result_id": result_id, "spec": json.dumps({"priors": {"treatment": "flat"}}), "seed": 1,
        "evidence_kind": "published", "evidence_digest": "5b1e", "model": "published",
        "versions": json.dumps({"numpy": "2.0"}), "contrast": "T2.IESR.X", "engine": "exact",
        "summary": json.dumps({"treatment_difference": {"mean": 8.5, "prob_benefit": 0.98}}),
        **attrs,
    }  # fmt: skip
    return store.save(tree)


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    """Return a store with three results and two runs."""
    store = ResultStore(tmp_path / "store")
    first = saved(store, "aaaaaaaa01")
    changed = saved(
        store, "aaaaaaaa02", versions=json.dumps({"numpy": "2.1"}),
        summary=json.dumps({"treatment_difference": {"mean": 8.6, "prob_benefit": 0.98}}),
    )  # fmt: skip
    other = saved(store, "aaaaaaaa03", contrast="T2.IESR.F")
    store.record_run("reanalyze", {}, results=[first, other])
    store.record_run("reanalyze", {}, results=[changed])
    return store


def test_results_differ_in_what_was_changed_and_nothing_else(store: ResultStore) -> None:
    """The version and the mean; time, file and id are no difference."""
    found = diff_results(store.path, "aaaaaaaa01", "aaaaaaaa02")
    keys = {one["key"]: (one["first"], one["second"]) for one in found}
    assert keys == {
        "summary.treatment_difference.mean": (8.5, 8.6),
        "versions.numpy": ("2.0", "2.1"),
    }
    assert diff_results(store.path, "aaaaaaaa01", "aaaaaaaa01") == []


def test_runs_differ_by_analysis(store: ResultStore) -> None:
    """One analysis has another result, one is missing; a removed result is said so."""
    old, new = sorted(run["run_id"] for run in store.runs())
    found = diff_runs(store.path, old, new)
    means = [[(one[side] or {}).get("mean") for side in ("first", "second")] for one in found]
    assert means == [[8.5, 8.6], [8.5, None]]
    assert diff_runs(store.path, new, new) == []
    store.remove("aaaaaaaa03")
    assert "gone since" in diff_runs(store.path, old, new)[1]["analysis"]


def test_a_tag_stays_with_its_run(store: ResultStore) -> None:
    """The newest run by default; the same again changes nothing; another run is refused."""
    old, new = sorted(run["run_id"] for run in store.runs())
    assert tag_run(store.path, "submitted")["run_id"] == new
    assert tag_run(store.path, "submitted", new) == tag_run(store.path, "submitted")
    with pytest.raises(StoreError, match="stays so; choose another name"):
        tag_run(store.path, "submitted", old)
    assert find_run(store.path, "submitted")["run_id"] == new
    tag_run(store.path, "same", "submitted")
    assert [one["tag"] for one in list_tags(store.path).entries] == ["same", "submitted"]
    assert diff_runs(store.path, "same", "submitted") == []


@pytest.mark.parametrize("name", ["", "1st", "a/b", "../up", "a b", "x" * 65])
def test_a_tag_that_could_be_a_path_or_an_id_is_refused(store: ResultStore, name: str) -> None:
    """Nothing is written."""
    with pytest.raises(StoreError, match="cannot be a tag"):
        tag_run(store.path, name)
    assert list_tags(store.path) == ([], [])


def test_a_run_that_is_not_there_is_refused_with_the_nearest(store: ResultStore) -> None:
    """Unknown and ambiguous names, and a store without runs."""
    tag_run(store.path, "submitted")
    with pytest.raises(ResultNotFoundError, match="did you mean 'submitted'"):
        find_run(store.path, "submited")
    with pytest.raises(ResultNotFoundError, match="several runs begin"):
        find_run(store.path, "20")
    with pytest.raises(ResultNotFoundError, match="no run was recorded"):
        find_run(store.path / "empty")


def test_an_altered_tag_is_found(store: ResultStore) -> None:
    """`store verify` names it, nothing reads it as good, and it hides no other tag."""
    tag_run(store.path, "submitted")
    tag_run(store.path, "revised")
    place = store.path / "tags" / "submitted.json"
    place.write_bytes(place.read_bytes().replace(b"submitted", b"submittee"))
    assert any("submitted.json: damaged" in text for text in verify_store(store.path).problems)
    listing = list_tags(store.path)
    assert [one["tag"] for one in listing.entries] == ["revised"]
    assert ["submitted.json: damaged" in text for text in listing.damaged] == [True]
    with pytest.warns(UserWarning, match="left out"), pytest.raises(ResultNotFoundError):
        find_run(store.path, "submitted")


def test_commands(store: ResultStore) -> None:
    """`store tag` and `store diff` print tables for people and one document with --json."""
    run, folder = CliRunner(), ["--store", str(store.path)]
    assert "submitted" in run.invoke(app, ["store", "tag", "submitted", *folder]).stdout
    listed = json.loads(run.invoke(app, ["store", "tag", "--json", *folder]).stdout)
    assert [one["tag"] for one in listed["tags"]] == ["submitted"]
    shown = run.invoke(app, ["store", "diff", "aaaaaaaa01", "aaaaaaaa02", *folder]).stdout
    assert "2 differences" in shown
    old = min(entry["run_id"] for entry in store.runs())
    document = run.invoke(app, ["store", "diff", "--runs", old, "submitted", "--json", *folder])
    assert len(json.loads(document.stdout)["differences"]) == 2
    assert "submitted" not in run.invoke(app, ["store", "log", *folder]).stdout
