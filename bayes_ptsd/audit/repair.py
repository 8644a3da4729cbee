"""The one printed number that, if it were different, would make a row agree with itself."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bayes_ptsd.audit.polygon import admissible_polygon, area, p_range, share_printing_p
from bayes_ptsd.evidence.intervals import rounding_box

__all__ = ["Printed", "agrees", "boxes", "repairs"]

Box = tuple[float, float]
# column of `effects` to the field of `Printed` and its place in `decimals`
FIELDS = {"estimate": ("estimate", 0), "ci_low": ("low", 1), "ci_high": ("high", 2)}


@dataclass(frozen=True)
class Printed:
    """An estimate with its 95% interval and P value as printed, score units.

    Attributes
    ----------
    p : float
        Two-sided P value, NaN if none is printed.
    decimals : tuple of int
        Digits after the point of estimate, low, high and P (-1: not printed).
    """

    estimate: float
    low: float
    high: float
    p: float
    decimals: tuple[int, int, int, int]

    def text(self, column: str) -> str:
        """Return the estimate or a limit with the digits it was printed with."""
        name, position = FIELDS[column]
        return f"{getattr(self, name):.{self.decimals[position]}f}"


def boxes(printed: Printed) -> tuple[Box, Box, Box]:
    """Return the rounding boxes of estimate and limits."""
    values = (printed.estimate, printed.low, printed.high)
    low, high = rounding_box(values, printed.decimals[:3])
    first, second, third = zip(low.tolist(), high.tolist(), strict=True)
    return first, second, third


def agrees(printed: Printed, *, df: float) -> bool:
    """Tell whether some unrounded numbers print as all four."""
    polygon = admissible_polygon(*boxes(printed))
    if len(polygon) == 0 or np.isnan(printed.p):
        return len(polygon) > 0
    least, most = p_range(polygon, df=df)
    low, high = rounding_box(printed.p, printed.decimals[3])
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
    found = {}
    for column, middle in expected.items():
        decimals = printed.decimals[FIELDS[column][1]]
        changed = [_with(printed, column, value) for value in _printable(middle, decimals)]
        rows = [row for row in changed if row.low < row.high and agrees(row, df=df)]
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
    low, high = rounding_box(printed.p, printed.decimals[3])
    share = share_printing_p(polygon, (float(low), float(high)), df=df)
    return 0.0 if np.isnan(share) else area(polygon) * share


def _printable(middle: float, decimals: int) -> list[float]:
    """Return numbers with so many decimals around a value, 30 units of the last on either side."""
    unit = 10.0**-decimals
    return [round((round(middle / unit) + step) * unit, decimals) for step in range(-30, 31)]


def _p_repair(printed: Printed, *, df: float) -> dict[str, list[str]]:
    """Range of P that estimate and interval give, if they agree with each other."""
    if np.isnan(printed.p):
        return {}
    least, most = p_range(admissible_polygon(*boxes(printed)), df=df)
    if np.isnan(least):
        return {}
    digits = printed.decimals[3]
    ends = dict.fromkeys((f"{least:.{digits}f}", f"{most:.{digits}f}"))
    return {"p_value": [" to ".join(ends)]}
