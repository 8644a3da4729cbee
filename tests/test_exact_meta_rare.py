"""MAP priors of rare events: trials without an event, with nothing else, tiny, huge and many."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import special, stats
from typer.testing import CliRunner

from bayes_ptsd.cli import app
from bayes_ptsd.exact.grid import grid_cdf
from bayes_ptsd.exact.history import Heterogeneity, binomial_trials, normal_trials
from bayes_ptsd.exact.meta import map_posterior
from bayes_ptsd.priors import FloatArray, normal

HALF = Heterogeneity("half-normal", 1.0)


def brute_force(
    n: list[int],
    r: list[int],
    points: FloatArray,
    *,
    sigma: float = 2.0,
    span: tuple[float, float] = (-11.0, 11.0),
) -> tuple[float, FloatArray]:
    """Return mean and distribution function of a new probability, from plain grids.

    Mean log odds, sd between trials and each trial's own deviation, all on even grids; priors
    N(0, sigma) and half-normal(1).
    """
    mu, tau = np.linspace(*span, 221), np.linspace(0.02, 9.0, 221)
    z = np.linspace(-8, 8, 241)
    weight = stats.norm.pdf(z) / stats.norm.pdf(z).sum()
    theta = mu[:, None, None] + tau[:, None] * z
    low, high = special.log_expit(theta), special.log_expit(-theta)
    logs = stats.norm.logpdf(mu, 0, sigma)[:, None] + stats.halfnorm.logpdf(tau)
    for size, events in set(zip(n, r, strict=True)):
        count = sum((size, events) == pair for pair in zip(n, r, strict=True))
        inner = np.exp(events * low + (size - events) * high) @ weight
        with np.errstate(divide="ignore"):  # impossible under a mean far from a huge trial
            logs = logs + count * np.log(inner)
    joint = np.exp(logs - logs.max())
    joint /= joint.sum()
    new = special.expit(theta) @ weight
    below = [(joint * special.ndtr((special.logit(p) - mu[:, None]) / tau)).sum() for p in points]
    return float((joint * new).sum()), np.array(below)


CASES = {
    "no event in three": ([40, 35, 50], [0, 0, 0]),
    "one event in three": ([40, 35, 50], [0, 1, 0]),
    "three events in three": ([40, 35, 50], [0, 2, 1]),
    "events in all": ([40, 35, 50], [40, 35, 50]),
    "none and all": ([8, 5], [0, 5]),
    "one patient": ([1], [0]),
    "none in a million": ([10**6], [0]),
    "three in a million": ([10**6, 50], [3, 0]),
    "two hundred trials": ([20, 50, 80, 50] * 50, [0, 0, 1, 2] * 50),
}


@pytest.mark.parametrize("case", CASES)
def test_against_brute_force(case: str) -> None:
    """Mean and distribution function agree with sums over plain grids to 1e-3."""
    n, r = CASES[case]
    found = map_posterior(
        binomial_trials([str(i) for i in range(len(n))], n=n, r=r),
        mean=normal(0, 2), heterogeneity=HALF,
    )  # fmt: skip
    points = np.array([0.002, 0.02, 0.1, 0.5, 0.9, 0.98])
    # many trials leave a posterior of the mean with an sd of a tenth
    span = (-7.0, -1.0) if len(n) > 100 else (-11.0, 11.0)
    mean, below = brute_force(n, r, points, span=span)
    assert float(found["mean"]) == pytest.approx(mean, abs=1e-3)
    assert grid_cdf(found, points) == pytest.approx(below, abs=1e-3)
    assert float(found["quadrature_error"]) < 1e-6


def test_narrow_prior_of_the_mean() -> None:
    """A prior of the mean that is narrower than the likelihood is resolved as well."""
    n, r = CASES["one event in three"]
    found = map_posterior(
        binomial_trials(list("ABC"), n=n, r=r), mean=normal(0, 0.1), heterogeneity=HALF
    )
    points = np.array([0.002, 0.02, 0.1, 0.5])
    mean, below = brute_force(n, r, points, sigma=0.1, span=(-0.6, 0.6))
    assert float(found["mean"]) == pytest.approx(mean, abs=1e-3)
    assert grid_cdf(found, points) == pytest.approx(below, abs=1e-3)


def test_vague_prior_of_the_mean() -> None:
    """Under N(0, 10), against draws of everything weighted by the likelihood, 4 of their errors."""
    n, r = CASES["one event in three"]
    found = map_posterior(
        binomial_trials(list("ABC"), n=n, r=r), mean=normal(0, 10), heterogeneity=HALF
    )
    rng = np.random.default_rng(5)
    mu, tau = rng.uniform(-40, 10, 400_000), np.abs(rng.normal(0, 1, 400_000))
    weight = np.exp(-0.5 * (mu / 10) ** 2)
    for size, events in zip(n, r, strict=True):
        theta = rng.normal(mu, tau)
        weight = weight * np.exp(
            events * special.log_expit(theta) + (size - events) * special.log_expit(-theta)
        )
    weight /= weight.sum()
    new = special.expit(rng.normal(mu, tau))
    for p in (0.002, 0.02, 0.1, 0.5):
        share = float(weight @ (new < p))
        error = float(np.sqrt(weight**2 @ ((new < p) - share) ** 2))
        assert float(grid_cdf(found, np.array(p))) == pytest.approx(share, abs=4 * error)


def test_huge_trials_are_normal_on_the_log_odds() -> None:
    """Half a million events of a million are a normal estimate with standard error .002."""
    counts = binomial_trials(["A", "B"], n=[10**6, 10**6], r=[500_000, 600_000])
    found = map_posterior(counts, mean=normal(0, 2), heterogeneity=HALF)
    logit = special.logit([0.5, 0.6])
    se = 1 / np.sqrt(10**6 * np.array([0.25, 0.24]))
    known = map_posterior(
        normal_trials(["A", "B"], y=logit, se=se), mean=normal(0, 2), heterogeneity=HALF
    )
    for p in (0.3, 0.5, 0.55, 0.6, 0.8):
        wanted = float(grid_cdf(known, special.logit(np.array(p))))
        assert float(grid_cdf(found, np.array(p))) == pytest.approx(wanted, abs=1e-4)


ZERO, ONE = "study,n,r\nA,40,0\nB,35,0\nC,50,0\n", "study,n,r\nA,40,0\nB,35,1\nC,50,0\n"


@pytest.mark.parametrize(("text", "mean"), [(ZERO, 0.0237), (ONE, 0.0351)])
def test_command_gives_a_prior(tmp_path: Path, text: str, mean: float) -> None:
    """`map` has a prior for rare events, a mixture close to it or a warning that it is not."""
    file = tmp_path / "history.csv"
    file.write_text(text)
    done = CliRunner().invoke(app, ["map", str(file), "--likelihood", "binomial", "--json"])
    document = json.loads(done.stdout)
    assert done.exit_code == 0
    assert document["map"]["mean"] == pytest.approx(mean, abs=1e-4)
    assert (document["mixture"]["divergence"] < 1e-4) is (document["warnings"] == [])


@pytest.mark.shared
@pytest.mark.parametrize("name", ["m_zero", "m_zero1", "m_rare2"])
def test_histories_that_were_refused(shared: Path, name: str) -> None:
    """The files that had no posterior have one."""
    file = shared / "cases" / "c23-map-zero-events" / f"{name}.csv"
    done = CliRunner().invoke(app, ["map", str(file), "--likelihood", "binomial", "--json"])
    assert done.exit_code == 0
    assert 0 < json.loads(done.stdout)["map"]["mean"] < 0.1
