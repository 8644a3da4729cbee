"""The prior plane: the priors that make each claim about a printed result, as regions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from bayes_ptsd.errors import SpecError
from bayes_ptsd.plots.style import (
    INK,
    PRIOR_STYLES,
    RATIOS,
    evidence_legend,
    figure_look,
    new_figure,
)

__all__ = ["prior_plane_figure"]

# Of the prior means shown, in standard errors around estimate and no effect: farther priors are
# believed by nobody who would print a trial.
ROOM = 4.0
# Colors of the claims in their order; more than these four would not be told apart as areas.
COLORS = [PRIOR_STYLES[name].color for name in ("enthusiastic", "weak", "skeptical", "cochrane")]


def prior_plane_figure(document: Mapping[str, Any]) -> Figure:
    """Draw the claims of `bayes_ptsd.credibility.any_result.result_document`.

    A normal prior is a point: its SD across, its mean upwards on the printed scale. The region of a
    claim holds the priors that make it; named points are the normal priors of the document.
    """
    claims = document["claims"]
    if not 1 <= len(claims) <= len(COLORS):
        raise SpecError(f"the prior plane shows 1 to {len(COLORS)} claims, not {len(claims)}")
    with figure_look():
        figure = new_figure(4.2)
        axes = figure.subplots()
        low, high = _ends(document)
        for claim, color in zip(claims, COLORS, strict=False):
            _region(axes, claim, color, low, high)
        _points(axes, document, low, high)
        _axes(axes, document, low, high)
        figure.suptitle(
            "Which normal priors make the claim", x=0.01, ha="left", fontsize=9.5,
            fontweight="bold",
        )  # fmt: skip
        handles = axes.get_legend_handles_labels()[0]
        evidence_legend(figure, handles, kind="published", columns=2)
    return figure


def _ends(document: Mapping[str, Any]) -> tuple[float, float]:
    """Return the lowest and highest prior mean that is shown, where it is analyzed."""
    scale = document["result"]["prior_scale"]
    values, room = [0.0, scale["analyzed_estimate"]], ROOM * scale["se"]
    return min(values) - room, max(values) + room


def _region(axes: Axes, claim: Mapping[str, Any], color: str, low: float, high: float) -> None:
    """Fill the priors that make one claim; the line is where it just holds."""
    sds, means = np.array(claim["prior_sd"]), np.array(claim["boundary_mean"])
    inside = np.clip(means, low, high)
    end = high if claim["holds_for_means"] == "above" else low
    axes.fill_between(sds, inside, end, color=color, alpha=0.16, linewidth=0)
    seen = np.where((means >= low) & (means <= high), means, np.nan)
    axes.plot(sds, seen, color=color, label=f"{claim['holds_for_means']}: {claim['claim']}")


def _points(axes: Axes, document: Mapping[str, Any], low: float, high: float) -> None:
    """Mark no effect, the estimate, and the normal priors that were asked about."""
    axes.axhline(0.0, color=INK, linewidth=0.7)
    estimate = document["result"]["prior_scale"]["analyzed_estimate"]
    axes.axhline(estimate, color=INK, linewidth=0.9, linestyle="--", label="printed estimate")
    sds = np.array(document["claims"][0]["prior_sd"])
    for one in document["priors"]:
        table = one["table"]
        if table["dist"] != "normal" or not sds[0] <= table["sigma"] <= sds[-1]:
            continue
        if low <= table["mu"] <= high:
            axes.plot(table["sigma"], table["mu"], "o", color=INK, markersize=3.5)
            axes.annotate(
                one["prior"], (table["sigma"], table["mu"]), xytext=(2, 3), fontsize=6,
                textcoords="offset points", rotation=35, rotation_mode="anchor",
            )  # fmt: skip


def _axes(axes: Axes, document: Mapping[str, Any], low: float, high: float) -> None:
    """Label both axes, the vertical one on the printed scale."""
    result, scale = document["result"], document["result"]["prior_scale"]
    sds = document["claims"][0]["prior_sd"]
    axes.set(xscale="log", xlim=(sds[0], sds[-1]), ylim=(low, high))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    of = " of the logarithm" if scale["null"] == 1 else ""
    axes.set_xlabel(f"prior SD{of}")
    axes.set_ylabel(f"prior mean: {scale['label']}, {result['better']} is better")
    if of:
        ratios = RATIOS[(np.log(RATIOS) >= low) & (np.log(RATIOS) <= high)]
        ratios = ratios if len(ratios) > 1 else np.exp([low, 0.0, high])
        axes.set_yticks(np.log(ratios), [f"{one:.3g}" for one in ratios])
