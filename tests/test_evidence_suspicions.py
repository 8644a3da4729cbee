"""Scores far outside the others: told where they are codes of missing, silent on ordinary data."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from bayes_ptsd.cli import app
from bayes_ptsd.evidence.patients import load_patients
from bayes_ptsd.evidence.suspicions import strangers
from bayes_ptsd.fit import stored_fit
from bayes_ptsd.models_files import load_model
from bayes_ptsd.store import ResultStore
from bayes_ptsd.trial import Endpoint, Trial, load_trial

Draw = Callable[[np.random.Generator, int], Any]
TOY = """
schema = 1
name = "toy"
design = "crossover"
[treatments]
active = "act"
control = "pbo"
[endpoints.score]
kind = "continuous"
better = "higher"
"""


def patients(folder: Path, *spoiled: str) -> tuple[Path, Path]:
    """Write a trial file and patients, 12 with two scores between 39 and 61, the first spoiled."""
    rng = np.random.default_rng(4)
    lines = ["subject,sequence,period,treatment,value,site"]
    for number in range(12):
        label, order = ("AB", ("act", "pbo")) if number % 2 else ("BA", ("pbo", "act"))
        for period, treatment in enumerate(order, 1):
            score = f"{rng.uniform(39, 61):.1f}"
            lines.append(f"P{number},{label},{period},{treatment},{score},{700 + number % 3}")
    for place, score in enumerate(spoiled, 1):
        cells = lines[place].split(",")
        lines[place] = ",".join([*cells[:4], score, cells[5]])
    (folder / "toy.toml").write_text(TOY)
    (folder / "f.csv").write_text("\n".join(lines) + "\n")
    return folder / "f.csv", folder / "toy.toml"


@pytest.mark.parametrize(
    ("spoiled", "listed"),
    [(("999", "999"), "2 scores are 999"), (("99",), "1 score is 99"), (("-9",), "1 score is -9"),
     (("-99", "-99"), "2 scores are -99"), (("9999",), "1 score is 9999"),
     (("888", "888"), "2 scores are 888"), (("5060",), "1 score is 5060"),
     (("-999",), "1 score is -999"), (("88", "88"), "2 scores are 88")],
)  # fmt: skip
def test_codes_of_missing_and_typing_errors_are_told(
    spoiled: tuple[str, ...], listed: str, tmp_path: Path
) -> None:
    """Codes among scores of 39 to 61, and a lost decimal point, are a note with the others."""
    [note] = load_patients(*patients(tmp_path, *spoiled)).notes
    assert note.startswith(f"{listed}, far outside the others (4")
    assert "a code of missing" in note


def test_baselines_and_covariates_have_codes_of_missing_too(tmp_path: Path) -> None:
    """Baselines of 999 and an age of -99 are told as scores are."""
    file, trial = patients(tmp_path)
    table = pd.read_csv(file)
    rng = np.random.default_rng(1)
    table["baseline"] = rng.uniform(40, 60, len(table)).round(1)
    table.loc[3, "baseline"] = 999
    table["age"] = np.repeat(rng.uniform(20, 70, 12).round(1), 2)
    table.loc[table["subject"] == "P4", "age"] = -99
    table.to_csv(file, index=False)
    notes = load_patients(file, trial, covariates=["age"]).notes
    assert notes[0].startswith("1 baseline is 999, far outside the others")
    assert notes[1].startswith("covariate 'age': 1 value is -99, far outside")


ORDINARY: dict[str, Draw] = {
    "normal": lambda rng, n: rng.normal(50, 10, n).round(1),
    "normal whole": lambda rng, n: rng.normal(50, 20, n).round(),
    "changes": lambda rng, n: rng.normal(-5, 9, n).round(),
    "lognormal": lambda rng, n: rng.lognormal(3, 1, n).round(2),
    "very skewed": lambda rng, n: rng.lognormal(2, 1.5, n).round(2),
    "seven categories": lambda rng, n: rng.integers(1, 8, n),
    "ten categories": lambda rng, n: rng.binomial(9, 0.4, n),
    "visual analog scale": lambda rng, n: np.clip(rng.normal(60, 25, n), 0, 100).round(),
    "counts": lambda rng, n: rng.negative_binomial(1, 0.1, n),
    "t of 3": lambda rng, n: rng.standard_t(3, n).round(2),
}


@pytest.mark.parametrize("kind", ORDINARY)
def test_ordinary_scores_raise_no_alarm(kind: str) -> None:
    """Of 400 simulated trials, of 12 to 200 scores, at most 4 have a score that is told."""
    rng = np.random.default_rng(20261130)
    told = [
        bool(strangers(np.asarray(ORDINARY[kind](rng, n), dtype=float)))
        for n in (12, 24, 60, 200)
        for _ in range(100)
    ]
    assert sum(told) <= 4


@pytest.mark.shared
def test_public_trials_raise_no_alarm(shared: Path) -> None:
    """No public file that the tests load has a note, and none of 110 experiments a score told."""
    trials = Path(__file__).parent / "trials"
    for path in sorted(trials.glob("*.toml")):
        assert load_patients(shared / "data" / f"{path.stem}.csv", load_trial(path)).notes == ()
    table = pd.read_csv(shared / "data" / "envelope.csv")
    groups = table.groupby(["trial", "endpoint"])["value"]
    told = [name for name, values in groups if strangers(values.to_numpy(dtype=float))]
    assert len(told) <= len(groups) // 50


def test_check_data_shows_extent_both_periods_kinds_and_notes(tmp_path: Path) -> None:
    """Text and JSON have lowest and highest score, patients with both periods, kinds and notes."""
    file, trial = patients(tmp_path, "999")
    words = ["check-data", str(file), "--trial", str(trial), "--covariates", "site"]
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    [extent] = document["scores"]
    assert (extent["n"], extent["highest"]) == (24, 999.0)
    assert 39 < extent["lowest"] < 61
    assert {row["both_periods"] for row in document["flow"]} == {6}
    assert document["covariates"] == {"site": "number"}
    assert [note.split(",")[0] for note in document["notes"]] == [
        "1 score is 999",
        "covariate 'site' is 3 different whole numbers (700 to 702) and was read as a number",
    ]
    shown = CliRunner().invoke(app, words).stdout
    for words_shown in (
        "both periods",
        "highest",
        "999",
        "covariate site: number",
        "note: 1 score",
    ):
        assert words_shown in shown


@pytest.mark.filterwarnings("ignore::bayes_ptsd.errors.StatisticalWarning")
def test_a_stored_result_keeps_the_notes_among_its_warnings(tmp_path: Path) -> None:
    """What was odd about the file stands in the warnings of the result, and in no id."""
    file, trial = patients(tmp_path, "999")
    noted, clean = (load_patients(file, trial) for _ in "12")
    clean = replace(clean, notes=())
    assert noted.digest == clean.digest
    fit = stored_fit(noted, load_model("crossover").under("weak"), ResultStore(tmp_path / "store"))
    assert noted.notes[0] in json.loads(fit.attrs["warnings"])


def test_an_ordinal_scale_with_its_range_refuses_codes(tmp_path: Path) -> None:
    """Where the trial file has a range, a code outside it is refused with its row."""
    file, trial = patients(tmp_path, "999")
    score = Endpoint("score", "Score", "continuous", "higher", range=(0.0, 100.0))
    described: Trial = replace(load_trial(trial), endpoints={"score": score})
    with pytest.raises(ValueError, match="line 2: value 999 is outside the range 0 to 100"):
        load_patients(file, described)
