"""Comparing analyses of patients: every gap is accounted for, nothing is sampled on the way."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from bayes_ptsd import compare
from bayes_ptsd.cli import app
from bayes_ptsd.comparison import patient_comparison_document
from bayes_ptsd.comparison.posteriors import PosteriorSource
from bayes_ptsd.errors import SpecError, StatisticalWarning
from bayes_ptsd.estimands import estimate
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.outcome import select_outcome
from bayes_ptsd.evidence.patients import load_patients, write_patients, write_template
from bayes_ptsd.evidence.published import load_published
from bayes_ptsd.fit import fit_model, stored_fit
from bayes_ptsd.frequentist import first_period, hills_armitage, reml_crossover
from bayes_ptsd.models_files import load_model
from bayes_ptsd.priors import normal
from bayes_ptsd.store import ResultStore
from bayes_ptsd.structures.crossover.example import example_patients
from bayes_ptsd.structures.crossover.model import crossover_model
from bayes_ptsd.trial import load_trial

PARTS = ("gap_model", "gap_other_priors", "gap_treatment_prior")


@pytest.fixture(scope="module")
def table() -> xr.Dataset:
    """Return the comparison of the example, four of its 24 patients with one period."""
    return compare(example_patients(), priors=["flat", "skeptical"])


def test_frequentist_analyses_are_those_of_the_library(table: xr.Dataset) -> None:
    """Hills-Armitage, REML, first period, adjusted first period and Grizzle, as computed alone."""
    pairs = crossover_model(example_patients(), load_model("crossover")).pairs
    for name, analysis in (("hills_armitage", hills_armitage), ("reml", reml_crossover),
                           ("first_period", first_period)):  # fmt: skip
        one = analysis(pairs, benefit_sign=-1).sel(estimand="treatment_difference")
        for key in ("estimate", "se", "df", "p_value"):
            assert float(table[key].sel(analysis=name)) == pytest.approx(float(one[key]))
    assert "first_period_adjusted" in table["analysis"].values
    grizzle = table.sel(analysis="grizzle")
    assert grizzle["frequentist_estimand"].item() == "carryover"
    assert str(grizzle["note"].item()).startswith("Not a gate")


def test_gaps_add_up(table: xr.Dataset) -> None:
    """The three parts sum to posterior mean minus frequentist estimate of the same estimand."""
    exact = table.sel(model=[name for name in table["model"].values if "student" not in name])
    total = sum(exact[part] for part in PARTS)
    np.testing.assert_allclose(total, exact["mean"] - exact["mirror_estimate"], atol=1e-9)
    assert float(np.abs(exact["gap_treatment_prior"].sel(prior="flat")).max()) < 1e-6
    assert float(np.abs(exact["gap_treatment_prior"].sel(prior="skeptical")).min()) > 0.1


def test_complete_pairs_leave_no_gap_to_the_model() -> None:
    """Flat means, complete pairs: Hills-Armitage exactly, and the first period with carryover."""
    models = ["crossover-completers", "crossover", "crossover-carryover"]
    found = compare(example_patients(missing=0), models=models, priors=["flat"])
    np.testing.assert_allclose(found["gap_model"], 0, atol=1e-8)
    classic = float(found["estimate"].sel(analysis="hills_armitage"))
    first = float(found["estimate"].sel(analysis="first_period"))
    np.testing.assert_allclose(found["mirror_estimate"], [classic, classic, first])
    np.testing.assert_allclose(found["step_sd_ratio"].sel(step="one_period_patients"), 1)


def test_one_period_patients_win_precision_in_numbers() -> None:
    """Fourteen of 40 patients with one period narrow the posterior; their worth is stated."""
    models = ["crossover-completers", "crossover"]
    found = compare(example_patients(subjects=40, missing=14, seed=4), models=models,
                    priors=["reference"])  # fmt: skip
    (step,) = patient_comparison_document(found)["steps"]
    assert step["patients"] == 15
    assert step["sd_ratio"] < 0.97
    with warnings.catch_warnings():
        # a single patient's Pareto k is not what this is about
        warnings.simplefilter("ignore", StatisticalWarning)
        fits = [fit_model(example_patients(subjects=40, missing=14, seed=4), load_model(name),
                          engine="exact") for name in models]  # fmt: skip
    sds = [estimate(fit)["sd"].sel(estimand="treatment_difference") for fit in fits]
    assert step["sd_ratio"] == pytest.approx(float(sds[1] / sds[0]), rel=1e-6)
    worth = 25 * (step["sd_ratio"] ** -2 - 1)
    assert step["worth_in_complete_patients"] == pytest.approx(worth)


def test_document_is_json_with_words_and_numbers(table: xr.Dataset) -> None:
    """Every posterior line says why, with df and standard errors; nothing is NaN."""
    document = json.loads(json.dumps(patient_comparison_document(table), allow_nan=False))
    line = document["posteriors"][0]
    assert "SE (t, df 18)" in line["why"]
    assert line["gap"]["model"] == pytest.approx(0, abs=1e-6)
    student = [one for one in document["posteriors"] if one["model"] == "crossover-student-t"]
    assert [one["to_run"] for one in student] == [
        "", "bayes-ptsd fit crossover-student-t --prior skeptical"
    ]  # fmt: skip
    assert student[0]["why"] == "NUTS takes no flat prior"
    assert document["n"]["complete"] == 20


def test_a_subject_sd_at_zero_is_named() -> None:
    """Where REML sits at its boundary the reason for the gap says so."""
    found = compare(example_patients(correlation=-0.5, seed=6), models=["crossover"],
                    priors=["flat"])  # fmt: skip
    (line,) = patient_comparison_document(found)["posteriors"]
    assert "REML puts the subject sd at zero" in line["why"]


def half_missing(**more: Any) -> Evidence:
    """Return twelve patients of whom those of sequence MK have no second period."""
    evidence = example_patients(subjects=12, missing=0, **more)
    outcomes = evidence.data["outcomes"].to_dataset()
    gone = (outcomes["sequence"] == "MK") & (outcomes["period"] == 2)
    value = outcomes["value"].where(~gone).transpose(*outcomes["value"].dims)
    tree = xr.DataTree.from_dict({"outcomes": outcomes.assign(value=value)})
    return replace(evidence, data=tree)


def test_analyses_that_exist_are_shown_and_why_others_do_not() -> None:
    """A sequence without second period: REML and first period; the reason for each of the rest.

    A model without posterior has the reason in its line, and completers of one sequence are none.
    """
    evidence = half_missing(seed=5)
    found = compare(evidence, models=["crossover", "crossover-completers"], priors=["weak"])
    document = json.loads(json.dumps(patient_comparison_document(found), allow_nan=False))
    exists = {one["analysis"] for one in document["analyses"]}
    assert exists == {"reml", "first_period", "first_period_adjusted"}
    reasons = document["not_possible"]
    assert set(reasons) == {"hills_armitage", "reml_sequence", "grizzle"}
    assert "6 have both, none of them in one of the sequences" in reasons["grizzle"]
    assert "aliased" in reasons["reml_sequence"]
    one, none = document["posteriors"]
    pairs = crossover_model(evidence, load_model("crossover")).pairs
    reml = reml_crossover(pairs, benefit_sign=-1).sel(estimand="treatment_difference")
    assert one["mirror"]["estimate"] == pytest.approx(float(reml["estimate"]))
    assert one["mean"] is not None
    assert none["mean"] is None
    assert none["why"].startswith("6 subjects have both periods, none of them in one of")


@pytest.mark.shared
def test_a_public_case_of_one_sequence_without_second_period(shared: Path) -> None:
    """METHODS: REML 11.70 (SE 3.72, Kenward-Roger df 11.18), sds 5.712 and 2.986; t test 11.70."""
    folder = shared / "cases" / "c09-one-sequence-has-no-period-2"
    rows = load_patients(folder / "b37_noP2_BA.csv", load_trial(folder / "toy.toml"))
    found = compare(select_outcome(rows, None), models=["crossover"], priors=["flat"])
    reml, alone = (found.sel(analysis=name) for name in ("reml", "first_period"))
    figures = {"estimate": 11.70, "se": 3.72, "df": 11.18, "sd_subject": 5.712, "sd_within": 2.986}
    for name, figure in figures.items():
        assert float(reml[name]) == pytest.approx(figure, abs=6e-3), name
    assert float(alone["estimate"]) == pytest.approx(11.70, abs=5e-3)


def test_the_prior_that_moves_a_mean_is_named(table: xr.Dataset) -> None:
    """Gaps of single priors add up to that of all others; a large one is in the words by name."""
    exact = table.sel(model=[name for name in table["model"].values if "student" not in name])
    total = exact["gap_of"].sum("parameter")
    np.testing.assert_allclose(total, exact["gap_other_priors"], atol=1e-12)
    one = exact.sel(model="crossover-carryover", prior="skeptical")
    assert abs(float(one["gap_of"].sel(parameter="carryover"))) > 0.5
    for name in ("level", "period_effect"):
        assert abs(float(one["gap_of"].sel(parameter=name))) < 0.01 * float(one["mirror_se"])
    lines = patient_comparison_document(table)["posteriors"]
    (line,) = (x for x in lines if (x["model"], x["prior"]) == ("crossover-carryover", "skeptical"))
    assert "(carryover " in line["why"]
    assert "level" not in line["why"]


def test_stored_results_are_read(tmp_path: Path) -> None:
    """A stored fit answers, exact or sampled, with its own id; nothing is added to the store."""
    store = ResultStore(tmp_path)
    evidence = example_patients(seed=2)
    fit = stored_fit(evidence, load_model("crossover"), store)
    source = PosteriorSource(evidence, store=store, seed=1)
    line = source.summary(load_model("crossover"))
    assert line["result_id"] == fit.attrs["result_id"]
    exact = PosteriorSource(evidence, store=None, seed=1).summary(load_model("crossover"))
    assert line["mean"] == pytest.approx(exact["mean"], abs=1e-9)
    assert line["eti95_low"] == pytest.approx(exact["eti95_low"], abs=1e-9)
    assert len(store.catalog()) == 1


def test_requests_that_cannot_be_are_refused() -> None:
    """A convention of patients, models of printed rows, a model that is no crossover."""
    with pytest.raises(SpecError, match="convention is that of a printed row"):
        compare(example_patients(), convention="T")
    with pytest.raises(SpecError, match="models and visits are those of patients"):
        compare(load_published(), models=["crossover"])
    with pytest.raises(SpecError, match="no crossover of patients"):
        compare(example_patients(), models=["published"])


def test_command_compares_patients(tmp_path: Path) -> None:
    """One document or three tables; a prior of one's own; PyMC is not loaded."""
    evidence = example_patients()
    trial, _ = write_template(tmp_path / "trial", evidence.trial)
    write_patients(evidence, tmp_path / "patients.csv")
    files = ["--trial", str(trial), "--data", str(tmp_path / "patients.csv")]
    arguments = ["compare", *files, "--model", "crossover", "--model", "crossover-completers",
                 "--prior", "normal(0, 20)", "--store", str(tmp_path / "store")]  # fmt: skip
    code = (
        "import sys; from bayes_ptsd.cli import app; app(sys.argv[1:], standalone_mode=False); "
        "assert not {'pymc', 'pytensor'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments, "--json"], check=True,
                          capture_output=True, text=True)  # fmt: skip
    document = json.loads(done.stdout)
    assert document["schema"] == 1
    assert {one["prior"] for one in document["posteriors"]} == {normal(0, 20).formula}
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 0, shown.exception
    assert "worth" in shown.stdout
    assert "Not a gate" in shown.stdout
    assert "period 1, all" in shown.stdout
    assert not (tmp_path / "store").exists()
    lone = CliRunner().invoke(app, ["compare", *files[:2]])
    assert isinstance(lone.exception, SpecError)
