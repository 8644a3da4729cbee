"""Two binomial risks: closed forms, other quadratures, simulation, the printed outcomes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
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
from bayes_ptsd.exact.binary_items import items_summary, tempering
from bayes_ptsd.exact.binary_outcomes import (
    binary_outcomes_of,
    binary_table,
    items_table,
    paired_table,
)
from bayes_ptsd.exact.grid import grid_cdf
from bayes_ptsd.exact.paired_binary import (
    Exposures,
    both_risk,
    paired_likelihood,
    paired_summary,
)

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


def enumerated(one: Exposures, p: float, q: float, joint: float) -> float:
    """Return the probability of the printed totals by going through everybody's events."""
    cells = {(1, 1): joint, (1, 0): p - joint, (0, 1): q - joint, (0, 0): 1 - p - q + joint}
    alone = [one.n[0] - one.both, one.n[1] - one.both]
    total = 0.0
    for pairs in itertools.product(cells, repeat=one.both):
        for active in itertools.product((0, 1), repeat=alone[0]):
            for control in itertools.product((0, 1), repeat=alone[1]):
                seen = (sum(a for a, _ in pairs) + sum(active),
                        sum(c for _, c in pairs) + sum(control))  # fmt: skip
                if seen == one.events:
                    total += float(
                        np.prod([cells[pair] for pair in pairs])
                        * np.prod([p if a else 1 - p for a in active])
                        * np.prod([q if c else 1 - q for c in control])
                    )
    return total


@pytest.mark.parametrize("events", [(0, 0), (1, 1), (3, 1), (2, 3), (5, 4)])
def test_unknown_pairing_is_the_sum_over_everybody(events: tuple[int, int]) -> None:
    """The likelihood of totals equals the sum over all ways in which people had the event."""
    one = Exposures(events, (5, 4), 3)
    found = paired_likelihood(one, np.array([0.3]), np.array([0.2]), np.array([[0.12]]))
    assert float(found[0, 0]) == pytest.approx(enumerated(one, 0.3, 0.2, 0.12), rel=1e-12)


def test_unknown_pairing_probabilities_sum_to_one() -> None:
    """Over all totals that can be printed the probabilities add up to one."""
    pairs = itertools.product(range(6), range(5))
    total = sum(
        paired_likelihood(Exposures(pair, (5, 4), 3), np.array([0.4]), np.array([0.1]),
                          np.array([[0.08]]))[0, 0]
        for pair in pairs
    )  # fmt: skip
    assert float(total) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("correlation", [0.3, 0.9, 0.99])
def test_risk_of_both_has_other_quadrature(correlation: float) -> None:
    """Events under both treatments of one person agree with adaptive quadrature."""
    sd = math.sqrt(correlation / (1 - correlation)) * math.pi / math.sqrt(3)

    def over(function: Callable[[float], float]) -> float:
        return float(integrate.quad(lambda u: function(u) * stats.norm.pdf(u), -9, 9, limit=300)[0])

    levels = [-1.3, 0.4]
    risks = [over(lambda u, a=a: special.expit(a + sd * u)) for a in levels]
    joint = over(lambda u: special.expit(levels[0] + sd * u) * special.expit(levels[1] + sd * u))
    found = both_risk(np.array(risks[:1]), np.array(risks[1:]), np.array([correlation]))
    assert float(found[0, 0, 0]) == pytest.approx(joint, abs=1e-7)


def test_unknown_pairing_without_correlation_is_independence() -> None:
    """At a latent correlation of 0 every contrast is that of two independent beta posteriors."""
    for prior in BETA_PRIORS:
        found = paired_summary([Exposures((8, 1), (39, 31), 29)], correlations=[0.0], prior=prior)
        one = found.isel(outcome=0, correlation=0)
        wanted = binary_summary(8, 39, 1, 31, prior=prior).sel(estimand=one["estimand"].values)
        for name in ("median", "eti95"):
            np.testing.assert_allclose(one[name].values, wanted[name].values, rtol=1e-6)
        assert float(one["prob_more_active"]) == pytest.approx(
            float(wanted["prob_more_active"]), abs=1e-8
        )
        difference = wanted.sel(estimand="risk_difference")
        assert float(one["difference_sd"]) == pytest.approx(float(difference["sd"]), abs=1e-8)


def test_unknown_pairing_narrows_and_says_nothing_of_itself() -> None:
    """Correlated exposures narrow the difference; totals leave the correlation at its prior."""
    found = paired_summary([Exposures((14, 6), (39, 31), 29)], correlations=[0.0, 0.5, "uniform"])
    sd = found["difference_sd"].values[0]
    assert sd[1] < 0.9 * sd[0]
    assert sd[1] < sd[2] < sd[0] or sd[2] == pytest.approx(sd[1], rel=0.02)
    assert float(found["correlation_mean"][0, 2]) == pytest.approx(0.5, abs=0.01)


def test_unknown_pairing_has_the_posterior_of_simulation() -> None:
    """Mean and P(more) agree with weighted draws of risks whose pairs are simulated."""
    rng, correlation, size = np.random.default_rng(8), 0.7, 400_000
    one = Exposures((3, 1), (6, 5), 4)
    risk = rng.beta(0.5, 0.5, size=(2, size)).clip(1e-6, 1 - 1e-6)
    grid = np.linspace(-14, 14, 400)
    sd = math.sqrt(correlation / (1 - correlation)) * math.pi / math.sqrt(3)
    nodes, weight = np.polynomial.hermite_e.hermegauss(40)
    marginal = (special.expit(grid[:, None] + sd * nodes) * weight).sum(axis=1) / weight.sum()
    level = np.interp(risk, marginal, grid)
    effect = sd * rng.normal(size=(one.both, size))
    events = [
        (rng.uniform(size=(one.both, size)) < special.expit(level[arm] + effect)).sum(axis=0)
        + rng.binomial(one.n[arm] - one.both, risk[arm])
        for arm in (0, 1)
    ]
    kept = (events[0] == one.events[0]) & (events[1] == one.events[1])
    gap = (risk[0] - risk[1])[kept]
    found = paired_summary([one], correlations=[correlation]).isel(outcome=0, correlation=0)
    error = gap.std() / math.sqrt(kept.sum())
    assert float(found["difference_mean"]) == pytest.approx(gap.mean(), abs=4 * error)
    more = float((gap > 0).mean())
    assert float(found["prob_more_active"]) == pytest.approx(
        more, abs=4 * math.sqrt(more * (1 - more) / kept.sum())
    )


def test_items_agree_with_weighted_draws() -> None:
    """Two items under one prior: means and P(more) of importance sampling from the prior."""
    rng, size, events, n = np.random.default_rng(5), 600_000, [(14, 6), (8, 1)], (39, 31)
    center, spread = rng.normal(size=size), np.abs(rng.normal(0, 0.5, size=size))
    ratio = center + spread * rng.normal(size=(2, size))
    control = rng.beta(0.5, 0.5, size=(2, size)).clip(1e-12, 1 - 1e-12)
    active = special.expit(special.logit(control) + ratio)
    log = sum(
        stats.binom.logpmf(y, n[0], active[j]) + stats.binom.logpmf(z, n[1], control[j])
        for j, (y, z) in enumerate(events)
    )
    weight = np.exp(log - log.max())
    weight /= weight.sum()
    found = items_summary(events, n, correlations=[0.0]).isel(correlation=0)

    def close(values: np.ndarray, exact: float) -> bool:
        mean = float(weight @ values)
        error = math.sqrt(float(weight**2 @ (values - mean) ** 2))
        return abs(mean - exact) < 4 * error < 0.1

    assert close(center, float(found["center_mean"]))
    assert close(spread, float(found["spread_mean"]))
    for j in (0, 1):
        assert close(ratio[j], float(found["mean"][j]))
        assert close((ratio[j] > 0).astype(float), float(found["prob_more_active"][j]))


def test_tempered_counts_are_fewer_counts() -> None:
    """A correlation of 1 between two items halves every count."""
    whole = items_summary([(8, 2), (12, 6)], (40, 20), correlations=[1.0])
    half = items_summary([(4, 1), (6, 3)], (20, 10), correlations=[0.0])
    for name in ("mean", "sd", "prob_more_active", "center_mean", "spread_mean"):
        np.testing.assert_allclose(whole[name].values, half[name].values, rtol=1e-9)


def test_seven_items_shrink_toward_each_other() -> None:
    """Items of the checklist lie nearer to each other than alone; correlation widens the mean."""
    table = items_table(load_published())
    assert table is not None
    alone = [binary_summary(*pair).sel(estimand="odds_ratio")["median"] for pair in (
        (14, 39, 6, 31), (8, 39, 5, 31), (9, 39, 3, 31), (8, 39, 7, 31), (8, 39, 1, 31),
        (6, 39, 1, 31), (5, 39, 4, 31))]  # fmt: skip
    first = table.sel(correlation=0.0)
    assert float(first["median"].std()) < 0.4 * np.log(alone).std()
    assert (np.diff(table["center_sd"]) > 0).all()
    assert (np.diff(table["prob_center_more"]) < 0).all()


def test_impossible_pairs_are_refused() -> None:
    """More pairs than exposures, a correlation of 1, and single items are named."""
    with pytest.raises(EvidenceError, match="both"):
        paired_summary([Exposures((1, 1), (3, 5), 4)])
    with pytest.raises(SpecError, match="below 1"):
        paired_summary([Exposures((1, 1), (3, 5), 2)], correlations=[1.0])
    with pytest.raises(SpecError, match="prior 'flat'"):
        paired_summary([Exposures((1, 1), (3, 5), 2)], prior="flat")
    with pytest.raises(EvidenceError, match="two items"):
        items_summary([(1, 1)], (3, 5))
    with pytest.raises(SpecError, match="from 0 to 1"):
        items_summary([(1, 1), (0, 1)], (3, 5), correlations=[1.5])


@pytest.mark.parametrize(
    ("correlation", "weight"), [(0.0, 1.0), (0.1, 0.62), (0.2, 0.45), (0.3, 0.36), (0.4, 0.29)]
)
def test_weight_of_correlated_items(correlation: float, weight: float) -> None:
    """The weights of seven items are those of docs/methods/binary.md: 1 / (1 + 6 rho)."""
    assert tempering(correlation, 7) == pytest.approx(weight, abs=0.0051)
    assert tempering(correlation, 7) == pytest.approx(1 / (1 + 6 * correlation))


def test_people_exposed_twice() -> None:
    """At least 29 people had both treatments, and eight adverse events are told of both."""
    table = paired_table(load_published(), correlations=[0.5])
    assert table is not None
    assert (table.attrs["both"], table.sizes["outcome"]) == (29, 8)
