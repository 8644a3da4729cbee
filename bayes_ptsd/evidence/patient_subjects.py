"""Subjects of a patient file: ids replaced before anything else sees them, and covariates.

Nothing that leaves this module, messages included, holds an id of the file, but for the `Quotes`
that keep ids out of other messages; and no covariate is taken that could tell who a subject is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from bayes_ptsd.errors import EvidenceError, nearest
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.cell_values import (
    MISSING_NUMBERS,
    cell_number,
    cell_text,
    has_comma,
    plain_minus,
)
from bayes_ptsd.evidence.patient_cells import distinct_cells, read_each
from bayes_ptsd.evidence.patient_checks import unequal
from bayes_ptsd.evidence.patient_files import Cell, Refusal
from bayes_ptsd.evidence.plain_cells import objects
from bayes_ptsd.evidence.quoting import BRIEF, Quotes
from bayes_ptsd.trial import DataRules

__all__ = [
    "Subjects",
    "check_factors",
    "covariate_kinds",
    "file_key",
    "known_ids",
    "pseudonym",
    "read_covariates",
    "read_subjects",
]


@dataclass(frozen=True)
class Subjects:
    """Who each row is of, without ids."""

    labels: npt.NDArray[Any]  # pseudonym by row, None where there is none
    refusals: list[Refusal]
    alike: npt.NDArray[np.intp]  # number by row, the same for ids that differ in writing only
    why_alike: Mapping[int, str]  # in what they differ, by that number, of two ids and more


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
    """Return what keeps the ids of a column out of messages; it looks at them when it is asked."""

    def ids() -> Iterator[str]:
        texts = (cell_text(cell)[0] for cell in distinct_cells(cells)[1])
        return (text for text in texts if text is not None and text not in MISSING_NUMBERS)

    return Quotes(ids)


def read_subjects(rows: pd.DataFrame, key: str | bytes) -> Subjects:
    """Replace the ids of the subjects, None where there is none, and refuse odd or missing ids."""

    def read(cell: Cell, _: Quotes) -> tuple[str | None, str]:
        text, problem = cell_text(cell)
        if text is None or text in MISSING_NUMBERS:
            # what stands in parentheses quotes the cell, which may be an id
            return None, f"subject {problem.partition(' (')[0] or 'is missing'}"
        return text, ""

    texts, refusals = read_each(rows["subject"], read, row=rows["row"])
    codes, ids = distinct_cells(pd.Series(texts, dtype=object))
    labels = objects([None if text is None else pseudonym(text, key) for text in ids])
    alike, bare = pd.factorize(objects([None if text is None else _bare(text) for text in ids]))
    several = np.bincount(alike[alike >= 0], minlength=len(bare)) > 1
    of_group = np.append(several, False)[alike[codes]] if len(ids) else np.zeros(0, dtype=bool)
    why = _differences(rows["subject"][of_group], dict(zip(ids, alike.tolist(), strict=True)))
    return Subjects(labels[codes], refusals, alike[codes], why)


def _differences(cells: pd.Series, place: Mapping[str | None, int]) -> dict[int, str]:
    """Say in what ids differ that are alike, by their number in `place`."""
    groups: dict[int, list[Cell]] = {}
    for cell in distinct_cells(cells)[1]:
        groups.setdefault(place[cell_text(cell)[0]], []).append(cell)
    return {number: _difference(found) for number, found in groups.items()}


# what a program or a hand changes about an id without meaning another patient
CHANGES: Mapping[str, Callable[[str], str]] = {
    "spaces": lambda text: re.sub(r"\s+", "", text),
    "upper and lower case": str.casefold,
    "leading zeros": lambda text: re.sub(r"(?<!\d)0+(?=\d)", "", text),
    "a decimal point": lambda text: re.sub(r"(?<=\d)\.0+$", "", text),
    "hyphens": plain_minus,
}
CHANGED = re.compile(r"\s+|(?<!\d)0+(?=\d)|(?<=\d)\.0+$")


def _bare(text: str) -> str:
    """Return an id without what a program or a hand changes about it, all of it at once."""
    return CHANGED.sub("", plain_minus(text).casefold())


def _difference(cells: Sequence[Cell]) -> str:
    """Say in what ids differ that are alike."""
    texts = [cell_text(cell)[0] or "" for cell in cells]
    same = (name for name, change in CHANGES.items() if len(set(map(change, texts))) == 1)
    mixed = len(set(map(type, cells))) > 1
    return next(same, "case, spaces or zeros") + " (text and number)" * mixed


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


def covariate_kinds(evidence: Evidence) -> dict[str, str]:
    """Return what each covariate is read as, in words: a number, or so many categories."""
    if "covariates" not in evidence.data.children:
        return {}
    found = evidence.data["covariates"].to_dataset()
    return {str(name): _kind(values) for name, values in found.data_vars.items()}


def _kind(values: xr.DataArray) -> str:
    """Return what one covariate is read as."""
    if values.dtype.kind in "fiub":
        return "number"
    return f"{len(set(values.values.tolist()) - {''})} categories"


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

    def as_number(cell: Cell, _: Quotes) -> tuple[float, str]:
        return cell_number(labelled(cell), truth_values=True, decimal=rules.decimal, quoted=BRIEF)

    def as_text(cell: Cell, _: Quotes) -> tuple[str | None, str]:
        if cell is None or isinstance(cell, bool):
            return (None if cell is None else str(cell)), ""
        text, problem = cell_text(labelled(cell))
        return text, f"covariate '{name}' {problem}" if problem else ""

    if name not in rules.factors:
        numbers, wrong = read_each(cells, as_number, row=rows["row"], dtype=float)
        if not wrong:
            return pd.Series(numbers), []
        places = {row for row, _ in wrong}
        others = set(map(str, cells[rows["row"].isin(places)]))
        if mixed := _mixed(others, set(numbers[~np.isnan(numbers)]), name, rules.decimal):
            return pd.Series(numbers), [(row, mixed) for row in sorted(places)]
    texts, refusals = read_each(cells, as_text, row=rows["row"])
    return pd.Series(texts, dtype=object), refusals


def _mixed(wrong: Collection[str], right: Collection[float], name: str, decimal: str) -> str:
    """Say why a covariate with more numbers than text must not become categories of its numbers."""
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
    table = pd.DataFrame({"row": rows["row"], "subject": rows["subject"], "value": values})
    message = f"covariate '{name}' differs from row {{row}} of the same subject"
    return unequal(table.dropna(), ["subject"], "value", message)


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
