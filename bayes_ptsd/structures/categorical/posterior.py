"""What draws of a model of ordered categories say: likelihood, replicates, estimands.

``p(categories of a patient | parameters)`` has the patient's effect integrated out, which is what
leave-one-subject-out needs, and replicates are of new patients. Estimands are averaged over
patients as they are in the population (patient effects integrated out), over the baselines of the
subjects, and over both periods alike. The effect on the scale of the link compares treatments
within a patient and is a parameter, not one of these.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import special

from bayes_ptsd.categorical.cells import (
    cumulative_probabilities,
    probabilities_between,
    spaced_cutpoints,
)
from bayes_ptsd.categorical.patient_effect import averaged_probabilities, log_probability
from bayes_ptsd.priors import FloatArray
from bayes_ptsd.structures.categorical.model import CategoricalModel

__all__ = [
    "NULLS",
    "arm_probabilities",
    "cell_probabilities",
    "estimand_units",
    "replicated_categories",
    "subject_log_likelihood",
    "with_estimands",
]

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


def subject_log_likelihood(draws: xr.Dataset, model: CategoricalModel) -> xr.DataArray:
    """Return the log probability of each subject's categories, dims (chain, draw, subject).

    The patient's effect is integrated out.
    """
    flat, scores = _flat(draws), model.scores
    patterns, which = _patterns(model)
    found = np.stack([_pattern_log_likelihood(flat, model, int(i)) for i in patterns], axis=1)
    shape = (draws.sizes["chain"], draws.sizes["draw"], len(scores.subject))
    coords = {"chain": draws["chain"], "draw": draws["draw"], "subject": scores.subject}
    values = found[:, which].reshape(shape)
    return xr.DataArray(values, dims=("chain", "draw", "subject"), coords=coords)


def replicated_categories(
    draws: xr.Dataset, model: CategoricalModel, rng: np.random.Generator
) -> xr.Dataset:
    """Draw the categories of new patients with the same sequences and the same missing cells.

    ``score`` has dims (chain, draw, subject, period), as recorded, NaN where there is none.
    """
    flat, scores = _flat(draws), model.scores
    count = flat.sizes["sample"]
    effect = np.zeros((count, len(scores.subject)))
    if "sd_subject" in flat:
        effect = flat["sd_subject"].values[:, None] * rng.normal(size=effect.shape)
    drawn = np.empty((count, *scores.place.shape))
    for column in range(scores.place.shape[1]):
        cuts = _period_cuts(flat, model, np.arange(len(scores.subject)), column)
        below = cumulative_probabilities(cuts - effect[:, :, None], model.link)
        rank = (rng.uniform(size=effect.shape)[:, :, None] > below).sum(axis=-1)
        drawn[:, :, column] = np.where(scores.there[:, column], model.categories[rank], np.nan)
    shape = (draws.sizes["chain"], draws.sizes["draw"], *scores.place.shape)
    data = {"score": (("chain", "draw", "subject", "period"), drawn.reshape(shape))}
    coords = {name: draws[name] for name in ("chain", "draw")}
    return xr.Dataset(data, coords={**coords, **model.observed.drop_vars(["score"]).coords})


def cell_probabilities(
    draws: xr.Dataset,
    model: CategoricalModel,
    *,
    active: FloatArray,
    second: FloatArray,
    baseline: FloatArray,
) -> FloatArray:
    """Return category probabilities of new patients, dims (sample, cell, category).

    Patient effects are integrated out; of each cell `active` and `second` (period) are 0 or 1 and
    the baseline is centered.
    """
    flat = _flat(draws)
    cuts = _cuts(flat, model, active=active, second=second, baseline=baseline)
    if "sd_subject" not in flat:
        return probabilities_between(cuts, model.link)
    return averaged_probabilities(cuts, flat["sd_subject"].values, model.link)


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


def _flat(draws: xr.Dataset) -> xr.Dataset:
    """Return draws with one dim for all samples, in front."""
    return draws.stack(sample=("chain", "draw")).transpose("sample", ...)


def _cuts(
    flat: xr.Dataset,
    model: CategoricalModel,
    *,
    active: FloatArray,
    second: FloatArray,
    baseline: FloatArray,
) -> FloatArray:
    """Return cutpoint less linear predictor of each cell, dims (sample, cell, cut)."""
    if model.separate_risks:
        risks = np.stack([flat["risk_control"].values, flat["risk_active"].values], axis=1)
        return np.asarray(-special.logit(risks)[:, active.astype(int), None])
    cut, treatment = flat["cutpoint"].values[:, None, :], active - 0.5
    if "log_gap_ratio" in flat:
        ratio = flat["log_gap_ratio"].values[:, None, :] * treatment[:, None]
        cut = spaced_cutpoints(cut, ratio)
    eta = model.sign * flat[model.effect].values[:, None] * treatment
    if "period_effect" in flat:
        eta = eta + flat["period_effect"].values[:, None] * (second - 0.5)
    if "baseline_slope" in flat:
        eta = eta + flat["baseline_slope"].values[:, None] * baseline
    return np.asarray(cut - eta[:, :, None])


def _period_cuts(
    flat: xr.Dataset, model: CategoricalModel, rows: NDArray[np.intp], column: int
) -> FloatArray:
    """Return the cuts of subjects in one period, dims (sample, subject, cut)."""
    scores = model.scores
    baseline = np.zeros(len(scores.subject)) if scores.baseline is None else scores.baseline
    return _cuts(
        flat, model,
        active=scores.active[rows, column],
        second=np.full(len(rows), float(column)),
        baseline=baseline[rows],
    )  # fmt: skip


def _patterns(model: CategoricalModel) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return a subject of each pattern of data, and which pattern each subject has."""
    scores = model.scores
    columns = [np.where(scores.there, scores.place, -1), scores.active]
    columns += [] if scores.baseline is None else [scores.baseline[:, None]]
    _, first, which = np.unique(
        np.concatenate(columns, axis=1), axis=0, return_index=True, return_inverse=True
    )
    return first, which.ravel()


def _pattern_log_likelihood(flat: xr.Dataset, model: CategoricalModel, row: int) -> FloatArray:
    """Return the log probability of one subject's categories, dim (sample)."""
    columns = np.flatnonzero(model.scores.there[row])
    return log_probability(
        [int(model.scores.place[row, column]) for column in columns],
        [_period_cuts(flat, model, np.array([row]), int(column))[:, 0] for column in columns],
        spread=flat["sd_subject"].values if "sd_subject" in flat else None,
        link=model.link,
    )
