"""Remission and adverse events: risks, their contrasts, and what their denominators are."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
import xarray as xr

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.exact.binary_outcomes import binary_table
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
    """Return the binary results, or None where the evidence has none.

    Parameters
    ----------
    contents : Contents
        Material of the page.

    Returns
    -------
    Section or None
        Risk difference, risk ratio and odds ratio under two priors, with counts and caveats.

    Examples
    --------
    >>> from bayes_ptsd.evidence.published import load_published
    >>> section = binary_section(Contents(load_published()))
    >>> "7/22" in section.html
    True
    """
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
    )
    return Section("binary", "Remission and adverse events", html, {"binary": _numbers(table)})


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
