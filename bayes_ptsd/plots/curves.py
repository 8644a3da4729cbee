"""P(treatment difference > m) as a function of the margin m."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bayes_ptsd.errors import SpecError
from bayes_ptsd.estimands import benefit_curve
from bayes_ptsd.plots.style import (
    INK,
    QUIET,
    evidence_legend,
    figure_look,
    fit_title,
    new_figure,
    prior_style,
)

__all__ = ["benefit_figure"]


def benefit_figure(fits: Sequence[xr.DataTree]) -> Figure:
    """Draw P(treatment difference > m), a curve a prior, for m from 0 to 1.5 reference SDs.

    The axis is in score units, the MCID marked; `SpecError` without a reference SD to scale it.
    """
    if not fits:
        raise SpecError("no fit to draw: give at least one")
    first = fits[0]
    constants = json.loads(first.attrs["endpoint_constants"])
    with figure_look():
        figure = new_figure(3.5)
        axes = figure.subplots()
        for fit in fits:
            _curve(axes, fit)
        axes.set_title(fit_title(first))
        axes.set_xlabel(
            f"margin m: {constants['label']}, {constants['unit']} by which {first.attrs['active']} "
            "is better"
        )
        axes.set_ylabel("P(treatment difference > m)")
        axes.set_ylim(0, 1)
        axes.set_yticks(np.arange(0, 1.01, 0.1))
        axes.xaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 5, 10]))
        axes.margins(x=0)
        axes.grid(axis="y", color="#e4e7eb", linewidth=0.7)
        _mcid(axes, constants)
        evidence_legend(
            figure, axes.get_legend_handles_labels()[0], columns=3,
            kind=first.attrs["evidence_kind"], convention=first.attrs.get("convention", ""),
        )  # fmt: skip
    return figure


def _curve(axes: Axes, fit: xr.DataTree) -> None:
    """Draw one prior."""
    style, name = prior_style(fit.attrs["prior"]), fit.attrs["prior"]
    curve = benefit_curve(fit)
    axes.plot(
        curve["margin"], curve, color=style.color, linestyle=style.line,
        label=name,
    )  # fmt: skip


def _mcid(axes: Axes, constants: dict[str, object]) -> None:
    """Mark the minimal clinically important difference, where the trial names one."""
    mcid = constants.get("mcid")
    if isinstance(mcid, float):
        axes.axvline(mcid, color=INK, linewidth=0.8, linestyle=":")
        axes.annotate(
            f"MCID {mcid:g}", (mcid, 0.985), xytext=(4, 0), textcoords="offset points",
            va="top", fontsize=8, color=QUIET,
        )  # fmt: skip
