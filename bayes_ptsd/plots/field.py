"""Forest plot of a field of trials: each by itself, as the others predict it, and a new one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter

from bayes_ptsd.errors import SpecError
from bayes_ptsd.plots.style import (
    INK,
    QUIET,
    RATIOS,
    evidence_legend,
    figure_look,
    new_figure,
)

__all__ = ["field_figure"]

# Inches a line: 14 points, for labels of 8; and for title, axis and legend.
ROW, MARGIN = 0.24, 1.5
# More trials than these make a figure higher than a page.
MOST = 60
# Marks of an axis of ratios: from so few that they are too far apart to so many that they touch.
FEWEST_MARKS, MOST_MARKS = 3, 8
ONE_TWO_FIVE = np.array([m * 10.0**k for k in range(-3, 4) for m in (1, 2, 5)])
"""Marks that are evenly spaced as logarithms, nearly."""
# Characters of a study's name that leave two thirds of the width to the intervals.
LONGEST = 28
FORETOLD, POOLED = "#56a3d9", "#8e3b90"


def field_figure(document: Mapping[str, Any]) -> Figure:
    """Draw a document of `bayes_ptsd.field.document.field_document`, on the printed scale.

    Printed estimates with 95% intervals, over the bands in which the other trials predict each
    estimate (95% and 50%); then the mean of the trials and a new trial's true effect.
    """
    studies = document["studies"]
    if len(studies) > MOST:
        raise SpecError(
            f"a forest plot of {len(studies)} studies is higher than a page: it shows at most "
            f"{MOST}; choose rows, or take the table (--csv)"
        )
    others = {one["study"]: one for one in (document["leave_one_out"] or {}).get("trials", ())}
    field = document["field"]
    pooled = [("mean of the trials", field["mean"]), ("a new trial's effect", field["new_trial"])]
    with figure_look():
        figure = new_figure(MARGIN + ROW * (len(studies) + len(pooled)))
        axes = figure.subplots()
        for row, one in enumerate(studies):
            _study(axes, row, one, others.get(one["study"]))
        for row, (_, one) in enumerate(pooled, start=len(studies)):
            _bars(axes, row, one["eti95"], one["eti50"], color=POOLED)
            axes.plot(one["median"], row, "D", color=POOLED, markersize=4.5)
        _axes(axes, document, [*(_short(one["study"]) for one in studies), *(n for n, _ in pooled)])
        axes.axhline(len(studies) - 0.5, color=QUIET, linewidth=0.6, linestyle=":")
        count = len(studies)
        title = f"{count} trials, each predicted from the others" if others else "One trial"
        figure.suptitle(title, x=0.01, ha="left", fontsize=9.5, fontweight="bold")
        evidence_legend(figure, _handles(bool(others)), kind="published", columns=2)
    return figure


def _study(axes: Axes, row: int, one: Mapping[str, Any], other: Mapping[str, Any] | None) -> None:
    """Draw one study over the bands in which the others predict its estimate."""
    if other:
        axes.plot(other["predicted95"], [row, row], color=FORETOLD, alpha=0.3, **BAND)
        axes.plot(other["predicted50"], [row, row], color=FORETOLD, alpha=0.55, **BAND)
    axes.plot(one["ci95"], [row, row], color=INK, linewidth=1.1)
    axes.plot(one["estimate"], row, "s", color=INK, markersize=4)


BAND: Mapping[str, Any] = {"linewidth": 7, "solid_capstyle": "butt"}
"""How a band of prediction is drawn: higher than the interval on it."""


def _bars(
    axes: Axes, row: int, wide: Sequence[float], narrow: Sequence[float], *, color: str
) -> None:
    """Draw a 95% and a 50% interval as a thin and a thick line."""
    axes.plot(wide, [row, row], color=color, linewidth=1.3)
    axes.plot(narrow, [row, row], color=color, linewidth=3.2)


def _axes(axes: Axes, document: Mapping[str, Any], labels: list[str]) -> None:
    """Label the lines, mark no effect, and say which side is better."""
    axes.axvline(document["null"], color=INK, linewidth=0.7)
    axes.set_yticks(range(len(labels)), labels)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(labels) - 0.5, -0.6)
    if document["analyzed_as"] == "logarithm":
        _mark_ratios(axes)
    axes.grid(axis="x", color="#e4e7eb", linewidth=0.7)
    axes.set_axisbelow(True)
    spread = f"between trials {document['priors']['heterogeneity']}"
    axes.set_xlabel(f"{document['label']}, {document['better']} is better\n{spread}")


def _mark_ratios(axes: Axes) -> None:
    """Make the axis one of ratios, and mark those that are read without a ruler."""
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    for marks in (ONE_TWO_FIVE, RATIOS):
        inside = marks[(marks >= low) & (marks <= high)]
        if FEWEST_MARKS <= len(inside) <= MOST_MARKS:
            axes.set_xticks(inside)
            break
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _handles(predicted: bool) -> list[Line2D]:
    """Return the lines of the legend."""
    found = [
        Line2D([], [], color=INK, marker="s", markersize=4, linewidth=1.1, label="printed, 95%"),
        Line2D(
            [], [], color=POOLED, marker="D", markersize=4, linewidth=2, label="pooled, 95, 50%"
        ),
    ]
    if predicted:
        found.append(
            Line2D([], [], color=FORETOLD, alpha=0.5, label="estimate as the others predict it, 95,"
                   " 50%", **BAND)
        )  # fmt: skip
    return found


def _short(name: str) -> str:
    """Return a name that leaves room for the intervals."""
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
