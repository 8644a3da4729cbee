"""NUTS as an engine of calibration: one compiled model, new scores for every simulation."""

from __future__ import annotations

import numpy as np
import pymc as pm
import xarray as xr

from bayes_ptsd.calibration.ranks import Sampler
from bayes_ptsd.calibration.work import seed_of
from bayes_ptsd.checks import check_fit
from bayes_ptsd.compiled import CompiledModels
from bayes_ptsd.priors import FloatArray
from bayes_ptsd.sampler import sample_posterior
from bayes_ptsd.structures.crossover.model import CrossoverModel
from bayes_ptsd.structures.crossover.room import pymc_model as crossover_pymc

__all__ = ["CHAINS", "THIN", "TUNE", "nuts_engine"]

CHAINS, TUNE, THIN = 4, 500, 20
"""Chains, tuning steps, and draws of a chain of which one is kept."""


def nuts_engine(model: CrossoverModel) -> Sampler:
    """Return what draws from posteriors of a model by NUTS, compiled once.

    Every twentieth draw of four chains, so that draws are nearly independent; ``rhat_max``,
    ``ess_bulk_min`` (of all draws) and ``divergences`` by data set.
    """
    pymc_model, compiled = crossover_pymc(model), CompiledModels()
    subject, period = np.nonzero(np.isfinite(model.pairs.score))

    def sample(scores: FloatArray, wanted: int, draws: int, seed: int) -> xr.Dataset:
        found = []
        for number in range(wanted):
            pm.set_data({"score_data": scores[number][subject, period]}, model=pymc_model)
            groups = sample_posterior(
                pymc_model, draws=THIN * -(-draws // CHAINS), tune=TUNE, chains=CHAINS,
                seed=seed_of(seed, number), compiled=compiled, kind="calibration",
            )  # fmt: skip
            found.append(_thinned(groups, draws))
        return xr.concat(found, dim="dataset")

    return sample


def _thinned(groups: dict[str, xr.Dataset], draws: int) -> xr.Dataset:
    """Return nearly independent draws in one dim, with what is known of the chains."""
    posterior = groups["posterior"]
    checks = check_fit(xr.DataTree.from_dict(groups))["figure"]
    kept = posterior.isel(draw=slice(THIN - 1, None, THIN)).stack(sample=("draw", "chain"))
    kept = kept.drop_vars(["sample", "draw", "chain"]).rename(sample="draw").isel(draw=slice(draws))
    names = ("rhat_max", "ess_bulk_min", "divergences")
    return kept.assign({name: float(checks.sel(check=name)) for name in names})
