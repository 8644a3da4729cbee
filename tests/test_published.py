"""The numbers of the package are those that the paper prints, each next to its label."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

import bayes_ptsd.evidence

SHIPPED = Path(bayes_ptsd.evidence.__file__).parent / "feder2014"
Row = Mapping[str, str]

# how many characters may stand between a label and its number
REACH = 90
TEXT_LABELS = {
    "RG.DEP.TRT": "treatment assignment",
    "RG.DEP.MADRS24": "after infusion",
    "RG.DEP.IESB": "baseline IES-R score",
    "LG.IESR.TRT": "least squares means estimate",
    "LG.QIDS.TRT": "the QIDS-SR score",
    "LG.MADR.TRT": "MADRS score approached",
    "TX.CAPS.X": "mean difference between ketamine and midazolam",
}
FLOW_LABELS = {
    "F.SCREEN": "{} Participants screened", "F.INEL": "{} Were ineligible",
    "F.WITHD": "{} Withdrew consent", "F.LTFU0": "{} Lost to follow-up",
    "F.RAND": "{} Randomly assigned", "F.KF": "Ketaminea (n = {})",
    "F.MF": "Midazolamb (n = {})", "F.24H": "All {} patients received study medication",
    "F.REM": "{} Completed study after 1st infusion", "F.DO1": "{} Found a job",
    "F.DO2": "{} Temporarily lost", "F.RS": "{} Removed from study due to delayed-onset",
    "F.RL": "{} Removed from study due to low", "F.INF2": "{} Received 2nd infusion",
    "F.DO3": "{} Received higher-than-expected", "F.DO4": "{} Felt uncomfortable",
    "F.COMP2": "{} Completed after 2nd infusion", "F.COMP": "{} Completed study",
    "F.RESP2W.K": "symptoms in {} patients randomly assigned to ketamine first",
    "F.RESP2W.M": "only {} patient randomly assigned to midazolam first",
}  # fmt: skip


def read(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file as text."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def normalized(text: str) -> str:
    """Return text with plain dashes, hyphenated line ends joined and single spaces."""
    for dash in "\N{MINUS SIGN}\N{EN DASH}\N{HYPHEN}\N{NON-BREAKING HYPHEN}":
        text = text.replace(dash, "-")
    text = re.sub(r"(?<=[a-z])-\s*\n\s*(?=[a-z])", "", text)
    return re.sub(r"\s+", " ", text)


def interval_text(low: str, high: str) -> str:
    """Return limits as the journal sets them: a dash, or 'to' where one is negative."""
    return f"{low} to {high}" if "-" in low + high else f"{low}-{high}"


def near(label: str, number: str, text: str) -> bool:
    """Tell whether a number with its sign stands within reach after a label, and stands alone."""
    pattern = rf"{re.escape(label)}.{{0,{REACH}}}?(?<![\d.-]){re.escape(number)}(?![\d]|\.\d)"
    return re.search(pattern, text, re.IGNORECASE) is not None


def table_line(row: Row, rows: Iterable[Row]) -> str:
    """Return the line of Table 2 that two rows of one outcome make."""
    label = row["cell"].removeprefix("row ").partition(",")[0]
    first = next(
        other for other in rows
        if other["endpoint"] == row["endpoint"] and other["analysis"] == "first_period"
        and other["provenance"].startswith("printed")
    )  # fmt: skip
    # the text prints a second digit of this limit, the table does not
    low = "0.9" if first["ci_low"] == "0.94" else first["ci_low"]
    crossover = (
        f"{row['estimate']} ({interval_text(row['ci_low'], row['ci_high'])}) {row['p_value']}"
    )
    return (
        f"{label} {crossover} {first['estimate']} ({interval_text(low, first['ci_high'])}) "
        f"{first['p_value']}"
    )


def not_in_text(rows: list[dict[str, str]], text: str) -> set[str]:
    """Return ids of effect rows of which the text does not print every number at its label."""
    missing = set()
    paper = text.replace("scorea", "score")
    for row in rows:
        name = row["id"]
        if row["analysis"] == "crossover" and name.startswith("T2."):
            if not re.search(re.escape(table_line(row, rows)) + r"(?![\d])", paper):
                missing |= {name, name.removesuffix("X") + "F"}
        elif name in TEXT_LABELS:
            numbers = [row["estimate"], row["p_value"]]
            if row["ci_low"]:
                numbers.append(interval_text(row["ci_low"], row["ci_high"]))
            if not all(near(TEXT_LABELS[name], number, text) for number in numbers):
                missing.add(name)
    return missing


def baseline_not_in_text(rows: list[dict[str, str]], text: str) -> set[str]:
    """Return ids of baseline rows whose two cells do not follow their label."""
    missing = set()
    for row in rows:
        cells = [f"{row[f'value_{arm}']} ({row[f'spread_{arm}']})" for arm in ("active", "control")]
        label = row["cell"].removeprefix("row ")
        if not near(label, " ".join(cells), text):
            missing.add(row["id"])
    return missing


def events_not_in_text(rows: list[dict[str, str]], text: str) -> set[str]:
    """Return ids of adverse events whose percentages do not follow their name."""
    missing = set()
    for row in rows:
        ketamine, midazolam = row["percent_active"], row["percent_control"]
        if row["count_control"]:
            found = all(
                re.search(
                    rf"{row[f'count_{arm}']} of {row[f'n_{arm}']} participants \({percent}%\)", text
                )
                for arm, percent in (("active", ketamine), ("control", midazolam))
            )
        else:
            found = f"{row['event']} ({ketamine}% vs {midazolam}%)" in text
        if ketamine and not found:
            missing.add(row["id"])
    return missing


@pytest.fixture(scope="module")
def paper(shared: Path) -> str:
    """Return the normalized text of the paper."""
    return normalized((shared / "paper" / "feder2014.txt").read_text(encoding="utf-8"))


@pytest.mark.shared
def test_every_effect_is_printed_at_its_label(paper: str) -> None:
    """Each estimate, limit and P stands in the paper in its line or beside its label."""
    rows = read(SHIPPED / "effects.csv")
    assert not_in_text(rows, paper) == set()
    assert {row["id"] for row in rows if row["id"].startswith("T2.")} == {
        f"T2.{name}.{analysis}"
        for name in ("IESR", "INTR", "AVOI", "HYPE", "CGIS", "CGII", "QIDS", "MADR")
        for analysis in "XF"
    } | {"T2.AVOI.F*"}
    first = next(row for row in rows if row["id"] == "T2.IESR.F")
    printed = f"{first['estimate']} [95% CI, {interval_text(first['ci_low'], first['ci_high'])}]"
    assert near("agreed closely", f"{printed}; P = {first['p_value']}", paper)


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "column", "value", "missing"),
    [
        ("T2.INTR.X", "ci_high", "8.4", {"T2.INTR.X", "T2.INTR.F"}),
        ("T2.CGII.F", "p_value", ".05", {"T2.CGII.X", "T2.CGII.F"}),
        ("LG.IESR.TRT", "estimate", "8.32", {"LG.IESR.TRT"}),
        ("LG.QIDS.TRT", "p_value", ".05", {"LG.QIDS.TRT"}),
        ("RG.DEP.IESB", "estimate", "0.3", {"RG.DEP.IESB"}),
        ("TX.CAPS.X", "ci_low", "4.8", {"TX.CAPS.X"}),
    ],
)
def test_an_altered_effect_is_not_in_the_paper(
    paper: str, name: str, column: str, value: str, missing: set[str]
) -> None:
    """The check finds one changed limit, P or sign."""
    rows = read(SHIPPED / "effects.csv")
    next(row for row in rows if row["id"] == name)[column] = value
    assert not_in_text(rows, paper) == missing


@pytest.mark.shared
def test_every_other_table_is_printed(paper: str) -> None:
    """Baseline, adverse events and the boxes of the flow chart are those of the paper."""
    assert baseline_not_in_text(read(SHIPPED / "baseline.csv"), paper) == set()
    assert events_not_in_text(read(SHIPPED / "adverse_events.csv"), paper) == set()
    counts = {row["id"]: row["count"] for row in read(SHIPPED / "flow.csv")}
    absent = {
        name for name, label in FLOW_LABELS.items()
        if not re.search(r"(?<!\d)" + re.escape(label.format(counts[name])), paper)
    }  # fmt: skip
    assert absent == set()
    baseline = read(SHIPPED / "baseline.csv")
    baseline[0]["spread_control"] = "10.1"
    assert baseline_not_in_text(baseline, paper) == {"B.AGE"}
    events = read(SHIPPED / "adverse_events.csv")
    events[3]["percent_active"], events[7]["n_control"] = "22", "32"
    assert events_not_in_text(events, paper) == {"AE.FAT", "AE.DISS"}


@pytest.mark.shared
def test_package_values_are_those_of_the_evidence_files(shared: Path) -> None:
    """Each number of the shared evidence files stands unchanged in the package."""
    ours = {row["id"]: row for row in read(SHIPPED / "effects.csv")}
    theirs = read(shared / "evidence" / "effects.csv") + [
        row for row in read(shared / "evidence" / "regression.csv") if row["estimate"]
    ]
    assert len(theirs) == 23
    assert set(ours) - {row["id"] for row in theirs} == {"T2.AVOI.F*"}
    names = {"n_active": "n_ketamine", "n_control": "n_midazolam"}
    for row in theirs:
        mine = ours[row["id"]]
        for column in ("estimate", "p_value", "timepoint"):
            assert mine[column] == row[column], row["id"]
        # the paper's own count, where the analysis had fewer patients
        assert (mine["n_stated"] or mine["n"]) == row["n"], row["id"]
        assert (mine["ci_low"], mine["ci_high"]) == (row.get("ci_low", ""), row.get("ci_high", ""))
        sizes = {a: row[b] for a, b in names.items()}
        fewer = {"n_active": "22", "n_control": "15"}  # of QIDS-SR, as many as have a baseline
        assert {a: mine[a] for a in names} == (fewer if mine["n_stated"] else sizes), row["id"]
        negative = row["sign_as_printed"] == "ketamine-minus-midazolam"
        assert (mine["sign_as_printed"] == "active-minus-control") == negative


@pytest.mark.shared
@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("baseline", {
            "kind": "kind", "n_active": "ket_first_n", "value_active": "ket_first_value",
            "spread_active": "ket_first_sd_or_pct", "n_control": "mid_first_n",
            "value_control": "mid_first_value", "spread_control": "mid_first_sd_or_pct",
        }),
        ("flow", {"count": "count", "item": "item"}),
        ("adverse_events", {
            "percent_active": "ket_pct", "percent_control": "mid_pct", "count_active": "ket_count",
            "n_active": "ket_n", "count_control": "mid_count", "n_control": "mid_n",
        }),
        ("design", {"value": "value", "unit": "unit"}),
    ],
)  # fmt: skip
def test_other_package_tables_are_those_of_the_evidence_files(
    shared: Path, table: str, columns: dict[str, str]
) -> None:
    """Baseline, flow, adverse events and design hold every shared row with its numbers."""
    ours = {row["id"]: row for row in read(SHIPPED / f"{table}.csv")}
    for row in read(shared / "evidence" / f"{table}.csv"):
        mine = {name: ours[row["id"]][name] for name in columns}
        assert mine == {name: row[column] for name, column in columns.items()}


@pytest.mark.shared
def test_every_result_printed_in_words_is_a_claim(shared: Path) -> None:
    """Shared rows without a number are claims of the package."""
    claims = {row["id"] for row in read(SHIPPED / "claims.csv")}
    words = {
        row["id"] for row in read(shared / "evidence" / "regression.csv") if not row["estimate"]
    }
    assert words <= claims


def test_no_file_of_the_package_quotes_the_paper() -> None:
    """The package has places in the paper, no column of sentences."""
    for path in SHIPPED.glob("*.csv"):
        assert "quote" not in read(path)[0]
    for row in read(SHIPPED / "effects.csv"):
        assert row["section"]
        assert row["cell"]
        assert len(row["cell"]) < 60


def test_the_check_itself_on_a_made_up_text() -> None:
    """Without the paper: numbers beside their labels are found, altered ones are not."""
    line = "Intru-\nsion 4.0 (\N{MINUS SIGN}0.3 to 8.3) .07 2.6 (0.2\N{EN DASH}4.9) .03"
    text = normalized(f"Table\n{line}\nThe treatment assignment (b = 6.5, P = .0496) and the rest")
    base = {"endpoint": "x", "provenance": "printed", "cell": "row Intrusion, column A"}
    rows = [
        {**base, "id": "T2.A.X", "analysis": "crossover", "estimate": "4.0", "ci_low": "-0.3",
         "ci_high": "8.3", "p_value": ".07"},
        {**base, "id": "T2.A.F", "analysis": "first_period", "estimate": "2.6", "ci_low": "0.2",
         "ci_high": "4.9", "p_value": ".03"},
        {**base, "id": "RG.DEP.TRT", "analysis": "adjusted", "estimate": "6.5", "ci_low": "",
         "ci_high": "", "p_value": ".0496"},
    ]  # fmt: skip
    assert not_in_text(rows, text) == set()
    rows[1]["ci_low"] = "0.3"
    assert not_in_text(rows, text) == {"T2.A.X", "T2.A.F"}
    rows[2]["p_value"] = ".049"
    assert "RG.DEP.TRT" in not_in_text(rows, text)
