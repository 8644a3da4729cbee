"""Files are written whole or not at all, several of them all or none, and nothing is replaced."""

from __future__ import annotations

import errno
import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bayes_ptsd.cli import app
from bayes_ptsd.errors import BayesPtsdError, EvidenceError, SpecError, StoreError
from bayes_ptsd.evidence.patient_writers import write_template
from bayes_ptsd.replication.export import write_document
from bayes_ptsd.store import ResultStore
from bayes_ptsd.whole_files import write_new

small_tree = runpy.run_path(str(Path(__file__).with_name("store_trees.py")))["small_tree"]
ID = "0f3a9c21d4b7"


def left(folder: Path) -> list[str]:
    """Return everything in a folder, hidden files too."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def failing_at(call: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the disk be full from the n-th file that is forced to it."""
    fsync, made = os.fsync, []

    def full(handle: int) -> None:
        made.append(handle)
        if len(made) >= call:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", full)


@pytest.mark.parametrize("call", [1, 2])
def test_a_full_disk_leaves_none_of_two_files(
    call: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor the folder that was made for them; one message names the file."""
    failing_at(call, monkeypatch)
    name = ("trial.toml", "patients.csv")[call - 1]
    with pytest.raises(EvidenceError, match=rf"{name}: cannot be written \(No space left"):
        write_template(tmp_path / "a" / "b")
    assert left(tmp_path) == []


def test_two_files_are_written_or_neither(tmp_path: Path) -> None:
    """Where the second name is taken, by a link to nowhere too, the first is not written."""
    for make in (lambda path: path.write_text("mine"), lambda path: path.symlink_to("nowhere")):
        make(tmp_path / "second")
        with pytest.raises(StoreError, match=r"second: exists already and is not overwritten"):
            write_new({tmp_path / "first": b"1", tmp_path / "second": b"2"}, error=StoreError)
        assert left(tmp_path) == ["second"]
        (tmp_path / "second").unlink()
    write_new({tmp_path / "first": b"1", tmp_path / "second": b"2"}, error=StoreError)
    assert (tmp_path / "first").read_bytes() + (tmp_path / "second").read_bytes() == b"12"
    assert left(tmp_path) == ["first", "second"]


def test_a_name_that_is_taken_meanwhile_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody who was faster keeps the file; the other of the two is taken back."""
    link = os.link

    def raced(source: Path, target: Path) -> None:
        if target.name == "second":
            target.write_text("faster")
        link(source, target)

    monkeypatch.setattr(os, "link", raced)
    with pytest.raises(SpecError, match="second: exists already"):
        write_new({tmp_path / "first": b"1", tmp_path / "second": b"2"}, error=SpecError)
    assert (tmp_path / "second").read_text() == "faster"
    assert left(tmp_path) == ["second"]


def test_no_hard_links_are_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On exFAT and some network drives the file is renamed, and a taken name is refused still."""

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    write_new({tmp_path / "new": b"1"}, error=StoreError)
    with pytest.raises(StoreError, match="exists already"):
        write_new({tmp_path / "new": b"2"}, error=StoreError)
    assert (tmp_path / "new").read_bytes() == b"1"
    assert left(tmp_path) == ["new"]


def test_an_interruption_takes_back_what_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C between two files leaves neither."""
    link, made = os.link, []

    def interrupted(source: Path, target: Path) -> None:
        if made:
            raise KeyboardInterrupt
        made.append(target)
        link(source, target)

    monkeypatch.setattr(os, "link", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_new({tmp_path / "first": b"1", tmp_path / "second": b"2"}, error=StoreError)
    assert left(tmp_path) == []


def test_simulate_writes_patients_and_trial_or_neither(tmp_path: Path) -> None:
    """A trial file of somebody in the way is left, and no patients are written beside it."""
    (tmp_path / "made.toml").write_text("mine")
    done = CliRunner().invoke(app, ["simulate", str(tmp_path / "made.csv"), "--n", "3"])
    assert (done.exit_code, "made.toml: exists already" in str(done.exception)) == (1, True)
    assert left(tmp_path) == ["made.toml"]
    assert (tmp_path / "made.toml").read_text() == "mine"


@pytest.mark.parametrize("call", [1, 2])
def test_calibrate_writes_ranks_and_figure_or_neither(
    call: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a disk that fills up at the first or the second file none is left, and one message."""
    failing_at(call, monkeypatch)
    files = ["--ranks", str(tmp_path / "r.csv"), "--figure", str(tmp_path / "r.svg")]
    asked = ["calibrate", "crossover", "--simulations", "2", "--ranks-only", *files]
    done = CliRunner().invoke(app, asked)
    assert isinstance(done.exception, BayesPtsdError)
    assert "cannot be written (No space left" in str(done.exception)
    assert left(tmp_path) == []


def test_calibrate_refuses_a_taken_name_before_it_simulates(tmp_path: Path) -> None:
    """A file that is there is left as it is, and a million trials are not simulated for it."""
    path = tmp_path / "r.svg"
    path.write_text("mine")
    asked = ["calibrate", "crossover", "--simulations", "1000000", "--figure", str(path)]
    done = CliRunner().invoke(app, asked)
    assert (done.exit_code, "r.svg: exists already" in str(done.exception)) == (1, True)
    assert path.read_text() == "mine"


def test_reconstruct_writes_all_sets_or_none(tmp_path: Path) -> None:
    """Where the name of the second set is taken, neither the first nor the trial is written."""
    taken = tmp_path / "change-paper-002.csv"
    taken.write_text("mine")
    asked = ["reconstruct", "--m", "2", "--reading", "change", "--seed", "7", "--quiet"]
    done = CliRunner().invoke(app, [*asked, "--output", str(tmp_path)])
    assert "002.csv: exists already and is not overwritten" in str(done.exception)
    assert left(tmp_path) == [taken.name]
    assert taken.read_text() == "mine"


@pytest.mark.parametrize("name", ["catalog.csv", "catalog.parquet", "result.nc", "prior.json"])
def test_an_export_is_whole_or_absent(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a full disk there is one message, and no file of any name."""
    store = ResultStore(tmp_path / "store")
    store.save(small_tree())
    (tmp_path / "out").mkdir()
    write: dict[str, Callable[[Path], object]] = {
        ".nc": lambda path: store.export(ID, path),
        ".json": lambda path: write_document({"mean": 1.0}, path),
    }
    path = tmp_path / "out" / name
    failing_at(1, monkeypatch)
    with pytest.raises((StoreError, SpecError), match=rf"{name}: cannot be written \(No space"):
        write.get(path.suffix, store.export_catalog)(path)
    assert left(tmp_path / "out") == []


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
from bayes_ptsd.cli import main
sys.argv[1:] = {words!r}
main()
"""


@pytest.mark.parametrize("words", [
    ["simulate", "out/made.csv"],
    ["template", "out/new"],
    ["store", "export", "out/a.csv", "--store", "store"],
    ["store", "export", "out/a.zarr", "--result", ID, "--store", "store"],
], ids=lambda words: " ".join(words[:2]))  # fmt: skip
def test_a_limit_on_files_ends_each_writer_in_one_message(words: list[str], tmp_path: Path) -> None:
    """A disk that takes 64 bytes of a file: exit 1, one line, and no file."""
    ResultStore(tmp_path / "store").save(small_tree())
    (tmp_path / "out").mkdir()
    code = LIMITED.format(limit=64, words=words)
    done = subprocess.run(
        [sys.executable, "-B", "-c", code],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "File too large" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert left(tmp_path / "out") == []
