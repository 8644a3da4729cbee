"""The full comparison: published, recomputed, posterior under every prior, reason for each gap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import xarray as xr

from bayes_ptsd.comparison import comparison_frame
from bayes_ptsd.evidence.measured_rows import printed_scale
from bayes_ptsd.evidence.readings import AVERAGED
from bayes_ptsd.report.contents import Contents
from bayes_ptsd.report.headline import p_text, printed_text
from bayes_ptsd.report.markup import (
    MINUS,
    interval_text,
    number,
    paragraph,
    probability,
)
from bayes_ptsd.report.section import Section, Table, details

__all__ = ["comparison_section"]

READING_HEADS = {
    AVERAGED: "averaged over readings",
    "as_published": "as published",
    "unhalved": "unhalved",
}
GAP = "why the mean is not the printed estimate"


def comparison_section(contents: Contents) -> Section:
    """Return the comparison of every contrast under T and, folded, N; crossovers read both ways."""
    text = (
        "Recomputed: standard error, t and P that follow from the printed interval, or from P "
        "where no interval is printed (then the recomputed P is not a check). Convention T "
        "centers on the middle of the printed interval, so a flat prior returns the printed "
        "interval exactly; N centers on the printed estimate. Rounding separates the two, and is "
        "the first of the reasons listed."
    )
    folded = [] if contents.normal is None else [
        details("The same under convention N", *_posterior_tables(contents, contents.normal))
    ]  # fmt: skip
    return Section(
        "comparison",
        "Published, recomputed and Bayesian",
        [
            paragraph(text),
            _recomputed(contents),
            *_posterior_tables(contents, contents.table),
            *folded,
        ],
    )


def _recomputed(contents: Contents) -> Table:
    """Return printed and recomputed figures, a line per contrast."""
    cells = contents.table.sel(crossover_reading="as_published")
    keys = [k for k in cells.data_vars if str(k).startswith(("published_", "recomputed_"))]
    frame = cells[[*keys, "endpoint", "analysis", "timepoint", "n"]].to_dataframe().reset_index()
    derived = any("*" in name for name in contents.contrasts)
    return Table(
        "recomputed",
        frame.drop(columns="crossover_reading").assign(evidence_kind=contents.kind),
        lines=[_recomputed_line(contents, name) for name in contents.contrasts],
        caption="Printed and recomputed, score units.", convention="T", stub="contrast",
        spanners={
            "printed": ["estimate (95% CI)", "P", "patients"],
            "recomputed": ["center", "SE", "df", "t", "recomputed|P"],
        },
        notes=["* derived row: one printed number replaced, see the audit."] if derived else [],
    )  # fmt: skip


def _recomputed_line(contents: Contents, name: str) -> dict[str, str]:
    """Return one contrast of the recomputed table."""
    row = contents.rows[name]
    cell = contents.cells["T", name, "as_published", contents.priors_of(name)[0]]
    digits = contents.digits(name) + 1
    return {
        "contrast": contents.row_name(name),
        "estimate (95% CI)": printed_text(contents, name),
        "P": p_text(row),
        "patients": number(float(row["n"]), 0),
        "center": number(float(cell["recomputed_center"]), digits),
        "SE": number(float(cell["recomputed_se"]), digits),
        "df": number(float(cell["recomputed_df"]), 0),
        "t": number(float(cell["recomputed_t"]), 2),
        "recomputed|P": probability(float(cell["recomputed_p"]), 4),
    }


def _posterior_tables(contents: Contents, compared: xr.Dataset) -> list[Table]:
    """Return the posterior tables: crossover rows with two columns a claim, then the others."""
    crossover = [n for n in contents.contrasts if contents.analysis(n) == "crossover"]
    others = [n for n in contents.contrasts if n not in crossover]
    heads = tuple(name for name in READING_HEADS if name != AVERAGED or contents.weights[0])
    tables = [
        (crossover, heads, "Crossover contrasts, averaged and under both scales"),
        (others, ("as_published",), "Other contrasts" if crossover else "Contrasts"),
    ]
    return [_posterior_table(contents, compared, *table) for table in tables if table[0]]


def _posterior_table(
    contents: Contents,
    compared: xr.Dataset,
    names: list[str],
    readings: Sequence[str],
    title: str,
) -> Table:
    """Return one table of posteriors, a group of lines per contrast."""
    convention = str(compared.attrs["convention"])
    lines = [
        _posterior_line(contents, convention, name, readings, prior)
        for name in names
        for prior in contents.priors_of(name)
    ]
    spanners = {
        READING_HEADS[reading]: [c for c in lines[0] if c.startswith(f"{reading}|")]
        for reading in readings
    }
    return Table(
        f"comparison-{convention}",
        comparison_frame(compared).drop(columns=["endpoint", "analysis", "timepoint"]),
        lines=lines,
        caption=f"{title}: posterior under each prior, score units.",
        convention=convention, group="contrast", stub="prior", left=[GAP],
        spanners=spanners if len(readings) > 1 else {},
        notes=[
            "P(\N{PLUS-MINUS SIGN}MCID), P(\N{PLUS-MINUS SIGN}0.1 SD): probability that the "
            "difference is no larger, in either direction, than the MCID or a tenth of the "
            "reference SD (the two regions of practical equivalence). Median, sd, HDI, the regions "
            "of the average and the reason for each gap under the other readings are in the CSV."
        ],
    )  # fmt: skip


def _posterior_line(
    contents: Contents, convention: str, name: str, readings: Sequence[str], prior: str
) -> dict[str, str]:
    """Return one contrast under one prior, all readings."""
    line = {"contrast": _group_heading(contents, name), "prior": prior}
    cells = {reading: contents.cells[convention, name, reading, prior] for reading in readings}
    for reading, cell in cells.items():
        line |= _posterior_cells(cell, reading, contents.digits(name))
    return line | {GAP: str(cells["as_published"]["gap"]).replace("-", MINUS)}


def _group_heading(contents: Contents, name: str) -> str:
    """Return the line above a contrast: its name and what was printed."""
    row = contents.rows[name]
    text = f"{contents.row_name(name)}: printed {printed_text(contents, name)}, P {p_text(row)}"
    scale = printed_scale(row)
    return text if scale is None else f"{text}; {scale.label}, below its logarithm"


def _posterior_cells(cell: Mapping[str, Any], reading: str, digits: int) -> dict[str, str]:
    """Return the cells of one posterior; of an average without the regions, for its width."""
    cells = {
        f"{reading}|mean": number(cell["mean"], digits),
        f"{reading}|95% ETI": interval_text(cell["eti95_low"], cell["eti95_high"], digits),
        f"{reading}|P(>\N{NO-BREAK SPACE}0)": probability(cell["prob_benefit"]),
        f"{reading}|P(>\N{NO-BREAK SPACE}MCID)": probability(cell["prob_gt_mcid"]),
    }
    return cells if reading == AVERAGED else cells | {
        f"{reading}|P(\N{PLUS-MINUS SIGN}MCID)": probability(cell["rope_clinical"]),
        f"{reading}|P(\N{PLUS-MINUS SIGN}0.1 SD)": probability(cell["rope_narrow"]),
    }  # fmt: skip
