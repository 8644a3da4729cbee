"""Meta-analytic-predictive distributions by quadrature, and the history they are made from."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from bayes_ptsd.errors import EvidenceError, SpecError
from bayes_ptsd.exact._meta_binomial import binomial_nodes
from bayes_ptsd.exact.grid import grid_cdf, grid_quantile
from bayes_ptsd.exact.history import (
    Heterogeneity,
    HistoricalTrials,
    binomial_trials,
    log_binomial,
    normal_trials,
    parse_heterogeneity,
    read_trials,
    rough_logit,
)
from bayes_ptsd.exact.meta import map_posterior
from bayes_ptsd.priors import Prior, normal

FLAT = Prior("flat")
SPONDYLITIS = binomial_trials(
    list("12345678"),
    n=[107, 44, 51, 39, 139, 20, 78, 35],
    r=[23, 12, 19, 9, 39, 6, 9, 10],
)
SCHOOLS = normal_trials(
    list("ABCDEFGH"),
    y=[28.39, 7.94, -2.75, 6.82, -0.64, 0.63, 18.01, 12.16],
    se=[14.9, 10.2, 16.3, 11.0, 9.4, 11.4, 10.4, 17.6],
)


@pytest.fixture(scope="module")
def spondylitis() -> xr.Dataset:
    """Return the MAP distribution of the eight control arms."""
    return map_posterior(
        SPONDYLITIS, mean=normal(0, 2), heterogeneity=Heterogeneity("half-normal", 1.0)
    )


def test_ankylosing_spondylitis(spondylitis: xr.Dataset) -> None:
    """The MAP of RBesT's binary example has the orientation mean and sd to 0.0005."""
    assert float(spondylitis["tau_mean"]) == pytest.approx(0.3795, abs=5e-4)
    assert float(spondylitis["mean"]) == pytest.approx(0.2583, abs=5e-4)
    assert float(spondylitis["sd"]) == pytest.approx(0.0874, abs=5e-4)
    quantiles = grid_quantile(spondylitis, np.array([0.025, 0.5, 0.975]))
    assert quantiles == pytest.approx([0.1106, 0.2484, 0.4712], abs=5e-4)
    assert float(spondylitis["quadrature_error"]) < 1e-8


def test_against_a_plain_grid(spondylitis: xr.Dataset) -> None:
    """A brute-force grid over mean and tau gives the same distribution function."""
    mu, tau = np.linspace(-2.4, 0.2, 105), np.linspace(1e-4, 3.0, 241)
    z = np.linspace(-7, 7, 141)
    weight = stats.norm.pdf(z) / stats.norm.pdf(z).sum()
    theta = mu[:, None, None] + tau[:, None] * z
    logs = stats.norm.logpdf(mu, 0, 2)[:, None] + stats.halfnorm.logpdf(tau)
    for n, r in zip(SPONDYLITIS.size, SPONDYLITIS.events, strict=True):
        peak = r * np.log(r / n) + (n - r) * np.log1p(-r / n)
        logs = logs + np.log(np.exp(r * theta - n * np.logaddexp(0, theta) - peak) @ weight)
    joint = np.exp(logs - logs.max())
    joint[:, 0] /= 2
    joint /= joint.sum()
    for p in (0.12, 0.25, 0.45):
        below = (joint * special.ndtr((special.logit(p) - mu[:, None]) / tau)).sum()
        assert float(grid_cdf(spondylitis, np.array(p))) == pytest.approx(below, abs=2e-4)


def test_eight_schools() -> None:
    """The eight schools under a half-Cauchy(25) have the orientation values."""
    found = map_posterior(
        SCHOOLS, mean=normal(0, 50), heterogeneity=Heterogeneity("half-cauchy", 25.0)
    )
    assert float(found["tau_mean"]) == pytest.approx(5.8845, abs=5e-4)
    assert float(found["mu_mean"]) == pytest.approx(7.986, abs=5e-4)
    assert float(found["mu_sd"]) == pytest.approx(4.996, abs=5e-4)
    assert float(found["sd"]) == pytest.approx(9.125, abs=5e-3)


@pytest.mark.parametrize(
    ("heterogeneity", "square"),
    [
        (Heterogeneity("half-normal", 2.0), 4.0),
        (Heterogeneity("half-t", 2.0, 5.0), 4.0 * 5 / 3),
        (Heterogeneity("uniform", 3.0), 3.0),
    ],
    ids=["half-normal", "half-t", "uniform"],
)
def test_one_trial_and_a_flat_mean(heterogeneity: Heterogeneity, square: float) -> None:
    """One trial says nothing about tau: the new parameter has variance se^2 + 2 E(tau^2)."""
    trial = normal_trials(["A"], y=[8.6], se=[3.9])
    found = map_posterior(trial, mean=FLAT, heterogeneity=heterogeneity)
    assert float(found["mean"]) == pytest.approx(8.6)
    assert float(found["sd"]) ** 2 == pytest.approx(3.9**2 + 2 * square, rel=1e-5)
    if heterogeneity.kind == "half-normal":
        wanted = stats.halfnorm.ppf([0.025, 0.5, 0.975], scale=2.0)
        assert found["tau_quantile"].values == pytest.approx(wanted, rel=1e-4)


def test_moments_that_do_not_exist_are_infinite() -> None:
    """A half-Cauchy and a single trial leave the new parameter without a standard deviation."""
    trial = normal_trials(["A"], y=[8.6], se=[3.9])
    found = map_posterior(trial, mean=FLAT, heterogeneity=Heterogeneity("half-cauchy", 1.0))
    assert np.isinf([float(found["sd"]), float(found["tau_mean"])]).all()
    assert float(grid_cdf(found, np.array(8.6))) == pytest.approx(0.5, abs=1e-6)


ONE_SIDED = 0.17125
"""By a plain grid over mean and tau."""


@pytest.mark.parametrize("r", [0, 25], ids=["no event", "all events"])
def test_no_event_or_all(r: int) -> None:
    """Trials without an event, or with nothing else, are mirror images of each other."""
    found = map_posterior(
        binomial_trials(["A"], n=[25], r=[r]),
        mean=normal(0, 2),
        heterogeneity=Heterogeneity("half-t", 1.0, 3.0),
    )
    mean = float(found["mean"])
    assert (mean if r == 0 else 1 - mean) == pytest.approx(ONE_SIDED, abs=1e-4)


@settings(max_examples=15)
@given(
    y=st.lists(st.floats(-50, 50), min_size=1, max_size=5),
    se=st.floats(0.1, 20),
    scale=st.floats(0.05, 20),
    kind=st.sampled_from(["half-normal", "half-cauchy", "uniform"]),
)
def test_any_normal_history_gives_a_distribution(
    y: list[float], se: float, scale: float, kind: str
) -> None:
    """Whatever the history, the result is a distribution, shifted with the estimates."""
    names = [str(index) for index in range(len(y))]
    heterogeneity = Heterogeneity(kind, scale)
    trials = normal_trials(names, y=y, se=[se] * len(y))
    found = map_posterior(trials, mean=FLAT, heterogeneity=heterogeneity)
    assert (np.diff(found["cdf"].values) >= -1e-12).all()
    assert float(found["cdf"][-1] - found["cdf"][0]) > 0.999
    moved = normal_trials(names, y=np.array(y) + 7, se=[se] * len(y))
    shifted = map_posterior(moved, mean=FLAT, heterogeneity=heterogeneity)
    assert float(shifted["mean"] - found["mean"]) == pytest.approx(7, abs=1e-6 * (1 + scale))


@pytest.mark.parametrize(
    ("content", "likelihood", "named"),
    [
        ("study,n,r\n", "binomial", "no rows"),
        ("study,n,r\nA,20,21\n", "binomial", "'A': r = 21 is not between 0 and n = 20"),
        ("study,n,r\nA,20.5,2\n", "binomial", "whole numbers"),
        ("study,y,se\nA,3,-1\n", "normal", "'A': 'se' must be positive, got -1"),
        ("study,y,se\nA,3,\n", "normal", "column 'n': is missing"),
        ("study,n,y\nA,20,3\n", "normal", "'n' together with sigma"),
        ("study,y,se\nA,3,1\nA,4,1\n", "normal", "also the study of line 2"),
        ("study,y,sd\nA,3,1\n", "normal", "unknown key 'sd'"),
        ("study,y,se\nA,three,1\n", "normal", "'three' is not a number"),
        ("study,n,r\nA,20,3\n", "poisson", "known: binomial, normal"),
    ],
)
def test_refused_histories(tmp_path: Path, content: str, likelihood: str, named: str) -> None:
    """A history that is empty or impossible is refused by what is wrong with it."""
    file = tmp_path / "history.csv"
    file.write_text(content)
    with pytest.raises((EvidenceError, SpecError), match=named.replace("(", r"\(")):
        read_trials(file, likelihood=likelihood)


@pytest.mark.parametrize(
    "text", ["", "half-normal", "half-normal x", "half-normal -1", "half-t 3", "normal 1"]
)
def test_refused_heterogeneity(text: str) -> None:
    """Heterogeneity that is no distribution is refused."""
    with pytest.raises(SpecError):
        parse_heterogeneity(text)


def test_refused_means() -> None:
    """Binomial trials need a normal prior of the mean, and nobody a Student-t one."""
    half = Heterogeneity("half-normal", 1.0)
    with pytest.raises(SpecError, match="normal prior on the mean log odds"):
        map_posterior(SPONDYLITIS, mean=FLAT, heterogeneity=half)
    with pytest.raises(SpecError, match="normal or flat"):
        map_posterior(SCHOOLS, mean=Prior("uniform", {"low": 0, "high": 1}), heterogeneity=half)
    with pytest.raises(EvidenceError, match="empty history"):
        HistoricalTrials("normal", (), *(np.zeros(0) for _ in range(3)))


def test_rough_and_exact_binomial_likelihood() -> None:
    """Rough log odds are finite at r = 0 and r = n; the likelihood is binomial to a constant."""
    center, spread = rough_logit(binomial_trials(["A", "B", "C"], n=[9, 9, 9], r=[4, 0, 9]))
    np.testing.assert_allclose(center, np.log([4.5 / 5.5, 0.5 / 9.5, 9.5 / 0.5]))
    np.testing.assert_allclose(spread[1:], math.sqrt(1 / 0.5 + 1 / 9.5))
    theta = np.array([-2.0, 0.0, 3.0])
    constant = stats.binom.logpmf(4, 9, special.expit(theta)) - log_binomial(
        theta, size=9, events=4
    )
    np.testing.assert_allclose(constant, math.log(126))


def test_half_with_the_event_is_log_odds_zero() -> None:
    """Ten of 20 and a prior around zero leave the mean log odds at zero, whatever tau."""
    trials = binomial_trials(["A"], n=[20], r=[10])
    mean, _ = binomial_nodes(trials, np.array([0.1, 1.0]), center=0, sigma=2).moments()
    np.testing.assert_allclose(mean, 0.0, atol=1e-9)


def test_alike_trials_are_counted_and_many_trials_pin_the_mean() -> None:
    """400 trials of 40 in 100, each named: tau near 0, the mean that of 16,000 in 40,000."""
    names = [f"trial {number}" for number in range(400)]
    trials = binomial_trials(names, n=[100] * 400, r=[40] * 400)
    found = map_posterior(trials, mean=normal(0, 2), heterogeneity=Heterogeneity("half-normal", 1))
    # a Jeffreys posterior of the sum has log odds of sd 1 / sqrt(40,000 x .24)
    assert float(found["mu_mean"]) == pytest.approx(np.log(0.4 / 0.6), abs=0.002)
    assert float(found["mu_sd"]) == pytest.approx(1 / np.sqrt(40_000 * 0.24), rel=0.02)
    assert float(found["tau_mean"]) < 0.06
