"""One look for every figure: fonts, the color and marker of each prior, the evidence word, SVG."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from scipy import stats

from bayes_ptsd.errors import visible

__all__ = [
    "INK",
    "PRIOR_STYLES",
    "QUIET",
    "RATIOS",
    "PriorStyle",
    "Z",
    "difference_label",
    "evidence_legend",
    "figure_file",
    "figure_look",
    "figure_svg",
    "fit_title",
    "new_figure",
    "number_text",
    "prior_style",
    "remove_y",
    "row_title",
]

INK, QUIET = "#1f2933", "#66727f"
# Ends of a 95% interval of a normal, in standard deviations.
Z = float(stats.norm.ppf(0.975))
# Marks of an axis of ratios, to be read without a ruler.
RATIOS = np.array([0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1, 1.25, 1.5, 2, 2.5, 3, 5, 10, 20])
# Dots an inch of a bitmap: text of 7 points is sharp on a screen of double density.
RESOLUTION = 200
WIDTH = 5.0
"""Width of every figure in inches: one column of the page, and the whole width of a phone."""


@dataclass(frozen=True)
class PriorStyle:
    """How one prior is drawn, told apart by color, marker and line, also in color blindness."""

    color: str
    marker: str
    line: Any = "-"


PRIOR_STYLES: Mapping[str, PriorStyle] = {
    "flat": PriorStyle("#1f2933", "o"),
    "reference": PriorStyle("#7b8794", "x", (0, (1, 1.2))),
    "weak": PriorStyle("#56a3d9", "v", (0, (4, 1.5))),
    "skeptical": PriorStyle("#c2410c", "s", (0, (6, 1.5))),
    "enthusiastic": PriorStyle("#00805f", "^", (0, (3, 1.2, 1, 1.2))),
    "cochrane": PriorStyle("#8e3b90", "D", (0, (6, 1.2, 1, 1.2, 1, 1.2))),
}
OTHER = PriorStyle("#b58900", "P", (0, (2, 1)))


def prior_style(name: str) -> PriorStyle:
    """Return how a prior is drawn; priors outside the family share one style."""
    return PRIOR_STYLES.get(name, OTHER)


def figure_look() -> AbstractContextManager[None]:
    """Return the context of Matplotlib settings in which figures are made; outside nothing changes.

    Text is drawn as paths and SVG identifiers are the same each time.
    """
    return mpl.rc_context(
        {
            "font.family": "sans-serif",
            "font.sans-serif": ["DejaVu Sans"],
            "font.size": 8.5,
            "axes.titlesize": 9.5,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "axes.labelsize": 8.5,
            "axes.edgecolor": QUIET,
            "axes.labelcolor": INK,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "text.color": INK,
            "xtick.color": INK,
            "ytick.color": INK,
            "legend.frameon": False,
            "legend.fontsize": 8,
            "lines.linewidth": 1.5,
            "svg.fonttype": "path",
            # a dollar sign in a label is a dollar sign
            "text.parse_math": False,
            "svg.hashsalt": "bayes-ptsd",
        }
    )


def new_figure(height: float) -> Figure:
    """Return an empty figure, one page column wide and `height` inches high."""
    return Figure(figsize=(WIDTH, height), layout="constrained", facecolor="white")


def evidence_legend(
    figure: Figure, handles: Sequence[Artist], *, kind: str, columns: int, convention: str = ""
) -> None:
    """Put the only legend below a figure, under a line that names the kind of evidence."""
    figure.legend(
        handles=list(handles), loc="outside lower center", ncols=columns, fontsize=7.5,
        title=f"{kind} evidence" + (f", convention {convention}" if convention else ""),
        title_fontsize=7.5,
        columnspacing=1.2, handlelength=1.8,
    )  # fmt: skip


def difference_label(fit: xr.DataTree) -> str:
    """Return the unit and the sign of a treatment difference for an axis."""
    unit = json.loads(fit.attrs["endpoint_constants"])["unit"]
    return f"{unit}, positive = {fit.attrs['active']} better"


def row_title(analysis: str, reading: str) -> str:
    """Return the name of an analysis for people, with the reading of crossover rows."""
    name = analysis.replace("_", " ").capitalize()
    return f"{name}, {reading.replace('_', ' ')}" if analysis == "crossover" else name


def fit_title(fit: xr.DataTree) -> str:
    """Return the name of the analysis of a fit for people: of a printed row, or its model."""
    if "analysis" in fit.attrs:
        return row_title(fit.attrs["analysis"], fit.attrs["crossover_reading"])
    return str(fit.attrs["model"]).capitalize()


def number_text(value: float) -> str:
    """Return a number with one or two decimals and a minus sign of full width."""
    text = f"{value:.2f}"
    return text.removesuffix("0").replace("-", "\u2212")


def remove_y(axes: Axes) -> None:
    """Take away the vertical axis of a density, whose height carries no reading."""
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)


def figure_file(figure: Figure, suffix: str) -> bytes:
    """Return a figure as the file that a suffix asks for: ``.png``, else SVG."""
    if suffix.lower() != ".png":
        return figure_svg(figure).encode()
    buffer = io.BytesIO()
    with figure_look():
        figure.savefig(buffer, format="png", dpi=RESOLUTION, metadata={"Software": None})
    return buffer.getvalue()


def figure_svg(figure: Figure) -> str:
    """Return a figure as SVG text, the same bytes each time; no date, script or link outside."""
    buffer, dots = io.StringIO(), figure.get_dpi()
    with figure_look(), warnings.catch_warnings():
        # a letter that the font lacks is a box, which is seen
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        # `savefig` draws everything once more beforehand, to the same bytes
        canvas = FigureCanvasSVG(figure)
        canvas.print_svg(buffer, metadata={"Date": None, "Creator": None})  # type: ignore[no-untyped-call]
    figure.set_dpi(dots)
    text = buffer.getvalue()
    # a label stands in a comment, where XML allows no control character
    return visible(text[text.index("<svg") :], keep="\n")
