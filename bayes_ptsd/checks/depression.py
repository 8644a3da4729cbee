"""Every check of a fit with a mediator beyond convergence, with the tables behind the figures."""

from __future__ import annotations

import numpy as np
import xarray as xr

from bayes_ptsd.checks.patients import patient_checks
from bayes_ptsd.checks.predictive import Feature, endpoint_features, feature_table
from bayes_ptsd.depression.effects import mediation_summary
from bayes_ptsd.depression.model import DepressionModel
from bayes_ptsd.estimands import prob_benefit

__all__ = ["depression_checks", "mediation_features"]

CONFOUNDED = ("mediator_slope", "interaction")
"""Theta and omega: slopes on a score that was not randomized, whose priors are meant to inform."""


def depression_checks(fit: xr.DataTree, model: DepressionModel) -> dict[str, xr.Dataset]:
    """Run the predictive, cross-validation and sensitivity checks, and the sweep of confounding.

    Beside the tables of `patient_checks`, ``mediation`` is what correlated errors would make of the
    effects; ``loo`` leaves out both scores of a subject together.
    """
    features = feature_table(
        fit, mediation_features(fit["observed_data"].to_dataset()["score"], model)
    )
    ranges = {one.id: one.range for one in (model.endpoint, model.mediator)}
    return patient_checks(
        fit, features, estimand="controlled_direct_effect", ranges=ranges, beliefs=CONFOUNDED
    ) | {
        "mediation": mediation_summary(
            [fit["posterior"].to_dataset()], [model], prob_total=prob_benefit(fit)
        ),
    }


def mediation_features(observed: xr.DataArray, model: DepressionModel) -> dict[str, Feature]:
    """Return what the analysis leans on: both scores by arm, and how they go together."""
    found = endpoint_features(observed, (model.endpoint, model.mediator))
    for label in model.arms:
        rows = np.flatnonzero(observed["treatment"].values == label)
        found[f"correlation_{label}"] = lambda y, rows=rows: xr.corr(  # type: ignore[misc]
            y.isel(subject=rows, endpoint=0), y.isel(subject=rows, endpoint=1), dim="subject"
        )
    return found
