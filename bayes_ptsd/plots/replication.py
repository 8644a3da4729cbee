"""A replication foretold: its prior under each center, and the estimate that it would print."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bayes_ptsd.errors import SpecError
from bayes_ptsd.plots.style import (
    INK,
    QUIET,
    Z,
    evidence_legend,
    figure_look,
    new_figure,
    prior_style,
    remove_y,
    row_title,
)
from bayes_ptsd.replication.outlook import Outlook

__all__ = ["prediction_figure", "replication_prior_figure"]

# A step is shorter than the line is thick, so that a curve looks smooth.
POINTS = 301
# Reference SDs on each side, more than any posterior here; of the robust component, whose SD is
# two of them, the figure shows the middle.
REACH = 2.5


def replication_prior_figure(outlooks: Sequence[Outlook]) -> Figure:
    """Draw the replication priors of one trial, a panel a row and reading, a line a center.

    Densities of the replication's treatment difference, score units. Thin: this trial's own
    posterior, before another trial, and the robust component, were allowed for.
    """
    panels = _panels(outlooks)
    sd = float(outlooks[0].found.about["sd"])
    x = np.linspace(-REACH * sd, REACH * sd, POINTS)
    with figure_look():
        figure = new_figure(0.9 + 1.15 * len(panels))
        grid = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (title, shown) in zip(grid, panels.items(), strict=True):
            for outlook in shown:
                _densities(axes, outlook, x)
            axes.axvline(0, color=INK, linewidth=0.7)
            axes.set_title(title)
            axes.set_ylim(bottom=0)
            axes.margins(x=0)
            remove_y(axes)
        grid[-1].set_xlabel(_difference(outlooks[0]))
        thin = Line2D([], [], color=QUIET, linewidth=0.8, label="posterior of this trial")
        evidence_legend(
            figure,
            [*_center_handles(outlooks), thin],
            columns=2,
            convention="T",
            kind=_kind(outlooks),
        )
    return figure


def prediction_figure(outlooks: Sequence[Outlook]) -> Figure:
    """Draw the estimate that a replication of the same precision would print, score units.

    By row: the published estimate with its interval, and for each center the median, the 50%
    (thick) and the 95% prediction interval.
    """
    panels = _panels(outlooks)
    labels: list[str] = []
    with figure_look():
        count = len(outlooks) + len(panels)
        figure = new_figure(1.1 + 0.24 * count)
        axes = figure.subplots()
        for title, shown in panels.items():
            estimate, se = shown[0].original
            _interval(axes, len(labels), (estimate, estimate - Z * se, estimate + Z * se), INK)
            labels.append(f"{title}, published")
            for outlook in shown:
                points = outlook.predictive().quantile([0.5, 0.025, 0.975, 0.25, 0.75])
                style = prior_style(outlook.center)
                _interval(axes, len(labels), tuple(points[:3]), style.color, style.marker)
                axes.plot(points[3:], [len(labels)] * 2, color=style.color, linewidth=3)
                labels.append(f"replication, center {outlook.center}")
        axes.axvline(0, color=QUIET, linewidth=0.8)
        axes.set_yticks(range(count), labels)
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(count - 0.5, -0.5)
        axes.set_xlabel(f"estimate, {_difference(outlooks[0])}")
        figure.suptitle(
            "Estimate of a replication of the same precision",
            x=0.02, ha="left", fontsize=9.5, weight="bold",
        )  # fmt: skip
        evidence_legend(
            figure, _center_handles(outlooks), columns=2, convention="T", kind=_kind(outlooks)
        )
    return figure


def _panels(outlooks: Sequence[Outlook]) -> dict[str, list[Outlook]]:
    """Return the outlooks by row and reading."""
    if not outlooks:
        raise SpecError("no outlook to draw: give at least one")
    found: dict[str, list[Outlook]] = {}
    for outlook in outlooks:
        title = row_title(str(outlook.found.about["analysis"]), outlook.reading)
        found.setdefault(title, []).append(outlook)
    return found


def _densities(axes: Axes, outlook: Outlook, x: np.ndarray) -> None:
    """Draw one replication prior and the posterior it was made of."""
    style = prior_style(outlook.center)
    density = outlook.found.prior.pdf(x)
    axes.plot(x, density, color=style.color, linestyle=style.line)
    axes.fill_between(x, density, color=style.color, alpha=0.1, linewidth=0)
    for posterior in outlook.found.posteriors.values():
        axes.plot(x, posterior.pdf(x), color=style.color, linewidth=0.6)


def _interval(
    axes: Axes, place: int, points: tuple[float, ...], color: str, marker: str = "s"
) -> None:
    """Draw a middle and an interval."""
    middle, low, high = points
    axes.plot([low, high], [place, place], color=color, linewidth=1.2)
    axes.plot([middle], [place], marker=marker, markersize=4.5, color=color)


def _center_handles(outlooks: Sequence[Outlook]) -> list[Line2D]:
    """Return a legend entry for each center."""
    styles = {outlook.center: prior_style(outlook.center) for outlook in outlooks}
    return [
        Line2D([], [], color=style.color, linestyle=style.line, marker=style.marker, markersize=4,
               label=f"prior centered by {name}")
        for name, style in styles.items()
    ]  # fmt: skip


def _difference(outlook: Outlook) -> str:
    """Return unit and sign of the difference for an axis."""
    about = outlook.found.about
    return f"{about['unit']}, positive = {about['active']} better"


def _kind(outlooks: Sequence[Outlook]) -> str:
    """Return the kinds of evidence."""
    return ", ".join(dict.fromkeys(str(one.found.about["evidence_kind"]) for one in outlooks))
