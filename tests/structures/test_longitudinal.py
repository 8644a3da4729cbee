"""Arms over several visits: densities, priors, agreement with REML, recovery, refusals."""

from __future__ import annotations

import importlib
import json
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import arviz_stats
import numpy as np
import pytest
import xarray as xr
from scipy import stats
from typer.testing import CliRunner

from bayes_ptsd.checks import compare_fits
from bayes_ptsd.checks.predictive import feature_table, predictive_checks
from bayes_ptsd.cli import app
from bayes_ptsd.compiled import CompiledModels
from bayes_ptsd.describe import describe_result
from bayes_ptsd.errors import EvidenceError, FitError, SpecError, StatisticalWarning
from bayes_ptsd.estimands import estimate
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.trajectories import select_endpoint
from bayes_ptsd.fit import build_model, fit_model, frequentist_document
from bayes_ptsd.fit_view import fit_document
from bayes_ptsd.gaussian.blocks import subject_log_likelihood
from bayes_ptsd.gaussian.covariance import (
    correlation_matrix,
    draw_partials,
    log_matrix_density,
    partial_shapes,
)
from bayes_ptsd.models_files import load_model
from bayes_ptsd.priors import Prior, normal
from bayes_ptsd.simulation.patients import Baseline, Missingness, made_up_trial, simulate_trial
from bayes_ptsd.specification import ModelSpec
from bayes_ptsd.store.patients import without_rows
from bayes_ptsd.structures.crossover.example import example_patients
from bayes_ptsd.structures.longitudinal import LONGITUDINAL
from bayes_ptsd.structures.longitudinal.draws import (
    derived,
    draw_priors,
    log_priors,
    patient_blocks,
)
from bayes_ptsd.structures.longitudinal.example import example_trajectories
from bayes_ptsd.structures.longitudinal.model import (
    LongitudinalModel,
    longitudinal_model,
    trajectory_mmrm,
)
from bayes_ptsd.structures.longitudinal.room import visit_features

LKJ = Prior("lkj", {"shape": 2.5})
VISITS = {"1d": 24.0, "2d": 48.0, "7d": 168.0}
TRUTH = np.array([6.0, 5.0, 3.0])
OPTIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "shrunk": {"shrinkage": True},
    "no baseline": {"baseline": "none"},
    "compound": {
        "covariance": "compound", "visit_sd": "equal", "baseline": "common_slope",
        "covariates": ["sex"],
    },
    "joint": {"baseline": "joint"},
    "all of ar": {
        "covariance": "autoregressive", "nugget": True, "baseline": "joint", "covariates": ["sex"]
    },
}  # fmt: skip


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Leave failed checks to the tests that are about them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StatisticalWarning)
        yield


def trial(n: int = 60, *, seed: int, **more: Any) -> Evidence:
    """Simulate a parallel trial of three unevenly spaced visits with baseline, sex and holes."""
    evidence = simulate_trial(
        made_up_trial("parallel", better="lower", visits=VISITS),
        n_by_sequence=n // 2, treatment=TRUTH.tolist(), level=[40.0, 38.0, 37.0], sd_subject=0.0,
        sd_within=10.0, visit_correlation=0.8, visit_structure="autoregressive",
        baseline=Baseline(mean=47.0, sd=10.0, correlation=0.3),
        missingness=Missingness(at_random=0.1, dropout=0.05), seed=seed, **more,
    )  # fmt: skip
    subject = evidence.data["outcomes"]["subject"]
    sex = np.random.default_rng(seed).choice(["f", "m"], subject.size)
    table = xr.Dataset({"sex": ("subject", sex)}, coords={"subject": subject})
    evidence.data["covariates"] = xr.DataTree(table)
    return evidence


def spec_of(name: str) -> ModelSpec:
    """Return the longitudinal model with the options of a case, or with LKJ correlations."""
    if name == "lkj":
        return load_model("longitudinal").having(priors={"correlations": LKJ})
    return load_model("longitudinal").having(options=OPTIONS[name])


def flat() -> ModelSpec:
    """Return the unstructured model under priors that say next to nothing."""
    priors = {
        "treatment": normal(0, 100),
        "level": normal(40, 100),
        "baseline_slope": normal(0, 10),
        "sd_visit": Prior("log_normal", {"mu": 2.0, "sigma": 5.0}),
    }
    return load_model("longitudinal").having(priors=priors)


def point_of(model: Any, draws: xr.Dataset) -> dict[str, Any]:
    """Return the first draw as a point of the PyMC model."""
    extra = {}
    if "partial_correlation" in draws:
        extra["partial_unit"] = (draws["partial_correlation"] + 1) / 2
    if "shrinkage_sd" in draws:
        away = draws["visit_difference"] - draws["shrinkage_mean"]
        extra["visit_standard"] = away / draws["shrinkage_sd"]
    point = {}
    for variable in model.free_RVs:
        value = extra.get(variable.name, draws.get(variable.name))
        plain = value.isel(chain=0, draw=0).values
        transform = model.rvs_to_transforms[variable]
        point[model.rvs_to_values[variable].name] = (
            plain
            if transform is None
            else transform.forward(plain, *variable.owner.inputs).eval(mode="FAST_COMPILE")
        )
    return point


@pytest.mark.parametrize("name", OPTIONS)
def test_pymc_density_is_the_one_written_in_numpy(name: str) -> None:
    """The masked Cholesky factor of the builder gives the marginal density of what was observed."""
    evidence, spec = trial(seed=1), spec_of(name)
    problem, model = longitudinal_model(evidence, spec), build_model(evidence, spec)
    draws = draw_priors(problem, 2, seed=2)
    expected = float(
        subject_log_likelihood(draws, patient_blocks(problem)).isel(chain=0, draw=0).sum()
    )
    compiled = model.compile_logp(vars=model.observed_RVs, jacobian=False, mode="FAST_COMPILE")
    assert float(compiled(point_of(model, draws))) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", ["default", "lkj", "all of ar"])
def test_pymc_prior_is_the_one_written_in_numpy(name: str) -> None:
    """Every parameter of the builder has the prior that is stored as log_prior."""
    evidence, spec = trial(seed=1), spec_of(name)
    problem, model = longitudinal_model(evidence, spec), build_model(evidence, spec)
    draws = draw_priors(problem, 2, seed=3)
    expected = sum(
        float(v.isel(chain=0, draw=0).sum()) for v in log_priors(draws, problem).values()
    )
    if "partial_correlation" in draws:
        expected += draws.sizes["visit_pair"] * np.log(2)
    terms = [*model.free_RVs, *model.potentials]
    compiled = model.compile_logp(vars=terms, jacobian=False, mode="FAST_COMPILE")
    assert float(compiled(point_of(model, draws))) == pytest.approx(expected, rel=1e-9)


def test_density_is_that_of_scipy() -> None:
    """By subject the density is SciPy's multivariate normal of the visits that are there."""
    problem = longitudinal_model(trial(seed=4), spec_of("no baseline"))
    draws = draw_priors(problem, 3, seed=5)
    found = subject_log_likelihood(draws, patient_blocks(problem)).values[0]
    pairs = draws["visit_correlation"].values[0]
    for subject in range(0, 60, 7):
        cells = np.flatnonzero(np.isfinite(problem.values[subject]))
        for draw in range(3):
            sd = draws["sd_visit"].values[0, draw]
            a, b, c = pairs[draw]
            covariance = np.array([[1, a, b], [a, 1, c], [b, c, 1]]) * np.outer(sd, sd)
            arm = int(problem.active[subject])
            mean = draws["arm_mean"].isel(chain=0, draw=draw, treatment=arm).values
            law = stats.multivariate_normal(mean[cells], covariance[np.ix_(cells, cells)])
            expected = law.logpdf(problem.values[subject, cells])
            assert found[draw, subject] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("name", "shape"), [("default", 1.0), ("lkj", 3.0)])
def test_correlations_have_the_marginals_of_their_prior(name: str, shape: float) -> None:
    """Uniform on (-1, 1), or 2 Beta(3, 3) - 1 under LKJ(2.5) of three visits, at every place."""
    problem = longitudinal_model(trial(seed=6), spec_of(name))
    table = draw_priors(problem, 4000, seed=7)["visit_correlation"].values[0]
    for column in table.T:
        assert stats.kstest((column + 1) / 2, stats.beta(shape, shape).cdf).pvalue > 0.001


@pytest.mark.parametrize("prior", [Prior("uniform_correlations"), LKJ])
def test_the_density_of_correlations_integrates_to_one(prior: Prior) -> None:
    """Over a grid of the partial correlations of two and three visits, within 1e-3."""
    angle = (np.arange(160) + 0.5) * np.pi / 160 - np.pi / 2  # denser at the ends, where it peaks
    width = np.pi / 160 * np.cos(angle)
    pair = np.exp(log_matrix_density(prior, np.sin(angle)[:, None], 2)) * width
    assert pair.sum() == pytest.approx(1, abs=1e-3)
    partial = np.meshgrid(*[np.sin(angle)] * 3, indexing="ij")
    triple = np.exp(log_matrix_density(prior, np.stack(partial, axis=-1), 3))
    assert np.einsum("abc,a,b,c->", triple, width, width, width) == pytest.approx(1, abs=1e-3)


def test_uniform_correlations_are_those_of_an_inverse_wishart_matrix() -> None:
    """Determinants as SciPy draws them for four visits; density ratios as published."""
    prior, rng = Prior("uniform_correlations"), np.random.default_rng(8)
    partial = draw_partials(prior, 4, (3000,), rng)
    drawn = stats.invwishart(5, np.eye(4)).rvs(3000, random_state=9)
    determinant = np.linalg.det(drawn) / np.einsum("nii->ni", drawn).prod(axis=1)
    assert stats.ks_2samp(np.prod(1 - partial**2, axis=1), determinant).pvalue > 0.001
    matrix = correlation_matrix("unstructured", 4, partial=partial[:50])
    inverse = np.einsum("nii->ni", np.linalg.inv(matrix))
    expected = -5 * np.linalg.slogdet(matrix)[1] - 2.5 * np.log(inverse).sum(axis=1)
    # volume element: the LKJ(1) density of the partial correlations, which is flat over matrices
    shapes = partial_shapes(4)
    expected += stats.beta.logpdf((1 + partial[:50]) / 2, shapes, shapes).sum(axis=1)
    gap = log_matrix_density(prior, partial[:50], 4) - expected
    assert np.ptp(gap) < 1e-9


def test_autoregression_counts_days_not_visits() -> None:
    """Visits at 1, 2 and 7 days: correlations halve by days, a nugget lowers all of them alike."""
    problem = longitudinal_model(trial(seed=8), load_model("longitudinal-ar"))
    draws = draw_priors(problem, 4, seed=9)
    found = draws["visit_correlation"].values[0]
    one = 0.5 ** (1 / draws["half_life"].values[0])
    assert found == pytest.approx(np.stack([one, one**6, one**5], axis=1), rel=1e-12)
    noisy = derived(draws.assign(nugget_share=xr.full_like(draws["half_life"], 0.25)), problem)
    assert noisy["visit_correlation"].values[0] == pytest.approx(0.75 * found, rel=1e-12)


@pytest.fixture(scope="module")
def compiled() -> CompiledModels:
    """Keep compiled models over the tests of this file."""
    return CompiledModels()


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    """Return one trial of 120 patients."""
    return trial(120, seed=10)


@pytest.fixture(scope="module")
def engine() -> ModuleType:
    """Return the posterior without a chain that the validation study uses, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parents[2] / "validation"))
        return importlib.import_module("visit_posterior")


@pytest.fixture(scope="module")
def unstructured(evidence: Evidence, compiled: CompiledModels) -> xr.DataTree:
    """Return the fit under priors that say next to nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StatisticalWarning)
        return fit_model(evidence, flat(), engine="nuts", draws=2500, seed=1, compiled=compiled)


@pytest.fixture(scope="module")
def autoregressive(evidence: Evidence, compiled: CompiledModels) -> xr.DataTree:
    """Return the fit of the continuous-time autoregressive model with shrinkage."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StatisticalWarning)
        spec = load_model("longitudinal-ar").having(options={"shrinkage": True})
        return fit_model(evidence, spec, engine="nuts", seed=1, compiled=compiled)


def test_flat_priors_return_repeated_measures_by_reml(
    unstructured: xr.DataTree, evidence: Evidence
) -> None:
    """Visits and mean: within 0.2% and 4 Monte Carlo errors of REML; sd / SE from .98 to 1.06."""
    summary = estimate(unstructured)
    mirror = frequentist_document(evidence, flat())
    for name, line in mirror["analyses"]["mmrm"]["estimands"].items():
        one = summary.sel(estimand=name)
        limit = 0.002 * abs(line["estimate"]) + 4 * float(one["mcse_mean"])
        assert float(one["mean"]) == pytest.approx(line["estimate"], abs=limit), name
        assert 0.98 < float(one["sd"]) / line["se"] < 1.06, name
    for visit, sd in mirror["analyses"]["mmrm"]["residual_sd"].items():
        assert float(summary["median"].sel(estimand=f"sd_visit[{visit}]")) == pytest.approx(
            sd, rel=0.04
        )


def test_the_chain_agrees_with_a_posterior_without_one(
    unstructured: xr.DataTree, evidence: Evidence, engine: ModuleType
) -> None:
    """Differences, sds and correlations: means within 4 errors of weighted covariances, sds 6%."""
    model = longitudinal_model(evidence, flat())
    problem = engine.problem_of(model)
    found = engine.visit_posterior(problem, draws=60_000, seed=2)
    assert found.effective > 1000
    draws = unstructured["posterior"].to_dataset()
    error = arviz_stats.mcse(draws[["visit_difference", "sd_visit", "visit_correlation"]])
    sd = np.sqrt(np.einsum("naa->na", found.covariance))
    matrix = found.covariance / sd[:, :, None] / sd[:, None, :]
    for place, visit in enumerate(VISITS):
        vector = engine.coefficient(problem, f"treatment[{place}]")
        compared = {"visit_difference": found.moments(vector)}
        compared["sd_visit"] = _moments(sd[:, place], found.weight)
        first, second = [(1, 0), (2, 0), (2, 1)][place]
        compared["visit_correlation"] = _moments(matrix[:, first, second], found.weight)
        for name, (mean, spread) in compared.items():
            one = draws[name].isel({draws[name].dims[-1]: place})
            own = float(error[name].isel({draws[name].dims[-1]: place}))
            limit = 4 * np.hypot(own, spread / np.sqrt(found.effective))
            assert float(one.mean()) == pytest.approx(mean, abs=limit), (name, visit)
            assert float(one.std()) == pytest.approx(spread, rel=0.06), (name, visit)


def _moments(values: Any, weight: Any) -> tuple[float, float]:
    """Return weighted mean and sd."""
    mean = float(weight @ values)
    return mean, float(np.sqrt(weight @ (values - mean) ** 2))


def test_every_result_with_shrinkage_says_so(
    unstructured: xr.DataTree, autoregressive: xr.DataTree, evidence: Evidence
) -> None:
    """The stored result, its JSON document and what the command prints of it; no other result."""
    words = "shrunk toward a common mean"
    assert words in " ".join(json.loads(autoregressive.attrs["warnings"]))
    assert words not in unstructured.attrs["warnings"]
    spec = load_model("longitudinal-ar").having(options={"shrinkage": True})
    assert words in " ".join(fit_document(autoregressive, evidence, spec)["warnings"])
    assert words in str(describe_result(autoregressive))


def test_estimands_are_labeled_and_compared_with_the_mcid(unstructured: xr.DataTree) -> None:
    """A visit's difference is an estimand with its own probabilities, so is any interaction."""
    names = estimate(unstructured)["estimand"].values.tolist()
    assert names[:4] == ["treatment_difference", *(f"treatment_difference[{v}]" for v in VISITS)]
    constants = json.loads(unstructured.attrs["endpoint_constants"]) | {"mcid": 2.0}
    tree = unstructured.copy()
    tree.attrs = {**unstructured.attrs, "endpoint_constants": json.dumps(constants)}
    table = estimate(tree)
    draws = unstructured["posterior"]["visit_difference"]
    last = draws.sel(visit="7d")
    found = table.sel(estimand="treatment_difference[7d]")
    assert float(found["prob_benefit"]) == pytest.approx(float((last > 0).mean()))
    assert float(found["prob_gt_mcid"]) == pytest.approx(float((last > 2).mean()))
    apart = (np.abs(draws - draws.mean("visit")) > 2).any("visit").mean()
    interaction = table.sel(estimand="interaction_max")
    assert float(interaction["prob_gt_mcid"]) == pytest.approx(float(apart))
    assert np.isnan(interaction["prob_benefit"])
    assert np.isnan(table["prob_gt_mcid"].sel(estimand="sd_visit[7d]"))
    # all of them rounded to 24 binary digits
    off = abs(unstructured["posterior"]["treatment_difference"] - draws.mean("visit"))
    assert bool((off <= 2.0**-23 * abs(draws).mean("visit")).all())


def test_one_compiled_model_finds_the_truth_in_other_trials(compiled: CompiledModels) -> None:
    """Six trials of other sizes and holes through one compilation: z scores are standard normal."""
    scores = []
    for seed in range(6):
        fit = fit_model(trial(60 + 10 * seed, seed=20 + seed), flat(), engine="nuts", draws=400,
                        tune=400, seed=2, compiled=compiled)  # fmt: skip
        draws = fit["posterior"]["visit_difference"]
        scores.append((draws.mean(("chain", "draw")) - TRUTH) / draws.std(("chain", "draw")))
    square = float(sum((score**2).sum() for score in scores))
    assert stats.chi2.ppf(0.0005, 18) < square < stats.chi2.ppf(0.9995, 18) * 1.2


def test_autoregressive_half_life_is_found(autoregressive: xr.DataTree) -> None:
    """Correlation .8 after a day is a half-life of 3.1 days; the differences shrink together."""
    posterior = autoregressive["posterior"]
    low, high = posterior["half_life"].quantile([0.005, 0.995]).values
    # the baseline takes part of the correlation away, so the range is wide
    assert low < np.log(0.5) / np.log(0.8) < high + 1.5
    spread = posterior["visit_difference"].mean(("chain", "draw")).std()
    assert float(spread) < TRUTH.std() * 1.5
    assert autoregressive.attrs["checks_passed"] == 1
    assert "half_life" in estimate(autoregressive)["estimand"].values


def test_covariance_structures_are_compared_by_subject(
    unstructured: xr.DataTree, autoregressive: xr.DataTree, evidence: Evidence
) -> None:
    """The structure that made the data is not beaten by much; a joint baseline is other data."""
    table = compare_fits({"unstructured": unstructured, "ar": autoregressive})
    gap = table.loc["ar", "elpd_diff"]
    assert gap >= -2 * max(table.loc["ar", "dse"], 1)
    problem = longitudinal_model(evidence, spec_of("joint"))
    other = unstructured.copy()
    other["observed_data"] = xr.DataTree(problem.observed)
    with pytest.raises(FitError, match="is of other data"):
        compare_fits({"one": unstructured, "other": other})


def test_checks_see_what_the_model_cannot_say(
    unstructured: xr.DataTree, evidence: Evidence
) -> None:
    """Scores of the last visit spread threefold, and visits shuffled, fail by name."""
    observed = unstructured["observed_data"].to_dataset()
    names = {check.name for check in _predictive(unstructured, observed["score"]) if check.passed}
    assert "predictive_correlation_1d_2d" in names
    assert "predictive_sd_7d" in names
    wide = observed["score"].copy()
    wide[:, 2] = 40 + 3 * (wide[:, 2] - 40)
    failed = {check.name for check in _predictive(unstructured, wide) if not check.passed}
    assert "predictive_sd_7d" in failed
    shuffled = observed["score"].copy()
    there = np.flatnonzero(np.isfinite(shuffled.values[:, 0]))
    order = np.random.default_rng(1).permutation(there)
    shuffled.values[there, 0] = shuffled.values[order, 0]
    failed = {check.name for check in _predictive(unstructured, shuffled) if not check.passed}
    assert "predictive_correlation_1d_2d" in failed
    checks = LONGITUDINAL.checks(longitudinal_model(evidence, flat()), unstructured, {})["checks"]
    assert checks["passed"].sel(check="visit_correlation_at_an_end")


def _predictive(fit: xr.DataTree, score: xr.DataArray) -> list[Any]:
    """Return the predictive checks of a fit with other observed scores."""
    tree = fit.copy()
    tree["observed_data"] = xr.DataTree(score.to_dataset(name="score"))
    return predictive_checks(feature_table(tree, visit_features(score)))


def test_a_figure_needs_no_patient(unstructured: xr.DataTree) -> None:
    """What is stored without rows still has the course of each arm, as the draws have it."""
    kept, dropped = without_rows(unstructured)
    assert "observed_data" in dropped
    summary = kept["trajectory_summary"].to_dataset()
    mean = unstructured["posterior"]["arm_mean"].mean(("chain", "draw"))
    assert np.allclose(summary["arm_mean"], mean)
    change = summary["arm_mean"] - summary["change"]
    assert np.allclose(change, float(summary["baseline"]))
    assert summary["observed_count"].sel(visit="1d").values.sum() < 120
    assert summary["days"].values.tolist() == [1.0, 2.0, 7.0]
    assert bool((summary["difference_low"] < summary["difference_high"]).all())


def test_only_the_first_period_of_a_crossover_is_read() -> None:
    """Visits of a crossover before the switch are those of a parallel trial."""
    crossover = simulate_trial(
        made_up_trial("crossover", visits=VISITS), n_by_sequence=10, treatment=2.0, seed=3
    )
    spec = load_model("longitudinal").having(options={"baseline": "none"})
    model = longitudinal_model(select_endpoint(crossover), spec)
    expected = crossover.data["outcomes"]["value"].values[:, 0, :, 0]
    assert np.array_equal(model.score, expected)
    assert model.size["by_sequence"] == {"B": 10, "A": 10}


def test_a_joint_baseline_keeps_patients_without_one() -> None:
    """A missing baseline is integrated out in the joint model and refused as a covariate."""
    evidence = trial(seed=30)
    outcomes = evidence.data["outcomes"].to_dataset()
    hidden = outcomes["baseline"].where(np.arange(60)[:, None, None] > 3)
    nodes = {name: node.to_dataset() for name, node in evidence.data.children.items()}
    nodes["outcomes"] = outcomes.assign(baseline=hidden)
    few = replace(evidence, data=xr.DataTree.from_dict(nodes))
    model = longitudinal_model(few, spec_of("joint"))
    assert np.isnan(model.values[:, 0]).sum() == np.isfinite(model.score[:4]).any(axis=1).sum()
    draws = draw_priors(model, 2, seed=1)
    assert np.isfinite(subject_log_likelihood(draws, patient_blocks(model))).all()
    assert trajectory_mmrm(model).attrs["subjects"] < len(model.active)
    with pytest.raises(EvidenceError, match="baseline = 'joint'"):
        longitudinal_model(few, load_model("longitudinal"))


def test_cochrane_prior_takes_the_standard_error_of_reml() -> None:
    """More patients, a narrower prior."""
    spec = load_model("longitudinal").having(priors={"treatment": "cochrane"})
    wide, narrow = (
        longitudinal_model(trial(n, seed=31), spec).priors["treatment"].sd for n in (30, 240)
    )
    assert wide > 2 * narrow


def test_what_the_model_cannot_answer_is_refused() -> None:
    """One visit, no hours, no baseline, several endpoints, options that exclude each other."""
    spec = load_model("longitudinal")
    with pytest.raises(EvidenceError, match="take the model 'first-period'"):
        longitudinal_model(example_patients(), spec)
    bare = simulate_trial(made_up_trial("parallel", visits=VISITS), n_by_sequence=5, seed=1)
    with pytest.raises(EvidenceError, match="take baseline = 'none'"):
        longitudinal_model(bare, spec)
    outcomes = bare.data["outcomes"].to_dataset().drop_vars("hours")
    timeless = replace(bare, data=xr.DataTree.from_dict({"outcomes": outcomes}))
    ar = load_model("longitudinal-ar").having(options={"baseline": "none"})
    with pytest.raises(EvidenceError, match="needs the hours of the visits"):
        longitudinal_model(timeless, ar)
    assert np.isnan(longitudinal_model(timeless, spec_of("no baseline")).days).all()
    with pytest.raises(SpecError, match="nugget = true needs"):
        spec.having(options={"nugget": True})
    with pytest.raises(SpecError, match="visit_sd = 'equal' needs"):
        spec.having(options={"visit_sd": "equal"})
    with pytest.raises(FitError, match="no closed form"):
        fit_model(trial(seed=1), spec, engine="exact")
    with pytest.raises(EvidenceError, match="no endpoint 'ies'"):
        select_endpoint(example_trajectories(), "ies")


def test_the_command_analyzes_all_visits_and_refuses_one(tmp_path: Path) -> None:
    """`--visit` of a model of all visits is a wrong request, said before anything is computed."""
    data, description = tmp_path / "patients.csv", tmp_path / "trial.toml"
    data.write_text("subject,treatment,visit,value,baseline\n1,A,1d,3,4\n2,B,1d,5,4\n")
    description.write_text(
        'schema = 1\nname = "t"\ntitle = "t"\ndesign = "parallel"\n[treatments]\nactive = "A"\n'
        'control = "B"\n[visits]\n"1d" = 24.0\n"2d" = 48.0\n[endpoints.score]\nlabel = "Score"\n'
        'kind = "continuous"\nbetter = "lower"\n'
    )
    files = ["--trial", str(description), "--data", str(data), "--store", str(tmp_path / "s")]
    done = CliRunner().invoke(app, ["fit", "longitudinal", *files, "--visit", "1d"])
    assert isinstance(done.exception, SpecError)
    assert "leave out --visit 1d" in str(done.exception)
    assert not (tmp_path / "s").exists()
    done = CliRunner().invoke(app, ["fit", "longitudinal", *files])
    assert isinstance(done.exception, EvidenceError)
    assert "take the model 'first-period'" in str(done.exception)


def test_model_without_hours_of_baseline_is_refused_only_where_it_matters() -> None:
    """A first visit at hour zero and a baseline cannot both start an autoregression."""
    at_zero = simulate_trial(
        made_up_trial("parallel", visits={"0h": 0.0, "1d": 24.0}), n_by_sequence=5, seed=1,
        baseline=Baseline(mean=0.0),
    )  # fmt: skip
    ar = load_model("longitudinal-ar").having(options={"baseline": "joint"})
    with pytest.raises(EvidenceError, match="hour 0"):
        longitudinal_model(at_zero, ar)
    assert isinstance(longitudinal_model(at_zero, spec_of("joint")), LongitudinalModel)
