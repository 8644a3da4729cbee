"""Calibration finds what is calibrated and what is not, whoever computes it."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xarray as xr
from arviz_stats.ecdf_utils import simulate_confidence_bands
from scipy import stats

from bayes_ptsd.calibration.decisions import operating_characteristics
from bayes_ptsd.calibration.document import model_document, ranks_document
from bayes_ptsd.calibration.nuts import nuts_engine
from bayes_ptsd.calibration.pattern import trial_pattern
from bayes_ptsd.calibration.ranks import Sampler, exact_engine, simulated_ranks
from bayes_ptsd.calibration.scenarios import Scenario, scenario_grid, simulate_scenario
from bayes_ptsd.calibration.uniformity import (
    band_probability,
    rank_band,
    rank_ecdf,
    uniformity_table,
)
from bayes_ptsd.calibration.work import blocks_of, run_tasks, seed_of
from bayes_ptsd.errors import FitError, SpecError
from bayes_ptsd.exact.grid import grid_cdf
from bayes_ptsd.frequentist import reml_crossover
from bayes_ptsd.models_files import load_model
from bayes_ptsd.plots.ranks import ranks_figure
from bayes_ptsd.priors import normal
from bayes_ptsd.structures.crossover.exact import crossover_posterior, exact_priors
from bayes_ptsd.structures.crossover.model import CrossoverModel, crossover_model

PARAMETERS = ["treatment_difference", "level", "period_effect", "sd_subject", "sd_within"]


# A location taken from the data is no prior that a truth can be drawn from: it is stated.
STATED = {"level": normal(50, 10), "period_effect": normal(0, 10)}


def shipped(name: str = "crossover", **changes: Any) -> CrossoverModel:
    """Return a shipped model on the pattern of the published trial, its location stated."""
    changes["priors"] = STATED | changes.get("priors", {})
    return crossover_model(trial_pattern(), load_model(name).having(**changes))


@pytest.fixture(scope="module")
def model() -> CrossoverModel:
    """Return the random-intercept crossover."""
    return shipped()


@pytest.fixture(scope="module")
def ranks(model: CrossoverModel) -> xr.Dataset:
    """Return 120 ranks by the exact engine."""
    return simulated_ranks(model, 120, seed=5)


def as_ranks(table: Any, draws: int) -> xr.DataArray:
    """Return ranks of unnamed quantities, one a column."""
    table = np.asarray(table)
    names = [f"q{number}" for number in range(table.shape[1])]
    return xr.DataArray(
        table, dims=("simulation", "quantity"), coords={"quantity": names}, attrs={"draws": draws}
    )


def test_pattern_is_that_of_the_trial(model: CrossoverModel) -> None:
    """22 and 19 patients start; 13 and 16 have a second period, 16 and 13 in the registry."""
    for reading, expected in (("paper", {"KM": 13, "MK": 16}), ("registry", {"KM": 16, "MK": 13})):
        problem = crossover_model(trial_pattern(flow_reading=reading), load_model("crossover"))
        present = np.isfinite(problem.pairs.score)
        assert problem.size["by_sequence"] == {"KM": 22, "MK": 19}
        assert present[:, 0].all()
        second = {name: int(present[problem.sequence == name, 1].sum()) for name in expected}
        assert second == expected
    assert model.priors["sd_within"].formula == "half_normal(15.12)"


def test_a_study_says_what_it_calibrated(model: CrossoverModel) -> None:
    """The document names simulated evidence, the sequences by period, and priors in score units."""
    document = model_document(model)
    assert (document["model"], document["evidence_kind"]) == ("crossover", "simulated")
    assert document["pattern"] == {
        "KM": {"subjects": 22, "period_1": 22, "period_2": 13},
        "MK": {"subjects": 19, "period_1": 19, "period_2": 16},
    }
    assert document["priors"]["level"] == "N(50, 10²)"
    assert document["spec_id"] == model.spec.spec_id


def test_patterns_of_unknown_endpoints_are_refused() -> None:
    """The endpoint must be one of the trial; the message names the nearest."""
    with pytest.raises(SpecError, match="ies_r"):
        trial_pattern("ies")


@pytest.mark.parametrize("tail", [0.01, 0.05, 0.3])
def test_band_probability_is_that_of_all_tables(tail: float) -> None:
    """For 6 ranks among 3 draws the recursion equals the sum over every possible table."""
    point = np.arange(1, 4) / 4
    inside = 0.0
    for table in itertools.product(range(7), repeat=4):
        if sum(table) != 6:
            continue
        counts = np.cumsum(table)[:3]
        lower, upper = stats.binom.cdf(counts, 6, point), stats.binom.sf(counts - 1, 6, point)
        if (2 * np.minimum(lower, upper) > tail).all():
            inside += stats.multinomial.pmf(table, 6, [0.25] * 4)
    assert band_probability(6, 3, tail=tail) == pytest.approx(inside, abs=1e-12)


@pytest.mark.parametrize(("simulations", "draws"), [(150, 19), (400, 50)])
def test_band_is_as_wide_as_a_simulated_one(simulations: int, draws: int) -> None:
    """ArviZ's simulated bands at the same points have the same pointwise probability."""
    band = rank_band(simulations, draws)
    rng = np.random.default_rng(1)
    theirs = simulate_confidence_bands(simulations, 1, band["point"].values, 0.95, 3000, rng)
    # a quantile of 3000 simulated tails; tails are discrete
    assert 1 - theirs == pytest.approx(band.attrs["tail"], rel=0.2)


def test_uniform_ranks_stay_inside_as_often_as_promised() -> None:
    """Of 1000 uniform sets of ranks 95% are inside; P values below .05 mean outside the band."""
    table = np.random.default_rng(2).integers(0, 20, size=(200, 1000))
    shares, band = rank_ecdf(as_ranks(table, 19)), rank_band(200, 19)
    slack = 1e-9
    inside = ((shares >= band["low"] - slack) & (shares <= band["high"] + slack)).all("point")
    assert float(inside.mean()) == pytest.approx(0.95, abs=3 * np.sqrt(0.95 * 0.05 / 1000))
    some = as_ranks(table[:, :60], 19)
    p_value = uniformity_table(some)["p_value"].values
    np.testing.assert_array_equal(p_value > 1 - band_probability(200, 19, tail=band.attrs["tail"]),
                                  inside.values[:60])  # fmt: skip


def test_several_quantities_share_the_error() -> None:
    """Of 100 calibrated studies of 6 quantities each, about 5% have a quantity outside."""
    rng = np.random.default_rng(3)
    outside = sum(
        not uniformity_table(as_ranks(rng.integers(0, 20, size=(60, 6)), 19))["inside"].all()
        for _ in range(100)
    )
    assert outside <= stats.binom.ppf(0.999, 100, 0.05)


def test_impossible_ranks_and_bands_are_refused() -> None:
    """A rank above the number of draws, and a probability of 1, are refused."""
    with pytest.raises(SpecError, match="integers from 0 to 9"):
        rank_ecdf(as_ranks([[10]], 9))
    with pytest.raises(SpecError, match="between 0 and 1"):
        rank_band(10, 9, probability=1.0)


def test_exact_posteriors_are_calibrated(ranks: xr.Dataset) -> None:
    """Every parameter, the period effect and the joint log likelihood stay inside."""
    assert list(ranks["quantity"].values) == [*PARAMETERS, "log_likelihood"]
    document = ranks_document(ranks)
    assert document["passed"], document
    assert ranks["rank"].attrs["draws"] == 100


def faulty(spread: float, shift: float) -> Any:
    """Return an exact engine whose draws of one parameter are rescaled and moved, in sds."""

    def engine(model: CrossoverModel) -> Sampler:
        sample = exact_engine(model)

        def wrong(scores: Any, wanted: int, draws: int, seed: int) -> xr.Dataset:
            drawn = sample(scores, wanted, draws, seed)
            one = drawn["treatment_difference"]
            middle, sd = one.mean("draw"), one.std("draw")
            return drawn.assign(treatment_difference=middle + spread * (one - middle) + shift * sd)

        return wrong

    return engine


@pytest.mark.parametrize(
    ("spread", "shift"), [(0.5, 0.0), (2.0, 0.0), (1.0, 0.5)], ids=["narrow", "wide", "moved"]
)
def test_a_wrong_posterior_is_detected(model: CrossoverModel, spread: float, shift: float) -> None:
    """Draws of the treatment difference with half or twice the sd, or moved, leave the band."""
    found = simulated_ranks(model, 120, engine=faulty(spread, shift), seed=5)
    table = uniformity_table(found["rank"])
    outside = table["quantity"].values[~table["inside"].values]
    assert "treatment_difference" in outside
    assert not set(outside) & {"level", "sd_subject", "sd_within"}
    assert not ranks_document(found)["passed"]


def prior_engine(model: CrossoverModel) -> Sampler:
    """Return an engine that ignores the scores and draws from the prior."""
    from bayes_ptsd.structures.crossover.likelihood import draw_priors

    def sample(scores: Any, wanted: int, draws: int, seed: int) -> xr.Dataset:
        parts = [draw_priors(model, draws, seed=seed_of(seed, i)) for i in range(wanted)]
        return xr.concat([part.isel(chain=0, drop=True) for part in parts], dim="dataset")

    return sample


def test_the_prior_in_place_of_the_posterior_is_detected(model: CrossoverModel) -> None:
    """Prior draws rank every parameter uniformly; the joint log likelihood gives them away."""
    table = uniformity_table(simulated_ranks(model, 72, engine=prior_engine, seed=6)["rank"])
    outside = set(table["quantity"].values[~table["inside"].values])
    assert outside == {"log_likelihood"}


def test_a_wrong_likelihood_is_detected(model: CrossoverModel) -> None:
    """Carryover that the model leaves out costs coverage; without it there is none to cost."""
    truths = [Scenario(0.6), Scenario(0.6, carryover=0.8)]
    found = operating_characteristics(model, truths, 240, seed=3)
    error = np.sqrt(0.95 * 0.05 / 240)
    assert float(found["coverage"][0]) == pytest.approx(0.95, abs=3 * error)
    assert float(found["coverage"][1]) < 0.95 - 6 * error
    # completers estimate the difference less half the carryover; one-period patients less bias
    assert -0.4 * 14.4 - 1 < float(found["bias"][1]) < -0.2 * 14.4


def test_simulations_do_not_depend_on_their_number(
    model: CrossoverModel, ranks: xr.Dataset
) -> None:
    """The first 30 of 120 simulations are the simulations of a study of 30."""
    few = simulated_ranks(model, 30, seed=5)
    np.testing.assert_array_equal(few["rank"], ranks["rank"].isel(simulation=slice(30)))


def test_workers_do_not_change_results(model: CrossoverModel, ranks: xr.Dataset) -> None:
    """Threads, in any number of parts, give the same bits; `test_cli_calibrate` has processes."""
    told: list[tuple[int, int]] = []
    with ThreadPoolExecutor(3) as executor:
        for parts in (None, 2):
            found = simulated_ranks(
                model, 120, seed=5, executor=executor, parts=parts,
                progress=lambda done, total: told.append((done, total)),
            )  # fmt: skip
            xr.testing.assert_identical(found, ranks)
    assert told[4] == (5, 5)
    assert told[-1] == (2, 2)
    truths = scenario_grid(treatment=(0.0, 0.9))
    here = operating_characteristics(model, truths, 26, seed=5)
    with ThreadPoolExecutor(3) as executor:
        there = operating_characteristics(model, truths, 26, seed=5, executor=executor)
    xr.testing.assert_identical(here, there)


def fail_on_two(number: int) -> int:
    """Fail on the number 2."""
    if number == 2:
        raise FitError("two")
    return number


def test_a_failed_task_is_the_failure_of_all() -> None:
    """An error in a task reaches the caller, with and without an executor."""
    with pytest.raises(FitError, match="two"):
        run_tasks(fail_on_two, [1, 2, 3])
    with ThreadPoolExecutor(1) as executor, pytest.raises(FitError, match="two"):
        run_tasks(fail_on_two, [1, 2, 3], executor=executor)
    assert blocks_of(24) == [(0, 24)]


def test_nuts_ranks_are_those_of_the_same_trials(model: CrossoverModel, ranks: xr.Dataset) -> None:
    """On the same trials, ranks by NUTS differ from exact ones by sampling error only.

    Two ranks of one truth among 100 independent draws each differ with an sd of at most 7.1.
    """
    found = simulated_ranks(model, 6, engine=nuts_engine, seed=5)
    assert set(found.data_vars) == {"rank", "rhat_max", "ess_bulk_min", "divergences"}
    gap = found["rank"] - ranks["rank"].isel(simulation=slice(6))
    assert float(np.abs(gap).max()) < 5 * 7.1
    assert float(np.sqrt((gap**2).mean())) < 1.5 * 7.1
    assert set(ranks_document(found)["sampler"]) == {
        "rhat_above_1.01", "ess_bulk_below_400", "with_divergences"
    }  # fmt: skip


def test_models_that_cannot_be_drawn_are_refused(model: CrossoverModel) -> None:
    """Improper priors, joint baselines and models without an exact engine are refused by name."""
    with pytest.raises(SpecError, match="improper prior"):
        simulated_ranks(shipped(priors={"treatment": "flat"}), 2)
    joint = replace(model, baselines=model.pairs.score)
    with pytest.raises(SpecError, match="joint"):
        simulated_ranks(joint, 2)
    student = shipped("crossover-student-t")
    with pytest.raises(SpecError, match="take nuts"):
        simulated_ranks(student, 2)
    with pytest.raises(SpecError, match="need the exact engine"):
        operating_characteristics(student, [Scenario()], 2)
    with pytest.raises(SpecError, match="at least 2"):
        operating_characteristics(model, [Scenario()], 1)


def test_scenarios_have_the_moments_they_name(model: CrossoverModel) -> None:
    """Cell means, standard deviations and correlation of simulated scores are the scenario's."""
    scenario = Scenario(0.6, carryover=0.4, correlation=-0.3, sd_ratio=1.5)
    full = replace(model, pairs=replace(model.pairs, score=np.zeros((41, 2))))
    scores = np.concatenate([simulate_scenario(full, scenario, b, seed=1) for b in range(100)])
    first = model.pairs.active_first
    size = 2400 * 19
    for rows, expected in ((first, [-0.6, -0.4]), (~first, [0.0, -0.6])):
        means = (scores[:, rows].mean(axis=(0, 1)) - 50) / 14.4
        np.testing.assert_allclose(means, expected, atol=4 * 1.5 / np.sqrt(size))
        flat = scores[:, rows].reshape(-1, 2)
        np.testing.assert_allclose(flat.std(axis=0) / 14.4, [1, 1.5], rtol=4 / np.sqrt(2 * size))
        pair = np.corrcoef(flat.T)[0, 1]
        assert pair == pytest.approx(-0.3, abs=4 / np.sqrt(size))


def test_informative_crossing_takes_the_best(model: CrossoverModel) -> None:
    """Nine patients stay out of period 2 after the active treatment: those with low scores."""
    scores = simulate_scenario(model, Scenario(crossing="informative"), 0, seed=1)
    first = model.pairs.active_first
    out = np.isnan(scores[:, first, 1])
    assert (out.sum(axis=1) == 9).all()
    for table, gone in zip(scores[:, first, 0], out, strict=True):
        assert table[gone].max() < table[~gone].min()
    assert (np.isnan(scores[:, ~first, 1]).sum(axis=1) == 3).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"correlation": 1.0}, "between -1 and 1"),
        ({"sd_ratio": 0.0}, "positive"),
        ({"crossing": "best"}, "random or informative"),
    ],
)
def test_impossible_scenarios_are_refused(changes: dict[str, Any], message: str) -> None:
    """A correlation of 1, a standard deviation of 0 and an unknown crossing are refused."""
    with pytest.raises(SpecError, match=message):
        Scenario(**changes)


def test_decisions_are_those_of_single_posteriors(model: CrossoverModel) -> None:
    """Bias, coverage and decisions of a batch equal those counted one posterior at a time."""
    scenario = Scenario(0.3)
    found = operating_characteristics(model, [scenario], 24, decisions=(0.5, 0.9), seed=4)
    scores = simulate_scenario(model, scenario, 0, seed=4)
    truth, means, benefit, covered = 0.3 * 14.4, [], [], 0
    for score in scores:
        fit = crossover_posterior(
            replace(model.pairs, score=score), exact_priors(model), benefit_sign=-1, draws=1
        )
        one = fit["exact"].to_dataset().sel(estimand="treatment_difference")
        means.append(float(one["mean"]))
        benefit.append(1 - float(grid_cdf(one, np.array(0.0))))
        covered += int(0.025 <= float(grid_cdf(one, np.array(truth))) <= 0.975)
    row = found.isel(scenario=0)
    assert float(row["bias"]) == pytest.approx(np.mean(means) - truth, abs=1e-3)
    assert float(row["coverage"]) == covered / 24
    expected = [np.mean(np.array(benefit) > limit) for limit in (0.5, 0.9)]
    np.testing.assert_allclose(row["probability"], expected)
    assert float(row["sd_mean"]) == pytest.approx(np.std(means, ddof=1), abs=1e-3)


def test_a_vague_prior_makes_the_one_sided_error(model: CrossoverModel) -> None:
    """Under no effect and the reference prior the decision at .975 has the error of a t test."""
    found = operating_characteristics(model, [Scenario()], 2400, seed=8)
    error = float(found["probability_error"][0, 0])
    assert float(found["probability"][0, 0]) == pytest.approx(0.025, abs=4 * error)


def test_posterior_means_are_those_of_reml(model: CrossoverModel) -> None:
    """Power comes from the estimate: posterior means vary over trials as REML estimates do."""
    scores = simulate_scenario(model, Scenario(0.6), 0, seed=9)
    found = operating_characteristics(model, [Scenario(0.6)], 24, seed=9)
    estimates = [
        float(
            reml_crossover(replace(model.pairs, score=score), benefit_sign=-1)["estimate"].sel(
                estimand="treatment_difference"
            )
        )
        for score in scores
    ]
    assert float(found["mean"][0]) == pytest.approx(np.mean(estimates), abs=0.2)
    assert float(found["sd_mean"][0]) == pytest.approx(np.std(estimates, ddof=1), rel=0.1)


def test_figure_names_what_is_outside_and_its_evidence(ranks: xr.Dataset) -> None:
    """One panel a quantity; the one outside says so; the evidence is named as simulated."""
    bent = ranks.copy(deep=True)
    bent["rank"].attrs = ranks["rank"].attrs
    bent["rank"].loc[{"quantity": "sd_subject"}] = 3
    figure = ranks_figure(bent, title="crossover, exact")
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.get_visible()]
    assert titles == [
        f"{name}: outside" if name == "sd_subject" else name
        for name in ranks["quantity"].values.tolist()
    ]
    assert "simulated evidence, 120 trials" in figure.legends[0].get_title().get_text()
