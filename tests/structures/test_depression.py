"""The comparison adjusted for a mediator: exact, sampled and classical answers agree."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
import xarray as xr
from sampled import meets
from scipy import stats

from bayes_ptsd.errors import EvidenceError, SpecError, StatisticalWarning
from bayes_ptsd.estimands import estimate
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.outcome import select_outcomes
from bayes_ptsd.fit import fit_model
from bayes_ptsd.gaussian.problem import solve_problem
from bayes_ptsd.models_files import load_model
from bayes_ptsd.priors import Prior, normal
from bayes_ptsd.reconstruction.release import load_release
from bayes_ptsd.scaled_priors import ScaledPrior
from bayes_ptsd.specification import ModelSpec, parse_option
from bayes_ptsd.structures.depression.effects import (
    error_slope,
    estimand_units,
    least_squares_effects,
    mediation_effects,
    mediation_summary,
    proportion_mediated,
)
from bayes_ptsd.structures.depression.exact import effect_mixtures, exact_depression, regressions
from bayes_ptsd.structures.depression.example import TRUTH, example_mediation
from bayes_ptsd.structures.depression.model import (
    DepressionModel,
    depression_model,
    draw_priors,
    mediator_columns,
    outcome_columns,
    rests_on,
)
from bayes_ptsd.structures.depression.room import (
    depression_checks,
    depression_groups,
    mediation_features,
)
from bayes_ptsd.trial import Endpoint

SPEC = load_model("depression-adjusted")
FLAT = Prior("flat")
NATURAL = ["natural_direct_effect", "natural_indirect_effect", "treatment_difference"]


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Leave failed checks to the tests that are about them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StatisticalWarning)
        yield


def flat(**options: Any) -> ModelSpec:
    """Return the model with flat coefficients and the prior 1/sd in both regressions."""
    spec = SPEC.having(options=options)
    spreads = {"sd_residual": Prior("inverse_sd"), "mediator_sd": Prior("inverse_sd")}
    return spec.having(priors=dict.fromkeys(spec.parameters, FLAT) | spreads)


def effects_of(evidence: Evidence, spec: ModelSpec = SPEC) -> xr.Dataset:
    """Return the exact group by estimand."""
    return exact_depression(depression_model(evidence, spec), seed=1)["exact"]


def means_of(model: DepressionModel) -> dict[str, tuple[float, float]]:
    """Return mean and sd of every effect, exact, without draws."""
    solved = [solve_problem(one, tolerance=1e-9) for one in regressions(model)]
    return {name: (one.mean, one.sd) for name, one in effect_mixtures(solved, model).items()}


def wide() -> ModelSpec:
    """Return the model under a flat prior, with slopes on the mediator as wide as the others."""
    slope = ScaledPrior(normal(0, 10), "sd_ratio")
    return SPEC.under("flat").having(priors={"mediator_slope": slope, "interaction": slope})


def some(evidence: Evidence, active: int, control: int) -> Evidence:
    """Return so many patients of each arm of the example."""
    is_active = np.arange(evidence.data["outcomes"].sizes["subject"]) % 2 == 0
    kept = [*np.flatnonzero(is_active)[:active], *np.flatnonzero(~is_active)[:control]]
    few = evidence.data["outcomes"].to_dataset().isel(subject=sorted(kept))
    return replace(evidence, data=xr.DataTree.from_dict({"outcomes": few}))


def moved(evidence: Evidence, by: float, *, times: float = 1.0) -> Evidence:
    """Return evidence with a constant added to every score, then everything in another unit."""
    outcomes = evidence.data["outcomes"].to_dataset()
    outcomes = outcomes.assign(
        value=times * (outcomes["value"] + by), baseline=times * outcomes["baseline"]
    )
    ends = {
        name: replace(one, reference_sd=times * one.reference_sd, range=None)
        for name, one in evidence.trial.endpoints.items()
        if one.reference_sd is not None
    }
    trial = replace(evidence.trial, endpoints=ends)
    return replace(evidence, trial=trial, data=xr.DataTree.from_dict({"outcomes": outcomes}))


@pytest.mark.parametrize("better", ["lower", "higher"])
def test_effects_are_differences_of_potential_outcomes(better: str) -> None:
    """Scores of the same patients under both treatments, each with both mediators: by averages."""
    evidence = example_mediation()
    ends = dict(evidence.trial.endpoints)
    ends["ies_r"] = replace(ends["ies_r"], better=better)
    model = depression_model(replace(evidence, trial=replace(evidence.trial, endpoints=ends)), SPEC)
    s, s_m = model.signs
    draw = draw_priors(model, 3, seed=4).isel(chain=0)
    rng = np.random.default_rng(5)
    # errors with mean zero in this population, so that averages have no Monte Carlo error
    u, e = (one - one.mean() for one in rng.normal(size=(2, 4000)))
    for number in range(3):
        one = {name: float(values[number]) for name, values in draw.items()}

        def mediator(x: float, one: dict[str, float] = one) -> np.ndarray[Any, Any]:
            center = one["mediator_level"] + s_m * one["mediator_difference"] * x
            return center + one["mediator_sd"] * u

        def outcome(x: float, m: np.ndarray[Any, Any], one: dict[str, float] = one) -> float:
            slope = one["mediator_slope"] + one["interaction"] * x
            score = one["level"] + s * one["controlled_direct_effect"] * x
            score = score + slope * (m - model.mediator_score.mean()) + one["sd_residual"] * e
            return float(score.mean())

        active, control = mediator(0.5), mediator(-0.5)
        known = {
            "natural_direct_effect": outcome(0.5, control) - outcome(-0.5, control),
            "natural_indirect_effect": outcome(0.5, active) - outcome(0.5, control),
            "treatment_difference": outcome(0.5, active) - outcome(-0.5, control),
        }
        found = mediation_effects(draw.isel(draw=[number]), model)
        for name, value in known.items():
            assert float(found[name][0]) == pytest.approx(s * value, rel=1e-9), name
        at_mean = np.full(1, model.mediator_score.mean())
        direct = s * (outcome(0.5, at_mean) - outcome(-0.5, at_mean))
        assert float(found["controlled_direct_effect"][0]) == pytest.approx(direct, rel=1e-9)


def test_wide_priors_give_products_of_least_squares() -> None:
    """24 to 41 patients, balanced and not, anywhere on the scale, range or none: within .01 SE."""
    for number, (active, control) in enumerate(((12, 12), (20, 20), (22, 19), (27, 12))):
        patients = some(example_mediation(subjects=60, seed=number), active, control)
        for by in (0.0, -30.0, -45.0):  # mid-scale, near its end, below it
            evidence = moved(patients, by) if by else patients
            model = depression_model(evidence, wide())
            table = least_squares_effects(model)
            for name, (mean, _) in means_of(model).items():
                known = table.sel(estimand=name)
                gap = abs(mean - float(known["estimate"])) / float(known["se"])
                assert gap < 0.01, (active, control, by, name, gap)


@pytest.mark.parametrize("slope", [(0.0, 0.2), (0.5, 0.5), (2.0, 0.1)])
def test_difference_is_what_the_slopes_leave(slope: tuple[float, float]) -> None:
    """Whatever the priors of slopes: tau_c = D_y - E(slopes) D_x, to a thousandth of an SE."""
    prior = ScaledPrior(normal(*slope), "sd_ratio")
    slopes = dict.fromkeys(
        ("baseline_slope", "mediator_slope", "mediator_baseline_slope", "interaction"), prior
    )
    evidence = some(example_mediation(subjects=40, seed=2), 9, 15)
    model = depression_model(evidence, SPEC.under("flat").having(priors=slopes))
    exact = exact_depression(model, seed=1)["exact"]
    one = exact.sel(estimand="controlled_direct_effect")

    def apart(values: np.ndarray[Any, Any]) -> float:
        return float(values[model.active].mean() - values[~model.active].mean())

    expected = apart(model.score)
    for name, column in outcome_columns(model).items():
        if name not in ("controlled_direct_effect", "level"):
            expected -= float(exact["mean"].sel(estimand=name)) * apart(column)
    gap = float(one["mean"]) - model.signs[0] * expected
    assert abs(gap) < 1e-3 * float(one["sd"])


def test_exact_effects_follow_every_relabeling() -> None:
    """Arms swapped, constants added, another unit: effects follow to 1e-9 of their sd."""
    evidence = some(example_mediation(subjects=40, seed=5), 9, 14)
    before = means_of(depression_model(evidence, SPEC))
    trial = replace(evidence.trial, active=evidence.trial.control, control=evidence.trial.active)
    swapped = means_of(depression_model(replace(evidence, trial=trial), SPEC))
    for name in ("treatment_difference", "controlled_direct_effect", "mediator_difference"):
        assert swapped[name][0] == pytest.approx(-before[name][0], abs=1e-9 * before[name][1])
        assert swapped[name][1] == pytest.approx(before[name][1], rel=1e-9)
    for by, times in ((500.0, 1.0), (-20.0, 0.1)):
        after = means_of(depression_model(moved(evidence, by, times=times), SPEC))
        for name, (mean, sd) in before.items():
            assert after[name][0] / times == pytest.approx(mean, abs=1e-9 * sd), (name, by)
            assert after[name][1] / times == pytest.approx(sd, rel=1e-9), (name, by)


def test_reference_pulls_as_little_as_it_says() -> None:
    """The mediator's difference: estimate x 100 SD^2 / (100 SD^2 + SE^2), a tenth of the pull."""
    priors = {"mediator_treatment": "reference"}
    sharp = Prior("log_normal", {"mu": np.log(40.0), "sigma": 1e-3})  # a known SD, so a closed form
    spec = wide().having(
        options={"mediator_baseline": "none"}, priors=priors | {"mediator_sd": sharp}
    )
    model = depression_model(some(example_mediation(subjects=20, seed=9), 3, 9), spec)
    table = least_squares_effects(model)
    estimate_ = float(table["estimate"].sel(estimand="mediator_difference"))
    variance, sd = 40.0**2 * (1 / 3 + 1 / 9), 10 * 8.3
    known = estimate_ * sd**2 / (sd**2 + variance)
    pull = abs(estimate_ - known)
    assert pull > 0.05 * abs(estimate_)
    assert means_of(model)["mediator_difference"][0] == pytest.approx(known, abs=0.1 * pull)


def test_informative_priors_are_named_with_every_result() -> None:
    """Theta and omega with their priors, in the warnings of a fit and beside pooled results."""
    fit = fit_model(example_mediation(subjects=20), SPEC, engine="exact")
    said = " ".join(json.loads(fit.attrs["warnings"]))
    assert "slope on the mediator (theta) has prior N(0.8675, 0.8675²) (ies_r per madrs)" in said
    assert "difference between the arms (omega) has prior N(0, 0.8675²)" in said
    assert "(omega)" not in rests_on({"mediator_slope": normal(0, 1)})


def test_flat_priors_return_the_printed_regression() -> None:
    """Flat priors, no interaction: Student-t about OLS by statsmodels, which prints 6.5, .9, .2."""
    patients = load_release(m=2)[1]
    pair = select_outcomes(patients, ["ies_r", "madrs"], visit="24h")
    spec = flat(interaction=False)
    model = depression_model(pair, spec)
    x = np.column_stack([
        np.ones(41), model.active, model.mediator_score, model.baseline, model.mediator_baseline
    ])  # fmt: skip
    ols = sm.OLS(model.score, x).fit()
    exact = effects_of(pair, spec)
    printed = {
        "controlled_direct_effect": (-1, 1, 6.5, 1),
        "mediator_slope": (1, 2, 0.9, 1),
        "baseline_slope": (1, 3, 0.2, 1),
    }
    for name, (sign, column, number, digits) in printed.items():
        one = exact.sel(estimand=name)
        assert float(one["mean"]) == pytest.approx(sign * ols.params[column], abs=1e-7)
        assert float(one["sd"]) == pytest.approx(ols.bse[column] * np.sqrt(36 / 34), rel=1e-6)
        assert round(float(one["mean"]), digits) == number
    # the printed P values .0496, .0004 and .04 imply standard errors of 3.20, .23 and .09 or so
    assert [round(ols.pvalues[i], digits) for i, digits in ((1, 4), (2, 4), (3, 2))] == [
        0.0496, 0.0004, 0.04
    ]  # fmt: skip
    assert ols.bse[[1, 2]] == pytest.approx([3.20, 0.232], rel=0.06)
    table = least_squares_effects(model)
    assert float(table["se"].sel(estimand="mediator_slope")) == pytest.approx(ols.bse[2], rel=1e-9)
    assert float(table["p_value"].sel(estimand="controlled_direct_effect")) == pytest.approx(
        ols.pvalues[1], rel=1e-9
    )


def test_effects_are_those_of_independent_regressions() -> None:
    """Without interaction: moments of a sum and a product, and P(product > 0), in closed form."""
    evidence = example_mediation(subjects=24, seed=3)
    exact = effects_of(evidence, flat(interaction=False))
    mean, sd = (
        {str(n): float(exact[key].sel(estimand=n)) for n in exact["estimand"].values}
        for key in ("mean", "sd")
    )
    slope, moved = "mediator_slope", "mediator_difference"
    assert mean["natural_direct_effect"] == pytest.approx(
        mean["controlled_direct_effect"], abs=1e-8
    )
    assert sd["natural_direct_effect"] == pytest.approx(sd["controlled_direct_effect"], rel=1e-7)
    assert mean["natural_indirect_effect"] == pytest.approx(mean[slope] * mean[moved], rel=1e-5)
    second = (mean[slope] ** 2 + sd[slope] ** 2) * (mean[moved] ** 2 + sd[moved] ** 2)
    variance = second - (mean[slope] * mean[moved]) ** 2
    assert sd["natural_indirect_effect"] == pytest.approx(np.sqrt(variance), rel=1e-4)
    above = {
        name: stats.t.sf(-mean[name] / (sd[name] * np.sqrt((df - 2) / df)), df)
        for name, df in ((slope, 19), (moved, 21))
    }
    positive = above[slope] * above[moved] + (1 - above[slope]) * (1 - above[moved])
    fit = xr.DataTree.from_dict({"exact": exact})
    found = estimate(fit).sel(estimand="natural_indirect_effect")
    assert float(found["prob_benefit"].fillna(-1)) == -1  # a bare group names no comparisons
    fit.attrs["estimand_nulls"] = json.dumps({"natural_indirect_effect": 0.0})
    found = estimate(fit).sel(estimand="natural_indirect_effect")
    assert float(found["prob_benefit"]) == pytest.approx(positive, abs=1e-5)


def test_sampler_agrees_with_the_exact_engine() -> None:
    """Every parameter and effect: mean and spread of NUTS within Monte Carlo error."""
    evidence = example_mediation(subjects=40, seed=5)
    exact = fit_model(evidence, SPEC, engine="exact")
    sampled = fit_model(evidence, SPEC, engine="nuts", draws=500, tune=600, chains=2, seed=7)
    names = estimate(exact)["estimand"].values.tolist()
    assert set(names) == set(estimate(sampled)["estimand"].values)
    draws, known = sampled["posterior"].to_dataset(), exact["exact"].to_dataset()
    meets(draws, known, *names)


def test_known_effects_are_recovered() -> None:
    """30,000 patients: direct, indirect and total effect come out, interaction and all."""
    exact = effects_of(example_mediation(subjects=30_000, seed=2))
    for name, truth in TRUTH.items():
        one = exact.sel(estimand=name)
        assert abs(float(one["mean"]) - truth) < 4 * float(one["sd"]), name
        assert float(one["sd"]) < 0.2


def test_direction_of_the_scales_does_not_matter() -> None:
    """Turning a scale around, and its direction with it, leaves every effect as it was."""
    evidence = example_mediation(subjects=40, seed=4)
    before = effects_of(evidence, flat())
    for turned in (["ies_r"], ["madrs"], ["ies_r", "madrs"]):
        outcomes = evidence.data["outcomes"].to_dataset()
        sign = xr.where(outcomes["endpoint"].isin(turned), -1.0, 1.0)
        outcomes = outcomes.assign(
            value=outcomes["value"] * sign, baseline=outcomes["baseline"] * sign
        ).transpose("subject", "period", "visit", "endpoint")
        ends: dict[str, Endpoint] = {
            name: replace(one, better="higher", range=None) if name in turned else one
            for name, one in evidence.trial.endpoints.items()
        }
        other = Evidence(
            "simulated", replace(evidence.trial, endpoints=ends),
            xr.DataTree.from_dict({"outcomes": outcomes}),
        )  # fmt: skip
        after = effects_of(other, flat())
        for name in (*NATURAL, "controlled_direct_effect", "mediator_difference"):
            assert float(after["mean"].sel(estimand=name)) == pytest.approx(
                float(before["mean"].sel(estimand=name)), abs=1e-6
            ), (turned, name)


def test_correlated_errors_are_undone_by_their_correlation() -> None:
    """An unmeasured cause of both biases both effects; at its correlation the truth returns."""
    evidence = example_mediation(subjects=30_000, confounding=0.4, seed=6)
    model = depression_model(evidence, SPEC)
    draws = exact_depression(model, seed=1)["posterior"]
    # what the regression takes for slope, kappa = .4 x 8/6.3, times the 4 points of the mediator
    bias = 4 * 0.4 * 8.0 / 6.3
    for rho, moved in ((0.4, 0.0), (0.0, bias)):
        found = mediation_effects(draws, model, rho=rho)
        for name, sign in zip(NATURAL, (-1, 1, 0), strict=True):
            gap = float(found[name].mean()) - TRUTH[name]
            assert gap == pytest.approx(sign * moved, abs=4 * float(found[name].std())), name
    assert bias > 20 * float(found["natural_direct_effect"].std())


def test_sensitivity_is_that_of_imai_keele_and_yamamoto() -> None:
    """Without interaction: b2 (s1/s2) (r - rho sqrt((1 - r^2)/(1 - rho^2))), from reduced forms."""
    spec = flat(interaction=False, baseline="none")
    model = depression_model(example_mediation(seed=8), spec)
    x = np.column_stack([np.ones(60), model.active, model.mediator_baseline])
    mediator = sm.OLS(model.mediator_score, x).fit()
    reduced = sm.OLS(model.score, x).fit()
    structural = sm.OLS(model.score, np.column_stack([x, model.mediator_score])).fit()
    r = np.corrcoef(mediator.resid, reduced.resid)[0, 1]
    s1, s2 = (np.sqrt((fit.resid**2).mean()) for fit in (reduced, mediator))
    draws = xr.Dataset({
        "controlled_direct_effect": -structural.params[1], "mediator_slope": structural.params[3],
        "sd_residual": np.sqrt((structural.resid**2).mean()), "mediator_sd": s2,
        "mediator_difference": -mediator.params[1], "mediator_level": mediator.params[0],
    })  # fmt: skip
    for rho in (-0.5, 0.0, 0.3, 0.9):
        ours = mediation_effects(draws, model, rho=rho)["natural_indirect_effect"]
        slope = s1 / s2 * (r - rho * np.sqrt((1 - r**2) / (1 - rho**2)))
        assert float(ours) == pytest.approx(-mediator.params[1] * slope, rel=1e-9)
    # it vanishes at the correlation of the reduced forms' residuals
    wide = draws.expand_dims(chain=1, draw=2)
    assert float(mediation_summary([wide], [model])["vanishing"][0]) == pytest.approx(r, rel=1e-9)
    assert float(error_slope(draws, 0.0)) == 0.0


def test_share_is_given_only_of_a_total_that_is_there() -> None:
    """P(total > 0) at .985 gives no share; at 1 it is the ratio."""
    total = np.concatenate([np.full(197, 8.0), np.full(3, -1.0)])
    draws = xr.Dataset({"treatment_difference": ("draw", total), NATURAL[1]: ("draw", total / 4)})
    assert np.isnan(proportion_mediated(draws)["median"])
    sure = proportion_mediated(draws.isel(draw=slice(0, 197)))
    assert (sure["median"], sure["prob_total"]) == (0.25, 1.0)


def test_checks_notice_what_the_model_cannot_make() -> None:
    """A mediator that leaves its scale and two scores that no longer go together are noticed."""
    model = depression_model(example_mediation(), SPEC)
    groups = exact_depression(model, seed=1)
    groups |= depression_groups(groups["posterior"], model, seed=1)
    observed = groups["observed_data"]["score"].copy()
    observed[:, 1] = observed[::-1, 1].values
    groups["observed_data"] = observed.to_dataset(name="score")
    table = depression_checks(xr.DataTree.from_dict(groups), model)["checks"]
    passed = dict(zip(table["check"].values.tolist(), table["passed"].values.tolist(), strict=True))
    assert not passed["predictive_correlation_ketamine"]
    assert passed["predictive_madrs_mean_ketamine"] or passed["predictive_madrs_sd_ketamine"]


def test_what_does_not_fit_is_refused() -> None:
    """Another mediator, one endpoint, a missing baseline and no name: each with what to do."""
    evidence = example_mediation()
    other = SPEC.having(options={"mediator": "qids_sr"})
    with pytest.raises(
        EvidenceError, match=r"the mediator 'qids_sr'; these patients have ies_r, madrs"
    ):
        depression_model(evidence, other)
    with pytest.raises(EvidenceError, match=r"take select_outcomes"):
        depression_model(select_outcomes(evidence, ["madrs"]), SPEC)
    outcomes = evidence.data["outcomes"].to_dataset()
    outcomes["baseline"][0, 0, 1] = np.nan
    gap = replace(evidence, data=xr.DataTree.from_dict({"outcomes": outcomes}))
    with pytest.raises(EvidenceError, match=r"'madrs' is missing for 1 of 60.*mediator_baseline"):
        depression_model(gap, SPEC)
    without = depression_model(gap, SPEC.having(options={"mediator_baseline": "none"}))
    assert "mediator_own_slope" not in without.priors
    outcomes["value"][1, 0, 0, 0] = np.nan
    outcomes["baseline"][0, 0, 1] = 20.0
    lost = replace(evidence, data=xr.DataTree.from_dict({"outcomes": outcomes}))
    model = depression_model(lost, SPEC)
    assert model.size["subjects"] == 59
    assert "1 subjects without both scores" in model.notes[0]
    with pytest.raises(SpecError, match="write one name"):
        SPEC.having(options={"mediator": ""})
    assert parse_option("mediator=qids_sr", SPEC.room) == ("mediator", "qids_sr")


def test_priors_have_the_unit_of_their_parameter() -> None:
    """Slopes are SDs per SD, a named prior takes the SD of its own endpoint."""
    spec = SPEC.having(priors={"mediator_treatment": "skeptical", "treatment": "cochrane"})
    model = depression_model(example_mediation(), spec)
    assert model.priors["mediator_slope"].mean == pytest.approx(0.5 * 14.4 / 8.3)
    assert model.priors["mediator_treatment"].sd == pytest.approx(0.9 * 8.3 / 1.6448536, rel=1e-6)
    table = least_squares_effects(depression_model(example_mediation(), flat(interaction=False)))
    se = float(table["se"].sel(estimand="controlled_direct_effect"))
    assert model.priors["treatment"].sd > se
    with pytest.raises(SpecError, match="is a prior of the treatment"):
        SPEC.having(priors={"mediator_slope": "skeptical"})


def test_correlation_by_arm_is_a_feature() -> None:
    """The scores' correlation within the ketamine arm is Pearson's, 0.79 in the example."""
    model = depression_model(example_mediation(), load_model("depression-adjusted"))
    scores = model.observed["score"]
    found = float(mediation_features(scores, model)["correlation_ketamine"](scores))
    arm = scores.values[scores["treatment"].values == "ketamine"]
    assert found == pytest.approx(np.corrcoef(arm.T)[0, 1])
    assert found == pytest.approx(0.79, abs=0.005)


def test_the_prior_is_told_in_score_units() -> None:
    """The reference prior is ten reference SDs wide: 1.96 times 144 either way."""
    lines, proper = SPEC.room.prior_lines(depression_model(example_mediation(), SPEC))
    assert proper
    assert lines["prior interval"] == "treatment: 95% from -282.23 to 282.23 score units"
    assert {"prior indirect effect", "prior predictive madrs"} <= set(lines)


def test_effects_have_the_unit_of_the_outcome_and_the_mediator_its_own() -> None:
    """An indirect effect acts through the mediator but is in units of the outcome."""
    model = depression_model(example_mediation(), SPEC)
    units = estimand_units(replace(model, mediator=replace(model.mediator, unit="mm")))
    assert {units[name] for name in (*NATURAL, "controlled_direct_effect")} == {"points"}
    assert units["mediator_difference"] == units["mediator_sd"] == "mm"


def test_less_of_the_mediator_is_benefit() -> None:
    """Lower MADRS is better: the difference enters the active arm's mean with -1/2."""
    model = depression_model(example_mediation(), SPEC)
    columns = mediator_columns(model)
    assert list(columns) == ["mediator_difference", "mediator_level", "mediator_own_slope"]
    assert set(columns["mediator_difference"][model.active]) == {-0.5}
    assert set(columns["mediator_difference"][~model.active]) == {0.5}
    assert columns["mediator_own_slope"].mean() == pytest.approx(0, abs=1e-12)
