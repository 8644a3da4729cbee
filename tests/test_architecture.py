"""The table of folders and the rules of ARCHITECTURE.md hold in the source tree."""

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
ROOMS = "structures"
ROW = re.compile(r"^\| (?P<names>`[\w./`, ]+`) \| (?P<layer>\d+) \| (?P<holds>.+?) \|$")
NAME = re.compile(r"`([\w.]+)/?`")
MODULE_LINES, FUNCTION_LINES, BUILDER_LINES = 500, 50, 70
LEAST_LINES = 40
"""A file is a concept: fewer lines, about 25 without imports, belong to the one beside them."""
WITH_SAMPLERS = {
    "_stack", "calibration.nuts", "categorical.observed", "compiled", "gaussian.observed",
    "pymc_priors", "sampler",
}  # fmt: skip
"""Modules that import PyMC and its kin; rooms do so inside the functions that write a model out."""
DOCUMENTED = {"os._exit"}
"""Names with an underscore that the documentation of their library has."""
PRIVATE = re.compile(r"(?:\w+\.)*_(?!_)\w+(?:\.\w+)*")
"""Dotted names, without calls between them, of which a part begins with one underscore."""


@dataclass(frozen=True)
class Tree:
    """The table of ARCHITECTURE.md: the layer of every folder and top-level module."""

    layers: dict[str, int]

    def layer(self, module: str) -> int:
        """Return the layer of a module: that of its folder."""
        return self.layers[module.partition(".")[0]]


def table_of_folders(text: str) -> Tree:
    """Read the table of folders of ARCHITECTURE.md."""
    layers: dict[str, int] = {}
    for line in text.splitlines():
        if match := ROW.match(line):
            for name in NAME.findall(match["names"]):
                assert name not in layers, f"ARCHITECTURE.md: {name} twice"
                layers[name] = int(match["layer"])
    return Tree(layers)


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
def facts(name: str, text: str, package: bool) -> Facts:
    """Return the facts of a module; of a text that was read before, without parsing it again."""
    tree = ast.parse(text)
    allowed = typing_only(tree)
    if name.partition(".")[0] == ROOMS:
        allowed |= _models_written_out(tree)
    found = list(imports(tree))
    return Facts(
        frozenset(one for node, one in found if node not in allowed),
        frozenset(one for _, one in found),
        (
            *_shape_violations(name, tree, text, package=package),
            *_foreign_names(name, tree, [one for _, one in found]),
        ),
    )


def _models_written_out(tree: ast.Module) -> set[ast.AST]:
    """Return all nodes of the functions of a room that write its PyMC model out."""
    models = [one for one in functions(tree) if one.name.startswith("pymc_")]
    return {inner for one in models for inner in ast.walk(one)}


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
    tree = table_of_folders((root / "ARCHITECTURE.md").read_text(encoding="utf-8"))
    paths = sources(root)
    tops = {name.partition(".")[0] for name in paths} - {PACKAGE}
    found = [f"{name}: not in the table of folders" for name in sorted(tops - tree.layers.keys())]
    found += [
        f"{name}: in the table of folders, no such file"
        for name in sorted(tree.layers.keys() - tops)
    ]
    known = {
        name: facts(name, path.read_text(encoding="utf-8"), path.name == "__init__.py")
        for name, path in paths.items()
    }
    graph = {name: internal(one.named, set(paths)) - {name} for name, one in known.items()}
    graph[PACKAGE] = internal(known[PACKAGE].imported, set(paths))
    for name in sorted(paths):
        if name.partition(".")[0] in tree.layers:
            found += _layer_violations(name, graph[name], tree)
        found += _sampler_violations(name, known[name])
    for one in known.values():
        found += one.faults
    return found + _structure_violations(paths) + _cycles(graph)


def _layer_violations(name: str, imported: set[str], tree: Tree) -> list[str]:
    """Return imports from a layer above."""
    own = tree.layer(name)
    tops = {module: module.partition(".")[0] for module in imported}
    above = sorted(m for m, top in tops.items() if tree.layers.get(top, 0) > own)
    return [f"{name}: layer {own} imports {m} of layer {tree.layer(m)}" for m in above]


def _sampler_violations(name: str, one: Facts) -> list[str]:
    """Return imports of PyMC and its kin outside the modules that may, and the rooms' models."""
    if name in WITH_SAMPLERS:
        return []
    used = {top for imported in one.imported if (top := imported.partition(".")[0]) in SAMPLERS}
    return [f"{name}: imports {top}" for top in sorted(used)]


def _structure_violations(paths: dict[str, Path]) -> list[str]:
    """Return dictionaries keyed by structures, and comparisons with their names, outside rooms."""
    names = frozenset(_structure_names(paths[ROOMS]))
    texts = {module: path.read_text(encoding="utf-8") for module, path in paths.items()}
    return [one for module, text in texts.items() for one in _of_structures(module, text, names)]


@cache
def _of_structures(module: str, text: str, names: frozenset[str]) -> tuple[str, ...]:
    """Return those of one module; of a text that was read before, without parsing it again."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Dict) and module != ROOMS:
            keys = {key.value for key in node.keys if isinstance(key, ast.Constant)}
            if len(keys & names) > len(AMBIGUOUS):
                found.append(f"{module}: line {node.lineno} is keyed by structures")
        if isinstance(node, ast.Compare) and module.partition(".")[0] != ROOMS:
            said = ast.unparse(node)
            if re.search(r"\bstructure\b|structure_of_fit\(\w+\)\.name", said) and any(
                repr(name) in said for name in names
            ):
                found.append(f"{module}: line {node.lineno} compares with a structure: {said}")
    return tuple(found)


AMBIGUOUS = ("crossover", "first_period", "summary")
"""Names of structures that are names of analyses or of sections as well: a dictionary that has only
these is keyed by something else."""


def _structure_names(path: Path) -> set[str]:
    """Return the keys of the one dictionary of structures."""
    for target, node in _assigned(ast.parse(path.read_text(encoding="utf-8"))):
        if target == "STRUCTURES" and isinstance(node, ast.Assign | ast.AnnAssign):
            assert isinstance(node.value, ast.Dict)
            return {str(key.value) for key in node.value.keys if isinstance(key, ast.Constant)}
    raise AssertionError(f"{path}: no STRUCTURES")


def _shape_violations(name: str, tree: ast.Module, text: str, *, package: bool) -> list[str]:
    """Return relative imports, missing `__all__`, names and lengths that break the rules."""
    short = name.rpartition(".")[2]
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
    if lines < LEAST_LINES and not exempt and not package:
        found.append(f"{name}: {lines} lines, at least {LEAST_LINES}")
    found += [
        f"{name}: {target} has no reason: a comment above it or a sentence below"
        for target in _bare_numbers(tree, text.splitlines())
    ]
    for function in functions(tree):
        if function.name == short:
            found.append(f"{name}: function {function.name} shares its module's name")
        cap = BUILDER_LINES if function.name.startswith("pymc_") else FUNCTION_LINES
        if (lines := code_lines(function)) > cap:
            found.append(f"{name}: {function.name} has {lines} lines, cap {cap}")
    return found


def _foreign_names(name: str, tree: ast.Module, imported: Collection[str]) -> Iterator[str]:
    """Yield the private modules and names of other libraries, imported or taken from a module."""
    foreign = [one for one in imported if one.partition(".")[0] not in {PACKAGE, "__future__", ""}]
    bound = _bound(tree, set(foreign))
    reached = [
        ast.unparse(one)
        for one in ast.walk(tree)
        if isinstance(one, ast.Attribute) and one.attr.startswith("_")
    ]
    for one in [*foreign, *(one for one in reached if one.partition(".")[0] in bound)]:
        if one not in DOCUMENTED and PRIVATE.fullmatch(one):
            yield f"{name}: {one} is private to its library"


def _bound(tree: ast.Module, foreign: Collection[str]) -> set[str]:
    """Return the names in a module that stand for imported ones of other libraries."""
    bound = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            origin = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            bound |= {
                (alias.asname or alias.name).partition(".")[0]
                for alias in node.names
                if f"{origin}{alias.name}" in foreign
            }
    return bound


def _bare_numbers(tree: ast.Module, lines: list[str]) -> Iterator[str]:
    """Yield the numbers at the top of a module that nothing says the reason of."""
    for place, node in enumerate(tree.body):
        named = [target for target, one in _assigned(tree) if one is node]
        value = getattr(node, "value", None)
        if not named or named[0].startswith("__") or value is None or not _numeric(value):
            continue
        below = tree.body[place + 1] if place + 1 < len(tree.body) else None
        said = isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
        span = lines[max(node.lineno - 2, 0) : node.end_lineno]
        if not said and not any("#" in line for line in span):
            yield named[0]


def _numeric(node: ast.AST) -> bool:
    """Say whether a value has a number in it."""
    return any(
        isinstance(one, ast.Constant)
        and isinstance(one.value, int | float)
        and not isinstance(one.value, bool)
        for one in ast.walk(node)
    )


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
    """The table equals the tree, layers hold, PyMC stays where it may be, caps and reasons hold."""
    assert violations(ROOT) == []


def test_only_what_samples_loads_pymc() -> None:
    """Importing every module but those that sample loads none of PyMC, PyTensor and nutpie."""
    light = [name for name in sources(ROOT) if not (name in WITH_SAMPLERS or "__main__" in name)]
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
    """Return a copy of the package and its table, to be damaged."""
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
    "private module": (
        "trial",
        "from openpyxl.worksheet import _reader",
        "trial: openpyxl.worksheet._reader is private to its library",
    ),
    "name of a private module": (
        "trial",
        "from great_tables._text import BaseText",
        "trial: great_tables._text.BaseText is private to its library",
    ),
    "private name": (
        "trial",
        "import xarray as xr\nx = xr.core._internal",
        "trial: xr.core._internal is private to its library",
    ),
    "module name": (
        "trial",
        "def trial():\n    pass",
        "trial: function trial shares its module's name",
    ),
    "function length": ("trial", LONG, "trial: long_function has 51 lines, cap 50"),
    "module length": ("trial", "\n" * 500, "trial: "),
    "no __all__": ("errors", None, "errors: no __all__"),
    "bare number": ("trial", "TIMES = (3, 4)", "trial: TIMES has no reason"),
    "second dictionary": (
        "trial",
        "X = {'crossover': 1, 'longitudinal': 2, 'parts': 3, 'ordinal': 4}",
        "trial: line",
    ),
    "structure's name": (
        "trial",
        "def late(structure):\n    return structure == 'ordinal'",
        "trial: line",
    ),
    "room at the top": (
        "structures.patients",
        "import pymc as pm",
        "structures.patients: imports pymc",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_each_rule_can_fail(copy: Path, damage: tuple[str, str | None, str]) -> None:
    """A copy of the package with one rule broken is reported, and only then."""
    module, added, message = damage
    before = violations(copy)
    path = copy / PACKAGE / f"{module.replace('.', '/')}.py"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("__all__", "names") if added is None else f"{text}\n{added}\n")
    new = [line for line in violations(copy) if line not in before]
    assert any(line.startswith(message) for line in new), new


@pytest.mark.parametrize("way", ["folder added", "file removed", "small file"])
def test_table_and_tree_must_agree(copy: Path, way: str) -> None:
    """A folder without a row, a row without one, and a file that is no concept are reported."""
    if way == "folder added":
        (copy / PACKAGE / "extra.py").write_text('"""Extra."""\n\n__all__ = []\n')
        assert "extra: not in the table of folders" in violations(copy)
    elif way == "file removed":
        (copy / PACKAGE / "trial.py").unlink()
        assert "trial: in the table of folders, no such file" in violations(copy)
    else:
        (copy / PACKAGE / "exact" / "extra.py").write_text('"""Extra."""\n\n__all__ = []\n')
        assert f"exact.extra: 3 lines, at least {LEAST_LINES}" in violations(copy)
