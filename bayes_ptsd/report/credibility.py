"""What each printed interval says about its own credibility, in plain columns."""

from __future__ import annotations

import math

import pandas as pd
import xarray as xr

from bayes_ptsd.credibility import assess_interval
from bayes_ptsd.evidence.published import select_contrast
from bayes_ptsd.report.contents import Contents
from bayes_ptsd.report.markup import ABSENT, interval_text, number, paragraph, probability
from bayes_ptsd.report.section import Part, Section, Table

__all__ = ["credibility_section"]

READINGS = {"as_published": "as published", "unhalved": "unhalved"}
READING_NOTE = (
    " z, P and everything computed from them alone do not depend on whether a crossover contrast "
    "was halved; columns in score units, and Bayes factors of priors stated in score units, do."
)
WORDY = ("critical prior, 95% interval", "the same, unhalved")
Assessed = dict[str, dict[str, xr.Dataset]]


def credibility_section(contents: Contents) -> Section:
    """Return Bayes factors, reverse-Bayes measures, shrinkage and replication under convention N.

    What is undefined says why; measures in score units stand under both readings of a crossover.
    """
    assessed = {name: _assess(contents, name) for name in contents.contrasts}
    text = "Each line uses one printed estimate with its 95% interval and nothing else." + (
        READING_NOTE if _both_readings(assessed) else ""
    )
    numbers = _numbers(contents, assessed)
    parts: list[Part] = [
        paragraph(text),
        _evidence_table(contents, assessed, numbers),
        _factor_table(contents, assessed, numbers),
        _replication_table(contents, assessed, numbers),
    ]
    return Section("credibility", "Credibility", parts)


def _assess(contents: Contents, name: str) -> dict[str, xr.Dataset]:
    """Return the measures of one contrast under each reading that applies."""
    crossover = contents.analysis(name) == "crossover"
    assessed = {}
    for reading in READINGS if crossover else ("as_published",):
        row = select_contrast(contents.evidence, name, crossover_reading=reading)
        printed = row.data["effects"].to_dataset()
        estimate, low, high = (
            float(printed[key]) for key in ("estimate", "interval_low", "interval_high")
        )
        sd = contents.endpoint(name).reference_sd
        priors = contents.priors if sd else None
        assessed[reading] = assess_interval(estimate, low, high, sd=sd, priors=priors)
    return assessed


def _one(dataset: xr.Dataset, key: str, **where: str) -> float:
    """Return one measure under convention N."""
    value = dataset[key]
    labels = {"convention": "N"} | where
    return float(value.sel({k: v for k, v in labels.items() if k in value.dims}))


def _evidence_table(contents: Contents, assessed: Assessed, numbers: pd.DataFrame) -> Table:
    """Return measures of one interval on its own."""
    both, lines = _both_readings(assessed), []
    for name, found in assessed.items():
        own, digits = found["as_published"], contents.digits(name) + 1
        line = {
            "contrast": contents.row_name(name),
            "z": number(_one(own, "z"), 2),
            "P": probability(_one(own, "p_value"), 4),
            "least BF01": number(_one(own, "minimum_bayes_factor"), 3),
            "BF01 bound from P": number(_one(own, "sellke_bound"), 3),
            "P intrinsic, Held": probability(_one(own, "intrinsic_p", method="held")),
            "P intrinsic, Matthews": probability(_one(own, "intrinsic_p", method="matthews")),
            WORDY[0]: _critical(own, digits),
        }
        unhalved = _critical(found["unhalved"], digits) if "unhalved" in found else ""
        lines.append(line | {WORDY[1]: unhalved} if both else line)
    return Table(
        "credibility", numbers, lines=lines,
        caption="How strong is the evidence in one interval, and which prior would undo it?",
        convention="N", left=WORDY if both else WORDY[:1],
        notes=[
            "least BF01: the Bayes factor for no difference that the most favorable alternative "
            "leaves; no prior can make the evidence against no difference stronger. BF01 bound "
            "from P: \N{MINUS SIGN}e P ln P, undefined (dash) for P at or above .368.",
            "P intrinsic: the P value after the discount a sufficiently skeptical reader applies.",
            "Critical prior. Skeptic: a prior around 0 whose 95% interval is the one given, or "
            "narrower, makes the posterior interval include 0. Advocate: a prior with the 95% "
            "interval given makes it just exclude 0. Undefined where a limit is exactly 0, or the "
            "interval is symmetric about 0.",
        ],
    )  # fmt: skip


def _both_readings(assessed: Assessed) -> bool:
    """Tell whether any contrast has two readings."""
    return any("unhalved" in found for found in assessed.values())


def _critical(dataset: xr.Dataset, digits: int) -> str:
    """Return the critical prior of one interval in words."""
    kind = str(dataset["critical_kind"].item())
    if kind == "undefined":
        return f"undefined: {dataset['critical_reason'].item()}"
    low, high = (float(dataset[f"critical_prior_{side}"]) for side in ("low", "high"))
    who = "skeptic" if kind == "skepticism" else "advocate"
    return f"{who}: {interval_text(low, high, digits)}"


def _factor_table(contents: Contents, assessed: Assessed, numbers: pd.DataFrame) -> Table:
    """Return the Bayes factors against the alternative of each proper prior."""
    proper, both = [prior for prior in contents.priors if prior != "flat"], _both_readings(assessed)
    readings = READINGS if both else {"as_published": ""}
    lines = [
        {"contrast": contents.row_name(name)}
        | {
            f"{reading}|{prior}": _factor(found[reading], prior) if reading in found else ABSENT
            for reading in readings
            for prior in proper
        }
        for name, found in assessed.items()
    ]
    spanners = {head: [f"{reading}|{prior}" for prior in proper]
                for reading, head in readings.items()}  # fmt: skip
    return Table(
        "credibility", numbers, lines=lines,
        caption="Bayes factor BF10 of each prior's alternative over no difference.",
        convention="N", spanners=spanners if both and proper else {},
        notes=[
            "Above 1 the data favor the alternative described by the prior, below 1 no difference. "
            "Prior odds of 19 / BF10 are needed for a posterior probability of .95. The flat prior "
            "is improper and has no Bayes factor. A wide prior (reference) is a poor alternative: "
            "it spreads its bets.",
        ],
    )  # fmt: skip


def _factor(dataset: xr.Dataset, prior: str) -> str:
    """Return one Bayes factor, or a dash where the prior is not among those assessed."""
    if prior not in dataset["prior"].values:
        return ABSENT
    value = _one(dataset, "bayes_factor_10", prior=prior)
    return ABSENT if math.isnan(value) else f"{value:#.3g}".rstrip(".")


def _replication_table(contents: Contents, assessed: Assessed, numbers: pd.DataFrame) -> Table:
    """Return shrinkage by the Cochrane record and what a replication would show."""
    lines = []
    for name, found in assessed.items():
        own = found["as_published"]
        line = {
            "contrast": contents.row_name(name),
            "record|share that remains": probability(_one(own, "shrinkage_factor"), 2),
            "record|exaggeration": number(_one(own, "exaggeration"), 2),
            "record|P(sign is right)": probability(_one(own, "sign_probability")),
        }
        for prior in ("flat", "cochrane"):
            if prior in own["prior"].values:
                value = _one(own, "replication_probability", prior=prior)
                line[f"again|{prior}"] = probability(value, 2)
        certain = _one(own, "replication_probability_conditional")
        line["again|estimate is the truth"] = probability(certain, 2)
        for kind in ("nominal", "golden", "controlled"):
            line[f"sceptical|{kind}"] = probability(_one(own, "sceptical_p", calibration=kind))
        lines.append(line)
    heads = {
        "record": "Cochrane record",
        "again": "P(replication of equal size: P < .05, same direction)",
        "sceptical": "sceptical P, one-sided",
    }
    spanners = {
        head: [heading for heading in lines[0] if heading.startswith(f"{key}|")]
        for key, head in heads.items()
    }
    return Table(
        "credibility", numbers, lines=lines,
        caption="Shrinkage, and what a replication of equal size would have to show.",
        convention="N", spanners=spanners,
        notes=[
            "share that remains: of the estimate, after shrinkage by the record of other trials "
            "(van Zwet and others 2021). exaggeration: estimate over the median size of the true "
            "difference given z.",
            "sceptical P: of this result with a replication of equal size that finds exactly the "
            "same estimate (Held 2020, in three calibrations).",
        ],
    )  # fmt: skip


def _numbers(contents: Contents, assessed: Assessed) -> pd.DataFrame:
    """Return every measure of every contrast and reading, one line each."""
    lines = []
    for name, found in assessed.items():
        for reading, dataset in found.items():
            flat = dataset.sel(convention="N").to_dataframe().reset_index()
            shown = flat.drop(columns="convention", errors="ignore")
            lines.append(
                shown.assign(
                    contrast=name, crossover_reading=reading, convention="N",
                    evidence_kind=contents.kind,
                )
            )  # fmt: skip
    return pd.concat(lines, ignore_index=True)
