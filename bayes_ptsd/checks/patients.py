"""What the checks of every model of patients have in common."""

from __future__ import annotations

from collections.abc import Sequence

import xarray as xr

from bayes_ptsd.checks.loo import loo_checks, loo_groups
from bayes_ptsd.checks.predictive import predictive_checks
from bayes_ptsd.checks.quadrature import quadrature_checks
from bayes_ptsd.checks.sensitivity import sensitivity_checks, sensitivity_table
from bayes_ptsd.checks.table import Check, check_table

__all__ = ["patient_checks"]


def patient_checks(
    fit: xr.DataTree,
    features: xr.Dataset,
    *,
    estimand: str = "treatment_difference",
    further: Sequence[Check] = (),
) -> dict[str, xr.Dataset]:
    """Run the integration, predictive, cross-validation and sensitivity checks.

    Parameters
    ----------
    fit : xr.DataTree
        A fit of patients from either engine.
    features : xr.Dataset
        From `feature_table`: what the data show beside what the model predicts.
    estimand : str
        The one that the prior of the treatment is about.
    further : sequence of Check
        Checks of this model alone.

    Returns
    -------
    dict of str to xr.Dataset
        ``checks`` and, so that a report needs no patients' rows, the tables behind them:
        ``predictive_summary``, ``loo``, ``sensitivity``.

    Examples
    --------
    >>> from bayes_ptsd.checks.example import example_fit
    >>> from bayes_ptsd.checks.predictive import predictive_features
    >>> fit = example_fit()
    >>> sorted(patient_checks(fit, predictive_features(fit, range_=(0.0, 88.0))))
    ['checks', 'loo', 'predictive_summary', 'sensitivity']
    """
    sensitivity = sensitivity_table(fit)
    loo = loo_groups(fit)["loo"]
    checks = [
        *quadrature_checks(fit),
        *predictive_checks(features),
        *loo_checks(loo),
        *sensitivity_checks(sensitivity, estimand=estimand),
        *further,
    ]
    return {
        "checks": check_table(checks),
        "predictive_summary": features,
        "loo": loo,
        "sensitivity": sensitivity,
    }
