"""The credibility of one printed interval as a plain document, for JSON and for tables."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np

from bayes_ptsd.credibility.assess import Assessment, assessed
from bayes_ptsd.credibility.catalog import CONVENTIONS, QUANTITIES, SOURCES
from bayes_ptsd.priors import Prior

__all__ = ["credibility_document"]


def credibility_document(
    estimate: float,
    low: float,
    high: float,
    *,
    df: float | None = None,
    sd: float | None = None,
    priors: Sequence[str | Prior] | None = None,
    relative_size: float = 1.0,
    replication_z: float | None = None,
) -> dict[str, Any]:
    """Return every credibility measure of one printed 95% interval as a JSON-safe document.

    The arguments are those of `bayes_ptsd.credibility.assess_interval`; a value that is missing is
    None, with the reason in its ``note``.
    """
    result = assessed(
        estimate,
        low,
        high,
        df=df,
        sd=sd,
        priors=priors,
        relative_size=relative_size,
        replication_z=replication_z,
    )
    quantities = [item for name in QUANTITIES for item in _items(name, result)]
    used = {key for item in quantities for key in item["source"].split(", ") if key}
    return {
        "input": {
            "estimate": estimate,
            "ci95": [low, high],
            "df": None if df == math.inf else df,
            "sd": sd,
            "relative_size": relative_size,
            "replication_z": replication_z,
        },
        "conventions": {key: CONVENTIONS[key] for key in result.coords["convention"]},
        "quantities": quantities,
        "sources": {key: SOURCES[key] for key in sorted(used)},
    }


def _items(name: str, found: Assessment) -> Iterator[dict[str, Any]]:
    """Yield one entry per figure of a measure."""
    dims, values = found.values[name]
    quantity = QUANTITIES[name]
    labelled = product(*(found.coords[dim] for dim in dims))
    for labels, figure in zip(labelled, np.ravel(values).tolist(), strict=True):
        where, value = dict(zip(dims, labels, strict=True)), _plain(figure)
        convention = where.pop("convention", "N")
        yield {
            "name": name,
            "label": ", ".join([quantity.label, *where.values()]),
            "convention": convention,
            **where,
            "value": value,
            "unit": quantity.unit,
            "formula": quantity.formula,
            "source": quantity.source,
            "note": quantity.undefined if value is None else "",
        }


def _plain(value: Any) -> float | str | None:
    """Return what JSON can hold: text, finite numbers, None for the rest."""
    if isinstance(value, str):
        return value
    return float(value) if math.isfinite(value) else None
