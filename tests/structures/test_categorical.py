"""Ordered categories as values: cutpoints, probabilities, likelihood, estimands, refusals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
import xarray as xr
from scipy import integrate, optimize, special, stats

from bayes_ptsd.categorical.cells import spaced_cutpoints
from bayes_ptsd.errors import EvidenceError, SpecError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.models_files import load_model
from bayes_ptsd.priors import normal
from bayes_ptsd.simulation.patients import made_up_trial, simulate_trial
from bayes_ptsd.structures.categorical.checks import (
    category_table,
    checks,
    proportional_odds_check,
)
from bayes_ptsd.structures.categorical.model import (
    CategoricalModel,
    categorical_model,
    draw_priors,
    log_priors,
    prior_shapes,
)
from bayes_ptsd.structures.categorical.patients import example_categories
from bayes_ptsd.structures.categorical.posterior import (
    arm_probabilities,
    cell_probabilities,
    estimand_units,
    replicated_categories,
    subject_log_likelihood,
    with_estimands,
)
from bayes_ptsd.structures.categorical.room import groups

LINKS = {"logit": special.expit, "probit": special.ndtr}
WIDE = ("period_effect", "baseline_slope")


def problem(name: str = "ordinal", *, seed: int = 1, **more: Any) -> CategoricalModel:
    """Return a specification with the simulated example, every fifth second period missing."""
    baseline = more.pop("baseline", "none")
    spec = load_model(name).having(options={"baseline": baseline} | more)
    evidence = example_categories(baseline=baseline != "none", missing=0.2, seed=seed)
    return categorical_model(evidence, spec)


@pytest.mark.parametrize("link", LINKS)
def test_cutpoints_are_induced_by_a_dirichlet_prior(link: str) -> None:
    """Shares of the categories at the reference are Dirichlet(1, ..., 1): Beta(1, 4) each."""
    name = "ordinal" if link == "logit" else "ordinal-probit"
    cuts = draw_priors(problem(name), 4000, seed=1)["cutpoint"].values[0]
    assert (np.diff(cuts, axis=1) > 0).all()
    edges = np.pad(LINKS[link](cuts), ((0, 0), (1, 1)), constant_values=(0, 1))
    shares = np.diff(edges, axis=1)
    for column in shares.T:
        assert stats.kstest(column, stats.beta(1, 4).cdf).pvalue > 0.001
    assert np.corrcoef(shares[:, 0], shares[:, 4])[0, 1] == pytest.approx(-0.25, abs=0.05)


@pytest.mark.parametrize(
    "model",
    [problem(), problem("ordinal-probit"), problem("ordinal-by-arm", baseline="covariate")],
    ids=["logit", "probit", "by arm with baseline"],
)
def test_likelihood_by_subject_is_the_integral_over_its_effect(model: CategoricalModel) -> None:
    """It agrees with Simpson's rule on 8,001 points to 1e-8, for every subject and three draws."""
    draws = draw_priors(model, 3, seed=4).assign(sd_subject=("draw", [0.3, 1.2, 2.5]))
    draws = draws.assign(sd_subject=draws["sd_subject"].expand_dims("chain"))
    # under its wide prior a period effect of 30 leaves probabilities that no rule resolves
    draws = draws.assign({name: draws[name] / 10 for name in WIDE if name in draws})
    found = subject_log_likelihood(draws, model).values[0]
    for number in range(3):
        one = draws.isel(chain=0, draw=number)
        for row in range(len(model.scores.subject)):
            known = float(np.log(_integral(one, model, row)))
            assert found[number, row] == pytest.approx(known, abs=1e-8)


def _integral(draw: xr.Dataset, model: CategoricalModel, row: int) -> float:
    """Return the probability of a subject's categories by quadrature, written anew."""
    scores, cdf = model.scores, LINKS[model.link]
    cutpoint = draw["cutpoint"].values

    effect = float(draw["sd_subject"]) * np.linspace(-9, 9, 8001)
    density = stats.norm.pdf(effect, 0, float(draw["sd_subject"]))
    for column in np.flatnonzero(scores.there[row]):
        treatment = scores.active[row, column] - 0.5
        cuts = cutpoint
        if model.by_arm:
            gaps = np.diff(cutpoint) * np.exp(treatment * draw["log_gap_ratio"].values)
            cuts = np.concatenate([[0.0], np.cumsum(gaps)])
            cuts = cuts - cuts.mean() + cutpoint.mean()
        eta = model.sign * float(draw[model.effect]) * treatment + effect
        eta += float(draw["period_effect"]) * (column - 0.5)
        if scores.baseline is not None:
            eta += float(draw["baseline_slope"]) * scores.baseline[row]
        below = cdf(cuts[:, None] - eta)
        edges = np.vstack([0 * effect, below, 0 * effect + 1])
        density *= np.diff(edges, axis=0)[scores.place[row, column]]
    return float(integrate.simpson(density, x=effect))


def test_probabilities_of_all_outcomes_sum_to_one() -> None:
    """Over all 25 pairs of categories the likelihood of one subject sums to one."""
    model = problem()
    draws = draw_priors(model, 20, seed=2)
    row = int(np.flatnonzero(model.scores.there.all(axis=1))[0])
    total = np.zeros(20)
    for first in range(5):
        for second in range(5):
            place = model.scores.place.copy()
            place[row] = first, second
            scores = replace(model.scores, place=place)
            likelihood = subject_log_likelihood(draws, replace(model, scores=scores))
            total += np.exp(likelihood.isel(subject=row).values[0])
    assert total == pytest.approx(np.ones(20), abs=1e-10)


@pytest.mark.parametrize("name", ["ordinal", "ordinal-probit", "ordinal-by-arm"])
def test_estimands_are_those_of_a_simulated_population(name: str) -> None:
    """Mean difference, wins and shares by arm agree with 200,000 simulated patients per arm."""
    model = problem(name)
    draws = draw_priors(model, 1, seed=6)
    draws = draws.assign(period_effect=draws["period_effect"] / 10)
    rng = np.random.default_rng(3)
    size, cdf = 200_000, LINKS[model.link]
    one = with_estimands(draws, model).isel(chain=0, draw=0)
    effect = float(one["sd_subject"]) * rng.normal(size=(2, 2, size))
    latent = stats.logistic if model.link == "logit" else stats.norm
    noise = latent.rvs(size=(2, 2, size), random_state=rng)
    assert cdf(0.0) == 0.5
    category = np.empty((2, 2, size))
    for arm in (0, 1):
        cuts = one["cutpoint"].values
        if model.by_arm:
            cuts = spaced_cutpoints(cuts, (arm - 0.5) * one["log_gap_ratio"].values)
        for period in (0, 1):
            eta = model.sign * float(one[model.effect]) * (arm - 0.5)
            eta += float(one["period_effect"]) * (period - 0.5)
            response = eta + effect[arm, period] + noise[arm, period]
            category[arm, period] = 1 + np.searchsorted(cuts, response)
    difference = model.sign * (category[1].mean() - category[0].mean())
    assert float(one["treatment_difference"]) == pytest.approx(difference, abs=0.02)
    wins = np.mean((category[1] < category[0]) + 0.5 * (category[1] == category[0]))
    assert float(one["win_probability"]) == pytest.approx(wins, abs=0.005)
    for place, arm in enumerate(("control", "active")):
        shares = [np.mean(category[place] <= k) for k in (1, 2, 3, 4)]
        assert one["prob_at_most"].sel(arm=arm).values == pytest.approx(shares, abs=0.005)


def test_benefit_is_positive_in_either_direction() -> None:
    """Turning the scale around turns recorded categories and leaves every comparison alone."""
    model = problem()
    turned = replace(model, endpoint=replace(model.endpoint, better="higher"))
    draws = draw_priors(model, 50, seed=3)
    mirrored = draws.assign(
        cutpoint=draws["cutpoint"].copy(data=-draws["cutpoint"].values[..., ::-1]),
        period_effect=-draws["period_effect"],
    )
    one, other = with_estimands(draws, model), with_estimands(mirrored, turned)
    for name in ("treatment_difference", "win_probability"):
        assert one[name].values == pytest.approx(other[name].values)
    positive = one["log_odds_ratio"] > 0
    assert ((one["treatment_difference"] > 0) == positive).all()
    assert ((one["win_probability"] > 0.5) == positive).all()


def test_replicates_have_the_shape_and_the_shares_of_the_model() -> None:
    """Replicated patients miss the same cells; their shares are the model's probabilities."""
    model = problem()
    draws = draw_priors(model, 1, seed=8).isel(draw=[0] * 800)
    draws = draws.assign_coords(draw=np.arange(800))
    drawn = replicated_categories(draws, model, np.random.default_rng(1))["score"]
    assert (drawn.isel(chain=0, draw=0).notnull().values == model.scores.there).all()
    first = drawn.isel(period=0).values[..., model.scores.active[:, 0] == 1]
    # the active arm, in period 1: half of each effect
    eta = -float(draws["log_odds_ratio"][0, 0]) / 2 - float(draws["period_effect"][0, 0]) / 2
    sd, cuts = float(draws["sd_subject"][0, 0]), draws["cutpoint"].values[0, 0]
    wide = np.random.default_rng(2).normal(0, sd, 100_000)
    for place, cut in enumerate(cuts, 1):
        known = special.expit(cut - eta - wide).mean()
        assert np.mean(first <= place) == pytest.approx(known, abs=0.02)


@pytest.mark.parametrize("baseline", ["none", "covariate"])
def test_mode_of_a_binary_posterior_is_maximum_likelihood(baseline: str) -> None:
    """Under N(0, 10^2) for treatment, 24 to 41 patients: the joint mode within .04 SE of ML.

    In the model's own coordinates, risk midway and slopes, only the normal priors count; the mean
    lies elsewhere, since such a likelihood is skewed.
    """
    spec = load_model("binary-first-period").having(
        options={"baseline": baseline}, priors={"treatment": normal(0, 10)}
    )
    for number, (active, control) in enumerate(((12, 12), (20, 20), (22, 19), (24, 10))):
        evidence = example_categories(
            "binary", design="parallel", subjects=60, effect=1.0, baseline=True, seed=number
        )
        treatment = evidence.data["outcomes"]["treatment"].values.ravel() == "A"
        kept = [*np.flatnonzero(treatment)[:active], *np.flatnonzero(~treatment)[:control]]
        few = evidence.data["outcomes"].to_dataset().isel(subject=kept)
        data = xr.DataTree.from_dict({"outcomes": few})
        model = categorical_model(replace(evidence, data=data), spec)
        columns = [np.ones(len(kept)), model.scores.active[:, 0] - 0.5]
        columns += [] if model.scores.baseline is None else [model.scores.baseline]
        fit = sm.Logit(model.scores.place[:, 0], np.column_stack(columns)).fit(disp=0)
        mode = optimize.minimize(_negative_log_posterior, np.zeros(len(columns)), args=(model,))
        assert abs(mode.x[1] - fit.params[1]) / fit.bse[1] < 0.04, (active, control)


def _negative_log_posterior(point: np.ndarray[Any, Any], model: CategoricalModel) -> float:
    """Return it from the package's densities: minus cutpoint, log odds ratio, slope."""
    names = ("cutpoint", "log_odds_ratio", "baseline_slope")
    values = dict(zip(names, point, strict=False)) | {"cutpoint": -point[0]}
    draws = xr.Dataset({
        name: (("chain", "draw", "at_most") if name == "cutpoint" else ("chain", "draw"),
               np.full((1, 1, 1) if name == "cutpoint" else (1, 1), value))
        for name, value in values.items()
    }, coords={"chain": [0], "draw": [0], "at_most": [0]})  # fmt: skip
    total = float(subject_log_likelihood(draws, model).sum())
    return -total - sum(float(one.sum()) for one in log_priors(draws, model).values())


def test_every_category_of_the_range_is_kept() -> None:
    """Categories that nobody was in have a cutpoint all the same."""
    trial = made_up_trial(kind="ordinal", better="lower", range=(1, 7))
    evidence = simulate_trial(
        trial, n_by_sequence=10, cutpoints=[-9, -8, -1, 1, 8, 9], sd_subject=0.1, seed=1
    )
    model = categorical_model(evidence, load_model("ordinal"))
    assert set(np.unique(evidence.data["outcomes"]["value"])) <= {3.0, 4.0, 5.0}
    assert model.categories.tolist() == [1, 2, 3, 4, 5, 6, 7]


def test_one_period_takes_the_first_of_a_crossover_or_a_parallel_trial() -> None:
    """First-period models leave out second periods and subjects without a first one."""
    model = categorical_model(example_categories(), load_model("ordinal-first-period"))
    assert model.scores.place.shape == (40, 1)
    assert model.spec.parameters == ("treatment",)
    parallel = example_categories(design="parallel")
    assert categorical_model(parallel, load_model("ordinal-first-period")).size["subjects"] == 40
    with pytest.raises(EvidenceError, match="take model 'ordinal-first-period'"):
        categorical_model(parallel, load_model("ordinal"))


def _altered(evidence: Evidence, **endpoint: Any) -> Evidence:
    """Return evidence whose endpoint is described otherwise."""
    score = replace(evidence.trial.endpoint("score"), **endpoint)
    return replace(evidence, trial=replace(evidence.trial, endpoints={"score": score}))


def test_unsuitable_outcomes_are_refused_with_what_to_do() -> None:
    """A continuous endpoint, one without range, scores of one arm, a missing baseline."""
    evidence, spec = example_categories(), load_model("ordinal")
    with pytest.raises(EvidenceError, match=r"is continuous, .*take model 'crossover'"):
        categorical_model(_altered(evidence, kind="continuous"), spec)
    with pytest.raises(EvidenceError, match="add range = "):
        categorical_model(_altered(evidence, range=None), spec)
    with pytest.raises(EvidenceError, match="whole numbers from 1 to 3; found"):
        categorical_model(_altered(evidence, range=(1.0, 3.0)), spec)
    with pytest.raises(EvidenceError, match="has no baseline"):
        categorical_model(evidence, spec.having(options={"baseline": "covariate"}))
    with pytest.raises(SpecError, match="standard error of a mean difference"):
        categorical_model(evidence, spec.having(priors={"treatment": "cochrane"}))
    outcomes = evidence.data["outcomes"].to_dataset()
    one_arm = outcomes.isel(subject=outcomes["sequence"].values == "AB")
    data = xr.DataTree.from_dict({"outcomes": one_arm})
    with pytest.raises(EvidenceError, match="one treatment only"):
        categorical_model(replace(evidence, data=data), load_model("ordinal-first-period"))


def test_named_priors_are_in_latent_standard_deviations() -> None:
    """`weak` is Normal(0, 2 SD) with the SD of a logistic or a normal response."""
    for name, sd in (("ordinal", np.pi / np.sqrt(3)), ("ordinal-probit", 1.0)):
        spec = load_model(name).having(priors={"treatment": "weak"})
        model = categorical_model(example_categories(), spec)
        assert model.priors["treatment"].sd == pytest.approx(2 * sd)


def test_prior_of_the_shares_is_constant_under_power_scaling() -> None:
    """Log priors are SciPy's densities; the Dirichlet one is the same for every draw."""
    model = problem()
    draws = draw_priors(model, 5, seed=1)
    found = log_priors(draws, model)
    known = stats.norm(0, 1).logpdf(draws["log_odds_ratio"].values)
    assert found["log_odds_ratio"].values == pytest.approx(known)
    assert found["category_share"].values == pytest.approx(np.full((1, 5), np.log(24)))


def test_proportional_odds_check_can_fail() -> None:
    """A gap ratio that lies on one side of zero fails; one around zero passes."""
    rng = np.random.default_rng(1)
    draws = rng.normal([0.0, 0.5, 3.0], 1.0, size=(4, 500, 3))
    dims = ("chain", "draw", "gap")
    wide = xr.Dataset({"log_gap_ratio": (dims, draws[..., :2])})
    assert proportional_odds_check(wide)[0].passed
    check = proportional_odds_check(xr.Dataset({"log_gap_ratio": (dims, draws)}))[0]
    assert not check.passed
    assert check.threshold == pytest.approx(0.025 / 3)


def test_frequencies_that_the_model_cannot_say_fail_their_check() -> None:
    """Everybody in the highest category, under draws of another truth, fails and is named."""
    model = problem()
    draws = draw_priors(model, 400, seed=1)
    steady = draws.assign(
        log_odds_ratio=xr.zeros_like(draws["log_odds_ratio"]) + 0.01 * draws["log_odds_ratio"],
        period_effect=0.001 * draws["period_effect"],
        sd_subject=0.1 * draws["sd_subject"],
        cutpoint=draws["cutpoint"] * 0 + xr.DataArray([-2.0, -1, 0, 1], dims="at_most"),
    )
    place = np.full_like(model.scores.place, 4)
    odd = replace(model, scores=replace(model.scores, place=place))
    tree = xr.DataTree.from_dict(groups(odd, {"posterior": steady}, 1, None))
    found = checks(odd, tree, {})["checks"]
    assert not bool(found["passed"].sel(check="predictive_number_active_1_in_5"))
    usual = xr.DataTree.from_dict(groups(model, {"posterior": draws}, 1, None))
    passed = checks(model, usual, {})["checks"]["passed"]
    assert bool(passed.sel(check="predictive_number_active_1_in_5"))


def test_words_and_units_of_the_ordinal_model() -> None:
    """The N(0, 1) prior is told as ±1.96 log odds, and each estimand has its unit and name."""
    patients, spec = example_categories(), load_model("ordinal")
    model = spec.room.problem(patients, spec).model
    lines, proper = spec.room.prior_lines(model)
    assert proper
    assert lines["prior interval"] == "treatment: 95% from -1.96 to 1.96 log odds"
    assert estimand_units(model)["win_probability"] == "probability"
    assert prior_shapes(model)["treatment"][0] == "log_odds_ratio"


def test_probabilities_of_a_cell_add_up_and_scores_are_counted() -> None:
    """Category probabilities sum to one under every draw; 40 patients have 80 scores."""
    model = categorical_model(example_categories(), load_model("ordinal"))
    draws, one = draw_priors(model, 50, seed=1), np.array([1.0])
    cell = cell_probabilities(draws, model, active=one, second=0 * one, baseline=0 * one)
    np.testing.assert_allclose(cell.sum(axis=-1), 1.0)
    np.testing.assert_allclose(arm_probabilities(draws, model).sum("category"), 1.0)
    table = category_table(draws, model)
    assert int(table["seen"].sum()) == 80
    np.testing.assert_allclose(table["share_mean"].sum("category"), 1.0)
