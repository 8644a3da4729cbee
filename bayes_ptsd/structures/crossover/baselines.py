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

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayes_ptsd.priors import FloatArray
from bayes_ptsd.structures.crossover.model import CrossoverModel

if TYPE_CHECKING:
    import pymc as pm

__all__ = ["COLUMNS", "baseline_means", "joint_values", "pymc_baselines"]

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


def baseline_means(flat: xr.Dataset, model: CrossoverModel) -> FloatArray:
    """Return the mean baselines, dims (sample, subject, period)."""
    half = model.pairs.active_first - 0.5
    mean = np.repeat(flat["baseline_level"].values[:, None, :], len(half), axis=1)
    if "baseline_carryover" in flat:
        mean[:, :, 1] += model.sign * flat["baseline_carryover"].values[:, None] * half
    if "sequence_effect" in flat:
        mean = mean + flat["sequence_effect"].values[:, None, None] * half[:, None]
    return mean
