"""Checks find what is wrong when something is, and say nothing when nothing is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from bayes_ptsd.checks import compare_fits, failed_checks, joined_checks
from bayes_ptsd.checks.crossover import crossover_checks
from bayes_ptsd.checks.example import example_fit
from bayes_ptsd.checks.loo import loo_checks, loo_groups
from bayes_ptsd.checks.predictive import predictive_checks, predictive_features
from bayes_ptsd.checks.sensitivity import boundary_checks, sensitivity_checks, sensitivity_table
from bayes_ptsd.checks.table import Check, check_table
from bayes_ptsd.crossover.exact import exact_crossover
from bayes_ptsd.crossover.example import example_patients
from bayes_ptsd.crossover.groups import crossover_groups
from bayes_ptsd.crossover.model import CrossoverModel, crossover_model
from bayes_ptsd.errors import FitError
from bayes_ptsd.priors import normal
from bayes_ptsd.spec import load_model


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


def test_a_model_that_fits_passes(fit: xr.DataTree) -> None:
    """Patients simulated from the model fail no predictive, cross-validation or boundary check."""
    groups = crossover_checks(fit, range_=(0.0, 88.0))
    checks = groups["checks"]
    assert checks["check"].size == len(set(checks["check"].values.tolist()))
    tree = xr.DataTree.from_dict({"checks": checks})
    assert [text for text in failed_checks(tree) if "loo_pareto" not in text] == []
    expected = {"quadrature_error", "box_edge", "predictive_correlation", "predictive_at_floor",
                "predictive_mean_KM_1", "predictive_sd_MK_2", "loo_pareto_k_max",
                "loo_pit_uniformity", "power_scaling_prior", "power_scaling_likelihood",
                "sd_subject_at_zero"}  # fmt: skip
    assert expected <= set(checks["check"].values.tolist())


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
    """A reference prior moves nothing; a prior against the data is flagged, and so is a flood.

    Power-scaling of a normal prior with a normal likelihood: sensitive exactly where the prior
    has weight.
    """
    evidence = example_patients(seed=23)
    free = sensitivity_table(fit_of(crossover_model(evidence, load_model("crossover"))))
    assert all(check.passed for check in sensitivity_checks(free))
    against = load_model("crossover").having(priors={"treatment": normal(-6.0, 2.0)})
    table = sensitivity_table(fit_of(crossover_model(evidence, against)))
    checks = {check.name: check for check in sensitivity_checks(table)}
    assert not checks["power_scaling_prior"].passed
    assert checks["power_scaling_likelihood"].passed
    assert "pull" in checks["power_scaling_prior"].meaning


def test_boundaries_are_seen() -> None:
    """Mass at zero of a standard deviation, or at an end of a correlation, fails by its share."""
    rng = np.random.default_rng(3)
    dims = ("chain", "draw")
    draws = xr.Dataset(
        {
            "sd_subject": (dims, np.abs(rng.normal(0, 1, (4, 500)))),
            "sd_within": (dims, np.full((4, 500), 10.0)),
            "correlation": (dims, rng.uniform(0.5, 0.9, (4, 500))),
        }
    )
    zero, end = boundary_checks(draws)
    assert zero.figure == pytest.approx(0.683, abs=0.04)
    assert (zero.passed, end.passed) == (False, True)


def test_failed_checks_say_what_they_mean() -> None:
    """Name, figure, threshold and meaning stand in one sentence; tables join."""
    tables = [
        check_table([Check("one", 2.0, 1.0, False, True, "too large")]),
        check_table([Check("two", 0.0, 1.0, True)]),
    ]
    tree = xr.DataTree.from_dict({"checks": joined_checks(tables)})
    assert failed_checks(tree) == ["check failed: one is 2, threshold 1 (too large)"]
