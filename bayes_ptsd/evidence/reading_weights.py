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

import numpy as np
import xarray as xr
from scipy import special, stats

from bayes_ptsd.errors import SpecError, nearest
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.intervals import FloatArray
from bayes_ptsd.evidence.outside_correlations import foretold_correlation
from bayes_ptsd.evidence.readings import CROSSOVER_READINGS, TREATMENT_READINGS
from bayes_ptsd.evidence.row_pairs import RowPair, row_pairs

__all__ = [
    "DEFAULT",
    "Assumption",
    "assumptions",
    "log_likelihoods",
    "of_treatment",
    "parse_weights",
    "weigh_readings",
    "weights_of",
]

READINGS = (*TREATMENT_READINGS, "carryover_covariate")
# 12 Gauss nodes an axis give every weight within .0002 of 40 nodes (tested)
NODES = 12
SLOPE = (0.1, 0.8)  # correlation of baseline and score: wide; print has it for no endpoint
LOG_SD_BASELINE = 0.2  # baselines are about as variable as scores: within a factor of 1.5
CHANGE_CORRELATION = (-0.3, 0.7)  # of the changes of two periods: a choice, nothing is known
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
    log_sd_ratio : float
        SD of the log ratio of the standard deviations of period 2 and period 1.
    exponent : float
        Power of the likelihood of all rows: 1/3 where rows share half of what is unknown.
    without : str
        An endpoint that is left out.
    readings : tuple of str
        The readings that are weighed.
    """

    name: str
    correlation: tuple[float, float] | None = None
    log_sd_ratio: float = 0.35
    # calibrated on simulated papers (docs/methods/readings.md): at 1/2 slightly bold, at 1 far too
    # bold, at 1/8 timid
    exponent: float = 1 / 3
    without: str = ""
    readings: tuple[str, ...] = READINGS


DEFAULT = Assumption("default")


def assumptions(pairs: Sequence[RowPair]) -> list[Assumption]:
    """Return the assumptions under which the weights are shown, the default first.

    Examples
    --------
    >>> from bayes_ptsd.evidence.published import load_published
    >>> [one.name for one in assumptions(row_pairs(load_published()))][1]
    'correlation uniform from 0 to 0.8'
    """
    endpoints = [pair.endpoint for pair in pairs] if len(pairs) > 1 else []
    return [
        DEFAULT,
        replace(DEFAULT, name="correlation uniform from 0 to 0.8", correlation=(0.0, 0.8)),
        replace(DEFAULT, name="correlation uniform from -1 to 1", correlation=(-1.0, 1.0)),
        replace(DEFAULT, name="SD ratio of the periods nearer 1 (log sd 0.2)", log_sd_ratio=0.2),
        *(replace(DEFAULT, name=f"exponent {size:g}", exponent=size) for size in SIZES),
        replace(
            DEFAULT, name="readings of the treatment difference only", readings=TREATMENT_READINGS
        ),
        *(replace(DEFAULT, name=f"without {name}", without=name) for name in endpoints),
    ]


def weights_of(evidence: Evidence, assumption: Assumption = DEFAULT) -> dict[str, float]:
    """Return the weight of each reading of the crossover contrast given what is printed.

    Parameters
    ----------
    evidence : Evidence
        Of kind ``"published"``, with crossover and first-period rows of the same endpoints.
    assumption : Assumption
        What is assumed about what print leaves open.

    Returns
    -------
    dict of str to float
        By reading, adding up to 1. Of the readings alone: no prior on the difference enters.

    Raises
    ------
    EvidenceError
        If no endpoint has both rows, or a row lacks its degrees of freedom or patients.

    Examples
    --------
    >>> from bayes_ptsd.evidence.published import load_published
    >>> {name: round(weight, 2) for name, weight in weights_of(load_published()).items()}
    {'as_published': 0.0, 'unhalved': 0.26, 'change': 0.01, 'change_unhalved': 0.25,
     'carryover_covariate': 0.47}
    """
    return _weights(row_pairs(evidence), assumption)


def of_treatment(weights: Mapping[str, float]) -> dict[str, float]:
    """Return the weights among the readings of the treatment difference, adding up to 1.

    `carryover_covariate` is left out: its contrast is another estimand, the first-period
    difference of those who completed.

    Raises
    ------
    SpecError
        If none of these readings has a weight.

    Examples
    --------
    >>> of_treatment({"as_published": 0.1, "unhalved": 0.3, "carryover_covariate": 0.6})
    {'as_published': 0.25, 'unhalved': 0.7499999999999999}
    """
    kept = {name: weights[name] for name in TREATMENT_READINGS if weights.get(name, 0.0) > 0}
    total = sum(kept.values())
    if total == 0:
        raise SpecError(
            "reading weights: no reading of the treatment difference has any; give one of "
            f"{', '.join(TREATMENT_READINGS)} a weight above 0"
        )
    return {name: weight / total for name, weight in kept.items()}


def parse_weights(text: str) -> dict[str, float]:
    """Read weights of readings from text, and let them add up to 1.

    Parameters
    ----------
    text : str
        As ``"as_published=0.2, unhalved=0.8"``; readings that are not named have none.

    Raises
    ------
    SpecError
        If a reading is unknown, a weight is no number or below 0, or none is above 0.

    Examples
    --------
    >>> parse_weights("as_published=1, unhalved=3")
    {'as_published': 0.25, 'unhalved': 0.75}
    """
    found: dict[str, float] = {}
    for part in text.split(","):
        name, _, number = (piece.strip() for piece in part.partition("="))
        if name not in CROSSOVER_READINGS:
            raise SpecError(f"reading weights: '{name}'{nearest(name, CROSSOVER_READINGS)}")
        try:
            found[name] = float(number)
        except ValueError:
            raise SpecError(
                f"reading weights: '{part.strip()}' has no number; write {name}=0.5"
            ) from None
    if not (all(0 <= value < math.inf for value in found.values()) and sum(found.values()) > 0):
        raise SpecError(f"reading weights: '{text}': give numbers from 0, at least one above 0")
    total = sum(found.values())
    return {name: value / total for name, value in found.items()}


def weigh_readings(evidence: Evidence) -> xr.Dataset:
    """Return the weights of the readings under every assumption, and what they rest on.

    Parameters
    ----------
    evidence : Evidence
        Of kind ``"published"``, with crossover and first-period rows of the same endpoints.

    Returns
    -------
    xr.Dataset
        ``weight`` (assumption, reading), NaN where a reading is left out; by `endpoint` the rows
        compared (``crossover, first_period``), ``ratio`` of the squared standard errors,
        ``log_ratio`` (x), ``tail`` P(x at least as large | as_published) and, by `reading`,
        ``expected_ratio`` at the middle of every assumption and ``log_likelihood``.

    Raises
    ------
    EvidenceError
        As `weights_of`.

    Examples
    --------
    >>> from bayes_ptsd.evidence.published import load_published
    >>> table = weigh_readings(load_published())
    >>> table["tail"].sel(endpoint="ies_r").round(3).item()
    0.032
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
    """Return the log density of each printed ratio under each reading.

    Examples
    --------
    >>> from bayes_ptsd.evidence.published import load_published
    >>> log_likelihoods(row_pairs(load_published())[:1], DEFAULT).round(2)
    array([[-2.25, -0.54, -1.63, -0.54, -0.46]])
    """
    return np.log([[_density(pair, name, assumption) for name in READINGS] for pair in pairs])


def _weights(pairs: tuple[RowPair, ...], assumption: Assumption) -> dict[str, float]:
    """Return weights: the likelihoods of the rows multiplied, to the power, normalized."""
    kept = [pair.endpoint != assumption.without for pair in pairs]
    # power and rows left out do not change the likelihood of a row
    plain = replace(DEFAULT, name="", correlation=assumption.correlation,
                    log_sd_ratio=assumption.log_sd_ratio)  # fmt: skip
    table = log_likelihoods(pairs, plain)[kept].sum(axis=0)
    chosen = {name: table[READINGS.index(name)] for name in assumption.readings}
    weight = special.softmax(assumption.exponent * np.array(list(chosen.values())))
    return dict(zip(chosen, weight.tolist(), strict=True))


def _density(pair: RowPair, reading: str, assumption: Assumption) -> float:
    """Return the density of one printed log ratio, averaged over rounding and what is unknown."""
    log_k, weight = _log_k(pair, reading, assumption)
    x, rounding = pair.rounded()
    return float(rounding @ (_log_f_density(x[:, None] - log_k, pair) @ weight))


def _tail(pair: RowPair) -> float:
    """Return the probability of so large a ratio as published."""
    log_k, weight = _log_k(pair, "as_published", DEFAULT)
    x, rounding = pair.rounded()
    above = stats.f.sf(np.exp(x[:, None] - log_k), pair.df_crossover, pair.df_first)
    return float(rounding @ (above @ weight))


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
    slope = _uniform(*SLOPE) if baseline else (np.zeros(1), np.ones(1))
    log_q, by_q = _normal(0.0, assumption.log_sd_ratio)
    q = np.exp(log_q)
    residual = -np.log1p(-(slope[0] ** 2)), slope[1]
    if reading == "carryover_covariate":
        return _sum((np.log((1 + q**2) / 2), by_q), residual)
    changed = reading.startswith("change") and baseline
    rho, by_rho = _uniform(*CHANGE_CORRELATION) if changed else _correlation(assumption)
    periods = np.log(1 + q[:, None] ** 2 - 2 * rho * q[:, None]).ravel()
    if changed:
        log_b, by_b = _normal(0.0, LOG_SD_BASELINE)
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


def _uniform(low: float, high: float) -> tuple[FloatArray, FloatArray]:
    """Return Gauss-Legendre nodes of a uniform variable."""
    node, weight = special.roots_legendre(NODES)
    return (low + high) / 2 + (high - low) / 2 * node, weight / 2


def _normal(mean: float, sd: float) -> tuple[FloatArray, FloatArray]:
    """Return Gauss-Hermite nodes of a normal variable."""
    node, weight = special.roots_hermitenorm(NODES)
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
