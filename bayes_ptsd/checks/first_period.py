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
    """Run the predictive, cross-validation and sensitivity checks of a first-period model.

    Parameters
    ----------
    fit : xr.DataTree
        A fit from either engine.
    range_ : tuple of float, optional
        Lowest and highest possible score.

    Returns
    -------
    dict of str to xr.Dataset
        ``checks`` and, so that a report needs no patients' rows, the tables behind them:
        ``predictive_summary``, ``loo``, ``sensitivity``, ``prior_scores``.

    Examples
    --------
    >>> from bayes_ptsd.crossover.example import example_patients
    >>> from bayes_ptsd.first_period.exact import exact_first_period
    >>> from bayes_ptsd.first_period.groups import first_period_groups
    >>> from bayes_ptsd.first_period.model import first_period_model
    >>> from bayes_ptsd.spec import load_model
    >>> model = first_period_model(example_patients(), load_model("first-period"))
    >>> groups = exact_first_period(model, seed=1)
    >>> groups |= first_period_groups(groups["posterior"], model, seed=1)
    >>> found = first_period_checks(xr.DataTree.from_dict(groups), range_=(0.0, 88.0))
    >>> bool(found["checks"]["passed"].all())
    True
    """
    features = feature_table(
        fit, arm_features(fit["observed_data"].to_dataset()["score"]) | end_features(range_)
    )
    return patient_checks(fit, features, ranges=range_)


def arm_features(observed: xr.DataArray) -> dict[str, Feature]:
    """Return the features that a comparison of arms leans on: mean, sd and extremes by arm.

    Parameters
    ----------
    observed : xr.DataArray
        Scores, dim (subject), with coordinate ``treatment(subject)``.

    Returns
    -------
    dict of str to callable
        For `feature_table`.

    Examples
    --------
    >>> scores = xr.DataArray([3.0, 5.0, 9.0, 9.0], dims="subject",
    ...                       coords={"treatment": ("subject", ["A", "A", "B", "B"])})
    >>> float(arm_features(scores)["mean_A"](scores))
    4.0
    """
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

    Parameters
    ----------
    observed : xr.DataArray
        Scores, dims (subject, endpoint), with coordinate ``treatment(subject)``.
    endpoints : iterable of Endpoint
        The ones to look at.

    Returns
    -------
    dict of str to callable
        As `arm_features` and scores at both ends of the scale, each name after its endpoint.

    Examples
    --------
    >>> from bayes_ptsd.parts.example import example_parts
    >>> from bayes_ptsd.parts.model import parts_model
    >>> from bayes_ptsd.spec import load_model
    >>> model = parts_model(example_parts(), load_model("subscales-patients"))
    >>> len(endpoint_features(model.observed["score"], model.parts[:1]))
    10
    """
    found: dict[str, Feature] = {}
    for endpoint in endpoints:
        own = observed.sel(endpoint=endpoint.id)
        for name, feature in (arm_features(own) | end_features(endpoint.range)).items():
            found[f"{endpoint.id}_{name}"] = lambda y, f=feature, e=endpoint.id: f(  # type: ignore[misc]
                y.sel(endpoint=e, drop=True)
            )
    return found
