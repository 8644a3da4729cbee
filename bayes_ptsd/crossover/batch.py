"""Crossovers of several sets of patients, computed together by the exact engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from bayes_ptsd.crossover.model import CrossoverModel
from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence.pairs import CrossoverPairs
from bayes_ptsd.exact.crossover import crossover_batch

__all__ = ["REACH", "batch_with_tails", "stacked_pairs"]

REACH = 8.0
"""How many standard deviations around all posteriors their tail probabilities are taken."""


def batch_with_tails(
    pairs: CrossoverPairs, priors: Mapping[str, Any], steps: int, **settings: Any
) -> xr.Dataset:
    """Return `crossover_batch` of the treatment difference in every set, with tail probabilities.

    ``prob_greater`` is at `steps` limits, dim ``threshold``, common to all sets.
    """
    rough = crossover_batch(pairs, priors, **settings).sel(estimand="treatment_difference")
    low = float((rough["mean"] - REACH * rough["sd"]).min())
    high = float((rough["mean"] + REACH * rough["sd"]).max())
    limits = np.linspace(low, high, steps).tolist()
    table = crossover_batch(pairs, priors, thresholds=limits, **settings)
    return table.sel(estimand="treatment_difference")


def stacked_pairs(models: Sequence[CrossoverModel]) -> CrossoverPairs:
    """Return scores of all reconstructions, dims (reconstruction, subject, period), by sequence."""
    orders = [np.argsort(~one.pairs.active_first, kind="stable") for one in models]
    scores = [one.pairs.score[order] for one, order in zip(models, orders, strict=True)]
    if len({score.shape for score in scores}) > 1:
        raise EvidenceError("reconstructions with different numbers of patients cannot be pooled")
    active_first = models[0].pairs.active_first[orders[0]]
    return CrossoverPairs(np.stack(scores), active_first, np.arange(len(active_first)))
