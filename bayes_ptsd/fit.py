"""From evidence and a specification to a fit, by the exact engine or by NUTS."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

from bayes_ptsd.assembly import assembled_fit
from bayes_ptsd.compiled import CompiledModels
from bayes_ptsd.errors import FitError, nearest
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.provenance import DEFAULT_SEED, EXACT_SETTINGS, make_result_id
from bayes_ptsd.specification import ModelSpec, Problem, as_specification

if TYPE_CHECKING:
    import pymc as pm

    from bayes_ptsd.store import ResultStore

__all__ = [
    "ENGINES",
    "build_model",
    "chosen_engine",
    "fit_model",
    "frequentist_document",
    "sampler_settings",
    "stored_fit",
]

ENGINES = ("auto", "exact", "nuts")


def sampler_settings(draws: int, tune: int, chains: int) -> dict[str, Any]:
    """Return the settings that enter the identity of a sampled fit."""
    return {"engine": "nuts", "draws": draws, "tune": tune, "chains": chains}


def chosen_engine(evidence: Evidence, spec: ModelSpec, *, engine: str = "auto") -> str:
    """Return the engine of an analysis; auto is exact where there is an exact engine, else nuts."""
    return _engine(spec.room.problem(evidence, spec), spec, engine)


def fit_model(
    evidence: Evidence,
    spec: ModelSpec | str | Path,
    *,
    engine: str = "auto",
    draws: int = 1000,
    tune: int = 1000,
    chains: int = 4,
    seed: int = DEFAULT_SEED,
    compiled: CompiledModels | None = None,
    stage: Callable[[str], None] = lambda _: None,
) -> xr.DataTree:
    """Compute the posterior of a model for some evidence.

    Parameters
    ----------
    evidence : Evidence
        What is analyzed: the outcome that the model is about, see `select_outcome`,
        `select_endpoint` and `select_contrast`.
    spec : ModelSpec, str or Path
        The model with its priors, by its name or its file as well; nuts needs all priors proper.
    engine : {"auto", "exact", "nuts"}
        The exact engine where the model has one, else NUTS, as the command does; the exact engine
        of the structure; nutpie's NUTS.
    draws, tune, chains : int
        Draws kept and tuning steps per chain, and chains, of NUTS. The exact engines return 4,000
        independent draws whatever these say.
    seed : int
        Seed of every random step. Draws of NUTS repeat within Monte Carlo error only: their last
        digits may differ between a cold and a warm compile cache.
    compiled : CompiledModels, optional
        Compiled models to be reused over endpoints, priors and data of one shape.
    stage : callable
        Told what is being done: compiling, sampling, checking.

    Returns
    -------
    xr.DataTree
        Groups ``posterior, prior, posterior_predictive, prior_predictive, log_likelihood,
        log_prior, observed_data, constant_data, checks``; ``sample_stats`` of a sampled fit,
        ``exact`` of an exact one, ``carryover`` of a crossover with a carryover prior; dims
        ``chain, draw``. With an improper prior there are no prior groups.

    Raises
    ------
    FitError
        If the model has no observed variable, or no exact engine where one is asked for.
    SpecError, EvidenceError
        If there is no such model, or model and evidence do not fit together.

    Warns
    -----
    StatisticalWarning
        For every check that fails.

    Examples
    --------
    >>> from bayes_ptsd import load_published, select_contrast
    >>> row = select_contrast(load_published(), "T2.IESR.X")
    >>> fit = fit_model(row, "published")
    >>> fit.attrs["engine"], fit["posterior"].sizes["draw"]
    ('exact', 4000)
    """
    spec = as_specification(spec)
    problem = spec.room.problem(evidence, spec)
    return _fitted(
        evidence, spec, problem, engine=_engine(problem, spec, engine), draws=draws, tune=tune,
        chains=chains, seed=seed, compiled=compiled, stage=stage,
    )  # fmt: skip


def _fitted(
    evidence: Evidence,
    spec: ModelSpec,
    problem: Problem,
    *,
    engine: str,
    draws: int,
    tune: int,
    chains: int,
    seed: int,
    compiled: CompiledModels | None,
    stage: Callable[[str], None],
) -> xr.DataTree:
    """Compute the posterior of a problem with everything that belongs to a fit."""
    start, room = time.perf_counter(), spec.room
    if engine == "exact":
        settings, built = EXACT_SETTINGS, None
        stage("integrating")
        found = room.exact(problem.model, seed)
        if isinstance(found, xr.DataTree):
            return found
        groups = found
    else:
        # PyMC takes seconds to import, and the exact engines do without
        from bayes_ptsd.sampler import sample_posterior

        settings, built = sampler_settings(draws, tune, chains), room.pymc_model(problem.model)
        groups = sample_posterior(
            built, draws=draws, tune=tune, chains=chains, seed=seed, compiled=compiled,
            kind=problem.compiled, stage=stage, target_accept=problem.target_accept,
        )  # fmt: skip
    stage("predictive draws and checks")
    return assembled_fit(
        evidence, spec, problem, groups, built=built, settings=settings, seed=seed,
        seconds=lambda: time.perf_counter() - start, level=4,
    )  # fmt: skip


def stored_fit(
    evidence: Evidence,
    spec: ModelSpec,
    store: ResultStore,
    *,
    engine: str = "auto",
    draws: int = 1000,
    tune: int = 1000,
    chains: int = 4,
    seed: int = DEFAULT_SEED,
    keep_data: bool = False,
    compiled: CompiledModels | None = None,
    stage: Callable[[str], None] = lambda _: None,
) -> xr.DataTree:
    """Return a fit from the store, perhaps without patients' rows, or compute it and keep it."""
    problem = spec.room.problem(evidence, spec)
    chosen = _engine(problem, spec, engine)
    settings = EXACT_SETTINGS if chosen == "exact" else sampler_settings(draws, tune, chains)
    result_id = make_result_id(evidence, spec, settings=settings, seed=seed)
    if store.has(result_id):
        stage("loading")
        return store.load(result_id)
    fit = _fitted(
        evidence, spec, problem, engine=chosen, draws=draws, tune=tune, chains=chains, seed=seed,
        compiled=compiled, stage=stage,
    )  # fmt: skip
    store.save(fit, keep_data=keep_data)
    return fit


def frequentist_document(evidence: Evidence, spec: ModelSpec) -> dict[str, Any]:
    """Return the frequentist analysis of the estimand of a model.

    ``method, estimate, se, df, ci95, p_value`` of the treatment difference (benefit-positive, score
    units); for patients also ``analyses``, every estimand of every analysis; for a crossover
    ``periods``, lines as `period_lines` has them. Numbers that do not exist are None; if the
    analysis cannot be done the method says ``none`` and why.
    """
    return spec.room.counterpart(spec.room.problem(evidence, spec).model)


def build_model(evidence: Evidence, spec: ModelSpec | str | Path) -> pm.Model:
    """Build the PyMC model of some evidence.

    Parameters
    ----------
    evidence : Evidence
        What is analyzed.
    spec : ModelSpec, str or Path
        The model with its priors, by its name or its file as well.

    Returns
    -------
    pm.Model
        With at least one observed variable.

    Raises
    ------
    SpecError, EvidenceError
        If there is no such model, or model and evidence do not fit together.

    Examples
    --------
    >>> from bayes_ptsd import load_published, select_contrast
    >>> row = select_contrast(load_published(), "T2.IESR.F")
    >>> len(build_model(row, "published-first-period").observed_RVs)
    1
    """
    spec = as_specification(spec)
    return spec.room.pymc_model(spec.room.problem(evidence, spec).model)


def _engine(problem: Problem, spec: ModelSpec, engine: str) -> str:
    """Return the engine to use."""
    if engine not in ENGINES:
        raise FitError(f"unknown engine '{engine}'{nearest(engine, ENGINES)}")
    if engine == "exact" and problem.why_not_exact:
        raise FitError(
            f"no exact engine for model '{spec.name}': {problem.why_not_exact}; take engine 'nuts'"
        )
    if engine == "auto":
        return "nuts" if problem.why_not_exact else "exact"
    return engine
