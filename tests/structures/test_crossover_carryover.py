"""The study of carryover: its ends are the classical analyses, and no row of a patient is in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from bayes_ptsd.cli import app
from bayes_ptsd.errors import SpecError, StoreError
from bayes_ptsd.evidence.patients import write_patients
from bayes_ptsd.exact.grid import grid_quantile
from bayes_ptsd.fit import fit_model, stored_fit
from bayes_ptsd.frequentist import first_period, hills_armitage
from bayes_ptsd.models_files import load_model
from bayes_ptsd.plots import carryover_figure
from bayes_ptsd.priors import Prior, normal
from bayes_ptsd.store import ResultStore
from bayes_ptsd.structures.crossover.carryover import (
    carryover_document,
    carryover_groups,
    carryover_study,
    carryover_sweep,
    carryover_tipping,
    fixed_carryover,
)
from bayes_ptsd.structures.crossover.exact import crossover_posterior, exact_priors
from bayes_ptsd.structures.crossover.example import example_patients
from bayes_ptsd.structures.crossover.model import CrossoverModel, crossover_model

FLAT = Prior("flat")


def model_of(**changes: Any) -> CrossoverModel:
    """Return the carryover model of the simulated example, changed as asked."""
    patients = changes.pop("patients", {})
    return crossover_model(
        example_patients(**patients), load_model("crossover-carryover").having(**changes)
    )


@pytest.fixture(scope="module")
def classic() -> CrossoverModel:
    """Return a model of completers with flat priors of every mean."""
    flat = {"treatment": FLAT, "level": FLAT, "period_effect": FLAT}
    return model_of(options={"patients": "completers"}, priors=flat, patients={"seed": 4})


@pytest.fixture(scope="module")
def study(classic: CrossoverModel) -> xr.Dataset:
    """Return its study."""
    return carryover_study(classic, levels=[0.9, 0.99])


def test_sweep_runs_from_the_crossover_to_the_first_period(
    classic: CrossoverModel, study: xr.Dataset
) -> None:
    """No carryover is Hills-Armitage, a flat carryover the completers' first-period contrast."""
    crossover = hills_armitage(classic.pairs, benefit_sign=classic.sign)["estimate"][0]
    first = first_period(classic.pairs, benefit_sign=classic.sign)["estimate"][0]
    assert float(study["mean"].sel(carryover_sd=0)) == pytest.approx(float(crossover), abs=1e-8)
    assert float(study["mean"].sel(carryover_sd=np.inf)) == pytest.approx(float(first), abs=1e-8)
    assert (np.diff(study["sd"].values) > 0).all()


def test_tipping_values_are_met(classic: CrossoverModel, study: xr.Dataset) -> None:
    """At the tipping carryover and at the tipping prior sd P(benefit) is the level asked for."""
    arguments: dict[str, Any] = {"benefit_sign": classic.sign}
    priors = exact_priors(classic)
    for level in study["level"].values:
        one = study.sel(level=level)
        known = fixed_carryover(
            classic.pairs, priors, values=[float(one["tipping_carryover"])], **arguments
        )
        assert float(known["prob_benefit"].item()) == pytest.approx(level, abs=1e-6)
    sd = float(study["tipping_sd"].sel(level=0.9))
    swept = carryover_sweep(classic.pairs, priors, sds=[sd], interval=False, **arguments)
    assert float(swept["prob_benefit"].item()) == pytest.approx(0.9, abs=1e-4)
    assert "eti95" not in swept


def test_levels_already_missed_or_never_reached_are_said(study: xr.Dataset) -> None:
    """Below the level without carryover the tipping sd is 0; a level never reached is NaN."""
    assert float(study["prob_benefit"].sel(carryover_sd=0)) < 0.99
    assert float(study["tipping_sd"].sel(level=0.99)) == 0
    settled = model_of(priors={"treatment": normal(10, 0.5)})
    assert np.isnan(carryover_study(settled, levels=[0.5])["tipping_sd"].item())


@pytest.mark.parametrize("form", ["random_intercept", "bivariate"])
def test_intervals_are_those_of_the_posterior(form: str) -> None:
    """The swept 95% interval is that of the full posterior to 1e-4 of its sd."""
    period_sd = "equal" if form == "random_intercept" else "unequal"
    model = model_of(
        options={"form": form, "period_sd": period_sd}, patients={"subjects": 9, "missing": 1}
    )
    priors = exact_priors(model) | {"carryover": normal(0, 5.0)}
    arguments: dict[str, Any] = {"benefit_sign": model.sign, "covariance": form}
    full = crossover_posterior(model.pairs, priors, draws=1, **arguments)["exact"].to_dataset()
    one = full.sel(estimand="treatment_difference")
    expected = grid_quantile(one, np.array([0.025, 0.975]))
    found = carryover_sweep(model.pairs, priors, sds=[5.0], **arguments)["eti95"].values[0]
    np.testing.assert_allclose(found, expected, atol=1e-4 * float(one["sd"]))


def test_tipping_of_a_far_level_is_found() -> None:
    """Levels near one and far below one half are met as well."""
    model = model_of()
    for level in (1e-4, 0.9999):
        value = carryover_tipping(
            model.pairs, exact_priors(model), probability=level, benefit_sign=model.sign
        )
        known = fixed_carryover(
            model.pairs, exact_priors(model), values=[value], benefit_sign=model.sign
        )
        assert float(known["prob_benefit"].item()) == pytest.approx(level, rel=1e-4)


def test_a_document_is_json(study: xr.Dataset) -> None:
    """Infinities and missing values become words and null."""
    document = json.loads(json.dumps(carryover_document(study), allow_nan=False))
    assert [line["prior"] for line in document["sweep"]][::11] == ["none", "flat"]
    assert document["sweep"][-1]["prior_sd"] is None
    assert document["tipping"][0]["carryover_in_sds"] == pytest.approx(
        document["tipping"][0]["carryover"] / 14.4
    )


def test_studies_that_cannot_be_are_refused() -> None:
    """No sweep for a Student-t likelihood or beside a sequence effect; then a fit has no group."""
    for options, message in (
        ({"likelihood": "student_t"}, "not student_t"),
        ({"sequence_effect": True}, "aliased"),
    ):
        with pytest.raises(SpecError, match=message):
            carryover_study(model_of(options=options))
        assert carryover_groups(model_of(options=options)) == {}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ResultStore:
    """Return a store with one fit under a carryover prior."""
    store = ResultStore(tmp_path_factory.mktemp("store"))
    stored_fit(example_patients(seed=2), load_model("crossover-carryover"), store)
    return store


def test_a_stored_fit_holds_the_study_and_the_anchors(store: ResultStore) -> None:
    """The group and the frequentist analyses come back; the figure needs nothing else."""
    (entry,) = store.catalog()
    fit = store.load(entry["result_id"])
    assert fit["carryover"].sizes["carryover_sd"] == 12
    assert "subject" not in fit["carryover"].dims
    analyses = json.loads(fit.attrs["frequentist"])["analyses"]
    figure = carryover_figure(fit)
    lines = {str(line.get_label()): line for line in figure.axes[0].lines}
    expected = analyses["first_period"]["estimands"]["treatment_difference"]["estimate"]
    assert lines["first period, t test"].get_ydata()[0] == expected
    np.testing.assert_array_equal(
        lines["posterior mean"].get_ydata(), fit["carryover"]["mean"].values
    )
    for panel, (across, up) in {
        1: (None, "prob_benefit"),
        2: ("carryover", "known_prob_benefit"),
    }.items():
        drawn, study = figure.axes[panel].lines[0], fit["carryover"]
        np.testing.assert_array_equal(drawn.get_ydata(), study[up].values)
        if across:
            np.testing.assert_array_equal(drawn.get_xdata(), study[across].values)
        assert figure.axes[panel].get_ylabel() == "P(benefit)"
    # half of the axis is .4 reference SDs, its end a flat prior
    sds = fit["carryover"]["carryover_sd"].values / float(fit["carryover"].attrs["reference_sd"])
    half = np.append(sds[:-1] / (sds[:-1] + 0.4), 1.0)
    np.testing.assert_allclose(figure.axes[1].lines[0].get_xdata(), half)
    assert "simulated evidence" in figure.legends[0].get_title().get_text()


def test_a_fit_without_carryover_has_no_figure() -> None:
    """The message names the model to fit."""
    fit = fit_model(example_patients(seed=2), load_model("crossover"), engine="exact")
    with pytest.raises(SpecError, match="fit 'crossover-carryover'"):
        carryover_figure(fit)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return the options that name a trial and a patient file of the simulated example."""
    from bayes_ptsd.evidence.patients import write_template

    folder = tmp_path_factory.mktemp("files")
    evidence = example_patients()
    trial, _ = write_template(folder / "trial", evidence.trial)
    write_patients(evidence, folder / "patients.csv")
    return ["--trial", str(trial), "--data", str(folder / "patients.csv")]


def test_command_shows_sweep_anchors_and_tipping(files: list[str], tmp_path: Path) -> None:
    """One JSON document with a chosen level; the carryover test stands there with its warning."""
    arguments = ["carryover", *files, "--store", str(tmp_path / "store"), "--prior", "weak"]
    done = CliRunner().invoke(
        app, [*arguments, "--level", "0.8", "--figure", str(tmp_path / "f.svg"), "--json"]
    )
    assert done.exit_code == 0, (done.output, done.exception)
    document = json.loads(done.stdout)
    assert document["schema"] == 1
    assert document["prior"] == "weak"
    assert [line["prob_benefit"] for line in document["tipping"]] == [0.8, 0.95, 0.975]
    assert document["carryover_test"]["note"].startswith("Not a gate")
    assert set(document["anchors"]) == {"hills_armitage", "reml", "first_period"}
    assert (tmp_path / "f.svg").read_text().startswith("<svg")
    (entry,) = ResultStore(tmp_path / "store").catalog()
    assert entry["result_id"] == document["result_id"]
    shown = CliRunner().invoke(app, arguments)
    assert "Hills-Armitage" in shown.stdout
    assert "flat" in shown.stdout
    assert "Not a gate" in shown.stderr


def test_command_refuses_to_overwrite_a_figure(files: list[str], tmp_path: Path) -> None:
    """An existing file, or one file for two priors, is refused before anything is computed."""
    (tmp_path / "f.svg").write_text("mine")
    base = ["carryover", *files, "--store", str(tmp_path / "store")]
    for more in (
        ["--figure", str(tmp_path / "f.svg")],
        ["--figure", str(tmp_path / "g.svg"), "--prior", "weak", "--prior", "flat"],
    ):
        done = CliRunner().invoke(app, [*base, *more])
        assert isinstance(done.exception, StoreError)
    assert (tmp_path / "f.svg").read_text() == "mine"
    assert not (tmp_path / "store").exists()
