"""The PyMC crossover against the density written in NumPy, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pymc as pm
import pytest
import xarray as xr
from scipy import stats

from bayes_ptsd.errors import EvidenceError, SpecError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.outcome import select_outcome
from bayes_ptsd.evidence.published import load_published
from bayes_ptsd.fit import build_model
from bayes_ptsd.gaussian.blocks import flat_draws, patient_means
from bayes_ptsd.models_files import load_model
from bayes_ptsd.priors import Prior, normal
from bayes_ptsd.sampler import draw_prior
from bayes_ptsd.scaled_priors import ScaledPrior, prior_value, rescaled
from bayes_ptsd.structures.crossover.example import example_patients
from bayes_ptsd.structures.crossover.likelihood import (
    crossover_blocks,
    draw_priors,
    log_priors,
    replicated_scores,
    subject_log_likelihood,
)
from bayes_ptsd.structures.crossover.model import CrossoverModel, crossover_model
from bayes_ptsd.structures.crossover.room import pymc_model

FORMS: dict[str, dict[str, Any]] = {
    "random intercept": {},
    "unequal": {"period_sd": "unequal"},
    "bivariate": {"form": "bivariate", "period_sd": "unequal"},
    "bivariate equal": {"form": "bivariate"},
    "student": {"likelihood": "student_t"},
    "bivariate student": {"form": "bivariate", "likelihood": "student_t", "period_sd": "unequal"},
    "all terms": {"carryover": True, "sequence_effect": True, "baseline": "covariate"},
}


def problem(**options: Any) -> CrossoverModel:
    """Return a crossover model of the simulated example."""
    return crossover_model(example_patients(), load_model("crossover").having(options=options))


def log_density(model: pm.Model, draws: xr.Dataset, number: int, *, observed: bool) -> float:
    """Return PyMC's log density of data or parameters at one draw, on the parameters' scale."""
    point = {}
    for variable in model.free_RVs:
        unit = variable.name == "correlation_unit"
        value = (draws["correlation"] + 1) / 2 if unit else draws[variable.name]
        transform = model.rvs_to_transforms[variable]
        plain = value.isel(chain=0, draw=number).values
        name = model.rvs_to_values[variable].name
        point[name] = (
            plain
            if transform is None
            else transform.forward(plain, *variable.owner.inputs).eval(mode="FAST_COMPILE")
        )
    variables = model.observed_RVs if observed else model.free_RVs
    compiled = model.compile_logp(vars=variables, jacobian=False, mode="FAST_COMPILE")
    return float(compiled(point))


def patient_moments(draws: xr.Dataset, model: CrossoverModel) -> tuple[np.ndarray, np.ndarray]:
    """Return mean (sample, subject, cell) and covariance, or scale matrix, (sample, cell, cell)."""
    blocks = crossover_blocks(model)
    return patient_means(draws, blocks), blocks.covariance(draws)


@pytest.mark.parametrize("name", FORMS)
def test_pymc_and_numpy_have_one_likelihood(name: str) -> None:
    """The PyMC log likelihood is the sum over patients of the joint density of their scores."""
    model = problem(**FORMS[name])
    draws = draw_priors(model, 2, seed=3)
    ours = subject_log_likelihood(draws, model).sum("subject").values[0]
    built = pymc_model(model)
    assert log_density(built, draws, 1, observed=True) == pytest.approx(ours[1], rel=1e-9)


@pytest.mark.parametrize("name", ["unequal", "bivariate student", "all terms"])
def test_pymc_and_numpy_have_one_prior(name: str) -> None:
    """The PyMC log prior is the sum of the prior values' densities, up to the unit of rho."""
    model = problem(**FORMS[name])
    draws = draw_priors(model, 2, seed=4)
    table = log_priors(draws, model)
    ours = sum(float(table[key].isel(chain=0, draw=0).sum()) for key in table)
    jacobian = np.log(2) if "correlation" in draws else 0.0
    found = log_density(pymc_model(model), draws, 0, observed=False)
    assert found == pytest.approx(ours + jacobian, rel=1e-9)


def test_marginal_density_is_that_of_scipy() -> None:
    """By-subject densities equal SciPy's multivariate Student-t, one-period patients included."""
    model = problem(likelihood="student_t")
    draws = draw_priors(model, 5, seed=5)
    (mean, scale), nu = patient_moments(draws, model), flat_draws(draws, "nu")
    found = subject_log_likelihood(draws, model).values[0]
    for subject in (0, 5, 23):
        cells = np.flatnonzero(np.isfinite(model.pairs.score[subject]))
        for draw in range(5):
            shape = scale[draw][np.ix_(cells, cells)]
            law = stats.multivariate_t(mean[draw, subject, cells], shape, df=nu[draw])
            expected = law.logpdf(model.pairs.score[subject, cells])
            assert found[draw, subject] == pytest.approx(expected, rel=1e-9)


def test_sampled_effects_given_effects_are_independent_scores() -> None:
    """With subject effects in the model the likelihood is a product over observations."""
    model = problem(subject_effects="sampled")
    built = pymc_model(model)
    draws = draw_priors(model, 1, seed=6)
    effect = np.linspace(-1, 1, 24)
    draws = draws.assign(subject_standard=(("chain", "draw", "subject"), effect[None, None]))
    mean = patient_moments(draws, model)[0][0] + draws["sd_subject"].item() * effect[:, None]
    scores = stats.norm.logpdf(model.pairs.score, mean, draws["sd_within"].item())
    found = log_density(built, draws, 0, observed=True)
    assert found == pytest.approx(float(np.nansum(scores)), rel=1e-9)


def test_replicates_have_the_moments_of_the_model() -> None:
    """Replicated scores have the model's means, covariance and missing cells."""
    model = problem(form="bivariate", period_sd="unequal")
    one = draw_priors(model, 1, seed=7).isel(draw=np.zeros(20000, dtype=int))
    one = one.assign_coords(draw=np.arange(20000))
    scores = replicated_scores(one, model, np.random.default_rng(1))["score"]
    assert (scores.isel(chain=0, draw=0).isnull() == np.isnan(model.pairs.score)).all()
    mean, covariance = patient_moments(one.isel(draw=[0]), model)
    complete = scores.isel(chain=0, subject=10).values
    error = np.sqrt(np.diag(covariance[0]) / 20000)
    assert (np.abs(complete.mean(axis=0) - mean[0, 10]) < 4 * error).all()
    np.testing.assert_allclose(np.cov(complete.T), covariance[0], rtol=0.08, atol=2.0)


def test_dims_names_and_data() -> None:
    """Dims are named, no variable is called alpha, and every score is exchangeable data."""
    model = pymc_model(problem(carryover=True))
    assert {"subject", "period", "sequence", "observation"} <= set(model.coords)
    names = {variable.name for variable in model.free_RVs}
    means = {"treatment_difference", "level", "period_effect", "carryover"}
    assert names == means | {"sd_subject", "sd_within"}
    assert "alpha" not in names
    data = {variable.name for variable in model.data_vars}
    assert {"score_data", "prior_treatment_difference_sigma", "benefit_sign"} <= data


def test_joint_model_has_the_normal_density_of_every_pattern() -> None:
    """PyMC's log likelihood is SciPy's multivariate normal of what each patient has."""
    options = {"form": "bivariate", "period_sd": "unequal", "baseline": "joint", "carryover": True}
    problem_ = problem(**options)
    model = pymc_model(problem_)
    point = model.initial_point() | {"treatment_difference": np.array(5.0)}
    rng = np.random.default_rng(8)
    point = {key: value + rng.normal(0, 0.2, np.shape(value)) for key, value in point.items()}
    names = ["baseline_level", "level", "period_effect", "treatment_difference", "carryover"]
    wanted = [model[name] for name in (*names, "baseline_carryover", "covariance")]
    values = model.replace_rvs_by_values(wanted)
    before, level, change, difference, late, early, covariance = model.compile_fn(
        values, mode="FAST_COMPILE"
    )(point)
    assert problem_.baselines is not None
    total = 0.0
    for own, score, first in zip(
        problem_.baselines, problem_.pairs.score, problem_.pairs.active_first, strict=True
    ):
        row = np.array([own[0], score[0], own[1], score[1]])
        half = first - 0.5
        mean = np.array([before[0], level - change / 2, before[1], level + change / 2])
        mean -= half * np.array([0, difference, early, late - difference])
        there = np.isfinite(row)
        part = covariance[np.ix_(there, there)]
        total += stats.multivariate_normal.logpdf(row[there], mean[there], part)
    found = model.compile_logp(vars=model.observed_RVs, jacobian=False, mode="FAST_COMPILE")(point)
    assert len(model.observed_RVs) == 1
    assert float(found) == pytest.approx(total, rel=1e-9)


def test_joint_model_of_baselines() -> None:
    """The second baseline is an outcome with carryover of its own; the covariance is unstructured.

    Cell means of prior draws are those of the equations, and replicates have four columns.
    """
    options = {"form": "bivariate", "period_sd": "unequal", "baseline": "joint", "carryover": True}
    model = problem(**options)
    drawn = draw_prior(pymc_model(model), seed=8).isel(draw=slice(0, 4))
    share = drawn["carryover"] / drawn["baseline_carryover"]
    assert bool(((share > 0) & (share < 1)).all())
    mean, covariance = patient_moments(drawn, model)
    assert covariance.shape == (4, 4, 4)
    first = model.pairs.active_first
    late = mean[0, first, 2] - mean[0, ~first, 2][0]
    np.testing.assert_allclose(late, -float(drawn["baseline_carryover"][0, 0]))
    replicated = replicated_scores(drawn, model, np.random.default_rng(2))
    assert replicated["baseline"].isel(chain=0, draw=0).notnull().all()
    joint = subject_log_likelihood(drawn, model)
    alone = stats.multivariate_normal(mean[1, 12], covariance[1])
    values = np.stack([model.baselines, model.pairs.score], axis=-1)[12].ravel()
    assert float(joint[0, 1, 12]) == pytest.approx(alone.logpdf(values), rel=1e-8)


def test_priors_scale_with_the_endpoint() -> None:
    """Multiples of the reference SD around the means of the data, and it is said.

    METHODS 7.1: level and period effect N(mean, (10 SD)^2), each sequence and period counted alike;
    slopes N(0, (10 SD / SD of the baseline)^2); carryover N(0, (0.4 SD)^2), half-normal 1.05 SD.
    """
    model = problem(carryover=True, baseline="covariate")
    first = model.pairs.active_first
    cells = np.array([np.nanmean(model.pairs.score[first == arm], axis=0) for arm in (True, False)])
    early, late = cells.mean(axis=0)
    priors = {name: dict(prior.params) for name, prior in model.priors.items()}
    assert priors["level"] == pytest.approx({"mu": (early + late) / 2, "sigma": 144.0})
    assert priors["period_effect"] == pytest.approx({"mu": late - early, "sigma": 144.0})
    assert priors["carryover"] == pytest.approx({"mu": 0.0, "sigma": 0.4 * 14.4})
    assert model.pairs.baseline is not None
    slope = 144.0 / float(np.std(model.pairs.baseline, ddof=1))
    assert priors["baseline_slope"] == pytest.approx({"mu": 0.0, "sigma": slope})
    assert priors["sd_subject"] == pytest.approx({"sigma": 1.05 * 14.4})
    (located,) = model.notes
    assert "blind to which treatment is which" in located
    bare = crossover_model(example_patients(reference_sd=None), load_model("crossover"))
    score = bare.pairs.score[:, 0]
    groups = [score[bare.pairs.active_first == arm] for arm in (True, False)]
    groups = [group[np.isfinite(group)] for group in groups]
    squares = sum(((group - group.mean()) ** 2).sum() for group in groups)
    pooled = np.sqrt(squares / (23 - 2))
    assert bare.endpoint.reference_sd == pytest.approx(pooled)
    assert dict(bare.priors["level"].params)["sigma"] == pytest.approx(10 * pooled)
    assert ["reference_sd" in note for note in bare.notes] == [False, True]


def test_levels_of_joint_baselines_lie_where_each_baseline_lies() -> None:
    """One prior a period, N(mean of the two sequences there, (10 SD)^2); LKJ shape from the file.

    A prior of correlations that the joint model does not have is refused by name.
    """
    options = {"form": "bivariate", "period_sd": "unequal", "baseline": "joint"}
    model = problem(**options)
    assert model.baselines is not None
    first = model.pairs.active_first
    cells = np.array([model.baselines[first == arm].mean(axis=0) for arm in (True, False)])
    prior = model.priors["baseline_level"].params
    np.testing.assert_allclose(prior["mu"], cells.mean(axis=0))
    sds = [np.concatenate([model.baselines[first == arm, p] - cells[k, p]
                           for k, arm in enumerate((True, False))]) for p in (0, 1)]  # fmt: skip
    wide = [10 * max(14.4, np.sqrt((rest**2).sum() / (len(rest) - 2))) for rest in sds]
    np.testing.assert_allclose(prior["sigma"], wide)
    assert model.priors["correlations"] == Prior("lkj", {"shape": 2.0})
    spec = load_model("crossover").having(
        options=options, priors={"correlations": Prior("uniform_correlations")}
    )
    with pytest.raises(SpecError, match="write correlations = lkj"):
        crossover_model(example_patients(), spec)


def test_old_names_of_parameters_are_refused_with_the_new_ones() -> None:
    """A prior of `period_mean` is refused: its place is taken by level and period effect."""
    with pytest.raises(SpecError, match=r"set 'level'.*'period_effect'"):
        load_model("crossover").having(priors={"period_mean": normal(40, 10)})
    own = load_model("crossover").having(priors={"period_effect": normal(0, 5)})
    assert crossover_model(example_patients(), own).priors["period_effect"] == normal(0, 5)


def test_flat_makes_every_mean_flat_and_says_so() -> None:
    """Treatment, level, period effect and slopes are flat, in the specification and its id."""
    spec = load_model("crossover-carryover").having(options={"baseline": "covariate"})
    flat = spec.under("flat")
    means = ("treatment", "level", "period_effect", "baseline_slope")
    model = crossover_model(example_patients(), flat)
    assert {model.priors[name].dist for name in means} == {"flat"}
    assert model.priors["carryover"].dist == "normal"
    assert flat.prior_tables["level"] == {"dist": "flat"}
    assert flat.spec_id != spec.spec_id
    assert spec.under("weak").prior_tables["level"] == spec.prior_tables["level"]


@pytest.mark.parametrize(
    "prior",
    [
        normal(1.0, 2.0),
        Prior("student_t", {"nu": 4, "mu": 1.0, "sigma": 2.0}),
        Prior("half_normal", {"sigma": 2.0}),
        Prior("log_normal", {"mu": 0.3, "sigma": 0.5}),
        Prior("gamma", {"shape": 2.0, "rate": 0.5}),
        Prior("exponential", {"rate": 0.5}),
        Prior("gamma_precision", {"shape": 2.0, "rate": 3.0}),
        Prior("uniform", {"low": 1.0, "high": 3.0}),
        Prior("half_cauchy", {"sigma": 2.0}),
    ],
    ids=lambda prior: str(prior.dist),
)
def test_a_rescaled_prior_is_that_of_the_scaled_quantity(prior: Prior) -> None:
    """Quantiles in score units are the quantiles in SDs times the SD."""
    p = np.array([0.1, 0.5, 0.9])
    scaled = rescaled(prior, unit=14.4, shift=0.0)
    np.testing.assert_allclose(scaled.quantile(p), 14.4 * prior.quantile(p))


def test_scaled_priors_that_cannot_be_are_refused() -> None:
    """A beta has no unit, a positive quantity no origin, and a unit is 'sd'."""
    with pytest.raises(SpecError, match="has no unit"):
        ScaledPrior(Prior("beta", {"shape1": 2, "shape2": 2}))
    with pytest.raises(SpecError, match="begins at zero"):
        ScaledPrior(Prior("half_normal", {"sigma": 1.0}), origin="data")
    with pytest.raises(SpecError, match="origin 'midpoint' is none of zero, data"):
        ScaledPrior(normal(0.0, 1.05), origin="midpoint")
    with pytest.raises(SpecError, match="write one of score, sd, sd_ratio"):
        prior_value({"dist": "normal", "mu": 0, "sigma": 1, "unit": "points"}, "here")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"form": "bivariate", "subject_effects": "sampled"}, "needs form = 'random_intercept'"),
        ({"baseline": "joint"}, "needs form = 'bivariate'"),
        ({"likelihood": "student"}, "did you mean 'student_t'"),
    ],
)
def test_options_that_exclude_each_other_are_refused(options: dict[str, Any], message: str) -> None:
    """Each impossible combination has its message."""
    with pytest.raises(SpecError, match=message):
        load_model("crossover").having(options=options)


def test_priors_of_parameters_that_are_not_there_are_refused() -> None:
    """A prior of nu in a normal model would be ignored, so it is an error.

    The digest of a specification depends on used priors only.
    """
    spec = load_model("crossover")
    with pytest.raises(SpecError, match="unknown key 'nu'"):
        spec.having(priors={"nu": Prior("gamma", {"shape": 3.0, "rate": 0.1})})
    with pytest.raises(SpecError, match="prior of the treatment difference"):
        spec.having(priors={"sd_within": "weak"})
    assert "nu" not in spec.prior_tables
    assert load_model("crossover-student-t").prior_tables["nu"]["rate"] == 0.1


def test_evidence_that_is_no_crossover_is_refused() -> None:
    """Printed rows, several outcomes, missing baselines and improper priors have messages."""
    spec = load_model("crossover")
    with pytest.raises(EvidenceError, match="needs patients"):
        build_model(load_published(), spec)
    example = example_patients()
    outcomes = example.data["outcomes"].to_dataset()
    both = xr.concat([outcomes, outcomes.assign_coords(endpoint=["caps"])], dim="endpoint")
    order = ("subject", "period", "visit", "endpoint")
    two = xr.DataTree.from_dict({"outcomes": both.transpose(*order, missing_dims="ignore")})
    with pytest.raises(EvidenceError, match="select one endpoint first"):
        build_model(Evidence("simulated", example.trial, two), spec)
    with pytest.raises(EvidenceError, match="did you mean 'ies_r'"):
        select_outcome(example, "ies")
    bare = xr.DataTree.from_dict({"outcomes": outcomes.drop_vars("baseline")})
    with pytest.raises(EvidenceError, match="no baseline"):
        build_model(
            Evidence("simulated", example.trial, bare),
            spec.having(options={"baseline": "covariate"}),
        )
    with pytest.raises(SpecError, match="improper"):
        build_model(example, spec.having(priors={"treatment": "flat"}))
