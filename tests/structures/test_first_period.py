"""The comparison of arms at one visit: exact, sampled and classical answers agree."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from sampled import agree, meets
from scipy import integrate, stats

from bayes_ptsd.errors import EvidenceError, FitError, SpecError, StatisticalWarning
from bayes_ptsd.estimands import estimate, prob_benefit
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.outcome import select_outcome
from bayes_ptsd.evidence.patients import load_patients
from bayes_ptsd.exact.grid import grid_cdf
from bayes_ptsd.fit import build_model, fit_model, frequentist_document
from bayes_ptsd.fit_view import fit_document
from bayes_ptsd.gaussian.arms import arm_posterior, arm_problem
from bayes_ptsd.gaussian.axes import inverse_sd
from bayes_ptsd.gaussian.blocks import subject_log_likelihood
from bayes_ptsd.gaussian.parameters import log_prior_densities
from bayes_ptsd.gaussian.problem import solve_problem
from bayes_ptsd.gaussian.summaries import solution_summaries
from bayes_ptsd.models_files import load_model
from bayes_ptsd.priors import Prior, normal
from bayes_ptsd.sampler import model_graph
from bayes_ptsd.simulation.patients import Baseline, Missingness, made_up_trial, simulate_trial
from bayes_ptsd.specification import ModelSpec
from bayes_ptsd.structures.crossover.example import example_patients
from bayes_ptsd.structures.first_period import FIRST_PERIOD
from bayes_ptsd.structures.first_period.exact import exact_first_period
from bayes_ptsd.structures.first_period.model import (
    FirstPeriodModel,
    draw_priors,
    first_period_model,
    linear_columns,
    patient_blocks,
)
from bayes_ptsd.trial import load_trial

FLAT = Prior("flat")
EVERYTHING = {"interaction": True, "arm_sd": "unequal", "covariates": ["sex", "age"]}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Leave failed checks to the tests that are about them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StatisticalWarning)
        yield


def parallel(n: int = 40, *, treatment: float = 5.0, seed: int = 3, **more: Any) -> Evidence:
    """Simulate a parallel trial on a 0-88 scale with baseline, sex and age."""
    trial = made_up_trial("parallel", better="lower")
    evidence = simulate_trial(
        trial, n_by_sequence=n // 2, treatment=treatment, level=40.0, sd_subject=8.0,
        sd_within=6.0, baseline=Baseline(mean=47.0, sd=10.0, correlation=0.5), seed=seed, **more,
    )  # fmt: skip
    rng = np.random.default_rng(seed)
    subject = evidence.data["outcomes"]["subject"]
    found = {
        "sex": ("subject", rng.choice(["f", "m"], subject.size)),
        "age": ("subject", rng.normal(40, 12, subject.size)),
    }
    evidence.data["covariates"] = xr.DataTree(xr.Dataset(found, coords={"subject": subject}))
    return evidence


def flat(**options: Any) -> ModelSpec:
    """Return the model with flat coefficients and the prior 1/sd."""
    spec = load_model("first-period").having(options=options)
    names = [name for name in spec.parameters if name != "sd_residual"]
    return spec.having(priors=dict.fromkeys(names, FLAT) | {"sd_residual": Prior("inverse_sd")})


@pytest.mark.parametrize(
    "options",
    [{}, {"baseline": "none"}, {"covariates": ["sex", "age"]}, {"interaction": True}],
    ids=["ancova", "t test", "covariates", "interaction"],
)
def test_flat_priors_return_the_analysis_of_covariance(options: dict[str, Any]) -> None:
    """Flat coefficients and 1/sd: the posterior of tau is estimate + SE t(df), whole and exact."""
    evidence, spec = parallel(seed=5), flat(**options)
    exact = fit_model(evidence, spec, engine="exact")
    mirror = frequentist_document(evidence, spec)
    center, se, df = (mirror[key] for key in ("estimate", "se", "df"))
    summary = estimate(exact).sel(estimand="treatment_difference")
    assert float(summary["mean"]) == pytest.approx(center, abs=1e-8)
    assert float(summary["sd"]) == pytest.approx(se * np.sqrt(df / (df - 2)), rel=1e-7)
    assert summary["eti95"].values == pytest.approx(mirror["ci95"], abs=1e-6)
    for margin in (-3.0, 0.0, 4.0, 9.0):
        expected = stats.t.sf((margin - center) / se, df)
        assert prob_benefit(exact, margin=margin) == pytest.approx(expected, abs=1e-7)
    assert prob_benefit(exact) == pytest.approx(
        1 - mirror["p_value"] / 2 if center > 0 else mirror["p_value"] / 2, abs=1e-7
    )


@pytest.mark.shared
@pytest.mark.parametrize("visit", ["VIS1", "VIS4"])
def test_public_trial_returns_the_analysis_of_covariance(shared: Path, visit: str) -> None:
    """One visit of a public parallel trial, with a baseline and covariates of the file."""
    trial = load_trial(Path(__file__).parents[1] / "trials" / "fev.toml")
    loaded = load_patients(shared / "data" / "fev.csv", trial, covariates=["RACE", "SEX"])
    evidence, spec = select_outcome(loaded, visit=visit), flat(covariates=["RACE", "SEX"])
    mirror = frequentist_document(evidence, spec)
    summary = estimate(fit_model(evidence, spec, engine="exact"))
    found = summary.sel(estimand="treatment_difference")
    assert float(found["mean"]) == pytest.approx(mirror["estimate"], abs=1e-7)
    assert found["eti95"].values == pytest.approx(mirror["ci95"], abs=1e-6)


def test_unequal_standard_deviations_are_integrated_correctly() -> None:
    """With an sd for each arm and no baseline, tau is a difference of two Student-t: by SciPy."""
    evidence = parallel(24, seed=6)
    model = first_period_model(evidence, flat(baseline="none", arm_sd="unequal"))
    exact = exact_first_period(model, seed=1)["exact"].sel(estimand="treatment_difference")
    groups = [model.score[~model.active], model.score[model.active]]
    centers = [group.mean() for group in groups]
    scales = [group.std(ddof=1) / np.sqrt(len(group)) for group in groups]
    freedom = [len(group) - 1 for group in groups]
    # control minus active: lower is better
    mean = centers[0] - centers[1]
    variance = sum(s**2 * d / (d - 2) for s, d in zip(scales, freedom, strict=True))
    assert float(exact["mean"]) == pytest.approx(mean, abs=1e-7)
    assert float(exact["sd"]) == pytest.approx(np.sqrt(variance), rel=1e-6)

    def below_zero(control: float) -> float:
        density = stats.t.pdf(control, freedom[0], centers[0], scales[0])
        return float(density * stats.t.sf(control, freedom[1], centers[1], scales[1]))

    expected, _ = integrate.quad(below_zero, centers[0] - 40, centers[0] + 40, points=[centers[0]])
    fit = xr.DataTree.from_dict({"exact": exact.expand_dims("estimand")})
    assert 1 - prob_benefit(fit) == pytest.approx(expected, abs=1e-6)


def test_one_model_serves_crossover_and_parallel_trial() -> None:
    """Period 1 of a crossover is a parallel trial: only period 1 matters, non-completers count."""
    crossover = example_patients(subjects=20, missing=2, seed=8)
    model = first_period_model(crossover, load_model("first-period"))
    score = crossover.data["outcomes"]["value"].values[:, 0, 0, 0]
    assert np.array_equal(model.score, score[np.isfinite(score)])
    assert model.size == {
        "subjects": 19, "observations": 19, "by_sequence": {"midazolam": 9, "ketamine": 10}
    }  # fmt: skip
    assert "1 subjects without a score" in model.notes[0]
    assert model.baseline is not None
    assert abs(model.baseline.mean()) < 1e-12


@pytest.fixture(scope="module")
def fits() -> dict[str, xr.DataTree]:
    """Return one model with every term by both engines, under proper priors."""
    evidence = parallel(60, seed=9)
    spec = load_model("first-period").having(
        options=EVERYTHING, priors={"treatment": normal(0.0, 6.0)}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StatisticalWarning)
        return {
            "exact": fit_model(evidence, spec, engine="exact"),
            "nuts": fit_model(evidence, spec, engine="nuts", draws=2000, seed=4),
        }


def test_sampled_and_exact_posterior_agree(fits: dict[str, xr.DataTree]) -> None:
    """Every parameter of both engines, mean and sd, agrees within Monte Carlo error."""
    exact = fits["exact"]["posterior"].to_dataset()
    sampled = fits["nuts"]["posterior"].to_dataset()
    assert set(exact.data_vars) == set(sampled.data_vars)
    for name in exact.data_vars:
        agree(exact, sampled, name)
    meets(sampled, fits["exact"]["exact"].to_dataset(), "treatment_difference")


def test_a_fit_carries_everything(fits: dict[str, xr.DataTree]) -> None:
    """Both engines give the same groups, labeled by arm and covariate, and pass their checks."""
    assert set(fits["nuts"].children) - set(fits["exact"].children) == {"sample_stats"}
    for fit in fits.values():
        assert fit["posterior"]["treatment"].values.tolist() == ["B", "A"]
        assert fit["posterior"]["column"].values.tolist() == ["sex: m", "age"]
        assert fit.attrs["checks_passed"] == 1
        assert "interaction" in estimate(fit)["estimand"].values
    mean = fits["exact"]["posterior"]["arm_mean"]
    difference = mean.sel(treatment="B") - mean.sel(treatment="A")
    assert np.allclose(difference, fits["exact"]["posterior"]["treatment_difference"])


def log_density(model: Any, draws: xr.Dataset, *, observed: bool) -> float:
    """Return PyMC's log density of data or parameters at the first draw."""
    point = {}
    for variable in model.free_RVs:
        plain = draws[variable.name].isel(chain=0, draw=0).values
        transform = model.rvs_to_transforms[variable]
        moved = (
            plain
            if transform is None
            else transform.forward(plain, *variable.owner.inputs).eval(mode="FAST_COMPILE")
        )
        point[model.rvs_to_values[variable].name] = moved
    chosen = model.observed_RVs if observed else model.free_RVs
    compiled = model.compile_logp(vars=chosen, jacobian=False, mode="FAST_COMPILE")
    return float(compiled(point))


@pytest.mark.parametrize(
    "options",
    [{}, {"likelihood": "student_t", "arm_sd": "unequal"}, EVERYTHING],
    ids=["plain", "student", "everything"],
)
def test_pymc_density_is_the_one_written_in_numpy(options: dict[str, Any]) -> None:
    """Likelihood and priors of the builder and of the values agree at a draw from the prior."""
    evidence, spec = parallel(seed=11), load_model("first-period").having(options=options)
    problem, model = first_period_model(evidence, spec), build_model(evidence, spec)
    draws = draw_priors(problem, 3, seed=2)
    expected = float(
        subject_log_likelihood(draws, patient_blocks(problem)).isel(chain=0, draw=0).sum()
    )
    assert log_density(model, draws, observed=True) == pytest.approx(expected, rel=1e-9)
    prior = sum(
        float(value.isel(chain=0, draw=0).sum())
        for value in log_prior_densities(draws, list(problem.parameters.values())).values()
    )
    assert log_density(model, draws, observed=False) == pytest.approx(prior, rel=1e-9)


def test_credible_intervals_cover_the_truth_drawn_from_the_prior() -> None:
    """200 trials with parameters from the prior: ranks of tau and sd are uniform (chi-square)."""
    rng = np.random.default_rng(12)
    count, n = 200, 16
    active = np.arange(n) % 2 == 0
    columns = {"treatment_difference": active.astype(float), "level": np.ones(n)}
    priors = {"treatment_difference": normal(0, 5), "level": normal(20, 5)}
    spread = Prior("log_normal", {"mu": 1.5, "sigma": 0.5})
    tau, mean = rng.normal(0, 5, count), rng.normal(20, 5, count)
    sd = np.exp(rng.normal(1.5, 0.5, count))
    score = mean[:, None] + tau[:, None] * active + sd[:, None] * rng.normal(size=(count, n))
    problem = arm_problem(score, active, columns, priors, spread, equal=True)
    solution = solve_problem(problem, tolerance=1e-3)
    summary = solution_summaries(solution, [0.0])
    center, scale = solution.linear.combination(np.array([1.0, 0.0]))
    rank = (solution.weight * stats.norm.cdf((tau[:, None, None] - center) / scale)).sum((1, 2))
    counts, _ = np.histogram(rank, bins=10, range=(0, 1))
    assert stats.chisquare(counts).pvalue > 0.001
    below = (solution.weight[:, 0] * (solution.value[:, 0] <= sd[:, None])).sum(axis=1)
    assert stats.kstest(below, "uniform").pvalue > 0.001
    assert abs(float((summary["mean"].values[:, 0] - tau).mean())) < 4 * 3 / np.sqrt(count)


def test_heavy_tails_bound_an_outlier() -> None:
    """The log density of a patient far away falls off like a power: 5 log 2 per doubling."""
    evidence = parallel(seed=13)
    model = first_period_model(
        evidence, load_model("first-period").having(options={"likelihood": "student_t"})
    )
    values = {"level": 40.0, "treatment_difference": 0.0, "baseline_slope": 0.0,
              "sd_residual": 5.0, "nu": 4.0}  # fmt: skip
    draws = xr.Dataset({name: (("chain", "draw"), [[value]]) for name, value in values.items()})
    draws = draws.assign_coords(chain=[0], draw=[0])
    near, far = (
        float(subject_log_likelihood(draws, patient_blocks(_moved(model, by)))[0, 0, 0])
        for by in (5e4, 1e5)
    )
    assert near - far == pytest.approx(5 * np.log(2), abs=0.01)


def _moved(model: FirstPeriodModel, by: float) -> FirstPeriodModel:
    """Return the model with the first patient's score moved."""
    return replace(model, score=model.score + by * (np.arange(len(model.score)) == 0))


def test_checks_see_an_outlier() -> None:
    """One patient 15 sds away: extreme score, Pareto shape and likelihood by subject show it."""
    model = _moved(first_period_model(parallel(seed=14), load_model("first-period")), 120.0)
    groups = exact_first_period(model, seed=1)
    tree = xr.DataTree.from_dict(groups | FIRST_PERIOD.groups(model, groups, 1, None))
    found = FIRST_PERIOD.checks(model, tree, {})
    checks = found["checks"]
    failed = checks["check"].values[~checks["passed"].values].tolist()
    assert any(name.startswith("predictive_highest") for name in failed)
    assert int(np.argmin(found["loo"]["elpd_i"].values)) == 0


def test_mirror_answers_for_the_same_estimand() -> None:
    """Unequal arms take REML with Kenward-Roger, an interaction is at the mean baseline."""
    evidence = parallel(seed=15)
    unequal = frequentist_document(evidence, flat(arm_sd="unequal"))
    assert "REML" in unequal["method"]
    assert unequal["df"] < 37
    document = fit_document(
        fit_model(evidence, flat(interaction=True), engine="exact"), evidence,
        flat(interaction=True),
    )  # fmt: skip
    listed = document["frequentist"]["analyses"]["ancova"]["estimands"]
    assert listed["interaction[1]"]["estimate"] == pytest.approx(
        document["estimands"]["interaction"]["mean"], abs=1e-7
    )


def test_cochrane_prior_takes_the_standard_error_of_the_trial() -> None:
    """Its scale is the ANCOVA standard error, so it widens with fewer patients."""
    spec = load_model("first-period").having(priors={"treatment": "cochrane"})
    wide, narrow = (
        first_period_model(parallel(n, seed=16), spec).priors["treatment"].sd for n in (12, 160)
    )
    assert wide > 2 * narrow


def test_what_the_model_cannot_answer_is_refused() -> None:
    """Missing baselines and covariates, several visits, options that exclude each other."""
    spec = load_model("first-period")
    evidence = parallel(seed=17)
    outcomes = evidence.data["outcomes"].to_dataset()
    holes = outcomes.assign(baseline=outcomes["baseline"].where(np.arange(40)[:, None, None] > 2))
    few = Evidence(evidence.kind, evidence.trial, xr.DataTree.from_dict({"outcomes": holes}))
    with pytest.raises(EvidenceError, match="missing for 3 of 40"):
        first_period_model(few, spec)
    bare = simulate_trial(made_up_trial("parallel"), n_by_sequence=5, seed=1)
    with pytest.raises(EvidenceError, match="no baseline; take baseline = 'none'"):
        first_period_model(bare, spec)
    with pytest.raises(EvidenceError, match=r"no covariate 'sexe'.*sex"):
        first_period_model(evidence, spec.having(options={"covariates": ["sexe"]}))
    visits = {"24h": 24.0, "48h": 48.0}
    several = simulate_trial(made_up_trial("parallel", visits=visits), n_by_sequence=5, seed=1)
    with pytest.raises(EvidenceError, match="select one visit first"):
        first_period_model(several, spec.having(options={"baseline": "none"}))
    with pytest.raises(SpecError, match="needs baseline = 'covariate'"):
        spec.having(options={"interaction": True, "baseline": "none"})
    with pytest.raises(SpecError, match="a list of names"):
        spec.having(options={"covariates": "sex"})
    with pytest.raises(SpecError, match="twice"):
        spec.having(options={"covariates": ["sex", "sex"]})
    student = spec.having(options={"likelihood": "student_t"})
    with pytest.raises(FitError, match="not student_t"):
        fit_model(evidence, student, engine="exact")
    with pytest.raises(SpecError, match="not student_t"):
        exact_first_period(first_period_model(evidence, student), seed=1)


def test_dropout_before_the_visit_is_said() -> None:
    """Subjects without a score at the visit are counted in the warnings of the result."""
    evidence = parallel(60, seed=18, missingness=Missingness(at_random=0.2))
    model = first_period_model(evidence, load_model("first-period"))
    assert f"{60 - len(model.score)} subjects without a score" in model.notes[0]
    assert set(linear_columns(model)) == {"treatment_difference", "level", "baseline_slope"}
    assert inverse_sd(np.array(1.0)) == 0


def test_equal_arms_are_students_t() -> None:
    """Flat means and the prior 1/sd make the difference of two arms the pooled Student's t."""
    score = np.array([1.0, 2.0, 4.0, 5.0, 3.0, 7.0, 8.0, 6.0])
    active = np.arange(8) >= 4
    columns = {"mean": np.ones(8), "difference": active.astype(float)}
    flat = dict.fromkeys(columns, Prior("flat"))
    fit = arm_posterior(arm_problem(score, active, columns, flat, inverse_sd, equal=True))
    found = fit["exact"].to_dataset().sel(estimand="difference")
    pooled = np.sqrt((score[:4].var(ddof=1) + score[4:].var(ddof=1)) / 2)
    known = stats.t(6, 3.0, pooled * np.sqrt(1 / 4 + 1 / 4))
    places = np.array([-2.0, 0.0, 3.0, 5.0])
    np.testing.assert_allclose(grid_cdf(found, places), known.cdf(places), atol=1e-6)


def test_the_graph_names_every_variable() -> None:
    """A reader of the mermaid graph sees each parameter and the score."""
    model = build_model(example_patients(), load_model("first-period"))
    graph = model_graph(model)
    assert all(variable.name in graph for variable in [*model.free_RVs, *model.observed_RVs])
