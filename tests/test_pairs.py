"""Rows of a crossover become pairs, or are refused with the patient and the reason."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence.pairs import CrossoverPairs, crossover_pairs

ROWS: dict[str, Any] = {
    "subject": ["a", "a", "b", "b", "c"],
    "period": [1, 2, 1, 2, 2],
    "treatment": ["K", "M", "M", "K", "K"],
    "score": [5.0, 7.0, 8.0, 4.0, 6.0],
}


def pairs_of(baseline: list[float] | None = None, **changes: Any) -> CrossoverPairs:
    """Return the pairs of the example rows with some columns replaced."""
    rows = {**ROWS, **changes}
    return crossover_pairs(
        rows["subject"],
        rows["period"],
        treatment=rows["treatment"],
        score=rows["score"],
        active="K",
        baseline=baseline,
    )


def test_rows_become_pairs_with_their_sequence() -> None:
    """Scores stand under their period, and a second period alone still tells the sequence."""
    pairs = pairs_of()
    np.testing.assert_array_equal(pairs.score, [[5, 7], [8, 4], [np.nan, 6]])
    assert pairs.active_first.tolist() == [True, False, False]
    assert pairs.complete.tolist() == [True, True, False]


def test_order_of_rows_does_not_matter() -> None:
    """Shuffled rows give the same pairs."""
    order = [3, 0, 4, 1, 2]
    shuffled = pairs_of(**{name: [column[i] for i in order] for name, column in ROWS.items()})
    np.testing.assert_array_equal(shuffled.score, pairs_of().score)


def test_completers_are_the_patients_with_both_periods() -> None:
    """Completers keep scores, sequence, label and baseline together."""
    kept = pairs_of(baseline=[30, 30, 40, 40, 50]).completers()
    assert kept.subject.tolist() == ["a", "b"]
    assert kept.baseline is not None
    assert kept.baseline.tolist() == [30, 40]


def test_patients_without_any_score_are_left_out() -> None:
    """A patient whose only score is missing does not become a row of nothing."""
    assert len(pairs_of(score=[5.0, 7.0, 8.0, 4.0, np.nan]).subject) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"period": [1, 2, 1, 2, 3]}, "row 5: period is 3"),
        ({"period": [1, 1, 1, 2, 2]}, "subject 'a' has two rows in period 1"),
        ({"treatment": ["K", "K", "M", "K", "K"]}, "subject 'a' has the same treatment in both"),
        ({"treatment": ["K", "M", "M", "K", "P"]}, "expected two treatments, one of them 'K'"),
        ({"treatment": ["A", "B", "B", "A", "A"]}, "the rows have A, B"),
        ({"score": [5.0, 7.0, 8.0, 4.0]}, "column 'score' has shape"),
        ({"score": [5.0, 7.0, np.inf, 4.0, 6.0]}, "a score is infinite"),
        (
            {"treatment": ["K", "M", "K", "M", "M"]},
            "all patients have the same sequence",
        ),
    ],
)
def test_rows_that_are_no_crossover_are_refused(changes: dict[str, Any], message: str) -> None:
    """Each kind of wrong row has its message."""
    with pytest.raises(EvidenceError, match=message):
        pairs_of(**changes)


def test_a_baseline_of_the_second_period_is_refused() -> None:
    """A baseline that changes between a patient's rows is post-treatment, and said to be."""
    with pytest.raises(EvidenceError, match="subject 'b' has more than one baseline"):
        pairs_of(baseline=[30, 30, 40, 41, 50])


def test_a_missing_baseline_is_refused() -> None:
    """A patient without a baseline cannot enter an adjusted model silently."""
    with pytest.raises(EvidenceError, match="the baseline is missing for 1 of 3 patients"):
        pairs_of(baseline=[30, 30, 40, 40, np.nan])


def test_wrong_shapes_are_refused() -> None:
    """Arrays that do not describe the same patients are refused."""
    with pytest.raises(EvidenceError, match=r"shape \(subject, 2\)"):
        CrossoverPairs(np.zeros((4, 3)), np.zeros(4, bool), np.arange(4))
    with pytest.raises(EvidenceError, match="4 patients have scores, 3 a sequence"):
        CrossoverPairs(np.zeros((4, 2)), np.zeros(3, bool), np.arange(4))


def test_completers_of_a_batch_are_refused() -> None:
    """Data sets with different completers do not fit into one array."""
    batch = CrossoverPairs(np.zeros((5, 4, 2)), np.arange(4) < 2, np.arange(4))
    with pytest.raises(EvidenceError, match="one data set at a time"):
        batch.completers()
