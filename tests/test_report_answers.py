"""What sections compute is kept and found again; a report of an unchanged store is left alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import xarray as xr
from typer.testing import CliRunner

from bayes_ptsd.cli import app
from bayes_ptsd.describe import describe_result
from bayes_ptsd.evidence.published import load_published
from bayes_ptsd.report import binary, depression, joint, replication, sensitivity
from bayes_ptsd.report.answers import Question, answered
from bayes_ptsd.report.contents import HEADLINE_PRIORS, Contents
from bayes_ptsd.report.page import page_sections, write_report
from bayes_ptsd.store import ResultStore
from bayes_ptsd.store.report_folder import LIST, report_origin
from bayes_ptsd.store.report_origin import is_current

COMPUTED = (
    (sensitivity, "ranked_assumptions"), (binary, "binary_table"), (binary, "paired_table"),
    (binary, "items_table"), (depression, "pool_depression"), (joint, "joint_posterior"),
    (replication, "replication_outlook"), (replication, "outlook_document"),
)  # fmt: skip
"""What the run has computed for the page, by where a section calls it."""
ASKED: dict[str, Any] = {"quick": True, "seed": 20140521, "reading_weights": None}


@pytest.fixture(scope="module")
def store(
    quick_run: tuple[Path, str, str], tmp_path_factory: pytest.TempPathFactory
) -> ResultStore:
    """Return a copy of the store of a quick reanalysis, its report in it."""
    folder = tmp_path_factory.mktemp("answers") / "store"
    shutil.copytree(quick_run[0], folder)
    return ResultStore(folder)


def files(folder: Path) -> dict[str, bytes]:
    """Return the files of a report, without the list of them."""
    every = (path for path in folder.rglob("*") if path.is_file() and path.name != LIST)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in every}


def test_a_page_of_a_finished_run_computes_nothing_again(
    store: ResultStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every answer is read, and tables and figures are those of the run byte for byte."""

    def again(*_: object, **__: object) -> None:
        raise AssertionError("computed again")

    for module, name in COMPUTED:
        monkeypatch.setattr(module, name, again)
    write_report(load_published(), store, tmp_path / "report", quick=True)
    first, second = files(Path(store.path) / "report"), files(tmp_path / "report")
    assert first.keys() == second.keys()
    # the page itself tells the seconds of the run
    assert [name for name in first if first[name] != second[name]] == ["index.html"]


def test_without_a_store_the_same_is_computed(store: ResultStore) -> None:
    """Answers that were stored and read give the tables that computing them gives."""
    evidence = load_published()
    about: dict[str, Any] = {"priors": HEADLINE_PRIORS, "conventions": ("T",)}
    read, made = (page_sections(Contents(evidence, one, **about)) for one in (store, None))
    skipped = ("reconstructed", "diagnostics", "provenance", "depression")
    for one, other in zip(
        (part for part in read if part.id not in skipped),
        (part for part in made if part.id not in skipped),
        strict=True,
    ):
        assert one.tables.keys() == other.tables.keys()
        for name, frame in one.tables.items():
            assert frame.to_csv() == other.tables[name].to_csv(), name


def test_an_answer_is_kept_once_and_by_what_decides_it(tmp_path: Path) -> None:
    """Same question, no second call; another option or seed, another result."""
    calls: list[int] = []

    def answer() -> xr.DataTree:
        calls.append(1)
        return xr.DataTree.from_dict({"one": xr.Dataset({"value": float(len(calls))})})

    def ask(option: int, seed: int = 1, *, keeps: bool = True) -> float:
        contents = Contents(load_published(), ResultStore(tmp_path), seed=seed, keeps=keeps)
        asked = Question("name", "a value", "flat", {"option": option}, answer)
        return float(answered(contents, asked)["one"]["value"])

    assert [ask(0), ask(0), ask(1), ask(0, seed=2), ask(0)] == [1.0, 1.0, 2.0, 3.0, 1.0]
    assert [ask(5, keeps=False), ask(5, keeps=False)] == [4.0, 5.0]
    assert len(ResultStore(tmp_path).catalog()) == 3


def test_an_answer_says_what_it_is(store: ResultStore) -> None:
    """Estimand, prior, options, tables and provenance, as any stored result."""
    entries = [one for one in store.catalog() if one["model"] == "ranked-assumptions"]
    told = describe_result(store.load(entries[0]["result_id"]))
    assert "score units" in told["analysis"]["estimand"]
    assert told["analysis"]["sets"] == 5
    assert "change" in told["estimates"]["/ranked"]
    assert told["provenance"]["evidence_digest"] == load_published().digest
    listed = CliRunner().invoke(app, ["store", "list", "--store", str(store.path)])
    assert listed.exit_code == 0
    assert "FAILED" not in listed.stdout


def test_a_second_report_of_an_unchanged_store_writes_nothing(
    store: ResultStore, tmp_path: Path
) -> None:
    """It says so in one line; a changed result, option or page makes a new one."""
    folder, evidence = Path(store.path) / "report", load_published()

    def current(**changed: Any) -> bool:
        return is_current(folder, store.path, evidence, **{**ASKED, **changed})

    assert current()
    assert not current(quick=False)
    assert not current(seed=1)
    assert not current(reading_weights={"as_published": 1.0})
    page = folder / "index.html"
    whole = page.read_bytes()
    page.write_bytes(whole + b" ")
    assert not current()
    page.write_bytes(whole)
    place = next((Path(store.path) / "results").glob("*.json"))
    content = place.read_bytes()
    place.unlink()
    assert not current()
    place.write_bytes(content)
    assert current()
    # a report from before there were origins is written again
    listed = json.loads((folder / LIST).read_text())
    assert listed["made_from"] == report_origin(folder) != report_origin(tmp_path)


def test_the_command_leaves_an_unchanged_report_alone(
    store: ResultStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every byte and moment of the page stays, and one line says why."""
    folder = Path(store.path) / "report"
    known = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*.*")}
    monkeypatch.setattr("bayes_ptsd.store.report_origin.report_origin", lambda _: "same")
    monkeypatch.setattr("bayes_ptsd.store.report_origin.origin_digest", lambda *_, **__: "same")
    said = CliRunner().invoke(app, ["report", "--store", str(store.path), "--json"])
    assert said.exit_code == 0, said.output
    assert '"unchanged": true' in said.stdout
    assert "unchanged: it was made from these results by this program" in said.output
    assert known == {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in known}
