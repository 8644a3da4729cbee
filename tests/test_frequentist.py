"""Frequentist crossover analyses against published values, dense algebra and closed forms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg, optimize, stats

from bayes_ptsd.errors import EvidenceError, SpecError
from bayes_ptsd.evidence.pairs import CrossoverPairs, crossover_pairs
from bayes_ptsd.frequentist import (
    CARRYOVER_WARNING,
    first_period,
    frequentist_crossover,
    grizzle_carryover,
    hills_armitage,
    reml_crossover,
)
from bayes_ptsd.frequentist.inference import inference_table, profile_inference

TRIALS = {
    "senn_pef": ("pef", "F"),
    "patel_fev1": ("fev1", "A"),
    "raynaud_attacks": ("attacks", "N"),
    "mental_fatigue": ("accuracy", "B"),
}
ANALYSES = {
    "lmer REML random subject, Kenward-Roger; y~trt+period": "reml",
    "lmer REML KR; y~trt+period+sequence": "reml_sequence",
    "Hills-Armitage t on complete pairs": "hills_armitage",
    "Grizzle carryover test (subject totals)": "grizzle",
    "first period only, pooled t": "first_period",
}
ESTIMANDS = {
    "treat": "treatment_difference",
    "period": "period_effect",
    "sequence(trt-first)": "sequence_effect",
    "carryover total diff": "carryover",
}
COLUMNS = {
    "estimate": "estimate",
    "se_or_sd": "se",
    "df": "df",
    "lo95": "ci_low",
    "hi95": "ci_high",
    "p": "p_value",
}


def read_trial(folder: Path, name: str) -> CrossoverPairs:
    """Read one of the public crossovers."""
    score, active = TRIALS[name]
    rows = pd.read_csv(folder / "data" / f"{name}.csv")
    return crossover_pairs(
        rows["subject"],
        rows["period"],
        treatment=rows["treatment"],
        score=rows[score],
        active=active,
    )


def simulated(
    seed: int, *, first: int = 9, second: int = 8, missing: int = 3, sd_subject: float = 8.0
) -> CrossoverPairs:
    """Return a crossover with some second and one first period missing."""
    rng = np.random.default_rng(seed)
    count = first + second
    active_first = np.arange(count) < first
    score = 40 + rng.normal(0, sd_subject, (count, 1)) + rng.normal(0, 6, (count, 2))
    score[:, 0] -= 5 * active_first
    score[:, 1] -= 5 * ~active_first
    score[1 : 1 + missing, 1] = np.nan
    if missing:
        score[-1, 0] = np.nan
    return CrossoverPairs(score, active_first, np.arange(count), rng.normal(50, 9, count))


def decimals(value: str) -> int:
    """Return the number of decimals that a number is printed with."""
    return len(value.partition(".")[2])


def reference_rows(shared: Path, name: str) -> list[dict[str, str]]:
    """Return the frequentist rows of one trial, as text."""
    table = pd.read_csv(shared / "data" / "reference_values.csv", dtype=str, keep_default_na=False)
    chosen = (table["dataset"] == name) & table["analysis"].isin(ANALYSES)
    return [dict(row) for _, row in table[chosen].iterrows()]


@pytest.mark.shared
@pytest.mark.parametrize("name", TRIALS)
def test_reference_values_to_the_printed_digits(shared: Path, name: str) -> None:
    """Every printed frequentist value is met; the REML ones to the reference optimizer's 3e-5."""
    table = frequentist_crossover(read_trial(shared, name))
    rows = reference_rows(shared, name)
    assert len(rows) == 8
    for row in rows:
        cell = table.sel(analysis=ANALYSES[row["analysis"]], estimand=ESTIMANDS[row["parameter"]])
        slack = 3e-5 if "lmer" in row["analysis"] else 0.0
        for printed, ours in COLUMNS.items():
            if row[printed]:
                value = float(row[printed])
                rounding = 0.5000001 * 10.0 ** -decimals(row[printed])
                limit = printed in ("estimate", "lo95", "hi95")
                scale = 2.5 * float(cell["se"]) if limit else abs(value)
                assert abs(float(cell[ours]) - value) <= rounding + slack * scale, (row, ours)


@pytest.mark.shared
@pytest.mark.parametrize("name", TRIALS)
def test_reference_variance_components(shared: Path, name: str) -> None:
    """Both standard deviations of the mixed model agree with the reference to 3e-5."""
    result = reml_crossover(read_trial(shared, name))
    table = pd.read_csv(shared / "data" / "reference_values.csv")
    rows = table[(table["dataset"] == name) & (table["analysis"] == "lmer REML; y~trt+period")]
    printed = dict(zip(rows["parameter"], rows["estimate"], strict=True))
    assert result.attrs["sd_subject"] == pytest.approx(printed["sd_subject"], rel=3e-5, abs=5e-5)
    assert result.attrs["sd_within"] == pytest.approx(printed["sd_resid"], rel=3e-5, abs=5e-5)


def dense_model(pairs: CrossoverPairs, sign: int) -> tuple[Any, Any, Any]:
    """Return scores, design and subject matrix of the observed rows."""
    present = np.isfinite(pairs.score)
    subject, period = np.nonzero(present)
    active = pairs.active_first[subject] == (period == 0)
    design = np.column_stack([np.ones(len(subject)), sign * active, period == 1]).astype(float)
    return pairs.score[present], design, np.eye(len(pairs.subject))[subject]


def dense_reml(pairs: CrossoverPairs, sign: int) -> dict[str, Any]:
    """Fit by a general optimizer and compute Kenward-Roger from its textbook matrices."""
    score, design, subjects = dense_model(pairs, sign)
    parts = [subjects @ subjects.T, np.eye(len(score))]

    def projections(variances: Any) -> tuple[Any, Any, Any]:
        inverse = linalg.inv(variances[0] * parts[0] + variances[1] * parts[1])
        phi = linalg.inv(design.T @ inverse @ design)
        return inverse, phi, inverse - inverse @ design @ phi @ design.T @ inverse

    def criterion(logs: Any) -> float:
        inverse, phi, projection = projections(np.exp(logs))
        logdet = np.linalg.slogdet(inverse)[1] + np.linalg.slogdet(phi)[1]
        return float(score @ projection @ score - logdet)

    start = np.log([np.var(score) / 2, np.var(score) / 2])
    exact = {"xatol": 1e-10, "fatol": 1e-12, "maxiter": 4000}
    best = optimize.minimize(criterion, start, method="Nelder-Mead", options=exact)
    inverse, phi, projection = projections(np.exp(best.x))
    information = np.array(
        [[np.trace(projection @ a @ projection @ b) for b in parts] for a in parts]
    )
    w = 2 * linalg.inv(information)
    p = [-design.T @ inverse @ a @ inverse @ design for a in parts]
    middle = sum(
        w[i, j] * (design.T @ inverse @ a @ inverse @ b @ inverse @ design - p[i] @ phi @ p[j])
        for i, a in enumerate(parts)
        for j, b in enumerate(parts)
    )
    slope = np.array([(phi @ one @ phi)[1, 1] for one in p])
    return {
        "estimate": (phi @ design.T @ inverse @ score)[1],
        "se": np.sqrt((phi + 2 * phi @ middle @ phi)[1, 1]),
        "df": 2 * phi[1, 1] ** 2 / (slope @ w @ slope),
        "sds": np.sqrt(np.exp(best.x)),
    }


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("sign", [1, -1])
def test_reml_agrees_with_dense_matrices(seed: int, sign: int) -> None:
    """Block formulas equal the textbook matrices with one-period patients of both kinds."""
    pairs = simulated(seed)
    result = reml_crossover(pairs, benefit_sign=sign)
    dense = dense_reml(pairs, sign)
    ours = result.sel(estimand="treatment_difference")
    assert float(ours["estimate"]) == pytest.approx(dense["estimate"], rel=1e-5)
    assert float(ours["se"]) == pytest.approx(dense["se"], rel=1e-5)
    assert float(ours["df"]) == pytest.approx(dense["df"], rel=1e-4)
    assert result.attrs["sd_subject"] == pytest.approx(dense["sds"][0], rel=1e-5)


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000))
def test_reml_of_complete_pairs_is_hills_armitage(seed: int) -> None:
    """Without missing periods the mixed model is the t test on differences, off the boundary."""
    pairs = simulated(seed, missing=0)
    result = reml_crossover(pairs)
    if not result.attrs["boundary"]:
        xr.testing.assert_allclose(
            result.drop_attrs(), hills_armitage(pairs).drop_attrs(), rtol=1e-7
        )


def test_hills_armitage_is_the_two_sample_t_test() -> None:
    """Half the t test of period differences between sequences, as SciPy computes it."""
    pairs = simulated(5, missing=0)
    change = pairs.score[:, 0] - pairs.score[:, 1]
    theirs = stats.ttest_ind(change[pairs.active_first], change[~pairs.active_first])
    ours = hills_armitage(pairs).sel(estimand="treatment_difference")
    assert float(ours["p_value"]) == pytest.approx(theirs.pvalue, rel=1e-10)
    interval = theirs.confidence_interval(0.95)
    assert float(ours["ci_low"]) == pytest.approx(interval.low / 2, rel=1e-10)


def test_grizzle_is_the_t_test_of_totals_and_carries_its_warning() -> None:
    """The carryover test equals SciPy's, and never comes without its warning."""
    pairs = simulated(5, missing=0)
    total = pairs.score.sum(axis=1)
    theirs = stats.ttest_ind(total[pairs.active_first], total[~pairs.active_first])
    ours = grizzle_carryover(pairs)
    assert float(ours["p_value"].item()) == pytest.approx(theirs.pvalue, rel=1e-10)
    assert ours.attrs["note"] == CARRYOVER_WARNING


def test_first_period_uses_everybody_and_adjusts_for_the_baseline() -> None:
    """The t test is SciPy's; the analysis of covariance is the partial regression of residuals."""
    pairs = simulated(6)
    here = np.isfinite(pairs.score[:, 0])
    score, active = pairs.score[here, 0], pairs.active_first[here]
    theirs = stats.ttest_ind(score[active], score[~active])
    assert float(first_period(pairs)["p_value"].item()) == pytest.approx(theirs.pvalue, rel=1e-10)
    assert pairs.baseline is not None
    design = np.column_stack([np.ones(here.sum()), pairs.baseline[here]])
    remove = np.eye(len(score)) - design @ np.linalg.pinv(design)
    column = remove @ active
    expected = column @ score / (column @ column)
    adjusted = first_period(pairs, adjusted=True)
    assert float(adjusted["estimate"].item()) == pytest.approx(expected, rel=1e-10)
    assert float(adjusted["df"].item()) == here.sum() - 3


def test_signs_follow_the_benefit() -> None:
    """With lower better, treatment and carryover flip; period and sequence do not."""
    higher, lower = (frequentist_crossover(simulated(7), benefit_sign=sign) for sign in (1, -1))
    for name, factor in {
        "treatment_difference": -1, "carryover": -1, "period_effect": 1, "sequence_effect": 1
    }.items():  # fmt: skip
        np.testing.assert_allclose(
            lower["estimate"].sel(estimand=name), factor * higher["estimate"].sel(estimand=name)
        )


def test_all_analyses_stand_in_one_table() -> None:
    """The table holds every analysis with its method, and NaN where it has no such estimand."""
    table = frequentist_crossover(simulated(8))
    assert set(table["analysis"].values.tolist()) == {
        *ANALYSES.values(),
        "first_period_adjusted",
    }
    assert str(table["note"].sel(analysis="grizzle").item()) == CARRYOVER_WARNING
    assert np.isnan(table["estimate"].sel(analysis="grizzle", estimand="treatment_difference"))
    assert "Kenward-Roger" in str(table["method"].sel(analysis="reml").item())


def test_a_subject_variance_of_zero_is_named() -> None:
    """Negatively correlated periods put the subject variance on its boundary, and that is said."""
    rng = np.random.default_rng(2)
    noise = rng.normal(0, 5, (16, 1))
    score = 30 + np.hstack([noise, -noise]) + rng.normal(0, 1, (16, 2))
    pairs = CrossoverPairs(score, np.arange(16) < 8, np.arange(16))
    result = reml_crossover(pairs)
    assert result.attrs["boundary"] == 1
    assert result.attrs["sd_subject"] == 0
    assert "boundary" in result.attrs["note"]
    assert np.isfinite(result["p_value"]).all()


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), shift=st.floats(-1e4, 1e4), factor=st.floats(0.01, 100))
def test_analyses_are_equivariant(seed: int, shift: float, factor: float) -> None:
    """Adding a constant changes nothing but means; a change of unit scales estimates and errors."""
    pairs = simulated(seed)
    moved = CrossoverPairs(
        pairs.score * factor + shift, pairs.active_first, pairs.subject, pairs.baseline
    )
    before, after = frequentist_crossover(pairs), frequentist_crossover(moved)
    for name in ("estimate", "se"):
        np.testing.assert_allclose(
            after[name], factor * before[name], rtol=1e-4, atol=1e-6 * factor
        )
    np.testing.assert_allclose(after["df"], before["df"], rtol=1e-4)


def test_intervals_of_the_mixed_model_cover() -> None:
    """95% intervals of 400 small trials with missing periods cover the truth 95% of the time."""
    hits = [
        bool((table["ci_low"] < -5) & (table["ci_high"] > -5))
        for seed in range(400)
        for table in [reml_crossover(simulated(seed + 50)).sel(estimand="treatment_difference")]
    ]
    assert 0.925 < np.mean(hits) < 0.975


def test_what_cannot_be_analyzed_is_refused() -> None:
    """Too few patients, no baseline, no variation, a batch and a wrong level have their message."""
    few = CrossoverPairs(np.array([[1.0, 2], [3, 5]]), np.array([True, False]), np.arange(2))
    with pytest.raises(EvidenceError, match="2 usable patients"):
        hills_armitage(few)
    with pytest.raises(EvidenceError, match="2 complete patients do not separate"):
        reml_crossover(few)
    with pytest.raises(EvidenceError, match="needs a baseline"):
        first_period(few, adjusted=True)
    same = CrossoverPairs(np.ones((8, 2)), np.arange(8) < 4, np.arange(8))
    with pytest.raises(EvidenceError, match="standard error is zero"):
        hills_armitage(same)
    batch = CrossoverPairs(np.ones((3, 8, 2)), np.arange(8) < 4, np.arange(8))
    with pytest.raises(EvidenceError, match="one data set at a time"):
        hills_armitage(batch)
    with pytest.raises(EvidenceError, match="one data set at a time"):
        reml_crossover(batch)
    with pytest.raises(SpecError, match="level is 95"):
        hills_armitage(simulated(1), level=95)


def test_identical_periods_have_no_within_variance() -> None:
    """Scores that repeat exactly leave no variance within patients, and that is said."""
    rng = np.random.default_rng(3)
    score = np.repeat(rng.normal(40, 8, (10, 1)), 2, axis=1)
    pairs = CrossoverPairs(score, np.arange(10) < 5, np.arange(10))
    with pytest.raises(EvidenceError, match=r"zero to rounding|standard error is zero"):
        reml_crossover(pairs)


def test_profile_of_a_parabola_is_wald() -> None:
    """A normal likelihood at 2 with standard error 1 has the limits 2 -+ 1.96 and z = 2."""
    low, high, p = profile_inference(
        lambda x: -((x - 2) ** 2) / 2, 2.0, top=0.0, se=1.0, level=0.95
    )
    z = stats.norm.ppf(0.975)
    assert (low, high) == pytest.approx((2 - z, 2 + z), abs=1e-5)
    assert p == pytest.approx(2 * stats.norm.sf(2.0))


def test_intervals_are_students_t_and_need_a_standard_error() -> None:
    """An estimate of 4 with standard error 2 and 27 degrees of freedom begins at 4 - 2.052 * 2."""
    table = inference_table({"treatment_difference": 4.0}, se=2.0, df=27, level=0.95, attrs={})
    assert float(table["ci_low"].item()) == pytest.approx(-0.104, abs=5e-4)
    with pytest.raises(EvidenceError, match="standard error"):
        inference_table({"treatment_difference": 4.0}, se=0.0, df=27, level=0.95, attrs={})
