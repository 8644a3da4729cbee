"""Commands about patient files, as a user strings them together."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from bayes_ptsd.cli import app
from bayes_ptsd.errors import BayesPtsdError
from bayes_ptsd.evidence.patients import load_patients
from bayes_ptsd.trial import load_trial

runner = CliRunner()


def simulated(folder: Path, *options: str) -> dict[str, object]:
    """Simulate patients and return the document of the command."""
    done = runner.invoke(app, ["simulate", str(folder / "made.csv"), "--json", *options])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def test_simulated_patients_pass_their_own_check(tmp_path: Path) -> None:
    """What `simulate` writes `check-data` accepts, and both print the same flow."""
    made = simulated(tmp_path, "--n", "12", "--treatment", "5")
    options = ["--trial", str(made["trial"]), "--json"]
    done = runner.invoke(app, ["check-data", str(made["patients"]), *options])
    assert done.exit_code == 0, done.output
    flow = json.loads(done.stdout)["flow"]
    assert flow == made["flow"]
    assert [(row["period"], row["scored"]) for row in flow] == [(1, 12), (2, 12)] * 2
    assert {row["treatment"] for row in flow if row["period"] == 1} == {"A", "B"}


def test_dropouts_are_missing_from_period_2(tmp_path: Path) -> None:
    """With half dropping out, period 2 has some scores and period 1 all of them."""
    flow: list[dict[str, int]] = simulated(tmp_path, "--n", "50", "--dropout", "0.5")["flow"]  # type: ignore[assignment]
    assert all(row["scored"] == 50 for row in flow if row["period"] == 1)
    assert all(10 < row["scored"] < 40 for row in flow if row["period"] == 2)


def test_any_design_and_outcome_can_be_simulated(tmp_path: Path) -> None:
    """Parallel, ordinal, binary; negatively correlated periods; scores lost by their value."""
    for design, kind, values in (
        ("parallel", "binary", {0.0, 1.0}),
        ("crossover", "ordinal", set(range(1, 8))),
        ("parallel", "continuous", None),
    ):
        folder = tmp_path / f"{design}-{kind}"
        made = simulated(folder, "--design", design, "--kind", kind, "--n", "40")
        trial = load_trial(str(made["trial"]))
        assert (trial.design, trial.endpoint("score").kind) == (design, kind)
        found = load_patients(str(made["patients"]), trial).data["outcomes"]["value"].values
        scores = set(found[np.isfinite(found)])
        assert values is None or (len(scores) > 1 and scores <= values)
    made = simulated(tmp_path, "--n", "300", "--level", "10", "--sd-total", "5",
                     "--correlation", "-0.6", "--missing-by-value", "0.3", "2")  # fmt: skip
    evidence = load_patients(str(made["patients"]), load_trial(str(made["trial"])))
    score = evidence.data["outcomes"]["value"].squeeze().transpose("subject", "period").values
    assert np.isfinite(score).mean() == pytest.approx(0.67, abs=0.06)
    assert np.nanmean(score) < 9
    pairs = score[np.isfinite(score).all(axis=1)]
    assert np.corrcoef(pairs.T)[0, 1] < -0.2


def test_same_seed_same_patients(tmp_path: Path) -> None:
    """The seed decides the patients; another seed makes others."""
    files = []
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        simulated(tmp_path / name, "--seed", seed)
        files.append((tmp_path / name / "made.csv").read_text())
    assert files[0] == files[1]
    assert files[0] != files[2]


def test_template_is_not_overwritten(tmp_path: Path) -> None:
    """The two empty files are written once; a second call is refused and changes nothing."""
    assert runner.invoke(app, ["template", str(tmp_path)]).exit_code == 0
    before = {path.name: path.read_text() for path in tmp_path.iterdir()}
    again = runner.invoke(app, ["template", str(tmp_path)])
    assert isinstance(again.exception, BayesPtsdError)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == before


def test_a_refused_row_is_named(tmp_path: Path) -> None:
    """A score that is no number is refused with its row, and the table is not printed."""
    made = simulated(tmp_path)
    file = Path(str(made["patients"]))
    lines = file.read_text().splitlines()
    cells = lines[3].split(",")
    cells[4] = "many"
    file.write_text("\n".join([*lines[:3], ",".join(cells), *lines[4:]]) + "\n")
    done = runner.invoke(app, ["check-data", str(file), "--trial", str(made["trial"])])
    assert isinstance(done.exception, BayesPtsdError)
    assert "line 4" in str(done.exception)
    assert done.stdout == ""


@pytest.mark.shared
def test_shared_trial_is_shown_by_sequence(shared: Path) -> None:
    """13 children of Senn's trial: 7 and 6 by sequence, all with both periods."""
    trial = Path(__file__).parent / "trials" / "senn_pef.toml"
    file = shared / "data" / "senn_pef.csv"
    done = runner.invoke(app, ["check-data", str(file), "--trial", str(trial), "--json"])
    assert done.exit_code == 0, done.output
    flow = json.loads(done.stdout)["flow"]
    assert sorted({row["subjects"] for row in flow}) == [6, 7]
    assert sum(row["scored"] for row in flow) == 26
