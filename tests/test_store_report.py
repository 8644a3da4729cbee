"""The folder of a report: whole, or the earlier one, or none, whatever is killed and whenever."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from store_damage import make_old

from bayes_ptsd.errors import StoreError
from bayes_ptsd.store.report_folder import (
    LIST,
    is_sealed_report,
    publish_report,
    seal_report,
    sweep_leftovers,
    verify_report,
)
from bayes_ptsd.store.upkeep import verify_store

DRIVER = Path(__file__).with_name("store_driver.py")
write_report = runpy.run_path(str(DRIVER))["write_report"]


def texts(folder: Path) -> set[str]:
    """Return what the files of a report say."""
    return {path.read_text() for path in folder.rglob("*") if path.suffix in (".html", ".csv")}


def test_a_killed_writer_leaves_a_whole_report_or_none(tmp_path: Path) -> None:
    """The first or the second, never parts of both; what is beside it is swept, or put back."""
    done = subprocess.run(
        [sys.executable, str(DRIVER), "report", str(tmp_path)],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    seen = set()
    for root in sorted(tmp_path.iterdir()):
        report = root / "report"
        assert texts(report) in ({"first"}, {"second"}, set())
        assert verify_report(report, root) == ([], [])
        for left in root.glob(".report-*"):
            make_old(left)
        # no store was made here, whose folder of unfinished files would tell the time
        (root / "tmp").mkdir()
        found = verify_store(root)
        assert (found.problems, found.unfinished, found.foreign) == ([], [], [])
        assert texts(report) in ({"first"}, {"second"})
        assert list(root.glob(".report-*")) == []
        seen |= texts(report)
    assert seen == {"first", "second"}
    assert len(list(tmp_path.iterdir())) > 10


def test_a_second_report_keeps_files_of_others(tmp_path: Path) -> None:
    """Also those in its folders; its own earlier files are gone, and the list is the new one."""
    write_report(tmp_path, "first")
    for name in ("notes.txt", "tables/mine.csv"):
        (tmp_path / "report" / name).write_text("mine")
    write_report(tmp_path, "second")
    assert texts(tmp_path / "report") == {"second", "mine"}
    problems, foreign = verify_report(tmp_path / "report", tmp_path)
    assert (problems, foreign) == ([], ["report/notes.txt", "report/tables/mine.csv"])
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_the_earlier_report_stays_where_the_new_one_cannot_be_put(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder that has given way is put back."""
    write_report(tmp_path, "first")
    rename = Path.rename

    def refuse_new(path: Path, target: Path) -> Path:
        if path.name == "new":
            raise PermissionError(13, "Permission denied")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse_new)
    with pytest.raises(PermissionError):
        write_report(tmp_path, "second")
    assert texts(tmp_path / "report") == {"first"}
    assert verify_report(tmp_path / "report", tmp_path) == ([], [])


def test_two_reports_finished_at_once_take_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was put there between the two steps gives way; both are whole."""
    rename, once = Path.rename, []

    def overtaken(path: Path, target: Path) -> Path:
        if path.name == "new" and path.read_text and not once:
            once.append(True)
            write_report(tmp_path, "overtaker")
        return rename(path, target)

    write_report(tmp_path, "first")
    monkeypatch.setattr(Path, "rename", overtaken)
    write_report(tmp_path, "second")
    assert texts(tmp_path / "report") == {"second"}
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_leftovers_of_others_are_left(tmp_path: Path) -> None:
    """A folder that is young, is a link, or holds anything else, is not deleted."""
    write_report(tmp_path, "first")
    other = tmp_path / "other"
    other.mkdir()
    (tmp_path / ".report-link0000").symlink_to(other)
    for name in (".report-young000", ".report-mine0000", ".report-gone0000", ".report-toolong00"):
        (tmp_path / name / "new").mkdir(parents=True)
    (tmp_path / ".report-mine0000" / "new" / "thesis.tex").write_text("mine")
    for name in ("mine0000", "gone0000", "toolong00"):
        make_old(tmp_path / f".report-{name}")
    now = (tmp_path / ".report-young000").stat().st_mtime
    found = sweep_leftovers(tmp_path / "report", now, 3600.0)
    assert found == ([".report-gone0000"], [".report-young000"], [".report-mine0000"])
    left = {path.name for path in tmp_path.glob(".report-*")}
    assert left == {f".report-{name}" for name in ("link0000", "young000", "mine0000", "toolong00")}


@pytest.mark.parametrize("name", ["../../thesis.txt", "/etc/hostname", "tables/../x.csv", LIST])
def test_a_list_with_other_names_is_wrong(tmp_path: Path, name: str) -> None:
    """A sealed list cannot lead out of the folder of its report."""
    from bayes_ptsd.store.files import sealed

    write_report(tmp_path, "first")
    place = tmp_path / "report" / LIST
    place.write_bytes(sealed({"schema": 1, "files": {"index.html": "0", name: "0"}}))
    (problem,), _ = verify_report(tmp_path / "report", tmp_path)
    assert "files.json: sealed but wrong" in problem
    assert not is_sealed_report(tmp_path / "report")


def test_a_report_that_cannot_be_finished_is_no_report(tmp_path: Path) -> None:
    """Without its page there is nothing to seal as one."""
    new = tmp_path / "new"
    new.mkdir()
    seal_report(new)
    publish_report(new, tmp_path / "report")
    assert not is_sealed_report(tmp_path / "report")
    with pytest.raises(StoreError, match="digests of a report"):
        raise StoreError(verify_report(tmp_path / "report", tmp_path)[0][0])
