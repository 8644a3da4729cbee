"""Another trial's difference from a shrunk posterior: closed forms, brute force, monotonicity."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from bayes_ptsd.errors import SpecError
from bayes_ptsd.evidence.published import load_published
from bayes_ptsd.exact.grid import grid_cdf
from bayes_ptsd.prior_family import resolve_prior
from bayes_ptsd.priors import FloatArray, Prior, mixture, normal, student_t
from bayes_ptsd.replication.assurance import Goal
from bayes_ptsd.replication.designs import ReplicationDesign
from bayes_ptsd.replication.document import prior_document, row_fits
from bayes_ptsd.replication.exchangeable import (
    OwnEffect,
    heterogeneity_nodes,
    own_effect,
    predictive_grid,
)
from bayes_ptsd.replication.prior import replication_prior
from bayes_ptsd.replication.readings import (
    averaged_weights,
    printed_precision,
    row_cases,
)
from bayes_ptsd.replication.sample_size import smallest_size

SD = 14.4
FLAT = Prior("flat")
Z = float(stats.norm.ppf(0.975))
ROWS = {"first": (8.6, 3.8929), "crossover": (12.7, 5.1787), "unhalved": (6.35, 5.1787 / 2)}


def cochrane(se: float) -> Prior:
    """Return the Cochrane prior of a row."""
    return resolve_prior("cochrane", sd=SD, se=se)


def foretold(own: OwnEffect, scale: float, se: float) -> tuple[float, float, float]:
    """Return mean, P(> 0) and P(a replication with this error is significant), from the density."""
    grid = predictive_grid(own, scale=scale)
    x, pdf = grid["value"].values, grid["pdf"].values
    significant = float(np.trapezoid(pdf * special.ndtr(x / se - Z), x))
    return float(grid["mean"]), 1 - float(grid_cdf(grid, np.array(0.0))), significant


@pytest.mark.parametrize(
    ("row", "known"),
    [
        ("first", (4.15, 0.797, 0.292)),
        ("crossover", (7.22, 0.868, 0.362)),
        ("unhalved", (2.61, 0.752, 0.300)),
    ],
)
def test_reference_rows(row: str, known: tuple[float, float, float]) -> None:
    """Under the Cochrane prior and HN(3.6): mean, P(> 0), P(significant at the same size)."""
    estimate, se = ROWS[row]
    own = OwnEffect.of_normal(normal(estimate, se), cochrane(se))
    mean, benefit, significant = foretold(own, 3.6, se)
    assert mean == pytest.approx(known[0], abs=5e-3)
    assert (benefit, significant) == pytest.approx(known[1:], abs=5e-4)
    if row == "first":
        first = own.capped(3.6)[0]
        assert first["capped_mass"] == pytest.approx(0.51, abs=5e-3)


def test_closed_form_of_one_component() -> None:
    """E = y (A^2 - t^2) / (A^2 + s^2), Var = A^2 - (A^2 - t^2)^2 / (A^2 + s^2), at every tau."""
    y, s, a, scale = 8.6, 3.9, 7.0, 3.6
    own = OwnEffect.of_normal(normal(y, s), normal(0, a))
    tau, weight = heterogeneity_nodes(scale, a)
    mean = y * (a**2 - tau**2) / (a**2 + s**2)
    variance = a**2 - (a**2 - tau**2) ** 2 / (a**2 + s**2)
    grid = predictive_grid(own, scale=scale)
    assert float(grid["mean"]) == pytest.approx(weight @ mean, rel=1e-9)
    total = weight @ (variance + mean**2) - (weight @ mean) ** 2
    assert float(grid["sd"]) ** 2 == pytest.approx(total, rel=1e-9)
    # moments of the capped half-normal itself, by a plain sum
    fine = np.minimum(stats.halfnorm.ppf((np.arange(200_000) + 0.5) / 200_000, scale=scale), a)
    assert weight @ tau**2 == pytest.approx(np.mean(fine**2), rel=1e-4)


def test_flat_prior_keeps_twice_the_heterogeneity() -> None:
    """Mean as estimated, variance s^2 + 2 E(tau^2); a very wide prior comes to the same."""
    for prior in (FLAT, normal(0, 1e5)):
        grid = predictive_grid(OwnEffect.of_normal(normal(8.6, 3.9), prior), scale=3.6)
        assert float(grid["mean"]) == pytest.approx(8.6, abs=1e-6)
        assert float(grid["sd"]) ** 2 == pytest.approx(3.9**2 + 2 * 3.6**2, rel=1e-6)


def test_another_prior_mean_shifts_the_estimate() -> None:
    """Under N(m, A^2) all is as under N(0, A^2) with everything moved by m."""
    here = OwnEffect.of_normal(normal(8.6, 3.9), normal(5.0, 4.0))
    there = OwnEffect.of_normal(normal(3.6, 3.9), normal(0.0, 4.0))
    moved, still = (predictive_grid(own, scale=3.6) for own in (here, there))
    assert float(moved["mean"]) == pytest.approx(float(still["mean"]) + 5, abs=1e-9)
    assert float(moved["sd"]) == pytest.approx(float(still["sd"]), abs=1e-9)


def test_no_heterogeneity_gives_the_posterior_and_much_the_prior() -> None:
    """At tau 0 the other trial's difference is this one's; from A on it knows the prior only."""
    own = OwnEffect.of_normal(normal(8.6, 3.9), normal(0, 5.0))
    posterior = predictive_grid(own, scale=0.0)
    assert float(posterior["mean"]) == pytest.approx(8.6 * 25 / (25 + 3.9**2))
    prior = predictive_grid(own, scale=1e4)
    assert (float(prior["mean"]), float(prior["sd"])) == pytest.approx((0, 5), abs=5e-3)


def simulated(
    likelihood: Prior, prior: Prior, scale: float, *, seed: int
) -> tuple[FloatArray, FloatArray]:
    """Return other trials' differences and the likelihood of each, drawn from the joint model."""
    rng, size = np.random.default_rng(seed), 400_000
    parts = prior.components or (prior,)
    part = rng.choice(len(parts), size=size, p=prior.weights or (1.0,))
    center, width = (np.array([one.params[key] for one in parts])[part] for key in ("mu", "sigma"))
    t = np.minimum(np.abs(rng.normal(0, scale, size)), width)
    mu = rng.normal(center, np.sqrt(width**2 - t**2))
    first, second = rng.normal(mu, t), rng.normal(mu, t)
    return second, np.exp(likelihood.logpdf(first))


@pytest.mark.parametrize(
    "likelihood", [normal(8.6, 3.9), student_t(6, 8.57, 3.77)], ids=["normal", "t"]
)
@pytest.mark.parametrize(
    "prior",
    [normal(0, 7.879), cochrane(3.9), mixture([0.4, 0.6], [normal(-3, 4), normal(6, 9)])],
    ids=["skeptical", "cochrane", "two means"],
)
def test_against_brute_force(likelihood: Prior, prior: Prior) -> None:
    """Draws of tau, mu and both trials, weighted by the likelihood of the first."""
    second, weight = simulated(likelihood, prior, 3.6, seed=3)
    grid = predictive_grid(OwnEffect.of_normal(likelihood, prior), scale=3.6)
    share = weight / weight.sum()
    for event, found in (
        (second, float(grid["mean"])),
        *((second < x, float(grid_cdf(grid, np.array(x)))) for x in (-4.0, 0.0, 4.0, 10.0)),
    ):
        mean = share @ event
        error = math.sqrt(share**2 @ (event - mean) ** 2)
        assert found == pytest.approx(mean, abs=4 * error)


@pytest.mark.parametrize("prior", [normal(0, 7.879), cochrane(3.77)], ids=["normal", "mixture"])
def test_t_likelihood_is_integrated_over_this_trials_difference(prior: Prior) -> None:
    """It is N(m + r (theta_1 - m), A^2 (1 - r^2)) averaged over the posterior of theta_1.

    On a plain grid of theta_1, whose step bounds the error where the two hardly differ.
    """
    likelihood = student_t(38, 8.57, 3.7692)
    grid = predictive_grid(OwnEffect.of_normal(likelihood, prior), scale=3.6)
    theta = np.linspace(-60, 80, 28_001)
    density = likelihood.pdf(theta) * prior.pdf(theta)
    density /= np.trapezoid(density, theta)
    parts, weights = prior.components or (prior,), prior.weights or (1.0,)
    belongs = np.stack([w * part.pdf(theta) for w, part in zip(weights, parts, strict=True)])
    belongs /= belongs.sum(axis=0)
    for x in (-2.0, 0.0, 5.0, 12.0):
        below = 0.0
        for part, share in zip(parts, belongs, strict=True):
            a = part.params["sigma"]
            for t, mass in zip(*heterogeneity_nodes(3.6, a), strict=True):
                r = 1 - t**2 / a**2
                spread = max(a * math.sqrt(1 - r**2), 1e-9)
                inner = special.ndtr((x - r * theta) / spread) * share * density
                below += mass * float(np.trapezoid(inner, theta))
        assert float(grid_cdf(grid, np.array(x))) == pytest.approx(below, abs=2e-4)


@settings(max_examples=40, deadline=None)
@given(
    z=st.floats(0.2, 5),
    widths=st.lists(st.floats(0.2, 8), min_size=1, max_size=3),
    scales=st.tuples(st.floats(0.02, 4), st.floats(1.05, 4)),
)
def test_heterogeneity_never_adds_benefit(
    z: float, widths: list[float], scales: tuple[float, float]
) -> None:
    """Under zero-mean priors the mean of another trial falls, P(> 0) never rises."""
    parts = [normal(0, width) for width in widths]
    prior = parts[0] if len(parts) == 1 else mixture([1 / len(parts)] * len(parts), parts)
    own = OwnEffect.of_normal(normal(z, 1.0), prior)
    less, more = scales[0], scales[0] * scales[1]
    one, other = foretold(own, less, 1.0), foretold(own, more, 1.0)
    assert other[0] < one[0]
    assert other[1] <= one[1] + 1e-7


@pytest.mark.parametrize("row", ROWS)
def test_success_becomes_less_probable_with_heterogeneity(row: str) -> None:
    """P(significant) of these rows falls from 0 to 1 SD between trials; it rose before."""
    estimate, se = ROWS[row]
    own = OwnEffect.of_normal(normal(estimate, se), cochrane(se))
    found = [foretold(own, scale * SD, se)[2] for scale in (0, 0.05, 0.125, 0.25, 0.5, 1.0)]
    assert (np.diff(found) < 0).all()


def drawn(prior: Prior, likelihood: Prior) -> xr.DataTree:
    """Return a fit of patients by draws from a normal posterior, with its prior."""
    own = OwnEffect.of_normal(likelihood, prior)
    draws = own.posterior.quantile((np.arange(4000) + 0.5) / 4000).reshape(1, -1)
    tree = xr.DataTree.from_dict({
        "posterior": xr.Dataset({"treatment_difference": (("chain", "draw"), draws)})
    })  # fmt: skip
    tree.attrs = {"prior_table": json.dumps(prior.table())}
    return tree


@pytest.mark.parametrize("prior", [normal(0, 7.879), cochrane(3.9)], ids=["normal", "mixture"])
def test_draws_lead_to_the_same_prior_as_the_likelihood(prior: Prior) -> None:
    """A fit of patients, whose likelihood is not kept, gives what its likelihood would."""
    likelihood = normal(8.6, 3.9)
    known = predictive_grid(OwnEffect.of_normal(likelihood, prior), scale=3.6)
    found = predictive_grid(own_effect(drawn(prior, likelihood)), scale=3.6)
    assert float(found["mean"]) == pytest.approx(float(known["mean"]), abs=0.03)
    assert float(found["sd"]) == pytest.approx(float(known["sd"]), abs=0.05)


def test_refused_priors() -> None:
    """A fit that does not keep its prior, and a prior that is no normal, are refused by name."""
    fit = drawn(normal(0, 8), normal(5, 3))
    fit.attrs["prior_table"] = json.dumps(Prior("uniform", {"low": -9, "high": 9}).table())
    with pytest.raises(SpecError, match="must be flat, normal, Student-t"):
        own_effect(fit)
    del fit.attrs["prior_table"]
    with pytest.raises(SpecError, match="does not keep the prior"):
        own_effect(fit)


def test_everything_downstream_follows() -> None:
    """The exported mixture has the mean and P(> 0) of the exchangeable model; capped mass."""
    fits = row_fits(
        load_published(), "T2.IESR.F", center="cochrane", convention="N", readings=["as_published"]
    )
    found = replication_prior(fits, robust_weight=0.0)
    document = prior_document(found, {"parallel": ReplicationDesign("parallel", sd=SD)})
    weight, mean, sd = (np.array(row) for row in document["exports"]["rbest"]["comp"])
    assert weight @ mean == pytest.approx(4.15, abs=0.01)
    assert weight @ special.ndtr(mean / sd) == pytest.approx(0.797, abs=2e-3)
    assert document["heterogeneity"]["capped"][0]["capped_mass"] == pytest.approx(0.51, abs=5e-3)
    assert document["rests_on"] == "printed numbers"


# readings


def test_average_is_the_mixture_of_the_readings() -> None:
    """The prior of an average is the weighted mixture of the priors under each reading."""
    evidence = load_published()
    fits = row_fits(evidence, "T2.IESR.X", center="cochrane", convention="N",
                    readings=["unhalved", "as_published"])  # fmt: skip
    weights = {"unhalved": 0.9, "as_published": 0.1}
    whole = replication_prior(fits, reading_weights=weights)
    alone = {name: replication_prior({name: fit}) for name, fit in fits.items()}
    for x in (-5.0, 0.0, 5.0, 15.0):
        mean = sum(weights[name] * float(one.prior.cdf(x)) for name, one in alone.items())
        assert float(whole.prior.cdf(x)) == pytest.approx(mean, abs=1e-9)


def test_weights_of_one_scale_are_one() -> None:
    """Readings of one scale share difference and precision; another estimand is left out."""
    given_weights = {
        "as_published": 0.1, "change": 0.1, "unhalved": 0.2, "change_unhalved": 0.1,
        "carryover_covariate": 0.5,
    }  # fmt: skip
    found = averaged_weights(load_published(), given_weights)
    assert found == pytest.approx({"unhalved": 0.6, "as_published": 0.4})


@pytest.mark.parametrize(
    ("center", "reading", "least", "most"),
    [("flat", "as_published", 34, 34), ("cochrane", "as_published", 125, 145)],
)
def test_crossover_planned_with_the_precision_of_its_reading(
    center: str, reading: str, least: int, most: int
) -> None:
    """Assurance .6 needs 34 (flat) at the SE of 4.95 that 29 completers had, not 12; about 130."""
    evidence = load_published()
    fits = row_fits(evidence, "T2.IESR.X", center=center, convention="T", readings=[reading])
    found = replication_prior(fits)
    cases = row_cases(found, ReplicationDesign("crossover", sd=SD), evidence)
    design = cases[0][2]
    assert design.standard_error(29) == pytest.approx(4.947, abs=1e-3)
    assert "precision of the row as published" in design.label
    n = smallest_size(found.prior, design, goal=Goal(), target=0.6, cases=cases)["n"]
    assert least <= n <= most


def test_precision_of_rows() -> None:
    """No crossover contrast, no precision; halves have a quarter of the variance."""
    evidence = load_published()
    assert printed_precision(evidence, "T2.IESR.F", reading="as_published") is None
    assert printed_precision(evidence, "T2.IESR.X", reading="carryover_covariate") is None
    whole, half = (
        printed_precision(evidence, "T2.IESR.X", reading=name)
        for name in ("as_published", "unhalved")
    )
    assert whole == pytest.approx(4 * (half or 0))
    # a correlation below -1 is none: the sd gives way, the precision stays
    wide = ReplicationDesign("crossover", sd=5.0).with_difference(whole or 0, basis="x")
    assert 1 / wide.information == pytest.approx(whole)
    assert wide.correlation == pytest.approx(-0.95)
