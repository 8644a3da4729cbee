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

BINS = 50
SAME = (
    "contrast", "crossover_reading", "convention", "model", "endpoint", "evidence_digest", "prior"
)  # fmt: skip
"""What two fits of one posterior share; printed rows have the first three, patients the others."""


def agreement_figure(sampled: xr.DataTree, exact: xr.DataTree) -> Figure:
    """Draw the draws of a sampler as a histogram under the exact density of the same posterior.

    Parameters
    ----------
    sampled : xr.DataTree
        Fit with draws of ``treatment_difference``.
    exact : xr.DataTree
        Exact fit of the same posterior: of a printed row the same contrast, reading, convention and
        prior, of patients the same patients, endpoint, model and prior.

    Returns
    -------
    Figure
        Density of the treatment difference in score units, positive = active treatment better.

    Raises
    ------
    SpecError
        If the two are fits of different contrasts, readings, conventions, patients, models or
        priors.

    Examples
    --------
    >>> from bayes_ptsd.evidence.published import load_published, select_contrast
    >>> from bayes_ptsd.exact.printed import fit_exact
    >>> from bayes_ptsd.spec import load_model
    >>> fit = fit_exact(select_contrast(load_published(), "T2.IESR.F"), load_model("published"))
    >>> agreement_figure(fit, fit).axes[0].get_xlabel()
    'points, positive = ketamine better'
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
