"""Draws around a simulated truth, so that figures of several visits can be shown without a fit."""

from __future__ import annotations

import json

import numpy as np
import xarray as xr

from bayes_ptsd.models_files import load_model
from bayes_ptsd.provenance import endpoint_constants
from bayes_ptsd.structures.longitudinal.draws import derived, draw_priors, trajectory_summary
from bayes_ptsd.structures.longitudinal.example import TRUTH, example_trajectories
from bayes_ptsd.structures.longitudinal.model import longitudinal_model

__all__ = ["example_courses"]


def example_courses(*, seed: int = 1) -> xr.DataTree:
    """Return made-up draws around the truth of the simulated example; no model was fitted."""
    model = longitudinal_model(example_trajectories(), load_model("longitudinal"))
    drawn = draw_priors(model, 500, seed=seed)
    rng = np.random.default_rng(seed)
    shape = drawn["visit_difference"].shape
    around = drawn.assign(
        visit_difference=drawn["visit_difference"].copy(
            data=np.array(list(TRUTH.values())) + rng.normal(0, 3.5, shape)
        ),
        level=drawn["level"].copy(
            data=np.array([34.0, 33.5, 33.0, 34.0]) + rng.normal(0, 2, shape)
        ),
    )
    posterior = derived(around, model)
    tree = xr.DataTree.from_dict(
        {"posterior": posterior, "trajectory_summary": trajectory_summary(posterior, model)}
    )
    tree.attrs = {
        "evidence_kind": "simulated",
        "active": model.arms[1],
        "endpoint_constants": json.dumps(endpoint_constants(model.endpoint)),
    }
    return tree
