"""Printed results of any measure become estimate, standard error and degrees of freedom."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.meta_analysis import effectsize_2proportions, effectsize_smd
from statsmodels.stats.weightstats import ttest_ind

from bayes_ptsd.errors import EvidenceError, StatisticalWarning
from bayes_ptsd.evidence.intervals import is_middle
from bayes_ptsd.evidence.measures import (
    MEASURES,
    ROW,
    Counts,
    PrintedResult,
    ask_for_measure,
    printed_result,
    read_counts,
)
from bayes_ptsd.evidence.published import load_published

WALD = [("or", "odds-ratio"), ("rr", "risk-ratio"), ("rd", "diff")]
ARMS = {
    "mean_active": 12.0, "sd_active": 4.0, "n_active": 20,
    "mean_control": 9.0, "sd_control": 6.0, "n_control": 30,
}  # fmt: skip


def read(measure: str, **printed: Any) -> PrintedResult:
    """Return a printed result."""
    return printed_result({"measure": measure, **printed})


def test_a_hazard_ratio_is_analyzed_as_a_logarithm() -> None:
    """HR 0.75 (0.55 to 1.02) is -.2890 with standard error .1576, lower is better by default."""
    found = read("hr", estimate=0.75, ci_low=0.55, ci_high=1.02)
    z = stats.norm.ppf(0.975)
    assert found.estimate == pytest.approx(math.log(0.55 * 1.02) / 2, abs=1e-12)
    assert found.se == pytest.approx(math.log(1.02 / 0.55) / (2 * z), abs=1e-12)
    assert (found.better, found.assumed, found.df, found.sign) == ("lower", True, math.inf, -1)


@given(
    measure=st.sampled_from(sorted(MEASURES)),
    estimate=st.floats(0.2, 5),
    se=st.floats(0.05, 1),
    level=st.sampled_from([0.8, 0.9, 0.95, 0.99]),
    df=st.sampled_from([3.0, 38.0, math.inf]),
)
def test_interval_se_t_and_p_are_one_standard_error(
    measure: str, estimate: float, se: float, level: float, df: float
) -> None:
    """Whatever of the four is printed, of any measure, level and df, the standard error returns."""
    of = MEASURES[measure]
    middle = of.analyzed(estimate)
    half = se * stats.t.ppf(0.5 + level / 2, df)
    low, high = (float(of.printed(middle + side * half)) for side in (-1, 1))
    forms: list[dict[str, float]] = [
        {"ci_low": low, "ci_high": high, "level": level},
        {"se": se},
    ]
    if abs(middle) > 0.05:
        p = 2 * stats.t.sf(abs(middle) / se, df)
        forms += [{"t": middle / se}, {"f": (middle / se) ** 2}]
        forms += [{"p_value": p}] if p > 1e-12 else []
    for form in forms:
        found = read(measure, estimate=estimate, df=df, **form)
        assert found.se == pytest.approx(se, rel=1e-8)
        assert found.estimate == pytest.approx(middle, abs=1e-8)
        assert found.df == df


def test_arms_are_a_welch_difference() -> None:
    """Difference, standard error and df of two arms are those of another package's Welch test."""
    found = read("md", **ARMS)
    one = stats.norm.ppf((np.arange(20) + 0.5) / 20)
    two = stats.norm.ppf((np.arange(30) + 0.5) / 30)
    samples = [
        values / values.std(ddof=1) * sd + mean
        for values, sd, mean in ((one, 4.0, 12.0), (two, 6.0, 9.0))
    ]
    t, _, df = ttest_ind(*samples, usevar="unequal")
    assert found.estimate == pytest.approx(3.0)
    assert found.estimate / found.se == pytest.approx(t, rel=1e-10)
    assert found.df == pytest.approx(df, rel=1e-10)


def test_arms_are_hedges_g() -> None:
    """The standardized difference of two arms is within 2e-4 of another package's Hedges' g.

    That package takes the correction 1 - 3/(4 df - 1) for the exact ratio of gamma functions.
    """
    found = read("smd", **ARMS)
    g, variance = effectsize_smd(12.0, 4.0, 20, 9.0, 6.0, 30)
    assert found.estimate == pytest.approx(g, abs=2e-4)
    assert found.se == pytest.approx(math.sqrt(variance), rel=0.01)
    pooled = math.sqrt((19 * 16 + 29 * 36) / 48)
    t = 3.0 / (pooled * math.sqrt(1 / 20 + 1 / 30))
    again = read("smd", t=t, df=48, n_active=20, n_control=30)
    assert (again.estimate, again.se) == pytest.approx((found.estimate, found.se))


def test_arms_are_a_ratio_of_means() -> None:
    """log(12/9) has the variance 16/(20 x 144) + 36/(30 x 81) by the delta method."""
    found = read("gmr", **ARMS)
    assert found.estimate == pytest.approx(math.log(12 / 9))
    assert found.se**2 == pytest.approx(16 / (20 * 144) + 36 / (30 * 81))


@pytest.mark.parametrize(("measure", "statistic"), WALD)
def test_counts_have_the_wald_approximation(measure: str, statistic: str) -> None:
    """The approximate estimate and variance of a 2 x 2 table are those of another package."""
    found = read(measure, counts="89/1108 101/1096")
    effect, variance = effectsize_2proportions(89, 1108, 101, 1096, statistic=statistic)
    assert found.estimate == pytest.approx(effect, rel=1e-10)
    assert found.se == pytest.approx(math.sqrt(variance), rel=1e-6)


@pytest.mark.parametrize("text", ["89/1108 101/1096", " 89 / 1108, 101/1096", "89/1108 v 101/1096"])
def test_counts_are_read_as_people_write_them(text: str) -> None:
    """Blanks, a comma and a v between the arms are read."""
    assert read_counts(text) == Counts(89, 1108, 101, 1096)


@pytest.mark.parametrize(
    ("printed", "asked"),
    [
        ((0.75, 0.55, 1.02), True),
        ((1.27, 0.99, 1.63), True),
        ((0.98, 0.93, 1.03), True),
        ((4, 1, 16), True),
        ((3, 1, 5), False),
        ((3, 1, math.inf), False),
        ((12.7, 2.5, 22.8), False),
        ((8.6, 0.94, 16.2), False),
        ((10, 9.5, 10.5), False),
        ((-0.29, -0.6, 0.02), False),
    ],
)
def test_an_interval_that_may_be_of_a_ratio_is_asked_about(
    printed: tuple[float, float, float], asked: bool
) -> None:
    """Symmetric as logarithms and not otherwise, or either and around 1: a question, no answer."""
    if not asked:
        ask_for_measure(*printed)
        return
    with pytest.raises(EvidenceError, match="say --measure hr"):
        ask_for_measure(*printed)


def test_no_printed_row_of_the_shipped_trial_is_asked_about() -> None:
    """Every interval of the shipped paper stays what it is, a difference."""
    effects = load_published().data["effects"].to_dataset()
    printed = np.column_stack([effects[name] for name in ("estimate", "ci_low", "ci_high")])
    rows = printed[np.isfinite(printed).all(axis=1)]
    assert len(rows) == 18
    for row in rows:
        ask_for_measure(*map(float, row))


def test_rounding_decides_what_can_be_the_middle() -> None:
    """An estimate half a unit and a limit half a unit away is still the middle, more is not."""
    assert is_middle(1.0, 0.0, 2.2)
    assert not is_middle(1.0, 0.0, 2.3)
    assert not is_middle(1.0, 0.0, 2.03)
    assert is_middle(2.0, 1.0, 4.0, logarithms=True)
    assert not is_middle(2.0, -1.0, 4.0, logarithms=True)


def test_an_estimate_off_the_middle_is_warned_of() -> None:
    """A hazard ratio far from the middle of its interval as logarithms is warned of, and used."""
    with pytest.warns(StatisticalWarning, match="not the middle of 0.5 to 1.1"):
        found = read("hr", estimate=0.9, ci_low=0.5, ci_high=1.1)
    assert found.estimate == pytest.approx(math.log(0.55) / 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read("hr", estimate=0.74, ci_low=0.5, ci_high=1.1)


def test_what_is_not_printed_may_be_none_nan_or_empty() -> None:
    """A row of a file with NaN and empty cells is the row without them."""
    row: dict[str, Any] = dict.fromkeys(ROW, math.nan) | {"better": "", "counts": None}
    assert printed_result(row | {"measure": "md", "estimate": 3.07, "se": 1.19}) == read(
        "md", estimate=3.07, se=1.19
    )


@pytest.mark.parametrize(
    ("measure", "printed", "message"),
    [
        ("hzr", {}, "did you mean 'hr'"),
        ("hr", {"estimate": -0.29, "se": 0.16}, "a ratio is above 0"),
        ("hr", {"estimate": 0.75}, "has no precision"),
        ("hr", {"estimate": 0.75, "ci_low": 0.55}, "both or none"),
        ("hr", {"estimate": 0.75, "ci_low": 1.02, "ci_high": 0.55}, "does not hold"),
        ("hr", {"estimate": 0.75, "ci_low": 0.75, "ci_high": 0.75}, "below the upper"),
        ("hr", {"estimate": 0.75, "ci_low": 0.55, "ci_high": 1.02, "level": 95}, "as 0.95"),
        ("hr", {"counts": "1/2 1/2"}, "or, rr, rd"),
        ("hr", {"estimate": 0.75, "se": 0.1, "better": "less"}, "say lower or higher"),
        ("md", {"estimate": 0.0, "p_value": 0.4}, "other than 0"),
        ("md", {"estimate": 1.0, "p_value": 1.4}, "between 0 and 1"),
        ("md", {"estimate": 1.0, "t": 2.0}, "needs its df"),
        ("md", {"estimate": 1.0, "t": 0.0, "df": 9}, "t or the estimate is 0"),
        ("md", {"estimate": 1.0, "f": -1.0, "df": 9}, "above 0, with 1 numerator"),
        ("md", {"estimate": 1.0, "se": -1.0}, "is above 0"),
        ("md", {"estimate": 1.0, "se": 1.0, "df": 0.5}, "1 or more"),
        ("md", {"estimate": math.inf, "se": 1.0}, "estimate is inf: give a number"),
        ("md", {"estimate": 1e9, "se": 1.0}, "no trial prints that"),
        ("hr", {"estimate": 2.0, "se": 1e3}, "of a ratio it is that"),
        ("md", {"t": 2.0, "df": 9}, "give the estimate"),
        ("smd", {"t": 2.0, "df": 9}, "needs n_active"),
        ("md", {"mean_active": 1.0}, "'sd_active' is missing"),
        ("md", ARMS | {"sd_active": 0.0}, "SDs above 0"),
        ("hr", ARMS, "make no hazard ratio"),
        ("gmr", ARMS | {"mean_active": -1.0}, "if both are above 0"),
        ("or", {"counts": "5/4 1/2"}, "5 events of 4"),
        ("or", {"counts": "five of nine"}, "89/1108 101/1096"),
        ("or", {"counts": "0/4 0/2"}, "same outcome"),
    ],
)
def test_what_cannot_be_is_refused(measure: str, printed: dict[str, Any], message: str) -> None:
    """Each impossible print has one message that says what to do."""
    with pytest.raises(EvidenceError, match=message):
        read(measure, **printed)
