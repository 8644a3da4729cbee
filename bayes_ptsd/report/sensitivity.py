"""What the answer hangs on: every assumption's move, tipping points, missing second periods."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence.published import select_contrast
from bayes_ptsd.exact.summary import exact_posterior, likelihood_of
from bayes_ptsd.plots.sensitivity import contour_figure, ranking_figure
from bayes_ptsd.plots.style import figure_svg
from bayes_ptsd.priors import Prior
from bayes_ptsd.report.answers import Question, answered, on_sets
from bayes_ptsd.report.contents import Contents, Row
from bayes_ptsd.report.headline import row_file_name, row_heading
from bayes_ptsd.report.markup import around, number, paragraph, probability
from bayes_ptsd.report.section import Figure, Line, Part, Section, Table, gallery
from bayes_ptsd.sensitivity import missing_contour, missing_shares, ranked_assumptions
from bayes_ptsd.sensitivity.ranking import FEWEST_DF, ranking_frame
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


def sensitivity_section(contents: Contents) -> Section | None:
    """Return the ranking of assumptions for the headline rows, and tipping points.

    None without a reference SD, or where Student's t of a row has no standard deviation.
    """
    if any(contents.endpoint(row[0]).reference_sd is None for row in contents.primary):
        return None
    if any(contents.rows[name]["df"] <= FEWEST_DF for name, _ in contents.primary):
        return None
    ranked = {row: _ranked(contents, row) for row in contents.primary}
    frame = pd.concat([ranking_frame(table) for table in ranked.values()], ignore_index=True)
    figures = [
        _figure(f"assumptions-{row_file_name(contents, row)}", figure_svg(ranking_figure(table)),
                "Posterior under each changed assumption")
        for row, table in ranked.items()
    ]  # fmt: skip
    parts: list[Part] = [
        paragraph(TEXT),
        paragraph(BASES) if frame["evidence_kind"].str.contains("reconstructed").any() else "",
        gallery(figures),
        _assumptions(contents, frame),
        _tipping_points(contents),
        gallery(_contours(contents)),
    ]
    return Section("assumptions", "What the answer hangs on", parts)


def _ranked(contents: Contents, row: Row) -> xr.Dataset:
    """Return the ranking of one row, stored or computed."""

    def rank() -> xr.DataTree:
        table = ranked_assumptions(
            contents.evidence, row[0], crossover_reading=row[1], reconstructions=contents.sets
        )
        return xr.DataTree.from_dict({"ranked": table})

    asked = Question(
        "ranked-assumptions",
        "treatment difference under each changed assumption, score units, positive = active better",
        "flat, and the family one at a time",
        {"contrast": row[0], "crossover_reading": row[1], **on_sets(contents)},
        rank,
    )
    return answered(contents, asked)["ranked"].to_dataset()


def _figure(name: str, svg: str, what: str) -> Figure:
    """Return a figure whose numbers are in the tables below it."""
    return Figure(name, svg, f"{what}, {name}; the numbers are in the CSV files.")


def _contours(contents: Contents) -> list[Figure]:
    """Draw P(benefit) over the Deltas of both sequences for each crossover row."""
    found = []
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
        name = f"missing-{row_file_name(contents, row)}"
        what = "Lines of equal probability of benefit over Delta"
        found.append(_figure(name, figure_svg(figure), what))
    return found


def _assumptions(contents: Contents, frame: pd.DataFrame) -> Table:
    """Return the ranking of all rows."""

    def texts(line: Line) -> Line:
        digits = contents.digits(line["contrast"])
        return {
            "row": row_heading(contents, (line["contrast"], line["crossover_reading"])),
            "assumption": str(line["alternative"]),
            "evidence": str(line["evidence_kind"]),
            "mean (95% interval)": around(line["mean"], line["low"], line["high"], digits),
            "P(benefit)": probability(line["prob_benefit"]),
            "P(> MCID)": probability(line["prob_gt_mcid"]),
            "move of the mean": number(line["move_mean"], digits, sign=True),
            "move of P(benefit)": number(line["move_prob_benefit"], 3, sign=True),
        }

    return Table(
        "assumptions", frame, texts, caption="One assumption changed at a time.", convention="T",
        group="row", stub="assumption",
    )  # fmt: skip


def _tipping_points(contents: Contents) -> Table:
    """Return the tipping points of the headline rows."""
    points = [
        {"contrast": row[0], "crossover_reading": row[1], **point}
        for row in contents.primary
        for point in tipping_points(contents.evidence, row[0], crossover_reading=row[1])
    ]
    return Table(
        "tipping-points", pd.DataFrame(points).assign(evidence_kind=contents.kind),
        lambda line: {
            "row": row_heading(contents, (line["contrast"], line["crossover_reading"])),
            "assumption": f"{line['assumption']}: {line['who']}",
            "P(benefit) falls to": probability(line["level"]),
            "at": number(line["value"], contents.digits(line["contrast"])),
            "within the scale": "yes" if line["possible"] else "no",
        },
        caption="Tipping points, score units: the bias, or the Delta of active-first patients "
        "without a second period, that brings P(benefit) down to a level.",
        convention="T", group="row", stub="assumption",
    )  # fmt: skip
