"""Reconstructed patients print every number of the paper, and only what they should."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from bayes_ptsd import load_model, reconstruct
from bayes_ptsd.errors import EvidenceError, SpecError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.outcome import select_outcome
from bayes_ptsd.evidence.published import load_published
from bayes_ptsd.reconstruction.boxes import printed_row
from bayes_ptsd.reconstruction.exclusions import adjusted_gap, impossibilities
from bayes_ptsd.reconstruction.nuisance import load_nuisance
from bayes_ptsd.reconstruction.period_two import (
    CrossoverTargets,
    exact_period_two,
    first_difference,
    halves_of,
)
from bayes_ptsd.reconstruction.plan import READINGS, PrintedBaseline, plan_of
from bayes_ptsd.reconstruction.refit import moment_start
from bayes_ptsd.reconstruction.release import load_release
from bayes_ptsd.reconstruction.run import reconstructions
from bayes_ptsd.reconstruction.screen import (
    FirstPeriod,
    regression_targets,
    share_explained,
)
from bayes_ptsd.reconstruction.search import Goal, repair
from bayes_ptsd.reconstruction.statistics import (
    Cells,
    Statistics,
    equicorrelated,
    least_squares,
    orthogonal,
    with_gram,
)
from bayes_ptsd.reconstruction.targets import absent_t, reading_of
from bayes_ptsd.reconstruction.two_week_threshold import whole_scores
from bayes_ptsd.reconstruction.verification import Checked, verified, verify
from bayes_ptsd.structures.crossover.exact import exact_crossover
from bayes_ptsd.structures.crossover.model import crossover_model

ROOT = Path(__file__).parents[1]
PAPER = ROOT / "bayes_ptsd" / "evidence" / "feder2014"


@pytest.fixture(scope="module")
def published() -> Evidence:
    """Return the printed numbers."""
    return load_published()


@pytest.fixture(scope="module")
def patients() -> Evidence:
    """Return one reconstruction, quick to find."""
    return reconstruct(m=1, reading="change", seed=7)[0]


def copy_of_paper(folder: Path, *changes: tuple[str, str]) -> Evidence:
    """Return the printed numbers after changes of effects.csv."""
    folder.mkdir()
    for path in PAPER.iterdir():
        text = path.read_text(encoding="utf-8")
        if path.name == "effects.csv":
            for old, new in changes:
                assert text.count(old) == 1, old
                text = text.replace(old, new)
        (folder / path.name).write_text(text, encoding="utf-8")
    return load_published(folder)


@pytest.mark.parametrize(
    ("reading", "flow_reading"), [(name, "paper") for name in READINGS] + [("change", "registry")]
)
def test_every_printed_number_comes_out(
    published: Evidence, reading: str, flow_reading: str
) -> None:
    """Under each reading the first set of a seed prints every number, by statsmodels."""
    made = next(reconstructions(published, m=1, reading=reading, flow_reading=flow_reading, seed=7))
    assert [one for one in verify(made.patients, published) if not one.agrees] == []
    said = made.patients.assumptions
    assert (said["crossover_reading"], said["flow_reading"]) == (reading, flow_reading)
    assert (made.patients.kind, said["seed"]) == ("reconstructed", "7")


def test_verification_covers_what_is_printed(published: Evidence, patients: Evidence) -> None:
    """Every printed digit of every effect is among the numbers that are checked."""
    checked = {(one.id, one.quantity) for one in verify(patients, published)}
    effects = published.data["effects"].to_dataset()
    for contrast in effects["contrast"].values.tolist():
        if contrast == "T2.AVOI.F":
            continue
        for name in ("estimate", "ci_low", "ci_high", "p_value"):
            if int(effects[f"{name}_decimals"].sel(contrast=contrast)) >= 0:
                assert (contrast, name) in checked
    assert {("B.CAPS ketamine", "spread"), ("KM completed_second", "count")} <= checked


def test_one_changed_score_is_noticed(published: Evidence, patients: Evidence) -> None:
    """A patient's score that is moved by five points breaks print; the untouched set does not."""
    tree = patients.data.copy(deep=True)
    scores = tree["outcomes"]["value"]
    moved = int(np.argmin(scores.sel(endpoint="ies_r", period=1, visit="24h").values))
    scores.loc[{"subject": scores["subject"][moved], "endpoint": "ies_r", "period": 1,
                "visit": "24h"}] += 5  # fmt: skip
    altered = replace(patients, data=tree)
    wrong = {one.id for one in verify(altered, published) if not one.agrees}
    assert "T2.IESR.F" in wrong
    assert "T2.CGIS.F" not in wrong
    assert verified(patients, published)


@pytest.mark.parametrize("reading", ["unhalved", "change_unhalved"])
def test_unhalved_readings_are_a_two_sample_t_test(published: Evidence, reading: str) -> None:
    """Second less first period, two groups, Student's t: scipy prints every crossover row.

    Of `change_unhalved` each period is a change from its own baseline, CAPS from that at two weeks;
    CGI-I, which has none, is the score. Nothing is halved anywhere.
    """
    rows = published.data["effects"].to_dataset()
    rows = rows.isel(contrast=rows["analysis"].values == "crossover")
    for patients in load_release(reading, m=3):
        outcomes = patients.data["outcomes"].to_dataset()
        sequence = outcomes["sequence"].values
        for contrast in rows["contrast"].values.tolist():
            row = rows.sel(contrast=contrast)
            one = outcomes.sel(endpoint=str(row["endpoint"].item()))
            score = one["value"].sel(visit=str(row["timepoint"].item()))
            if reading == "change_unhalved" and one["baseline"].notnull().any():
                score = score - one["baseline"]
            moved = (score.sel(period=2) - score.sel(period=1)).values
            groups = [moved[(sequence == name) & np.isfinite(moved)] for name in ("KM", "MK")]
            test = stats.ttest_ind(*groups)
            low, high = test.confidence_interval(0.95)
            found = (groups[0].mean() - groups[1].mean(), low, high, test.pvalue)
            names = ("estimate", "ci_low", "ci_high", "p_value")
            for name, value in zip(names, found, strict=True):
                digits = int(row[f"{name}_decimals"])
                half = 0.5 * 10.0**-digits + 1e-9
                assert value == pytest.approx(float(row[name]), abs=half), (contrast, name)


def test_adjusted_rows_have_the_degrees_of_freedom_of_their_analysis(published: Evidence) -> None:
    """36 with the MADRS baseline, 37 without; 39 for CGI-I and 34 for QIDS-SR, as in the rows."""
    plan = plan_of(published)
    assert {row.df for row in plan.adjusted_rows.values()} == {36}
    assert plan.stated_df == 37
    effects = published.data["effects"].to_dataset()
    for row in [*plan.rows.values(), *plan.adjusted_rows.values()]:
        assert row.df == float(effects["df"].sel(contrast=row.id)), row.id


def test_a_changed_number_changes_the_patients(tmp_path: Path, published: Evidence) -> None:
    """After one row of the evidence is changed, the patients print the new row, not the old."""
    altered = copy_of_paper(
        tmp_path / "altered", ("24h,treatment,1.0,0.1,1.9,.03,", "24h,treatment,1.1,0.2,2.0,.02,")
    )
    made = reconstruct(altered, m=1, reading="change", seed=7)[0]
    assert verified(made, altered)
    wrong = [one for one in verify(made, published) if not one.agrees]
    assert {one.id for one in wrong} == {"T2.CGIS.X"}
    assert {"1.0", "0.1", "1.9"} <= {one.printed for one in wrong}


def test_same_seed_same_patients(patients: Evidence) -> None:
    """The seed decides, and the number of processes does not."""
    made = [one.digest for one in reconstruct(m=2, reading="change", seed=7, workers=2)]
    assert made[0] == patients.digest
    assert made[0] != made[1]


def test_patients_follow_the_flow(published: Evidence, patients: Evidence) -> None:
    """Sequences, completers, remitters and late patients are as many as the flow says."""
    outcomes, covariates = (patients.data[name].to_dataset() for name in ("outcomes", "covariates"))
    first = (outcomes["sequence"] == "KM").values
    twice = outcomes["value"].sel(period=2, endpoint="ies_r", visit="24h").notnull().values
    below = covariates["caps_2_weeks"].values < 50
    assert [first.sum(), (~first).sum(), (twice & first).sum(), (twice & ~first).sum()] == [
        22, 19, 13, 16,
    ]  # fmt: skip
    assert [(below & first).sum(), (below & ~first).sum(), (below & twice).sum()] == [7, 1, 2]
    assert int(covariates["late"].sum()) == 2
    assert np.isnan(covariates["caps_2_weeks"].values).sum() == 4
    reasons = set(covariates["reason"].values.tolist())
    items = set(published.data["flow"]["item"].values.tolist())
    assert len(reasons & items) == 8


def test_subscales_add_up(patients: Evidence) -> None:
    """The total is the sum of its subscales, at baseline and after each infusion."""
    outcomes = patients.data["outcomes"].to_dataset()
    parts = ["ies_r_intrusion", "ies_r_avoidance", "ies_r_hyperarousal"]
    for scores in (outcomes["value"].sel(visit="24h"), outcomes["baseline"]):
        whole, summed = scores.sel(endpoint="ies_r"), scores.sel(endpoint=parts)
        np.testing.assert_array_equal(whole.values, summed.sum("endpoint", skipna=False).values)


def test_models_take_reconstructed_patients(patients: Evidence) -> None:
    """The exact posterior of a model for own patients works on them, near the printed estimate."""
    one = select_outcome(patients, "ies_r_avoidance", visit="24h")
    model = crossover_model(one, load_model("crossover-bivariate"))
    groups = exact_crossover(model, seed=1)
    assert 0 < float(groups["posterior"]["treatment_difference"].mean()) < 9


def test_avoidance_cannot_be_printed(tmp_path: Path, published: Evidence) -> None:
    """The printed limit of -0.7 is refused with its proof; the derived row is used instead."""
    row = printed_row(published.data["effects"].to_dataset(), "T2.AVOI.F")
    with pytest.raises(EvidenceError, match=r"middle of the limits is 3 to 3\.1.*3\.25"):
        row.targets(1, np.random.default_rng(1))
    finding = impossibilities(published)[0]
    assert (finding.place, finding.severity) == ("T2.AVOI.F", "contradiction")
    assert finding.figures["middle_high"] < finding.figures["estimate_low"]  # type: ignore[operator]
    line = next(
        text for text in (PAPER / "effects.csv").read_text("utf-8").splitlines()
        if text.startswith("T2.AVOI.F*")
    )  # fmt: skip
    without = copy_of_paper(tmp_path / "without", (line + "\n", ""))
    with pytest.raises(EvidenceError, match="no symmetric interval prints"):
        reconstruct(without, m=1)


def test_regression_needs_another_baseline(tmp_path: Path, published: Evidence) -> None:
    """Its standard error misses print by 0.0085 at 37 df, and not at a P value of .0003."""
    gap = adjusted_gap(plan_of(published))
    # by hand at the extreme corner of the boxes: 8.55 (0.945 to ...), 6.55, .04965, .00035
    assert gap == pytest.approx(3.235985 - 3.227454, abs=1e-5)
    assert [one.id for one in impossibilities(published)] == [
        "reconstruction.T2.AVOI.F", "reconstruction.adjusted",
    ]  # fmt: skip
    smaller = copy_of_paper(tmp_path / "smaller", ("0.9,,,.0004,", "0.9,,,.0003,"))
    assert [one.id for one in impossibilities(smaller)] == ["reconstruction.T2.AVOI.F"]


def test_unknown_requests_are_refused(tmp_path: Path, published: Evidence) -> None:
    """An unknown reading and a bad file of priors are named; other evidence is no print."""
    with pytest.raises(EvidenceError, match="'change_halved'; did you mean 'change"):
        reconstruct(published, m=1, reading="change_halved")
    with pytest.raises(EvidenceError, match="flow_reading"):
        reconstruct(published, m=1, flow_reading="mine")
    with pytest.raises(EvidenceError, match="at least 1"):
        reconstruct(published, m=0)
    path = tmp_path / "priors.toml"
    path.write_text("schema = 1\n[common]\ncorrelation = 'normal(0)'\n")
    with pytest.raises(SpecError, match=r"priors\.toml \[common\]: 'correlation'"):
        load_nuisance(path)
    with pytest.raises(EvidenceError, match="of kind 'patients'"):
        plan_of(replace(published, kind="patients"))


def test_without_what_ties_endpoints_they_stand_alone(published: Evidence) -> None:
    """Without the flow of patients the subscales give way to their total, and n comes from rows."""
    tree = published.data.copy()
    del tree["flow"]
    plan = plan_of(replace(published, data=tree))
    assert plan_of(published).joint
    assert not plan.joint
    assert (plan.total, plan.parts, plan.claims) == ("", (), ())
    assert "ies_r_avoidance" not in plan.endpoints
    assert (plan.size, int(plan.completer.sum()), int(plan.active_first.sum())) == (41, 29, 22)


def test_own_priors_are_used_and_kept(tmp_path: Path) -> None:
    """Another baseline mean in the file of priors is what the patients then have."""
    text = (ROOT / "models" / "nuisance" / "reconstruction.toml").read_text(encoding="utf-8")
    path = tmp_path / "own.toml"
    path.write_text(text.replace('"normal(47, 5)"', '"normal(60, 0.5)"'), encoding="utf-8")
    made = reconstruct(m=1, reading="change", seed=3, nuisance=path)[0]
    accepted = json.loads(made.assumptions["nuisance"])
    baseline = made.data["outcomes"]["baseline"].sel(endpoint="ies_r", period=1)
    assert abs(accepted["ies_r.baseline_mean"] - 60) < 2
    assert abs(float(baseline.mean()) - accepted["ies_r.baseline_mean"]) < 8


@pytest.mark.parametrize("reading", READINGS)
def test_second_period_is_exact(published: Evidence, reading: str) -> None:
    """Before rounding, statsmodels gives the crossover targets to twelve digits."""
    plan = plan_of(published, reading=reading)
    rng = np.random.default_rng(4)
    first = rng.normal(30, 12, size=(plan.size, 1))
    estimate = (
        first_difference(plan, first) if reading == "carryover_covariate" else np.array([9.0])
    )
    targets = CrossoverTargets(estimate, np.array([5.5]), 5.5, reading)
    second = exact_period_two(
        plan,
        first,
        targets,
        rng.normal(size=(plan.size, 1)),
        correlation=0.4,
        level=np.array([30.0]),
    )
    assert second is not None
    who, active = plan.completer, plan.active_first[plan.completer]
    y1, y2 = first[who, 0], second[who, 0]
    if reading == "carryover_covariate":
        means = [np.where(active, y[active].mean(), y[~active].mean()) for y in (y1, y2)]
        variance = sum(((y - m) ** 2).sum() for y, m in zip((y1, y2), means, strict=True)) / 54
        assert np.sqrt(variance * (1 / 13 + 1 / 16)) == pytest.approx(5.5, rel=1e-12)
        return
    benefit = np.where(active, y2 - y1, y1 - y2)
    fit = sm.OLS(benefit, np.column_stack([np.ones(29), active - 0.5])).fit()
    factor = 2.0 if reading in ("unhalved", "change_unhalved") else 1.0
    assert factor * fit.params[0] == pytest.approx(9.0, rel=1e-12)
    assert factor * fit.bse[0] == pytest.approx(5.5, rel=1e-12)


def test_forms_are_least_squares() -> None:
    """Linear and quadratic forms give the estimate and error that statsmodels gives."""
    rng = np.random.default_rng(2)
    y, x = rng.integers(0, 9, size=12).astype(float), rng.normal(size=12)
    who = np.arange(12) < 10
    analysis = least_squares(np.column_stack([np.ones(12), x]), who, 1)
    cells = Cells.of({"y": (np.ones(12, bool), 0.0, 9.0)})
    statistics = Statistics(cells)
    response = cells.response({"y": 2.0}, offset=x)
    statistics.linear(response, analysis.coefficient)
    statistics.quadratic([(response, response, analysis.residual)])
    line, line_constant, matrix, slope, constant = statistics.arrays()
    fit = sm.OLS((2 * y + x)[who], sm.add_constant(x[who])).fit()
    assert (line @ y + line_constant)[0] == pytest.approx(fit.params[1], rel=1e-12)
    squares = y @ matrix[0] @ y + 2 * slope[0] @ y + constant[0]
    assert squares == pytest.approx(fit.ssr, rel=1e-12)
    assert np.sqrt(analysis.factor * squares / analysis.df) == pytest.approx(fit.bse[1], rel=1e-12)


def test_search_gives_up_on_an_empty_box() -> None:
    """A mean that no whole scores have is not found, and the scores stay whole and in bounds."""
    statistics = Statistics(Cells.of({"y": (np.ones(4, bool), 0.0, 3.0)}))
    mean = statistics.linear(statistics.cells.response({"y": 1.0}), np.full(4, 0.25))
    goal = Goal(statistics, others=[(lambda line, _: line[[mean]], [(1.05, 1.15)])])
    found, used = repair(goal, np.zeros(4), np.random.default_rng(1), rounds=40)
    assert (found, used) == (None, 40)


@pytest.mark.parametrize(
    ("reading", "without_baseline", "halves"),
    [
        ("as_published", "as_published", 2.0),
        ("unhalved", "unhalved", 1.0),
        ("change", "as_published", 2.0),
        ("change_unhalved", "unhalved", 1.0),
        ("carryover_covariate", "carryover_covariate", 1.0),
    ],
)
def test_how_a_row_is_read(
    published: Evidence, reading: str, without_baseline: str, halves: float
) -> None:
    """A change needs a baseline; the sum of differences is two halved contrasts, one unhalved."""
    plan = plan_of(published, reading=reading)
    assert reading_of(plan, baseline=True) == reading
    assert reading_of(plan, baseline=False) == without_baseline
    assert halves_of(reading) == halves


def test_completers_of_the_registry(published: Evidence) -> None:
    """29 completed both periods: 16 had ketamine first by the registry, 13 by the paper."""
    for flow_reading, first in (("registry", 16), ("paper", 13)):
        plan = plan_of(published, flow_reading=flow_reading)
        assert (plan.completer & plan.active_first).sum() == first
        assert plan.completer.sum() == 29


def test_a_row_says_what_it_prints(published: Evidence) -> None:
    """The primary crossover row is quoted as the paper has it, on 27 degrees of freedom."""
    row = printed_row(published.data["effects"].to_dataset(), "T2.IESR.X")
    assert (row.text, row.df) == ("12.7 (2.5 to 22.8), P = 0.02", 27)


def test_whole_scores_print_a_baseline() -> None:
    """CAPS of the ketamine-first group: 82.5 (14.1) of 22 patients, whole, none below 50."""
    printed = PrintedBaseline(22, (82.45, 82.55), (14.05, 14.15))
    scores = whole_scores(printed, (50.0, 136.0), np.random.default_rng(1))
    assert (round(scores.mean(), 1), round(scores.std(ddof=1), 1)) == (82.5, 14.1)
    assert (scores == np.rint(scores)).all()
    assert 50 <= scores.min() <= scores.max() <= 136
    with pytest.raises(EvidenceError, match="no whole scores from 82 to 83"):
        whole_scores(printed, (82.0, 83.0), np.random.default_rng(1))


def test_vectors_with_given_products() -> None:
    """Residuals are orthogonal to the columns and have the cross-products, or there are none."""
    rng = np.random.default_rng(1)
    vectors, columns = rng.normal(size=(9, 2)), np.column_stack([np.ones(9), rng.normal(size=9)])
    gram = np.array([[4.0, 1.0], [1.0, 2.0]])
    made = with_gram(vectors, columns, gram)
    assert made is not None
    assert np.allclose(made.T @ made, gram)
    assert np.allclose(columns.T @ made, 0)
    assert with_gram(vectors, columns, np.array([[1.0, 2.0], [2.0, 1.0]])) is None
    fit = sm.OLS(vectors[:, 0], columns).fit()
    assert np.allclose(orthogonal(vectors, columns)[:, 0], fit.resid)


def test_parts_of_one_correlation_add_up_to_a_total() -> None:
    """Parts of length 2 and 3, correlated .5: 4 + 9 + 2 x .5 x 6 = 19; beyond 25 there is none."""
    gram = equicorrelated(np.array([4.0, 9.0]), 19.0)
    assert gram is not None
    assert np.allclose(gram, [[4, 3], [3, 9]])
    assert equicorrelated(np.array([4.0, 9.0]), 26.0) is None


def test_moments_of_balanced_scores_by_hand() -> None:
    """Means 1.5, 5.75, 3.25: between 2 x 9.125 / 1 = 18.25, within 1.75, (18.25 / 1.75 - 1) / 2.

    One degree of freedom: two columns of the arms are taken off, as in every analysis here.
    """
    start = moment_start(np.array([1.0, 2.0, 5.0, 6.5, 3.0, 3.5]), np.ones((6, 1)), 3)
    assert start.fe_params == pytest.approx([3.5])
    assert start.cov_re == pytest.approx(np.array([[(18.25 / 1.75 - 1) / 2]]))


def test_targets_of_the_adjusted_regression_print_it(published: Evidence) -> None:
    """Treatment 6.5, MADRS 0.9 and baseline 0.2 follow from the results; no draw, no result."""
    first = FirstPeriod(8.6, 0.2, 5500.0, 0.0985, 0.0001, 0.5)
    plan, rng = plan_of(published), np.random.default_rng(1)
    found = regression_targets(plan, first, rng, tries=200)
    assert found is not None
    treatment = first.estimate - found.theta * (found.slope * first.gap - found.gap)
    coefficients = (treatment, found.theta, first.slope - found.theta * found.slope)
    assert [round(float(one), 1) for one in coefficients] == [6.5, 0.9, 0.2]
    assert regression_targets(plan, replace(first, estimate=40.0), rng, tries=200) is None


def test_share_explained_solves_its_equation() -> None:
    """The share x in (0, 1) has (1 - x)(first + difference^2 / (df x)) equal to the variance."""
    share = share_explained(np.array([10.2]), np.array([15.0]), np.array([2.1]), 36)
    assert 0 < share < 1
    assert (1 - share) * (15.0 + 2.1**2 / (36 * share)) == pytest.approx(10.2, rel=1e-12)


def test_a_check_is_a_value() -> None:
    """A checked number says what was printed and what came out."""
    one = Checked("T2.IESR.X", "estimate", "OLS", "12.7", 12.9, False)
    assert (one.printed, one.recomputed, one.agrees) == ("12.7", 12.9, False)


def test_an_absent_effect_is_one_beyond_five_percent() -> None:
    """The absolute t statistics of "no effect" end where the two-sided P is .05, 2.052 of 27 df."""
    low, high = absent_t(27.0)
    assert low == 0.0
    assert 2 * stats.t.sf(high, 27) == pytest.approx(0.05, abs=1e-12)
    assert high == pytest.approx(2.0518, abs=5e-5)
