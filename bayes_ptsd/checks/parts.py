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

    Parameters
    ----------
    fit : xr.DataTree
        A fit.
    model : PartsModel
        What was fitted.

    Returns
    -------
    dict of str to xr.Dataset
        ``checks`` and the tables behind them: ``predictive_summary``, ``loo`` (all parts of a
        subject together), ``sensitivity``, ``prior_scores``.

    Examples
    --------
    >>> from bayes_ptsd.parts.example import example_parts
    >>> from bayes_ptsd.parts.groups import draw_priors, parts_groups
    >>> from bayes_ptsd.parts.model import parts_model
    >>> from bayes_ptsd.spec import load_model
    >>> model = parts_model(example_parts(), load_model("subscales-patients"))
    >>> scores = model.observed["score"]
    >>> "ies_r_avoidance_mean_ketamine" in part_features(scores, model)
    True
    """
    observed = fit["observed_data"].to_dataset()["score"]
    features = feature_table(fit, part_features(observed, model))
    return patient_checks(fit, features, ranges={part.id: part.range for part in model.parts})


def part_features(observed: xr.DataArray, model: PartsModel) -> dict[str, Feature]:
    """Return each part by arm, scores at its ends, and the correlations between parts.

    Parameters
    ----------
    observed : xr.DataArray
        Scores, dims (subject, endpoint), with coordinate ``treatment(subject)``.
    model : PartsModel
        Its parts.

    Returns
    -------
    dict of str to callable
        For `feature_table`; correlations are within arms.

    Examples
    --------
    >>> from bayes_ptsd.parts.example import example_parts
    >>> from bayes_ptsd.parts.model import parts_model
    >>> from bayes_ptsd.spec import load_model
    >>> model = parts_model(example_parts(), load_model("subscales-patients"))
    >>> len(part_features(model.observed["score"], model))
    33
    """
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
