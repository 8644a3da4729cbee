"""What a report prints of its posteriors, read from a CSV file with the digits that were printed.

Every number becomes a statement about one distribution on the scale of the analysis, where a ratio
is its logarithm: so much probability lies below a place, each within the rounding of print.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import NoReturn

from bayes_ptsd.errors import SpecError, shown
from bayes_ptsd.evidence.csv_table import Table, read_table
from bayes_ptsd.evidence.intervals import rounding_box
from bayes_ptsd.priors import parse_prior

__all__ = ["Box", "PrintedPosterior", "PrintedPrior", "Statement", "read_report"]

Box = tuple[float, float]
"""Lowest and highest number that prints as it was printed."""

OPTIONAL = (
    "posterior", "scale", "likelihood", "prior", "level", "interval", "mean", "median", "sd",
    "low", "high", "probabilities", "place",
)  # fmt: skip
SCALES = ("difference", "ratio", "log")
INTERVALS = ("eti", "hdi")
QUANTILES = ("low", "median", "high")
# of a row that does not say so
LEVEL = 0.95
PROBABILITY = re.compile(
    r"P\(\s*(?P<side>[<>])\s*(?P<at>-?\d*\.?\d+)\s*\)\s*(?P<sign>[=<>])\s*"
    r"(?P<value>\d*\.?\d+)\s*(?P<percent>%?)"
)
NUMBERS = re.compile(r"[-+]?[\d.]+(?:[eE][-+]?\d+)?")


@dataclass(frozen=True)
class Statement:
    """One printed number: a probability within `below` lies below a place within `at`."""

    text: str  # as printed
    at: Box  # on the scale of the analysis
    below: Box
    quantile: bool = True  # a limit of a highest-density interval is none but of a symmetric one


@dataclass(frozen=True)
class PrintedPrior:
    """A normal prior on the scale of the analysis; numbers with a point within their rounding."""

    text: str
    mean: Box
    information: Box  # one over the variance; zero if flat


@dataclass(frozen=True)
class PrintedPosterior:
    """Everything that a report prints of one posterior."""

    name: str
    rows: tuple[str, ...]  # ids
    place: str
    logarithm: bool  # whether the scale of the analysis is a logarithm
    likelihood: str  # name of the data, which other posteriors share; empty where not said
    prior: PrintedPrior | None
    statements: tuple[Statement, ...]
    mean: tuple[Statement, ...] = ()  # `at` is the box; `below` says nothing
    sd: tuple[Statement, ...] = ()


def read_report(path: Path) -> list[PrintedPosterior]:
    """Read the posteriors of a report, a row each or several of the same `posterior`.

    Columns: ``id``; ``posterior`` that the row is about (its id by default); ``scale``,
    difference, ratio, or log of a ratio; ``likelihood``, a name for the data, and ``prior`` on the
    scale of the analysis (normal or flat); ``mean, median, sd``, limits ``low, high`` of
    probability ``level`` and kind ``interval`` (eti or hdi); ``probabilities`` such as
    ``P(<1)=84%; P(<0.9)=0.60``; ``place``.
    """
    table = read_table(path, path.name, required=["id"], optional=OPTIONAL)
    table.one_of("scale", SCALES, empty=True)
    table.one_of("interval", INTERVALS, empty=True)
    found: dict[str, PrintedPosterior] = {}
    for index in range(len(table.rows)):
        one = _posterior(table, index)
        found[one.name] = _joined(table, index, found[one.name], one) if one.name in found else one
    return list(found.values())


def _posterior(table: Table, index: int) -> PrintedPosterior:
    """Read one row."""
    cells = table.rows[index]
    ratio = cells.get("scale") == "ratio"
    if ratio and (cells.get("mean") or cells.get("sd")):
        table.refuse(index, "mean" if cells.get("mean") else "sd", "of a ratio it says nothing of "
                     "its logarithm; give the median, or a row of scale 'log'")  # fmt: skip
    moments = {key: tuple(_moment(table, index, key)) for key in ("mean", "sd")}
    statements = (*_limits(table, index, ratio=ratio), *_probabilities(table, index, ratio=ratio))
    if not (statements or any(moments.values())):
        table.refuse(index, "id", "says nothing of its posterior; give the median, limits or "
                     "probabilities, or leave the row out")  # fmt: skip
    return PrintedPosterior(
        name=cells.get("posterior") or cells["id"],
        rows=(cells["id"],),
        place=cells.get("place", ""),
        logarithm=cells.get("scale") in ("ratio", "log"),
        likelihood=cells.get("likelihood", ""),
        prior=_prior(table, index),
        statements=statements,
        **moments,
    )


def _joined(
    table: Table, index: int, one: PrintedPosterior, two: PrintedPosterior
) -> PrintedPosterior:
    """Return what two rows say of one posterior."""
    if one.logarithm != two.logarithm:
        table.refuse(index, "scale", f"posterior '{one.name}' is on the other scale in row "
                     f"'{one.rows[0]}'; give this row a posterior of its own")  # fmt: skip
    for key in ("likelihood", "prior"):
        if (mine := getattr(two, key)) and (other := getattr(one, key)) and mine != other:
            table.refuse(index, key, f"row '{one.rows[0]}' of the same posterior has another one; "
                         "make them the same, or give this row a posterior of its own")  # fmt: skip
    return replace(
        one,
        rows=(*one.rows, *two.rows),
        place="; ".join(dict.fromkeys(filter(None, (one.place, two.place)))),
        likelihood=one.likelihood or two.likelihood,
        prior=one.prior or two.prior,
        statements=(*one.statements, *two.statements),
        mean=(*one.mean, *two.mean),
        sd=(*one.sd, *two.sd),
    )


def _moment(table: Table, index: int, key: str) -> Iterator[Statement]:
    """Yield a printed mean or standard deviation."""
    value, digits = table.number(key)[index], int(table.decimals(key)[index])
    if not math.isnan(value):
        low, high = _box(value, digits)
        if key == "sd" and high <= 0:
            table.refuse(index, key, "a standard deviation is positive")
        yield Statement(f"{key} {table.rows[index][key]}", (low, high), (0.0, 1.0))


def _limits(table: Table, index: int, *, ratio: bool) -> Iterator[Statement]:
    """Yield median and limits of a row."""
    cells = table.rows[index]
    tail = (1 - _level(table, index)) / 2
    values = [table.number(key)[index] for key in QUANTILES]
    there = [value for value in values if not math.isnan(value)]
    if there != sorted(there):
        table.refuse(index, "median", "low, median and high are not in increasing order")
    for key, value, p in zip(QUANTILES, values, (tail, 0.5, 1 - tail), strict=True):
        if math.isnan(value):
            continue
        low, high = _box(value, int(table.decimals(key)[index]))
        if ratio and high <= 0:
            table.refuse(index, key, "a ratio is positive; of its logarithm write scale 'log'")
        quantile = key == "median" or cells.get("interval") != "hdi"
        at = (_log(low), _log(high)) if ratio else (low, high)
        yield Statement(f"{key} {cells[key]}", at, (p, p), quantile)


def _level(table: Table, index: int) -> float:
    """Return the probability of the limits, in percent or not."""
    level = float(table.number("level", default=LEVEL)[index])
    level = level / 100 if level > 1 else level
    if not 0 < level < 1:
        table.refuse(index, "level", "is not between 0 and 1, or 1 and 100 percent")
    return level


def _probabilities(table: Table, index: int, *, ratio: bool) -> Iterator[Statement]:
    """Yield the probabilities of a row."""

    def refuse(problem: str) -> NoReturn:
        table.refuse(index, "probabilities", problem)

    for text in table.rows[index].get("probabilities", "").split(";"):
        if text.strip():
            yield _probability(text.strip(), ratio=ratio, refuse=refuse)


def _probability(text: str, *, ratio: bool, refuse: Callable[[str], NoReturn]) -> Statement:
    """Read ``P(<0.9)=60%``, ``P(>5)=0.42`` or the bound ``P(>1)>93%``."""
    match = PROBABILITY.fullmatch(text)
    if match is None:
        refuse(f"'{shown(text)}' is not read; write P(<0.9)=60%, P(>5)=0.42 or P(>1)>93%, "
               "separated by ;")  # fmt: skip
    place, scale = float(match["at"]), 0.01 if match["percent"] else 1.0
    if ratio and place <= 0:
        refuse(f"'{shown(text)}': a ratio is positive")
    low, high = _box(float(match["value"]), len(match["value"].partition(".")[2]))
    low, high = max(low * scale, 0.0), min(high * scale, 1.0)
    if low > 1:
        refuse(f"'{shown(text)}' is above 1; write % behind it if it is meant in percent")
    low, high = {"=": (low, high), "<": (0.0, high), ">": (low, 1.0)}[match["sign"]]
    below = (low, high) if match["side"] == "<" else (1 - high, 1 - low)
    at = math.log(place) if ratio else place
    return Statement(text, (at, at), below)


def _prior(table: Table, index: int) -> PrintedPrior | None:
    """Read a normal or flat prior, with the digits of its numbers."""
    text = table.rows[index].get("prior", "")
    if not text:
        return None
    try:
        prior = parse_prior(text)
    except SpecError as error:
        table.refuse(index, "prior", str(error))
    if prior.dist == "flat":
        return PrintedPrior(text, (0.0, 0.0), (0.0, 0.0))
    if prior.dist != "normal":
        table.refuse(index, "prior", "only normal and flat priors are followed to a posterior; "
                     "leave it empty")  # fmt: skip
    mean, sd = map(_typed, NUMBERS.findall(text.partition("(")[2]))
    return PrintedPrior(text, mean, (sd[1] ** -2, sd[0] ** -2))


def _typed(number: str) -> Box:
    """Return the numbers that a parameter of a prior may stand for: 0 and 2 for themselves."""
    value, exponent = float(number), Decimal(number).as_tuple().exponent
    if not isinstance(exponent, int) or exponent >= 0:
        return value, value
    low, high = _box(value, -exponent)
    # an sd of 0.1 may be 0.05, never 0 or less
    return (low, high) if low * high > 0 or value <= 0 else (value, value)


def _box(value: float, decimals: int) -> Box:
    """Return the numbers that print as a value with so many decimals."""
    low, high = rounding_box(value, decimals)
    return float(low), float(high)


def _log(value: float) -> float:
    """Return a logarithm, minus infinity for what is not positive."""
    return math.log(value) if value > 0 else -math.inf
