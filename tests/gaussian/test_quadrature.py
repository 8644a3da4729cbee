"""The kernel under every exact crossover: densities on lines, elimination, inverted series."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.polynomial import legendre
from scipy import stats

from bayes_ptsd.evidence.pairs import CrossoverPairs
from bayes_ptsd.gaussian.linear import NormalComponents, cross_entries, solve
from bayes_ptsd.gaussian.quadrature import series_cdf, series_quantile
from bayes_ptsd.priors import Prior, normal
from bayes_ptsd.structures.crossover.exact import crossover_batch, treatment_batch

FLAT = Prior("flat")


def trials(count: int) -> CrossoverPairs:
    """Return simulated crossovers of 14 patients, two without a second period."""
    rng = np.random.default_rng(11)
    score = 40 + rng.normal(0, 8, (count, 14, 1)) + rng.normal(0, 5, (count, 14, 2))
    score[:, [3, 9], 1] = np.nan
    return CrossoverPairs(score, np.arange(14) < 7, np.arange(14))


def priors(**changes: Prior) -> dict[str, Prior]:
    """Return flat coefficients and half-normal standard deviations, some replaced."""
    sds = dict.fromkeys(("sd_subject", "sd_within"), Prior("half_normal", {"sigma": 20.0}))
    return dict.fromkeys(("level", "period_effect", "treatment"), FLAT) | sds | changes


def test_one_node_is_the_regression_by_matrices() -> None:
    """Mean, covariance and marginal density of dense linear algebra, to 1e-10."""
    rng = np.random.default_rng(3)
    x, y, sd = rng.normal(size=(9, 3)), rng.normal(size=9), 1.7
    prior = NormalComponents(np.zeros(1), np.array([[0.5, -1, 0]]), np.array([[0.2, 3, 1e-3]]))
    rows = np.column_stack([x, y])
    entries = cross_entries((rows.T @ rows)[None, None], prior, np.zeros((1, 3)))
    found = solve(
        entries, [np.full((1, 1), sd**-2)], log_det=np.full((1, 1), 18 * np.log(sd)),
        count=np.array([9.0]), prior=prior, center=np.zeros((1, 3)),
    )  # fmt: skip
    covariance = sd**2 * np.eye(9) + x @ np.diag(1 / prior.precision[0]) @ x.T
    law = stats.multivariate_normal(x @ prior.mean[0], covariance)
    assert found.log_marginal.item() == pytest.approx(law.logpdf(y), rel=1e-10)
    phi = np.linalg.inv(x.T @ x / sd**2 + np.diag(prior.precision[0]))
    mean = phi @ (x.T @ y / sd**2 + prior.precision[0] * prior.mean[0])
    for vector in (np.eye(3)[0], np.eye(3)[2], np.array([1.0, -1, 0.5])):
        center, spread = found.combination(vector)
        assert center.item() == pytest.approx(vector @ mean, rel=1e-10)
        assert spread.item() == pytest.approx(np.sqrt(vector @ phi @ vector), rel=1e-10)


def test_quantiles_are_those_of_a_normal() -> None:
    """A normal within its box as a series: quantiles to 1e-9 of its sd, out to 1e-4."""
    points, weights = legendre.leggauss(48)
    law = stats.truncnorm(-1.1 / 0.16, 0.9 / 0.16, 0.1, 0.16)
    density = law.pdf(points)
    degree = np.arange(48) + 0.5
    series = degree * ((legendre.legvander(points, 47) * weights[:, None]).T @ density)
    p = np.array([1e-4, 0.025, 0.3, 0.5, 0.8, 0.999])
    found = series_quantile(series, p)
    np.testing.assert_allclose(found, law.ppf(p), atol=1.6e-10)
    np.testing.assert_allclose(series_cdf(series, found), p, atol=1e-12)


def test_arrays_are_those_of_the_dataset() -> None:
    """The treatment difference alone, as arrays, is that of the whole table to the last digit."""
    limits = [0.0, 4.0]
    table = crossover_batch(trials(5), priors(), thresholds=limits)
    one = table.sel(estimand="treatment_difference")
    found = treatment_batch(trials(5), priors(), thresholds=limits)
    assert np.array_equal(found.mean[:, 0], one["mean"])
    assert np.array_equal(found.sd[:, 0], one["sd"])
    assert np.array_equal(found.above[:, 0], one["prob_greater"])


def test_a_sharp_prior_leaves_all_digits() -> None:
    """A coefficient known to a millionth, far from the scores, is a known one, to 1e-8."""
    at = {
        width: treatment_batch(trials(3), priors(carryover=normal(9, width)))
        for width in (1e-4, 1e-6)
    }
    np.testing.assert_allclose(at[1e-4].mean, at[1e-6].mean, rtol=1e-8)
    np.testing.assert_allclose(at[1e-4].sd, at[1e-6].sd, rtol=1e-8)
