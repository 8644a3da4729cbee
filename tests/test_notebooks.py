"""Notebooks: a question, an answer, two files in step, and no number that could rot."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from pathlib import Path

import jupytext
import nbformat
import pytest

FOLDER = Path(__file__).parents[1] / "notebooks"
SOURCES = sorted(FOLDER.glob("[0-9]*.py"))
# the conventional level of a P value is a name and no result
NUMBER = re.compile(r"(?<![\w.])(?<!P < )[+-]?\d*\.\d+")
notebook = pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)


def cells(pair: nbformat.NotebookNode) -> list[tuple[str, str]]:
    """Return kind and text of every cell."""
    return [(cell.cell_type, cell.source.strip()) for cell in pair.cells]


def left_in(pair: nbformat.NotebookNode) -> list[str]:
    """Return the code of cells that have kept an output or a count."""
    code = [cell for cell in pair.cells if cell.cell_type == "code"]
    return [cell.source for cell in code if cell.outputs or cell.execution_count]


def shape(pair: nbformat.NotebookNode) -> list[str]:
    """Return what a notebook lacks of its question at the top and its answer at the bottom."""
    found = cells(pair)
    answers = [i for i, (kind, text) in enumerate(found) if text == "## Answer"]
    lacks = []
    if not re.match(r"# \d\. \S.*\n\n\*\*Question\.\*\* (?s:.*)\?", found[0][1]):
        lacks.append("question")
    if answers != [len(found) - 2] or "Markdown(" not in found[-1][1]:
        lacks.append("answer")
    return lacks


def typed_numbers(pair: nbformat.NotebookNode) -> list[str]:
    """Return decimal numbers that somebody typed into prose: Markdown cells and sentences."""
    found = []
    for kind, text in cells(pair):
        if kind == "markdown":
            found += NUMBER.findall(text)
        else:
            found += [number for sentence in sentences(text) for number in NUMBER.findall(sentence)]
    return found


def sentences(code: str) -> list[str]:
    """Return the fixed text of every string in `Markdown(...)`."""
    plain = re.sub(r"^(\s*)[%!].*", r"\1pass", code, flags=re.MULTILINE)
    calls = [
        node
        for node in ast.walk(ast.parse(plain))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Markdown"
    ]
    texts = [part for call in calls for part in ast.walk(call) if isinstance(part, ast.Constant)]
    # the one constant that is no sentence is the format of a number, which has no space in it
    return [part.value for part in texts if isinstance(part.value, str) and " " in part.value]


def make(*sources: str) -> nbformat.NotebookNode:
    """Return a notebook of Markdown cells, and of code cells where a source begins with `>`."""
    new = nbformat.v4
    return new.new_notebook(
        cells=[
            new.new_code_cell(text[1:]) if text[0] == ">" else new.new_markdown_cell(text)
            for text in sources
        ]
    )


def test_there_are_notebooks() -> None:
    """The notebooks are numbered and listed, in order, in their README."""
    listed = re.findall(r"^\| \[.*?\]\((.*?)\.ipynb\)", (FOLDER / "README.md").read_text(), re.M)
    assert listed == [path.stem for path in SOURCES]
    assert len(listed) >= 2


@notebook
def test_pair_is_in_step(source: Path) -> None:
    """The `.ipynb` has the cells of its Python file, and no output of one machine."""
    pair = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    nbformat.validate(pair)
    assert cells(pair) == cells(jupytext.read(source))
    assert left_in(pair) == []


@notebook
def test_question_and_answer(source: Path) -> None:
    """A notebook begins with a question and ends with an answer that cells compute."""
    assert shape(jupytext.read(source)) == []


@notebook
def test_no_number_is_typed_into_prose(source: Path) -> None:
    """No decimal number stands in a sentence unless it is formatted from a result."""
    assert typed_numbers(jupytext.read(source)) == []


@notebook
def test_notebook_compiles_and_names_its_store(source: Path) -> None:
    """The Python file of a notebook compiles as it is, and takes its store from the environment."""
    text = source.read_text(encoding="utf-8")
    ast.parse(text)
    words = [t.string for t in tokenize.generate_tokens(io.StringIO(text).readline)]
    assert ("ResultStore" in words) == ('"BAYES_PTSD_STORE"' in words)
    assert "bp" in words


def test_missing_parts_are_seen() -> None:
    """No question, no answer, an output that was left in and a typed number are each found."""
    whole = make("# 1. A\n\n**Question.** Which?", "## Answer", '>Markdown(f"It is {x:.2f}.")')
    assert (shape(whole), typed_numbers(whole), left_in(whole)) == ([], [], [])
    assert shape(make("# 1. A\n\nText.", "## Answer", ">1")) == ["question", "answer"]
    typed = make(
        "P was 0.03, so P < .05.", '>Markdown(f"It is 1.5 {x:.2f}." "Or .7 or so.")', ">f(0.5)"
    )
    assert typed_numbers(typed) == ["0.03", "1.5", ".7"]
    whole.cells[2].execution_count = 3
    assert len(left_in(whole)) == 1
