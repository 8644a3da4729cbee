"""The priors: formula, interval in score units, source, worth in patients, what they expect."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd

from bayes_ptsd.contrasts import model_of
from bayes_ptsd.evidence.published import select_contrast
from bayes_ptsd.exact.printed import row_prior
from bayes_ptsd.prior_family import elir_ess
from bayes_ptsd.priors import Prior
from bayes_ptsd.report.contents import Contents, Row
from bayes_ptsd.report.headline import row_heading
from bayes_ptsd.report.markup import ABSENT, Section, interval_text, join, number, paragraph
from bayes_ptsd.report.markup import probability as probability_text
from bayes_ptsd.report.table import table_html

__all__ = ["priors_section"]

OWN_SCALE = ("cochrane",)
TAIL = "prior_predictive_tail"


def priors_section(contents: Contents) -> Section:
    """Return the priors of the headline rows, and how far the printed estimates lie from them.

    Score units of the first endpoint, with effective sample sizes in patients; every contrast as
    CSV.
    """
    endpoint = contents.endpoint(contents.primary[0][0])
    sd = f"{endpoint.reference_sd:g}" if endpoint.reference_sd else "the reference SD"
    lines = [_line(contents, row, prior) for row, prior in _shown(contents)]
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
    html = join(
        paragraph(text),
        table_html(
            pd.DataFrame(lines),
            caption=f"Priors for {endpoint.label}, {endpoint.unit}.",
            kind=contents.kind,
            convention="T",
            name="priors",
            left=["formula", "where it comes from"],
            notes=notes,
        ),
        _predictive_table(contents),
    )
    tables = {"priors": _numbers(contents), "prior-predictive": _predictive_numbers(contents)}
    return Section("priors", "Priors", html, tables)


def _shown(contents: Contents) -> Iterator[tuple[Row, Prior]]:
    """Yield the priors of the table: one line each, row-scaled ones once per headline row."""
    of = {row: _row_priors(contents, row) for row in contents.primary}
    for index, name in enumerate(contents.priors):
        for row in contents.primary if name in OWN_SCALE else contents.primary[:1]:
            yield row, of[row][index]


def _row_priors(contents: Contents, row: Row) -> list[Prior]:
    """Return the priors of one row."""
    selected = select_contrast(contents.evidence, row[0], crossover_reading=row[1])
    spec = model_of(selected, convention="T", prior=contents.priors[0])
    return [
        row_prior(spec.having(priors={"treatment": name}), selected) for name in contents.priors
    ]


def _line(contents: Contents, row: Row, prior: Prior) -> dict[str, str]:
    """Return one prior as texts."""
    facts = _facts(contents, row, prior)
    digits = contents.digits(row[0])
    where = f" ({row_heading(contents, row).lower()})" if prior.name in OWN_SCALE else ""
    return {
        "prior": prior.name + where,
        "formula": prior.formula if prior.proper else "constant (improper)",
        "95% interval": interval_text(facts["low"], facts["high"], digits),
        "worth, patients": number(facts["ess_patients"], 1),
        "P(> 0) before": probability_text(facts["prob_benefit"]),
        "P(> MCID) before": probability_text(facts["prob_gt_mcid"]),
        "where it comes from": prior.source if row == contents.primary[0] else "as above",
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
        readings = [r for r in ("as_published", "unhalved") if _applies(contents, name, r)]
        for row in ((name, reading) for reading in readings):
            for prior in _row_priors(contents, row):
                if prior.name in OWN_SCALE:
                    if prior.name not in known:
                        known[prior.name] = prior, _facts(contents, row, prior)
                    facts = _rescaled(contents, row, prior, *known[prior.name])
                else:
                    facts = _facts(contents, row, prior)
                lines.append(_number_line(contents, row, prior) | facts)
    return pd.DataFrame(lines)


def _number_line(contents: Contents, row: Row, prior: Prior) -> dict[str, Any]:
    """Return what identifies one prior of one row."""
    return {
        "contrast": row[0],
        "crossover_reading": row[1],
        "prior": prior.name,
        "formula": prior.formula,
        "source": prior.source,
        "evidence_kind": contents.kind,
    }


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


def _applies(contents: Contents, name: str, reading: str) -> bool:
    """Tell whether a reading applies to a contrast."""
    return reading == "as_published" or contents.analysis(name) == "crossover"


def _predictive_numbers(contents: Contents) -> pd.DataFrame:
    """Return the prior predictive tail of every headline fit."""
    rows = []
    for row, fits in contents.fits.items():
        for fit in fits:
            checks = fit["checks"].to_dataset()
            rows.append(
                {
                    "contrast": row[0],
                    "crossover_reading": row[1],
                    "prior": fit.attrs["prior"],
                    TAIL: float(checks["figure"].sel(check=TAIL)),
                    "evidence_kind": fit.attrs["evidence_kind"],
                }
            )
    return pd.DataFrame(rows)


def _predictive_table(contents: Contents) -> str:
    """Return the prior predictive check, a line per prior and a column per headline row."""
    numbers = _predictive_numbers(contents)
    lines = []
    for prior in contents.priors:
        own = numbers[numbers["prior"] == prior]
        cells = {
            row_heading(contents, (line["contrast"], line["crossover_reading"])): _tail(line[TAIL])
            for line in own.to_dict("records")
        }
        lines.append({"prior": prior} | cells)
    return table_html(
        pd.DataFrame(lines),
        caption="Would this prior have expected the printed estimate?",
        kind=contents.kind,
        convention="T",
        name="prior-predictive",
        notes=[
            "Probability under the prior, before the data, of an estimate at least this far out, "
            "doubled (Box). Below .05 prior and data disagree, and their compromise should not be "
            "quoted alone."
        ],
    )


def _tail(value: float) -> str:
    """Return a tail probability, a dash where the prior is improper."""
    return ABSENT if math.isnan(value) else probability_text(value)
