"""The priors: formula, interval in score units, source, worth in patients, what they expect."""

from __future__ import annotations

import math
from functools import partial
from html import escape

import pandas as pd

from bayes_ptsd.contrasts import READINGS, left_out, model_of
from bayes_ptsd.evidence.published import select_contrast
from bayes_ptsd.exact.printed import row_prior
from bayes_ptsd.prior_family import elir_ess
from bayes_ptsd.priors import Prior
from bayes_ptsd.report.contents import Contents, Row
from bayes_ptsd.report.headline import row_heading
from bayes_ptsd.report.markup import interval_text, number, paragraph, probability
from bayes_ptsd.report.section import Line, Section, Table

__all__ = ["priors_section"]

OWN_SCALE = ("cochrane",)
TAIL = "prior_predictive_tail"


def priors_section(contents: Contents) -> Section:
    """Return the priors of the headline rows, and how far the printed estimates lie from them.

    Score units of the first endpoint, with effective sample sizes in patients; every contrast as
    CSV.
    """
    endpoint = contents.main
    sd = f"{endpoint.reference_sd:g}" if endpoint.reference_sd else "the reference SD"
    notes = [
        "worth, patients: ELIR effective sample size, in patients of a parallel trial with 1:1 "
        f"allocation, both arms together, when the SD of the score is {sd}.",
        "Before the data: probabilities under the prior alone, positive = "
        f"{contents.trial.active} better.",
    ]
    text = (
        "A prior states which treatment differences were plausible before this trial. No single "
        "one is right; the spread of the answers shows how much the data settle. reference is no "
        "belief but a stand-in for flat, which samplers cannot take. All but "
        "cochrane are multiples of the endpoint's reference SD; cochrane is a multiple of the "
        "standard error of its row, so it differs between rows and says something about the "
        "study, not about the treatment."
    )
    numbers = _numbers(contents)
    family = Table(
        "priors", numbers, partial(_texts, contents), lines=_shown(contents, numbers),
        caption=f"Priors for {endpoint.label}, {endpoint.unit}.", convention="T",
        left=["formula", "where it comes from"], notes=notes,
    )  # fmt: skip
    missing = [
        paragraph(escape(f"{line}; so are figures and sections that are scaled by it."))
        for line in left_out(contents.evidence)
    ]
    return Section("priors", "Priors", [paragraph(text), *missing, family, _predictive(contents)])


def _shown(contents: Contents, numbers: pd.DataFrame) -> list[Line]:
    """Return the priors of the first headline row; row-scaled ones once per headline row."""
    lines = [
        line
        for line in numbers.to_dict("records")
        if _row(line) in contents.primary[: None if line["prior"] in OWN_SCALE else 1]
    ]
    return sorted(lines, key=lambda line: (contents.priors.index(line["prior"]),
                                           contents.primary.index(_row(line))))  # fmt: skip


def _row(line: Line) -> Row:
    """Return contrast and reading of a line."""
    return line["contrast"], line["crossover_reading"]


def _row_priors(contents: Contents, row: Row) -> list[Prior]:
    """Return the priors of one row."""
    selected = select_contrast(contents.evidence, row[0], crossover_reading=row[1])
    kept = contents.priors_of(row[0])
    spec = model_of(selected, convention="T", prior=kept[0])
    return [row_prior(spec.having(priors={"treatment": name}), selected) for name in kept]


def _texts(contents: Contents, line: Line) -> Line:
    """Return one prior as texts; an improper one has no interval."""
    where = f" ({row_heading(contents, _row(line)).lower()})" if line["prior"] in OWN_SCALE else ""
    return {
        "prior": line["prior"] + where,
        "formula": "constant (improper)" if math.isnan(line["low"]) else line["formula"],
        "95% interval": interval_text(line["low"], line["high"], contents.digits(line["contrast"])),
        "worth, patients": number(line["ess_patients"], 1),
        "P(> 0) before": probability(line["prob_benefit"]),
        "P(> MCID) before": probability(line["prob_gt_mcid"]),
        "where it comes from": line["source"] if _row(line) == contents.primary[0] else "as above",
    }


def _facts(contents: Contents, row: Row, prior: Prior) -> dict[str, float]:
    """Return what a prior says, NaN where an improper prior says nothing."""
    endpoint = contents.endpoint(row[0])
    low, high = prior.interval() if prior.proper else (math.nan, math.nan)
    sd, mcid = endpoint.reference_sd, endpoint.mcid
    information = elir_ess(prior, information=1.0)
    return {
        "low": low,
        "high": high,
        "information": information,
        "ess_patients": information * (2 * sd) ** 2 if sd else math.nan,
        "prob_benefit": float(prior.sf(0.0)) if prior.proper else math.nan,
        "prob_gt_mcid": float(prior.sf(mcid)) if prior.proper and mcid else math.nan,
    }


def _numbers(contents: Contents) -> pd.DataFrame:
    """Return the priors of every contrast and reading as numbers."""
    lines = []
    known: dict[str, tuple[Prior, dict[str, float]]] = {}
    for name in contents.contrasts:
        readings = READINGS if contents.analysis(name) == "crossover" else READINGS[:1]
        for row in ((name, reading) for reading in readings):
            for prior in _row_priors(contents, row):
                if prior.name in OWN_SCALE:
                    if prior.name not in known:
                        known[prior.name] = prior, _facts(contents, row, prior)
                    facts = _rescaled(contents, row, prior, *known[prior.name])
                else:
                    facts = _facts(contents, row, prior)
                lines.append({
                    "contrast": row[0], "crossover_reading": row[1], "prior": prior.name,
                    "formula": prior.formula, "source": prior.source,
                    "evidence_kind": contents.kind, **facts,
                })  # fmt: skip
    return pd.DataFrame(lines)


def _rescaled(
    contents: Contents, row: Row, prior: Prior, other: Prior, facts: dict[str, float]
) -> dict[str, float]:
    """Return the facts of a prior that is another one in other units: no new quadrature."""
    factor = prior.sd / other.sd
    endpoint = contents.endpoint(row[0])
    scaled = {key: factor * facts[key] for key in ("low", "high")}
    sd, beyond = endpoint.reference_sd, endpoint.mcid
    unit = facts["information"] / factor**2
    return scaled | {
        "information": unit,
        "ess_patients": unit * (2 * sd) ** 2 if sd else math.nan,
        "prob_benefit": facts["prob_benefit"],
        "prob_gt_mcid": float(prior.sf(beyond)) if beyond else math.nan,
    }


def _predictive(contents: Contents) -> Table:
    """Return the prior predictive check, a line per prior and a column per headline row."""
    frame = pd.DataFrame([
        {"contrast": row[0], "crossover_reading": row[1], "prior": fit.attrs["prior"],
         TAIL: float(fit["checks"].to_dataset()["figure"].sel(check=TAIL)),
         "evidence_kind": fit.attrs["evidence_kind"]}
        for row, fits in contents.fits.items()
        for fit in fits
    ])  # fmt: skip
    shown = contents.priors_of(contents.primary[0][0])
    lines: dict[str, dict[str, str]] = {prior: {"prior": prior} for prior in shown}
    for one in frame.to_dict("records"):
        lines[one["prior"]][row_heading(contents, _row(one))] = probability(one[TAIL])
    return Table(
        "prior-predictive", frame, lines=lines.values(),
        caption="Would this prior have expected the printed estimate?", convention="T",
        notes=[
            "Probability under the prior, before the data, of an estimate at least this far out, "
            "doubled (Box). Below .05 prior and data disagree, and their compromise should not be "
            "quoted alone."
        ],
    )  # fmt: skip
