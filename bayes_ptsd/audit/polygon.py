"""Unrounded numbers that a printed row allows, and the one printed number that would mend it.

An estimate and a symmetric interval have two unknowns, the estimate and the half-width. Each of the
three printed numbers is a strip in that plane; together they leave a convex polygon, or nothing.
Convention T holds throughout: half-width = standard error x quantile of t.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from bayes_ptsd.evidence.intervals import FloatArray, critical_value, p_value, rounding_box

__all__ = [
    "LEAST_RATIO",
    "Printed",
    "admissible_polygon",
    "agrees",
    "area",
    "boxes",
    "mean_half_width",
    "p_range",
    "repairs",
    "share_between",
    "share_printing_p",
    "slopes_printing_p",
    "wedges",
]

Box = tuple[float, float]
# numbers that were rounded exactly at half a digit must not fall out by binary arithmetic
SLACK = 1e-9
# a ratio below is 0 in print, whatever its digits, and its logarithm, -690, is still far from -inf
LEAST_RATIO = 1e-300


def admissible_polygon(estimate: Box, low: Box, high: Box) -> FloatArray:
    """Return the corners (estimate, half-width) that three rounding boxes allow, dims (corner, 2).

    It is empty if no symmetric interval around an estimate prints as the three numbers.
    """
    reach = max(map(abs, (*estimate, *low, *high)))
    slack = SLACK * (1 + reach)
    left, right, top = estimate[0] - slack, estimate[1] + slack, 4 * reach + 1
    polygon: FloatArray = np.array([[left, 0], [right, 0], [right, top], [left, top]], dtype=float)
    for slope, box in ((-1.0, low), (1.0, high)):
        polygon = _clip(polygon, (1.0, slope), box[0] - slack)
        polygon = _clip(polygon, (-1.0, -slope), -box[1] - slack)
    return polygon


def area(polygon: FloatArray) -> float:
    """Return the area of a polygon, 0 for fewer than three corners."""
    if len(polygon) < 3:
        return 0.0
    # moved to its first corner, or a small polygon far from the origin loses its digits
    x, y = (polygon - polygon[0]).T
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)


def p_range(polygon: FloatArray, *, df: float, level: float = 0.95) -> tuple[float, float]:
    """Return the smallest and largest two-sided P over a polygon, NaN for an empty one."""
    if len(polygon) == 0:
        return np.nan, np.nan
    se = np.maximum(polygon[:, 1], 1e-300) / critical_value(df=df, level=level)
    values = p_value(polygon[:, 0], se, df=df)
    changes_sign = polygon[:, 0].min() <= 0 <= polygon[:, 0].max()
    return float(values.min()), 1.0 if changes_sign else float(values.max())


def share_printing_p(polygon: FloatArray, p_box: Box, *, df: float, level: float = 0.95) -> float:
    """Return the share of a polygon's area on which P is in a rounding box, NaN without area."""
    shallow, steep = slopes_printing_p(p_box, df=df, level=level)
    return share_between(polygon, shallow=float(shallow), steep=float(steep))


def slopes_printing_p(
    p_box: Box, *, df: ArrayLike, level: float = 0.95
) -> tuple[FloatArray, FloatArray]:
    """Return the least and largest |estimate / half-width| whose P is in a box, shape of `df`.

    The largest is infinite if the box reaches 0.
    """
    quantile = critical_value(df=df, level=level)
    shallow: FloatArray = stats.t.isf(np.clip(p_box[1], 0, 1) / 2, df) / quantile
    steep: FloatArray = stats.t.isf(np.clip(p_box[0], 0, 1) / 2, df) / quantile
    return shallow, steep


def share_between(polygon: FloatArray, *, shallow: float, steep: float) -> float:
    """Return the share of a polygon's area between two |estimate/half-width|, NaN without area."""
    whole = area(polygon)
    if whole == 0:
        return np.nan
    return min(1.0, sum(map(area, wedges(polygon, shallow, steep))) / whole)


def mean_half_width(polygon: FloatArray, p_box: Box, *, df: float, level: float = 0.95) -> float:
    """Return the mean half-width over the part of a polygon that prints P, NaN if none does."""
    shallow, steep = slopes_printing_p(p_box, df=df, level=level)
    parts = wedges(polygon, float(shallow), float(steep))
    areas = np.array([area(part) for part in parts])
    if areas.sum() == 0:
        return np.nan
    middles = np.array([_mean_height(part) for part in parts])
    return float(areas @ middles / areas.sum())


def wedges(polygon: FloatArray, shallow: float, steep: float) -> list[FloatArray]:
    """Return the parts of a polygon between two ratios, one for each sign of the estimate."""
    estimates = polygon[:, 0] if len(polygon) else np.zeros(1)
    signs = [sign for sign in (1.0, -1.0) if (sign * estimates > 0).any()]
    parts = [_clip(polygon, (sign, -shallow), 0.0) for sign in signs]
    if np.isinf(steep):
        return parts
    return [_clip(part, (-sign, steep), 0.0) for part, sign in zip(parts, signs, strict=True)]


def _mean_height(polygon: FloatArray) -> float:
    """Return the second coordinate of a polygon's center of mass, 0 for one without area."""
    if area(polygon) == 0:
        return 0.0
    x, y = (polygon - polygon[0]).T
    cross = x * np.roll(y, -1) - np.roll(x, -1) * y
    return float(polygon[0, 1] + ((y + np.roll(y, -1)) @ cross) / (3 * cross.sum()))


def _clip(polygon: FloatArray, normal: tuple[float, float], bound: float) -> FloatArray:
    """Return the part of a convex polygon where the normal's linear form is at least the bound."""
    if len(polygon) == 0:
        return polygon
    height = polygon @ np.asarray(normal) - bound
    following, next_height = np.roll(polygon, -1, axis=0), np.roll(height, -1)
    corners = []
    for here, there, a, b in zip(polygon, following, height, next_height, strict=True):
        if a >= 0:
            corners.append(here)
        if (a >= 0) != (b >= 0):
            corners.append(here + (there - here) * a / (a - b))
    return np.array(corners, dtype=float).reshape(-1, 2)


# column of `effects` to the field of `Printed` and its place in `decimals`
FIELDS = {"estimate": ("estimate", 0), "ci_low": ("low", 1), "ci_high": ("high", 2)}


@dataclass(frozen=True)
class Printed:
    """An estimate with its interval and P value as printed, score units or ratios.

    Attributes
    ----------
    p : float
        Two-sided P value, NaN if none is printed; of a bound its number.
    decimals : tuple of int
        Digits after the point of estimate, low, high and P (-1: not printed).
    level : float
        Level of the interval.
    ratio : bool
        Whether the interval is symmetric where logarithms are taken.
    bound : {"", "<", ">"}
        What stands before P.
    """

    estimate: float
    low: float
    high: float
    p: float
    decimals: tuple[int, int, int, int]
    level: float = 0.95
    ratio: bool = False
    bound: str = ""

    @property
    def analyzed(self) -> tuple[float, float, float]:
        """Estimate and limits where the interval is symmetric."""
        if not self.ratio:
            return self.estimate, self.low, self.high
        return math.log(self.estimate), math.log(self.low), math.log(self.high)

    @property
    def p_box(self) -> Box:
        """The P values that print as this one, or are within its bound."""
        if self.bound:
            return (0.0, self.p) if self.bound == "<" else (self.p, 1.0)
        low, high = rounding_box(self.p, self.decimals[3])
        return float(low), float(high)

    @property
    def p_text(self) -> str:
        """P value as printed."""
        return f"{self.bound}{' ' if self.bound else ''}{self.p:.{self.decimals[3]}f}"

    def text(self, column: str) -> str:
        """Return the estimate or a limit with the digits it was printed with."""
        name, position = FIELDS[column]
        return f"{getattr(self, name):.{self.decimals[position]}f}"


def boxes(printed: Printed) -> tuple[Box, Box, Box]:
    """Return the rounding boxes of estimate and limits."""
    values = (printed.estimate, printed.low, printed.high)
    low, high = rounding_box(values, printed.decimals[:3])
    if printed.ratio:
        # what rounds to a positive number may be next to 0, where its logarithm has no end
        low, high = (np.log(np.maximum(one, LEAST_RATIO)) for one in (low, high))
    first, second, third = zip(low.tolist(), high.tolist(), strict=True)
    return first, second, third


def agrees(printed: Printed, *, df: float) -> bool:
    """Tell whether some unrounded numbers print as all four."""
    polygon = admissible_polygon(*boxes(printed))
    if len(polygon) == 0 or np.isnan(printed.p):
        return len(polygon) > 0
    least, most = p_range(polygon, df=df, level=printed.level)
    low, high = printed.p_box
    return bool(least <= high + 1e-9 and most >= low - 1e-9)


def repairs(printed: Printed, *, df: float) -> dict[str, list[str]]:
    """Return by column the values that, one number alone replaced, would make all four agree.

    Printed with the digits of the original, those that more unrounded numbers print as first;
    columns without such a value are left out.
    """
    estimate, low, high = printed.estimate, printed.low, printed.high
    expected = {
        "estimate": (low + high) / 2, "ci_low": 2 * estimate - high, "ci_high": 2 * estimate - low
    }  # fmt: skip
    if printed.ratio:
        expected = {
            "estimate": math.sqrt(low * high), "ci_low": estimate**2 / high,
            "ci_high": estimate**2 / low,
        }  # fmt: skip
    found = {}
    for column, middle in expected.items():
        decimals = printed.decimals[FIELDS[column][1]]
        changed = [_with(printed, column, value) for value in _printable(middle, decimals)]
        least = 0.0 if printed.ratio else -np.inf
        rows = [
            row for row in changed
            if row.low < row.high and min(row.low, row.estimate) > least and agrees(row, df=df)
        ]  # fmt: skip
        if rows:
            rows.sort(key=lambda row: -_room(row, df=df))
            found[column] = [row.text(column) for row in rows]
    return found | _p_repair(printed, df=df)


def _with(printed: Printed, column: str, value: float) -> Printed:
    """Return the row with another estimate or limit."""
    if column == "estimate":
        return replace(printed, estimate=value)
    return replace(printed, low=value) if column == "ci_low" else replace(printed, high=value)


def _room(printed: Printed, *, df: float) -> float:
    """Return the area of unrounded numbers that print as all four."""
    polygon = admissible_polygon(*boxes(printed))
    if np.isnan(printed.p):
        return area(polygon)
    share = share_printing_p(polygon, printed.p_box, df=df, level=printed.level)
    return 0.0 if np.isnan(share) else area(polygon) * share


def _printable(middle: float, decimals: int) -> list[float]:
    """Return numbers with so many decimals around a value, 30 units of the last on either side."""
    unit = 10.0**-decimals
    return [round((round(middle / unit) + step) * unit, decimals) for step in range(-30, 31)]


def _p_repair(printed: Printed, *, df: float) -> dict[str, list[str]]:
    """Range of P that estimate and interval give, if they agree with each other."""
    if np.isnan(printed.p):
        return {}
    least, most = p_range(admissible_polygon(*boxes(printed)), df=df, level=printed.level)
    if np.isnan(least):
        return {}
    digits = printed.decimals[3]
    ends = dict.fromkeys((f"{least:.{digits}f}", f"{most:.{digits}f}"))
    return {"p_value": [" to ".join(ends)]}
