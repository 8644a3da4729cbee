"""NUTS on either stack: a PyMC model in, the groups of a sampled fit out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import nutpie
import pymc as pm
import xarray as xr

from bayes_ptsd._stack import as_datatree, data_groups, native
from bayes_ptsd.compiled import CompiledModels
from bayes_ptsd.errors import FitError
from bayes_ptsd.specification import USUAL

__all__ = [
    "derived_groups",
    "draw_prior",
    "model_graph",
    "sample_groups",
    "sample_posterior",
]

# enough to look at: a prior probability of .05 has a Monte Carlo error of .007
PRIOR_DRAWS = 1000
Stage = Callable[[str], None]


def sample_posterior(
    model: pm.Model,
    *,
    draws: int,
    tune: int,
    chains: int,
    seed: int,
    compiled: CompiledModels | None = None,
    kind: str = "",
    stage: Stage = lambda _: None,
    target_accept: float = USUAL,
) -> dict[str, xr.Dataset]:
    """Return ``posterior, sample_stats, observed_data, constant_data`` of a sampled model.

    `compiled` keeps compiled models by `kind`; `stage` is told what is being done. A model with no
    observed variable, or no point to start from, is a FitError.
    """
    if not model.observed_RVs:
        raise FitError("the model has no likelihood: sampling it would return the prior")
    cache = CompiledModels() if compiled is None else compiled
    if not cache.has(model, kind=kind):
        stage("compiling the model")
    ready = cache.get(model, kind=kind)
    stage("sampling")
    sampled = _sampled(
        ready, draws=draws, tune=tune, chains=chains, seed=seed, target_accept=target_accept
    )
    names = [v.name for v in (*model.free_RVs, *model.deterministics)]
    posterior = sampled["posterior"].to_dataset()
    posterior = posterior[[name for name in names if name in posterior]]
    # a reused compilation carries the labels of the data it was compiled with
    labels = {dim: list(model.coords[dim]) for dim in posterior.dims if dim in model.coords}
    stats = sampled["sample_stats"].to_dataset()
    return {
        "posterior": posterior.assign_coords(labels),
        "sample_stats": stats[[n for n, v in stats.data_vars.items() if v.dtype != object]],
        **data_groups(model),
    }


def _sampled(
    ready: Any, *, draws: int, tune: int, chains: int, seed: int, target_accept: float
) -> xr.DataTree:
    """Sample a compiled model to its end, or not at all."""
    running = nutpie.sample(
        ready, draws=draws, tune=tune, chains=chains, seed=seed, cores=chains,
        progress_bar=False, save_warmup=False, target_accept=target_accept, blocking=False,
    )  # fmt: skip
    try:
        trace = running.wait()
    except RuntimeError as error:
        cause = str(error).partition("Stack backtrace")[0].strip()
        raise FitError(
            f"the sampler could not run: {' '.join(cause.split())}; a prior may be too wide to "
            "start from"
        ) from error
    except BaseException:
        # nutpie's own waiting would turn an interrupt into a shorter chain
        running.cancel()
        raise
    return trace if isinstance(trace, xr.DataTree) else as_datatree(trace)


def sample_groups(
    model: pm.Model, *, draws: int, tune: int, chains: int, seed: int
) -> dict[str, xr.Dataset]:
    """Sample a model and let PyMC compute every other group that a fit carries."""
    groups = sample_posterior(model, draws=draws, tune=tune, chains=chains, seed=seed)
    return groups | derived_groups(model, groups, seed=seed)


def derived_groups(
    model: pm.Model, groups: dict[str, xr.Dataset], *, seed: int
) -> dict[str, xr.Dataset]:
    """Return the predictive, likelihood and prior groups that PyMC computes of a sampled model."""
    # PyMC 5 spoils the model for nutpie if the trace holds observed data, and draws from the
    # prior if it lacks constant data: hand over exactly these two groups
    handed = {str(key): groups[key] for key in ("posterior", "constant_data") if key in groups}
    trace = native(handed)
    with model:
        predictive = as_datatree(
            pm.sample_posterior_predictive(trace, random_seed=seed, progressbar=False)
        )
        before = as_datatree(pm.sample_prior_predictive(PRIOR_DRAWS, random_seed=seed))
        likelihood = pm.stats.compute_log_likelihood(
            trace, extend_inferencedata=False, progressbar=False
        )
        log_prior = pm.stats.compute_log_prior(trace, extend_inferencedata=False, progressbar=False)
    return {
        "posterior_predictive": _plain(predictive["posterior_predictive"]),
        "prior": _plain(before["prior"]),
        "prior_predictive": _plain(before["prior_predictive"]),
        "log_likelihood": _plain(likelihood),
        "log_prior": _plain(log_prior),
    }


def draw_prior(model: pm.Model, *, seed: int) -> xr.Dataset:
    """Draw 1,000 values of the parameters of a model from their prior, in one chain."""
    names = [variable.name for variable in (*model.free_RVs, *model.deterministics)]
    with model:
        drawn = as_datatree(
            pm.sample_prior_predictive(
                PRIOR_DRAWS,
                random_seed=seed,
                var_names=names,
                # compiling to machine code would take longer than the draws
                compile_kwargs={"mode": "FAST_COMPILE"},
            )
        )
    return _plain(drawn["prior"])


def _plain(group: Any) -> xr.Dataset:
    """Return a group as a Dataset of floats without the attributes of its maker."""
    dataset: xr.Dataset = group.to_dataset() if isinstance(group, xr.DataTree) else group
    return dataset.drop_attrs().astype(np.float64)


def model_graph(model: pm.Model) -> str:
    """Return the graph of a model in mermaid's notation, a node for each variable."""
    return str(pm.model_to_mermaid(model))
