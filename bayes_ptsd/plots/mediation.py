"""Direct and indirect effects against what is assumed about unmeasured common causes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import xarray as xr
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bayes_ptsd.plots.style import INK, QUIET, evidence_legend, figure_look, new_figure

__all__ = ["error_correlation_figure"]

STYLES: Mapping[str, tuple[str, str, Any]] = {
    "natural_direct_effect": ("natural direct", "#c2410c", "-"),
    "natural_indirect_effect": ("natural indirect", "#00805f", (0, (4, 1.5))),
    "treatment_difference": ("total (does not move)", INK, (0, (1, 1.2))),
}


def error_correlation_figure(
    mediation: xr.Dataset, *, label: str, mediator: str, unit: str, active: str, kind: str
) -> Figure:
    """Draw both effects over the correlation of the errors of mediator and outcome.

    Means are lines, 95% equal-tailed intervals bands; the total is a line of its own.
    """
    rho = mediation["rho"].values
    with figure_look():
        figure = new_figure(3.4)
        axes = figure.subplots()
        axes.axhline(0, color=QUIET, linewidth=0.8)
        axes.axvline(0, color=QUIET, linewidth=0.8, linestyle=":")
        for name, (_, color, line) in STYLES.items():
            one = mediation.sel(effect=name)
            axes.plot(rho, one["mean"].values, color=color, linestyle=line)
            if name != "treatment_difference":
                axes.fill_between(
                    rho, one["low"].values, one["high"].values, color=color, alpha=0.15, linewidth=0
                )
        axes.set_xlabel(f"correlation of the errors of {mediator} and {label}")
        axes.set_ylabel(f"{unit}, positive = {active} better")
        axes.set_title(f"{label}: direct and indirect effect")
        handles = [
            Line2D([], [], color=color, linestyle=line, label=text)
            for text, color, line in STYLES.values()
        ]
        evidence_legend(figure, handles, kind=kind, columns=3)
    return figure
