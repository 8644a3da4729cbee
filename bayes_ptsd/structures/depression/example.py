"""A small simulated trial with a mediator that shows what a model does, with known truth."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.patient_arrays import ONLY_VISIT, outcome_tree
from bayes_ptsd.trial import Endpoint, Trial, load_trial

__all__ = ["TRUTH", "example_mediation"]

TRUTH: Mapping[str, float] = {
    "mediator_difference": 4.0,
    "natural_direct_effect": 5.0,
    "natural_indirect_effect": 4.8,
    "treatment_difference": 9.8,
}
"""Effects of the example, positive = benefit, score units."""
# of the example: slope of the outcome on the mediator under control, how much more it is under the
# active treatment, the direct effect and the mediator's mean under control
SLOPE, INTERACTION, DIRECT, CENTER = 0.8, 0.4, 5.0, 20.0


def example_mediation(
    *,
    subjects: int = 60,
    interaction: float = INTERACTION,
    confounding: float = 0.0,
    reference_sd: float | None = 14.4,
    seed: int = 1,
) -> Evidence:
    """Simulate a parallel trial: an outcome on the IES-R scale, a mediator on the MADRS scale.

    Under control the mediator has mean 20 and sd 7; the outcome's slope on it is .8, and
    `interaction` more under the active treatment, which takes off 4 points of the mediator and 5 of
    the outcome at a mediator of 20. The natural indirect effect is ``4 (.8 + interaction)``; the
    direct one stays 5. `confounding` is the correlation of the errors of both: an unmeasured cause.
    Without `reference_sd` the data have to give it, and the outcome has no range.
    """
    rng = np.random.default_rng(seed)
    active = np.arange(subjects) % 2 == 0
    noise = rng.normal(size=(4, subjects))
    before = np.stack([47 + 12 * noise[0], 27 + 6 * noise[1]], axis=1)
    errors = np.stack([noise[2], confounding * noise[2] + np.sqrt(1 - confounding**2) * noise[3]])
    mediator = CENTER + 0.5 * (before[:, 1] - 27) - TRUTH["mediator_difference"] * active
    mediator = mediator + 6.3 * errors[0]
    outcome = 36 + 0.4 * (before[:, 0] - 47) - DIRECT * active + 8.0 * errors[1]
    outcome += (SLOPE + interaction * active) * (mediator - CENTER)
    shipped = load_trial()
    labels = np.where(active, shipped.active, shipped.control)
    coords = {
        "subject": [f"s{number:04d}" for number in range(subjects)],
        "period": [1],
        "visit": [ONLY_VISIT],
        "endpoint": ["ies_r", "madrs"],
        "sequence": ("subject", labels),
        "treatment": (("subject", "period"), labels[:, None]),
    }
    scores = np.stack([outcome, mediator], axis=1)[:, None, None, :]
    values = xr.DataArray(scores, dims=("subject", "period", "visit", "endpoint"), coords=coords)
    baseline = xr.DataArray(
        before[:, None, :],
        dims=("subject", "period", "endpoint"),
        coords={key: coords[key] for key in ("subject", "period", "endpoint")},
    )
    return Evidence("simulated", _trial(reference_sd), outcome_tree(values, baseline=baseline))


def _trial(reference_sd: float | None) -> Trial:
    """Return the trial of the example: two endpoints of the shipped one, in two arms."""
    shipped = load_trial()
    outcome = Endpoint(
        "ies_r", "IES-R total", "continuous", "lower",
        range=(0.0, 88.0) if reference_sd is not None else None,
        mcid=7.2, reference_sd=reference_sd,
    )  # fmt: skip
    return Trial(
        "example", "Simulated example of a mediator", "parallel", shipped.active, shipped.control,
        {"ies_r": outcome, "madrs": shipped.endpoint("madrs")},
    )  # fmt: skip
