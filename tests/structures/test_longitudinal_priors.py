"""Nuisance priors of several visits cannot move the differences, and no visit moves another."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pymc as pm
import pytest
import xarray as xr
from arm_patients import SD, arms, negated, rescaled, swapped, with_endpoint, with_scores

from bayes_ptsd.check_roles import Check
from bayes_ptsd.errors import SpecError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.frequentist.ancova import ancova_analysis
from bayes_ptsd.gaussian.blocks import subject_log_likelihood
from bayes_ptsd.gaussian.observed import partial_correlations
from bayes_ptsd.models_files import list_models, load_model
from bayes_ptsd.priors import Prior, normal
from bayes_ptsd.structures.longitudinal.draws import draw_priors, log_priors, patient_blocks
from bayes_ptsd.structures.longitudinal.model import (
    LongitudinalModel,
    longitudinal_model,
    trajectory_mmrm,
)
from bayes_ptsd.structures.longitudinal.room import visit_boundary_checks

VISITS = {"1d": 24.0, "2d": 48.0, "7d": 168.0}
ARMS = [(6, 6), (9, 4), (12, 12), (22, 19), (20, 20)]
LEVELS = [50.0, 30.0, 10.0]  # mid-scale, 3 and 1 SD from the lower end of 0 to 100
LKJ = Prior("lkj", {"shape": 2.0})


@pytest.fixture(scope="module")
def engine() -> ModuleType:
    """Return the posterior without a chain that the validation study uses, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parents[2] / "validation"))
        return importlib.import_module("visit_posterior")


def visits(sizes: tuple[int, int] = (22, 19), **more: Any) -> Evidence:
    """Return patients with three visits."""
    return arms(sizes, visits=VISITS, **more)


def differences(
    engine: ModuleType, model: LongitudinalModel, *, draws: int = 4000
) -> tuple[np.ndarray[Any, Any], Any]:
    """Return the posterior means of the differences at the visits, and the posterior."""
    problem = engine.problem_of(model)
    found = engine.visit_posterior(problem, draws=draws, seed=1)
    assert found.effective > 50
    vectors = [engine.coefficient(problem, f"treatment[{t}]") for t in range(len(model.visits))]
    return np.array([found.moments(vector)[0] for vector in vectors]), found


def least_squares(model: LongitudinalModel) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return estimate and standard error at every visit by itself."""
    before = model.values[:, 0] if model.joint else model.baseline
    tables = [
        ancova_analysis(y, model.active, covariates=before, benefit_sign=model.sign).sel(
            estimand="treatment_difference"
        )
        for y in model.score.T
    ]
    return tuple(np.array([float(t[key]) for t in tables]) for key in ("estimate", "se"))


@pytest.mark.parametrize("baseline", ["none", "covariate"])
@pytest.mark.parametrize("sizes", ARMS)
def test_means_are_those_of_least_squares_at_each_visit(
    engine: ModuleType, sizes: tuple[int, int], baseline: str
) -> None:
    """As shipped, within .01 SE (.02 at 12 or 13 patients) of 100 SD^2 / (100 SD^2 + SE^2) times.

    Least squares at a visit are REML for every covariance here, so correlations have no say.
    """
    spec = load_model("longitudinal").having(options={"baseline": baseline})
    for number, level in enumerate(LEVELS):
        model = longitudinal_model(visits(sizes, level=level, seed=20 + number), spec)
        found, _ = differences(engine, model)
        estimate, se = least_squares(model)
        pull = 1 / (1 + (se / model.priors["treatment"].params["sigma"]) ** 2)
        limit = 0.02 if sum(sizes) < 20 else 0.01
        assert (np.abs(found - pull * estimate) < limit * se).all(), (level, found, estimate)


def test_the_range_enters_no_prior() -> None:
    """Priors are the same with any range, or none, and lie where both arms together do."""
    models = [
        longitudinal_model(visits(level=10.0, range_=one), load_model("longitudinal-clda"))
        for one in (None, (0.0, 100.0), (-900.0, 9000.0))
    ]
    assert models[0].priors == models[1].priors == models[2].priors
    level = models[0].priors["level"].params
    values, active = models[0].values, models[0].active
    means = (values[active].mean(axis=0) + values[~active].mean(axis=0)) / 2
    assert level["mu"] == pytest.approx(means)
    assert (level["sigma"] >= 10 * SD).all()


# Limits in standard errors by patients: how much the prior of a covariance that REML estimates
# moves a coefficient that hangs on it.
@pytest.mark.parametrize(("sizes", "limit"), [((22, 19), 0.05), ((12, 12), 0.1), ((6, 6), 0.2)])
def test_a_common_slope_is_near_reml(
    engine: ModuleType, sizes: tuple[int, int], limit: float
) -> None:
    """One slope for all visits: .05 SE of REML with 41 patients, .2 with 12."""
    spec = load_model("longitudinal").having(options={"baseline": "common_slope"})
    for seed in (1, 2, 3):
        model = longitudinal_model(visits(sizes, level=30.0, seed=seed), spec)
        found, _ = differences(engine, model, draws=20_000)
        table = trajectory_mmrm(model).sel(
            estimand=[f"treatment_difference[{visit}]" for visit in model.visits]
        )
        gap = (found - table["estimate"].values) / table["se"].values
        assert (np.abs(gap) < limit).all(), gap


def test_a_joint_baseline_is_near_the_analysis_of_covariance(engine: ModuleType) -> None:
    """Constrained analysis, 41 patients: within .3 SE of the adjusted difference at each visit."""
    for seed in (1, 2, 3):
        model = longitudinal_model(visits(seed=seed), load_model("longitudinal-clda"))
        found, _ = differences(engine, model, draws=20_000)
        estimate, se = least_squares(model)
        assert (np.abs(found - estimate) < 0.3 * se).all(), (found - estimate) / se


@pytest.mark.parametrize("sizes", ARMS)
def test_slopes_under_any_prior_move_the_differences_as_they_say(
    engine: ModuleType, sizes: tuple[int, int]
) -> None:
    """E delta_t = D_yt - E(beta_t) D_b at every visit, within 1e-3 SE, narrow slope priors."""
    spec = load_model("longitudinal").having(
        priors={"baseline_slope": normal(0.5, 0.05), "treatment": normal(0, 1e6),
                "level": normal(0, 1e6)}
    )  # fmt: skip
    model = longitudinal_model(visits(sizes, level=10.0, seed=4), spec)
    found, posterior = differences(engine, model)
    assert model.baseline is not None
    problem = engine.problem_of(model)
    slopes = np.array([
        posterior.moments(engine.coefficient(problem, f"baseline_slope[{t}]"))[0]
        for t in range(len(VISITS))
    ])  # fmt: skip
    unadjusted = model.sign * gap(model, model.score)
    _, se = least_squares(model)
    expected = unadjusted - model.sign * slopes * gap(model, model.baseline)
    assert (np.abs(found - expected) < 1e-3 * se).all()


def test_a_joint_baseline_adjusts_by_the_regression_in_its_covariance(engine: ModuleType) -> None:
    """E delta_t = D_yt - E(Sigma_tb / Sigma_bb) D_b, within 1e-3 SE."""
    spec = load_model("longitudinal-clda").having(
        priors={"treatment": normal(0, 1e6), "level": normal(0, 1e6)}
    )
    model = longitudinal_model(visits((9, 4), level=10.0, seed=4), spec)
    found, posterior = differences(engine, model)
    covariance = posterior.covariance
    slopes = posterior.weight @ (covariance[:, 1:, 0] / covariance[:, :1, 0])
    _, se = least_squares(model)
    expected = gap(model, model.score) - slopes * gap(model, model.values[:, 0])
    assert (np.abs(found - model.sign * expected) < 1e-3 * se).all()


def gap(model: LongitudinalModel, values: np.ndarray[Any, Any]) -> Any:
    """Return active minus control mean."""
    return values[model.active].mean(axis=0) - values[~model.active].mean(axis=0)


OPTIONS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "default": ("longitudinal", {"covariates": ["sex", "age"]}),
    "common slope, compound": (
        "longitudinal",
        {"baseline": "common_slope", "covariance": "compound", "visit_sd": "equal"},
    ),
    "autoregressive": ("longitudinal-ar", {"nugget": True}),
    "joint": ("longitudinal-clda", {}),
    "shrunk": ("longitudinal-shrunk", {"baseline": "none"}),
}
DIFFERENCES = ("visit_difference", "treatment_difference", "shrinkage_mean")


def moved_visit(evidence: Evidence) -> Evidence:
    """Return the scores of the second visit 500 points higher."""
    shift = xr.DataArray([0.0, 500.0, 0.0], dims="visit", coords={"visit": list(VISITS)})
    trial = with_endpoint(evidence, range=None)
    return with_scores(evidence, trial=trial, value=lambda y: y + shift)


def moved_scores(evidence: Evidence) -> Evidence:
    """Return scores and baselines 1,000 points higher."""
    trial = with_endpoint(evidence, range=None)
    return with_scores(evidence, trial=trial, value=lambda y: y + 1000, baseline=lambda b: b + 1000)


def follow(draws: xr.Dataset, change: str, model: LongitudinalModel) -> xr.Dataset:
    """Return the parameters that say of the changed data what `draws` say of the first ones."""
    scale = 7.0 if change == "scaled" else 1.0
    turn = -1.0 if change == "negated" else 1.0
    swap = -1.0 if change == "arms swapped" else 1.0
    shift: Any = 1000.0 if change == "constant added" else 0.0
    if change == "visit moved":
        labels = model.occasions
        table = np.where(np.array(labels) == "2d", 500.0, 0.0)
        shift = xr.DataArray(table, dims="occasion", coords={"occasion": list(labels)})
    found = {name: scale * swap * draws[name] for name in DIFFERENCES if name in draws}
    found["level"] = turn * scale * draws["level"] + shift
    found["sd_visit"] = scale * draws["sd_visit"]
    for name in ("covariate", "shrinkage_sd"):
        if name in draws:
            found[name] = scale * (turn if name == "covariate" else 1.0) * draws[name]
    return draws.assign(found)


CHANGES = {
    "arms swapped": swapped,
    "constant added": moved_scores,
    "visit moved": moved_visit,
    "negated": negated,
    "scaled": lambda evidence: rescaled(evidence, 7.0),
}


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("change", CHANGES)
def test_density_follows_a_change_of_the_data(change: str, options: str) -> None:
    """Log likelihood plus log prior at 50 points, up to a constant, within 1e-9: in every form.

    The density is the one that the builder has, which test_longitudinal holds together.
    """
    name, chosen = OPTIONS[options]
    spec = load_model(name).having(options=chosen, priors={"treatment": "skeptical"})
    evidence = with_holes(visits((9, 4) if options == "joint" else (22, 19), level=10.0, seed=5))
    one, other = (longitudinal_model(e, spec) for e in (evidence, CHANGES[change](evidence)))
    draws = draw_priors(one, 50, seed=7)
    before, after = density(one, draws), density(other, follow(draws, change, other))
    assert np.ptp(after - before) < 1e-9 * np.abs(before).max()


def with_holes(evidence: Evidence) -> Evidence:
    """Return the patients, every sixth without the last visit."""
    count = evidence.data["outcomes"].sizes["subject"]
    stays = xr.DataArray(np.arange(count) % 6 > 0, dims="subject")
    return with_scores(evidence, value=lambda y: y.where(stays | (y["visit"] != "7d")))


def density(model: LongitudinalModel, draws: xr.Dataset) -> np.ndarray[Any, Any]:
    """Return the log posterior density at every draw, up to a constant."""
    parts = [
        subject_log_likelihood(draws, patient_blocks(model)),
        *log_priors(draws, model).values(),
    ]
    return sum(
        part.sum([dim for dim in part.dims if dim not in ("chain", "draw")]).values[0]
        for part in parts
    )


def test_visits_do_not_inform_each_other_unless_asked() -> None:
    """`longitudinal` and its variants have no shrinkage; `longitudinal-shrunk` alone does."""
    shrunk = {
        name for name in list_models()
        if load_model(name).structure == "longitudinal" and load_model(name).options["shrinkage"]
    }  # fmt: skip
    assert shrunk == {"longitudinal-shrunk"}


def test_correlations_have_their_own_priors_and_no_other() -> None:
    """A shape of LKJ is a key of the file and in the digest; another kind of prior is refused."""
    spec = load_model("longitudinal")
    assert spec.prior_tables["correlations"] == {"dist": "uniform_correlations"}
    assert spec.having(priors={"correlations": LKJ}).spec_id != spec.spec_id
    with pytest.raises(SpecError, match="a correlation matrix; write one of lkj"):
        spec.having(priors={"correlations": Prior("beta", {"shape1": 2.0, "shape2": 2.0})})
    with pytest.raises(SpecError, match="no 'visit_mean' any more; set 'level'"):
        spec.having(priors={"visit_mean": normal(40, 10)})
    flat = spec.under("flat").prior_tables
    assert [flat[name]["dist"] for name in ("level", "baseline_slope")] == ["flat", "flat"]


def test_correlations_at_an_end_are_judged_against_their_prior() -> None:
    """Draws from uniform correlations do not fail the check; a posterior there does."""
    model = longitudinal_model(visits(), load_model("longitudinal"))
    prior = draw_priors(model, 4000, seed=1)
    posterior = prior.assign(visit_correlation=abs(prior["visit_correlation"]) ** 0.1)

    def check(draws: xr.Dataset) -> Check:
        return visit_boundary_checks(xr.DataTree.from_dict({"posterior": draws, "prior": prior}))[0]

    assert 0.04 < check(prior).figure < 0.065
    assert check(prior).passed
    assert not check(posterior).passed


def test_scales_follow_the_visit() -> None:
    """A visit that spreads threefold has the threefold prior of its level and its SD."""
    evidence = visits(level=50.0, range_=None)
    wide = xr.DataArray([1.0, 1.0, 3.0], dims="visit", coords={"visit": list(VISITS)})
    model = longitudinal_model(
        with_scores(evidence, value=lambda y: y * wide), load_model("longitudinal")
    )
    level, spread = model.priors["level"].params, model.priors["sd_visit"].params
    assert level["sigma"][2] > 2.5 * level["sigma"][0]
    assert spread["mu"][2] - spread["mu"][0] == pytest.approx(
        np.log(level["sigma"][2] / level["sigma"][0])
    )
    assert replace(model).priors["baseline_slope"].params["sigma"].shape == (3,)


def test_partial_correlations_carry_the_prior_of_their_matrix() -> None:
    """One pair under uniform correlations, 1/2 on (-1, 1), has the density of a unit interval."""
    with pm.Model(coords={"pair": [0]}) as model:
        found = partial_correlations(Prior("uniform_correlations"), 2, dim="pair")
    point = {"partial_unit_interval__": np.array([0.3])}
    unit = 1 / (1 + np.exp(-0.3))
    jacobian = np.log(unit * (1 - unit))
    assert found.type.ndim == 1
    assert float(model.compile_logp(mode="FAST_COMPILE")(point)) == pytest.approx(
        jacobian, abs=1e-9
    )
