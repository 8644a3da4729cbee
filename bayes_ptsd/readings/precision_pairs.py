"""Crossover and first-period rows of the same endpoint: what their standard errors are worth."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import xarray as xr

from bayes_ptsd.audit.finding import printed_rows
from bayes_ptsd.audit.flow import completers
from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.intervals import FloatArray, critical_value
from bayes_ptsd.evidence.measured_rows import of_scores, printed_scale

__all__ = ["RowPair", "row_pairs"]


@dataclass(frozen=True)
class RowPair:
    """The printed precision of one endpoint in both analyses.

    Attributes
    ----------
    endpoint, crossover, first_period : str
        The endpoint and the ids of its two rows.
    widths : tuple of float
        Widths of the crossover and of the first-period interval, score units.
    rounding : tuple of tuple of float
        Half a unit of the last digit of the two limits of each.
    df_crossover, df_first : float
        Degrees of freedom.
    design : float
        Sum of 1 / n over the sequences by that over the arms: the ratio of squared standard
        errors of two contrasts of the same variance.
    baseline : bool
        Whether the first-period analysis has a baseline slope: patients less degrees of freedom
        exceed 2.
    """

    endpoint: str
    crossover: str
    first_period: str
    widths: tuple[float, float]
    rounding: tuple[tuple[float, float], tuple[float, float]]
    df_crossover: float
    df_first: float
    design: float
    baseline: bool

    @property
    def log_ratio(self) -> float:
        """Log ratio of the squared standard errors, as printed."""
        return float(self._log_ratios(*(np.array([width]) for width in self.widths))[0])

    def rounded(self) -> tuple[FloatArray, FloatArray]:
        """Return log ratios and their weights over what prints as the four limits.

        The error of a width is the sum of two uniform ones; three nodes have its first five
        moments, and densities are smooth on the scale of rounding.
        """
        nodes, weights = zip(*(_errors(*halves) for halves in self.rounding), strict=True)
        wide, narrow = (width + node for width, node in zip(self.widths, nodes, strict=True))
        pairs = [grid.ravel() for grid in np.meshgrid(wide, narrow, indexing="ij")]
        return self._log_ratios(*pairs), np.outer(*weights).ravel()

    def _log_ratios(self, crossover: FloatArray, first: FloatArray) -> FloatArray:
        """Return log ratios of the squared standard errors of widths of intervals."""
        return 2 * (
            np.log(crossover / critical_value(df=self.df_crossover))
            - np.log(first / critical_value(df=self.df_first))
        )


def row_pairs(evidence: Evidence) -> tuple[RowPair, ...]:
    """Return the endpoints that have a crossover and a first-period interval at the same time.

    A row derived from a printed one (id with a ``*``) stands for it. No such endpoint, or a row
    without degrees of freedom or patients, is refused.
    """
    crossover, first = (
        {_key(row): row for row in _intervals(evidence, analysis)}
        for analysis in ("crossover", "first_period")
    )
    pairs = [_pair(evidence, row, first[key]) for key, row in crossover.items() if key in first]
    if not pairs:
        raise EvidenceError(
            f"{evidence.source}: no endpoint has both a crossover and a first_period row with an "
            "interval at the same timepoint, so the readings cannot be weighed; where a command "
            "takes weights, give them by hand, as --reading-weights as_published=0.5,unhalved=0.5"
        )
    return tuple(pairs)


def _intervals(evidence: Evidence, analysis: str) -> list[xr.Dataset]:
    """Return the rows of one analysis that have an interval."""
    rows = printed_rows(evidence, [analysis], corrected=True)
    return [
        rows.isel(contrast=index)
        for index in np.flatnonzero(np.isfinite(rows["ci_low"].values) & of_scores(rows))
    ]


def _key(row: xr.Dataset) -> tuple[str, str]:
    """Return endpoint and time of a row."""
    return str(row["endpoint"].item()), str(row["timepoint"].item())


def _pair(evidence: Evidence, crossover: xr.Dataset, first: xr.Dataset) -> RowPair:
    """Return what two rows of one endpoint say about precision."""
    arms = [_count(evidence, first, name) for name in ("n_active", "n_control")]
    df_first = _count(evidence, first, "df")
    return RowPair(
        endpoint=str(crossover["endpoint"].item()),
        crossover=str(crossover["contrast"].item()),
        first_period=str(first["contrast"].item()),
        widths=(_width(crossover), _width(first)),
        rounding=(_halves(crossover), _halves(first)),
        df_crossover=_count(evidence, crossover, "df"),
        df_first=df_first,
        design=_per_sequence(evidence, crossover) / sum(1 / n for n in arms),
        baseline=sum(arms) - df_first > 2,
    )


def _per_sequence(evidence: Evidence, crossover: xr.Dataset) -> float:
    """Return the sum of 1 / n over sequences; without a flow of patients, of equal sequences."""
    sizes = completers(evidence)
    if sizes:
        return sum(1 / n for n in sizes.values())
    return 4 / _count(evidence, crossover, "n")


def _count(evidence: Evidence, row: xr.Dataset, name: str) -> float:
    """Return a number that a row has to give."""
    value = float(row[name])
    if not math.isfinite(value):
        raise EvidenceError(
            f"{evidence.source}, row '{row['contrast'].item()}': '{name}' is needed to weigh the "
            "readings of the crossover; fill it in, or give weights by hand with --reading-weights"
        )
    return value


def _width(row: xr.Dataset) -> float:
    """Return the width of a printed interval, of one of 95% where another level is printed."""
    return float(row["interval_high"] - row["interval_low"])


def _halves(row: xr.Dataset) -> tuple[float, float]:
    """Return half a unit of the last printed digit of the two limits, in the unit of the width."""
    low, high = (0.5 * 10.0 ** -int(row[f"{name}_decimals"]) for name in ("ci_low", "ci_high"))
    wider = _width(row) / float(row["ci_high"] - row["ci_low"])
    scale = printed_scale(row)
    if scale is None:
        return wider * low, wider * high
    # of a logarithm, to first order
    below, above = (scale.printed(float(row[name])) for name in ("ci_low", "ci_high"))
    return wider * low / below, wider * high / above


def _errors(one: float, other: float) -> tuple[FloatArray, FloatArray]:
    """Return nodes and weights of the sum of two uniform errors with these half widths."""
    second = (one**2 + other**2) / 3
    fourth = (one**4 + other**4) / 5 + 2 * one**2 * other**2 / 3
    node, weight = math.sqrt(fourth / second), second**2 / (2 * fourth)
    return np.array([-node, 0.0, node]), np.array([weight, 1 - 2 * weight, weight])
