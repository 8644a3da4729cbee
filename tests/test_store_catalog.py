"""Listing a store: standard library alone, fast, and honest about damage."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayes_ptsd.errors import StoreError
from bayes_ptsd.store import catalog, files, records
from bayes_ptsd.store.upkeep import verify_store

small_tree = runpy.run_path(str(Path(__file__).with_name("store_trees.py")))["small_tree"]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False).filter(
        lambda number: abs(number) != float("inf")
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


def fill(root: Path, count: int) -> list[str]:
    """Publish results whose data nobody needs, and return their ids in order of time."""
    described = records.describe(small_tree().attrs)
    ids = [f"{number:08x}" for number in reversed(range(count))]
    for result_id in ids:
        records.publish_result(root, result_id.encode(), {**described, "result_id": result_id})
    return ids


def test_listing_needs_only_the_standard_library(tmp_path: Path) -> None:
    """Neither numpy nor pandas nor xarray is imported to list, verify, find or remove."""
    fill(tmp_path, 2)
    code = (
        "import sys; from bayes_ptsd.store import catalog, records, upkeep\n"
        f"root = {str(tmp_path)!r}\n"
        "assert len(catalog.list_results(root).entries) == 2\n"
        "records.record_run(root, 'fit', request={}, results=[])\n"
        "assert upkeep.verify_store(root).problems == []\n"
        "upkeep.remove_result(root, catalog.find_result(root, '000000010'[:8]))\n"
        "print(sorted({'numpy', 'pandas', 'xarray', 'scipy', 'h5py'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of sidecars as they are opened; those just written count as settled."""
    names: list[str] = []
    read = files.read_sealed

    def noted(path: Path) -> dict[str, Any]:
        names.append(path.stem)
        return read(path)

    monkeypatch.setattr(catalog, "read_sealed", noted)
    monkeypatch.setattr(catalog, "SETTLED", 0)
    return names


def test_a_sidecar_is_opened_once(tmp_path: Path, opened: list[str]) -> None:
    """However often a process lists a store, and whatever it does with what it was given."""
    ids = sorted(fill(tmp_path, 3))
    for _ in range(3):
        for entry in catalog.list_results(tmp_path).entries:
            entry["versions"]["numpy"] = "0"
    assert opened == ids
    assert catalog.read_sidecar(tmp_path, ids[0])["versions"] != {"numpy": "0"}


def test_a_changed_sidecar_is_read_again(tmp_path: Path, opened: list[str]) -> None:
    """Of the same size and time of modification, too; and one that is removed is not there."""
    (result_id,) = fill(tmp_path, 1)
    path = catalog.sidecar_path(tmp_path, result_id)
    before, content = path.stat(), path.read_bytes()
    catalog.read_sidecar(tmp_path, result_id)
    # longer than the step in which this file system counts time
    time.sleep(0.1)
    path.write_bytes(content[:-2] + b" }")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(StoreError, match="damaged"):
        catalog.read_sidecar(tmp_path, result_id)
    path.unlink()
    with pytest.raises(StoreError, match="cannot be read"):
        catalog.read_sidecar(tmp_path, result_id)
    assert opened == [result_id] * 3


def test_a_sidecar_written_just_now_is_not_kept(
    tmp_path: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until a change would show in its time every reading opens it; verifying always does."""
    (result_id,) = fill(tmp_path, 1)
    catalog.read_sidecar(tmp_path, result_id)
    verify_store(tmp_path)
    verify_store(tmp_path)
    assert opened == [result_id] * 3
    monkeypatch.setattr(catalog, "SETTLED", 10**12)
    catalog.read_sidecar(tmp_path, result_id)
    catalog.read_sidecar(tmp_path, result_id)
    assert opened == [result_id] * 5


def test_results_are_listed_oldest_first(tmp_path: Path) -> None:
    """In order of time, whatever their ids, with every key of the sidecar."""
    ids = fill(tmp_path, 5)
    listing = catalog.list_results(tmp_path)
    assert [entry["result_id"] for entry in listing.entries] == ids
    assert listing.damaged == []
    expected = {*records.REQUIRED, *records.OPTIONAL, "schema", "file", "sha256", "size"}
    assert {*expected, "created", "package_version"} == set(listing.entries[0])


def test_a_thousand_results_list_in_well_under_a_second(tmp_path: Path) -> None:
    """Sidecars alone are read, and every byte of them is verified."""
    described = records.describe(small_tree().attrs)
    files.make_folders(tmp_path)
    for number in range(1000):
        entry = {**described, "result_id": f"{number:08x}", "schema": 1, "size": 0}
        entry |= {"sha256": "0" * 64, "file": f"{number:08x}-{'0' * 16}.nc"}
        entry |= {"package_version": "1", "created": records.timestamp(datetime.now(UTC))}
        catalog.sidecar_path(tmp_path, entry["result_id"]).write_bytes(files.sealed(entry))
    start = time.process_time()
    assert len(catalog.list_results(tmp_path).entries) == 1000
    assert time.process_time() - start < 1.0


def test_damage_does_not_hide_the_rest(tmp_path: Path) -> None:
    """Good sidecars are listed, the others named with what is wrong."""
    fill(tmp_path, 3)
    catalog.sidecar_path(tmp_path, "00000001").write_text("{")
    (tmp_path / "results" / "notes.txt").write_text("left alone")
    listing = catalog.list_results(tmp_path)
    assert [entry["result_id"] for entry in listing.entries] == ["00000002", "00000000"]
    (message,) = listing.damaged
    assert "00000001.json: damaged" in message
    assert verify_store(tmp_path, grace=0.0).swept == []
    assert (tmp_path / "results" / "notes.txt").exists()


def test_result_removed_while_listing_is_not_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sidecar that was there when the folder was read and is gone now is just gone."""
    fill(tmp_path, 2)
    monkeypatch.setattr(catalog, "result_ids", lambda root: ["00000000", "00000001", "0000000f"])
    listing = catalog.list_results(tmp_path)
    assert (len(listing.entries), listing.damaged) == (2, [])


def test_folder_that_cannot_be_listed_is_an_error_of_the_store(tmp_path: Path) -> None:
    """Not an empty store: the message names the folder."""
    (tmp_path / "results").write_text("a file")
    with pytest.raises(StoreError, match="results: cannot be read as a store"):
        catalog.list_results(tmp_path)


@given(st.dictionaries(st.text(), VALUES, max_size=4))
def test_sealed_metadata_survive(content: dict[str, object]) -> None:
    """Any JSON content comes back, from the one text that is accepted for it."""
    content = {**content, "schema": 1}
    content.pop("metadata_sha256", None)
    raw = files.sealed(content)
    assert raw.isascii()
    assert files.sealed(dict(reversed(content.items()))) == raw
    assert files._parsed(raw) == content


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"[]", b"null", b"1", b'{"schema": 1}', b"\xff", b"[" * 100_000,
        files.sealed({"schema": 1}).replace(b"\n", b"\r\n"),
        files.sealed({"schema": 1}) + b"\n",
        files.sealed({"mean": 1.5}).replace(b"1.5", b"1.50"),
    ],
)  # fmt: skip
def test_altered_metadata_are_not_accepted(raw: bytes) -> None:
    """Not even where the values stayed the same."""
    assert files._parsed(raw) is None


def test_publishing_obeys_the_umask(tmp_path: Path) -> None:
    """Colleagues who share a folder can read what was written there."""
    before = os.umask(0o027)
    try:
        fill(tmp_path, 1)
    finally:
        os.umask(before)
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "results").iterdir()}
    assert modes == {0o640}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0f3a9c21d4", True), ("0" * 64, True), ("0" * 65, False), ("0f3a9c2", False),
        ("0F3A9C21D4", False), ("../0f3a9c21d4", False), ("0f3a9c21d4\n", False),
    ],
)  # fmt: skip
def test_an_id_is_8_to_64_lower_case_hexadecimal_digits(text: str, expected: bool) -> None:
    """Nothing that could be a path is an id."""
    assert catalog.is_result_id(text) is expected


def test_publishing_replaces_a_file_unless_it_is_to_be_the_first(tmp_path: Path) -> None:
    """`publish` writes over the file that is there; `publish_once` leaves it and says so."""
    files.make_folders(tmp_path)
    path = tmp_path / "runs" / "a"
    assert files.publish_once(path, b"first") is True
    assert files.publish_once(path, b"second") is False
    assert path.read_bytes() == b"first"
    files.publish(path, b"third")
    assert path.read_bytes() == b"third"


def test_finding_is_exact_before_it_guesses(tmp_path: Path) -> None:
    """An id that is also the beginning of another one is found."""
    described = records.describe(small_tree().attrs)
    for result_id in ("0f3a9c21", "0f3a9c21d4"):
        records.publish_result(tmp_path, b"", {**described, "result_id": result_id})
    assert catalog.find_result(tmp_path, "0f3a9c21") == "0f3a9c21"
    assert catalog.find_result(tmp_path, "0f3a9c21d") == "0f3a9c21d4"
