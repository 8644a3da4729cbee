"""Patient files: every format in, every wrong file refused with its rows, no id kept."""

from __future__ import annotations

import csv
import datetime as dt
import re
import runpy
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyreadstat
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats

from bayes_ptsd.errors import EvidenceError, SpecError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.cell_values import cell_number, cell_text
from bayes_ptsd.evidence.outcome import endpoint_of_kind
from bayes_ptsd.evidence.patient_files import plain_cell
from bayes_ptsd.evidence.patient_writers import trial_toml
from bayes_ptsd.evidence.patients import (
    crossover_arrays,
    flow,
    load_patients,
    pseudonym,
    write_patients,
    write_template,
)
from bayes_ptsd.simulation.patients import Baseline, Missingness, made_up_trial, simulate_trial
from bayes_ptsd.trial import Endpoint, Trial, load_trial

HERE = Path(__file__).parent
write_sas7bdat = runpy.run_path(str(HERE / "sas7bdat_writer.py"))["write_sas7bdat"]

Table = dict[str, list[Any]]
FORMATS = (".csv", ".tsv", ".xlsx", ".parquet", ".xpt", ".sas7bdat", ".dta", ".sav")
LABELS = {"ketamine": 1.0, "midazolam": 2.0}
SCORE = Endpoint("ies_r", "IES-R", "continuous", "lower", range=(0.0, 88.0))
TRIAL = Trial("t", "T", "crossover", "ketamine", "midazolam", {"ies_r": SCORE})
RATING = replace(SCORE, id="cgi", kind="ordinal", range=(1.0, 7.0))
EVENT = replace(SCORE, id="event", kind="binary", range=None)


def good() -> Table:
    """Return a valid crossover of four patients; row 1 is the first."""
    return {
        "subject": ["ID-7001", "ID-7001", "ID-7002", "ID-7002", "ID-7003", "ID-7003", "ID-7004"],
        "sequence": ["KM", "KM", "MK", "MK", "KM", "KM", "MK"],
        "period": [1, 2, 1, 2, 1, 2, 1],
        "treatment": [{"k": "ketamine", "m": "midazolam"}[letter] for letter in "kmmkkmm"],
        "value": [20.0, 31.5, 40.25, 22.0, 18.0, None, 44.0],
        "baseline": [50.0, 45.0, 51.0, 44.0, 39.0, 40.0, 61.0],
    }  # fmt: skip


def write(path: Path, table: Table) -> Path:
    """Write a table in the format of the suffix."""
    suffix, rows = path.suffix, list(zip(*table.values(), strict=True))
    if suffix in (".csv", ".tsv"):
        with path.open("w", newline="", encoding="utf-8") as file:
            out = csv.writer(file, delimiter="\t" if suffix == ".tsv" else ",")
            out.writerows([list(table), *rows])
    elif suffix == ".xlsx":
        book = openpyxl.Workbook()
        for row in [list(table), *rows]:
            book.active.append(row)
        book.save(path)
    elif suffix == ".parquet":
        pq.write_table(pa.table(table), path)
    elif suffix == ".sas7bdat":
        write_sas7bdat(path, table)
    else:
        out = {
            ".xpt": pyreadstat.write_xport,
            ".dta": pyreadstat.write_dta,
            ".sav": pyreadstat.write_sav,
        }
        out[suffix](pd.DataFrame(table), str(path))
    return path


def edited(**cells: Any) -> Table:
    """Return the valid table with cells replaced: ``value={3: "x"}`` is row 3, counted from 1."""
    table = good()
    for column, changes in cells.items():
        for row, cell in changes.items():
            table[column][row - 1] = cell
    return table


def without(column: str, **renamed: str) -> Table:
    """Return the valid table without a column, and others under another name."""
    return {renamed.get(key, key): values for key, values in good().items() if key != column}


def more(**row: Any) -> Table:
    """Return the valid table with a row added at its end, row 8."""
    first = {"subject": "ID-7004", "sequence": "MK", "period": 2, "treatment": "ketamine"}
    row = {**first, "value": 30.0, "baseline": 60.0, **row}
    return {key: [*values, row[key]] for key, values in good().items()}


def long(**cells: Any) -> Table:
    """Return the valid table as text, with one more column of a value throughout."""
    return {**good(), **{key: [cell] * 7 for key, cell in cells.items()}}


def text(content: str | bytes) -> Callable[[Path], Path]:
    """Return a writer of exactly this content."""

    def writer(path: Path) -> Path:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return writer


def cut(table: Table, size: int) -> Callable[[Path], Path]:
    """Return a writer of a file that lacks its last bytes."""

    def writer(path: Path) -> Path:
        content = write(path, table).read_bytes()
        path.write_bytes(content[:-size])
        return path

    return writer


def book(edit: Callable[[openpyxl.Workbook], object]) -> Callable[[Path], Path]:
    """Return a writer of the valid table as a workbook, edited."""

    def writer(path: Path) -> Path:
        found = openpyxl.load_workbook(write(path, good()))
        edit(found)
        found.save(path)
        return path

    return writer


def archive(path: Path) -> Path:
    """Write a zip archive that is no workbook."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("patients.csv", "subject\n")
    return path


def labelled(path: Path) -> Path:
    """Write treatments as codes 1 and 2, of which 2 has the label 'placebo'."""
    table = good()
    table["treatment"] = [LABELS[name] for name in table["treatment"]]
    labels = {"treatment": {1.0: "ketamine", 2.0: "placebo"}}
    pyreadstat.write_sav(pd.DataFrame(table), str(path), variable_value_labels=labels)
    return path


ORDERS = {"KM": ("ketamine", "midazolam"), "MK": ("midazolam", "ketamine")}
HEAD = "subject,sequence,period,treatment,value\n"
VISITS = replace(TRIAL, visits={"24h": 24.0, "7d": 168.0})
ORDINAL = replace(TRIAL, endpoints={"cgi": RATING})
BINARY = replace(TRIAL, endpoints={"event": EVENT})
TWO = replace(TRIAL, endpoints={"ies_r": SCORE, "cgi": RATING})
WIDE = replace(TWO, columns={"ies_r": "value", "cgi": "baseline", "baseline": "period"})
PARALLEL = replace(TRIAL, design="parallel")

# Name: suffix, what to write, what the message must have, and the trial if it is another.
BAD: dict[str, tuple[Any, ...]] = {
    "no bytes": (".csv", text(""), "is empty"),
    "header only": (".csv", text(HEAD), "has no row of data"),
    "unknown suffix": (".txt", text(HEAD), r"suffix '.txt'; known: .csv"),
    "no file": (".csv", lambda path: path, "cannot be opened"),
    "gzip": (".csv", text(b"\x1f\x8b\x08 rest"), "is a gzip archive; unpack it"),
    "latin-1": (".csv", text(HEAD.encode() + b"a,KM,1,k\xe9tamine,3\n"), "line 2 .* not UTF-8"),
    "utf-16": (".csv", text(HEAD.encode("utf-16")), "is not UTF-8 text"),
    "ragged line": (".csv", text(HEAD + "a,KM,1,ketamine\n"), "line 2: has 4 fields, the header 5"),
    "stray quote": (".csv", text(HEAD + 'a,KM,1,"keta"mine,3\n'), "line 2 is not CSV"),
    "two columns of one name": (".csv", text("value," + HEAD + "1,1,1,1,1,1"), "called 'value'"),
    "workbook called csv": (".csv", text(b"PK\x03\x04 rest"), "its content is Excel, whatever"),
    "csv called parquet": (".parquet", text(HEAD), "is not Parquet, .*name it .csv"),
    "csv called sav": (".sav", text(HEAD), "is not SPSS"),
    "csv called dta": (".dta", text(HEAD), "is not Stata"),
    "csv called xlsx": (".xlsx", text(HEAD), "is not Excel"),
    "csv called sas7bdat": (".sas7bdat", text(HEAD), "is not SAS data"),
    "old workbook": (".xlsx", text(b"\xd0\xcf\x11\xe0 rest"), "old or protected Office file"),
    "cport": (".xpt", text(b"**COMPRESSED** " * 9), "made by PROC CPORT"),
    "zip": (".xlsx", archive, "is a zip archive, not an Excel workbook"),
    "cut parquet": (".parquet", cut(good(), 40), "cannot be read as Parquet"),
    "cut xpt": (".xpt", cut(good(), 30), "is cut off"),
    "cut sas7bdat": (".sas7bdat", cut(good(), 65536), "cannot be read as SAS data|announces 7"),
    "cut dta": (".dta", cut(good(), 400), "cannot be read as Stata"),
    "cut sav": (".sav", cut(good(), 30), "cannot be read as SPSS"),
    "merged cells": (
        ".xlsx",
        book(lambda found: found.active.merge_cells("A2:A3")),
        "cells A2:A3 are merged",
    ),
    "formula": (
        ".xlsx",
        book(lambda found: found.active.__setitem__("E3", "=E2+1")),
        "cell E3 is a formula without a stored value",
    ),
    "two sheets": (".xlsx", book(lambda found: found.create_sheet("notes")), "has 2 sheets"),
    "no treatment column": (".sav", without("treatment"), "no column 'treatment' or 'TRTP'"),
    "nearest column": (".csv", without("baseline", value="valu"), "did you mean 'valu'"),
    "all columns missing": (".csv", text("a,b\n1,2\n"), "for subject.*for sequence.*for period"),
    "mapped column missing": (
        ".dta", good(), "no column 'IES' for ies_r", replace(TRIAL, columns={"ies_r": "IES"}),
    ),
    "one baseline, two endpoints": (".csv", good(), "cannot be the baseline of 2 endpoints", WIDE),
    "unknown treatment": (
        ".csv", edited(treatment={3: "midazolan"}), "line 4: .*did you mean 'midazolam'",
    ),
    "treatment missing": (".xpt", edited(treatment={3: ""}), "row 3: treatment is missing"),
    "label of a code": (".sav", labelled, r"rows 2, 3, 6, 7: treatment 'placebo' is unknown"),
    "two sequences": (
        ".sas7bdat", edited(sequence={2: "MK"}), "row 2: sequence differs from row 1 of the same",
    ),
    "contradiction": (
        ".csv", edited(treatment={4: "midazolam"}), "line 5: .*in period 2 contradicts sequence",
    ),
    "third sequence": (".dta", edited(sequence={7: "KK"}), "3 sequences: KK, KM, MK; .* two"),
    "one sequence": (
        ".csv", {key: values[:2] for key, values in good().items()}, "all rows have sequence 'KM'",
    ),
    "unknown sequence": (
        ".csv", edited(sequence={7: "MM"}), "line 8: sequence 'MM' is unknown",
        replace(TRIAL, sequences=ORDERS),
    ),
    "third period": (".xlsx", more(period=3), "row 9: period is 3: crossovers of two periods"),
    "period 1.5": (".parquet", edited(period={2: 1.5}), "row 2: period is 1.5, neither 1 nor 2"),
    "period missing": (".sav", edited(period={2: None}), "row 2: period is missing"),
    "duplicate": (".dta", more(subject="ID-7001", sequence="KM", period=1, treatment="ketamine"),
                  "row 8: repeats row 1"),
    "text for a number": (".csv", edited(value={3: "forty"}), "line 4: value 'forty' is not a num"),
    "decimal comma": (".tsv", edited(value={3: "40,5"}), "line 4: .*write a decimal point"),
    "date as text": (".csv", edited(value={3: "2014-06-01"}), "line 4: .* is a date"),
    "date": (".xlsx", edited(value={3: dt.datetime(2014, 6, 1)}), "row 4: value is a date"),
    "dates as ids": (".xlsx", edited(subject={1: dt.date(2014, 6, 1)}), "row 2: subject is a date"),
    "timestamp": (".parquet", {**good(), "value": [dt.datetime(2014, 6, 1)] * 7}, "is a date"),
    "list": (".parquet", {**good(), "value": [[1.0]] * 7}, "rows 1, 2, .*neither text nor"),
    "bytes": (".parquet", {**good(), "treatment": [b"ketamine"] * 7}, "neither text nor a number"),
    "truth value": (".xlsx", edited(value={1: True}), "row 2: value is a truth value"),
    "error cell": (".xlsx", edited(value={1: "#DIV/0!"}), "row 2: value '#DIV/0!' is not a number"),
    "infinite": (".parquet", edited(value={5: np.inf}), "row 5: value is infinite"),
    "overflow": (".csv", edited(value={5: "1e999"}), "line 6: value is infinite"),
    "huge": (".csv", edited(value={5: "9007199254740993"}), "line 6: .*too large for a score"),
    "out of range": (".sas7bdat", edited(value={5: 88.5}), "row 5: value 88.5 is outside .*to 88"),
    "baseline out of range": (".xpt", edited(baseline={5: -1.0}), "row 5: baseline -1 is outside"),
    "no category": (".dta", {**good(), "value": [1.0, 2.5, *[3.0] * 5]}, "2: .*ordinal", ORDINAL),
    "not binary": (".sav", {**good(), "value": [0.0, 2.0, *[1.0] * 5]}, "row 2: .*binary", BINARY),
    "id missing": (".csv", edited(subject={2: ""}), "line 3: subject is missing"),
    "id NA": (".csv", edited(subject={2: "NA"}), "line 3: subject is missing"),
    "unknown endpoint": (
        ".csv", long(endpoint="ies_x"), "endpoint 'ies_x' is unknown.*'ies_r'", TWO,
    ),
    "unknown visit": (".xpt", long(visit="48h"), "rows 1, .*: visit '48h' is unknown", VISITS),
    "visit missing": (".csv", long(visit=""), "visit is missing", VISITS),
    "no visit column": (".csv", good(), "no column 'visit' or 'AVISIT'", VISITS),
    "visits without order": (
        ".csv", {**good(), "visit": ["a", "b"] * 3 + ["a"]}, r"order and hours under \[visits\]",
    ),
    "baseline varies": (
        ".csv",
        {key: [*v, *v] for key, v in good().items() if key != "baseline"}
        | {"baseline": [1.0] * 7 + [2.0] * 7, "visit": ["24h"] * 7 + ["7d"] * 7},
        "line 9: baseline differs from row 2", VISITS,
    ),
    "no score": (".csv", edited(value=dict.fromkeys(range(1, 8), "")), "has no score at all"),
    "evidence kind": (".csv", long(evidence_kind="published"), "must be one of patients"),
    "two treatments": (".csv", good(), "treatment differs from row 2 of the same", PARALLEL),
    "nobody treated": (
        ".sav",
        {k: v for k, v in edited(treatment=dict.fromkeys(range(1, 8), "ketamine")).items()
         if k not in ("sequence", "period")},
        "nobody has treatment 'midazolam'", PARALLEL,
    ),
    "derived record": (
        ".xpt",
        {"AVAL": good()["value"], **without("value"), "DTYPE": ["LOCF", *[""] * 6]},
        "row 1: DTYPE 'LOCF' marks a derived score",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD.values(), ids=BAD.keys())
def test_bad_files_are_refused(case: tuple[Any, ...], tmp_path: Path) -> None:
    """Each wrong file is refused with one message that says what is wrong, and in which row."""
    suffix, content, message, trial = (*case, TRIAL)[:4]
    path = tmp_path / f"trial{suffix}"
    write(path, content) if isinstance(content, dict) else content(path)
    with pytest.raises(EvidenceError, match=message) as refused:
        load_patients(path, trial)
    assert "ID-7" not in str(refused.value)
    assert str(path) in str(refused.value)


def test_bad_files_cover_every_format() -> None:
    """More than thirty wrong files, at least two of each format."""
    suffixes = [case[0] for case in BAD.values()]
    assert len(suffixes) > 30
    assert all(suffixes.count(suffix) >= 2 for suffix in FORMATS if suffix != ".tsv")


def test_all_refusals_come_at_once(tmp_path: Path) -> None:
    """One error lists every wrong row, equal reasons together, twenty reasons at most."""
    table = edited(value={1: "a", 2: "a", 3: "999"}, treatment={5: "x"}, period={4: "9"})
    with pytest.raises(EvidenceError) as refused:
        load_patients(write(tmp_path / "f.csv", table), TRIAL)
    lines = str(refused.value).splitlines()
    assert lines[0].endswith("5 refusals, nothing was read")
    assert lines[1].startswith("  lines 2, 3: value 'a' is not a number")
    assert [line.split(":")[0].strip() for line in lines[2:]] == ["line 4", "line 5", "line 6"]
    many = {key: values * 10 for key, values in good().items()}
    many["value"] = [f"x{number}" if number % 2 else 20.0 for number in range(70)]
    with pytest.raises(EvidenceError, match=r"and [0-9]+ more for [0-9]+ other reasons") as refused:
        load_patients(write(tmp_path / "many.csv", many), TRIAL)
    assert len(str(refused.value).splitlines()) == 22


def test_line_numbers_are_those_of_an_editor(tmp_path: Path) -> None:
    """Blank lines, blank records and fields that go over lines do not shift the line numbers."""
    path = tmp_path / "f.csv"
    path.write_text(
        "note,"
        + HEAD.strip()
        + '\n\n"two\nlines",a,KM,1,ketamine,1\n,,,,,\nx,a,KM,2,midazolam,bad\n'
        "x,b,MK,1,midazolam,3\n"
    )
    with pytest.raises(EvidenceError, match="line 6: value 'bad'"):
        load_patients(path, TRIAL)


@pytest.mark.parametrize(
    "design", [{"A": ("ketamine", "midazolam", "ketamine")}, {"AA": ("ketamine",)}]
)
def test_other_crossovers_are_refused_politely(design: dict[str, Any], tmp_path: Path) -> None:
    """A trial file of more than two periods or other sequences says what is analyzed here."""
    with pytest.raises(SpecError, match="has two sequences of two periods"):
        load_patients(write(tmp_path / "f.csv", good()), replace(TRIAL, sequences=design))


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_gives_the_same_patients(suffix: str, tmp_path: Path) -> None:
    """The same table in any format gives the same labelled arrays, score by score."""
    evidence = load_patients(write(tmp_path / f"f{suffix}", good()), TRIAL, key="k")
    expected = load_patients(write(tmp_path / "expected.csv", good()), TRIAL, key="k")
    xr.testing.assert_identical(evidence.data["outcomes"], expected.data["outcomes"])
    assert evidence.digest == expected.digest
    value = evidence.data["outcomes"]["value"]
    assert value.sel(subject=pseudonym("ID-7002", "k"), period=1).item() == 40.25
    assert value.sel(subject=pseudonym("ID-7003", "k")).isnull().values.ravel().tolist() == [
        False,
        True,
    ]
    assert evidence.trial.sequences == {
        "KM": ("ketamine", "midazolam"),
        "MK": ("midazolam", "ketamine"),
    }


def test_spreadsheet_exports_are_read(tmp_path: Path) -> None:
    """Semicolons, a mark at the start, Windows line ends and quotes change nothing."""
    path = write(tmp_path / "f.csv", good())
    other = tmp_path / "g.csv"
    lines = ['"' + '";"'.join(line.split(",")) + '"' for line in path.read_text().splitlines()]
    other.write_bytes(("\ufeff" + "\r\n".join(lines)).encode("utf-8"))
    digests = {load_patients(file, TRIAL, key="k").digest for file in (path, other)}
    assert len(digests) == 1


def test_sas7bdat_is_read_as_another_reader_does(tmp_path: Path) -> None:
    """A SAS data file has the cells that pandas' own reader finds in it."""
    path = write(tmp_path / "f.sas7bdat", good())
    other = pd.read_sas(path, encoding="infer")
    evidence = load_patients(path, TRIAL, key="k").data["outcomes"]
    for _, row in other.dropna(subset=["value"]).iterrows():
        at = {"subject": pseudonym(row["subject"], "k"), "period": int(row["period"])}
        assert evidence["value"].sel(at).item() == row["value"]


def test_value_labels_name_treatments(tmp_path: Path) -> None:
    """Codes with value labels are read by their labels; codes that the trial knows stay codes."""
    table = good()
    table["treatment"] = [LABELS[name] for name in table["treatment"]]
    labels = {"treatment": {code: name for name, code in LABELS.items()}}
    path = tmp_path / "f.dta"
    pyreadstat.write_dta(pd.DataFrame(table), str(path), variable_value_labels=labels)
    expected = load_patients(write(tmp_path / "f.csv", good()), TRIAL, key="k")
    assert load_patients(path, TRIAL, key="k").digest == expected.digest
    coded = replace(TRIAL, active="1", control="2")
    assert load_patients(path, coded, key="k").trial.active == "1"


@pytest.mark.parametrize(
    ("raw", "text", "number", "problem"),
    [
        (" 12.5 ", "12.5", 12.5, ""),
        (7.0, "7", 7.0, ""),
        (np.int64(7), "7", 7.0, ""),
        (Decimal("1.5"), "1.5", 1.5, ""),
        (" ", None, np.nan, ""),
        (float("nan"), None, np.nan, ""),
        (pd.NaT, None, np.nan, ""),
        ("MK", "MK", np.nan, "'MK' is not a number"),
        ("1,5", "1,5", np.nan, "write a decimal point, no thousands separator"),
        (np.bool_(True), None, np.nan, "is a truth value"),
        (np.inf, "inf", np.nan, "is infinite"),
        (2e15, "2000000000000000", np.nan, "too large for a score"),
    ],
)
def test_a_cell_is_one_label_and_one_number(
    raw: object, text: str | None, number: float, problem: str
) -> None:
    """7 and 7.0 are one label, blanks and NaN are missing, and what is no number says why."""
    cell = plain_cell(raw)
    if raw is not np.inf:
        assert cell_text(cell)[0] == text
    found, said = cell_number(cell)
    assert found == pytest.approx(number, nan_ok=True)
    assert problem in said
    assert bool(said) == bool(problem)


def test_the_only_endpoint_of_a_kind_is_taken() -> None:
    """One endpoint of a kind needs no name; none, or two, are no choice."""
    two = replace(TRIAL, endpoints={"ies_r": SCORE, "cgi": RATING})
    assert endpoint_of_kind(two, ["ordinal"]) == "cgi"
    assert endpoint_of_kind(two, ["binary"]) is None
    assert endpoint_of_kind(two, ["ordinal", "continuous"]) is None


def adam() -> Table:
    """Return the valid table as an ADaM data set with a baseline record a patient."""
    table = good()
    rows = [
        {"USUBJID": s, "TRTSEQP": q, "APERIOD": p, "TRTP": t, "PARAMCD": "IES_R", "AVAL": v,
         "AVISIT": "24h", "BASE": b, "ABLFL": "", "AGE": 41.0}
        for s, q, p, t, v, b in zip(*table.values(), strict=True)
    ]  # fmt: skip
    before = [{**row, "AVISIT": "Baseline", "AVAL": row["BASE"], "ABLFL": "Y"} for row in rows]
    found = [*rows, *before]
    return {key: [row[key] for row in found] for key in found[0]}


@pytest.mark.parametrize("suffix", [".xpt", ".sas7bdat"])
def test_adam_needs_no_mapping(suffix: str, tmp_path: Path) -> None:
    """ADaM names are understood as they are; baseline records are no outcomes."""
    trial = replace(VISITS, endpoints={"ies_r": SCORE, "cgi": RATING})
    evidence = load_patients(write(tmp_path / f"f{suffix}", adam()), trial, key="k")
    plain = load_patients(
        write(tmp_path / "f.csv", long(visit="24h", endpoint="ies_r")), trial, key="k"
    )
    xr.testing.assert_identical(evidence.data["outcomes"], plain.data["outcomes"])
    assert evidence.data["outcomes"]["hours"].values.tolist() == [24.0]


def test_own_names_and_wide_files(tmp_path: Path) -> None:
    """A wide file gives what the long file of the same scores gives, one endpoint or all."""
    scores = {"IES": good()["value"], "CGI": [2, 3, 4, 2, None, 1, 7]}
    wide = {"Patient": good()["subject"], **without("value"), **scores}
    del wide["subject"], wide["baseline"]
    names = {"subject": "patient", "ies_r": "IES", "cgi": "CGI"}
    mapped = replace(TWO, columns=names)
    evidence = load_patients(write(tmp_path / "w.csv", wide), mapped, key="k")
    rows = without("baseline")
    long_table = {key: [*v, *v] for key, v in rows.items() if key != "value"}
    long_table |= {
        "endpoint": ["ies_r"] * 7 + ["cgi"] * 7,
        "value": [*scores["IES"], *scores["CGI"]],
    }
    expected = load_patients(write(tmp_path / "l.csv", long_table), TWO, key="k")
    xr.testing.assert_identical(evidence.data["outcomes"], expected.data["outcomes"])
    for path, trial in ((tmp_path / "w.csv", mapped), (tmp_path / "l.csv", TWO)):
        one = load_patients(path, trial, endpoint="cgi", key="k")
        assert one.data["outcomes"]["endpoint"].values.tolist() == ["cgi"]
    with pytest.raises(SpecError, match="did you mean 'cgi'"):
        load_patients(tmp_path / "w.csv", mapped, endpoint="cgl")


def test_covariates_are_kept_only_when_asked_for(tmp_path: Path) -> None:
    """Asked for, a covariate is one number or category a subject; otherwise it is nowhere."""
    table = {
        **good(),
        "age": ["40", "40", "30", "", "50", "50", "60"],
        "sex": ["m", "m"] * 3 + ["f"],
    }
    table["site"] = ["N", "N", "S", "S", "N", "N", ""]
    path = write(tmp_path / "f.csv", table)
    assert "covariates" not in load_patients(path, TRIAL).data.children
    kept = load_patients(path, TRIAL, covariates=["age", "site"], key="k").data["covariates"]
    assert kept["age"].sel(subject=pseudonym("ID-7002", "k")).item() == 30.0
    assert kept["site"].sel(subject=pseudonym("ID-7004", "k")).item() == ""
    assert set(kept.data_vars) == {"age", "site"}


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (
            ["1", "2", "3", "4", "5", "6", "7"],
            "covariate 'x' differs from row 2 of the same subject",
        ),
        (good()["subject"], "covariate 'x' repeats the id"),
        (["Ann", "Ann", "Bob", "Bob", "Cy", "Cy", "Di"], "another text for each subject"),
    ],
)
def test_covariates_that_vary_or_identify_are_refused(
    column: list[str], message: str, tmp_path: Path
) -> None:
    """A covariate that changes, is the id, or names each subject is refused."""
    with pytest.raises(EvidenceError, match=message):
        load_patients(write(tmp_path / "f.csv", {**good(), "x": column}), TRIAL, covariates=["x"])
    with pytest.raises(EvidenceError, match="has a role"):
        load_patients(tmp_path / "f.csv", TRIAL, covariates=["subject"])
    with pytest.raises(EvidenceError, match="no column 'y' for a covariate"):
        load_patients(tmp_path / "f.csv", TRIAL, covariates=["y"])


def everything(evidence: Evidence) -> str:
    """Return all texts of an evidence: labels, values, attributes, trial, assumptions, source."""
    parts = [repr(evidence), evidence.source, evidence.digest]
    for node in evidence.data.subtree:
        parts += [node.path, str(node.attrs)]
        for name, variable in node.variables.items():
            parts += [str(name), str(variable.attrs), " ".join(map(str, variable.values.ravel()))]
    return "\n".join(parts)


@pytest.mark.parametrize("suffix", FORMATS)
def test_no_id_is_kept_anywhere(suffix: str, tmp_path: Path) -> None:
    """No id of a subject occurs in the evidence, whatever part of it is looked at."""
    path = write(tmp_path / f"f{suffix}", {**good(), "sex": ["m"] * 7})
    for key in (None, "secret"):
        found = everything(load_patients(path, TRIAL, covariates=["sex"], key=key))
        assert "ID-7" not in found
        assert "7001" not in found


def test_pseudonyms_follow_the_file_or_the_key(tmp_path: Path) -> None:
    """The same file has the same pseudonyms and digest; another file or key has others."""
    first = load_patients(write(tmp_path / "a.csv", good()), TRIAL)
    again = load_patients(write(tmp_path / "b.csv", good()), TRIAL)
    other = load_patients(write(tmp_path / "c.csv", edited(value={1: 21.0})), TRIAL)
    assert first.digest == again.digest
    subjects = [set(e.data["outcomes"]["subject"].values) for e in (first, other)]
    assert not subjects[0] & subjects[1]
    linked = [load_patients(tmp_path / f"{name}.csv", TRIAL, key="k") for name in "ac"]
    assert (linked[0].data["outcomes"]["subject"] == linked[1].data["outcomes"]["subject"]).all()
    with pytest.raises(EvidenceError, match="key of the pseudonyms is empty"):
        load_patients(tmp_path / "a.csv", TRIAL, key="")


def test_row_order_does_not_matter(tmp_path: Path) -> None:
    """Rows in another order are the same evidence, down to its digest."""
    table = good()
    turned = {key: values[::-1] for key, values in table.items()}
    paths = [write(tmp_path / "a.csv", table), write(tmp_path / "b.csv", turned)]
    assert len({load_patients(path, TRIAL, key="k").digest for path in paths}) == 1


def test_arrays_and_flow(tmp_path: Path) -> None:
    """Patients with one period stay, those without a score go; the flow counts both."""
    table = more(subject="ID-7005", period=1, treatment="midazolam", value=None)
    evidence = load_patients(write(tmp_path / "f.csv", table), TRIAL, key="k")
    arrays = crossover_arrays(evidence, "ies_r")
    assert dict(arrays.sizes) == {"subject": 4, "period": 2}
    assert arrays.attrs["subjects_without_score"] == 1
    assert arrays["observed"].sum().item() == 6
    one = arrays.sel(subject=pseudonym("ID-7001", "k"))
    assert (one["active"].values.tolist(), one["sequence"].item()) == ([1, 0], "KM")
    assert one["y"].values.tolist() == [20.0, 31.5]
    assert one["baseline"].values.tolist() == [50.0, 45.0]
    counts = flow(evidence)
    assert counts["subjects"].to_series().to_dict() == {"KM": 2, "MK": 3}
    assert counts["scored"].sel(sequence="MK").values.ravel().tolist() == [2, 1]
    assert counts["complete"].values.ravel().tolist() == [1, 1]


def test_views_refuse_other_evidence() -> None:
    """A parallel trial, an unnamed visit, an unknown endpoint and printed numbers are refused."""
    hours = {"24h": 24.0, "7d": 168.0}
    crossed = simulate_trial(made_up_trial(visits=hours), n_by_sequence=5, seed=1)
    with pytest.raises(EvidenceError, match=r"name the visit.*24h, 7d"):
        crossover_arrays(crossed, "score")
    assert crossover_arrays(crossed, "score", visit="7d").attrs["visit"] == "7d"
    with pytest.raises(EvidenceError, match="visit '9d' has no score"):
        crossover_arrays(crossed, "score", visit="9d")
    with pytest.raises(EvidenceError, match="no endpoint 'scroe'; did you mean 'score'"):
        crossover_arrays(crossed, "scroe")
    parallel = simulate_trial(made_up_trial("parallel"), n_by_sequence=5, seed=1)
    with pytest.raises(EvidenceError, match="is parallel"):
        crossover_arrays(parallel, "score")
    assert flow(parallel)["complete"].values.ravel().tolist() == [5, 5]
    with pytest.raises(EvidenceError, match="has no patients"):
        flow(Evidence("published", load_trial(), xr.DataTree()))


@pytest.mark.parametrize("design", ["crossover", "parallel"])
def test_written_patients_are_read_back(design: Any, tmp_path: Path) -> None:
    """Simulated patients come back from a file as simulated, with every score and baseline."""
    trial = made_up_trial(
        design, better="lower", range=(0.0, 88.0), visits={"1d": 24.0, "7d": 168.0}
    )
    simulated = simulate_trial(
        trial, n_by_sequence=12, treatment=9.0, sd_subject=9.0, sd_within=8.0, seed=3,
        baseline=Baseline(47.0, 14.0, 0.4), missingness=Missingness(at_random=0.2),
    )  # fmt: skip
    read = load_patients(write_patients(simulated, tmp_path / "f.csv"), trial, key="k")
    assert read.kind == "simulated"
    was = simulated.data["outcomes"].to_dataset()
    labels = [pseudonym(label, "k") for label in was["subject"].values]
    xr.testing.assert_equal(
        read.data["outcomes"].to_dataset(), was.assign_coords(subject=labels).sortby("subject")
    )
    assert flow(read).identical(flow(simulated))
    with pytest.raises(EvidenceError, match="exists already and is not overwritten"):
        write_patients(simulated, tmp_path / "f.csv")
    with pytest.raises(EvidenceError, match=r"end the name in \.csv"):
        write_patients(simulated, tmp_path / "f.xlsx")


def test_read_patients_are_written_with_pseudonyms(tmp_path: Path) -> None:
    """A file written from real patients has their scores and covariates, not their ids."""
    source = write(tmp_path / "f.csv", {**good(), "sex": ["m"] * 7})
    evidence = load_patients(source, TRIAL, covariates=["sex"], key="k")
    again = write_patients(evidence, tmp_path / "out.csv")
    assert "ID-7" not in again.read_text()
    read = load_patients(again, TRIAL, covariates=["sex"])
    assert read.kind == "patients"
    key = ["sequence", "period", "value", "baseline"]
    tables = [
        e.data["outcomes"]
        .to_dataset()
        .to_dataframe()
        .reset_index()[key]
        .sort_values(key)
        .to_numpy()
        for e in (evidence, read)
    ]
    assert pd.DataFrame(tables[0]).equals(pd.DataFrame(tables[1]))


@pytest.mark.parametrize("design", ["crossover", "parallel"])
def test_templates_can_be_filled_in(design: str, tmp_path: Path) -> None:
    """The trial template loads; the patient template has the columns that the reader wants."""
    trial_file, patient_file = write_template(tmp_path / "new", design=design)
    trial = load_trial(trial_file)
    assert trial.design == design
    with pytest.raises(EvidenceError, match="has no row of data"):
        load_patients(patient_file, trial)
    names = patient_file.read_text().strip().split(",")
    rows = [("1", "AB", "active drug"), ("2", "BA", "control drug")]
    with patient_file.open("a") as file:
        for subject, sequence, treatment in rows:
            known = {
                "subject": subject,
                "sequence": sequence,
                "period": "1",
                "treatment": treatment,
            }
            file.write(",".join(known.get(name, "7") for name in names) + "\n")
    assert load_patients(patient_file, trial).data["outcomes"].sizes["subject"] == 2
    with pytest.raises(EvidenceError, match="is not overwritten"):
        write_template(tmp_path / "new")


def test_trials_are_written_as_they_are(tmp_path: Path) -> None:
    """The text of a trial reads back as the same trial."""
    path = tmp_path / "trial.toml"
    path.write_text(trial_toml(load_trial()), encoding="utf-8")
    assert load_trial(path).digest == load_trial().digest
    with pytest.raises(SpecError, match="design 'factorial' is none of"):
        write_template(tmp_path / "x", design="factorial")


# Random tables. A table that is read must come back score by score; anything else is refused.
JUNK: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.sampled_from(
        ["", "NA", ".", "x", "ketamine", "KM", "1", "2", "3", "44", "1,5", "1_0", "nan"]
    ),
    st.sampled_from(
        ["inf", "-inf", "1e999", "\uff12", "\u0663", "0x10", "2020-01-01", "TRUE", "#N/A", " 7 "]
    ),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=6),
    st.integers(-5, 95),
    st.floats(-1e9, 1e9),
    st.sampled_from([np.inf, -np.inf, np.nan]),
    st.booleans(),
    st.dates(),
)
COLUMNS = list(good())


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """Draw a valid crossover with up to three cells, columns or rows spoiled."""
    score = st.one_of(st.none(), st.integers(0, 88), st.floats(0, 88).map(lambda x: round(x, 3)))
    rows = []
    for number, sequence in enumerate(
        ["KM", "MK", *draw(st.lists(st.sampled_from(["KM", "MK"]), max_size=4))]
    ):
        for period in draw(st.sampled_from([(1,), (2,), (1, 2)])):
            drug = "ketamine" if (sequence == "KM") == (period == 1) else "midazolam"
            rows.append([f"ID-7{number:03d}", sequence, period, drug, draw(score), draw(score)])
    rows = draw(st.permutations(rows))
    for _ in range(draw(st.integers(0, 3))):
        row = draw(st.integers(0, len(rows) - 1))
        what = draw(st.sampled_from(["cell", "cell", "cell", "row", "swap"]))
        if what == "cell":
            rows[row] = list(rows[row])
            rows[row][draw(st.integers(0, 5))] = draw(JUNK)
        elif what == "row":
            rows.append(list(rows[row]))
        else:
            rows[row] = draw(st.permutations(rows[row]))
    case = draw(st.sampled_from([str, str, str.upper, str.title]))
    order = draw(st.permutations(range(len(COLUMNS))))
    return {case(COLUMNS[place]): [row[place] for row in rows] for place in order}


def storable(suffix: str, table: Table) -> Table:
    """Return the table as the format can hold it: typed columns become text where they mix."""
    if suffix in (".csv", ".tsv"):
        return {
            name: ["" if x is None else str(x) for x in column] for name, column in table.items()
        }
    if suffix == ".xlsx":
        # openpyxl writes 16 digits of a number, of which a reader cannot make 17 again
        return {
            name: [float(f"{x:.16g}") if isinstance(x, float) else x for x in column]
            for name, column in table.items()
        }
    result = {}
    for name, column in table.items():
        numbers = all(cell is None or type(cell) in (int, float) for cell in column)
        if numbers and any(cell is not None for cell in column):
            result[name] = [
                None if cell is None or cell != cell else float(cell) for cell in column
            ]
        else:
            result[name] = ["" if cell is None else str(cell) for cell in column]
    return result


def as_number(cell: Any) -> float:
    """Return what a reader who knows the rules makes of a score."""
    return np.nan if cell in (None, "", "NA", ".", "nan", "N/A", "NaN") else float(cell)


def as_text(cell: Any) -> str:
    """Return what a label of a row reads."""
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell).strip()


def check_read(evidence: Evidence, table: Table) -> None:
    """Check that evidence has exactly the scores of a table."""
    cells = {name.lower(): values for name, values in table.items()}
    value = evidence.data["outcomes"]["value"]
    filled = 0
    for subject, sequence, period, treatment, score, _ in zip(
        *(cells[name] for name in COLUMNS), strict=True
    ):
        if all(
            cell is None or str(cell).strip() == "" or cell != cell
            for cell in (subject, sequence, period, treatment, score)
        ):
            continue
        found = value.sel(subject=pseudonym(as_text(subject), "k"), period=int(float(period)))
        np.testing.assert_array_equal(found.item(), as_number(score))
        assert found["sequence"].item() == as_text(sequence)
        assert found["treatment"].item() == as_text(treatment)
        filled += not np.isnan(as_number(score))
    assert value.notnull().sum().item() == filled


def test_an_id_that_is_a_number_of_17_digits_is_read(tmp_path: Path) -> None:
    """A workbook has the 16 digits that its writer put there, and the pseudonym is of these."""
    table = storable(".xlsx", edited(subject={7: -236574453.06834888}))
    check_read(load_patients(write(tmp_path / "f.xlsx", table), TRIAL, key="k"), table)


@pytest.mark.parametrize("suffix", FORMATS)
def test_random_tables_neither_crash_nor_pass_silently(suffix: str) -> None:
    """A random table is refused by an error of this package, or read with exactly its scores."""
    seen = {"read": 0, "refused": 0}

    @settings(max_examples=100 if suffix == ".csv" else 25, suppress_health_check=list(HealthCheck))
    @given(tables())
    def check(table: Table) -> None:
        with tempfile.TemporaryDirectory() as folder:
            table = storable(suffix, table)
            try:
                path = write(Path(folder) / f"f{suffix}", table)
            except Exception:  # the library cannot write this table, so there is no file to read
                return
            try:
                evidence = load_patients(path, TRIAL, key="k")
            except (EvidenceError, SpecError):
                seen["refused"] += 1
                return
            seen["read"] += 1
            check_read(evidence, table)

    check()
    assert min(seen.values()) >= 3, seen


@pytest.mark.parametrize("suffix", FORMATS)
def test_random_bytes_do_not_crash(suffix: str, tmp_path: Path) -> None:
    """Files of random bytes, and valid files cut anywhere, are refused or read, never a crash."""
    rng = np.random.default_rng(20140521)
    whole = write(tmp_path / f"whole{suffix}", good()).read_bytes()
    path = tmp_path / f"f{suffix}"
    for size in rng.integers(1, len(whole), 12).tolist():
        for content in (whole[:size], whole[:size] + rng.bytes(50), whole[:40] + rng.bytes(size)):
            path.write_bytes(content)
            try:
                evidence = load_patients(path, TRIAL)
            except (EvidenceError, SpecError):
                continue
            assert evidence.data["outcomes"]["value"].notnull().sum() <= 6


def gaps(arrays: xr.Dataset) -> Iterator[np.ndarray[Any, Any]]:
    """Yield half differences of the complete pairs, period 1 minus 2, by active-first and not."""
    complete = arrays.isel(subject=arrays["observed"].all("period").values)
    for first in (1, 0):
        group = complete.isel(subject=(complete["active"][:, 0] == first).values)
        yield ((group["y"][:, 0] - group["y"][:, 1]) / 2).values


def hills_armitage(arrays: xr.Dataset) -> tuple[float, float, float]:
    """Return estimate, standard error and P of the active treatment, from complete pairs."""
    first, second = gaps(arrays)
    test = stats.ttest_ind(first, second)
    estimate = first.mean() - second.mean()
    return estimate, estimate / test.statistic, test.pvalue


PUBLISHED = {
    "senn_pef": ("pef", 13, 13, 46.6071, 10.7766, 0.001205),
    "patel_fev1": ("fev1", 17, 17, -0.2565, 0.1186, 0.047155),
    "raynaud_attacks": ("attacks", 20, 20, -6.5000, 3.0185, 0.045092),
    "mental_fatigue": ("accuracy", 86, 84, -1.0820, 0.9879, 0.276616),
}


@pytest.mark.shared
@pytest.mark.parametrize("name", PUBLISHED)
def test_public_crossovers_load_as_they_are(name: str, shared: Path) -> None:
    """Public files load through their trial files and give the published t test."""
    endpoint, subjects, pairs, *numbers = PUBLISHED[name]
    trial = load_trial(HERE / "trials" / f"{name}.toml")
    evidence = load_patients(shared / "data" / f"{name}.csv", trial)
    counts = flow(evidence)
    assert (counts["subjects"].sum().item(), counts["complete"].sum().item()) == (subjects, pairs)
    found = hills_armitage(crossover_arrays(evidence, endpoint))
    np.testing.assert_allclose(found[:2], numbers[:2], atol=5.1e-5)
    assert found[2] == pytest.approx(numbers[2], abs=5.1e-7)


@pytest.mark.shared
def test_public_ordinal_and_parallel_files_load_as_they_are(shared: Path) -> None:
    """Two endpoints of one wide file, and a parallel trial with visits, dropout and covariates."""
    trial = load_trial(HERE / "trials" / "senn_eia_ordinal.toml")
    values = load_patients(shared / "data" / "senn_eia_ordinal.csv", trial).data["outcomes"][
        "value"
    ]
    best = values.sel(endpoint="score4") == 4
    assert (best == (values.sel(endpoint="score2") == 1)).all()
    fev = load_trial(HERE / "trials" / "fev.toml")
    evidence = load_patients(shared / "data" / "fev.csv", fev, covariates=["RACE", "SEX"])
    value = evidence.data["outcomes"]["value"]
    assert value.sizes["subject"] == 200
    assert value.notnull().any(("period", "visit", "endpoint")).sum().item() == 197
    raw = pd.read_csv(shared / "data" / "fev.csv")
    assert value.sum().item() == pytest.approx(raw["FEV1"].sum())
    assert evidence.data["outcomes"]["baseline"].sum().item() == pytest.approx(
        raw["FEV1_BL"].sum() / 4
    )
    assert set(np.unique(evidence.data["covariates"]["SEX"].values)) == {"Female", "Male"}


@pytest.mark.parametrize("name", PUBLISHED)
def test_simulated_twins_load_through_the_same_trial_files(name: str, tmp_path: Path) -> None:
    """Simulated patients of the same trial files, through a file, give the same t test."""
    trial = load_trial(HERE / "trials" / f"{name}.toml")
    endpoint = PUBLISHED[name][0]
    simulated = simulate_trial(
        trial, n_by_sequence=12, treatment=1.5, sd_subject=2.0, seed=5,
        missingness=Missingness(dropout=0.1),
    )  # fmt: skip
    path = write_patients(simulated, tmp_path / "f.csv")
    path.write_text(path.read_text().replace(",value,", f",{endpoint},"))
    columns = {key: name for key, name in trial.columns.items() if key != "baseline"}
    read = load_patients(path, replace(trial, columns=columns))
    before, after = (hills_armitage(crossover_arrays(e, endpoint)) for e in (simulated, read))
    np.testing.assert_allclose(after, before, rtol=1e-12)
    assert after[0] * trial.endpoint(endpoint).benefit_sign == pytest.approx(1.5, abs=5 * after[1])


def test_every_public_trial_file_is_used() -> None:
    """Every trial file of the tests loads, and each belongs to a test above."""
    files = {path.stem for path in (HERE / "trials").glob("*.toml")}
    assert files >= {*PUBLISHED, "senn_eia_ordinal", "fev"}
    assert all(load_trial(HERE / "trials" / f"{name}.toml").endpoints for name in files)


def test_the_guide_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python of the guide to own data runs with the trial file that the guide prints."""
    guide = (HERE.parent / "docs" / "guides" / "your-own-data.md").read_text(encoding="utf-8")
    blocks = dict.fromkeys(["toml", "python"], "")
    for language, block in re.findall(r"^```(\w+)\n(.*?)^```", guide, re.MULTILINE | re.DOTALL):
        # the trial file is the first; those of layouts only add to it
        if language == "python" or not blocks.get(language, "-"):
            blocks[language] += block
    monkeypatch.chdir(tmp_path)
    Path("asthma.toml").write_text(blocks["toml"])
    trial = load_trial("asthma.toml")
    write_patients(simulate_trial(trial, n_by_sequence=4, level=300.0, seed=1), Path("asthma.csv"))
    space: dict[str, Any] = {}
    exec(blocks["python"], space)
    again = load_patients("simulated.csv", space["trial"])
    assert (again.kind, again.data["outcomes"].sizes["subject"]) == ("simulated", 23)
