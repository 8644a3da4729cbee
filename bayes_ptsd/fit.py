"""Sampling: from evidence and a specification to a fit, by NUTS on either stack."""

from __future__ import annotations

import json
import time
import warnings
from typing import Any

import numpy as np
import nutpie
import pymc as pm
import xarray as xr

from bayes_ptsd._stack import as_datatree, data_groups, native
from bayes_ptsd.build import build_model
from bayes_ptsd.checks import check_fit, checks_passed, failed_checks
from bayes_ptsd.errors import FitError, StatisticalWarning
from bayes_ptsd.estimands import estimate, summary_document
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.exact.printed import accepted_row, describe_row, row_prior
from bayes_ptsd.provenance import DEFAULT_SEED, stamp
from bayes_ptsd.spec import ModelSpec

__all__ = ["fit_model", "sampler_settings"]

PRIOR_DRAWS = 1000


def sampler_settings(draws: int, tune: int, chains: int) -> dict[str, Any]:
    """Return the settings that enter the identity of a sampled fit.

    Examples
    --------
    >>> sampler_settings(1000, 1000, 4)["engine"]
    'nuts'
    """
    return {"engine": "nuts", "draws": draws, "tune": tune, "chains": chains}


def fit_model(
    evidence: Evidence,
    spec: ModelSpec,
    *,
    draws: int = 1000,
    tune: int = 1000,
    chains: int = 4,
    seed: int = DEFAULT_SEED,
    progress: bool = False,
) -> xr.DataTree:
    """Sample the posterior of a specification for some evidence with nutpie's NUTS.

    Parameters
    ----------
    evidence : Evidence
        What is analyzed.
    spec : ModelSpec
        The model with its priors, all of them proper.
    draws, tune, chains : int
        Draws kept and tuning steps per chain, and chains.
    seed : int
        Seed of every random step. Draws repeat within Monte Carlo error only: their last digits
        may differ between a cold and a warm compile cache.
    progress : bool
        Whether the sampler shows its progress.

    Returns
    -------
    xr.DataTree
        Groups ``posterior, prior, posterior_predictive, prior_predictive, log_likelihood,
        log_prior, sample_stats, observed_data, constant_data, checks``; dims ``chain, draw``.

    Raises
    ------
    FitError
        If the model has no observed variable: its posterior would be its prior.

    Warns
    -----
    StatisticalWarning
        For every check that fails.

    Examples
    --------
    >>> from bayes_ptsd.evidence.published import load_published, select_contrast
    >>> from bayes_ptsd.spec import load_model
    >>> row = select_contrast(load_published(), "T2.IESR.X")
    >>> fit = fit_model(row, load_model("published"))
    >>> fit.attrs["engine"], fit["posterior"].sizes["chain"]
    ('nuts', 4)
    """
    start = time.perf_counter()
    model = build_model(evidence, spec)
    groups = sample_groups(
        model, draws=draws, tune=tune, chains=chains, seed=seed, progress=progress
    )
    row, prior = accepted_row(evidence, spec), row_prior(spec, evidence)
    tree = xr.DataTree.from_dict(groups)
    tree["checks"] = xr.DataTree(check_fit(tree))
    failures = failed_checks(tree)
    for failure in failures:
        warnings.warn(failure, StatisticalWarning, stacklevel=2)
    tree.attrs = stamp(
        evidence,
        spec,
        endpoint=evidence.trial.endpoint(str(row["endpoint"].item())),
        settings=sampler_settings(draws, tune, chains),
        seed=seed,
        seconds=time.perf_counter() - start,
        warnings=failures,
    )
    tree.attrs.update(describe_row(row, spec, prior))
    tree.attrs["checks_passed"] = int(checks_passed(tree))
    tree.attrs["summary"] = json.dumps(summary_document(estimate(tree)))
    return tree


def sample_groups(
    model: pm.Model, *, draws: int, tune: int, chains: int, seed: int, progress: bool
) -> dict[str, xr.Dataset]:
    """Sample a model and compute every group that a fit carries.

    Raises
    ------
    FitError
        If the model has no observed variable.

    Examples
    --------
    >>> with pm.Model() as model:
    ...     mu = pm.Normal("mu", 0, 1)
    ...     y = pm.Normal("y", mu, 1, observed=[1.0])
    >>> groups = sample_groups(model, draws=50, tune=50, chains=2, seed=1, progress=False)
    >>> sorted(groups)[:2]
    ['log_likelihood', 'log_prior']
    """
    if not model.observed_RVs:
        raise FitError("the model has no likelihood: sampling it would return the prior")
    compiled = nutpie.compile_pymc_model(model)
    trace = nutpie.sample(
        compiled, draws=draws, tune=tune, chains=chains, seed=seed, cores=chains,
        progress_bar=progress, save_warmup=False,
    )  # fmt: skip
    sampled = as_datatree(trace) if not isinstance(trace, xr.DataTree) else trace
    names = [v.name for v in (*model.free_RVs, *model.deterministics)]
    posterior = sampled["posterior"].to_dataset()[names]
    stats = sampled["sample_stats"].to_dataset()
    groups = {
        "posterior": posterior,
        "sample_stats": stats[[n for n, v in stats.data_vars.items() if v.dtype != object]],
        **data_groups(model),
    }
    return groups | _derived(model, groups, seed=seed)


def _derived(model: pm.Model, groups: dict[str, xr.Dataset], *, seed: int) -> dict[str, xr.Dataset]:
    """Compute predictive, likelihood and prior groups of a sampled model."""
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


def _plain(group: Any) -> xr.Dataset:
    """Return a group as a Dataset of floats without the attributes of its maker."""
    dataset: xr.Dataset = group.to_dataset() if isinstance(group, xr.DataTree) else group
    return dataset.drop_attrs().astype(np.float64)
