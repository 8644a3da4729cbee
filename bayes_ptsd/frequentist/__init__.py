"""Frequentist analyses of the same crossovers and the same estimands."""

from bayes_ptsd.frequentist.crossover import (
    CARRYOVER_WARNING,
    first_period,
    frequentist_crossover,
    grizzle_carryover,
    hills_armitage,
)
from bayes_ptsd.frequentist.reml import reml_crossover

__all__ = [
    "CARRYOVER_WARNING",
    "first_period",
    "frequentist_crossover",
    "grizzle_carryover",
    "hills_armitage",
    "reml_crossover",
]
