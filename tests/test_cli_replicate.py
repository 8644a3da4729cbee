"""Commands that plan: MAP priors and replications."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bayes_ptsd.cli import app
from bayes_ptsd.errors import BayesPtsdError

SPONDYLITIS = "study,n,r\n" + "\n".join(
    f"{index},{n},{r}"
    for index, (n, r) in enumerate(
        zip([107, 44, 51, 39, 139, 20, 78, 35], [23, 12, 19, 9, 39, 6, 9, 10], strict=True)
    )
)


def run(*arguments: str) -> Any:
    """Run a command that must succeed and return its JSON document."""
    done = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def refusal(*arguments: str) -> str:
    """Run a command that must be refused and return the message."""
    with pytest.raises(BayesPtsdError) as caught:
        CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    return str(caught.value)


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """Return RBesT's binary example as a file."""
    file = tmp_path / "history.csv"
    file.write_text(SPONDYLITIS)
    return file


def test_map(history: Path, tmp_path: Path) -> None:
    """`map` prints the MAP prior, its mixture and its worth; the mixture file is RBesT's."""
    output = tmp_path / "prior.json"
    document = run(
        "map", str(history), "--likelihood", "binomial", "--prior-mean", "0", "2",
        "--heterogeneity", "half-normal 1", "--robust", "0.2", "--output", str(output),
    )  # fmt: skip
    assert document["command"] == "map"
    assert document["evidence_kind"] == "published"
    assert document["map"]["mean"] == pytest.approx(0.2583, abs=5e-4)
    assert document["mixture"]["effective_size"]["elir"] == pytest.approx(37.0, abs=0.1)
    assert document["robust"]["weak_component"]["effective_size"] == 2.0
    assert sum(json.loads(output.read_text())["comp"][0]) == pytest.approx(1)


def test_map_warns(tmp_path: Path) -> None:
    """A robust component of hardly any worth is named on stderr and in the document."""
    file = tmp_path / "history.csv"
    file.write_text("study,n,y\nA,40,3\nB,60,5\n")
    arguments = ["map", str(file), "--likelihood", "normal", "--sigma", "11.5", "--components", "1"]
    document = run(*arguments, "--robust", "0.2", "--robust-sd", "7124")
    assert "worth 2.61e-06 patients" in document["warnings"][0]
    assert run(*arguments, "--robust", "0.2")["warnings"] == []


@pytest.mark.parametrize(
    ("content", "options", "named"),
    [
        ("study,n,r\n", [], "no rows"),
        ("study,n,r\nA,5,6\n", [], "r = 6 is not between 0 and n = 5"),
        ("study,n,r\nA,5,2\n", ["--heterogeneity", "half-normal -1"], "scale must be positive"),
        ("study,n,r\nA,5,2\n", ["--prior-mean", "0", "-2"], "'sigma' must be positive"),
        ("study,n,r\nA,5,2\n", ["--robust", "1.2", "--components", "1"], "between 0 and 1"),
    ],
    ids=["empty", "r > n", "heterogeneity", "sd", "weight"],
)
def test_map_refuses(tmp_path: Path, content: str, options: list[str], named: str) -> None:
    """An empty history, r > n, a negative sd and an impossible weight are refused by name."""
    file = tmp_path / "history.csv"
    file.write_text(content)
    assert named in refusal("map", str(file), "--likelihood", "binomial", *options)


def light(*arguments: str) -> str:
    """Run a command in a process of its own and return which samplers it loaded."""
    program = (
        "import sys\nfrom bayes_ptsd.cli import app\n"
        f"sys.argv = ['bayes-ptsd'] + {list(arguments)!r}\n"
        "try:\n    app()\nexcept SystemExit as stop:\n    assert not stop.code\n"
        "print([n for n in ('pymc', 'pytensor', 'nutpie') if n in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return done.stderr.strip().splitlines()[-1]


def test_map_does_not_load_pymc(tmp_path: Path) -> None:
    """`map` runs without PyMC."""
    file = tmp_path / "history.csv"
    file.write_text("study,y,se\nA,3,1\nB,5,1\n")
    assert light("map", str(file), "--likelihood", "normal", "--components", "1") == "[]"
