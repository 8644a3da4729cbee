"""What the answer hangs on: every assumption's move, tipping points, missing second periods."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence.published import select_contrast
from bayes_ptsd.exact.summary import exact_posterior, likelihood_of
from bayes_ptsd.plots.sensitivity import contour_figure, ranking_figure
from bayes_ptsd.plots.style import figure_svg
from bayes_ptsd.priors import Prior
from bayes_ptsd.report.contents import Contents
from bayes_ptsd.report.headline import row_file_name, row_heading
from bayes_ptsd.report.markup import (
    Section,
    figure_html,
    gallery,
    interval_text,
    join,
    number,
    paragraph,
    probability,
)
from bayes_ptsd.report.table import table_html
from bayes_ptsd.sensitivity import missing_contour, missing_shares, ranked_assumptions
from bayes_ptsd.sensitivity.ranking import ranking_frame
from bayes_ptsd.sensitivity.tipping import tipping_points

__all__ = ["sensitivity_section"]

TEXT = (
    "One assumption is changed at a time, starting from the printed interval under a flat prior; "
    "the lines are ranked by how far P(benefit) moves. The printed numbers weigh one of these "
    "assumptions, the reading, and inform none of the others: unblinding is an assumed bias (no "
    "guesses of treatment are reported; moderate dissociation stands in for beliefs in one line), "
    "and Delta is how much the within-patient benefit of patients without a second period differs "
    "from the completers'."
)
BASES = (
    "Lines about reconstructed patients start from another base: the main model of the analysis, "
    "pooled over reconstructions of the same reading under a prior as good as flat. It uses "
    "patients whom the printed analysis left out, so its mean and P(benefit) are not the printed "
    "row's. The move on each line is from the base of its own kind of evidence; the two are ranked "
    "together by its size, and never added."
)
RECONSTRUCTIONS, QUICK_RECONSTRUCTIONS = 20, 5


def sensitivity_section(contents: Contents) -> Section | None:
    """Return the ranking of assumptions for the headline rows, and tipping points.

    None without a reference SD.
    """
    if any(contents.endpoint(row[0]).reference_sd is None for row in contents.primary):
        return None
    sets = RECONSTRUCTIONS if contents.normal is not None else QUICK_RECONSTRUCTIONS
    tables = {
        row: ranked_assumptions(
            contents.evidence, row[0], crossover_reading=row[1], reconstructions=sets
        )
        for row in contents.primary
    }
    reconstructed = any(
        "reconstructed" in table.attrs["evidence_kind"] for table in tables.values()
    )
    figures = {
        f"assumptions-{row_file_name(contents, row)}": figure_svg(ranking_figure(table))
        for row, table in tables.items()
    }
    contours = _contours(contents)
    frames = [ranking_frame(table) for table in tables.values()]
    points = _points(contents)
    html = join(
        paragraph(TEXT),
        paragraph(BASES) if reconstructed else "",
        gallery(_shown(figures, "Posterior under each changed assumption")),
        _table(contents, frames),
        _tipping_table(contents, points),
        gallery(_shown(contours, "Lines of equal probability of benefit over Delta")),
    )
    numbers = {"assumptions": pd.concat(frames, ignore_index=True), "tipping-points": points}
    return Section("assumptions", "What the answer hangs on", html, numbers, figures | contours)


def _shown(figures: dict[str, str], what: str) -> list[str]:
    """Return figures as markup; their numbers are in the tables below."""
    return [
        figure_html(svg, alt=f"{what}, {name}; the numbers are in the CSV files.", name=name)
        for name, svg in figures.items()
    ]


def _contours(contents: Contents) -> dict[str, str]:
    """Draw P(benefit) over the Deltas of both sequences for each crossover row."""
    found = {}
    for row in contents.primary:
        endpoint = contents.endpoint(row[0])
        if contents.analysis(row[0]) != "crossover" or endpoint.reference_sd is None:
            continue
        try:
            shares = missing_shares(contents.evidence)
        except EvidenceError:
            break
        selected = select_contrast(contents.evidence, row[0], crossover_reading=row[1])
        printed = selected.data["effects"].to_dataset()
        exact = exact_posterior(likelihood_of(printed, "T"), Prior("flat"))
        deltas = np.linspace(-2.5, 1.0, 36) * endpoint.reference_sd
        margins = [0.0] if endpoint.mcid is None else [0.0, endpoint.mcid]
        contour = missing_contour(exact, shares, deltas=deltas, margins=margins)
        figure = contour_figure(
            contour, label=endpoint.label, unit=endpoint.unit, active=contents.trial.active,
            title=f"{row_heading(contents, row)}: all without period 2", kind=contents.kind,
        )  # fmt: skip
        found[f"missing-{row_file_name(contents, row)}"] = figure_svg(figure)
    return found


def _points(contents: Contents) -> pd.DataFrame:
    """Return the tipping points of the headline rows as numbers."""
    lines = [
        {"contrast": row[0], "crossover_reading": row[1], **point}
        for row in contents.primary
        for point in tipping_points(contents.evidence, row[0], crossover_reading=row[1])
    ]
    return pd.DataFrame(lines).assign(evidence_kind=contents.kind)


def _table(contents: Contents, frames: list[pd.DataFrame]) -> str:
    """Return the ranking as texts."""
    lines = []
    for frame in frames:
        for line in frame.to_dict("records"):
            row = (str(line["contrast"]), str(line["crossover_reading"]))
            digits = contents.digits(row[0])
            lines.append(
                {
                    "row": row_heading(contents, row),
                    "assumption": str(line["alternative"]),
                    "evidence": str(line["evidence_kind"]),
                    "mean (95% interval)": f"{number(line['mean'], digits)} "
                    f"({interval_text(line['low'], line['high'], digits)})",
                    "P(benefit)": probability(line["prob_benefit"]),
                    "P(> MCID)": probability(line["prob_gt_mcid"]),
                    "move of the mean": number(line["move_mean"], digits, sign=True),
                    "move of P(benefit)": number(line["move_prob_benefit"], 3, sign=True),
                }
            )
    return table_html(
        pd.DataFrame(lines),
        caption="One assumption changed at a time.",
        kind=", ".join(dict.fromkeys(kind for frame in frames for kind in frame["evidence_kind"])),
        convention="T", name="assumptions", group="row", stub="assumption",
    )  # fmt: skip


def _tipping_table(contents: Contents, points: pd.DataFrame) -> str:
    """Return the tipping points as texts."""
    lines = [
        {
            "row": row_heading(contents, (str(line["contrast"]), str(line["crossover_reading"]))),
            "assumption": f"{line['assumption']}: {line['who']}",
            "P(benefit) falls to": probability(line["level"]),
            "at": number(line["value"], contents.digits(str(line["contrast"]))),
            "within the scale": "yes" if line["possible"] else "no",
        }
        for line in points.to_dict("records")
    ]
    return table_html(
        pd.DataFrame(lines),
        caption="Tipping points, score units: the bias, or the Delta of active-first patients "
        "without a second period, that brings P(benefit) down to a level.",
        kind=contents.kind, convention="T", name="tipping-points", group="row", stub="assumption",
    )  # fmt: skip
