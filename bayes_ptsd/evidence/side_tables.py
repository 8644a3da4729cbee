"""Printed tables beside the effects: baseline, flow of patients, adverse events, design, claims.

Each becomes a dataset with one row per printed line. Two groups of patients lie along `treatment`
(active, control); in a crossover a baseline group is named by its first treatment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.resources.abc import Traversable
from types import MappingProxyType

import numpy as np
import xarray as xr

from bayes_ptsd.evidence.csv_table import Table, read_table
from bayes_ptsd.evidence.readings import FLOW_READINGS
from bayes_ptsd.trial import Trial

__all__ = ["COLUMNS", "FLOW_STAGES", "SIDE_TABLES", "read_side_table"]

FLOW_STAGES = (
    "screened", "excluded", "randomized", "rated_first", "left_after_first", "completed_first",
    "delayed", "remitted",
    "second_infusion", "left_after_second", "completed_second", "completed",
)  # fmt: skip
CLAIMS = ("present", "absent", "near", "unchanged")
BASELINE_KINDS = ("count_pct", "mean_sd")
ARMS = ("active", "control")

TWO_ARMS = [f"{column}_{arm}" for arm in ARMS for column in ("n", "value", "spread")]
COUNTED = [f"{column}_{arm}" for arm in ARMS for column in ("count", "n")]

COLUMNS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = MappingProxyType(
    {
        "baseline": (
            ("id", "characteristic", "kind", *TWO_ARMS),
            ("level", "endpoint", "section", "cell"),
        ),
        "flow": (
            ("id", "item", "stage", "count", "sequence"),
            ("flow_reading", "provenance", "section", "cell"),
        ),
        "adverse_events": (
            ("id", "event", "percent_active", "percent_control"),
            (*COUNTED, "period", "provenance", "section"),
        ),
        "design": (("id", "item", "value"), ("unit", "section")),
        "claims": (
            ("id", "contrast", "term", "claim"),
            ("endpoint", "analysis", "n", "section"),
        ),
    }
)


def read_side_table(name: str, path: Traversable, file: str, *, trial: Trial) -> xr.Dataset | None:
    """Read one of the tables beside the effects, NaN where nothing is printed; None without a row.

    ``baseline``: n, value, spread (SD, or percentage for a count) over `characteristic` and
    `treatment`. ``flow``: count over `step`. ``adverse_events``: percent, count, n over `event` and
    `treatment`. ``design``: value (text) and number over `item`. ``claims``: n over `claim_row`.
    """
    required, optional = COLUMNS[name]
    table = read_table(path, file, required=required, optional=optional, may_be_empty=True)
    return SIDE_TABLES[name](table, trial) if table.rows else None


def _two_arms(table: Table, columns: tuple[str, ...], row_dim: str) -> dict[str, xr.Variable]:
    """Numbers and decimals of `<column>_active` and `<column>_control`, side by side."""
    variables = {}
    for column in columns:
        names = [f"{column}_{arm}" for arm in ARMS]
        numbers = np.stack([table.number(name) for name in names], axis=1)
        digits = np.stack([table.decimals(name) for name in names], axis=1)
        variables[column] = xr.Variable((row_dim, "treatment"), numbers)
        variables[f"{column}_decimals"] = xr.Variable((row_dim, "treatment"), digits)
    return variables


def _labels(table: Table, columns: tuple[str, ...], row_dim: str) -> dict[str, xr.Variable]:
    """Text coordinates along the rows, with the ids as index."""
    labels = {column: xr.Variable(row_dim, table.text(column)) for column in columns}
    labels[row_dim] = xr.Variable(row_dim, table.text("id"))
    return labels


def _check_filled(table: Table, columns: Sequence[str]) -> None:
    """Refuse empty cells."""
    for column in columns:
        for index, value in enumerate(table.number(column)):
            if np.isnan(value):
                table.refuse(index, column, "is empty; write the printed number")


def _check_counts(table: Table, columns: tuple[str, ...], *, least: int = 0) -> None:
    """Refuse numbers of people below `least` or not whole."""
    for column in columns:
        for index, value in enumerate(table.number(column)):
            if np.isfinite(value) and (value < least or value != int(value)):
                table.refuse(index, column, f"{value:g} is not a number of people, {least} or more")


def _baseline(table: Table, trial: Trial) -> xr.Dataset:
    """Table 1: one row per printed line."""
    kinds = table.one_of("kind", BASELINE_KINDS)
    table.one_of("endpoint", tuple(trial.endpoints), empty=True)
    _check_filled(table, TWO_ARMS)
    _check_counts(table, tuple(f"n_{arm}" for arm in ARMS), least=1)
    for index, kind in enumerate(kinds):
        for arm in ARMS:
            value = table.number(f"value_{arm}")[index]
            if kind == "count_pct" and value > table.number(f"n_{arm}")[index]:
                table.refuse(index, f"value_{arm}", f"{value:g} is more than n_{arm}")
    row = "characteristic"
    coords = _labels(table, ("level", "kind", "endpoint", "section", "cell"), row)
    coords["name"] = xr.Variable(row, table.text("characteristic"))
    coords["treatment"] = xr.Variable("treatment", [trial.active, trial.control])
    return xr.Dataset(_two_arms(table, ("n", "value", "spread"), row), coords)


def _flow(table: Table, trial: Trial) -> xr.Dataset:
    """Flow of patients: one row per box or sentence."""
    table.one_of("stage", FLOW_STAGES)
    table.one_of("sequence", tuple(trial.sequences), empty=True)
    table.one_of("flow_reading", tuple(FLOW_READINGS), empty=True)
    _check_filled(table, ["count"])
    _check_counts(table, ("count",))
    texts = ("item", "stage", "sequence", "flow_reading", "provenance", "section", "cell")
    count = xr.Variable("step", table.number("count"))
    return xr.Dataset({"count": count}, _labels(table, texts, "step"))


def _adverse_events(table: Table, trial: Trial) -> xr.Dataset:
    """Adverse events: percentages, and counts where stated."""
    for arm in ARMS:
        _check_counts(table, (f"count_{arm}",))
        _check_counts(table, (f"n_{arm}",), least=1)
        for index, percent in enumerate(table.number(f"percent_{arm}")):
            if percent < 0 or percent > 100:
                table.refuse(index, f"percent_{arm}", f"{percent:g} is not between 0 and 100")
    row = "event"
    coords = _labels(table, ("period", "provenance", "section"), row)
    coords["name"] = xr.Variable(row, table.text("event"))
    coords["treatment"] = xr.Variable("treatment", [trial.active, trial.control])
    return xr.Dataset(_two_arms(table, ("percent", "count", "n"), row), coords)


def _design(table: Table, _trial: Trial) -> xr.Dataset:
    """Design facts: text as printed, and the number where it is one."""
    row, coords = "item", _labels(table, ("unit", "section"), "item")
    coords["name"] = xr.Variable(row, table.text("item"))
    values = table.text("value")
    numbers = [float(v) if v.replace(".", "", 1).isdigit() else np.nan for v in values.tolist()]
    return xr.Dataset(
        {"value": xr.Variable(row, values), "number": xr.Variable(row, numbers)}, coords
    )


def _claims(table: Table, _trial: Trial) -> xr.Dataset:
    """Read what the text says about an effect in words: present, absent, near or unchanged."""
    table.one_of("claim", CLAIMS)
    row = "claim_row"
    coords = _labels(table, ("contrast", "endpoint", "analysis", "term", "claim", "section"), row)
    return xr.Dataset({"n": xr.Variable(row, table.number("n"))}, coords)


SIDE_TABLES: Mapping[str, Callable[[Table, Trial], xr.Dataset]] = MappingProxyType(
    {
        "baseline": _baseline,
        "flow": _flow,
        "adverse_events": _adverse_events,
        "design": _design,
        "claims": _claims,
    }
)
