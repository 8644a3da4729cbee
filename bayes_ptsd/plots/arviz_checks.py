"""Predictive checks and diagnostics of a fit as ArviZ draws them, for patients' cells by name.

A cell is what one group of patients has in one period, at one visit or of one endpoint; ArviZ draws
one panel a variable, so each cell becomes a variable with its own patients, those without a score
left out. The functions need a fit with its predictive draws: of patients' own data the store keeps
these with `--keep-data` only.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Sequence
from typing import Any

import arviz_plots
import arviz_stats
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.plots.style import WIDTH, figure_look

__all__ = [
    "cells_of_fit",
    "loo_pit_figure",
    "predictive_distribution_figure",
    "predictive_statistic_figure",
    "rank_figure",
    "sensitivity_figure",
]

NEEDED = ("observed_data", "posterior_predictive", "log_likelihood")
GROUPS = ("sequence", "treatment")
"""Coordinates that say which patients belong together, the first that a fit has."""
ACROSS = 4
"""Panels in a row: two sequences in two periods side by side."""
HEIGHT = 1.9
"""Inches of a row of panels: four in a row are then about square."""
TITLE = 6.5
"""Points of the title of a panel."""
REPLICATES = 40
"""Replicated trials drawn; more hide the one that was observed."""


def cells_of_fit(fit: xr.DataTree) -> xr.DataTree:
    """Return observed and replicated scores and log likelihoods, one variable a cell.

    The dim of a variable is that of its patients; ``log_likelihood`` is that of the whole patient.
    """
    if missing := [name for name in NEEDED if name not in fit.children]:
        raise EvidenceError(
            f"this fit was stored without its {', '.join(missing)}: fit it again with keep_data "
            "(--keep-data), or draw the fit before it is stored"
        )
    observed = fit["observed_data"].to_dataset()["score"]
    found: dict[str, dict[str, Any]] = {name: {} for name in NEEDED}
    for number, (label, rows, place) in enumerate(_cells(observed)):
        there = rows & observed.isel(place).notnull().values
        dims = ("chain", "draw", f"patient_{number}")
        replicated = fit["posterior_predictive"].to_dataset()["score"].isel(place)
        found["observed_data"][label] = (dims[2], observed.isel(place).values[there])
        for name, values in (
            ("posterior_predictive", replicated),
            ("log_likelihood", fit["log_likelihood"].to_dataset()["score"]),
        ):
            found[name][label] = (
                dims,
                values.transpose("chain", "draw", "subject").values[..., there],
            )
    groups = {name: xr.Dataset(group) for name, group in found.items()}
    return xr.DataTree.from_dict({**groups, "posterior": fit["posterior"].to_dataset()})


def _cells(observed: xr.DataArray) -> list[tuple[str, np.ndarray[Any, Any], dict[str, int]]]:
    """Return label, patients and place of every cell that anybody has a score in."""
    group = next((name for name in GROUPS if name in observed.coords), None)
    labels: list[Any] = np.unique(observed[group].values).tolist() if group else [None]
    others = [str(dim) for dim in observed.dims if dim != "subject"]
    places = itertools.product(*(range(observed.sizes[dim]) for dim in others))
    found = []
    for place, label in itertools.product(places, labels):
        at = dict(zip(others, place, strict=True))
        words = [f"{dim} {observed[dim].values[i]}" for dim, i in at.items()]
        rows = np.ones(observed.sizes["subject"], dtype=bool)
        if group:
            values = observed[group].isel(
                {d: i for d, i in at.items() if d in observed[group].dims}
            )
            rows, words = values.values == label, [str(label), *words]
        if (rows & observed.isel(at).notnull().values).any():
            found.append((", ".join(words) or "score", rows, at))
    return found


def predictive_distribution_figure(fit: xr.DataTree) -> Figure:
    """Draw the observed scores of every cell beside replicated ones, as distribution functions."""
    options = {"kind": "ecdf", "num_samples": REPLICATES}
    return _drawn(arviz_plots.plot_ppc_dist, cells_of_fit(fit), wrapped=True, **options)


def predictive_statistic_figure(fit: xr.DataTree, *, statistic: str = "std") -> Figure:
    """Draw a statistic of every cell, such as ``std`` or ``mean``, among those of replicates."""
    return _drawn(arviz_plots.plot_ppc_tstat, cells_of_fit(fit), t_stat=statistic, wrapped=True)


def loo_pit_figure(fit: xr.DataTree) -> Figure:
    """Draw the place of every score among predictions made without its patient.

    Uniform if calibrated: all scores together, in the 99% simultaneous band of as many uniform
    ones.
    """
    values = arviz_stats.loo_pit(cells_of_fit(fit))
    every = np.concatenate([values[name].values for name in values.data_vars])
    tree = xr.DataTree.from_dict({"pit": xr.Dataset({"scores": ("score", every)})})
    return _drawn(arviz_plots.plot_ecdf_pit, tree, group="pit", sample_dims=["score"])


def rank_figure(fit: xr.DataTree, names: Sequence[str]) -> Figure:
    """Draw densities of parameters by chain and the ranks of their draws, uniform if mixed."""
    if fit["posterior"].sizes["chain"] == 1:
        raise EvidenceError(
            "ranks compare chains and this fit has one: an exact engine drew it; fit it with "
            "engine='nuts' (--engine nuts)"
        )
    return _drawn(arviz_plots.plot_rank_dist, fit, var_names=list(names), compact=False)


def sensitivity_figure(fit: xr.DataTree, *, estimand: str = "treatment_difference") -> Figure:
    """Draw the posterior of an estimand with prior and likelihood weakened and strengthened."""
    return _drawn(arviz_plots.plot_psense_dist, fit, var_names=[estimand])


def _drawn(plot: Any, tree: xr.DataTree, *, wrapped: bool = False, **options: Any) -> Figure:
    """Draw by ArviZ in the look of all figures; many cells, `wrapped`, go on in a next row."""
    if wrapped:
        options["col_wrap"] = ACROSS
    with figure_look(), warnings.catch_warnings():
        # arviz-plots 0.8 drops levels of an index in a way that newer xarray warns of
        warnings.simplefilter("ignore", FutureWarning)
        made = plot(tree, backend="matplotlib", **options)
        figure: Figure = made.viz["figure"].item()
        panels = len(figure.axes)
        rows = -(-panels // ACROSS) if wrapped else 1
        figure.set_size_inches(WIDTH, HEIGHT * rows)
        for axes in figure.axes if wrapped else ():
            # a quarter of the width holds the name of a cell and its statistic in this size only
            axes.set_title(axes.get_title(loc="left"), loc="left", fontsize=TITLE)
        figure.set_layout_engine("constrained")
    return figure
