"""Scales that priors of patients' scores are multiples of, against the numbers by hand."""

from __future__ import annotations

import numpy as np
import pytest

from bayes_ptsd.errors import EvidenceError, SpecError
from bayes_ptsd.patient_scale import (
    OccasionScale,
    endpoint_scale,
    in_score_units,
    occasion_scale,
    predictor_sd,
)
from bayes_ptsd.trial import Endpoint

ARMS = [np.array([310.0, 290.0, np.nan]), np.array([280.0])]
"""Two arms whose means are 300 and 280 and whose pooled SD is sqrt(200)."""


@pytest.mark.parametrize(("reference", "sd"), [(50.0, 50.0), (10.0, 200**0.5), (None, 200**0.5)])
def test_scale_is_the_mean_of_means_and_the_larger_sd(reference: float | None, sd: float) -> None:
    """The location weights both arms alike; the pooled SD counts where it is the larger one."""
    endpoint = Endpoint("pef", "PEF", "continuous", "higher", reference_sd=reference)
    for arms in (ARMS, ARMS[::-1]):
        multiple, scale, notes = endpoint_scale(endpoint, arms, occasion="first-period")
        assert multiple == pytest.approx(200**0.5 if reference is None else reference)
        assert (scale.sd, scale.location) == pytest.approx((sd, 290.0))
        assert any("no reference_sd" in note for note in notes) is (reference is None)


def test_scale_passes_over_an_arm_without_scores() -> None:
    """Its missing mean is no part of the location; without any score the fallback is."""
    none = np.array([np.nan])
    assert occasion_scale([ARMS[0], none], least_sd=1.0).location == 300.0
    assert occasion_scale([none, none], least_sd=1.0, otherwise=7.0) == OccasionScale(1.0, 7.0)


def test_scores_of_one_patient_an_arm_need_a_reference_sd() -> None:
    """Nothing can be estimated: the endpoint and what to add are named."""
    endpoint = Endpoint("pef", "PEF", "continuous", "higher")
    arms = [np.array([310.0]), np.array([280.0])]
    with pytest.raises(EvidenceError, match=r"'pef' has no 'reference_sd'.*add it"):
        endpoint_scale(endpoint, arms, occasion="first-period")


def test_sd_of_a_predictor_is_that_of_the_sample() -> None:
    """Divided by n - 1; a predictor that does not vary has no slope and is refused."""
    assert predictor_sd(np.array([1.0, 3.0]), "age") == pytest.approx(2**0.5)
    with pytest.raises(EvidenceError, match="age"):
        predictor_sd(np.array([2.0, 2.0]), "age")


@pytest.mark.parametrize(
    ("asked", "sd"), [("weak", 2 * 14.4), ("reference", 10 * 20.0), ("cochrane", None)]
)
def test_named_priors_are_multiples_of_the_reference_sd(asked: str, sd: float | None) -> None:
    """`reference` takes the larger scale; only `cochrane` needs a standard error."""
    scale = OccasionScale(sd=20.0, location=44.0)

    def none() -> float:
        raise SpecError("no standard error")

    if sd is None:
        with pytest.raises(SpecError, match="no standard error"):
            in_score_units(asked, scale=scale, reference_sd=14.4, standard_error=none)
        return
    found = in_score_units(asked, scale=scale, reference_sd=14.4, standard_error=none)
    assert found.sd == pytest.approx(sd)
