"""Predictions, assurance and sample size against closed forms and simulated trials."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special, stats
from statsmodels.stats.power import TTestIndPower

from bayes_ptsd.credibility.replication import (
    SCEPTICAL_CALIBRATIONS,
    replication_probability,
    sceptical_p_value,
)
from bayes_ptsd.errors import SpecError
from bayes_ptsd.evidence.pairs import CrossoverPairs
from bayes_ptsd.evidence.published import load_published
from bayes_ptsd.priors import Prior, mixture, normal
from bayes_ptsd.replication.assurance import (
    Goal,
    assurance_curve,
    cases_label,
    goal_ceiling,
    reach_probability,
)
from bayes_ptsd.replication.designs import ReplicationDesign, planned_designs
from bayes_ptsd.replication.prediction import (
    advocate_log_bf,
    bayes_factor_probability,
    needed_estimate,
    predict_replication,
    predictive_distribution,
    skeptical_mixture_log_bf,
)
from bayes_ptsd.replication.readings import average_predictions, row_design
from bayes_ptsd.replication.sample_size import (
    compare_designs,
    expected_size,
    normal_sample_size,
    smallest_size,
)
from bayes_ptsd.structures.crossover.exact import crossover_batch

SD = 14.4
ORIGINAL = (12.7, 5.1787)
PRIOR = mixture([0.64, 0.16, 0.2], [normal(5.5, 4.7), normal(5.9, 10.0), normal(0, 28.8)])
PARALLEL = ReplicationDesign("parallel", SD)
CROSSOVER = ReplicationDesign("crossover", SD, correlation=0.5)


def point(difference: float) -> Prior:
    """Return a design prior that knows the difference."""
    return normal(difference, 1e-6)


# designs


def test_information_of_complete_designs() -> None:
    """One patient's information: 1/(4 sd^2), 1/(2 sd^2 (1 - rho)), that of a mean of visits."""
    assert 1 / PARALLEL.information == pytest.approx(4 * SD**2)
    assert 1 / CROSSOVER.information == pytest.approx(2 * SD**2 * 0.5)
    visits = ReplicationDesign("repeated", SD, correlation=0.7, visits=4)
    assert 1 / visits.information == pytest.approx(4 * SD**2 * (1 + 3 * 0.7) / 4)
    assert ReplicationDesign("repeated", SD, visits=1).information == PARALLEL.information


def test_information_of_incomplete_crossovers() -> None:
    """With patients who do not cross it is generalized least squares on all patients."""
    design = ReplicationDesign("crossover", SD, correlation=0.4, dropout=0.2, gate=(0.5, 0.0))
    rows, cov, place = [], np.zeros((0, 0)), 0
    block = SD**2 * np.array([[1, 0.4], [0.4, 1]])
    for active_first, cross, stay in ((1, 40, 60), (0, 80, 20)):
        for size in [2] * cross + [1] * stay:
            rows += [[1, 0, active_first], [0, 1, 1 - active_first]][:size]
            grown = np.zeros((place + size, place + size))
            grown[:place, :place], grown[place:, place:] = cov, block[:size, :size]
            cov, place = grown, place + size
    x = np.array(rows, dtype=float)
    variance = np.linalg.inv(x.T @ np.linalg.solve(cov, x))[2, 2]
    assert design.standard_error(200) == pytest.approx(math.sqrt(variance))
    nobody = ReplicationDesign("crossover", SD, gate=(1 - 1e-9, 1 - 1e-9))
    assert nobody.information == pytest.approx(PARALLEL.information, rel=1e-6)


def test_designs_that_the_trial_suggests() -> None:
    """Of 22 in the active-first sequence 6 were too well to cross; 6 of the other 35 left."""
    designs = planned_designs(load_published(), sd=SD)
    assert list(designs) == ["parallel", "repeated", "crossover", "crossover_leavers"]
    leavers = designs["crossover_leavers"]
    assert leavers.gate == pytest.approx((6 / 22, 0))
    assert leavers.dropout == pytest.approx(6 / 35, abs=5e-3)
    assert leavers.label == (
        "AB/BA crossover, correlation 0.5, sd 14.4, drop-out 0.17, gate 0.27 and 0"
    )


def test_labels_of_a_row_and_of_cases() -> None:
    """A design says which precision it has, and several are named once each.

    The correlation that the row implies is 1 - SE^2 (df + 2) / (2 sd^2).
    """
    variance = ((22.8 - 2.5) / 2 / stats.t.ppf(0.975, 27)) ** 2 * 29
    planned = row_design(CROSSOVER, load_published(), "T2.IESR.X", reading="as_published")
    assert planned.correlation == pytest.approx(1 - variance / (2 * SD**2))
    assert planned.label == (
        "AB/BA crossover, precision of the row as published (correlation -0.711), sd 14.4"
    )
    cases = [(0.2, PRIOR, PARALLEL), (0.3, PRIOR, planned), (0.5, PRIOR, PARALLEL)]
    assert cases_label(cases) == f"parallel, 1:1, sd 14.4; or {planned.label}"
    with pytest.raises(SpecError, match=r"weights of cases are positive and sum to one, got 0\.5"):
        assurance_curve(PRIOR, PARALLEL, sizes=[40], goal=Goal(), cases=cases[:2])


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"kind": "factorial"}, "known"),
        ({"sd": -1.0}, "sd must be positive"),
        ({"correlation": 1.0}, "between -1 and 1"),
        ({"dropout": 1.0}, "dropout"),
        ({"gate": (0.2, -0.1)}, "control first"),
        ({"kind": "repeated", "visits": 0}, "visits"),
        ({"kind": "repeated", "visits": 4, "correlation": -0.5}, "no 4 visits"),
    ],
)
def test_refused_designs(options: dict[str, object], named: str) -> None:
    """Impossible designs are refused by what is wrong with them."""
    with pytest.raises(SpecError, match=named):
        ReplicationDesign(**{"kind": "crossover", "sd": SD, **options})  # type: ignore[arg-type]


# closed forms


@pytest.mark.parametrize("n", [20, 40, 200])
def test_power_is_that_of_the_t_test(n: int) -> None:
    """At a known difference, assurance is the power of the two-sample t test (to 1e-5)."""
    power = TTestIndPower().power(0.9, nobs1=n / 2, alpha=0.025, alternative="larger")
    for goal in (Goal(), Goal("frequentist")):
        found = reach_probability(point(0.9 * SD), PARALLEL, n=n, goal=goal)
        assert found == pytest.approx(power, abs=1e-5)


def test_planned_power_of_the_paper() -> None:
    """Forty patients and 0.9 SD: .792 in parallel groups, above .999 in a crossover."""
    assert reach_probability(point(12.96), PARALLEL, n=40, goal=Goal()) == pytest.approx(
        0.792, abs=5e-4
    )
    assert reach_probability(point(12.96), CROSSOVER, n=40, goal=Goal()) > 0.999


def test_assurance_is_the_average_power() -> None:
    """Under a normal design prior it is power integrated over the prior (to 1e-6)."""
    prior = normal(6, 5)
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    power = [reach_probability(point(6 + 5 * x), PARALLEL, n=60, goal=Goal()) for x in nodes]
    found = reach_probability(prior, PARALLEL, n=60, goal=Goal())
    assert found == pytest.approx(float(weights @ power / weights.sum()), abs=1e-6)


def test_large_trials_have_closed_forms() -> None:
    """With many degrees of freedom: replication probability, conjugate threshold, ceiling."""
    n = 4000
    se = PARALLEL.standard_error(n)
    found = reach_probability(normal(1, 2), PARALLEL, n=n, goal=Goal("frequentist"))
    assert found == pytest.approx(
        replication_probability(normal(1, 2), se=se, c=1, direction=1), abs=2e-4
    )
    doubt = 1.5
    limit = float(stats.norm.ppf(0.975)) * se * math.hypot(doubt, se) / doubt
    wanted = special.ndtr((1 - limit) / math.hypot(2, se))
    goal = Goal(analysis=normal(0, doubt))
    assert reach_probability(normal(1, 2), PARALLEL, n=n, goal=goal) == pytest.approx(
        wanted, abs=2e-4
    )
    huge = reach_probability(PRIOR, PARALLEL, n=10**8, goal=Goal())
    assert huge == pytest.approx(goal_ceiling(PRIOR, Goal()), abs=1e-3)


def test_a_flat_analysis_prior_is_the_limit_of_a_wide_one() -> None:
    """A normal analysis prior of huge sd needs the estimate that a flat one needs."""
    wide = reach_probability(PRIOR, PARALLEL, n=24, goal=Goal(analysis=normal(0, 5000)))
    assert wide == pytest.approx(reach_probability(PRIOR, PARALLEL, n=24, goal=Goal()), abs=2e-4)


@pytest.mark.parametrize("power", [0.8, 0.9])
def test_sample_size_of_the_t_test(power: float) -> None:
    """The smallest n is statsmodels' for the t test, rounded up to pairs; z needs a little less."""
    exact = TTestIndPower().solve_power(0.5, power=power, alpha=0.025, alternative="larger")
    found = smallest_size(point(0.5 * SD), PARALLEL, goal=Goal(), target=power)
    assert found["per_group"] == math.ceil(exact)
    z = normal_sample_size(
        difference=0.5 * SD, information=PARALLEL.information, level=0.975, power=power
    )
    assert z < found["n"] < z + 6


def test_targets_no_size_can_reach() -> None:
    """A target at or above P(difference > margin) is refused with the ceiling."""
    ceiling = goal_ceiling(PRIOR, Goal())
    for target in (ceiling, 0.95):
        with pytest.raises(SpecError, match=f"ceiling|{ceiling:.4f}"):
            smallest_size(PRIOR, PARALLEL, goal=Goal(), target=target)
    with pytest.raises(SpecError, match="more than 200,000"):
        smallest_size(PRIOR, PARALLEL, goal=Goal(), target=ceiling - 1e-4)
    with pytest.raises(SpecError, match="between 0 and 1"):
        smallest_size(PRIOR, PARALLEL, goal=Goal(), target=1.2)


def test_trade_off_between_designs() -> None:
    """A crossover patient is worth 2/(1 - rho) parallel ones; a gate and drop-out cost some."""
    gated = ReplicationDesign("crossover", SD, correlation=0.5, dropout=0.1, gate=(0.27, 0.05))
    rows = compare_designs(
        PRIOR, {"parallel": PARALLEL, "crossover": CROSSOVER, "gated": gated},
        goal=Goal(), target=0.6,
    )  # fmt: skip
    assert rows[1]["patient_worth"] == pytest.approx(4)
    assert 1 < rows[2]["patient_worth"] < 4
    assert rows[1]["n"] < rows[2]["n"] < rows[0]["n"]
    assert rows[1]["treatments"] == 2 * rows[1]["n"]


def test_expected_size_and_curves_over_nuisance() -> None:
    """Belief in two sds gives the mean of two sizes, and a curve between the two curves."""
    belief = [(0.25, 11.0, 0.5), (0.75, 17.0, 0.5)]
    sizes = [
        smallest_size(PRIOR, CROSSOVER.with_nuisance(sd=sd), goal=Goal(), target=0.55)["n"]
        for _, sd, _ in belief
    ]
    found = expected_size(PRIOR, CROSSOVER, goal=Goal(), target=0.55, nuisance=belief)
    assert found["mean"] == pytest.approx(0.25 * sizes[0] + 0.75 * sizes[1])
    curve = assurance_curve(PRIOR, CROSSOVER, sizes=[30, 60], goal=Goal(), nuisance=belief)
    low, high = (
        reach_probability(PRIOR, CROSSOVER.with_nuisance(sd=sd), n=30, goal=Goal())
        for sd in (17.0, 11.0)
    )
    assert float(curve["assurance"][0]) == pytest.approx(0.25 * high + 0.75 * low)
    with pytest.raises(SpecError, match="sum to one"):
        assurance_curve(PRIOR, CROSSOVER, sizes=[30], goal=Goal(), nuisance=[(0.5, 11.0, 0.5)])


def test_pre_posterior_quantiles() -> None:
    """The share of foretold posterior probabilities above the level is the assurance."""
    goal = Goal(level=0.8)
    curve = assurance_curve(normal(6, 4), PARALLEL, sizes=[80], goal=goal)
    quantiles = curve["prob_quantile"].sel(n=80).values
    assert (np.diff(quantiles) > 0).all()
    above = 1 - np.interp(0.8, quantiles, curve["probability"].values)
    assert above == pytest.approx(float(curve["assurance"][0]), abs=0.03)


def test_refused_goals() -> None:
    """Impossible goals and trials without degrees of freedom are refused."""
    with pytest.raises(SpecError, match="level of a goal"):
        Goal(level=0.3)
    with pytest.raises(SpecError, match="'bayes' or 'frequentist'"):
        Goal("both")
    with pytest.raises(SpecError, match="flat or normal"):
        Goal(analysis=Prior("beta", {"shape1": 1, "shape2": 1}))
    with pytest.raises(SpecError, match="degrees of freedom"):
        reach_probability(PRIOR, PARALLEL, n=4, goal=Goal())


# sceptical P value and Bayes factors


@pytest.mark.parametrize("calibration", SCEPTICAL_CALIBRATIONS)
@pytest.mark.parametrize("c", [0.5, 1.0, 3.0])
def test_needed_estimate_has_the_level(calibration: str, c: float) -> None:
    """At the needed estimate the sceptical P value is .025, whatever calibration and size."""
    se = ORIGINAL[1] / math.sqrt(c)
    needed = needed_estimate(ORIGINAL, se=se, calibration=calibration)
    zo = ORIGINAL[0] / ORIGINAL[1]
    found = sceptical_p_value(zo, needed / se, c=c, calibration=calibration)
    assert found == pytest.approx(0.025, abs=1e-7)


def test_golden_closed_forms() -> None:
    """An original at 1.96 needs 1.96 sqrt(golden ratio) at c = 1, its own size as c grows."""
    z, golden = float(stats.norm.ppf(0.975)), (1 + math.sqrt(5)) / 2
    assert needed_estimate((z, 1.0), se=1.0) == pytest.approx(z * math.sqrt(golden), rel=1e-6)
    assert needed_estimate((z, 1.0), se=1e-4) == pytest.approx(z, rel=1e-4)
    assert needed_estimate((1.5, 1.0), se=0.1) == math.inf
    assert needed_estimate((-z, 1.0), se=1.0) == pytest.approx(-z * math.sqrt(golden), rel=1e-6)


def test_predictions_against_simulation() -> None:
    """Signs, P values, sceptical P values and Bayes factors, in 40,000 simulated estimates."""
    rng, se, draws = np.random.default_rng(11), 4.0, 40_000
    part = rng.choice(3, size=draws, p=PRIOR.weights)
    mu, sigma = (np.array([c.params[k] for c in PRIOR.components]) for k in ("mu", "sigma"))
    seen = rng.normal(rng.normal(mu[part], sigma[part]), se)
    skeptic = normal(0, 7.879)
    found = predict_replication(PRIOR, se=se, original=ORIGINAL, skeptic=skeptic, mcid=7.2)
    few = seen[:4000]
    golden = [
        x > 0 and sceptical_p_value(ORIGINAL[0] / ORIGINAL[1], x / se, c=(ORIGINAL[1] / se) ** 2)
        < 0.025 for x in few
    ]  # fmt: skip
    advocate = stats.norm.logpdf(seen, ORIGINAL[0], math.hypot(se, ORIGINAL[1]))
    null = stats.norm.logpdf(seen, 0, se)
    doubt = np.logaddexp(null, stats.norm.logpdf(seen, 0, math.hypot(se, 7.879))) - math.log(2)
    checks = {
        "same_sign": (found["same_sign"], seen > 0),
        "p": (found["p_below_05"], seen / se > 1.959964),
        "mcid": (found["estimate_above_mcid"], seen > 7.2),
        "golden": (found["sceptical_p"]["golden"], np.array(golden)),
        "bf3": (found["bayes_factor"]["3"], advocate - null > math.log(3)),
        "bf10": (found["bayes_factor"]["10"], advocate - null > math.log(10)),
        "mixture3": (found["skeptical_mixture"]["3"], advocate - doubt > math.log(3)),
        "mixture10": (found["skeptical_mixture"]["10"], advocate - doubt > math.log(10)),
    }
    for name, (probability, event) in checks.items():
        error = math.sqrt(probability * (1 - probability) / len(event))
        assert probability == pytest.approx(event.mean(), abs=4 * error), name
    low, high = found["interval95"]
    assert ((seen > low) & (seen < high)).mean() == pytest.approx(0.95, abs=0.005)


def test_bayes_factors_count_both_sides() -> None:
    """A Bayes factor that large estimates of the wrong sign also reach counts them too."""
    log_bf = skeptical_mixture_log_bf(ORIGINAL, se=5.0, skeptic=normal(0, 1), null_weight=0.0)
    wide = normal(0, 60)
    sides = [x for x in np.linspace(-150, 150, 3001) if log_bf(x) >= math.log(3)]
    assert min(sides) < 0 < max(sides)
    found = bayes_factor_probability(wide, log_bf, level=3.0)
    simulated = [log_bf(x) >= math.log(3) for x in wide.quantile((np.arange(4000) + 0.5) / 4000)]
    assert found == pytest.approx(np.mean(simulated), abs=1e-3)


def test_refused_predictions() -> None:
    """Negative standard errors, other priors, weights and levels are refused."""
    with pytest.raises(SpecError, match="standard error"):
        predictive_distribution(PRIOR, se=-1)
    with pytest.raises(SpecError, match="mixture of normals"):
        predictive_distribution(Prior("flat"), se=1)
    with pytest.raises(SpecError, match="weight of no difference"):
        skeptical_mixture_log_bf(ORIGINAL, se=1, skeptic=normal(0, 1), null_weight=1.0)
    with pytest.raises(SpecError, match="positive"):
        bayes_factor_probability(normal(0, 1), advocate_log_bf(ORIGINAL, se=1), level=0)
    with pytest.raises(SpecError, match="level"):
        needed_estimate(ORIGINAL, se=1, level=0.7)


# simulated crossovers


def simulate_crossovers(
    rng: np.random.Generator, design: ReplicationDesign, *, trials: int, n: int, prior: Prior
) -> CrossoverPairs:
    """Return crossovers with differences from a prior; the best responders do not cross over."""
    weights = np.array(prior.weights)
    mu, sigma = (np.array([c.params[k] for c in prior.components]) for k in ("mu", "sigma"))
    part = rng.choice(len(weights), size=trials, p=weights)
    difference = rng.normal(mu[part], sigma[part])
    active_first = np.arange(n) < n // 2
    subject = rng.normal(0, SD * math.sqrt(design.correlation), (trials, n, 1))
    score = subject + rng.normal(0, SD * math.sqrt(1 - design.correlation), (trials, n, 2))
    treated = np.stack([active_first, ~active_first], axis=-1)
    score = score + np.array([45.0, 42.0]) - difference[:, None, None] * treated
    for first, gate in zip((True, False), design.gate, strict=True):
        group = np.flatnonzero(active_first == first)
        lowest = np.argsort(score[:, group, 0], axis=1)[:, : round(gate * len(group))]
        rows = np.repeat(np.arange(trials), lowest.shape[1])
        score[rows, group[lowest].ravel(), 1] = np.nan
    score[..., 1][rng.uniform(size=(trials, n)) < design.dropout] = np.nan
    return CrossoverPairs(score, active_first, np.arange(n))


KNOWN = mixture([0.5, 0.5], [normal(5, 1e-6), normal(5, 1e-6)])


@pytest.mark.parametrize("prior", [PRIOR, KNOWN], ids=["design prior", "known difference"])
def test_assurance_against_simulated_crossovers(prior: Prior) -> None:
    """What is foretold happens in 600 crossovers that the exact engine analyzes.

    With drop-out and a gate on the response: P(difference > 0) > .975, the sign of the estimate,
    and at a known difference its standard error, within 3 Monte Carlo standard errors (at most
    0.02 each for the probabilities, 3% for the standard error).
    """
    trials, n = 600, 40
    design = ReplicationDesign("crossover", SD, correlation=0.5, dropout=0.1, gate=(0.3, 0.05))
    rng = np.random.default_rng(20261125)
    pairs = simulate_crossovers(rng, design, trials=trials, n=n, prior=prior)
    half = Prior("half_normal", {"sigma": 30.0})
    priors = {
        "level": Prior("flat"), "period_effect": Prior("flat"), "treatment": Prior("flat"),
        "sd_subject": half, "sd_within": half,
    }  # fmt: skip
    found = crossover_batch(pairs, priors, benefit_sign=-1).sel(estimand="treatment_difference")
    curve = assurance_curve(prior, design, sizes=[n], goal=Goal()).sel(n=n)
    seen = {
        "assurance": (found["prob_greater"].sel(threshold=0.0) > 0.975).values.mean(),
        "same_sign": (found["mean"].values > 0).mean(),
    }
    for name, share in seen.items():
        foretold = float(curve[name])
        error = math.sqrt(foretold * (1 - foretold) / trials)
        assert share == pytest.approx(foretold, abs=3 * error), name
    if prior is KNOWN:
        spread = float(np.std(found["mean"].values))
        assert spread == pytest.approx(design.standard_error(n), rel=3 / math.sqrt(2 * trials))


def test_predictions_are_averaged_over_readings() -> None:
    """Probabilities are weighted means; the estimate has those of a mixture, variance 1 + 1."""
    one = {"same_sign": 0.5, "sceptical_p": {"golden": 0.2}}
    other = {"same_sign": 0.9, "sceptical_p": {"golden": 0.6}}
    whole = average_predictions([one, other], [0.5, 0.5], [normal(0, 1), normal(2, 1)])
    assert whole["same_sign"] == pytest.approx(0.7)
    assert whole["sceptical_p"]["golden"] == pytest.approx(0.4)
    assert (whole["mean"], whole["sd"]) == pytest.approx((1.0, math.sqrt(2)))
