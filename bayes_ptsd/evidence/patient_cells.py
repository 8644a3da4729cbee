"""The cells of a patient file by role, one row per score, read as labels and numbers.

Every distinct cell is read once. What is wrong with a whole column, such as decimal commas or two
labels for a binary score, is one refusal; what is wrong with a cell is refused with its row.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from bayes_ptsd.evidence.cell_values import (
    COMMA,
    MISSING_LABEL,
    NO_NUMBER,
    NO_PERIOD,
    NUMBER,
    THOUSANDS,
    cell_number,
    cell_period,
    cell_score,
    cell_text,
    has_comma,
    is_missing,
    outside_periods,
    plain_minus,
)
from bayes_ptsd.evidence.patient_arrays import ONLY_VISIT
from bayes_ptsd.evidence.patient_columns import Layout
from bayes_ptsd.evidence.patient_files import Cell, Refusal
from bayes_ptsd.evidence.quoting import BRIEF, Quotes
from bayes_ptsd.trial import Endpoint, Trial

__all__ = ["distinct_cells", "flag_each", "parse_rows", "read_each"]

Codes = npt.NDArray[np.intp]
Labels = Mapping[Cell, str]
Reader: TypeAlias = Callable[[Cell, Quotes], tuple[float, str]]
# wrong cells of a column that are told apart: more than a message lists, and soon read
QUOTED = 200
# two wrong labels can be two other names of the two treatments; three are another column
OTHER_NAMES = 2


def distinct_cells(cells: pd.Series) -> tuple[Codes, list[Cell]]:
    """Return the distinct cells of a column in their order, and which of them each row has.

    1, 1.0, True and "1" are different cells, though Python finds the first three equal.
    """
    values = cells.to_numpy(dtype=object)
    kinds = set(map(type, values)) - {type(None)}
    if len(kinds) <= 1 and kinds <= {str, int, float, bool}:
        codes, found = pd.factorize(values, use_na_sentinel=False)
        return codes.astype(np.intp), [None if _is_nan(cell) else cell for cell in found]
    place: dict[Any, int] = {}
    codes = np.array([place.setdefault(_key(cell), len(place)) for cell in values], dtype=np.intp)
    first = np.unique(codes, return_index=True)[1]
    return codes, [None if _is_nan(values[row]) else values[row] for row in first]


def _key(cell: Cell) -> Hashable:
    """Return what tells a cell from cells of other types, and lists from each other."""
    if _is_nan(cell):
        return type(None), None
    return type(cell), cell if isinstance(cell, Hashable) else id(cell)


def _is_nan(cell: Cell) -> bool:
    """Tell what pandas makes of a missing cell."""
    return isinstance(cell, float) and cell != cell


def read_each(
    cells: pd.Series,
    read: Callable[[Cell, Quotes], tuple[Any, str]],
    *,
    row: pd.Series,
    quoted: Quotes = BRIEF,
    dtype: type = object,
) -> tuple[npt.NDArray[Any], list[Refusal]]:
    """Return what every cell of a column is, reading each distinct one once, and refusals.

    `read` gives a value and why it is none; what is refused is None, or NaN among numbers.
    """
    codes, found = distinct_cells(cells)
    return _spread(codes, _read(found, read, quoted), row=row, dtype=dtype)


def _read(
    cells: Sequence[Cell], read: Callable[[Cell, Quotes], tuple[Any, str]], quoted: Quotes
) -> list[tuple[Any, str]]:
    """Read distinct cells; from some wrong ones on, nothing is quoted any more."""
    results, wrong = [], 0
    for cell in cells:
        results.append(read(cell, quoted if wrong < QUOTED else BRIEF))
        wrong += results[-1][1] != ""
    return results


def _spread(
    codes: Codes, read: Sequence[tuple[Any, str]], *, row: pd.Series, dtype: type = object
) -> tuple[npt.NDArray[Any], list[Refusal]]:
    """Give every row the value of its distinct cell, or a refusal."""
    values: npt.NDArray[Any] = np.empty(len(read), dtype=dtype)
    values[:] = [None if problem else value for value, problem in read]
    problems = np.array([problem for _, problem in read], dtype=object)
    wrong = (problems != "")[codes] if len(read) else np.zeros(0, dtype=bool)
    refused = zip(row.to_numpy()[wrong].tolist(), problems[codes[wrong]].tolist(), strict=True)
    return values[codes], list(refused)


def flag_each(cells: pd.Series, test: Callable[[Cell], bool]) -> npt.NDArray[np.bool_]:
    """Return what a test says of every cell of a column, asking once for each distinct one."""
    codes, found = distinct_cells(cells)
    return np.array([test(cell) for cell in found], dtype=bool)[codes]


def parse_rows(
    rows: pd.DataFrame,
    trial: Trial,
    *,
    layout: Layout,
    labels: Mapping[str, Labels],
    quoted: Quotes,
    endpoint: str | None = None,
) -> tuple[pd.DataFrame, list[Refusal]]:
    """Turn plain cells into labels of the trial and numbers, with a refusal per wrong cell.

    Labels are None where refused, value and baseline NaN where missing or refused, and ``given``
    says where there is a score, readable or not. `endpoint` is what a file without an endpoint
    column holds.
    """
    refusals: list[Refusal] = []
    parsed = pd.DataFrame({"row": rows["row"], "subject": rows["subject"]})

    def texts(role: str, known: Collection[str], otherwise: str | None) -> npt.NDArray[Any]:
        if role not in layout.columns:
            return np.full(len(rows), otherwise, dtype=object)
        own = labels.get(layout.columns[role], {})
        found, wrong = _texts(rows, role, known=known, own=own, quoted=quoted)
        refusals.extend(wrong)
        return found

    parsed["treatment"] = texts("treatment", (trial.active, trial.control), None)
    parsed["endpoint"] = (
        texts("endpoint", trial.endpoints, endpoint or next(iter(trial.endpoints)))
        if layout.long
        else rows["endpoint"]
    )
    parsed["visit"] = texts("visit", trial.visits, next(iter(trial.visits), ONLY_VISIT))
    crossed = trial.design == "crossover"
    parsed["sequence"] = texts("sequence", trial.sequences, None) if crossed else None
    parsed["period"], wrong = _periods(rows, crossed=crossed, quoted=quoted)
    # a row of a run-in has to go, whatever its other cells are
    outside = set(rows["row"][flag_each(rows["period"], outside_periods)]) if crossed else set()
    refusals = _but(refusals, outside) + wrong
    parsed["given"] = ~flag_each(rows["value"], is_missing)
    for role in ("value", "baseline"):
        one = layout.columns.get(role, "")
        columns = layout.scores if role == "value" else dict.fromkeys(trial.endpoints, one)
        parsed[role] = np.nan
        for key, part in rows.groupby(parsed["endpoint"], sort=False, dropna=False):
            chosen = trial.endpoints.get(str(key))
            own = labels.get(columns.get(str(key), ""), {})
            found, wrong = _scores(part, role, chosen, own=own, trial=trial, quoted=quoted)
            parsed.loc[part.index, role] = found
            refusals += _but(wrong, outside)
    return parsed, refusals


def _but(refusals: list[Refusal], rows: Collection[int]) -> list[Refusal]:
    """Return refusals without those of some rows."""
    return [(row, what) for row, what in refusals if row not in rows] if rows else refusals


def _periods(
    rows: pd.DataFrame, *, crossed: bool, quoted: Quotes
) -> tuple[npt.NDArray[Any], list[Refusal]]:
    """Return the period of each row; a column without any period is one refusal."""
    codes, cells = distinct_cells(rows["period"])
    read = _read(cells, lambda cell, q: cell_period(cell, crossed=crossed, quoted=q), quoted)
    there = [problem for cell, (_, problem) in zip(cells, read, strict=True) if cell is not None]
    if len(there) > 1 and all(what.endswith(NO_PERIOD) for what in there):
        what = f"period: {len(there)} different labels, none of them a period: {NO_PERIOD}"
        return np.full(len(rows), np.nan), [(0, f"{what}; is another column the period?")]
    named = [_named("period", one) for one in read]
    return _spread(codes, named, row=rows["row"], dtype=float)


def _named(role: str, read: tuple[Any, str]) -> tuple[Any, str]:
    """Put the name of the column before what is wrong with a cell."""
    value, problem = read
    return value, f"{role} {problem}" if problem else ""


def _texts(
    rows: pd.DataFrame, role: str, *, known: Collection[str], own: Labels, quoted: Quotes
) -> tuple[npt.NDArray[Any], list[Refusal]]:
    """Return the labels of a column; those outside `known`, if that is not empty, are refused."""
    by_case = {name.casefold(): name for name in known} if role == "endpoint" else {}

    def label(cell: Cell, quoted: Quotes) -> tuple[str | None, str]:
        text, problem = cell_text(cell)
        if text is not None and text not in known and cell in own:
            text = own[cell].strip()
        if text is not None and text not in known:
            text = by_case.get(text.casefold(), text)
        if text is not None and known and text not in known:
            return text, f"{role} {quoted.unknown(text, known)}"
        return text, f"{role} {problem}" if problem else ""

    codes, cells = distinct_cells(rows[role])
    read = _read(cells, label, quoted)
    if known and not any(text in known for text, _ in read):
        others = {text for text, _ in read if text is not None}
        if len(others) > OTHER_NAMES:
            what = f"{role}: {len(others)} different labels, none of them a {role} of the trial"
            nothing = np.full(len(rows), None, dtype=object)
            return nothing, [(0, f"{what}; is another column the {role}?")]
    return _spread(codes, read, row=rows["row"])


def _scores(
    rows: pd.DataFrame,
    role: str,
    endpoint: Endpoint | None,
    *,
    own: Labels,
    trial: Trial,
    quoted: Quotes,
) -> tuple[npt.NDArray[Any], list[Refusal]]:
    """Return the scores of one endpoint; what is wrong with all of them is one refusal."""
    codes, cells = distinct_cells(rows[role])
    count = np.bincount(codes, minlength=len(cells))
    there = [(cell, n) for cell, n in zip(cells, count, strict=True) if not is_missing(cell)]
    whole, read = "", _reader(endpoint, trial)
    if endpoint is not None and endpoint.kind == "binary":
        whole, read = _events(there, role, endpoint, own, read, where=trial.source, quoted=quoted)
    results = _read(cells, read, quoted)
    whole = whole or _all_wrong(there, role, results, endpoint, trial=trial)
    if whole:
        return np.full(len(rows), np.nan), [(0, whole)]
    reasons = [_labelled_missing(cell, own) or problem for cell, (_, problem) in
               zip(cells, results, strict=True)]  # fmt: skip
    named = [_named(role, (value, reason)) for (value, _), reason in
             zip(results, reasons, strict=True)]  # fmt: skip
    return _spread(codes, named, row=rows["row"], dtype=float)


def _reader(endpoint: Endpoint | None, trial: Trial) -> Reader:
    """Return the function that reads a score of an endpoint."""
    decimal = trial.data.decimal
    return lambda cell, quoted: cell_score(cell, endpoint, decimal=decimal, quoted=quoted)


def _labelled_missing(cell: Cell, own: Labels) -> str:
    """Refuse a score whose own label in the file says that there is none."""
    label = own.get(cell, "") if isinstance(cell, Hashable) else ""
    if is_missing(cell) or not MISSING_LABEL.search(label):
        return ""
    return f"{cell:g} is labelled '{label.strip()}' in the file: leave the cell empty"


def _all_wrong(
    there: Sequence[tuple[Cell, int]],
    role: str,
    results: Sequence[tuple[float, str]],
    endpoint: Endpoint | None,
    *,
    trial: Trial,
) -> str:
    """Say what is wrong with all scores of an endpoint alike; an empty text if nothing is."""
    texts = [plain_minus(cell) for cell, _ in there if isinstance(cell, str)]
    commas = sum(n for cell, n in there if has_comma(cell))
    points = any("." in text and NUMBER.fullmatch(text) for text in texts)
    numbers = all(
        NUMBER.fullmatch(t) or COMMA.fullmatch(t) or THOUSANDS.fullmatch(t) for t in texts
    )
    if trial.data.decimal == "." and commas and numbers and not points:
        return (
            f'{_all(commas, there, role)} decimal commas; write decimal = "," below [data] in '
            "the trial file (if they are thousands separators, take them out of the scores)"
        )
    known = [problem for _, problem in results if problem]
    if len(there) > 1 and len(known) == len(there):
        column = "score" if role == "value" else role
        if all(NO_NUMBER in what for what in known):
            return (
                f"{role}: {len(there)} different texts, none of them a number; is another column "
                f"the {column}?"
            )
        if endpoint and all("is outside the range" in what for what in known):
            low, high = endpoint.range or (-np.inf, np.inf)
            return (
                f"{role}: all {sum(n for _, n in there)} numbers are outside the range {low:g} to "
                f"{high:g} of endpoint '{endpoint.id}'; is another column the {column}?"
            )
    return ""


def _all(count: int, there: Sequence[tuple[Cell, int]], role: str) -> str:
    """Return how many scores have something, for people."""
    what = "score" if role == "value" else role
    total = sum(n for _, n in there)
    if count == total:
        return f"all {count} {what}s have"
    return f"{count} of {total} {what}s have"


def _events(
    there: Sequence[tuple[Cell, int]],
    role: str,
    endpoint: Endpoint,
    own: Labels,
    otherwise: Reader,
    *,
    where: str,
    quoted: Quotes,
) -> tuple[str, Reader]:
    """Return what is wrong with the labels of a binary endpoint, and the function that reads it.

    With the label of an event that is 1, and the other label 0; without one only 0 and 1 are read.
    """
    cells = [cell for cell, _ in there if isinstance(cell, str | int | float)]
    names = {_fold(_label(cell, own)): _label(cell, own) for cell in cells
             if not _labelled_missing(cell, own)}  # fmt: skip
    listed = " and ".join(quoted(name) for name in sorted(names.values()))
    key = f"[endpoints.{endpoint.id}] of {where or 'the trial file'}"
    event = _fold(endpoint.event)
    if not event:
        codes = {_fold(cell_text(cell)[0] or "0") for cell in cells}
        if len(names) > 2 or codes <= {"0", "1"} or len(codes) > 2 or not names:
            return "", otherwise
        example = sorted(names.values())[-1]
        example = "" if quoted.hides(example) else f', for example event = "{example}"'
        what = "has the labels" if len(names) == 2 else "has only the label"
        return f"{role} {what} {listed}; say which one counts as 1 in {key}{example}", otherwise
    hit = {_fold(_label(cell, own)) for cell in cells
           if event in (_fold(_label(cell, own)), _fold(_code(cell)))}  # fmt: skip
    if len(names) > 2:
        shown = ", ".join(quoted(name) for name in sorted(names.values())[:8])
        return f"{role} has {len(names)} labels ({shown}); endpoint '{endpoint.id}' is binary", (
            otherwise
        )
    if len(names) == 2 and not hit:
        return f"{role} has the labels {listed}, not event = '{endpoint.event}' of {key}", otherwise

    def read(cell: Cell, quoted: Quotes) -> tuple[float, str]:
        if is_missing(cell) or not isinstance(cell, str | int | float):
            return otherwise(cell, quoted)
        return (1.0 if _fold(_label(cell, own)) in hit else 0.0), ""

    return "", read


def _label(cell: Cell, own: Labels) -> str:
    """Return the label of a binary score: that of the file, else the cell itself."""
    return own.get(cell, "").strip() or _code(cell)


def _code(cell: Cell) -> str:
    """Return a binary score as text; a truth value as it is written."""
    return str(cell) if isinstance(cell, bool) else cell_text(cell)[0] or ""


def _fold(text: str) -> str:
    """Return a label without regard to case; 1.0 is 1."""
    plain = text.strip().casefold()
    number, problem = cell_number(plain) if NUMBER.fullmatch(plain) else (np.nan, "text")
    return plain if problem else f"{number:g}"
