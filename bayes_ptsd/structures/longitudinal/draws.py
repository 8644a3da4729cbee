"""What draws of a longitudinal model's parameters say: estimands, density, replicates, courses.

The scores of a patient are one normal vector; visits that are missing are integrated out, so the
density by subject is the marginal one that leave-one-subject-out needs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from bayes_ptsd.gaussian.blocks import Blocks, flat_draws, replicated_cells
from bayes_ptsd.gaussian.covariance import (
    correlation_matrix,
    covariance_matrix,
    draw_partials,
    log_matrix_density,
    pair_entries,
)
from bayes_ptsd.gaussian.parameters import draw_parameters, log_prior_densities
from bayes_ptsd.priors import FloatArray
from bayes_ptsd.structures.arms import arm_means
from bayes_ptsd.structures.longitudinal.model import BASELINE, LongitudinalModel

__all__ = [
    "derived",
    "draw_priors",
    "log_priors",
    "patient_blocks",
    "replicated_scores",
    "trajectory_summary",
]

PARTIAL = "partial_correlation"
# limits of a 95% equal-tailed interval
BOUNDS = (0.025, 0.975)


def derived(draws: xr.Dataset, model: LongitudinalModel) -> xr.Dataset:
    """Add the estimands that are functions of the parameters.

    ``treatment_difference`` (the mean of ``visit_difference`` over the visits, positive where the
    active treatment is better), ``interaction_max`` (the largest distance of a visit's difference
    from that mean: P(> MCID) is the probability of any interaction of that size),
    ``visit_correlation`` by pair of occasions, and ``arm_mean`` (treatment, visit) at the mean
    baseline and covariates, as recorded.
    """
    difference = draws["visit_difference"]
    mean = difference.mean("visit")
    pairs = pair_entries(_correlations(draws, model), len(model.occasions))
    table = pairs.reshape(draws.sizes["chain"], draws.sizes["draw"], -1)
    level = draws["level"].sel(occasion=list(model.visits)).rename(occasion="visit")
    labels = {"visit_pair": model.coords["visit_pair"]}
    return draws.assign_coords(labels).assign(
        treatment_difference=mean,
        interaction_max=abs(difference - mean).max("visit"),
        visit_correlation=(("chain", "draw", "visit_pair"), table),
        arm_mean=arm_means(level, difference, model),
    )


def patient_blocks(model: LongitudinalModel) -> Blocks:
    """Return occasions, columns and covariance for the common density.

    With a joint baseline the density is of baseline and scores together.
    """
    count, each = len(model.occasions), np.eye(len(model.occasions))
    benefit, visits = model.sign * model.contrast, each[:, int(model.joint) :]
    columns = {
        "level": np.broadcast_to(each, (len(benefit), count, count)),
        # before treatment there is no difference, so a baseline has no place in it
        "visit_difference": benefit[:, None, None] * visits,
    }
    if model.baseline is not None:
        common = model.options["baseline"] == "common_slope"
        shape = np.ones(count) if common else each
        columns["baseline_slope"] = np.multiply.outer(model.baseline, shape)
    if model.covariates.size:
        values = model.covariates.values[:, None, :]
        columns["covariate"] = np.broadcast_to(values, (len(benefit), count, values.shape[2]))
    return Blocks(model.values, model.subject, columns, lambda draws: _covariance(draws, model))


def replicated_scores(
    draws: xr.Dataset, model: LongitudinalModel, rng: np.random.Generator
) -> xr.Dataset:
    """Draw ``score`` (chain, draw, subject, visit) of new patients, NaN where one is missing.

    Arms, baselines and missing visits are those of the data.
    """
    values = replicated_cells(draws, patient_blocks(model), rng)[..., int(model.joint) :]
    score = np.where(np.isfinite(model.score), values, np.nan)
    coords = {"chain": draws["chain"], "draw": draws["draw"], **model.observed.coords}
    return xr.Dataset({"score": (("chain", "draw", "subject", "visit"), score)}, coords=coords)


def draw_priors(model: LongitudinalModel, size: int, *, seed: int) -> xr.Dataset:
    """Draw every parameter from its prior, with the estimands; an improper prior is a SpecError.

    Dims ``chain`` (1) and ``draw`` first.
    """
    drawn = draw_parameters(list(model.parameters.values()), model.coords, size, seed=seed)
    rng = np.random.default_rng([seed, 1])
    if model.options["shrinkage"]:
        noise = rng.normal(size=(1, size, len(model.visits)))
        standard = xr.DataArray(noise, dims=("chain", "draw", "visit"))
        spread = drawn["shrinkage_sd"] * standard
        drawn["visit_difference"] = (drawn["shrinkage_mean"] + spread).assign_coords(
            visit=list(model.visits)
        )
    if model.options["covariance"] == "unstructured":
        partial = draw_partials(model.matrix, len(model.occasions), (1, size), rng)
        drawn = drawn.assign_coords(visit_pair=model.coords["visit_pair"])
        drawn[PARTIAL] = (("chain", "draw", "visit_pair"), partial)
    return derived(drawn, model)


def log_priors(draws: xr.Dataset, model: LongitudinalModel) -> xr.Dataset:
    """Return the log prior density of each parameter at each draw, improper up to a constant.

    Also ``correlations`` of an unstructured matrix. With shrinkage the differences at the visits
    have none of their own: strengthening the prior means that of their mean and spread.
    """
    found = log_prior_densities(draws, list(model.parameters.values()))
    if model.options["covariance"] == "unstructured":
        partial = draws[PARTIAL].transpose("chain", "draw", "visit_pair").values
        density = log_matrix_density(model.matrix, partial, len(model.occasions))
        found["correlations"] = (("chain", "draw"), density)
    return found


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


def _correlations(draws: xr.Dataset, model: LongitudinalModel) -> FloatArray:
    """Return the correlations of the occasions, dims (sample, occasion, occasion)."""
    names = (
        ("partial", PARTIAL),
        ("correlation", "correlation"),
        ("half_life", "half_life"),
        ("nugget", "nugget_share"),
    )
    found = {name: flat_draws(draws, key) for name, key in names if key in draws}
    structure = str(model.options["covariance"])
    matrix = correlation_matrix(structure, len(model.occasions), days=model.days, **found)
    return np.asarray(matrix)


def _covariance(draws: xr.Dataset, model: LongitudinalModel) -> FloatArray:
    """Return the covariance of the occasions, dims (sample, occasion, occasion)."""
    sd = flat_draws(draws, "sd_visit")
    each = sd if sd.ndim == 2 else np.repeat(sd[:, None], len(model.occasions), axis=1)
    return np.asarray(covariance_matrix(_correlations(draws, model), each))
