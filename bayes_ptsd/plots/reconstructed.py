"""Posteriors of every reconstruction beside the pooled one: what was not printed, to look at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bayes_ptsd.errors import SpecError
from bayes_ptsd.plots.style import (
    INK,
    QUIET,
    difference_label,
    evidence_legend,
    figure_look,
    new_figure,
)

__all__ = ["reconstruction_figure"]

ESTIMAND = "treatment_difference"
COLOR = "#56a3d9"
HALF, BELOW = 0.32, 0.46


def reconstruction_figure(fits: Sequence[xr.DataTree]) -> Figure:
    """Draw the treatment difference of every reconstruction and pooled, one row a model.

    Thin: mean and 95% interval of each set of patients; thick, below them: those of the equal
    mixture.
    """
    if not fits:
        raise SpecError("no pooled result to draw: give at least one")
    with figure_look():
        figure = new_figure(1.2 + 0.62 * len(fits))
        axes = figure.subplots()
        for place, fit in enumerate(fits):
            _row(axes, fit["pooled"].to_dataset().sel(estimand=ESTIMAND), place)
        axes.axvline(0, color=QUIET, linewidth=0.8)
        axes.set_yticks(range(len(fits)), [str(fit.attrs["model"]) for fit in fits], fontsize=7.5)
        axes.set_ylim(len(fits) - 0.35, -0.65)
        axes.set_xlabel(difference_label(fits[0]))
        sets = {int(fit.attrs["reconstructions"]) for fit in fits}
        reading = str(fits[0].attrs["crossover_reading"]).replace("_", " ")
        axes.set_title(f"{max(sets)} reconstructed sets of patients, {reading}")
        handles = [
            Line2D([], [], color=COLOR, marker="o", markersize=2.5, linewidth=0.7, label="one set"),
            Line2D([], [], color=INK, marker="D", markersize=4, linewidth=2, label="all, pooled"),
        ]
        evidence_legend(figure, handles, kind=str(fits[0].attrs["evidence_kind"]), columns=2)
    return figure


def _row(axes: Axes, pooled: xr.Dataset, place: int) -> None:
    """Draw one model: its sets above, the mixture below."""
    heights = place + np.linspace(-HALF, HALF - 0.05, pooled.sizes["reconstruction"])
    low, high = (pooled[f"reconstruction_{end}"].values for end in ("low", "high"))
    axes.hlines(heights, low, high, color=COLOR, linewidth=0.7)
    axes.plot(pooled["reconstruction_mean"].values, heights, "o", color=COLOR, markersize=2)
    axes.hlines(place + BELOW, float(pooled["low"]), float(pooled["high"]), color=INK, linewidth=2)
    axes.plot(float(pooled["mean"]), place + BELOW, "D", color=INK, markersize=4)
