"""Shares of the categories by arm, and the probability of each category or a lower one."""

from __future__ import annotations

import json

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bayes_ptsd.errors import SpecError
from bayes_ptsd.plots.style import INK, QUIET, evidence_legend, figure_look, new_figure

__all__ = ["categories_figure"]

ARMS = {"active": ("#c2410c", "o", 0.12), "control": ("#1f2933", "s", -0.12)}
"""Color, marker and offset of each arm."""
# Share of a bar, 4.4 inches long, that has room for its number in 7.5 points.
NARROW = 0.06


def categories_figure(fit: xr.DataTree) -> Figure:
    """Draw what a fit of ordered categories says about each arm; no patients' rows are needed.

    Above: a bar an arm, divided in the posterior mean shares. Below: the probability of each
    category or a lower one with its 95% interval, and as crosses the shares seen, all periods
    together.
    """
    if "categories" not in fit.children:
        raise SpecError("this result is not about categories: it has no group 'categories'")
    table = fit["categories"].to_dataset()
    names = {arm: str(fit.attrs[arm]) for arm in ARMS}
    constants = json.loads(fit.attrs["endpoint_constants"])
    with figure_look():
        figure = new_figure(4.6)
        above, below = figure.subplots(2, 1, height_ratios=[1, 1.8])
        _bars(above, table, names)
        above.set_title(f"{constants['label']}: {constants['better']} is better")
        _cumulative(below, table, constants["label"])
        evidence_legend(
            figure, _handles(names), columns=3, kind=fit.attrs["evidence_kind"], convention=""
        )
    return figure


def _bars(axes: Axes, table: xr.Dataset, names: dict[str, str]) -> None:
    """Draw one divided bar an arm."""
    shades = colormaps["cividis"](np.linspace(0.15, 0.9, table.sizes["category"]))
    for place, arm in enumerate(reversed(ARMS)):
        shares = table["share_mean"].sel(arm=arm).values
        starts = np.concatenate([[0.0], np.cumsum(shares)[:-1]])
        axes.barh(place, shares, left=starts, color=shades, edgecolor="white", height=0.62)
        for start, share, category, shade in zip(
            starts, shares, table["category"].values, shades, strict=True
        ):
            if share >= NARROW:
                dark = np.dot(shade[:3], [0.3, 0.6, 0.1]) < 0.5
                axes.text(
                    start + share / 2, place, f"{category}\n{share:.2f}", ha="center", va="center",
                    fontsize=7.5, color="white" if dark else INK,
                )  # fmt: skip
    axes.set_yticks([0, 1], [names[arm] for arm in reversed(ARMS)])
    axes.set_xlim(0, 1)
    axes.set_xlabel("probability of each category (posterior mean)")


def _cumulative(axes: Axes, table: xr.Dataset, label: str) -> None:
    """Draw the probability of each category or a lower one with its interval."""
    seen = table["seen"].sum("period")
    cuts = table["at_most"].values
    for arm, (color, marker, shift) in ARMS.items():
        middle, low, high = (
            table[f"at_most_{end}"].sel(arm=arm).values for end in ("mean", "low", "high")
        )
        axes.errorbar(
            cuts + shift, middle, yerr=[middle - low, high - middle], fmt=marker, color=color,
            markersize=5, elinewidth=1.3, capsize=2,
        )  # fmt: skip
        counts = seen.sel(arm=arm).values
        axes.plot(
            cuts + 2.2 * shift, np.cumsum(counts)[:-1] / counts.sum(), "x", color=color,
            markersize=4.5, markeredgewidth=1.1,
        )  # fmt: skip
    axes.set_xticks(cuts, [f"at most {cut}" for cut in cuts])
    axes.set_xlim(cuts[0] - 0.6, cuts[-1] + 0.6)
    axes.set_ylim(0, 1)
    axes.set_ylabel("probability")
    axes.set_xlabel(label)
    axes.grid(axis="y", color="#e4e7eb", linewidth=0.7)


def _handles(names: dict[str, str]) -> list[Line2D]:
    """Return the entries of the legend."""
    arms = [
        Line2D([], [], color=color, marker=marker, label=f"{names[arm]}, 95% interval")
        for arm, (color, marker, _) in ARMS.items()
    ]
    return [*arms, Line2D([], [], color=QUIET, marker="x", linestyle="", label="seen")]
