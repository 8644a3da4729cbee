"""What the cells of a patient file mean: read, refused with a true reason, or noted; no id told."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyreadstat
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bayes_ptsd.errors import EvidenceError, SpecError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence import patients as patients_module
from bayes_ptsd.evidence.cell_values import cell_number, cell_period, cell_score
from bayes_ptsd.evidence.patient_cells import distinct_cells
from bayes_ptsd.evidence.patient_files import PatientTable
from bayes_ptsd.evidence.patients import load_patients, pseudonym
from bayes_ptsd.evidence.quoting import Quotes
from bayes_ptsd.trial import DataRules, Endpoint, Trial, load_trial

Table = dict[str, list[Any]]
SCORE = Endpoint("score", "Score", "continuous", "higher")
TRIAL = Trial("toy", "Toy", "crossover", "act", "pbo", {"score": SCORE})
BINARY = replace(TRIAL, endpoints={"score": replace(SCORE, kind="binary")})
PARALLEL = replace(TRIAL, design="parallel")
QUOTES = Quotes(lambda: ["S-101", "S-102", "17"])


def crossover(n: int = 12, **columns: list[Any]) -> Table:
    """Return a valid crossover of n patients, two rows each; scores lie between 39 and 61."""
    rng = np.random.default_rng(7)
    sequence = ["AB" if number % 2 == 0 else "BA" for number in range(n) for _ in "12"]
    period = [1, 2] * n
    first = {"AB": "act", "BA": "pbo"}
    treatment = [
        first[label] if at == 1 else {"act": "pbo", "pbo": "act"}[first[label]]
        for label, at in zip(sequence, period, strict=True)
    ]
    table: Table = {
        "subject": [f"ID-{number + 7001}" for number in range(n) for _ in "12"],
        "sequence": sequence,
        "period": [str(at) for at in period],
        "treatment": treatment,
        "value": [f"{score:.1f}" for score in rng.uniform(39, 61, 2 * n)],
    }
    return {**table, **columns}


def load(folder: Path, table: Table, trial: Trial = TRIAL, **asked: Any) -> Evidence:
    """Write a table as CSV and load it."""
    path = folder / "f.csv"
    pd.DataFrame(table).to_csv(path, index=False, sep=";")
    return load_patients(path, trial, **asked)


def refusal(folder: Path, table: Table, trial: Trial = TRIAL, **asked: Any) -> str:
    """Return the message with which a table is refused; it holds no id of `crossover`."""
    with pytest.raises((EvidenceError, SpecError)) as refused:
        load(folder, table, trial, **asked)
    assert "ID-7" not in str(refused.value)
    return str(refused.value)


def scores(evidence: Evidence) -> list[float]:
    """Return all scores in order."""
    return sorted(evidence.data["outcomes"]["value"].values.ravel().tolist())


# --- records of ADaM ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "mark", "score"),
    [("DTYPE", "LOCF", "AVAL"), ("dtype", "wocf", "CHG"), ("Dtype", "AVERAGE", "value"),
     ("DTYPE", "BOCF", "pef")],
)  # fmt: skip
def test_derived_records_are_refused_whatever_column_is_the_score(
    column: str, mark: str, score: str, tmp_path: Path
) -> None:
    """DTYPE counts in any case, and for AVAL, CHG, value and a column of its own alike."""
    table = crossover(6)
    table[score] = table.pop("value")
    table[column] = ["", mark, *[""] * 10]
    trial = replace(TRIAL, columns={"score" if score == "pef" else "value": score})
    message = refusal(tmp_path, table, trial)
    assert f"line 3: {column} '{mark}' marks a derived score; leave derived rows out" in message
    assert "1 refusal," in message


def test_baseline_records_are_no_outcomes_whatever_column_is_the_score(tmp_path: Path) -> None:
    """Records with ABLFL = Y, in any case, are left out and counted, for AVAL, CHG and value."""
    for flag, yes, score in (
        ("ABLFL", "Y", "AVAL"),
        ("ablfl", "y", "CHG"),
        ("ABLFL", "Y", "value"),
    ):
        table = crossover(6)
        expected = sorted(map(float, table["value"]))
        table[score] = [*table.pop("value"), *["0"] * 6]
        for name in ("subject", "sequence", "period", "treatment"):
            table[name] = [*table[name], *table[name][::2]]
        table[flag] = [*[""] * 12, *[yes] * 6]
        read = load(tmp_path, table, replace(TRIAL, columns={"value": score}))
        assert scores(read) == expected
        assert read.notes[0].startswith(f"6 baseline records ({flag} is Y) are no outcomes")


def test_records_that_are_not_for_analysis_are_refused(tmp_path: Path) -> None:
    """Where ANL01FL marks records, those without the mark are refused; empty, it says nothing."""
    table = crossover(4, ANL01FL=["Y"] * 7 + [""])
    assert "line 9: ANL01FL is not Y" in refusal(tmp_path, table)
    assert load(tmp_path, crossover(4, anl01fl=[""] * 8)).notes == ()


def test_the_visit_of_analysis_comes_first_and_is_said(tmp_path: Path) -> None:
    """AVISIT is read before VISIT where they differ, with a note; where they agree, without one."""
    trial = replace(TRIAL, visits={"Week 2": 336.0})
    both = crossover(4, VISIT=["V1", "V2"] * 4, AVISIT=["Week 2"] * 8)
    assert load(tmp_path, both, trial).notes == (
        "visits are read from column 'AVISIT', not from 'VISIT'",
    )
    same = crossover(4, visit=["Week 2"] * 8, AVISIT=["Week 2"] * 8, AVISITN=["2"] * 8)
    assert load(tmp_path, same, trial).notes == ()
    [note] = load(tmp_path, crossover(4, VISITNUM=["1", "2"] * 4)).notes
    assert note.startswith("column 'VISITNUM' was not read; if it holds visits, name it")
    named = replace(trial, columns={"visit": "VISIT"}, visits={"V1": 1.0, "V2": 2.0})
    assert load(tmp_path, both, named).notes == ()


def test_of_two_columns_for_one_role_the_one_taken_is_said(tmp_path: Path) -> None:
    """A file with AVAL and value, which differ, says which is the score; [columns] decides."""
    table = crossover(4)
    table["AVAL"] = [str(float(x) + 1) for x in table["value"]]
    read = load(tmp_path, table)
    assert read.notes == ("value is read from column 'AVAL', not from 'value'",)
    assert scores(read) == sorted(map(float, table["AVAL"]))
    assert load(tmp_path, table, replace(TRIAL, columns={"value": "value"})).notes == ()


# --- ids ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("write", "why"),
    [
        (lambda one: one.lstrip("0"), "leading zeros"),
        (lambda one: f"s{one}", "upper and lower case"),
        (lambda one: f"S {one}", "spaces"),
        (lambda one: f"{int(one)}.0", "case, spaces or zeros"),
    ],
)
def test_ids_that_complete_each_other_are_refused(write: Any, why: str, tmp_path: Path) -> None:
    """An id written in another way in period 2 is one refusal with rows, not two patients."""
    table = crossover(6)
    ids = [f"{number:03d}" for number in range(1, 7) for _ in "12"]
    other = why in ("upper and lower case", "spaces")
    table["subject"] = [
        write(one) if place % 2 else f"S{one}" if other else one for place, one in enumerate(ids)
    ]
    message = refusal(tmp_path, table)
    assert len(message.splitlines()) == 2
    assert f"these rows have 12 ids, but only 6 if {why} do not count" in message
    assert "lines 2, 3, 4, 5, 6, 7, 8, 9 and 4 more: subject" in message


def test_an_id_as_text_and_as_number_is_refused(tmp_path: Path) -> None:
    """Text 001 in period 1 and the number 1 in period 2 of a workbook are one patient, it says."""
    table = crossover(6)
    table["subject"] = [x for n in range(1, 7) for x in (f"{n:03d}", n)]
    path = tmp_path / "f.xlsx"
    pd.DataFrame(table).to_excel(path, index=False)
    with pytest.raises(EvidenceError, match=r"leading zeros \(text and number\) do not count"):
        load_patients(path, TRIAL)


def test_ids_that_are_alike_and_both_complete_are_a_warning(tmp_path: Path) -> None:
    """A patient 1 and a patient 01, each with both periods, stay two patients and are told."""
    table = crossover(4)
    table["subject"] = ["1", "1", "2", "2", "01", "01", "3", "3"]
    read = load(tmp_path, table)
    assert read.data.children["outcomes"].sizes["subject"] == 4
    assert read.notes == (
        "1 times two ids differ only in leading zeros; they were read as different patients",
    )


def test_nobody_with_both_periods_is_said(tmp_path: Path) -> None:
    """A crossover in which no patient has a second score says so."""
    table = crossover(8)
    table["subject"] = [f"{letter}q" for letter in "abcdefghijklmnop"]
    [note] = load(tmp_path, table).notes
    assert note.startswith("no patient has a score in both periods")


@pytest.mark.parametrize(("trial", "words"), [
    (TRIAL, "6 subjects occur in both sequences: if numbering starts again in each sequence"),
    (PARALLEL, "6 subjects occur under both treatments: if numbering starts again in each arm"),
])  # fmt: skip
def test_numbers_that_start_again_are_one_line(trial: Trial, words: str, tmp_path: Path) -> None:
    """Patients 1 to 6 of each sequence, or arm, are one refusal and not one a row."""
    table = crossover(12)
    table["subject"] = [str(n // 2 + 1) for n in range(12) for _ in "12"]
    if trial is PARALLEL:
        table = {name: cells[::2] for name, cells in table.items()}
        del table["sequence"], table["period"]
    lines = refusal(tmp_path, table, trial).splitlines()
    assert len(lines) == 2
    assert words in lines[1]


# --- roles -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "first", "second"),
    [({"subject": "value", "value": "value"}, "subject", "value"),
     ({"baseline": "value"}, "value", "baseline"),
     ({"treatment": "sequence", "sequence": "sequence"}, "sequence", "treatment")],
)  # fmt: skip
def test_one_column_has_one_role(
    columns: dict[str, str], first: str, second: str, tmp_path: Path
) -> None:
    """A column that two roles claim is refused, and both keys are named."""
    message = refusal(tmp_path, crossover(4), replace(TRIAL, columns=columns))
    assert f"is taken for {first} and for {second}" in message
    assert f"name the columns of both, '{first}' and '{second}', in toy [columns]" in message


# --- periods -----------------------------------------------------------------------------------


@pytest.mark.parametrize("labels", [
    ("P1", "P2"), ("Period 1", "period 2"), ("I", "II"), ("1st", "2nd"), ("first", "Second"),
    ("PERIOD_I", "PERIOD_II"), ("Treatment Period 1", "Treatment Period 2"), ("1.0", "2.0"),
    ("First period", "Second period"), ("one", "two"), ("Per.1", "Per.2"), ("phase I", "phase II"),
])  # fmt: skip
def test_labels_of_periods_are_read(labels: tuple[str, str], tmp_path: Path) -> None:
    """What unmistakably is the first or the second period is read as 1 or 2."""
    numbers = load(tmp_path, crossover(4), key="k")
    found = load(tmp_path, crossover(4, period=[*labels] * 4), key="k")
    assert found.digest == numbers.digest


@pytest.mark.parametrize(
    ("label", "reason"),
    [("A", "'A' is not a number: write 1 or 2"),
     ("T1", "'T1' is not a number: write 1 or 2"),
     ("Run-in", "leave rows before period 1 out; their score can go into baseline"),
     ("0", "leave rows before period 1 out; their score can go into baseline"),
     ("Period 0", "leave rows before period 1 out; their score can go into baseline"),
     ("Screening", "leave rows before period 1 out; their score can go into baseline"),
     ("washout", "leave rows that are in neither period out"),
     ("Follow-up", "leave rows that are in neither period out"),
     ("P3", "is 3: crossovers of two periods"),
     ("III", "is 3: crossovers of two periods")],
)  # fmt: skip
def test_other_labels_of_periods_say_what_to_do(label: str, reason: str, tmp_path: Path) -> None:
    """A run-in, a washout, a third period and a letter are each told what to do, and only that."""
    table = crossover(4)
    table = {name: [*cells, cells[0]] for name, cells in table.items()}
    table["period"][-1] = label
    table["treatment"][-1] = "none" if "leave rows" in reason else "act"
    lines = refusal(tmp_path, table).splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("  line 10: period ")
    assert reason in lines[1]
    assert "empty" not in lines[1]


# --- numbers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dash", ["\u2212", "\u2013", "\u2010", "\ufe63", "\uff0d", "\u2014"])
def test_any_dash_is_a_minus_sign(dash: str) -> None:
    """A minus sign, en dash, hyphen or small hyphen before a number makes it negative."""
    assert cell_number(f"{dash}8.9") == (-8.9, "")
    assert cell_score(f"{dash}3e2", SCORE) == (-300.0, "")


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("<41", "is a censored score"), (">300", "is a censored score"),
        ("\u22645", "is a censored score"), ("BLQ", "is a censored score"),
        ("< LLOQ", "is a censored score"), ("BLOQ", "is a censored score"),
        ("ND", "is 'not detected', a censored score"), ("n.d.", "is 'not detected'"),
        ("41*", "has a mark beside the number"), ("41\u2020", "has a mark beside the number"),
        ("41 (a)", "has a mark beside the number"), ("12.5 L/min", "has a unit or words behind"),
        ("45%", "has a unit or words behind"), ("120mmHg", "has a unit or words behind"),
        ("~40", "is approximate"), ("ca. 40", "is approximate"), ("40-45", "is two numbers"),
        ("120/80", "is two numbers"), ("\uff11\uff12", "write it with the digits 0 to 9"),
        ("#DIV/0!", "the error of a formula"), ("1,234.5", "no thousands separator"),
        ("1 234", "no thousands separator"), ("forty", "write the score"),
    ],
)  # fmt: skip
def test_what_is_no_number_is_called_what_it_is(cell: str, reason: str) -> None:
    """Censored, marked, approximate scores and units are named; no real score is to be emptied."""
    number, said = cell_number(cell)
    assert np.isnan(number)
    assert reason in said
    assert "leave the cell empty" not in said


def test_marks_of_missing_say_when_to_empty_the_cell() -> None:
    """A dash alone, a question mark and the word missing may be emptied, if that is meant."""
    for cell in ("-", "\u2013", "?", "missing", "not done", "n.a."):
        assert "if it says that the score is missing, leave the cell empty" in cell_number(cell)[1]


@pytest.mark.parametrize("column", ["value", "baseline"])
def test_decimal_commas_are_one_line_and_a_key(column: str, tmp_path: Path) -> None:
    """Scores with decimal commas are one refusal; decimal = "," reads them, as it says."""
    table = crossover(6)
    table["baseline"] = ["50.5"] * 12
    expected = load(tmp_path, table, key="k")
    table[column] = [cell.replace(".", ",") for cell in table[column]]
    lines = refusal(tmp_path, table).splitlines()
    assert len(lines) == 2
    assert (
        f"all 12 {'scores' if column == 'value' else 'baselines'} have decimal commas" in lines[1]
    )
    assert 'write decimal = "," below [data] in the trial file' in lines[1]
    table["value"] = [cell.replace(".", ",") for cell in table["value"]]
    table["baseline"] = ["50,5"] * 12
    declared = replace(TRIAL, data=DataRules(decimal=","))
    assert load(tmp_path, table, declared, key="k").digest == expected.digest
    table["value"][3] = "1.250,5"
    assert "no thousands separator" in refusal(tmp_path, table, declared)
    table["value"][3] = "1.250"
    assert "has a point, but the trial file says decimal" in refusal(tmp_path, table, declared)


def test_whole_numbers_beside_decimal_commas_are_counted(tmp_path: Path) -> None:
    """Some whole numbers, and minus signs of word processors, do not hide decimal commas."""
    table = crossover(4, value=["5", "6", "\u22127,5", "8,25", "9", "3", "2", "1"])
    assert "2 of 8 scores have decimal commas" in refusal(tmp_path, table)


def test_no_score_at_all_is_said_of_empty_cells_only(tmp_path: Path) -> None:
    """An endpoint of empty cells has no score; one of unreadable cells has unreadable ones."""
    assert "has no score at all" in refusal(tmp_path, crossover(4, value=[""] * 8))
    message = refusal(tmp_path, crossover(4, value=["x"] * 8))
    assert "no score at all" not in message
    assert "'x' is not a number" in message


@pytest.mark.parametrize("suffix", [".sav", ".dta"])
@pytest.mark.parametrize("label", ["Missing", "not done", "Unknown", "Refused to answer"])
def test_scores_labelled_missing_are_refused(suffix: str, label: str, tmp_path: Path) -> None:
    """A score whose own value label says that there is none is refused with its row."""
    table = crossover(4)
    table["value"] = [float(cell) for cell in table["value"]]
    table["value"][2] = 999.0
    path, labels = tmp_path / f"f{suffix}", {"value": {999.0: label}}
    writer = pyreadstat.write_sav if suffix == ".sav" else pyreadstat.write_dta
    if suffix == ".dta":
        table["value"] = [int(cell) for cell in table["value"]]
        labels = {"value": {999: label}}  # type: ignore[dict-item]
    writer(pd.DataFrame(table), str(path), variable_value_labels=labels)
    with pytest.raises(EvidenceError, match=f"row 3: value 999 is labelled '{label}' in the file"):
        load_patients(path, TRIAL)


# --- binary ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("no", "yes"), [
    ("no", "yes"), ("1", "2"), ("N", "Y"), ("false", "true"), ("failure", "Success"),
])  # fmt: skip
def test_labels_of_a_binary_score_need_the_event(no: str, yes: str, tmp_path: Path) -> None:
    """Two labels are one refusal that names both and the key; with the key they are 0 and 1."""
    table = crossover(6, value=[no, yes, yes, no, no, no] * 2)
    lines = refusal(tmp_path, table, BINARY).splitlines()
    assert len(lines) == 2
    assert f"'{no}'" in lines[1]
    assert f"'{yes}'" in lines[1]
    assert "say which one counts as 1 in [endpoints.score]" in lines[1]
    assert "event = " in lines[1]
    expected = load(
        tmp_path, crossover(6, value=["0", "1", "1", "0", "0", "0"] * 2), BINARY, key="k"
    )
    for event, turned in ((yes, False), (no.upper(), True)):
        trial = replace(
            BINARY, endpoints={"score": replace(BINARY.endpoints["score"], event=event)}
        )
        found = load(tmp_path, table, trial, key="k").data["outcomes"]["value"]
        want = expected.data["outcomes"]["value"]
        np.testing.assert_array_equal(found, 1 - want if turned else want)


def test_an_event_that_no_score_has_is_refused(tmp_path: Path) -> None:
    """An event that is neither of the two labels, and a third label, are refused by name."""
    trial = replace(BINARY, endpoints={"score": replace(BINARY.endpoints["score"], event="yess")})
    table = crossover(4, value=["no", "yes"] * 4)
    message = refusal(tmp_path, table, trial)
    assert "has the labels 'no' and 'yes', not event = 'yess'" in message
    table["value"][0] = "maybe"
    assert "has 3 labels ('maybe', 'no', 'yes')" in refusal(tmp_path, table, trial)


def test_labelled_codes_of_a_binary_score_are_read_by_label(tmp_path: Path) -> None:
    """Codes 1 and 2 of an SPSS file with labels no and yes: event may name label or code."""
    table = crossover(4)
    table["value"] = [1.0, 2.0] * 4
    path = tmp_path / "f.sav"
    labels = {"value": {1.0: "no", 2.0: "yes"}}
    pyreadstat.write_sav(pd.DataFrame(table), str(path), variable_value_labels=labels)
    with pytest.raises(EvidenceError, match="has the labels 'no' and 'yes'"):
        load_patients(path, BINARY)
    for event in ("Yes", "2"):
        trial = replace(
            BINARY, endpoints={"score": replace(BINARY.endpoints["score"], event=event)}
        )
        assert scores(load_patients(path, trial)) == [0.0] * 4 + [1.0] * 4


# --- covariates --------------------------------------------------------------------------------


def test_codes_of_a_factor_warn_and_can_be_declared(tmp_path: Path) -> None:
    """Sites 701 to 704 are a number with a warning; declared they are what text labels would be."""
    sites = [str(701 + number % 4) for number in range(24) for _ in "12"]
    table = crossover(24, site=sites)
    read = load(tmp_path, table, covariates=["site"], key="k")
    assert read.data["covariates"]["site"].dtype.kind == "f"
    [note] = read.notes
    assert note.startswith(
        "covariate 'site' is 4 different whole numbers (701 to 704) and was read"
    )
    declared = replace(TRIAL, data=DataRules(factors=("site",)))
    factor = load(tmp_path, table, declared, covariates=["site"], key="k")
    assert set(factor.data["covariates"]["site"].values) == {"701", "702", "703", "704"}
    assert factor.notes == ()
    named = {**table, "site": [f"S{code}" for code in sites]}
    text = load(tmp_path, named, covariates=["site"], key="k").data["covariates"]["site"]
    assert (text == [f"S{code}" for code in factor.data["covariates"]["site"].values]).all()
    other = replace(TRIAL, data=DataRules(factors=("sit",)))
    assert "did you mean 'site'" in refusal(tmp_path, table, other, covariates=["site"])


def test_measurements_do_not_look_like_codes(tmp_path: Path) -> None:
    """Ages of adults, weights and a yes-no code of two values are numbers without a warning."""
    rng = np.random.default_rng(3)
    for values in (
        rng.integers(18, 70, 30),
        rng.normal(70, 9, 30).round(1),
        rng.integers(0, 2, 30),
    ):
        cells = [str(value) for value in values for _ in "12"]
        assert load(tmp_path, crossover(30, x=cells), covariates=["x"]).notes == ()


def test_a_covariate_of_numbers_and_text_is_refused(tmp_path: Path) -> None:
    """One word, or decimal commas, do not turn a measurement into categories in silence."""
    ages = [str(30 + number) for number in range(12) for _ in "12"]
    table = crossover(12, age=[*ages[:-2], "old", "old"])
    message = refusal(tmp_path, table, covariates=["age"])
    assert "lines 24, 25: covariate 'age' is text here and a number in other rows" in message
    commas = crossover(12, age=[f"{age},5" for age in ages])
    assert "covariate 'age' has decimal commas" in refusal(tmp_path, commas, covariates=["age"])
    declared = replace(TRIAL, data=DataRules(decimal=","))
    commas["value"] = [cell.replace(".", ",") for cell in commas["value"]]
    found = load(tmp_path, commas, declared, covariates=["age"]).data["covariates"]["age"]
    assert sorted(found.values) == [30.5 + number for number in range(12)]


# --- ids in messages ---------------------------------------------------------------------------


@pytest.mark.parametrize("other", ["treatment", "sequence", "period", "value", "visit", "endpoint"])
@pytest.mark.parametrize("trial", [TRIAL, PARALLEL])
def test_no_swapped_column_makes_a_message_tell_ids(
    other: str, trial: Trial, tmp_path: Path
) -> None:
    """With ids in any other column, few or many patients, a message holds none of them."""
    described = replace(
        trial, visits={"Week 2": 1.0, "Week 4": 2.0},
        endpoints={"score": SCORE, "pef": replace(SCORE, id="pef", range=(0.0, 100.0))},
    )  # fmt: skip
    # of two patients, sequences and ids cannot be told apart without the orders in the trial file
    for n in (3, 12, 40) if other == "sequence" else (2, 3, 12, 40):
        table = crossover(n, visit=["Week 2"] * 2 * n, endpoint=["pef"] * 2 * n)
        table["subject"], table[other] = table[other], table["subject"]
        assert len(refusal(tmp_path, table, described).splitlines()) <= 21


def test_swapped_columns_are_suspected(tmp_path: Path) -> None:
    """Ids in the column of treatments and treatments in that of ids are one line that says so."""
    table = crossover(8)
    table["subject"], table["treatment"] = table["treatment"], table["subject"]
    message = refusal(tmp_path, table)
    assert "column 'treatment' has 8 different labels, none of them a treatment" in message
    assert message.endswith("are the two columns swapped?")
    words = crossover(8, treatment=[f"x{number}" for number in range(16)])
    assert "treatment: 16 different labels, none of them a treatment" in refusal(tmp_path, words)


def test_a_shifted_row_tells_no_id(tmp_path: Path) -> None:
    """An id in any cell of one row, of a patient with and without other rows, is not quoted."""
    for column in ("sequence", "period", "treatment", "value"):
        for cell in ("ID-7003", "ID-7999"):
            table = crossover(6)
            table[column][5] = cell
            assert "(not shown, as it looks like an id)" in refusal(tmp_path, table)


def test_a_file_without_header_tells_no_cell(tmp_path: Path) -> None:
    """Where no column is known, the first row may be a patient's, and none of it is quoted."""
    path = tmp_path / "f.csv"
    path.write_text("JOHN-SMITH-1961,AB,1,act,50\nJOHN-SMITH-1961,AB,2,pbo,51\n")
    with pytest.raises(EvidenceError, match="is the header missing") as refused:
        load_patients(path, TRIAL)
    assert "JOHN" not in str(refused.value)


def test_quotes_hide_ids_and_what_looks_like_them() -> None:
    """Ids and their shape are hidden, typing errors of known labels and plain words are not."""
    assert QUOTES("S-101") == QUOTES("s-999") == "(not shown, as it looks like an id)"
    assert QUOTES("formoterl", ["formoterol"]) == "'formoterl'"
    assert QUOTES("many") == "'many'"
    assert QUOTES.number(17.0) != "17"
    assert QUOTES.number(18.0) == "18"
    assert len(QUOTES("x" * 500)) < 45
    assert Quotes(lambda: ["Ann", "Robert"])("Bob") != "'Bob'"


def test_dates_are_not_quoted() -> None:
    """A date may be a birthday: it is named and not told."""
    for cell in ("1961-05-03", "3.5.1961", pd.Timestamp("1961-05-03").to_pydatetime()):
        said = cell_number(cell)[1] + cell_period(cell, crossed=True, quoted=QUOTES)[1]
        assert "date" in said
        assert "1961" not in said


# --- any table ---------------------------------------------------------------------------------

MARK = "ID-7"
CELLS = st.one_of(
    st.sampled_from(["", "NA", "1", "2", "P1", "II", "act", "pbo", "AB", "BA", "1,5", "<41", "99"]),
    st.integers(1, 99).map(lambda number: f"{MARK}{number:03d}"),
    st.text(max_size=5), st.integers(-5, 1000).map(str), st.floats().map(str),
)  # fmt: skip


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_cells_are_read_or_refused_without_an_id(data: st.DataObject) -> None:
    """Any cells below the right names: evidence, or one error of this package that tells no id."""
    rows = data.draw(st.integers(2, 8))
    names = ["subject", "sequence", "period", "treatment", "value", "baseline", "site"]
    table = {name: data.draw(st.lists(CELLS, min_size=rows, max_size=rows)) for name in names}
    for place in range(1, rows):
        table["subject"][place] = f"{MARK}{place // 2:03d}"
    if data.draw(st.booleans()):
        one, other = data.draw(st.permutations(names))[:2]
        table[one], table[other] = table[other], table[one]
    cells = pd.DataFrame(table, dtype=object).map(lambda cell: cell.strip() or None)
    trial = data.draw(st.sampled_from([TRIAL, PARALLEL, BINARY]))
    assert MARK not in said_of(cells, trial, covariates=["site"])


def said_of(cells: pd.DataFrame, trial: Trial, **asked: Any) -> str:
    """Return the refusal of cells, or the notes of what was read."""
    rows = tuple(range(2, len(cells) + 2))
    found = PatientTable(cells, rows, "line", digest=bytes(64))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(patients_module, "read_patient_table", lambda _: found)
        try:
            return "\n".join(load_patients("f.csv", trial, **asked).notes)
        except (EvidenceError, SpecError) as error:
            return str(error)


def test_distinct_cells_keep_types_apart() -> None:
    """1, 1.0, True and "1" are four cells; None is None; lists are cells of their own."""
    cells = pd.Series([1, 1.0, True, "1", None, [1], 1, "1"], dtype=object)
    codes, found = distinct_cells(cells)
    assert codes.tolist() == [0, 1, 2, 3, 4, 5, 0, 3]
    assert [type(cell) for cell in found] == [int, float, bool, str, type(None), list]
    assert distinct_cells(pd.Series(["a", None, "a"], dtype=object))[1] == ["a", None]
    missing = pd.Series(["a", np.nan, None, float("nan")], dtype=object)
    assert distinct_cells(missing)[0].tolist() == [0, 1, 1, 1]
    assert distinct_cells(missing)[1] == ["a", None]


@pytest.mark.parametrize("spoil", ["nothing", "value", "treatment", "subject", "everything"])
def test_many_rows_are_read_or_refused_at_the_same_pace(spoil: str) -> None:
    """A hundred thousand rows, good or all bad, take 6 s of a processor at most; measured 1 to 3.

    A loop over rows that asks for the closest label of each took 40 s.
    """
    n = 50_000
    table = crossover(4)
    cells = pd.DataFrame({name: np.tile(column, n // 4) for name, column in table.items()})
    cells = cells.astype(object)
    cells["subject"] = [f"S{number:06d}" for number in range(n) for _ in "12"]
    for column in cells if spoil == "everything" else [spoil] if spoil in cells else []:
        cells[column] = [f"S{number}" for number in range(2 * n)]
        cells.loc[0, column] = table[column][0]
    start = time.process_time()
    said = said_of(cells, TRIAL)
    assert time.process_time() - start < 6
    assert ("refusal" in said) == (spoil not in ("nothing", "subject"))
    assert len(said.splitlines()) <= 22


# --- the cases of real files -------------------------------------------------------------------

CASES = {
    "c03-imputed-rows-chg/b14_chg.csv": ("toy_chg", "DTYPE 'LOCF' marks a derived score", None),
    "c05-ids-text-and-number/b26_mixedid.xlsx": ("toy", "24 ids, but only 12 if leading", None),
    "c07-sentinel-999/b08_999.csv": ("toy", "", "2 scores are 999, far outside the others"),
    "c11-period-labels/b11b_P1.csv": ("toy", "", None),
    "c11-period-labels/b11_runin.csv": ("toy", "leave rows before period 1 out", None),
    "c11b-period-roman/b11c_roman.csv": ("toy", "", None),
    "c12-decimal-comma/b01_comma.csv": ("toy", "all 24 scores have decimal commas", None),
    "c17-unicode-minus/c17_minus.csv": ("toy", "", None),
    "c20-ids-start-again/b09_reused.csv": ("toy", "6 subjects occur in both sequences", None),
    "c21-binary-codes/b19_12.csv": ("bin", "has the labels '1' and '2'; say which", None),
    "c21-binary-codes/b19_yesno.csv": ("bin", "has the labels 'no' and 'yes'; say which", None),
    "f-swapped_ids/data.csv": ("trial", "are the two columns swapped", None),
    "f-toml_columns_same/data.csv": ("trial", "is taken for subject and for value", None),
}


@pytest.mark.shared
@pytest.mark.parametrize("name", CASES)
def test_files_that_were_misread_are_read_refused_or_noted(name: str, shared: Path) -> None:
    """Each file of the cases is refused in one line, read, or read with a note."""
    trial, refused, noted = CASES[name]
    path = shared / "cases" / name
    described = load_trial(path.with_name(f"{trial}.toml"))
    if refused:
        with pytest.raises((EvidenceError, SpecError), match=refused) as error:
            load_patients(path, described)
        assert len(str(error.value).splitlines()) <= 2
        return
    notes = load_patients(path, described).notes
    assert [note.startswith(str(noted)) for note in notes] == [True] * (noted is not None)


def test_pseudonyms_do_not_depend_on_how_cells_are_read(tmp_path: Path) -> None:
    """The label of a patient is the keyed digest of the id as it is written."""
    found = load(tmp_path, crossover(4), key="k").data["outcomes"]["subject"].values.tolist()
    assert found == sorted(pseudonym(f"ID-{number}", "k") for number in range(7001, 7005))
