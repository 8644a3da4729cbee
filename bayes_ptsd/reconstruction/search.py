"""Local search over integer scores until every statistic is inside its box."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from bayes_ptsd.evidence.intervals import FloatArray
from bayes_ptsd.reconstruction.boxes import Box
from bayes_ptsd.reconstruction.statistics import Statistics

__all__ = ["Contrast", "Goal", "Values", "repair"]

Values: TypeAlias = Callable[[FloatArray, FloatArray], FloatArray]
# of a box's width at either end: statistics are updated step by step, and their rounding errors
# must not carry a value that looks inside out of its box
SHRINK = 0.002
# one point down or up; some steps are doubled
SIGNS = np.array([-1, 1])
LATER, EARLIER = np.array([1, 2, 2]), np.array([0, 0, 1])


@dataclass(frozen=True)
class Contrast:
    """One estimate with its standard error and what they have to print.

    Attributes
    ----------
    linear, quadratic : int
        Places of the statistics behind estimate and residual sum of squares.
    scale : float
        Factor of the estimate, with the sign that makes benefit positive.
    factor : float
        Squared standard error, before `scale`, in units of the quadratic statistic.
    boxes : tuple
        Of estimate, lower and upper limit, absolute t.
    """

    linear: int
    quadratic: int
    scale: float
    factor: float
    quantile: float
    boxes: tuple[Box, Box, Box, Box]


@dataclass
class Goal:
    """What the search wants: values computed from statistics, each with its box.

    Attributes
    ----------
    squares : list of tuple
        Places of quadratic statistics with a factor, and the box of the product.
    others : list of tuple
        Functions of all statistics, dims (statistic, proposal), that return values, dims
        (value, proposal), and the boxes of those.
    """

    statistics: Statistics
    contrasts: list[Contrast] = field(default_factory=list)
    squares: list[tuple[int, float, Box]] = field(default_factory=list)
    others: list[tuple[Values, Sequence[Box]]] = field(default_factory=list)

    def bounds(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return lower and upper bounds, a hair inside, and widths, dim (value,)."""
        boxes = [box for position in range(4) for box in self._asked(position)]
        boxes += [box for _, _, box in self.squares]
        boxes += [box for _, more in self.others for box in more]
        low, high = np.array(boxes, dtype=float).reshape(-1, 2).T
        # a box with one end has no width; distances to it count in tenths
        width = np.where(np.isfinite(high - low), high - low, 0.1)
        return low + SHRINK * width, high - SHRINK * width, width

    def _asked(self, position: int) -> list[Box]:
        """Return the boxes of one value of all contrasts, those without limits left out."""
        boxes = [contrast.boxes[position] for contrast in self.contrasts]
        return [box for box in boxes if np.isfinite(box).any()]

    def function(self) -> Values:
        """Return the function from statistics, dims (statistic, proposal), to values in order."""
        made = self.contrasts
        line, square = (
            np.array([getattr(c, name) for c in made], dtype=int)
            for name in ("linear", "quadratic")
        )
        scale, factor, quantile = (
            np.array([getattr(c, name) for c in made], dtype=float)[:, None]
            for name in ("scale", "factor", "quantile")
        )
        asked = [
            np.array([i for i, c in enumerate(made) if np.isfinite(c.boxes[position]).any()], int)
            for position in range(4)
        ]
        both, sides = np.concatenate(asked[1:3]), len(asked[1])
        which = quantile[both]
        places = np.array([place for place, _, _ in self.squares], dtype=int)
        weights = np.array([weight for _, weight, _ in self.squares], dtype=float)[:, None]
        # the square root of the factors once, not once a proposal
        factor = np.abs(scale) * np.sqrt(factor)

        def values(linear: FloatArray, quadratic: FloatArray) -> FloatArray:
            estimate = scale * linear.take(line, axis=0)
            error = factor * np.sqrt(np.maximum(quadratic.take(square, axis=0), 1e-9))
            half = which * error.take(both, axis=0)
            np.negative(half[:sides], out=half[:sides])
            half += estimate.take(both, axis=0)
            found = [
                estimate.take(asked[0], axis=0),
                half,
                np.abs(estimate.take(asked[3], axis=0)) / error.take(asked[3], axis=0),
                weights * quadratic.take(places, axis=0),
            ]
            found += [function(linear, quadratic) for function, _ in self.others]
            return np.concatenate(found)

        return values


def repair(
    goal: Goal, start: FloatArray, rng: np.random.Generator, *, rounds: int, batch: int = 64
) -> tuple[FloatArray | None, int]:
    """Change scores by a point or two until all values are inside their boxes.

    Returns the scores, None if the rounds of `batch` proposals ran out, and the rounds used.
    """
    return _Walk(goal, start, rng).run(rounds, batch)


class _Walk:
    """Scores with the current value of every statistic, linear ones first.

    Statistics lie in the last dimension, so that what a change of a few cells needs lies together
    in memory. Sums are taken in the order of the formulas: the same seed gives the same scores.
    """

    def __init__(self, goal: Goal, start: FloatArray, rng: np.random.Generator) -> None:
        self.goal, self.rng, self.scores = goal, rng, start.astype(float)
        line, line_constant, matrix, slope, constant = goal.statistics.arrays()
        self.low, self.high, self.width = (part[:, None] for part in goal.bounds())
        self.values = goal.function()
        self.lines, size = len(line), len(start)
        product = matrix @ start
        self.statistics = np.concatenate(
            [line @ start + line_constant, product @ start + 2 * (slope @ start) + constant]
        )
        self.gradient = np.ascontiguousarray(np.concatenate([line, 2 * (product + slope)]).T)
        self.diagonal = np.ascontiguousarray(np.einsum("rkk->rk", matrix).T)
        self.flat = np.ascontiguousarray(matrix.reshape(len(matrix), size**2).T)
        cells = goal.statistics.cells
        self.down, self.up = cells.low - start, cells.high - start
        same = cells.patient[:, None] == cells.patient[None, :]
        self.partner_count = same.sum(axis=1)
        # a stable sort puts the cells of the same patient first, in their order
        order = np.argsort(~same, axis=1, kind="stable")
        self.partner_table = order[:, : int(self.partner_count.max())]

    def run(self, rounds: int, batch: int) -> tuple[FloatArray | None, int]:
        """Take the best proposal of each batch, a worse one now and then."""
        loss = float(self._loss(self.statistics[:, None])[0])
        for used in range(rounds):
            if loss == 0:
                return self.scores, used
            cell, step = self._proposals(batch)
            moved = self._moved(cell, step)
            losses = self._loss(moved.T)
            best = int(losses.argmin())
            worse = losses[best] - loss
            if worse <= 0 or self.rng.uniform() < math.exp(-worse / (0.05 * loss)):
                self._accept(cell[:, best].tolist(), step[:, best].tolist(), moved[best])
                loss = float(losses[best])
        return (self.scores if loss == 0 else None), rounds

    def _proposals(self, batch: int) -> tuple[np.ndarray, np.ndarray]:
        """Return cells and steps of proposals, dims (3, proposal); a step of 0 leaves a cell."""
        rng = self.rng
        # one number as size: NumPy multiplies a shape out at every call
        cell = rng.integers(len(self.scores), size=3 * batch).reshape(3, batch)
        step = SIGNS.take(rng.integers(2, size=3 * batch)).reshape(3, batch)
        step <<= rng.uniform(size=3 * batch).reshape(3, batch) < 0.15
        count = rng.integers(1, 4, size=batch)
        transfer = (rng.uniform(size=batch) < 0.4) & (count > 1)
        partner = (rng.uniform(size=batch) * self.partner_count[cell[0]]).astype(np.int64)
        np.copyto(cell[1], self.partner_table[cell[0], partner], where=transfer)
        np.copyto(step[1], -step[0], where=transfer)
        step[1] *= (count > 1) & (cell[1] != cell[0])
        step[2] *= (count > 2) & (cell[2] != cell[0]) & (cell[2] != cell[1])
        step *= (step >= self.down.take(cell)) & (step <= self.up.take(cell))
        return cell, step

    def _moved(self, cell: np.ndarray, step: np.ndarray) -> FloatArray:
        """Return all statistics after each proposal, dims (proposal, statistic)."""
        size, lines = len(self.scores), self.lines
        steps = step[:, :, None].astype(float)
        along = self.gradient.take(cell, axis=0)
        along *= steps
        curved = self.diagonal.take(cell, axis=0)
        curved *= steps**2
        place = cell.take(LATER, axis=0) * size + cell.take(EARLIER, axis=0)
        pairs = self.flat.take(place, axis=0)
        pairs *= 2 * steps.take(LATER, axis=0) * steps.take(EARLIER, axis=0)
        moved: FloatArray = self.statistics + along[0]
        squares = moved[:, lines:]
        squares += curved[0]
        moved += along[1]
        squares += curved[1]
        squares += pairs[0]
        moved += along[2]
        squares += curved[2]
        squares += pairs[1]
        squares += pairs[2]
        return moved

    def _loss(self, statistics: FloatArray) -> FloatArray:
        """Return the distances to the boxes in widths, far ones damped, and a little for each."""
        values = self.values(statistics[: self.lines], statistics[self.lines :])
        distance = np.maximum(self.low - values, values - self.high)
        np.maximum(distance, 0, out=distance)
        distance /= self.width
        damped = np.log1p(distance * distance)
        damped += 0.02 * (distance > 0)
        result: FloatArray = np.add.reduce(damped, axis=0)
        return result

    def _accept(self, cells: list[int], steps: list[int], statistics: FloatArray) -> None:
        """Make a proposal the current scores."""
        self.statistics = statistics.copy()
        size, change = len(self.scores), None
        for cell, step in zip(cells, steps, strict=True):
            if step:
                self.scores[cell] += step
                self.down[cell] -= step
                self.up[cell] -= step
                slab = self.flat[cell * size : (cell + 1) * size] * (2.0 * step)
                change = slab if change is None else change + slab
        if change is not None:
            self.gradient[:, self.lines :] += change
