"""Moving code moves no number: every model and the quick reanalysis answer as they are kept."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from golden_values import FOLDER, answer, cases, differences, settled


@cache
def kept(name: str) -> Any:
    """Return a file of golden values."""
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(cases()))
def test_model_answers_as_kept(name: str) -> None:
    """Digest, exact fit and log density of a model on its example are those kept, to 1e-9."""
    found = json.loads(json.dumps(answer(cases()[name])))
    assert differences(found, kept("models")[name]) == []


def test_every_kept_model_is_shipped() -> None:
    """No model is lost: those of the kept answers are those of today."""
    assert sorted(kept("models")) == sorted(cases())


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
