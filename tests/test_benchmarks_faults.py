"""The bench of faults: a few of each pass, and each check fails on a known bad state."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
faults: ModuleType = pytest.importorskip("faults")
small_tree, store_damage = faults.small_tree, faults.store_damage


def test_a_few_of_each_pass(tmp_path: Path) -> None:
    """Killed and racing writers, damage, layouts, wrong sidecars: nothing is wrong."""
    quick = faults.QUICK
    for line in (
        faults.kills(quick.kills, tmp_path / "a"),
        faults.writers(quick.results, tmp_path / "b"),
        faults.damage(quick.flips, quick.cuts, tmp_path / "c"),
        faults.layouts(quick.layouts, tmp_path / "d"),
        faults.sidecars(quick.sidecars, tmp_path / "e"),
    ):
        assert line.wrong == [], line
        assert line.attempts >= 3


def test_each_check_can_fail(tmp_path: Path) -> None:
    """Another result, a lost one, unnamed damage and growing memory are counted as wrong."""
    store = faults.ResultStore(tmp_path)
    store.save(small_tree("aa00aa00aa00", seed=1))
    assert faults.whole_or_absent(store, small_tree("aa00aa00aa00", seed=1)) == "whole"
    assert "is another" in faults.whole_or_absent(store, small_tree("aa00aa00aa00", seed=2))
    assert faults.lost_or_torn(store, 1)[0].endswith("absent")
    sidecar = tmp_path / "results" / "aa00aa00aa00.json"
    assert [*faults.unnoticed(store, sidecar)] == [
        "verify does not name it, but says ''", "it was read as good",
    ]  # fmt: skip
    assert faults.growth([100.0 + number for number in range(100)]) > faults.GROWTH
    line = faults._answers("x", ["answer", "refused", "wrong: 1"])
    assert (line.wrong, line.figures) == (["wrong: 1"], "1 answered, 1 refused")
