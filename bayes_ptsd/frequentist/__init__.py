"""Frequentist analyses of the same trials and the same estimands."""

from bayes_ptsd.frequentist.ancova import ancova_analysis
from bayes_ptsd.frequentist.binary import gee_analysis, logistic_analysis, two_risks
from bayes_ptsd.frequentist.crossover import (
    CARRYOVER_WARNING,
    first_period,
    frequentist_crossover,
    grizzle_carryover,
    hills_armitage,
)
from bayes_ptsd.frequentist.mmrm import clda_analysis, mmrm_analysis
from bayes_ptsd.frequentist.ordinal import ordinal_analysis
from bayes_ptsd.frequentist.reml import reml_crossover
from bayes_ptsd.frequentist.repeated import contrast_table, fit_repeated_measures

__all__ = [
    "CARRYOVER_WARNING",
    "ancova_analysis",
    "clda_analysis",
    "contrast_table",
    "first_period",
    "fit_repeated_measures",
    "frequentist_crossover",
    "gee_analysis",
    "grizzle_carryover",
    "hills_armitage",
    "logistic_analysis",
    "mmrm_analysis",
    "ordinal_analysis",
    "reml_crossover",
    "two_risks",
]
