"""Texts from files on their way out: terminal, JSON, page, figures and CSV stay what they are."""

from __future__ import annotations

import ast
import contextlib
import csv
import io
import json
import re
import sys
import unicodedata
import warnings
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

import bayes_ptsd
from bayes_ptsd.cli import main
from bayes_ptsd.cli._output import Talk, emit, say, show_prose, show_table, told_warnings
from bayes_ptsd.errors import EvidenceError, StatisticalWarning
from bayes_ptsd.evidence.patients import write_patients
from bayes_ptsd.plots.style import figure_look, figure_svg, new_figure
from bayes_ptsd.report.section import Figure, Table
from bayes_ptsd.simulation.patients import made_up_trial, simulate_trial
from bayes_ptsd.store.tables import csv_text
from bayes_ptsd.trial import Trial

# clears a screen, sets a title, ends a line in four ways, reorders, hides, 8-bit escape
HOSTILE = (
    "\x1b[2J\x1b]0;t\x07a\nbayes-ptsd: ok\rb\x85c\u2028d\u202ee\u200bf\x9b31m [/red] [bold]$x$"
)
UNSEEN = ("Cc", "Cf", "Zl", "Zp")
PACKAGE = Path(bayes_ptsd.__file__).parent


def assert_plain(text: str, *, lines: int | None = None) -> None:
    """Check that a text holds no character that a terminal obeys but the ends of its own lines."""
    assert {one for one in text if unicodedata.category(one) in UNSEEN} <= {"\n"}
    if lines is not None:
        assert text.count("\n") == lines


def command(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Run the command line in this process and return its exit status."""
    monkeypatch.setattr(sys, "argv", ["bayes-ptsd", *words])
    with pytest.raises(SystemExit) as left:
        main()
    return int(left.value.code or 0)


def test_all_that_is_printed_is_escaped(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Lines, prose, tables, warnings, messages and the log show escapes, one line a line."""
    say(HOSTILE, HOSTILE)
    assert_plain(capsys.readouterr().out, lines=2)
    show_prose(HOSTILE)
    assert_plain(capsys.readouterr().out, lines=1)
    show_table(HOSTILE, [HOSTILE, "n"], [[HOSTILE, "1"]])
    shown = capsys.readouterr().out
    assert_plain(shown)
    assert "[/red]" in shown
    with told_warnings():
        warnings.warn(HOSTILE, StatisticalWarning, stacklevel=1)
    Talk(quiet=False, log=tmp_path / "log").say(HOSTILE)
    assert_plain(capsys.readouterr().err)
    assert_plain((tmp_path / "log").read_text(encoding="utf-8"), lines=1)


def test_json_is_escaped_and_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    """A document keeps its texts; what a terminal would obey is written as JSON's own escapes."""
    emit("test", {HOSTILE: [HOSTILE, "k\u00e9tamine", "\U000e0041"]})
    text = capsys.readouterr().out
    assert_plain(text)
    assert "k\u00e9tamine" in text
    assert json.loads(text)[HOSTILE] == [HOSTILE, "k\u00e9tamine", "\U000e0041"]


def test_commands_print_through_one_module() -> None:
    """No command echoes, prints or writes to a stream by itself."""
    found = [
        f"{path.name}:{node.lineno}"
        for path in (PACKAGE / "cli").glob("*.py")
        if path.name not in ("_output.py", "__init__.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and re.search(r"^(print|(typer|click)\.s?echo|sys\.std\w+\.write)$", ast.unparse(node.func))
    ]
    assert found == []


TRIAL = """
schema = 1
name = "n<script>alert(1)</script>"
title = "T<script>alert(2)</script> ${body} $title $"
design = "crossover"
[treatments]
active = "<svg/onload=\\"alert(3)\\">"
control = "</script><script>alert(4)</script> --> ]]>"
[endpoints."../../../x<img src=y onerror=alert(5)>"]
label = "=cmd|' /C calc'!A0 <b>$\\\\frac$ \\u0000\\u001b[31m\\u202e"
kind = "continuous"
better = "higher"
unit = "@SUM(1)\\u0008\\u001b[31mRED"
mcid = 5
reference_sd = 20
"""


def hostile_patients(folder: Path) -> tuple[Path, Path]:
    """Write a trial file and patients whose every label is markup, a formula or a path."""
    (folder / "trial.toml").write_text(TRIAL, encoding="utf-8")
    active, control = '<svg/onload="alert(3)">', "</script><script>alert(4)</script> --> ]]>"
    rows = [["subject", "sequence", "period", "treatment", "value"]]
    for place in range(12):
        order = (active, control) if place % 2 else (control, active)
        label = "=1+1" if place % 2 else "-2\tx"
        for period, treatment in enumerate(order, start=1):
            score = 300 + 7 * place % 40 + 11 * (treatment == active) + 3 * (place * period % 5)
            rows.append([f"id{place}", label, str(period), treatment, str(score)])
    with (folder / "data.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return folder / "trial.toml", folder / "data.csv"


@pytest.fixture(scope="module")
def hostile_report(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Return the folder of a store with a fit of hostile labels, its report, and what was said."""
    folder = tmp_path_factory.mktemp("hostile")
    trial, data = hostile_patients(folder)
    store = str(folder / "store")
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(said):
        files = ["--trial", str(trial), "--data", str(data), "--store", store]
        assert command(patch, "fit", "crossover", *files, "--prior", "weak") == 0
        assert command(patch, "report", "--store", store) == 0
        assert command(patch, "store", "list", "--store", store) == 0
        assert command(patch, "store", "export", str(folder / "all.csv"), "--store", store) == 0
    return folder, said.getvalue()


class Page(HTMLParser):
    """What could run in a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep scripts and handlers."""
        self.found += [name for name, _ in attrs if name.startswith("on")]
        self.found += [tag] if tag in ("script", "svg", "b") else []


def test_page_and_figures_are_well_formed(hostile_report: tuple[Path, str]) -> None:
    """Markup in labels runs nothing; page and figures hold no character that they may not."""
    report = hostile_report[0] / "store" / "report"
    text = (report / "index.html").read_text(encoding="utf-8")
    assert_plain(text)
    assert r"\x1b[31m" in text
    page = Page()
    page.feed(text)
    assert page.found == []
    figures = list((report / "figures").glob("*.svg"))
    assert len(figures) >= 2
    for path in figures:
        ET.parse(path)
        assert_plain(path.read_text(encoding="utf-8"))


def test_no_file_lands_elsewhere_and_no_cell_is_a_formula(
    hostile_report: tuple[Path, str],
) -> None:
    """Labels name no files, and no exported text begins like a formula; numbers are untouched."""
    folder, said = hostile_report
    assert_plain(said)
    beside = {path.name for path in folder.iterdir()}
    assert beside == {"trial.toml", "data.csv", "store", "all.csv"}
    cells = []
    for path in [folder / "all.csv", *(folder / "store" / "report" / "tables").glob("*.csv")]:
        with path.open(newline="", encoding="utf-8") as file:
            cells += [cell for row in csv.reader(file) for cell in row]
    begun = [cell for cell in cells if cell[:1] in ("=", "+", "-", "@", "\t", "\r") and cell]
    assert begun
    assert [cell for cell in begun if not re.fullmatch(r"-?[\d.]+(e[-+]\d+)?", cell)] == []
    assert r"'@SUM(1)\x08\x1b[31mRED" in cells


def test_tables_guard_texts_and_leave_numbers() -> None:
    """A text that a spreadsheet would compute stands behind an apostrophe, headings included."""
    table = pd.DataFrame({"=a": ["=1", "-x", "-1.5", "+cmd", "@b", "\tx", "a-b", None],
                          "n": [-1.5, 2, 0, 1e-20, -3, 4, 5, float("nan")]})  # fmt: skip
    assert csv_text(table, index=False).split("\n") == [
        "'=a,n", "'=1,-1.5", "'-x,2.0", "-1.5,0.0", "'+cmd,1e-20", "'@b,-3.0", r"'\tx,4.0",
        "a-b,5.0", ",", "",
    ]  # fmt: skip


def test_tables_without_such_texts_are_what_pandas_writes() -> None:
    """Whole numbers, truth values and missing cells beside texts are written as they were."""
    mixed = [1, 2.5, None, "a", True, -3]
    table = pd.DataFrame({"n": [-1, 2, 3, 4, 5, 6], "m": mixed, "b": [True, False] * 3})
    assert csv_text(table, index=False) == table.to_csv(index=False)


@pytest.mark.parametrize("label", ["=A1", "@x", "+cmd|x", "-2+3", "\tx"])
def test_patients_are_not_written_with_formulas(tmp_path: Path, label: str) -> None:
    """A treatment that a spreadsheet would compute is refused, as the reader needs it as it is."""
    made = made_up_trial("parallel")
    trial = Trial("t", "T", "parallel", label, "B", made.endpoints)
    evidence = simulate_trial(trial, n_by_sequence=2, seed=1)
    with pytest.raises(EvidenceError, match="is a formula to a spreadsheet"):
        write_patients(evidence, tmp_path / "patients.csv")
    assert not (tmp_path / "patients.csv").exists()


def test_labels_of_visits_with_a_sign_are_written(tmp_path: Path) -> None:
    """-7d and +24h are names of visits, and scores below zero are numbers."""
    trial = made_up_trial(visits={"-7d": -168.0, "+24h": 24.0})
    evidence = simulate_trial(trial, n_by_sequence=3, seed=1)
    text = write_patients(evidence, tmp_path / "patients.csv").read_text(encoding="utf-8")
    assert ",-7d," in text
    assert ",+24h," in text


@pytest.mark.parametrize("label", [HOSTILE, "a $ b", r"$\frac{1}", "x -- y ]]> <b>", "\x00\ufffe"])
def test_figures_take_any_label(label: str) -> None:
    """A dollar sign is no formula, and the SVG is well-formed."""
    with figure_look():
        figure = new_figure(1.0)
        figure.subplots().set_title(label)
    svg = figure_svg(figure)
    assert_plain(svg)
    ET.fromstring(svg)


def test_files_of_the_page_stay_in_its_folder() -> None:
    """A figure or a table of a model that is called like a path or a tag names a plain file."""
    name = 'patients1-update-../../x"><b>'
    table = Table(name, pd.DataFrame({"evidence_kind": ["x"]}))
    assert Figure(name, "<svg/>", "x").name == table.name == "patients1-update-..-..-x-b-"


def test_a_newline_in_a_file_forges_no_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A label of two lines and a file name of two lines are each one line of a refusal."""
    trial, _ = hostile_patients(tmp_path)
    data = tmp_path / "a\nb.csv"
    rows = 's1,AB,1,"x\nbayes-ptsd: accepted",3\ns2,AB,1,\x1b[2J,3\n'
    data.write_text(f"subject,sequence,period,treatment,value\n{rows}", encoding="utf-8")
    assert command(monkeypatch, "check-data", str(data), "--trial", str(trial)) == 1
    told = capsys.readouterr().err
    assert_plain(told)
    assert not [line for line in told.split("\n")[1:] if line and not line.startswith("  ")]
    assert r"x\nbayes-ptsd: accepted" in told
    missing = str(tmp_path / "no\nbayes-ptsd: accepted.csv")
    assert command(monkeypatch, "check-data", missing, "--trial", str(trial)) == 1
    assert_plain(capsys.readouterr().err, lines=1)


@pytest.mark.shared
def test_labels_of_the_case_reach_no_terminal(
    shared: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The treatment that clears the screen is printed as its escapes."""
    case = shared / "cases" / "f-ansi_label"
    words = ["check-data", str(case / "data.csv"), "--trial", str(case / "trial.toml")]
    assert command(monkeypatch, *words) == 1
    told = capsys.readouterr().err
    assert_plain(told)
    assert r"\x1b[2J\x1b[31mPWNED" in told


@pytest.mark.shared
def test_names_of_the_case_are_read(shared: Path) -> None:
    """The trial file with markup in every label is read, its control characters as escapes."""
    from bayes_ptsd.trial import load_trial

    [endpoint] = load_trial(shared / "cases" / "f-inj" / "trial.toml").endpoints.values()
    assert endpoint.unit.endswith(r"</script>\x1b[31mRED")
