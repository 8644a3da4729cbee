"""From evidence and a specification to a fit, by the exact engine or by NUTS."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import xarray as xr

from bayes_ptsd.checks import check_fit, checks_passed, failed_checks, joined_checks
from bayes_ptsd.compiled import CompiledModels
from bayes_ptsd.errors import FitError, StatisticalWarning, nearest
from bayes_ptsd.estimands import estimate, summary_document
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.mirrors import frequentist_document
from bayes_ptsd.plans import PLANS, Groups, Plan
from bayes_ptsd.provenance import DEFAULT_SEED, make_result_id, stamp
from bayes_ptsd.spec import ModelSpec

if TYPE_CHECKING:
    from bayes_ptsd.store import ResultStore

__all__ = ["ENGINES", "chosen_engine", "fit_model", "sampler_settings", "stored_fit"]

ENGINES = ("auto", "exact", "nuts")
# as many draws as a sampled fit has by default, 4 chains of 1,000
EXACT_SETTINGS = {"engine": "exact", "draws": 4000}


def sampler_settings(draws: int, tune: int, chains: int) -> dict[str, Any]:
    """Return the settings that enter the identity of a sampled fit."""
    return {"engine": "nuts", "draws": draws, "tune": tune, "chains": chains}


def chosen_engine(evidence: Evidence, spec: ModelSpec, *, engine: str = "auto") -> str:
    """Return the engine of an analysis; auto is exact where there is an exact engine, else nuts."""
    return _engine(_plan(evidence, spec), spec, engine)


def fit_model(
    evidence: Evidence,
    spec: ModelSpec,
    *,
    engine: str = "nuts",
    draws: int = 1000,
    tune: int = 1000,
    chains: int = 4,
    seed: int = DEFAULT_SEED,
    compiled: CompiledModels | None = None,
    stage: Callable[[str], None] = lambda _: None,
) -> xr.DataTree:
    """Compute the posterior of a specification for some evidence.

    Parameters
    ----------
    evidence : Evidence
        What is analyzed.
    spec : ModelSpec
        The model with its priors; nuts needs all of them proper.
    engine : {"nuts", "exact", "auto"}
        nutpie's NUTS, the exact engine of the structure, or the exact one where there is one.
    draws, tune, chains : int
        Draws kept and tuning steps per chain, and chains, of NUTS. The exact engines return 4,000
        independent draws.
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
    plan = _plan(evidence, spec)
    if _engine(plan, spec, engine) == "exact":
        settings, model = EXACT_SETTINGS, None
        stage("integrating")
        found = plan.exact(seed)
        if isinstance(found, xr.DataTree):
            return found
        groups = found
    else:
        # PyMC takes seconds to import, and the exact engines do without
        from bayes_ptsd.sampler import sample_posterior

        settings, model = sampler_settings(draws, tune, chains), plan.build()
        groups = sample_posterior(
            model, draws=draws, tune=tune, chains=chains, seed=seed,
            compiled=compiled, kind=plan.kind, stage=stage, target_accept=plan.target_accept,
        )  # fmt: skip
    stage("predictive draws and checks")
    tree = _checked(groups | plan.derive(model, groups, seed), plan)
    failures = failed_checks(tree)
    for failure in failures:
        warnings.warn(failure, StatisticalWarning, stacklevel=2)
    tree.attrs = stamp(
        evidence,
        spec,
        endpoint=plan.endpoint,
        settings=settings,
        seed=seed,
        seconds=time.perf_counter() - start,
        warnings=[*plan.notes, *failures],
    )
    tree.attrs.update(plan.attrs)
    tree.attrs["checks_passed"] = int(checks_passed(tree))
    tree.attrs["frequentist"] = json.dumps(frequentist_document(evidence, spec))
    tree.attrs["summary"] = json.dumps(summary_document(estimate(tree)))
    return tree


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
    chosen = chosen_engine(evidence, spec, engine=engine)
    settings = EXACT_SETTINGS if chosen == "exact" else sampler_settings(draws, tune, chains)
    result_id = make_result_id(evidence, spec, settings=settings, seed=seed)
    if store.has(result_id):
        stage("loading")
        return store.load(result_id)
    fit = fit_model(
        evidence, spec, engine=chosen, draws=draws, tune=tune, chains=chains, seed=seed,
        compiled=compiled, stage=stage,
    )  # fmt: skip
    store.save(fit, keep_data=keep_data)
    return fit


def _plan(evidence: Evidence, spec: ModelSpec) -> Plan:
    """Return what the structure contributes."""
    return PLANS[spec.structure](evidence, spec)


def _engine(plan: Plan, spec: ModelSpec, engine: str) -> str:
    """Return the engine to use."""
    if engine not in ENGINES:
        raise FitError(f"unknown engine '{engine}'{nearest(engine, ENGINES)}")
    if engine == "exact" and plan.why_not_exact:
        raise FitError(
            f"no exact engine for model '{spec.name}': {plan.why_not_exact}; take engine 'nuts'"
        )
    if engine == "auto":
        return "nuts" if plan.why_not_exact else "exact"
    return engine


def _checked(groups: Groups, plan: Plan) -> xr.DataTree:
    """Assemble a fit with its checks."""
    tree = xr.DataTree.from_dict(groups)
    tables = [groups["checks"]] if "checks" in groups else []
    if "sample_stats" in groups:
        tables.append(check_fit(tree))
    more = plan.check(tree)
    tables += [more.pop("checks")] if "checks" in more else []
    for name, group in more.items():
        tree[name] = xr.DataTree(group)
    tree["checks"] = xr.DataTree(joined_checks(tables))
    return tree
