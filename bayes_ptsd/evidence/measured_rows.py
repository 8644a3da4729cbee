"""Rows of `effects.csv` that say what they are: a measure, a level, a standard error, t, counts.

A row that fills none of `WORDS` is a difference with a 95% interval or a P. The others are read by
`bayes_ptsd.evidence.measures`: ratios as logarithms, everything positive where the active
treatment is better, and what was printed is kept beside it.
"""

from __future__ import annotations

import json
import math
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayes_ptsd.errors import EvidenceError, StatisticalWarning, shown
from bayes_ptsd.evidence.csv_table import Table
from bayes_ptsd.evidence.intervals import interval
from bayes_ptsd.evidence.measures import (
    MEASURES,
    ROW,
    PrintedResult,
    ask_for_measure,
    printed_result,
)
from bayes_ptsd.trial import Endpoint, Trial

__all__ = [
    "ROW_WORDS",
    "WORDS",
    "MeasuredRow",
    "PrintedScale",
    "analyzed_trial",
    "ask_for_measures",
    "level_of",
    "of_scores",
    "p_bound",
    "printed_scale",
    "printed_words",
    "read_measured",
    "split_bounds",
]

WORDS = (
    "measure", "level", "se", "t", "f", "counts", "mean_active", "sd_active", "mean_control",
    "sd_control",
)  # fmt: skip
"""Columns of which one at least is filled in a row that says what it is."""
ROW_WORDS = ("measure", "printed", "print_sign", "level", "p_bound")
"""What the node `effects` has of such rows, and lacks in a folder without any."""
BOUND = re.compile(r"([<>\N{LESS-THAN OR EQUAL TO}\N{GREATER-THAN OR EQUAL TO}])\s*(.+)", re.DOTALL)
SCORES = ("range", "mcid", "reference_sd")
BoolArray: TypeAlias = NDArray[np.bool_]
Row: TypeAlias = xr.Dataset | Mapping[str, Any]
"""One row of node `effects`, as arrays or as plain values, or the attributes of a fit of it."""


@dataclass(frozen=True)
class PrintedScale:
    """The printed scale of a ratio whose logarithm is analyzed, positive where benefit is."""

    measure: str  # a key of `MEASURES`, of a ratio
    sign: int  # of the printed logarithm to benefit: -1 where lower ratios are better

    @property
    def label(self) -> str:
        """What is printed, in words."""
        return MEASURES[self.measure].label

    @property
    def below(self) -> str:
        """The comparison by which a ratio is better than another, for people."""
        return "<" if self.sign < 0 else ">"

    def printed(self, benefit: float) -> float:
        """Return a benefit-positive logarithm as the ratio that a paper prints."""
        return float(MEASURES[self.measure].printed(self.sign * benefit))

    def limits(self, low: float, high: float) -> tuple[float, float]:
        """Return benefit-positive limits as printed, the lower first."""
        ends = sorted((self.printed(low), self.printed(high)))
        return ends[0], ends[1]

    def analyzed(self, ratio: float) -> float:
        """Return a printed ratio as benefit-positive logarithm."""
        return self.sign * MEASURES[self.measure].analyzed(ratio)


@dataclass(frozen=True)
class MeasuredRow:
    """One such row: its words, and its numbers where they are analyzed, benefit-positive."""

    words: Mapping[str, Any]  # keys of `ROW`
    result: PrintedResult  # with the sign of print
    sign: int  # of the printed direction to benefit

    @property
    def cells(self) -> dict[str, float]:
        """The numbers of node `effects`."""
        result, sign = self.result, self.sign
        low, high = interval(sign * result.estimate, result.se, df=result.df)
        ends = [self._analyzed(key) for key in ("ci_low", "ci_high")]
        ends = ends[::sign]
        derived = "counts" in self.words or "mean_active" in self.words
        printed = self._analyzed("estimate")
        estimate = sign * result.estimate if derived or math.isnan(printed) else printed
        return {
            "estimate": estimate, "ci_low": ends[0], "ci_high": ends[1], "se": result.se,
            "df": result.df, "interval_low": float(low), "interval_high": float(high),
        }  # fmt: skip

    @property
    def sizes(self) -> dict[str, float]:
        """The numbers of patients that counts say."""
        counts = self.result.counts
        if counts is None:
            return {}
        arms = {"n_active": float(counts.n_active), "n_control": float(counts.n_control)}
        return {**arms, "n": sum(arms.values())}

    def _analyzed(self, key: str) -> float:
        """Return a printed number where it is analyzed, benefit-positive, NaN where there is none.

        Of logarithms the sign is changed after they are taken.
        """
        if key not in self.words:
            return math.nan
        return self.sign * self.result.of.analyzed(float(self.words[key]))


def split_bounds(table: Table) -> tuple[Table, list[str]]:
    """Return a table whose P values are numbers or empty, and the bounds printed in their place.

    ``< .001`` is the bound ``<.001``; what is no number behind the sign is refused.
    """
    found = [BOUND.fullmatch(row.get("p_value", "")) for row in table.rows]
    bare = [{**row, "p_value": one[2].strip()} if one else row
            for row, one in zip(table.rows, found, strict=True)]  # fmt: skip
    replace(table, rows=tuple(bare)).number("p_value")
    left = [{**row, "p_value": ""} if one else row
            for row, one in zip(table.rows, found, strict=True)]  # fmt: skip
    bounds = [f"{_ascii(one[1])}{one[2].strip()}" if one else "" for one in found]
    return replace(table, rows=tuple(left)), bounds


def _ascii(sign: str) -> str:
    """Return the strict sign of a bound: print does not tell the two apart."""
    return "<" if sign in "<\N{LESS-THAN OR EQUAL TO}" else ">"


def read_measured(table: Table, sign: np.ndarray, bounds: list[str]) -> dict[int, MeasuredRow]:
    """Return the rows that say what they are, by their place; those that cannot be are refused."""
    columns = {key: table.number(key) for key in ROW if key not in ("measure", "counts", "better")}
    found = {}
    for index, row in enumerate(table.rows):
        if not any(row.get(word) for word in WORDS):
            continue
        words: dict[str, Any] = {"measure": row.get("measure") or _default(row)}
        words |= {key: float(values[index]) for key, values in columns.items()
                  if not np.isnan(values[index])}  # fmt: skip
        if row.get("counts"):
            words["counts"] = row["counts"]
        _check_direction(table, index, row)
        if bounds[index] and not words.keys() & {"ci_low", "se", "t", "f", "counts", "mean_active"}:
            _refuse_bound(table, index, bounds[index])
        words["better"] = "higher" if sign[index] > 0 else "lower"
        found[index] = MeasuredRow(words, _result(table, index, words), int(sign[index]))
    return found


def _default(row: Mapping[str, str]) -> str:
    """Return the measure of a row that names none: an odds ratio of counts, else a difference."""
    return "or" if row.get("counts") else "md"


def _check_direction(table: Table, index: int, row: Mapping[str, str]) -> None:
    """Refuse another direction where both arms are given, the active one first."""
    both = "counts" if row.get("counts") else "mean_active" if row.get("mean_active") else ""
    if row.get("term", "") not in ("", "treatment"):
        return
    if both and row.get("sign_as_printed") != "active-minus-control":
        table.refuse(
            index, "sign_as_printed",
            f"'{shown(row.get('sign_as_printed', ''))}': {both} have the active arm first; say "
            "active-minus-control",
        )  # fmt: skip


def _refuse_bound(table: Table, index: int, bound: str) -> None:
    """Refuse a bound on P where a standard error has to follow from it."""
    table.refuse(
        index, "p_value",
        f"'{shown(bound)}' is a bound, from which no standard error follows; give ci_low and "
        "ci_high, se, t with df, or counts",
    )  # fmt: skip


def _result(table: Table, index: int, words: Mapping[str, Any]) -> PrintedResult:
    """Return one row as analyzed; that an estimate is off the middle is for the audit to say."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", StatisticalWarning)
            return printed_result(words)
    except EvidenceError as error:
        column = next((key for key in ("counts", "measure") if table.rows[index].get(key)), "se")
        table.refuse(index, column, str(error))


def ask_for_measures(table: Table, trial: Trial, measured: Mapping[int, MeasuredRow]) -> None:
    """Refuse an interval that may be one of a ratio where an empty cell `measure` leaves it open.

    A file without that column has differences alone, and so have endpoints with a range, an MCID or
    a reference SD, which are those of scores.
    """
    if not any("measure" in row for row in table.rows):
        return
    columns = {key: table.number(key) for key in ("estimate", "ci_low", "ci_high")}
    for index, row in enumerate(table.rows):
        endpoint = trial.endpoint(row["endpoint"])
        of_scores = any(getattr(endpoint, key) is not None for key in SCORES)
        covariate = row.get("term", "") not in ("", "treatment")
        values = [float(one[index]) for one in columns.values()]
        if index in measured or of_scores or covariate or any(map(math.isnan, values)):
            continue
        try:
            ask_for_measure(*values)
        except EvidenceError as error:
            text = str(error).replace("--measure ", "measure ")
            table.refuse(index, "measure", text)


def analyzed_trial(table: Table, trial: Trial, measured: Mapping[int, MeasuredRow]) -> Trial:
    """Return the trial with each endpoint in the unit in which its rows are analyzed.

    The MCID of a ratio is printed as one and becomes the size of its logarithm; a standardized
    difference has a reference SD of 1. An endpoint with rows of two measures is refused, and one of
    scores with a ratio.
    """
    endpoints = dict(trial.endpoints)
    names: dict[str, str] = {}
    for index, row in enumerate(table.rows):
        if row.get("term", "") not in ("", "treatment"):
            continue
        name = str(measured[index].words["measure"]) if index in measured else "md"
        other = names.setdefault(row["endpoint"], name)
        if other != name:
            table.refuse(
                index, "measure",
                f"endpoint '{row['endpoint']}' has rows of measure {other} and of {name}; give "
                "each measure an endpoint of its own in trial.toml",
            )  # fmt: skip
        try:
            endpoints[row["endpoint"]] = _in_unit(trial.endpoint(row["endpoint"]), name)
        except EvidenceError as error:
            table.refuse(index, "measure", str(error))
    return replace(trial, endpoints=endpoints)


def _in_unit(endpoint: Endpoint, name: str) -> Endpoint:
    """Return an endpoint in the unit of a measure."""
    measure = MEASURES[name]
    if name == "smd":
        if endpoint.reference_sd not in (None, 1.0):
            raise EvidenceError(
                f"endpoint '{endpoint.id}' has reference_sd {endpoint.reference_sd:g}, but a "
                "standardized difference is in SDs: leave it out"
            )
        return replace(endpoint, unit="SD", reference_sd=1.0, residual_sd=None, range=None)
    if not measure.ratio:
        own = "risk difference" if name == "rd" and endpoint.unit == "points" else endpoint.unit
        return replace(endpoint, unit=own)
    if endpoint.range is not None and endpoint.kind != "binary":
        raise EvidenceError(
            f"endpoint '{endpoint.id}' has a range of scores, which a {measure.label} has not: "
            "give it an endpoint of its own in trial.toml"
        )
    mcid = None if endpoint.mcid is None else abs(math.log(endpoint.mcid))
    if mcid == 0:
        raise EvidenceError(
            f"endpoint '{endpoint.id}' has mcid 1, which is no effect of a {measure.label}: give a "
            "ratio, as 0.8"
        )
    return replace(endpoint, unit=f"log {measure.label}", range=None, mcid=mcid)


def printed_words(row: Row) -> dict[str, Any]:
    """Return what a row printed, by the words of `ROW`; nothing of a row that says none of them."""
    text = _text(row, "printed")
    found: dict[str, Any] = json.loads(text) if text else {}
    return found


def _text(row: Row, key: str) -> str:
    """Return one of `ROW_WORDS` as text, empty where a row or fit has none."""
    return str(np.asarray(row[key]).item()) if key in row else ""


def level_of(row: Row) -> float:
    """Return the level of the printed interval of one row."""
    return float(_text(row, "level") or 0.95)


def p_bound(row: Row) -> str:
    """Return the bound on P that one row prints, as ``<.001``, empty where there is none."""
    return _text(row, "p_bound")


def of_scores(rows: xr.Dataset, *, logarithms: bool = True) -> BoolArray:
    """Tell which rows compare means, so that their standard error is one of patients' scores.

    With `logarithms` ratios of means are among them.
    """
    if "measure" not in rows.coords:
        return np.ones(rows.sizes["contrast"], bool)
    return np.isin(rows["measure"].values, ("", "md", *(["gmr"] if logarithms else [])))


def printed_scale(row: Row) -> PrintedScale | None:
    """Return the printed scale of a row, or of the fit with these attributes, of a ratio.

    None where numbers are analyzed as printed.
    """
    measure = _text(row, "measure")
    if not measure or not MEASURES[measure].ratio:
        return None
    return PrintedScale(measure, int(_text(row, "print_sign")))
