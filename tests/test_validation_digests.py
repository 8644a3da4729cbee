"""A digest of a study sees what decides its numbers, and nothing else."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest
from altered_tree import ROOT, AlteredTree

EXACT = "document/estimands"


@pytest.fixture(scope="module")
def digests() -> ModuleType:
    """Return the module of the studies' digests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "validation"))
        return importlib.import_module("digests")


def test_words_are_not_code(digests: ModuleType) -> None:
    """Docstrings, comments, layout, imports, annotations and `__all__` do nothing."""
    told = (
        '"""A."""\nimport os\n__all__ = ["f"]\nA: int = 1\n"""Why."""\n# why\n'
        'def f(x: int) -> int:\n    """B."""\n    from math import pi\n    return (x +\n  A)\n'
    )
    code = digests.code_of
    assert code(told) == code("A: float = 1\ndef f(x):\n    return x + A")
    assert code(told) != code("A: float = 1\ndef f(x):\n    return x - A")
    assert code(told) != code("A: float = 2\ndef f(x):\n    return x + A")
    assert code("a = files('bayes_ptsd.evidence')") == code("a = files('bayes_ptsd.readings.new')")
    assert code("a = files('other.evidence')") != code("a = files('other.readings')")


def test_only_functions_that_are_run_count(digests: ModuleType) -> None:
    """Of a script its named functions count with those that they call, wherever they stand."""
    text = "def a():\n    return b()\ndef b():\n    return {}\ndef c(a):\n    return {}\n"
    code = digests.code_of
    assert code(text.format(1, 1), ["a"]) == code(text.format(1, 2), ["a"])
    assert code(text.format(1, 1), ["a"]) != code(text.format(2, 1), ["a"])
    # an argument that is called like a function is not that function
    assert code(text.format(1, 1), ["c"]) == code(text.format(2, 1), ["c"])
    turned = "def b():\n    return 1\ndef a():\n    return b()\n"
    assert code(turned, ["a"]) == code(text.format(1, 1), ["a"])
    with pytest.raises(KeyError):
        code(turned, ["c"])


def test_answers_are_numbers_of_six_digits(digests: ModuleType) -> None:
    """Words do not count, nor digits that a file written elsewhere would have differently."""
    kept = {"mean": 1.23456789, "unit": "points", "sums": [3, 4e-13, "note"], "no": None}
    other = {"mean": 1.2345678901, "unit": "mm", "sums": [3, -5e-13, "more"], "no": None}
    assert digests.numbers_of(kept) == digests.numbers_of(other)
    assert digests.numbers_of(kept) == {"mean": 1.23457, "sums": [3, 0.0], "no": None}
    assert digests.numbers_of(kept) != digests.numbers_of(kept | {"mean": 1.23458})


def test_a_digest_is_of_content_code_and_answers(digests: ModuleType, tmp_path: Path) -> None:
    """A setting, a number of the named parts of an answer or an operator changes it."""
    tree, module = AlteredTree(tmp_path), "bayes_ptsd/calibration/work.py"

    def digest(folder: Path, setting: int = 1) -> str:
        found = digests.study_digest(
            setting, code={module: ()}, answers={"crossover": digests.EXACT}, tree=folder
        )
        assert len(found) == 64
        return str(found)

    now = digest(tmp_path)
    assert now == digest(ROOT)
    assert now != digest(tmp_path, setting=2)
    with tree.answer("crossover", EXACT) as folder:
        assert digest(folder) != now
    with tree.answer("crossover", EXACT, by=1e-12) as folder:
        assert digest(folder) == now
    with tree.answer("crossover-carryover", EXACT) as folder:
        assert digest(folder) == now
    with tree.answer("crossover", "log_densities") as folder:
        assert digest(folder) == now
    with tree.text(module, "BLOCK = ", "BLOCK = 1 + ") as folder:
        assert digest(folder) != now
    with tree.text(module, "BLOCK = ", "# so large\nBLOCK = ") as folder:
        assert digest(folder) == now
    assert digest(tmp_path) == now


def test_statements_may_move_between_files(digests: ModuleType, tmp_path: Path) -> None:
    """A function moved from one file of a study to another changes no digest."""
    one, two = "def f():\n    return 1\n", "from elsewhere import f\ndef g():\n    return f()\n"

    def digest(first: str, second: str) -> str:
        (tmp_path / "a.py").write_text(first, encoding="utf-8")
        (tmp_path / "b.py").write_text(second, encoding="utf-8")
        found = digests.study_digest(code={"a.py": (), "b.py": ()}, tree=tmp_path)
        return str(found)

    assert digest(one, two) == digest("", f"{one}{two}") == digest(two, one)
    assert digest(one, two) != digest("", two)
