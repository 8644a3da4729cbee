"""Local search over integer scores until every form is inside its box."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from bayes_ptsd.evidence.intervals import FloatArray
from bayes_ptsd.evidence.reconstruct.boxes import Box
from bayes_ptsd.evidence.reconstruct.forms import Forms

__all__ = ["Contrast", "Goal", "Values", "repair"]

Values: TypeAlias = Callable[[FloatArray, FloatArray], FloatArray]
SHRINK = 0.002


@dataclass(frozen=True)
class Contrast:
    """One estimate with its standard error and what they have to print.

    Attributes
    ----------
    linear, quadratic : int
        Places of the forms behind estimate and residual sum of squares.
    scale : float
        Factor of the estimate, with the sign that makes benefit positive.
    factor : float
        Squared standard error, before `scale`, in units of the quadratic form.
    quantile : float
        Of the printed interval.
    boxes : tuple
        Of estimate, lower and upper limit, absolute t.

    Examples
    --------
    >>> Contrast(0, 0, -1.0, 0.1, 2.0, ((0.0, 1.0),) * 4).scale
    -1.0
    """

    linear: int
    quadratic: int
    scale: float
    factor: float
    quantile: float
    boxes: tuple[Box, Box, Box, Box]


@dataclass
class Goal:
    """What the search aims at: values computed from forms, each with its box.

    Attributes
    ----------
    forms : Forms
        The forms behind the values.
    contrasts : list of Contrast
        Estimates with their standard errors.
    squares : list of tuple
        Places of quadratic forms with a factor, and the box of the product.
    others : list of tuple
        Functions of all forms, dims (form, proposal), that return values, dims (value, proposal),
        and the boxes of those.

    Examples
    --------
    >>> from bayes_ptsd.evidence.reconstruct.forms import Cells
    >>> Goal(Forms(Cells.of({"y": (np.ones(2, bool), 0.0, 7.0)}))).bounds()[0]
    array([], dtype=float64)
    """

    forms: Forms
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
        """Return the function from forms, dims (form, proposal), to values in order."""
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
            np.array([np.isfinite(c.boxes[position]).any() for c in made], dtype=bool)
            for position in range(4)
        ]
        places = np.array([place for place, _, _ in self.squares], dtype=int)
        weights = np.array([weight for _, weight, _ in self.squares], dtype=float)[:, None]
        # the square root of the factors once, not once a proposal
        factor = np.abs(scale) * np.sqrt(factor)

        def values(linear: FloatArray, quadratic: FloatArray) -> FloatArray:
            estimate = scale * linear[line]
            error = factor * np.sqrt(np.maximum(quadratic[square], 1e-9))
            half = quantile[asked[1]] * error[asked[1]]
            found = [
                estimate[asked[0]],
                estimate[asked[1]] - half,
                estimate[asked[2]] + half,
                np.abs(estimate[asked[3]]) / error[asked[3]],
                weights * quadratic[places],
            ]
            found += [function(linear, quadratic) for function, _ in self.others]
            return np.concatenate(found)

        return values


def repair(
    goal: Goal, start: FloatArray, rng: np.random.Generator, *, rounds: int, batch: int = 64
) -> tuple[FloatArray | None, int]:
    """Change scores by a point or two until all values are inside their boxes.

    Parameters
    ----------
    goal : Goal
        Values and boxes.
    start : ndarray
        Integer scores of the cells, in bounds.
    rng : numpy.random.Generator
        Source of the proposals.
    rounds : int
        At most so many batches of proposals.
    batch : int
        Proposals a batch.

    Returns
    -------
    scores : ndarray or None
        None if the rounds ran out.
    used : int
        Rounds used.

    Examples
    --------
    >>> from bayes_ptsd.evidence.reconstruct.forms import Cells
    >>> forms = Forms(Cells.of({"y": (np.ones(3, bool), 0.0, 9.0)}))
    >>> mean = forms.linear(forms.cells.response({"y": 1.0}), np.full(3, 1 / 3))
    >>> goal = Goal(forms, others=[(lambda linear, quadratic: linear[[mean]], [(3.9, 4.1)])])
    >>> repair(goal, np.zeros(3), np.random.default_rng(1), rounds=99)[0].sum()
    np.float64(12.0)
    """
    return _Walk(goal, start, rng).run(rounds, batch)


class _Walk:
    """Scores with the current value of every form."""

    def __init__(self, goal: Goal, start: FloatArray, rng: np.random.Generator) -> None:
        self.goal, self.rng, self.scores = goal, rng, start.astype(float)
        self.line, line_constant, self.matrix, slope, constant = goal.forms.arrays()
        self.low, self.high, self.width = goal.bounds()
        self.values = goal.function()
        self.diagonal = np.einsum("rkk->rk", self.matrix).copy()
        self.flat = self.matrix.reshape(len(self.matrix), len(start) ** 2)
        self.linear = self.line @ start + line_constant
        product = self.matrix @ start
        self.gradient = 2 * (product + slope)
        self.quadratic = product @ start + 2 * (slope @ start) + constant
        cells = goal.forms.cells
        same = cells.patient[:, None] == cells.patient[None, :]
        self.partners = [np.flatnonzero(row) for row in same]
        self.partner_count = same.sum(axis=1)
        self.partner_table = np.zeros((len(same), int(self.partner_count.max())), dtype=np.int64)
        for index, row in enumerate(self.partners):
            self.partner_table[index, : len(row)] = row

    def run(self, rounds: int, batch: int) -> tuple[FloatArray | None, int]:
        """Take the best proposal of each batch, a worse one now and then."""
        loss = float(self._loss(self.linear[:, None], self.quadratic[:, None])[0])
        for used in range(rounds):
            if loss == 0:
                return self.scores, used
            cell, step = self._proposals(batch)
            linear, quadratic = self._moved(cell, step)
            losses = self._loss(linear, quadratic)
            best = int(np.argmin(losses))
            worse = losses[best] - loss
            if worse <= 0 or self.rng.uniform() < np.exp(-worse / (0.05 * loss)):
                self._accept(cell[:, best], step[:, best], linear[:, best], quadratic[:, best])
                loss = float(losses[best])
        return (self.scores if loss == 0 else None), rounds

    def _proposals(self, batch: int) -> tuple[np.ndarray, np.ndarray]:
        """Return cells and steps of proposals, dims (3, proposal); a step of 0 leaves a cell."""
        rng, cells = self.rng, self.goal.forms.cells
        size = len(self.scores)
        cell = rng.integers(size, size=(3, batch))
        step = rng.choice(np.array([-1, 1]), size=(3, batch)) * np.where(
            rng.uniform(size=(3, batch)) < 0.15, 2, 1
        )
        count = rng.integers(1, 4, size=batch)
        transfer = (rng.uniform(size=batch) < 0.4) & (count > 1)
        partner = (rng.uniform(size=batch) * self.partner_count[cell[0]]).astype(np.int64)
        cell[1] = np.where(transfer, self.partner_table[cell[0], partner], cell[1])
        step[1] = np.where(transfer, -step[0], step[1])
        step[1:] *= np.arange(1, 3)[:, None] < count
        step[1] *= cell[1] != cell[0]
        step[2] *= (cell[2] != cell[0]) & (cell[2] != cell[1])
        after = self.scores[cell] + step
        step *= (after >= cells.low[cell]) & (after <= cells.high[cell])
        return cell, step

    def _moved(self, cell: np.ndarray, step: np.ndarray) -> tuple[FloatArray, FloatArray]:
        """Return all forms after each proposal, dims (form, proposal)."""
        linear = np.repeat(self.linear[:, None], cell.shape[1], axis=1)
        quadratic = np.repeat(self.quadratic[:, None], cell.shape[1], axis=1)
        size = len(self.scores)
        for one in range(3):
            linear += np.take(self.line, cell[one], axis=1) * step[one]
            quadratic += np.take(self.gradient, cell[one], axis=1) * step[one]
            quadratic += np.take(self.diagonal, cell[one], axis=1) * step[one] ** 2
            for other in range(one):
                place = cell[one] * size + cell[other]
                quadratic += np.take(self.flat, place, axis=1) * (2 * step[one] * step[other])
        return linear, quadratic

    def _loss(self, linear: FloatArray, quadratic: FloatArray) -> FloatArray:
        """Return the distances to the boxes in widths, far ones damped, and a little for each."""
        values = self.values(linear, quadratic)
        below, above = self.low[:, None] - values, values - self.high[:, None]
        distance = np.maximum(np.maximum(below, above), 0) / self.width[:, None]
        result: FloatArray = (np.log1p(distance**2) + 0.02 * (distance > 0)).sum(axis=0)
        return result

    def _accept(
        self, cell: np.ndarray, step: np.ndarray, linear: FloatArray, quadratic: FloatArray
    ) -> None:
        """Make a proposal the current scores."""
        np.add.at(self.scores, cell, step)
        self.gradient = self.gradient + 2 * self.matrix[:, :, cell] @ step
        self.linear, self.quadratic = linear.copy(), quadratic.copy()
