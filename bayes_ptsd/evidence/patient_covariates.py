"""Covariates of a patient file: one value a subject, nothing that could tell who the subject is."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from bayes_ptsd.evidence.patient_cells import cell_number, cell_text
from bayes_ptsd.evidence.patient_ids import pseudonym
from bayes_ptsd.evidence.patient_readers import Cell, Refusal

__all__ = ["read_covariates"]

# up to three subjects can well have three categories; four texts of four subjects are none
FEW = 3


def read_covariates(
    rows: pd.DataFrame,
    names: Sequence[str],
    *,
    labels: Mapping[str, Mapping[Cell, str]],
    key: str | bytes,
) -> tuple[xr.Dataset | None, list[Refusal]]:
    """Return covariates by subject, sorted, dim (subject), or None without names; and refusals.

    Numbers (NaN where missing) if all cells are numbers, else text (empty where missing). Refused:
    covariates that change within a subject, repeat the id (which `key` recognizes), or whose text
    is different for each subject.
    """
    refusals: list[Refusal] = []
    found = {}
    for name in names:
        values, wrong = _values(rows, name, labels.get(name, {}))
        wrong += _identifying(rows["subject"], values, name, key) if not wrong else []
        found[name] = values.groupby(rows["subject"].to_numpy()).first()
        refusals += wrong
    if not names:
        return None, refusals
    data = {
        name: ("subject", column.fillna("").to_numpy(dtype=str) if _is_text(column) else column)
        for name, column in found.items()
    }
    subject = next(iter(found.values())).index.to_numpy(dtype=str)
    return xr.Dataset(data, coords={"subject": subject}), refusals


def _is_text(values: pd.Series) -> bool:
    """Tell text from numbers."""
    return values.dtype == object


def _values(
    rows: pd.DataFrame, name: str, labels: Mapping[Cell, str]
) -> tuple[pd.Series, list[Refusal]]:
    """Return the covariate of each row."""
    cells = [
        labels.get(cell, cell) if isinstance(cell, Hashable) else cell
        for cell in rows[f"covariate:{name}"]
    ]
    numbers = [cell_number(cell, truth_values=True) for cell in cells]
    if not any(problem for _, problem in numbers):
        values = pd.Series([number for number, _ in numbers], dtype=float)
        return values, _changes(rows, values, name)
    texts = [cell_text(cell) if cell is not None else (None, "") for cell in cells]
    values = pd.Series([text for text, _ in texts], dtype=object)
    problems = zip(rows["row"], texts, strict=True)
    wrong = [(row, f"covariate '{name}' {what}") for row, (_, what) in problems if what]
    return values, wrong + _changes(rows, values, name)


def _changes(rows: pd.DataFrame, values: pd.Series, name: str) -> list[Refusal]:
    """Refuse values that are not those of the subject's first row."""
    known = pd.DataFrame({"row": rows["row"], "subject": rows["subject"], "value": values}).dropna()
    groups = known.groupby("subject", sort=False)
    first, original = groups["value"].transform("first"), groups["row"].transform("first")
    wrong = known["value"] != first
    return [
        (row, f"covariate '{name}' differs from row {at} of the same subject")
        for row, at in zip(known["row"][wrong], original[wrong], strict=True)
    ]


def _identifying(
    subjects: pd.Series,
    values: pd.Series,
    name: str,
    key: str | bytes,
) -> list[Refusal]:
    """Refuse a covariate that is the id, or a text of each subject's own."""
    known = pd.DataFrame({"subject": subjects, "value": values}).dropna().drop_duplicates()
    texts = [cell_text(value)[0] or "" for value in known["value"]]
    ids = np.array([pseudonym(text, key) for text in texts]) == known["subject"].to_numpy()
    if len(known) and ids.all():
        return [(0, f"covariate '{name}' repeats the id of the subject")]
    if _is_text(values) and len(known) > FEW and len(set(texts)) == len(known):
        return [(0, f"covariate '{name}' has another text for each subject; use categories")]
    return []
