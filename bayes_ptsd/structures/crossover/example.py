"""A small simulated crossover that shows what a model does, with known truth."""

from __future__ import annotations

import numpy as np
import xarray as xr

from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.patient_arrays import outcome_tree
from bayes_ptsd.trial import Endpoint, Trial, load_trial

__all__ = ["example_patients"]

# score units of the IES-R, a difference below its MCID of 7.2; the scores of a patient have a
# correlation of 81 / (81 + 36) = .69
TRUTH = {"treatment_difference": 6.0, "period_effect": -2.0, "sd_subject": 9.0, "sd_within": 6.0}


def example_patients(
    *,
    subjects: int = 24,
    missing: int = 3,
    carryover: float = 0.0,
    correlation: float | None = None,
    reference_sd: float | None = 14.4,
    seed: int = 1,
) -> Evidence:
    """Simulate a crossover on the IES-R scale; difference 6, period effect -2, sds 9 and 6.

    The first `missing` patients have no second period, the last one no first. `carryover` is the
    benefit, in score units, that ketamine of period 1 still has in period 2; `correlation` replaces
    that of the random intercept; without `reference_sd` the data have to give it, and the endpoint
    has no range.
    """
    rng = np.random.default_rng(seed)
    first = np.arange(subjects) % 2 == 0
    spread = np.hypot(TRUTH["sd_subject"], TRUTH["sd_within"])
    rho = TRUTH["sd_subject"] ** 2 / spread**2 if correlation is None else correlation
    noise = rng.multivariate_normal([0, 0], spread**2 * np.array([[1, rho], [rho, 1]]), subjects)
    active = np.stack([first, ~first], axis=1)
    score = 40 + noise - TRUTH["treatment_difference"] * active
    score[:, 1] += TRUTH["period_effect"] - carryover * first
    baseline = 46 + 0.6 * noise + rng.normal(0, 5, (subjects, 2))
    if missing:
        score[:missing, 1] = np.nan
        score[-1, 0] = np.nan
    labels = np.where(active, "ketamine", "midazolam")
    coords = {
        "subject": [f"s{number:03d}" for number in range(subjects)],
        "period": [1, 2],
        "visit": ["24h"],
        "endpoint": ["ies_r"],
        "sequence": ("subject", np.where(first, "KM", "MK")),
        "treatment": (("subject", "period"), labels),
    }
    dims = ("subject", "period", "visit", "endpoint")
    values = xr.DataArray(score[:, :, None, None], dims=dims, coords=coords)
    before = xr.DataArray(
        baseline[:, :, None],
        dims=("subject", "period", "endpoint"),
        coords={key: coords[key] for key in ("subject", "period", "endpoint")},
    )
    return Evidence("simulated", _trial(reference_sd), outcome_tree(values, baseline=before))


def _trial(reference_sd: float | None) -> Trial:
    """Return the trial of the example: one endpoint of the shipped one."""
    shipped = load_trial()
    range_ = (0.0, 88.0) if reference_sd is not None else None
    endpoint = Endpoint(
        "ies_r", "IES-R total", "continuous", "lower",
        range=range_, mcid=7.2, reference_sd=reference_sd,
    )  # fmt: skip
    return Trial(
        "example", "Simulated example", "crossover", shipped.active, shipped.control,
        {"ies_r": endpoint}, sequences=dict(shipped.sequences), visits={"24h": 24.0},
    )  # fmt: skip
