"""What an answer hangs on: the move of each assumption, and second periods that are missing."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bayes_ptsd.plots.style import (
    INK,
    QUIET,
    evidence_legend,
    figure_look,
    new_figure,
    number_text,
    row_title,
)

__all__ = ["contour_figure", "ranking_figure"]

COLORS = {
    "base": INK,
    "prior": "#c2410c",
    "likelihood": "#7b8794",
    "crossover reading": "#56a3d9",
    "unblinding": "#8e3b90",
    "missing second periods": "#00805f",
    "model": "#b58900",
    "carryover": "#1d4ed8",
    "flow of patients": "#5b8c00",
    "reconstruction": "#9f5f3f",
}
RECONSTRUCTED = "reconstructed"
# From even odds up; at .975 the lower end of a 95% interval is at the margin.
LEVELS = (0.5, 0.8, 0.9, 0.95, 0.975, 0.99)


def ranking_figure(table: xr.Dataset) -> Figure:
    """Draw the posterior under each changed assumption, ranked by the move of P(benefit).

    Left: mean and 95% interval, score units. Right: P(benefit). The base of each kind of evidence
    is a line through both; reconstructed patients are marked (r) and hollow.
    """
    count = table.sizes["change"]
    with figure_look():
        figure = new_figure(1.3 + 0.27 * count)
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=[1.3, 1])
        for place in range(count):
            _change(left, right, table.isel(change=place), place)
        left.set_yticks(range(count), _labels(table), fontsize=7.5)
        left.set_ylim(count - 0.5, -0.5)
        left.set_xlabel(f"{table.attrs['unit']}, positive =\n{table.attrs['active']} better")
        right.set_xlabel("P(benefit)")
        right.margins(x=0.12)
        left.axvline(0, color=QUIET, linewidth=0.8)
        for axes, key in ((left, "mean"), (right, "prob_benefit")):
            for base in np.flatnonzero(table["assumption"].values == "base"):
                hollow = str(table["evidence_kind"].values[base]) == RECONSTRUCTED
                axes.axvline(float(table[key][base]), color=QUIET if hollow else INK,
                             linewidth=0.8, linestyle="--" if hollow else ":")  # fmt: skip
        title = row_title(str(table.attrs["analysis"]), str(table.attrs["crossover_reading"]))
        figure.suptitle(
            f"{table.attrs['label']}: {title.lower()}",
            x=0.02,
            ha="left",
            fontsize=9.5,
            weight="bold",
        )
        handles = [
            Line2D([], [], color=color, marker="o", markersize=4, label=name)
            for name, color in COLORS.items()
            if name in table["assumption"].values
        ]
        kind = str(table.attrs["evidence_kind"])
        if RECONSTRUCTED in kind:
            words = f"(r), hollow: {RECONSTRUCTED} patients"
            handles.append(Line2D([], [], color=QUIET, marker="o", markersize=4, linestyle="--",
                                  markerfacecolor="white", label=words))  # fmt: skip
        evidence_legend(figure, handles, kind=kind, convention="T", columns=3)
    return figure


def contour_figure(
    contour: xr.DataArray, *, label: str, unit: str, active: str, title: str, kind: str
) -> Figure:
    """Draw lines of equal P(difference > margin) over the Deltas of those without a second period.

    A panel a margin; the cross is where the missing patients are like the completers.
    """
    with figure_look():
        figure = new_figure(3.4)
        panels = figure.subplots(1, contour.sizes["margin"], squeeze=False, sharey=True)[0]
        for axes, margin in zip(panels, contour["margin"].values, strict=True):
            _contour(axes, contour.sel(margin=margin), float(margin))
            axes.set_xlabel(f"Delta, {active}-first\n({label}, {unit})")
        panels[0].set_ylabel("Delta, control-first")
        figure.suptitle(title, x=0.02, ha="left", fontsize=9.5, weight="bold")
        marker = Line2D([], [], color=INK, marker="+", linestyle="", label="missing as completers")
        evidence_legend(figure, [marker], kind=kind, convention="T", columns=1)
    return figure


def _labels(table: xr.Dataset) -> list[str]:
    """Return what was changed on each line, and whether on reconstructed patients."""
    kinds = table["evidence_kind"].values
    return [
        f"{text} (r)" if kind == RECONSTRUCTED else text
        for text, kind in zip(map(str, table["alternative"].values), kinds, strict=True)
    ]


def _change(left: Axes, right: Axes, row: xr.Dataset, place: int) -> None:
    """Draw one changed assumption in both panels."""
    color = COLORS.get(str(row["assumption"].item()), QUIET)
    left.plot([float(row["low"]), float(row["high"])], [place, place], color=color, linewidth=1.2)
    fill = "white" if str(row["evidence_kind"].item()) == RECONSTRUCTED else color
    look: dict[str, Any] = {"color": color, "markersize": 4, "markerfacecolor": fill}
    left.plot(float(row["mean"]), place, "o", **look)
    probability = float(row["prob_benefit"])
    right.plot(probability, place, "o", **look)
    right.annotate(
        f"{probability:.3f}".lstrip("0"), (probability, place), xytext=(0, 4),
        textcoords="offset points", ha="center", fontsize=6.5, color=color,
    )  # fmt: skip


def _contour(axes: Axes, probability: xr.DataArray, margin: float) -> None:
    """Draw one panel of equal probabilities."""
    x, y = (probability[f"delta_{name}_first"].values for name in ("active", "control"))
    lines = axes.contour(
        x, y, probability.transpose("delta_control_first", "delta_active_first").values,
        levels=LEVELS, colors=[INK], linewidths=np.linspace(0.5, 1.6, len(LEVELS)),
    )  # fmt: skip
    axes.clabel(lines, fmt=lambda level: f"{level:g}".lstrip("0"), fontsize=7)
    axes.plot(0, 0, "+", color=INK, markersize=8)
    axes.set_title(
        f"P(difference > {number_text(margin) if margin else '0'})",
        fontsize=8.5,
        fontweight="normal",
    )
