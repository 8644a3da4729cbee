"""The committed type I errors are of the models as they are, and near those of the tests."""

from __future__ import annotations

import importlib
import runpy
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from altered_tree import AlteredTree
from scipy import stats

from bayes_ptsd.evidence import Evidence
from bayes_ptsd.gaussian.problem import solve_problem
from bayes_ptsd.gaussian.summaries import solution_summaries
from bayes_ptsd.structures.first_period.exact import first_period_problem
from bayes_ptsd.structures.first_period.model import first_period_model
from bayes_ptsd.structures.longitudinal.model import longitudinal_model

ROOT = Path(__file__).parents[1]
MADE = runpy.run_path(str(Path(__file__).with_name("arm_patients.py")))
T_TEST, ADJUSTED, VISITS = (
    "t test", "analysis of covariance", "t test of the mean of four visits"
)  # fmt: skip


@pytest.fixture(scope="module")
def study() -> ModuleType:
    """Return the script that makes the study."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "validation"))
        return importlib.import_module("type_one_error")


def test_nothing_is_stale(
    study: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every row was made by models and a study that answer as they do now; what moves is seen."""
    summary = study.read_summary()
    stale = study.stale_analyses(summary)
    assert stale == [], f"run `make validation` and commit what it writes; stale: {stale}"
    assert list(summary) == list(study.ANALYSES)
    tree = AlteredTree(tmp_path)
    assert study.stale_analyses(summary, tmp_path) == []
    for model, part, name in (
        ("first-period[baseline=none]", "document/estimands", T_TEST),
        ("first-period", "groups/exact", ADJUSTED),
        ("longitudinal[baseline=none]", "log_densities", VISITS),
    ):
        with tree.answer(model, part) as folder:
            assert study.stale_analyses(summary, folder) == [name]
    script, engine = "validation/type_one_error.py", "validation/visit_posterior.py"
    for file, old, new, names in (
        (script, "np.round(level", "np.floor(level", list(study.ANALYSES)),
        (engine, "freedom - places", "freedom + places", [VISITS]),
        (engine, "def _inverse_wishart", "# why\ndef _inverse_wishart", []),
        (script, "| beside |", "| test |", []),
    ):
        with tree.text(file, old, new) as folder:
            assert study.stale_analyses(summary, folder) == names, (file, old)
    monkeypatch.setattr(study, "SD", 12.0)
    assert study.stale_analyses(summary) == list(study.ANALYSES)


def test_model_and_test_call_as_many_trials_a_benefit(study: ModuleType) -> None:
    """Nine cells of each analysis: within .012 at 12 patients, .006 at 24 and 40."""
    rows, summary = study.read_rows(study.FOLDER / "type-one-error.csv"), study.read_summary()
    assert len(rows) == 9 * len(study.ANALYSES)
    for name, content in summary.items():
        own = [row for row in rows if row["analysis"] == name]
        again = study.judged(own)
        assert {key: content[key] for key in again} == again
        assert content["passed"] is True, (name, content["largest_gap"])
        shifted = [row | {"model": str(float(row["model"]) + 0.02)} for row in own]
        assert study.judged(shifted)["passed"] is False


def test_a_cell_can_be_had_again(study: ModuleType) -> None:
    """The cell of 12 patients next to the end of the scale gives its committed row again."""
    rows = study.read_rows(study.FOLDER / "type-one-error.csv")
    found = study.cell(T_TEST, 12, 10.0)
    row = next(
        r for r in rows if (r["analysis"], r["patients"], r["level"]) == (T_TEST, "12", "10")
    )
    for key in ("model", "test", "differ"):
        assert found[key] == pytest.approx(float(row[key]), abs=1e-9)


@pytest.mark.parametrize("name", [T_TEST, ADJUSTED])
def test_the_study_computes_what_the_model_says(study: ModuleType, name: str) -> None:
    """P(benefit) of single trials, by the model from its file and its patients, within 1e-6."""
    spec = study.specification(name)
    scores, before = study.simulated(name, 24, 30.0, 0)
    found = study.one_occasion(spec, scores, before)
    for number in (0, 1):
        evidence = trial_of(study, scores[number][:, None], before)
        model = first_period_model(evidence, spec)
        solution = solve_problem(first_period_problem(model), tolerance=1e-6)
        table = solution_summaries(solution, [0.0]).sel(estimand="treatment_difference")
        assert found[number] == pytest.approx(float(table["prob_greater"].item()), abs=1e-6)


def test_the_study_of_visits_has_the_priors_of_the_model(study: ModuleType) -> None:
    """Columns and priors of a trial of four visits are those that the model resolves."""
    spec, engine = study.specification(VISITS), importlib.import_module("visit_posterior")
    scores, before = study.simulated(VISITS, 24, 10.0, 0)
    evidence = trial_of(study, scores[0], before)
    expected = engine.problem_of(longitudinal_model(evidence, spec))
    found = study.visit_problem(spec, scores[0])
    assert list(found.names) == list(expected.names)
    for key in ("values", "columns", "location", "scale"):
        np.testing.assert_allclose(getattr(found, key), getattr(expected, key), rtol=1e-12)
    for one, other in zip(found.sd, expected.sd, strict=True):
        assert one.dist == other.dist
        assert one.params == pytest.approx(dict(other.params))
    assert found.matrix == expected.matrix


def test_p_values_are_those_of_scipy(study: ModuleType) -> None:
    """The one-sided P values of the study's t test are SciPy's."""
    spec = study.specification(T_TEST)
    scores, before = study.simulated(T_TEST, 12, 50.0, 3)
    active = study.arms_of(12)
    expected = stats.ttest_ind(scores[:, active], scores[:, ~active], axis=1, alternative="greater")
    np.testing.assert_allclose(study.one_sided_p_values(spec, scores, before), expected.pvalue)


def test_page_shows_the_committed_numbers(study: ModuleType) -> None:
    """The table of the page is the one that the committed rows make."""
    page = study.PAGE.read_text(encoding="utf-8")
    table = study.error_table(study.read_rows(study.FOLDER / "type-one-error.csv"))
    assert importlib.import_module("study").page_with(page, {"type-one-error": table}) == page


def trial_of(study: ModuleType, scores: Any, before: Any) -> Evidence:
    """Return a simulated trial of the study as evidence, higher scores better."""
    visits = {f"{day}d": 24.0 * day for day in (1, 2, 3, 7)} if scores.shape[1] > 1 else None
    empty = MADE["arms"]((2, 2), better="higher", visits=visits)
    return MADE["patients"](empty.trial, scores, study.arms_of(len(scores)), before, {})
