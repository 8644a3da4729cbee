"""The tables of the section about a replication, as unrounded numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

__all__ = ["outlook_tables"]


def outlook_tables(documents: Sequence[dict[str, Any]]) -> dict[str, pd.DataFrame]:
    """Return what is foretold of a replication as tables by file; score units, benefit-positive.

    They are priors, their components, predictions by relative size, assurance by goal, design and
    size with pre-posterior quantiles, smallest sizes by target, and, of a crossover trial,
    crossover against parallel by correlation. `documents` are of
    `bayes_ptsd.replication.outlook.outlook_document`.
    """
    tables = {
        "replication-priors": _prior_numbers(documents),
        "replication-mixtures": _mixture_numbers(documents),
        "replication-predictions": _prediction_numbers(documents),
        "replication-assurance": _curve_numbers(documents),
        "replication-sizes": _numbers(documents, "sample_sizes"),
        "replication-trade-off": _numbers(documents, "trade_off"),
    }
    return {name: table for name, table in tables.items() if len(table)}


def _key(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what every line of every table begins with."""
    return {key: document[key] for key in ("contrast", "reading", "center")}


def _framed(
    lines: Sequence[Mapping[str, Any]], documents: Sequence[dict[str, Any]]
) -> pd.DataFrame:
    """Return lines as a table with the kind of evidence on each."""
    return pd.DataFrame(lines).assign(evidence_kind=documents[0]["evidence_kind"])


def _numbers(documents: Sequence[dict[str, Any]], part: str) -> pd.DataFrame:
    """Return one part of every document as a table."""
    lines = [{**_key(document), **line} for document in documents for line in document[part]]
    return _framed(lines, documents)


def _prior_numbers(documents: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Return mean, sd, interval and worth of each prior, informative and robust."""
    lines = []
    for document in documents:
        prior = document["prior"]
        line = _key(document) | {
            "mean": prior["mean"], "sd": prior["sd"],
            "low": prior["interval95"][0], "high": prior["interval95"][1],
            "prob_benefit": prior["prob_benefit"],
            "informative_mean": document["informative"]["mean"],
            "informative_sd": document["informative"]["sd"],
            "heterogeneity_scale_in_sd": document["heterogeneity"]["scale_in_sd"],
            "weak_component": document["weak_component"]["formula"],
            "weak_weight": document["weak_component"]["weight"],
            "divergence": prior["divergence"],
        }  # fmt: skip
        for design, parts in document["worth"].items():
            for part, sizes in parts.items():
                line |= {f"{part}_{method}_{design}": size for method, size in sizes.items()}
        lines.append(line)
    return _framed(lines, documents)


def _mixture_numbers(documents: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Return the components of each prior."""
    lines = [
        {**_key(document), "component": place, "weight": part["weight"],
         "mean": part["mu"], "sd": part["sigma"]}
        for document in documents
        for place, part in enumerate(document["prior"]["components"], start=1)
    ]  # fmt: skip
    return _framed(lines, documents)


def _prediction_numbers(documents: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Return every predictive probability, one line a relative size."""
    lines = []
    for document in documents:
        for found in document["predictions"]:
            line = _key(document) | {
                "original_estimate": document["original"]["estimate"],
                "original_se": document["original"]["se"],
                "low": found["interval95"][0], "high": found["interval95"][1],
            }  # fmt: skip
            for key, value in found.items():
                if isinstance(value, dict):
                    line |= {f"{key}_{name}": one for name, one in value.items()}
                elif key != "interval95":
                    line[key] = value
            lines.append(line)
    return _framed(lines, documents)


def _curve_numbers(documents: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Return every point of every assurance curve with its pre-posterior quantiles."""
    lines = []
    for document in documents:
        for goal, curves in document["assurance"].items():
            for design, curve in curves.items():
                for row in curve["rows"]:
                    quantiles = {f"prob_q{float(q) * 100:g}": value
                                 for q, value in row["prob_quantiles"].items()}  # fmt: skip
                    plain = {key: row[key] for key in row if key != "prob_quantiles"}
                    lines.append({
                        **_key(document), "goal": goal, "goal_words": curve["goal"],
                        "design": design, **plain, "ceiling": curve["ceiling"], **quantiles,
                    })  # fmt: skip
    return _framed(lines, documents)
