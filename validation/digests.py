"""What every part of a committed study rests on, as one digest: a part with another one is stale.

It is taken over the model, the settings, the code that simulates and scores, and what the model
answers about its example. Likelihoods, builders and engines are not read: `tests/test_golden.py`
holds them to the answers that `tests/golden_files/models.json` keeps, so that they may be rewritten
and moved for as long as they answer the same.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["DENSITY", "DRAWN", "EXACT", "ROOT", "TESTED", "code_of", "numbers_of", "study_digest"]

ROOT = Path(__file__).parents[1]
GOLDEN = "tests/golden_files/models.json"

# Parts of a kept answer, for a study to name those that it rests on. Checks, predictive summaries
# and sensitivities are not among them: they belong to the page of a fit.
DENSITY = ("log_densities",)
"""The density that NUTS samples."""
EXACT = ("document/estimands", "groups/exact", "groups/posterior")
"""The posterior of the exact engine."""
DRAWN = ("groups/prior", "groups/prior_predictive", "groups/log_likelihood")
"""Parameters drawn from priors, scores drawn from parameters, and the likelihood of scores."""
TESTED = ("document/frequentist",)
"""The frequentist mirror."""

DIGITS = 6
"""Significant digits, and decimals, of a kept number: a study of some thousand trials sees no
less, and files written on two machines, which differ by less than 1e-9, round to the same."""

WORDS = {"annotation", "returns", "type_comment", "kind", "ctx"}
"""Fields of a syntax tree that compute nothing."""
MODULE = re.compile(r"^('bayes_ptsd)(\.\w+)+(?='$)")
"""A string that names a module, as data files are found beside one."""


def study_digest(
    *content: Any,
    code: Mapping[str, Sequence[str]],
    answers: Mapping[str, Sequence[str]] | None = None,
    tree: Path = ROOT,
) -> str:
    """Return the digest of a part of a study as SHA-256.

    `content` is its model and settings; `code` gives files of `tree` with the functions that are
    run of each (none: all of it), `answers` kept answers with the parts of each that count. Neither
    names nor order of files count, nor which of them has a statement.
    """
    programs = {
        json.dumps(statement, sort_keys=True)
        for name, functions in code.items()
        for statement in code_of((tree / name).read_text(encoding="utf-8"), functions)
    }
    kept = json.loads((tree / GOLDEN).read_text(encoding="utf-8")) if answers else {}
    told = [
        [numbers_of(_part(kept[name], part)) for part in parts]
        for name, parts in (answers or {}).items()
    ]
    text = json.dumps([*content, sorted(programs), told], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def code_of(text: str, functions: Sequence[str] = ()) -> list[Any]:
    """Return statements of a module, or some functions of it with all functions that these need.

    Comments, docstrings, layout, imports, annotations and `__all__` do nothing, and a string that
    names a module of the package stands for the package: modules may move.
    """
    body = ast.parse(text).body
    return list(_told(_needed(body, functions) if functions else body))


def _needed(body: Iterable[ast.stmt], functions: Sequence[str]) -> list[ast.stmt]:
    """Return functions and classes of a module with those that they name, sorted."""
    own = {n.name: n for n in body if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    found: set[str] = set()
    left = list(functions)
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += own.keys() & _global_names(own[name])
    return [own[name] for name in sorted(found)]


def _global_names(node: ast.stmt) -> set[str]:
    """Return the names that a function reads and does not assign."""
    names = [one for one in ast.walk(node) if isinstance(one, ast.Name)]
    own = {one.id for one in names if not isinstance(one.ctx, ast.Load)}
    own |= {one.arg for one in ast.walk(node) if isinstance(one, ast.arg)}
    return {one.id for one in names} - own


def _told(node: Any) -> Any:
    """Return a syntax tree as lists; empty fields are left out, some Python versions have more."""
    if isinstance(node, list):
        return [_told(one) for one in node if not _does_nothing(one)]
    if isinstance(node, ast.AST):
        fields = [(name, value) for name, value in ast.iter_fields(node) if name not in WORDS]
        return [type(node).__name__, {n: _told(v) for n, v in fields if v is not None and v != []}]
    return MODULE.sub(r"\1", repr(node))


def _does_nothing(node: Any) -> bool:
    """Say whether a statement is an import, a string, or `__all__`."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return isinstance(node.value.value, str)
    if isinstance(node, ast.Assign):
        return any(isinstance(one, ast.Name) and one.id == "__all__" for one in node.targets)
    return isinstance(node, ast.Import | ast.ImportFrom)


def _part(answer: Any, path: str) -> Any:
    """Return a part of a kept answer by the keys that lead there; a lost one is a KeyError."""
    for key in path.split("/"):
        answer = answer[key]
    return answer


def numbers_of(answer: Any) -> Any:
    """Return a part of a kept answer without its words, numbers rounded to `DIGITS`."""
    if isinstance(answer, dict):
        kept = {key: value for key, value in answer.items() if not isinstance(value, str)}
        return {key: numbers_of(value) for key, value in kept.items()}
    if isinstance(answer, list):
        return [numbers_of(value) for value in answer if not isinstance(value, str)]
    if isinstance(answer, float):
        return float(f"{round(answer, DIGITS):.{DIGITS}g}") + 0.0  # no minus before a zero
    return answer
