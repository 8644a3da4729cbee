"""Several visits: the course of each arm, its change from baseline, the difference at each visit.

The figures read the group ``trajectory_summary`` and the estimands of a fit, never a patient.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_ptsd.errors import SpecError
from bayes_ptsd.estimands import estimate
from bayes_ptsd.plots.style import (
    INK,
    QUIET,
    PriorStyle,
    difference_label,
    evidence_legend,
    figure_look,
    new_figure,
    number_text,
)
from bayes_ptsd.priors import FloatArray

__all__ = ["trajectory_figure", "visit_forest_figure"]

ARMS = (PriorStyle("#1f2933", "o", (0, (5, 1.5))), PriorStyle("#c2410c", "s"))
"""Control and active treatment, told apart by color, marker and line."""

# Share of the axis, 0.4 inches, that the label of a visit with its two counts needs.
NARROWEST = 0.09
# Share of the axis that each arm is moved aside: together more than a marker is wide.
SHIFT = 0.012


def trajectory_figure(fit: xr.DataTree, *, change: bool = False) -> Figure:
    """Draw the mean course of each arm, or its `change` from the mean baseline, with 95% intervals.

    Posterior means at the mean baseline and covariates, score units as recorded; for scores also
    the observed means (hollow), and the numbers of patients at each visit. Visits stand at their
    days, evenly where these are not known or too close to read.
    """
    summary, constants = _summary(fit), json.loads(fit.attrs["endpoint_constants"])
    if change and not np.isfinite(float(summary["baseline"])):
        raise SpecError("these patients have no baseline, so there is no change from it")
    name = "change" if change else "arm_mean"
    place, note = _places(summary)
    with figure_look():
        figure = new_figure(3.4)
        axes = figure.subplots()
        _arms(axes, summary, place, name)
        if change:
            axes.axhline(0, color=QUIET, linewidth=0.8)
        _visit_axis(axes, summary, place, note)
        what = "change from baseline" if change else "mean score"
        axes.set_ylabel(f"{constants['unit']} ({constants['better']} = better)")
        axes.set_title(f"{constants['label']}: {what} by arm")
        evidence_legend(
            figure, axes.get_legend_handles_labels()[0], columns=2, kind=fit.attrs["evidence_kind"]
        )
    return figure


def visit_forest_figure(fit: xr.DataTree) -> Figure:
    """Draw the treatment difference at each visit and on average, with P(active is better) beside.

    Means and 95% intervals, positive = active treatment better; the MCID is marked where there is
    one.
    """
    visits = [str(label) for label in _summary(fit)["visit"].values]
    names = [*(f"treatment_difference[{label}]" for label in visits), "treatment_difference"]
    table = estimate(fit).sel(estimand=names)
    constants = json.loads(fit.attrs["endpoint_constants"])
    with figure_look():
        figure = new_figure(1.5 + 0.32 * len(names))
        axes = figure.subplots()
        _rows(axes, table)
        axes.axvline(0, color=QUIET, linewidth=0.8)
        axes.set_yticks(range(len(names)), [*visits, "mean of visits"])
        axes.set_ylim(len(names) - 0.4, -0.9)
        axes.set_xlabel(f"treatment difference, {difference_label(fit)}")
        axes.set_title("Treatment difference by visit")
        if constants.get("mcid"):
            axes.axvline(constants["mcid"], color=INK, linewidth=0.8, linestyle=":", label="MCID")
        axes.spines["left"].set_visible(False)
        axes.tick_params(left=False)
        evidence_legend(
            figure, axes.get_legend_handles_labels()[0], columns=3, kind=fit.attrs["evidence_kind"]
        )
    return figure


def _summary(fit: xr.DataTree) -> xr.Dataset:
    """Return the courses that are stored with a fit."""
    if "trajectory_summary" not in fit.children:
        raise SpecError("this result is not of several visits; fit a model such as 'longitudinal'")
    return fit["trajectory_summary"].to_dataset()


def _places(summary: xr.Dataset) -> tuple[FloatArray, str]:
    """Return where the visits stand and the label of their axis."""
    days = summary["days"].values
    gaps = np.diff(days)
    if np.isfinite(days).all() and gaps.min() >= NARROWEST * (days[-1] - days[0]):
        return days, "visit, placed at its day (patients: control, active)"
    return np.arange(len(days), dtype=float), "visit, evenly spaced (patients: control, active)"


def _arms(axes: Axes, summary: xr.Dataset, place: FloatArray, name: str) -> None:
    """Draw posterior means with intervals, and observed means where scores are shown."""
    reach = float(place[-1] - place[0])
    for number, style in enumerate(ARMS):
        arm = summary.isel(treatment=number)
        x = place + (2 * number - 1) * SHIFT * reach
        middle, low, high = (arm[f"{name}{end}"].values for end in ("", "_low", "_high"))
        axes.errorbar(
            x, middle, yerr=[middle - low, high - middle], color=style.color, marker=style.marker,
            markersize=5, linestyle=style.line, elinewidth=1.2, capsize=2.5,
            label=f"{arm['treatment'].item()}: posterior mean, 95% interval",
        )  # fmt: skip
        if name == "arm_mean":
            axes.plot(
                x, arm["observed_mean"].values, color=style.color, marker=style.marker,
                markersize=8, markerfacecolor="none", markeredgewidth=0.8, linestyle="none",
                label=f"{arm['treatment'].item()}: observed mean",
            )  # fmt: skip


def _visit_axis(axes: Axes, summary: xr.Dataset, place: FloatArray, note: str) -> None:
    """Label the visits with their numbers of patients."""
    counts = summary["observed_count"].values
    labels = [
        f"{visit}\n{control}, {active}"
        for visit, control, active in zip(summary["visit"].values, *counts, strict=True)
    ]
    axes.set_xticks(place, labels)
    axes.set_xlabel(note)


def _rows(axes: Axes, table: xr.Dataset) -> None:
    """Draw one line for each difference, the mean of the visits apart from them."""
    limits = table["eti95"].values
    for row, name in enumerate(table["estimand"].values):
        one: Any = table.sel(estimand=name)
        style = ARMS[0] if name == "treatment_difference" else ARMS[1]
        low, high = limits[row]
        said = {0: "at a visit: mean, 95% ETI", len(limits) - 1: "mean of the visits"}
        axes.errorbar(
            float(one["mean"]), row, xerr=[[float(one["mean"]) - low], [high - float(one["mean"])]],
            color=style.color, marker=style.marker, markersize=5, elinewidth=1.5, capsize=0,
            linestyle="none", label=said.get(row, "_"),
        )  # fmt: skip
        axes.annotate(
            f"{number_text(float(one['mean']))} ({number_text(low)} to {number_text(high)}), "
            f"P(better) {float(one['prob_benefit']):.3f}",
            (0, row), xycoords=("axes fraction", "data"), xytext=(2, 7),
            textcoords="offset points", fontsize=7, color=QUIET,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
        )  # fmt: skip
