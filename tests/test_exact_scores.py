"""Proper scores: closed forms, exact sums, and that the truth scores best."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

from bayes_ptsd.errors import SpecError
from bayes_ptsd.exact.history import Heterogeneity, normal_trials
from bayes_ptsd.exact.meta import map_posterior, normal_mixtures
from bayes_ptsd.exact.mixture import Mixture
from bayes_ptsd.exact.scores import crps_discrete, crps_mixture, log_score_mixture
from bayes_ptsd.priors import Prior

TWO = Mixture(np.array([0.3, 0.7]), np.array([-1.0, 2.5]), np.array([0.5, 2.0]))


def normal(center: float, spread: float) -> Mixture:
    """Return one normal as a mixture."""
    return Mixture(np.ones(1), np.array([center]), np.array([spread]))


@pytest.mark.parametrize("y", [-4.0, 0.0, 0.3, 7.0])
def test_crps_of_a_normal_is_its_closed_form(y: float) -> None:
    """CRPS of N(m, s) is s (z (2 Phi(z) - 1) + 2 phi(z) - 1/sqrt(pi)), z = (y - m)/s."""
    z = (y - 1.5) / 2
    wanted = 2 * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / np.sqrt(np.pi))
    assert crps_mixture(normal(1.5, 2.0), y) == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("y", [-4.0, 0.0, 2.0, 9.0])
def test_crps_is_the_integrated_squared_distance(y: float) -> None:
    """Of a mixture it is the integral of (F - step)^2, and of log score the density."""
    below = integrate.quad(lambda x: TWO.below(np.array([x]))[0] ** 2, -40, y)[0]
    above = integrate.quad(lambda x: (1 - TWO.below(np.array([x]))[0]) ** 2, y, 40)[0]
    assert crps_mixture(TWO, y) == pytest.approx(below + above, abs=1e-7)
    assert log_score_mixture(TWO, y) == pytest.approx(np.log(TWO.density(np.array([y]))[0]))


def test_scores_follow_shift_and_unit() -> None:
    """Shifting both changes nothing; in another unit CRPS is in it, the log score loses its log."""
    moved = Mixture(TWO.weight, TWO.center + 10, TWO.spread)
    scaled = Mixture(TWO.weight, TWO.center * 3, TWO.spread * 3)
    assert crps_mixture(moved, 11.0) == pytest.approx(crps_mixture(TWO, 1.0), abs=1e-12)
    assert crps_mixture(scaled, 3.0) == pytest.approx(3 * crps_mixture(TWO, 1.0), abs=1e-12)
    lost = log_score_mixture(TWO, 1.0) - np.log(3)
    assert log_score_mixture(scaled, 3.0) == pytest.approx(lost, abs=1e-12)


def test_many_components_are_summed_in_parts() -> None:
    """Splitting every component in 1,000 equal ones changes no score."""
    many = Mixture(*(np.repeat(a, 1000) for a in (TWO.weight / 1000, TWO.center, TWO.spread)))
    assert crps_mixture(many, 1.0) == pytest.approx(crps_mixture(TWO, 1.0), abs=1e-10)
    assert log_score_mixture(many, 1.0) == pytest.approx(log_score_mixture(TWO, 1.0))


def test_crps_of_certainty_is_the_absolute_error() -> None:
    """Where everything is on one value, CRPS is the distance to what happened, on either side."""
    for y in (-2.0, 3.0, 5.5):
        assert crps_discrete(np.array([3.0]), np.ones(1), y) == pytest.approx(abs(y - 3))
        assert crps_mixture(normal(3.0, 1e-9), y) == pytest.approx(abs(y - 3), abs=1e-8)


def test_discrete_crps_is_the_kernel_form() -> None:
    """Of a binomial it is E|X - y| - E|X - X'|/2, also where y is between the values."""
    values = np.arange(8.0) / 7
    p = stats.binom.pmf(np.arange(8), 7, 0.3)
    within = p @ np.abs(values[:, None] - values) @ p / 2
    for y in (0.0, 2 / 7, 0.5, 1.0):
        wanted = p @ np.abs(values - y) - within
        assert crps_discrete(values, p, y) == pytest.approx(wanted, abs=1e-12)
    with pytest.raises(SpecError, match="increasing"):
        crps_discrete(values[::-1], p, 0.5)


def test_the_truth_scores_best_on_average() -> None:
    """Over 4,000 draws from the truth no other forecaster has a better mean of either score."""
    rng = np.random.default_rng(7)
    first = rng.random(4000) < 0.3
    y = np.where(first, rng.normal(-1, 0.5, 4000), rng.normal(2.5, 2, 4000))
    others = [
        normal(TWO.mean, TWO.sd),
        Mixture(TWO.weight, TWO.center + 0.5, TWO.spread),
        Mixture(TWO.weight, TWO.center, TWO.spread * 1.4),
        Mixture(TWO.weight, TWO.center, TWO.spread * 0.7),
    ]
    best = np.array([[crps_mixture(TWO, one), -log_score_mixture(TWO, one)] for one in y])
    for other in others:
        found = np.array([[crps_mixture(other, one), -log_score_mixture(other, one)] for one in y])
        gap = found - best
        assert (gap.mean(axis=0) > 2 * gap.std(axis=0) / np.sqrt(len(gap))).all()


def test_discrete_scores_are_proper() -> None:
    """The expected CRPS of counts, summed exactly, is least at the true probability."""
    values = np.arange(16.0)
    truth = stats.binom.pmf(values, 15, 0.4)

    def expected(p: float) -> float:
        told = stats.binom.pmf(values, 15, p)
        return float(truth @ [crps_discrete(values, told, y) for y in values])

    grid = np.arange(0.1, 0.91, 0.05)
    assert grid[np.argmin([expected(p) for p in grid])] == pytest.approx(0.4)


def test_quantiles_invert_the_distribution_function() -> None:
    """The distribution function at the quantiles is the probability, to 1e-9."""
    p = np.array([1e-6, 0.025, 0.5, 0.9, 0.999])
    assert TWO.below(TWO.quantile(p)) == pytest.approx(p, abs=1e-9)
    assert normal(1, 2).quantile(0.975) == pytest.approx(1 + 2 * stats.norm.ppf(0.975))
    assert normal(0, 3).widened(4.0).sd == pytest.approx(5)


def test_mixtures_over_tau_are_the_map() -> None:
    """The mixture of a new trial has the distribution of `map_posterior`, that of the mean its."""
    trials = normal_trials(list("ABC"), y=[7.6, 3.7, 9.9], se=[1.7, 2.9, 2.1])
    asked = {"mean": Prior("flat"), "heterogeneity": Heterogeneity("half-normal", 2.1)}
    mu, new = normal_mixtures(trials, **asked)  # type: ignore[arg-type]
    exact = map_posterior(trials, **asked)  # type: ignore[arg-type]
    assert (mu.mean, mu.sd) == pytest.approx((float(exact["mu_mean"]), float(exact["mu_sd"])))
    assert new.sd == pytest.approx(float(exact["sd"]))
    points = exact["value"].values[::50]
    assert new.below(points) == pytest.approx(exact["cdf"].values[::50], abs=1e-9)
