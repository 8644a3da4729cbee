"""The groups that belong to every longitudinal fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from bayes_ptsd.longitudinal.likelihood import replicated_scores, subject_log_likelihood
from bayes_ptsd.longitudinal.model import BASELINE, LongitudinalModel
from bayes_ptsd.longitudinal.priors import draw_priors, has_proper_priors, log_priors

__all__ = ["longitudinal_groups", "trajectory_summary"]

# prior draws serve figures and checks; a probability has a Monte Carlo error of at most .016
PRIOR_DRAWS = 1000
# limits of a 95% equal-tailed interval
BOUNDS = (0.025, 0.975)


def longitudinal_groups(
    posterior: xr.Dataset, model: LongitudinalModel, *, seed: int
) -> dict[str, xr.Dataset]:
    """Compute data, predictive, likelihood and prior groups and ``trajectory_summary`` from draws.

    `posterior` has the estimands of `derived`. ``log_likelihood`` is by subject, missing visits
    integrated out, ``log_prior`` by parameter; where a prior is improper there are no ``prior`` and
    ``prior_predictive``.
    """
    after, before = np.random.default_rng(seed).spawn(2)
    constants: dict[str, Any] = {"active": ("subject", model.active)}
    if model.baseline is not None:
        constants["baseline_centered"] = ("subject", model.baseline)
    if model.covariates.size:
        constants["covariates"] = model.covariates
    found = {
        "observed_data": model.observed,
        "constant_data": xr.Dataset(constants, coords={"subject": model.subject}),
        "posterior_predictive": replicated_scores(posterior, model, after),
        "log_likelihood": xr.Dataset({"score": subject_log_likelihood(posterior, model)}),
        "log_prior": log_priors(posterior, model),
        "trajectory_summary": trajectory_summary(posterior, model),
    }
    if not has_proper_priors(model):
        return found
    drawn = draw_priors(model, PRIOR_DRAWS, seed=seed)
    return found | {"prior": drawn, "prior_predictive": replicated_scores(drawn, model, before)}


def trajectory_summary(posterior: xr.Dataset, model: LongitudinalModel) -> xr.Dataset:
    """Summarize the course of each arm, so that a figure needs no patient.

    ``arm_mean, change`` (from the mean baseline; NaN without one) on dims (treatment, visit) and
    ``difference`` (visit), each with ``_low`` and ``_high``, its 95% interval; ``observed_mean``
    and ``observed_count`` (treatment, visit); ``days`` (visit), NaN where the trial has none;
    ``baseline``. Score units, differences positive where the active treatment is better.
    """
    level = (
        posterior["level"].sel(occasion=BASELINE, drop=True)
        if model.joint
        else model.baseline_level
    )
    means = posterior["arm_mean"]
    shown = {
        "arm_mean": means,
        "change": means - level,
        "difference": posterior["visit_difference"],
    }
    columns: dict[str, Any] = {}
    for name, draws in shown.items():
        columns[name] = draws.mean(("chain", "draw"))
        for bound, q in zip(("low", "high"), BOUNDS, strict=True):
            columns[f"{name}_{bound}"] = draws.quantile(q, ("chain", "draw")).drop_vars("quantile")
    groups = [model.score[model.treatment == label] for label in model.arms]
    counts = np.stack([np.isfinite(group).sum(axis=0) for group in groups])
    totals = np.stack([np.nansum(group, axis=0) for group in groups])
    with np.errstate(invalid="ignore"):
        columns["observed_mean"] = (("treatment", "visit"), totals / counts)
    columns["observed_count"] = (("treatment", "visit"), counts)
    columns["days"] = ("visit", model.days[-len(model.visits) :])
    columns["baseline"] = float(np.mean(level))
    return xr.Dataset(columns)
