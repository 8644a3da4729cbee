"""Figures about planning: MAP forests and assurance curves."""

from __future__ import annotations

import pytest

from bayes_ptsd.errors import SpecError
from bayes_ptsd.exact.history import Heterogeneity, binomial_trials
from bayes_ptsd.plots.assurance import assurance_figure
from bayes_ptsd.plots.map_forest import map_figure
from bayes_ptsd.priors import normal
from bayes_ptsd.replication.assurance import Goal, assurance_curve
from bayes_ptsd.replication.designs import ReplicationDesign
from bayes_ptsd.replication.historical import map_prior

PARALLEL = ReplicationDesign("parallel", sd=14.4)


def test_map_forest_shows_trials_and_priors() -> None:
    """One line a trial, the mean, the MAP and robust priors at their medians; evidence named."""
    found = map_prior(
        binomial_trials(["A", "B"], n=[40, 50], r=[10, 15]), mean=normal(0, 2), components=1,
        heterogeneity=Heterogeneity("half-normal", 0.5), robust_weight=0.2,
    )  # fmt: skip
    axes = map_figure(found).axes[0]
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert labels == ["A", "B", "mean of trials", "MAP prior: a new trial", "robust MAP prior"]
    middles = [line.get_xdata()[0] for line in axes.get_lines() if len(line.get_xdata()) == 1]
    assert middles[:2] == [0.25, 0.3]
    assert found.robust is not None
    assert middles[4] == pytest.approx(float(found.robust.quantile(0.5)))
    assert "published evidence" in axes.get_xlabel()
    assert "half-normal(0, 0.5)" in axes.get_xlabel()


def test_assurance_curves_name_goal_ceiling_and_evidence() -> None:
    """The curve has the computed values; goal, ceiling and kind of evidence are written."""
    curve = assurance_curve(normal(6, 4), PARALLEL, sizes=[20, 60], goal=Goal())
    figure = assurance_figure({"parallel": curve}, kind="simulated")
    axes = figure.axes[0]
    assert axes.get_lines()[0].get_ydata() == pytest.approx(curve["assurance"].values)
    assert axes.get_title(loc="left") == Goal().label
    assert [text.get_text() for text in axes.texts] == ["ceiling 0.933"]
    assert "simulated evidence" in figure.legends[0].get_title().get_text()


def test_refused_curves() -> None:
    """No curve, too many, and curves of different goals are refused."""
    curve = assurance_curve(normal(6, 4), PARALLEL, sizes=[20], goal=Goal())
    other = assurance_curve(normal(6, 4), PARALLEL, sizes=[20], goal=Goal(margin=7.2))
    with pytest.raises(SpecError, match="different goals"):
        assurance_figure({"a": curve, "b": other}, kind="published")
    for count in (0, 5):
        with pytest.raises(SpecError, match="one to 4"):
            assurance_figure({str(i): curve for i in range(count)}, kind="published")
