"""Two binomial risks: closed forms, other quadratures, simulation, the printed outcomes."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special, stats

from bayes_ptsd.errors import EvidenceError, SpecError
from bayes_ptsd.estimands import estimate
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.published import load_published
from bayes_ptsd.exact.binary import (
    BETA_PRIORS,
    binary_posterior,
    binary_summary,
    prob_more_active,
)
from bayes_ptsd.exact.binary_outcomes import binary_outcomes_of, binary_table
from bayes_ptsd.exact.grid import grid_cdf

Counts = tuple[int, int, int, int]
PRINTED: list[Counts] = [(7, 22, 1, 19), (7, 19, 1, 18), (27, 39, 13, 31), (8, 39, 1, 31)]
EXTREME: list[Counts] = [(0, 20, 0, 20), (20, 20, 0, 20), (0, 20, 20, 20), (1, 1, 0, 1)]


@st.composite
def counts(draw: st.DrawFn, largest: int = 60) -> Counts:
    """Draw events and sizes of two arms."""
    n = [draw(st.integers(1, largest)) for _ in range(2)]
    events = [draw(st.integers(0, size)) for size in n]
    return events[0], n[0], events[1], n[1]


def exact_uniform(events: Counts) -> Fraction:
    """Return P(active risk > control risk) under uniform priors as an exact sum."""
    (e1, n1), (e2, n2) = events[:2], events[2:]
    a1, b1, a2, b2 = e1 + 1, n1 - e1 + 1, e2 + 1, n2 - e2 + 1

    def beta(a: int, b: int) -> Fraction:
        return Fraction(math.factorial(a - 1) * math.factorial(b - 1), math.factorial(a + b - 1))

    terms = (beta(a2 + i, b1 + b2) / ((b1 + i) * beta(1 + i, b1) * beta(a2, b2)) for i in range(a1))
    return sum(terms, Fraction(0))


@given(events=counts())
def test_uniform_prior_has_an_exact_sum(events: Counts) -> None:
    """P(more under active) under uniform priors equals the sum over integers, in fractions."""
    assert prob_more_active(*events, prior="uniform") == pytest.approx(
        float(exact_uniform(events)), abs=1e-9
    )


@pytest.mark.parametrize("events", [*PRINTED, (0, 9, 3, 30), (1500, 4000, 2, 3)])
def test_jeffreys_prior_agrees_with_adaptive_quadrature(events: Counts) -> None:
    """P(more under active) under Jeffreys equals scipy's quad on the log-odds scale."""
    one, two = (stats.beta(e + 0.5, n - e + 0.5) for e, n in (events[:2], events[2:]))

    def integrand(x: float) -> float:
        p = float(special.expit(x))
        return float(one.sf(p) * two.pdf(p) * p * (1 - p))

    middle = float(special.logit(one.median()))
    value, _ = integrate.quad(integrand, -60, 35, points=[middle], epsabs=1e-11, limit=500)
    assert prob_more_active(*events) == pytest.approx(value, abs=1e-8)


@given(events=counts(), prior=st.sampled_from(sorted(BETA_PRIORS)))
def test_arms_and_outcome_can_be_exchanged(events: Counts, prior: str) -> None:
    """Exchanging arms, and counting non-events instead, turn P into 1 - P."""
    e1, n1, e2, n2 = events
    more = prob_more_active(*events, prior=prior)
    assert prob_more_active(e2, n2, e1, n1, prior=prior) == pytest.approx(1 - more, abs=1e-8)
    non_events = prob_more_active(n1 - e1, n1, n2 - e2, n2, prior=prior)
    assert non_events == pytest.approx(1 - more, abs=1e-8)


@settings(max_examples=25)
@given(events=counts(), prior=st.sampled_from(sorted(BETA_PRIORS)))
def test_exchanged_arms_mirror_the_contrasts(events: Counts, prior: str) -> None:
    """Exchanging arms turns the sign of the difference and inverts both ratios, by quantile."""
    e1, n1, e2, n2 = events
    one = binary_summary(*events, prior=prior)
    two = binary_summary(e2, n2, e1, n1, prior=prior)
    for name in ("risk_difference", "risk_ratio", "odds_ratio"):
        low, high = one["eti95"].sel(estimand=name).values
        other_low, other_high = two["eti95"].sel(estimand=name).values
        if name == "risk_difference":
            assert (low, high) == pytest.approx((-other_high, -other_low), abs=1e-8)
        else:
            assert (low * other_high, high * other_low) == pytest.approx((1, 1), rel=1e-6)


@pytest.mark.parametrize("events", [*PRINTED, (5, 40, 6, 50)])
@pytest.mark.parametrize("prior", BETA_PRIORS)
def test_simulation_agrees(events: Counts, prior: str) -> None:
    """A million simulated pairs of risks give the quantiles, means and P that are computed."""
    shape = BETA_PRIORS[prior]
    e1, n1, e2, n2 = events
    generator = np.random.default_rng(11)
    p1 = generator.beta(e1 + shape, n1 - e1 + shape, 1_000_000)
    p2 = generator.beta(e2 + shape, n2 - e2 + shape, 1_000_000)
    odds = special.logit(p1) - special.logit(p2)
    simulated = {"risk_difference": p1 - p2, "risk_ratio": p1 / p2, "odds_ratio": np.exp(odds)}
    summary = binary_summary(*events, prior=prior)
    for name, values in simulated.items():
        one = summary.sel(estimand=name)
        low, high = one["eti95"].values
        for target, limit in ((0.025, low), (0.5, float(one["median"])), (0.975, high)):
            assert float((values <= limit).mean()) == pytest.approx(target, abs=0.0025)
        if math.isfinite(float(one["sd"])):
            error = 5 * float(one["sd"]) / 1000
            assert values.mean() == pytest.approx(float(one["mean"]), abs=error)
    assert (p1 > p2).mean() == pytest.approx(float(summary["prob_more_active"]), abs=0.001)


def test_moments_are_infinite_where_they_diverge() -> None:
    """With one control event the Jeffreys mean of a ratio exists and its sd does not."""
    summary = binary_summary(7, 22, 1, 19)
    ratio = summary.sel(estimand="risk_ratio")
    assert float(ratio["mean"]) == pytest.approx(7.5 / 23 * 19 / 0.5)
    assert math.isinf(float(ratio["sd"]))
    none = binary_summary(7, 22, 0, 19).sel(estimand=["risk_ratio", "odds_ratio"])
    assert np.isinf(none["mean"]).all()
    assert np.isfinite(none["median"]).all()


def test_dissociation_difference_is_the_specified_one() -> None:
    """27/39 v 13/31: risk difference .27, 95% interval .04 to .48 (Jeffreys)."""
    one = binary_summary(27, 39, 13, 31).sel(estimand="risk_difference")
    assert float(one["median"]) == pytest.approx(0.27, abs=0.005)
    assert one["eti95"].values == pytest.approx([0.04, 0.48], abs=0.005)


@pytest.mark.parametrize("events", [*PRINTED, *EXTREME, (5000, 10000, 5100, 10000)])
@pytest.mark.parametrize("prior", BETA_PRIORS)
def test_grid_and_summary_agree(events: Counts, prior: str) -> None:
    """The stored grid returns the quantiles of the root finder, also for all-or-none data."""
    fit = binary_posterior(*events, prior=prior)
    read = estimate(fit)
    summary = binary_summary(*events, prior=prior)
    for name in summary["estimand"].values:
        exact = fit["exact"].to_dataset().sel(estimand=name)
        assert bool((np.diff(exact["value"]) > 0).all())
        assert bool((np.diff(exact["cdf"]) >= 0).all())
        below = grid_cdf(exact, summary["eti95"].sel(estimand=name).values)
        assert below == pytest.approx([0.025, 0.975], abs=1e-7)
    np.testing.assert_allclose(read["mean"].sel(estimand=summary["estimand"]), summary["mean"])


def test_draws_are_seeded_and_of_the_posterior() -> None:
    """Equal seeds give equal draws, and draws agree with the exact mean within their error."""
    one, two, other = (binary_posterior(7, 22, 1, 19, seed=seed) for seed in (1, 1, 2))
    xr.testing.assert_equal(one["posterior"].to_dataset(), two["posterior"].to_dataset())
    draws = one["posterior"]["risk_difference"]
    assert draws.dims == ("chain", "draw")
    assert not draws.equals(other["posterior"]["risk_difference"])
    assert float(draws.mean()) == pytest.approx(0.2511, abs=4 * 0.1116 / 4000**0.5)


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ((8, 7, 1, 19), "active arm: 8 events of 7"),
        ((1, 7, -1, 19), "control arm: -1 events of 19"),
        ((1, 7, 0, 0), "control arm: 0 events of 0"),
        ((1.5, 7, 1, 19), "active arm: 1.5 events"),
        ((math.nan, 7, 1, 19), "active arm: nan events"),
    ],
)
def test_impossible_counts_are_refused(events: Counts, message: str) -> None:
    """More events than patients, negative, broken or missing counts and empty arms are refused."""
    with pytest.raises(EvidenceError, match=message):
        binary_summary(*events)


def test_unknown_prior_is_refused() -> None:
    """The message has the nearest name."""
    with pytest.raises(SpecError, match="did you mean 'jeffreys'"):
        prob_more_active(7, 22, 1, 19, prior="jeffrey")


COUNTS = {
    "remission.randomized": ((7, 1), (22, 19)),
    "remission.followed": ((7, 1), (19, 18)),
    "AE.BLUR": ((14, 6), (39, 31)),
    "AE.DRY": ((8, 5), (39, 31)),
    "AE.REST": ((9, 3), (39, 31)),
    "AE.FAT": ((8, 7), (39, 31)),
    "AE.NAU": ((8, 1), (39, 31)),
    "AE.COOR": ((6, 1), (39, 31)),
    "AE.HEAD": ((5, 4), (39, 31)),
    "AE.DISS": ((27, 13), (39, 31)),
}


def test_printed_outcomes_have_the_recovered_counts() -> None:
    """Remission by first treatment and eight adverse events, counts from the percentages."""
    outcomes = {item.id: item for item in binary_outcomes_of(load_published())}
    assert {name: (item.events, item.n) for name, item in outcomes.items()} == COUNTS
    for name, item in outcomes.items():
        assert item.benefit_sign == (1 if name.startswith("remission") else -1)
        pooled = "70 infusions of 41 people" in item.caveat
        assert pooled == name.startswith("AE.")
    assert "first period" in outcomes["AE.DISS"].caveat


def test_registry_flow_changes_who_was_followed() -> None:
    """Under the registry's flow 22 and 15 were followed to two weeks; all randomized stay."""
    outcomes = binary_outcomes_of(load_published(), flow_reading="registry")
    assert [item.n for item in outcomes[:2]] == [(22, 19), (22, 15)]
    with pytest.raises(EvidenceError, match="did you mean 'registry'"):
        binary_outcomes_of(load_published(), flow_reading="registri")


def test_table_says_more_and_benefit() -> None:
    """More remission is benefit, more adverse events are harm, under both priors."""
    table = binary_table(load_published())
    assert table["prior"].values.tolist() == ["jeffreys", "uniform"]
    more, benefit = table["prob_more_active"], table["prob_benefit"]
    remission = table["kind"] == "remission"
    xr.testing.assert_equal(benefit.where(remission, drop=True), more.where(remission, drop=True))
    harm = benefit.where(~remission, drop=True) + more.where(~remission, drop=True)
    np.testing.assert_allclose(harm, 1)
    one = table.sel(outcome="remission.randomized", prior="jeffreys", estimand="risk_difference")
    assert float(one["mean"]) == pytest.approx(7.5 / 23 - 1.5 / 20)
    assert table["treatment"].values.tolist() == ["ketamine", "midazolam"]
    assert table.attrs["evidence_kind"] == "published"


def altered(evidence: Evidence, **changes: float) -> Evidence:
    """Return the evidence with one number of nausea/vomiting under the active treatment changed."""
    tree = evidence.data.copy(deep=True)
    for name, value in changes.items():
        tree["adverse_events"][name].loc[{"event": "AE.NAU", "treatment": "ketamine"}] = value
    return Evidence(evidence.kind, evidence.trial, tree)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"percent": 22.0}, "AE.NAU.*22% is no"), ({"count": 9.0}, "AE.NAU.*21% is no")],
)
def test_percentages_that_fit_no_count_are_refused(changes: dict[str, float], message: str) -> None:
    """A percentage that no count of 39 prints, or a count that prints another one, is named."""
    with pytest.raises(EvidenceError, match=message):
        binary_table(altered(load_published(), **changes))


def test_evidence_without_binary_outcomes_is_refused() -> None:
    """A folder with effects only has no binary outcome, and the message says what is missing."""
    effects = load_published().data["effects"].to_dataset()
    bare = Evidence(
        "published", load_published().trial, xr.DataTree.from_dict({"effects": effects})
    )
    with pytest.raises(EvidenceError, match="has no binary outcome"):
        binary_table(bare)
