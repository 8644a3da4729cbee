"""Figures of fits of patients: prior to posterior, and what the model predicts of the data.

Drawn from stored results, which hold no row of a patient.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from bayes_ptsd.errors import SpecError
from bayes_ptsd.plots.style import (
    INK,
    QUIET,
    difference_label,
    evidence_legend,
    figure_look,
    fit_title,
    new_figure,
    number_text,
    prior_style,
    remove_y,
)
from bayes_ptsd.priors import FloatArray, prior_from_table
from bayes_ptsd.structures import structure_of_fit

__all__ = ["drawn_estimand", "patient_update_figure", "predictive_figure"]

DIFFERENCE = "treatment_difference"

# Two panels of 2.4 inches hold their titles, three would not.
COLUMNS = 2
# A step in a panel is shorter than the line is thick, so that a curve looks smooth.
POINTS = 241
# Standard deviations on each side: a normal density is 4e-5 of its peak there, and looks zero.
REACH = 4.5
# Correlations side by side before their labels run into each other; three visits have three.
CROWDED = 3
PANELS = {"mean_": "means", "sd_": "standard deviations", "correlation": "correlation"}
NUMBERS, WITHIN = "number_", "_in_"


def patient_update_figure(fits: Sequence[xr.DataTree]) -> Figure:
    """Draw prior, frequentist analysis and posterior of one outcome, a panel a prior.

    Positive = active treatment better: the treatment difference, or of a model of categories the
    effect on the scale of its link. The broken line is Student's t (a normal without degrees of
    freedom) of the frequentist analysis of the same estimand, what the data say by themselves; it
    is absent where that has no standard error. A prior that is not written down for the estimand
    itself is smoothed from its draws.
    """
    if not fits:
        raise SpecError("no fit to draw: give at least one")
    x = _axis(fits)
    with figure_look():
        rows = -(-len(fits) // COLUMNS)
        figure = new_figure(1.7 * rows + 1.0)
        grid = figure.subplots(rows, COLUMNS, sharex=True, squeeze=False).ravel()
        for axes, fit in zip(grid, fits, strict=False):
            _panel(axes, fit, x)
            axes.tick_params(labelbottom=True)
        for axes in grid[len(fits) :]:
            axes.remove()
        label = json.loads(fits[0].attrs["endpoint_constants"])["label"]
        title = f"{fit_title(fits[0])}: {label}"
        drawn = drawn_estimand(fits[0])
        title += "" if drawn == DIFFERENCE else f", {drawn.replace('_', ' ')}"
        figure.suptitle(title, x=0.01, ha="left", fontsize=9.5, fontweight="bold")
        for axes in grid[max(len(fits) - COLUMNS, 0) : len(fits)]:
            axes.set_xlabel(_difference_label(fits[0]))
        handles = grid[0].get_legend_handles_labels()[0]
        evidence_legend(figure, handles, kind=fits[0].attrs["evidence_kind"], columns=3)
    return figure


def predictive_figure(fit: xr.DataTree) -> Figure:
    """Draw observed features of the scores over bars that hold 95% of those of replicated trials.

    Means, standard deviations and correlations in score units by sequence and period, arm, or
    visit; of categories the numbers of patients in each. No extreme is drawn, as it is one
    patient's.
    """
    if "predictive_summary" not in fit.children:
        raise SpecError(f"result {fit.attrs.get('result_id')} holds no predictive summary")
    table = fit["predictive_summary"].to_dataset()
    names = [str(name) for name in table["statistic"].values]
    room = structure_of_fit(fit)
    arms = {arm: str(fit.attrs[arm]) for arm in ("active", "control")}
    visits = room.reads == "visits"
    groups = _panels(names, arms, visits=visits)
    with figure_look():
        figure = new_figure(2.9)
        grid = figure.subplots(
            1,
            len(groups),
            squeeze=False,
            width_ratios=[1.8 + len(group) for group in groups.values()],
        )[0]
        for axes, (title, members) in zip(grid, groups.items(), strict=True):  # fmt: skip
            _features(axes, table, members, visits=visits)
            axes.set_title(title, fontsize=8)
            if title != "correlation":
                axes.set_xlabel(room.cells, fontsize=7.5)
        name = f"{fit_title(fit)}, {fit.attrs['prior']} prior: observed and replicated"
        figure.suptitle(name, x=0.01, ha="left", fontsize=9.5, fontweight="bold")
        handles = grid[0].get_legend_handles_labels()[0]
        evidence_legend(figure, handles, kind=fit.attrs["evidence_kind"], columns=2)
    return figure


def drawn_estimand(fit: xr.DataTree) -> str:
    """Return the name of the comparison that a fit shares with its frequentist analysis."""
    counterpart = json.loads(fit.attrs.get("frequentist", "{}"))
    return str(counterpart.get("estimand", DIFFERENCE))


def _drawn(fit: xr.DataTree) -> dict[str, Any]:
    """Return the summary of the comparison that is drawn."""
    found: dict[str, Any] = json.loads(fit.attrs["summary"])[drawn_estimand(fit)]
    return found


def _difference_label(fit: xr.DataTree) -> str:
    """Return unit and sign of the comparison that is drawn."""
    unit = _drawn(fit).get("unit")
    return f"{unit}, positive = {fit.attrs['active']} better" if unit else difference_label(fit)


def _panels(names: Sequence[str], arms: Mapping[str, str], *, visits: bool) -> dict[str, list[str]]:
    """Return the features of each panel by its title."""
    groups = {title: [name for name in names if name.startswith(start)]
              for start, title in PANELS.items()}  # fmt: skip
    if visits:
        # an arm each, else the labels of arm and visit run into each other
        means = groups.pop("means")
        each = {f"means,\n{arm}": [name for name in means if name.startswith(f"mean_{arm}_")]
                for arm in arms.values()}  # fmt: skip
        groups = each | groups
    for name in names:
        if name.startswith(NUMBERS):
            arm, _, period = name.removeprefix(NUMBERS).partition(WITHIN)[0].rpartition("_")
            groups.setdefault(f"{arms[arm]}\nperiod {period}", []).append(name)
    return {title: members for title, members in groups.items() if members}


def _features(axes: Axes, table: xr.Dataset, names: Sequence[str], *, visits: bool) -> None:
    """Draw one family of features."""
    place = np.arange(len(names))
    chosen = table.sel(statistic=list(names))
    axes.vlines(place, chosen["low"], chosen["high"], color="#56a3d9", linewidth=5, alpha=0.5,
                label="95% of replicates")  # fmt: skip
    axes.plot(place, chosen["observed"], color=INK, marker="o", markersize=4, linestyle="none",
              label="observed")  # fmt: skip
    labels = [_cell(name, visits=visits) for name in names]
    narrow = len(names) > CROWDED and names[0].startswith("correlation_")
    axes.set_xticks(place, [label.replace("\n", ", ") if narrow else label for label in labels],
                    rotation=90 if narrow else 0)  # fmt: skip
    axes.set_xlim(-0.6, len(names) - 0.4)


def _cell(name: str, *, visits: bool) -> str:
    """Return what a feature is of: sequence and period, arm and visit, or a category."""
    if name.startswith(NUMBERS):
        return name.partition(WITHIN)[2]
    first, _, last = name.partition("_")[2].rpartition("_")
    if visits and name.startswith("mean_"):
        return last
    return f"{first}\n{last}".strip()


def _axis(fits: Sequence[xr.DataTree]) -> FloatArray:
    """Return an axis that shows every posterior, the frequentist analysis and zero."""
    ends = [0.0]
    for fit in fits:
        one = _drawn(fit)
        ends += [one["mean"] - REACH * one["sd"], one["mean"] + REACH * one["sd"]]
    return np.linspace(min(ends), max(ends), POINTS)


def _panel(axes: Axes, fit: xr.DataTree, x: FloatArray) -> None:
    """Draw one prior."""
    name = str(fit.attrs["prior"])
    color = prior_style(name).color
    posterior = _density(fit, x)
    before = _prior_density(fit, x, flat=float(posterior.max()) / 10)
    axes.plot(x, before, color=QUIET, linestyle=(0, (1, 1.2)), label="prior")
    counterpart = json.loads(fit.attrs.get("frequentist", "{}"))
    if counterpart.get("se") is not None:
        alone = stats.t.pdf(
            x, counterpart["df"] or np.inf, counterpart["estimate"], counterpart["se"]
        )
        label = "frequentist, t" if counterpart["df"] else "frequentist, normal"
        axes.plot(x, alone, color=INK, linestyle="--", label=label)
    axes.plot(x, posterior, color=color, linewidth=2, label="posterior")
    axes.fill_between(x, posterior, color=color, alpha=0.18, linewidth=0)
    axes.axvline(0, color=INK, linewidth=0.7)
    one = _drawn(fit)
    low, high = one["eti95"]
    axes.set_title(
        f"{name}: {number_text(one['mean'])} ({number_text(low)} to {number_text(high)})",
        fontsize=8, fontweight="normal",
    )  # fmt: skip
    axes.set_ylim(bottom=0)
    axes.margins(x=0)
    remove_y(axes)


def _density(fit: xr.DataTree, x: FloatArray) -> FloatArray:
    """Return the posterior density: exact where there is one, else smoothed from the draws."""
    name = drawn_estimand(fit)
    if "exact" in fit.children:
        exact = fit["exact"].to_dataset().sel(estimand=name)
        heights = np.interp(x, exact["value"].values, exact["pdf"].values, left=0.0, right=0.0)
    else:
        draws = fit["posterior"].to_dataset()[name].values.ravel()
        heights = stats.gaussian_kde(draws)(x)
    return np.asarray(heights, dtype=float)


def _prior_density(fit: xr.DataTree, x: FloatArray, *, flat: float) -> FloatArray:
    """Return the prior density of what is drawn, `flat` for one without an integral."""
    name = drawn_estimand(fit)
    own = name in structure_of_fit(fit).prior_estimands
    prior = prior_from_table(json.loads(fit.attrs["prior_table"]))
    if own and prior.proper:
        return prior.pdf(x)
    if own or "prior" not in fit.children:
        return np.full_like(x, flat)
    draws = fit["prior"].to_dataset()[name].values.ravel()
    return np.asarray(stats.gaussian_kde(draws)(x), dtype=float)
