"""Summaries of estimands: the same quantities from exact posteriors and from draws."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bayes_ptsd.errors import SpecError
from bayes_ptsd.estimands import benefit_curve, estimate, prob_benefit, summary_document
from bayes_ptsd.evidence.published import load_published, select_contrast
from bayes_ptsd.exact.printed import fit_exact
from bayes_ptsd.fit_view import fit_document
from bayes_ptsd.models_files import load_model
from bayes_ptsd.priors import Prior, normal

CONSTANTS = '{"mcid": 7.2, "reference_sd": 14.4, "unit": "points"}'
ROW = select_contrast(load_published(), "T2.IESR.X")


def exact_fit(prior: str | Prior = "flat", convention: str = "N") -> xr.DataTree:
    """Return the exact posterior of the primary row."""
    spec = load_model("published-crossover")
    return fit_exact(
        ROW, spec.having(options={"convention": convention}, priors={"treatment": prior})
    )  # type: ignore[dict-item]


def sampled_fit(draws: np.ndarray) -> xr.DataTree:
    """Return draws dressed as a fit."""
    posterior = xr.Dataset({"treatment_difference": (("chain", "draw"), draws)})
    tree = xr.DataTree.from_dict({"posterior": posterior})
    tree.attrs["endpoint_constants"] = CONSTANTS
    return tree


def test_summaries_of_a_normal_posterior_have_their_closed_forms() -> None:
    """Every quantity equals the normal distribution's own formula."""
    posterior = stats.norm(12.7, 20.3 / (2 * 1.959963985))
    one = estimate(exact_fit()).sel(estimand="treatment_difference")
    assert float(one["mean"]) == pytest.approx(12.7)
    assert float(one["median"]) == pytest.approx(12.7, abs=1e-8)
    assert float(one["sd"]) == pytest.approx(posterior.std())
    assert one["eti95"].values == pytest.approx(posterior.ppf([0.025, 0.975]), abs=1e-6)
    assert one["hdi95"].values == pytest.approx(posterior.ppf([0.025, 0.975]), abs=1e-3)
    assert float(one["prob_benefit"]) == pytest.approx(posterior.sf(0), abs=1e-8)
    assert float(one["prob_gt_mcid"]) == pytest.approx(posterior.sf(7.2), abs=1e-8)
    narrow = posterior.cdf(1.44) - posterior.cdf(-1.44)
    assert float(one["rope_narrow"]) == pytest.approx(narrow, abs=1e-8)
    clinical = posterior.cdf(7.2) - posterior.cdf(-7.2)
    assert float(one["rope_clinical"]) == pytest.approx(clinical, abs=1e-8)
    assert float(one["mcse_mean"]) == 0


def test_draws_give_the_exact_summaries_within_monte_carlo_error() -> None:
    """Quantities from 40,000 draws agree with the exact ones within 4 standard errors."""
    fit = exact_fit("cochrane", "T")
    one = estimate(fit).sel(estimand="treatment_difference")
    exact = fit["exact"].to_dataset().sel(estimand="treatment_difference")
    uniform = np.random.default_rng(5).uniform(size=(4, 10_000))
    draws = np.interp(uniform, exact["cdf"], exact["value"])
    other = estimate(sampled_fit(draws)).sel(estimand="treatment_difference")
    assert float(other["mean"]) == pytest.approx(
        float(one["mean"]), abs=4 * float(other["mcse_mean"])
    )
    for key in ("prob_benefit", "prob_gt_mcid", "rope_narrow", "rope_clinical"):
        p = float(one[key])
        assert float(other[key]) == pytest.approx(p, abs=4 * (p * (1 - p) / 40_000) ** 0.5)
    assert other["eti95"].values == pytest.approx(one["eti95"].values, abs=0.3)
    assert other["hdi95"].values == pytest.approx(one["hdi95"].values, abs=0.6)


def test_shortest_interval_is_not_longer_than_the_equal_tailed_one() -> None:
    """For a skewed posterior the HDI is the shorter interval and holds 0.95."""
    one = estimate(exact_fit("cochrane", "T")).sel(estimand="treatment_difference")
    lengths = [float(one[key].diff("bound").item()) for key in ("hdi95", "eti95")]
    assert lengths[0] < lengths[1]


@settings(max_examples=15, deadline=None)
@given(st.floats(-30, 30), st.floats(1, 30))
def test_benefit_curve_falls_and_starts_at_prob_benefit(mu: float, sigma: float) -> None:
    """P(delta > m) never rises with m and is P(benefit) at m = 0, for any normal prior."""
    fit = exact_fit(normal(mu, sigma))
    curve = benefit_curve(fit)
    assert (np.diff(curve.values) <= 1e-12).all()
    assert float(curve[0]) == pytest.approx(prob_benefit(fit), abs=1e-12)
    assert float(curve["margin"][-1]) == pytest.approx(1.5 * 14.4)


def test_thresholds_add_their_probabilities() -> None:
    """Each threshold asked for adds P(delta > threshold), in the JSON document too."""
    summary = estimate(exact_fit(), thresholds=[0.0, 10.0])
    document = summary_document(summary)["treatment_difference"]
    assert document["prob_gt"]["0"] == pytest.approx(document["prob_benefit"])
    assert document["prob_gt"]["10"] < document["prob_gt"]["0"]


def test_endpoint_without_constants_has_no_mcid_or_rope() -> None:
    """What rests on an MCID or SD is missing, not invented, where the endpoint has none."""
    fit = sampled_fit(np.random.default_rng(1).normal(size=(4, 500)))
    fit.attrs["endpoint_constants"] = "{}"
    document = summary_document(estimate(fit))["treatment_difference"]
    assert document["prob_gt_mcid"] is None
    assert document["rope"] == {"narrow": None, "clinical": None}
    with pytest.raises(SpecError, match="give the margins"):
        benefit_curve(fit)


def test_a_tree_without_posterior_is_refused() -> None:
    """There is nothing to summarize in a tree that holds no posterior."""
    with pytest.raises(SpecError, match="no posterior"):
        estimate(xr.DataTree())


@pytest.mark.parametrize("thresholds", [[], [5.0, 10.0]])
def test_the_document_of_a_fit_has_the_summary_that_it_carries(thresholds: list[float]) -> None:
    """Its estimands are those of `estimate`, to the last digit, with every threshold asked for."""
    fit = exact_fit("skeptical", "T")
    spec = load_model("published-crossover").having(
        options={"convention": "T"}, priors={"treatment": "skeptical"}
    )
    found = fit_document(fit, ROW, spec, thresholds=thresholds)["estimands"]
    assert found == summary_document(estimate(fit, thresholds=thresholds))
