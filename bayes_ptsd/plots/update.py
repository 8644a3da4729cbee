"""Prior, likelihood and posterior of one printed contrast, one panel a prior."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_ptsd.errors import SpecError
from bayes_ptsd.exact.grid import grid_quantile
from bayes_ptsd.plots.style import (
    INK,
    QUIET,
    difference_label,
    evidence_legend,
    figure_look,
    new_figure,
    prior_style,
    remove_y,
    row_title,
)
from bayes_ptsd.priors import FloatArray, Prior, prior_from_table, student_t

__all__ = ["likelihood_of_fit", "update_figure", "update_reach"]

# Two panels of 2.4 inches hold their titles, three would not.
COLUMNS = 2
# A step in a panel is shorter than the line is thick, so that a curve looks smooth.
POINTS = 241


def update_figure(
    fits: Sequence[xr.DataTree], *, reach: tuple[float, float] | None = None
) -> Figure:
    """Draw prior, likelihood and posterior of exact fits of one contrast, a panel a prior.

    Score units, positive = active treatment better; mean and 95% equal-tailed interval of the
    posterior stand above each panel. `reach` are ends of the axis, to draw several contrasts alike.
    """
    if not fits:
        raise SpecError("no fit to draw: give at least one")
    for fit in fits:
        if "exact" not in fit.children:
            raise SpecError(f"result {fit.attrs.get('result_id')} has no exact posterior to draw")
    with figure_look():
        rows = -(-len(fits) // COLUMNS)
        figure = new_figure(1.7 * rows + 1.0)
        grid = figure.subplots(rows, COLUMNS, sharex=True, squeeze=False).ravel()
        x = np.linspace(*(reach or update_reach(fits)), POINTS)
        for axes, fit in zip(grid, fits, strict=False):
            _panel(axes, fit, x)
            axes.tick_params(labelbottom=True)
        for axes in grid[len(fits) :]:
            axes.remove()
        attrs = fits[0].attrs
        title = f"{row_title(attrs['analysis'], attrs['crossover_reading'])}: {_label(fits[0])}"
        figure.suptitle(title, x=0.01, ha="left", fontsize=9.5, fontweight="bold")
        for axes in grid[max(len(fits) - COLUMNS, 0) : len(fits)]:
            axes.set_xlabel(difference_label(fits[0]))
        evidence_legend(
            figure, grid[0].get_legend_handles_labels()[0], columns=3,
            kind=attrs["evidence_kind"], convention=attrs["convention"],
        )  # fmt: skip
    return figure


def update_reach(fits: Sequence[xr.DataTree]) -> tuple[float, float]:
    """Return ends of an axis, score units, for likelihoods, posteriors and most of the priors."""
    data = [likelihood_of_fit(fit).quantile([0.001, 0.999]) for fit in fits]
    low, high = float(np.min(data)), float(np.max(data))
    room = (high - low) / 3
    priors = [prior.quantile([0.01, 0.99]) for prior in map(_prior, fits) if prior.proper]
    ends = np.clip(np.array([[low, high], *priors]), low - room, high + room)
    return min(0.0, float(ends.min())), max(0.0, float(ends.max()))


def likelihood_of_fit(fit: xr.DataTree) -> Prior:
    """Return the likelihood over the difference, score units: normal if df is infinite, else t."""
    center = float(fit["observed_data"]["estimate"])
    se, df = (float(fit["constant_data"][name]) for name in ("se", "df"))
    return student_t(df, center, se)


def _panel(axes: Axes, fit: xr.DataTree, x: FloatArray) -> None:
    """Draw one prior."""
    prior, exact = _prior(fit), _exact(fit)
    color = prior_style(prior.name).color
    posterior = np.interp(x, exact["value"].values, exact["pdf"].values)
    before = prior.pdf(x) if prior.proper else np.full_like(x, posterior.max() / 10)
    axes.plot(x, before, color=QUIET, linestyle=(0, (1, 1.2)), label="prior")
    axes.plot(x, likelihood_of_fit(fit).pdf(x), color=INK, linestyle="--", label="likelihood")
    axes.plot(x, posterior, color=color, linewidth=2, label="posterior")
    axes.fill_between(x, posterior, color=color, alpha=0.18, linewidth=0)
    axes.axvline(0, color=INK, linewidth=0.7)
    low, high = grid_quantile(exact, np.array([0.025, 0.975]))
    axes.set_title(
        f"{prior.name}: {_one(exact['mean'])} ({_one(low)} to {_one(high)})",
        fontsize=8, fontweight="normal",
    )  # fmt: skip
    axes.set_ylim(bottom=0)
    axes.margins(x=0)
    remove_y(axes)


def _exact(fit: xr.DataTree) -> xr.Dataset:
    """Return the exact posterior of the treatment difference."""
    return fit["exact"].to_dataset().sel(estimand="treatment_difference")


def _prior(fit: xr.DataTree) -> Prior:
    """Return the prior of a fit under its name."""
    return prior_from_table(json.loads(fit.attrs["prior_table"])).named(fit.attrs["prior"])


def _label(fit: xr.DataTree) -> str:
    """Return the name of the endpoint."""
    return str(json.loads(fit.attrs["endpoint_constants"])["label"])


def _one(value: xr.DataArray | float) -> str:
    """Return a number with one decimal and a minus sign of full width."""
    return f"{float(value):.1f}".replace("-", "\u2212")
