"""The tables of a replication: priors, predictions, assurance, sizes; each with its file.

A document is that of `bayes_ptsd.replication.outlook.outlook_document`; score units, positive =
active treatment better.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from bayes_ptsd.evidence.measured_rows import PrintedScale, printed_scale
from bayes_ptsd.replication.assurance import QUANTILES
from bayes_ptsd.report.contents import Contents
from bayes_ptsd.report.headline import row_heading
from bayes_ptsd.report.markup import ABSENT, interval_text, number, probability
from bayes_ptsd.report.section import Line, Table

__all__ = [
    "DESIGN_NAMES",
    "assurance_table",
    "line_heading",
    "mixture_table",
    "prediction_table",
    "prior_table",
    "size_table",
    "trade_off_table",
]

# Doublings, from about the size of this trial; both grids of an outlook have them, quick or not.
SHOWN_SIZES = (40, 80, 160, 320)
GOALS = {
    "benefit": "benefit",
    "worthwhile": "worthwhile difference",
    "benefit_skeptical": "benefit, skeptical analysis",
}
DESIGN_NAMES = {
    "parallel": "parallel",
    "repeated": "parallel, mean of 4 visits",
    "crossover": "crossover, all cross",
    "crossover_leavers": "crossover, leavers as here",
}


WORTH = {
    "ELIR": "robust_elir",
    "moment": "robust_moment",
    "morita": "robust_morita",
    "ELIR before": "informative_elir",
}
PRECISION = " Worth in crossover patients is at the precision of the likeliest reading."
Document = Mapping[str, Any]


def line_heading(contents: Contents, line: Mapping[Any, Any]) -> str:
    """Return the row and the reading of a line, as the headline table calls them."""
    return row_heading(contents, (str(line["contrast"]), str(line["reading"]) or "as_published"))


def prior_table(contents: Contents, documents: Sequence[Document]) -> Table:
    """Return mean, sd, interval and worth of each prior, informative and robust."""
    lines = []
    for document in documents:
        prior = document["prior"]
        line = _key(document) | {
            "mean": prior["mean"], "sd": prior["sd"],
            "low": prior["interval95"][0], "high": prior["interval95"][1],
            "prob_benefit": prior["prob_benefit"],
            "informative_mean": document["informative"]["mean"],
            "informative_sd": document["informative"]["sd"],
            "heterogeneity_scale_in_sd": document["heterogeneity"]["scale_in_sd"],
            "weak_component": document["weak_component"]["formula"],
            "weak_weight": document["weak_component"]["weight"],
            "divergence": prior["divergence"],
        }  # fmt: skip
        for design, parts in document["worth"].items():
            for part, sizes in parts.items():
                line |= {f"{part}_{method}_{design}": size for method, size in sizes.items()}
        lines.append(line)
    frame = _framed(lines, documents)
    designs = [name for name in ("parallel", "crossover") if f"robust_elir_{name}" in frame]

    def texts(line: Line) -> Line:
        worth = {
            f"{design}|{heading}": number(line[f"{part}_{design}"])
            for design in designs
            for heading, part in WORTH.items()
        }
        informative = f"{number(line['informative_mean'])} ({number(line['informative_sd'])})"
        return {
            "row": line_heading(contents, line), "center": str(line["center"]),
            "another trial: mean (SD)": informative,
            "robust: mean (SD)": f"{number(line['mean'])} ({number(line['sd'])})",
            "P(benefit)": probability(line["prob_benefit"]),
        } | worth  # fmt: skip

    return Table(
        "replication-priors", frame, texts,
        caption="Priors for a replication, by center and reading, and what they are worth.",
        convention="T", group="row", stub="center",
        spanners={f"worth, {design} patients": [f"{design}|{heading}" for heading in WORTH]
                  for design in designs},
        notes=["Worth of the robust prior by three definitions; ELIR before: of its informative "
               "part." + PRECISION * ("crossover" in designs), *_of_ratios(contents, documents)],
    )  # fmt: skip


def mixture_table(contents: Contents, documents: Sequence[Document]) -> Table:
    """Return the components of each prior."""
    lines = [
        {**_key(document), "component": place, "weight": part["weight"],
         "mean": part["mu"], "sd": part["sigma"]}
        for document in documents
        for place, part in enumerate(document["prior"]["components"], start=1)
    ]  # fmt: skip
    return Table(
        "replication-mixtures", _framed(lines, documents),
        lambda line: {
            "row": line_heading(contents, line),
            "center": f"{line['center']}, {line['component']}",
            "weight": number(line["weight"], 3), "mean": number(line["mean"], 2),
            "SD": number(line["sd"], 2),
        },
        caption="Normal components of each prior.", convention="T", group="row", stub="center",
        notes=_of_ratios(contents, documents),
    )  # fmt: skip


def prediction_table(contents: Contents, documents: Sequence[Document]) -> Table:
    """Return every predictive probability, one line a relative size."""
    lines = []
    for document in documents:
        for found in document["predictions"]:
            line = _key(document) | {
                "original_estimate": document["original"]["estimate"],
                "original_se": document["original"]["se"],
                "low": found["interval95"][0], "high": found["interval95"][1],
            }  # fmt: skip
            for key, value in found.items():
                if isinstance(value, dict):
                    line |= {f"{key}_{name}": one for name, one in value.items()}
                elif key != "interval95":
                    line[key] = value
            lines.append(line)

    def texts(line: Line) -> Line:
        digits, ratio = contents.digits(line["contrast"]), _ratio(contents, line)
        low, high = line["low"], line["high"]
        if ratio is not None:
            low, high = ratio.limits(low, high)
        return {
            "row": line_heading(contents, line),
            "center": f"{line['center']}, size {line['relative_size']:g}",
            "estimate: mean": number(line["mean"], digits),
            "95% prediction interval": interval_text(low, high, digits),
            "same sign": probability(line["same_sign"]),
            "P < .05": probability(line["p_below_05"]),
            "sceptical P < .025": probability(line["sceptical_p_golden"]),
            "BF > 3": probability(line["bayes_factor_3"]),
            "BF > 10": probability(line["bayes_factor_10"]),
            "skeptical mixture > 3": probability(line["skeptical_mixture_3"]),
        }

    return Table(
        "replication-predictions", _framed(lines, documents), texts,
        caption="What a replication would print: size 1 is as precise as the original, size 2 has "
        "half its variance.",
        convention="T", group="row", stub="center",
        notes=["Probabilities. P < .05 is two-sided, in the direction of the original; sceptical P "
               "in its golden calibration, the others are in the CSV file; BF is the replication "
               "Bayes factor, of the original's posterior against no difference.",
               *_of_ratios(contents, documents)],
    )  # fmt: skip


def assurance_table(contents: Contents, documents: Sequence[Document]) -> Table:
    """Return every point of every assurance curve; those of benefit under two designs are shown."""
    lines = []
    for document in documents:
        for goal, curves in document["assurance"].items():
            for design, curve in curves.items():
                for row in curve["rows"]:
                    quantiles = {f"prob_q{float(q) * 100:g}": value
                                 for q, value in row["prob_quantiles"].items()}  # fmt: skip
                    plain = {key: row[key] for key in row if key != "prob_quantiles"}
                    lines.append({
                        **_key(document), "goal": goal, "goal_words": curve["goal"],
                        "design": design, **plain, "ceiling": curve["ceiling"], **quantiles,
                    })  # fmt: skip
    frame = _framed(lines, documents)
    shown = frame[
        (frame["goal"] == "benefit")
        & frame["design"].isin(["parallel", "crossover_leavers"])
        & frame["n"].isin(SHOWN_SIZES)
    ]
    return Table(
        "replication-assurance", frame,
        lambda line: {
            "row": f"{line_heading(contents, line)}, center {line['center']}: "
            f"{DESIGN_NAMES[str(line['design'])]}",
            "patients": f"{line['n']}", "complete": number(line["complete"], 0),
            "SE": number(line["standard_error"]), "assurance": probability(line["assurance"]),
            **{f"{q:.0%}": probability(line[f"prob_q{q * 100:g}"]) for q in QUANTILES},
        },
        lines=shown.to_dict("records"),
        caption="Assurance of benefit, and where the replication's own P(benefit) will lie: its "
        "quantiles as foretold today.",
        convention="T", group="row", stub="patients",
        spanners={"P(benefit), pre-posterior": [f"{q:.0%}" for q in QUANTILES]},
        notes=["Flat analysis prior. Other designs, goals and sizes are in the CSV file."],
    )  # fmt: skip


def size_table(contents: Contents, documents: Sequence[Document]) -> Table:
    """Return the smallest sizes by target, one column a target."""
    frame, lines = _parts(documents, "sample_sizes"), []
    for _, group in frame.groupby(["contrast", "reading", "center", "goal"], sort=False):
        reached = bool(group["n"].notna().any())
        # one line is enough where no design reaches any target
        designs = list(DESIGN_NAMES) if reached else list(DESIGN_NAMES)[:1]
        for design in designs:
            own = group[group["design"] == design]
            if own.empty:
                continue
            first = own.to_dict("records")[0]
            lines.append({
                "row": f"{line_heading(contents, first)}, center {first['center']}: "
                f"{GOALS[str(first['goal'])]}",
                "design": DESIGN_NAMES[design] if reached else "any design",
                "ceiling": probability(first["ceiling"]),
                **{f"n for {probability(target, 1)}": "none" if pd.isna(n) else f"{int(n):,}"
                   for target, n in zip(own["target"], own["n"], strict=True)},
            })  # fmt: skip
    goals = frame.drop_duplicates("goal").to_dict("records")
    words = "; ".join(f"{GOALS[str(line['goal'])]}: {line['goal_words']}" for line in goals)
    return Table(
        "replication-sizes", frame, lines=lines,
        caption="Smallest number of patients randomized, in all, that reaches an assurance.",
        convention="T", group="row", stub="design",
        notes=[f"Goals. {words}. none: the target is at or above the ceiling, which no size "
               "passes, or more than 200,000 patients are needed."],
    )  # fmt: skip


def trade_off_table(contents: Contents, documents: Sequence[Document]) -> Table:
    """Return crossover against parallel, a line per correlation; no line of another trial."""
    frame = _parts(documents, "trade_off")
    names = [name for name in DESIGN_NAMES if f"{name}_worth" in frame]
    target = "" if frame.empty else probability(frame["target"].iloc[0], 1)

    def texts(line: Line) -> Line:
        return {
            "row": f"{line_heading(contents, line)}, center {line['center']}",
            "correlation": f"{line['correlation']:g}",
            "parallel": _size(line["parallel"]),
        } | {
            heading: text
            for name in names
            for heading, text in (
                (f"{name}|n", _size(line[name])),
                (f"{name}|one is worth", number(line[f"{name}_worth"])),
            )
        }

    return Table(
        "replication-trade-off", frame, texts,
        caption=f"Crossover against parallel: patients for an assurance of {target} of benefit, by "
        "the correlation of a patient's two scores.",
        convention="T", group="row", stub="correlation",
        spanners={DESIGN_NAMES[name]: [f"{name}|n", f"{name}|one is worth"] for name in names},
        notes=["one is worth: one patient of that crossover, in patients of a parallel trial. It "
               "rests on no carryover and on patients who come back."],
    )  # fmt: skip


def _size(n: float) -> str:
    """Return a number of patients, or that there is none."""
    return ABSENT if pd.isna(n) else f"{int(n):,}"


def _ratio(contents: Contents, line: Mapping[Any, Any]) -> PrintedScale | None:
    """Return the printed scale of the row of a line or document, of a ratio."""
    return printed_scale(contents.rows[str(line["contrast"])])


def _of_ratios(contents: Contents, documents: Sequence[Document]) -> list[str]:
    """Return the note on means and SDs where a row is a ratio."""
    some = any(_ratio(contents, document) is not None for document in documents)
    return ["Of a ratio, mean and SD are of its logarithm, positive = active treatment better; an "
            "interval is of the ratio."] * some  # fmt: skip


def _key(document: Document) -> dict[str, Any]:
    """Return what every line of every table begins with."""
    return {key: document[key] for key in ("contrast", "reading", "center")}


def _parts(documents: Sequence[Document], part: str) -> pd.DataFrame:
    """Return one part of every document as lines."""
    lines = [{**_key(document), **line} for document in documents for line in document[part]]
    return _framed(lines, documents)


def _framed(lines: Sequence[Mapping[str, Any]], documents: Sequence[Document]) -> pd.DataFrame:
    """Return lines with the kind of evidence on each; nothing where there are none."""
    kind = documents[0]["evidence_kind"]
    return pd.DataFrame(lines).assign(evidence_kind=kind) if lines else pd.DataFrame()
