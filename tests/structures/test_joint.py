"""`endpoints` and `subscales` as models like any other: both engines, commands, the store."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from sampled import meets
from scipy import integrate, stats
from typer.testing import CliRunner

from bayes_ptsd.cli import app
from bayes_ptsd.describe import describe_result
from bayes_ptsd.errors import EvidenceError, FitError, SpecError, StatisticalWarning
from bayes_ptsd.estimands import estimate, prob_benefit
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.published import load_published, select_contrast
from bayes_ptsd.fit import fit_model
from bayes_ptsd.fit_view import fit_document
from bayes_ptsd.model_comparison import compare_models
from bayes_ptsd.models_files import load_model
from bayes_ptsd.priors import Prior, normal
from bayes_ptsd.specification import ModelSpec, parse_option
from bayes_ptsd.store import ResultStore
from bayes_ptsd.structures.joint.exact import exact_joint, joint_posterior, joint_table
from bayes_ptsd.structures.joint.problem import JointModel
from bayes_ptsd.structures.joint.room import joint_checks, joint_groups, predictive_tail


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Leave failed checks to the tests that are about them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StatisticalWarning)
        yield


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    """Return the printed evidence."""
    return load_published()


def joint_model(evidence: Evidence, spec: ModelSpec) -> JointModel:
    """Bring printed rows and a specification together."""
    model: JointModel = spec.room.problem(evidence, spec).model
    return model


@pytest.mark.parametrize(
    ("analysis", "reading"), [("first_period", "as_published"), ("crossover", "unhalved")]
)
def test_endpoints_are_the_joint_posterior_in_scores(
    evidence: Evidence, analysis: str, reading: str
) -> None:
    """Means, limits and probabilities of each endpoint are those of the table in its own unit."""
    options = {"analysis": analysis, "crossover_reading": reading, "correlation": 0.2}
    spec = load_model("endpoints").having(options=options)
    summary = estimate(fit_model(evidence, spec, engine="exact"))
    problem = joint_model(evidence, spec).problem
    for line in joint_table(problem, joint_posterior(problem)).to_dict("records"):
        one = summary.sel(estimand=f"difference[{line['endpoint']}]")
        for key in ("mean", "sd", "prob_benefit", "prob_gt_mcid"):
            assert float(one[key]) == pytest.approx(line[key], abs=1e-6), key
        assert one["eti95"].values == pytest.approx([line["low"], line["high"]], abs=1e-5)
    # an MCID and a width of practical equivalence of its own for each scale
    madrs = summary.sel(estimand="difference[madrs]")
    assert 0 < float(madrs["rope_narrow"]) < float(madrs["rope_clinical"]) < 1


def test_heterogeneity_is_that_of_adaptive_quadrature(evidence: Evidence) -> None:
    """Mean, sd and distribution function of omega on the grid equal SciPy's integrals."""
    model = joint_model(evidence, load_model("endpoints"))
    problem = model.problem

    def density(omega: float) -> float:
        cov = problem.fixed + omega**2 * problem.spread + problem.sampling
        likelihood = stats.multivariate_normal.pdf(problem.estimate, mean=problem.center, cov=cov)
        return float(likelihood * stats.halfnorm.pdf(omega, scale=0.3))

    mass, mean, second = (
        integrate.quad(lambda x, p=power: x**p * density(x), 0, 3, epsabs=1e-13)[0]
        for power in (0, 1, 2)
    )
    exact = exact_joint(model, seed=1)["exact"].sel(estimand="heterogeneity")
    assert float(exact["mean"]) == pytest.approx(mean / mass, abs=1e-6)
    assert float(exact["sd"]) == pytest.approx(
        np.sqrt(second / mass - (mean / mass) ** 2), abs=1e-6
    )
    below = integrate.quad(density, 0, 0.1, epsabs=1e-13)[0] / mass
    found = np.interp(0.1, exact["value"].values, exact["cdf"].values)
    assert float(found) == pytest.approx(below, abs=1e-4)


@pytest.mark.parametrize("name", ["endpoints", "subscales"])
def test_sampler_agrees_with_the_exact_engine(evidence: Evidence, name: str) -> None:
    """Every difference, their sum and the heterogeneity: NUTS within Monte Carlo error."""
    spec = load_model(name)
    exact = estimate(fit_model(evidence, spec, engine="exact"))
    fit = fit_model(evidence, spec, engine="nuts", draws=700, tune=700, chains=2, seed=11)
    assert set(exact["estimand"].values) == set(estimate(fit)["estimand"].values)
    draws = fit["posterior"].to_dataset()
    apart = draws["endpoint_difference"]
    draws = draws.drop_vars("endpoint_difference").assign(
        {f"difference[{one}]": apart.sel(endpoint=one, drop=True)
         for one in apart["endpoint"].values}
    )  # fmt: skip
    meets(draws, exact, *exact["estimand"].values.tolist())
    assert float(fit["joint"]["at_least_above_zero"].sel(count=1)) > 0.9


def test_draws_are_those_of_the_exact_posterior(evidence: Evidence) -> None:
    """Draws have the moments of the grid, predictions the covariance of prior and errors."""
    model = joint_model(evidence, load_model("endpoints"))
    groups = exact_joint(model, seed=3)
    drawn = groups["posterior"]["endpoint_difference"]
    for name in model.problem.endpoint:
        one = groups["exact"].sel(estimand=f"difference[{name}]")
        values = drawn.sel(endpoint=name).values
        assert abs(values.mean() - float(one["mean"])) < 4 * float(one["sd"]) / np.sqrt(4000)
        assert values.std() == pytest.approx(float(one["sd"]), rel=0.06)
    more = joint_groups(groups["posterior"], model, seed=3)
    total = model.problem.fixed + 0.3**2 * model.problem.spread + model.problem.sampling
    spread = more["prior_predictive"]["estimate"].std("draw").values[0]
    assert spread == pytest.approx(model.problem.unit * np.sqrt(np.diag(total)), rel=0.12)
    residual = model.problem.estimate - drawn.values[0, 0] / model.problem.unit
    expected = stats.multivariate_normal.logpdf(residual, cov=model.problem.sampling)
    assert float(more["log_likelihood"]["estimate"][0, 0]) == pytest.approx(expected, abs=1e-9)


def test_subscales_add_up(evidence: Evidence) -> None:
    """The total is the sum of the parts, draw by draw, and has the printed error if free."""
    spec = load_model("subscales").having(options={"analysis": "crossover"})
    free = spec.having(
        priors={"treatment": normal(0, 1e4), "heterogeneity": Prior("half_normal", {"sigma": 1e4})}
    )
    fit = fit_model(evidence, free, engine="exact")
    posterior = fit["posterior"].to_dataset()
    parts = posterior["endpoint_difference"].sum("endpoint")
    assert np.allclose(parts, posterior["treatment_difference"])
    one = estimate(fit).sel(estimand="treatment_difference")
    assert float(one["sd"]) == pytest.approx(5.1787, abs=2e-3)
    assert 0.99 < prob_benefit(fit) < 1
    skeptical = spec.having(priors={"treatment": "skeptical"})
    named = fit_model(evidence, skeptical, engine="exact")
    problem = joint_model(evidence, skeptical).problem
    table = joint_table(problem, joint_posterior(problem)).set_index("endpoint")
    summary = estimate(named)
    for name in problem.endpoint:
        mean = float(summary["mean"].sel(estimand=f"difference[{name}]"))
        assert mean == pytest.approx(float(table.loc[name, "mean"]), abs=1e-8)
    assert (named.attrs["prior"], named.attrs["endpoint"]) == ("skeptical", "ies_r")


def test_document_and_description_name_every_endpoint(evidence: Evidence) -> None:
    """`fit --json` has each difference with its unit, the printed row beside it, joint counts."""
    spec = load_model("endpoints")
    fit = fit_model(evidence, spec, engine="exact")
    document = json.loads(json.dumps(fit_document(fit, evidence, spec)))
    assert document["estimands"]["difference[cgi_i]"]["unit"] == "points"
    assert document["n"] == {"subjects": 41, "observations": 5, "by_sequence": {}}
    printed = document["frequentist"]["analyses"]["printed"]["estimands"]["difference[madrs]"]
    assert (printed["estimate"], printed["p_value"]) == (2.7, 0.23)
    assert document["frequentist"]["estimate"] is None
    above = document["joint"]["at_least_above_zero"]
    assert above == sorted(above, reverse=True)
    assert above[-1] == pytest.approx(0.77, abs=0.05)
    assert "correlation 0.5" in document["warnings"][0]
    shown = describe_result(fit)["estimates"]
    assert {"difference[madrs]", "heterogeneity"} <= set(shown)


def test_conflict_between_prior_and_print_is_said(evidence: Evidence) -> None:
    """Under a prior far off the printed estimates the check fails, under the shipped it passes."""
    spec = load_model("endpoints")
    far = spec.having(priors={"mean": normal(-3.0, 0.1)})
    for one, passed in ((spec, True), (far, False)):
        model = joint_model(evidence, one)
        groups = exact_joint(model, seed=1)
        groups |= joint_groups(groups["posterior"], model, seed=1)
        table = joint_checks(xr.DataTree.from_dict(groups), model)["checks"]
        assert bool(table["passed"].sel(check="prior_predictive_tail")) is passed
        tail = predictive_tail(model.problem, groups["prior_predictive"])
        assert (tail >= 0.05) is passed


def test_what_does_not_fit_is_refused(evidence: Evidence, tmp_path: Path) -> None:
    """One row, a flat prior, no number, no such total: each with what to do."""
    endpoints, subscales = load_model("endpoints"), load_model("subscales")
    with pytest.raises(EvidenceError, match=r"take load_published\(\)"):
        joint_model(select_contrast(evidence, "T2.IESR.F"), endpoints)
    with pytest.raises(SpecError, match="need a normal prior"):
        joint_model(evidence, subscales.having(priors={"treatment": "flat"}))
    with pytest.raises(SpecError, match="needs a normal prior"):
        joint_model(evidence, endpoints.having(priors={"mean": Prior("flat")}))
    with pytest.raises(
        SpecError, match=r"write a number from -1e15 to 1e15, such as 0\.5; got true"
    ):
        endpoints.having(options={"correlation": True})
    with pytest.raises(SpecError, match="lies between"):
        joint_model(evidence, endpoints.having(options={"correlation": 1.0}))
    with pytest.raises(EvidenceError, match="has no parts"):
        joint_model(evidence, subscales.having(options={"total": "madrs"}))
    trial = replace(evidence.trial, endpoints={
        name: replace(one, reference_sd=None) for name, one in evidence.trial.endpoints.items()
    })  # fmt: skip
    with pytest.raises(EvidenceError, match="has no 'reference_sd'"):
        joint_model(replace(evidence, trial=trial), subscales)
    with pytest.raises(FitError, match="predicts no patient"):
        compare_models(evidence, {"a": endpoints, "b": subscales}, ResultStore(tmp_path))
    assert parse_option("correlation=0.8", endpoints.room) == ("correlation", 0.8)
    assert parse_option("correlation=high", endpoints.room) == ("correlation", "high")


def test_command_line_stores_and_shows(tmp_path: Path) -> None:
    """`fit endpoints` prints each endpoint by name, is found again, listed and shown."""
    store = ["--store", str(tmp_path / "store")]
    run = CliRunner().invoke
    first = run(app, ["fit", "endpoints", "--option", "correlation=0.8", *store])
    assert first.exit_code == 0, (first.output, first.exception)
    assert "difference[madrs]" in first.stdout
    again = run(app, ["fit", "endpoints", "--option", "correlation=0.8", *store, "--json"])
    document = json.loads(again.stdout)
    shown = run(app, ["store", "show", document["result_id"], *store])
    assert "difference[ies_r]" in shown.stdout
    assert "P(better)" in shown.stdout
    assert len(ResultStore(tmp_path / "store").catalog()) == 1
    refused = run(app, ["fit", "subscales", "--contrast", "T2.IESR.X", *store])
    assert "leave out --contrast" in str(refused.exception)


def test_a_model_says_what_it_is_about(evidence: Evidence) -> None:
    """The analysis, the constants of each endpoint and the prior of a domain's mean, 1.96 x .5."""
    spec = load_model("endpoints")
    problem = spec.room.problem(evidence, spec)
    attrs = problem.attrs
    assert attrs["analysis"] == "first_period"
    constants = json.loads(attrs["label_constants"])
    assert constants["ies_r"]["reference_sd"] == evidence.trial.endpoint("ies_r").reference_sd
    lines, proper = spec.room.prior_lines(problem.model)
    assert proper
    assert lines["prior interval"] == "mean of a domain: 95% from -0.98 to 0.98 reference SDs"
