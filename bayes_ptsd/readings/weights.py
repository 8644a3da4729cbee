"""The readings of the crossover contrast weighed: how well each explains the printed precision.

A reading says what was analyzed, and so how large the crossover standard error should be beside the
first-period one of the same endpoint. With equal odds before, the weight of a reading is the
probability of the ratios that were printed, averaged over what print leaves open. Endpoints of one
sample say much of the same thing, so the product over them is taken to a power below one. Nothing
is drawn: quadrature with fixed nodes gives the same weights everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import NamedTuple

import numpy as np
import xarray as xr
from scipy import special, stats

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.csv_table import read_table
from bayes_ptsd.evidence.intervals import FloatArray
from bayes_ptsd.evidence.readings import (
    CROSSOVER_READINGS,
    TREATMENT_READINGS,
    of_treatment,
)
from bayes_ptsd.readings.precision_pairs import RowPair, row_pairs

__all__ = [
    "DEFAULT",
    "Assumption",
    "Foretold",
    "assumptions",
    "chosen_weights",
    "foretold_correlation",
    "log_likelihoods",
    "outside_correlations",
    "ratio_density",
    "weigh_readings",
    "weights_of",
]

READINGS = (*TREATMENT_READINGS, "carryover_covariate")
# Gauss nodes of correlation and SD ratio, and of slope and SD of the baseline, which hardly bend
# the density: every weight is within .0005 of that of 24 and 10 nodes (tested)
NODES, FEW = 12, 5
SLOPE = (0.1, 0.8)  # correlation of baseline and score: wide; print has it for no endpoint
LOG_SD_BASELINE = 0.2  # baselines are about as variable as scores: within a factor of 1.5
CHANGE_CORRELATION = (-0.3, 0.7)  # of the changes of two periods: a choice, nothing is known
# powers beside the calibrated 1/3: eight endpoints count as one, as four, as eight
SIZES = (1 / 8, 1 / 2, 1.0)


@dataclass(frozen=True)
class Assumption:
    """What is assumed about what print leaves open.

    Attributes
    ----------
    name : str
        In words.
    correlation : tuple of float, optional
        Range of a uniform correlation between the periods; None is the distribution that trials
        of other outcomes foretell.
    sd_ratio : float
        Median of the ratio of the standard deviations of period 2 and period 1.
    log_sd_ratio : float
        SD of its logarithm.
    exponent : float
        Power of the likelihood of all rows: 1/3 where rows share half of what is unknown.
    without : str
        An endpoint that is left out.
    readings : tuple of str
        The readings that are weighed.
    """

    name: str
    correlation: tuple[float, float] | None = None
    sd_ratio: float = 1.0
    log_sd_ratio: float = 0.35
    # calibrated on simulated papers (docs/methods/readings.md): at 1/2 slightly bold, at 1 far too
    # bold, at 1/8 timid
    exponent: float = 1 / 3
    without: str = ""
    readings: tuple[str, ...] = READINGS


DEFAULT = Assumption("default")


def assumptions(pairs: Sequence[RowPair]) -> list[Assumption]:
    """Return the assumptions under which the weights are shown, the default first."""
    free, wide = (-1.0, 1.0), 1.5
    shown = [
        DEFAULT,
        replace(DEFAULT, name="correlation uniform from 0 to 0.8", correlation=(0.0, 0.8)),
        replace(DEFAULT, name="correlation uniform from -1 to 1", correlation=free),
        replace(DEFAULT, name="SD ratio of the periods nearer 1 (log sd 0.2)", log_sd_ratio=0.2),
        replace(DEFAULT, name=f"period 2 more variable (SD ratio {wide:g})", sd_ratio=wide),
        *(replace(DEFAULT, name=f"exponent {size:g}", exponent=size) for size in SIZES),
        replace(
            DEFAULT, name="readings of the treatment difference only", readings=TREATMENT_READINGS
        ),
    ]
    if len(pairs) == 1:
        return shown
    worst = min(pairs, key=_tail).endpoint
    kindest = replace(
        DEFAULT, name=f"period 2 more variable, correlation from -1 to 1, without {worst}",
        correlation=free, sd_ratio=wide, without=worst,
    )  # fmt: skip
    names = [pair.endpoint for pair in pairs]
    return [*shown, *(replace(DEFAULT, name=f"without {x}", without=x) for x in names), kindest]


def weights_of(evidence: Evidence, assumption: Assumption = DEFAULT) -> dict[str, float]:
    """Return the weight of each reading of the crossover contrast given what is printed, sum 1.

    Of the readings alone: no prior on the difference enters. Refused: no endpoint with both rows,
    or a row without degrees of freedom or patients.
    """
    return _weights(row_pairs(evidence), assumption)


def chosen_weights(
    evidence: Evidence, by_hand: Mapping[str, float] | None = None
) -> tuple[dict[str, float], str]:
    """Return the weights that an average takes, empty if print gives none, and their source.

    Weights by hand replace those of print; one of the treatment difference has to be above 0.
    """
    if by_hand is not None:
        of_treatment(by_hand)
        return dict(by_hand), "set by hand"
    try:
        return weights_of(evidence), "from the printed standard errors and outside correlations"
    except EvidenceError as error:
        return {}, str(error)


def weigh_readings(evidence: Evidence) -> xr.Dataset:
    """Return the weights of the readings under every assumption, and what they rest on.

    ``weight`` (assumption, reading) is NaN where a reading is left out. By endpoint: ``log_ratio``
    of the squared standard errors, ``tail`` P(at least as large | as_published); by reading too,
    ``expected_ratio`` at the middle of every assumption and ``log_likelihood``.
    """
    pairs = row_pairs(evidence)
    named = assumptions(pairs)
    weights = [_weights(pairs, one) for one in named]
    ratio = np.array([math.exp(pair.log_ratio) for pair in pairs])
    variables = {
        "crossover": ("endpoint", [pair.crossover for pair in pairs]),
        "first_period": ("endpoint", [pair.first_period for pair in pairs]),
        "ratio": ("endpoint", ratio),
        "log_ratio": ("endpoint", np.log(ratio)),
        "tail": ("endpoint", [_tail(pair) for pair in pairs]),
        "expected_ratio": (("endpoint", "reading"), [_expected(pair) for pair in pairs]),
        "log_likelihood": (("endpoint", "reading"), log_likelihoods(pairs, DEFAULT)),
        "weight": (
            ("assumption", "reading"),
            [[one.get(name, np.nan) for name in READINGS] for one in weights],
        ),
    }
    coords = {
        "endpoint": [pair.endpoint for pair in pairs],
        "reading": list(READINGS),
        "assumption": [one.name for one in named],
    }
    return xr.Dataset(variables, coords, {"trial": evidence.trial.name})


@cache
def log_likelihoods(pairs: tuple[RowPair, ...], assumption: Assumption) -> FloatArray:
    """Return the log density of each printed ratio under each reading."""
    return np.log([[_density(pair, name, assumption) for name in READINGS] for pair in pairs])


def ratio_density(
    x: FloatArray, pair: RowPair, reading: str, assumption: Assumption = DEFAULT
) -> FloatArray:
    """Return the density of log ratios of squared SEs, crossover over first period.

    Averaged over what the assumption leaves unknown.
    """
    log_k, weight = _log_k(pair, reading, assumption)
    density: FloatArray = _log_f_density(x[:, None] - log_k, pair) @ weight
    return density


def _weights(pairs: tuple[RowPair, ...], assumption: Assumption) -> dict[str, float]:
    """Return weights: the likelihoods of the rows multiplied, to the power, normalized."""
    kept = [pair.endpoint != assumption.without for pair in pairs]
    # power and rows left out do not change the likelihood of a row
    plain = replace(assumption, name="", exponent=1.0, without="", readings=READINGS)
    table = log_likelihoods(pairs, plain)[kept].sum(axis=0)
    chosen = {name: table[READINGS.index(name)] for name in assumption.readings}
    weight = special.softmax(assumption.exponent * np.array(list(chosen.values())))
    return dict(zip(chosen, weight.tolist(), strict=True))


def _density(pair: RowPair, reading: str, assumption: Assumption) -> float:
    """Return the density of one printed log ratio, averaged over rounding and what is unknown."""
    x, rounding = pair.rounded()
    return float(rounding @ ratio_density(x, pair, reading, assumption))


def _tail(pair: RowPair) -> float:
    """Return the probability of a ratio as large as the printed one, as published."""
    log_k, weight = _log_k(pair, "as_published", DEFAULT)
    above = stats.f.sf(np.exp(pair.log_ratio - log_k), pair.df_crossover, pair.df_first)
    return float(above @ weight)


def _expected(pair: RowPair) -> list[float]:
    """Return the ratio of squared standard errors that each reading expects in the middle."""
    rho = math.tanh(foretold_correlation().mean)
    slope = sum(SLOPE) / 2 if pair.baseline else 0.0
    change = (2 - 2 * slope) * (2 - sum(CHANGE_CORRELATION)) if pair.baseline else 2 - 2 * rho
    v = {"unhalved": 2 - 2 * rho, "as_published": (1 - rho) / 2, "change": change / 4,
         "change_unhalved": change, "carryover_covariate": 1.0}  # fmt: skip
    return [pair.design * v[name] / (1 - slope**2) for name in READINGS]


def _log_k(pair: RowPair, reading: str, assumption: Assumption) -> tuple[FloatArray, FloatArray]:
    """Return nodes and weights of the log ratio of expected squared standard errors."""
    log_v, weight = _log_v(pair.baseline, reading, assumption)
    return math.log(pair.design) + log_v, weight


@cache
def _log_v(baseline: bool, reading: str, assumption: Assumption) -> tuple[FloatArray, FloatArray]:
    """Return nodes and weights of log v - log(1 - r^2), v in units of the first period's variance.

    Whose scores have no baseline has no slope, and its change is its score.
    """
    slope = _uniform(*SLOPE, FEW) if baseline else (np.zeros(1), np.ones(1))
    log_q, by_q = _normal(math.log(assumption.sd_ratio), assumption.log_sd_ratio)
    q = np.exp(log_q)
    residual = -np.log1p(-(slope[0] ** 2)), slope[1]
    if reading == "carryover_covariate":
        return _sum((np.log((1 + q**2) / 2), by_q), residual)
    changed = reading.startswith("change") and baseline
    rho, by_rho = _uniform(*CHANGE_CORRELATION) if changed else _correlation(assumption)
    periods = np.log(1 + q[:, None] ** 2 - 2 * rho * q[:, None]).ravel()
    if changed:
        log_b, by_b = _normal(0.0, LOG_SD_BASELINE, FEW)
        b = np.exp(log_b)[:, None]
        residual = (
            (np.log(1 + b**2 - 2 * slope[0] * b) + residual[0]).ravel(),
            np.outer(by_b, slope[1]).ravel(),
        )
    log_v, weight = _sum((periods, np.outer(by_q, by_rho).ravel()), residual)
    # in the scale of print: half the sum as published, the sum if unhalved
    return log_v - 2 * math.log(2 * CROSSOVER_READINGS[reading].scale), weight


def _correlation(assumption: Assumption) -> tuple[FloatArray, FloatArray]:
    """Return nodes of the correlation between a patient's two scores."""
    if assumption.correlation is not None:
        return _uniform(*assumption.correlation)
    z, weight = _normal(*foretold_correlation()[:2])
    return np.tanh(z), weight


def _uniform(low: float, high: float, count: int = NODES) -> tuple[FloatArray, FloatArray]:
    """Return Gauss-Legendre nodes of a uniform variable."""
    node, weight = special.roots_legendre(count)
    return (low + high) / 2 + (high - low) / 2 * node, weight / 2


def _normal(mean: float, sd: float, count: int = NODES) -> tuple[FloatArray, FloatArray]:
    """Return Gauss-Hermite nodes of a normal variable."""
    node, weight = special.roots_hermitenorm(count)
    return mean + sd * node, weight / math.sqrt(2 * math.pi)


def _sum(
    one: tuple[FloatArray, FloatArray], other: tuple[FloatArray, FloatArray]
) -> tuple[FloatArray, FloatArray]:
    """Return nodes and weights of the sum of two independent variables."""
    return np.add.outer(one[0], other[0]).ravel(), np.outer(one[1], other[1]).ravel()


def _log_f_density(y: FloatArray, pair: RowPair) -> FloatArray:
    """Return the density of the logarithm of an F variable."""
    a, b = pair.df_crossover / 2, pair.df_first / 2
    density: FloatArray = np.exp(
        a * (math.log(a / b) + y) - (a + b) * np.log1p(a / b * np.exp(y)) - special.betaln(a, b)
    )
    return density


FILE = "curtin2002/correlations.csv"


class Foretold(NamedTuple):
    """Normal distribution of the Fisher z of the correlation in a trial that is not among them."""

    mean: float
    sd: float
    tau_squared: float


@cache
def outside_correlations() -> tuple[FloatArray, FloatArray]:
    """Return correlation and number of patients of each trial."""
    place = resources.files("bayes_ptsd.readings") / FILE
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
