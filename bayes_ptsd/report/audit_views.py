"""How the table of each check of the audit is shown: title, columns in plain words, notes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_ptsd.report.markup import ABSENT, MINUS, probability, typeset

__all__ = ["VIEWS", "View", "view_frame"]

# A table of more columns does not fit the page, one of more rows buries it: for the CSV file alone.
MOST_COLUMNS, MOST_ROWS = 16, 60
# Rounding of a sum that balances, shown as 0; nothing printed has nine decimals.
NOTHING = 1e-9
# What the finding itself quotes: a P value says more of a standard error than rounded limits do,
# and 1.2 is the ratio of total to residual SD that is assumed (docs/methods/audit.md).
AT: Mapping[str, Any] = {"se_basis": "with_p", "sd_factor": 1.2}
PUBLISHED = {**AT, "crossover_reading": "as_published"}
UNHALVED = {**AT, "crossover_reading": "unhalved"}
PROBABILITIES = (
    "planned",
    "parallel",
    "crossover",
    "p",
    "p_value",
    "f_p",
    "fisher_p",
    "p_upper",
    "p_lower",
    "admissible_low",
    "admissible_high",
)
Column = tuple[str, Mapping[str, Any]]
"""Variable or coordinate, and the labels at which it is taken."""


@dataclass(frozen=True)
class View:
    """How the table of a check is shown; the CSV file has it whether it is shown or not."""

    title: str
    caption: str = ""
    columns: Mapping[str, Column] = field(default_factory=dict)  # by heading; none: every variable
    left: Sequence[str] = ()  # headings of running text
    notes: Sequence[str] = ()  # lines below the table
    shown: bool = True


VIEWS: Mapping[str, View] = {
    "precision": View(
        "Precision of the crossover",
        "Standard errors of crossover and first period, and what they imply, score units.",
        {
            "outcome": ("endpoint", {}),
            "SE crossover": ("se_crossover", {}),
            "SE first period": ("se_first_period", {}),
            "ratio": ("ratio", {}),
            "SD of differences": ("sd_difference", {}),
            "within-patient SD": ("sd_within", {}),
            "first-period residual SD": ("sd_residual", {}),
            "variance ratio": ("variance_ratio", {}),
            "F test P": ("f_p", {}),
            "correlation, as published": ("correlation", PUBLISHED),
            "correlation, unhalved": ("correlation", UNHALVED),
            "period-2 SD needed": ("needed_sd", {}),
            "largest possible": ("largest_sd", {}),
        },
        notes=[
            "A within-patient comparison should have the smaller standard error. correlation: "
            "between a patient's scores in the two periods, if both periods have 1.2 times the "
            "first-period residual SD; below \N{MINUS SIGN}1 it is impossible. period-2 SD needed: "
            "as published, if the periods are uncorrelated.",
        ],
    ),
    "rows": View(
        "Each row against itself",
        "Estimate, interval and P of each row.",
        {
            "row": ("contrast", {}),
            "SE by width": ("se", {}),
            "by upper limit": ("se_upper", {}),
            "by lower limit": ("se_lower", {}),
            "off center": ("asymmetry", {}),
            "t": ("t", {}),
            "P by width": ("p", {}),
            "P possible, from": ("admissible_low", {}),
            "to": ("admissible_high", {}),
            "agrees": ("consistent", {}),
        },
        notes=[
            "off center: printed estimate minus middle of the interval. P possible: over all "
            "unrounded numbers that print as this estimate and interval. Rows without a printed "
            "interval have a standard error from P and cannot be checked.",
        ],
    ),
    "subscales": View(
        "Do the subscales add up?",
        "Sums of subscale estimates, score units.",
        {
            "analysis": ("analysis", {}),
            "rows used": ("variant", {}),
            "sum": ("sum", {}),
            "sum, from": ("sum_low", {}),
            "sum, to": ("sum_high", {}),
            "total": ("estimate", {}),
            "adds up": ("adds_up", {}),
            "mean correlation implied": ("correlation", {}),
        },
    ),
    "freedom": View("Degrees of freedom", shown=False),
    "flow": View(
        "Flow of patients",
        "Balances of the flow diagram.",
        {"rule": ("rule", {}), "left over": ("residual", {})},
    ),
    "exposure": View(
        "Who received what, and the two accounts of the flow",
        "People who received each treatment.",
        {"treatment": ("treatment", {}), "people": ("people", {})},
    ),
    "adverse_events": View(
        "Denominators of the adverse events",
        "Counts recovered from percentages.",
        {
            "event": ("name", {}),
            "printed %": ("percent", {}),
            "count": ("count", {}),
            "only count": ("unique", {}),
        },
        notes=["only count: no other count of this denominator prints as this percentage."],
    ),
    "baseline": View(
        "Baseline table",
        "Differences at baseline.",
        {
            "characteristic": ("label", {}),
            "difference, SD": ("smd", {}),
            "Fisher P": ("fisher_p", {}),
        },
    ),
    "power": View(
        "Planned power",
        "Power of the planned sample under three readings.",
        {
            "as planned": ("planned", {}),
            "parallel groups": ("parallel", {}),
            "paired crossover": ("crossover", {}),
        },
    ),
    "mediation": View(
        "Adjustment for a later measurement",
        "What the adjustment removes, and slope times difference in the later measurement.",
        {
            "later measurement": ("mediator", {}),
            "total": ("total", {}),
            "adjusted": ("adjusted", {}),
            "removed": ("removed", {}),
            "slope": ("slope", {}),
            "its difference": ("mediator_difference", {}),
            "slope x difference": ("indirect", {}),
            "from": ("indirect_low", {}),
            "to": ("indirect_high", {}),
            "partial correlation": ("partial_correlation", {}),
        },
    ),
    "claims": View(
        "Words of the text against the level of the paper",
        "Printed P of effects that the text names.",
        {
            "statement": ("claim_row", {}),
            "the text says": ("claim", {}),
            "P": ("p_value", {}),
            "below the level": ("below_alpha", {}),
        },
    ),
    "multiplicity": View("Number of contrasts"),
    "unstated": View("What print leaves open"),
    "direction": View("Signs of the printed rows"),
    "sizes": View("Numbers of patients"),
}


def view_frame(
    dataset: xr.Dataset, view: View, *, labels: Mapping[str, str] | None = None
) -> pd.DataFrame | None:
    """Return the table of a check as texts; None where it is too large or for the CSV file alone.

    A row is one label of the first dimension of the first column; `labels` name ids for people.
    """
    columns = {k: c for k, c in (view.columns or _all_columns(dataset)).items() if c[0] in dataset}
    if not view.shown or not columns:
        return None
    first = dataset[next(iter(columns.values()))[0]]
    row = str(first.dims[0]) if first.dims else ""
    frame = pd.DataFrame(
        {
            heading: _texts(_checked(dataset, values), name, labels or {})
            for base, (name, where) in columns.items()
            for heading, values in _expanded(dataset[name].sel(where), base, row)
        }
    )
    said = ~frame.iloc[:, 1:].isin([ABSENT, "no"]).all(axis=1)
    shown = frame[said] if frame.shape[1] > 2 else frame
    return shown if shown.shape[1] <= MOST_COLUMNS and len(shown) <= MOST_ROWS else None


def _all_columns(dataset: xr.Dataset) -> Mapping[str, Column]:
    """Return every variable of the first dimension under its own name, the labels first."""
    dims = [str(dim) for dim in dataset.dims]
    if not dims:
        return {}
    row = dims[0]
    names = [str(name) for name, v in dataset.data_vars.items() if row in v.dims]
    columns: dict[str, Column] = {row: (row, {})}
    return columns | {name.replace("_", " "): (name, {}) for name in names}


def _expanded(values: xr.DataArray, base: str, row: str) -> Iterator[tuple[str, xr.DataArray]]:
    """Yield a column per label of the second dimension, if there is one."""
    others = [str(dim) for dim in values.dims if dim != row]
    if not others:
        yield base, values
        return
    for label in values[others[0]].values:
        yield from _expanded(values.sel({others[0]: label}), f"{base}, {label}", row)


def _checked(dataset: xr.Dataset, values: xr.DataArray) -> list[Any]:
    """Return the values of a column; None for answers about rows that could not be checked."""
    column: list[Any] = list(np.atleast_1d(values.values).tolist())
    if "checked" not in dataset or values.dtype != bool:
        return column
    return [
        v if known else None for v, known in zip(column, dataset["checked"].values, strict=True)
    ]


def _texts(column: Sequence[Any], name: str, labels: Mapping[str, str]) -> list[str]:
    """Return one column as texts, counts without decimals."""
    numbers = [v for v in column if isinstance(v, float) and np.isfinite(v)]
    whole = all(value.is_integer() for value in numbers)
    return [_text(value, name, labels, whole=whole) for value in column]


def _text(value: Any, name: str, labels: Mapping[str, str], *, whole: bool) -> str:
    """Return one cell as text."""
    if isinstance(value, str):
        return labels.get(value, typeset(value.replace("_", " ")))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or not np.isfinite(value):
        return ABSENT
    if name in PROBABILITIES:
        return probability(float(value), 4)
    if whole or abs(value) < NOTHING:
        return f"{value:.0f}".replace("-", MINUS)
    return f"{value:#.3g}".rstrip(".").replace("-", MINUS)
