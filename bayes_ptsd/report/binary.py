"""Remission and adverse events: risks, their contrasts, and what their denominators are."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import xarray as xr

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.exact.binary_outcomes import (
    binary_outcomes_of,
    binary_table,
    items_table,
    paired_table,
)
from bayes_ptsd.report.answers import Question, answered
from bayes_ptsd.report.contents import Contents
from bayes_ptsd.report.markup import around, number, paragraph, probability, typeset
from bayes_ptsd.report.section import Line, Part, Section, Table

__all__ = ["binary_section"]

# Heading, statistic and decimals of each comparison; means of ratios need not exist.
COMPARISONS = {
    "risk_difference": ("risk difference, mean", "mean", 2),
    "risk_ratio": ("risk ratio, median", "median", 1),
    "odds_ratio": ("odds ratio, median", "median", 1),
}
COLUMNS = (
    "outcome", "prior", "estimand", "mean", "sd", "median", "prob_more_active", "label", "kind",
    "denominator", "provenance", "caveat", "benefit_sign", "prob_benefit", "eti95_low",
    "eti95_high",
)  # fmt: skip


def binary_section(contents: Contents) -> Section | None:
    """Return risk difference, risk ratio and odds ratio under two priors; None without counts."""
    try:
        binary_outcomes_of(contents.evidence)
    except EvidenceError:
        return None
    found = answered(contents, _question(contents))
    table = found["events"].to_dataset()
    active = contents.trial.active
    text = (
        f"Independent beta-binomial posteriors. P(more) is the probability that the event is more "
        f"frequent under {active}: benefit for remission, harm for an adverse event. Ratios are "
        "medians, because their means need not exist."
    )
    events = Table(
        "binary", _numbers(table),
        lines=[
            _line(table.sel(outcome=outcome, prior=prior), contents)
            for outcome in table["outcome"].values
            for prior in table["prior"].values
        ],
        caption=f"Events under {active} against {contents.trial.control}.",
        convention=str(table.attrs["convention"]), group="event", stub="prior",
        notes=list(_caveats(table)),
    )  # fmt: skip
    paired, together = (
        found[name].to_dataset() if name in found.children else None for name in ("paired", "items")
    )
    parts = [
        paragraph(text),
        events,
        *([] if paired is None else _pairing(paired, active)),
        *([] if together is None else _items(together, active)),
    ]
    return Section("binary", "Remission and adverse events", parts)


def _question(contents: Contents) -> Question:
    """Return what is asked of the printed counts."""

    def tables() -> xr.DataTree:
        made = {
            "events": binary_table(contents.evidence),
            "paired": paired_table(contents.evidence),
            "items": items_table(contents.evidence),
        }
        return xr.DataTree.from_dict({name: one for name, one in made.items() if one is not None})

    return Question(
        "binary-outcomes",
        "risk difference, risk ratio and odds ratio of each event, above none = more under active",
        "Jeffreys and uniform on each risk",
        {},
        tables,
    )


def _pairing(table: xr.Dataset, active: str) -> list[Part]:
    """Return adverse events with the exposures of one person tied, whoever had them twice."""

    def texts(cell: xr.Dataset) -> Line:
        said = str(cell["correlation"].item())
        return {
            "event": typeset(str(cell["label"].item())),
            "correlation": "any, uniform" if said == "uniform" else said.lstrip("0"),
            **{
                f"{name.replace('_', ' ')}, median (95% ETI)": _interval(
                    cell.sel(estimand=name), "median", digits
                )
                for name, digits in (("risk_difference", 2), ("odds_ratio", 1))
            },
            f"P(more under {active})": probability(float(cell["prob_more_active"])),
        }

    text = (
        f"At least {table.attrs['both']} people had both treatments; who had an event twice is not "
        "printed. Here a patient effect ties a person's two exposures, and all ways in which the "
        "printed counts can have come about are summed over. The counts say nothing about the "
        "correlation: its posterior is its prior."
    )
    return [
        paragraph(text),
        Table(
            "binary-pairing", _bounded(table, "eti95"),
            lines=[
                texts(table.sel(outcome=outcome, correlation=correlation))
                for outcome in table["outcome"].values
                for correlation in table["correlation"].values
            ],
            caption="Adverse events, exposures of one person tied.",
            convention="logistic-normal, pairing integrated out; Jeffreys on marginal risks",
            group="event", stub="correlation",
        ),
    ]  # fmt: skip


def _items(table: xr.Dataset, active: str) -> list[Part]:
    """Return the items of the checklist under one prior, for correlations between items."""
    lines = []
    for correlation in table["correlation"].values:
        cell = table.sel(correlation=correlation)
        named = [
            (str(one["label"].item()), one["median"], one["eti95"], one["prob_more_active"])
            for one in (cell.sel(outcome=outcome) for outcome in cell["outcome"].values)
        ]
        center = (cell["center_mean"], cell["center_eti95"], cell["prob_center_more"])
        lines += [
            {
                "items correlate": f"items correlate {number(float(correlation))}, "
                f"counts weigh {number(float(cell['weight']), 2)}",
                "event": typeset(label),
                "odds ratio (95% ETI)": around(float(np.exp(middle)), *np.exp(bounds.values)),
                f"P(more under {active})": probability(float(more)),
            }
            for label, middle, bounds, more in [("mean of the items", *center), *named]
        ]
    spread = table["spread_mean"].values
    text = (
        f"{table.sizes['outcome']} items of one checklist under one prior: log odds ratios normal "
        "around a mean (standard normal) with a spread (half-normal, scale 0.5). The items come "
        "from the same people, so every count weighs 1 / (1 + (items - 1) correlation). The spread "
        f"has a prior mean of {table.attrs['spread_prior_mean']:.2f} and a posterior mean of "
        f"{spread.min():.2f} to {spread.max():.2f}."
    )
    return [
        paragraph(text),
        Table(
            "binary-items", _bounded(table, "eti95", "center_eti95"), lines=lines,
            caption="Adverse events of the checklist together.",
            convention="hierarchical logistic, independent exposures, counts tempered",
            group="items correlate", stub="event",
        ),
    ]  # fmt: skip


def _interval(one: xr.Dataset, middle: str, digits: int) -> str:
    """Return one comparison with its interval."""
    low, high = one["eti95"].values
    return around(float(one[middle]), low, high, digits)


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
    return {
        "event": typeset(f"{label} ({cell['provenance'].item()})"),
        "prior": prior.replace("jeffreys", "Jeffreys"),
        **{
            f"{head} (95% ETI)": _interval(cell.sel(estimand=name), middle, digits)
            for name, (head, middle, digits) in COMPARISONS.items()
        },
        f"P(more under {arms[0]})": probability(float(cell["prob_more_active"])),
    }


def _numbers(table: xr.Dataset) -> pd.DataFrame:
    """Return the binary results as numbers, a line per outcome, prior and estimand."""
    low, high = (table["eti95"].sel(bound=side, drop=True) for side in ("low", "high"))
    flat = table.drop_dims(["bound", "treatment"]).assign(eti95_low=low, eti95_high=high)
    frame = flat.to_dataframe().reset_index()[list(COLUMNS)]
    for arm in table["treatment"].values:
        for key in ("events", "n"):
            values = table[key].sel(treatment=arm).to_series()
            frame[f"{key}_{arm}"] = frame["outcome"].map(values)
    return frame.assign(evidence_kind=table.attrs["evidence_kind"])
