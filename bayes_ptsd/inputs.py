"""Files that people write by hand, taken in within bounds: text, TOML, and the values of its keys.

Whatever a file holds, reading it ends in values of the right type and size or in one error that
names the file and the key.
"""

from __future__ import annotations

import os
import reprlib
import stat
import tomllib
import unicodedata
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, BinaryIO

from bayes_ptsd.errors import BayesPtsdError, SpecError, refuse_unknown_keys, shown, visible

__all__ = [
    "LARGEST",
    "LONGEST_TEXT",
    "REORDERING",
    "SpecialFileError",
    "TomlTable",
    "is_number",
    "looks_like",
    "open_regular",
    "read_bytes",
    "read_text",
    "read_toml",
    "short",
]

# bytes of a file that people write by hand; the longest that is shipped has 16 kB
LARGEST_FILE = 1_000_000
# beyond any score, and below 2^53 = 9.0e15, up to which a float has every whole number
LARGEST = 1e15
# characters of a name, a label or a title, of which several stand on one line of a page
LONGEST_NAME = 200
# characters of a text that explains: a paragraph
LONGEST_TEXT = 2000
# characters that reorder a line or end it: no name can hold them and look like itself
REORDERING = frozenset(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A))))
NO_NAME = ("Cc", "Cs", "Zl", "Zp")
KINDS = {
    stat.S_IFLNK: "a link",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}


class SpecialFileError(OSError):
    """What stands where a file should be, such as "a pipe", in its `strerror`."""


class _Short(reprlib.Repr):
    """Values as messages quote them: cut, and safe of depth and digits."""

    def repr_int(self, x: int, level: int) -> str:
        """Return a whole number, or that it is a long one."""
        return repr(x) if abs(x) < LARGEST else "a whole number beyond 1e15"

    def repr_bool(self, x: bool, level: int) -> str:
        """Return a truth value as TOML has it."""
        return str(x).lower()

    def repr_date(self, x: date, level: int) -> str:
        """Return a date or a time as TOML has it."""
        return x.isoformat()

    repr_datetime = repr_time = repr_date


def short(value: object) -> str:
    """Return a value as a message quotes it, cut where it is long."""
    return _Short().repr(value)


def open_regular(path: Path, *, follow: bool = True) -> BinaryIO:
    """Open a file that is one; a pipe or a device is a SpecialFileError, and never waited for.

    So is a link unless links are followed.
    """
    kind = stat.S_IFMT(os.stat(path, follow_symlinks=follow).st_mode)
    if kind != stat.S_IFREG:
        raise SpecialFileError(0, KINDS.get(kind, "a device"))
    # a pipe that takes the place of the file after it was looked at must not be waited for
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    return open(os.open(path, flags | (0 if follow else getattr(os, "O_NOFOLLOW", 0))), "rb")


def read_bytes(
    path: Path | Traversable, where: str, *, error: type[BayesPtsdError] = SpecError
) -> bytes:
    """Return the bytes of a regular file of at most 1 MB; messages call it `where`."""
    try:
        with open_regular(path) if isinstance(path, Path) else path.open("rb") as file:
            content: bytes = file.read(LARGEST_FILE + 1)
    except SpecialFileError as problem:
        raise error(f"{where}: is {problem.strerror}; name a text file") from problem
    except FileNotFoundError as problem:
        raise error(f"{where}: cannot be read: there is no such file") from problem
    except (OSError, ValueError) as problem:  # the latter for NUL in a name
        reason = getattr(problem, "strerror", None) or problem
        raise error(f"{where}: cannot be read ({reason}); name a text file") from problem
    if len(content) > LARGEST_FILE:
        raise error(f"{where}: is larger than 1 MB, more than anybody writes by hand; is it data?")
    return content


def read_text(
    path: Path | Traversable, where: str, *, error: type[BayesPtsdError] = SpecError
) -> str:
    """Return the text of a file in UTF-8, with or without a byte-order mark, lines ending in LF."""
    try:
        text = read_bytes(path, where, error=error).decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise error(
            f"{where}: cannot be read as UTF-8 text (byte {problem.start + 1}); save it as UTF-8"
        ) from problem
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_toml(path: Path | Traversable, where: str | None = None) -> TomlTable:
    """Return the tables of a TOML file."""
    where = str(path) if where is None else where
    text = read_text(path, where)
    try:
        return TomlTable(tomllib.loads(text), where)
    except RecursionError as problem:
        raise SpecError(f"{where}: not valid TOML: brackets within brackets too deep") from problem
    except ValueError as problem:  # also numbers of more digits than Python reads
        raise SpecError(f"{where}: not valid TOML: {problem}") from problem


def is_number(value: object) -> bool:
    """Tell numbers that a score can be from everything else: no truth value, NaN, inf or 1e300."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST


@dataclass(frozen=True)
class TomlTable:
    """One table of a TOML file, whose values are checked as they are asked for."""

    content: dict[str, Any]
    where: str  # file, and table within it

    def refuse(self, key: str, expected: str) -> SpecError:
        """Return the error about the value of a key."""
        if key not in self.content:
            return SpecError(f"{self.where}: '{shown(key)}' is missing; it must be {expected}")
        got = short(self.content[key])
        return SpecError(f"{self.where}: '{shown(key)}' must be {expected}, got {got}")

    def only(self, allowed: Collection[str]) -> None:
        """Refuse keys that are none of those allowed."""
        refuse_unknown_keys(self.content, allowed, self.where, error=SpecError)

    def version(self, number: int = 1) -> None:
        """Refuse a file of another schema."""
        found = self.content.get("schema")
        if isinstance(found, bool) or found != number:
            got = short(found)
            raise SpecError(f"{self.where}: 'schema' is {got}; write 'schema = {number}'")

    def table(self, key: str, *, named: bool = False) -> TomlTable:
        """Return a table within this one, empty where absent; the keys of a `named` one are names.

        Names are normalized, and refused where two of them look the same.
        """
        place = f"{self.where} [{shown(key)}]"
        found = self.content.get(key, {})
        if not isinstance(found, dict):
            raise SpecError(f"{self.where}: '{shown(key)}' is not a table; write [{shown(key)}]")
        return TomlTable(_named(found, place) if named else found, place)

    def tables(self) -> Iterator[tuple[str, TomlTable]]:
        """Yield every key with the table that it must hold."""
        for key, value in self.content.items():
            place = f"{self.where.removesuffix(']')}.{shown(key)}]"
            if not isinstance(value, dict):
                raise SpecError(f"{place}: must be a table, got {short(value)}")
            yield key, TomlTable(value, place)

    def text(self, key: str, default: str | None = None, *, longest: int = LONGEST_NAME) -> str:
        """Return a text for people: composed, stripped, control characters as escapes."""
        if default is not None and key not in self.content:
            return default
        value = self.content.get(key)
        if not isinstance(value, str) or not value.strip():
            raise self.refuse(key, "a text in quotation marks")
        if len(value) > longest:
            raise self.refuse(key, f"at most {longest} characters long")
        return visible(_composed(value))

    def name(self, key: str) -> str:
        """Return a text that cells of a data file have to match, composed and stripped."""
        self.text(key)
        return _name(self.content[key], f"{self.where}: '{key}'")

    def names(self, key: str, what: str) -> tuple[str, ...]:
        """Return a list of names, empty where absent."""
        value = self.content.get(key, [])
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise self.refuse(key, f"a list of {what}, such as ['a', 'b']")
        return tuple(_name(one, f"{self.where}: '{shown(key)}'") for one in value)

    def one_of(self, key: str, allowed: tuple[str, ...], default: str | None = None) -> Any:
        """Return a text of a closed list."""
        value = self.content.get(key, default)
        if not isinstance(value, str) or value not in allowed:
            raise self.refuse(key, f"one of {', '.join(allowed)}")
        return value

    def number(self, key: str) -> float:
        """Return a number that a score can be."""
        if not is_number(self.content.get(key)):
            raise self.refuse(key, "a number from -1e15 to 1e15")
        return float(self.content[key])

    def positive(self, key: str) -> float | None:
        """Return a positive number, None where absent."""
        if key not in self.content:
            return None
        value = self.content[key]
        if not is_number(value) or value < 1 / LARGEST:
            raise self.refuse(key, "a positive number from 1e-15 to 1e15")
        return float(value)


def _composed(text: str) -> str:
    """Return a text without blanks around it, letters and their accents in one character each."""
    return unicodedata.normalize("NFC", text).strip()


def _name(text: str, where: str) -> str:
    """Return a name, composed and stripped, or refuse it."""
    name = _composed(text)
    if not name:
        raise SpecError(f"{where} is empty; write a name")
    if len(name) > LONGEST_NAME:
        raise SpecError(f"{where} '{shown(name)}' is longer than {LONGEST_NAME} characters")
    odd = [one for one in name if unicodedata.category(one) in NO_NAME or one in REORDERING]
    if odd:
        raise SpecError(
            f"{where} '{shown(name)}' holds the control character {visible(odd[0])}; leave it out"
        )
    return name


def _named(table: dict[str, Any], where: str) -> dict[str, Any]:
    """Return a table whose keys are names, none of which looks like another."""
    seen: dict[str, str] = {}
    found = {}
    for key, value in table.items():
        name = _name(key, f"{where} key")
        look = looks_like(name)
        if look in seen:
            raise SpecError(
                f"{where}: '{shown(seen[look])}' and '{shown(name)}' look the same; rename one"
            )
        seen[look] = name
        found[name] = value
    return found


def looks_like(name: str) -> str:
    """Return what names that people take for one another share: no case, marks or spacing."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    return " ".join("".join(c for c in plain if unicodedata.category(c) != "Cf").split())
