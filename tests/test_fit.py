"""Sampled fits: the same posterior as the exact engine, on either stack."""

from __future__ import annotations

import json
import runpy
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import arviz_stats
import numpy as np
import pymc as pm
import pytest
import xarray as xr
from scipy import stats as scipy_stats

import bayes_ptsd
from bayes_ptsd._stack import data_groups, native
from bayes_ptsd.checks import check_fit, failed_checks
from bayes_ptsd.errors import FitError, SpecError, StatisticalWarning
from bayes_ptsd.evidence.published import load_published, select_contrast
from bayes_ptsd.exact.grid import grid_cdf
from bayes_ptsd.exact.printed import fit_exact
from bayes_ptsd.fit import build_model, fit_model
from bayes_ptsd.fit_view import fit_document
from bayes_ptsd.models_files import load_model
from bayes_ptsd.priors import DISTRIBUTIONS, MATRICES, Prior, mixture, normal, student_t
from bayes_ptsd.pymc_priors import VARIABLES, prior_variable
from bayes_ptsd.sampler import sample_groups
from bayes_ptsd.store import ResultStore

SAMPLED = runpy.run_path(str(Path(__file__).with_name("sampled.py")))
EVIDENCE = load_published()
CASES = {
    "crossover": ("T2.IESR.X", "as_published", "T", "skeptical"),
    "crossover unhalved": ("T2.MADR.X", "unhalved", "T", "enthusiastic"),
    "first period": ("T2.IESR.F", "as_published", "T", "cochrane"),
    "first period, N": ("T2.CGIS.F", "as_published", "N", "weak"),
    "longitudinal": ("LG.IESR.TRT", "as_published", "T", "reference"),
    "adjusted": ("RG.DEP.TRT", "as_published", "T", "skeptical"),
}


@pytest.fixture(scope="module", params=list(CASES), ids=str)
def fits(request: pytest.FixtureRequest) -> tuple[xr.DataTree, xr.DataTree]:
    """Return the exact and the sampled fit of one row of each kind."""
    contrast, reading, convention, prior = CASES[request.param]
    row = select_contrast(EVIDENCE, contrast, crossover_reading=reading)
    options = {"convention": convention, "crossover_reading": reading}
    spec = load_model("published").having(options=options, priors={"treatment": prior})
    return fit_exact(row, spec), fit_model(row, spec, engine="nuts")


def test_nuts_agrees_with_the_exact_posterior(fits: tuple[xr.DataTree, xr.DataTree]) -> None:
    """Mean, sd and the 5, 50 and 95% points agree within Monte Carlo error."""
    exact, sampled = fits
    known = exact["exact"].to_dataset().sel(estimand="treatment_difference")
    draws = sampled["posterior"].to_dataset()
    SAMPLED["meets"](draws, exact["exact"].to_dataset(), "treatment_difference")
    for p in (0.05, 0.5, 0.95):
        value = draws["treatment_difference"].quantile(p).values
        effective = float(arviz_stats.ess(draws, method="quantile", prob=p)["treatment_difference"])
        error = (p * (1 - p) / effective) ** 0.5
        assert float(grid_cdf(known, value)) == pytest.approx(p, abs=SAMPLED["ERRORS"] * error)


def test_predictive_draws_agree(fits: tuple[xr.DataTree, xr.DataTree]) -> None:
    """Prior and posterior predictive estimates of both engines agree within Monte Carlo error."""
    for group in ("prior_predictive", "posterior_predictive"):
        SAMPLED["agree"](*(fit[group].to_dataset() for fit in fits), "estimate")


def test_likelihood_and_prior_groups_hold_the_model_densities(
    fits: tuple[xr.DataTree, xr.DataTree],
) -> None:
    """Stored log likelihood and log prior equal the exact engine's formulas at the same draws."""
    exact, sampled = fits
    spec = json.loads(sampled.attrs["spec"])
    assert spec == json.loads(exact.attrs["spec"])
    constant, observed = sampled["constant_data"], float(sampled["observed_data"]["estimate"])
    draws = sampled["posterior"]["treatment_difference"].values
    df = float(constant["df"]) if "df" in constant else np.inf
    scale = float(constant["se"])
    error = normal(0, scale) if np.isinf(df) else student_t(df, 0, scale)
    found = sampled["log_likelihood"]["estimate"].values
    assert found == pytest.approx(error.logpdf(observed - draws), abs=1e-6)
    table = json.loads(sampled.attrs["prior_table"])
    if table["dist"] == "normal":
        prior = normal(table["mu"], table["sigma"])
        found = sampled["log_prior"]["treatment_difference"].values
        assert found == pytest.approx(prior.logpdf(draws), abs=1e-6)


def test_a_fit_says_what_it_is(fits: tuple[xr.DataTree, xr.DataTree]) -> None:
    """Both engines stamp the same facts; engine, settings and id differ; checks passed."""
    exact, sampled = fits
    differing = {"result_id", "engine", "settings", "seconds", "summary", "warnings"}
    for key in set(exact.attrs) - differing:
        assert exact.attrs[key] == sampled.attrs[key], key
    assert exact.attrs["result_id"] != sampled.attrs["result_id"]
    assert sampled.attrs["checks_passed"] == 1
    assert bool(sampled["checks"]["passed"].all())


def test_a_fit_comes_back_from_the_store_as_it_was(
    fits: tuple[xr.DataTree, xr.DataTree], tmp_path: Path
) -> None:
    """Every group and attribute of either engine's fit can be stored and is read back alike."""
    store = ResultStore(tmp_path / "store")
    for fit in fits:
        loaded = store.load(store.save(fit))
        assert set(loaded.children) == set(fit.children)
        for group in fit.children:
            xr.testing.assert_equal(loaded[group].to_dataset(), fit[group].to_dataset())
        assert loaded.attrs["summary"] == fit.attrs["summary"]


def test_sampling_leaves_the_model_fit_for_sampling() -> None:
    """After every group is computed the same model compiles again and draws the same values."""
    row = select_contrast(EVIDENCE, "T2.IESR.X")
    model = build_model(row, load_model("published"))
    settings = {"draws": 50, "tune": 100, "chains": 2, "seed": 3}
    first, second = (sample_groups(model, **settings) for _ in range(2))
    assert np.allclose(*(fit["posterior"]["treatment_difference"] for fit in (first, second)))


def test_posterior_predictive_follows_the_posterior_not_the_prior() -> None:
    """With data containers in the model, predictive draws still come from the posterior."""
    with pm.Model() as model:
        y = pm.Data("y_data", np.full(400, 30.0))
        mu = pm.Normal("mu", 0, 50)
        pm.Normal("y", mu, 1, observed=y)
    groups = sample_groups(model, draws=200, tune=200, chains=2, seed=1)
    assert float(groups["posterior_predictive"]["y"].mean()) == pytest.approx(30, abs=0.1)
    assert float(groups["prior_predictive"]["y"].std()) > 30


def test_data_groups_of_a_model() -> None:
    """Observed and constant data are taken from the model, with its dims."""
    with pm.Model(coords={"subject": ["a", "b"]}) as model:
        x = pm.Data("x", [1.0, 2.0], dims="subject")
        pm.Normal("y", x, 1, observed=[0.0, 1.0], dims="subject")
    groups = data_groups(model)
    assert groups["constant_data"]["x"].dims == ("subject",)
    assert groups["observed_data"]["y"].values.tolist() == [0.0, 1.0]
    assert native({"constant_data": groups["constant_data"]}) is not None


def test_a_model_without_likelihood_is_refused() -> None:
    """Sampling a prior by mistake is an error, not a result."""
    with pm.Model() as model:
        pm.Normal("mu", 0, 1)
    with pytest.raises(FitError, match="no likelihood"):
        sample_groups(model, draws=10, tune=10, chains=1, seed=1)


def test_flat_prior_is_not_sampled() -> None:
    """The improper prior is refused by the sampler and the way out is named."""
    row = select_contrast(EVIDENCE, "T2.IESR.X")
    spec = load_model("published").having(priors={"treatment": "flat"})
    with pytest.raises(SpecError, match="take 'reference'"):
        fit_model(row, spec, engine="nuts")


@pytest.mark.parametrize("dist", sorted(set(DISTRIBUTIONS) - {"flat", "inverse_sd"} - {*MATRICES}))
def test_pymc_variables_have_the_density_of_the_value(dist: str) -> None:
    """Log densities of the PyMC variable and of the prior value agree at its quartiles."""
    values = {"low": -1.0, "high": 2.0}
    prior = Prior(dist, {name: values.get(name, 1.7) for name in DISTRIBUTIONS[dist].parameters})
    assert dist in VARIABLES
    with pm.Model():
        variable = prior_variable("x", prior)
    points = prior.quantile([0.25, 0.5, 0.75])
    assert pm.logp(variable, points).eval() == pytest.approx(prior.logpdf(points), abs=1e-6)


def test_gamma_precision_is_drawn_and_sampled_as_a_positive_number() -> None:
    """PyMC draws the sd whose precision is gamma, and samples it on the log scale."""
    prior = Prior("gamma_precision", {"shape": 2.0, "rate": 3.0})
    with pm.Model() as model:
        variable = prior_variable("sd", prior, exchangeable=True)
    assert list(model.initial_point()) == ["sd_log__"]
    draws = pm.draw(variable, 2000, random_seed=4)
    assert scipy_stats.kstest(draws**-2.0, scipy_stats.gamma(2.0, scale=1 / 3.0).cdf).pvalue > 0.001
    model.set_data("prior_sd_rate", 12.0)
    assert np.median(pm.draw(variable, 2000, random_seed=4)) == pytest.approx(2 * np.median(draws))


def test_mixture_variable_has_the_density_of_the_value() -> None:
    """A mixture of a normal and a Student-t becomes the same PyMC density."""
    prior = mixture([0.8, 0.2], [normal(3, 2), student_t(4, 0, 10)])
    with pm.Model():
        variable = prior_variable("x", prior)
    points = prior.quantile([0.1, 0.5, 0.9])
    assert pm.logp(variable, points).eval() == pytest.approx(prior.logpdf(points), abs=1e-6)


def test_checks_fail_on_chains_that_disagree() -> None:
    """Chains with different means fail R-hat and effective sample size, and it is said in words."""
    rng = np.random.default_rng(2)
    draws = rng.normal(size=(4, 500)) + np.arange(4)[:, None]
    stats = {"diverging": (("chain", "draw"), rng.uniform(size=(4, 500)) < 0.01)}
    stats["energy"] = (("chain", "draw"), rng.normal(size=(4, 500)))
    tree = xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset({"x": (("chain", "draw"), draws)}),
            "sample_stats": xr.Dataset(stats),
        }
    ).map_over_datasets(lambda group: group.assign_coords(chain=range(4), draw=range(500)))
    tree["checks"] = xr.DataTree(check_fit(tree))
    said = " ".join(failed_checks(tree))
    assert "rhat_max" in said
    assert "ess_bulk_min" in said
    assert "divergences" in said


def test_a_failed_check_warns_and_is_stored() -> None:
    """Too few draws fail the checks; the user is warned and the result is marked."""
    row = select_contrast(EVIDENCE, "T2.IESR.X")
    with pytest.warns(StatisticalWarning, match="check failed"):
        fit = fit_model(row, load_model("published"), engine="nuts", draws=40, tune=100, chains=2)
    assert fit.attrs["checks_passed"] == 0
    assert any("ess_" in text for text in json.loads(fit.attrs["warnings"]))


CALLS = {
    "crossover": ("crossover_model", "_counterpart", "frequentist_crossover", "crossover_groups"),
    "first-period": ("first_period_model", "_counterpart", "ancova_analysis"),
    "longitudinal-ar": ("longitudinal_model", "_counterpart", "trajectory_mmrm"),
    "depression-adjusted": ("depression_model", "_counterpart", "least_squares_effects"),
    "binary-beta-binomial": ("_counterpart", "two_risks"),
}


def called(run: Callable[[], object]) -> Counter[tuple[str, tuple[object, ...]]]:
    """Count the calls of functions of the package by name, told apart by their flags."""
    found: Counter[tuple[str, tuple[object, ...]]] = Counter()
    folder = str(Path(bayes_ptsd.__file__).parent)

    def seen(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(folder):
            flags = [x for x in frame.f_locals.values() if isinstance(x, bool)]
            found[code.co_name, tuple(flags)] += 1

    sys.setprofile(seen)
    try:
        run()
    finally:
        sys.setprofile(None)
    return found


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.filterwarnings("ignore::bayes_ptsd.errors.StatisticalWarning")
def test_one_fit_is_one_problem_and_one_frequentist_document(name: str) -> None:
    """A fit with its document makes problem and counterpart once, whichever structure it is of."""
    spec = load_model(name)
    evidence = spec.room.example(spec)
    made = spec.room.problem(evidence, spec)
    engine = "nuts" if made.why_not_exact else "exact"

    def run() -> None:
        if engine == "nuts":
            # everything of a fit but the sampler itself
            spec.room.counterpart(spec.room.problem(evidence, spec).model)
        else:
            fit_document(fit_model(evidence, spec, engine=engine), evidence, spec)

    counts = called(run)
    for function in CALLS[name]:
        times = sum(number for (one, _), number in counts.items() if one == function)
        assert times == 1, (function, times)


@pytest.mark.filterwarnings("ignore::bayes_ptsd.errors.StatisticalWarning")
@pytest.mark.parametrize("prior", ["reference", "cochrane"])
def test_one_fit_runs_each_mixed_model_once(prior: str) -> None:
    """Of a crossover: once with a sequence effect and once without, whatever the prior asks for."""
    spec = load_model("crossover").under(prior)
    evidence = spec.room.example(spec)
    counts = called(lambda: fit_document(fit_model(evidence, spec, engine="exact"), evidence, spec))
    times = {flags: number for (one, flags), number in counts.items() if one == "reml_crossover"}
    assert times == {(False,): 1, (True,): 1}
