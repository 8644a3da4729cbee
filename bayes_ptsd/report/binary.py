"""Remission and adverse events: risks, their contrasts, and what their denominators are."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import xarray as xr

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.exact.binary_outcomes import binary_table, items_table, paired_table
from bayes_ptsd.report.contents import Contents
from bayes_ptsd.report.markup import (
    Section,
    interval_text,
    join,
    number,
    paragraph,
    probability,
    typeset,
)
from bayes_ptsd.report.table import table_html

__all__ = ["binary_section"]

PRIORS = {"jeffreys": "Jeffreys"}


def binary_section(contents: Contents) -> Section | None:
    """Return risk difference, risk ratio and odds ratio under two priors; None without counts."""
    try:
        table = binary_table(contents.evidence)
    except EvidenceError:
        return None
    active = contents.trial.active
    lines = [
        _line(table.sel(outcome=outcome, prior=prior), contents)
        for outcome in table["outcome"].values
        for prior in table["prior"].values
    ]
    text = (
        f"Independent beta-binomial posteriors. P(more) is the probability that the event is more "
        f"frequent under {active}: benefit for remission, harm for an adverse event. Ratios are "
        "medians, because their means need not exist."
    )
    paired, together = paired_table(contents.evidence), items_table(contents.evidence)
    html = join(
        paragraph(text),
        table_html(
            pd.DataFrame(lines),
            caption=f"Events under {active} against {contents.trial.control}.",
            kind=contents.kind,
            convention=str(table.attrs["convention"]),
            name="binary",
            group="event",
            stub="prior",
            notes=list(_caveats(table)),
        ),
        "" if paired is None else _pairing(paired, contents),
        "" if together is None else _items(together, contents),
    )
    tables = {"binary": _numbers(table)}
    if paired is not None:
        tables["binary-pairing"] = _bounded(paired, "eti95")
    if together is not None:
        tables["binary-items"] = _bounded(together, "eti95", "center_eti95")
    return Section("binary", "Remission and adverse events", html, tables)


def _pairing(table: xr.Dataset, contents: Contents) -> str:
    """Return adverse events with the exposures of one person tied, whoever had them twice."""
    active, lines = contents.trial.active, []
    for outcome in table["outcome"].values:
        for correlation in table["correlation"].values:
            cell = table.sel(outcome=outcome, correlation=correlation)
            said = str(correlation)
            line = {
                "event": typeset(str(cell["label"].item())),
                "correlation": "any, uniform" if said == "uniform" else said.lstrip("0"),
            }
            for name, digits in (("risk_difference", 2), ("odds_ratio", 1)):
                one = cell.sel(estimand=name)
                low, high = one["eti95"].values
                head = f"{name.replace('_', ' ')}, median (95% ETI)"
                middle = number(float(one["median"]), digits)
                line[head] = f"{middle} ({interval_text(low, high, digits)})"
            line[f"P(more under {active})"] = probability(float(cell["prob_more_active"]))
            lines.append(line)
    text = (
        f"At least {table.attrs['both']} people had both treatments; who had an event twice is not "
        "printed. Here a patient effect ties a person's two exposures, and all ways in which the "
        "printed counts can have come about are summed over. The counts say nothing about the "
        "correlation: its posterior is its prior."
    )
    return join(
        paragraph(text),
        table_html(
            pd.DataFrame(lines),
            caption="Adverse events, exposures of one person tied.",
            kind=contents.kind,
            convention="logistic-normal, pairing integrated out; Jeffreys on marginal risks",
            name="binary-pairing",
            group="event",
            stub="correlation",
        ),
    )


def _items(table: xr.Dataset, contents: Contents) -> str:
    """Return the items of the checklist under one prior, for correlations between items."""
    active, lines = contents.trial.active, []
    for correlation in table["correlation"].values:
        cell = table.sel(correlation=correlation)
        named = [
            (str(one["label"].item()), one["median"], one["eti95"], one["prob_more_active"])
            for one in (cell.sel(outcome=outcome) for outcome in cell["outcome"].values)
        ]
        center = (cell["center_mean"], cell["center_eti95"], cell["prob_center_more"])
        for label, middle, bounds, more in [("mean of the items", *center), *named]:
            low, high = np.exp(bounds.values)
            odds = f"{number(float(np.exp(middle)))} ({interval_text(low, high)})"
            lines.append({
                "items correlate": f"items correlate {number(float(correlation))}, "
                f"counts weigh {number(float(cell['weight']), 2)}",
                "event": typeset(label),
                "odds ratio (95% ETI)": odds,
                f"P(more under {active})": probability(float(more)),
            })  # fmt: skip
    spread = table["spread_mean"].values
    text = (
        f"{table.sizes['outcome']} items of one checklist under one prior: log odds ratios normal "
        "around a mean (standard normal) with a spread (half-normal, scale 0.5). The items come "
        "from the same people, so every count weighs 1 / (1 + (items - 1) correlation). The spread "
        f"has a prior mean of {table.attrs['spread_prior_mean']:.2f} and a posterior mean of "
        f"{spread.min():.2f} to {spread.max():.2f}."
    )
    return join(
        paragraph(text),
        table_html(
            pd.DataFrame(lines),
            caption="Adverse events of the checklist together.",
            kind=contents.kind,
            convention="hierarchical logistic, independent exposures, counts tempered",
            name="binary-items",
            group="items correlate",
            stub="event",
        ),
    )


def _bounded(table: xr.Dataset, *intervals: str) -> pd.DataFrame:
    """Return numbers with the limits of each interval in columns of their own."""
    limits = {
        f"{name}_{side}": table[name].sel(bound=side, drop=True)
        for name in intervals
        for side in ("low", "high")
    }
    frame = table.drop_dims("bound").assign(limits).to_dataframe().reset_index()
    return frame.assign(evidence_kind=table.attrs["evidence_kind"])


def _caveats(table: xr.Dataset) -> Iterator[str]:
    """Yield each caveat with the outcomes that it is about."""
    pairs = list(zip(table["label"].values, table["caveat"].values, strict=True))
    for caveat in dict.fromkeys(caveat for _, caveat in pairs):
        labels = [str(label) for label, own in pairs if own == caveat]
        others = f" and {len(labels) - 1} others" if len(labels) > 1 else ""
        yield typeset(f"{labels[0]}{others}: {caveat}.").capitalize()


def _line(cell: xr.Dataset, contents: Contents) -> dict[str, str]:
    """Return one outcome under one prior as texts."""
    arms = (contents.trial.active, contents.trial.control)
    counts = {
        arm: f"{int(cell['events'].sel(treatment=arm))}/{int(cell['n'].sel(treatment=arm))}"
        for arm in arms
    }
    label = f"{cell['label'].item()}: {counts[arms[0]]} v {counts[arms[1]]}"
    prior = str(cell["prior"].item())
    line = {
        "event": typeset(f"{label} ({cell['provenance'].item()})"),
        "prior": PRIORS.get(prior, prior),
    }
    for name, head in (
        ("risk_difference", "risk difference, mean"),
        ("risk_ratio", "risk ratio, median"),
        ("odds_ratio", "odds ratio, median"),
    ):
        one = cell.sel(estimand=name)
        middle = float(one["mean" if name == "risk_difference" else "median"])
        digits = 2 if name == "risk_difference" else 1
        low, high = one["eti95"].values
        line[f"{head} (95% ETI)"] = f"{number(middle, digits)} ({interval_text(low, high, digits)})"
    line[f"P(more under {arms[0]})"] = probability(float(cell["prob_more_active"]))
    return line


def _numbers(table: xr.Dataset) -> pd.DataFrame:
    """Return the binary results as numbers, a line per outcome, prior and estimand."""
    low, high = (table["eti95"].sel(bound=side, drop=True) for side in ("low", "high"))
    flat = table.drop_dims(["bound", "treatment"]).assign(eti95_low=low, eti95_high=high)
    frame = flat.to_dataframe().reset_index()
    for arm in table["treatment"].values:
        for key in ("events", "n"):
            values = table[key].sel(treatment=arm).to_series()
            frame[f"{key}_{arm}"] = frame["outcome"].map(values)
    return frame.assign(evidence_kind=table.attrs["evidence_kind"])
