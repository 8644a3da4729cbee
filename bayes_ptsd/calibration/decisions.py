"""Operating characteristics: what a decision about P(benefit) does in simulated trials."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, replace

import numpy as np
import xarray as xr

from bayes_ptsd.calibration.scenarios import Scenario, simulate_scenario
from bayes_ptsd.calibration.work import blocks_of, run_tasks
from bayes_ptsd.errors import SpecError
from bayes_ptsd.priors import FloatArray
from bayes_ptsd.provenance import DEFAULT_SEED
from bayes_ptsd.structures.crossover.exact import exact_priors, treatment_batch, why_not_exact
from bayes_ptsd.structures.crossover.model import CrossoverModel

__all__ = ["DECISION", "operating_characteristics"]

DECISION = 0.975
"""Probability of benefit above which the decision is taken, unless another is given."""

# of the 95% equal-tailed interval, on either side
TAIL = 0.025


@dataclass(frozen=True)
class DecisionTask:
    """One block of trials under one scenario."""

    model: CrossoverModel
    scenario: Scenario
    block: tuple[int, int]  # its number, and how much of it is used
    seed: int  # of the study


def operating_characteristics(
    model: CrossoverModel,
    scenarios: Sequence[Scenario],
    simulations: int,
    *,
    decisions: Sequence[float] = (DECISION,),
    seed: int = DEFAULT_SEED,
    executor: Executor | None = None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> xr.Dataset:
    """Simulate trials under scenarios and summarize what their exact posteriors say.

    On dim ``scenario``, in score units, positive = active treatment better: ``truth``, ``mean``
    (average posterior mean), ``bias``, ``sd_mean`` (of posterior means over trials),
    ``posterior_sd`` (average), ``coverage`` of the 95% equal-tailed interval, and Monte Carlo
    errors. On ``(scenario, decision)``: ``probability`` that P(benefit) exceeds the decision's
    limit, type I error where the truth is 0 and power where it is above. The scores of `model` are
    not used; scenarios, whose truths need not be those of the model, have independent seeds.
    """
    if reason := why_not_exact(model.options):
        raise SpecError(
            f"operating characteristics need the exact engine, which has no answer for model "
            f"'{model.spec.name}': {reason}"
        )
    if simulations < 2:
        raise SpecError("operating characteristics need at least 2 simulations a scenario")
    tasks = [
        DecisionTask(model, scenario, block, seed)
        for scenario in scenarios
        for block in blocks_of(simulations)
    ]
    found = run_tasks(_block_posteriors, tasks, executor=executor, progress=progress)
    table = np.concatenate(found, axis=1).reshape(4, len(scenarios), simulations)
    unit = float(model.endpoint.reference_sd or 1.0)
    truth = np.array([scenario.treatment * unit for scenario in scenarios])
    return _summary(table, truth, np.array(decisions, dtype=float)).assign_coords(
        {key: ("scenario", [asdict(s)[key] for s in scenarios]) for key in asdict(Scenario())}
    )


def _block_posteriors(task: DecisionTask) -> FloatArray:
    """Return mean, sd, P(benefit) and P(above truth) of one block, dims (figure, trial)."""
    model, (number, wanted) = task.model, task.block
    truth = task.scenario.treatment * float(model.endpoint.reference_sd or 1.0)
    scores = simulate_scenario(model, task.scenario, number, seed=task.seed)
    found = treatment_batch(
        replace(model.pairs, score=scores), exact_priors(model), benefit_sign=model.sign,
        covariance=model.options["form"], thresholds=(0.0, truth),
    )  # fmt: skip
    above = found.above[:, 0]
    return np.stack([found.mean[:, 0], found.sd[:, 0], above[:, 0], above[:, 1]])[:, :wanted]


def _summary(table: FloatArray, truth: FloatArray, limits: FloatArray) -> xr.Dataset:
    """Average over trials; errors of proportions at (k + 1/2) / (n + 1), never zero."""
    mean, sd, benefit, above = table
    count = mean.shape[1]
    taken = (benefit[:, :, None] > limits).sum(axis=1)
    covered = ((above >= TAIL) & (above <= 1 - TAIL)).sum(axis=1)
    spread = mean.std(axis=1, ddof=1)
    by_scenario = {
        "truth": truth,
        "mean": mean.mean(axis=1),
        "bias": mean.mean(axis=1) - truth,
        "bias_error": spread / np.sqrt(count),
        "sd_mean": spread,
        "posterior_sd": sd.mean(axis=1),
        "coverage": covered / count,
        "coverage_error": _error(covered, count),
    }
    return xr.Dataset(
        {name: ("scenario", values) for name, values in by_scenario.items()}
        | {
            "probability": (("scenario", "decision"), taken / count),
            "probability_error": (("scenario", "decision"), _error(taken, count)),
        },
        coords={"decision": limits},
        attrs={"simulations": count},
    )


def _error(successes: FloatArray, count: int) -> FloatArray:
    """Return the Monte Carlo error of a proportion."""
    share = (successes + 0.5) / (count + 1)
    return np.asarray(np.sqrt(share * (1 - share) / count))
