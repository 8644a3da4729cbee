"""Rules for every file that is kept: nothing of one machine, nothing copied, nothing unfinished."""

from __future__ import annotations

import re
import subprocess
import tomllib
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RUN = 8
# Split, so that this file does not hold what it forbids.
MACHINE_PATH = re.compile(
    r"(?<![\w.~*-])/(?:wo" r"rk|ro" r"ot|ho" r"me|Us" r"ers|t" r"mp|o" r"pt)/"
)
HOST = re.compile(
    r"pythonhos" r"ted\.|py" r"pi\.org|debi" r"an\.org|npm" r"js\.|conda\.an" r"aconda"
)
UNFINISHED = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b|NotImplemen" r"tedError")
# Titles, headings and names of instruments, which have no other words.
NAMES = (
    "efficacy of intravenous ketamine for treatment of chronic posttraumatic stress disorder",
    "additional 24 hour outcomes and caps scores at 7 days",
    "clinician administered dissociative states scale",
    "montgomery asberg depression rating scale",
    "quick inventory of depressive symptomatology self report",
)


def kept_files() -> list[Path]:
    """Return tracked files and new ones that are not ignored; without git, the known folders."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True)
        found = [ROOT / name for name in done.stdout.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        folders = ("bayes_ptsd", "models", "tests", "docs", "benchmarks", "notebooks")
        found = [path for folder in folders for path in (ROOT / folder).rglob("*")]
        found = [*found, *ROOT.glob("*.*")]
    return sorted(path for path in found if path.is_file() and "__pycache__" not in path.parts)


def texts() -> Iterator[tuple[str, str]]:
    """Yield name and content of every kept file that is text."""
    for path in kept_files():
        try:
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def lines_with(pattern: re.Pattern[str]) -> list[str]:
    """Return every kept line in which the pattern occurs."""
    return [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def words(text: str) -> list[str]:
    """Return the words and numbers of a text, in lower case and without accents or hyphenation."""
    joined = re.sub(r"(?<=[a-z])-\s*\n\s*(?=[a-z])", "", text)
    spaced = re.sub("[\u2010-\u2015]", " ", joined)
    plain = unicodedata.normalize("NFKD", spaced).encode("ascii", "ignore").decode().lower()
    return re.findall(r"[a-z]+|\d+(?:\.\d+)?", plain)


def runs(text: str) -> set[tuple[str, ...]]:
    """Return all runs of eight words of which at least five are words and not numbers."""
    sequence = words(text)
    found = {tuple(sequence[i : i + RUN]) for i in range(len(sequence) - RUN + 1)}
    return {run for run in found if sum(word.isalpha() and len(word) > 1 for word in run) >= 5}


def copied(text: str, original: set[tuple[str, ...]]) -> list[str]:
    """Return the runs of `text` that stand in `original`, titles and instrument names aside."""
    named = set().union(*(_inside(name) for name in NAMES))
    return sorted(" ".join(run) for run in runs(text) & original if not set(_edges(run)) & named)


def _inside(name: str) -> set[tuple[str, ...]]:
    """Return all runs of five words of a name."""
    parts = name.split()
    return {tuple(parts[i : i + 5]) for i in range(len(parts) - 4)}


def _edges(run: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return the runs of five words inside a run of eight."""
    return [run[i : i + 5] for i in range(RUN - 4)]


@pytest.mark.parametrize(
    ("pattern", "example"),
    [
        (MACHINE_PATH, "see /wo" + "rk/notes.md"),
        (HOST, "https://py" + "pi.org/simple"),
        (UNFINISHED, "# TO" + "DO: later"),
    ],
    ids=["path of one machine", "package host", "unfinished"],
)
def test_no_kept_line_has(pattern: re.Pattern[str], example: str) -> None:
    """No line names a path of one machine, a package host or unfinished work."""
    assert pattern.search(example)
    assert lines_with(pattern) == []


@pytest.mark.shared
def test_no_sentence_of_the_paper_is_kept(shared: Path) -> None:
    """No eight words in a row of the paper stand in any kept file."""
    original = runs((shared / "paper" / "feder2014.txt").read_text(encoding="utf-8"))
    assert len(original) > 1000
    found = [f"{name}: {run}" for name, text in texts() for run in copied(text, original)]
    assert found == [], "\n".join(["copied from the paper:", *found])


def test_copied_sentences_are_seen() -> None:
    """A sentence copied with other case, signs and line breaks is found; other words pass."""
    sentence = (
        "Of every ten patients nine came back for the second visit, as the nurses had expec-\nted."
    )
    original = runs(sentence)
    assert copied("OF EVERY TEN patients; nine came\nback for the second visit!", original)
    assert copied("Nine in ten returned for visit 2.", original) == []
    assert runs("12.7 2.5 22.8 0.02 8.6 0.9 16.2 IES") == set()


def test_lock_has_hashes_and_no_address() -> None:
    """Every requirement of the lock is pinned with a hash, and none names an address or a file."""
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    entries = re.split(r"\n(?=[a-z0-9])", lock.strip())
    assert len(entries) > 50
    assert [e for e in entries if not re.match(r"[\w.\[\]-]+==\S+( ;.*?)? \\\n", e)] == []
    assert [e for e in entries if "--hash=sha256:" not in e] == []
    assert not re.search(r"://| @ |file:|--(?:extra-)?index|--find-links", lock)


def test_lock_names_every_dependency() -> None:
    """Every dependency of pyproject.toml, development ones included, is in the lock."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    asked = project["project"]["dependencies"] + project["dependency-groups"]["dev"]
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    locked = set(re.findall(r"^([\w.-]+?)(?:\[.*?\])?==", lock, re.MULTILINE))
    assert {re.split(r"[\[<>=;]", name)[0].strip() for name in asked} - locked == set()


def test_version_is_one_number() -> None:
    """pyproject.toml, CITATION.cff and the newest entry of CHANGELOG.md name one version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    version = project["project"]["version"]
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## \[(.+?)\]", changelog, re.MULTILINE)
    assert f"\nversion: {version}\n" in citation
    assert headings[0] == "Unreleased" or headings[0] == version
    assert version in headings or headings == ["Unreleased"]


def test_large_files_are_named() -> None:
    """No kept file is larger than 500 kB."""
    assert [path.name for path in kept_files() if path.stat().st_size > 500_000] == []
