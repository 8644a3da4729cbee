"""Folders of other papers: one row or all, from a template, and as somebody fills them in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from odd_folders import QUICK, failures, write_folder
from typer.testing import CliRunner

from bayes_ptsd.cli import app
from bayes_ptsd.comparison import compare
from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence.patient_writers import write_printed_template
from bayes_ptsd.evidence.published import load_published, primary_contrasts
from bayes_ptsd.sensitivity import missing_shares

runner = CliRunner()
ROW = "SCORE,score,crossover,,,7.6,3.9,11.3,,,,,,,,,benefit-positive,,,"


def filled(folder: Path, row: str = ROW) -> Path:
    """Return a template with one row filled in: estimate, limits and sign."""
    write_printed_template(folder)
    effects = folder / "effects.csv"
    head = effects.read_text("utf-8").splitlines()[0]
    empty = "," * (head.count(",") - row.count(","))
    effects.write_text(f"{head}\n{row}{empty}\n", "utf-8")
    return folder


def test_a_template_is_refused_by_the_cell_to_fill_in(tmp_path: Path) -> None:
    """As written, effects.csv lacks a sign, then an estimate, then limits; then it is accepted."""
    folder = tmp_path / "paper"
    done = runner.invoke(app, ["template", "--printed", str(folder)])
    assert done.exit_code == 0, done.output
    effects = folder / "effects.csv"
    empty = effects.read_text("utf-8")
    row = dict.fromkeys(empty.splitlines()[0].split(","), "")
    row |= {"id": "SCORE", "endpoint": "score", "analysis": "crossover"}
    cells = {"sign_as_printed": "benefit-positive", "estimate": "7.6", "p_value": ".001"}
    for column, value in cells.items():
        with pytest.raises(EvidenceError, match=rf"effects\.csv, line 2 .*column '{column}'"):
            load_published(folder)
        row[column] = value
        effects.write_text(f"{empty.splitlines()[0]}\n{','.join(row.values())}\n", "utf-8")
    evidence = load_published(folder)
    assert primary_contrasts(evidence) == ["SCORE"]
    assert list(evidence.data.children) == ["effects"], "tables without a row are not there"


def test_a_template_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    """Where one of its files exists, none is written and the existing one stays."""
    existing = tmp_path / "claims.csv"
    existing.write_text("mine", "utf-8")
    with pytest.raises(EvidenceError, match=r"claims\.csv"):
        write_printed_template(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["claims.csv"]
    assert existing.read_text("utf-8") == "mine"


def test_one_row_without_p_and_df_is_normal(tmp_path: Path) -> None:
    """Under a flat prior the posterior is the interval; a missing P and priors are named."""
    evidence = load_published(filled(tmp_path / "paper"))
    table = compare(evidence)
    flat = table.sel(contrast="SCORE", crossover_reading="as_published", prior="flat")
    assert flat["eti95"].values == pytest.approx([3.9, 11.3], abs=1e-7)
    left = table["mean"].sel(contrast="SCORE", crossover_reading="as_published")
    assert [str(p) for p in left["prior"].values[left.isnull().values]] == [
        "reference", "weak", "skeptical", "enthusiastic"
    ]  # fmt: skip
    assert "no 'reference_sd'" in table.attrs["notes"][0]
    done = runner.invoke(app, ["audit", "--evidence", str(tmp_path / "paper"), "--json"])
    found = json.loads(done.stdout)["findings"]
    assert "no P printed" in next(one["statement"] for one in found if one["id"] == "rows.SCORE")


def test_a_row_of_a_folder_is_judged_like_the_numbers_typed(tmp_path: Path) -> None:
    """`credibility --evidence` gives what --estimate and --ci give, and takes not both."""
    folder = str(filled(tmp_path / "paper"))
    typed = ["credibility", "--estimate", "7.6", "--ci", "3.9", "11.3", "--json"]
    both = [runner.invoke(app, words) for words in (typed, ["credibility", "--evidence", folder,
                                                            "--json"])]  # fmt: skip
    assert [one.exit_code for one in both] == [0, 0]
    assert json.loads(both[0].stdout)["quantities"] == json.loads(both[1].stdout)["quantities"]
    refused = runner.invoke(app, [*typed, "--evidence", folder])
    assert "drop --estimate" in str(refused.exception)


def test_a_fit_needs_no_name_of_the_only_row(tmp_path: Path) -> None:
    """`fit published` takes the only row, under flat where the endpoint has no reference SD."""
    words = ["fit", "published", "--evidence", str(filled(tmp_path / "paper")), "--json"]
    done = runner.invoke(app, [*words, "--store", str(tmp_path / "store")])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["prior"] == "flat"
    interval = found["estimands"]["treatment_difference"]["eti95"]
    assert interval == pytest.approx([3.9, 11.3], abs=1e-6)


def test_shares_are_those_of_the_folder(tmp_path: Path) -> None:
    """5 of 20 and 2 of 10 without a second period are .25 and .2, whatever sequences are called."""
    folder = filled(tmp_path / "paper")
    lines = ["id,item,stage,count,sequence"]
    counts = {"randomized": (20, 10), "completed_second": (15, 8)}
    for stage, pair in counts.items():
        lines += [f"{stage}{s},x,{stage},{n},{s}" for s, n in zip(("AB", "BA"), pair, strict=True)]
    folder.joinpath("flow.csv").write_text("\n".join(lines) + "\n", "utf-8")
    shares = missing_shares(load_published(folder))
    assert (shares.active_first, shares.control_first) == (0.25, pytest.approx(0.2))


@pytest.mark.parametrize("seed", [3, 13, 28])
def test_odd_folders_are_taken_or_refused_in_one_line(seed: int, tmp_path: Path) -> None:
    """A command answers or has one message; `benchmarks/folders.py` goes through 500."""
    folder = write_folder(tmp_path / f"seed-{seed}", seed)
    assert failures(folder, QUICK, tmp_path / "store") == []
