"""The linear columns of a crossover, and its problem for the exact engine.

Cell means (`s` the benefit sign of the endpoint, upper sign active first, lower control first):
period 1 ``level - period_effect/2 +- s tau/2``; period 2 ``level + period_effect/2 -+ s tau/2 +- s
lambda/2``. Levels are means over both treatments, so that no prior of a level pulls at tau.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from bayes_ptsd.errors import SpecError
from bayes_ptsd.evidence.pairs import BoolArray, CrossoverPairs
from bayes_ptsd.gaussian.axes import DispersionPrior, sd_axis
from bayes_ptsd.gaussian.designs import Design, covariance_axes
from bayes_ptsd.gaussian.problem import Problem, problem_of_rows
from bayes_ptsd.priors import FloatArray, Prior

__all__ = ["crossover_design", "crossover_problem", "first_period_design", "score_columns"]

LINEAR_PRIORS = (
    "level", "period_effect", "treatment", "carryover", "sequence", "baseline_slope",
)  # fmt: skip
FIRST_PERIOD_PRIORS = ("level", "treatment", "baseline_slope")


def score_columns(
    pairs: CrossoverPairs, parameters: Collection[str], *, benefit_sign: int
) -> dict[str, FloatArray]:
    """Return what a parameter adds to each score, dims (subject, period), without the baseline."""
    half = pairs.active_first - 0.5
    one, zero = np.ones_like(half), np.zeros_like(half)
    columns = {
        "level": np.stack([one, one], axis=-1),
        "period_effect": np.stack([-one / 2, one / 2], axis=-1),
        "treatment": benefit_sign * np.stack([half, -half], axis=-1),
        "carryover": benefit_sign * np.stack([zero, half], axis=-1),
        "sequence": np.stack([half, half], axis=-1),
    }
    return {name: column for name, column in columns.items() if name in parameters}


def crossover_design(
    pairs: CrossoverPairs, priors: Mapping[str, Prior | DispersionPrior], *, benefit_sign: int
) -> Design:
    """Return the linear columns of the model that the priors' names describe.

    Always ``level``, ``period_effect`` and ``treatment``; ``carryover``, ``sequence`` and
    ``baseline_slope`` where they are named.
    """
    _require(priors, "level", "period_effect", "treatment")
    cells = score_columns(pairs, priors, benefit_sign=benefit_sign)
    table = {name: column[None] for name, column in cells.items()}
    if "baseline_slope" in priors:
        table |= _baseline_columns(pairs)
    return _design(table, priors, _estimands(list(table)))


def first_period_design(
    pairs: CrossoverPairs, priors: Mapping[str, Prior | DispersionPrior], *, benefit_sign: int
) -> Design:
    """Return the columns of the first period alone: level, treatment, perhaps a baseline."""
    _require(priors, "level", "treatment")
    half = pairs.active_first - 0.5
    one, zero = np.ones_like(half), np.zeros_like(half)
    table = {
        "level": np.stack([one, zero], axis=-1)[None],
        "treatment": benefit_sign * np.stack([half, zero], axis=-1)[None],
    }
    if "baseline_slope" in priors:
        table["baseline_slope"] = _baseline_columns(pairs)["baseline_slope[1]"]
    unit = dict(zip(table, np.eye(len(table)), strict=True))
    return _design(table, priors, {"treatment_difference": unit.pop("treatment")} | unit)


def _require(priors: Mapping[str, Prior | DispersionPrior], *names: str) -> None:
    """Refuse priors without the ones that every model has."""
    for name in names:
        if name not in priors:
            raise SpecError(f"no prior for '{name}'; give one (flat is one)")


def _design(
    table: Mapping[str, FloatArray],
    priors: Mapping[str, Prior | DispersionPrior],
    estimands: Mapping[str, FloatArray],
) -> Design:
    """Put columns, of which the baseline can differ by data set, side by side."""
    count = max(len(column) for column in table.values())
    columns = np.stack([np.broadcast_to(c, (count, *c.shape[1:])) for c in table.values()], -1)
    return Design({name: _linear_prior(priors, name) for name in table}, columns, estimands)


def _baseline_columns(pairs: CrossoverPairs) -> dict[str, FloatArray]:
    """Return one slope a period on the baseline, centered over patients."""
    if pairs.baseline is None:
        raise SpecError("'baseline_slope' has a prior, but the patients have no baseline")
    table = np.atleast_2d(pairs.baseline)
    centered = table - table.mean(axis=1, keepdims=True)
    zero = np.zeros_like(centered)
    return {
        "baseline_slope[1]": np.stack([centered, zero], axis=-1),
        "baseline_slope[2]": np.stack([zero, centered], axis=-1),
    }


def _linear_prior(priors: Mapping[str, Prior | DispersionPrior], name: str) -> Prior:
    """Return the prior of a coefficient; ``baseline_slope[2]`` takes that of ``baseline_slope``."""
    prior = priors[name.partition("[")[0]]
    if not isinstance(prior, Prior):
        raise SpecError(f"prior of '{name}' must be a Prior, got {type(prior).__name__}")
    return prior


def _estimands(names: list[str]) -> dict[str, FloatArray]:
    """Return the estimands as combinations of the coefficients."""
    unit = dict(zip(names, np.eye(len(names)), strict=True))
    found = {
        "treatment_difference": unit["treatment"],
        "period_effect": unit["period_effect"],
        "level": unit["level"],
    }
    if "carryover" in unit:
        found["carryover"] = unit["carryover"]
        found["within_patient_contrast"] = unit["treatment"] - unit["carryover"] / 2
    if "sequence" in unit:
        found["sequence_effect"] = unit["sequence"]
    rest = {name: vector for name, vector in unit.items() if "[" in name}
    return found | rest


def crossover_problem(
    pairs: CrossoverPairs,
    priors: Mapping[str, Prior | DispersionPrior],
    *,
    benefit_sign: int,
    covariance: str,
) -> Problem:
    """Reduce a crossover to the cross-products that its posterior needs.

    Scores that do not vary around the cell means, and flat coefficients that cannot be told apart,
    are refused.
    """
    if benefit_sign not in (1, -1):
        raise SpecError(f"benefit_sign is {benefit_sign}; it is 1 (higher is better) or -1")
    alone = covariance == "first_period"
    linear = FIRST_PERIOD_PRIORS if alone else LINEAR_PRIORS
    structure, axes = covariance_axes(covariance, priors, linear=linear)
    score = pairs.score if pairs.batched else pairs.score[None]
    present = np.isfinite(score)
    if alone:
        design = first_period_design(pairs, priors, benefit_sign=benefit_sign)
        present = present & np.array([True, False])
    else:
        design = crossover_design(pairs, priors, benefit_sign=benefit_sign)
    if covariance == "random_intercept" and _within_is_free(design.columns, present):
        axes = [axes[0], sd_axis("sd_within", priors["sd_within"], may_be_zero=True)]
    return problem_of_rows(design, structure, axes, np.where(present, score, np.nan))


def _within_is_free(columns: FloatArray, present: BoolArray) -> bool:
    """Tell whether a data set's coefficients fit all within-patient differences exactly.

    Then the scores leave the standard deviation within patients free to be zero.
    """
    both = np.asarray(present.all(axis=2))
    if both.sum(axis=1).min() > columns.shape[-1]:
        return False
    change = np.where(both[..., None], columns[:, :, 0] - columns[:, :, 1], 0.0)
    return bool((np.linalg.matrix_rank(change) == both.sum(axis=1)).any())
