"""The committed study of the weights of readings is of the weights as they are."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from altered_tree import AlteredTree

from bayes_ptsd.readings.weights import DEFAULT, READINGS, log_likelihoods
from bayes_ptsd.readings.weights import _weights as package_weights

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def study() -> ModuleType:
    """Return the script that makes the study."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "validation"))
        return importlib.import_module("weigh_readings")


@pytest.fixture(scope="module")
def summary(study: ModuleType) -> dict[str, Any]:
    """Return the committed summary."""
    return study.read_summary()  # type: ignore[no-any-return]


def test_nothing_is_stale(
    study: ModuleType, summary: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The committed weights were made by the code as it is now; altered code is seen, words not."""
    assert not study.is_stale(summary), "run `make validation` and commit what it writes"
    tree = AlteredTree(tmp_path)
    assert not study.is_stale(summary, tmp_path)
    weights, script = "bayes_ptsd/readings/weights.py", "validation/weigh_readings.py"
    for name, old, new in (
        (weights, "log_sd_ratio: float = 0.35", "log_sd_ratio: float = 0.3"),
        (script, "factor = 1.0 if", "factor = 2.0 if"),
        ("bayes_ptsd/readings/curtin2002/correlations.csv", "0.", "0.1"),
    ):
        with tree.text(name, old, new) as folder:
            assert study.is_stale(summary, folder), name
    for name, old, new in (
        (weights, "def ratio_density(", "# why\ndef ratio_density("),
        (script, "| weight | how many |", "| weight | papers |"),
    ):
        with tree.text(name, old, new) as folder:
            assert not study.is_stale(summary, folder), name
    monkeypatch.setattr(study, "EFFECT", 0.4)
    assert study.is_stale(summary)


def test_weights_are_calibrated(study: ModuleType, summary: dict[str, Any]) -> None:
    """Half shared, power 1/3: weights of every size are true as often as they say.

    Within four binomial standard errors and .03, for the power is a choice, not fitted; at power 1
    weights near .9 are true far less often, at 1/8 those near .8 far more often.
    """
    by_power = summary["worlds"][study.WORLDS[0].name]
    for part in by_power["0.3333"]["bins"]:
        mean = part["mean_weight"]
        error = np.sqrt(mean * (1 - mean) / part["weights"])
        assert abs(part["true"] - mean) < 4 * error + 0.03, part
    about_80 = {
        power: next(part for part in one["bins"] if part["from"] == 0.75)
        for power, one in by_power.items()
    }
    assert about_80["0.3333"]["true"] == pytest.approx(0.8, abs=0.1)
    assert about_80["1"]["true"] < 0.7
    assert about_80["0.125"]["true"] > 0.9
    top = {part["from"]: part for part in by_power["1"]["bins"]}
    assert top[0.85]["true"] < top[0.85]["mean_weight"] - 0.2
    scores = {power: one["log_score"] for power, one in by_power.items()}
    assert max(scores, key=scores.__getitem__) == "0.3333"


def test_true_readings_are_found(study: ModuleType, summary: dict[str, Any]) -> None:
    """Mean weight on the true reading is more than twice a fifth; as published has most."""
    found = summary["worlds"][study.WORLDS[0].name]["0.3333"]
    assert found["mean_weight_of_truth"] > 0.45
    assert max(found["by_reading"], key=found["by_reading"].__getitem__) == "as_published"
    assert found["as_published_below_01_true"] < 0.01
    free = summary["worlds"][study.WORLDS[3].name]["0.3333"]
    assert free["as_published_below_01_true"] == pytest.approx(0.06, abs=0.02)


def test_papers_can_be_had_again(study: ModuleType) -> None:
    """The first block of papers, simulated again, has the committed weights."""
    truth, density = study.block_of(study.WORLDS[0], 0)
    committed = pd.read_csv(study.FOLDER / "papers.csv")
    assert len(committed) == study.PAPERS
    first = committed.iloc[: study.BLOCK]
    assert first["truth"].tolist() == np.array(READINGS)[truth].tolist()
    found = study.weights_of(density, DEFAULT.exponent)
    np.testing.assert_allclose(first[list(READINGS)].values, found, atol=2e-5)


def test_committed_rows_give_the_summary(study: ModuleType, summary: dict[str, Any]) -> None:
    """Mean weight and calibration follow from the committed papers."""
    committed = pd.read_csv(study.FOLDER / "papers.csv")
    truth = np.array([READINGS.index(name) for name in committed["truth"]])
    again = study.judged(truth, committed[list(READINGS)].values)
    said = summary["worlds"][study.WORLDS[0].name]["0.3333"]
    assert again["mean_weight_of_truth"] == pytest.approx(said["mean_weight_of_truth"], abs=1e-4)
    # five digits are kept, so that a weight at an edge may change its bin
    for one, other in zip(again["bins"], said["bins"], strict=True):
        assert one["weights"] == pytest.approx(other["weights"], abs=3)
        assert one["true"] == pytest.approx(other["true"], abs=0.01)


def test_the_study_weighs_as_the_package_does(study: ModuleType) -> None:
    """Read off a table, the weights of a paper are those that the package computes, to 2e-4."""
    _, crossed, printed = study.simulated(study.WORLDS[0], 1)
    density = study.log_densities(crossed[:3], printed[:3])
    fast = study.weights_of(density, DEFAULT.exponent)
    for paper in range(3):
        pairs = tuple(
            study.replace(
                study.pair_of(e), widths=(float(crossed[paper, e]), float(printed[paper, e]))
            )
            for e in range(len(study.SDS))
        )
        slow = package_weights(pairs, DEFAULT)
        assert list(slow.values()) == pytest.approx(fast[paper], abs=2e-4)
        assert log_likelihoods(pairs, DEFAULT).shape == density[paper].shape


def test_least_squares_is_that_of_a_library(study: ModuleType) -> None:
    """First-period rows are analysis of covariance, crossover rows a t test of half differences."""
    import statsmodels.api as sm
    from scipy import stats

    rng = np.random.default_rng(3)
    y, base, late = (study.scores(rng, 41) for _ in range(3))
    active = np.arange(41) < 22
    estimate, se, _ = study.first_period(y, base, active)
    fit = sm.OLS(y[0, :, 0], np.column_stack([np.ones(41), active, base[0, :, 0]])).fit()
    assert (-fit.params[1], fit.bse[1]) == pytest.approx((estimate[0, 0], se[0, 0]))
    rows = np.r_[np.arange(22), 22:37]
    fit = sm.OLS(y[0, rows, 6], np.column_stack([np.ones(37), rows < 22, base[0, rows, 6]])).fit()
    assert fit.bse[1] == pytest.approx(se[0, 6])
    found, error = study.crossover((y, late), "as_published", active)
    gap = (late - y)[0, :, 0]
    test = stats.ttest_ind(gap[:13] / 2, gap[22:38] / 2)
    assert found[0, 0] / error[0, 0] == pytest.approx(test.statistic)


def test_page_shows_the_committed_numbers(study: ModuleType, summary: dict[str, Any]) -> None:
    """The tables of the page are those that the committed results make."""
    page = study.PAGE.read_text(encoding="utf-8")
    assert importlib.import_module("study").page_with(page, study.tables(summary)) == page
