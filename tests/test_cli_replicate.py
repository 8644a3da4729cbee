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


QUICK = ("--center", "flat")
"""A posterior that a mixture fits at once."""


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
    quiet = run(*arguments, "--robust", "0.2")
    assert quiet["warnings"] == []
    assert quiet["priors"]["heterogeneity"] == "half-normal(0, 2.875)"


def test_map_asks_for_a_scale(tmp_path: Path) -> None:
    """Without sigma there is no unit, so no heterogeneity is assumed."""
    file = tmp_path / "history.csv"
    file.write_text("study,y,se\nA,3,1\nB,5,1\n")
    assert "give --heterogeneity" in refusal("map", str(file), "--likelihood", "normal")


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


def test_replicate_prior(tmp_path: Path) -> None:
    """The prior of a printed row, with its worth and exports; the file is RBesT's."""
    output = tmp_path / "prior.json"
    document = run("replicate", "prior", "--center", "flat", "--convention", "N",
                   "--output", str(output))  # fmt: skip
    assert document["center"] == "flat"
    assert document["evidence_kind"] == "published"
    assert document["informative"]["mean"] == pytest.approx(8.6, abs=1e-3)
    assert document["weak_component"]["effective_size"] == pytest.approx(1.0)
    assert document["worth"]["crossover"]["weak"]["elir"] == pytest.approx(0.25)
    assert json.loads(output.read_text()) == document["exports"]["rbest"]
    assert document["exports"]["rbest_joint"] is None


def test_replicate_predict() -> None:
    """A crossover row is foretold on average and under each reading, at one size or for n."""
    document = run("replicate", "predict", "--contrast", "T2.IESR.X", *QUICK,
                   "--convention", "N", "--heterogeneity", "0", "--robust", "0")  # fmt: skip
    rows = document["predictions"]
    assert [row["reading"] for row in rows] == ["averaged", "unhalved", "as_published"]
    weights = rows[0]["reading_weights"]
    for key in ("same_sign", "mean", "estimate_above_mcid"):
        mean = sum(weights[row["reading"]] * row[key] for row in rows[1:])
        assert rows[0][key] == pytest.approx(mean)
    for row in rows:
        assert row["relative_size"] == pytest.approx(1)
        # flat posterior, same size: Phi((z - 1.96) / sqrt 2) and Phi(z / sqrt 2)
        assert row["p_below_05"] == pytest.approx(0.6361, abs=2e-3)
        assert row["same_sign"] == pytest.approx(0.9585, abs=2e-3)
    planned = run("replicate", "predict", *QUICK, "--n", "60", "--design", "crossover")
    assert planned["predictions"][0]["replication"]["n"] == 60
    assert "crossover" in planned["predictions"][0]["replication"]["design"]


def test_replicate_assurance_and_sample_size() -> None:
    """The assurance at the smallest size is the target; crossovers need fewer patients."""
    sizes = run("replicate", "sample-size", *QUICK, "--target", "0.6", "--gate", "0.27", "0.05")
    n = {row["design"]: row["n"] for row in sizes["designs"]}
    assert n["crossover"] < n["repeated"] < n["parallel"]
    curve = run("replicate", "assurance", *QUICK, "--n", str(n["parallel"]), "--n", "20")
    assert [row["n"] for row in curve["rows"]] == [20, n["parallel"]]
    assert curve["rows"][1]["assurance"] == pytest.approx(0.6, abs=5e-3)
    assert curve["evidence_kind"] == sizes["evidence_kind"] == "published"


def test_readings_are_averaged_by_weights_of_print_or_by_hand() -> None:
    """The average is the default of a crossover row; weights by hand move it between readings."""
    crossover = ("replicate", "prior", "--contrast", "T2.IESR.X", *QUICK, "--convention", "N")
    printed = run(*crossover)
    assert printed["readings"]["unhalved"] > 0.9
    same = run(*crossover, "--reading", "averaged")
    assert same["prior"]["mean"] == printed["prior"]["mean"]
    by_hand = run(*crossover, "--reading-weights", "as_published=0.3,change_unhalved=0.7")
    assert by_hand["readings"] == pytest.approx({"unhalved": 0.7, "as_published": 0.3})
    assert by_hand["informative"]["mean"] == pytest.approx(0.3 * 12.7 + 0.7 * 6.35, abs=0.01)


def test_crossover_is_planned_with_the_precision_of_its_row() -> None:
    """34 patients at the row's own precision; a stated correlation is an option, and said."""
    asked = ("replicate", "sample-size", "--contrast", "T2.IESR.X", *QUICK,
             "--reading", "as_published")  # fmt: skip
    own = {row["design"]: row for row in run(*asked)["designs"]}["crossover"]
    assert (own["n"], "precision of the row as published" in own["label"]) == (34, True)
    stated = {row["design"]: row for row in run(*asked, "--correlation", "0.5")["designs"]}
    assert stated["crossover"]["n"] == 12
    assert "correlation 0.5" in stated["crossover"]["label"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["prior", "--reading", "unhalved", "--reading-weights", "unhalved=1"], "one of the two"),
        (["prior", "--reading", "as_published=0.5", "--reading", "unhalved=0.6"], "sum to one"),
        (["prior", "--reading", "as_published=half"], "'half' is not a weight"),
        (["prior", "--robust-sd", "-3"], "'sigma' must be positive"),
        (["predict", "--sd", "-3"], "sd of the score must be positive"),
        (["predict", "--n", "40", "--relative-size", "1"], "not both"),
        (["assurance", "--design", "factorial"], "unknown design"),
        (["assurance", "--n", "2"], "degrees of freedom"),
        (["sample-size", "--target", "0.97"], "no size reaches"),
        (["sample-size", "--analysis-prior", "sceptical"], "did you mean 'skeptical'"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value[:3]),
)
def test_replicate_refuses(arguments: list[str], named: str) -> None:
    """Bad input is refused by name: weights, negative sds, designs, targets no size can reach."""
    extra = ["--contrast", "T2.IESR.X"] if arguments[0] != "sample-size" else []
    assert named in refusal("replicate", *arguments, *extra, *QUICK)


def test_planning_does_not_load_pymc(tmp_path: Path) -> None:
    """`map` and every `replicate` command run without PyMC."""
    file = tmp_path / "history.csv"
    file.write_text("study,y,se\nA,3,1\nB,5,1\n")
    lines = [
        [
            "map",
            str(file),
            "--likelihood",
            "normal",
            "--components",
            "1",
            "--heterogeneity",
            "half-normal 1",
        ],
        *(["replicate", name, *QUICK] for name in ("prior", "predict", "assurance")),
        ["replicate", "sample-size", *QUICK, "--target", "0.6"],
    ]
    program = (
        "import sys\nfrom bayes_ptsd.cli import app\n"
        f"for line in {lines!r}:\n"
        "    try:\n        app(line)\n"
        "    except SystemExit as stop:\n        assert not stop.code, line\n"
        "print([n for n in ('pymc', 'pytensor', 'nutpie') if n in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stderr.strip().splitlines()[-1] == "[]"
