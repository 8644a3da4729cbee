"""What each analysis estimates, and with which likelihood."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from bayes_ptsd.report.contents import Contents, analysis_name
from bayes_ptsd.report.markup import ABSENT, bullets, paragraph
from bayes_ptsd.report.section import Part, Section, Table

__all__ = ["methods_section"]

POLICY = "treatment policy: rated before the event"
STRATEGIES: Mapping[str, tuple[str, str]] = {
    "completed_first": (
        POLICY, "hypothetical: a second rating as if the protocol had not ended treatment here",
    ),
    "left_after_first": (POLICY, "hypothetical: a second rating as if the patient had stayed"),
    "delayed": (POLICY, "treatment policy: rated as treated, later than planned"),
    "left_after_second": (
        POLICY, "hypothetical: a second rating as if treated as planned to the end",
    ),
}  # fmt: skip
"""By stage of the flow: the strategy of the first-period and of the crossover analyses."""
POPULATIONS: Mapping[str, str] = {
    "crossover": "patients rated in both periods",
    "parallel": "all randomized patients",
}
EVENTS: Mapping[str, str] = {
    "crossover": "by event, in the table below; who is rated twice differs by sequence, so the "
    "patients analyzed are no principal stratum",
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
    """Return the five attributes of the estimand of each analysis, and the likelihood equations."""
    lines = [_estimand(contents, analysis) for analysis in _analyses(contents)]
    parts: list[Part] = [
        paragraph(
            "Aim: to say how large each printed difference is and how probable a benefit is, for "
            "readers with different prior views, and to lay ground for a replication; not to test "
            "the same data again. Each row is analyzed as what the paper says it estimates."
        ),
        Table(
            "estimands", pd.DataFrame(lines).assign(evidence_kind=contents.kind), lines=lines,
            caption="Estimands, after ICH E9(R1).", left=list(lines[0])[1:],
        ),
        *_events(contents),
        "<h3>Likelihood</h3>",
        _equations(contents),
        paragraph(
            "The posterior is prior times likelihood, in closed form where both are normal and by "
            "quadrature with a relative error below 1e-8 elsewhere. Two analyses of one endpoint "
            "share patients: they are alternatives, and their likelihoods are never multiplied."
        ),
        _carryover(contents),
    ]  # fmt: skip
    return Section("methods", "Estimands and likelihood", parts)


def _analyses(contents: Contents) -> list[str]:
    """Return the analyses of the evidence, in its order."""
    return list(dict.fromkeys(contents.analysis(name) for name in contents.contrasts))


def _estimand(contents: Contents, analysis: str) -> dict[str, str]:
    """Return one analysis with the attributes of its estimand."""
    trial = contents.trial
    rows = [name for name in contents.contrasts if contents.analysis(name) == analysis]
    printed = [contents.rows[name] for name in rows]
    basis = dict.fromkeys(f"{row['df']:g}: {row['df_basis']}" for row in printed if row["df_basis"])
    population = POPULATIONS.get(analysis, "all patients of the first period, as randomized")
    return {
        "analysis": analysis_name(analysis),
        "population": f"{population} (n = {_sizes(contents, rows)})",
        "treatment": f"{trial.active} v {trial.control}",
        "variable": _variables(contents, rows),
        "intercurrent events": EVENTS.get(analysis, "as in the paper"),
        "summary measure": f"{SUMMARIES.get(analysis, 'difference of means')}; positive = "
        f"{trial.active} better",
        "degrees of freedom": "; ".join(basis),
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


def _events(contents: Contents) -> list[Table]:
    """Return what happened to patients on the way, with the strategy of each analysis for it."""
    if "flow" not in contents.evidence.data.children:
        return []
    flow = contents.evidence.data["flow"].to_dataset()
    reading = contents.evidence.assumptions.get("flow_reading", "paper")
    stages, sequences = flow["stage"].values, flow["sequence"].values
    own = np.isin(flow["flow_reading"].values, ["", reading]) & np.isfinite(flow["count"].values)
    sizes = {
        name: int(flow["count"].values[own & (stages == "randomized") & (sequences == name)].sum())
        for name in dict.fromkeys(sequences.tolist())
    }
    lines = []
    for place in np.flatnonzero(own & np.isin(stages, list(STRATEGIES))):
        step = flow.isel(step=place)
        sequence = str(step["sequence"].item())
        first, crossover = STRATEGIES[str(step["stage"].item())]
        lines.append(
            {"event": str(step["item"].item()), "sequence": sequence or "not stated",
             "patients": int(step["count"]), "randomized": sizes[sequence],
             "first period": first, "crossover": crossover}
        )  # fmt: skip
    if not lines:
        return []
    return [Table(
        "intercurrent-events", pd.DataFrame(lines).assign(evidence_kind=contents.kind),
        lambda line: {
            **{key: line[key] for key in ("event", "sequence")},
            "patients": f"{line['patients']} of {line['randomized'] or ABSENT}",
            **{key: line[key] for key in ("first period", "crossover")},
        },
        caption="Intercurrent events, each with its strategy.",
        left=["sequence", "first period", "crossover"],
        notes=[
            "The printed crossover analyses have those rated twice only: they answer the "
            "hypothetical question if the other second ratings are missing at random."
        ],
    )]  # fmt: skip


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
