"""Which column of a patient file holds what: own names, names of the trial file, CDISC ADaM names.

The result has one row per score, whether the file is long (one column of scores) or wide (one
column of scores per endpoint).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from bayes_ptsd.errors import EvidenceError, nearest
from bayes_ptsd.evidence.patient_files import PatientTable
from bayes_ptsd.evidence.patient_readers import Refusal
from bayes_ptsd.trial import Trial

__all__ = ["ADAM_NAMES", "KIND_COLUMN", "Layout", "find_columns", "score_rows"]

ADAM_NAMES: Mapping[str, str] = {
    "subject": "USUBJID",
    "sequence": "TRTSEQP",
    "period": "APERIOD",
    "treatment": "TRTP",
    "endpoint": "PARAMCD",
    "value": "AVAL",
    "visit": "AVISIT",
    "baseline": "BASE",
}
"""Names of the CDISC ADaM basic data structure that are understood without a mapping."""

KIND_COLUMN = "evidence_kind"
"""Column by which a written file says that its patients are not real ones."""


@dataclass(frozen=True)
class Layout:
    """Where a file holds what: columns by role, scores by endpoint, one for all if `long`."""

    columns: Mapping[str, str]
    scores: Mapping[str, str]
    long: bool


def find_columns(
    table: PatientTable, trial: Trial, *, where: str, endpoint: str | None = None
) -> Layout:
    """Find the columns of a patient file; all that are missing are named in one error.

    A role's column is the one that the trial file names, else that of its name in any case, else
    the ADaM column. One baseline for several endpoints is refused.
    """
    names = [str(name) for name in table.cells.columns]
    columns: dict[str, str] = {}
    missing: list[str] = []
    for role, adam in ADAM_NAMES.items():
        wanted = [str(trial.columns[role])] if role in trial.columns else [role, adam]
        found = next((hit for name in wanted if (hit := _column(name, names, where))), None)
        if found is not None:
            columns[role] = found
        elif role in trial.columns:
            missing.append(_missing(role, [trial.columns[role]], names))
    scores = _wide(trial, columns, names, endpoint=endpoint, missing=missing, where=where)
    long = not scores
    if long and "value" in columns:
        scores = dict.fromkeys([endpoint] if endpoint else trial.endpoints, columns["value"])
    for role in _needed(trial, long=long, endpoint=endpoint):
        if role not in columns and role not in trial.columns:
            missing.append(_missing(role, [role, ADAM_NAMES[role]], names))
    if missing:
        raise EvidenceError(f"{where}: " + "; ".join(missing))
    if not long and len(scores) > 1 and "baseline" in columns:
        raise EvidenceError(
            f"{where}: column '{columns['baseline']}' cannot be the baseline of {len(scores)} "
            f"endpoints ({', '.join(scores)}); choose one endpoint, or write the file in long form"
        )
    return Layout(columns, scores, long)


def score_rows(
    table: PatientTable, layout: Layout, *, covariates: Sequence[str], where: str
) -> tuple[pd.DataFrame, list[Refusal]]:
    """Arrange the cells by role, one row per score; rows that ADaM marks as derived are refused.

    A role without a column is None throughout, covariates are ``covariate:<name>``, and in wide
    files ``endpoint`` is the endpoint's id.
    """
    cells, refusals = _without_baseline_records(table, layout)
    blank = pd.Series([None] * len(cells), index=cells.index, dtype=object)
    shared = {
        role: cells[layout.columns[role]] if role in layout.columns else blank
        for role in ADAM_NAMES
    }
    shared["row"] = pd.Series(table.row, dtype=int)[cells.index]
    shared[KIND_COLUMN] = cells.get(KIND_COLUMN, blank)
    for name in covariates:
        shared[f"covariate:{name}"] = cells[_covariate(name, layout, list(cells.columns), where)]
    if layout.long:
        return pd.DataFrame(shared).reset_index(drop=True), refusals
    parts = [
        pd.DataFrame({**shared, "value": cells[column]}).assign(endpoint=endpoint)
        for endpoint, column in layout.scores.items()
    ]
    return pd.concat(parts, ignore_index=True), refusals


def _column(name: str, names: Sequence[str], where: str) -> str | None:
    """Return the column of that name: as it is written, else in any case."""
    if name in names:
        return name
    found = [column for column in names if column.casefold() == name.casefold()]
    if len(found) > 1:
        raise EvidenceError(f"{where}: '{name}' could be any of the columns {', '.join(found)}")
    return found[0] if found else None


def _wide(
    trial: Trial,
    columns: Mapping[str, str],
    names: Sequence[str],
    *,
    endpoint: str | None,
    missing: list[str],
    where: str,
) -> dict[str, str]:
    """Return the column of each endpoint; none if the file has one column of scores for all."""
    named = [key for key in trial.endpoints if key in trial.columns]
    if not named and "value" in columns:
        return {}
    scores = {}
    for key in [endpoint] if endpoint else trial.endpoints:
        if found := _column(str(trial.columns.get(key, key)), names, where):
            scores[key] = found
        elif key in named:
            missing.append(_missing(key, [trial.columns[key]], names))
    return scores


def _needed(trial: Trial, *, long: bool, endpoint: str | None) -> list[str]:
    """Return the roles a file must fill."""
    needed = ["subject", "treatment"]
    needed += ["sequence", "period"] if trial.design == "crossover" else []
    needed += ["value"] if long else []
    needed += ["endpoint"] if long and not endpoint and len(trial.endpoints) > 1 else []
    needed += ["visit"] if len(trial.visits) > 1 else []
    return needed


def _missing(role: str, wanted: Sequence[str], names: Sequence[str]) -> str:
    """Say which column is missing and which comes closest."""
    looked = " or ".join(f"'{name}'" for name in wanted)
    return f"no column {looked} for {role}{nearest(wanted[0], filter(None, names))}"


def _covariate(name: str, layout: Layout, names: Sequence[str], where: str) -> str:
    """Return the column of a covariate that is no role's."""
    if name not in names:
        raise EvidenceError(f"{where}: no column '{name}' for a covariate{nearest(name, names)}")
    taken = {*layout.columns.values(), *layout.scores.values(), *ADAM_NAMES, KIND_COLUMN}
    if name in taken:
        raise EvidenceError(f"{where}: column '{name}' has a role and cannot be a covariate too")
    return name


def _without_baseline_records(
    table: PatientTable, layout: Layout
) -> tuple[pd.DataFrame, list[Refusal]]:
    """Leave out ADaM baseline records, whose scores stand in BASE; refuse derived records."""
    cells, refusals = table.cells, list[Refusal]()
    if layout.columns.get("value") != ADAM_NAMES["value"]:
        return cells, refusals
    if "ABLFL" in cells and "baseline" in layout.columns:
        cells = cells[cells["ABLFL"] != "Y"]
    if "DTYPE" in cells:
        derived = cells["DTYPE"].dropna()
        refusals = [
            (table.row[index], f"DTYPE '{what}' marks a derived score; leave derived rows out")
            for index, what in zip(derived.index, derived, strict=True)
        ]
    return cells, refusals
