"""Readers of patient files: what is hidden is said, no file is too large, text of any encoding."""

from __future__ import annotations

import contextlib
import csv
import os
import random
import re
import runpy
import socket
import struct
import tempfile
import time
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyreadstat
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence.file_limits import MAX_ROWS
from bayes_ptsd.evidence.patient_files import PatientTable, plain_cell, read_patient_table
from bayes_ptsd.evidence.patients import load_patients
from bayes_ptsd.trial import Endpoint, Trial, load_trial

HERE = Path(__file__).parent
write_sas7bdat = runpy.run_path(str(HERE / "sas7bdat_writer.py"))["write_sas7bdat"]

Table = dict[str, list[Any]]
FORMATS = (".csv", ".xlsx", ".parquet", ".xpt", ".sas7bdat", ".dta", ".sav", ".zsav")
# formats that keep every number as it is
BINARY = (".parquet", ".dta", ".sav", ".zsav")
SCORE = Endpoint("score", "Score", "continuous", "lower")
TRIAL = Trial("t", "T", "crossover", "kétamine", "midazolam", {"score": SCORE})
NAMES = ["subject", "sequence", "period", "treatment", "value"]
ROWS: list[list[Any]] = [
    ["7001", "KM", 1, "kétamine", 20.0],
    ["7001", "KM", 2, "midazolam", 31.5],
    ["7002", "MK", 1, "midazolam", 40.25],
    ["7002", "MK", 2, "kétamine", 22.0],
]
HEAD = ",".join(NAMES)
LINES = [",".join(map(str, row)) for row in ROWS]


def table_of(rows: list[list[Any]] = ROWS) -> Table:
    """Return rows as columns."""
    return dict(zip(NAMES, map(list, zip(*rows, strict=True)), strict=True))


def write(path: Path, table: Table) -> Path:
    """Write a table in the format of the suffix."""
    frame = pd.DataFrame(table)
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    elif path.suffix == ".xlsx":
        frame.to_excel(path, index=False)
    elif path.suffix == ".parquet":
        pq.write_table(pa.table(table), path)
    elif path.suffix == ".sas7bdat":
        write_sas7bdat(path, table)
    elif path.suffix == ".zsav":
        pyreadstat.write_sav(frame, str(path), compress=True)
    else:
        writers = {
            ".xpt": pyreadstat.write_xport,
            ".dta": pyreadstat.write_dta,
            ".sav": pyreadstat.write_sav,
        }
        writers[path.suffix](frame, str(path))
    return path


def sheet_of(path: Path, edit: Callable[[Any, Any], object], *, above: int = 0) -> Path:
    """Write the rows as a sheet, below some empty rows, edited as a workbook and a sheet."""
    book = openpyxl.Workbook()
    for place, row in enumerate([NAMES, *ROWS], 1 + above):
        for column, cell in enumerate(row, 1):
            book.active.cell(place, column, cell)
    edit(book, book.active)
    book.save(path)
    return path


def cells(path: Path) -> list[list[Any]]:
    """Return the cells of a file, row by row."""
    return read_patient_table(path).cells.to_numpy().tolist()


def refusal(path: Path) -> str:
    """Return the message with which a file is refused."""
    with pytest.raises(EvidenceError) as refused:
        read_patient_table(path)
    assert str(refused.value).startswith(f"{path}: ")
    return str(refused.value).removeprefix(f"{path}: ")


def hide(sheet: Any, rows: tuple[int, ...] = (), columns: str = "") -> None:
    """Hide rows and columns."""
    for row in rows:
        sheet.row_dimensions[row].hidden = True
    for column in columns:
        sheet.column_dimensions[column].hidden = True


HIDDEN: dict[str, tuple[Callable[[Any, Any], object], list[str]]] = {
    "nothing": (lambda book, sheet: None, []),
    "one row": (lambda book, sheet: hide(sheet, (3,)), ["1 hidden row was read (row 3)"]),
    "rows": (
        lambda book, sheet: hide(sheet, (2, 3, 5)),
        ["3 hidden rows were read (rows 2, 3 and 5)"],
    ),
    "rows without data": (lambda book, sheet: hide(sheet, (9, 10)), []),
    "grouped rows": (
        lambda book, sheet: sheet.row_dimensions.group(2, 3, hidden=True),
        ["2 hidden rows were read (rows 2 and 3)"],
    ),
    "column": (
        lambda book, sheet: hide(sheet, columns="E"),
        ["1 hidden column was read (column E)"],
    ),
    "filter": (
        lambda book, sheet: setattr(sheet.auto_filter, "ref", "A1:E5"),
        ["a filter is set on A1:E5; rows were read whether it shows them or not"],
    ),
    "filtered rows": (
        lambda book, sheet: [hide(sheet, (2,)), setattr(sheet.auto_filter, "ref", "A1:E5")],
        [
            "1 hidden row was read (row 2)",
            "a filter is set on A1:E5; rows were read whether it shows them or not",
        ],
    ),
    "other sheet": (
        lambda book, sheet: [
            setattr(sheet, "title", "patients"),
            setattr(book.create_sheet("old"), "sheet_state", "hidden"),
        ],
        ["sheet 'patients' was read, not the hidden sheet old"],
    ),
    "its own sheet": (
        lambda book, sheet: [
            setattr(sheet, "title", "patients"),
            setattr(sheet, "sheet_state", "veryHidden"),
            book.create_sheet("notes"),
        ],
        ["sheet 'patients' is hidden and was read"],
    ),
}


@pytest.mark.parametrize("case", HIDDEN.values(), ids=HIDDEN.keys())
def test_what_is_hidden_is_read_and_said(
    case: tuple[Callable[[Any, Any], object], list[str]], tmp_path: Path
) -> None:
    """Hidden rows, columns and sheets and filters lose no cell, and the evidence says them."""
    path = sheet_of(tmp_path / "f.xlsx", case[0])
    assert cells(path) == ROWS
    assert list(load_patients(path, TRIAL).notes) == case[1]


def test_rows_and_columns_of_no_size_are_hidden(tmp_path: Path) -> None:
    """A row of no height and a column of no width cannot be seen either."""
    path = sheet_of(tmp_path / "f.xlsx", lambda book, sheet: None)
    columns = b'<cols><col min="2" max="3" width="0" customWidth="1"/></cols><sheetData>'
    edited(path, "sheet1", lambda xml: xml.replace(b'<row r="4"', b'<row r="4" ht="0.0"'))
    edited(path, "sheet1", lambda xml: xml.replace(b"<sheetData>", columns))
    assert read_patient_table(path).notes == (
        "1 hidden row was read (row 4)",
        "2 hidden columns were read (columns B and C)",
    )
    assert cells(path) == ROWS


def test_many_hidden_rows_fit_a_line(tmp_path: Path) -> None:
    """Of many hidden rows the first eight are named and the rest counted."""

    def edit(book: Any, sheet: Any) -> None:
        for row in range(6, 30):
            for column, cell in enumerate(ROWS[0], 1):
                sheet.cell(row, column, cell)
        hide(sheet, tuple(range(4, 22)))

    (note,) = read_patient_table(sheet_of(tmp_path / "f.xlsx", edit)).notes
    assert note == ("18 hidden rows were read (rows 4, 5, 6, 7, 8, 9, 10, 11 and 10 more)")


def test_two_sheets_say_which_is_hidden(tmp_path: Path) -> None:
    """Two sheets of which none is called patients are refused, and the hidden one is named."""
    path = sheet_of(
        tmp_path / "f.xlsx",
        lambda book, sheet: setattr(book.create_sheet("old"), "sheet_state", "hidden"),
    )
    assert refusal(path) == "has 2 sheets (hidden: old); call the one with the rows 'patients'"


def test_a_formula_that_gives_empty_text_has_a_value(tmp_path: Path) -> None:
    """A computed empty text is a missing cell; a formula that nothing computed is refused."""
    path = sheet_of(tmp_path / "f.xlsx", lambda book, sheet: sheet.__setitem__("E3", '=""'))
    assert refusal(path).startswith("cell E3 is a formula without a stored value")
    edited(path, "sheet1", lambda xml: xml.replace(b'<c r="E3"><f>', b'<c r="E3" t="str"><f>'))
    assert cells(path)[1] == [*ROWS[1][:4], None]


def test_every_type_of_a_cell_is_what_it_shows(tmp_path: Path) -> None:
    """Types of cells by the standard (ECMA-376, 18.18.11), dates by their format, day 1 in 1904.

    Rows and cells may leave their place out: they follow one another.
    """
    path = sheet_of(tmp_path / "f.xlsx", lambda book, sheet: None)
    name = b'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings'
    part = b'<Override PartName="/xl/sharedStrings.xml" ' + name + b'+xml"/></Types>'
    edited(path, "Content_Types", lambda xml: xml.replace(b"</Types>", part))
    space = b'<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("xl/sharedStrings.xml", space + b"<si><t>d</t></si></sst>")
    styles = b'<cellXfs count="3"><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="46"/>'
    edited(path, "styles", lambda xml: re.sub(rb"<cellXfs.*?(?=</cellXfs>)", styles, xml))
    rows = b"""<sheetData><row r="1"><c t="str"><v>a</v></c><c t="inlineStr"><is><r><t>b</t></r>
        <r><t>c</t></r></is></c><c t="s" r="D1"><v>0</v></c></row><row><c t="b"><v>1</v></c><c/>
        <c r="D2" s="1"><v>40000</v></c></row><row r="4.0"><c s="2"><v>1.5</v></c>
        <c t="e"><v>#N/A</v></c><c r="D4" t="d"><v>2014-05-03</v></c></row><row r="6">
        <c><v>1E3</v></c><c><v>7</v></c><c r="D6" s="1"><v>1e12</v></c></row></sheetData>"""
    edited(path, "sheet1", lambda xml: re.sub(rb"<sheetData>.*</sheetData>", rows, xml, flags=re.S))
    found = read_patient_table(path)
    assert list(found.cells) == ["a", "bc", "d"]
    assert found.row == (2, 4, 6)
    assert found.cells.to_numpy().tolist() == [
        [True, None, datetime(2009, 7, 6)],
        [timedelta(hours=36), "#N/A", date(2014, 5, 3)],
        [1000.0, 7, "#VALUE!"],
    ]
    edited(path, "workbook", lambda xml: xml.replace(b"<workbookPr ", b'<workbookPr date1904="1" '))
    assert cells(path)[0][2] == datetime(2013, 7, 7)


def edited(path: Path, part: str, edit: Callable[[bytes], bytes]) -> Path:
    """Edit the parts of a workbook that have a name in common."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, edit(content) if part in name else content)
    return path


@pytest.mark.parametrize(
    ("first", "mark"),
    [
        ("sep=;\n", ";"),
        ("\ufeffSEP=|\r\n", "|"),
        ('"sep=,"\n', ","),
        ("sep=\t\n", "\t"),
        ("sep=,,,,,\n", ","),
    ],
)
def test_a_line_of_the_separator_is_followed(first: str, mark: str, tmp_path: Path) -> None:
    """Excel's first line names the separator, is said, and shifts no line number."""
    path = tmp_path / "f.csv"
    lines = [line.replace(",", mark) for line in [HEAD, *LINES]]
    path.write_text(first + "\n".join(lines) + f"\nx{mark}y\n", encoding="utf-8")
    table = read_patient_table(path)
    assert table.cells.to_numpy().tolist() == [list(map(str, row)) for row in ROWS]
    assert table.notes == (f"line 1 (sep={mark}) names the separator and is not data",)
    assert table.row == (3, 4, 5, 6)
    assert table.refusals == ((7, "has 2 fields, the header 5"),)


def test_other_delimiters_are_found(tmp_path: Path) -> None:
    """Semicolons, tabs and pipes are told by the header."""
    for mark in ";\t|":
        path = tmp_path / "f.csv"
        path.write_text("\n".join(line.replace(",", mark) for line in [HEAD, *LINES]))
        assert cells(path) == [list(map(str, row)) for row in ROWS]


SEMICOLONS = [line.replace(",", ";") for line in [HEAD, *LINES]]
TITLES: dict[str, tuple[list[str], int]] = {
    "one line": (["Crossover study", HEAD, *LINES], 2),
    "padded as Excel does": (["Crossover study,,,,", ",,,,", HEAD, *LINES], 3),
    "two lines and a comma": (["Crossover study, lock 3 May", "Site 4", "", HEAD, *LINES], 4),
    "a comma above semicolons": (["Crossover study, lock 3 May", *SEMICOLONS], 2),
    "no comma above semicolons": (["Crossover study", "", *SEMICOLONS], 3),
    "a long title": (["A, B, C, D, E, F, G and H, 2014", HEAD, *LINES], 2),
}


@pytest.mark.parametrize("case", TITLES.values(), ids=TITLES.keys())
def test_titles_above_the_header_are_named(case: tuple[list[str], int], tmp_path: Path) -> None:
    """A title above the header is refused with the line of the header, which then is read."""
    lines, header = case
    path = tmp_path / "f.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    assert refusal(path) == (
        f"line 1 does not look like a header; line {header} does: delete what is above it"
    )
    path.write_text("\n".join(lines[header - 1 :]), encoding="utf-8")
    assert len(load_patients(path, TRIAL).data["outcomes"]["subject"]) == 2


@pytest.mark.parametrize("above", [1, 2, 4])
def test_titles_above_a_sheet_are_named(above: int, tmp_path: Path) -> None:
    """A title above a sheet, merged over its columns or not, is refused with the header's row."""
    for merge in (False, True):

        def edit(book: Any, sheet: Any, merge: bool = merge) -> None:
            sheet["A1"] = "Crossover study, data lock 3 May"
            if above > 2:
                sheet["A2"], sheet["C2"] = "Site", 4
            if merge:
                sheet.merge_cells("A1:E1")

        path = sheet_of(tmp_path / "f.xlsx", edit, above=above)
        assert refusal(path) == (
            f"row 1 does not look like a header; row {above + 1} does: delete what is above it"
        )


@pytest.mark.parametrize(
    "lines",
    [
        [f"{HEAD},,,", *(f"{line},late,dropped out,moved" for line in LINES)],
        [HEAD, *(line.replace(",1,", ",first,").replace(",2,", ",second,") for line in LINES)],
        ["subject;treatment;value", "a;kétamine;1,5", "b;midazolam;2,5"],
        [HEAD, "a,KM,P1,kétamine,", "b,MK,P1,midazolam,", "b,MK,P2,kétamine,"],
    ],
    ids=["columns without a name", "periods in words", "decimal commas", "no number at all"],
)
def test_headers_are_not_taken_for_titles(lines: list[str], tmp_path: Path) -> None:
    """Headers with unnamed columns and rows of text are headers."""
    path = tmp_path / "f.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    assert len(cells(path)) == len(lines) - 1


def in_windows(path: Path, *, cell: bytes = b"k\xe9tamine ") -> Path:
    """Turn the accents of a file into bytes of Windows-1252, without moving any other byte."""
    content = path.read_bytes()
    assert "kétamine".encode() in content
    path.write_bytes(content.replace("kétamine".encode(), cell))
    return path


@pytest.mark.parametrize("suffix", [".xpt", ".sas7bdat", ".dta", ".sav"])
def test_text_of_another_encoding_is_read_and_said(suffix: str, tmp_path: Path) -> None:
    """8-bit text that its file does not declare is read as Windows-1252, or Latin-1, and said."""
    path = write(tmp_path / f"f{suffix}", table_of())
    assert read_patient_table(path).notes == ()
    evidence = load_patients(in_windows(path), TRIAL)
    note = "letters beyond ASCII were read as {}, which the file does not say"
    assert evidence.notes == (note.format("WINDOWS-1252"),)
    path = in_windows(write(tmp_path / f"g{suffix}", table_of()), cell=b"k\x81tamine ")
    table = read_patient_table(path)
    assert table.cells["treatment"].tolist()[0] == "k\x81tamine"
    assert table.notes == (note.format("LATIN1"),)


def test_old_stata_files_are_utf_8_if_they_can_be(tmp_path: Path) -> None:
    """Stata before 14 declares no encoding: UTF-8 if that fits, else Windows-1252, and said."""
    path = tmp_path / "f.dta"
    pyreadstat.write_dta(pd.DataFrame(table_of()), str(path), version=12)
    assert cells(path)[0][3] == "kétamine"
    assert read_patient_table(path).notes == ()
    assert cells(in_windows(path))[0][3] == "kétamine"
    assert "WINDOWS-1252" in read_patient_table(path).notes[0]


def test_labels_of_another_encoding_do_not_matter(tmp_path: Path) -> None:
    """A label that nobody uses is no reason to refuse, nor for a note if all cells are ASCII."""
    table = {**table_of(), "treatment": ["k", "m", "m", "k"]}
    for suffix in (".xpt", ".sav"):
        path = tmp_path / f"f{suffix}"
        writer = pyreadstat.write_xport if suffix == ".xpt" else pyreadstat.write_sav
        writer(pd.DataFrame(table), str(path), column_labels=["kétamine"] + 4 * ["x"])
        assert len(cells(in_windows(path))) == 4
        assert read_patient_table(path).notes == ()


def test_value_labels_of_another_encoding_are_read(tmp_path: Path) -> None:
    """Value labels in Windows-1252 name the treatments like any other."""
    path = tmp_path / "f.sav"
    table = {**table_of(), "treatment": [1.0, 2.0, 2.0, 1.0]}
    labels = {"treatment": {1.0: "kétamine", 2.0: "midazolam"}}
    pyreadstat.write_sav(pd.DataFrame(table), str(path), variable_value_labels=labels)
    assert read_patient_table(in_windows(path)).labels == labels
    assert "WINDOWS-1252" in load_patients(path, TRIAL).notes[0]


@pytest.mark.parametrize(
    ("raw", "plain"),
    [
        ("ke\u0301tamine", "kétamine"),
        ("A\u030angstro\u0308m", "Ångström"),
        ("\ufeffdrug", "drug"),
        ("dr\u200bug\u00a0", "drug"),
        ("\u200e7001\u202c", "7001"),
        ("\u200ddrug\u00ad", "drug"),
        ("active\u00a0drug", "active\u00a0drug"),
        ("\uff11\uff12", "\uff11\uff12"),
        ("\u221241", "\u221241"),
        (" \u200b ", None),
    ],
)
def test_letters_are_composed_and_invisible_ones_dropped(raw: str, plain: str | None) -> None:
    """Texts that look the same are the same; what can be seen stays as it is."""
    assert plain_cell(raw) == plain


@pytest.mark.parametrize("suffix", [s for s in FORMATS if s != ".xpt"])
def test_every_reader_composes_letters(suffix: str, tmp_path: Path) -> None:
    """Cells, and names of columns where the format has letters in them, come in composed form."""
    table = table_of()
    table["treatment"] = [cell.replace("é", "e\u0301") for cell in table["treatment"]]
    accents = suffix in (".csv", ".xlsx", ".parquet", ".sav")
    if accents:
        table["de\u0301but"] = table.pop("value")
    found = read_patient_table(write(tmp_path / f"f{suffix}", table)).cells
    assert found["treatment"].tolist()[0] == "kétamine"
    assert ("d\u00e9but" in found.columns) == accents


def test_values_that_a_program_declares_missing_are_missing(tmp_path: Path) -> None:
    """Missing values of SPSS, single, as a range or as text, and Stata's `.a` are no scores."""
    table = pd.DataFrame({**table_of(), "value": [99.0, -5.0, 3.0, 4.0]})
    table["note"] = ["lost", "x", "y", "z"]
    spss, stata = tmp_path / "f.sav", tmp_path / "f.dta"
    pyreadstat.write_sav(
        table, str(spss), missing_ranges={"value": [99, {"lo": -9, "hi": -1}], "note": ["lost"]}
    )
    found = read_patient_table(spss).cells
    assert found["value"].tolist() == [None, None, 3.0, 4.0]
    assert found["note"].tolist() == [None, "x", "y", "z"]
    table["value"] = pd.Series(["a", 2.0, 3.0, 4.0], dtype=object)
    pyreadstat.write_dta(table, str(stata), missing_user_values={"value": ["a"]})
    assert read_patient_table(stata).cells["value"].tolist() == [None, 2.0, 3.0, 4.0]


def test_several_data_sets_in_one_transport_file_are_refused(tmp_path: Path) -> None:
    """A transport file of two data sets is not read as one, in either version."""
    for version in (5, 8):
        path = tmp_path / "f.xpt"
        table = pd.DataFrame({name[:8]: values for name, values in table_of().items()})
        pyreadstat.write_xport(table, str(path), file_format_version=version)
        content = path.read_bytes()
        start = content.index(b"HEADER RECORD*******MEMB")
        path.write_bytes(content + content[start:])
        assert refusal(path).startswith("holds 2 data sets; write the one of the patients")


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(
    ("variable", "limit", "counted", "times"),
    [("ROWS", "50", "(rows|lines)", 1), ("BYTES", "500", "bytes", 3)],
)
def test_a_file_is_counted_before_it_is_read(
    variable: str, limit: str, counted: str, times: int, suffix: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Too many rows or bytes are refused with the limit; raised as the message says, it is read.

    Bytes are those of the file, of what it unpacks to and of its cells: raised up to three times.
    """
    path = write(tmp_path / f"f{suffix}", table_of(ROWS * 25))
    variable = f"BAYES_PTSD_MAX_{variable}"
    monkeypatch.setenv(variable, limit)
    assert re.search(rf"\d {counted}, and the limit is {limit}; ", refusal(path))
    for _ in range(times):
        with contextlib.suppress(EvidenceError):
            cells(path)
            break
        name, value = refusal(path).split()[-1].split("=")
        assert name == variable
        monkeypatch.setenv(name, value)
    assert len(cells(path)) == 100


@pytest.mark.parametrize("value", ["many", "-1", "0", "1e6", "\u0661"])
def test_a_limit_that_is_no_number_is_refused(
    value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit that is no whole number is named with what to write."""
    path = write(tmp_path / "f.csv", table_of())
    for name in ("BAYES_PTSD_MAX_ROWS", "BAYES_PTSD_MAX_BYTES"):
        monkeypatch.setenv(name, value)
        with pytest.raises(EvidenceError, match=f"{name}: '{value}' is no whole number above 0"):
            read_patient_table(path)
        monkeypatch.setenv(name, " ")
    assert len(cells(path)) == 4


def test_parquet_is_counted_by_its_footer(tmp_path: Path) -> None:
    """Rows beyond the limit in a few bytes are refused at once; equal texts are one in memory."""
    path = tmp_path / "f.parquet"
    pq.write_table(pa.table({"subject": pa.nulls(MAX_ROWS + 1)}), path)
    assert path.stat().st_size < 5000
    assert refusal(path).startswith("has 2,000,001 rows, and the limit is 2,000,000")
    pq.write_table(pa.table({"subject": ["x" * 10_000] * 2_000}), path)
    tracemalloc.start()
    column = read_patient_table(path).cells["subject"]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len({id(cell) for cell in column}) == 1
    assert peak < 2e6
    pq.write_table(pa.table({"subject": [[None] * 300_000]}), path)
    assert cells(path) == [[[]]]


def test_data_sets_are_counted_by_their_head(tmp_path: Path) -> None:
    """A head that announces a billion rows is refused, and one that announces a few too many."""
    path = write(tmp_path / "f.dta", table_of())
    content = path.read_bytes()
    place = content.index(b"<N>") + 3
    path.write_bytes(content[:place] + struct.pack("<Q", 10**9) + content[place + 8 :])
    assert refusal(path).startswith("has 1,000,000,000 rows")
    path = write(tmp_path / "f.sas7bdat", table_of())
    content = path.read_bytes()
    place = content.index(struct.pack("<I", 0xF7F7F7F7)) + 24
    for rows, message in ((10**9, "has 1,000,000,000 rows"), (7, "expected number of rows")):
        path.write_bytes(content[:place] + struct.pack("<I", rows) + content[place + 4 :])
        assert message in refusal(path)


def test_what_hangs_below_a_sheet_costs_nothing(tmp_path: Path) -> None:
    """A blank in the last cell, formats down the sheet and an unnamed last column are passed by."""

    def edit(book: Any, sheet: Any) -> None:
        sheet["A1048576"], sheet["XFD2"] = " ", "x"

    def formats(xml: bytes) -> bytes:
        rows = b"".join(
            b'<row r="%d" ht="15"><c r="A%d" s="0"/><c r="B%d" s="0"></c></row>' % (row, row, row)
            for row in range(6, 100_000)
        )
        return xml.replace(b'<row r="1048576"', rows + b'<row r="1048576"')

    path = edited(sheet_of(tmp_path / "f.xlsx", edit), "sheet1", formats)
    begin = time.process_time()
    assert cells(path) == ROWS
    assert time.process_time() - begin < 3.0  # 0.2 s; read row by row it takes 10


def test_zip_bombs_are_refused_by_their_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What unpacks to too much, has too many parts, formats or entities is refused unread."""
    path = sheet_of(tmp_path / "f.xlsx", lambda book, sheet: None)
    edited(path, "sheet1", lambda xml: xml + b" " * 5_000_000)
    monkeypatch.setenv("BAYES_PTSD_MAX_BYTES", "5000000")
    assert refusal(path).startswith("unpacks to 5,0")
    monkeypatch.delenv("BAYES_PTSD_MAX_BYTES")
    path = sheet_of(tmp_path / "f.xlsx", lambda book, sheet: None)
    edited(path, "styles", lambda xml: xml + b" " * 2**24)
    assert refusal(path).startswith("has more formats than a sheet of patients needs")
    laugh = b'<!DOCTYPE x [<!ENTITY a0 "ha">' + b"".join(
        b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 10)
    )
    path = sheet_of(tmp_path / "f.xlsx", lambda book, sheet: None)
    row = b'<sheetData><row r="9"><c t="str"><v>&a9;</v></c></row>'
    edited(path, "sheet1", lambda xml: laugh + b"]>" + xml.replace(b"<sheetData>", row))
    assert refusal(path).startswith("cannot be read as Excel")
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(10_001):
            archive.writestr(str(number), b"")
    assert refusal(path).startswith("is an archive of 10,001 parts, and the limit is 10,000")


def test_what_is_no_file_is_refused_without_opening_it(tmp_path: Path) -> None:
    """Pipes, folders, sockets, devices and files without end are named, and block nothing."""
    os.mkfifo(tmp_path / "pipe.csv")
    assert refusal(tmp_path / "pipe.csv").startswith("is a pipe; name a file")
    (tmp_path / "folder.xlsx").mkdir()
    assert refusal(tmp_path / "folder.xlsx").startswith("is a folder; ")
    (tmp_path / "device.parquet").symlink_to("/dev/zero")
    assert refusal(tmp_path / "device.parquet").startswith("is a device; ")
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    assert refusal(tmp_path / "loop.csv").startswith("cannot be opened")
    with socket.socket(socket.AF_UNIX) as server, tempfile.TemporaryDirectory() as folder:
        server.bind(f"{folder}/s.sav")
        assert refusal(Path(folder) / "s.sav").startswith("is a socket; ")
    with (tmp_path / "huge.dta").open("wb") as file:
        file.truncate(2**40)
    assert refusal(tmp_path / "huge.dta").startswith("is of 1,099,511,627,776 bytes")


def test_too_many_columns_are_refused(tmp_path: Path) -> None:
    """A table wider than a sheet of Excel is refused, whatever its format."""
    path = tmp_path / "f.csv"
    path.write_text(",".join(f"c{n}" for n in range(20_000)) + "\n1\n")
    assert refusal(path).startswith("has 20,000 columns, and the limit is 16,384")
    wide = pa.table({f"c{n}": [1] for n in range(17_000)})
    pq.write_table(wide, tmp_path / "f.parquet")
    assert refusal(tmp_path / "f.parquet").startswith("has 17,000 columns")


@pytest.mark.parametrize("quoted", [False, True])
def test_large_text_is_read_and_refused_fast(quoted: bool, tmp_path: Path) -> None:
    """A hundred thousand good lines, and as many bad ones, take a fraction of a second each."""
    path, rows, lines = tmp_path / "f.csv", 100_000, count()
    with path.open("w", newline="") as file:
        out = csv.writer(file, quoting=csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL)
        out.writerow(NAMES)
        out.writerows([f"S{n // 2}", "AB", n % 2 + 1, "drug", n % 977 / 8] for n in range(rows))
    begin = time.process_time()
    table = read_patient_table(path)
    assert time.process_time() - begin < 2.0  # 0.3 s where nothing else runs
    assert table.row == tuple(range(2, rows + 2))
    assert table.cells["value"].tolist()[-1] == str((rows - 1) % 977 / 8)
    path.write_text(HEAD + "\n" + "\n".join(f"a,b,{next(lines)}" for _ in range(rows)))
    begin = time.process_time()
    table = read_patient_table(path)
    assert time.process_time() - begin < 2.0
    assert table.refusals[-1] == (rows + 1, "has 3 fields, the header 5")


def test_line_numbers_hold_in_blocks(tmp_path: Path) -> None:
    """Fields over several lines do not shift the lines of records far below."""
    path = tmp_path / "f.csv"
    body = ["1,2\n", '"a\nb\r\nc",3\n', "\n", "4,5\n"] * 11_000
    path.write_text("x,y\n" + "".join(body) + "bad\n", newline="")
    table = read_patient_table(path)
    assert table.row[-1] == 1 + 6 * 11_000
    assert table.refusals == ((2 + 6 * 11_000, "has 1 fields, the header 2"),)


KINDS = [
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.one_of(st.floats(-1e300, 1e300), st.just(float("nan"))),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.text(max_size=3)),
]
"""Cells of a column: of one kind, or of several."""


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """Draw a table of a few columns and rows."""
    rows = draw(st.integers(1, 6))
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=5))
    columns = [draw(st.lists(kind, min_size=rows, max_size=rows)) for kind in kinds]
    return {f"c{place}": column for place, column in enumerate(columns)}


def check_plain(table: PatientTable) -> None:
    """Check that a table is what readers promise: plain cells, a number for each row, no blanks."""
    assert len(table.row) == len(table.cells)
    assert list(table.row) == sorted(set(table.row))
    for record in table.cells.to_numpy().tolist():
        assert any(cell is not None for cell in record)
        for cell in record:
            assert plain_cell(cell) is cell or plain_cell(cell) == cell


def read_or_refused(path: Path) -> PatientTable | None:
    """Return the table of a file, None if it is refused by one message, in a second."""
    begin = time.process_time()
    table, message = None, f"{path}: "
    try:
        table = read_patient_table(path)
    except EvidenceError as error:
        message = str(error)
    assert time.process_time() - begin < 5.0
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    if table is not None:
        check_plain(table)
    return table


@pytest.mark.parametrize("suffix", FORMATS)
def test_any_table_is_read_cell_by_cell_or_refused(suffix: str) -> None:
    """Any table that a format can hold comes back with its numbers, or with one message."""
    seen = {"read": 0}

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(tables())
    def check(table: Table) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"f{suffix}"
            try:
                write(path, table)
            except Exception:  # the library cannot write this table, so there is no file to read
                return
            if (found := read_or_refused(path)) is None:
                return
        seen["read"] += 1
        for name, column in table.items():
            numbers = {x for x in column if x == x}
            if suffix in BINARY and name in found.cells and {*map(type, column)} <= {int, float}:
                assert numbers == {x for x in found.cells[name] if x is not None}

    check()
    assert seen["read"] >= 3


def spoiled(content: bytes, rng: random.Random) -> bytes:
    """Return a file with some bytes changed, mostly in its head, or cut off."""
    spoilt = bytearray(content)
    reach = min(len(spoilt), rng.choice([400, 4000, len(spoilt)]))
    for _ in range(rng.choice([0, 1, 2, 8])):
        spoilt[rng.randrange(reach)] = rng.choice([0, 1, 127, 255, rng.randrange(256)])
    return bytes(spoilt[: rng.randrange(1, len(spoilt))] if rng.random() < 0.3 else spoilt)


def damaged(path: Path, table: Table, number: int) -> Iterator[bytes]:
    """Yield damaged versions of a file, and its beginning before noise."""
    rng = random.Random(number)
    content = write(path, table).read_bytes()
    for _ in range(number):
        yield spoiled(content, rng)
    for size in (8, 80, 180, 400):
        yield content[:size] + rng.randbytes(300)


@pytest.mark.parametrize("suffix", FORMATS)
def test_any_damage_is_read_or_refused(suffix: str, tmp_path: Path) -> None:
    """Files with bytes changed, cut off or replaced by noise are refused or read: no other error.

    The native readers of SPSS and Parquet end Python on some of them if they are not checked.
    """
    table = table_of()
    for content in damaged(tmp_path / f"whole{suffix}", table, 120):
        path = tmp_path / f"f{suffix}"
        path.write_bytes(content)
        read_or_refused(path)


def test_spss_labels_that_fit_no_variable_are_refused(tmp_path: Path) -> None:
    """Value labels of what is no variable, which crash the native reader, are one message."""
    path = tmp_path / "f.sav"
    labels = {"period": {1: "first"}}
    pyreadstat.write_sav(pd.DataFrame(table_of()), str(path), variable_value_labels=labels)
    content = bytearray(path.read_bytes())
    assert read_patient_table(path).labels == {"period": {1: "first"}}
    content[180] = 172  # the width of the first variable, in the record after the header
    path.write_bytes(content)
    assert "does not have the width that it announces" in refusal(path)


CASES = {
    "c13-sep-line/b02_sep.csv": "line 1 (sep=;) names the separator and is not data",
    "c15-xpt-latin1-label/b04_cp1252.xpt": "",
    "c18-nfd/b04_nfd.csv": "",
    "c19-hidden-rows/b07_hidden.xlsx": "2 hidden rows were read (rows 4 and 5)",
    "f-xlsx_filtered/data.xlsx": "1 hidden row was read (row 2)",
    "f-xlsx_stray_row/data.xlsx": "",
}


@pytest.mark.shared
@pytest.mark.parametrize("case", CASES)
def test_cases_are_read(case: str, shared: Path) -> None:
    """Files that people handed in are read, with a note of what is odd about them."""
    path = shared / "cases" / case
    trial = load_trial(next(path.parent.glob("*.toml")))
    assert next(iter(load_patients(path, trial).notes), "") == CASES[case]


@pytest.mark.shared
def test_the_case_of_a_title_is_refused(shared: Path) -> None:
    """A title, an empty row and the header in row 3 give the row of the header."""
    path = shared / "cases" / "c14-title-row" / "b06_title.xlsx"
    assert refusal(path).startswith("row 1 does not look like a header; row 3 does")
