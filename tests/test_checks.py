"""Checks find what is wrong when something is, and say nothing when nothing is."""

from __future__ import annotations

import re
from dataclasses import replace

import arviz_stats
import numpy as np
import pytest
import xarray as xr
from crossover_cases import example_fit
from scipy import stats

from bayes_ptsd.check_roles import Check, check_table
from bayes_ptsd.checks import compare_fits, failed_checks, joined_checks
from bayes_ptsd.checks.loo import loo_checks, loo_groups, loo_table, pareto_check
from bayes_ptsd.checks.predictive import (
    FAR,
    end_features,
    predictive_checks,
    prior_scores,
)
from bayes_ptsd.checks.sensitivity import (
    boundary_check,
    boundary_checks,
    moved_words,
    ratio_mass,
    sensitivity_checks,
    sensitivity_table,
)
from bayes_ptsd.errors import FitError
from bayes_ptsd.gaussian import blocks
from bayes_ptsd.models_files import load_model
from bayes_ptsd.priors import Prior, normal
from bayes_ptsd.structures.crossover.exact import exact_crossover
from bayes_ptsd.structures.crossover.example import example_patients
from bayes_ptsd.structures.crossover.likelihood import crossover_groups
from bayes_ptsd.structures.crossover.model import CrossoverModel, crossover_model
from bayes_ptsd.structures.crossover.room import crossover_checks, predictive_features
from bayes_ptsd.structures.longitudinal.room import visit_boundary_checks


def fit_of(model: CrossoverModel) -> xr.DataTree:
    """Return the exact fit of a model with its groups."""
    groups = exact_crossover(model, seed=1)
    return xr.DataTree.from_dict(groups | crossover_groups(groups["posterior"], model, seed=1))


def changed(model: CrossoverModel, score: np.ndarray) -> CrossoverModel:  # type: ignore[type-arg]
    """Return a model of other scores."""
    return replace(model, pairs=replace(model.pairs, score=score))


@pytest.fixture(scope="module")
def model() -> CrossoverModel:
    """Return the crossover model of 60 simulated patients."""
    return crossover_model(
        example_patients(subjects=60, missing=6, seed=21), load_model("crossover")
    )


@pytest.fixture(scope="module")
def fit(model: CrossoverModel) -> xr.DataTree:
    """Return its exact fit."""
    return fit_of(model)


def test_leave_one_subject_out_is_the_ratio_of_marginal_likelihoods() -> None:
    """Importance sampling agrees with log p(y) - log p(y without i) by quadrature, every subject.

    The marginal likelihood, not the conditional one: a patient's two scores leave together.
    """
    model = crossover_model(example_patients(seed=22), load_model("crossover"))
    found = loo_groups(fit_of(model))["loo"]
    whole = float(exact_crossover(model, seed=1)["quadrature"]["log_marginal_likelihood"])
    for subject in range(0, 24, 4):
        keep = np.arange(24) != subject
        pairs = replace(
            model.pairs,
            score=model.pairs.score[keep],
            active_first=model.pairs.active_first[keep],
            subject=model.pairs.subject[keep],
        )
        without = exact_crossover(replace(model, pairs=pairs), seed=1)["quadrature"]
        expected = whole - float(without["log_marginal_likelihood"])
        assert float(found["elpd_i"][subject]) == pytest.approx(expected, abs=0.05)


def test_a_model_that_fits_passes(fit: xr.DataTree, model: CrossoverModel) -> None:
    """Patients simulated from the model fail no predictive, cross-validation or boundary check."""
    groups = crossover_checks(fit, range_=(0.0, 88.0), priors=model.priors)
    checks = groups["checks"]
    assert checks["check"].size == len(set(checks["check"].values.tolist()))
    tree = xr.DataTree.from_dict({"checks": checks})
    assert [text for text in failed_checks(tree) if "loo_pareto" not in text] == []
    expected = {"quadrature_error", "box_edge", "predictive_correlation", "predictive_at_floor",
                "predictive_mean_KM_1", "predictive_sd_MK_2", "loo_pareto_k_max",
                "loo_pit_uniformity", "power_scaling_treatment", "power_scaling_nuisance",
                "power_scaling_likelihood", "sd_subject_at_zero"}  # fmt: skip
    assert expected <= set(checks["check"].values.tolist())


def test_many_patients_keep_every_so_many_draws(
    fit: xr.DataTree, model: CrossoverModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 4,000 draws every fifth, told by its number: the same checks to Monte Carlo error."""
    monkeypatch.setattr(blocks, "MOST_POINTWISE", 60 * 800)
    some = fit_of(model)
    assert some["posterior"].sizes["draw"] == 4000
    for group in ("log_likelihood", "log_prior", "posterior_predictive"):
        assert some[group]["draw"].values.tolist() == list(range(0, 4000, 5)), group
    assert some["prior_predictive"]["draw"].values.tolist() == list(range(0, 1000, 2))
    kept = fit["log_likelihood"]["score"].isel(draw=slice(None, None, 5))
    xr.testing.assert_equal(some["log_likelihood"]["score"], kept)
    loo, whole = (loo_groups(one)["loo"] for one in (some, fit))
    # the spread of the density of a patient over 800 draws, added up over 60 patients
    error = float(np.sqrt((kept.var(("chain", "draw")) / 800).sum()))
    assert float(loo["elpd"]) == pytest.approx(float(whole["elpd"]), abs=4 * error)
    moved, of_all = (sensitivity_table(one)["moved"].sel(part="likelihood") for one in (some, fit))
    sd = float(fit["posterior"]["treatment_difference"].std())
    np.testing.assert_allclose(moved, of_all, atol=4 * sd / np.sqrt(800))


def test_unequal_periods_are_seen(model: CrossoverModel) -> None:
    """Period 2 three times as variable as a model with equal sds can say."""
    score = model.pairs.score.copy()
    score[:, 1] = 38 + 3.5 * (score[:, 1] - 38)
    features = predictive_features(fit_of(changed(model, score)), range_=None)
    failed = {check.name for check in predictive_checks(features) if not check.passed}
    assert failed & {"predictive_sd_KM_2", "predictive_sd_MK_2", "predictive_sd_KM_1"}


def test_floor_and_ceiling_are_seen(model: CrossoverModel) -> None:
    """A quarter of the scores at the floor are more than a normal model replicates."""
    score = model.pairs.score.copy()
    score[score < np.nanquantile(score, 0.25)] = 25.0
    features = predictive_features(fit_of(changed(model, score)), range_=(25.0, 88.0))
    at_floor = features.sel(statistic="at_floor")
    assert float(at_floor["observed"]) == float(np.sum(score <= 25))
    checks = {check.name: check for check in predictive_checks(features)}
    assert not checks["predictive_at_floor"].passed
    assert "replicates" in checks["predictive_at_floor"].meaning


def test_an_outlier_moves_loo(model: CrossoverModel) -> None:
    """One patient 20 sds away has the worst predictive density and a large Pareto shape."""
    score = model.pairs.score.copy()
    score[20] += 200
    loo = loo_groups(fit_of(changed(model, score)))["loo"]
    assert int(np.argmin(loo["elpd_i"].values)) == 20
    assert int(np.argmax(loo["pareto_k"].values)) == 20
    checks = {check.name: check for check in loo_checks(loo)}
    assert not checks["loo_pareto_k_max"].passed


def test_loo_pit_is_uniform_for_the_model_and_not_for_another(
    fit: xr.DataTree, model: CrossoverModel
) -> None:
    """Probabilities of left-out scores are uniform; heaped scores give other ones."""
    checks = {check.name: check for check in loo_checks(loo_groups(fit)["loo"])}
    assert checks["loo_pit_uniformity"].passed
    heaped = np.where(model.pairs.score > 40, 60.0, 20.0)
    heaped += np.random.default_rng(1).normal(0, 0.5, heaped.shape)
    heaped[np.isnan(model.pairs.score)] = np.nan
    checks = {
        check.name: check for check in loo_checks(loo_groups(fit_of(changed(model, heaped)))["loo"])
    }
    assert not checks["loo_pit_uniformity"].passed


def test_models_are_compared_by_subject(fit: xr.DataTree, model: CrossoverModel) -> None:
    """Adding two hundred points of a false carryover prior loses; other data are refused."""
    spec = load_model("crossover-carryover").having(priors={"carryover": normal(30.0, 1.0)})
    evidence = example_patients(subjects=60, missing=6, seed=21)
    worse = fit_of(crossover_model(evidence, spec))
    table = compare_fits({"carryover of 30": worse, "none": fit})
    assert table.index[0] == "none"
    with pytest.raises(FitError, match="is of other data"):
        compare_fits({"one": fit, "other": example_fit()})
    joint = fit.copy()
    joint["observed_data"] = xr.DataTree(
        fit["observed_data"].to_dataset().assign(baseline=("subject", np.zeros(60)))
    )
    with pytest.raises(FitError, match="is of other data"):
        compare_fits({"one": fit, "with baselines": joint})
    with pytest.raises(FitError, match="at least two"):
        compare_fits({"one": fit})


def test_power_scaling_tells_who_decides() -> None:
    """A reference prior moves nothing; one against the data is shown to pull, and is no fault."""
    evidence = example_patients(seed=23)
    free = sensitivity_table(fit_of(crossover_model(evidence, load_model("crossover"))))
    checks = {check.name: check for check in sensitivity_checks(free)}
    assert all(check.passed for check in checks.values())
    assert "the data decide" in checks["power_scaling_treatment"].meaning
    against = load_model("crossover").having(priors={"treatment": normal(-6.0, 2.0)})
    table = sensitivity_table(fit_of(crossover_model(evidence, against)))
    checks = {check.name: check for check in sensitivity_checks(table)}
    assert checks["power_scaling_treatment"].figure > 0.05
    assert all(check.passed for check in checks.values())
    assert "prior and data pull" in checks["power_scaling_treatment"].meaning
    assert "treatment_difference by -" in checks["power_scaling_treatment"].meaning


def scaled_normal(seed: int, chains: int = 4) -> xr.DataTree:
    """Return N(2, 1) draws of an effect whose prior is N(0, 3), and level with one of its own.

    The level goes with the effect at a correlation of .6, under a prior N(5, 2).
    """
    rng = np.random.default_rng(seed)
    effect = rng.normal(2, 1, (chains, 5000))
    level = 0.6 * (effect - 2) + 0.8 * rng.normal(size=effect.shape)
    dims = ("chain", "draw")
    logs = {
        "treatment_difference": normal(0, 3).logpdf(effect),
        "level": normal(5, 2).logpdf(level),
    }
    return xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset({"treatment_difference": (dims, effect)}),
            "log_prior": xr.Dataset({name: (dims, one) for name, one in logs.items()}),
            "log_likelihood": xr.Dataset({"score": ((*dims, "subject"), -(effect**2)[..., None])}),
        }
    )


def test_movement_per_doubling_has_its_closed_form() -> None:
    """Log 2 times a covariance: -log 2 m s^2 / a^2 of the effect's own prior, and of the level's.

    Effect m = 2, s = 1 under N(0, 3); the level, mean 0, covariance .6, under N(5, 2): log 2 * .6 *
    5 / 4. Monte Carlo sd of a covariance of 20,000 draws: below .012 for both; 5 of them.
    """
    for seed, chains in ((1, 4), (2, 1)):
        one = sensitivity_table(scaled_normal(seed, chains)).sel(estimand="treatment_difference")
        own = -np.log(2) * 2 / 9
        other = np.log(2) * 0.6 * 5 / 4
        error = 5 * 0.012 * np.sqrt(4 / chains)
        assert float(one["moved"].sel(part="treatment")) == pytest.approx(own, abs=error)
        assert float(one["moved"].sel(part="level")) == pytest.approx(other, abs=error)
        assert float(one["moved"].sel(part="nuisance")) == float(one["moved"].sel(part="level"))
        assert one["kind"].values.tolist() == [
            "treatment", "nuisance", "likelihood", "treatment", "nuisance"
        ]  # fmt: skip


def test_movement_is_that_of_a_refit_under_the_stronger_prior() -> None:
    """The exact posterior under the prior to the power 2^.1 has moved by a tenth of a doubling."""
    evidence = example_patients(seed=23)
    spec = load_model("crossover").having(priors={"treatment": normal(-6.0, 6.0)})
    table = sensitivity_table(fit_of(crossover_model(evidence, spec)))
    means = []
    for power in (2**-0.1, 2**0.1):
        stronger = spec.having(priors={"treatment": normal(-6.0, 6.0 / power**0.5)})
        exact = exact_crossover(crossover_model(evidence, stronger), seed=1)["exact"]
        means.append(float(exact["mean"].sel(estimand="treatment_difference")))
    one = table.sel(estimand="treatment_difference")
    # a covariance of 4,000 independent draws: its Monte Carlo sd is about that of the product
    error = 4 * np.log(2) * float(one["sd"]) / np.sqrt(4000)
    moved = float(one["moved"].sel(part="treatment"))
    assert moved == pytest.approx((means[1] - means[0]) / 0.2, abs=error)
    assert moved < -error


def test_sensitivity_is_that_of_arviz() -> None:
    """Weights of a percent need no smoothing: ArviZ's `psense`, by part, to 1% of the figure."""
    fit = scaled_normal(3)
    table = sensitivity_table(fit)["sensitivity"].sel(estimand="treatment_difference")
    for part, group, names in (
        ("likelihood", "likelihood", None),
        ("level", "prior", ["level"]),
        ("treatment", "prior", ["treatment_difference"]),
    ):
        known = arviz_stats.psense(fit, group=group, group_var_names=names)
        found = float(table.sel(part=part))
        assert found == pytest.approx(float(known["treatment_difference"]), rel=0.01), part


def test_a_nuisance_prior_that_moves_the_effect_is_named_with_how_much() -> None:
    """A level prior far from the data warns, in points and sds; a carryover prior is a belief."""
    fit = scaled_normal(4)
    nuisance = {check.name: check for check in sensitivity_checks(sensitivity_table(fit))}
    check = nuisance["power_scaling_nuisance"]
    assert not check.passed
    assert re.search(
        r"moves the treatment difference: level by \+0\.5\d* \(0\.5\d sd\)", check.meaning
    )
    fit["log_prior"] = xr.DataTree(fit["log_prior"].to_dataset().rename(level="carryover"))
    belief = {check.name: check for check in sensitivity_checks(sensitivity_table(fit))}
    assert belief["power_scaling_beliefs"].passed
    assert belief["power_scaling_beliefs"].figure == check.figure
    assert "power_scaling_nuisance" not in belief
    own = sensitivity_checks(sensitivity_table(fit, beliefs=()))
    assert "power_scaling_nuisance" in {check.name for check in own}


def test_a_true_model_seldom_fails_a_spread() -> None:
    """Two sequences, two periods, one sd: any of the four beyond .005 in about 1% of trials.

    The predictive probability of a cell's variance under a pooled one is Snedecor's F. Figures of
    docs/methods/checks.md; 100,000 trials have a Monte Carlo sd of .0003.
    """
    rng = np.random.default_rng(1)
    for size, known in ((6, 0.011), (20, 0.0064), (40, 0.005)):
        square = rng.chisquare(size - 1, (100_000, 4)) / (size - 1)
        p = stats.f.sf(square / square.mean(axis=1, keepdims=True), size - 1, 4 * (size - 1))
        failed = (np.minimum(p, 1 - p) < FAR).any(axis=1).mean()
        assert failed == pytest.approx(known, abs=4 * 0.0003)


def test_what_the_data_do_not_have_is_not_judged(fit: xr.DataTree) -> None:
    """Scores that are all alike have no correlation; nothing is said of one."""
    other = fit.copy()
    score = fit["observed_data"].to_dataset()["score"]
    other["observed_data"] = xr.DataTree((score * 0 + 40).to_dataset(name="score"))
    with np.errstate(invalid="ignore"):
        names = {check.name for check in predictive_checks(predictive_features(other, range_=None))}
    assert "predictive_correlation" not in names
    assert "predictive_mean_KM_1" in names


def test_prior_scores_are_shares_of_draws_inside_the_range() -> None:
    """Interval and share by counting, missing cells left out; by endpoint; NaN without a range."""
    score = xr.DataArray(
        np.array([[[-5.0, 10.0], [20.0, 95.0], [np.nan, 40.0], [88.0, 0.0]]]),
        dims=("chain", "draw", "endpoint"), coords={"endpoint": ["a", "b"]},
    )  # fmt: skip
    drawn = score.to_dataset(name="score")
    found = prior_scores(drawn, {"a": (0.0, 88.0), "b": (0.0, 88.0)})
    assert found["inside"].values.tolist() == [2 / 3, 3 / 4]
    assert np.isnan(prior_scores(drawn, {"a": None, "b": (0.0, 88.0)})["inside"].values[0])
    whole = prior_scores(drawn.sel(endpoint="b", drop=True), (0.0, 88.0))
    assert float(whole["inside"]) == 3 / 4
    assert float(whole["high"]) == pytest.approx(np.quantile([10, 95, 40, 0], 0.975))
    assert np.isnan(prior_scores(drawn.sel(endpoint="b", drop=True), None)["inside"])


def boundary_draws(scale: float) -> xr.Dataset:
    """Return half-normal draws of both sds, that of subjects `scale` times as large."""
    rng = np.random.default_rng(3)
    subject, within = np.abs(rng.normal(0, 15, (2, 4, 5000)))
    dims = ("chain", "draw")
    return xr.Dataset({"sd_subject": (dims, scale * subject), "sd_within": (dims, within)})


def test_a_boundary_is_warned_of_only_if_the_data_favor_it() -> None:
    """Half-normal sds alone have .063 below a tenth, and pass; half the subject sd has .126.

    P(|x| < c |y|) = 2 / pi atan(c) for normal x and y of one scale.
    """
    half = Prior("half_normal", {"sigma": 15.0})
    priors = {"sd_subject": half, "sd_within": half}
    limit = 1.5 * 2 / np.pi * np.arctan(0.1)
    for scale, passed in ((1.0, True), (0.5, False), (3.0, True)):
        (check,) = boundary_checks(boundary_draws(scale), priors)
        assert check.threshold == pytest.approx(limit, abs=2e-4)
        share = 2 / np.pi * np.arctan(0.1 / scale)
        assert check.figure == pytest.approx(share, abs=4 * np.sqrt(share / 20_000))
        assert check.passed is passed, scale
    prior = boundary_draws(1.0)
    two = prior.assign(sd_within=prior["sd_within"].expand_dims(period=2))
    (check,) = boundary_checks(two, priors)
    # the least of two sds: P(|x| < c min|y|) by simulation, 4 Monte Carlo sds
    least = np.abs(np.random.default_rng(1).normal(size=(3, 200_000)))
    known = float((least[0] < 0.1 * least[1:].min(axis=0)).mean())
    assert ratio_mass(half, half, of=2) == pytest.approx(known, abs=4 * np.sqrt(known / 200_000))
    assert check.threshold == pytest.approx(1.5 * ratio_mass(half, half, of=2))
    # an improper prior has no mass, and a wide one little: 5% is the least that is worth a warning
    assert np.isnan(ratio_mass(Prior("flat"), half))
    for above in (Prior("flat"), Prior("half_normal", {"sigma": 60.0})):
        (check,) = boundary_checks(boundary_draws(1.0), {**priors, "sd_subject": above})
        assert (check.threshold, check.passed) == (0.05, False)


def test_an_end_of_a_correlation_is_measured_against_its_prior() -> None:
    """A uniform prior has .05 beyond +-.95, beta(4, 2) on (1 + r) / 2 has .006; both directions."""
    uniform = Prior("uniform", {"low": -1.0, "high": 1.0})
    beta = Prior("beta", {"shape1": 4.0, "shape2": 2.0})
    even = (np.arange(2000) + 0.5).reshape(2, -1) / 1000 - 1
    draws = xr.Dataset({"correlation": (("chain", "draw"), even)})
    (check,) = boundary_checks(draws, {"correlation": uniform})
    assert check.figure == pytest.approx(0.05)
    assert check.threshold == pytest.approx(0.075)
    assert check.passed
    (check,) = boundary_checks(draws, {"correlation": beta})
    assert (check.threshold, check.passed) == (0.05, False)
    table = ("chain", "draw", "visit_pair"), even[..., None]
    fit = {"posterior": xr.Dataset({"visit_correlation": table})}
    assert not visit_boundary_checks(xr.DataTree.from_dict(fit))[0].passed
    fit["prior"] = fit["posterior"]
    assert visit_boundary_checks(xr.DataTree.from_dict(fit))[0].passed


def test_failed_checks_say_what_they_mean() -> None:
    """Name, figure, threshold and meaning stand in one sentence; tables join."""
    tables = [
        check_table([Check("rhat_max", 2.0, 1.0, False, "too large")]),
        check_table([Check("box_edge", 0.0, 1.0, True)]),
    ]
    tree = xr.DataTree.from_dict({"checks": joined_checks(tables)})
    assert failed_checks(tree) == ["required check failed: rhat_max is 2, threshold 1 (too large)"]


def test_boundary_is_judged_against_its_prior() -> None:
    """Half as much again as the prior has at the boundary is accepted, and 5% in any case."""
    assert boundary_check("x", 0.08, 0.0635, "").passed
    assert not boundary_check("x", 0.10, 0.0635, "").passed
    assert boundary_check("x", 0.049, np.nan, "").passed
    assert not boundary_check("x", 0.051, np.nan, "").passed


def test_scores_beyond_the_ends_count_as_at_them() -> None:
    """Scores at or below the floor and at or above the ceiling are counted; none without ends."""
    count = end_features((0.0, 88.0))
    scores = xr.DataArray([0.0, -1.0, 40.0, 88.0], dims="subject")
    assert [int(count[name](scores)) for name in ("at_floor", "at_ceiling")] == [2, 1]
    assert end_features(None) == {}


def test_words_name_the_priors_that_move_most() -> None:
    """The largest three of a kind are named, in the unit of the estimand and in its sds."""
    one = xr.Dataset(
        {"moved": ("part", [9.0, 0.1, -2.0, 1.0, 0.5]), "sd": 4.0},
        coords={
            "part": ["nuisance", "a", "b", "c", "d"],
            "kind": ("part", ["nuisance"] * 5),
            "estimand": "treatment_difference",
        },
    )
    assert moved_words(one, "nuisance") == (
        "doubling the weight of its prior moves the treatment difference: "
        "b by -2 (0.50 sd), c by +1 (0.25 sd), d by +0.5 (0.12 sd)"
    )


def test_leave_one_out_without_densities(fit: xr.DataTree) -> None:
    """Categories have the table and the check of scores, all but the probability transform."""
    whole, plain = loo_groups(fit)["loo"], loo_table(fit)
    xr.testing.assert_identical(whole.drop_vars("pit").drop_attrs()[list(plain)], plain)
    assert pareto_check(plain) == loo_checks(whole)[0]
    assert pareto_check(plain).figure == float(whole["pareto_k"].max())
