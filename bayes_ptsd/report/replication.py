"""A replication on the page: priors for it, what it would print, how large it has to be."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

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
from bayes_ptsd.replication.written import outlook_of, outlook_text
from bayes_ptsd.report.answers import Question, answered
from bayes_ptsd.report.contents import Contents, Row
from bayes_ptsd.report.markup import paragraph
from bayes_ptsd.report.replication_tables import (
    DESIGN_NAMES,
    assurance_table,
    line_heading,
    mixture_table,
    prediction_table,
    prior_table,
    size_table,
    trade_off_table,
)
from bayes_ptsd.report.section import Figure, Part, Section, details, gallery

__all__ = ["DOCUMENT", "average_weights", "centered_fits", "foretold", "replication_section"]

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


def foretold(contents: Contents, fits: Mapping[str, xr.DataTree]) -> tuple[Outlook, dict[str, Any]]:
    """Return the outlook of one of `centered_fits` with its document, stored or computed."""
    found = answered(contents, _question(contents, fits))["outlook"].to_dataset()
    texts = {name: str(found[name].item()) for name in ("outlook", "document")}
    return outlook_of(texts["outlook"]), json.loads(texts["document"])


def _question(contents: Contents, fits: Mapping[str, xr.DataTree]) -> Question:
    """Return what is asked of one row, averaged or under one reading, and one center."""
    first = next(iter(fits.values()))
    weights = average_weights(contents) if len(fits) > 1 else None

    def foretell() -> xr.DataTree:
        outlook = replication_outlook(
            fits, contents.evidence, quick=contents.quick, reading_weights=weights
        )
        texts = {"outlook": outlook_text(outlook),
                 "document": json.dumps(outlook_document(outlook))}  # fmt: skip
        return xr.DataTree.from_dict({"outlook": xr.Dataset(texts)})

    return Question(
        "replication-outlook",
        "treatment difference of a replication, score units, positive = active better",
        str(first.attrs["prior"]),
        {
            "results": {reading: str(fit.attrs["result_id"]) for reading, fit in fits.items()},
            "reading_weights": weights,
            "quick": contents.quick,
        },
        foretell,
    )


def _under(contents: Contents, row: Row, center: str) -> xr.DataTree:
    """Return the fit of one row under one prior."""
    return next(fit for fit in contents.fits[row] if fit.attrs["prior"] == center)


def replication_section(contents: Contents) -> Section | None:
    """Return priors, predictions, assurance and sizes of a replication of the headline rows.

    None without a reference SD or a center.
    """
    found = [foretold(contents, fits) for fits in centered_fits(contents)]
    if not found:
        return None
    outlooks = [outlook for outlook, _ in found]
    documents = [document for _, document in found]
    crossed = "crossover" in outlooks[0].designs
    drawn = {
        "priors": replication_prior_figure(outlooks),
        "predictions": prediction_figure(outlooks),
    }
    figures = [_figure(f"replication-{name}", figure_svg(one)) for name, one in drawn.items()]
    mixtures = mixture_table(contents, documents)
    assurance = assurance_table(contents, documents)
    parts: list[Part] = [
        paragraph(CURSE),
        paragraph(WEAKENED + _weights_text(outlooks)),
        gallery(figures),
        prior_table(contents, documents),
        details("The mixtures, component by component", mixtures),
        prediction_table(contents, documents),
        paragraph(PLANS + CROSSOVERS * crossed),
        gallery(_curves(contents, outlooks)),
        details("Assurance in numbers, and where P(benefit) will lie", assurance),
        size_table(contents, documents),
        trade_off_table(contents, documents),
        _files(outlooks),
    ]
    files = {outlook.name: document["exports"]["rbest"]
             for outlook, document in zip(outlooks, documents, strict=True)}  # fmt: skip
    files[DOCUMENT] = _whole(contents, documents)
    return Section("replication", "A replication", parts, files)


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


def _curves(contents: Contents, outlooks: Sequence[Outlook]) -> Iterator[Figure]:
    """Yield assurance for each row, reading and center."""
    for outlook in outlooks:
        title = line_heading(contents, {"contrast": outlook.contrast, "reading": outlook.reading})
        # the others are in the CSV file
        for goal in ("benefit", "worthwhile") if outlook.center == CENTERS[0] else ("benefit",):
            if goal in outlook.curves and not (outlook.quick and goal == "worthwhile"):
                named = {DESIGN_NAMES[key]: curve for key, curve in outlook.curves[goal].items()}
                figure = assurance_figure(
                    named, kind=contents.kind, heading=f"{title}, center {outlook.center}"
                )
                yield _figure(f"assurance-{goal}-{outlook.name}", figure_svg(figure))


def _figure(name: str, svg: str) -> Figure:
    """Return a figure whose numbers are in the files of the section."""
    words = name.replace("-", " ")
    return Figure(name, svg, f"{words} of a replication; the numbers are in the CSV files beside.")


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
