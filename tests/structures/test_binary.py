"""Binary outcomes of patients: the beta-binomial is exact, the logistic finds the truth."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import special, stats
from typer.testing import CliRunner

from bayes_ptsd.categorical.beta_binomial import exact_risks
from bayes_ptsd.cli import app
from bayes_ptsd.compiled import CompiledModels
from bayes_ptsd.errors import EvidenceError, SpecError, StatisticalWarning
from bayes_ptsd.estimands import estimate
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.exact.binary import binary_summary
from bayes_ptsd.fit import chosen_engine, fit_model
from bayes_ptsd.fit_view import fit_document
from bayes_ptsd.models_files import load_model
from bayes_ptsd.priors import normal, parse_prior
from bayes_ptsd.structures.binary import risk_shapes
from bayes_ptsd.structures.categorical.model import categorical_model, draw_priors
from bayes_ptsd.structures.categorical.patients import example_categories
from bayes_ptsd.structures.categorical.posterior import subject_log_likelihood, with_estimands

TRIALS = Path(__file__).parents[1] / "trials"
CONTRASTS = ("treatment_difference", "log_odds_ratio", "log_risk_ratio")


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Leave failed checks to the tests that are about them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StatisticalWarning)
        yield


def two_arms(better: str = "higher") -> tuple[Evidence, tuple[int, int, int, int]]:
    """Return a parallel trial with events and sizes of the active and the control arm."""
    evidence = example_categories("binary", design="parallel", subjects=40, seed=3)
    score = replace(evidence.trial.endpoint("score"), better=better)
    trial = replace(evidence.trial, endpoints={"score": score})
    outcomes = evidence.data["outcomes"].to_dataset()
    value, active = outcomes["value"].values.ravel(), outcomes["treatment"].values.ravel() == "A"
    counts = [f(value[arm]) for arm in (active, ~active) for f in (lambda x: int(x.sum()), len)]
    return replace(evidence, trial=trial), tuple(counts)  # type: ignore[return-value]


def test_beta_binomial_of_patients_is_that_of_their_counts() -> None:
    """Risks and their difference equal SciPy's beta distributions and the printed-count engine."""
    evidence, counts = two_arms()
    spec = load_model("binary-beta-binomial")
    assert chosen_engine(evidence, spec) == "exact"
    summary = estimate(fit_model(evidence, spec, engine="exact"))
    known = binary_summary(*counts, prior="jeffreys")
    for arm, (events, size) in (("active", counts[:2]), ("control", counts[2:])):
        beta = stats.beta(events + 0.5, size - events + 0.5)
        one = summary.sel(estimand=f"risk_{arm}")
        assert float(one["mean"]) == pytest.approx(beta.mean(), abs=1e-9)
        assert one["eti95"].values == pytest.approx(beta.ppf([0.025, 0.975]), abs=1e-5)
    difference = summary.sel(estimand="treatment_difference")
    printed = known.sel(estimand="risk_difference")
    assert float(difference["mean"]) == pytest.approx(float(printed["mean"]), abs=1e-9)
    assert difference["eti95"].values == pytest.approx(printed["eti95"].values, abs=1e-5)
    assert float(difference["prob_benefit"]) == pytest.approx(
        float(known["prob_more_active"]), abs=1e-7
    )
    ratio = summary.sel(estimand="log_odds_ratio")
    odds = known.sel(estimand="odds_ratio")
    assert np.exp(ratio["eti95"].values) == pytest.approx(odds["eti95"].values, rel=1e-4)
    assert float(ratio["prob_benefit"]) == pytest.approx(float(difference["prob_benefit"]))


def test_shapes_of_the_risks_count_everybody_once() -> None:
    """Forty patients and a Jeffreys prior on each of two risks add up to 40 + 2."""
    patients = example_categories("binary", design="parallel")
    model = categorical_model(patients, load_model("binary-beta-binomial"))
    shapes = risk_shapes(model)
    assert sum(map(sum, shapes.values())) == 42.0
    exact = exact_risks(shapes, benefit_sign=model.sign, seed=1)["exact"]
    risks = {name: a / (a + b) for name, (a, b) in shapes.items()}
    assert exact["estimand"].values[0] == "treatment_difference"
    difference = float(exact["mean"].sel(estimand="treatment_difference"))
    assert difference == pytest.approx(risks["risk_active"] - risks["risk_control"])


def test_contrasts_of_an_unwanted_event_are_benefit() -> None:
    """With lower better every contrast changes its sign, and the risks stay."""
    spec = load_model("binary-beta-binomial")
    wanted, unwanted = (
        estimate(fit_model(two_arms(better)[0], spec, engine="exact"))
        for better in ("higher", "lower")
    )
    for name in CONTRASTS:
        one, other = wanted["mean"].sel(estimand=name), unwanted["mean"].sel(estimand=name)
        assert float(one) == pytest.approx(-float(other), abs=1e-9)
    same = [one["mean"].sel(estimand="risk_active").item() for one in (wanted, unwanted)]
    assert same[0] == same[1]


def test_another_prior_of_the_risks_is_taken_and_a_normal_one_refused() -> None:
    """Beta(2, 3) moves the mean as the formula says; what is no beta is refused by name."""
    evidence, (events, size, _, _) = two_arms()
    spec = load_model("binary-beta-binomial")
    fit = fit_model(
        evidence, spec.having(priors={"risk": parse_prior("beta(2, 3)")}), engine="exact"
    )
    one = estimate(fit)["mean"].sel(estimand="risk_active")
    assert float(one) == pytest.approx((events + 2) / (size + 5), abs=1e-9)
    with pytest.raises(SpecError, match="need a beta prior"):
        fit_model(evidence, spec.having(priors={"risk": normal(0, 1)}), engine="exact")


def test_likelihood_is_that_of_a_logistic_regression_with_patient_effects() -> None:
    """By subject, against Simpson's rule; of two separate risks, against the Bernoulli one."""
    model = categorical_model(example_categories("binary", missing=0.2), load_model("binary"))
    draw = draw_priors(model, 1, seed=2)
    draw = draw.assign(period_effect=draw["period_effect"] / 10)
    found = subject_log_likelihood(draw, model).values.ravel()
    one = {name: float(values.values.ravel()[0]) for name, values in draw.items()}
    effect = one["sd_subject"] * np.linspace(-9, 9, 4001)
    weight = stats.norm.pdf(effect, 0, one["sd_subject"])
    weight /= weight.sum()
    for row in range(len(found)):
        p = np.ones_like(effect)
        for column in np.flatnonzero(model.scores.there[row]):
            treatment = model.scores.active[row, column] - 0.5
            eta = one["log_odds_ratio"] * treatment - one["cutpoint"]
            risk = special.expit(eta + one["period_effect"] * (column - 0.5) + effect)
            p = p * (risk if model.scores.place[row, column] else 1 - risk)
        assert found[row] == pytest.approx(np.log((weight * p).sum()), abs=1e-7)
    apart = categorical_model(two_arms()[0], load_model("binary-beta-binomial"))
    risks = draw_priors(apart, 1, seed=2)
    chosen = np.where(
        apart.scores.active[:, 0] == 1, risks["risk_active"].item(), risks["risk_control"].item()
    )
    known = stats.bernoulli.logpmf(apart.scores.place[:, 0], chosen)
    assert subject_log_likelihood(risks, apart).values.ravel() == pytest.approx(known, abs=1e-9)


def test_risks_are_averaged_over_patients() -> None:
    """Marginal risks agree with a simulated population; the ratio and difference follow."""
    model = categorical_model(example_categories("binary"), load_model("binary"))
    draw = draw_priors(model, 1, seed=9)
    draw = draw.assign(period_effect=draw["period_effect"] / 10)
    one = with_estimands(draw, model).isel(chain=0, draw=0)
    effect = float(one["sd_subject"]) * np.random.default_rng(1).normal(size=400_000)
    risks = []
    for arm in (1, 0):
        eta = (arm - 0.5) * float(one["log_odds_ratio"]) - float(one["cutpoint"].item()) + effect
        both = [special.expit(eta + half * float(one["period_effect"])) for half in (-0.5, 0.5)]
        risks.append(np.mean(both))
    assert float(one["risk_active"]) == pytest.approx(risks[0], abs=0.003)
    assert float(one["treatment_difference"]) == pytest.approx(risks[0] - risks[1], abs=0.004)
    assert float(one["log_risk_ratio"]) == pytest.approx(np.log(risks[0] / risks[1]), abs=0.02)


def test_known_truth_of_a_crossover_is_recovered_by_nuts(compiled: CompiledModels) -> None:
    """240 patients: effect and period effect within 3 posterior sd, near ML."""
    evidence = example_categories("binary", subjects=240, missing=0.2, seed=6)
    spec = load_model("binary")
    # means are off by a thirtieth of a posterior sd or so
    fit = fit_model(evidence, spec, engine="nuts", draws=500, tune=500, compiled=compiled)
    summary = estimate(fit)
    for name, truth in (("log_odds_ratio", 1.2), ("period_effect", -0.5), ("sd_subject", 1.0)):
        one = summary.sel(estimand=name)
        assert abs(float(one["mean"]) - truth) < 3 * float(one["sd"]), name
    document = fit_document(fit, evidence, spec)
    # within a standard error of maximum likelihood, and the population average is smaller
    mirror = document["frequentist"]
    assert mirror["estimand"] == "log_odds_ratio"
    assert (
        abs(float(summary["mean"].sel(estimand="log_odds_ratio")) - mirror["estimate"])
        < (mirror["se"])
    )
    gee = mirror["analyses"]["gee"]["estimands"]["log_odds_ratio"]["estimate"]
    assert 0 < gee < mirror["estimate"]
    assert document["estimands"]["treatment_difference"]["unit"] == "probability"


def test_an_ordinal_endpoint_is_refused() -> None:
    """A rating belongs to the ordinal model, and the beta-binomial to one period."""
    with pytest.raises(EvidenceError, match="take model 'ordinal'"):
        categorical_model(example_categories(), load_model("binary"))
    with pytest.raises(SpecError, match="needs periods = 'first'"):
        load_model("binary-beta-binomial").having(options={"periods": "both"})


@pytest.mark.shared
def test_best_ratings_converge_where_the_patient_sd_is_zero(shared: Path, tmp_path: Path) -> None:
    """Senn's best ratings: maximum likelihood has no patient effects, the posterior says so."""
    arguments = [
        "fit", "binary", "--trial", str(TRIALS / "senn_eia_ordinal.toml"), "--data",
        str(shared / "data" / "senn_eia_ordinal.csv"), "--store", str(tmp_path / "s"), "--json",
    ]  # fmt: skip
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["endpoint"] == "score2"
    assert found["diagnostics"]["passed"]
    assert found["frequentist"]["estimate"] == pytest.approx(3.288, abs=0.01)
    gee = found["frequentist"]["analyses"]["gee"]["estimands"]["log_odds_ratio"]
    assert gee["estimate"] == pytest.approx(3.294, abs=0.001)
    assert 1.5 < found["estimands"]["log_odds_ratio"]["mean"] < 3.294
