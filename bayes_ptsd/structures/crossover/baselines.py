"""A crossover with a baseline in each period, and the baselines as outcomes.

The baseline of period 2 is measured after the first treatment, so it is an outcome and not a
covariate. Patient i, `s` = +1 if higher scores are better, else -1::

    (baseline[i,1], score[i,1], baseline[i,2], score[i,2]) ~ Normal(m[i], covariance)
    m[i] of baseline p:  baseline_level[p] + s * baseline_carryover * half[i] * 1[p = 2]
    m[i] of score p:     level + period_effect * (p - 3/2) + s * treatment_difference * x[i,p]
                         + s * carryover * half[i] * 1[p = 2]
    half[i] = +1/2 if active first else -1/2;  x[i,1] = half[i], x[i,2] = -half[i]
    carryover = carryover_share * baseline_carryover
    correlations ~ LKJ(shape), standard deviations ~ prior of sd_period

The mean of the first baseline is common to the sequences. The second baseline identifies
`baseline_carryover`; what is left of it in the score of period 2 is its share. Without the option
``carryover`` both are zero. Missing values are integrated out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayes_ptsd.gaussian.blocks import Blocks, flat_draws
from bayes_ptsd.priors import FloatArray
from bayes_ptsd.structures.crossover.model import CrossoverModel

if TYPE_CHECKING:
    import pymc as pm

__all__ = ["COLUMNS", "joint_blocks", "joint_log_priors", "joint_values", "pymc_baselines"]

COLUMNS = ("baseline_1", "score_1", "baseline_2", "score_2")


def pymc_baselines(model: CrossoverModel) -> pm.Model:
    """Write the joint model of baselines and scores of both periods out.

    Values, which of them are there, and prior parameters are data that can be exchanged.
    """
    import pymc as pm
    import pytensor.tensor as pt

    from bayes_ptsd.gaussian.observed import observe_masked
    from bayes_ptsd.pymc_priors import prior_distribution, prior_variable

    def variable(key: str, name: str = "", dims: str | None = None) -> Any:
        return prior_variable(name or key, model.priors[key], dims=dims, exchangeable=True)

    coords = {
        "subject": model.pairs.subject,
        "period": [1, 2],
        "sequence": sorted(set(model.sequence)),
        "column": list(COLUMNS),
        "other_column": list(COLUMNS),
    }
    with pm.Model(coords=coords) as built:
        first = pm.Data("active_first", model.pairs.active_first.astype(float), dims="subject")
        half = first - 0.5
        contrast = model.sign * variable("treatment", "treatment_difference")
        level, change = variable("level"), variable("period_effect")
        before = variable("baseline_level", dims="period")
        baseline_carryover, carryover = pt.zeros(()), pt.zeros(())
        if model.options["carryover"]:
            baseline_carryover = variable("carryover", "baseline_carryover")
            share = variable("carryover_share")
            carryover = pm.Deterministic("carryover", share * baseline_carryover)
            pm.Deterministic("within_patient_contrast", model.sign * contrast - carryover / 2)
        columns = [
            before[0] + 0 * half,
            level - change / 2 + contrast * half,
            before[1] + model.sign * baseline_carryover * half,
            level + change / 2 + (model.sign * carryover - contrast) * half,
        ]
        mean = pt.stack(columns, axis=1)
        if model.options["sequence_effect"]:
            mean = mean + variable("sequence", "sequence_effect") * half[:, None]

        spread, correlations = model.priors["sd_period"], model.priors["correlations"]
        root, _, sd = pm.LKJCholeskyCov(
            "covariance_root", n=4, eta=float(correlations.params["shape"]),
            sd_dist=prior_distribution("sd_period", spread), store_in_trace=False,
        )  # fmt: skip
        covariance = root @ root.T
        pm.Deterministic("covariance", covariance, dims=("column", "other_column"))
        pm.Deterministic("sd_baseline", sd[np.array([0, 2])], dims="period")
        pm.Deterministic("sd_period", sd[np.array([1, 3])], dims="period")
        pm.Deterministic("correlation", covariance[1, 3] / (sd[1] * sd[3]))
        observe_masked(
            "values", joint_values(model), mean=mean, covariance=covariance,
            dims=("subject", "column"),
        )  # fmt: skip
    return built


def joint_values(model: CrossoverModel) -> FloatArray:
    """Return what was observed of each patient, dims (subject, column), NaN where it is missing."""
    assert model.baselines is not None
    return np.stack([model.baselines, model.pairs.score], axis=-1).reshape(-1, len(COLUMNS))


def joint_blocks(model: CrossoverModel, scores: Mapping[str, FloatArray]) -> Blocks:
    """Return the joint model as columns; `scores` are those of the scores, (subject, period)."""
    values, half = joint_values(model), model.pairs.active_first - 0.5
    columns = {name: np.zeros(values.shape) for name in scores}
    for name, column in scores.items():
        columns[name][:, 1::2] = column
    if "sequence_effect" in columns:
        columns["sequence_effect"][:] = half[:, None]
    if model.options["carryover"]:
        columns["baseline_carryover"] = np.zeros(values.shape)
        columns["baseline_carryover"][:, 2] = model.sign * half
    columns["baseline_level"] = np.zeros((*values.shape, 2))
    columns["baseline_level"][:, [0, 2], [0, 1]] = 1
    subject = model.pairs.subject
    return Blocks(values, subject, columns, lambda draws: flat_draws(draws, "covariance"))


def joint_log_priors(draws: xr.Dataset, model: CrossoverModel) -> dict[str, xr.DataArray]:
    """Return log densities of the correlations, up to a constant, and of baseline sds."""
    covariance = draws["covariance"].transpose("chain", "draw", ...).values
    sd = np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1))
    log_det = np.linalg.slogdet(covariance)[1] - 2 * np.log(sd).sum(axis=-1)
    shape = float(model.priors["correlations"].params["shape"])
    before = model.priors["sd_period"].logpdf(sd[..., [0, 2]])
    coords = {name: draws[name] for name in ("chain", "draw")}
    dims = ("chain", "draw", "period")
    return {
        "correlations": xr.DataArray((shape - 1) * log_det, coords=coords, dims=dims[:2]),
        "sd_baseline": xr.DataArray(before, coords=coords | {"period": [1, 2]}, dims=dims),
    }
