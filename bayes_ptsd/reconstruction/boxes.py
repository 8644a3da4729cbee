"""Printed results as boxes: which unrounded numbers print as they do, and draws from them.

An estimate with its limits and its P value has two unknowns, the estimate and its standard error.
What all four printed numbers allow together is a small polygon; targets are drawn from it, never
from one box after the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from bayes_ptsd.audit.polygon import admissible_polygon, area, slopes_printing_p, wedges
from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence.intervals import FloatArray, critical_value, rounding_box

__all__ = ["Box", "PrintedRow", "printed_row"]

Box = tuple[float, float]
ANYTHING: Box = (-np.inf, np.inf)
# of a box at either end, left to the rounding of scores: a target at the very end would leave it
SHRINK = 0.03
# of 4,000 points each: enough for what is left of a box to a hundred thousandth
TRIES = 200


@dataclass(frozen=True)
class PrintedRow:
    """What the numbers of one printed row allow, score units; treatment rows are benefit-positive.

    Attributes
    ----------
    estimate, low, high : tuple of float
        Rounding boxes; unbounded where not printed.
    t : tuple of float
        Absolute t statistics that print the P value.
    digits : tuple of int
        Printed digits of estimate, low, high and P; -1 where not printed.
    printed : tuple of float
        The four numbers, NaN where not printed.
    """

    id: str
    endpoint: str
    analysis: str
    term: str
    text: str
    estimate: Box
    low: Box
    high: Box
    t: Box
    df: float
    digits: tuple[int, int, int, int]
    printed: tuple[float, float, float, float]

    @property
    def quantile(self) -> float:
        """The quantile of t that bounds the printed interval."""
        return float(critical_value(df=self.df))

    def targets(self, size: int, rng: np.random.Generator) -> FloatArray:
        """Draw estimates and standard errors that print the row, dims (2, size).

        A row that no symmetric interval prints raises `EvidenceError`.
        """
        if not np.isfinite(self.low).all():
            estimate = rng.uniform(*_shrunk(self.estimate), size=size)
            return np.stack([estimate, np.abs(estimate) / rng.uniform(*_shrunk(self.t), size=size)])
        corners = admissible_polygon(*map(_shrunk, (self.estimate, self.low, self.high)))
        found = np.empty((2, 0))
        for _ in range(TRIES if len(corners) >= 3 else 0):
            span = rng.uniform(corners.min(axis=0), corners.max(axis=0), size=(4000, 2)).T
            found = np.concatenate([found, span[:, self._prints(span)]], axis=1)
            if found.shape[1] >= size:
                break
        else:
            found = self._within(size, rng)
        drawn: FloatArray = found[:, :size] / np.array([[1.0], [self.quantile]])
        return drawn

    def _within(self, size: int, rng: np.random.Generator) -> FloatArray:
        """Draw estimates and half-widths from all that print the row, dims (2, size).

        For a row that prints only next to the ends of its boxes: uniform over the triangles that
        make up what is left, drawn towards its middle by as much as boxes are.
        """
        shallow, steep = (end / self.quantile for end in self.t)
        whole = admissible_polygon(self.estimate, self.low, self.high)
        parts = [part for part in wedges(whole, shallow, steep) if area(part) > 0]
        if not parts:
            raise EvidenceError(self.refusal())
        ends = np.concatenate([
            np.stack([np.broadcast_to(part.mean(axis=0), part.shape), part,
                      np.roll(part, -1, axis=0)], axis=1)
            for part in parts
        ])  # fmt: skip
        share = np.array([area(triangle) for triangle in ends])
        chosen = ends[rng.choice(len(ends), size=size, p=share / share.sum())]
        weight = rng.dirichlet(np.ones(3), size=size)
        points = np.einsum("nc,ncx->nx", weight, chosen)
        return np.asarray((points + 2 * SHRINK * (chosen[:, 0] - points)).T)

    def refusal(self) -> str:
        """Say what contradicts what in a row that nothing can print."""
        middle = [(low + high) / 2 for low, high in zip(self.low, self.high, strict=True)]
        return (
            f"{self.id}: no symmetric interval prints {self.text}. The middle of the limits is "
            f"{middle[0]:.4g} to {middle[1]:.4g}, the estimate {self.estimate[0]:.4g} to "
            f"{self.estimate[1]:.4g}, and P asks for |t| {self.t[0]:.3f} to {self.t[1]:.3f}; "
            "correct the row, or add a derived one with its id and a '*'"
        )

    def prints(self, estimate: float, se: float) -> bool:
        """Tell whether an estimate and its standard error print the row, benefit-positive."""
        return bool(self._prints(np.array([[estimate], [se * self.quantile]]))[0])

    def _prints(self, span: FloatArray) -> np.ndarray:
        """Tell which pairs of estimate and half-width print all four numbers."""
        estimate, half = span
        ratio = np.abs(estimate) / half * self.quantile
        values = (estimate, estimate - half, estimate + half, ratio)
        boxes = (self.estimate, self.low, self.high, self.t)
        inside = [
            (value >= low) & (value <= high)
            for value, (low, high) in zip(values, map(_shrunk, boxes), strict=True)
        ]
        result: np.ndarray = np.logical_and.reduce(inside)
        return result


def printed_row(effects: xr.Dataset, contrast: str, *, df: float | None = None) -> PrintedRow:
    """Return the boxes of one row, with other residual degrees of freedom `df` if given."""
    here = effects.sel(contrast=contrast)
    names = ("estimate", "ci_low", "ci_high", "p_value")
    estimate, low, high, p = (float(here[name]) for name in names)
    digits = [int(here[f"{name}_decimals"]) for name in names]
    degrees = float(here["df"]) if df is None else df
    return PrintedRow(
        id=contrast,
        endpoint=str(here["endpoint"].item()),
        analysis=str(here["analysis"].item()),
        term=str(here["term"].item()),
        text=_text((estimate, low, high, p), digits),
        estimate=_box(estimate, digits[0]),
        low=_box(low, digits[1]),
        high=_box(high, digits[2]),
        t=_t_box(_box(p, digits[3]), degrees),
        df=degrees,
        digits=(digits[0], digits[1], digits[2], digits[3]),
        printed=(estimate, low, high, p),
    )


def _box(value: float, digits: int) -> Box:
    """Return the rounding box, or anything where nothing is printed."""
    if digits < 0 or np.isnan(value):
        return ANYTHING
    low, high = rounding_box(value, digits)
    return float(low), float(high)


def _t_box(p: Box, df: float) -> Box:
    """Return the absolute t statistics of a box of P values."""
    if not np.isfinite(p).all():
        return (0.0, np.inf)
    shallow, steep = slopes_printing_p(p, df=df)
    quantile = float(critical_value(df=df))
    return float(shallow) * quantile, float(steep) * quantile


def _shrunk(box: Box) -> Box:
    """Return a box without the outer 3% at either end, where rounding could fail."""
    low, high = box
    room = SHRINK * (high - low) if np.isfinite(high - low) else 0.0
    return low + room, high - room


def _text(printed: tuple[float, ...], digits: list[int]) -> str:
    """Return a row as it is printed."""
    estimate, low, high, p = (
        f"{value:.{max(digit, 0)}f}" for value, digit in zip(printed, digits, strict=True)
    )
    interval = "" if digits[1] < 0 else f" ({low} to {high})"
    return f"{estimate}{interval}" + ("" if digits[3] < 0 else f", P = {p}")
