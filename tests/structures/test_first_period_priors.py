"""Nuisance priors of the comparison of arms at one visit cannot move the treatment difference."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pymc as pm
import pytest
import xarray as xr
from arm_patients import SD, arms, negated, rescaled, swapped, with_endpoint, with_scores
from scipy import stats
from typer.testing import CliRunner

from bayes_ptsd.cli import app
from bayes_ptsd.errors import SpecError
from bayes_ptsd.frequentist.ancova import ancova_analysis
from bayes_ptsd.gaussian.blocks import subject_log_likelihood
from bayes_ptsd.gaussian.parameters import NU_FLOOR, Parameter, log_prior_densities
from bayes_ptsd.gaussian.problem import solve_problem
from bayes_ptsd.gaussian.summaries import solution_summaries
from bayes_ptsd.models_files import load_model
from bayes_ptsd.priors import Prior, normal
from bayes_ptsd.pymc_priors import parameter_variable, prior_distribution
from bayes_ptsd.structures.first_period.exact import exact_first_period, first_period_problem
from bayes_ptsd.structures.first_period.model import (
    FirstPeriodModel,
    adjustment,
    draw_priors,
    first_period_model,
    patient_blocks,
)

ARMS = [(6, 6), (9, 4), (12, 12), (22, 19), (20, 20)]
LEVELS = [50.0, 30.0, 10.0]  # mid-scale, 3 and 1 SD from the lower end of 0 to 100
EVERYTHING = {"interaction": True, "arm_sd": "unequal", "covariates": ["sex", "age"]}
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "difference": {"baseline": "none"},
    "ancova": {},
    "covariates": {"covariates": ["sex", "age"]},
    "unequal": {"baseline": "none", "arm_sd": "unequal"},
}


def moments(model: FirstPeriodModel, name: str = "treatment_difference") -> tuple[float, float]:
    """Return exact posterior mean and sd of an estimand, by the quadrature of the engine."""
    solution = solve_problem(first_period_problem(model), tolerance=1e-6)
    found = solution_summaries(solution, [0.0]).sel(estimand=name)
    return float(found["mean"].item()), float(found["sd"].item())


def least_squares(model: FirstPeriodModel) -> tuple[float, float]:
    """Return estimate and standard error of the analysis of covariance, or of two variances."""
    table = ancova_analysis(
        model.score, model.active, covariates=adjustment(model), benefit_sign=model.sign,
        equal_variances=model.options["arm_sd"] == "equal",
    ).sel(estimand="treatment_difference")  # fmt: skip
    return float(table["estimate"]), float(table["se"])


@pytest.mark.parametrize(("shape", "rate"), [(0.001, 0.001), (3.0, 400.0)])
def test_gamma_prior_of_the_precision_is_conjugate(shape: float, rate: float) -> None:
    """Flat means and a gamma precision: the difference is Student-t in closed form, to 1e-6 SE."""
    prior = Prior("gamma_precision", {"shape": shape, "rate": rate})
    spec = load_model("first-period").having(options={"baseline": "none"}).under("flat")
    model = first_period_model(arms((9, 4), seed=3), spec.having(priors={"sd_residual": prior}))
    groups = [model.score[model.active == one] for one in (True, False)]
    df = model.score.size - 2 + 2 * shape
    squares = sum(float(((one - one.mean()) ** 2).sum()) for one in groups) + 2 * rate
    scale = np.sqrt(squares / df * sum(1 / one.size for one in groups))
    mean, sd = moments(model)
    assert mean == pytest.approx(least_squares(model)[0], abs=1e-6 * scale)
    assert sd == pytest.approx(scale * np.sqrt(df / (df - 2)), rel=1e-6)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("sizes", ARMS)
def test_posterior_mean_is_that_of_the_counterpart(sizes: tuple[int, int], options: str) -> None:
    """Flat: within .01 SE, anywhere on the scale; `reference` as 100 SD^2 / (100 SD^2 + SE^2)."""
    spec = load_model("first-period").having(options=OPTIONS[options])
    for number, level in enumerate(LEVELS):
        evidence = arms(sizes, level=level, seed=10 + number)
        flat = first_period_model(evidence, spec.under("flat"))
        estimate, se = least_squares(flat)
        mean, _ = moments(flat)
        assert mean == pytest.approx(estimate, abs=1e-6 * se)
        wide = first_period_model(evidence, spec)
        assert wide.priors["treatment"].params["sigma"] >= 10 * SD
        pull = 1 / (1 + (se / wide.priors["treatment"].params["sigma"]) ** 2)
        assert moments(wide)[0] == pytest.approx(pull * estimate, abs=0.01 * se), (level, se)
        blind = spec.having(priors={"treatment": normal(0, 1e5)})
        assert moments(first_period_model(evidence, blind))[0] == pytest.approx(
            estimate, abs=0.01 * se
        )


@pytest.mark.parametrize("prior", ["flat", "reference", "skeptical"])
def test_the_range_enters_no_posterior(prior: str) -> None:
    """Draws, moments and log marginal likelihood are the same with any range, or none."""
    spec = load_model("first-period").under(prior)
    found = [
        exact_first_period(first_period_model(arms(level=10.0, range_=range_), spec), seed=1)
        for range_ in (None, (0.0, 100.0), (-900.0, 9000.0))
    ]
    for other in found[1:]:
        xr.testing.assert_equal(found[0]["posterior"], other["posterior"])
        xr.testing.assert_equal(found[0]["quadrature"], other["quadrature"])


@pytest.mark.parametrize("factor", [1 / 30, 30.0])
def test_a_mistyped_reference_sd_cannot_bite(factor: float) -> None:
    """Thirty times too small or too large: the mean under a wide treatment prior stays put."""
    spec = load_model("first-period").having(priors={"treatment": normal(0, 1e5)})
    model = first_period_model(arms(level=10.0, reference_sd=factor * SD), spec)
    estimate, se = least_squares(model)
    assert moments(model)[0] == pytest.approx(estimate, abs=0.01 * se)
    assert any("check it" in note for note in model.notes)


@pytest.mark.parametrize("sizes", ARMS)
def test_slopes_under_any_prior_move_the_difference_as_they_say(sizes: tuple[int, int]) -> None:
    """E tau = D_y - E(beta) D_b - E(gamma) b - E(gamma_x) D_x, within 1e-3 SE, flat tau.

    The baseline of an interaction is centered over both arms together, so its term is half the sum
    of the two arms' mean centered baselines.
    """
    slopes = {
        "baseline_slope": normal(0.5, 0.05), "interaction": normal(-1.0, 0.3),
        "covariate": normal(4.0, 1.0),
    }  # fmt: skip
    spec = load_model("first-period").having(
        options={"interaction": True, "covariates": ["age", "sex"]},
        priors={**slopes, "treatment": Prior("flat"), "level": normal(0, 1e6)},
    )
    model = first_period_model(arms(sizes, level=10.0, seed=3), spec)
    exact = exact_first_period(model, seed=1)["exact"]["mean"]
    assert model.baseline is not None
    benefit = model.sign * (means(model, model.score) @ [-1, 1])
    expected = benefit - model.sign * float(exact.sel(estimand="baseline_slope")) * (
        means(model, model.baseline) @ [-1, 1]
    )
    expected -= float(exact.sel(estimand="interaction")) * means(model, model.baseline).mean()
    for label, column in zip(model.coords["column"], model.covariates.values.T, strict=True):
        slope = float(exact.sel(estimand=f"covariate {label}"))
        expected -= model.sign * slope * (means(model, column) @ [-1, 1])
    _, se = least_squares(model)
    assert float(exact.sel(estimand="treatment_difference")) == pytest.approx(
        expected, abs=1e-3 * se
    )
    assert abs(expected - benefit) > 0.05 * se  # the slopes do move it


def means(model: FirstPeriodModel, values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the means of control and active arm."""
    return np.array([values[~model.active].mean(), values[model.active].mean()])


# How an estimand changes: factor, and what is added to it
CHANGES: Mapping[str, tuple[Any, Mapping[str, tuple[float, float]]]] = {
    "arms swapped": (
        swapped, {"treatment_difference": (-1, 0), "interaction": (-1, 0), "level": (1, 0)}
    ),
    "constant added": (
        lambda evidence: with_scores(
            evidence, trial=with_endpoint(evidence, range=None), value=lambda y: y + 1000
        ),
        {"treatment_difference": (1, 0), "interaction": (1, 0), "level": (1, 1000)},
    ),
    "negated": (
        negated, {"treatment_difference": (1, 0), "interaction": (-1, 0), "level": (-1, 0)}
    ),
    "scaled": (
        lambda evidence: rescaled(evidence, 7.0),
        {"treatment_difference": (7, 0), "interaction": (1, 0), "level": (7, 0)},
    ),
}  # fmt: skip
PRIOR_OF = {"treatment": "skeptical"}


@pytest.mark.parametrize("options", [{}, EVERYTHING], ids=["plain", "everything"])
@pytest.mark.parametrize("change", CHANGES)
def test_exact_posterior_follows_a_change_of_the_data(change: str, options: Any) -> None:
    """Arms, origin, direction and unit: mean, sd and evidence of all follow within 1e-9."""
    spec = load_model("first-period").having(options=options, priors=PRIOR_OF)
    evidence = arms((9, 4) if not options else (22, 19), level=10.0, seed=5)
    alter, expected = CHANGES[change]
    before, after = (
        exact_first_period(first_period_model(one, spec), seed=1)["exact"]
        for one in (evidence, alter(evidence))
    )
    for name, (factor, shift) in expected.items():
        if name not in before["estimand"]:
            continue
        one, other = (found.sel(estimand=name) for found in (before, after))
        unit = abs(factor) * float(one["sd"])
        assert float(other["mean"]) == pytest.approx(
            factor * float(one["mean"]) + shift, abs=1e-9 * max(unit, abs(shift))
        ), name
        assert float(other["sd"]) == pytest.approx(unit, rel=1e-9), name
    if change == "arms swapped" and options:
        for here, there in ((1, 2), (2, 1)):
            moved = after["mean"].sel(estimand=f"sd_residual[{here}]")
            kept = before["mean"].sel(estimand=f"sd_residual[{there}]")
            assert float(moved) == pytest.approx(float(kept), rel=1e-9)


@pytest.mark.parametrize("change", CHANGES)
def test_density_of_heavy_tails_follows_a_change_of_the_data(change: str) -> None:
    """Log likelihood plus log prior at 50 draws from the prior, up to a constant, within 1e-9."""
    spec = load_model("first-period").having(
        options={**EVERYTHING, "likelihood": "student_t"}, priors=PRIOR_OF
    )
    evidence = arms(level=10.0, seed=6)
    alter, expected = CHANGES[change]
    one, other = (first_period_model(e, spec) for e in (evidence, alter(evidence)))
    draws = draw_priors(one, 50, seed=7)
    unit = 7.0 if change == "scaled" else 1.0
    sign = -1.0 if change == "negated" else 1.0
    moved = {name: factor * draws[name] + shift for name, (factor, shift) in expected.items()}
    # in a change of the unit of scores and baselines slopes stay, and so do they if both turn
    moved["covariate"] = sign * unit * draws["covariate"]
    moved["sd_residual"] = unit * draws["sd_residual"]
    there = draws.assign(moved)
    if change == "arms swapped":
        spread = draws["sd_residual"]
        there = there.assign(sd_residual=spread.copy(data=spread.values[..., ::-1]))
        there = there.assign_coords(treatment=list(other.arms))
    gap = density(other, there) - density(one, draws)
    assert np.ptp(gap) < 1e-9 * max(1.0, float(np.abs(density(one, draws)).max()))


def density(model: FirstPeriodModel, draws: xr.Dataset) -> np.ndarray[Any, Any]:
    """Return the log posterior density at every draw, up to a constant."""
    priors = log_prior_densities(draws, list(model.parameters.values()))
    parts = [subject_log_likelihood(draws, patient_blocks(model)), *priors.values()]
    return sum(
        part.sum([dim for dim in part.dims if dim not in ("chain", "draw")]).values[0]
        for part in parts
    )


def test_old_names_are_refused_with_the_new_one() -> None:
    """`intercept` was the control mean: who sets it is told what to set now."""
    with pytest.raises(SpecError, match="no 'intercept' any more; set 'level'"):
        load_model("first-period").having(priors={"intercept": normal(48, 10)})


def test_flat_makes_levels_and_slopes_flat_and_says_so() -> None:
    """`--prior flat` is in the specification and in its digest, with the structure's version."""
    spec = load_model("first-period").having(options=EVERYTHING)
    flat = spec.under("flat")
    tables = flat.prior_tables
    names = ("level", "baseline_slope", "interaction", "covariate")
    assert [tables[name]["dist"] for name in names] == ["flat"] * 4
    assert tables["sd_residual"] == spec.prior_tables["sd_residual"]
    assert flat.spec_id != spec.having(priors={"treatment": "flat"}).spec_id
    assert spec.document()["version"] == 2


def fitted(folder: Path, trial: str, patients: str, *more: str) -> dict[str, Any]:
    """Run ``fit first-period`` without baseline as a user types it."""
    description, data = folder / "trial.toml", folder / "patients.csv"
    description.write_text(trial, encoding="utf-8")
    data.write_text(patients, encoding="utf-8")
    asked = ["fit", "first-period", "--option", "baseline=none", "--trial", str(description)]
    asked += ["--data", str(data), "--store", str(folder / "store"), "--json", *more]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def estimate_of(document: Mapping[str, Any]) -> float:
    """Return the posterior mean of the treatment difference."""
    one = document["results"][0] if "results" in document else document
    return float(one["estimands"]["treatment_difference"]["mean"])


@pytest.mark.shared
@pytest.mark.parametrize("range_", ["", "range = [0, 900]"])
def test_the_example_of_the_guide_gives_its_first_period(
    shared: Path, tmp_path: Path, range_: str
) -> None:
    """Thirteen children by the guide's own trial file: 53.81, with and without a range."""
    page = (Path(__file__).parents[2] / "docs/guides/your-own-data.md").read_text("utf-8")
    block = page.split("```toml\n")[1].split("```")[0]
    line = next(text for text in block.splitlines() if text.startswith("range = [0, 900]"))
    trial = block.replace('"formoterol"', '"F"').replace('"salbutamol"', '"S"')
    patients = (shared / "data" / "senn_pef.csv").read_text("utf-8")
    found = fitted(
        tmp_path, trial.replace(line, range_), patients.replace("pef", "value", 1),
        "--prior", "flat",
    )  # fmt: skip
    assert estimate_of(found) == pytest.approx(53.81, abs=0.005)


@pytest.mark.shared
@pytest.mark.parametrize("trial", ["toy.toml", "toy_r200.toml"])
def test_a_range_does_not_reverse_a_small_trial(shared: Path, tmp_path: Path, trial: str) -> None:
    """Twelve patients with `range = [0, 200]`: 11.70, as without; once it was -26.7."""
    case = shared / "cases" / "c00-range-reverses-first-period"
    files = [(case / name).read_text("utf-8") for name in (trial, "ok.csv")]
    assert estimate_of(fitted(tmp_path, *files, "--prior", "flat")) == pytest.approx(
        11.70, abs=0.005
    )


def test_degrees_of_freedom_have_their_prior_above_the_floor() -> None:
    """A prior inside a truncated variable has its density over what lies above the limit."""
    prior = Prior("gamma", {"shape": 2.0, "rate": 0.1})
    with pm.Model():
        nu = pm.Truncated.dist(prior_distribution("nu", prior), lower=2)
    density = float(pm.logp(nu, 5.0).eval())
    gamma = stats.gamma(2.0, scale=10.0)
    assert density == pytest.approx(gamma.logpdf(5.0) - gamma.logsf(2.0), abs=1e-9)
    one = Parameter("nu", prior, floor=NU_FLOOR)
    with pm.Model():
        same = parameter_variable(one)
    assert float(pm.logp(same, 5.0).eval()) == pytest.approx(density, abs=1e-12)
    assert float(one.logpdf(np.array(5.0))) == pytest.approx(density, abs=1e-9)
