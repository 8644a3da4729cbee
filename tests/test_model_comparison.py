"""Models of the same patients are compared by what they predict, rows in the store or not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from bayes_ptsd.cli import app
from bayes_ptsd.errors import FitError
from bayes_ptsd.evidence.patients import write_patients
from bayes_ptsd.evidence.published import load_published, select_contrast
from bayes_ptsd.model_comparison import compare_models
from bayes_ptsd.models_files import load_model
from bayes_ptsd.simulation.patients import made_up_trial, simulate_trial
from bayes_ptsd.store import ResultStore
from bayes_ptsd.structures.crossover.example import example_patients

NEGATIVE = replace(
    example_patients(correlation=-0.8, subjects=60, missing=6, seed=7), kind="patients"
)
SPECS = {name: load_model(name) for name in ("crossover", "crossover-bivariate")}

pytestmark = pytest.mark.filterwarnings("ignore::bayes_ptsd.errors.StatisticalWarning")


def test_the_better_model_wins_with_or_without_rows_in_the_store(tmp_path: Path) -> None:
    """Negatively correlated periods: the random intercept loses by more than two standard errors.

    The second call finds results without any row and computes the same from their draws.
    """
    store = ResultStore(tmp_path)
    fresh, lean = (compare_models(NEGATIVE, SPECS, store) for _ in range(2))
    assert fresh["model"].values.tolist() == ["crossover-bivariate", "crossover"]
    assert float(fresh["elpd_diff"][0]) == 0
    assert float(fresh["elpd_diff"][1]) < -2 * float(fresh["dse"][1])
    assert float(fresh["dse"][1]) > 0
    total = fresh["elpd"] - fresh["elpd"][0]
    np.testing.assert_allclose(fresh["elpd_diff"], total, rtol=1e-9)
    for name in ("elpd", "dse", "pareto_k_max", "weight"):
        np.testing.assert_allclose(lean[name], fresh[name], rtol=1e-9)
    assert lean.attrs["evidence_kind"] == "patients"
    assert "observed_data" not in store.load(str(lean["result_id"].values[0])).children


def test_comparisons_that_cannot_be_are_refused(tmp_path: Path) -> None:
    """One model, and a model of printed rows, have a message each."""
    store = ResultStore(tmp_path)
    with pytest.raises(FitError, match="at least two"):
        compare_models(NEGATIVE, {"crossover": SPECS["crossover"]}, store)
    row = select_contrast(load_published(), "T2.IESR.X")
    with pytest.raises(FitError, match="predicts no patient"):
        compare_models(row, {"a": load_model("published"), "b": SPECS["crossover"]}, store)


def test_the_command_prints_what_the_function_returns(tmp_path: Path) -> None:
    """`models compare --json`: two priors of one model under names that tell them apart."""
    trial = made_up_trial(better="lower")
    patients = simulate_trial(trial, n_by_sequence=10, treatment=1.0, seed=3)
    data = write_patients(patients, tmp_path / "made.csv")
    toml = tmp_path / "made.toml"
    toml.write_text(
        'schema = 1\nname = "made"\ndesign = "crossover"\n[treatments]\nactive = "A"\n'
        'control = "B"\n[endpoints.score]\nlabel = "Score"\nkind = "continuous"\nbetter = "lower"\n'
    )
    done = CliRunner().invoke(
        app,
        ["models", "compare", "crossover", "--trial", str(toml), "--data",
         str(data), "--prior", "weak", "--prior", "normal(0, 3)",
         "--store", str(tmp_path / "store"), "--json"],
    )  # fmt: skip
    assert done.exit_code == 0, (done.output, done.exception)
    found = json.loads(done.stdout)
    assert (found["command"], found["evidence_kind"]) == ("models compare", "simulated")
    names = {"crossover (weak)", "crossover (normal(0, 3))"}
    assert {one["model"] for one in found["models"]} == names
    differences = [one["elpd_diff"] for one in found["models"]]
    assert differences == sorted(differences, reverse=True)
    assert sum(one["weight"] for one in found["models"]) == pytest.approx(1, abs=0.02)
    stored = {entry["result_id"] for entry in ResultStore(tmp_path / "store").catalog()}
    assert {one["result_id"] for one in found["models"]} == stored
