"""Sections that are figures: forest plots, prior to posterior, probability curves."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import xarray as xr

from bayes_ptsd.estimands import benefit_curve
from bayes_ptsd.plots import (
    benefit_figure,
    figure_svg,
    forest_figure,
    update_figure,
    update_reach,
)
from bayes_ptsd.report.contents import Contents, Row
from bayes_ptsd.report.headline import row_file_name, row_heading
from bayes_ptsd.report.markup import number, paragraph
from bayes_ptsd.report.section import Figure, Part, Section, Table, gallery

__all__ = ["curve_section", "forest_section", "update_section"]

UPDATE_PRIORS = ("skeptical", "enthusiastic", "cochrane", "weak")
Panel = tuple[str, str, str, list[str]]


def forest_section(contents: Contents) -> Section | None:
    """Return forest plots of every contrast and prior, all on one axis in reference SDs.

    None without a reference SD.
    """
    reach = _reach(contents)
    figures = []
    for name, title, reading, rows in _panels(contents):
        figure = forest_figure(
            contents.table, contents.trial, contrasts=rows, reading=reading, title=title,
            reach=reach,
        )  # fmt: skip
        alt = (
            f"Forest plot, {title}: {len(rows)} contrasts, printed 95% intervals and posterior "
            f"means with 95% intervals under {', '.join(contents.priors)}; the numbers are in the "
            "comparison tables."
        )
        figures.append(Figure(name, figure_svg(figure), alt))
    if not figures:
        return None
    text = (
        "Each band is a printed 95% confidence interval, its line the printed estimate; inside it, "
        "from top to bottom, the posterior mean and 95% interval under each prior. Differences are "
        "divided by the endpoint's reference SD so that all endpoints share one axis; the labels "
        "have score units. A line that leaves its band shows what the prior adds."
    )
    parts: list[Part] = [paragraph(text), gallery(figures, wide=True)]
    if any("*" in name for name in contents.contrasts):
        parts.append(paragraph("* derived row, see the audit.", kind="note"))
    return Section("forest", "All contrasts under all priors", parts)


def update_section(contents: Contents) -> Section:
    """Return prior, likelihood and posterior: a figure per headline row, a panel per prior."""
    shown = {row: _chosen(fits) for row, fits in contents.fits.items()}
    reach = update_reach([fit for fits in shown.values() for fit in fits])
    figures = []
    for row, fits in shown.items():
        means = "; ".join(f"{fit.attrs['prior']} {_mean(contents, row, fit)}" for fit in fits)
        alt = (
            f"Prior, likelihood and posterior densities, {row_heading(contents, row)}: posterior "
            f"means {means}."
        )
        svg = figure_svg(update_figure(fits, reach=reach))
        figures.append(Figure(f"update-{row_file_name(contents, row)}", svg, alt))
    text = (
        "Prior times likelihood gives the posterior. Above each panel: the posterior mean and 95% "
        "interval. All figures share one axis. The cochrane prior is scaled by the standard error "
        "of its row, so it is narrower where the row is."
    )
    title = "From prior to posterior, headline rows"
    return Section("updates", title, [paragraph(text), gallery(figures)])


def curve_section(contents: Contents) -> Section | None:
    """Return P(difference > margin) of the headline rows, a figure each and one table of all.

    None without a reference SD, which scales the margins.
    """
    if contents.main.reference_sd is None:
        return None
    figures, lines = [], []
    for row, fits in contents.fits.items():
        lines += [_curve_frame(row, fit) for fit in fits]
        alt = (
            f"Probability that the treatment difference exceeds each margin, "
            f"{row_heading(contents, row)}, one falling curve per prior; values at 0 and at the "
            "MCID are in the headline table, all values in the CSV file."
        )
        svg = figure_svg(benefit_figure(fits))
        figures.append(Figure(f"curve-{row_file_name(contents, row)}", svg, alt))
    basis = contents.main.mcid_basis
    text = (
        "For a reader who holds another difference to be the smallest that matters: read the curve "
        "at that margin. " + (f"MCID used here: {basis}. " if basis else "")
    )
    curves = Table("benefit-curves", pd.concat(lines, ignore_index=True), link="All curves as CSV")
    title = "P(difference > m), headline rows"
    return Section("curves", title, [paragraph(text), gallery(figures), curves])


def _panels(contents: Contents) -> Iterator[Panel]:
    """Yield file name, title, reading and rows of each forest plot that has rows."""
    scaled = [name for name in contents.contrasts if contents.endpoint(name).reference_sd]
    of = {name: contents.analysis(name) for name in scaled}
    crossover = [name for name, analysis in of.items() if analysis == "crossover"]
    main = [name for name, analysis in of.items() if analysis in ("first_period", "parallel")]
    other = [name for name in of if name not in (*crossover, *main)]
    title = "Parallel groups" if "parallel" in of.values() else "First period"
    panels = [
        ("forest-crossover", "Crossover, as published", "as_published", crossover),
        ("forest-crossover-unhalved", "Crossover, unhalved", "unhalved", crossover),
        ("forest-main", title, "as_published", main),
        ("forest-other", "Other analyses", "as_published", other),
    ]
    yield from (panel for panel in panels if panel[3])


def _reach(contents: Contents) -> tuple[float, float]:
    """Return an axis in reference SDs that holds every interval."""
    ends = [0.0]
    for name in contents.contrasts:
        sd, row = contents.endpoint(name).reference_sd or np.nan, contents.rows[name]
        ends += [row["interval_low"] / sd, row["interval_high"] / sd]
    for (_, name, _, _), cell in contents.cells.items():
        sd = contents.endpoint(name).reference_sd or np.nan
        ends += [cell["eti95_low"] / sd, cell["eti95_high"] / sd]
    low, high = np.nanmin(ends), np.nanmax(ends)
    return float(np.floor(low * 4 - 0.2) / 4), float(np.ceil(high * 4 + 0.2) / 4)


def _chosen(fits: list[xr.DataTree]) -> list[xr.DataTree]:
    """Return the fits whose priors are worth a panel, in the order of the panels."""
    by_prior = {fit.attrs["prior"]: fit for fit in fits}
    return [by_prior[name] for name in UPDATE_PRIORS if name in by_prior] or fits


def _mean(contents: Contents, row: Row, fit: xr.DataTree) -> str:
    """Return the posterior mean of a fit."""
    value = fit["exact"].to_dataset().sel(estimand="treatment_difference")["mean"]
    return number(float(value), contents.digits(row[0]))


def _curve_frame(row: Row, fit: xr.DataTree) -> pd.DataFrame:
    """Return one curve as lines of a table."""
    curve = benefit_curve(fit)
    return pd.DataFrame(
        {
            "contrast": row[0],
            "crossover_reading": row[1],
            "prior": fit.attrs["prior"],
            "convention": fit.attrs["convention"],
            "margin": curve["margin"].values,
            "probability": curve.values,
            "evidence_kind": fit.attrs["evidence_kind"],
        }
    )
