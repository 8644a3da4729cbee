"""The named priors and their worth in patients."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate

from bayes_ptsd.errors import SpecError
from bayes_ptsd.exact.summary import conjugate_posterior
from bayes_ptsd.prior_family import PRIOR_FAMILY, elir_ess, ess_patients, resolve_prior
from bayes_ptsd.priors import Prior, mixture, normal, student_t
from bayes_ptsd.trial import load_trial

SD = 14.4


@pytest.mark.parametrize(
    ("name", "mu", "sigma"),
    [
        ("reference", 0, 144),
        ("weak", 0, 28.8),
        ("skeptical", 0, 7.879),
        ("enthusiastic", 12.96, 7.879),
    ],
)
def test_family_for_the_primary_outcome(name: str, mu: float, sigma: float) -> None:
    """The family at SD 14.4 has the values of the statistical specification."""
    prior = resolve_prior(name, sd=SD)
    assert prior.params["mu"] == pytest.approx(mu)
    assert prior.params["sigma"] == pytest.approx(sigma, abs=5e-4)
    assert (prior.name, prior.source) == (name, PRIOR_FAMILY[name])


def test_skeptical_and_enthusiastic_meet_their_definitions() -> None:
    """P(delta > 0.9 SD) = .05 for the skeptic and P(delta < 0) = .05 for the enthusiast."""
    assert float(resolve_prior("skeptical", sd=SD).sf(0.9 * SD)) == pytest.approx(0.05)
    assert float(resolve_prior("enthusiastic", sd=SD).cdf(0)) == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("z", "expected"), [(1, 0.5535), (2, 1.2738), (3, 2.2075), (4, 3.2198), (5, 4.2697)]
)
def test_cochrane_shrinks_as_van_zwet_published(z: float, expected: float) -> None:
    """E(SNR | z) under the Cochrane mixture equals the published self-test values."""
    posterior = conjugate_posterior(normal(z, 1), resolve_prior("cochrane", sd=SD, se=1.0))
    assert posterior is not None
    assert posterior.mean == pytest.approx(expected, abs=5e-5)


def test_cochrane_exaggeration_and_power() -> None:
    """At z = 1.96 the median |SNR| gives an exaggeration of 1.670, the median power is .132."""
    prior = resolve_prior("cochrane", sd=SD, se=1.0)
    posterior = conjugate_posterior(normal(1.96, 1), prior)
    assert posterior is not None
    grid = np.linspace(0, 12, 240_001)
    absolute = posterior.cdf(grid) - posterior.cdf(-grid)
    assert 1.96 / grid[np.searchsorted(absolute, 0.5)] == pytest.approx(1.670, abs=1e-3)
    typical = float(np.abs(prior.quantile(0.75)))
    unit = normal(0, 1)
    power = float(unit.sf(1.959964 - typical) + unit.cdf(-1.959964 - typical))
    assert power == pytest.approx(0.132, abs=1e-3)


def test_cochrane_needs_the_rows_standard_error() -> None:
    """The prior is a statement about the study, so it refuses to exist without a standard error."""
    with pytest.raises(SpecError, match="standard error"):
        resolve_prior("cochrane", sd=SD)


def test_unknown_prior_is_refused_with_the_nearest_name() -> None:
    """A misspelt prior gets the name it may have meant."""
    with pytest.raises(SpecError, match="did you mean 'skeptical'"):
        resolve_prior("sceptical", sd=SD)


@given(st.floats(0.1, 100), st.floats(0.1, 100))
def test_ess_of_a_normal_is_a_ratio_of_variances(sigma: float, sd: float) -> None:
    """N(mu, sigma^2) is worth (2 sd / sigma)^2 patients of a 1:1 parallel trial."""
    assert ess_patients(normal(3, sigma), sd=sd) == pytest.approx((2 * sd / sigma) ** 2)


def test_ess_values_of_the_family() -> None:
    """Flat is worth nothing, weak one patient, skeptical 13.36 patients at any endpoint."""
    for endpoint in load_trial().endpoints.values():
        sd = endpoint.reference_sd
        assert sd is not None
        assert ess_patients(resolve_prior("flat", sd=sd), sd=sd) == 0
        assert ess_patients(resolve_prior("weak", sd=sd), sd=sd) == pytest.approx(1)
        assert ess_patients(resolve_prior("skeptical", sd=sd), sd=sd) == pytest.approx(
            (2 * 1.6448536 / 0.9) ** 2, rel=1e-6
        )


def test_ess_of_a_mixture_of_one_is_that_of_its_component() -> None:
    """Splitting a prior into equal parts changes nothing; the Student-t has its closed form."""
    split = mixture([0.4, 0.6], [normal(1, 3), normal(1, 3)])
    assert elir_ess(split, information=0.5) == pytest.approx(
        elir_ess(normal(1, 3), information=0.5)
    )
    tee = student_t(4, 0, 2)
    twice = mixture([0.5, 0.5], [tee, tee])
    assert elir_ess(twice, information=1) == pytest.approx(elir_ess(tee, information=1), rel=1e-6)


def test_elir_is_predictively_consistent() -> None:
    """Averaged over the prior predictive, the posterior is worth the prior plus the data."""
    prior = mixture([0.8, 0.2], [normal(0, 1), normal(0, 4)])
    n, unit = 10, 1.0
    error = (unit / n) ** 0.5

    def worth(estimate: float) -> float:
        posterior = conjugate_posterior(normal(estimate, error), prior)
        assert posterior is not None
        predictive = mixture(
            list(prior.weights),
            [normal(0, float(np.hypot(p.params["sigma"], error))) for p in prior.components],
        )
        return elir_ess(posterior, information=1 / unit) * float(predictive.pdf(estimate))

    expected = 2 * integrate.quad(worth, 0, 30, limit=100, epsabs=1e-6)[0]
    assert expected - n == pytest.approx(elir_ess(prior, information=1 / unit), abs=1e-3)


def test_ess_refuses_a_prior_on_half_the_line() -> None:
    """The ratio is not defined here for a density with an edge."""
    with pytest.raises(SpecError, match="half_normal"):
        elir_ess(Prior("half_normal", {"sigma": 1.0}), information=1)
