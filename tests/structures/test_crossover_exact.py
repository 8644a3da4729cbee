"""The exact crossover posterior against published values, brute force, limits and calibration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from crossover_cases import COVARIANCE_PRIORS, FLAT, estimand, half_normal, simulated, vague
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from bayes_ptsd.errors import FitError, SpecError
from bayes_ptsd.evidence.pairs import CrossoverPairs, crossover_pairs
from bayes_ptsd.exact.grid import grid_cdf, grid_quantile
from bayes_ptsd.frequentist import first_period, hills_armitage, reml_crossover
from bayes_ptsd.gaussian.axes import half_normal_logpdf, inverse_sd
from bayes_ptsd.gaussian.problem import solve_problem
from bayes_ptsd.gaussian.summaries import solution_summaries
from bayes_ptsd.priors import Prior, mixture, normal, student_t
from bayes_ptsd.structures.crossover import exact
from bayes_ptsd.structures.crossover.carryover import (
    carryover_sweep,
    carryover_tipping,
    fixed_carryover,
)
from bayes_ptsd.structures.crossover.design import (
    crossover_problem,
)
from bayes_ptsd.structures.crossover.exact import (
    crossover_batch,
    crossover_posterior,
)

TRIALS = {
    "senn_pef": ("pef", "F"),
    "patel_fev1": ("fev1", "A"),
    "raynaud_attacks": ("attacks", "N"),
    "mental_fatigue": ("accuracy", "B"),
}
SDS = {"sigma_s": "sd_subject", "sigma_e": "sd_within"}


def reference(shared: Path, name: str, prior: str, sequence: int) -> dict[str, pd.Series]:
    """Return the Bayesian rows of one trial by parameter."""
    table = pd.read_csv(shared / "data" / "reference_values.csv")
    wanted = table["analysis"].str.contains(rf"prior={prior} .*sequence={sequence}")
    rows = table[(table["dataset"] == name) & wanted]
    return {row["parameter"]: row for _, row in rows.iterrows()}


@pytest.mark.shared
@pytest.mark.parametrize("sequence", [0, 1])
@pytest.mark.parametrize("prior", ["ref", "HN"])
@pytest.mark.parametrize("name", TRIALS)
def test_reference_values(shared: Path, name: str, prior: str, sequence: int) -> None:
    """Every printed posterior of the four public crossovers is met to 1e-3 posterior sd."""
    column, active = TRIALS[name]
    rows = pd.read_csv(shared / "data" / f"{name}.csv")
    pairs = crossover_pairs(
        rows["subject"],
        rows["period"],
        treatment=rows["treatment"],
        score=rows[column],
        active=active,
    )
    half = half_normal(float(rows[column].std()))
    sds = {"sd_subject": FLAT, "sd_within": inverse_sd}
    priors = vague() | (sds if prior == "ref" else {"sd_subject": half, "sd_within": half})
    fit = crossover_posterior(pairs, priors | ({"sequence": FLAT} if sequence else {}))
    expected = reference(shared, name, prior, sequence)
    assert len(expected) in (4, 5)
    ours = estimand(fit, "treatment_difference")
    row = expected["treat posterior mean/sd/95%"]
    tolerance = 1e-3 * float(ours["sd"])
    assert float(ours["mean"]) == pytest.approx(row["estimate"], abs=tolerance)
    assert float(ours["sd"]) == pytest.approx(row["se_or_sd"], abs=tolerance)
    interval = grid_quantile(ours, np.array([0.025, 0.975]))
    np.testing.assert_allclose(interval, [row["lo95"], row["hi95"]], atol=2 * tolerance)
    for text, row in expected.items():
        if text.startswith("P(treat>"):
            above = 1 - grid_cdf(ours, np.array(float(text[8:-1])))
            assert float(above) == pytest.approx(row["estimate"], abs=2e-5)
        if text.split()[0] in SDS:
            sd = estimand(fit, SDS[text.split()[0]])
            slack = 1e-3 * float(sd["sd"])
            assert float(sd["mean"]) == pytest.approx(row["estimate"], abs=slack)


def dense(pairs: CrossoverPairs, *, sign: int, extra: str = "") -> tuple[Any, Any, Any, Any]:
    """Return scores, design (level, period, treatment, extra), subject and period of each row."""
    present = np.isfinite(pairs.score)
    subject, period = np.nonzero(present)
    first = pairs.active_first[subject]
    active = first == (period == 0)
    columns = [np.ones(len(period)), period - 0.5, sign * np.where(active, 0.5, -0.5)]
    if extra == "carryover":
        columns.append(sign * (period == 1) * np.where(first, 0.5, -0.5))
    return pairs.score[present], np.column_stack(columns).astype(float), subject, period


def dense_moments(
    pairs: CrossoverPairs,
    points: Any,
    *,
    sign: int,
    prior_sd: list[float],
    prior_mean: list[float],
    covariance: Callable[[Any, Any, Any], Any],
    extra: str = "",
) -> tuple[Any, Any, Any]:
    """Return log likelihood and treatment's conditional mean and variance at parameters (row)."""
    score, design, subject, period = dense(pairs, sign=sign, extra=extra)
    same = subject[:, None] == subject[None, :]
    mean, scatter = np.array(prior_mean), np.diag(np.square(prior_sd))
    inner = covariance(points, same, period)
    inverse = np.linalg.inv(inner + design @ scatter @ design.T)
    residual = score - design @ mean
    solved = inverse @ residual
    logdet = np.linalg.slogdet(inverse)[1]
    log = 0.5 * (logdet - solved @ residual - len(score) * np.log(2 * np.pi))
    gain = (scatter @ design.T)[2]
    return log, mean[2] + solved @ gain, scatter[2, 2] - gain @ (inverse @ gain).T


def posterior_moments(log: Any, center: Any, spread: Any, points: Any) -> Any:
    """Return what has to be integrated: one, treatment and its square, the parameters."""
    parts = [np.ones_like(center), center, spread + center**2, *points.T]
    return np.exp(log)[:, None] * np.stack(parts, axis=1)


def intercept_covariance(points: Any, same: Any, period: Any) -> Any:
    """Covariances of a random intercept."""
    between, within = np.square(points).T[:, :, None, None]
    return between * same + within * np.eye(len(period))


def bivariate_covariance(points: Any, same: Any, period: Any) -> Any:
    """Covariances with two variances and a correlation."""
    sd = np.where(period == 0, points[:, [0]], points[:, [1]])
    share = np.where(np.eye(len(period)) == 1, 1.0, points[:, 2, None, None] * same)
    return sd[:, :, None] * sd[:, None, :] * share


def test_random_intercept_equals_brute_force() -> None:
    """Mean, sd, evidence and standard deviations equal cubature of the dense likelihood."""
    pairs = simulated(1, count=14, missing=3)
    priors = vague(
        10.0, carryover=normal(0, 6), treatment=normal(2, 15), level=normal(35, 12),
        period_effect=normal(1, 7),
    )  # fmt: skip
    fit = crossover_posterior(pairs, priors, benefit_sign=-1)

    def integrand(points: Any) -> Any:
        log, center, spread = dense_moments(
            pairs,
            points,
            sign=-1,
            prior_sd=[12, 7, 15, 6],
            prior_mean=[35, 1, 2, 0],
            covariance=intercept_covariance,
            extra="carryover",
        )
        log = log + stats.halfnorm(0, 10).logpdf(points).sum(axis=1) + 100
        return posterior_moments(log, center, spread, points)

    low, high = np.array([0, 1.5]), np.array([50, 35])
    total = integrate.cubature(integrand, low, high, rtol=1e-7, atol=0).estimate
    moments = total[1:] / total[0]
    ours = estimand(fit, "treatment_difference")
    assert float(ours["mean"]) == pytest.approx(moments[0], rel=1e-6)
    assert float(ours["sd"]) == pytest.approx(np.sqrt(moments[1] - moments[0] ** 2), rel=1e-6)
    evidence = np.log(total[0]) - 100
    assert fit.attrs["log_marginal_likelihood"] == pytest.approx(evidence, abs=1e-6)
    for name, mean in zip(("sd_subject", "sd_within"), moments[2:], strict=True):
        assert float(estimand(fit, name)["mean"]) == pytest.approx(mean, rel=1e-6)


@pytest.mark.parametrize("both", [[], [0], [0, 2], [0, 1]], ids=len)
def test_few_pairs_equal_brute_force(both: list[int]) -> None:
    """With no, one or two patients with both periods the posterior is proper, and met.

    Two of one sequence leave one residual within patients, the others none: sd_within is then free
    to be zero.
    """
    pairs = simulated(22, count=10, missing=0)
    alone = ~np.isin(np.arange(10), both)
    score = np.where(np.stack([0 * alone, alone], axis=1) == 1, np.nan, pairs.score)
    priors = vague(9.0, treatment=normal(2, 15), level=normal(35, 12), period_effect=normal(1, 7))
    few = replace(pairs, score=score)
    fit = crossover_posterior(few, priors, benefit_sign=-1, draws=10)

    def integrand(points: Any) -> Any:
        log, center, spread = dense_moments(
            few, points, sign=-1, prior_sd=[12, 7, 15], prior_mean=[35, 1, 2],
            covariance=intercept_covariance,
        )  # fmt: skip
        log = log + stats.halfnorm(0, 9).logpdf(points).sum(axis=1) + 40
        return posterior_moments(log, center, spread, points)

    # a corner where both are zero has no density: ten scores vary
    low, high = np.array([1e-6, 1e-6]), np.array([60.0, 60.0])
    total = integrate.cubature(integrand, low, high, rtol=1e-6, atol=0).estimate
    moments = total[1:] / total[0]
    ours = estimand(fit, "treatment_difference")
    assert float(ours["mean"]) == pytest.approx(moments[0], rel=1e-4)
    assert float(ours["sd"]) == pytest.approx(np.sqrt(moments[1] - moments[0] ** 2), rel=1e-4)
    for name, mean in zip(("sd_subject", "sd_within"), moments[2:], strict=True):
        assert float(estimand(fit, name)["mean"]) == pytest.approx(mean, rel=1e-4)


def test_nobody_with_both_periods_is_the_first_period() -> None:
    """Two half-normals add to a Rayleigh sd: the first-period model under it, to 1e-5."""
    pairs = simulated(23, missing=0)
    score = np.stack([pairs.score[:, 0], np.full(20, np.nan)], axis=1)
    nobody = replace(pairs, score=score)
    fit = crossover_posterior(nobody, vague(9.0, period_effect=normal(0, 40)), draws=10)

    def rayleigh(sd: Any) -> Any:
        return np.log(sd) - sd**2 / 162

    plain = {"level": FLAT, "treatment": FLAT, "sd_residual": rayleigh}
    alone = crossover_posterior(nobody, plain, covariance="first_period", draws=10)
    ours, theirs = (estimand(one, "treatment_difference") for one in (fit, alone))
    assert float(ours["mean"]) == pytest.approx(float(theirs["mean"]), rel=1e-5)
    assert float(ours["sd"]) == pytest.approx(float(theirs["sd"]), rel=1e-5)


def additive(between: float, *, by_period: bool = False, shift: float = 0.0) -> CrossoverPairs:
    """Return twelve patients whose differences are all the same, of treatments or periods."""
    first = np.arange(12) < 6
    score = 40 + 3.0 * np.arange(12)[:, None] + np.zeros((12, 2))
    step = np.full(12, between) if by_period else np.where(first, -between, between + shift)
    score[:, 1] += step
    return CrossoverPairs(score, first, np.arange(12))


ADDITIVE = {
    "all 12 within-patient differences between the treatments are 5": additive(5.0),
    "all 12 within-patient differences between the periods are 11": additive(11.0, by_period=True),
    "12 within-patient differences do not vary within the sequences": additive(5.0, shift=0.5),
}
CONTRASTS = dict(zip(ADDITIVE, (5.0, 0.0, 5.25), strict=True))


@pytest.mark.parametrize("message", ADDITIVE)
def test_patients_without_residual_variation_are_named(message: str) -> None:
    """One true sentence under half-normal priors, which nobody is advised to take, in either form.

    A log-normal prior of sd_within has no density at zero: its posterior is proper, and there.
    """
    pairs = ADDITIVE[message]
    with pytest.raises(FitError, match=message) as caught:
        crossover_posterior(pairs, vague())
    assert "half_normal" not in str(caught.value)
    with pytest.raises(FitError, match="no residual variation"):
        crossover_posterior(pairs, COVARIANCE_PRIORS["bivariate"], covariance="bivariate")
    own = vague() | {"sd_within": Prior("log_normal", {"mu": 1.5, "sigma": 0.5})}
    found = estimand(crossover_posterior(pairs, own, draws=10), "treatment_difference")
    assert float(found["mean"]) == pytest.approx(CONTRASTS[message], abs=1e-6)


def test_an_empty_cell_has_a_posterior_where_it_is_proper() -> None:
    """A sequence without second period: near REML (.25 SE); without any, one true sentence.

    Following the sentence works: a proper prior of the period effect.
    """
    pairs = simulated(24, count=12, missing=0)
    half = np.where(pairs.active_first[:, None] | [True, False], pairs.score, np.nan)
    cell = replace(pairs, score=half)
    row = reml_crossover(cell, benefit_sign=-1).sel(estimand="treatment_difference")
    fit = crossover_posterior(cell, vague(), benefit_sign=-1, draws=10)
    mean = float(estimand(fit, "treatment_difference")["mean"])
    assert mean == pytest.approx(float(row["estimate"]), abs=0.25 * float(row["se"]))
    late = replace(pairs, score=np.where([True, False], pairs.score, np.nan))
    with pytest.raises(SpecError, match=r"flat priors on level, period_effect .* period_effect="):
        crossover_posterior(late, vague())
    told = vague(period_effect=normal(0, 20))
    assert crossover_posterior(late, told, draws=10)["posterior"].sizes["draw"] == 10


def test_singular_nodes_leave_finite_moments() -> None:
    """Two patients in all: nodes at correlations of +-1 are singular, and moments are numbers."""
    pairs = simulated(25, count=2, missing=0)
    priors = dict.fromkeys(("level", "period_effect", "treatment"), FLAT) | {
        name: COVARIANCE_PRIORS["bivariate"][name] for name in ("sd_period", "correlation")
    }
    problem = crossover_problem(pairs, priors, benefit_sign=1, covariance="bivariate")
    solved = solve_problem(problem, tolerance=1.0, nodes=24)
    assert np.isfinite(solved.weight).all()
    assert np.isfinite(solution_summaries(solved, (0.0,))["mean"]).all()


def test_bivariate_equals_brute_force() -> None:
    """The same with two variances and a correlation, by the trapezoid rule in three dimensions."""
    pairs = simulated(2, count=10, missing=2)
    priors = {
        "level": normal(35, 12),
        "period_effect": normal(1, 7),
        "treatment": normal(0, 15),
        "sd_period": Prior("log_normal", {"mu": np.log(10), "sigma": 0.3}),
        "correlation": Prior("beta", {"shape1": 2, "shape2": 2}),
    }
    fit = crossover_posterior(pairs, priors, benefit_sign=-1, covariance="bivariate", draws=10)
    logs, z = np.linspace(np.log(10) - 1.6, np.log(10) + 1.6, 30), np.linspace(-3.6, 3.6, 40)
    grid = np.stack([g.ravel() for g in np.meshgrid(logs, logs, z, indexing="ij")], axis=1)
    points = np.column_stack([np.exp(grid[:, :2]), np.tanh(grid[:, 2])])
    prior = stats.norm(np.log(10), 0.3).logpdf(grid[:, :2]).sum(axis=1)
    rho = points[:, 2]
    prior += stats.beta(2, 2).logpdf((1 + rho) / 2) - np.log(2) + np.log1p(-(rho**2))
    parts = [
        dense_moments(
            pairs,
            part,
            sign=-1,
            prior_sd=[12, 7, 15],
            prior_mean=[35, 1, 0],
            covariance=bivariate_covariance,
        )
        for part in np.array_split(points, 20)
    ]
    log, center, spread = (np.concatenate(column) for column in zip(*parts, strict=True))
    total = posterior_moments(log + prior + 60, center, spread, points).sum(axis=0)
    moments = total[1:] / total[0]
    ours = estimand(fit, "treatment_difference")
    assert float(ours["mean"]) == pytest.approx(moments[0], rel=1e-5)
    assert float(ours["sd"]) == pytest.approx(np.sqrt(moments[1] - moments[0] ** 2), rel=1e-5)
    volume = (logs[1] - logs[0]) ** 2 * (z[1] - z[0])
    evidence = np.log(total[0] * volume) - 60
    assert fit.attrs["log_marginal_likelihood"] == pytest.approx(evidence, abs=1e-5)
    names = ("sd_period[1]", "sd_period[2]", "correlation")
    for name, mean in zip(names, moments[2:], strict=True):
        assert float(estimand(fit, name)["mean"]) == pytest.approx(mean, rel=1e-5)


@pytest.mark.parametrize("prior", ["ref", "HN"])
def test_flat_coefficients_equal_brute_force(prior: str) -> None:
    """The twin of the reference values: flat means, both priors, one-period patients included."""
    pairs = simulated(3, count=14, missing=2)
    sds = {"sd_subject": FLAT, "sd_within": inverse_sd} if prior == "ref" else {}
    fit = crossover_posterior(pairs, vague(9.0) | sds)
    score, design, subject, period = dense(pairs, sign=1)
    same = subject[:, None] == subject[None, :]

    def integrand(points: Any) -> Any:
        inverse = np.linalg.inv(intercept_covariance(points, same, period))
        phi = np.linalg.inv(design.T @ inverse @ design)
        center = phi @ (design.T @ inverse @ score)[:, :, None]
        residual = score - (design @ center)[:, :, 0]
        square = np.einsum("pi,pij,pj->p", residual, inverse, residual)
        log = 0.5 * (np.linalg.slogdet(inverse)[1] + np.linalg.slogdet(phi)[1] - square) + 60
        half = -0.5 * np.square(points).sum(axis=1) / 81
        log += -np.log(points[:, 1]) if prior == "ref" else half
        return posterior_moments(log, center[:, 2, 0], phi[:, 2, 2], points)

    high = np.array([150.0 if prior == "ref" else 45, 60])
    total = integrate.cubature(integrand, np.array([0, 1.5]), high, rtol=1e-7, atol=0).estimate
    moments = total[1:] / total[0]
    ours = estimand(fit, "treatment_difference")
    assert float(ours["mean"]) == pytest.approx(moments[0], rel=1e-5)
    assert float(ours["sd"]) == pytest.approx(np.sqrt(moments[1] - moments[0] ** 2), rel=1e-5)
    assert float(estimand(fit, "sd_subject")["mean"]) == pytest.approx(moments[2], rel=1e-4)
    assert float(estimand(fit, "sd_within")["mean"]) == pytest.approx(moments[3], rel=1e-5)


@given(seed=st.integers(0, 10_000), sign=st.sampled_from([1, -1]))
@settings(max_examples=25)
def test_flat_priors_and_complete_pairs_give_hills_armitage(seed: int, sign: int) -> None:
    """Without prior information and missing periods the posterior mean is the classic estimate."""
    pairs = simulated(seed, missing=0)
    table = crossover_batch(replace(pairs, score=pairs.score[None]), vague(), benefit_sign=sign)
    classic = hills_armitage(pairs, benefit_sign=sign)
    for name in ("treatment_difference", "period_effect"):
        expected = float(classic["estimate"].sel(estimand=name))
        assert float(table["mean"].sel(estimand=name).item()) == pytest.approx(expected, abs=1e-8)


def test_patients_who_barely_vary_are_resolved() -> None:
    """Within-patient noise of a hundred-thousandth of the scores leaves t around Hills-Armitage.

    Under a flat prior on sd_within, n complete pairs leave Student-t with n - 3 degrees of
    freedom, whose sd is the standard error times sqrt((n - 2) / (n - 5)).
    """
    tiny = simulated(8, missing=0)
    mean = tiny.score.mean(axis=1, keepdims=True)
    pairs = replace(tiny, score=mean + 2e-5 * (tiny.score - mean))
    fit = crossover_posterior(pairs, vague(), benefit_sign=-1)
    table = hills_armitage(pairs, benefit_sign=-1).sel(estimand="treatment_difference")
    ours, n = estimand(fit, "treatment_difference"), len(pairs.subject)
    se = float(table["se"])
    assert float(ours["mean"]) == pytest.approx(float(table["estimate"]), abs=1e-3 * se)
    assert float(ours["sd"]) == pytest.approx(se * np.sqrt((n - 2) / (n - 5)), rel=1e-3)


def test_flat_carryover_gives_the_first_period_contrast() -> None:
    """Completers with a flat carryover, and the limit of wide ones: the first-period difference."""
    pairs = simulated(4).completers()
    expected = float(first_period(pairs, benefit_sign=-1)["estimate"].item())
    sweep = carryover_sweep(pairs, vague(), sds=[0, 2, 20, 1e6, np.inf], benefit_sign=-1)
    classic = float(hills_armitage(pairs, benefit_sign=-1)["estimate"][0])
    mean = sweep["mean"].values
    assert mean[0] == pytest.approx(classic, abs=1e-8)
    assert mean[-1] == pytest.approx(expected, abs=1e-8)
    assert mean[-2] == pytest.approx(expected, abs=1e-6)
    assert (np.diff(np.abs(mean - classic)) >= -1e-6).all()
    assert (np.diff(sweep["sd"].values) > -1e-9).all()


def test_known_carryover_shifts_the_within_patient_contrast_by_half() -> None:
    """With complete pairs a known carryover adds half of itself; the tipping point is met."""
    pairs = simulated(5, missing=0)
    known = fixed_carryover(pairs, vague(), values=[-4.0, 0.0, 4.0], benefit_sign=-1)
    shift = known["mean"].values - known["mean"].sel(carryover=0.0).item()
    np.testing.assert_allclose(shift, [-2, 0, 2], atol=1e-8)
    tipping = carryover_tipping(pairs, vague(), probability=0.95, benefit_sign=-1)
    at = fixed_carryover(pairs, vague(), values=[tipping], benefit_sign=-1)
    assert float(at["prob_benefit"].item()) == pytest.approx(0.95, abs=1e-6)


def test_known_carryover_is_that_of_the_model() -> None:
    """As under a carryover prior without width, whatever the priors of level and period say."""
    pairs = simulated(5, missing=4)
    priors = vague() | {"level": normal(45, 3), "period_effect": normal(0, 2)}
    known = fixed_carryover(pairs, priors, values=[6.0], benefit_sign=-1)
    sharp = crossover_batch(pairs, priors | {"carryover": normal(6, 1e-5)}, benefit_sign=-1)
    for key in ("mean", "sd"):
        found = sharp[key].sel(estimand="treatment_difference").item()
        # two integrations, each to about a millionth of its posterior sd
        assert known[key].item() == pytest.approx(found, abs=2e-5), key


def test_a_tipping_carryover_out_of_reach_is_nan() -> None:
    """A prior that settles the question leaves no carryover that could overturn it."""
    settled = vague() | {"treatment": normal(10, 0.01)}
    assert np.isnan(carryover_tipping(simulated(5), settled, benefit_sign=-1))


def test_one_period_patients_win_precision() -> None:
    """On average over 60 trials the posterior is narrower with one-period patients than without."""
    rng = np.random.default_rng(6)
    count, alone = 24, 8
    score = 40 + rng.normal(0, 6, (60, count, 1)) + rng.normal(0, 6, (60, count, 2))
    score[:, :alone, 1] = np.nan
    everyone = CrossoverPairs(score, np.arange(count) % 2 == 0, np.arange(count))
    complete = CrossoverPairs(
        score[:, alone:], everyone.active_first[alone:], everyone.subject[alone:]
    )
    sds = [
        crossover_batch(pairs, vague())["sd"].sel(estimand="treatment_difference")
        for pairs in (everyone, complete)
    ]
    ratio = sds[0] / sds[1]
    assert float(ratio.mean()) < 0.95
    assert float((ratio < 1).mean()) > 0.7


@pytest.mark.parametrize("period", [0, 1])
def test_either_period_alone_informs(period: int) -> None:
    """A patient with one period, whichever it is, moves the mean of that period."""
    pairs = simulated(7, missing=0)
    score = pairs.score.copy()
    score[0, 1 - period] = np.nan
    score[0, period] += 100
    fits = [
        crossover_posterior(replace(pairs, score=table), vague(), draws=1)
        for table in (score, score - np.array([[100.0, 100.0]] + [[0.0, 0.0]] * 19))
    ]
    means = [
        float(estimand(fit, "level")["mean"])
        + (period - 0.5) * float(estimand(fit, "period_effect")["mean"])
        for fit in fits
    ]
    assert means[0] > means[1] + 1


@pytest.mark.parametrize(
    "prior",
    [
        student_t(3, 2, 4),
        Prior("cauchy", {"mu": 0, "sigma": 3}),
        mixture([0.7, 0.3], [normal(8, 2), normal(0, 20)]),
        mixture([0.5, 0.5], [student_t(4, 0, 2), normal(0, 5)]),
    ],
)
def test_heavy_tailed_priors_reweight_the_flat_posterior(prior: Prior) -> None:
    """Any treatment prior times the posterior under a flat one gives the posterior under it."""
    pairs = simulated(8)
    flat = estimand(crossover_posterior(pairs, vague(), draws=1), "treatment_difference")
    fit = crossover_posterior(pairs, vague(treatment=prior), draws=1)
    ours = estimand(fit, "treatment_difference")
    value = flat["value"].values
    weight = flat["pdf"].values * prior.pdf(value)
    total = integrate.simpson(weight, x=value)
    mean = integrate.simpson(weight * value, x=value) / total
    spread = integrate.simpson(weight * (value - mean) ** 2, x=value) / total
    assert float(ours["mean"]) == pytest.approx(mean, rel=1e-5)
    assert float(ours["sd"]) == pytest.approx(np.sqrt(spread), rel=1e-5)


def test_uniform_standard_deviations_end_where_their_prior_ends() -> None:
    """A prior with an upper end inside the likelihood keeps its mass and its end."""
    pairs = simulated(9)
    bounded = Prior("uniform", {"low": 0.0, "high": 6.0})
    fit = crossover_posterior(pairs, vague() | {"sd_subject": bounded}, draws=500)
    exact = estimand(fit, "sd_subject")
    assert float(exact["value"].max()) == pytest.approx(6, abs=1e-9)
    assert float(exact["pdf"][-1]) > 0.1
    draws = fit["posterior"]["sd_subject"].values.ravel()
    assert draws.max() < 6
    assert stats.kstest(draws, lambda x: grid_cdf(exact, x)).pvalue > 1e-3


def first_period_priors(sd: Any) -> dict[str, Any]:
    """Return flat priors on the coefficients of the first period."""
    return {"level": FLAT, "treatment": FLAT, "baseline_slope": FLAT, "sd_residual": sd}


def test_first_period_is_the_analysis_of_covariance() -> None:
    """Flat coefficients and 1/sd return the Student-t of the analysis of covariance."""
    rng = np.random.default_rng(10)
    pairs = replace(simulated(10), baseline=rng.normal(50, 9, 20))
    fit = crossover_posterior(
        pairs, first_period_priors(inverse_sd), benefit_sign=-1, covariance="first_period"
    )
    row = first_period(pairs, benefit_sign=-1, adjusted=True).isel(estimand=0)
    ours = estimand(fit, "treatment_difference")
    theirs = stats.t(float(row["df"]), float(row["estimate"]), float(row["se"]))
    p = np.array([0.001, 0.025, 0.5, 0.9, 0.999])
    np.testing.assert_allclose(grid_quantile(ours, p), theirs.ppf(p), rtol=1e-6)


def test_half_normal_is_scipys() -> None:
    """The written-out log density of a half-normal is SciPy's, and none below zero."""
    sd = np.array([-1.0, 0.0, 0.3, 15.0, 400.0])
    expected = stats.halfnorm(0, 15).logpdf(sd)
    np.testing.assert_allclose(half_normal_logpdf(sd, sigma=15.0), expected, rtol=1e-14)


def test_blocks_of_a_batch_are_one_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven data sets, each with its baseline, are in blocks of three what they are in one."""
    rng = np.random.default_rng(5)
    score = 40 + rng.normal(0, 8, (7, 12, 1)) + rng.normal(0, 5, (7, 12, 2))
    pairs = CrossoverPairs(score, np.arange(12) < 6, np.arange(12), rng.normal(0, 1, (7, 12)))
    half = half_normal(20.0)
    priors = vague() | {"sd_subject": half, "sd_within": half, "baseline_slope": normal(0, 1)}
    whole = crossover_batch(pairs, priors)
    monkeypatch.setattr(exact, "BLOCK", 3)
    xr.testing.assert_allclose(crossover_batch(pairs, priors), whole, rtol=1e-9)
