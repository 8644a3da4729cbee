"""Prior values: distributions, tables and the refusal of what is no distribution."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from bayes_ptsd.errors import SpecError
from bayes_ptsd.gaussian.parameters import Parameter, draw_parameters, log_prior_densities
from bayes_ptsd.location_scale import LocationScale
from bayes_ptsd.priors import (
    DISTRIBUTIONS,
    MATRICES,
    Prior,
    mixture,
    normal,
    parse_prior,
    prior_from_table,
    student_t,
)
from bayes_ptsd.scaled_priors import prior_vector

numbers = st.floats(-50, 50).map(lambda x: round(x, 3))
scales = st.floats(0.05, 50).map(lambda x: round(x, 3))
normals = st.builds(normal, numbers, scales)
tees = st.builds(student_t, st.floats(1.5, 60), numbers, scales)
halves = scales.map(lambda sigma: Prior("half_normal", {"sigma": sigma}))
simple = st.one_of(normals, tees, halves)


@st.composite
def mixtures(draw: st.DrawFn) -> Prior:
    """Draw mixtures of one to four normal or Student-t components."""
    parts = draw(st.lists(st.one_of(normals, tees), min_size=1, max_size=4))
    raw = np.array([draw(st.floats(0.05, 1)) for _ in parts])
    return mixture((raw / raw.sum()).tolist(), parts)


@given(st.one_of(simple, mixtures()))
def test_json_round_trip(prior: Prior) -> None:
    """A prior written as JSON and read back is the same value."""
    assert prior_from_table(json.loads(json.dumps(prior.table()))) == prior


@settings(max_examples=50, deadline=None)
@given(st.one_of(simple, mixtures()), st.floats(0.001, 0.999))
def test_quantile_inverts_cdf(prior: Prior, p: float) -> None:
    """The distribution function at a quantile is its probability."""
    assert float(prior.cdf(prior.quantile(p))) == pytest.approx(p, abs=1e-9)
    assert float(prior.sf(prior.quantile(p))) == pytest.approx(1 - p, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(mixtures(), st.floats(0.02, 0.98))
def test_mixture_density_is_the_derivative_of_its_cdf(prior: Prior, p: float) -> None:
    """A central difference of the distribution function gives the density."""
    x = float(prior.quantile(p))
    step = 1e-4 * min(part.params["sigma"] for part in prior.components)
    slope = float(prior.cdf(x + step) - prior.cdf(x - step)) / (2 * step)
    assert slope == pytest.approx(float(prior.pdf(x)), rel=1e-5, abs=1e-9)


def test_mixture_moments_have_their_closed_form() -> None:
    """Mean and sd of a normal mixture are those of the textbook."""
    prior = mixture([0.3, 0.7], [normal(-2, 1), normal(4, 2)])
    mean = 0.3 * -2 + 0.7 * 4
    variance = 0.3 * (1 + (-2 - mean) ** 2) + 0.7 * (4 + (4 - mean) ** 2)
    assert prior.mean == pytest.approx(mean)
    assert prior.sd == pytest.approx(variance**0.5)


def test_interval_of_a_normal_is_the_textbook_one() -> None:
    """The 95% interval of N(1, 2) is 1 -+ 1.96 x 2."""
    assert normal(1, 2).interval() == pytest.approx((1 - 2 * 1.959964, 1 + 2 * 1.959964), abs=1e-5)


def test_draws_follow_the_distribution_and_repeat_with_the_seed() -> None:
    """Inverse-CDF draws pass a Kolmogorov-Smirnov test and depend on the seed alone."""
    prior = mixture([0.5, 0.5], [normal(-3, 1), student_t(5, 3, 1)])
    draws = prior.draw(20_000, seed=7)
    assert stats.kstest(draws, prior.cdf).pvalue > 0.001
    assert np.array_equal(draws, prior.draw(20_000, seed=7))


@pytest.mark.parametrize("dist", sorted(set(DISTRIBUTIONS) - {"flat", "inverse_sd"} - {*MATRICES}))
def test_every_distribution_integrates_to_one(dist: str) -> None:
    """Each member of the closed list is a probability distribution with the named parameters."""
    values = {"low": -1.0, "high": 2.0}
    prior = Prior(dist, {name: values.get(name, 1.5) for name in DISTRIBUTIONS[dist].parameters})
    low, high = prior.quantile([0.01, 0.99])
    middle = float(prior.quantile(0.5))
    area = integrate.quad(prior.pdf, low, high, points=[middle], limit=200)[0]
    assert area == pytest.approx(0.98, abs=1e-6)


@pytest.mark.parametrize("df", [0.7, 1.0, 1.5, 2.0, 3.0, 27.0, 1e6, np.inf])
def test_normal_and_t_are_those_of_scipy(df: float) -> None:
    """Normal and Student-t have the density, probabilities, quantiles and moments of SciPy's."""
    ours, theirs = LocationScale(3.0, 2.5, df), stats.t(df, 3.0, 2.5)
    x = np.array([-np.inf, -1e6, -40.0, -3.0, 0.0, 3.0, 3.1, 20.0, np.inf, np.nan])
    p = np.array([-0.1, 0.0, 1e-300, 1e-9, 0.025, 0.5, 0.999, 1.0, np.nan])
    np.testing.assert_allclose(ours.logpdf(x), theirs.logpdf(x), rtol=1e-13)
    np.testing.assert_allclose(ours.cdf(x), theirs.cdf(x), rtol=1e-13)
    np.testing.assert_allclose(ours.sf(x), theirs.sf(x), rtol=1e-13)
    np.testing.assert_allclose(ours.ppf(p), theirs.ppf(p), rtol=1e-13)
    assert (ours.mean(), ours.support()) == (theirs.mean(), theirs.support())
    assert ours.var() == pytest.approx(theirs.var(), rel=1e-14, nan_ok=True)


@pytest.mark.parametrize(("shape", "rate"), [(0.001, 0.001), (0.01, 4.0), (2.0, 3.0), (40.0, 0.5)])
def test_gamma_prior_of_a_precision(shape: float, rate: float) -> None:
    """Density and probabilities of the sd follow from its gamma precision by change of variable."""
    prior = parse_prior(f"gamma_precision({shape}, {rate})")
    sd = np.array([0.03, 0.2, 1.0, 4.0, 70.0])
    precision = stats.gamma(shape, scale=1 / rate)
    jacobian = np.log(2) - 3 * np.log(sd)
    np.testing.assert_allclose(prior.logpdf(sd), precision.logpdf(sd**-2.0) + jacobian, atol=1e-9)
    np.testing.assert_allclose(prior.cdf(sd), precision.sf(sd**-2.0), atol=1e-12)
    assert prior.drawable == (shape >= 0.5)


def test_moments_of_a_gamma_precision() -> None:
    """The mean square of the sd is rate / (shape - 1); moments that do not exist are infinite."""
    prior = Prior("gamma_precision", {"shape": 3.0, "rate": 8.0})
    assert prior.mean**2 + prior.sd**2 == pytest.approx(8.0 / 2.0)
    heavy = Prior("gamma_precision", {"shape": 0.8, "rate": 8.0})
    assert np.isfinite(heavy.mean)
    assert heavy.sd == np.inf
    assert mixture([0.5, 0.5], [prior, heavy]).sd == np.inf
    assert Prior("gamma_precision", {"shape": 0.001, "rate": 0.001}).mean == np.inf
    assert heavy.interval()[0] > 0


def test_flat_has_a_density_but_no_draws() -> None:
    """The flat prior weighs all values alike and refuses to be sampled."""
    flat = Prior("flat")
    assert flat.logpdf([1.0, 2.0]).tolist() == [0.0, 0.0]
    with pytest.raises(SpecError, match="improper"):
        flat.draw(3, seed=1)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"dist": "norml", "mu": 0, "sigma": 1}, "did you mean 'normal'"),
        ({"dist": "normal", "mu": 0}, "needs 'sigma'"),
        ({"dist": "normal", "mu": 0, "sigma": 1, "sd": 1}, "unknown key 'sd'"),
        ({"dist": "normal", "mu": 0, "sigma": -1}, "must be positive"),
        ({"dist": "normal", "mu": 0, "sigma": "wide"}, "expected a finite number"),
        ({"dist": "normal", "mu": float("nan"), "sigma": 1}, "expected a finite number"),
        ({"dist": "uniform", "low": 2, "high": 1}, "'low' must be below 'high'"),
        ({"dist": "mixture", "weights": [0.5], "components": []}, "one weight per component"),
        (
            {"dist": "mixture", "weights": [0.6, 0.6], "components": [normal(0, 1).table()] * 2},
            "sum to one",
        ),
        (
            {"dist": "mixture", "weights": [1.5, -0.5], "components": [normal(0, 1).table()] * 2},
            "must be positive",
        ),
        ({"dist": "mixture", "weights": [1], "components": [{"dist": "flat"}]}, "flat"),
    ],
)
def test_bad_tables_are_refused(table: dict[str, object], message: str) -> None:
    """A table that is no distribution is refused, and the message says why."""
    with pytest.raises(SpecError, match=message):
        prior_from_table(table)


@pytest.mark.parametrize("dist", MATRICES)
def test_a_prior_of_a_matrix_is_none_of_a_number(dist: str) -> None:
    """It has no density, draws or quantiles of one number, and says so."""
    prior = Prior(dist, {"shape": 2.0} if dist == "lkj" else {})
    with pytest.raises(SpecError, match="correlation matrix"):
        prior.logpdf(0.5)


@pytest.mark.parametrize("text", ["", "normal", "normal(0)", "normal(0, x)", "gauss(0, 1)", "1"])
def test_bad_notation_is_refused(text: str) -> None:
    """What is not a distribution with its numbers is refused."""
    with pytest.raises(SpecError):
        parse_prior(text)


@given(numbers, scales)
def test_notation_of_the_command_line(mu: float, sigma: float) -> None:
    """`normal(mu, sigma)` is read as that normal."""
    assert parse_prior(f"normal({mu}, {sigma})") == normal(mu, sigma)


@pytest.mark.parametrize("shift", [0.0, 30.0, -60.0, 1e4])
def test_mixture_quantiles_far_from_zero(shift: float) -> None:
    """Quantiles of a mixture exist wherever it lies, and move with it."""
    here = mixture([0.3, 0.7], [normal(0, 0.95), normal(0, 0.98)])
    there = mixture([0.3, 0.7], [normal(shift, 0.95), normal(shift, 0.98)])
    p = [1e-9, 0.025, 0.5, 0.975, 1 - 1e-9]
    assert there.quantile(p) == pytest.approx(here.quantile(p) + shift, abs=1e-6)


def test_priors_of_a_parameter_are_one_where_its_elements_are_alike() -> None:
    """Otherwise the formulas of the elements stand side by side."""
    assert prior_vector([normal(0, 2), normal(0, 2)]) == normal(0, 2)
    assert prior_vector([normal(0, 2), normal(0, 3)]).formula == "N(0, 2²); N(0, 3²)"


def test_log_prior_and_draws_of_a_parameter_obey_its_floor() -> None:
    """A normal cut off at its mean has twice the density, and no draw is below."""
    level = Parameter("level", normal(40, 15), ("visit",), floor=40.0)
    labels = {"visit": ["24h", "7d"]}
    drawn = draw_parameters([level], labels, 4000, seed=1)
    assert dict(drawn.sizes) == {"chain": 1, "draw": 4000, "visit": 2}
    assert float(drawn["level"].min()) >= 40.0
    assert float(drawn["level"].mean()) == pytest.approx(40 + 15 * np.sqrt(2 / np.pi), abs=0.5)
    found = log_prior_densities(drawn, [level])["level"]
    twice = np.log(2) + stats.norm.logpdf(drawn["level"], 40, 15)
    np.testing.assert_allclose(found, twice)
    plain = log_prior_densities(drawn, [Parameter("level", normal(40, 15), ("visit",))])["level"]
    np.testing.assert_allclose(plain, twice - np.log(2))
