"""Scores of an AB/BA crossover, one row a patient and one column a period.

The exact engine and the frequentist analyses read crossovers in this one form, so the rules that
make rows a crossover are checked in one place.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayes_ptsd.errors import EvidenceError

__all__ = ["BoolArray", "CrossoverPairs", "FloatArray", "crossover_pairs"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class CrossoverPairs:
    """Scores of a two-treatment, two-period crossover.

    Attributes
    ----------
    score : ndarray
        Scores as recorded, dims ``(subject, period)`` or ``(dataset, subject, period)``; NaN where
        a period is missing.
    active_first : ndarray of bool
        Whether the patient's first period was under the active treatment, dim ``(subject,)``.
    baseline : ndarray, optional
        A score taken before the first treatment, in its own unit, dim ``(subject,)`` or
        ``(dataset, subject)``; none may be missing.
    """

    score: FloatArray
    active_first: BoolArray
    subject: NDArray[np.generic]
    baseline: FloatArray | None = None

    def __post_init__(self) -> None:
        """Refuse what is not a crossover."""
        if self.score.ndim not in (2, 3) or self.score.shape[-1] != 2:
            raise EvidenceError(
                "a crossover needs scores of shape (subject, 2) or (dataset, subject, 2), got "
                f"{self.score.shape}"
            )
        count = self.score.shape[-2]
        if self.active_first.shape != (count,) or self.subject.shape != (count,):
            raise EvidenceError(
                f"{count} patients have scores, {self.active_first.size} a sequence and "
                f"{self.subject.size} a label; give one of each per patient"
            )
        _check_values(self)

    @property
    def complete(self) -> BoolArray:
        """Whether both periods are there, dims of `score` without ``period``."""
        return np.asarray(np.isfinite(self.score).all(axis=-1))

    @property
    def batched(self) -> bool:
        """Whether there is a leading ``dataset`` dim."""
        return self.score.ndim == 3

    def part(self, chosen: slice) -> CrossoverPairs:
        """Return some of the data sets of a batch; one baseline may be that of all of them."""
        baseline = self.baseline
        if baseline is not None and baseline.ndim == 2:
            baseline = baseline[chosen]
        return replace(self, score=self.score[chosen], baseline=baseline)

    def completers(self) -> CrossoverPairs:
        """Return the patients with both periods, of one data set: several can differ in them."""
        if self.batched:
            raise EvidenceError("take the completers of one data set at a time")
        keep = self.complete
        baseline = None if self.baseline is None else self.baseline[keep]
        return CrossoverPairs(
            self.score[keep], self.active_first[keep], self.subject[keep], baseline
        )


def crossover_pairs(
    subject: ArrayLike,
    period: ArrayLike,
    *,
    treatment: ArrayLike,
    score: ArrayLike,
    active: object,
    baseline: ArrayLike | None = None,
) -> CrossoverPairs:
    """Arrange the rows of a crossover by patient and period, patients without any score left out.

    `score` is as recorded, NaN where missing. `baseline` is from before the first treatment, the
    same in every row of a patient: a second-period baseline is a post-treatment variable and must
    not be given.
    """
    columns = _columns(subject, period, treatment, score)
    labels, row = np.unique(columns["subject"], return_inverse=True)
    is_active = _is_active(columns["treatment"], active)
    table = np.full((len(labels), 2), np.nan)
    active_first = np.zeros((len(labels), 2))
    for column, number in enumerate((1, 2)):
        here = columns["period"] == number
        table[row[here], column] = columns["score"][here]
        active_first[row[here], column] = np.where(is_active[here], 1, -1) * (1 - 2 * column)
    _check_rows(labels[row], columns["period"], active_first)
    kept = np.isfinite(table).any(axis=1)
    first = active_first.sum(axis=1) > 0
    values = None if baseline is None else _baseline(baseline, row, labels)[kept]
    return CrossoverPairs(table[kept], first[kept], labels[kept], values)


def _columns(
    subject: ArrayLike, period: ArrayLike, treatment: ArrayLike, score: ArrayLike
) -> dict[str, NDArray[np.generic]]:
    """Return the columns as arrays of one length."""
    columns = {
        "subject": np.asarray(subject),
        "period": np.asarray(period),
        "treatment": np.asarray(treatment),
        "score": np.asarray(score, dtype=float),
    }
    for name, column in columns.items():
        if column.shape != columns["subject"].shape or column.ndim != 1:
            raise EvidenceError(
                f"column '{name}' has shape {column.shape}, 'subject' "
                f"{columns['subject'].shape}; give one value a row"
            )
    odd = ~np.isin(columns["period"], (1, 2))
    if odd.any():
        raise EvidenceError(
            f"row {int(np.argmax(odd)) + 1}: period is {columns['period'][odd][0]}; a crossover "
            "here has periods 1 and 2"
        )
    return columns


def _is_active(treatment: NDArray[np.generic], active: object) -> BoolArray:
    """Tell the active rows; refuse anything but two treatments."""
    found = sorted(map(str, np.unique(treatment)))
    if len(found) != 2 or str(active) not in found:
        raise EvidenceError(
            f"expected two treatments, one of them '{active}'; the rows have {', '.join(found)}"
        )
    return np.asarray(treatment.astype(str) == str(active))


def _check_rows(
    row_labels: NDArray[np.generic], period: NDArray[np.generic], order: FloatArray
) -> None:
    """Refuse two rows of a patient in one period, and patients who do not switch treatment."""
    keys = list(zip(row_labels.tolist(), period.tolist(), strict=True))
    if len(set(keys)) < len(keys):
        subject, number = next(key for key in keys if keys.count(key) > 1)
        raise EvidenceError(f"subject '{subject}' has two rows in period {number}; keep one")
    stuck = (np.abs(order).sum(axis=1) == 2) & (order.sum(axis=1) == 0)
    if stuck.any():
        subject = np.unique(row_labels)[stuck][0]
        raise EvidenceError(
            f"subject '{subject}' has the same treatment in both periods; a crossover switches"
        )


def _baseline(
    baseline: ArrayLike, row: NDArray[np.intp], labels: NDArray[np.generic]
) -> FloatArray:
    """Return one baseline a patient."""
    values = np.asarray(baseline, dtype=float)
    if values.shape != row.shape:
        raise EvidenceError(f"'baseline' has shape {values.shape}, the rows {row.shape}")
    table = np.full(len(labels), np.nan)
    given = np.isfinite(values)
    table[row[given]] = values[given]
    moved = given & (table[row] != values)
    if moved.any():
        subject = labels[row[moved]][0]
        raise EvidenceError(
            f"subject '{subject}' has more than one baseline; a baseline of period 2 is measured "
            "after treatment and needs a joint model, not a covariate"
        )
    return table


def _check_values(pairs: CrossoverPairs) -> None:
    """Refuse infinite scores, missing baselines and a single sequence."""
    if np.isinf(pairs.score).any():
        raise EvidenceError("a score is infinite; leave it empty if it is missing")
    if pairs.baseline is not None:
        if pairs.baseline.shape not in (pairs.active_first.shape, pairs.score.shape[:-1]):
            raise EvidenceError(
                f"baseline has shape {pairs.baseline.shape}, one value for each of "
                f"{pairs.subject.size} patients is needed"
            )
        if not np.isfinite(pairs.baseline).all():
            missing = int((~np.isfinite(pairs.baseline)).sum())
            raise EvidenceError(
                f"the baseline is missing for {missing} of {pairs.baseline.size} patients; "
                "complete it, leave them out, or take baseline = 'none'"
            )
    if not len(pairs.active_first):
        raise EvidenceError("no patient has a score, so there is nothing to analyze")
    if pairs.active_first.all() or not pairs.active_first.any():
        raise EvidenceError(
            "all patients have the same sequence: treatment and period cannot be told apart"
        )
