"""Deterministic posteriors of one printed contrast."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special, stats

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence.published import load_published, select_contrast
from bayes_ptsd.exact.grid import (
    GridPosterior,
    density_on_grid,
    grid_cdf,
    grid_of_density,
    grid_quantile,
    spread_grid,
)
from bayes_ptsd.exact.mixture import Mixture, mixture_grid
from bayes_ptsd.exact.printed import accepted_row, describe_row
from bayes_ptsd.exact.summary import (
    conjugate_posterior,
    exact_posterior,
    grid_posterior,
    likelihood_of,
    log_marginal_likelihood,
    prior_predictive_tail,
)
from bayes_ptsd.models_files import load_model
from bayes_ptsd.prior_family import resolve_prior
from bayes_ptsd.priors import Prior, mixture, normal, student_t

CROSSOVER = xr.Dataset({"estimate": 12.7, "interval_low": 2.5, "interval_high": 22.8, "df": 27.0})
FIRST = xr.Dataset({"estimate": 8.6, "interval_low": 0.94, "interval_high": 16.2, "df": 38.0})
SD = 14.4
FLAT = Prior("flat")


def above(exact: xr.Dataset, margin: float) -> float:
    """Return the posterior probability above a margin."""
    return float(1 - grid_cdf(exact, np.array(margin)))


@pytest.mark.parametrize(
    ("row", "prior", "mean", "benefit"),
    [
        (CROSSOVER, "flat", 12.70, 0.9929),
        (FIRST, "flat", 8.60, 0.9864),
        (CROSSOVER, "skeptical", 8.8687, 0.9798),
        (FIRST, "skeptical", 6.9125, 0.9762),
        (CROSSOVER, "cochrane", 8.6799, 0.9691),
        (FIRST, "cochrane", 5.6619, 0.9516),
    ],
)
def test_orientation_values_of_convention_n(
    row: xr.Dataset, prior: str, mean: float, benefit: float
) -> None:
    """Convention N gives the orientation values of the statistical specification."""
    likelihood = likelihood_of(row, "N")
    exact = exact_posterior(likelihood, resolve_prior(prior, sd=SD, se=likelihood.params["sigma"]))
    assert float(exact["mean"]) == pytest.approx(mean, abs=5e-5)
    assert above(exact, 0) == pytest.approx(benefit, abs=5e-5)


@pytest.mark.parametrize(
    ("row", "prior", "mean", "benefit"),
    [
        (CROSSOVER, "flat", 12.65, 0.9918),
        (FIRST, "flat", 8.57, 0.9856),
        (CROSSOVER, "skeptical", None, 0.9770),
        (FIRST, "skeptical", None, 0.9751),
    ],
)
def test_orientation_values_of_convention_t(
    row: xr.Dataset, prior: str, mean: float | None, benefit: float
) -> None:
    """Convention T gives the orientation values of the statistical specification."""
    exact = exact_posterior(likelihood_of(row, "T"), resolve_prior(prior, sd=SD))
    assert above(exact, 0) == pytest.approx(benefit, abs=5e-5)
    if mean is not None:
        assert float(exact["mean"]) == pytest.approx(mean, abs=1e-9)


def test_margins_of_the_flat_posterior() -> None:
    """P(delta > 7.2) under a flat prior is .8559 (crossover) and .6404 (first period)."""
    for row, expected in ((CROSSOVER, 0.8559), (FIRST, 0.6404)):
        assert above(exact_posterior(likelihood_of(row, "N"), FLAT), 7.2) == pytest.approx(
            expected, abs=5e-5
        )


def test_flat_prior_returns_the_printed_interval_under_t() -> None:
    """Under T and a flat prior the 95% interval is the printed one."""
    for row in (CROSSOVER, FIRST):
        exact = exact_posterior(likelihood_of(row, "T"), FLAT)
        limits = grid_quantile(exact, np.array([0.025, 0.975]))
        printed = [float(row["interval_low"]), float(row["interval_high"])]
        assert limits == pytest.approx(printed, abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    st.floats(-20, 20),
    st.floats(0.5, 10),
    st.floats(3, 200),
    st.floats(-15, 15),
    st.floats(0.5, 30),
)
def test_quadrature_agrees_with_a_composite_gauss_rule(
    center: float, se: float, df: float, mu: float, sigma: float
) -> None:
    """A t likelihood with a normal prior: mean, tail and mass match a 16-point Gauss rule."""
    likelihood, prior = student_t(df, center, se), normal(mu, sigma)
    exact = exact_posterior(likelihood, prior)

    nodes, weights = np.polynomial.legendre.leggauss(16)
    scale = min(se, sigma)
    reach = np.sinh(np.linspace(-9, 9, 1500))
    edges = np.unique(np.concatenate([[0.0], center + scale * reach, mu + scale * reach]))
    half = np.diff(edges)[:, None] / 2
    x = edges[:-1, None] + half * (1 + nodes)
    mass = half * weights * np.exp(likelihood.logpdf(x) + prior.logpdf(x))
    assert float(exact["mean"]) == pytest.approx((x * mass).sum() / mass.sum(), abs=1e-7)
    assert above(exact, 0.0) == pytest.approx(mass[x > 0].sum() / mass.sum(), abs=1e-8)
    assert float(exact["log_marginal_likelihood"]) == pytest.approx(np.log(mass.sum()), abs=1e-8)


@settings(max_examples=40, deadline=None)
@given(st.floats(-20, 20), st.floats(0.5, 10), st.lists(st.floats(0.3, 40), min_size=1, max_size=4))
def test_closed_form_and_quadrature_agree(center: float, se: float, sigmas: list[float]) -> None:
    """For normal mixtures the quadrature reproduces the closed form within 1e-8."""
    likelihood = normal(center, se)
    prior = mixture([1 / len(sigmas)] * len(sigmas), [normal(0, sigma) for sigma in sigmas])
    closed = conjugate_posterior(likelihood, prior)
    assert closed is not None
    anchors = [(part.params["mu"], part.params["sigma"]) for part in closed.components]
    points = spread_grid(anchors, heavy=False)
    numeric, log_mass = grid_of_density(lambda x: likelihood.logpdf(x) + prior.logpdf(x), points)
    assert float(numeric["mean"]) == pytest.approx(closed.mean, abs=1e-8 * (1 + abs(center)))
    assert float(numeric["sd"]) == pytest.approx(closed.sd, rel=1e-8)
    probes = closed.quantile([0.01, 0.3, 0.9])
    assert grid_cdf(numeric, probes) == pytest.approx(closed.cdf(probes), abs=1e-8)
    assert log_mass == pytest.approx(log_marginal_likelihood(likelihood, prior), abs=1e-8)


def adaptive(likelihood: Prior, prior: Prior, at: float) -> tuple[float, ...]:
    """Return log mass, mean, sd and P(below `at`) by QUADPACK between points of every feature."""
    parts = [likelihood, *(prior.components or (prior,))]
    steps = np.sinh(np.linspace(-16, 16, 129))
    places = [one.params["mu"] + one.params["sigma"] * steps for one in parts]
    edges = np.unique(np.concatenate([*places, [at]]))
    peak = float((likelihood.logpdf(edges) + prior.logpdf(edges)).max())

    def integral(power: int, about: float, last: float = np.inf) -> float:
        def integrand(x: float) -> np.ndarray:
            return np.exp(likelihood.logpdf(x) + prior.logpdf(x) - peak) * (x - about) ** power

        panels = zip(edges[edges < last], edges[1:], strict=False)
        return float(sum(integrate.quad(integrand, a, b, epsabs=1e-14, epsrel=1e-11)[0]
                         for a, b in panels))  # fmt: skip

    mass = integral(0, 0.0)
    mean = integral(1, 0.0) / mass
    sd = (integral(2, mean) / mass) ** 0.5
    return peak + float(np.log(mass)), mean, sd, integral(0, 0.0, at) / mass


HARD = [
    (3, 1e-3, "normal"), (3, 1e3, "normal"), (3, 1e-3, "t"), (3, 1e3, "t"), (3, 1.0, "robust"),
    (27, 1e-3, "robust"), (27, 1e3, "robust"), (1, 1.0, "t"), (200, 1e-3, "normal"),
    (np.inf, 1e-3, "t"), (np.inf, 1e3, "t"),
]  # fmt: skip


@pytest.mark.parametrize(("df", "ratio", "kind"), HARD)
def test_hard_cases_match_adaptive_quadrature(df: float, ratio: float, kind: str) -> None:
    """Ten standard errors apart, a thousand times as narrow or wide: nine digits of QUADPACK's."""
    likelihood, center, sd = student_t(df, 12.0, 2.0), 12.0 - 10 * 2.0, 2.0 * ratio
    prior = {
        "normal": normal(center, sd),
        "t": student_t(3, center, sd),
        "robust": mixture([0.8, 0.2], [normal(18.0, sd), student_t(4, -48.0, 5 * sd)]),
    }[kind]
    found = grid_posterior(likelihood, prior)
    at = float(found.quantile(0.3))
    expected = adaptive(likelihood, prior, at)
    assert (found.log_mass, found.mean, found.sd) == pytest.approx(expected[:3], rel=1e-9)
    assert float(found.below(at)) == pytest.approx(expected[3], abs=1e-8)


def test_limits_of_a_prior() -> None:
    """A prior without width is the posterior; one without bounds leaves the printed interval."""
    likelihood = student_t(3, 12.0, 2.0)
    narrow = grid_posterior(likelihood, normal(-8.0, 2e-6))
    assert (narrow.mean, narrow.sd) == (pytest.approx(-8.0, abs=1e-9), pytest.approx(2e-6))
    assert narrow.log_mass == pytest.approx(float(likelihood.logpdf(-8.0)), abs=1e-9)
    wide = grid_posterior(likelihood, normal(-8.0, 2e6))
    limits = stats.t(3, 12.0, 2.0).ppf([0.025, 0.975])
    assert wide.quantile(np.array([0.025, 0.975])) == pytest.approx(limits, abs=1e-6)


@pytest.mark.parametrize("points", [7, 25, 601])
def test_order_is_doubled_where_the_check_asks(
    points: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Panels of four SDs are resolved by more nodes alone: the normal has its integral and SD."""
    monkeypatch.delattr("bayes_ptsd.exact.grid._adaptive")
    grid = np.linspace(-12, 12, points)
    found = density_on_grid(lambda x: -(x**2) / 2, grid)
    assert found.log_mass == pytest.approx(np.log(2 * np.pi) / 2, abs=1e-10)
    assert (found.mean, found.sd) == (pytest.approx(0, abs=1e-12), pytest.approx(1, rel=1e-9))
    assert found.cdf == pytest.approx(special.ndtr(grid), abs=1e-10)


def test_a_kink_within_a_panel_is_left_to_the_adaptive_rule() -> None:
    """The Laplace density, whose peak is no grid point, has integral 2, mean 0 and variance 2."""
    found = density_on_grid(lambda x: -np.abs(x), np.linspace(-40.1, 40, 99))
    assert np.exp(found.log_mass) == pytest.approx(2, abs=1e-8)
    assert (found.mean, found.sd) == (pytest.approx(0, abs=1e-8), pytest.approx(2**0.5))


@settings(max_examples=60, deadline=None)
@given(st.floats(-6, 6), st.floats(0.1, 3), st.floats(1e-6, 1 - 1e-6))
def test_quantile_inverts_the_distribution_function(mu: float, sd: float, p: float) -> None:
    """The value below which the probability is p has it; beyond the grid are 0 and 1."""
    grid: GridPosterior = grid_posterior(student_t(5, mu, sd), normal(0, 2))
    assert float(grid.below(grid.quantile(p))) == pytest.approx(p, abs=1e-10)
    assert grid.below(np.array([-1e99, 1e99])).tolist() == [0.0, 1.0]


def test_mirror_image() -> None:
    """Changing the sign of data and prior changes the sign of the posterior and nothing else."""
    here = exact_posterior(student_t(27, 12.65, 4.95), normal(3, 8))
    there = exact_posterior(student_t(27, -12.65, 4.95), normal(-3, 8))
    assert float(here["mean"]) == pytest.approx(-float(there["mean"]), abs=1e-10)
    assert above(here, 0) == pytest.approx(1 - above(there, 0), abs=1e-10)


def test_heavy_tails_in_conflict_keep_both_modes() -> None:
    """A t likelihood far from a t prior leaves two modes, and the quadrature sees both."""
    likelihood, prior = student_t(3, 30, 1), student_t(3, 0, 1)
    exact = exact_posterior(likelihood, prior)
    assert above(exact, 15) == pytest.approx(0.5, abs=1e-8)
    assert float(exact["mean"]) == pytest.approx(15, abs=1e-6)


def test_bayes_factor_of_the_specification() -> None:
    """BF10 against the skeptical alternative is 4.48 and 3.15 under N."""
    for row, expected in ((CROSSOVER, 4.48), (FIRST, 3.15)):
        likelihood = likelihood_of(row, "N")
        null = float(likelihood.logpdf(0))
        skeptical = log_marginal_likelihood(likelihood, resolve_prior("skeptical", sd=SD))
        assert np.exp(skeptical - null) == pytest.approx(expected, abs=5e-3)


def test_prior_predictive_tail_has_its_closed_form() -> None:
    """For normals, Box's tail probability is the two-sided normal one."""
    tail = prior_predictive_tail(normal(9, 3), normal(0, 4))
    assert tail == pytest.approx(2 * stats.norm.sf(9 / 5), abs=1e-5)
    assert np.isnan(prior_predictive_tail(normal(9, 3), FLAT))


@pytest.mark.parametrize(
    ("prior", "frozen"),
    [
        (Prior("half_normal", {"sigma": 7.0}), stats.halfnorm(0, 7)),
        (Prior("uniform", {"low": -3.0, "high": 9.0}), stats.uniform(-3, 12)),
        (Prior("gamma", {"shape": 2.0, "rate": 0.3}), stats.gamma(2, 0, 1 / 0.3)),
    ],
)
def test_priors_with_an_edge(prior: Prior, frozen: stats.rv_continuous) -> None:
    """A prior that ends at a value is integrated from there: mass and mean match a fine sum."""
    likelihood = normal(4.0, 3.0)
    low, high = max(frozen.support()[0], -30), min(frozen.support()[1], 40)
    x = np.linspace(low, high, 400_001)
    weight = likelihood.pdf(x) * frozen.pdf(x)
    mass = np.trapezoid(weight, x)
    exact = exact_posterior(likelihood, prior)
    assert float(exact["log_marginal_likelihood"]) == pytest.approx(np.log(mass), abs=1e-6)
    assert float(exact["mean"]) == pytest.approx(np.trapezoid(x * weight, x) / mass, abs=1e-6)
    assert above(exact, low) == pytest.approx(1.0, abs=1e-8)


def test_mixture_of_normals_on_the_grid() -> None:
    """Two normals at -1 and 1 have half below zero, mean 0 and variance 1 + 1."""
    mixed = Mixture(np.full(2, 0.5), np.array([-1.0, 1.0]), np.ones(2))
    table = mixture_grid(mixed, 0.0)
    assert table.sizes["grid"] == 401
    assert float(grid_cdf(table, np.array(0.0))) == pytest.approx(0.5, abs=1e-12)
    assert float(table["mean"]) == pytest.approx(0.0, abs=1e-12)
    assert float(table["sd"]) == pytest.approx(2**0.5)


def test_row_that_a_model_accepts() -> None:
    """The model takes the printed first-week row as it is, and no table of several rows."""
    spec, rows = load_model("published"), load_published()
    row = accepted_row(select_contrast(rows, "T2.IESR.F"), spec)
    assert float(row["estimate"]) == 8.6
    said = describe_row(row, spec, normal(0, 20))
    assert (said["contrast"], said["convention"]) == ("T2.IESR.F", "T")
    with pytest.raises(EvidenceError, match="select one contrast first"):
        accepted_row(rows, spec)
