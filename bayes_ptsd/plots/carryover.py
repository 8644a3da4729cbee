"""The treatment difference of a crossover against what is assumed about carryover."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_ptsd.errors import SpecError
from bayes_ptsd.plots.style import (
    INK,
    QUIET,
    difference_label,
    evidence_legend,
    figure_look,
    new_figure,
    number_text,
    prior_style,
)
from bayes_ptsd.priors import FloatArray

__all__ = ["ANCHORS", "carryover_figure"]

ANCHORS: Mapping[str, tuple[str, str, Any]] = {
    "reml": ("crossover, REML", "#0b5cad", (0, (5, 1.5))),
    "hills_armitage": ("Hills-Armitage", "#00805f", (0, (1, 1.2))),
    "first_period": ("first period, t test", "#c2410c", (0, (5, 1.5, 1, 1.5))),
}
"""Label, color and line of the frequentist analyses that the sweep runs between."""
# Reference SDs at the middle of the axis: the default carryover prior.
HALF = 0.4
# Reference SDs; each is a point of `structures.crossover.carryover.SDS`, with room for its number.
TICKS = (0.0, 0.1, 0.2, 0.4, 0.8, 2.0, np.inf)
# The lower of the levels that the study has tipping values of.
LEVEL = 0.95


def carryover_figure(fit: xr.DataTree) -> Figure:
    """Draw the treatment difference and P(benefit) against the prior of the carryover.

    Top: mean and 95% interval, score units, positive = active treatment better, against the sd of
    the carryover prior from 0 to a flat prior, in reference SDs (below) and score units (above);
    the frequentist estimates as broken lines. Middle: P(benefit). Bottom: P(benefit) if the
    carryover were known.
    """
    if "carryover" not in fit.children:
        raise SpecError(
            f"result {fit.attrs.get('result_id')} holds no sweep of carryover; fit "
            "'crossover-carryover'"
        )
    study, color = fit["carryover"].to_dataset(), prior_style(fit.attrs["prior"]).color
    with figure_look():
        figure = new_figure(6.6)
        top, middle, bottom = figure.subplots(3, 1, height_ratios=(1.7, 1, 1))
        _difference_panel(top, fit, study, color)
        _probability_panel(middle, study, color)
        _known_panel(bottom, study, fit, color)
        label = json.loads(fit.attrs["endpoint_constants"])["label"]
        top.set_title(f"{label}: carryover, {fit.attrs['prior']} prior")
        evidence_legend(
            figure, top.get_legend_handles_labels()[0], kind=fit.attrs["evidence_kind"], columns=2
        )
    return figure


def _place(sd: FloatArray) -> FloatArray:
    """Return where a prior sd, in reference SDs, stands on an axis from 0 to infinity."""
    known = np.where(np.isinf(sd), 1.0, sd)
    return np.where(np.isinf(sd), 1.0, known / (known + HALF))


def _axis(axes: Axes, unit: float, *, numbers: bool) -> None:
    """Label the axis of prior standard deviations."""
    ticks = np.array(TICKS)
    texts = ["0"] + [f"{tick * unit:.3g}" for tick in ticks[1:-1]] + ["flat"]
    axes.set_xticks(_place(ticks), texts if numbers else [])
    axes.set_xlim(-0.02, 1.05)
    axes.grid(axis="x", color="#e4e7eb", linewidth=0.7)


def _difference_panel(axes: Axes, fit: xr.DataTree, study: xr.Dataset, color: str) -> None:
    """Draw the treatment difference with its interval and the frequentist estimates."""
    reference = float(study.attrs["reference_sd"])
    x = _place(study["carryover_sd"].values / reference)
    axes.fill_between(
        x, study["eti95"].sel(bound="low"), study["eti95"].sel(bound="high"), color=color,
        alpha=0.16, linewidth=0, label="95% interval",
    )  # fmt: skip
    axes.plot(x, study["mean"], color=color, marker="o", markersize=3, label="posterior mean")
    analyses = json.loads(fit.attrs.get("frequentist", "{}")).get("analyses", {})
    for name, (label, tone, line) in ANCHORS.items():
        if name in analyses:
            value = analyses[name]["estimands"]["treatment_difference"]["estimate"]
            axes.axhline(value, color=tone, linestyle=line, linewidth=1.1, label=label)
    axes.axhline(0, color=INK, linewidth=0.7)
    axes.set_ylabel(_wrapped(difference_label(fit)))
    _axis(axes, 1.0, numbers=False)
    unit = json.loads(fit.attrs["endpoint_constants"])["unit"]
    above = axes.secondary_xaxis("top")
    above.set_xticks(
        _place(np.array(TICKS)), ["0", *(f"{tick * reference:.3g}" for tick in TICKS[1:-1]), "flat"]
    )
    above.set_xlabel(f"sd of the carryover prior, {unit}")  # fmt: skip


def _wrapped(text: str) -> str:
    """Return an axis label on two lines."""
    return text.replace(", ", ",\n", 1)


def _probability_panel(axes: Axes, study: xr.Dataset, color: str) -> None:
    """Draw P(benefit) against the prior sd."""
    reference = float(study.attrs["reference_sd"])
    x = _place(study["carryover_sd"].values / reference)
    axes.plot(x, study["prob_benefit"], color=color, marker="o", markersize=3)
    _level(axes)
    tipping = float(study["tipping_sd"].sel(level=LEVEL))
    if tipping > 0:
        place = float(_place(np.array(tipping / reference)))
        text = f"{LEVEL:g} at {number_text(tipping / reference)} SD ({number_text(tipping)})"
        _mark(axes, place, text, above=True)
    axes.set_ylabel("P(benefit)")
    _axis(axes, 1.0, numbers=True)
    axes.set_xlabel("sd of the carryover prior, reference SDs")


def _known_panel(axes: Axes, study: xr.Dataset, fit: xr.DataTree, color: str) -> None:
    """Draw P(benefit) against a known carryover."""
    axes.plot(study["carryover"], study["known_prob_benefit"], color=color)
    axes.axvline(0, color=INK, linewidth=0.7)
    _level(axes)
    tipping = float(study["tipping_carryover"].sel(level=LEVEL))
    if np.isfinite(tipping):
        sds = tipping / float(study.attrs["reference_sd"])
        _mark(axes, tipping, f"{LEVEL:g} at {number_text(tipping)} ({number_text(sds)} SD)")
    axes.margins(x=0)
    axes.set_ylabel("P(benefit)")
    unit = json.loads(fit.attrs["endpoint_constants"])["unit"]
    axes.set_xlabel(f"known carryover, {unit}, positive = {fit.attrs['active']} still helps")


def _level(axes: Axes) -> None:
    """Mark the level that tipping values refer to."""
    axes.axhline(LEVEL, color=QUIET, linewidth=0.8, linestyle=":")
    low = min(0.5, *(float(np.min(line.get_ydata())) for line in axes.lines[:1]))
    axes.set_ylim(np.floor(low * 10) / 10, 1.03)


def _mark(axes: Axes, x: float, text: str, *, above: bool = False) -> None:
    """Mark a tipping value with its number, where the curve leaves room."""
    axes.plot([x], [LEVEL], color=INK, marker="D", markersize=4, linestyle="none", zorder=5)
    axes.annotate(
        text, (x, LEVEL), xytext=(7, 2 if above else -11), textcoords="offset points",
        fontsize=7.5, color=INK,
    )  # fmt: skip
