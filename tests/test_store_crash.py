"""The store holds whole results or none, whatever is killed and whoever writes at once."""

from __future__ import annotations

import hashlib
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from bayes_ptsd.store import ResultStore
from bayes_ptsd.store.catalog import list_results

small_tree = runpy.run_path(str(Path(__file__).with_name("store_trees.py")))["small_tree"]
DRIVER = Path(__file__).with_name("store_driver.py")
ID = "0f3a9c21d4b7"


def drive(task: str, folder: Path) -> int:
    """Run the driver; return the number that it prints."""
    done = subprocess.run(
        [sys.executable, str(DRIVER), task, str(folder)],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def is_whole_or_absent(store: ResultStore) -> bool:
    """Assert that a store has its result as it was saved, or no trace; tell which."""
    listing = list_results(store.path)
    assert listing.damaged == []
    assert [entry["result_id"] for entry in listing.entries] == [ID] * store.has(ID)
    if store.has(ID):
        assert store.load(ID).identical(small_tree())
    return store.has(ID)


def assert_recovers(store: ResultStore) -> None:
    """Assert that a sweep clears every trace of killed processes, and that saving works again."""
    found = store.verify(grace=0.0)
    assert (found.problems, found.unfinished) == ([], [])
    again = store.verify(grace=0.0)
    assert (again.swept, again.unfinished) == ([], [])
    assert store.save(small_tree()) == ID
    assert store.load(ID).identical(small_tree())
    files = [path.suffix for path in sorted(store.path.rglob("*")) if path.is_file()]
    assert sorted(files) == [".json", ".nc"]


@pytest.mark.parametrize("task", ["save", "save-unlinked"])
def test_killed_writer_leaves_the_whole_result_or_none(task: str, tmp_path: Path) -> None:
    """Killed before each change of the file system and in the middle of each write."""
    assert drive(task, tmp_path) > 15
    whole = []
    for path in sorted(tmp_path.iterdir()):
        store = ResultStore(path)
        whole.append(is_whole_or_absent(store))
        assert_recovers(store)
    assert {True, False} == set(whole)


def test_killed_remover_leaves_the_whole_result_or_none(tmp_path: Path) -> None:
    """A removal that is cut short has removed the result, and the rest of it is swept."""
    assert drive("remove", tmp_path) >= 3
    for path in sorted(tmp_path.iterdir()):
        is_whole_or_absent(ResultStore(path))
        assert_recovers(ResultStore(path))


@pytest.mark.parametrize("task", ["race", "race-unlinked"])
def test_processes_may_write_at_once(task: str, tmp_path: Path) -> None:
    """Eight writers of three shared ids and eight own ones: each id once, whole, none lost."""
    assert drive(task, tmp_path) == 8
    store = ResultStore(tmp_path)
    assert len(store.catalog()) == 3 + 8
    assert len(store.runs()) == 8
    found = store.verify(grace=0.0)
    assert (found.checked, found.problems) == (11, [])
    # losers delete what they wrote; only a replaced winner of the unlinked kind is left to sweep
    assert found.swept == [] or task == "race-unlinked"
    for entry in store.catalog():
        loaded = store.load(entry["result_id"])
        assert loaded.identical(small_tree(entry["result_id"], seed=entry["seed"]))


def test_sweeping_spares_running_writers(tmp_path: Path) -> None:
    """Files that no sidecar names are left to their writer until they are an hour old."""
    store = ResultStore(tmp_path)
    store.save(small_tree())
    digest = hashlib.sha256(b"half").hexdigest()
    orphan = tmp_path / "results" / f"{'ab' * 8}-{digest[:16]}.nc"
    stray = tmp_path / "tmp" / f"{ID}.json.123.{'0' * 16}"
    for path in (orphan, stray):
        path.write_bytes(b"half")
    found = store.verify()
    assert (found.swept, found.unfinished) == ([], [orphan.name, stray.name])
    found = store.verify(grace=0.0)
    assert (found.swept, found.unfinished) == ([orphan.name, stray.name], [])
    assert is_whole_or_absent(store)


def test_writer_swept_in_its_sleep_writes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sweep between the data file and the sidecar does not leave a sidecar without data."""
    from bayes_ptsd.store import records

    publish_once = records.publish_once

    def after_a_sweep(path: Path, content: bytes) -> bool:
        for data in path.parent.glob("*.nc"):
            data.unlink()
        return publish_once(path, content)

    monkeypatch.setattr(records, "publish_once", after_a_sweep)
    store = ResultStore(tmp_path)
    store.save(small_tree())
    assert is_whole_or_absent(store)
    assert store.verify().problems == []
