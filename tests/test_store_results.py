"""The store of results: write-once, verified on reading, clear about what is wrong."""

from __future__ import annotations

import errno
import json
import os
import runpy
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import xarray as xr
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bayes_ptsd.errors import ResultNotFoundError, StoreError
from bayes_ptsd.store import ResultStore

MAKERS = runpy.run_path(str(Path(__file__).with_name("store_trees.py")))
result_tree, small_tree = MAKERS["result_tree"], MAKERS["small_tree"]
ID = "0f3a9c21d4b7"
OTHER = "0f3a9c77aa01"


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    """Return a store with one result."""
    store = ResultStore(tmp_path / "store")
    assert store.save(result_tree()) == ID
    return store


def files(store: ResultStore) -> dict[str, bytes]:
    """Return every file of a store and its bytes."""
    return {path.name: path.read_bytes() for path in store.path.rglob("*") if path.is_file()}


def data_file(store: ResultStore) -> Path:
    """Return the only data file of a store."""
    (path,) = store.path.rglob("*.nc")
    return path


def test_what_is_saved_is_loaded(store: ResultStore) -> None:
    """The result comes back identical, by its id or the first six digits of it."""
    assert store.has(ID)
    assert not store.has(ID[:8])
    for name in (ID, ID[:6]):
        assert store.load(name).identical(result_tree())


def test_store_is_made_by_the_first_write_and_not_before(tmp_path: Path) -> None:
    """Reading a store that is not there finds nothing and makes nothing."""
    store = ResultStore(str(tmp_path / "a" / "b"))
    assert (store.catalog(), store.runs(), store.has(ID)) == ([], [], False)
    assert store.verify().checked == 0
    assert store.frame().empty
    assert list(tmp_path.iterdir()) == []
    store.save(small_tree())
    assert ResultStore(tmp_path / "a" / "b").has(ID)


def test_second_save_of_an_id_writes_nothing(store: ResultStore) -> None:
    """The first result stays, byte for byte, whatever the second one holds."""
    before = files(store)
    assert store.save(result_tree(seed=2)) == ID
    assert files(store) == before


def test_sidecar_says_what_the_attributes_say(store: ResultStore) -> None:
    """JSON texts become values; file, digest, time and version are added."""
    (entry,) = store.catalog()
    assert entry["result_id"] == ID
    assert entry["spec"] == {"model": "published"}
    assert entry["warnings"] == ["the interval is asymmetric"]
    assert entry["summary"]["treatment_difference"]["eti95"] == [4.8, 20.6]
    assert (entry["seed"], entry["seconds"], entry["checks_passed"]) == (1, 0.25, 1)
    assert entry["file"] == data_file(store).name == f"{ID}-{entry['sha256'][:16]}.nc"
    assert entry["size"] == data_file(store).stat().st_size
    assert entry["schema"] == 1
    assert entry["dropped"] == []
    assert pd.Timestamp(entry["created"]).tzinfo is not None


def test_optional_attributes_may_be_absent_and_numbers_json_lacks_become_null(
    tmp_path: Path,
) -> None:
    """A fit without a contrast is stored; a NaN in its summary is null in the sidecar."""
    tree = small_tree()
    del tree.attrs["contrast"]
    tree.attrs["summary"] = '{"period_effect": {"mean": NaN, "sd": Infinity}}'
    store = ResultStore(tmp_path)
    store.save(tree)
    (entry,) = store.catalog()
    assert entry["contrast"] is None
    assert entry["summary"] == {"period_effect": {"mean": None, "sd": None}}


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "no id": ({"result_id": None}, "result_id"),
    "path as id": ({"result_id": "../../0f3a9c21d4b7"}, "hexadecimal"),
    "short id": ({"result_id": "0f3a"}, "hexadecimal"),
    "upper case": ({"result_id": ID.upper()}, "hexadecimal"),
    "kind": ({"evidence_kind": "patient"}, "did you mean 'patients'"),
    "spec": ({"spec": "{model"}, "'spec' is not a JSON text"),
    "summary": ({"summary": 12.7}, "'summary' is not a JSON text"),
    "endpoint": ({"endpoint": object()}, "endpoint|JSON"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_result_that_does_not_say_what_it_is_gets_refused(fault: str, tmp_path: Path) -> None:
    """One clear error, and nothing is stored."""
    attrs, message = FAULTS[fault]
    tree = small_tree()
    tree.attrs.update(attrs)
    store = ResultStore(tmp_path)
    with pytest.raises(StoreError, match=message):
        store.save(tree)
    assert files(store) == {}


@pytest.mark.parametrize("name", ["spec", "evidence_kind", "evidence_digest", "seed", "model"])
def test_required_attributes_are_required(name: str, tmp_path: Path) -> None:
    """The message names the attribute that is missing."""
    tree = small_tree()
    del tree.attrs[name]
    with pytest.raises(StoreError, match=f"attribute '{name}'"):
        ResultStore(tmp_path).save(tree)


def test_what_is_not_there_is_said_to_be_not_there(store: ResultStore) -> None:
    """Unknown, mistyped, short and ambiguous ids each get a message that helps."""
    store.save(small_tree(OTHER))
    for name, message in {
        "ffffffff": "holds 2, which 'bayes-ptsd store list' shows",
        "0f3a9c21d4b8": f"did you mean '{ID}'",
        "0f3a": "at least its first 6",
        "0f3a9c": "2 results begin with '0f3a9c'",
        "../../etc/passwd": "no result",
    }.items():
        with pytest.raises(ResultNotFoundError, match=message):
            store.load(name)
    assert not store.has("../0f3a9c21d4b7")


def test_path_that_is_a_file_is_refused(tmp_path: Path) -> None:
    """At once, and also where the file is a folder on the way."""
    (tmp_path / "notes.txt").write_text("not a store")
    for path in (tmp_path / "notes.txt", tmp_path / "notes.txt" / "store"):
        with pytest.raises(StoreError, match=r"notes\.txt: is not a folder"):
            ResultStore(path)


def test_unwritable_store_is_found_out_before_computing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store on a read-only or full disk can be read and says why it cannot be written."""
    store = ResultStore(tmp_path)
    store.check_writable()
    assert files(store) == {}
    store.save(small_tree())

    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"No space left.*BAYES_PTSD_STORE"):
        store.check_writable()
    with pytest.raises(StoreError, match="No space left"):
        store.save(small_tree(OTHER))
    assert store.load(ID).identical(small_tree())
    assert [entry["result_id"] for entry in store.catalog()] == [ID]
    assert list((tmp_path / "tmp").iterdir()) == []


def damaged(content: bytes, place: int, flip: int) -> bytes:
    """Change one byte."""
    place %= len(content)
    return content[:place] + bytes([content[place] ^ flip]) + content[place + 1 :]


@settings(max_examples=60)
@given(st.sampled_from([".nc", ".json"]), st.integers(0, 10**6), st.integers(1, 255))
@example(".json", -1, 0x2A)
@example(".json", 1, 0x2A)
@example(".nc", 0, 1)
def test_any_changed_byte_is_detected_and_named(suffix: str, place: int, flip: int) -> None:
    """Of data or sidecar: never read as good, the file named, the other results unharmed."""
    with tempfile.TemporaryDirectory() as folder:
        store = ResultStore(folder)
        for result_id in (ID, OTHER):
            store.save(small_tree(result_id))
        (path,) = (store.path / "results").glob(f"{ID}*{suffix}")
        path.write_bytes(damaged(path.read_bytes(), place, flip))
        with pytest.raises(StoreError, match=path.name) as caught:
            store.load(ID)
        assert f"bayes-ptsd store remove {ID}" in str(caught.value)
        (problem,) = store.verify().problems
        assert path.name in problem
        assert store.load(OTHER).attrs["result_id"] == OTHER


def test_truncated_missing_and_exchanged_files_are_named(store: ResultStore) -> None:
    """Each is an error of the store that names the file."""
    store.save(small_tree(OTHER))
    mine, other = (next((store.path / "results").glob(f"{i}-*.nc")) for i in (ID, OTHER))
    content = mine.read_bytes()
    for bad in (content[:-1], b"", other.read_bytes()):
        mine.write_bytes(bad)
        with pytest.raises(StoreError, match=mine.name):
            store.load(ID)
    mine.unlink()
    with pytest.raises(StoreError, match=rf"{mine.name}: cannot be read \(No such file"):
        store.load(ID)
    assert len(store.verify().problems) == 1


def test_sidecar_under_another_name_is_not_another_result(store: ResultStore) -> None:
    """A copied sidecar is damage, not a second result."""
    sidecar = store.path / "results" / f"{ID}.json"
    (sidecar.parent / f"{OTHER}.json").write_bytes(sidecar.read_bytes())
    with pytest.raises(StoreError, match="it describes result"):
        store.load(OTHER)
    with pytest.warns(UserWarning, match=f"{OTHER}.json: damaged"):
        assert len(store.catalog()) == 1


def test_damaged_result_is_removed_and_saved_again(store: ResultStore) -> None:
    """The remedy of the message works, for a damaged sidecar and for damaged data."""
    for path in (store.path / "results" / f"{ID}.json", data_file(store)):
        path.write_bytes(b"{}")
        with pytest.raises(StoreError):
            store.load(ID)
        assert store.remove(ID[:6]) == ID
        assert [path.parent.name for path in store.path.rglob("*.*")] == ["removed"]
        store.save(result_tree())
        assert store.load(ID).identical(result_tree())
    with pytest.raises(ResultNotFoundError):
        store.remove(OTHER)


def test_damaged_sidecar_keeps_its_data_from_being_swept(store: ResultStore) -> None:
    """The data may be all that is left of the result."""
    (store.path / "results" / f"{ID}.json").write_bytes(b"{}")
    assert store.verify(grace=0.0).swept == []
    assert data_file(store).exists()


def test_result_of_a_later_schema_is_not_misread(store: ResultStore) -> None:
    """A store written by a later version is refused with the way out."""
    from bayes_ptsd.store.files import sealed

    path = store.path / "results" / f"{ID}.json"
    path.write_bytes(sealed({"schema": 2, "result_id": ID}))
    with pytest.raises(StoreError, match="schema 2 and this version reads 1"):
        store.load(ID)


def test_data_that_verify_but_are_not_netcdf_are_an_error_of_the_store(tmp_path: Path) -> None:
    """A file that was wrong from the beginning is named like any other."""
    from bayes_ptsd.store.records import describe, publish_result

    publish_result(tmp_path, b"text", describe(small_tree().attrs))
    with pytest.raises(StoreError, match=rf"{ID}-\w+\.nc: not a NetCDF-4 file"):
        ResultStore(tmp_path).load(ID)


def test_runs_are_kept_and_never_changed(store: ResultStore) -> None:
    """Each run adds a manifest with time, request, results and versions; none changes another."""
    first = store.record_run("fit", {"model": "published", "rope": (-1, 1)}, results=[ID])
    before = files(store)
    second = store.record_run(
        "reanalyze", {"quick": True}, results=[ID, OTHER], versions={"numpy": "2"},
        notes={"seconds": float("nan")},
    )  # fmt: skip
    assert files(store).items() > before.items()
    runs = store.runs()
    assert [run["run_id"] for run in runs] == [first, second] == sorted([first, second])
    assert runs[0]["request"] == {"model": "published", "rope": [-1, 1]}
    assert runs[1]["results"] == [ID, OTHER]
    assert runs[1]["versions"]["numpy"] == "2"
    assert {"python", "bayes_ptsd"} <= set(runs[0]["versions"])
    assert runs[1]["notes"] == {"seconds": None}


def test_run_that_is_not_json_is_refused(store: ResultStore) -> None:
    """The message says that the manifest is meant."""
    with pytest.raises(StoreError, match="manifest"):
        store.record_run("fit", {"model": object()}, results=[ID])
    assert store.runs() == []


def test_damaged_manifest_is_named(store: ResultStore) -> None:
    """It is left out of the runs with a warning, and `verify` reports it."""
    run = store.record_run("fit", {}, results=[ID])
    path = store.path / "runs" / f"{run}.json"
    path.write_bytes(damaged(path.read_bytes(), 10, 1))
    with pytest.warns(UserWarning, match=run):
        assert store.runs() == []
    (problem,) = store.verify().problems
    assert run in problem


def test_export_as_zarr_is_the_same_result(store: ResultStore, tmp_path: Path) -> None:
    """Every value comes back; an existing folder is refused and left as it is."""
    path = store.export(ID, tmp_path / "result.zarr")
    xr.testing.assert_equal(xr.open_datatree(path, engine="zarr").load(), store.load(ID))
    with pytest.raises(StoreError, match="exists already"):
        store.export(ID, path)
    with pytest.raises(StoreError, match="cannot be written"):
        store.export(ID, tmp_path / "missing" / "result.zarr")
    assert [place.name for place in tmp_path.glob(".result*")] == []


def test_export_is_a_verified_copy(store: ResultStore, tmp_path: Path) -> None:
    """The copy is the file of the store; an existing file is not written over."""
    path = store.export(ID, tmp_path / "result.nc")
    assert path.read_bytes() == data_file(store).read_bytes()
    with xr.open_datatree(path) as tree:
        assert tree.load().identical(result_tree())
    with pytest.raises(StoreError, match="exists already"):
        store.export(ID, path)
    with pytest.raises(StoreError, match="cannot be written"):
        store.export(ID, tmp_path / "missing" / "result.nc")


def test_catalog_is_a_table(store: ResultStore, tmp_path: Path) -> None:
    """One row per result, the summary in columns, the same as CSV and as Parquet."""
    tree = small_tree(OTHER)
    tree.attrs["spec"] = '{"model": 2}'
    store.save(tree)
    frame = store.frame()
    assert frame.index.to_list() == [ID, OTHER]
    assert frame.loc[ID, "summary.treatment_difference.mean"] == 12.7
    assert frame.loc[ID, "summary.treatment_difference.eti95.1"] == 20.6
    assert json.loads(frame.loc[ID, "warnings"]) == ["the interval is asymmetric"]
    csv = pd.read_csv(store.export_catalog(tmp_path / "catalog.csv"), index_col="result_id")
    parquet = pd.read_parquet(store.export_catalog(tmp_path / "catalog.parquet"))
    for table in (csv, parquet):
        assert table.columns.to_list() == frame.columns.to_list()
        assert table.loc[ID, "summary.treatment_difference.eti95.0"] == 4.8
    with pytest.raises(StoreError, match=r"suffix '\.xlsx'"):
        store.export_catalog(tmp_path / "catalog.xlsx")


INTERPRETERS = [sys.executable, *filter(None, [os.environ.get("BAYES_PTSD_OTHER_PYTHON")])]
READ = "from bayes_ptsd.store import ResultStore; s = ResultStore({!r}); t = s.load({!r}); "
CHECK = "print(float(t['posterior/treatment'].sum()).hex(), t['checks/check'].values.tolist())"


@pytest.mark.parametrize("python", INTERPRETERS, ids=range(len(INTERPRETERS)))
def test_another_process_reads_and_writes_the_same_store(python: str, store: ResultStore) -> None:
    """So does the Python of BAYES_PTSD_OTHER_PYTHON, with the other stack, in both directions."""
    trees = str(Path(__file__).with_name("store_trees.py"))
    write = f"import runpy; tree = runpy.run_path({trees!r})['result_tree']({OTHER!r}); "
    code = READ.format(str(store.path), ID) + CHECK + "\n" + write + "s.save(tree)"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    expected = result_tree()
    total = float(expected["posterior/treatment"].sum()).hex()
    assert done.stdout.strip() == f"{total} {expected['checks/check'].values.tolist()}"
    loaded = store.load(OTHER)
    expected.attrs = loaded.attrs
    assert loaded.identical(expected)


def test_a_disk_without_room_is_found_out_before_computing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Less than a fit may need is one message with both numbers; what is asked for decides."""
    store = ResultStore(tmp_path)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=21_000_000))
    with pytest.raises(StoreError, match=r"21 MB are free and about 32 MB are needed; make room"):
        store.check_writable()
    store.check_writable(room=20_000_000)
    assert files(store) == {}


@pytest.mark.parametrize("limit", [500_000, 2_000])
def test_a_limit_on_files_is_found_out_before_computing(limit: int, tmp_path: Path) -> None:
    """A quota or limit that no free space shows: the check writes a file and leaves none."""
    store = ResultStore(tmp_path / "store")
    store.save(small_tree())
    code = (
        f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
        "from bayes_ptsd.store import ResultStore\n"
        f"store = ResultStore({str(store.path)!r})\n"
        "for write in (store.check_writable, lambda: store.save(tree)):\n"
        "    try: write()\n"
        "    except Exception as error: print(type(error).__name__, error)\n"
        "    else: print('written')\n"
    )
    trees = str(Path(__file__).with_name("store_trees.py"))
    make = f"import runpy; tree = runpy.run_path({trees!r})['small_tree']({OTHER!r})\n"
    done = subprocess.run(
        [sys.executable, "-B", "-c", make + code], capture_output=True, text=True, check=False
    )
    checked, saved = done.stdout.splitlines()
    assert checked.startswith("StoreError")
    assert "File too large" in checked
    assert saved == "written" if limit > 100_000 else "File too large" in saved
    found = store.verify(grace=0.0)
    assert (found.problems, found.swept, found.unfinished) == ([], [], [])


def test_a_damaged_result_is_left_out_where_many_are_loaded(store: ResultStore) -> None:
    """With a warning that names it; the others are loaded."""
    from bayes_ptsd.store.results import load_whole

    store.save(small_tree(OTHER))
    path = next((store.path / "results").glob(f"{ID}-*.nc"))
    path.write_bytes(damaged(path.read_bytes(), 100, 1))
    with pytest.warns(UserWarning, match=f"left out: .*{ID}"):
        (loaded,) = load_whole(store, [ID, OTHER])
    assert loaded.attrs["result_id"] == OTHER
