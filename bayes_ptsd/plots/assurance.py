"""Assurance curves: how sure a replication of each size would be to reach its goal."""

from __future__ import annotations

from collections.abc import Mapping

import xarray as xr
from matplotlib.figure import Figure

from bayes_ptsd.errors import SpecError
from bayes_ptsd.plots.style import QUIET, figure_look, new_figure

__all__ = ["assurance_figure"]

LINES = (
    ("#1f2933", "-", "o"),
    ("#c2410c", (0, (6, 1.5)), "s"),
    ("#00805f", (0, (3, 1.2, 1, 1.2)), "^"),
    ("#8e3b90", (0, (1, 1.2)), "D"),
)


def assurance_figure(curves: Mapping[str, xr.Dataset], *, kind: str, heading: str = "") -> Figure:
    """Draw the assurance of one to four curves of one goal against the number of patients.

    Dotted is the ceiling that no size can pass. `curves` by label, of
    `bayes_ptsd.replication.assurance.assurance_curve`; `heading` says which design prior it is.
    """
    if not 0 < len(curves) <= len(LINES):
        raise SpecError(f"a figure shows one to {len(LINES)} assurance curves, got {len(curves)}")
    goals = {str(curve.attrs["goal"]) for curve in curves.values()}
    if len(goals) > 1:
        raise SpecError(f"the curves have different goals: {'; '.join(sorted(goals))}")
    with figure_look():
        figure = new_figure(3.3)
        axes = figure.subplots()
        for (label, curve), (color, line, marker) in zip(curves.items(), LINES, strict=False):
            axes.plot(curve["n"], curve["assurance"], color=color, linestyle=line, marker=marker,
                      markersize=3.5, label=label)  # fmt: skip
        for ceiling in sorted({round(float(curve["ceiling"]), 3) for curve in curves.values()}):
            axes.axhline(ceiling, color=QUIET, linewidth=0.8, linestyle=":")
            axes.annotate(
                f"ceiling {ceiling:.3f}",
                (1, ceiling),
                xycoords=("axes fraction", "data"),
                xytext=(-2, 2),
                textcoords="offset points",
                ha="right",
                fontsize=7.5,
                color=QUIET,
            )
        axes.set_ylim(0, 1)
        axes.set_xlim(left=0)
        axes.set_xlabel("patients randomized in all")
        axes.set_ylabel("assurance")
        goal = goals.pop()
        axes.set_title(f"{heading}\n{goal}" if heading else goal)
        axes.grid(axis="y", color="#e4e7eb", linewidth=0.7)
        figure.legend(loc="outside lower center", ncols=2, fontsize=7.5, title_fontsize=7.5,
                      title=f"design prior from {kind} evidence")  # fmt: skip
    return figure
