"""The documents name everything that is public, and what they name exists."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

import bayes_ptsd
from bayes_ptsd.cli import app

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    path
    for path in [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "models").glob("*.md"),
        *(ROOT / "notebooks").glob("*.md"),
    ]
)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
GLOSSARY = (
    "95% ETI", "95% HDI", "analysis of credibility", "assurance", "audit", "Bayes factor",
    "beta-binomial", "carryover", "Cochrane prior", "convention N", "convention T",
    "crossover_reading",
    "ELIR ESS", "estimand", "evidence kind", "exact engine", "first-period analysis",
    "flow_reading",
    "intrinsic credibility", "likelihood", "MAP prior", "MCID", "MCMC", "P(benefit)", "period",
    "posterior", "precision paradox", "prior", "prior predictive", "reverse-Bayes", "ROPE",
    "rounding box", "sceptical P value", "sequence", "shrinkage", "skeptical prior",
    "treatment difference", "washout",
)  # fmt: skip


def anchors(text: str) -> set[str]:
    """Return the anchors that the headings of a document make."""
    headings = re.findall(r"^#+ (.+?)\s*$", FENCE.sub("", text), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.replace(" ", "-") for heading in plain}


def broken_links(path: Path) -> list[str]:
    """Return the links of a document that lead to no file or no heading."""
    text = path.read_text(encoding="utf-8")
    found = []
    for match in LINK.finditer(FENCE.sub("", text)):
        link = match[1] or match[2]
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name) if name else path
        if not target.exists() or (anchor and anchor not in anchors(target.read_text("utf-8"))):
            found.append(link)
    return found


def shell_lines(path: Path) -> Iterator[str]:
    """Yield the commands in the shell blocks and the inline code of a document."""
    text = path.read_text(encoding="utf-8")
    for language, block in FENCE.findall(text):
        if language in {"sh", "bash", "console"}:
            yield from (line.removeprefix("$ ").strip() for line in block.splitlines())
    yield from re.findall(r"`((?:make|bayes-ptsd) [^`\n]+)`", FENCE.sub("", text))


def commands() -> dict[str, set[str]]:
    """Return every command line of the program and the options it takes."""
    found: dict[str, set[str]] = {}
    waiting = [("bayes-ptsd", typer.main.get_command(app))]
    while waiting:
        name, command = waiting.pop()
        children = getattr(command, "commands", {})
        waiting += [(f"{name} {key}", child) for key, child in children.items()]
        if not children:
            options = [o for p in command.params for o in (*p.opts, *p.secondary_opts)]
            found[name] = {option for option in options if option.startswith("-")} | {"--help"}
    return found


def documented(path: Path) -> str:
    """Return everything that a file or all files of a folder say."""
    files = sorted(path.rglob("*.md")) if path.is_dir() else [path]
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_resolve(path: Path) -> None:
    """Every link inside the documents leads to a file, and to a heading where it names one."""
    assert broken_links(path) == []


def test_broken_links_are_seen(tmp_path: Path) -> None:
    """A missing file and a missing heading are reported; a present one and an address are not."""
    (tmp_path / "b.md").write_text("# B b\n\n## Two words\n")
    page = tmp_path / "a.md"
    page.write_text(
        "[1](b.md) [2](b.md#two-words) [3](c.md) [4](b.md#three) [5](#nothing) ![6](d.png)\n"
        "[7](https://doi.org/10.1000/1)\n```\n[8](in-code.md)\n```\n"
    )
    assert broken_links(page) == ["c.md", "b.md#three", "#nothing", "d.png"]


def test_every_document_is_linked() -> None:
    """Every page below docs/ is reached by links from the README."""
    seen: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen or not page.is_file():
            continue
        seen.add(page)
        links = [match[1] for match in LINK.finditer(page.read_text("utf-8")) if match[1]]
        files = [link.partition("#")[0] for link in links if not re.match(r"[a-z]+:", link)]
        waiting += [(page.parent / name).resolve() for name in files if name.endswith(".md")]
    assert sorted(set((ROOT / "docs").rglob("*.md")) - seen) == []


def test_public_names_are_in_the_reference() -> None:
    """Every public name has its place in docs/reference, and nothing there is unknown."""
    reference = documented(ROOT / "docs" / "reference")
    missing = [name for name in bayes_ptsd.__all__ if not re.search(rf"`{name}\b", reference)]
    assert missing == []
    table = documented(ROOT / "docs" / "reference" / "python.md").partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)", table, re.MULTILINE)
    assert sorted(rows) == sorted(bayes_ptsd.__all__)


def test_commands_are_in_the_reference() -> None:
    """Every command has its row in docs/reference/commands.md, and every row is a command."""
    text = documented(ROOT / "docs" / "reference" / "commands.md")
    rows = set(re.findall(r"^\| `(bayes-ptsd(?: [a-z-]+)+)", text, re.MULTILINE))
    assert rows == set(commands())


def test_glossary_has_its_words() -> None:
    """Every word that the report uses without explaining it is a heading of the glossary."""
    headings = re.findall(r"^### (.+)$", documented(ROOT / "docs" / "glossary.md"), re.MULTILINE)
    assert [word for word in GLOSSARY if word not in headings] == []
    assert headings == sorted(headings, key=lambda word: re.sub(r"[^a-z0-9]", "", word.lower()))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_commands_in_the_text_exist(path: Path) -> None:
    """Every `make` target and every `bayes-ptsd` command and option in a document exists."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    known = commands()
    for line in shell_lines(path):
        parts = line.split("#")[0].split()
        if parts[:1] == ["make"]:
            assert {p for p in parts[1:] if re.fullmatch("[a-z]+", p)} <= targets, line
        elif parts[:1] and parts[0].rpartition("/")[2] == "bayes-ptsd":
            said = list(itertools.takewhile(lambda part: not part.startswith("-"), parts[1:]))
            sizes = (2, 1) if said else (0,)
            names = [" ".join(["bayes-ptsd", *said[:size]]) for size in sizes]
            options = {p.partition("=")[0] for p in parts if p.startswith("--")}
            groups = {name.rpartition(" ")[0] for name in known}
            match = next((name for name in names if name in known or name in groups), None)
            assert match, line
            assert options <= known.get(match, {"--help", "--version"}), line
