"""Forest plot: printed intervals and the posteriors under every prior, in reference SDs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from scipy import stats

from bayes_ptsd.errors import SpecError
from bayes_ptsd.plots.style import (
    INK,
    QUIET,
    evidence_legend,
    figure_look,
    new_figure,
    number_text,
    prior_style,
)
from bayes_ptsd.trial import Trial

__all__ = ["forest_figure", "row_label"]

STEP = 0.125
"""Inches between two lines of a row."""
GAP = 0.16
"""Inches between two rows."""
MARGIN = 1.5
"""Inches for title, axis and legend."""
BAND = "#dfe3e8"


def forest_figure(
    table: xr.Dataset,
    trial: Trial,
    *,
    contrasts: Sequence[str],
    reading: str,
    title: str,
    reach: tuple[float, float] | None = None,
) -> Figure:
    """Draw means and 95% equal-tailed intervals of every prior in a band for each printed interval.

    Treatment differences in reference SDs, positive = active treatment better; rows of endpoints
    without one are left out. `reach` are limits of the axis, to draw several figures alike.
    """
    drawn = [name for name in contrasts if _sd(table, trial, name) is not None]
    if not drawn:
        raise SpecError(f"forest plot '{title}': no contrast whose endpoint has a reference SD")
    height = STEP * table.sizes["prior"] + GAP
    with figure_look():
        figure = new_figure(height * len(drawn) + MARGIN)
        axes = figure.subplots()
        cells = table.sel(crossover_reading=reading)
        for number, name in enumerate(drawn):
            _row(axes, cells.sel(contrast=name), -number * height, sd=_sd(table, trial, name) or 1)
        labels = [row_label(table, trial, name, reading=reading) for name in drawn]
        axes.set_yticks([-n * height for n in range(len(drawn))], labels, fontsize=7.5)
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(-(len(drawn) - 0.5) * height, 0.5 * height)
        axes.axvline(0, color=INK, linewidth=0.8, zorder=1)
        axes.set_xlim(reach)
        axes.grid(axis="x", color="#e4e7eb", linewidth=0.7, zorder=0)
        axes.set_axisbelow(True)
        axes.set_title(title)
        axes.set_xlabel(f"treatment difference (reference SDs, positive = {trial.active} better)")
        evidence_legend(
            figure, _handles(cells.sel(contrast=drawn), reading), columns=4,
            kind=table.attrs["evidence_kind"], convention=table.attrs["convention"],
        )  # fmt: skip
    return figure


def row_label(table: xr.Dataset, trial: Trial, name: str, *, reading: str) -> str:
    """Return the label of a forest row: endpoint, and the interval it starts from, score units."""
    cell = table.sel(contrast=name, crossover_reading=reading)
    label = trial.endpoint(str(cell["endpoint"].item())).label + (" *" if "*" in name else "")
    low, high = map(number_text, _interval(cell))
    lines = [label, f"{number_text(float(cell['read_estimate']))} ({low} to {high})"]
    analysis = str(cell["analysis"].item())
    if analysis not in ("crossover", "first_period", "parallel"):
        lines.insert(1, f"{analysis.rpartition('_')[2]}, {cell['timepoint'].item()}")
    return "\n".join(lines)


def _row(axes: Axes, cell: xr.Dataset, y: float, *, sd: float) -> None:
    """Draw one contrast: the printed interval as a band, the priors as lines from top to bottom."""
    priors = [str(prior) for prior in cell["prior"].values]
    half = STEP * len(priors) / 2
    low, high = (limit / sd for limit in _interval(cell))
    axes.fill_between([low, high], y - half, y + half, color=BAND, linewidth=0)
    middle = float(cell["read_estimate"]) / sd
    axes.plot([middle] * 2, [y - half, y + half], color=QUIET, linewidth=0.9)
    for number, prior in enumerate(priors):
        one, style = cell.sel(prior=prior), prior_style(prior)
        level = y + half - STEP * (number + 0.5)
        ends = one["eti95"].values / sd
        axes.plot(ends, [level] * 2, color=style.color, linewidth=1.1, solid_capstyle="butt")
        axes.plot(
            [float(one["mean"]) / sd], [level], style.marker, color=style.color, markersize=3.4
        )


def _interval(cell: xr.Dataset) -> tuple[float, float]:
    """Return the interval of a row under its reading, from its center and standard error."""
    half = float(stats.t.ppf(0.975, float(cell["recomputed_df"]))) * float(cell["recomputed_se"])
    center = float(cell["recomputed_center"])
    return center - half, center + half


def _sd(table: xr.Dataset, trial: Trial, name: str) -> float | None:
    """Return the reference SD of a contrast's endpoint."""
    cell = table["endpoint"].sel(contrast=name)
    return trial.endpoint(str(cell.item())).reference_sd


def _handles(cells: xr.Dataset, reading: str) -> list[Line2D | Patch]:
    """Explain the lines and the band."""
    handles: list[Line2D | Patch] = []
    for name in map(str, cells["prior"].values):
        style = prior_style(name)
        handles.append(
            Line2D([], [], color=style.color, marker=style.marker, markersize=4, label=name)
        )
    printed = bool(np.isfinite(cells["published_low"]).all())
    scaled = " / 2" if reading == "unhalved" else ""
    label = f"printed 95% CI{scaled}" if printed else "95% CI from printed P"
    return [*handles, Patch(color=BAND, label=label)]
