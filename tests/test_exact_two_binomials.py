"""Two binomials with a prior on their log odds ratio or log risk ratio."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special, stats

from bayes_ptsd.errors import EvidenceError, SpecError
from bayes_ptsd.evidence.measures import Counts
from bayes_ptsd.exact._risks import BetaPair, quantiles
from bayes_ptsd.exact.grid import grid_cdf, grid_quantile
from bayes_ptsd.exact.two_binomials import counts_log_likelihood, counts_posterior
from bayes_ptsd.priors import Prior, normal

CABANA = Counts(89, 1108, 101, 1096)
SMALL = Counts(3, 12, 8, 14)
TAILS = np.array([0.025, 0.5, 0.975])


@pytest.mark.parametrize("counts", [CABANA, SMALL, Counts(1, 10, 3, 10000)])
@pytest.mark.parametrize(
    ("answer", "name"), [("or", "odds_ratio"), ("rr", "risk_ratio"), ("rd", "risk_difference")]
)
def test_flat_priors_are_two_independent_betas(counts: Counts, answer: str, name: str) -> None:
    """Flat on both log odds is Beta(events, others) of each risk, whose quantiles are known."""
    exact = counts_posterior(counts, Prior("flat"), answer=answer)
    pair = BetaPair(
        counts.events_active, counts.n_active - counts.events_active,
        counts.events_control, counts.n_control - counts.events_control,
    )  # fmt: skip
    known = quantiles(pair, name, TAILS)
    found = grid_quantile(exact, TAILS)
    assert found == pytest.approx(known if answer == "rd" else np.log(known), abs=3e-6)
    assert float(exact["quadrature_error"]) < 1e-6


def _on_a_grid_of_risks(counts: Counts, prior: Prior, scale: str, limit: float) -> float:
    """Return P(risk ratio < limit) by the midpoint rule over both risks."""
    p = (np.arange(3000) + 0.5) / 3000
    active, control = p[:, None], p
    logs = stats.binom.logpmf(counts.events_active, counts.n_active, active)
    logs = logs + stats.binom.logpmf(counts.events_control, counts.n_control, control)
    # flat control log odds, and the prior of the log ratio, as densities of both risks
    logs = logs - np.log(control * (1 - control))
    if scale == "or":
        logs = logs + prior.logpdf(special.logit(active) - special.logit(control))
        logs = logs - np.log(active * (1 - active))
    else:
        logs = logs + prior.logpdf(np.log(active / control)) - np.log(active)
    mass = np.exp(logs - logs.max())
    return float(mass[active / control < limit].sum() / mass.sum())


@pytest.mark.parametrize("scale", ["or", "rr"])
@pytest.mark.parametrize("prior", [normal(0, 0.35), normal(-0.7, 0.3), normal(0.5, 2)])
def test_priors_on_either_ratio_are_those_of_a_grid(scale: str, prior: Prior) -> None:
    """P(risk ratio < 0.8) is that of a grid over both risks, whichever ratio the prior is of."""
    exact = counts_posterior(SMALL, prior, scale=scale, answer="rr")
    found = float(grid_cdf(exact, np.array(math.log(0.8))))
    assert found == pytest.approx(_on_a_grid_of_risks(SMALL, prior, scale, 0.8), abs=1e-3)


@pytest.mark.parametrize("answer", ["or", "rr", "rd"])
@pytest.mark.parametrize("counts", [CABANA, SMALL, Counts(0, 50, 5, 50), Counts(1, 10, 3, 10000)])
def test_no_effect_is_one_event_on_every_scale(counts: Counts, answer: str) -> None:
    """OR < 1, RR < 1 and RD < 0 have one probability, arms swapped its complement."""
    prior = normal(0.2, 1)
    known = float(grid_cdf(counts_posterior(counts, prior), np.array(0.0)))
    found = float(grid_cdf(counts_posterior(counts, prior, answer=answer), np.array(0.0)))
    assert found == pytest.approx(known, abs=1e-7)
    swapped = Counts(counts.events_control, counts.n_control, counts.events_active, counts.n_active)
    other = counts_posterior(swapped, normal(-0.2, 1), answer=answer)
    # the flat prior on the control log odds is flat on the other ones as well, given the ratio
    assert float(grid_cdf(other, np.array(0.0))) == pytest.approx(1 - known, abs=1e-7)


def test_the_likelihood_alone_is_that_of_the_posterior() -> None:
    """Under a normal prior the density of the log ratio is prior times likelihood, either scale."""
    for scale in ("or", "rr"):
        prior = normal(-0.3, 0.4)
        exact = counts_posterior(SMALL, prior, scale=scale, answer=scale)
        inside = (exact["cdf"] > 0.01) & (exact["cdf"] < 0.99)
        x, pdf = exact["value"].values[inside], exact["pdf"].values[inside]
        logs = counts_log_likelihood(SMALL, scale=scale)(x) + prior.logpdf(x)
        constant = np.log(pdf) - logs
        assert constant == pytest.approx(np.full_like(x, constant[0]), abs=1e-6)


def test_large_trials_are_normal() -> None:
    """With 30,000 events in each arm the posterior is that of the Wald normal to 1e-3."""
    counts = Counts(30000, 1000000, 29500, 1000000)
    estimate, se = counts.wald("rr")
    exact = counts_posterior(counts, normal(0, 0.01), scale="rr", answer="rr")
    share = 0.01**2 / (0.01**2 + se**2)
    expected = stats.norm(share * estimate, se * math.sqrt(share)).ppf(TAILS)
    assert grid_quantile(exact, TAILS) == pytest.approx(expected, abs=1e-3 * se)


def test_what_has_no_posterior_is_refused() -> None:
    """An arm without events has none under a flat prior; unknown scales are named."""
    with pytest.raises(EvidenceError, match="give --prior"):
        counts_posterior(Counts(0, 50, 5, 50), Prior("flat"))
    with pytest.raises(SpecError, match="unknown scale 'hr'"):
        counts_posterior(SMALL, normal(0, 1), scale="hr")
    with pytest.raises(SpecError, match="unknown answer 'nnt'"):
        counts_posterior(SMALL, normal(0, 1), answer="nnt")
    with pytest.raises(SpecError, match="unknown scale"):
        counts_log_likelihood(SMALL, scale="rd")
