"""Figures of several visits show the numbers of the fit, and nothing runs off the page."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bayes_ptsd.errors import SpecError
from bayes_ptsd.estimands import estimate
from bayes_ptsd.plots import trajectory_figure, visit_forest_figure
from bayes_ptsd.plots.example import example_courses


@pytest.fixture(scope="module")
def courses() -> xr.DataTree:
    """Return made-up draws of four visits."""
    return example_courses()


def inside(figure: Figure) -> bool:
    """Tell whether every text of a figure lies on it."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    width, height = figure.get_size_inches() * figure.dpi
    axes = figure.axes[0]
    # tick labels beyond the limits of an axis exist too, and are never drawn
    texts = [axes.xaxis.label, axes.yaxis.label, axes.title, *axes.texts]
    texts += figure.legends[0].get_texts()
    boxes = [text.get_window_extent() for text in texts if text.get_text()]
    return all(
        box.x0 >= -1 and box.y0 >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1
        for box in boxes
    )


@pytest.mark.parametrize("change", [False, True], ids=["scores", "change"])
def test_courses_are_those_of_the_fit(courses: xr.DataTree, change: bool) -> None:
    """Each arm's line goes through its posterior means; the evidence word is there."""
    figure = trajectory_figure(courses, change=change)
    summary = courses["trajectory_summary"].to_dataset()
    lines = [container[0].get_ydata() for container in figure.axes[0].containers]
    expected = summary["change" if change else "arm_mean"].values
    assert np.allclose(lines, expected)
    assert figure.legends[0].get_title().get_text() == "simulated evidence"
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert labels[0] == "24h\n20, 20"
    assert inside(figure)


def test_visits_stand_at_their_days(courses: xr.DataTree) -> None:
    """Gaps of 1, 1 and 4 days are drawn so; days too close to read are spaced evenly."""
    assert figure_ticks(courses) == [1.0, 2.0, 3.0, 7.0]
    crowded = courses.copy()
    summary = courses["trajectory_summary"].to_dataset()
    crowded["trajectory_summary"] = xr.DataTree(
        summary.assign(days=("visit", [0.05, 1.0, 14.0, 28.0]))
    )
    assert figure_ticks(crowded) == [0.0, 1.0, 2.0, 3.0]
    assert "evenly" in trajectory_figure(crowded).axes[0].get_xlabel()


def figure_ticks(fit: xr.DataTree) -> list[float]:
    """Return where the visits stand."""
    return [float(tick) for tick in trajectory_figure(fit).axes[0].get_xticks()]


def test_forest_shows_every_visit_and_their_mean(courses: xr.DataTree) -> None:
    """Points are posterior means of the estimands, in the order of the visits."""
    figure = visit_forest_figure(courses)
    table = estimate(courses)
    names = [f"treatment_difference[{visit}]" for visit in ("24h", "48h", "72h", "7d")]
    expected = table["mean"].sel(estimand=[*names, "treatment_difference"]).values
    found = [container[0].get_xdata()[0] for container in figure.axes[0].containers]
    assert np.allclose(found, expected)
    assert "positive = ketamine better" in figure.axes[0].get_xlabel()
    assert figure.legends[0].get_title().get_text() == "simulated evidence"
    assert inside(figure)


def test_a_result_of_one_visit_is_refused(courses: xr.DataTree) -> None:
    """Nothing is drawn from a fit that has no courses, or no baseline to change from."""
    with pytest.raises(SpecError, match="not of several visits"):
        trajectory_figure(courses.filter(lambda node: False))
    bare = courses.copy()
    summary = courses["trajectory_summary"].to_dataset()
    bare["trajectory_summary"] = xr.DataTree(summary.assign(baseline=np.nan))
    with pytest.raises(SpecError, match="no baseline"):
        trajectory_figure(bare, change=True)
