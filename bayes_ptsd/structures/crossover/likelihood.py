"""Columns, covariance and priors of a crossover, and the groups of a fit that follow from them.

Equations in ``docs/methods/crossover-model.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from bayes_ptsd.gaussian.blocks import (
    Blocks,
    flat_draws,
    patient_groups,
    replicated_cells,
)
from bayes_ptsd.gaussian.blocks import subject_log_likelihood as block_log_likelihood
from bayes_ptsd.gaussian.parameters import (
    NU_FLOOR,
    Parameter,
    draw_parameters,
    log_prior_densities,
)
from bayes_ptsd.priors import FloatArray
from bayes_ptsd.structures.crossover.baselines import joint_blocks, joint_log_priors
from bayes_ptsd.structures.crossover.design import score_columns
from bayes_ptsd.structures.crossover.model import CrossoverModel
from bayes_ptsd.structures.patients import PRIOR_DRAWS

__all__ = [
    "crossover_blocks",
    "crossover_groups",
    "draw_priors",
    "has_proper_priors",
    "log_priors",
    "replicated_scores",
    "subject_log_likelihood",
]

NAMES: Mapping[str, str] = {"treatment": "treatment_difference", "sequence": "sequence_effect"}
"""Names in the posterior of parameters that are called otherwise there."""


def crossover_blocks(model: CrossoverModel) -> Blocks:
    """Return scores, columns and covariance; cells are periods, of a joint model `COLUMNS`."""
    pairs = model.pairs
    columns = {
        NAMES.get(key, key): column
        for key, column in score_columns(pairs, model.priors, benefit_sign=model.sign).items()
    }
    if model.baselines is not None:
        return joint_blocks(model, columns)
    if pairs.baseline is not None:
        centered = pairs.baseline - pairs.baseline.mean()
        columns["baseline_slope"] = centered[:, None, None] * np.eye(2)
    covariance = partial(_covariance, form=str(model.options["form"]))
    return Blocks(pairs.score, pairs.subject, columns, covariance)


def _covariance(draws: xr.Dataset, *, form: str) -> FloatArray:
    """Return the covariance of a patient's two scores, dims (sample, period, period)."""
    if form == "random_intercept":
        within = _by_period(draws, "sd_within")
        between = flat_draws(draws, "sd_subject")[:, None, None] ** 2
        return np.asarray(between + np.eye(2) * within[:, :, None] ** 2)
    sd = _by_period(draws, "sd_period")
    rho = flat_draws(draws, "correlation")[:, None, None]
    pattern = np.eye(2) + rho * (1 - np.eye(2))
    return np.asarray(sd[:, :, None] * sd[:, None, :] * pattern)


def _by_period(draws: xr.Dataset, name: str) -> FloatArray:
    """Return a standard deviation by period, dims (sample, period)."""
    sd = flat_draws(draws, name)
    return sd if sd.ndim == 2 else np.repeat(sd[:, None], 2, axis=1)


def subject_log_likelihood(draws: xr.Dataset, model: CrossoverModel) -> xr.DataArray:
    """Return the log density of each patient's observed scores, dims (chain, draw, subject)."""
    return block_log_likelihood(draws, crossover_blocks(model))


def replicated_scores(
    draws: xr.Dataset, model: CrossoverModel, rng: np.random.Generator
) -> xr.Dataset:
    """Draw scores of new patients, dims (chain, draw, subject, period), NaN where one is missing.

    Sequences and missing cells are those of the data; a joint model has ``baseline``, too.
    """
    blocks = crossover_blocks(model)
    drawn = np.where(np.isfinite(blocks.values), replicated_cells(draws, blocks, rng), np.nan)
    names = ["score"] if model.baselines is None else ["baseline", "score"]
    cells = drawn.reshape(*drawn.shape[:3], 2, len(names))
    dims = ("chain", "draw", "subject", "period")
    found = {name: (dims, cells[..., i]) for i, name in enumerate(names)}
    coords = {name: draws[name] for name in ("chain", "draw")}
    return xr.Dataset(found, coords={**coords, **model.observed.drop_vars(names).coords})


def _parameters(model: CrossoverModel) -> list[Parameter]:
    """Return the parameters under their names in the posterior."""
    unequal = model.options["period_sd"] == "unequal"
    twice = {"baseline_slope", "baseline_level", *(("sd_within", "sd_period") if unequal else ())}
    return [
        Parameter(
            NAMES.get(key, key),
            prior,
            dims=("period",) if key in twice else (),
            floor=NU_FLOOR if key == "nu" else -np.inf,
            unit=key == "correlation" and prior.dist == "beta",
        )
        for key, prior in model.priors.items()
    ]


def has_proper_priors(model: CrossoverModel) -> bool:
    """Tell whether every prior of a model is a distribution that can be drawn from."""
    return all(prior.drawable for prior in model.priors.values())


def draw_priors(model: CrossoverModel, size: int, *, seed: int) -> xr.Dataset:
    """Draw every parameter from its prior, dims ``chain`` (1), ``draw`` and, for some, ``period``.

    An improper prior is a SpecError. Not for a joint model, whose correlations PyMC draws.
    """
    drawn = draw_parameters(_parameters(model), {"period": (1, 2)}, size, seed=seed)
    drawn = drawn.assign_coords(period=[1, 2])
    if "carryover" not in drawn:
        return drawn
    # what a crossover without carryover would estimate
    contrast = drawn["treatment_difference"] - drawn["carryover"] / 2
    return drawn.assign(within_patient_contrast=contrast)


def log_priors(draws: xr.Dataset, model: CrossoverModel) -> xr.Dataset:
    """Return the log prior density of each parameter at each draw, improper up to a constant."""
    found = log_prior_densities(draws, [one for one in _parameters(model) if one.name in draws])
    return found if model.baselines is None else found.assign(joint_log_priors(draws, model))


def crossover_groups(
    posterior: xr.Dataset, model: CrossoverModel, *, seed: int, prior: xr.Dataset | None = None
) -> dict[str, xr.Dataset]:
    """Compute data, predictive, likelihood and prior groups from draws of the parameters.

    ``log_likelihood`` is by subject, its effects integrated out, ``log_prior`` by parameter; where
    a prior is improper there are no ``prior`` and ``prior_predictive``.
    """
    constants: dict[str, Any] = {"active_first": ("subject", model.pairs.active_first)}
    if model.pairs.baseline is not None:
        constants["baseline"] = ("subject", model.pairs.baseline)

    def drawn() -> xr.Dataset:
        return draw_priors(model, PRIOR_DRAWS, seed=seed) if prior is None else prior

    return patient_groups(
        posterior,
        observed=model.observed,
        constants=xr.Dataset(constants, coords={"subject": model.pairs.subject}),
        replicated=lambda draws, rng: replicated_scores(draws, model, rng),
        log_likelihood=lambda draws: subject_log_likelihood(draws, model),
        log_prior=lambda draws: log_priors(draws, model),
        prior=drawn if has_proper_priors(model) else None,
        seed=seed,
    )
