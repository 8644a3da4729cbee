"""The average over readings: a mixture of exact posteriors, by closed form and by quadrature."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, optimize, stats

from bayes_ptsd.comparison.averaged import averaged_posterior, averaged_summary
from bayes_ptsd.contrasts import model_of
from bayes_ptsd.evidence.published import load_published, select_contrast
from bayes_ptsd.exact.printed import row_prior, summarize_exact
from bayes_ptsd.exact.summary import likelihood_of
from bayes_ptsd.prior_family import PRIOR_FAMILY
from bayes_ptsd.priors import normal

EVIDENCE = load_published()
ROW = "T2.IESR.X"
WEIGHTS = {"as_published": 0.1, "unhalved": 0.4, "change": 0.2, "change_unhalved": 0.3}


@pytest.mark.parametrize("prior", PRIOR_FAMILY)
def test_one_reading_is_its_own_average(prior: str) -> None:
    """With all weight on one reading the summary is that of the exact engine, to 1e-9."""
    for reading in ("as_published", "change_unhalved"):
        row = select_contrast(EVIDENCE, ROW, crossover_reading=reading)
        spec = model_of(row, convention="T", prior=prior)
        expected = summarize_exact(row, spec)["treatment_difference"]
        posterior = averaged_posterior(EVIDENCE, ROW, weights={reading: 1.0}, prior=prior)
        found = averaged_summary(posterior, mcid=7.2, sd=14.4)
        for key in ("mean", "median", "sd", "eti95", "prob_benefit", "prob_gt_mcid"):
            assert found[key] == pytest.approx(expected[key], abs=1e-9), key
        assert found["rope"] == pytest.approx(expected["rope"], abs=1e-9)
        # the place of the shortest interval is flat: both searches end near it
        assert found["hdi95"] == pytest.approx(expected["hdi95"], abs=1e-3)


def test_normal_readings_have_a_closed_form() -> None:
    """Convention N and a normal prior: a mixture of two normals, its quantiles by root finding.

    Readings of one scale share a posterior: .3 of print, .7 of half of it. Each is updated by the
    same prior in score units, and the weights are not.
    """
    posterior = averaged_posterior(
        EVIDENCE, ROW, weights=WEIGHTS, prior=normal(0, 7.879), convention="N"
    )
    se = (22.8 - 2.5) / (2 * stats.norm.ppf(0.975))
    parts = []
    for scale in (1.0, 0.5):
        precision = np.array([(scale * se) ** -2, 7.879**-2])
        mean = precision[0] * scale * 12.7 / precision.sum()
        parts.append(stats.norm(mean, precision.sum() ** -0.5))
    weights = np.array([0.3, 0.7])

    def cdf(x: float) -> float:
        return float(weights @ [part.cdf(x) for part in parts])

    mean = float(weights @ [part.mean() for part in parts])
    second = float(weights @ [part.var() + part.mean() ** 2 for part in parts])
    found = averaged_summary(posterior, mcid=7.2)
    assert found["mean"] == pytest.approx(mean, abs=1e-9)
    assert found["sd"] == pytest.approx(np.sqrt(second - mean**2), abs=1e-9)
    limits = [optimize.brentq(lambda x, p=p: cdf(x) - p, -50, 50) for p in (0.025, 0.975)]
    assert found["eti95"] == pytest.approx(limits, abs=1e-7)
    assert found["prob_benefit"] == pytest.approx(1 - cdf(0), abs=1e-9)
    assert found["prob_gt_mcid"] == pytest.approx(1 - cdf(7.2), abs=1e-9)


@pytest.mark.parametrize("prior", ["skeptical", "cochrane"])
def test_average_is_that_of_an_independent_quadrature(prior: str) -> None:
    """Prior times likelihood of each reading by SciPy's quad, each normalized, then weighted."""
    posterior = averaged_posterior(EVIDENCE, ROW, weights=WEIGHTS, prior=prior)
    mean = 0.0
    above = 0.0
    for reading, weight in WEIGHTS.items():
        row = select_contrast(EVIDENCE, ROW, crossover_reading=reading)
        likelihood = likelihood_of(row.data["effects"].to_dataset(), "T")
        own = row_prior(model_of(row, convention="T", prior=prior), row)

        def density(x: float, one=likelihood, two=own) -> float:
            return float(np.exp(one.logpdf(x) + two.logpdf(x)))

        mass, first, tail = (
            integrate.quad(f, low, 120, points=(0, 6, 13), limit=400)[0]
            for f, low in (
                (density, -80), (lambda x, d=density: x * d(x), -80), (density, 7.2),
            )
        )  # fmt: skip
        mean += weight * first / mass
        above += weight * tail / mass
    assert float(posterior["mean"]) == pytest.approx(mean, abs=1e-6)
    assert averaged_summary(posterior, mcid=7.2)["prob_gt_mcid"] == pytest.approx(above, abs=1e-6)


def test_shortest_interval_holds_95_percent_and_is_shorter() -> None:
    """The HDI of a skewed average is shorter than the equal-tailed interval, with the same mass."""
    posterior = averaged_posterior(EVIDENCE, ROW, weights=WEIGHTS)
    found = averaged_summary(posterior)
    low, high = found["hdi95"]
    inside = np.interp([low, high], posterior["value"], posterior["cdf"])
    assert inside[1] - inside[0] == pytest.approx(0.95, abs=1e-3)
    assert high - low < found["eti95"][1] - found["eti95"][0] - 0.1
    assert np.isnan(found["prob_gt_mcid"])
    assert np.isnan(found["rope"]["narrow"])
