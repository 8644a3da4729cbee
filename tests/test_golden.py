"""Moving code moves no number: the quick reanalysis answers as it is kept."""

from __future__ import annotations

import json
from pathlib import Path

from golden_values import differences, kept, settled


def test_quick_reanalysis_answers_as_kept(quick_run: tuple[Path, str, str]) -> None:
    """The document of a quick reanalysis is the one kept, to 1e-9, but for times and folders."""
    assert differences(settled(json.loads(quick_run[1])), kept("quick")) == []


def test_a_difference_is_found() -> None:
    """A number that moved by 1e-8, a lost key and another word are named with their place."""
    before = {"a": [1.0, {"b": 2.0}], "c": "same"}
    after = {"a": [1.0, {"b": 2.0 + 1e-8, "d": 0}], "c": "other"}
    assert [line.partition(":")[0] for line in sorted(differences(after, before))] == [
        "/a/1/b",
        "/a/1/d",
        "/c",
    ]
