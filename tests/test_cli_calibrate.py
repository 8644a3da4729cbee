"""`bayes-ptsd calibrate` as a user runs it."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from typer.testing import CliRunner

from bayes_ptsd.calibration import ranks as ranks_module
from bayes_ptsd.calibration.pattern import trial_pattern
from bayes_ptsd.calibration.ranks import exact_engine
from bayes_ptsd.cli import app
from bayes_ptsd.errors import BayesPtsdError
from bayes_ptsd.models_files import load_model

runner = CliRunner()


def calibrated(*options: str, expected: int = 0) -> dict[str, Any]:
    """Run the command and return its document."""
    done = runner.invoke(app, ["calibrate", "crossover", "--json", *options])
    assert done.exit_code == expected, (done.output, done.exception)
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def test_document_says_what_was_calibrated(tmp_path: Path) -> None:
    """One JSON document: model, pattern, seed, quantities, characteristics; files as asked."""
    table, figure = tmp_path / "ranks.csv", tmp_path / "ranks.svg"
    document = calibrated(
        "--simulations", "30", "--draws", "40", "--seed", "3", "--treatment", "0",
        "--treatment", "0.9", "--carryover", "0", "--decision", "0.9", "--decision", "0.975",
        "--ranks", str(table), "--figure", str(figure),
    )  # fmt: skip
    assert (document["schema"], document["command"], document["engine"]) == (
        1, "calibrate", "exact"
    )  # fmt: skip
    assert document["evidence_kind"] == "simulated"
    assert document["spec_id"] == load_model("crossover").spec_id
    assert document["pattern"]["MK"] == {"subjects": 19, "period_1": 19, "period_2": 16}
    assert (document["simulations"], document["draws"], document["seed"]) == (30, 40, 3)
    ranks = pd.read_csv(table, index_col="simulation")
    named = [row["quantity"] for row in document["calibration"]["quantities"]]
    assert ranks.columns.tolist() == named
    assert ranks.shape == (30, 6)
    assert ranks.min().min() >= 0
    assert ranks.max().max() <= 40
    rows = document["operating_characteristics"]
    assert [(row["treatment"], row["decision"]) for row in rows] == [
        (0.0, 0.9), (0.0, 0.975), (0.9, 0.9), (0.9, 0.975)
    ]  # fmt: skip
    assert rows[0]["probability"] >= rows[1]["probability"]
    assert rows[3]["probability"] > 0.9
    assert "simulated evidence, 30 trials" in figure.read_text()


def test_tables_are_for_people_and_progress_is_not_in_them() -> None:
    """Both tables stand on stdout with Monte Carlo errors; seed and bars do not."""
    options = ["--simulations", "4", "--seed", "1", "--treatment", "0.6", "--carryover", "0"]
    done = runner.invoke(app, ["calibrate", "crossover", *options])
    assert done.exit_code == 0, done.output
    assert "ranks of 4 known truths" in done.stdout
    assert "sd_within" in done.stdout
    assert "simulated; Monte Carlo error" in done.stdout
    assert "seed" not in done.stdout


def test_ranks_outside_their_band_are_status_3(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine whose draws are half as wide is found out, shown and answered with status 3."""

    def narrow(model: Any) -> Any:
        sample = exact_engine(model)

        def draw(scores: Any, wanted: int, draws: int, seed: int) -> xr.Dataset:
            drawn = sample(scores, wanted, draws, seed)
            return drawn.mean("draw") + 0.3 * (drawn - drawn.mean("draw"))

        return draw

    monkeypatch.setattr(ranks_module, "exact_engine", narrow)
    document = calibrated("--simulations", "72", "--ranks-only", expected=3)
    outside = [q["quantity"] for q in document["calibration"]["quantities"] if not q["inside"]]
    assert "treatment_difference" in outside
    assert document["operating_characteristics"] == []


def test_own_patients_give_the_pattern(tmp_path: Path) -> None:
    """A patient file gives sequences and missing periods; priors and truths its scale."""
    file = tmp_path / "made.csv"
    made = runner.invoke(
        app, ["simulate", str(file), "--n", "8", "--dropout", "0.3", "--seed", "4", "--json"]
    )
    trial = json.loads(made.stdout)["trial"]
    document = calibrated("--trial", trial, "--data", str(file), "--simulations", "72")
    flow = {(r["sequence"], r["period"]): r["scored"] for r in json.loads(made.stdout)["flow"]}
    assert document["pattern"] == {
        name: {"subjects": 8, "period_1": flow[name, 1], "period_2": flow[name, 2]}
        for name in ("AB", "BA")
    }
    assert document["reference_sd"] > 0


def test_notes_on_the_patient_file_are_said(tmp_path: Path) -> None:
    """What is odd about the file is on stderr, as in `fit`, and among the document's warnings."""
    file = tmp_path / "made.csv"
    runner.invoke(app, ["simulate", str(file), "--n", "8", "--seed", "4"])
    file.write_text("sep=,\n" + file.read_text())
    pattern = ["--trial", str(file.with_suffix(".toml")), "--data", str(file)]
    done = runner.invoke(
        app, ["calibrate", "crossover", "--json", "--ranks-only", "--simulations", "2", *pattern]
    )
    note = "line 1 (sep=,) names the separator and is not data"
    assert json.loads(done.stdout)["warnings"] == [note]
    assert note in done.stderr


class Client:
    """Stands for the client of a dask cluster: two threads here."""

    def __init__(self, address: str) -> None:
        self.address = address

    def __enter__(self) -> Client:
        """Return the client."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave."""

    def ncores(self) -> dict[str, int]:
        """Return the cores of the workers."""
        return {self.address: 2}

    def get_executor(self) -> ThreadPoolExecutor:
        """Return what a client offers to concurrent.futures."""
        return ThreadPoolExecutor(2)


def test_workers_and_clusters_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """One process, two processes and a cluster's executor give one document."""
    options = ["--simulations", "26", "--treatment", "0.6", "--carryover", "0", "--seed", "8"]
    fake = ModuleType("distributed")
    fake.Client = Client  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "distributed", fake)
    found = [
        calibrated(*options),
        calibrated(*options, "--workers", "2"),
        calibrated(*options, "--cluster", "tcp://scheduler:8786"),
    ]
    for document in found:
        del document["seconds"]
    assert found[0] == found[1] == found[2]


def test_a_cluster_without_dask_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package the option is refused with what to do."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    done = runner.invoke(app, ["calibrate", "crossover", "--cluster", "tcp://scheduler:8786"])
    assert isinstance(done.exception, BayesPtsdError)
    assert "use --workers" in str(done.exception)


def test_without_an_exact_engine_decisions_are_left_out_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A Student-t model is ranked by NUTS only, and the document says why."""
    from bayes_ptsd.calibration import nuts
    from bayes_ptsd.structures.crossover.likelihood import draw_priors
    from bayes_ptsd.structures.crossover.model import crossover_model

    model = crossover_model(trial_pattern(), load_model("crossover-student-t"))

    def engine(_: Any) -> Any:
        def sample(scores: Any, wanted: int, draws: int, seed: int) -> xr.Dataset:
            part = draw_priors(model, draws, seed=seed).isel(chain=0, drop=True)
            return xr.concat([part] * wanted, dim="dataset")

        return sample

    monkeypatch.setattr(nuts, "nuts_engine", engine)
    done = runner.invoke(
        app, ["calibrate", "crossover-student-t", "--simulations", "2", "--json", "--quiet"]
    )
    document = json.loads(done.stdout)
    assert document["engine"] == "nuts"
    assert "nu" in [row["quantity"] for row in document["calibration"]["quantities"]]
    assert "not student_t" in document["why_no_decisions"]
    assert np.isfinite(document["seconds"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["published"], "structure 'summary'"),
        (["crossover", "--prior", "flat"], "improper prior"),
        (["crossover", "--trial", "trial.toml"], "both --trial and --data"),
        (["crossover", "--engine", "gibbs"], "unknown engine 'gibbs'"),
        (["crossover-student-t", "--engine", "exact"], "take nuts"),
        (["crossover", "--simulations", "2", "--ranks-only", "--ranks", "none/r.csv"], "written"),
    ],
    ids=["structure", "improper", "half a file", "engine", "not exact", "unwritable"],
)
def test_requests_that_cannot_be_are_refused(arguments: list[str], message: str) -> None:
    """Each is one clear message, and nothing on stdout."""
    done = runner.invoke(app, ["calibrate", *arguments])
    assert isinstance(done.exception, BayesPtsdError)
    assert message in str(done.exception)
    assert done.stdout == ""
