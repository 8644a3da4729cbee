"""The program tells what is wrong with its installation and how to cite it."""

from __future__ import annotations

import json
import re
from importlib import metadata
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bayes_ptsd import installation
from bayes_ptsd.citation import citations
from bayes_ptsd.cli import app
from bayes_ptsd.installation import check_installation

ROOT = Path(__file__).parents[1]


def test_a_good_installation_has_no_fault_and_leaves_no_folder(tmp_path: Path) -> None:
    """Every library and both engines are good, and the store is looked at, not created."""
    done = CliRunner().invoke(app, ["doctor", "--json", "--store", str(tmp_path / "new")])
    document = json.loads(done.stdout)
    assert (done.exit_code, document["passed"]) == (0, True)
    found = {one["what"] for one in document["findings"]}
    assert {"Python", "pymc", "nutpie", "store", "exact engine", "sampler"} <= found
    assert not (tmp_path / "new").exists()


def test_each_fault_is_named_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An old library, a missing one, a store that is a file, a wrong number: exit status 3."""

    def version(name: str) -> str:
        if name == "nutpie":
            raise metadata.PackageNotFoundError(name)
        return "0.1" if name == "xarray" else "99"

    monkeypatch.setattr(installation.metadata, "version", version)
    monkeypatch.setattr(installation, "PUBLISHED", 0.5)
    (tmp_path / "file").write_text("")
    found = check_installation(tmp_path / "file", sample=False)
    bad = {one.what: one.remedy for one in found if not one.good}
    assert {"xarray", "nutpie", "store", "exact engine"} <= set(bad)
    assert bad["nutpie"].startswith("pip install 'nutpie>=")
    done = CliRunner().invoke(app, ["doctor", "--no-sample", "--store", str(tmp_path)])
    assert done.exit_code == 3


def test_an_engine_that_breaks_is_a_finding_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever an engine raises becomes one line."""

    def broken() -> tuple[str, bool]:
        raise ImportError("libgomp.so.1: cannot open shared object file")

    monkeypatch.setattr(installation, "_exact", broken)
    found = check_installation("nowhere", sample=False)[-1]
    assert (found.what, found.good) == ("exact engine", False)
    assert "libgomp" in found.found


def test_citations_say_what_the_citation_file_says() -> None:
    """Title, year, volume, pages, DOI and every family name of CITATION.cff are in the text."""
    file = re.sub(r"\s+", " ", (ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    program, trial = citations()
    assert f"version: {re.search(r'version = {(.+?)}', program['bibtex'])[1]} " in file  # type: ignore[index]
    for key in ("title", "doi", "year", "volume"):
        value = re.search(rf"  {key} = {{(.+?)}},?\n", trial["bibtex"] + "\n")
        assert value is not None
        assert value[1].rstrip("}") in file
    families = re.findall(r"family-names: (.+?) given-names", file)
    assert len(families) == trial["bibtex"].count(" and ") + 1
    assert all(family in trial["bibtex"] for family in families)


def test_cite_prints_both() -> None:
    """The command prints text and BibTeX of program and trial."""
    done = CliRunner().invoke(app, ["cite"])
    assert done.exit_code == 0
    assert done.stdout.count("@") == 2
