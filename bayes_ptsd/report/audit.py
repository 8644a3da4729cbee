"""The audit on the page: findings by check with their tables, and the short list of the top."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from html import escape

import numpy as np
import pandas as pd
import xarray as xr

from bayes_ptsd.audit import audit_frame
from bayes_ptsd.report.audit_views import VIEWS, View, view_frame
from bayes_ptsd.report.contents import Contents
from bayes_ptsd.report.markup import Section, bullets, details, join, paragraph, typeset
from bayes_ptsd.report.table import table_html

__all__ = ["audit_section", "contradictions"]

LOUD = ("contradiction", "caution")
QUIET = ("information", "consistent")
FINDINGS = "findings"
# Characters of a finding on the first screen, which is to stay one; the rest is behind its link.
LONGEST = {"contradiction": 480, "caution": 260}
# A contradiction needs a sentence for each of its sides.
SENTENCES = {"contradiction": 2, "caution": 1}
# Findings shown in full, so that the tables below are in sight; the others open on demand.
OPEN = 3


def audit_section(contents: Contents) -> Section:
    """Return every check of the audit with its table, loud findings in full, quiet ones folded."""
    frame = audit_frame(contents.findings)
    tables = {"audit-findings": frame.assign(evidence_kind=contents.kind)}
    words = {severity: int((frame["severity"] == severity).sum()) for severity in (*LOUD, *QUIET)}
    counts = ", ".join(f"{word} {count}" for word, count in words.items())
    parts = [
        paragraph(
            "The printed numbers against each other, without any model of the patients. A "
            "contradiction is a set of printed numbers that cannot all hold, a caution one that "
            "should not be taken at face value; no statement says who is right. "
            f"Findings: {counts}."
        )
    ]
    for check in _checks(frame):
        own = frame[frame["check"] == check]
        node = contents.findings.children.get(check)
        view = VIEWS.get(check, View(check.replace("_", " ").capitalize()))
        parts.append(f'<h3 id="check-{_slug(check)}">{escape(view.title)}</h3>')
        parts.append(_findings_html(contents, own))
        if node is not None and node.data_vars:
            dataset = node.to_dataset()
            tables |= _csv_tables(check, dataset, contents.kind)
            parts.append(_table_html(check, dataset, view, contents))
    return Section("audit", "Audit of the printed numbers", join(*parts), tables)


def contradictions(contents: Contents) -> list[str]:
    """Return a line of markup, with a link, per contradiction and then per caution."""
    frame = audit_frame(contents.findings)
    lines = []
    for severity in LOUD:
        for check in _checks(frame):
            own = frame[(frame["check"] == check) & frame["severity"].isin(LOUD)]
            loudest = own[own["severity"] == severity]
            if not len(loudest) or (severity == "caution" and _has(own, "contradiction")):
                continue
            lines.append(
                _short_line(
                    contents, {str(k): v for k, v in loudest.iloc[0].items()}, others=len(own) - 1
                )
            )
    return lines


def _has(frame: pd.DataFrame, severity: str) -> bool:
    """Tell whether a finding of this severity is there."""
    return bool((frame["severity"] == severity).any())


def _checks(frame: pd.DataFrame) -> list[str]:
    """Return the checks, the known ones in the order of the page, the others behind."""
    found = list(dict.fromkeys(frame["check"]))
    known = [check for check in VIEWS if check in found]
    return known + [check for check in found if check not in known]


def _short_line(contents: Contents, finding: Mapping[str, str], *, others: int) -> str:
    """Return the beginning of a finding with a link to the whole."""
    view = VIEWS.get(finding["check"])
    about = _about(contents, finding["place"]) or (view.title if view else finding["check"])
    text = _short(finding["statement"], severity=finding["severity"])
    more = f"details and {others} more of its kind" if others else "details"
    return (
        f"{_label(finding['severity'])} <b>{escape(about)}.</b> {escape(typeset(text))} "
        f'<a href="#finding-{_slug(finding["id"])}">{more}</a>'
    )


def _about(contents: Contents, place: str) -> str:
    """Return what a finding is about, where its place names rows of one outcome."""
    named = [part for part in place.split(", ") if part in contents.rows]
    if len(named) == 1:
        return contents.row_name(named[0])
    labels = {contents.endpoint(name).label for name in named}
    return labels.pop() if len(labels) == 1 else ""


def _short(statement: str, *, severity: str) -> str:
    """Return the first sentences of a statement, cut at a clause where they are long."""
    sentences = re.split(r"(?<=\.) (?=[A-Z])", statement)
    text, longest = " ".join(sentences[: SENTENCES[severity]]), LONGEST[severity]
    if len(text) <= longest:
        return text
    cut = max(text.rfind(mark, 0, longest) for mark in ("; ", ": ", ", "))
    return text[: cut if cut > 0 else longest].rstrip(";:, ") + " \N{HORIZONTAL ELLIPSIS}"


def _findings_html(contents: Contents, frame: pd.DataFrame) -> str:
    """Return the first loud findings as a list, the other loud ones and the quiet on demand."""
    loud = [item for severity in LOUD for item in _items(contents, frame, severity)]
    quiet = frame[~frame["severity"].isin(LOUD)]
    parts = [bullets(loud[:OPEN]) if loud else ""]
    if loud[OPEN:]:
        parts.append(details(f"{len(loud) - OPEN} more", bullets(loud[OPEN:])))
    if len(quiet):
        items = [item for severity in QUIET for item in _items(contents, frame, severity)]
        parts.append(details(f"Consistent or informative: {len(quiet)}", bullets(items)))
    return join(*parts)


def _items(contents: Contents, frame: pd.DataFrame, severity: str) -> Iterator[str]:
    """Yield the findings of one severity as markup with their anchor."""
    for finding in frame[frame["severity"] == severity].to_dict("records"):
        about = _about(contents, finding["place"])
        yield (
            f'<span id="finding-{_slug(finding["id"])}"></span>{_label(severity)} '
            + (f"<b>{escape(about)}.</b> " if about else "")
            + f"{escape(typeset(finding['statement']))} "
            f'<span class="quiet">({escape(finding["place"])})</span>'
        )


def _label(severity: str) -> str:
    """Return the severity as a word that also has a color."""
    return f'<span class="severity {severity}">{severity}</span>'


def _slug(text: str) -> str:
    """Return an anchor; a derived row keeps its own."""
    return re.sub(r"[^A-Za-z0-9]+", "-", text.replace("*", " star")).strip("-")


def _table_html(check: str, dataset: xr.Dataset, view: View, contents: Contents) -> str:
    """Return the table of a check, unless its numbers are for the CSV file only."""
    name = f"audit-{check.replace('_', '-')}"
    frame = view_frame(dataset, view, labels=_names(contents))
    if frame is None:
        return f'<p class="note"><a href="tables/{name}.csv">{name}.csv</a></p>'
    return table_html(
        frame,
        caption=view.caption or f"{view.title}.",
        kind=contents.kind,
        name=name,
        left=[column for column in view.left if column in frame.columns],
        notes=view.notes,
    )


def _names(contents: Contents) -> dict[str, str]:
    """Return the names for people of endpoints and contrasts."""
    endpoints = {key: endpoint.label for key, endpoint in contents.trial.endpoints.items()}
    terms = {
        name: f"{contents.row_name(name)}, coefficient of {str(row['term']).replace('_', ' ')}"
        for name, row in contents.rows.items()
    }
    return endpoints | terms | {name: contents.row_name(name) for name in contents.contrasts}


def _csv_tables(check: str, dataset: xr.Dataset, kind: str) -> Mapping[str, pd.DataFrame]:
    """Return the numbers of a check: one table per set of dims, the smallest under its own name."""
    by_dims: dict[tuple[str, ...], list[str]] = {}
    for name, variable in dataset.data_vars.items():
        by_dims.setdefault(tuple(map(str, variable.dims)), []).append(str(name))
    tables = {}
    for number, dims in enumerate(sorted(by_dims, key=len)):
        values = dataset[by_dims[dims]]
        frame = (
            values.to_dataframe().reset_index()
            if dims
            else pd.DataFrame([{str(key): one.item() for key, one in values.data_vars.items()}])
        )
        name = f"audit-{check.replace('_', '-')}"
        suffix = "" if number == 0 else "-by-" + "-".join(dims)
        label = re.sub(r"[^a-z0-9-]+", "-", f"{name}{suffix}".lower())
        tables[label] = frame.assign(evidence_kind=kind)
    return {name: frame.replace({np.nan: None}) for name, frame in tables.items()}
