"""Trial and model files with any value in the place of any key, as TOML text."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

__all__ = ["GOOD_TRIAL", "altered", "anything", "toml"]

GOOD_TRIAL: dict[str, Any] = {
    "schema": 1,
    "name": "asthma",
    "title": "Asthma trial",
    "design": "crossover",
    "treatments": {"active": "formoterol", "control": "salbutamol"},
    "endpoints": {
        "pef": {
            "label": "Peak flow", "kind": "continuous", "better": "higher", "unit": "L/min",
            "range": [0, 900], "mcid": 20, "mcid_basis": "a guideline", "reference_sd": 60.0,
            "residual_sd": 40.0, "domain": "lung function",
        },
        "relief": {"kind": "binary", "better": "higher", "event": "yes"},
    },
    "sequences": {"FS": ["formoterol", "salbutamol"], "SF": ["salbutamol", "formoterol"]},
    "columns": {"subject": "patient", "value": "score"},
    "visits": {"8h": 8, "12h": 12},
    "data": {"decimal": ",", "factors": ["site"], "replicates": "mean"},
}  # fmt: skip

texts = st.text(max_size=30) | st.sampled_from(
    ["", " ", "\x1b[2J", "a\nb", "\u202egnp", "a\x00", "../../x", "=1+1", "$x$ ${y}", "[/red]",
     "<script>", "formoterol", "FORMOTEROL ", "cafe\u0301", "\x7f", "\x9b31m", "x" * 3000, "binary",
     "ordinal", "parallel", "0", "\U0001f600"]
)  # fmt: skip
numbers = st.floats() | st.integers() | st.sampled_from([10**400, 16**3000, 5e-324, 1e300, -0.0, 0])
dates = st.dates() | st.times() | st.datetimes()
plain = texts | numbers | st.booleans() | dates
anything = st.recursive(
    plain,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)  # fmt: skip


def toml(value: Any) -> str:
    """Return a value as TOML, tables inline."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{toml(key)} = {toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, str):
        odd = set('"\\\x7f') | {one for one in value if ord(one) < 32}
        return '"' + "".join(f"\\U{ord(c):08x}" if c in odd else c for c in value) + '"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else str(value).replace("+", "")
    return hex(value) if value > 10**400 else str(value)


def document(table: Mapping[str, Any]) -> str:
    """Return a table as the text of a TOML file."""
    return "".join(f"{toml(key)} = {toml(value)}\n" for key, value in table.items())


def places(table: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return the path of every key of a table and of the tables within it."""
    below = [
        (key, *path)
        for key, value in table.items()
        if isinstance(value, Mapping)
        for path in places(value)
    ]
    return [*((key,) for key in table), *below]


def put(table: Mapping[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """Return a table with another value at a path."""
    key, *rest = path
    return {**table, key: put(table[key], tuple(rest), value) if rest else value}


def like(value: Any) -> st.SearchStrategy[Any]:
    """Return values of the type of a good one, many of which are good ones themselves."""
    if isinstance(value, str):
        return texts | st.text("abcXYZ \u00e9\u0301", min_size=1, max_size=9)
    if isinstance(value, list):
        return st.lists(st.sampled_from(value), max_size=3)
    if isinstance(value, Mapping):
        keys = st.text(min_size=1, max_size=9) | st.sampled_from(list(value))
        return st.dictionaries(keys, st.sampled_from(list(value.values())), max_size=3)
    return numbers | st.integers(1, 1000) | st.floats(0.01, 1000)


def altered(good: Mapping[str, Any]) -> st.SearchStrategy[str]:
    """Return the text of a good file with other values at one to three of its keys, or new keys."""
    new = [("unknown",), ("title",), ("endpoints", "../../x"), ("sequences", "X\nY")]
    where = [*places(good), *(path for path in new if len(path) == 1 or path[0] in good)]
    change = st.sampled_from(where).flatmap(
        lambda path: st.tuples(
            st.just(path), like(at(good, path)) | like(at(good, path)) | anything
        )
    )

    def written(given: list[tuple[tuple[str, ...], Any]]) -> str:
        table: Mapping[str, Any] = good
        for path, value in given:
            if isinstance(at(table, path[:-1]), Mapping):
                table = put(table, path, value)
        return document(table)

    return st.lists(change, min_size=1, max_size=3).map(written)


def at(table: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    """Return the value at a path, an empty text where there is none."""
    value: Any = table
    for key in path:
        value = value.get(key, "") if isinstance(value, Mapping) else ""
    return value
