"""The pattern of a trial without its scores: who had which treatment in which period."""

from __future__ import annotations

import numpy as np
import xarray as xr

from bayes_ptsd.audit.flow import completers, total_count
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.patient_arrays import outcome_tree
from bayes_ptsd.evidence.published import load_published

__all__ = ["trial_pattern"]


def trial_pattern(endpoint: str = "ies_r", *, flow_reading: str = "paper") -> Evidence:
    """Return the patients of the published trial, simulated, with 0 for each of their scores.

    Every randomized patient has a first period, the completers of each sequence a second one.
    """
    published = load_published()
    trial = published.trial
    flow = published.data["flow"].to_dataset()
    both = completers(published, flow_reading=flow_reading)
    labels, second = [], []
    for sequence in trial.sequences:
        size = total_count(flow, "randomized", sequence=sequence, reading=flow_reading)
        labels += [sequence] * size
        second += [number < both[sequence] for number in range(size)]
    present = np.stack([np.ones(len(labels), dtype=bool), np.array(second)], axis=1)
    values = xr.DataArray(
        np.where(present, 0.0, np.nan)[:, :, None, None],
        dims=("subject", "period", "visit", "endpoint"),
        coords={
            "subject": [f"s{number:03d}" for number in range(len(labels))],
            "period": [1, 2],
            "visit": [next(iter(trial.visits))],
            "endpoint": [trial.endpoint(endpoint).id],
            "sequence": ("subject", labels),
            "treatment": (("subject", "period"), [trial.sequences[name] for name in labels]),
        },
    )
    return Evidence("simulated", trial, outcome_tree(values), source="trial_pattern")
