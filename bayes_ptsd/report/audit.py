"""The audit on the page: findings by check with their tables, and the short list of the top."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_ptsd.audit import audit_frame
from bayes_ptsd.audit.precision import ORDINARY
from bayes_ptsd.report.contents import Contents
from bayes_ptsd.report.markup import ABSENT, MINUS, bullets, paragraph, plain, probability, typeset
from bayes_ptsd.report.section import Part, Section, Table, details

__all__ = ["VIEWS", "View", "audit_section", "contradictions", "view_frame"]

LOUD = ("contradiction", "caution")
QUIET = ("information", "consistent")
# Characters of a finding on the first screen, which is to stay one; the rest is behind its link.
LONGEST = {"contradiction": 480, "caution": 260}
# A contradiction needs a sentence for each of its sides.
SENTENCES = {"contradiction": 2, "caution": 1}
# Findings shown in full, so that the tables below are in sight; the others open on demand.
OPEN = 3
# A table of more columns does not fit the page, one of more rows buries it: for the CSV file alone.
MOST_COLUMNS, MOST_ROWS = 16, 60
# Rounding of a sum that balances, shown as 0; nothing printed has nine decimals.
NOTHING = 1e-9
# What the finding itself quotes: a P value says more of a standard error than rounded limits do.
AT: Mapping[str, Any] = {"se_basis": "with_p", "sd_factor": ORDINARY}
PUBLISHED = {**AT, "crossover_reading": "as_published"}
UNHALVED = {**AT, "crossover_reading": "unhalved"}
PROBABILITIES = (
    "planned",
    "parallel",
    "crossover",
    "p",
    "p_value",
    "f_p",
    "fisher_p",
    "p_upper",
    "p_lower",
    "admissible_low",
    "admissible_high",
)
Column = str | tuple[str, Mapping[str, Any]]
"""Variable or coordinate, and the labels at which it is taken if not at all."""


@dataclass(frozen=True)
class View:
    """How the table of a check is shown; the CSV file has it whether it is shown or not."""

    title: str
    caption: str = ""
    columns: Mapping[str, Column] = field(default_factory=dict)  # by heading; none: every variable
    notes: Sequence[str] = ()  # lines below the table
    shown: bool = True


VIEWS: Mapping[str, View] = {
    "precision": View(
        "Precision of the crossover",
        "Standard errors of crossover and first period, and what they imply, score units.",
        {
            "outcome": "endpoint",
            "SE crossover": "se_crossover",
            "SE first period": "se_first_period",
            "ratio": "ratio",
            "SD of differences": "sd_difference",
            "within-patient SD": "sd_within",
            "first-period residual SD": "sd_residual",
            "variance ratio": "variance_ratio",
            "F test P": "f_p",
            "correlation, as published": ("correlation", PUBLISHED),
            "correlation, unhalved": ("correlation", UNHALVED),
            "period-2 SD needed": "needed_sd",
            "largest possible": "largest_sd",
        },
        notes=[
            "A within-patient comparison should have the smaller standard error. correlation: "
            f"between a patient's scores in the two periods, if both periods have {ORDINARY:g} "
            "times the first-period residual SD; below \N{MINUS SIGN}1 it is impossible. period-2 "
            "SD needed: as published, if the periods are uncorrelated.",
        ],
    ),
    "rows": View(
        "Each row against itself",
        "Estimate, interval and P of each row.",
        {
            "row": "contrast",
            "SE by width": "se",
            "by upper limit": "se_upper",
            "by lower limit": "se_lower",
            "off center": "asymmetry",
            "t": "t",
            "P by width": "p",
            "P possible, from": "admissible_low",
            "to": "admissible_high",
            "agrees": "consistent",
        },
        notes=[
            "off center: printed estimate minus middle of the interval. P possible: over all "
            "unrounded numbers that print as this estimate and interval. Rows without a printed "
            "interval have a standard error from P and cannot be checked.",
        ],
    ),
    "subscales": View(
        "Do the subscales add up?",
        "Sums of subscale estimates, score units.",
        {
            "analysis": "analysis",
            "rows used": "variant",
            "sum": "sum",
            "sum, from": "sum_low",
            "sum, to": "sum_high",
            "total": "estimate",
            "adds up": "adds_up",
            "mean correlation implied": "correlation",
        },
    ),
    "freedom": View("Degrees of freedom", shown=False),
    "flow": View(
        "Flow of patients",
        "Balances of the flow diagram.",
        {"rule": "rule", "left over": "residual"},
    ),
    "exposure": View(
        "Who received what, and the two accounts of the flow",
        "People who received each treatment.",
        {"treatment": "treatment", "people": "people"},
    ),
    "adverse_events": View(
        "Denominators of the adverse events",
        "Counts recovered from percentages.",
        {
            "event": "name",
            "printed %": "percent",
            "count": "count",
            "only count": "unique",
        },
        notes=["only count: no other count of this denominator prints as this percentage."],
    ),
    "baseline": View(
        "Baseline table",
        "Differences at baseline.",
        {
            "characteristic": "label",
            "difference, SD": "smd",
            "Fisher P": "fisher_p",
        },
    ),
    "power": View(
        "Planned power",
        "Power of the planned sample under three readings.",
        {
            "as planned": "planned",
            "parallel groups": "parallel",
            "paired crossover": "crossover",
        },
    ),
    "mediation": View(
        "Adjustment for a later measurement",
        "What the adjustment removes, and slope times difference in the later measurement.",
        {
            "later measurement": "mediator",
            "total": "total",
            "adjusted": "adjusted",
            "removed": "removed",
            "slope": "slope",
            "its difference": "mediator_difference",
            "slope x difference": "indirect",
            "from": "indirect_low",
            "to": "indirect_high",
            "partial correlation": "partial_correlation",
        },
    ),
    "claims": View(
        "Words of the text against the level of the paper",
        "Printed P of effects that the text names.",
        {
            "statement": "claim_row",
            "the text says": "claim",
            "P": "p_value",
            "below the level": "below_alpha",
        },
    ),
    "multiplicity": View("Number of contrasts"),
    "unstated": View("What print leaves open"),
    "direction": View("Signs of the printed rows"),
    "sizes": View("Numbers of patients"),
}


def audit_section(contents: Contents) -> Section:
    """Return every check of the audit with its table, loud findings in full, quiet ones folded."""
    frame = audit_frame(contents.findings)
    words = {severity: int((frame["severity"] == severity).sum()) for severity in (*LOUD, *QUIET)}
    counts = ", ".join(f"{word} {count}" for word, count in words.items())
    parts: list[Part] = [
        Table("audit-findings", frame.assign(evidence_kind=contents.kind)),
        paragraph(
            "The printed numbers against each other, without any model of the patients. A "
            "contradiction is a set of printed numbers that cannot all hold, a caution one that "
            "should not be taken at face value; no statement says who is right. "
            f"Findings: {counts}."
        ),
    ]
    for check in _checks(frame):
        node = contents.findings.children.get(check)
        view = VIEWS.get(check, View(plain(check).capitalize()))
        parts.append(f'<h3 id="check-{_slug(check)}">{escape(view.title)}</h3>')
        parts += _findings(contents, frame[frame["check"] == check])
        if node is not None and node.data_vars:
            parts += _tables(check, node.to_dataset(), view, contents)
    return Section("audit", "Audit of the printed numbers", parts)


def contradictions(contents: Contents) -> list[str]:
    """Return a line of markup, with a link, per contradiction and then per caution."""
    frame = audit_frame(contents.findings)
    lines = []
    for severity in LOUD:
        for check in _checks(frame):
            own = frame[(frame["check"] == check) & frame["severity"].isin(LOUD)]
            loudest = own[own["severity"] == severity]
            if not len(loudest) or (severity == "caution" and LOUD[0] in set(own["severity"])):
                continue
            finding = {str(key): text for key, text in loudest.iloc[0].items()}
            lines.append(_short_line(contents, finding, others=len(own) - 1))
    return lines


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


def _findings(contents: Contents, frame: pd.DataFrame) -> list[Part]:
    """Return the first loud findings as a list, the other loud ones and the quiet on demand."""
    loud, quiet = (
        [item for severity in severities for item in _items(contents, frame, severity)]
        for severities in (LOUD, QUIET)
    )
    parts: list[Part] = [bullets(loud[:OPEN]) if loud else ""]
    if loud[OPEN:]:
        parts.append(details(f"{len(loud) - OPEN} more", bullets(loud[OPEN:])))
    if quiet:
        parts.append(details(f"Consistent or informative: {len(quiet)}", bullets(quiet)))
    return parts


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


def _tables(check: str, dataset: xr.Dataset, view: View, contents: Contents) -> list[Table]:
    """Return the numbers of a check, a file per set of dims; the smallest is shown, or linked."""
    by_dims: dict[tuple[str, ...], list[str]] = {}
    for name, variable in dataset.data_vars.items():
        by_dims.setdefault(tuple(map(str, variable.dims)), []).append(str(name))
    first, *others = sorted(by_dims, key=len)
    name, shown = f"audit-{check.replace('_', '-')}", view_frame(dataset, view, _names(contents))
    numbers = _numbers(dataset[by_dims[first]], contents.kind)
    own = Table(name, numbers, link=f"{name}.csv") if shown is None else Table(
        name, numbers, lines=shown.to_dict("records"), caption=view.caption or f"{view.title}.",
        notes=view.notes,
    )  # fmt: skip
    more = {re.sub("[^a-z0-9-]+", "-", f"{name}-by-{'-'.join(dims)}".lower()): dims
            for dims in others}  # fmt: skip
    return [own, *(Table(file, _numbers(dataset[by_dims[dims]], contents.kind))
                   for file, dims in more.items())]  # fmt: skip


def _numbers(values: xr.Dataset, kind: str) -> pd.DataFrame:
    """Return variables of the same dims as lines of a file."""
    frame = (
        values.to_dataframe().reset_index()
        if values.dims
        else pd.DataFrame([{str(key): one.item() for key, one in values.data_vars.items()}])
    )
    return frame.assign(evidence_kind=kind).replace({np.nan: None})


def _names(contents: Contents) -> dict[str, str]:
    """Return the names for people of endpoints and contrasts."""
    endpoints = {key: endpoint.label for key, endpoint in contents.trial.endpoints.items()}
    terms = {
        name: f"{contents.row_name(name)}, coefficient of {plain(row['term'])}"
        for name, row in contents.rows.items()
    }
    return endpoints | terms | {name: contents.row_name(name) for name in contents.contrasts}


def view_frame(
    dataset: xr.Dataset, view: View, labels: Mapping[str, str] | None = None
) -> pd.DataFrame | None:
    """Return the table of a check as texts; None where it is too large or for the CSV file alone.

    A row is one label of the first dimension of the first column; `labels` name ids for people.
    """
    chosen = (view.columns or _all_columns(dataset)).items() if view.shown else ()
    named = {k: (c, {}) if isinstance(c, str) else c for k, c in chosen}
    columns = {k: c for k, c in named.items() if c[0] in dataset}
    if not columns:
        return None
    first = dataset[next(iter(columns.values()))[0]]
    row = str(first.dims[0]) if first.dims else ""
    frame = pd.DataFrame(
        {
            heading: _texts(_checked(dataset, values), name, labels or {})
            for base, (name, where) in columns.items()
            for heading, values in _expanded(dataset[name].sel(where), base, row)
        }
    )
    said = ~frame.iloc[:, 1:].isin([ABSENT, "no"]).all(axis=1)
    shown = frame[said] if frame.shape[1] > 2 else frame
    return shown if shown.shape[1] <= MOST_COLUMNS and len(shown) <= MOST_ROWS else None


def _all_columns(dataset: xr.Dataset) -> Mapping[str, Column]:
    """Return every variable of the first dimension under its own name, the labels first."""
    dims = [str(dim) for dim in dataset.dims]
    if not dims:
        return {}
    row = dims[0]
    names = [str(name) for name, v in dataset.data_vars.items() if row in v.dims]
    return {row: row} | {plain(name): name for name in names}


def _expanded(values: xr.DataArray, base: str, row: str) -> Iterator[tuple[str, xr.DataArray]]:
    """Yield a column per label of the second dimension, if there is one."""
    others = [str(dim) for dim in values.dims if dim != row]
    if not others:
        yield base, values
        return
    for label in values[others[0]].values:
        yield from _expanded(values.sel({others[0]: label}), f"{base}, {label}", row)


def _checked(dataset: xr.Dataset, values: xr.DataArray) -> list[Any]:
    """Return the values of a column; None for answers about rows that could not be checked."""
    column: list[Any] = list(np.atleast_1d(values.values).tolist())
    if "checked" not in dataset or values.dtype != bool:
        return column
    return [
        v if known else None for v, known in zip(column, dataset["checked"].values, strict=True)
    ]


def _texts(column: Sequence[Any], name: str, labels: Mapping[str, str]) -> list[str]:
    """Return one column as texts, counts without decimals."""
    numbers = [v for v in column if isinstance(v, float) and np.isfinite(v)]
    whole = all(value.is_integer() for value in numbers)
    return [_text(value, name, labels, whole=whole) for value in column]


def _text(value: Any, name: str, labels: Mapping[str, str], *, whole: bool) -> str:
    """Return one cell as text."""
    if isinstance(value, str):
        return labels.get(value, typeset(plain(value)))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or not np.isfinite(value):
        return ABSENT
    if name in PROBABILITIES:
        return probability(float(value), 4)
    if whole or abs(value) < NOTHING:
        return f"{value:.0f}".replace("-", MINUS)
    return f"{value:#.3g}".rstrip(".").replace("-", MINUS)
