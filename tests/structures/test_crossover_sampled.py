"""Crossover models without an exact engine, sampled: limits that have one, and known truth."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import arviz_stats
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from sampled import ERRORS, drawn, meets
from sampled import moments as moments_of
from scipy import stats
from typer.testing import CliRunner

from bayes_ptsd.cli import app
from bayes_ptsd.compiled import CompiledModels
from bayes_ptsd.errors import StatisticalWarning
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.patients import load_patients, write_patients, write_template
from bayes_ptsd.fit import fit_model
from bayes_ptsd.models_files import load_model
from bayes_ptsd.priors import Prior, normal
from bayes_ptsd.specification import ModelSpec
from bayes_ptsd.store import ResultStore
from bayes_ptsd.structures.crossover.exact import exact_crossover
from bayes_ptsd.structures.crossover.example import TRUTH, example_patients
from bayes_ptsd.structures.crossover.model import CrossoverModel, crossover_model
from bayes_ptsd.trial import load_trial

INTERCEPT = ("treatment_difference", "period_effect", "sd_subject", "sd_within")


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Leave failed checks to the tests that are about them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StatisticalWarning)
        yield


def exact(evidence: Evidence, spec: ModelSpec) -> xr.Dataset:
    """Return the exact posterior of a model."""
    return exact_crossover(crossover_model(evidence, spec), seed=1)["exact"]


def moments(draws: xr.Dataset, name: str) -> dict[str, tuple[float, float]]:
    """Return mean and sd of a parameter, each with its Monte Carlo standard error."""
    found = moments_of(draws, name)
    return {key: (float(value), float(error)) for key, (value, error) in found.items()}


def recovers(draws: xr.Dataset, truth: dict[str, float]) -> None:
    """Assert each truth within the central 99.8% of its posterior, which is narrower than 15."""
    for name, value in truth.items():
        low, high = np.quantile(draws[name], [0.001, 0.999])
        assert high - low < 15 or name == "nu", name
        assert low < value < high, name


def heavy_tailed(subjects: int, nu: float, seed: int) -> Evidence:
    """Return the example with Student-t patients: both scores of one share a weight."""
    evidence = example_patients(subjects=subjects, missing=0, seed=seed)
    outcomes = evidence.data["outcomes"].to_dataset()
    rng = np.random.default_rng(seed)
    weight = xr.DataArray(rng.chisquare(nu, subjects) / nu, dims="subject")
    active = outcomes["treatment"] == evidence.trial.active
    mean = 40 - TRUTH["treatment_difference"] * active
    mean = mean + xr.DataArray([0.0, TRUTH["period_effect"]], dims="period")
    order = outcomes["value"].dims
    value = (mean + (outcomes["value"] - mean) / np.sqrt(weight)).transpose(*order)
    lost = (outcomes["period"] == 2) & (xr.DataArray(np.arange(subjects), dims="subject") < 6)
    changed = outcomes.assign(value=value.where(~lost).transpose(*order))
    return replace(evidence, data=xr.DataTree.from_dict({"outcomes": changed}))


def near_reference(scale: float) -> ModelSpec:
    """Return proper priors that are flat, and 1/sd within patients, wherever the data are."""
    wide = normal(0.0, 1000 * scale)
    priors = {
        "treatment": wide,
        "level": wide,
        "period_effect": wide,
        "sd_subject": Prior("uniform", {"low": 0.0, "high": 100 * scale}),
        "sd_within": Prior("log_normal", {"mu": float(np.log(scale)), "sigma": 4.0}),
    }
    return load_model("crossover").having(priors=priors)


def test_nuts_under_near_reference_priors_meets_the_exact_engine(compiled: CompiledModels) -> None:
    """Means as good as flat, 1/sd within patients, some of one period: both engines agree."""
    evidence = example_patients(seed=31)
    spec = near_reference(14.4)
    meets(drawn(evidence, spec, compiled, draws=2000), exact(evidence, spec), *INTERCEPT)


@pytest.mark.shared
def test_nuts_under_near_reference_priors_meets_the_published_posterior(
    shared: Path, compiled: CompiledModels
) -> None:
    """The `ref` rows are met up to Monte Carlo error and the exact effect of the proper priors."""
    table = pd.read_csv(shared / "data" / "reference_values.csv")
    wanted = table["analysis"].str.contains("prior=ref .*sequence=0")
    rows = table[wanted & (table["dataset"] == "senn_pef")].set_index("parameter")
    trial = load_trial(Path(__file__).parents[1] / "trials" / "senn_pef.toml")
    evidence = load_patients(shared / "data" / "senn_pef.csv", trial)
    spec = near_reference(float(evidence.data["outcomes"]["value"].std(ddof=1)))
    draws, ours = drawn(evidence, spec, compiled, draws=2000), exact(evidence, spec)
    meets(draws, ours, *INTERCEPT)
    treatment = rows.loc["treat posterior mean/sd/95%"]
    known = {
        ("treatment_difference", "mean"): treatment["estimate"],
        ("treatment_difference", "sd"): treatment["se_or_sd"],
        ("sd_subject", "mean"): rows.loc["sigma_s posterior mean", "estimate"],
        ("sd_within", "mean"): rows.loc["sigma_e posterior mean", "estimate"],
    }
    for (name, key), figure in known.items():
        one = ours.sel(estimand=name)
        moved = abs(float(one[key]) - figure)
        assert moved < 0.02 * float(one["sd"]), name
        found, error = moments(draws, name)[key]
        assert abs(found - figure) < ERRORS * error + moved, name


def test_student_t_of_many_degrees_of_freedom_is_normal(compiled: CompiledModels) -> None:
    """With nu held near 5,000 the Student-t model has the exact posterior of the normal one."""
    evidence = example_patients(seed=32)
    spec = load_model("crossover-student-t").having(
        priors={"nu": Prior("gamma", {"shape": 2500.0, "rate": 0.5})}
    )
    meets(drawn(evidence, spec, compiled), exact(evidence, load_model("crossover")), *INTERCEPT)


@pytest.fixture(scope="module")
def student(compiled: CompiledModels) -> tuple[Evidence, xr.DataTree]:
    """Return 120 Student-t patients with 4 degrees of freedom, and their sampled fit."""
    evidence = heavy_tailed(120, 4.0, seed=33)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StatisticalWarning)
        return evidence, fit_model(
            evidence, load_model("crossover-student-t"), engine="nuts", compiled=compiled
        )


def test_student_t_recovers_truth_where_the_normal_model_does_not(
    student: tuple[Evidence, xr.DataTree],
) -> None:
    """Effects, scales and degrees of freedom are found; a normal model takes tails for spread.

    Variances of so heavy tails vary much between samples, so the normal model's error is asserted
    as 95% intervals of both sds that leave out the truth, not as a number of its posterior sds.
    """
    evidence, fit = student
    recovers(fit["posterior"].to_dataset(), {**TRUTH, "nu": 4.0})
    wrong = exact(evidence, load_model("crossover"))
    for name in ("sd_subject", "sd_within"):
        one = wrong.sel(estimand=name)
        assert np.interp(TRUTH[name], one["value"].values, one["cdf"].values) < 0.025, name
    sd = wrong["sd"].sel(estimand="treatment_difference")
    assert float(fit["posterior"]["treatment_difference"].std()) < float(sd)


def test_compare_reads_a_stored_sampled_fit(tmp_path: Path, compiled: CompiledModels) -> None:
    """`compare` of patients shows a stored NUTS fit of the Student-t model, digit by digit."""
    trial, _ = write_template(tmp_path / "trial", example_patients().trial)
    write_patients(example_patients(), tmp_path / "patients.csv")
    evidence = load_patients(tmp_path / "patients.csv", load_trial(trial))
    fit = fit_model(evidence, load_model("crossover-student-t"), engine="nuts", compiled=compiled)
    ResultStore(tmp_path / "store").save(fit)
    arguments = ["compare", "--trial", str(trial), "--data", str(tmp_path / "patients.csv"),
                 "--model", "crossover-student-t", "--prior", "reference", "--prior", "weak",
                 "--store", str(tmp_path / "store"), "--json"]  # fmt: skip
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.exception
    found, other = json.loads(done.stdout)["posteriors"]
    assert (found["engine"], found["result_id"]) == ("nuts", fit.attrs["result_id"])
    draws = fit["posterior"]["treatment_difference"]
    assert found["mean"] == pytest.approx(float(draws.mean()), abs=1e-9)
    assert found["sd"] == pytest.approx(float(draws.std(ddof=1)), abs=1e-9)
    assert not other["result_id"]


def test_sampled_student_t_effects_equal_integrated_ones(
    student: tuple[Evidence, xr.DataTree], compiled: CompiledModels
) -> None:
    """Weights and effects per patient change how it is sampled and not the posterior."""
    evidence, integrated = student
    spec = load_model("crossover-student-t").having(options={"subject_effects": "sampled"})
    sampled, known = drawn(evidence, spec, compiled), integrated["posterior"].to_dataset()
    for name in (*INTERCEPT, "nu"):
        ours, theirs = moments(sampled, name), moments(known, name)
        for key in ("mean", "sd"):
            error = np.hypot(ours[key][1], theirs[key][1])
            assert ours[key][0] == pytest.approx(theirs[key][0], abs=ERRORS * error), (name, key)


def test_sampled_effects_equal_integrated_ones(compiled: CompiledModels) -> None:
    """Sampling an effect per patient leaves the exact posterior, and shrinks as it should.

    The mean effect of a patient is that of its conditional normal, averaged over exact draws.
    """
    evidence = example_patients(seed=34)
    spec = load_model("crossover").having(options={"subject_effects": "sampled"})
    sampled = drawn(evidence, spec, compiled)
    model = crossover_model(evidence, load_model("crossover"))
    groups = exact_crossover(model, seed=1)
    meets(sampled, groups["exact"], *INTERCEPT)
    draws = groups["posterior"].isel(chain=0)
    half = model.pairs.active_first - 0.5
    treated = draws["treatment_difference"].values[:, None, None] * np.stack([half, -half], axis=1)
    period = draws["period_effect"].values[:, None] * np.array([-0.5, 0.5])
    rest = model.pairs.score - draws["level"].values[:, None, None] - period[:, None] + treated
    within = draws["sd_within"].values[:, None] ** 2
    count = np.isfinite(model.pairs.score).sum(axis=1)
    share = np.nansum(rest, axis=2) / (count + within / draws["sd_subject"].values[:, None] ** 2)
    effects = sampled[["subject_effect"]]
    error = arviz_stats.mcse(effects)["subject_effect"].values
    error = np.hypot(error, share.std(axis=0) / np.sqrt(len(share)))
    found = effects["subject_effect"].mean(("chain", "draw")).values
    assert (np.abs(found - share.mean(axis=0)) < ERRORS * error).all()


def late_baselines(subjects: int, carryover: float, left: float, seed: int) -> Evidence:
    """Return patients whose second baseline has a carryover, of which some is left in the score."""
    evidence = example_patients(subjects=subjects, missing=0, carryover=left, seed=seed)
    outcomes = evidence.data["outcomes"].to_dataset()
    before = outcomes["baseline"]
    late = (outcomes["sequence"] == "KM") & (before["period"] == 2)
    changed = outcomes.assign(baseline=(before - carryover * late).transpose(*before.dims))
    return replace(evidence, data=xr.DataTree.from_dict({"outcomes": changed}))


@pytest.fixture(scope="module")
def joint(compiled: CompiledModels) -> tuple[CrossoverModel, xr.Dataset]:
    """Return a joint model of baselines with carryover, and its draws."""
    options = {"baseline": "joint", "carryover": True}
    spec = load_model("crossover-bivariate").having(options=options)
    evidence = late_baselines(80, 8.0, 4.0, seed=36)
    return crossover_model(evidence, spec), drawn(evidence, spec, compiled)


def joint_design(share: np.ndarray, first: float, sign: int) -> np.ndarray:
    """Return the design of baseline 1, score 1, baseline 2, score 2 by draw of the share.

    Columns: both levels of baselines, level, period effect, treatment difference, baseline
    carryover.
    """
    design, half = np.zeros((len(share), 4, 6)), sign * (first - 0.5)
    design[:, 0, 0] = design[:, 2, 1] = design[:, 1, 2] = design[:, 3, 2] = 1
    design[:, 1, 3], design[:, 3, 3] = -0.5, 0.5
    design[:, 1, 4], design[:, 3, 4] = half, -half
    design[:, 2, 5], design[:, 3, 5] = half, half * share
    return design


def log_prior_covariance(covariance: np.ndarray, prior: Prior) -> np.ndarray:
    """Return the log density of covariances, LKJ(2) and log-normal sds, up to a constant."""
    sd = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    correlation = covariance / sd[:, :, None] / sd[:, None, :]
    spread = stats.lognorm.logpdf(sd, prior.params["sigma"], scale=np.exp(prior.params["mu"]))
    # d(covariance) = 2^4 prod(sd)^4 d(sd) d(correlation)
    return (spread - 4 * np.log(sd)).sum(axis=1) + np.linalg.slogdet(correlation)[1]


def reweighted_joint(model: CrossoverModel, count: int, seed: int) -> tuple[xr.Dataset, float]:
    """Return draws of the joint posterior with weights, and how many draws they are worth.

    Covariances are drawn from the inverse-Wishart posterior under the reference prior, the share
    from its prior; given both, means and effects are normal and integrated out.
    """
    assert model.baselines is not None
    values = np.stack([model.baselines, model.pairs.score], axis=-1).reshape(-1, 4)
    rng, first = np.random.default_rng(seed), model.pairs.active_first
    groups = [(values[first == one], float(one)) for one in (True, False)]
    residual = np.concatenate([group - group.mean(axis=0) for group, _ in groups])
    proposal = stats.invwishart(len(values) - 2, residual.T @ residual)
    covariance = proposal.rvs(count, random_state=rng)
    share, inverse = rng.uniform(size=count), np.linalg.inv(covariance)
    means = [model.priors[k] for k in
             ("baseline_level", "level", "period_effect", "treatment", "carryover")]  # fmt: skip
    assert {prior.dist for prior in means} == {"normal"}
    center, spread = (
        np.concatenate([np.atleast_1d(prior.params[key]) for prior in means])
        for key in ("mu", "sigma")
    )
    tight = spread**-2.0
    precision, moment = (
        np.diag(tight) + np.zeros((count, 6, 6)),
        np.tile(tight * center, (count, 1)),
    )
    square = np.zeros(count)
    for group, one in groups:
        design = joint_design(share, one, model.sign)
        turned = np.swapaxes(design, 1, 2) @ inverse
        precision = precision + len(group) * turned @ design
        moment = moment + turned @ group.sum(axis=0)
        square += np.einsum("dij,ij->d", inverse, group.T @ group)
    expected = np.linalg.solve(precision, moment[:, :, None])[:, :, 0]
    weight = log_prior_covariance(covariance, model.priors["sd_period"])
    weight -= len(values) / 2 * np.linalg.slogdet(covariance)[1]
    weight -= (square - (moment * expected).sum(axis=1) + np.linalg.slogdet(precision)[1]) / 2
    weight -= proposal.logpdf(np.moveaxis(covariance, 0, -1))
    weight = np.exp(weight - weight.max())
    noise = rng.normal(size=(count, 6, 1))
    root = np.linalg.cholesky(precision)
    effects = expected + np.linalg.solve(np.swapaxes(root, 1, 2), noise)[:, :, 0]
    sd = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    columns = {
        "treatment_difference": effects[:, 4],
        "period_effect": effects[:, 3],
        "baseline_carryover": effects[:, 5],
        "carryover": share * effects[:, 5],
        "correlation": covariance[:, 1, 3] / sd[:, 1] / sd[:, 3],
        "weight": weight / weight.sum(),
    }
    found = xr.Dataset({name: ("draw", column) for name, column in columns.items()})
    return found, float(1 / (found["weight"] ** 2).sum())


def test_sampled_joint_model_meets_reweighted_draws(
    joint: tuple[CrossoverModel, xr.Dataset],
) -> None:
    """Means and sds equal those by importance sampling of covariances, effects integrated out."""
    model, sampled = joint
    draws, worth = reweighted_joint(model, 40_000, seed=7)
    assert worth > 5000
    weight = draws["weight"]
    for name in draws.drop_vars("weight"):
        mean = float((weight * draws[name]).sum())
        sd = float(np.sqrt((weight * (draws[name] - mean) ** 2).sum()))
        found = moments(sampled, str(name))
        error = np.hypot(found["mean"][1], sd / np.sqrt(worth))
        assert found["mean"][0] == pytest.approx(mean, abs=ERRORS * error), name
        error = np.hypot(found["sd"][1], sd / np.sqrt(2 * worth))
        assert found["sd"][0] == pytest.approx(sd, abs=ERRORS * error), name


def test_joint_model_recovers_carryover_from_the_second_baseline(
    joint: tuple[CrossoverModel, xr.Dataset],
) -> None:
    """Half of a carryover of 8 in the second baseline is left in the second score, and is found."""
    _, sampled = joint
    # one sequence alone has a carryover; the period effect is the mean over both
    truth = {
        "treatment_difference": TRUTH["treatment_difference"],
        "period_effect": TRUTH["period_effect"] - 4.0 / 2,
    }
    spread = np.hypot(TRUTH["sd_subject"], TRUTH["sd_within"])
    rho = TRUTH["sd_subject"] ** 2 / spread**2
    recovers(sampled, {**truth, "baseline_carryover": 8.0, "carryover": 4.0, "correlation": rho})
    low, high = np.quantile(sampled["sd_period"], [0.001, 0.999], axis=(0, 1))
    assert (low < spread).all()
    assert (spread < high).all()
    assert float(sampled["baseline_carryover"].mean()) > 4
