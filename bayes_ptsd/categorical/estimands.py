"""What a model of ordered categories says: differences on the scale, wins, shares by arm.

Everything is averaged over patients as they are in the population (patient effects integrated
out), over the baselines of the subjects, and over both periods alike. The effect on the scale of
the link compares treatments within a patient and is a parameter, not one of these.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from bayes_ptsd.categorical.model import CategoricalModel
from bayes_ptsd.categorical.probabilities import cell_probabilities

__all__ = ["NULLS", "arm_probabilities", "estimand_units", "with_estimands"]

NULLS: Mapping[str, float] = {
    "treatment_difference": 0.0,
    "log_odds_ratio": 0.0,
    "probit_difference": 0.0,
    "log_risk_ratio": 0.0,
    "win_probability": 0.5,
}
"""Value of each comparison if the treatments are alike."""


def estimand_units(model: CategoricalModel) -> dict[str, str]:
    """Return the unit of everything that is said about the treatments."""
    if model.binary:
        return _binary_units()
    link = {"logit": "log odds", "probit": "latent SD"}[model.link]
    return {
        "treatment_difference": model.endpoint.unit,
        model.effect: link,
        "period_effect": link,
        "sd_subject": link,
        "baseline_slope": f"{link} per category",
        "win_probability": "probability",
        "prob_at_most": "probability",
    }


def _binary_units() -> dict[str, str]:
    """Return the units of a binary outcome."""
    odds = ("log_odds_ratio", "period_effect", "sd_subject", "baseline_slope")
    return {
        "treatment_difference": "probability",
        **dict.fromkeys(odds, "log odds"),
        "log_risk_ratio": "log risk",
        "risk_active": "probability",
        "risk_control": "probability",
    }


def arm_probabilities(draws: xr.Dataset, model: CategoricalModel) -> xr.DataArray:
    """Return category probabilities, dims (chain, draw, arm, period, category), over baselines."""
    baseline = np.zeros(1) if model.scores.baseline is None else model.scores.baseline
    values, counts = np.unique(baseline, return_counts=True)
    periods = len(model.coords["period"])
    arm, period, place = (
        axis.ravel() for axis in np.indices((2, periods, len(values))).astype(float)
    )
    cells = cell_probabilities(
        draws, model, active=arm, second=period, baseline=values[place.astype(int)]
    )
    shaped = cells.reshape(len(cells), 2, periods, len(values), -1)
    averaged = np.einsum("sapbk,b->sapk", shaped, counts / counts.sum())
    dims = ("chain", "draw", "arm", "period", "category")
    shape = (draws.sizes["chain"], draws.sizes["draw"], *averaged.shape[1:])
    coords = {name: draws[name] for name in ("chain", "draw")}
    labels = {name: model.coords[name] for name in dims[2:]}
    return xr.DataArray(averaged.reshape(shape), dims=dims, coords={**coords, **labels})


def with_estimands(draws: xr.Dataset, model: CategoricalModel) -> xr.Dataset:
    """Add the estimands of a model to draws of its parameters.

    ``treatment_difference`` (mean score, active better is positive, score units),
    ``win_probability`` (of two patients drawn at random in the same period, one under each
    treatment: the one under the active treatment is in the better category, ties counted half) and
    ``prob_at_most(arm, at_most)``. Of a binary outcome ``treatment_difference`` is the difference
    of the risks, beside ``risk_active``, ``risk_control`` and the ``log_risk_ratio``; that and
    ``log_odds_ratio`` are benefit-positive.
    """
    shares = arm_probabilities(draws, model)
    if model.binary:
        return _with_risks(draws, shares, model)
    mean = (shares * shares["category"]).sum("category").mean("period")
    difference = mean.sel(arm="active", drop=True) - mean.sel(arm="control", drop=True)
    below = shares.mean("period").cumsum("category").isel(category=slice(0, -1))
    below = below.rename(category="at_most")
    return draws.assign(
        treatment_difference=model.sign * difference,
        win_probability=_wins(shares, model.sign),
        prob_at_most=below,
    )


def _with_risks(draws: xr.Dataset, shares: xr.DataArray, model: CategoricalModel) -> xr.Dataset:
    """Add the estimands of a binary outcome."""
    risk = shares.mean("period").sel(category=1, drop=True)
    active, control = (risk.sel(arm=arm, drop=True) for arm in ("active", "control"))
    found = {
        "treatment_difference": model.sign * (active - control),
        "log_risk_ratio": model.sign * np.log(active / control),
        "risk_active": active,
        "risk_control": control,
    }
    if model.separate_risks:
        odds = np.log(active / (1 - active)) - np.log(control / (1 - control))
        found["log_odds_ratio"] = model.sign * odds
    return draws.assign(found)


def _wins(shares: xr.DataArray, sign: int) -> xr.DataArray:
    """Return P(better) + P(tie) / 2 of two patients in one period, averaged over periods."""
    active, control = (shares.sel(arm=arm, drop=True) for arm in ("active", "control"))
    below: xr.DataArray = control.cumsum("category") - control / 2
    higher = (active * below).sum("category").mean("period")
    return higher if sign > 0 else 1 - higher
