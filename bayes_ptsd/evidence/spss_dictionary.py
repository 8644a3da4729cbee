"""The dictionary of an SPSS data set, checked before the native reader trusts it.

Value labels that point between the variables end that reader, and Python with it, by a
segmentation fault; a damaged file must be refused like any other.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

__all__ = ["check_spss_dictionary"]

# bytes of the header, before the first record of the dictionary
HEADER = 176
# where the header has its layout code, 2 or 3 in the byte order of the file
LAYOUT = slice(64, 68)
# kinds of records: variable, value labels, the variables they are of, document, extension, end
VARIABLE, LABELS, LABELLED, DOCUMENT, EXTENSION, END = 2, 3, 4, 6, 7, 999
# bytes of a variable's record without its label, of a cell, and of a line of a document
VARIABLE_BYTES, CELL, LINE = 32, 8, 80


def check_spss_dictionary(content: bytes) -> None:
    """Raise ValueError where widths, continuations and value labels of variables do not fit."""
    order = "<" if int.from_bytes(content[LAYOUT], "little") in (2, 3) else ">"

    def numbers(place: int, count: int) -> tuple[int, ...]:
        return struct.unpack_from(f"{order}{count}i", content, place)

    place, slots, owed = HEADER, 0, 0
    starts: set[int] = set()
    while (kind := numbers(place, 1)[0]) != END:
        if kind == VARIABLE:
            width, label, missing = numbers(place + 4, 3)
            if (width == -1) != (owed > 0):
                raise ValueError(f"variable {slots + 1} does not have the width that it announces")
            slots += 1
            if width >= 0:
                starts.add(slots)
                owed = max(0, -(-width // CELL) - 1)
            else:
                owed -= 1
            end = place + VARIABLE_BYTES
            if label:
                end += 4 + -(-numbers(end, 1)[0] // 4) * 4
            end += CELL * abs(missing)
        else:
            end = _after(kind, place, content, numbers, starts)
        if end <= place:
            raise ValueError(f"a record of the dictionary at byte {place} has no length")
        place = end


def _after(
    kind: int,
    place: int,
    content: bytes,
    numbers: Callable[[int, int], tuple[int, ...]],
    starts: set[int],
) -> int:
    """Return where a record that is no variable ends; value labels must be of variables."""
    if kind == EXTENSION:
        size, count = numbers(place + 8, 2)
        return place + 16 + max(size, 0) * max(count, 0)
    count = numbers(place + 4, 1)[0]
    end = place + 8
    if kind == DOCUMENT:
        return end + LINE * count
    if kind == LABELS:
        for _ in range(count):
            end += CELL + -(-(1 + content[end + CELL]) // CELL) * CELL
        return end
    if kind != LABELLED or not set(numbers(end, max(count, 0))) <= starts:
        raise ValueError(f"the dictionary has no variable for what stands at byte {place}")
    return end + 4 * count
