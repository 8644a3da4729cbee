"""Every check of a fit of the parts of a total beyond convergence."""

from __future__ import annotations

import itertools

import numpy as np
import xarray as xr

from bayes_ptsd.checks.first_period import endpoint_features
from bayes_ptsd.checks.patients import patient_checks
from bayes_ptsd.checks.predictive import Feature, feature_table
from bayes_ptsd.parts.model import PartsModel

__all__ = ["part_features", "parts_checks"]


def parts_checks(fit: xr.DataTree, model: PartsModel) -> dict[str, xr.Dataset]:
    """Run the predictive, cross-validation and sensitivity checks of the parts of a total.

    ``loo`` leaves out all parts of a subject together.
    """
    observed = fit["observed_data"].to_dataset()["score"]
    features = feature_table(fit, part_features(observed, model))
    return patient_checks(fit, features, ranges={part.id: part.range for part in model.parts})


def part_features(observed: xr.DataArray, model: PartsModel) -> dict[str, Feature]:
    """Return each part by arm, scores at its ends, and the correlations of parts within arms."""
    found = endpoint_features(observed, model.parts)
    arms = [np.flatnonzero(model.active == bool(arm)) for arm in (0, 1)]

    def centered(y: xr.DataArray) -> xr.DataArray:
        groups = [y.isel(subject=rows) for rows in arms]
        return xr.concat([one - one.mean("subject") for one in groups], dim="subject")

    for first, second in itertools.combinations(model.names, 2):
        found[f"correlation_{first}_{second}"] = lambda y, a=first, b=second: xr.corr(  # type: ignore[misc]
            centered(y).sel(endpoint=a), centered(y).sel(endpoint=b), dim="subject"
        )
    return found
