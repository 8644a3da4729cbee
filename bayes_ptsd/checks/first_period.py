"""Every check of a first-period fit beyond convergence, with the tables behind the figures."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import xarray as xr

from bayes_ptsd.checks.patients import patient_checks
from bayes_ptsd.checks.predictive import Feature, end_features, feature_table
from bayes_ptsd.trial import Endpoint

__all__ = ["arm_features", "endpoint_features", "first_period_checks"]


def first_period_checks(
    fit: xr.DataTree, *, range_: tuple[float, float] | None
) -> dict[str, xr.Dataset]:
    """Run the predictive, cross-validation and sensitivity checks of a first-period model."""
    features = feature_table(
        fit, arm_features(fit["observed_data"].to_dataset()["score"]) | end_features(range_)
    )
    return patient_checks(fit, features, ranges=range_)


def arm_features(observed: xr.DataArray) -> dict[str, Feature]:
    """Return the features that a comparison of arms leans on: mean, sd and extremes by arm."""
    found: dict[str, Feature] = {}
    for label in sorted(set(observed["treatment"].values.tolist())):
        rows = np.flatnonzero(observed["treatment"].values == label)
        found[f"mean_{label}"] = lambda y, rows=rows: y.isel(subject=rows).mean("subject")  # type: ignore[misc]
        if len(rows) > 1:
            found[f"sd_{label}"] = lambda y, rows=rows: y.isel(subject=rows).std("subject", ddof=1)  # type: ignore[misc]
            found[f"lowest_{label}"] = lambda y, rows=rows: y.isel(subject=rows).min("subject")  # type: ignore[misc]
            found[f"highest_{label}"] = lambda y, rows=rows: y.isel(subject=rows).max("subject")  # type: ignore[misc]
    return found


def endpoint_features(observed: xr.DataArray, endpoints: Iterable[Endpoint]) -> dict[str, Feature]:
    """Return, for several endpoints of one visit, what a comparison of arms leans on.

    Scores have dims (subject, endpoint) and a coordinate ``treatment(subject)``; names begin with
    that of the endpoint.
    """
    found: dict[str, Feature] = {}
    for endpoint in endpoints:
        own = observed.sel(endpoint=endpoint.id)
        for name, feature in (arm_features(own) | end_features(endpoint.range)).items():
            found[f"{endpoint.id}_{name}"] = lambda y, f=feature, e=endpoint.id: f(  # type: ignore[misc]
                y.sel(endpoint=e, drop=True)
            )
    return found
