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
    """Compute the treatment difference in every set, with tail probabilities at common limits.

    Parameters
    ----------
    pairs : CrossoverPairs
        Scores of all sets, as of `stacked_pairs`.
    priors : mapping
        As for `crossover_batch`.
    steps : int
        Number of limits, spread over all posteriors and 8 standard deviations beyond.
    **settings
        As for `crossover_batch`.

    Returns
    -------
    xr.Dataset
        As of `crossover_batch`, of the treatment difference alone; ``prob_greater`` at the limits
        on dim ``threshold``.

    Examples
    --------
    >>> from bayes_ptsd.crossover.example import example_patients
    >>> from bayes_ptsd.crossover.exact import exact_priors
    >>> from bayes_ptsd.crossover.model import crossover_model
    >>> from bayes_ptsd.spec import load_model
    >>> model = crossover_model(example_patients(), load_model("crossover"))
    >>> found = batch_with_tails(stacked_pairs([model, model]), exact_priors(model), 5,
    ...     benefit_sign=model.sign, covariance="random_intercept")
    >>> found["prob_greater"].shape
    (2, 5)
    """
    rough = crossover_batch(pairs, priors, **settings).sel(estimand="treatment_difference")
    low = float((rough["mean"] - REACH * rough["sd"]).min())
    high = float((rough["mean"] + REACH * rough["sd"]).max())
    limits = np.linspace(low, high, steps).tolist()
    table = crossover_batch(pairs, priors, thresholds=limits, **settings)
    return table.sel(estimand="treatment_difference")


def stacked_pairs(models: Sequence[CrossoverModel]) -> CrossoverPairs:
    """Return the scores of all reconstructions, patients in the order of their sequence.

    Parameters
    ----------
    models : sequence of CrossoverModel
        One model of patients who differ in their scores only.

    Returns
    -------
    CrossoverPairs
        Scores with dims (reconstruction, subject, period); refused if numbers of patients differ.

    Examples
    --------
    >>> from bayes_ptsd.crossover.example import example_patients
    >>> from bayes_ptsd.crossover.model import crossover_model
    >>> from bayes_ptsd.spec import load_model
    >>> model = crossover_model(example_patients(), load_model("crossover"))
    >>> stacked_pairs([model, model]).score.ndim
    3
    """
    orders = [np.argsort(~one.pairs.active_first, kind="stable") for one in models]
    scores = [one.pairs.score[order] for one, order in zip(models, orders, strict=True)]
    if len({score.shape for score in scores}) > 1:
        raise EvidenceError("reconstructions with different numbers of patients cannot be pooled")
    active_first = models[0].pairs.active_first[orders[0]]
    return CrossoverPairs(np.stack(scores), active_first, np.arange(len(active_first)))
