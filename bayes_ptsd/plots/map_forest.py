"""Forest plot of a MAP prior: historical trials, their mean, and what a new trial may be."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import special, stats

from bayes_ptsd.exact.grid import grid_quantile
from bayes_ptsd.plots.style import INK, QUIET, Z, figure_look, new_figure
from bayes_ptsd.replication.historical import MapPrior

__all__ = ["map_figure"]

# Inches a line: 14 points, for labels of 8.
ROW = 0.2
ACCENT = "#8e3b90"


def map_figure(found: MapPrior, *, label: str = "") -> Figure:
    """Draw historical trials, their mean, and the MAP prior and its robust mixture with medians.

    Intervals hold 95%: of proportions Jeffreys's, of the others normal.
    """
    lines = [*_trial_lines(found), *_prior_lines(found)]
    with figure_look():
        figure = new_figure(0.9 + ROW * len(lines))
        axes = figure.subplots()
        for row, (_, middle, low, high, prior) in enumerate(lines):
            _line(axes, row, middle, low, high, prior=prior)
        axes.axhline(len(found.trials.study) - 0.5, color=QUIET, linewidth=0.6, linestyle=":")
        axes.set_yticks(range(len(lines)), [line[0] for line in lines])
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(len(lines) - 0.5, -0.5)
        axes.grid(axis="x", color="#e4e7eb", linewidth=0.7)
        axes.set_axisbelow(True)
        binomial = found.trials.likelihood == "binomial"
        quantity = label or ("probability" if binomial else "estimate")
        spread = f"between trials {found.heterogeneity.formula}"
        axes.set_xlabel(f"{quantity}\npublished evidence; {spread}")
        axes.set_title("Historical trials and MAP prior")
    return figure


def _trial_lines(found: MapPrior) -> list[tuple[str, float, float, float, bool]]:
    """Return label, estimate and interval of each trial."""
    trials = found.trials
    low, high = trials.estimate - Z * trials.se, trials.estimate + Z * trials.se
    if trials.likelihood == "binomial":
        misses = trials.size - trials.events
        low, high = (stats.beta.ppf(p, trials.events + 0.5, misses + 0.5) for p in (0.025, 0.975))
    rows = zip(trials.study, trials.estimate, low, high, strict=True)
    return [(name, float(y), float(lo), float(hi), False) for name, y, lo, hi in rows]


def _prior_lines(found: MapPrior) -> list[tuple[str, float, float, float, bool]]:
    """Return label, median and interval of the mean, the MAP prior and the robust prior."""
    probabilities = np.array([0.5, 0.025, 0.975])
    mean, sd = float(found.exact["mu_mean"]), float(found.exact["mu_sd"])
    center = np.array([mean, mean - Z * sd, mean + Z * sd])
    if found.trials.likelihood == "binomial":
        center = special.expit(center)
    new = grid_quantile(found.exact, probabilities)
    lines = [("mean of trials", center), ("MAP prior: a new trial", new)]
    if found.robust is not None:
        lines.append(("robust MAP prior", found.robust.quantile(probabilities)))
    return [(name, float(v[0]), float(v[1]), float(v[2]), True) for name, v in lines]


def _line(axes: Axes, row: int, middle: float, low: float, high: float, *, prior: bool) -> None:
    """Draw one interval with its middle."""
    color = ACCENT if prior else INK
    axes.plot([low, high], [row, row], color=color, linewidth=2.2 if prior else 1.2)
    axes.plot([middle], [row], marker="D" if prior else "s", markersize=4.5, color=color)
