"""Draws alone, their moments with Monte Carlo errors, and how far a true one may be from them."""

from __future__ import annotations

import arviz_stats
import numpy as np
import xarray as xr

from bayes_ptsd.compiled import CompiledModels
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.provenance import DEFAULT_SEED
from bayes_ptsd.sampler import sample_posterior
from bayes_ptsd.specification import ModelSpec

ERRORS = 5.0
"""Monte Carlo errors that a difference may have: a normal one passes 5 once in 1.7 million, so that
the two hundred comparisons of the suite together fail one run in eight thousand, on any machine."""


def drawn(
    evidence: Evidence,
    spec: ModelSpec,
    compiled: CompiledModels,
    *,
    draws: int = 1000,
    tune: int = 1000,
    seed: int = DEFAULT_SEED,
) -> xr.Dataset:
    """Return the draws that `fit_model` would take, without the checks that belong to a fit."""
    problem = spec.room.problem(evidence, spec)
    return sample_posterior(
        spec.room.pymc_model(problem.model), draws=draws, tune=tune, chains=4, seed=seed,
        compiled=compiled, kind=problem.compiled, target_accept=problem.target_accept,
    )["posterior"]  # fmt: skip


def moments(draws: xr.Dataset, name: str) -> dict[str, tuple[xr.DataArray, xr.DataArray]]:
    """Return mean and sd of a variable, each with its Monte Carlo standard error.

    The error of an sd is that of the mean squared deviation divided by twice the sd, with the
    effective sample size of the squares. `arviz_stats.mcse` of an sd takes that of the values,
    which is larger where chains of NUTS are antithetic: the sds of a period effect under 30 seeds
    were 1.8 times as far apart as it says.
    """
    one = draws[[name]]
    mean, sd = one[name].mean(("chain", "draw")), one[name].std(("chain", "draw"), ddof=1)
    square = arviz_stats.mcse((one - mean) ** 2, method="mean")[name] / (2 * sd)
    return {"mean": (mean, arviz_stats.mcse(one, method="mean")[name]), "sd": (sd, square)}


def meets(draws: xr.Dataset, exact: xr.Dataset, *names: str) -> None:
    """Assert means and sds of estimands within `ERRORS` Monte Carlo errors of exact ones."""
    for name in names:
        for key, (found, error) in moments(draws, name).items():
            gap = float(found) - float(exact[key].sel(estimand=name))
            assert abs(gap) < ERRORS * float(error), (name, key, gap / float(error))


def agree(ours: xr.Dataset, theirs: xr.Dataset, name: str) -> None:
    """Assert that a variable has one mean and sd in two independent sets of draws."""
    pairs = zip(moments(ours, name).items(), moments(theirs, name).values(), strict=True)
    for (key, (one, error)), (other, second) in pairs:
        gap = np.abs(one - other.transpose(*one.dims)) / np.hypot(error, second)
        assert bool((gap < ERRORS).all()), (name, key, float(gap.max()))
