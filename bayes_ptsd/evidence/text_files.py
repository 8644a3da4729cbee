"""Delimited text as patients' files have it: lines counted as an editor does, nothing guessed."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence.file_limits import check_cells, check_rows
from bayes_ptsd.evidence.plain_cells import (
    Content,
    Objects,
    Refusal,
    plain_column,
    plain_text,
    refuse_title,
    table_of,
)

__all__ = ["read_csv"]

DELIMITERS = ",;\t|"
# Excel's own first line, which says what separates the fields
SEPARATOR = re.compile(r'"?sep=([^\w"\r\n])"?[,;\t]*(\r\n|\r|\n)', re.IGNORECASE | re.ASCII)
LINE_END = re.compile(r"\r\n|\r|\n")
# records that are split at a time: few enough that their lists do not slow the garbage collector
BLOCK = 20_000
# records among which the header is looked for, if the first is none
SAMPLE = 20

Block = tuple[NDArray[np.int64], list[list[str]]]
"""Lines on which records begin, and the records."""


def read_csv(path: Path, content: bytes) -> Content:
    """Read delimited text; lines of another width than the header's are refused one by one."""
    lines = max(content.count(b"\n"), content.count(b"\r"))
    check_rows(path, lines, unit="lines")
    text = _decoded(path, content)
    said = SEPARATOR.match(text)
    delimiter = said[1] if said else "\t" if path.suffix.lower() == ".tsv" else _delimiter(text)
    check_cells(path, text.count(delimiter) + lines)
    blocks = _blocks(path, text[said.end() :] if said else text, delimiter, 2 if said else 1)
    header, body = _header(path, blocks, delimiter)
    check_cells(path, 0, len(header))
    columns, rows, refusals = _columns(body, len(header))
    note = f"line 1 (sep={delimiter}) names the separator and is not data"
    names = [plain_text(name) for name in header]
    return Content(table_of(columns, names), rows, refusals=refusals, notes=[note] if said else [])


def _decoded(path: Path, content: bytes) -> str:
    """Decode UTF-8, with or without a mark at its start."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise EvidenceError(
            f"{path}: is not UTF-8 text but UTF-16, as Excel's 'Unicode Text' is; save it as CSV "
            "UTF-8"
        )
    if (zero := content.find(b"\0")) >= 0:
        line = content.count(b"\n", 0, zero) + 1
        raise EvidenceError(
            f"{path}: is not UTF-8 text (line {line} has a zero byte: it is UTF-16, or no text at "
            "all); save it as CSV UTF-8"
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise EvidenceError(
            f"{path}: line {line} has a character that is not UTF-8; save the file as CSV UTF-8 "
            "(in Excel a type of its own under Save As)"
        ) from error


def _delimiter(text: str) -> str:
    """Return the delimiter that splits the header into most fields; a comma if none does."""
    header = next((line for line in io.StringIO(text, newline="") if line.strip()), "")
    return max(DELIMITERS, key=lambda mark: len(_split(header, mark)))


def _split(line: str, delimiter: str) -> list[str]:
    """Return the fields of one line, none of a line that is not CSV."""
    try:
        return next(csv.reader([LINE_END.sub(" ", line)], delimiter=delimiter), [])
    except csv.Error:
        return []


def _blocks(path: Path, text: str, delimiter: str, begin: int) -> Iterator[Block]:
    """Split text into records, a block at a time; the first line is number `begin`."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    before = begin - 1
    while True:
        records: list[list[str]] = []
        try:
            records.extend(islice(reader, BLOCK))
        except csv.Error as error:
            line = begin + int(_heights(records).sum())
            raise EvidenceError(
                f"{path}: line {line} is not CSV ({error}); look for a stray quotation mark"
            ) from error
        if not records:
            return
        after = before + reader.line_num + 1
        alone = after - begin == len(records)
        heights = np.ones(len(records), dtype=np.int64) if alone else _heights(records)
        yield begin + np.cumsum(heights) - heights, records
        begin = after


def _heights(records: list[list[str]]) -> NDArray[np.int64]:
    """Return the number of lines that each record goes over."""
    ends = [sum(len(LINE_END.findall(field)) for field in record) for record in records]
    return np.array(ends, dtype=np.int64) + 1


def _header(
    path: Path, blocks: Iterator[Block], delimiter: str
) -> tuple[list[str], Iterator[Block]]:
    """Return the first record that has content, and the blocks after it."""
    for lines, records in blocks:
        for place, record in enumerate(records):
            if not _blank(record):
                found = lines[place:], records[place:]
                _check_header(path, found, delimiter)
                return record, chain([(found[0][1:], found[1][1:])], blocks)
    return [], iter(())


def _check_header(path: Path, block: Block, delimiter: str) -> None:
    """Refuse titles above the header; where nothing below has its width, by any delimiter."""
    lines, records = block[0].tolist(), block[1][:SAMPLE]
    width = len(records[0])
    sure = width == 1 or all(len(r) != width for r in records[1:] if not _blank(r))
    for mark in DELIMITERS if sure else delimiter:
        again = [_split(delimiter.join(r), mark) for r in records] if mark != delimiter else records
        rows = [
            (line, [plain_text(field) for field in record if field.strip()])
            for line, record in zip(lines, again, strict=False)
        ]
        refuse_title(path, [row for row in rows if row[1]], unit="line", sure=sure)


def _columns(
    blocks: Iterator[Block], width: int
) -> tuple[list[Objects], NDArray[np.int64], list[Refusal]]:
    """Return plain cells by column and their lines; refuse records of another width."""
    refusals: list[Refusal] = []
    parts, rows = [np.empty((0, width), dtype=object)], [np.empty(0, dtype=np.int64)]
    for lines, records in blocks:
        widths = np.fromiter(map(len, records), dtype=np.int64, count=len(records))
        fits = widths == width
        for place in np.flatnonzero(~fits).tolist():
            if not _blank(records[place]):
                reason = f"has {len(records[place])} fields, the header {width}"
                refusals.append((int(lines[place]), reason))
        kept = records if fits.all() else [r for r in records if len(r) == width]
        cells = np.fromiter(chain.from_iterable(kept), dtype=object, count=len(kept) * width)
        parts.append(cells.reshape(len(kept), width))
        rows.append(lines[fits])
    cells = np.concatenate(parts)
    return [plain_column(cells[:, place]) for place in range(width)], np.concatenate(rows), refusals


def _blank(record: list[str]) -> bool:
    """Tell whether a record has nothing in it."""
    return not any(field.strip() for field in record)
