"""Every check of a first-period fit beyond convergence, with the tables behind the figures."""

from __future__ import annotations

import numpy as np
import xarray as xr

from bayes_ptsd.checks.loo import loo_checks, loo_groups
from bayes_ptsd.checks.predictive import Feature, end_features, feature_table, predictive_checks
from bayes_ptsd.checks.quadrature import quadrature_checks
from bayes_ptsd.checks.sensitivity import sensitivity_checks, sensitivity_table
from bayes_ptsd.checks.table import check_table

__all__ = ["arm_features", "first_period_checks"]


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
        ``predictive_summary``, ``loo``, ``sensitivity``.

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
    sensitivity = sensitivity_table(fit)
    loo = loo_groups(fit)["loo"]
    checks = [
        *quadrature_checks(fit),
        *predictive_checks(features),
        *loo_checks(loo),
        *sensitivity_checks(sensitivity),
    ]
    return {
        "checks": check_table(checks),
        "predictive_summary": features,
        "loo": loo,
        "sensitivity": sensitivity,
    }


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
