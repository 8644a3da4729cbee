"""The first screen: the trial, what was printed, what priors make of it, what contradicts it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from bayes_ptsd.comparison.published import ANSWER
from bayes_ptsd.evidence.measured_rows import level_of, p_bound, printed_scale
from bayes_ptsd.evidence.published import select_contrast
from bayes_ptsd.evidence.readings import AVERAGED, CROSSOVER_READINGS, of_treatment
from bayes_ptsd.readings.notes import average_note, counted_in, weights_text
from bayes_ptsd.report.audit import contradictions
from bayes_ptsd.report.contents import HEADLINE_PRIORS, Contents, Row, analysis_name
from bayes_ptsd.report.markup import (
    ABSENT,
    SPACE,
    around,
    bullets,
    number,
    paragraph,
    plain,
    printed_number,
    probability,
)
from bayes_ptsd.report.section import Group, Part, Section, Table, block

__all__ = [
    "first_screen",
    "p_text",
    "printed_text",
    "row_file_name",
    "row_heading",
    "trial_sentences",
]

ENDS = ("estimate", "ci_low", "ci_high")


def first_screen(contents: Contents) -> Section:
    """Return what a reader sees first: the trial, its print, the headline table, loud findings.

    The crossover is averaged over its readings, then as published and unhalved.
    """
    left = block(
        paragraph(trial_sentences(contents), kind="lead"),
        "<h3>What was printed</h3>",
        bullets(escape(_printed_sentence(contents, name)) for name in _primary_contrasts(contents)),
        "<h3>What different readers make of it</h3>",
        _headline(contents),
        *_average(contents),
        *_ranges(contents),
        paragraph(
            "ETI: equal-tailed interval; the difference lies in it with probability .95 if the "
            "prior is accepted. P(better) is the probability that the difference exceeds 0, not 1 "
            "minus a P value. flat: the data alone; skeptical: large differences are rare; "
            "enthusiastic: the planned difference is expected; cochrane: a trial like the 20,000 "
            "on record.",
            kind="note",
        ),
    )
    right = block("<h3>What contradicts it</h3>", _contradictions(contents))
    split = Group('<div class="split">', [left, right], "</div>", glue="")
    return Section("summary", "In one minute", [split])


def trial_sentences(contents: Contents) -> str:
    """Return the trial in two sentences made of its description and its flow of patients."""
    trial = contents.trial
    arms = _arms(contents)
    total = sum(arms.values()) or int(np.nan_to_num(contents.effects["n"].max()))
    who = f"{total} patients were randomized to" if total else "Patients were randomized to"
    orders = {key: " then ".join(order) for key, order in trial.sequences.items()}
    groups = orders or {"": f"{trial.active} or {trial.control}"}
    sized = [f"{text} ({arms[key]})" if key in arms else text for key, text in groups.items()]
    sizes = [f"{int(n)} in its {analysis}" for analysis, n in _sizes(contents).items()]
    outcome = f"The first outcome is {contents.main.label}"
    analyzed = f", with {' and '.join(sizes)} analysis" if sizes else ""
    return f"{who} {' or '.join(sized)}. {outcome}{analyzed}."


def row_heading(contents: Contents, row: Row) -> str:
    """Return the heading of a headline row; the reading is named where it matters."""
    name, reading = row
    analysis = analysis_name(contents.analysis(name)).capitalize()
    if contents.analysis(name) != "crossover":
        return analysis
    return f"{analysis}, {plain(reading)}"


def row_file_name(contents: Contents, row: Row) -> str:
    """Return the name of a headline row in file names."""
    return row_heading(contents, row).lower().replace(",", "").replace(" ", "-")


def printed_text(contents: Contents, name: str) -> str:
    """Return estimate and interval of a contrast with the digits they were printed with."""
    row = contents.rows[name]
    values = [float(row[key]) for key in ENDS]
    digits = [int(row[f"{key}_decimals"]) for key in ENDS]
    scale = printed_scale(row)
    if scale is not None:
        values = [scale.printed(values[0]), *scale.limits(*values[1:])]
        digits[1:] = digits[1:][:: scale.sign]
    texts = [printed_number(value, one) for value, one in zip(values, digits, strict=True)]
    if digits[0] < 0:
        texts[0] = f"{number(values[0], contents.digits(name))} from {row['se_source']}"
    if texts[1] == ABSENT:
        return f"{texts[0]} (no interval)"
    level = level_of(row)
    said = "" if level == 0.95 else f", {100 * level:g}%"
    return f"{texts[0]} ({SPACE.join([texts[1], 'to', texts[2]])}{said})"


def p_text(row: Mapping[str, Any]) -> str:
    """Return the P of a row as printed, also a bound."""
    return p_bound(row) or printed_number(
        float(row["p_value"]), int(row["p_value_decimals"]), bare=True
    )


def _printed_sentence(contents: Contents, name: str) -> str:
    """Return one printed row as a sentence."""
    row, trial = contents.rows[name], contents.trial
    scale = printed_scale(row)
    unit = contents.endpoint(name).unit if scale is None else scale.label
    favored = trial.active if row["estimate"] >= 0 else trial.control
    patients = f", {number(row['n'], 0)} patients" if row["n"] == row["n"] else ""
    place = f" ({row['section']})" if row["section"] else ""
    return (
        f"{contents.row_name(name)}: {printed_text(contents, name)} {unit} "
        f"in favor of {favored}, 95% CI in parentheses, P {p_text(row)}{patients}{place}"
    )


def _headline(contents: Contents) -> Table:
    """Return the headline: a column per analysis and reading, a group per quantity."""
    unit, mcid = contents.main.unit, contents.main.mcid
    difference, active = f"Difference, {unit}", contents.trial.active
    about = f"treatment difference in {unit}, positive = {active} better"
    scale = printed_scale(contents.rows[contents.primary[0][0]])
    if scale is not None:
        unit, mcid = scale.label, None if mcid is None else scale.printed(mcid)
        difference = f"{unit.capitalize()}, median"
        about = f"{unit}, {scale.below} 1 = {active} better"
    quantities = {difference: "mean", f"P({active} better)": "prob_benefit"}
    if mcid is not None:
        quantities[f"P(better by more than {mcid:g} {unit}, the MCID)"] = "prob_gt_mcid"
    printed = {row_heading(contents, row): _start_text(contents, row) for row in contents.headline}
    lines = [
        {"quantity": quantity, "prior": prior}
        | {row_heading(contents, row): _text(contents, row, prior, key)
           for row in contents.headline}
        for quantity, key in quantities.items()
        for prior in _priors(contents)
    ]  # fmt: skip
    return Table(
        "headline", _numbers(contents),
        lines=[{"quantity": difference, "prior": "printed, 95% CI"} | printed, *lines],
        caption=f"{contents.main.label}, {about}.",
        convention=contents.table.attrs["convention"], group="quantity", stub="prior",
    )  # fmt: skip


def _text(contents: Contents, row: Row, prior: str, key: str) -> str:
    """Return a probability, or the posterior mean with its interval, of a headline row."""
    cell = _cell(contents, row, prior)
    if key != "mean":
        return probability(cell[key])
    ratio = printed_scale(contents.rows[row[0]]) is not None
    shown = ANSWER if ratio else ("mean", "eti95_low", "eti95_high")
    middle, low, high = (float(cell[name]) for name in shown)
    return around(middle, low, high, contents.digits(row[0]))


def _start_text(contents: Contents, row: Row) -> str:
    """Return the interval that a headline row starts from: as printed, or halved by its reading."""
    name, reading = row
    if reading == "as_published":
        return printed_text(contents, name)
    if reading == AVERAGED:
        weights = of_treatment(contents.weights[0])
        scale = sum(w * CROSSOVER_READINGS[one].scale for one, w in weights.items())
        value = scale * contents.rows[name]["estimate"]
        ratio = printed_scale(contents.rows[name])
        shown = value if ratio is None else ratio.printed(value)
        return f"{number(shown, contents.digits(name) + 1)} on average"
    selected = select_contrast(contents.evidence, name, crossover_reading=reading)
    read = selected.data["effects"].to_dataset()
    digits = contents.digits(name) + 1
    low, middle, high = (float(read[key]) for key in ("interval_low", "estimate", "interval_high"))
    ratio = printed_scale(read)
    if ratio is not None:
        middle, (low, high) = ratio.printed(middle), ratio.limits(low, high)
    return around(middle, low, high, digits)


def _cell(contents: Contents, row: Row, prior: str) -> Mapping[str, Any]:
    """Return the comparison of one headline row and prior."""
    return contents.cells["T", row[0], row[1], prior]


def _numbers(contents: Contents) -> pd.DataFrame:
    """Return the headline as numbers."""
    columns = [
        "contrast", "crossover_reading", "prior", "convention", "mean", "median", "sd",
        "eti95_low", "eti95_high", "prob_benefit", "prob_gt_mcid", "result_id", "evidence_kind",
    ]  # fmt: skip
    cells = [_cell(contents, row, p) for row in contents.headline for p in _priors(contents)]
    return pd.DataFrame(cells)[columns]


def _priors(contents: Contents) -> list[str]:
    """Return the headline priors that the page has."""
    return [
        prior for prior in HEADLINE_PRIORS if prior in contents.priors_of(contents.primary[0][0])
    ]


def _ranges(contents: Contents) -> list[Part]:
    """Say how far the priors move each probability."""
    items = []
    for row in contents.headline:
        cells = [_cell(contents, row, prior) for prior in _priors(contents)]
        text = f"{row_heading(contents, row)}: P(better) {_span(cells, 'prob_benefit')}"
        if contents.endpoint(row[0]).mcid is not None:
            text += f", P(better by more than the MCID) {_span(cells, 'prob_gt_mcid')}"
        items.append(escape(text))
    return [paragraph("How far these priors move the answer:"), bullets(items)]


def _average(contents: Contents) -> list[str]:
    """Say what the averaged column averages over, and what it leaves out."""
    averaged = next((row for row in contents.headline if row[1] == AVERAGED), None)
    if averaged is None:
        return []
    weights, source = contents.weights
    text = average_note(weights, source)
    if (share := weights.get("carryover_covariate", 0.0)) > 0:
        kept = contents.priors_of(averaged[0])
        prior = _priors(contents)[0] if _priors(contents) else kept[0]
        printed = _cell(contents, (averaged[0], "as_published"), prior)
        text = f"{text} {counted_in(_cell(contents, averaged, prior), printed, share)}"
    return [paragraph(text)]


def _span(cells: Sequence[Mapping[str, Any]], key: str) -> str:
    """Return the smallest and the largest of a probability."""
    values = [cell[key] for cell in cells]
    return f"{probability(min(values))} to {probability(max(values))}"


def _arms(contents: Contents) -> dict[str, int]:
    """Return the patients randomized to each sequence, where the flow of patients says so."""
    if "flow" not in contents.evidence.data.children:
        return {}
    flow = contents.evidence.data["flow"].to_dataset()
    randomized = flow.isel(step=flow["stage"].values == "randomized")
    pairs = zip(randomized["sequence"].values, randomized["count"].values, strict=True)
    return {str(key): int(count) for key, count in pairs if key}


def _primary_contrasts(contents: Contents) -> list[str]:
    """Return the headline contrasts, each once."""
    return list(dict.fromkeys(name for name, _ in contents.primary))


def _sizes(contents: Contents) -> dict[str, float]:
    """Return the number of patients of each headline analysis."""
    sizes = {
        analysis_name(contents.analysis(name)): float(contents.rows[name]["n"])
        for name in _primary_contrasts(contents)
    }
    return {key: size for key, size in sizes.items() if size == size}


def _contradictions(contents: Contents) -> str:
    """Return what a reader must know before using any number."""
    lines = contradictions(contents)
    if any(contents.analysis(name) == "crossover" for name in contents.contrasts):
        lines.insert(1, escape(_reading_line(contents)))
    return bullets(lines) if lines else paragraph("The audit found no contradiction.")


def _reading_line(contents: Contents) -> str:
    """Say what is known of how the crossover contrast was formed."""
    weights, source = contents.weights
    text = (
        "crossover_reading: the paper does not say whether the crossover contrast is the treatment "
        "difference (as published), twice that (unhalved) or something else, so every claim in "
        "score units about it stands under both scales. "
    )
    if weights:
        text += f"It can be weighed, not proved: {weights_text(weights)}, {source}. "
    return text + "P and P(better) under flat and cochrane are the same under both scales."
