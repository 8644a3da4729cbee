"""The committed scores are of the forecasts as they are, and the sealed forecasts hold."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from altered_tree import ROOT, AlteredTree
from scipy import special, stats

from bayes_ptsd.exact.mixture import Mixture

# numbers are committed with eight decimals
KEPT = 2e-6


@pytest.fixture(scope="module")
def study() -> ModuleType:
    """Return the script that scores the forecasts."""
    return script("score_forecasts")


@pytest.fixture(scope="module")
def sealing() -> ModuleType:
    """Return the script that seals the forecasts."""
    return script("seal_forecasts")


@pytest.fixture(scope="module")
def summary(study: ModuleType) -> dict[str, Any]:
    """Return the committed scores."""
    return study.read_summary()  # type: ignore[no-any-return]


def script(name: str) -> ModuleType:
    """Return a script of the folder of studies."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "validation"))
        return importlib.import_module(name)


def point(center: float, spread: float) -> Mixture:
    """Return one normal."""
    return Mixture(np.ones(1), np.array([center]), np.array([spread]))


def same(found: Any, committed: Any) -> None:
    """Hold two documents to the same keys, words and, within rounding, numbers."""
    if isinstance(committed, dict):
        assert found.keys() == committed.keys()
        for key, value in committed.items():
            same(found[key], value)
    elif isinstance(committed, list):
        assert len(found) == len(committed)
        for one, other in zip(found, committed, strict=True):
            same(one, other)
    elif isinstance(committed, float):
        assert found == pytest.approx(committed, abs=KEPT)
    else:
        assert found == committed


def test_nothing_is_stale(
    study: ModuleType, summary: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scores are of the code and numbers as they are; an altered one is seen, words are not."""
    assert not study.is_stale(summary), "run `make validation` and commit what it writes"
    tree = AlteredTree(tmp_path)
    assert not study.is_stale(summary, tmp_path)
    script, scores = "validation/score_forecasts.py", "bayes_ptsd/exact/scores.py"
    for name, old, new in (
        ("validation/forecasts/later_trials.csv", "7.6,3.9,11.3", "7.5,3.9,11.3"),
        (scores, "apart - within / 2", "apart - within"),
        (script, "center, reach = effect.mean, 8", "center, reach = effect.mean, 9"),
        ("bayes_ptsd/prior_family.py", "0.61, 1.42", "0.61, 1.43"),
    ):
        with tree.text(name, old, new) as folder:
            assert study.is_stale(summary, folder), name
    with tree.text(script, '"forecaster", "median"', '"who", "median"') as folder:
        assert not study.is_stale(summary, folder)
    monkeypatch.setattr(study, "BETWEEN", 0.5)
    assert study.is_stale(summary)


def test_committed_scores_can_be_had_again(study: ModuleType, summary: dict[str, Any]) -> None:
    """Computed again, on either stack, every forecast and score is the committed one."""
    same(study.scored_estimates(), summary["estimates"])
    same(study.scored_counts(), summary["counts"])


def test_page_shows_the_committed_numbers(study: ModuleType, summary: dict[str, Any]) -> None:
    """The tables of the page are those that the committed scores make."""
    page = study.PAGE.read_text(encoding="utf-8")
    assert importlib.import_module("study").page_with(page, study.tables(summary)) == page


def test_words_of_the_page_follow_from_the_scores(summary: dict[str, Any]) -> None:
    """Who foretold which result better than whom is as the page says."""
    every = [*summary["estimates"], *summary["counts"]]

    def score(place: int, name: str, key: str = "log_score") -> float:
        return float(every[place]["forecasts"][name][key])

    flat, shrunk = "Feder 2014, flat", "Feder 2014, cochrane"
    for place in range(5):
        assert score(place, flat) > score(place, "flat")
        assert score(place, flat, "crps") < score(place, "flat", "crps")
        assert score(place, flat) > score(place, shrunk)
        assert (score(place, flat) > score(place, "vague")) is (place != 2)
    madrs = range(3)
    assert sum(score(p, shrunk) - score(p, "vague") for p in madrs) < 0
    assert all(every[p]["estimate"] > score(p, name, "median") for p in madrs
               for name in (flat, shrunk))  # fmt: skip
    others = "other later trials"
    gains = [score(p, f"{others} and Feder 2014") > score(p, others) for p in madrs]
    assert gains == [False, True, False]
    assert max(madrs, key=lambda p: score(p, flat)) == 1
    assert min(madrs, key=lambda p: score(p, others)) == 1
    assert score(1, others, "pit") == pytest.approx(0.1, abs=0.01)


def test_a_forecast_is_what_simulation_gives(study: ModuleType) -> None:
    """Quantiles and CRPS of Lapidus 2014 from this trial, flat, are those of 400,000 draws.

    Effect from the printed row with 38 df, two deviations between trials, sampling error.
    """
    rng = np.random.default_rng(5)
    count = 400_000
    y, se = study.estimates()["Lapidus 2014"]
    quantile = stats.t.ppf(0.975, 38)
    first = 2.7 + 4.4 / quantile * rng.standard_t(38, count)
    tau = abs(rng.normal(0, 8.3 / 4, count))
    drawn = first + np.sqrt(2) * tau * rng.normal(size=count) + se * rng.normal(size=count)
    told = study.scored_mixture(study.madrs_forecasts("Lapidus 2014")["Feder 2014, flat"], y)
    assert told["interval95"] == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.06)
    spread = np.abs(drawn - rng.permutation(drawn)).mean() / 2
    assert told["crps"] == pytest.approx(np.abs(drawn - y).mean() - spread, abs=0.02)
    assert told["pit"] == pytest.approx((drawn < y).mean(), abs=0.003)


def test_flat_is_uniform_over_the_scale(study: ModuleType) -> None:
    """Its density is the uniform's with a normal error, 1 over the range in the middle."""
    flat = study.uniform_estimate(60.0, 1.75)
    y = np.array([0.0, 7.6, -33.0])
    wanted = (special.ndtr((y + 60) / 1.75) - special.ndtr((y - 60) / 1.75)) / 120
    assert flat.density(y) == pytest.approx(wanted, rel=0.01)


def test_doses_share_their_placebo_arm(study: ModuleType) -> None:
    """The mean of three equal doses has the variance of 33 patients against the same 33."""
    rows = study.pd.DataFrame({
        "estimate": ["9", "10", "11"], "se": [str(float(8.6 * np.sqrt(1 / 11 + 1 / 33)))] * 3,
        "n_active": ["11"] * 3, "n_control": ["33"] * 3,
    })  # fmt: skip
    mean, se = study.mean_of_arms(rows)
    assert (mean, se) == pytest.approx((10, 8.6 * np.sqrt(2 / 33)))


def test_counts_without_an_effect_are_one_binomial(study: ModuleType) -> None:
    """With no effect both counts come from one uniform risk, a closed form; mirrored, arms swap."""
    table = study.count_forecast(point(0.0, 1e-6), 15, 12)
    a, c = np.arange(16)[:, None], np.arange(13)
    wanted = special.comb(15, a) * special.comb(12, c) * special.beta(a + c + 1, 28 - a - c)
    np.testing.assert_allclose(table, wanted, rtol=1e-5)
    up, down = (study.count_forecast(point(side * 0.6, 0.8), 15, 15) for side in (1, -1))
    np.testing.assert_allclose(up, down[::-1, ::-1], rtol=1e-7)
    assert up.sum() == pytest.approx(1, abs=1e-9)


def test_counts_are_what_simulation_gives(study: ModuleType) -> None:
    """Risk by risk simulation gives the same shares of pairs of counts, four errors."""
    rng = np.random.default_rng(9)
    count = 400_000
    risk, effect = rng.random(count), rng.normal(0.6, 0.5, count)
    odds = np.where(rng.random(count) < 0.5, *study.LOG_ODDS_PER_SD) * effect
    active = rng.binomial(15, special.expit(special.logit(risk) + odds))
    control = rng.binomial(15, risk)
    table = study.count_forecast(point(0.6, 0.5), 15, 15)
    for a, c in ((10, 3), (8, 8), (15, 15), (2, 0)):
        share = float(((active == a) & (control == c)).mean())
        error = np.sqrt(table[a, c] / count)
        assert table[a, c] == pytest.approx(share, abs=4 * error)
    gap = study.scored_table(table, 10, 3)
    assert gap["median"] == pytest.approx(np.quantile((active - control) / 15, 0.5), abs=1e-9)


def test_numbers_have_an_address_that_is_no_news(study: ModuleType) -> None:
    """Every later number has a source and a place; none is from news or document sharing."""
    table = study.later_trials()
    for _, row in table.iterrows():
        assert row["source"].startswith("https://"), row["trial"]
        assert row["place"], row["trial"]
        assert not any(host in row["source"] for host in ("scribd", "particle", "citclinics"))


def test_seals_hold(sealing: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every sealed forecast has the digest of its content; one changed digit is refused."""
    assert len(sealing.PENDING) == 2
    for name in sealing.PENDING:
        found = sealing.read_sealed(name)
        assert found["sealed"] == "2026-12-01"
        assert found["main"] == "Feder 2014, cochrane"
        (tmp_path / f"{name}.json").write_text(
            json.dumps(found).replace('"se": 0', '"se": 1'), encoding="utf-8"
        )
    monkeypatch.setattr(sealing, "FOLDER", tmp_path)
    for name in sealing.PENDING:
        with pytest.raises(SystemExit, match="seal does not hold"):
            sealing.read_sealed(name)


def test_sealed_numbers_are_what_the_program_gives(sealing: ModuleType) -> None:
    """Quantiles and probabilities computed now are the sealed ones, on either stack."""
    for name, trial in sealing.PENDING.items():
        found = sealing.read_sealed(name)
        same(sealing.forecast(trial), found["forecasts"])
        assert found["quantity"] == trial.quantity
        assert found["se"] == pytest.approx(trial.se, abs=KEPT)
        for told in found["forecasts"].values():
            values = list(told["estimate"].values())
            assert values == sorted(values)
            assert told["prob_p_below_05_for_ketamine"] < told["prob_estimate_favors_ketamine"]


def test_a_sealed_forecast_can_be_scored(
    sealing: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command of the README gives the scores of every forecaster at the printed error."""
    name = "shiroma-nct04560660"
    sealing.main(["--score", name, "--estimate", "0.3", "--se", "0.25"])
    told = json.loads(capsys.readouterr().out)
    assert told.keys() == sealing.read_sealed(name)["forecasts"].keys()
    vague = told["vague"]
    assert vague["log_score"] == pytest.approx(stats.norm.logpdf(0.3, 0, np.hypot(2, 0.25)))


def test_what_is_sealed_is_left(sealing: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """Sealing again changes no file."""
    before = {name: sealing.path_of(name).read_bytes() for name in sealing.PENDING}
    sealing.main([])
    assert "left as it is" in capsys.readouterr().out
    assert before == {name: sealing.path_of(name).read_bytes() for name in sealing.PENDING}
