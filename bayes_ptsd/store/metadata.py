"""What sidecars, manifests, tags and tombstones hold: every key and what its value must be.

A seal tells that a file is as it was written, not that it was written well. These rules are asked
when one is written and whenever one is read. docs/guides/store.md describes every key.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from bayes_ptsd.errors import StoreError

__all__ = [
    "DATA_FILE",
    "ID",
    "KINDS",
    "RUN_ID",
    "TAG",
    "checked_manifest",
    "checked_sidecar",
    "checked_tag",
    "checked_tombstone",
    "is_result_id",
]

ID = re.compile(r"[0-9a-f]{8,64}")
DATA_FILE = re.compile(r"([0-9a-f]{8,64})-([0-9a-f]{16})\.nc")
RUN_ID = re.compile(r"[0-9]{8}T[0-9]{6}\.[0-9]{6}Z-[0-9a-f]{8}")
TAG = re.compile(r"[A-Za-z][\w.-]{0,63}")
SHA256 = re.compile(r"[0-9a-f]{64}")
KINDS = ("published", "reconstructed", "simulated", "patients")
FIGURES = ("mean", "median", "sd", "mcse_mean", "prob_benefit", "prob_gt_mcid", "null")
# a value in a message: enough to recognize it by, whatever somebody put there
SHOWN = 60


class Rule(NamedTuple):
    """What the value of a key must be, as a test and in words."""

    holds: Callable[[Any], bool]
    words: str


def is_result_id(text: object) -> bool:
    """Tell whether a value is 8 to 64 lower-case hexadecimal digits, which no path can be."""
    return isinstance(text, str) and ID.fullmatch(text) is not None


def _is_text(value: Any) -> bool:
    """Tell whether a value is a text."""
    return isinstance(value, str)


def _is_count(value: Any) -> bool:
    """Tell whether a value is a whole number from zero, and no truth value."""
    return type(value) is int and value >= 0


def _is_number(value: Any) -> bool:
    """Tell whether a value is a number that a float can be."""
    try:
        return type(value) in (int, float) and abs(float(value)) < float("inf")
    except OverflowError:
        return False


def _is_moment(value: Any) -> bool:
    """Tell whether a text is a moment in ISO 8601 with its time zone."""
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def _is_pair(value: Any) -> bool:
    """Tell whether a value is an interval: two numbers, null where undefined."""
    return isinstance(value, list) and len(value) == 2 and all(map(_number_or_null.holds, value))


def _is_estimand(value: Any) -> bool:
    """Tell whether a value is a table of figures, intervals and regions."""
    if not isinstance(value, dict):
        return False
    rope = value.get("rope", {})
    return (
        all(_number_or_null.holds(value.get(name)) for name in FIGURES)
        and all(_is_pair(value[name]) for name in ("eti95", "hdi95") if name in value)
        and isinstance(rope, dict)
        and all(map(_number_or_null.holds, rope.values()))
    )


def _or_null(rule: Rule) -> Rule:
    """Return a rule that null keeps as well."""
    return Rule(lambda value: value is None or rule.holds(value), f"{rule.words} or null")


def _all_of(kind: type, rule: Rule, words: str) -> Rule:
    """Return the rule of a list or a table whose items all keep a rule."""
    if kind is dict:
        return Rule(lambda v: isinstance(v, dict) and all(map(rule.holds, v.values())), words)
    return Rule(lambda v: isinstance(v, list) and all(map(rule.holds, v)), words)


def _like(pattern: re.Pattern[str], words: str) -> Rule:
    """Return the rule of a text of one pattern."""
    return Rule(lambda v: isinstance(v, str) and pattern.fullmatch(v) is not None, words)


_text = Rule(_is_text, "a text")
_table = Rule(lambda value: isinstance(value, dict), "a table")
_number_or_null = _or_null(Rule(_is_number, "a number"))
_text_or_null = _or_null(_text)
_moment = Rule(_is_moment, "a moment in ISO 8601 with its time zone")
_versions = _all_of(dict, _text, "a table of texts")
_id = Rule(is_result_id, "8 to 64 lower-case hexadecimal digits")
_run_id = _like(RUN_ID, "the id of a run")

SIDECAR: Mapping[str, Rule] = {
    "result_id": _id,
    "sha256": _like(SHA256, "64 hexadecimal digits"),
    "file": _like(DATA_FILE, "<id>-<first 16 digits of its SHA-256>.nc"),
    "size": Rule(_is_count, "a number of bytes"),
    "created": _moment,
    "package_version": _text,
    "model": _text,
    "spec": _table,
    "evidence_kind": Rule(lambda value: value in KINDS, f"one of {', '.join(KINDS)}"),
    "evidence_digest": _text,
    # of a fit that somebody sampled elsewhere nobody may know it
    "seed": _or_null(
        Rule(
            lambda value: type(value) is int or value == "not known",
            "a whole number, or 'not known'",
        )
    ),
    "versions": _versions,
    "seconds": _number_or_null,
    "warnings": _or_null(_all_of(list, _text, "a list of texts")),
    "checks_passed": Rule(lambda v: v is None or (v in (0, 1) and not _is_text(v)), "1, 0 or null"),
    "summary": _or_null(
        _all_of(dict, Rule(_is_estimand, ""), "a table of estimands with numbers as their figures")
    ),
    **dict.fromkeys(
        ("endpoint", "contrast", "prior", "convention", "crossover_reading", "engine"),
        _text_or_null,
    ),
}
"""Keys that every sidecar has."""
LATER: Mapping[str, Rule] = {
    "dropped": _all_of(list, _text, "a list of texts"),
    "reconstructions": _or_null(Rule(_is_count, "a whole number")),
    **dict.fromkeys(("flow_reading", "printed_digest", "nuisance_priors"), _text_or_null),
}
"""Keys of a sidecar that the first version of the format did not write."""
MANIFEST: Mapping[str, Rule] = {
    "run_id": _run_id,
    "kind": _text,
    "created": _moment,
    "request": _table,
    "results": _all_of(list, _id, "a list of result ids"),
    "versions": _versions,
    "notes": _table,
}
TAG_KEYS: Mapping[str, Rule] = {
    "tag": _like(TAG, "a name: a letter, then letters, digits, '.', '-', '_'"),
    "run_id": _run_id,
    "created": _moment,
}
TOMBSTONE: Mapping[str, Rule] = {"result_id": _id, "removed": _moment}


def checked_sidecar(content: Mapping[str, Any], where: object) -> dict[str, Any]:
    """Return a sidecar whose every key is what it must be, with null for later keys it lacks."""
    _check(content, SIDECAR, where)
    _check(content, {key: rule for key, rule in LATER.items() if key in content}, where)
    expected = f"{content['result_id']}-{content['sha256'][:16]}.nc"
    if content["file"] != expected:
        raise StoreError(f"{where}: 'file' is not '{expected}'")
    later = dict.fromkeys(key for key in LATER if key != "dropped")
    return {**later, **content}


def checked_manifest(content: Mapping[str, Any], where: object) -> dict[str, Any]:
    """Return the manifest of a run whose every key is what it must be."""
    return _check(content, MANIFEST, where)


def checked_tag(content: Mapping[str, Any], where: object) -> dict[str, Any]:
    """Return a tag whose every key is what it must be."""
    return _check(content, TAG_KEYS, where)


def checked_tombstone(content: Mapping[str, Any], where: object) -> dict[str, Any]:
    """Return what is left of a removed result, every key what it must be."""
    return _check(content, TOMBSTONE, where)


def _check(content: Mapping[str, Any], rules: Mapping[str, Rule], where: object) -> dict[str, Any]:
    """Return content that keeps every rule, or name the first key that is missing or wrong."""
    for key, rule in rules.items():
        if key not in content:
            raise StoreError(f"{where}: it has no '{key}'")
        if not rule.holds(content[key]):
            raise StoreError(f"{where}: '{key}' is {ascii(content[key])[:SHOWN]}, not {rule.words}")
    return dict(content)
