"""Writes small SAS data files for tests: 32 bits, little endian, no compression.

No Python library writes the format. What is here follows the offsets that the readers use.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

MAGIC = bytes(12) + bytes.fromhex("c2ea8160b31411cfbd92080009c7318c181f1011")
HEADER, PAGE, POINTER = 1024, 65536, 12
UTF8 = 20
MISSING = struct.pack("<Q", 0xFFFFFE0000000000)
Column = Sequence[float | None] | Sequence[str]


def write_sas7bdat(path: Path, columns: dict[str, Column]) -> None:
    """Write columns, each of numbers (None: missing) or of texts, to a file."""
    fields = [_field(values) for values in columns.values()]
    widths = [len(field[0]) if field else 8 for field in fields]
    rows = [b"".join(cells) for cells in zip(*fields, strict=True)]
    per_page = (PAGE - 24) // max(sum(widths), 1)
    chunks = [rows[at : at + per_page] for at in range(0, len(rows), per_page)]
    pages = [_meta(columns, widths, len(rows)), *map(_data, chunks)]
    path.write_bytes(_header(len(pages)) + b"".join(pages))


def _field(values: Column) -> list[bytes]:
    """Return the bytes of every cell of a column, numbers as doubles, texts of one width."""
    if _is_text(values):
        texts = [str(value).encode() for value in values]
        width = max([1, *map(len, texts)])
        return [text.ljust(width) for text in texts]
    return [MISSING if value is None else struct.pack("<d", value) for value in values]


def _is_text(values: Column) -> bool:
    """Tell columns of text."""
    return any(isinstance(value, str) for value in values)


def _header(pages: int) -> bytes:
    """Return the header of the file."""
    header = bytearray(HEADER)
    header[:32] = MAGIC
    header[37], header[39], header[70] = 1, ord("2"), UTF8
    header[84:92], header[156:164] = b"SAS FILE", b"DATA    "
    header[92:124] = b"PATIENTS".ljust(32)
    struct.pack_into("<dd", header, 164, 2.0e9, 2.0e9)
    struct.pack_into("<III", header, 196, HEADER, PAGE, pages)
    header[216:224] = b"9.0401M6"
    return bytes(header)


def _data(rows: Sequence[bytes]) -> bytes:
    """Return a page of rows."""
    return (bytes(16) + struct.pack("<HHHH", 0x100, len(rows), 0, 0) + b"".join(rows)).ljust(
        PAGE, b"\0"
    )


def _meta(columns: dict[str, Column], widths: Sequence[int], count: int) -> bytes:
    """Return the page that describes the columns."""
    parts = _subheaders(columns, widths, count)
    page = bytearray(PAGE)
    struct.pack_into("<HHHH", page, 16, 0, len(parts), len(parts), 0)
    end = PAGE
    for number, part in enumerate(parts):
        end -= len(part)
        page[end : end + len(part)] = part
        struct.pack_into("<IIBBH", page, 24 + POINTER * number, end, len(part), 0, 0, 0)
    return bytes(page)


def _subheaders(columns: dict[str, Column], widths: Sequence[int], count: int) -> list[bytes]:
    """Return row size, number of columns, texts, names, attributes and a format per column."""
    size = bytearray(480)
    struct.pack_into("<I", size, 0, 0xF7F7F7F7)
    struct.pack_into("<II", size, 20, sum(widths), count)
    struct.pack_into("<II", size, 36, len(columns), 0)
    text, names, attributes, offset = bytearray(32), b"", b"", 0
    for (name, values), width in zip(columns.items(), widths, strict=True):
        names += struct.pack("<HHHH", 0, len(text), len(name), 0)
        text += name.encode()
        kind = 2 if _is_text(values) else 1
        attributes += struct.pack("<IIHBB", offset, width, 4, kind, 0)
        offset += width
    text += bytes(8 + -len(text) % 4)
    struct.pack_into("<H", text, 0, len(text) - 8)
    formats = [struct.pack("<I", 0xFFFFFBFE) + bytes(48) for _ in columns]
    return [
        bytes(size),
        struct.pack("<III", 0xF6F6F6F6, len(columns), 0),
        struct.pack("<I", 0xFFFFFFFD) + bytes(text),
        _listed(0xFFFFFFFF, names),
        _listed(0xFFFFFFFC, attributes),
        *formats,
    ]


def _listed(signature: int, entries: bytes) -> bytes:
    """Return a subheader that lists one entry a column."""
    return struct.pack("<IHHI", signature, len(entries) + 8, 0, 0) + entries + bytes(8)
