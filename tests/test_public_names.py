"""With public names alone: from a file to a fit, and what is said where a step is missing."""

from __future__ import annotations

import inspect
import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

import bayes_ptsd
from bayes_ptsd import Evidence, Trial
from bayes_ptsd.cli import app
from bayes_ptsd.errors import EvidenceError, SpecError
from bayes_ptsd.evidence.patient_writers import trial_toml, write_patients
from bayes_ptsd.fit import stored_fit
from bayes_ptsd.models_files import models_folder
from bayes_ptsd.reconstruction.release import load_release
from bayes_ptsd.trial import Endpoint

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a patient file with several endpoints and visits, and its trial file."""
    folder = tmp_path_factory.mktemp("own")
    evidence = load_release(m=1)[0]
    trial = folder / "trial.toml"
    trial.write_text(trial_toml(evidence.trial), encoding="utf-8")
    return write_patients(evidence, folder / "a.csv"), trial


@pytest.fixture(scope="module")
def patients(files: tuple[Path, Path]) -> Evidence:
    """Return the patients of the file."""
    return bayes_ptsd.load_patients(*files)


@pytest.mark.parametrize("as_given", [str, Path])
def test_a_trial_is_named_by_its_file(files: tuple[Path, Path], as_given: type) -> None:
    """A path of a trial file, as text or as a path, gives what the trial read from it gives."""
    data, trial = files
    read = bayes_ptsd.load_patients(data, bayes_ptsd.load_trial(trial))
    assert bayes_ptsd.load_patients(as_given(data), as_given(trial)).digest == read.digest
    with pytest.raises(SpecError, match=r"none\.toml: cannot be read: there is no such file"):
        bayes_ptsd.load_patients(data, "none.toml")


def test_from_files_to_a_fit_by_names(files: tuple[Path, Path]) -> None:
    """Files, an endpoint, a visit and a model's name are enough for a posterior."""
    loaded = bayes_ptsd.load_patients(*map(str, files), endpoint="ies_r")
    outcome = bayes_ptsd.select_outcome(loaded, visit="24h")
    fit = bayes_ptsd.fit_model(outcome, "crossover", engine="exact")
    same = bayes_ptsd.fit_model(outcome, bayes_ptsd.load_model("crossover"), engine="exact")
    assert fit.attrs["result_id"] == same.attrs["result_id"]
    assert bayes_ptsd.prob_benefit(fit) == bayes_ptsd.prob_benefit(same) > 0.9


@pytest.mark.parametrize("as_given", [str, Path])
def test_a_model_is_named_by_its_file(as_given: type) -> None:
    """The path of a model file stands for its specification; an unknown name is refused."""
    row = bayes_ptsd.select_contrast(bayes_ptsd.load_published(), "T2.IESR.F")
    path = as_given(models_folder() / "published-first-period.toml")
    assert bayes_ptsd.build_model(row, path).observed_RVs
    with pytest.raises(SpecError, match="unknown model 'publish'; did you mean 'published'"):
        bayes_ptsd.build_model(row, "publish")


def test_paths_are_texts_and_paths_from_the_working_folder(
    files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Patients, trial, model and printed evidence are found by relative paths of either type."""
    for path in files:
        shutil.copy(path, tmp_path)
    shutil.copytree(ROOT / "bayes_ptsd" / "evidence" / "feder2014", tmp_path / "printed")
    own = 'schema = 1\nextends = "crossover"\n[priors]\ntreatment = "skeptical"\n'
    (tmp_path / "mine.toml").write_text(own, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    answers = set()
    for as_given in (str, Path):
        named = [as_given(path.name) for path in files]
        outcome = bayes_ptsd.select_outcome(bayes_ptsd.load_patients(*named), "ies_r", visit="24h")
        fit = bayes_ptsd.fit_model(outcome, as_given("mine.toml"))
        assert bayes_ptsd.build_model(outcome, as_given("mine.toml")).observed_RVs
        asked = bayes_ptsd.estimate(fit, evidence=outcome, spec=as_given("mine.toml"))
        assert fit.attrs["prior"] == "skeptical"
        printed = bayes_ptsd.load_published(as_given("printed"))
        answers.add((fit.attrs["result_id"], float(asked["mean"][0]), printed.digest))
    assert len(answers) == 1
    assert answers.pop()[2] == bayes_ptsd.load_published().digest


def test_python_and_the_command_choose_the_engine_alike(tmp_path: Path) -> None:
    """Without an engine both give the exact result, under one id; nuts is asked for by name."""
    row = bayes_ptsd.select_contrast(bayes_ptsd.load_published(), "T2.IESR.F")
    fit = bayes_ptsd.fit_model(row, "published-first-period")
    line = ["fit", "published-first-period", "--contrast", "T2.IESR.F", "--json"]
    done = CliRunner().invoke(app, [*line, "--store", str(tmp_path)])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert (said["engine"], said["result_id"]) == ("exact", fit.attrs["result_id"])
    taken = inspect.signature(bayes_ptsd.fit_model).parameters["engine"].default
    assert taken == inspect.signature(stored_fit).parameters["engine"].default == "auto"


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("crossover", r"select_outcome\(evidence, 'ies_r'\)"),
        ("first-period", r"select_outcome\(evidence, 'ies_r'\) at one"),
        ("longitudinal", r"select_endpoint\(evidence, 'ies_r'\) with all visits"),
        ("ordinal", r"select_outcome\(evidence, 'ies_r', visit='24h'\)"),
        ("binary-beta-binomial", r"there are ies_r, .* at 24h, 48h, 72h, 7d"),
        ("depression-adjusted", r"select_outcomes\(evidence, \['OUTCOME', 'madrs'\]\)"),
        ("published", "needs a printed row; this evidence is 'reconstructed'"),
        ("endpoints", r"load_published\(\)"),
    ],
)
def test_several_outcomes_are_answered_with_what_to_do(
    patients: Evidence, model: str, said: str
) -> None:
    """A model that needs one outcome, or other evidence, says which step is missing."""
    with pytest.raises(EvidenceError, match=said):
        bayes_ptsd.fit_model(patients, model)


def test_one_endpoint_at_several_visits_is_answered_with_a_visit(patients: Evidence) -> None:
    """A model of one visit names the call that selects one."""
    scores = bayes_ptsd.select_endpoint(patients, "ies_r")
    with pytest.raises(EvidenceError, match=r"select_outcome\(evidence, 'ies_r', visit='24h'\)"):
        bayes_ptsd.fit_model(scores, "first-period")


def test_longitudinal_models_take_all_visits(patients: Evidence) -> None:
    """The endpoint with all visits is what a model of visits is built from."""
    scores = bayes_ptsd.select_endpoint(patients, "ies_r")
    assert bayes_ptsd.build_model(scores, "longitudinal").coords["visit"] == (
        "24h", "48h", "72h", "7d",
    )  # fmt: skip


def test_several_endpoints_at_one_visit(patients: Evidence) -> None:
    """Two outcomes are what a model with a mediator is built from."""
    both = bayes_ptsd.select_outcomes(patients, ["ies_r", "madrs"], visit="24h")
    assert bayes_ptsd.build_model(both, "depression-adjusted").observed_RVs


def test_a_parallel_trial_has_no_crossover_model() -> None:
    """A model that the design excludes is refused by name of the trial."""
    trial = Trial(
        "two", "Two", "parallel", "A", "B", {"y": Endpoint("y", "Y", "continuous", "lower")}
    )
    simulated = bayes_ptsd.simulate_trial(trial, n_by_sequence=8, seed=1)
    with pytest.raises(EvidenceError, match="trial 'two' is parallel"):
        bayes_ptsd.fit_model(simulated, "crossover")
