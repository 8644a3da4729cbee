"""Correlations between the two periods of other crossover trials, and what they foretell of one.

Diastolic blood pressure under potassium or none in crossover trials, from a meta-analysis [1]_. The
correlations that are exactly one half are left out: they look assumed, not computed.

References
----------
.. [1] Curtin F, Altman DG, Elbourne D. Meta-analysis combining parallel and cross-over clinical
   trials. I: Continuous outcomes. Statistics in Medicine 2002;21(15):2131-2144.
"""

from __future__ import annotations

import math
from functools import cache
from importlib import resources
from typing import NamedTuple

import numpy as np

from bayes_ptsd.evidence.csv_table import read_table
from bayes_ptsd.evidence.intervals import FloatArray

__all__ = ["Foretold", "foretold_correlation", "outside_correlations"]

FILE = "curtin2002/correlations.csv"


class Foretold(NamedTuple):
    """Normal distribution of the Fisher z of the correlation in a trial that is not among them."""

    mean: float
    sd: float
    tau_squared: float


@cache
def outside_correlations() -> tuple[FloatArray, FloatArray]:
    """Return correlation and number of patients of each trial."""
    place = resources.files("bayes_ptsd.evidence") / FILE
    table = read_table(place, FILE, required=("id", "n", "correlation"), optional=("section",))
    return table.number("correlation"), table.number("n")


@cache
def foretold_correlation() -> Foretold:
    """Return the predictive distribution of Fisher's z in a new trial.

    Random effects by DerSimonian and Laird, a trial of n patients with variance 1 / (n - 3).
    """
    correlation, n = outside_correlations()
    z, weight = np.arctanh(correlation), n - 3
    fixed = float(weight @ z / weight.sum())
    excess = float(weight @ (z - fixed) ** 2) - (len(z) - 1)
    tau_squared = max(0.0, excess / float(weight.sum() - weight @ weight / weight.sum()))
    random = 1 / (1 / weight + tau_squared)
    mean = float(random @ z / random.sum())
    return Foretold(mean, math.sqrt(tau_squared + 1 / float(random.sum())), tau_squared)
