"""The module map and the rules of ARCHITECTURE.md hold in the source tree."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "bayes_ptsd"
SAMPLERS = {"pymc", "pytensor", "nutpie", "arviz"}
ROW = re.compile(r"^\| `(?P<module>[\w.]+)` \| (?P<holds>.+?) \| (?P<layers>.+?) \|$")
LAYERS = re.compile(r"^(?:none|0(?:-(?P<last>\d))?)(?P<samplers>; PyMC)?$")
MODULE_LINES, FUNCTION_LINES, BUILDER_LINES = 500, 50, 70


@dataclass(frozen=True)
class Row:
    """One row of the module map."""

    layer: int
    samplers: bool


def module_map(text: str) -> dict[str, Row]:
    """Read the module map of ARCHITECTURE.md."""
    rows = {}
    for line in text.splitlines():
        if match := ROW.match(line):
            layers = LAYERS.match(match["layers"])
            assert layers, f"ARCHITECTURE.md: cannot read '{match['layers']}' in: {line}"
            assert match["module"] not in rows, f"ARCHITECTURE.md: {match['module']} twice"
            last = -1 if match["layers"].startswith("none") else int(layers["last"] or 0)
            rows[match["module"]] = Row(max(last, 0), layers["samplers"] is not None)
    return rows


def sources(root: Path) -> dict[str, Path]:
    """Return every module of the package by its name below the package."""
    folder = root / PACKAGE
    found = {}
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts) or PACKAGE] = path
    return found


def typing_only(tree: ast.Module) -> set[ast.AST]:
    """Return all nodes below `if TYPE_CHECKING:`."""
    blocks = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
    ]
    return {inner for block in blocks for inner in ast.walk(block)}


def imports(tree: ast.Module) -> Iterator[tuple[ast.AST, str]]:
    """Yield every imported dotted name with its node; `from a import b` is `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = "." * node.level + (node.module or "")
            yield from ((node, f"{origin}.{alias.name}") for alias in node.names)


@dataclass(frozen=True)
class Facts:
    """What the rules ask of one module: what it imports, when it runs or at all, and its faults."""

    imported: frozenset[str]
    named: frozenset[str]
    faults: tuple[str, ...]


@cache
def facts(name: str, text: str) -> Facts:
    """Return the facts of a module; of a text that was read before, without parsing it again."""
    tree = ast.parse(text)
    allowed = typing_only(tree)
    found = list(imports(tree))
    return Facts(
        frozenset(one for node, one in found if node not in allowed),
        frozenset(one for _, one in found),
        tuple(_shape_violations(name, tree, text)),
    )


def internal(names: Collection[str], modules: set[str]) -> set[str]:
    """Return the modules of the package among imported names."""
    return {
        next(part for part in _prefixes(name) if part in modules)
        for name in names
        if name.partition(".")[0] == PACKAGE
    }


def _prefixes(name: str) -> Iterator[str]:
    """Yield module names from the longest prefix of an imported name to the package itself."""
    parts = name.split(".")[1:]
    yield from (".".join(parts[:size]) for size in range(len(parts), 0, -1))
    yield PACKAGE


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield every function and method."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the number of lines of a function without its docstring."""
    docstring = ast.get_docstring(function, clean=False)
    written = docstring.count("\n") + 1 if docstring else 0
    return (function.end_lineno or function.lineno) - function.lineno + 1 - written


def violations(root: Path) -> list[str]:
    """Return every breach of ARCHITECTURE.md in the tree below `root`, one sentence each."""
    rows = module_map((root / "ARCHITECTURE.md").read_text(encoding="utf-8"))
    paths = sources(root)
    found = [f"{name}: not in the module map" for name in sorted(paths.keys() - rows.keys())]
    found += [
        f"{name}: in the module map, no such file" for name in sorted(rows.keys() - paths.keys())
    ]
    known = {name: facts(name, path.read_text(encoding="utf-8")) for name, path in paths.items()}
    graph = {name: internal(one.named, set(paths)) - {name} for name, one in known.items()}
    graph[PACKAGE] = internal(known[PACKAGE].imported, set(paths))
    for name in sorted(paths.keys() & rows.keys()):
        found += _layer_violations(name, graph[name], rows)
        found += _sampler_violations(name, known[name], rows[name])
    for one in known.values():
        found += one.faults
    return found + _cycles(graph)


def _layer_violations(name: str, imported: set[str], rows: dict[str, Row]) -> list[str]:
    """Return imports from a layer above."""
    above = sorted(m for m in imported if m in rows and rows[m].layer > rows[name].layer)
    return [f"{name}: layer {rows[name].layer} imports {m} of layer {rows[m].layer}" for m in above]


def _sampler_violations(name: str, one: Facts, row: Row) -> list[str]:
    """Return imports of PyMC and its kin where the map does not grant them."""
    used = {top for imported in one.imported if (top := imported.partition(".")[0]) in SAMPLERS}
    return [] if row.samplers else [f"{name}: imports {top}" for top in sorted(used)]


def _shape_violations(name: str, tree: ast.Module, text: str) -> list[str]:
    """Return relative imports, missing `__all__`, names and lengths that break the rules."""
    short = name.rpartition(".")[2]
    cap = BUILDER_LINES if name.startswith("build") else FUNCTION_LINES
    found = [
        f"{name}: relative import" for _, imported in imports(tree) if imported.startswith(".")
    ]
    exempt = short == "__main__" or not tree.body[1:]
    if not exempt and "__all__" not in {target for target, _ in _assigned(tree)}:
        found.append(f"{name}: no __all__")
    if not ast.get_docstring(tree):
        found.append(f"{name}: no docstring")
    if (lines := text.count("\n")) > MODULE_LINES:
        found.append(f"{name}: {lines} lines, cap {MODULE_LINES}")
    for function in functions(tree):
        if function.name == short:
            found.append(f"{name}: function {function.name} shares its module's name")
        if (lines := code_lines(function)) > cap:
            found.append(f"{name}: {function.name} has {lines} lines, cap {cap}")
    return found


def _assigned(tree: ast.Module) -> Iterator[tuple[str, ast.stmt]]:
    """Yield the names assigned at the top of a module."""
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        targets = [node.target] if isinstance(node, ast.AnnAssign) else targets
        yield from ((target.id, node) for target in targets if isinstance(target, ast.Name))


def _cycles(graph: dict[str, set[str]]) -> list[str]:
    """Return the modules that reach themselves through imports."""
    found = []
    for start in sorted(graph):
        seen: set[str] = set()
        waiting = list(graph[start])
        while waiting:
            module = waiting.pop()
            if module not in seen:
                seen.add(module)
                waiting += graph.get(module, ())
        if start in seen:
            found.append(f"{start}: imports itself in a circle")
    return found


def test_tree_keeps_the_architecture() -> None:
    """The map equals the tree, layers hold, only the named modules import PyMC, caps hold."""
    assert violations(ROOT) == []


def test_modules_below_the_fit_do_not_load_pymc() -> None:
    """Importing every module without the PyMC mark loads none of PyMC, PyTensor and nutpie."""
    rows = module_map((ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8"))
    light = [name for name, row in rows.items() if not (row.samplers or "__main__" in name)]
    names = [PACKAGE if name == PACKAGE else f"{PACKAGE}.{name}" for name in light]
    code = (
        "import importlib, sys\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        f"print(sorted({SAMPLERS!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy of the package and its map, to be damaged."""
    shutil.copytree(
        ROOT / PACKAGE, tmp_path / PACKAGE, ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(ROOT / "ARCHITECTURE.md", tmp_path)
    return tmp_path


LONG = "\n".join(["def long_function():", *["    x = 1"] * 50])
DAMAGE = {
    "relative import": ("trial", "from .errors import SpecError", "trial: relative import"),
    "layer": ("errors", "import bayes_ptsd.trial", "errors: layer 0 imports trial of layer 1"),
    "lazy layer": (
        "errors",
        "def late():\n    from bayes_ptsd import trial",
        "errors: layer 0 imports trial of layer 1",
    ),
    "circle": ("errors", "import bayes_ptsd.trial", "errors: imports itself in a circle"),
    "PyMC": ("trial", "import pymc as pm", "trial: imports pymc"),
    "lazy PyMC": (
        "trial",
        "def late():\n    from pytensor import tensor",
        "trial: imports pytensor",
    ),
    "module name": (
        "trial",
        "def trial():\n    pass",
        "trial: function trial shares its module's name",
    ),
    "function length": ("trial", LONG, "trial: long_function has 51 lines, cap 50"),
    "module length": ("trial", "\n" * 500, "trial: "),
    "no __all__": ("errors", None, "errors: no __all__"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_each_rule_can_fail(copy: Path, damage: tuple[str, str | None, str]) -> None:
    """A copy of the package with one rule broken is reported, and only then."""
    module, added, message = damage
    before = violations(copy)
    path = copy / PACKAGE / f"{module}.py"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("__all__", "names") if added is None else f"{text}\n{added}\n")
    new = [line for line in violations(copy) if line not in before]
    assert any(line.startswith(message) for line in new), new


@pytest.mark.parametrize("way", ["file added", "file removed"])
def test_map_and_tree_must_agree(copy: Path, way: str) -> None:
    """A module without a row, and a row without a module, are reported by name."""
    if way == "file added":
        (copy / PACKAGE / "exact" / "extra.py").write_text('"""Extra."""\n\n__all__ = []\n')
        assert "exact.extra: not in the module map" in violations(copy)
    else:
        (copy / PACKAGE / "trial.py").unlink()
        assert "trial: in the module map, no such file" in violations(copy)
