"""Simulation-based calibration: the rank of each known truth among draws of its posterior.

Truths are drawn from the prior, scores from the model given them, and the posterior is computed
from the scores. If everything agrees, the rank of each truth among independent posterior draws is
uniform; so is that of the joint log likelihood, which sees errors that no single parameter shows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import xarray as xr

from bayes_ptsd.calibration.work import BLOCK, blocks_of, run_tasks, seed_of
from bayes_ptsd.errors import SpecError
from bayes_ptsd.priors import FloatArray
from bayes_ptsd.provenance import DEFAULT_SEED
from bayes_ptsd.structures.crossover.exact import crossover_batch_draws, exact_priors, why_not_exact
from bayes_ptsd.structures.crossover.likelihood import (
    draw_priors,
    has_proper_priors,
    replicated_scores,
    subject_log_likelihood,
)
from bayes_ptsd.structures.crossover.model import CrossoverModel

__all__ = ["LOG_LIKELIHOOD", "Engine", "Sampler", "exact_engine", "simulated_ranks"]

LOG_LIKELIHOOD = "log_likelihood"
"""Name of the joint log likelihood among the quantities."""

Sampler = Callable[[FloatArray, int, int, int], xr.Dataset]
"""Scores ``(dataset, subject, period)``, data sets wanted, draws and seed to posterior draws."""

Engine = Callable[[CrossoverModel], Sampler]
"""Prepares a model once, for scores of many simulations."""


@dataclass(frozen=True)
class RankTask:
    """Blocks of simulations that one worker computes."""

    model: CrossoverModel
    engine: Engine
    blocks: Sequence[tuple[int, int]]  # number and used size of each
    draws: int  # posterior draws a simulation
    seed: int  # of the study


def simulated_ranks(
    model: CrossoverModel,
    simulations: int,
    *,
    engine: Engine | None = None,
    draws: int = 100,
    seed: int = DEFAULT_SEED,
    executor: Executor | None = None,
    parts: int | None = None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> xr.Dataset:
    """Rank truths drawn from the prior among draws of the posteriors of simulated patients [1]_.

    ``rank``, 0 to `draws`, dims ``(simulation, quantity)``: every parameter, the estimands made of
    them, and the joint log likelihood [2]_; diagnostics of a sampler by ``simulation``. The scores
    of `model` are not used. Simulation i is the same whatever their number and whoever computes it;
    `parts` is into how many tasks an executor gets it (NUTS compiles once in each). A posterior
    that cannot be computed is a FitError: leaving it out would bend the ranks.

    References
    ----------
    .. [1] Talts S, Betancourt M, Simpson D, Vehtari A, Gelman A. Validating Bayesian inference
       algorithms with simulation-based calibration. arXiv:1804.06788, 2018.
    .. [2] Modrák M, Moon AH, Kim S, Bürkner P, Huurre N, Faltejsková K, Gelman A, Vehtari A.
       Simulation-based calibration checking for Bayesian computation: the choice of test
       quantities shapes sensitivity. Bayesian Analysis 2023.
    """
    _refuse_what_cannot_be_drawn(model)
    chosen = exact_engine if engine is None else engine
    blocks = blocks_of(simulations)
    if executor is None:
        sampler = chosen(model)
        task = RankTask(model, chosen, blocks, draws, seed)
        found = run_tasks(partial(_block_ranks, task, sampler), blocks, progress=progress)
    else:
        groups = [blocks[first :: parts or len(blocks)] for first in range(parts or len(blocks))]
        tasks = [RankTask(model, chosen, group, draws, seed) for group in groups if group]
        found = run_tasks(_task_ranks, tasks, executor=executor, progress=progress)
    ranks = xr.concat(found, dim="simulation").sortby("simulation")
    ranks["rank"].attrs["draws"] = draws
    return ranks.assign_attrs(model=model.spec.name, spec_id=model.spec.spec_id, seed=seed)


def exact_engine(model: CrossoverModel) -> Sampler:
    """Return what draws from exact posteriors of a model: independent, continuous draws."""
    if reason := why_not_exact(model.options):
        raise SpecError(f"no exact engine for model '{model.spec.name}': {reason}; take nuts")
    priors = exact_priors(model)

    def sample(scores: FloatArray, wanted: int, draws: int, seed: int) -> xr.Dataset:
        # the whole block, so that a simulation does not depend on how many are wanted
        return crossover_batch_draws(
            replace(model.pairs, score=scores), priors, benefit_sign=model.sign,
            covariance=model.options["form"], draws=draws, seed=seed,
        ).isel(dataset=slice(wanted))  # fmt: skip

    return sample


def _refuse_what_cannot_be_drawn(model: CrossoverModel) -> None:
    """Refuse models whose truth cannot be drawn from fixed priors."""
    if not has_proper_priors(model):
        raise SpecError(
            f"model '{model.spec.name}' has an improper prior: no truth can be drawn from it; "
            "give a proper one, such as the prior 'reference'"
        )
    if model.baselines is not None:
        raise SpecError(
            f"model '{model.spec.name}' has baseline = 'joint': calibration covers the scores "
            "alone; take baseline = 'none' or 'covariate'"
        )


def _task_ranks(task: RankTask) -> xr.Dataset:
    """Return the ranks of all blocks of a task."""
    sampler = task.engine(task.model)
    found = [_block_ranks(task, sampler, block) for block in task.blocks]
    return xr.concat(found, dim="simulation")


def _block_ranks(task: RankTask, sampler: Sampler, block: tuple[int, int]) -> xr.Dataset:
    """Draw truths and scores of one block and rank the truths."""
    number, wanted = block
    truth_seed, score_seed, draw_seed = (seed_of(task.seed, number, step) for step in range(3))
    truth = draw_priors(task.model, BLOCK, seed=truth_seed)
    rng = np.random.default_rng(score_seed)
    scores = replicated_scores(truth, task.model, rng)["score"].values[0]
    drawn = sampler(scores, wanted, task.draws, draw_seed)
    known = truth.isel(chain=0, drop=True).rename(draw="dataset").isel(dataset=slice(wanted))
    names = [str(name) for name in known.data_vars]
    tests = _quantities(known.expand_dims("draw"), task.model, scores)
    among = _quantities(drawn[names], task.model, scores)
    ranks = [(among[name] < value).sum(axis=1) for name, value in tests.items()]
    figures = {str(n): ("simulation", v.values) for n, v in drawn.items() if v.dims == ("dataset",)}
    return xr.Dataset(
        {"rank": (("simulation", "quantity"), np.stack(ranks, axis=1)), **figures},
        coords={"simulation": number * BLOCK + np.arange(wanted), "quantity": list(tests)},
    )


def _quantities(
    draws: xr.Dataset, model: CrossoverModel, scores: FloatArray
) -> dict[str, FloatArray]:
    """Return every quantity with dims (dataset, draw), one of each period where there are two."""
    found = {}
    for name, variable in draws.transpose("dataset", "draw", ...).items():
        if "period" not in variable.dims:
            found[str(name)] = variable.values
            continue
        for column, period in enumerate((1, 2)):
            found[f"{name}[{period}]"] = variable.values[..., column]
    return found | {LOG_LIKELIHOOD: _log_likelihoods(draws, model, scores)}


def _log_likelihoods(draws: xr.Dataset, model: CrossoverModel, scores: FloatArray) -> FloatArray:
    """Return the joint log likelihood of each data set's scores at its draws."""
    found = []
    for number in range(draws.sizes["dataset"]):
        one = replace(model, pairs=replace(model.pairs, score=scores[number]))
        at = draws.isel(dataset=number, drop=True).expand_dims("chain")
        found.append(subject_log_likelihood(at, one).sum("subject").values[0])
    return np.stack(found)
