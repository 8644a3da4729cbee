"""Which column of a patient file holds what.

A column is called by the trial file, by CDISC ADaM or by its role. The result has one row per
score, whether the file is long (one column of scores) or wide (one per endpoint). What could be
read in two ways is said: a column that two roles claim is refused, of two columns for one role
the one that was taken is named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from bayes_ptsd.errors import EvidenceError, SpecError, nearest
from bayes_ptsd.evidence.cell_values import MISSING_NUMBERS
from bayes_ptsd.evidence.patient_derived import followed, remedy
from bayes_ptsd.evidence.patient_files import PatientTable, Refusal
from bayes_ptsd.evidence.quoting import Quotes
from bayes_ptsd.trial import Trial

__all__ = [
    "ADAM_NAMES",
    "KIND_COLUMN",
    "Layout",
    "find_columns",
    "score_rows",
]

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


# columns of ADaM and SDTM that say when a score was taken
VISIT_COLUMNS = ("AVISIT", "VISIT", "AVISITN", "VISITNUM", "ATPT", "ATPTN")
YES = {"Y", "YES", "1", "TRUE"}


@dataclass(frozen=True)
class Layout:
    """Where a file holds what: columns by role, scores by endpoint, one for all if `long`."""

    columns: Mapping[str, str]
    scores: Mapping[str, str]
    long: bool
    notes: tuple[str, ...] = ()  # which of several columns was taken


def find_columns(
    table: PatientTable, trial: Trial, *, where: str, endpoint: str | None = None
) -> Layout:
    """Find the columns of a patient file; all that are missing are named in one error.

    A role's column is the one that the trial file names, else the ADaM column, else that of the
    role's name, in any case. One baseline for several endpoints is refused, and so is a column of
    two roles.
    """
    names = [str(name) for name in table.cells.columns]
    columns: dict[str, str] = {}
    missing: list[tuple[str, list[str]]] = []
    notes: list[str] = []
    for role in ADAM_NAMES:
        found = _role_columns(role, trial, names, where)
        if found:
            columns[role] = found[0]
        elif role in trial.columns:
            missing.append((role, [str(trial.columns[role])]))
        if len(found) > 1 and role != "visit" and not _same(table, found):
            notes.append(f"{role} is read from column '{found[0]}', not from '{found[1]}'")
    scores = _wide(trial, columns, names, endpoint=endpoint, missing=missing, where=where)
    long = not scores
    if long and "value" in columns:
        scores = dict.fromkeys([endpoint] if endpoint else trial.endpoints, columns["value"])
    if not long and "value" not in trial.columns:
        columns.pop("value", None)
    for role in _needed(trial, long=long, endpoint=endpoint):
        if role not in {*columns, *trial.columns, followed(columns, trial)}:
            missing.append((role, [role, ADAM_NAMES[role]]))
    if missing:
        known = names if columns or scores else []
        listed = "; ".join(
            _missing(role, wanted, known) + (remedy(role, columns, trial) if known else "")
            for role, wanted in missing
        )
        raise EvidenceError(f"{where}: {listed}{'' if known else _no_header(names)}")
    if not long and len(scores) > 1 and "baseline" in columns:
        raise EvidenceError(
            f"{where}: column '{columns['baseline']}' cannot be the baseline of {len(scores)} "
            f"endpoints ({', '.join(scores)}); choose one endpoint, or write the file in long form"
        )
    _refuse_two_roles(columns, {} if long else scores, trial, where)
    return Layout(columns, scores, long, (*notes, *_visit_notes(table, columns, trial)))


def score_rows(
    table: PatientTable,
    layout: Layout,
    *,
    covariates: Sequence[str],
    where: str,
    quoted: Quotes,
) -> tuple[pd.DataFrame, list[Refusal], list[str]]:
    """Arrange the cells by role, one row per score; return refusals and notes beside them.

    A role without a column is None throughout, covariates are ``covariate:<name>``, and in wide
    files ``endpoint`` is the endpoint's id. Rows that ADaM marks as derived are refused.
    """
    cells, refusals, notes = _analysis_records(table, layout, quoted)
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
        return pd.DataFrame(shared).reset_index(drop=True), refusals, notes
    parts = [
        pd.DataFrame({**shared, "value": cells[column]}).assign(endpoint=endpoint)
        for endpoint, column in layout.scores.items()
    ]
    return pd.concat(parts, ignore_index=True), refusals, notes


def _role_columns(role: str, trial: Trial, names: Sequence[str], where: str) -> list[str]:
    """Return the columns that could be of a role, the one to take first."""
    wanted = [str(trial.columns[role])] if role in trial.columns else [ADAM_NAMES[role], role]
    # a column 'treatment' that the trial file calls the sequence holds orders, not treatments
    others = {"sequence", "treatment"} - {role}
    claimed = {str(trial.columns[other]).casefold() for other in others & trial.columns.keys()}
    wanted = [name for name in wanted if role in trial.columns or name.casefold() not in claimed]
    return [hit for name in wanted if (hit := _column(name, names, where)) is not None]


def _same(table: PatientTable, columns: Sequence[str]) -> bool:
    """Tell whether two columns hold the same cells."""
    return table.cells[columns[0]].equals(table.cells[columns[1]])


def _no_header(names: Sequence[str]) -> str:
    """Suspect that there is no header; what stands in its place may be a patient's and stays."""
    return (
        f"; none of the {len(names)} names in the first row is known: is the header missing? "
        "[columns] in the trial file gives names of your own"
    )


def _refuse_two_roles(
    columns: Mapping[str, str], scores: Mapping[str, str], trial: Trial, where: str
) -> None:
    """Refuse a column that two roles claim."""
    owner: dict[str, str] = {}
    for role, column in [*columns.items(), *scores.items()]:
        other = owner.setdefault(column, role)
        if other != role:
            place = f"{trial.source or trial.name} [columns]"
            raise SpecError(
                f"{where}: column '{column}' is taken for {other} and for {role}, and one column "
                f"has one role; name the columns of both, '{other}' and '{role}', in {place}"
            )


def _visit_notes(table: PatientTable, columns: Mapping[str, str], trial: Trial) -> list[str]:
    """Say which column visits are read from if others divide them further, or that none is."""
    taken = columns.get("visit")
    if "visit" in trial.columns:
        return []
    used = set(columns.values())
    others = [
        str(name) for name in table.cells.columns
        if str(name).upper() in VISIT_COLUMNS and str(name) not in used
    ]  # fmt: skip
    notes = []
    for name in others:
        pairs = table.cells[[name] if taken is None else [taken, name]]
        finer = len(_distinct(pairs)) > (1 if taken is None else len(_distinct(pairs[[taken]])))
        if finer and taken is None:
            notes.append(
                f"column '{name}' was not read; if it holds visits, name it, visit = \"{name}\" "
                "below [columns], and list them below [visits]"
            )
        elif finer:
            notes.append(f"visits are read from column '{taken}', not from '{name}'")
    return notes


def _distinct(cells: pd.DataFrame) -> pd.DataFrame:
    """Return the distinct rows of some columns, as text."""
    return cells.dropna().astype(str).drop_duplicates()


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
    missing: list[tuple[str, list[str]]],
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
            missing.append((key, [str(trial.columns[key])]))
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
    known = list(filter(None, names))
    return f"no column {looked} for {role}{nearest(wanted[0], known) if known else ''}"


def _covariate(name: str, layout: Layout, names: Sequence[str], where: str) -> str:
    """Return the column of a covariate that is no role's."""
    if name not in names:
        raise EvidenceError(f"{where}: no column '{name}' for a covariate{nearest(name, names)}")
    taken = {*layout.columns.values(), *layout.scores.values(), *ADAM_NAMES, KIND_COLUMN}
    if name in taken:
        raise EvidenceError(f"{where}: column '{name}' has a role and cannot be a covariate too")
    return name


def _analysis_records(
    table: PatientTable, layout: Layout, quoted: Quotes
) -> tuple[pd.DataFrame, list[Refusal], list[str]]:
    """Leave out ADaM baseline records, which are no outcomes; refuse derived and flagged records.

    The flags count in any case of their names and whatever column is the score.
    """
    cells, notes = table.cells, list[str]()
    if (name := _flag_column("ABLFL", cells, layout)) is not None:
        before = cells[name].map(lambda cell: str(cell).upper() in YES).to_numpy(dtype=bool)
        cells = cells[~before]
        if before.any():
            notes.append(
                f"{int(before.sum())} baseline records ({name} is Y) are no outcomes and were left "
                f"out{'' if 'baseline' in layout.columns else '; there is no column of baselines'}"
            )
    refusals: list[Refusal] = []
    if (name := _flag_column("DTYPE", cells, layout)) is not None:
        derived = cells[name].dropna()
        derived = derived[~derived.isin(MISSING_NUMBERS)]
        refusals += [
            (table.row[index], f"{name} {quoted(str(what))} marks a derived score; leave derived "
             "rows out")
            for index, what in zip(derived.index, derived, strict=True)
        ]  # fmt: skip
    if (name := _flag_column("ANL01FL", cells, layout)) is not None:
        flagged = cells[name].map(lambda cell: str(cell).upper() in YES).to_numpy(dtype=bool)
        if flagged.any():
            what = f"{name} is not Y, so the record is not for analysis; leave such rows out"
            refusals += [(table.row[index], what) for index in cells.index[~flagged]]
    return cells, refusals, notes


def _flag_column(name: str, cells: pd.DataFrame, layout: Layout) -> str | None:
    """Return the column of an ADaM flag in any case, unless the trial file gives it a role."""
    used = {*layout.columns.values(), *layout.scores.values()}
    found = [str(column) for column in cells.columns if str(column).upper() == name]
    return next((column for column in found if column not in used), None)
