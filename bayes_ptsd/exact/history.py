"""Historical trials and the heterogeneity between them: what a MAP prior is computed from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from bayes_ptsd.errors import EvidenceError, SpecError, nearest
from bayes_ptsd.evidence.csv_table import Table, read_table
from bayes_ptsd.priors import FloatArray

__all__ = [
    "HETEROGENEITY",
    "Heterogeneity",
    "HistoricalTrials",
    "binomial_trials",
    "log_binomial",
    "normal_trials",
    "parse_heterogeneity",
    "read_trials",
    "rough_logit",
]

HETEROGENEITY = ("half-normal", "half-cauchy", "half-t", "uniform")


@dataclass(frozen=True)
class Heterogeneity:
    """A prior on the standard deviation between trials."""

    kind: str  # one of HETEROGENEITY; uniform goes from 0 to the scale
    scale: float  # in the unit of the parameter, log odds for binomial trials
    nu: float = math.inf  # degrees of freedom of the half-t

    def __post_init__(self) -> None:
        """Refuse what is not a distribution."""
        if self.kind not in HETEROGENEITY:
            raise SpecError(
                f"unknown heterogeneity '{self.kind}'{nearest(self.kind, HETEROGENEITY)}"
            )
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise SpecError(
                f"heterogeneity {self.kind}: the scale must be positive, got {self.scale}"
            )
        if self.kind == "half-t" and not (math.isfinite(self.nu) and self.nu > 0):
            raise SpecError(f"half-t needs positive degrees of freedom, got {self.nu}")

    @property
    def formula(self) -> str:
        """The distribution in short notation."""
        if self.kind == "uniform":
            return f"uniform(0, {self.scale:.4g})"
        nu = f"{self.nu:.4g}, " if self.kind == "half-t" else ""
        return f"{self.kind}({nu}0, {self.scale:.4g})"

    @property
    def tail(self) -> float:
        """Power at which the density falls off; infinite where it falls off faster."""
        return {"half-cauchy": 2.0, "half-t": self.nu + 1}.get(self.kind, math.inf)

    def logpdf(self, tau: FloatArray) -> FloatArray:
        """Log density at positive values of the standard deviation between trials."""
        if self.kind == "uniform":
            return np.where(tau <= self.scale, -math.log(self.scale), -np.inf)
        nu = {"half-cauchy": 1.0, "half-t": self.nu}.get(self.kind)
        z = tau / self.scale
        whole = stats.norm.logpdf(z) if nu is None else stats.t.logpdf(z, nu)
        return np.asarray(whole + math.log(2) - math.log(self.scale))


@dataclass(frozen=True)
class HistoricalTrials:
    """Results of earlier trials of the same thing, one of each per trial."""

    likelihood: str  # normal or binomial: of each result around its trial's own parameter
    study: tuple[str, ...]
    estimate: FloatArray  # in the unit of the endpoint, or observed proportions
    se: FloatArray  # of proportions, for figures only
    size: FloatArray  # patients; NaN where only a standard error was given
    sigma: float = math.nan  # of one patient's outcome; NaN where only standard errors were given

    def __post_init__(self) -> None:
        """Refuse an empty history and names that stand for two trials."""
        if not self.study:
            raise EvidenceError("an empty history: a MAP prior needs at least one trial")
        twice = [name for name in self.study if self.study.count(name) > 1]
        if twice:
            raise EvidenceError(f"study '{twice[0]}' is there twice; give each trial one row")

    @property
    def events(self) -> FloatArray:
        """Numbers of patients with the event, of binomial trials."""
        return np.round(self.estimate * self.size)


def binomial_trials(study: ArrayLike, *, n: ArrayLike, r: ArrayLike) -> HistoricalTrials:
    """Return historical trials with a binary outcome: `r` of `n` patients with the event.

    Standard errors of the proportions are those of a Jeffreys posterior.
    """
    names, size, events = _columns(study, n=n, r=r)
    for name, total, count in zip(names, size, events, strict=True):
        if total < 1 or total != round(total) or count != round(count):
            raise EvidenceError(f"study '{name}': n and r are whole numbers, got {total}, {count}")
        if not 0 <= count <= total:
            raise EvidenceError(f"study '{name}': r = {count:g} is not between 0 and n = {total:g}")
    spread = stats.beta.std(events + 0.5, size - events + 0.5)
    return HistoricalTrials("binomial", names, events / size, np.asarray(spread), size)


def normal_trials(
    study: ArrayLike,
    *,
    y: ArrayLike,
    se: ArrayLike | None = None,
    n: ArrayLike | None = None,
    sigma: float | None = None,
) -> HistoricalTrials:
    """Return historical trials with a normal estimate, in the unit of the endpoint.

    Without `se` the standard errors are ``sigma / sqrt(n)``, sigma that of one patient's outcome.
    """
    if sigma is not None and not (math.isfinite(sigma) and sigma > 0):
        raise EvidenceError(f"sigma, the sd of one patient's outcome, must be positive: {sigma}")
    if se is None:
        if n is None or sigma is None:
            raise EvidenceError("normal trials need 'se', or 'n' together with sigma")
        names, estimate, size = _columns(study, y=y, n=n)
        _positive(names, size, "n")
        spread = sigma / np.sqrt(size)
    else:
        names, estimate, spread = _columns(study, y=y, se=se)
        _positive(names, spread, "se")
        size = np.full(len(names), np.nan)
    unit = math.nan if sigma is None else float(sigma)
    return HistoricalTrials("normal", names, estimate, spread, size, unit)


def read_trials(path: Path, *, likelihood: str, sigma: float | None = None) -> HistoricalTrials:
    """Read historical trials from a CSV file.

    Columns ``study, n, r`` (binomial), or ``study, y, se``, or ``study, n, y`` with `sigma`
    (normal).
    """
    if likelihood not in ("normal", "binomial"):
        raise SpecError(f"likelihood '{likelihood}'{nearest(likelihood, ['normal', 'binomial'])}")
    table = read_table(
        path, path.name, required=["study"], optional=["n", "r", "y", "se"], key="study"
    )
    study = table.text("study")
    if likelihood == "binomial":
        return binomial_trials(study, n=_cells(table, "n"), r=_cells(table, "r"))
    estimate = _cells(table, "y")
    if any(row.get("se") for row in table.rows):
        return normal_trials(study, y=estimate, se=_cells(table, "se"), sigma=sigma)
    return normal_trials(study, y=estimate, n=_cells(table, "n"), sigma=sigma)


def parse_heterogeneity(text: str) -> Heterogeneity:
    """Read a heterogeneity from the notation of the command line.

    ``half-normal 1``, ``half-cauchy 25``, ``half-t 3 2.5`` (degrees of freedom, scale), ``uniform
    2``.
    """
    kind, *numbers = text.replace(",", " ").split() or [""]
    try:
        values = [float(number) for number in numbers]
    except ValueError:
        raise SpecError(f"heterogeneity '{text}': the numbers cannot be read") from None
    wanted = 2 if kind == "half-t" else 1
    if kind not in HETEROGENEITY or len(values) != wanted:
        raise SpecError(
            f"'{text}' is no heterogeneity; write 'half-normal SCALE', 'half-cauchy SCALE', "
            f"'half-t DF SCALE' or 'uniform HIGH'"
        )
    return Heterogeneity(kind, values[-1], values[0] if kind == "half-t" else math.inf)


def log_binomial(theta: FloatArray, *, size: float, events: float) -> FloatArray:
    """Return the log likelihood of log odds, without the binomial coefficient."""
    # log(1 + exp(theta)) by two functions that NumPy has for whole vectors, as logaddexp is not
    above = np.maximum(theta, 0) + np.log(1 + np.exp(-np.abs(theta)))
    return np.asarray(events * theta - size * above)


def rough_logit(trials: HistoricalTrials) -> tuple[FloatArray, FloatArray]:
    """Return approximate log odds and their standard errors, finite also at r = 0 and r = n."""
    events, size = trials.events, trials.size
    logit = special.logit((events + 0.5) / (size + 1))
    return np.asarray(logit), np.sqrt(1 / (events + 0.5) + 1 / (size - events + 0.5))


def _columns(
    study: ArrayLike, **numbers: ArrayLike
) -> tuple[tuple[str, ...], FloatArray, FloatArray]:
    """Return the names and two columns of finite numbers of one length."""
    names = tuple(str(name) for name in np.atleast_1d(np.asarray(study)))
    columns: list[NDArray[np.float64]] = []
    for key, values in numbers.items():
        column = np.atleast_1d(np.asarray(values, dtype=float))
        if column.shape != (len(names),):
            raise EvidenceError(f"{len(names)} studies have {column.size} values of '{key}'")
        if not np.isfinite(column).all():
            bad = names[int(np.argmin(np.isfinite(column)))]
            raise EvidenceError(f"study '{bad}': '{key}' is missing or not finite")
        columns.append(column)
    return names, columns[0], columns[1]


def _positive(names: tuple[str, ...], values: FloatArray, key: str) -> None:
    """Refuse a value that is not positive."""
    for name, value in zip(names, values, strict=True):
        if not value > 0:
            raise EvidenceError(f"study '{name}': '{key}' must be positive, got {value:g}")


def _cells(table: Table, column: str) -> FloatArray:
    """Return a column of numbers, or refuse a file without it."""
    values = table.number(column)
    for index, value in enumerate(values):
        if math.isnan(value):
            table.refuse(index, column, "is missing; a normal trial has y and se, or n and y with "
                         "sigma given; a binomial one n and r")  # fmt: skip
    return values
