"""Draws, batches and refusals of the exact crossover posterior."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xarray as xr
from crossover_cases import COVARIANCE_PRIORS, FLAT, estimand, half_normal, simulated, vague
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from bayes_ptsd.errors import FitError, SpecError
from bayes_ptsd.evidence.pairs import CrossoverPairs
from bayes_ptsd.exact.grid import grid_cdf
from bayes_ptsd.gaussian.axes import inverse_sd, sd_axis
from bayes_ptsd.gaussian.designs import covariance_axes
from bayes_ptsd.gaussian.linear import normal_components
from bayes_ptsd.priors import Prior, mixture, normal
from bayes_ptsd.structures.crossover.carryover import (
    carryover_sweep,
    carryover_tipping,
)
from bayes_ptsd.structures.crossover.design import (
    crossover_design,
    first_period_design,
)
from bayes_ptsd.structures.crossover.exact import (
    crossover_batch,
    crossover_batch_draws,
    crossover_posterior,
)


def test_exact_group_is_a_distribution() -> None:
    """Densities integrate to one, distribution functions rise from 0 to 1 and give the moments."""
    exact = crossover_posterior(simulated(11), vague(carryover=normal(0, 5)), draws=1)["exact"]
    for name in exact["estimand"].values:
        one = exact.to_dataset().sel(estimand=name)
        value, pdf = one["value"].values, one["pdf"].values
        assert integrate.simpson(pdf, x=value) == pytest.approx(1, abs=1e-5)
        mean = integrate.simpson(pdf * value, x=value)
        assert mean == pytest.approx(float(one["mean"]), abs=1e-4 * float(one["sd"]))
        assert (np.diff(one["cdf"].values) >= -1e-15).all()
        assert float(one["cdf"][0]) < 1e-8
        assert float(one["cdf"][-1]) > 1 - 1e-8


@pytest.mark.parametrize("covariance", COVARIANCE_PRIORS)
def test_draws_follow_the_exact_distribution(covariance: str) -> None:
    """Draws of every parameter pass Kolmogorov-Smirnov against the exact distribution function."""
    fit = crossover_posterior(
        simulated(12), COVARIANCE_PRIORS[covariance], covariance=covariance, seed=12
    )
    posterior = fit["posterior"].to_dataset()
    periods = {"period": 2} if covariance == "bivariate" else {}
    assert dict(posterior.sizes) == {"chain": 1, "draw": 4000, **periods}
    for name in map(str, fit["exact"]["estimand"].values):
        stem, _, index = name.rstrip("]").partition("[")
        draws = posterior[stem].sel(period=int(index)) if index else posterior[stem]
        assert len(np.unique(draws)) == 4000
        test = stats.kstest(draws.values.ravel(), lambda x: grid_cdf(estimand(fit, name), x))  # noqa: B023
        assert test.pvalue > 1e-3, name


def test_draws_are_joint() -> None:
    """Correlations between drawn parameters are those of the nodes, not those of their margins."""
    fit = crossover_posterior(simulated(13), vague(carryover=normal(0, 8)), draws=20000)
    draws = fit["posterior"].to_dataset().isel(chain=0)
    contrast = draws["treatment_difference"] - draws["carryover"] / 2
    np.testing.assert_allclose(contrast, draws["within_patient_contrast"])
    pair = np.corrcoef(draws["treatment_difference"], draws["carryover"])[0, 1]
    variances = [float(estimand(fit, n)["sd"]) ** 2 for n in
                 ("treatment_difference", "carryover", "within_patient_contrast")]  # fmt: skip
    implied = (variances[0] + variances[1] / 4 - variances[2]) / np.sqrt(
        variances[0] * variances[1]
    )
    assert pair == pytest.approx(implied, abs=0.02)


def prior_draws(covariance: str, size: int, rng: np.random.Generator) -> dict[str, Any]:
    """Draw all parameters of a model from its prior."""
    found = {}
    for name, prior in COVARIANCE_PRIORS[covariance].items():
        columns = 2 if name == "sd_period" else 1
        found[name] = prior.quantile(rng.uniform(size=(size, columns)))
    if "correlation" in found:
        found["correlation"] = 2 * found["correlation"] - 1
    return found


def simulate_from(truth: Mapping[str, Any], active_first: Any, rng: np.random.Generator) -> Any:
    """Simulate scores, lower better, with a third of the second periods missing."""
    size, count = len(truth["treatment"]), len(active_first)
    half = np.where(active_first, 0.5, -0.5)
    coded, late = np.stack([half, -half], axis=1), np.stack([0 * half, half], axis=1)
    period = truth["period_effect"][:, :, None] * np.array([-0.5, 0.5])
    mean = truth["level"][:, :, None] + period - truth["treatment"][:, :, None] * coded
    mean = mean - truth["carryover"][:, :, None] * late
    noise = rng.normal(size=(size, count, 3))
    if "correlation" in truth:
        rho = truth["correlation"]
        second = rho * noise[..., 0] + np.sqrt(1 - rho**2) * noise[..., 1]
        score = mean + truth["sd_period"][:, None, :] * np.stack([noise[..., 0], second], axis=-1)
    else:
        subject = truth["sd_subject"][:, :, None] * noise[..., 2:]
        score = mean + subject + truth["sd_within"][:, :, None] * noise[..., :2]
    score[:, ::3, 1] = np.nan
    return score


@pytest.mark.parametrize("covariance", COVARIANCE_PRIORS)
def test_posteriors_are_calibrated(covariance: str) -> None:
    """Ranks of prior draws among posterior draws are uniform, standard deviations included."""
    rng = np.random.default_rng(14)
    active_first = np.arange(15) % 2 == 0
    truth = prior_draws(covariance, 100, rng)
    pairs = CrossoverPairs(simulate_from(truth, active_first, rng), active_first, np.arange(15))
    draws = crossover_batch_draws(
        pairs,
        COVARIANCE_PRIORS[covariance],
        benefit_sign=-1,
        covariance=covariance,
        draws=99,
        seed=15,
    )
    for name, values in truth.items():
        drawn = draws["treatment_difference" if name == "treatment" else name]
        for column in range(values.shape[1]):
            one = drawn.isel(period=column) if "period" in drawn.dims else drawn
            ranks = (one.values < values[:, [column]]).sum(axis=1)
            counts = np.histogram(ranks, bins=10, range=(-0.5, 99.5))[0]
            assert stats.chisquare(counts).pvalue > 1e-3, name


def test_batch_equals_one_by_one() -> None:
    """A batch with different missing periods gives what each data set gives alone."""
    tables = [simulated(seed, missing=seed % 4) for seed in range(30, 36)]
    batch = replace(tables[0], score=np.stack([table.score for table in tables]))
    priors = vague(carryover=normal(0, 5))
    table = crossover_batch(batch, priors, benefit_sign=-1, thresholds=[0.0, 5.0])
    for number, pairs in enumerate(tables):
        fit = crossover_posterior(pairs, priors, benefit_sign=-1, draws=1)
        ours, alone = table.isel(dataset=number), fit["exact"].to_dataset()
        np.testing.assert_allclose(ours["mean"], alone["mean"], rtol=1e-4)
        np.testing.assert_allclose(ours["sd"], alone["sd"], rtol=1e-4)
        evidence = float(ours["log_marginal_likelihood"])
        assert evidence == pytest.approx(fit.attrs["log_marginal_likelihood"], abs=1e-4)
        above = 1 - grid_cdf(estimand(fit, "treatment_difference"), np.array(5.0))
        probability = ours["prob_greater"].sel(estimand="treatment_difference", threshold=5.0)
        assert float(probability) == pytest.approx(float(above), abs=1e-5)


@given(seed=st.integers(0, 10_000), shift=st.floats(-1e4, 1e4), factor=st.floats(1e-3, 1e3))
@settings(max_examples=20)
def test_posterior_is_equivariant(seed: int, shift: float, factor: float) -> None:
    """A change of origin or unit, priors with it, changes origin or unit of the posterior."""
    pairs = simulated(seed)
    score = np.stack([pairs.score, pairs.score])
    before = crossover_batch(replace(pairs, score=score), vague(10.0))
    moved = replace(pairs, score=score * factor + shift)
    after = crossover_batch(moved, vague(10.0 * factor))
    for name in ("treatment_difference", "sd_subject", "sd_within"):
        expected = factor * before.sel(estimand=name)
        found = after.sel(estimand=name)
        np.testing.assert_allclose(found["mean"], expected["mean"], rtol=2e-4, atol=1e-6 * factor)
        np.testing.assert_allclose(found["sd"], expected["sd"], rtol=2e-4)


def test_flipping_the_endpoint_flips_the_scores() -> None:
    """Lower better on negated scores is higher better on the scores."""
    pairs = simulated(16)
    higher = crossover_posterior(pairs, vague(carryover=normal(1, 5)), draws=1)
    lower = crossover_posterior(
        replace(pairs, score=-pairs.score), vague(carryover=normal(1, 5)), benefit_sign=-1, draws=1
    )
    for name in ("treatment_difference", "carryover", "sd_within"):
        np.testing.assert_allclose(estimand(higher, name)["mean"], estimand(lower, name)["mean"])


def test_baseline_enters_centered_and_per_period() -> None:
    """A baseline that explains the scores narrows the posterior and leaves slopes per period."""
    rng = np.random.default_rng(17)
    pairs = simulated(17, missing=0)
    between = pairs.score.mean(axis=1)
    informed = replace(pairs, baseline=between + rng.normal(0, 2, len(between)))
    fit = crossover_posterior(informed, vague(baseline_slope=normal(0.5, 0.3)), draws=200)
    assert fit["posterior"]["baseline_slope"].dims == ("chain", "draw", "period")
    plain = crossover_posterior(informed, vague(), draws=1)
    ours, bare = estimand(fit, "sd_subject"), estimand(plain, "sd_subject")
    assert float(ours["mean"]) < 0.5 * float(bare["mean"])


def test_seed_decides_the_draws() -> None:
    """One seed repeats bit for bit; another gives other draws and the same exact group."""
    fits = [crossover_posterior(simulated(18), vague(), draws=50, seed=s) for s in (1, 1, 2)]
    first, again, other = (fit["posterior"].to_dataset() for fit in fits)
    xr.testing.assert_identical(first, again)
    assert not np.allclose(first["sd_subject"], other["sd_subject"])
    xr.testing.assert_identical(fits[0]["exact"].to_dataset(), fits[2]["exact"].to_dataset())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"treatment": half_normal(5.0)}, "prior of 'treatment' is half_normal"),
        ({"carryover": FLAT, "sequence": FLAT}, "carryover, sequence"),
        ({"carryovr": FLAT}, "did you mean 'carryover'"),
        ({"sd_subject": inverse_sd}, "behaves like 1/sd"),
        ({"sd_within": normal(0, 5)}, "prior of 'sd_within' reaches from -inf"),
        ({"treatment": inverse_sd}, "must be a Prior"),
        ({"baseline_slope": FLAT}, "the patients have no baseline"),
    ],
)
def test_models_that_cannot_be_are_refused(changes: dict[str, Any], message: str) -> None:
    """Each wrong prior has its message, with the name of the parameter."""
    with pytest.raises(SpecError, match=message):
        crossover_posterior(simulated(19), vague() | changes)


@pytest.mark.parametrize("name", ["treatment", "level", "period_effect", "sd_subject"])
def test_missing_priors_are_named(name: str) -> None:
    """A model without one of its priors says which."""
    priors = {key: prior for key, prior in vague().items() if key != name}
    with pytest.raises(SpecError, match=f"no prior for '{name}'"):
        crossover_posterior(simulated(19), priors)


def test_requests_that_cannot_be_are_refused() -> None:
    """A wrong covariance, sign, or shape of the data has its message."""
    pairs = simulated(19)
    with pytest.raises(SpecError, match="did you mean 'bivariate'"):
        crossover_posterior(pairs, vague(), covariance="bivariat")
    with pytest.raises(SpecError, match="benefit_sign is 0"):
        crossover_posterior(pairs, vague(), benefit_sign=0)
    batch = replace(pairs, score=pairs.score[None])
    with pytest.raises(SpecError, match="crossover_batch"):
        crossover_posterior(batch, vague())
    with pytest.raises(SpecError, match="one data set at a time"):
        carryover_sweep(batch, vague(), sds=[0])
    with pytest.raises(SpecError, match="standard deviation is -1"):
        carryover_sweep(pairs, vague(), sds=[-1])
    with pytest.raises(SpecError, match=r"probability is 1\.5"):
        carryover_tipping(pairs, vague(), probability=1.5)


def test_improper_posteriors_are_refused() -> None:
    """Too few patients for flat standard deviations, or no variation, end in an error."""
    flat = vague() | {"sd_subject": FLAT, "sd_within": inverse_sd}
    few = CrossoverPairs(
        np.array([[1.0, 2], [3, 5], [4, 4.5]]), np.array([True, False, True]), np.arange(3)
    )
    with pytest.raises(FitError, match=r"^the posterior of the standard deviations"):
        crossover_posterior(few, flat)
    same = CrossoverPairs(np.ones((8, 2)), np.arange(8) < 4, np.arange(8))
    with pytest.raises(FitError, match="no residual variation"):
        crossover_posterior(same, vague())


def test_a_prior_with_a_jump_is_refused() -> None:
    """A density that quadrature cannot resolve is reported, not integrated wrongly."""

    def jump(sd: Any) -> Any:
        return np.where(sd < 8, 0.0, -1.0)

    with pytest.raises(FitError, match="relative error"):
        crossover_posterior(simulated(20), vague() | {"sd_subject": jump})


def test_coordinates_of_standard_deviations() -> None:
    """Coordinate 0 is zero where an sd may be zero, and the scale where it may not: exp(0)."""
    half = Prior("half_normal", {"sigma": 15.0})
    _, axes = covariance_axes(
        "random_intercept", {"sd_subject": half, "sd_within": half}, linear=()
    )
    scale, zero = np.array(12.0), np.array(0.0)
    assert [(axis.kind, float(axis.value(zero, scale))) for axis in axes] == [
        ("from_zero", 0.0),
        ("log", 12.0),
    ]


def test_sd_that_may_be_zero_needs_an_integrable_prior() -> None:
    """The prior 1/sd is refused where the sd may be zero, and taken where it may not."""
    assert sd_axis("sd_within", inverse_sd, may_be_zero=False).kind == "log"
    with pytest.raises(SpecError, match="sd_subject"):
        sd_axis("sd_subject", inverse_sd, may_be_zero=True)


def test_columns_of_the_designs() -> None:
    """Period effects are second minus first, and a benefit of lower scores enters with a minus."""
    table = CrossoverPairs(
        np.array([[5.0, 7.0], [8.0, 4.0]]), np.array([True, False]), np.array([1, 2])
    )
    flat = dict.fromkeys(["level", "period_effect", "treatment"], Prior("flat"))
    design = crossover_design(table, flat, benefit_sign=-1)
    expected = [[[1, -0.5, -0.5], [1, 0.5, 0.5]], [[1, -0.5, 0.5], [1, 0.5, -0.5]]]
    np.testing.assert_array_equal(design.columns[0], expected)
    del flat["period_effect"]
    first = first_period_design(table, flat, benefit_sign=-1)
    assert list(first.estimands) == ["treatment_difference", "level"]
    np.testing.assert_array_equal(first.columns[0], [[[1, -0.5], [0, 0]], [[1, 0.5], [0, 0]]])


def test_mixture_prior_is_two_components() -> None:
    """A mixture of N(0, 1) and N(0, 5²) has the precisions 1 and 1/25 and its own weights."""
    prior = mixture([0.8, 0.2], [normal(0, 1), normal(0, 5)])
    found = normal_components({"treatment": prior})
    np.testing.assert_allclose(found.precision, [[1.0], [0.04]])
    np.testing.assert_allclose(np.exp(found.log_weight), [0.8, 0.2])
