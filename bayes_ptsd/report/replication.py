"""A replication on the page: priors for it, what it would print, how large it has to be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
import xarray as xr

from bayes_ptsd.evidence.readings import AVERAGED
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
from bayes_ptsd.replication.readings import averaged_weights
from bayes_ptsd.report.contents import Contents, Row
from bayes_ptsd.report.markup import (
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
from bayes_ptsd.report.replication_plans import (
    DESIGN_NAMES,
    assurance_table,
    line_heading,
    size_table,
    trade_off_table,
)
from bayes_ptsd.report.table import table_html

__all__ = ["DOCUMENT", "average_weights", "centered_fits", "replication_section"]

DOCUMENT = "replication"
"""Name of the JSON file that holds everything about a replication."""
CURSE = (
    "A result is repeated because it stood out, and it stood out partly by luck. Among results "
    "chosen for being large, estimates overshoot on average: the winner's curse. A replication "
    "prior centered by flat sits on the published estimate and carries that curse with it; one "
    "centered by cochrane takes back what trials of this signal-to-noise ratio overshoot on "
    "average. Both are shown, and the distance between them is part of the answer."
)
WEAKENED = (
    "From posterior to prior: another trial has other patients and raters (half-normal SD/4 "
    "between trials, integrated; the two trials are exchangeable, so that a prior which shrank "
    "this one's difference shrinks the other's too, and more where trials differ more), and the "
    "prior may be wrong altogether (a component of weight .2 around no difference, with an SD of "
    "2 SD, worth one patient of a parallel trial). That component is why the 95% intervals are "
    "wide; the 50% intervals show where most of the weight is."
)
READINGS = (
    " The average over readings of the crossover contrast comes first ({}; readings of one scale "
    "are one), each reading beside it."
)
PLANS = (
    "Assurance is power averaged over the prior. It tends to a ceiling: the prior's own "
    "probability of the goal's event. Two scores of one patient are taken to correlate by .5, "
    "which print does not settle."
)
PRECISION = " Worth in crossover patients is at the precision of the likeliest reading."
CROSSOVERS = (
    " A crossover planned from the crossover row has, per completer, the precision that the row "
    "printed under the same reading; the label of each design says which. It is shown twice: "
    "everybody crosses, or this trial's own shares of patients were too well to cross or left. The "
    "last table states correlations instead."
)


def centered_fits(contents: Contents) -> list[dict[str, xr.DataTree]]:
    """Return by reading the exact fits that replication priors are centered on, default first.

    All readings of a crossover together, to be averaged, come before each row and reading alone.
    None without a reference SD.
    """
    if any(contents.endpoint(row[0]).reference_sd is None for row in contents.primary):
        return []
    weights = average_weights(contents)
    crossed = {name for name, _ in contents.primary if contents.analysis(name) == "crossover"}
    rows = [{reading: (name, reading) for reading in weights} for name in sorted(crossed)]
    rows = [row for row in rows if row and set(row.values()) <= set(contents.primary)]
    rows += [{reading: (name, reading)} for name, reading in contents.primary]
    return [
        {reading: _under(contents, row, center) for reading, row in named.items()}
        for named in rows
        for center in CENTERS
        if center in contents.priors
    ]


def average_weights(contents: Contents) -> dict[str, float]:
    """Return the weights of the average over readings by scale; none where there are none."""
    given = contents.weights[0]
    return averaged_weights(contents.evidence, given) if given else {}


def _under(contents: Contents, row: Row, center: str) -> xr.DataTree:
    """Return the fit of one row under one prior."""
    return next(fit for fit in contents.fits[row] if fit.attrs["prior"] == center)


def replication_section(contents: Contents) -> Section | None:
    """Return priors, predictions, assurance and sizes of a replication of the headline rows.

    None without a reference SD or a center.
    """
    quick = contents.normal is None
    outlooks = contents.outlooks
    if outlooks is None:
        weights = average_weights(contents)
        outlooks = [
            replication_outlook(
                fits, contents.evidence, quick=quick,
                reading_weights=weights if len(fits) > 1 else None,
            )
            for fits in centered_fits(contents)
        ]  # fmt: skip
    if not outlooks:
        return None
    documents = [outlook_document(outlook) for outlook in outlooks]
    figures, curves = _figures(contents, outlooks)
    tables = outlook_tables(documents)
    crossed = "crossover" in outlooks[0].designs
    html = join(
        paragraph(CURSE), paragraph(WEAKENED + _weights_text(outlooks)),
        gallery(_shown(figures)),
        _prior_table(contents, tables["replication-priors"]),
        details("The mixtures, component by component",
                _mixture_table(contents, tables["replication-mixtures"])),
        _prediction_table(contents, tables["replication-predictions"]),
        paragraph(PLANS + CROSSOVERS * crossed),
        gallery(_shown(curves)),
        details("Assurance in numbers, and where P(benefit) will lie",
                assurance_table(contents, tables["replication-assurance"])),
        size_table(contents, tables["replication-sizes"]),
        trade_off_table(contents, tables["replication-trade-off"]) if crossed else "",
        _files(outlooks),
    )  # fmt: skip
    files = {outlook.name: document["exports"]["rbest"]
             for outlook, document in zip(outlooks, documents, strict=True)}  # fmt: skip
    files[DOCUMENT] = _whole(contents, documents)
    return Section("replication", "A replication", html, tables, figures | curves, files)


def _weights_text(outlooks: Sequence[Outlook]) -> str:
    """Return how readings were averaged, if they were, and what the mixtures warn of."""
    told = [str(text) for one in outlooks for text in one.found.about["warnings"]]
    warned = "".join(f" Warning: {text}." for text in dict.fromkeys(told))
    averaged = [one for one in outlooks if one.reading == AVERAGED]
    if not averaged:
        return warned
    weights = averaged[0].found.about["readings"]
    words = ", ".join(f"{name.replace('_', ' ')} {w:.2f}" for name, w in weights.items())
    return READINGS.format(words) + warned


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
        title = line_heading(contents, {"contrast": outlook.contrast, "reading": outlook.reading})
        # the others are in the CSV file
        for goal in ("benefit", "worthwhile") if outlook.center == CENTERS[0] else ("benefit",):
            if goal in outlook.curves and not (outlook.quick and goal == "worthwhile"):
                named = {DESIGN_NAMES[key]: curve for key, curve in outlook.curves[goal].items()}
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
            "row": line_heading(contents, line), "center": str(line["center"]),
            "another trial: mean (SD)":
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
               "part." + PRECISION * ("crossover" in designs)],
    )  # fmt: skip


def _mixture_table(contents: Contents, frame: pd.DataFrame) -> str:
    """Return the components as texts."""
    lines = [
        {"row": line_heading(contents, line), "center": f"{line['center']}, {line['component']}",
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
            "row": line_heading(contents, line),
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
