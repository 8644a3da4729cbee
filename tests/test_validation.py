"""The committed calibration study is of the models and engines as they are now."""

from __future__ import annotations

import importlib
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from altered_tree import AlteredTree

from bayes_ptsd.calibration.decisions import operating_characteristics
from bayes_ptsd.calibration.document import characteristics_rows
from bayes_ptsd.calibration.ranks import simulated_ranks
from bayes_ptsd.calibration.uniformity import uniformity_table
from bayes_ptsd.calibration.work import BLOCK
from bayes_ptsd.models_files import load_model
from bayes_ptsd.structures.crossover.exact import crossover_batch, exact_priors
from bayes_ptsd.structures.crossover.example import example_patients
from bayes_ptsd.structures.crossover.model import crossover_model
from bayes_ptsd.trial import Endpoint

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "validation"


@pytest.fixture(scope="module")
def study() -> ModuleType:
    """Return the script that makes the study."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        return importlib.import_module("calibrate_crossover")


@pytest.fixture(scope="module")
def summary(study: ModuleType) -> dict[str, Any]:
    """Return the committed summary."""
    return study.read_summary()  # type: ignore[no-any-return]


def committed_ranks(name: str, draws: int = 100) -> xr.DataArray:
    """Return a committed table of ranks."""
    table = pd.read_csv(FOLDER / "crossover" / f"ranks-{name}.csv", index_col="simulation")
    return xr.DataArray(
        table.values,
        dims=("simulation", "quantity"),
        coords={"quantity": table.columns.tolist()},
        attrs={"draws": draws},
    )


def test_nothing_is_stale(study: ModuleType, summary: dict[str, Any]) -> None:
    """Every part was made by models, engines and a study that answer as they do now."""
    stale = study.stale_parts(summary)
    assert stale == [], f"run `make validation` and commit what it writes; stale: {stale}"
    assert set(summary) == set(study.digests())


def test_altered_answers_make_parts_stale(
    study: ModuleType, summary: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A moved answer of a model is seen in the parts that rest on it, and in no other."""
    monkeypatch.setattr(study, "model_of", cache(study.model_of))
    tree = AlteredTree(tmp_path)
    assert study.stale_parts(summary, tmp_path) == []

    def stale_after(model: str, part: str, by: float = 1e-4) -> set[str]:
        with tree.answer(model, part, by) as folder:
            return set(study.stale_parts(summary, folder))

    ranks, decisions = "ranks crossover-exact", "decisions crossover"
    resting = {ranks, decisions, f"{decisions}, skeptical prior", "errors crossover"}
    both = {ranks, "ranks crossover-nuts"}
    assert stale_after("crossover", "document/estimands") == resting
    assert stale_after("crossover", "groups/posterior") == resting
    assert stale_after("crossover", "log_densities") == {"ranks crossover-nuts"}
    assert stale_after("crossover", "groups/prior") == both
    assert stale_after("crossover", "groups/log_likelihood") == both
    assert stale_after("crossover", "document/frequentist") == {"errors crossover"}
    assert stale_after("crossover-carryover", "groups/exact") == {"decisions crossover-carryover"}
    assert stale_after("crossover-bivariate", "groups/exact") == {
        "ranks crossover-bivariate-exact", "decisions crossover-bivariate"
    }  # fmt: skip
    for other in (("crossover", "groups/checks"), ("crossover-student-t", "log_densities")):
        assert stale_after(*other) == set()
    assert stale_after("crossover", "document/estimands", by=1e-12) == set()


def test_altered_studies_make_parts_stale(
    study: ModuleType, summary: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Altered code or settings of the study are seen in the parts that they make; words are not."""
    monkeypatch.setattr(study, "model_of", cache(study.model_of))
    tree = AlteredTree(tmp_path)

    def stale_after(name: str, old: str, new: str) -> set[str]:
        with tree.text(name, old, new) as folder:
            return set(study.stale_parts(summary, folder))

    parts, script = set(summary), "validation/calibrate_crossover.py"
    sampled = {part for part in parts if part.endswith("-nuts")}
    ranked = {part for part in parts if part.startswith("ranks")}
    decided = {part for part in parts if part.startswith("decisions")}
    package = "bayes_ptsd/calibration"
    assert stale_after(f"{package}/decisions.py", "TAIL = 0.025", "TAIL = 0.05") == decided
    assert stale_after(f"{package}/nuts.py", "20", "10") == sampled
    assert stale_after(f"{package}/ranks.py", "axis=1", "axis=0") == ranked
    assert stale_after(f"{package}/work.py", "BLOCK = 24", "BLOCK = 12") == parts
    assert stale_after(script, "np.round(PLACES", "np.floor(PLACES") == {"errors crossover"}
    assert stale_after(script, "spec.under(prior)", "spec") == parts
    for words in ("# why\n", '"""Why."""\n', "from math import pi\n"):
        assert stale_after(f"{package}/nuts.py", "CHAINS, TUNE", f"{words}CHAINS, TUNE") == set()
    assert stale_after(script, "| model | fits |", "| model | trials |") == set()
    for name, value, stale in (
        ("DRAWS", 50, ranked),
        ("SCALE_SD", 5.0, {"errors crossover"}),
        ("SCENARIOS", study.SCENARIOS[1:], decided),
        ("DEFAULT_SEED", 1, parts),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(study, name, value)
            assert set(study.stale_parts(summary)) == stale, name
    altered = {part: dict(content) for part, content in summary.items()}
    altered["ranks crossover-exact"]["digest"] = "0" * 64
    assert study.stale_parts(altered) == ["ranks crossover-exact"]
    assert set(study.stale_parts({})) == parts


def test_committed_model_is_the_shipped_one(study: ModuleType, summary: dict[str, Any]) -> None:
    """Spec ids, priors and pattern of the summary are those of the models in the tree."""
    for name, (model, _, count) in study.RANKS.items():
        part = summary[f"ranks {name}"]
        assert part["spec_id"] == study.model_of(model).spec.spec_id
        assert part["simulations"] == count == committed_ranks(name).sizes["simulation"]
        assert part["evidence_kind"] == "simulated"


def test_committed_ranks_are_judged_as_the_summary_says(
    study: ModuleType, summary: dict[str, Any]
) -> None:
    """P values and verdicts follow from the committed ranks; every quantity is inside."""
    for name in study.RANKS:
        table = uniformity_table(committed_ranks(name))
        part = summary[f"ranks {name}"]
        assert [row["quantity"] for row in part["quantities"]] == table["quantity"].values.tolist()
        np.testing.assert_allclose(
            [row["p_value"] for row in part["quantities"]], table["p_value"], atol=1e-9
        )
        assert bool(table["inside"].all()) is part["passed"] is True, name


@pytest.mark.parametrize("name", ["crossover-exact", "crossover-bivariate-exact"])
def test_exact_ranks_can_be_had_again(study: ModuleType, name: str) -> None:
    """The first simulations of the exact studies give the committed ranks, on either stack."""
    found = simulated_ranks(study.model_of(study.RANKS[name][0]), BLOCK)["rank"]
    np.testing.assert_array_equal(found, committed_ranks(name).isel(simulation=slice(BLOCK)))


def test_only_the_same_numbers_are_confirmed(
    study: ModuleType,
    summary: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A part is confirmed if model, study and first simulations are the committed ones."""
    part = "ranks crossover-exact"
    content = summary[part]
    assert study.confirmed(part, content) == 2 * BLOCK
    for change in ({"spec_id": "0"}, {"priors": {}}, {"simulations": 5}, {"seed": 1}):
        assert study.confirmed(part, content | change) == 0
    assert study.confirmed("ranks crossover-nuts", summary["ranks crossover-nuts"]) == 0
    lines = (study.RESULTS / "ranks-crossover-exact.csv").read_text(encoding="utf-8").splitlines()
    cells = lines[48].split(",")
    lines[48] = ",".join([*cells[:-1], str((int(cells[-1]) + 1) % 101)])
    (tmp_path / "ranks-crossover-exact.csv").write_text("\n".join(lines), encoding="utf-8")
    monkeypatch.setattr(study, "RESULTS", tmp_path)
    assert study.confirmed(part, content) == 0


@pytest.mark.parametrize("model", ["crossover", "crossover-bivariate"])
def test_both_engines_rank_the_same_trials_alike(model: str) -> None:
    """Ranks by NUTS and exact ones, of the same 200 trials, have the same mean.

    Two ranks of one truth among 100 independent draws each differ with an sd of at most 7.1;
    chains that wander, or a model that is not the same, would differ by more.
    """
    sampled, exact = committed_ranks(f"{model}-nuts"), committed_ranks(f"{model}-exact")
    gap = sampled - exact.isel(simulation=slice(200))
    error = 7.1 / np.sqrt(200)
    assert float(np.abs(gap.mean("simulation")).max()) < 3.5 * error
    assert float(np.sqrt((gap**2).mean("simulation")).max()) < 1.2 * 7.1


def test_characteristics_can_be_had_again(study: ModuleType) -> None:
    """One scenario of the study, computed again in full, gives the committed row."""
    model, prior, count = study.DECISIONS["crossover"]
    found = operating_characteristics(study.model_of(model, prior), study.SCENARIOS[2:3], count)
    committed = study.read_rows(FOLDER / "crossover" / "decisions-crossover.csv")[2]
    again = characteristics_rows(found)[0]
    for key, value in again.items():
        if isinstance(value, float):
            assert value == pytest.approx(float(committed[key]), rel=2e-5, abs=1e-6), key
        else:
            assert committed[key] == value


def test_type_one_errors_are_those_of_the_test(study: ModuleType) -> None:
    """In every cell the rule errs as often as the frequentist test on the same trials.

    Within .012 in trials of 13 and fewer, .006 in larger ones, wherever on the scale scores lie.
    """
    rows = study.read_rows(FOLDER / "crossover" / "errors-crossover.csv")
    assert [(row["patients"], row["place"]) for row in rows] == [
        (size, place) for size in study.ERRORS for place in study.PLACES
    ]
    for row in rows:
        small = sum(study.ERRORS[row["patients"]][0]) <= 13
        assert abs(float(row["difference"])) <= (0.012 if small else 0.006), row
        assert int(row["trials"]) == 2000


def test_type_one_errors_can_be_had_again(study: ModuleType) -> None:
    """One cell computed again gives the committed row."""
    committed = study.read_rows(FOLDER / "crossover" / "errors-crossover.csv")[2]
    again = study.error_row("6 + 6", "1 SD from an end")
    assert {key: study._text(value) for key, value in again.items()} == committed


def test_trials_of_the_study_have_the_shipped_priors(study: ModuleType) -> None:
    """Trials moved to one location and unit have the posterior of the model built for each."""
    score, first = study.null_trials("6 + 6", "1 SD from an end")[:3], np.repeat([True, False], 6)
    mean, benefit = study.benefit_of(score, first)
    evidence = example_patients(subjects=12, missing=0)
    outcomes = evidence.data["outcomes"].to_dataset()
    endpoint = Endpoint("ies_r", "Y", "continuous", "higher", reference_sd=study.SCALE_SD)
    trial = replace(evidence.trial, endpoints={"ies_r": endpoint})
    # the example alternates between its sequences
    order = np.r_[[(i, i + 6) for i in range(6)]].ravel()
    for number, table in enumerate(score):
        value = outcomes["value"].copy(data=table[order][:, :, None, None])
        tree = xr.DataTree.from_dict({"outcomes": outcomes.assign(value=value)})
        built = crossover_model(replace(evidence, trial=trial, data=tree), load_model("crossover"))
        batch = replace(built.pairs, score=built.pairs.score[None])
        one = crossover_batch(batch, exact_priors(built)).sel(estimand="treatment_difference")
        assert mean[number] == pytest.approx(float(one["mean"].item()), abs=1e-4)
        assert benefit[number] == pytest.approx(float(one["prob_greater"].item()), abs=1e-5)


def test_page_shows_the_committed_numbers(study: ModuleType, summary: dict[str, Any]) -> None:
    """The tables of the page are those that the committed results make; figures exist."""
    page = study.PAGE.read_text(encoding="utf-8")
    assert importlib.import_module("study").page_with(page, study.page_tables(summary)) == page
    for name in study.RANKS:
        assert f"ranks-{name}.png" in page
        assert (FOLDER / "crossover" / f"ranks-{name}.png").stat().st_size < 150_000


def test_the_package_does_without_the_study() -> None:
    """No module of the package reads the folder of the study: the wheel has none."""
    for path in (ROOT / "bayes_ptsd").rglob("*.py"):
        assert "validation/calibrate" not in path.read_text(encoding="utf-8"), path
