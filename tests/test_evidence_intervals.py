"""Arithmetic of one printed estimate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.weightstats import zconfint

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence.intervals import (
    center,
    critical_value,
    interval,
    p_value,
    rounding_box,
    se_from_interval,
    se_from_p,
    t_statistic,
)

ESTIMATES = st.floats(-100, 100)
ERRORS = st.floats(0.01, 50)
FREEDOM = st.one_of(st.just(np.inf), st.floats(1, 500))


def test_critical_values_are_those_of_the_two_conventions() -> None:
    """T takes t on 27 and 38 degrees of freedom, N takes 1.959964."""
    assert np.allclose(critical_value(df=[27, 38]), [2.0518305, 2.0243942], atol=1e-6)
    assert critical_value() == pytest.approx(1.959964, abs=1e-6)


def test_standard_errors_of_the_primary_outcome() -> None:
    """The printed intervals give the standard errors of both conventions."""
    assert se_from_interval(2.5, 22.8) == pytest.approx(5.1787, abs=5e-5)
    assert se_from_interval(0.94, 16.2) == pytest.approx(3.8929, abs=5e-5)
    assert se_from_interval(2.5, 22.8, df=27) == pytest.approx(4.9468, abs=5e-5)


def test_p_values_of_the_two_conventions_differ_as_they_should() -> None:
    """The z of 2.452 has P .0142, t 2.567 on 27 degrees of freedom has P .0161."""
    normal, student = se_from_interval(2.5, 22.8), se_from_interval(2.5, 22.8, df=27)
    assert t_statistic(12.7, normal) == pytest.approx(2.452, abs=5e-4)
    assert t_statistic(12.7, student) == pytest.approx(2.567, abs=5e-4)
    assert p_value(12.7, normal) == pytest.approx(0.0142, abs=5e-5)
    assert p_value(12.7, student, df=27) == pytest.approx(0.0161, abs=5e-5)


def test_normal_interval_is_that_of_another_implementation() -> None:
    """Another package gives the same interval for the mean of a sample."""
    sample = np.array([1.0, 4.0, 2.0, 8.0, 5.0])
    se = sample.std(ddof=1) / np.sqrt(len(sample))
    assert np.allclose(interval(sample.mean(), se), zconfint(sample))


@given(estimate=ESTIMATES, se=ERRORS, df=FREEDOM)
def test_interval_and_standard_error_are_inverse(estimate: float, se: float, df: float) -> None:
    """An interval returns its estimate as center and its standard error."""
    low, high = interval(estimate, se, df=df)
    assert se_from_interval(low, high, df=df) == pytest.approx(se, rel=1e-6)
    assert center(low, high) == pytest.approx(estimate, abs=1e-8)


@given(estimate=ESTIMATES.filter(lambda x: abs(x) > 0.1), p=st.floats(1e-6, 0.99), df=FREEDOM)
def test_p_value_and_standard_error_are_inverse(estimate: float, p: float, df: float) -> None:
    """A P value returns the standard error that gives it."""
    assert p_value(estimate, se_from_p(estimate, p, df=df), df=df) == pytest.approx(p, rel=1e-6)


@given(value=st.decimals(-100, 100, places=2, allow_nan=False), shift=st.floats(-0.499, 0.499))
def test_rounding_box_holds_what_rounds_to_its_center(value: object, shift: float) -> None:
    """Whatever prints as a number lies in the number's box."""
    printed = float(str(value))
    low, high = rounding_box(printed, 2)
    unrounded = printed + shift / 100
    assert low <= unrounded <= high
    assert round(unrounded, 2) == pytest.approx(printed, abs=1e-9)


def test_rounding_box_of_a_number_that_is_not_printed_is_nan() -> None:
    """No digits, no box; arrays mix both."""
    low, high = rounding_box([0.05, np.nan], [3, -1])
    assert np.allclose(low, [0.0495, np.nan], equal_nan=True)
    assert np.isnan(high[1])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: se_from_interval(3.0, 1.0), "below the upper"),
        (lambda: se_from_interval(1.0, 1.0), "below the upper"),
        (lambda: se_from_interval(1.0, 2.0, df=0.5), "1 or more"),
        (lambda: se_from_interval(1.0, 2.0, level=95), "as 0.95"),
        (lambda: se_from_p(0.0, 0.5), "other than 0"),
        (lambda: se_from_p(2.0, 1.0), "between 0 and 1"),
        (lambda: se_from_p(2.0, 0.0), "between 0 and 1"),
    ],
)
def test_impossible_numbers_are_refused(call: object, words: str) -> None:
    """What has no standard error raises, saying what to give instead."""
    with pytest.raises(EvidenceError, match=words):
        call()  # type: ignore[operator]
