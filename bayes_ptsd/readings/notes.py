"""The weights of the readings in words and as a document: what they say and what they rest on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from bayes_ptsd.evidence.readings import CROSSOVER_READINGS, of_treatment
from bayes_ptsd.readings.weights import foretold_correlation, outside_correlations

__all__ = [
    "average_note",
    "counted_in",
    "readings_document",
    "readings_notes",
    "weight_text",
    "weights_text",
]

SMALL = 0.05
"""Weights below this are told as below it: the assumptions do not bear a smaller number."""


def weight_text(weight: float) -> str:
    """Return a weight for a sentence."""
    return f"below {SMALL:.2f}".replace("0.", ".") if weight < SMALL else _bare(weight)


def weights_text(weights: Mapping[str, float]) -> str:
    """Return weights for a sentence, the largest first."""
    kept = sorted(weights.items(), key=lambda pair: -pair[1])
    return ", ".join(f"{_words(name)} {weight_text(weight)}" for name, weight in kept)


def average_note(weights: Mapping[str, float], source: str) -> str:
    """Say which readings an average is over, and what it leaves out."""
    text = (
        "Averaged over the readings of the treatment difference: "
        f"{weights_text(of_treatment(weights))}, {source}. The weights "
        "are of the readings given print; no prior on the difference changes them."
    )
    other = weights.get("carryover_covariate", 0.0)
    if other > 0:
        text += (
            f" Not in the average: carryover covariate, weight {weight_text(other)} of all five, "
            "under which the printed row stands as it is but is another quantity, the "
            "first-period difference of those who completed."
        )
    return text


def counted_in(averaged: Mapping[str, Any], printed: Mapping[str, Any], share: float) -> str:
    """Say what a row would be with carryover_covariate, whose row is the printed one, counted in.

    `share` is its weight among all readings; `averaged` also names the prior.
    """
    mean, better, beyond = (
        math.nan
        if None in (printed[key], averaged[key])
        else share * printed[key] + (1 - share) * averaged[key]
        for key in ("mean", "prob_benefit", "prob_gt_mcid")
    )
    margin = "" if math.isnan(beyond) else f" and P(> MCID) {_bare(beyond, 3)}"
    return (
        f"Counted in with weight {weight_text(share)} it would make the row, under "
        f"{averaged['prior']}, mean {mean:.2f}, P(better) {_bare(better, 3)}{margin}: a mixture of "
        "two quantities."
    )


def readings_notes(table: xr.Dataset) -> list[str]:
    """Say what the weights of the readings mean and what they rest on."""
    weight = table["weight"].sel(assumption="default")
    of = {str(name): float(weight.sel(reading=name)) for name in table["reading"].values}
    notes = [_what(of), _published(table, of["as_published"])]
    if max(of, key=of.__getitem__) == "carryover_covariate":
        notes.append(_leader(of))
    notes += [_outside(), _sample(table), NOT_USED]
    if table.attrs["trial"] == "feder2014":
        notes.append(OF_THIS_TRIAL)
    return notes


def readings_document(table: xr.Dataset) -> dict[str, Any]:
    """Return the weights of the readings as a document that JSON can hold.

    ``assumptions`` has a line each, ``rows`` a line per endpoint, ``readings`` scale and estimand.
    """
    names = [str(name) for name in table["reading"].values]
    lines = [
        {"assumption": str(one), "weights": _weights(table.sel(assumption=one), names)}
        for one in table["assumption"].values
    ]
    correlation, n = outside_correlations()
    mean, sd, tau_squared = foretold_correlation()
    weights = _weights(table.sel(assumption="default"), names)
    return {
        "trial": table.attrs["trial"],
        "weights": weights,
        "weights_of_treatment_difference": of_treatment(weights),
        "assumptions": lines,
        "rows": [_row(table.sel(endpoint=one), names) for one in table["endpoint"].values],
        "readings": [
            {"reading": name, "scale": one.scale, "estimand": one.estimand,
             "treatment_difference": one.treatment}
            for name, one in ((name, CROSSOVER_READINGS[name]) for name in names)
        ],
        "outside_correlations": {
            "correlation": correlation.tolist(), "n": n.astype(int).tolist(),
            "fisher_z_mean": mean, "fisher_z_sd": sd, "tau_squared": tau_squared,
        },
        "notes": readings_notes(table),
    }  # fmt: skip


def _weights(line: xr.Dataset, names: list[str]) -> dict[str, float]:
    """Return the weights of one assumption; readings that it leaves out are left out."""
    pairs = zip(names, line["weight"].values.tolist(), strict=True)
    return {name: weight for name, weight in pairs if not np.isnan(weight)}


def _row(one: xr.Dataset, names: list[str]) -> dict[str, Any]:
    """Return what one endpoint contributes."""
    plain = ("endpoint", "crossover", "first_period", "ratio", "log_ratio", "tail")
    by_reading = {
        key: dict(zip(names, one[key].values.tolist(), strict=True))
        for key in ("expected_ratio", "log_likelihood")
    }
    return {key: one[key].item() for key in plain} | by_reading


def _what(of: Mapping[str, float]) -> str:
    """Say what the weights are."""
    return (
        "Nothing here is proof: the paper does not say how its crossover contrast was formed. "
        f"But the readings are not equally likely given what it prints: {weights_text(of)}. Each "
        "reading began with the same odds, and explains the printed ratios of crossover to "
        "first-period standard errors well or badly."
    )


def _published(table: xr.Dataset, weight: float) -> str:
    """Say how far the weight of as published can be trusted."""
    all_rows = table["weight"].sel(reading="as_published")
    worst = str(all_rows["assumption"].values[int(np.argmax(all_rows.values))])
    told = (
        "As published should be told as below about .05, not by its digits: if correlations could "
        "be anything from -1 to 1, weights below .01 were true 6% of the time in simulated papers. "
        if weight < SMALL
        else f"As published has weight {weight_text(weight)}. "
    )
    return (
        f"{told}Its highest weight in the table is {_bare(float(all_rows.max()))} ({worst}); it is "
        "higher still where period 2 is assumed to vary more than that. Period 2 about as "
        "variable as period 1 is the assumption that counts most against it."
    )


def _leader(of: Mapping[str, float]) -> str:
    """Say why carryover_covariate leads, and what is left without it."""
    rest = of_treatment(of)
    first, second = sorted(rest, key=rest.__getitem__)[:-3:-1]
    return (
        "Carryover covariate leads because it makes the printed row a comparison between patients, "
        "whose standard error has no correlation in it, and because it has a full fifth of the "
        "odds. It is another estimand: the first-period difference of those who completed. Without "
        f"it {_words(first)} has {weight_text(rest[first])} and {_words(second)} "
        f"{weight_text(rest[second])}."
    )


def _outside() -> str:
    """Say where the correlations come from."""
    correlation, n = outside_correlations()
    return (
        f"What is assumed about the correlation between a patient's two periods comes from "
        f"{len(n)} crossover trials of diastolic blood pressure ({_bare(float(correlation.min()))} "
        f"to {_bare(float(correlation.max()))}; Curtin and others 2002). They are of another "
        "outcome; nothing in them is about symptom scores, and nothing at all about changes, whose "
        "correlation is a choice."
    )


def _sample(table: xr.Dataset) -> str:
    """Say how much the endpoints are worth together."""
    count = table.sizes["endpoint"]
    return (
        f"The {count} endpoint{'s are' if count > 1 else ' is'} of one sample of patients. Their "
        "joint likelihood is taken to the power 1/3, as if about a third of them were independent. "
        "The power is calibrated on simulated papers; the share of what is unknown that endpoints "
        "have in common, a half, is assumed."
    )


NOT_USED = (
    "Not used: estimates and P values, which speak for a reading or against it depending on an "
    "overlap between the analyses that nobody knows; and the degrees of freedom, of which the "
    "audit shows the profile. The ends of the scales would count further against as published."
)
OF_THIS_TRIAL = (
    "Two of the 29 patients had their second infusion late, which the readings do not know. MADRS, "
    "whose ratio is the largest, stays in: to drop it would be a choice made after looking."
)


def _words(name: str) -> str:
    """Return a reading in words."""
    return name.replace("_", " ")


def _bare(value: float, digits: int = 2) -> str:
    """Return a probability without its leading zero."""
    return f"{value:.{digits}f}".removeprefix("0")
