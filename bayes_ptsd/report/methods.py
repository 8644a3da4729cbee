"""What each analysis estimates, and with which likelihood."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import numpy as np
import pandas as pd

from bayes_ptsd.report.contents import Contents, analysis_name
from bayes_ptsd.report.markup import Section, bullets, join, paragraph
from bayes_ptsd.report.table import table_html

__all__ = ["methods_section"]

STAGES = ["left_after_first", "completed_first", "delayed", "left_after_second"]
POPULATIONS: Mapping[str, str] = {
    "crossover": "patients rated in both periods",
    "parallel": "all randomized patients",
}
EVENTS: Mapping[str, str] = {
    "crossover": "patients who left before or in period 2 are outside the analysis (principal "
    "stratum of those who returned)",
    "first_period": "none between treatment and rating: treatment policy, as randomized; leaving "
    "later cannot change the rating",
    "first_period_longitudinal": "later treatment or leaving: as in the paper, missing visits "
    "ignorable given the visits seen",
    "first_period_adjusted": "as in the paper; adjusted for a variable measured after treatment",
    "parallel": "as in the paper",
}
SUMMARIES: Mapping[str, str] = {
    "crossover": "mean within-patient difference, averaged over sequences; the size of what is "
    "printed depends on crossover_reading",
    "first_period": "difference of means between groups, adjusted as in the paper",
    "first_period_longitudinal": "difference of means between groups, averaged over the visits",
    "first_period_adjusted": "difference of means at a given value of the later measurement: a "
    "controlled direct effect, causal only without unmeasured common causes",
    "parallel": "difference of means between groups",
}


def methods_section(contents: Contents) -> Section:
    """Return the estimand of each analysis and the likelihood equations.

    Parameters
    ----------
    contents : Contents
        Material of the page.

    Returns
    -------
    Section
        One line per analysis of the evidence with the five attributes of an estimand.

    Examples
    --------
    >>> from bayes_ptsd.evidence.published import load_published
    >>> frame = methods_section(Contents(load_published())).tables["estimands"]
    >>> frame["analysis"].tolist()[:2]
    ['crossover', 'first period']
    """
    lines = [_estimand(contents, analysis) for analysis in _analyses(contents)]
    frame = pd.DataFrame(lines)
    html = join(
        paragraph(
            "Aim: to say how large each printed difference is and how probable a benefit is, for "
            "readers with different prior views, and to lay ground for a replication; not to test "
            "the same data again. Each row is analyzed as what the paper says it estimates."
        ),
        table_html(
            frame,
            caption="Estimands, after ICH E9(R1).",
            kind=contents.kind,
            name="estimands",
            left=[column for column in frame.columns if column != "analysis"],
        ),
        _left_out(contents),
        "<h3>Likelihood</h3>",
        _equations(contents),
        paragraph(
            "The posterior is prior times likelihood, in closed form where both are normal and by "
            "quadrature with a relative error below 1e-8 elsewhere. Two analyses of one endpoint "
            "share patients: they are alternatives, and their likelihoods are never multiplied."
        ),
        _carryover(contents),
    )
    numbers = frame.assign(evidence_kind=contents.kind)
    return Section("methods", "Estimands and likelihood", html, {"estimands": numbers})


def _analyses(contents: Contents) -> list[str]:
    """Return the analyses of the evidence, in its order."""
    return list(dict.fromkeys(contents.analysis(name) for name in contents.contrasts))


def _estimand(contents: Contents, analysis: str) -> dict[str, str]:
    """Return one analysis with the attributes of its estimand."""
    trial = contents.trial
    rows = [name for name in contents.contrasts if contents.analysis(name) == analysis]
    basis = contents.rows[rows[0]]["df_basis"]
    population = POPULATIONS.get(analysis, "all patients of the first period, as randomized")
    return {
        "analysis": analysis_name(analysis),
        "population": f"{population} (n = {_sizes(contents, rows)})",
        "treatment": f"{trial.active} v {trial.control}",
        "variable": _variables(contents, rows),
        "intercurrent events": EVENTS.get(analysis, "as in the paper"),
        "summary measure": f"{SUMMARIES.get(analysis, 'difference of means')}; positive = "
        f"{trial.active} better",
        "degrees of freedom from": str(basis),
    }


def _sizes(contents: Contents, rows: list[str]) -> str:
    """Return the numbers of patients of an analysis."""
    sizes = [contents.rows[name]["n"] for name in rows]
    known = sorted({int(size) for size in sizes if np.isfinite(size)})
    return ", ".join(map(str, known)) or "not printed"


def _variables(contents: Contents, rows: list[str]) -> str:
    """Return endpoints of an analysis by time of rating."""
    by_time: dict[str, list[str]] = {}
    for name in rows:
        time = str(contents.rows[name]["timepoint"]) or "time not printed"
        labels = by_time.setdefault(time, [])
        if contents.endpoint(name).label not in labels:
            labels.append(contents.endpoint(name).label)
    return "; ".join(f"{', '.join(labels)} at {time}" for time, labels in by_time.items())


def _left_out(contents: Contents) -> str:
    """List what happened to patients on the way, as the flow of patients names it."""
    if "flow" not in contents.evidence.data.children:
        return ""
    flow = contents.evidence.data["flow"].to_dataset()
    shown = np.isin(flow["stage"].values, STAGES)
    reading = contents.evidence.assumptions.get("flow_reading", "paper")
    shown &= np.isin(flow["flow_reading"].values, ["", reading])
    rows = flow.isel(step=np.flatnonzero(shown))
    items = [
        escape(f"{int(count)} of sequence {sequence or 'not stated'}: {item}")
        for count, sequence, item in zip(
            rows["count"].values, rows["sequence"].values, rows["item"].values, strict=True
        )
        if np.isfinite(count)
    ]
    return join("<h3>What happened between the periods</h3>", bullets(items)) if items else ""


def _equations(contents: Contents) -> str:
    """Return the likelihoods in mathematical notation."""
    minus, delta = "\N{MINUS SIGN}", "\N{GREEK SMALL LETTER DELTA}"
    items = [
        f"<b>T</b>: c | {delta} ~ {delta} + se &middot; t(df), with c = (L + U) / 2 and "
        f"se = (U {minus} L) / (2 t<sub>df, .975</sub>). Headline numbers.",
        f"<b>N</b>: estimate | {delta} ~ Normal({delta}, s), with s = "
        f"(U {minus} L) / (2 &times; 1.96). Closed formulas: reverse-Bayes, replication.",
        f"Rows without a printed interval: se = |estimate| / t<sub>df, 1 {minus} P/2</sub>, "
        "c = estimate.",
        "<b>Counts</b>: events ~ Binomial(n, p) in each group, independent, p ~ "
        "Beta(&frac12;, &frac12;) or Beta(1, 1).",
    ]
    if "crossover" in _analyses(contents):
        items.insert(
            3,
            "<b>Unhalved</b>: estimate, limits and se of a crossover row are divided by 2; z, t "
            "and P stay.",
        )
    return bullets(items)


def _carryover(contents: Contents) -> str:
    """State what a two-period crossover cannot tell apart."""
    if "crossover" not in _analyses(contents):
        return ""
    return paragraph(
        "Crossover: four cell means identify two periods, the treatment difference and one of "
        "carryover, sequence effect or treatment-by-period interaction, which cannot be told "
        "apart. Among completers carryover is also mixed with selection: leaving after period 1 "
        "depended on the outcome wherever remission was a reason to stop."
    )
