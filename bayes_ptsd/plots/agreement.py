"""A sampled posterior against the exact one."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from bayes_ptsd.errors import SpecError
from bayes_ptsd.plots.style import (
    INK,
    difference_label,
    evidence_legend,
    figure_look,
    fit_title,
    new_figure,
    prior_style,
    remove_y,
)

__all__ = ["agreement_figure"]

# 80 of 4,000 draws a bin on average: noise of a ninth of the height, and still a shape.
BINS = 50
SAME = (
    "contrast", "crossover_reading", "convention", "model", "endpoint", "evidence_digest", "prior"
)  # fmt: skip
"""What two fits of one posterior share; printed rows have the first three, patients the others."""


def agreement_figure(sampled: xr.DataTree, exact: xr.DataTree) -> Figure:
    """Draw sampled draws as a histogram under the exact density, score units, benefit-positive.

    `SpecError` unless both are of the same contrast, reading, convention, patients, model and
    prior.
    """
    for key in SAME:
        one, other = (fit.attrs.get(key, "") for fit in (sampled, exact))
        if one != other:
            raise SpecError(
                f"not the same posterior: {key} is '{one}' in one fit and '{other}' in the other"
            )
    draws = sampled["posterior"].to_dataset()["treatment_difference"].values.ravel()
    curve = exact["exact"].to_dataset().sel(estimand="treatment_difference")
    x = np.linspace(draws.min(), draws.max(), 241)
    attrs = sampled.attrs
    with figure_look():
        figure = new_figure(2.7)
        axes = figure.subplots()
        axes.hist(
            draws, bins=BINS, density=True, color=prior_style(attrs["prior"]).color, alpha=0.35,
            label=f"{draws.size} sampled draws",
        )  # fmt: skip
        density = np.interp(x, curve["value"].values, curve["pdf"].values)
        axes.plot(x, density, color=INK, label="exact posterior")
        axes.set_title(f"{fit_title(sampled)}: {attrs['prior']} prior")
        axes.set_xlabel(difference_label(sampled))
        remove_y(axes)
        evidence_legend(
            figure, axes.get_legend_handles_labels()[0], columns=2,
            kind=attrs["evidence_kind"], convention=attrs.get("convention", ""),
        )  # fmt: skip
    return figure
