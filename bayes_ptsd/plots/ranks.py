"""Ranks of known truths: distribution function against the band that calibration allows."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_ptsd.calibration.uniformity import rank_band, rank_ecdf, uniformity_table
from bayes_ptsd.plots.style import INK, QUIET, figure_look, new_figure

__all__ = ["ranks_figure"]

# Two panels a row, as in the other figures of this width.
COLUMNS = 2
BAND, OUTSIDE = "#56a3d9", "#c2410c"


def ranks_figure(ranks: xr.Dataset, *, title: str, probability: float = 0.95) -> Figure:
    """Draw the share of ranks below each point, minus what uniform ranks have, a panel a quantity.

    A calibrated posterior has every quantity inside its band at every point with at least
    `probability`; a curve that leaves its band has another color and is named.
    """
    table = uniformity_table(ranks["rank"], probability=probability)
    simulations, draws = ranks.sizes["simulation"], int(ranks["rank"].attrs["draws"])
    band = rank_band(simulations, draws, probability=float(table.attrs["band_probability"]))
    shares = rank_ecdf(ranks["rank"])
    count = ranks.sizes["quantity"]
    rows = -(-count // COLUMNS)
    with figure_look():
        figure = new_figure(0.9 + 1.25 * rows)
        panels = figure.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False).ravel()
        for number, axes in enumerate(panels[:count]):
            _draw(axes, shares.isel(quantity=number), band, bool(table["inside"][number]))
            if number >= count - COLUMNS:
                axes.set_xlabel("normalized rank")
                axes.tick_params(labelbottom=True)
        for axes in panels[count:]:
            axes.set_visible(False)
        figure.suptitle(title, fontsize=10, fontweight="bold", x=0.01, ha="left")
        figure.supylabel("share of ranks below, minus uniform", fontsize=8.5)
        handles, _ = panels[0].get_legend_handles_labels()
        figure.legend(
            handles=handles, loc="outside lower center", ncols=2, fontsize=7.5,
            title=f"simulated evidence, {simulations} trials, ranks among {draws} draws\n"
            "each band holds a calibrated curve with probability "
            f"{table.attrs['band_probability']:.3f}",
            title_fontsize=7.5,
        )  # fmt: skip
    return figure


def _draw(axes: Axes, shares: xr.DataArray, band: xr.Dataset, inside: bool) -> None:
    """Draw one quantity."""
    point = np.r_[0.0, band["point"].values, 1.0]
    ends = [np.r_[0.0, band[end].values - band["point"].values, 0.0] for end in ("low", "high")]
    axes.fill_between(point, *ends, color=BAND, alpha=0.3, linewidth=0, label="simultaneous band")
    axes.axhline(0, color=QUIET, linewidth=0.6)
    curve = np.r_[0.0, (shares - shares["point"]).values, 0.0]
    axes.plot(point, curve, color=INK if inside else OUTSIDE, linewidth=1.1, label="observed")
    name = str(shares["quantity"].item())
    axes.set_title(name if inside else f"{name}: outside", fontsize=8.5)
    axes.set_xticks([0, 0.5, 1])
