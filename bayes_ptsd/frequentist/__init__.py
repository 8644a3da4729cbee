"""Frequentist analyses of the same trials and the same estimands."""

from bayes_ptsd.frequentist.ancova import ancova_analysis
from bayes_ptsd.frequentist.crossover import (
    CARRYOVER_WARNING,
    first_period,
    frequentist_crossover,
    grizzle_carryover,
    hills_armitage,
)
from bayes_ptsd.frequentist.mmrm import contrast_table, fit_repeated_measures, mmrm_analysis
from bayes_ptsd.frequentist.reml import reml_crossover

__all__ = [
    "CARRYOVER_WARNING",
    "ancova_analysis",
    "contrast_table",
    "first_period",
    "fit_repeated_measures",
    "frequentist_crossover",
    "grizzle_carryover",
    "hills_armitage",
    "mmrm_analysis",
    "reml_crossover",
]
