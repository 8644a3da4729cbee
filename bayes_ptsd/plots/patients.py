"""Figures of fits of patients: prior to posterior, and what the model predicts of the data.

Drawn from stored results, which hold no row of a patient.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

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
from bayes_ptsd.priors import FloatArray, Prior, prior_from_table

__all__ = ["patient_update_figure", "predictive_figure"]

COLUMNS = 2
POINTS = 241
REACH = 4.5
PANELS = {"mean_": "means", "sd_": "standard deviations", "correlation": "correlation"}


def patient_update_figure(fits: Sequence[xr.DataTree]) -> Figure:
    """Draw prior, frequentist analysis and posterior of one outcome under several priors.

    Parameters
    ----------
    fits : sequence of xr.DataTree
        Fits of patients under one model, one per prior.

    Returns
    -------
    Figure
        A panel per prior; treatment difference in score units, positive = active treatment better.
        The broken line is Student's t of the frequentist analysis of the same estimand, what the
        data say by themselves.

    Raises
    ------
    SpecError
        If there is no fit.

    Examples
    --------
    >>> from bayes_ptsd.crossover.example import example_patients
    >>> from bayes_ptsd.fit import fit_model
    >>> from bayes_ptsd.spec import load_model
    >>> fit = fit_model(example_patients(seed=2), load_model("crossover"), engine="exact")
    >>> patient_update_figure([fit]).axes[0].get_xlabel()
    'points, positive = ketamine better'
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
        figure.suptitle(title, x=0.01, ha="left", fontsize=9.5, fontweight="bold")
        for axes in grid[max(len(fits) - COLUMNS, 0) : len(fits)]:
            axes.set_xlabel(difference_label(fits[0]))
        handles = grid[0].get_legend_handles_labels()[0]
        evidence_legend(figure, handles, kind=fits[0].attrs["evidence_kind"], columns=3)
    return figure


def predictive_figure(fit: xr.DataTree) -> Figure:
    """Draw observed features of the scores over what the model predicts of them.

    Parameters
    ----------
    fit : xr.DataTree
        With group ``predictive_summary``.

    Returns
    -------
    Figure
        Bars hold 95% of the features of replicated trials, points are observed; means and standard
        deviations by sequence and period in score units, the correlation between periods.

    Raises
    ------
    SpecError
        If the fit has no predictive summary.

    Examples
    --------
    >>> from bayes_ptsd.crossover.example import example_patients
    >>> from bayes_ptsd.fit import fit_model
    >>> from bayes_ptsd.spec import load_model
    >>> fit = fit_model(example_patients(seed=2), load_model("crossover"), engine="exact")
    >>> [axes.get_title(loc="left") for axes in predictive_figure(fit).axes]
    ['means', 'standard deviations', 'correlation']
    """
    if "predictive_summary" not in fit.children:
        raise SpecError(f"result {fit.attrs.get('result_id')} holds no predictive summary")
    table = fit["predictive_summary"].to_dataset()
    names = [str(name) for name in table["statistic"].values]
    groups = {title: [name for name in names if name.startswith(start)]
              for start, title in PANELS.items()}  # fmt: skip
    groups = {title: members for title, members in groups.items() if members}
    with figure_look():
        figure = new_figure(2.9)
        grid = figure.subplots(
            1,
            len(groups),
            squeeze=False,
            width_ratios=[1.8 + len(group) for group in groups.values()],
        )[0]
        for axes, (title, members) in zip(grid, groups.items(), strict=True):  # fmt: skip
            _features(axes, table, members)
            axes.set_title(title, fontsize=8)
            if title != "correlation":
                axes.set_xlabel("sequence, period", fontsize=7.5)
        name = f"{fit_title(fit)}, {fit.attrs['prior']} prior: observed and replicated"
        figure.suptitle(name, x=0.01, ha="left", fontsize=9.5, fontweight="bold")
        handles = grid[0].get_legend_handles_labels()[0]
        evidence_legend(figure, handles, kind=fit.attrs["evidence_kind"], columns=2)
    return figure


def _features(axes: Axes, table: xr.Dataset, names: Sequence[str]) -> None:
    """Draw one family of features."""
    place = np.arange(len(names))
    chosen = table.sel(statistic=list(names))
    axes.vlines(place, chosen["low"], chosen["high"], color="#56a3d9", linewidth=5, alpha=0.5,
                label="95% of replicates")  # fmt: skip
    axes.plot(place, chosen["observed"], color=INK, marker="o", markersize=4, linestyle="none",
              label="observed")  # fmt: skip
    axes.set_xticks(place, [_cell(name) for name in names])
    axes.set_xlim(-0.6, len(names) - 0.4)


def _cell(name: str) -> str:
    """Return sequence and period of a feature."""
    if name == "correlation":
        return ""
    sequence, _, period = name.partition("_")[2].rpartition("_")
    return f"{sequence}\n{period}"


def _axis(fits: Sequence[xr.DataTree]) -> FloatArray:
    """Return an axis that shows every posterior, the frequentist analysis and zero."""
    ends = [0.0]
    for fit in fits:
        one = json.loads(fit.attrs["summary"])["treatment_difference"]
        ends += [one["mean"] - REACH * one["sd"], one["mean"] + REACH * one["sd"]]
    return np.linspace(min(ends), max(ends), POINTS)


def _panel(axes: Axes, fit: xr.DataTree, x: FloatArray) -> None:
    """Draw one prior."""
    prior = _prior(fit)
    color = prior_style(prior.name).color
    posterior = _density(fit, x)
    before = prior.pdf(x) if prior.proper else np.full_like(x, posterior.max() / 10)
    axes.plot(x, before, color=QUIET, linestyle=(0, (1, 1.2)), label="prior")
    mirror = json.loads(fit.attrs.get("frequentist", "{}"))
    if mirror.get("estimate") is not None:
        alone = stats.t.pdf(x, mirror["df"], mirror["estimate"], mirror["se"])
        axes.plot(x, alone, color=INK, linestyle="--", label="frequentist, t")
    axes.plot(x, posterior, color=color, linewidth=2, label="posterior")
    axes.fill_between(x, posterior, color=color, alpha=0.18, linewidth=0)
    axes.axvline(0, color=INK, linewidth=0.7)
    one = json.loads(fit.attrs["summary"])["treatment_difference"]
    low, high = one["eti95"]
    axes.set_title(
        f"{prior.name}: {number_text(one['mean'])} ({number_text(low)} to {number_text(high)})",
        fontsize=8, fontweight="normal",
    )  # fmt: skip
    axes.set_ylim(bottom=0)
    axes.margins(x=0)
    remove_y(axes)


def _density(fit: xr.DataTree, x: FloatArray) -> FloatArray:
    """Return the posterior density: exact where there is one, else smoothed from the draws."""
    if "exact" in fit.children:
        exact = fit["exact"].to_dataset().sel(estimand="treatment_difference")
        heights = np.interp(x, exact["value"].values, exact["pdf"].values, left=0.0, right=0.0)
    else:
        draws = fit["posterior"].to_dataset()["treatment_difference"].values.ravel()
        heights = stats.gaussian_kde(draws)(x)
    return np.asarray(heights, dtype=float)


def _prior(fit: xr.DataTree) -> Prior:
    """Return the prior of a fit under its name."""
    return prior_from_table(json.loads(fit.attrs["prior_table"])).named(fit.attrs["prior"])
