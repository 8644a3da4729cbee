"""Subjects of a patient file: ids replaced before anything else sees them, and covariates.

Nothing that leaves this module, messages included, holds an id of the file, but for the `Quotes`
that keep ids out of other messages; and no covariate is taken that could tell who a subject is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import pandas as pd
import xarray as xr

from bayes_ptsd.errors import EvidenceError, nearest
from bayes_ptsd.evidence.cell_values import cell_number, cell_text, has_comma, plain_minus
from bayes_ptsd.evidence.patient_cells import distinct_cells, read_each, refused_rows
from bayes_ptsd.evidence.patient_files import Cell, Refusal
from bayes_ptsd.evidence.quoting import Quotes
from bayes_ptsd.trial import DataRules

__all__ = [
    "Subjects",
    "check_factors",
    "covariate_kind",
    "file_key",
    "known_ids",
    "pseudonym",
    "read_covariates",
    "read_subjects",
]

NO_IDS = {"NA", "N/A", "NaN", "nan", "."}


@dataclass(frozen=True)
class Subjects:
    """Who each row is of, without ids."""

    labels: Sequence[str | None]  # pseudonym by row
    refusals: list[Refusal]
    alike: Sequence[str | None]  # pseudonym by row of the id without what people leave out
    why_alike: Mapping[str, str]  # in what ids differ that are alike, by that pseudonym


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


def known_ids(cells: pd.Series) -> Quotes:
    """Return what keeps the ids of a column out of messages."""
    texts = (cell_text(cell)[0] for cell in distinct_cells(cells)[1])
    return Quotes(text for text in texts if text is not None and text not in NO_IDS)


def read_subjects(rows: pd.DataFrame, key: str | bytes) -> Subjects:
    """Replace the ids of the subjects, None where there is none, and refuse odd or missing ids."""
    groups: dict[str, dict[str, Cell]] = {}

    def replaced(cell: Cell) -> tuple[tuple[str, str] | None, str]:
        text, problem = cell_text(cell)
        if text in NO_IDS:
            text, problem = None, "is missing"
        if text is None:
            # What stands in parentheses quotes the cell, which may be an id.
            return None, f"subject {problem.partition(' (')[0]}"
        label, alike = pseudonym(text, key), pseudonym(_bare(text), key)
        groups.setdefault(alike, {})[label] = cell
        return (label, alike), ""

    found, problems = read_each(rows["subject"], replaced, missing=(None, None))
    why = {alike: _difference([*ids.values()]) for alike, ids in groups.items() if len(ids) > 1}
    return Subjects(
        labels=[label for label, _ in found],
        refusals=refused_rows(rows["row"], problems),
        alike=[alike for _, alike in found],
        why_alike=why,
    )


# what a program or a hand changes about an id without meaning another patient
CHANGES: Mapping[str, Callable[[str], str]] = {
    "spaces": lambda text: re.sub(r"\s+", "", text),
    "upper and lower case": str.casefold,
    "leading zeros": lambda text: re.sub(r"(?<!\d)0+(?=\d)", "", text),
    "a decimal point": lambda text: re.sub(r"^(\d+)\.0+$", r"\1", text),
    "hyphens": plain_minus,
}


def _bare(text: str) -> str:
    """Return an id without what a program or a hand changes about it."""
    for change in CHANGES.values():
        text = change(text)
    return text


def _difference(ids: Sequence[str]) -> str:
    """Say in what ids differ that are alike."""
    for name, change in CHANGES.items():
        if len(set(map(change, ids))) == 1:
            return name
    return " or ".join(
        name for name in CHANGES if name in ("upper and lower case", "leading zeros")
    )


# up to three subjects can well have three categories; four texts of four subjects are none
FEW = 3


def read_covariates(
    rows: pd.DataFrame,
    names: Sequence[str],
    *,
    labels: Mapping[str, Mapping[Cell, str]],
    key: str | bytes,
    rules: DataRules,
) -> tuple[xr.Dataset | None, list[Refusal]]:
    """Return covariates by subject, sorted, dim (subject), or None without names; and refusals.

    Numbers (NaN where missing) if all cells are numbers and the trial file does not call them
    factors, else text (empty where missing). Refused: covariates that change within a subject,
    repeat the id (which `key` recognizes), mix numbers and text, or whose text is different for
    each subject.
    """
    if not names:
        return None, []
    refusals: list[Refusal] = []
    found = {}
    for name in names:
        values, wrong = _values(rows, name, labels.get(name, {}), rules)
        wrong += _changes(rows, values, name)
        wrong += _identifying(rows["subject"], values, name, key) if not wrong else []
        found[name] = values.groupby(rows["subject"].to_numpy()).first()
        refusals += wrong
    data = {
        name: ("subject", column.fillna("").to_numpy(dtype=str) if _is_text(column) else column)
        for name, column in found.items()
    }
    subject = next(iter(found.values())).index.to_numpy(dtype=str)
    return xr.Dataset(data, coords={"subject": subject}), refusals


def covariate_kind(values: xr.DataArray) -> str:
    """Return what a covariate is read as, in words: a number, or so many categories."""
    if values.dtype.kind in "fiub":
        return "number"
    categories = set(values.values.tolist()) - {""}
    return f"{len(categories)} categories"


def _is_text(values: pd.Series) -> bool:
    """Tell text from numbers."""
    return values.dtype == object


def _values(
    rows: pd.DataFrame, name: str, labels: Mapping[Cell, str], rules: DataRules
) -> tuple[pd.Series, list[Refusal]]:
    """Return the covariate of each row: as numbers if all are, else as text."""
    cells = rows[f"covariate:{name}"]

    def labelled(cell: Cell) -> Cell:
        return labels.get(cell, cell) if isinstance(cell, Hashable) else cell

    def as_number(cell: Cell) -> tuple[float, str]:
        return cell_number(labelled(cell), truth_values=True, decimal=rules.decimal)

    def as_text(cell: Cell) -> tuple[str | None, str]:
        text, problem = cell_text(labelled(cell)) if cell is not None else (None, "")
        return text, f"covariate '{name}' {problem}" if problem else ""

    numbers, problems = read_each(cells, as_number, missing=np.nan)
    if name not in rules.factors:
        if not any(problems):
            return pd.Series(numbers, dtype=float), []
        if mixed := _mixed(cells, numbers, problems, name, rules.decimal):
            where = rows["row"][[bool(what) for what in problems]]
            return pd.Series(numbers, dtype=float), [(row, mixed) for row in where]
    texts, problems = read_each(cells, as_text, missing=None)
    return pd.Series(texts, dtype=object), refused_rows(rows["row"], problems)


def _mixed(
    cells: pd.Series, numbers: Sequence[float], problems: Sequence[str], name: str, decimal: str
) -> str:
    """Say why a covariate with more numbers than text must not become categories of its numbers."""
    wrong = {str(cell) for cell, what in zip(cells, problems, strict=True) if what}
    right = {number for number in numbers if number == number}
    if decimal == "." and any(has_comma(cell) for cell in wrong):
        return (
            f"covariate '{name}' has decimal commas; write decimal = \",\" below [data] in the "
            "trial file"
        )
    if len(right) > max(len(wrong), FEW):
        return (
            f"covariate '{name}' is text here and a number in other rows; correct it, or list it "
            f'among the factors of [data] in the trial file: factors = ["{name}"]'
        )
    return ""


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


def check_factors(
    rules: DataRules, names: Sequence[str], columns: Sequence[str], where: str
) -> None:
    """Refuse a factor that is no column of the file while covariates are asked for."""
    for factor in rules.factors if names else ():
        if factor not in columns:
            raise EvidenceError(
                f"{where}: [data] factors names '{factor}', which is no column"
                f"{nearest(factor, columns)}"
            )
