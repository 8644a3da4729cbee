"""A replication on the page: priors for it, what it would print, how large it has to be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
import xarray as xr

from bayes_ptsd.plots.assurance import assurance_figure
from bayes_ptsd.plots.replication import prediction_figure, replication_prior_figure
from bayes_ptsd.plots.style import figure_svg
from bayes_ptsd.provenance import library_versions
from bayes_ptsd.replication.outlook import (
    CENTERS,
    Outlook,
    outlook_document,
    replication_outlook,
)
from bayes_ptsd.report.contents import Contents
from bayes_ptsd.report.headline import row_heading
from bayes_ptsd.report.markup import (
    ABSENT,
    Section,
    details,
    figure_html,
    gallery,
    interval_text,
    join,
    number,
    paragraph,
    probability,
)
from bayes_ptsd.report.replication_numbers import outlook_tables
from bayes_ptsd.report.table import table_html

__all__ = ["DOCUMENT", "centered_fits", "replication_section"]

DOCUMENT = "replication"
"""Name of the JSON file that holds everything about a replication."""
SHOWN_SIZES = (40, 80, 160, 320)
CURSE = (
    "A result is repeated because it stood out, and it stood out partly by luck. Among results "
    "chosen for being large, estimates overshoot on average: the winner's curse. A replication "
    "prior centered by flat sits on the published estimate and carries that curse with it; one "
    "centered by cochrane takes back what trials of this signal-to-noise ratio overshoot on "
    "average. Both are shown, and the distance between them is part of the answer."
)
WEAKENED = (
    "From posterior to prior: another trial has other patients and raters (half-normal SD/4 "
    "between trials, integrated), and the prior may be wrong altogether (a component of weight .2 "
    "around no difference, with an SD of 2 SD, worth one patient of a parallel trial). That "
    "component is why the 95% intervals are wide; the 50% intervals show where most of the weight "
    "is."
)
READINGS = " Readings of the crossover contrast are kept apart."
PLANS = (
    "Assurance is power averaged over the prior. It has a ceiling that no size can pass: the "
    "prior's own probability of the goal's event. Two scores of one patient are taken to correlate "
    "by .5, which print does not settle."
)
CROSSOVERS = (
    " The crossover is shown twice: everybody crosses, or this trial's own shares of patients were "
    "too well to cross or left. The last table varies the correlation."
)
GOALS = {
    "benefit": "benefit",
    "worthwhile": "worthwhile difference",
    "benefit_skeptical": "benefit, skeptical analysis",
}
DESIGNS = {
    "parallel": "parallel",
    "repeated": "parallel, mean of 4 visits",
    "crossover": "crossover, all cross",
    "crossover_leavers": "crossover, leavers as here",
}


def centered_fits(contents: Contents) -> list[xr.DataTree]:
    """Return the exact fits of the headline rows that replication priors are centered on.

    Parameters
    ----------
    contents : Contents
        Material of the page.

    Returns
    -------
    list of xr.DataTree
        By row and reading, the default center first; none without a reference SD.

    Examples
    --------
    >>> from bayes_ptsd.evidence.published import load_published
    >>> fits = centered_fits(Contents(load_published(), priors=("flat", "cochrane")))
    >>> [fit.attrs["prior"] for fit in fits][:2]
    ['cochrane', 'flat']
    """
    if any(contents.endpoint(row[0]).reference_sd is None for row in contents.primary):
        return []
    return [
        fit
        for row in contents.primary
        for center in CENTERS
        for fit in contents.fits[row]
        if fit.attrs["prior"] == center
    ]


def replication_section(contents: Contents) -> Section | None:
    """Return priors, predictions, assurance and sizes of a replication of the headline rows.

    Parameters
    ----------
    contents : Contents
        Material of the page.

    Returns
    -------
    Section or None
        Tables, figures and the priors as files; None without a reference SD or a center.

    Examples
    --------
    >>> from bayes_ptsd.evidence.published import load_published
    >>> section = replication_section(Contents(load_published(), priors=("flat",),
    ...     conventions=("T",)))
    >>> sorted(section.priors)
    ['T2-IESR-F-flat', 'T2-IESR-X-as-published-flat', 'T2-IESR-X-unhalved-flat', 'replication']
    """
    quick = contents.normal is None
    outlooks = contents.outlooks
    if outlooks is None:
        fits = centered_fits(contents)
        outlooks = [replication_outlook(fit, contents.evidence, quick=quick) for fit in fits]
    if not outlooks:
        return None
    documents = [outlook_document(outlook) for outlook in outlooks]
    figures, curves = _figures(contents, outlooks)
    tables = outlook_tables(documents)
    crossed = "crossover" in outlooks[0].designs
    html = join(
        paragraph(CURSE), paragraph(WEAKENED + READINGS * crossed),
        gallery(_shown(figures)),
        _prior_table(contents, tables["replication-priors"]),
        details("The mixtures, component by component",
                _mixture_table(contents, tables["replication-mixtures"])),
        _prediction_table(contents, tables["replication-predictions"]),
        paragraph(PLANS + CROSSOVERS * crossed),
        gallery(_shown(curves)),
        details("Assurance in numbers, and where P(benefit) will lie",
                _assurance_table(contents, tables["replication-assurance"])),
        _size_table(contents, tables["replication-sizes"]),
        _trade_off_table(contents, tables["replication-trade-off"]) if crossed else "",
        _files(outlooks),
    )  # fmt: skip
    files = {outlook.name: document["exports"]["rbest"]
             for outlook, document in zip(outlooks, documents, strict=True)}  # fmt: skip
    files[DOCUMENT] = _whole(contents, documents)
    return Section("replication", "A replication", html, tables, figures | curves, files)


def _whole(contents: Contents, documents: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return all outlooks with what they were made from."""
    return {
        "schema": 1,
        "trial": contents.trial.name,
        "evidence_kind": contents.kind,
        "evidence_digest": contents.evidence.digest,
        "seed": contents.seed,
        "versions": dict(library_versions()),
        "results": [name for document in documents for name in document["results"]],
        "outlooks": list(documents),
    }


def _heading(contents: Contents, line: Mapping[Any, Any]) -> str:
    """Return the row and the reading of a line."""
    return row_heading(contents, (str(line["contrast"]), str(line["reading"]) or "as_published"))


def _figures(
    contents: Contents, outlooks: Sequence[Outlook]
) -> tuple[dict[str, str], dict[str, str]]:
    """Draw priors and predictions together, and assurance for each row, reading and center."""
    figures = {
        "replication-priors": figure_svg(replication_prior_figure(outlooks)),
        "replication-predictions": figure_svg(prediction_figure(outlooks)),
    }
    curves = {}
    for outlook in outlooks:
        title = _heading(contents, {"contrast": outlook.contrast, "reading": outlook.reading})
        # the others are in the CSV file
        for goal in ("benefit", "worthwhile") if outlook.center == CENTERS[0] else ("benefit",):
            if goal in outlook.curves and not (outlook.quick and goal == "worthwhile"):
                named = {DESIGNS[key]: curve for key, curve in outlook.curves[goal].items()}
                figure = assurance_figure(
                    named, kind=contents.kind, heading=f"{title}, center {outlook.center}"
                )
                curves[f"assurance-{goal}-{outlook.name}"] = figure_svg(figure)
    return figures, curves


def _shown(figures: Mapping[str, str]) -> Iterator[str]:
    """Yield figures as markup."""
    for name, svg in figures.items():
        alt = f"{name.replace('-', ' ')} of a replication; the numbers are in the CSV files beside."
        yield figure_html(svg, alt=alt, name=name)


def _prior_table(contents: Contents, frame: pd.DataFrame) -> str:
    """Return the priors and their worth as texts."""
    designs = [name for name in ("parallel", "crossover") if f"robust_elir_{name}" in frame]
    lines = []
    for line in frame.to_dict("records"):
        texts = {
            "row": _heading(contents, line), "center": str(line["center"]),
            "posterior widened: mean (SD)":
                f"{number(line['informative_mean'])} ({number(line['informative_sd'])})",
            "robust: mean (SD)": f"{number(line['mean'])} ({number(line['sd'])})",
            "P(benefit)": probability(line["prob_benefit"]),
        }  # fmt: skip
        for design in designs:
            for method in ("elir", "moment", "morita"):
                label = "ELIR" if method == "elir" else method
                texts[f"{design}|{label}"] = number(line[f"robust_{method}_{design}"])
            texts[f"{design}|ELIR before"] = number(line[f"informative_elir_{design}"])
        lines.append(texts)
    spanners = {
        f"worth, {design} patients": [f"{design}|{one}"
                                      for one in ("ELIR", "moment", "morita", "ELIR before")]
        for design in designs
    }  # fmt: skip
    return table_html(
        pd.DataFrame(lines),
        caption="Priors for a replication, by center and reading, and what they are worth.",
        kind=contents.kind, convention="T", name="replication-priors", group="row", stub="center",
        spanners=spanners,
        notes=["Worth of the robust prior by three definitions; ELIR before: of its informative "
               "part."],
    )  # fmt: skip


def _mixture_table(contents: Contents, frame: pd.DataFrame) -> str:
    """Return the components as texts."""
    lines = [
        {"row": _heading(contents, line), "center": f"{line['center']}, {line['component']}",
         "weight": number(line["weight"], 3), "mean": number(line["mean"], 2),
         "SD": number(line["sd"], 2)}
        for line in frame.to_dict("records")
    ]  # fmt: skip
    return table_html(
        pd.DataFrame(lines), caption="Normal components of each prior.", kind=contents.kind,
        convention="T", name="replication-mixtures", group="row", stub="center",
    )  # fmt: skip


def _prediction_table(contents: Contents, frame: pd.DataFrame) -> str:
    """Return predictive probabilities as texts."""
    lines = []
    for line in frame.to_dict("records"):
        digits = contents.digits(str(line["contrast"]))
        lines.append({
            "row": _heading(contents, line),
            "center": f"{line['center']}, size {line['relative_size']:g}",
            "estimate: mean": number(line["mean"], digits),
            "95% prediction interval": interval_text(line["low"], line["high"], digits),
            "same sign": probability(line["same_sign"]),
            "P < .05": probability(line["p_below_05"]),
            "sceptical P < .025": probability(line["sceptical_p_golden"]),
            "BF > 3": probability(line["bayes_factor_3"]),
            "BF > 10": probability(line["bayes_factor_10"]),
            "skeptical mixture > 3": probability(line["skeptical_mixture_3"]),
        })  # fmt: skip
    return table_html(
        pd.DataFrame(lines),
        caption="What a replication would print: size 1 is as precise as the original, size 2 has "
        "half its variance.",
        kind=contents.kind, convention="T", name="replication-predictions", group="row",
        stub="center",
        notes=["Probabilities. P < .05 is two-sided, in the direction of the original; sceptical P "
               "in its golden calibration, the others are in the CSV file; BF is the replication "
               "Bayes factor, of the original's posterior against no difference."],
    )  # fmt: skip


def _assurance_table(contents: Contents, frame: pd.DataFrame) -> str:
    """Return assurance and pre-posterior quantiles of two designs as texts."""
    shown = frame[
        (frame["goal"] == "benefit")
        & frame["design"].isin(["parallel", "crossover_leavers"])
        & frame["n"].isin(SHOWN_SIZES)
    ]
    lines = [
        {
            "row": f"{_heading(contents, line)}, center {line['center']}: "
            f"{DESIGNS[str(line['design'])]}",
            "patients": f"{line['n']}", "complete": number(line["complete"], 0),
            "SE": number(line["standard_error"]), "assurance": probability(line["assurance"]),
            **{f"{q}%": probability(line[f"prob_q{q}"]) for q in (10, 25, 50, 75, 90)},
        }
        for line in shown.to_dict("records")
    ]  # fmt: skip
    return table_html(
        pd.DataFrame(lines), kind=contents.kind, convention="T", name="replication-assurance",
        caption="Assurance of benefit, and where the replication's own P(benefit) will lie: its "
        "quantiles as foretold today.", group="row", stub="patients",
        spanners={"P(benefit), pre-posterior": [f"{q}%" for q in (10, 25, 50, 75, 90)]},
        notes=["Flat analysis prior. Other designs, goals and sizes are in the CSV file."],
    )  # fmt: skip


def _size_table(contents: Contents, frame: pd.DataFrame) -> str:
    """Return the smallest sizes as texts, one column a target."""
    lines = []
    for _, group in frame.groupby(["contrast", "reading", "center", "goal"], sort=False):
        reached = bool(group["n"].notna().any())
        # one line is enough where no design reaches any target
        designs = list(DESIGNS) if reached else list(DESIGNS)[:1]
        for design in designs:
            own = group[group["design"] == design]
            if own.empty:
                continue
            first = own.to_dict("records")[0]
            lines.append({
                "row": f"{_heading(contents, first)}, center {first['center']}: "
                f"{GOALS[str(first['goal'])]}",
                "design": DESIGNS[design] if reached else "any design",
                "ceiling": probability(first["ceiling"]),
                **{f"n for {probability(target, 1)}": "none" if pd.isna(n) else f"{int(n):,}"
                   for target, n in zip(own["target"], own["n"], strict=True)},
            })  # fmt: skip
    goals = frame.drop_duplicates("goal").to_dict("records")
    words = "; ".join(f"{GOALS[str(line['goal'])]}: {line['goal_words']}" for line in goals)
    return table_html(
        pd.DataFrame(lines),
        caption="Smallest number of patients randomized, in all, that reaches an assurance.",
        kind=contents.kind, convention="T", name="replication-sizes", group="row", stub="design",
        notes=[f"Goals. {words}. none: the target is at or above the ceiling, which no size "
               "passes, or more than 200,000 patients are needed."],
    )  # fmt: skip


def _trade_off_table(contents: Contents, frame: pd.DataFrame) -> str:
    """Return crossover against parallel as texts."""
    names = [name for name in DESIGNS if f"{name}_worth" in frame]
    lines = []
    for line in frame.to_dict("records"):
        texts = {
            "row": f"{_heading(contents, line)}, center {line['center']}",
            "correlation": f"{line['correlation']:g}", "parallel": _size(line["parallel"]),
        }  # fmt: skip
        for name in names:
            texts[f"{name}|n"] = _size(line[name])
            texts[f"{name}|one is worth"] = number(line[f"{name}_worth"])
        lines.append(texts)
    target = probability(frame["target"].iloc[0], 1)
    return table_html(
        pd.DataFrame(lines),
        caption=f"Crossover against parallel: patients for an assurance of {target} of benefit, by "
        "the correlation of a patient's two scores.",
        kind=contents.kind, convention="T", name="replication-trade-off", group="row",
        stub="correlation",
        spanners={DESIGNS[name]: [f"{name}|n", f"{name}|one is worth"] for name in names},
        notes=["one is worth: one patient of that crossover, in patients of a parallel trial. It "
               "rests on no carryover and on patients who come back."],
    )  # fmt: skip


def _size(n: float) -> str:
    """Return a number of patients, or that there is none."""
    return ABSENT if pd.isna(n) else f"{int(n):,}"


def _files(outlooks: Sequence[Outlook]) -> str:
    """Return links to the priors as files."""
    links = ", ".join(
        f'<a href="priors/{outlook.name}.json">{outlook.name}</a>' for outlook in outlooks
    )
    return (
        f'<p class="note">Take them along: mixtures that RBesT reads with read_mix_json: {links}. '
        f'<a href="priors/{DOCUMENT}.json">{DOCUMENT}.json</a> holds everything in this section, '
        "the same priors as PyMC, PreliZ and Stan code, and the results they were made from.</p>"
    )
