"""What ArviZ draws of a fit are its scores, cell by cell, and nothing that was not observed."""

from __future__ import annotations

import warnings
from itertools import pairwise

import arviz_stats
import numpy as np
import pytest
import xarray as xr
from matplotlib.text import Text

from bayes_ptsd.errors import EvidenceError, StatisticalWarning
from bayes_ptsd.fit import fit_model
from bayes_ptsd.models_files import load_model
from bayes_ptsd.plots.arviz_checks import (
    cells_of_fit,
    loo_pit_figure,
    predictive_distribution_figure,
    predictive_statistic_figure,
    rank_figure,
    sensitivity_figure,
)


def fitted(name: str) -> xr.DataTree:
    """Return an exact fit of a model on its example."""
    spec = load_model(name)
    with warnings.catch_warnings():
        # a check that fails on the example is not what these tests are about
        warnings.simplefilter("ignore", StatisticalWarning)
        return fit_model(spec.room.example(spec), spec, engine="exact")


@pytest.fixture(scope="module")
def crossover() -> xr.DataTree:
    """Return the fit of 24 patients, four of whom have one period."""
    return fitted("crossover")


def test_every_score_is_in_one_cell(crossover: xr.DataTree) -> None:
    """The cells are sequences in periods; together they hold every observed score once."""
    cells = cells_of_fit(crossover)
    names = ["KM, period 1", "MK, period 1", "KM, period 2", "MK, period 2"]
    assert list(cells["observed_data"].data_vars) == names
    shown = np.concatenate([one.values for one in cells["observed_data"].data_vars.values()])
    score = crossover["observed_data"]["score"].values
    np.testing.assert_array_equal(np.sort(shown), np.sort(score[np.isfinite(score)]))


def test_replicates_are_of_the_patients_beside_them(crossover: xr.DataTree) -> None:
    """Of each cell the replicated scores are those of its patients, in their order."""
    cells = cells_of_fit(crossover)
    observed = crossover["observed_data"]["score"].sel(period=2)
    rows = np.flatnonzero((observed["sequence"] == "KM").values & observed.notnull().values)
    expected = crossover["posterior_predictive"]["score"].sel(period=2).isel(subject=rows)
    found = cells["posterior_predictive"]["KM, period 2"]
    np.testing.assert_array_equal(found.values, expected.transpose("chain", "draw", "subject"))


@pytest.mark.parametrize(
    ("name", "panels"), [("first-period", 2), ("depression-adjusted", 4), ("crossover", 4)]
)
def test_cells_follow_the_design(name: str, panels: int) -> None:
    """Arms, arms by endpoint, sequences by period: a panel each, in both figures of scores."""
    fit = fitted(name)
    for figure in (predictive_distribution_figure(fit), predictive_statistic_figure(fit)):
        assert len(figure.axes) == panels


def test_the_observed_statistic_is_marked_where_it_is(crossover: xr.DataTree) -> None:
    """The point under the first density is the mean score of its cell."""
    axes = predictive_statistic_figure(crossover, statistic="mean").axes[0]
    score = crossover["observed_data"]["score"].sel(period=1)
    mean = float(score.where(score["sequence"] == "KM").mean())
    drawn = [
        x
        for line in axes.lines
        for x in np.atleast_1d(line.get_xdata())
        if len(line.get_xdata()) == 1
    ]
    drawn += [float(x) for one in axes.collections for x, _ in np.asarray(one.get_offsets())]
    assert min(abs(x - mean) for x in drawn) < 1e-9


def test_places_of_left_out_scores_are_those_of_the_check(crossover: xr.DataTree) -> None:
    """By cells ArviZ finds what the check of the fit has, of each score there is; both by PSIS.

    Asked for the fit itself, its `loo_pit` ends in an IndexError where a score is missing.
    """
    found = arviz_stats.loo_pit(cells_of_fit(crossover))
    places = np.concatenate([found[name].values for name in found.data_vars])
    own = crossover["loo"]["pit"].values
    np.testing.assert_allclose(np.sort(places), np.sort(own[np.isfinite(own)]), atol=1e-12)
    assert places.size == np.isfinite(crossover["observed_data"]["score"]).sum() < own.size


def test_other_figures_are_drawn(crossover: xr.DataTree) -> None:
    """LOO-PIT has one panel with all scores, power-scaling one of the prior and one of the data."""
    assert len(loo_pit_figure(crossover).axes) == 1
    assert len(sensitivity_figure(crossover).axes) == 2


def test_ranks_need_chains(crossover: xr.DataTree) -> None:
    """Two chains have a density and a rank panel; the single one of an exact fit is refused."""
    draws = crossover["posterior"]["treatment_difference"].values.reshape(2, 2000)
    coords = {"chain": [0, 1], "draw": np.arange(2000)}
    chains = xr.Dataset({"treatment_difference": (("chain", "draw"), draws)}, coords=coords)
    two = xr.DataTree.from_dict({"posterior": chains})
    assert len(rank_figure(two, ["treatment_difference"]).axes) == 2
    with pytest.raises(EvidenceError, match="ranks compare chains"):
        rank_figure(crossover, ["treatment_difference"])


def test_a_fit_without_its_scores_says_what_to_do(crossover: xr.DataTree) -> None:
    """A fit stored without patients' rows names what is missing and the option that keeps it."""
    bare = xr.DataTree.from_dict({"posterior": crossover["posterior"].to_dataset()})
    with pytest.raises(EvidenceError, match=r"without its observed_data, .*--keep-data"):
        cells_of_fit(bare)


def test_titles_stand_apart() -> None:
    """The names of four cells side by side, with the statistic, do not run into each other."""
    figure = predictive_statistic_figure(fitted("crossover"))
    figure.draw_without_rendering()
    boxes = [
        text.get_window_extent()
        for axes in figure.axes
        for text in axes.get_children()
        if isinstance(text, Text) and text.get_text() == axes.get_title(loc="left")
    ]
    assert len(boxes) == 4
    for left, right in pairwise(boxes):
        assert left.x1 < right.x0
