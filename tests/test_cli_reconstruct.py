"""Reconstructed patients from the command line, and back through the reader of patient files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from bayes_ptsd.cli import app
from bayes_ptsd.evidence.patients import load_patients
from bayes_ptsd.reconstruction.run import reconstruct
from bayes_ptsd.trial import load_trial

runner = CliRunner()
COVARIATES = ("caps_2_weeks", "reason", "late")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, object], Path]:
    """Reconstruct one set of patients into a folder; return the document and the folder."""
    folder = tmp_path_factory.mktemp("made")
    options = ["--m", "1", "--reading", "change", "--seed", "7", "--output", str(folder)]
    done = runner.invoke(app, ["reconstruct", *options, "--json", "--quiet"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout), folder


def test_document_says_what_was_printed_and_recomputed(
    written: tuple[dict[str, object], Path],
) -> None:
    """One of one is verified, every number stands beside its print, the two proofs are given."""
    document, _ = written
    (reading,) = document["readings"]  # type: ignore[misc]
    assert (reading["verified"], reading["m"], reading["drawn_per_verified"]) == (1, 1, 1.0)
    numbers = {(row["id"], row["quantity"], row["method"]): row for row in reading["numbers"]}
    row = numbers["T2.IESR.X", "estimate", "OLS of differences"]
    assert row["printed"] == "12.7"
    assert 12.65 <= row["lowest"] == row["highest"] <= 12.75
    places = [finding["place"] for finding in document["findings"]]  # type: ignore[attr-defined]
    assert [place.partition(",")[0] for place in places] == ["T2.AVOI.F", "RG.DEP.TRT"]


def test_files_come_back_as_the_same_patients(
    written: tuple[dict[str, object], Path],
) -> None:
    """`load_patients` reads the written files as reconstructed patients with the same scores."""
    document, folder = written
    (path,) = document["files"]  # type: ignore[misc]
    trial = load_trial(folder / "trial.toml")
    back = load_patients(path, trial, covariates=COVARIATES)
    made = reconstruct(m=1, reading="change", seed=7)[0]
    assert back.kind == "reconstructed"
    for name in ("value", "baseline"):
        ours, theirs = made.data["outcomes"][name], back.data["outcomes"][name]
        theirs = theirs.sel({dim: ours[dim] for dim in ("endpoint", "visit") if dim in ours.dims})
        flat = [np.sort(np.nan_to_num(a.values, nan=-1).reshape(41, -1), axis=0)
                for a in (ours, theirs)]  # fmt: skip
        np.testing.assert_array_equal(*flat)
    assert float(back.data["covariates"]["late"].sum()) == 2
    checked = runner.invoke(app, ["check-data", path, "--trial", str(folder / "trial.toml")])
    assert checked.exit_code == 0, checked.output


def test_existing_files_are_kept(written: tuple[dict[str, object], Path]) -> None:
    """A second run into the same folder is refused and leaves the first file as it was."""
    document, folder = written
    (path,) = document["files"]  # type: ignore[misc]
    before = Path(path).read_bytes()
    options = ["--m", "1", "--reading", "change", "--seed", "8", "--output", str(folder)]
    done = runner.invoke(app, ["reconstruct", *options, "--quiet"])
    assert done.exit_code == 1 or done.exception is not None
    assert "exists" in str(done.exception)
    assert Path(path).read_bytes() == before


def test_a_taken_name_is_refused_before_the_search(
    written: tuple[dict[str, object], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several readings the one whose file is there is refused before any patient is drawn."""

    def search(*_: object, **__: object) -> None:
        raise AssertionError("searched")

    monkeypatch.setattr("bayes_ptsd.reconstruction.run.reconstructions", search)
    _, folder = written
    options = ["--m", "1", "--reading", "all", "--output", str(folder), "--quiet"]
    done = runner.invoke(app, ["reconstruct", *options])
    assert "change-paper-001.csv" in str(done.exception)
    assert "exists" in str(done.exception)
