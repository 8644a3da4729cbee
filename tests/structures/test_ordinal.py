"""Fits of ordered categories: NUTS meets quadrature, finds the truth, and stands separation."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from sampled import ERRORS, drawn, moments
from scipy import special, stats
from typer.testing import CliRunner

from bayes_ptsd.cli import app
from bayes_ptsd.compiled import CompiledModels
from bayes_ptsd.errors import FitError, SpecError, StatisticalWarning
from bayes_ptsd.estimands import estimate, prob_benefit, summary_document
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.fit import build_model, fit_model
from bayes_ptsd.models_files import load_model
from bayes_ptsd.plots import categories_figure
from bayes_ptsd.priors import Prior
from bayes_ptsd.simulation.patients import made_up_trial, simulate_trial
from bayes_ptsd.specification import ModelSpec
from bayes_ptsd.store import ResultStore
from bayes_ptsd.structures.categorical.model import categorical_model, draw_priors
from bayes_ptsd.structures.categorical.patients import example_categories
from bayes_ptsd.structures.categorical.posterior import subject_log_likelihood

TRIALS = Path(__file__).parents[1] / "trials"
LINKS = {"logit": special.expit, "probit": special.ndtr}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Leave failed checks to the tests that are about them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StatisticalWarning)
        yield


def fitted(evidence: Evidence, spec: ModelSpec, compiled: CompiledModels) -> xr.DataTree:
    """Return a short fit."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StatisticalWarning)
        return fit_model(evidence, spec, engine="nuts", draws=700, tune=700, compiled=compiled)


@pytest.fixture(scope="module")
def crossover(compiled: CompiledModels) -> xr.DataTree:
    """Return the fit of 120 patients of a crossover, a fifth without second period."""
    evidence = example_categories(subjects=120, missing=0.2, seed=5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StatisticalWarning)
        return fit_model(evidence, load_model("ordinal"), engine="nuts", compiled=compiled)


def near(fit: xr.DataTree, **truth: float) -> None:
    """Assert that posterior means lie within 3 sd of the truth."""
    summary = estimate(fit)
    for name, value in truth.items():
        one = summary.sel(estimand=name)
        assert abs(float(one["mean"]) - value) < 3 * float(one["sd"]), (name, float(one["mean"]))


@pytest.mark.parametrize(
    ("name", "free"),
    [
        ("ordinal-first-period", "category_share log_odds_ratio"),
        ("ordinal-probit", "category_share period_effect probit_difference sd_subject"),
    ],
)
def test_a_model_has_the_parameters_of_its_equation(name: str, free: str) -> None:
    """Nothing is sampled and nothing observed but what the equation of the structure names."""
    model = build_model(example_categories(), load_model(name))
    assert sorted(variable.name for variable in model.free_RVs) == free.split()
    assert [variable.name for variable in model.observed_RVs] == ["score"]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("ordinal", {}),
        ("ordinal-probit", {"baseline": "covariate"}),
        ("ordinal-first-period", {}),
        ("ordinal-by-arm", {}),
    ],
    ids=["logit", "probit with baseline", "first period", "by arm"],
)
def test_pymc_has_the_likelihood_of_the_values(name: str, options: dict[str, str]) -> None:
    """PyMC's log likelihood, patient effects integrated out, is the one in NumPy."""
    spec = load_model(name).having(options=options)
    evidence = example_categories(baseline="baseline" in options, missing=0.2)
    problem = categorical_model(evidence, spec)
    draw = draw_priors(problem, 1, seed=3)
    # under wide priors probabilities are so small that differences near one have no digits
    draw = draw.assign({n: draw[n] / 10 for n in ("period_effect", "baseline_slope") if n in draw})
    known = subject_log_likelihood(draw, problem).sum().item()
    model = spec.room.pymc_model(problem)
    edges = np.pad(LINKS[problem.link](draw["cutpoint"].values[0, 0]), 1, constant_values=(0, 1))
    values = {key: draw[key].values[0, 0] for key in draw if key != "cutpoint"}
    values |= {"category_share": np.diff(edges)}
    inputs = [model.rvs_to_values[one] for one in model.free_RVs]
    point = {
        one.name: (model.rvs_to_transforms[rv].forward(values[rv.name], *rv.owner.inputs).eval()
                   if model.rvs_to_transforms[rv] is not None else np.asarray(values[rv.name]))
        for rv, one in zip(model.free_RVs, inputs, strict=True)
    }  # fmt: skip
    logp = model.compile_logp(vars=model.observed_RVs, mode="FAST_COMPILE")
    # PyMC takes differences of distribution functions near one, which lose digits in the tail
    assert float(logp(point)) == pytest.approx(known, abs=1e-6)


def test_nuts_meets_a_dense_grid(compiled: CompiledModels) -> None:
    """Three categories, one period, 24 patients: mean and sd of the effect by 3-D quadrature."""
    trial = made_up_trial("parallel", kind="ordinal", better="higher", range=(1, 3))
    evidence = simulate_trial(
        trial, n_by_sequence=12, treatment=1.5, sd_subject=0.0, cutpoints=[-0.5, 1.0], seed=4
    )
    draws = drawn(evidence, load_model("ordinal-first-period"), compiled, draws=700, tune=700)
    low = np.linspace(-4.5, 4.5, 91)
    first, second, effect = np.meshgrid(low, low, np.linspace(-3.5, 5, 86), indexing="ij")
    # Dirichlet(1) shares midway between the arms: the cutpoints are ordered logistic variables
    log_p = stats.logistic.logpdf(first) + stats.logistic.logpdf(second)
    log_p += stats.norm.logpdf(effect, 0, 1)
    score = evidence.data["outcomes"]["value"].values.ravel()
    arm = (evidence.data["outcomes"]["treatment"].values == "A").ravel()
    with np.errstate(divide="ignore", invalid="ignore"):
        for active in (True, False):
            moved = [special.expit(cut - (active - 0.5) * effect) for cut in (first, second)]
            shares = [moved[0], moved[1] - moved[0], 1 - moved[1]]
            for category, share in enumerate(shares, 1):
                count = int(np.sum((score == category) & (arm == active)))
                log_p += count * np.log(share) if count else 0.0
    weight = np.where(first < second, np.exp(log_p - np.nanmax(log_p[first < second])), 0.0)
    weight /= weight.sum()
    mean = float((weight * effect).sum())
    sd = float(np.sqrt((weight * (effect - mean) ** 2).sum()))
    found = moments(draws, "log_odds_ratio")
    for method, known in (("mean", mean), ("sd", sd)):
        # steps of a tenth of smooth densities add .002 at most
        limit = ERRORS * float(found[method][1]) + 0.002
        assert float(found[method][0]) == pytest.approx(known, abs=limit), method


def test_known_truth_of_a_crossover_is_recovered(crossover: xr.DataTree) -> None:
    """Effect, period effect and patient sd lie within 3 posterior sd of the simulated ones."""
    near(crossover, log_odds_ratio=1.2, period_effect=-0.5, sd_subject=1.0)
    assert crossover.attrs["checks_passed"] == 1
    cut = crossover["posterior"]["cutpoint"]
    # simulated ones are under control in period 1; midway is half of 1.2 and of -0.5 from there
    truth = np.array([-2.0, -0.7, 0.4, 1.6]) + 0.6 + 0.25
    z = (cut.mean(("chain", "draw")) - truth) / cut.std(("chain", "draw"))
    assert float(np.abs(z).max()) < 3


def test_known_truth_of_a_probit_and_of_one_period_is_recovered(compiled: CompiledModels) -> None:
    """The probit effect of a parallel trial; cutpoints by arm find the odds proportional."""
    # simulated with odds that are proportional: patients whose tail, .18, is far from the limit of
    # .0083, as some sets are not, whose few draws then fall on either side of it
    evidence = example_categories(
        design="parallel", subjects=400, effect=0.8, link="probit", seed=3
    )
    spec = load_model("ordinal-probit").having(options={"periods": "first", "odds": "by_arm"})
    fit = fitted(evidence, spec, compiled)
    near(fit, probit_difference=0.8)
    checks = fit["checks"].to_dataset()
    assert bool(checks["passed"].sel(check="proportional_odds"))
    gap = fit["posterior"]["log_gap_ratio"]
    assert float((gap.mean(("chain", "draw")) / gap.std(("chain", "draw"))).max()) < 3


def test_odds_that_are_not_proportional_are_found(compiled: CompiledModels) -> None:
    """An arm that moves to both ends of the scale fails the check and has its reason stored."""
    rng = np.random.default_rng(3)
    evidence = example_categories(design="parallel", subjects=400, link="probit", seed=3)
    outcomes = evidence.data["outcomes"].to_dataset()
    active = outcomes["treatment"].values == "A"
    spread = rng.choice([1.0, 5.0], size=outcomes["value"].shape)
    shares = rng.uniform(size=spread.shape) < 0.6
    value = np.where(active[..., None, None] & shares, spread, outcomes["value"].values)
    outcomes["value"] = outcomes["value"].copy(data=value)
    altered = Evidence("simulated", evidence.trial, xr.DataTree.from_dict({"outcomes": outcomes}))
    spec = load_model("ordinal-probit").having(options={"periods": "first", "odds": "by_arm"})
    fit = fitted(altered, spec, compiled)
    assert not bool(fit["checks"]["passed"].sel(check="proportional_odds"))
    assert any("proportional_odds" in text for text in json.loads(fit.attrs["warnings"]))


def test_every_estimand_is_told_with_its_unit_and_its_null(crossover: xr.DataTree) -> None:
    """P(better) is against 0 for differences and 1/2 for wins; shares by arm have none."""
    document = summary_document(estimate(crossover, thresholds=[0.5]))
    assert list(document)[:3] == ["treatment_difference", "log_odds_ratio", "win_probability"]
    nulls = [document[name]["null"] for name in list(document)[:3]]
    assert nulls == [0.0, 0.0, 0.5]
    better = {name: document[name]["prob_benefit"] for name in list(document)[:3]}
    assert better["treatment_difference"] == prob_benefit(crossover)
    assert better["win_probability"] == better["log_odds_ratio"] == better["treatment_difference"]
    assert document["win_probability"]["prob_gt"]["0.5"] == better["win_probability"]
    share = document["prob_at_most[active, 2]"]
    assert (share["unit"], share["null"], share["prob_benefit"]) == ("probability", None, None)
    assert share["mean"] > document["prob_at_most[control, 2]"]["mean"]
    assert document["log_odds_ratio"]["unit"] == "log odds"


def test_no_rows_are_needed_for_the_figure(crossover: xr.DataTree, tmp_path: Path) -> None:
    """The figure is the same from a stored result without patients, and names the evidence."""
    store = ResultStore(tmp_path / "store")
    patients = crossover.copy()
    patients.attrs["evidence_kind"] = "patients"
    loaded = store.load(store.save(patients))
    assert "observed_data" not in loaded.children
    figure = categories_figure(loaded)
    assert figure.legends[0].get_title().get_text() == "patients evidence"
    bars = [patch.get_width() for patch in figure.axes[0].patches]
    assert sum(bars) == pytest.approx(2.0)
    means = loaded["categories"]["share_mean"].sel(arm="active").values
    assert sorted(bars[-5:]) == pytest.approx(sorted(means))
    seen = [line for line in figure.axes[1].get_lines() if line.get_marker() == "x"]
    assert all(0 <= y <= 1 for line in seen for y in line.get_ydata())


def test_engines_and_improper_priors_are_refused() -> None:
    """There is no exact engine, and NUTS takes no flat prior."""
    evidence, spec = example_categories(), load_model("ordinal")
    with pytest.raises(FitError, match="no closed form; take engine 'nuts'"):
        fit_model(evidence, spec, engine="exact")
    with pytest.raises(SpecError, match="only the exact engines"):
        fit_model(evidence, spec.having(priors={"treatment": Prior("flat")}), engine="nuts")


@pytest.mark.shared
def test_quasi_separated_ratings_converge_and_say_what_the_prior_did(
    shared: Path, tmp_path: Path
) -> None:
    """Senn's ratings: no divergence, prior sensitivity named, between prior and likelihood."""
    arguments = [
        "fit", "ordinal", "--trial", str(TRIALS / "senn_eia_ordinal.toml"), "--data",
        str(shared / "data" / "senn_eia_ordinal.csv"), "--store", str(tmp_path / "s"), "--json",
    ]  # fmt: skip
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["endpoint"] == "score4"
    assert found["diagnostics"]["passed"]
    assert found["diagnostics"]["divergences"] == 0
    assert found["n"] == {"subjects": 24, "observations": 48, "by_sequence": {"FS": 12, "SF": 12}}
    effect = found["estimands"]["log_odds_ratio"]
    # prior mean 0, estimate by maximum likelihood 4.187 (1.575)
    assert 1.5 < effect["mean"] < 4.187
    assert effect["sd"] < 1.0
    said = found["checks"]["power_scaling_treatment"]["meaning"]
    assert "prior and data pull the log odds ratio apart" in said
