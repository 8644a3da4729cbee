"""A small simulated trial with subscales that shows what a model does, with known truth."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.patient_arrays import ONLY_VISIT, outcome_tree
from bayes_ptsd.trial import Trial, load_trial

__all__ = ["TRUTH", "example_parts"]

TRUTH: Mapping[str, float] = {
    "ies_r_intrusion": 3.0, "ies_r_avoidance": 4.0, "ies_r_hyperarousal": 2.0
}  # fmt: skip
"""Treatment differences of the example by subscale, score units, positive = benefit."""


def example_parts(*, subjects: int = 40, seed: int = 1) -> Evidence:
    """Simulate a parallel trial of the IES-R subscales; differences 3, 4 and 2.

    Errors have standard deviations 5, 5 and 3.5 and correlations of .6; each subscale has a
    baseline.
    """
    rng = np.random.default_rng(seed)
    shipped, names = load_trial(), list(TRUTH)
    active = np.arange(subjects) % 2 == 0
    sd = np.array([5.0, 5.0, 3.5])
    covariance = np.outer(sd, sd) * (0.6 + 0.4 * np.eye(3))
    before = np.array([17.0, 17.0, 13.0]) + rng.multivariate_normal(
        np.zeros(3), covariance, subjects
    )
    score = np.array([13.0, 13.0, 10.0]) + 0.4 * (before - before.mean(axis=0))
    score = score - np.outer(active, list(TRUTH.values()))
    score += rng.multivariate_normal(np.zeros(3), covariance, subjects)
    labels = np.where(active, shipped.active, shipped.control)
    coords = {
        "subject": [f"s{number:03d}" for number in range(subjects)],
        "period": [1],
        "visit": [ONLY_VISIT],
        "endpoint": names,
        "sequence": ("subject", labels),
        "treatment": (("subject", "period"), labels[:, None]),
    }
    values = xr.DataArray(
        score[:, None, None, :], dims=("subject", "period", "visit", "endpoint"), coords=coords
    )
    baseline = xr.DataArray(
        before[:, None, :],
        dims=("subject", "period", "endpoint"),
        coords={key: coords[key] for key in ("subject", "period", "endpoint")},
    )
    endpoints = {name: shipped.endpoint(name) for name in ("ies_r", *names)}
    trial = Trial(
        "example", "Simulated example of subscales", "parallel", shipped.active, shipped.control,
        endpoints,
    )  # fmt: skip
    return Evidence("simulated", trial, outcome_tree(values, baseline=baseline))
