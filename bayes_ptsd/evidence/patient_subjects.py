"""Subjects of a patient file: ids replaced before anything else sees them, and covariates.

Nothing that leaves this module, messages included, holds an id of the file, and no covariate is
taken that could tell who a subject is.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from hashlib import blake2b

import numpy as np
import pandas as pd
import xarray as xr

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence.patient_columns import cell_number, cell_text
from bayes_ptsd.evidence.patient_files import Cell, Refusal

__all__ = ["file_key", "pseudonym", "pseudonyms", "read_covariates"]

NO_IDS = {"NA", "N/A", "NaN", "nan", "."}


def pseudonym(subject: str, key: str | bytes) -> str:
    """Return the label of a subject: ``p`` and 16 hexadecimal digits of a keyed BLAKE2b digest.

    The key is secret, without it ids cannot be tried one by one; an empty one is refused.
    """
    secret = key.encode() if isinstance(key, str) else key
    if not secret:
        raise EvidenceError("the key of the pseudonyms is empty; give any secret text, or none")
    secret = secret if len(secret) <= 64 else blake2b(secret).digest()
    content = subject.encode("utf-8", "surrogatepass")
    return f"p{blake2b(content, key=secret, digest_size=8).hexdigest()}"


def file_key(digest: bytes) -> bytes:
    """Return a key that only the holder of the file, by its digest, can compute."""
    return blake2b(digest, person=b"pseudonyms").digest()


def pseudonyms(rows: pd.DataFrame, key: str | bytes) -> tuple[list[str | None], list[Refusal]]:
    """Replace the ids of the subjects, None where there is none, and refuse odd or missing ids."""
    labels: list[str | None] = []
    refusals: list[Refusal] = []
    for row, cell in zip(rows["row"], rows["subject"], strict=True):
        text, problem = cell_text(cell)
        if text in NO_IDS:
            text, problem = None, "is missing"
        if text is None:
            # What stands in parentheses quotes the cell, which may be an id.
            refusals.append((row, f"subject {problem.partition(' (')[0]}"))
        labels.append(None if text is None else pseudonym(text, key))
    return labels, refusals


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
