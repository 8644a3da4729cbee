"""Audit of printed numbers: everything that they say about each other, computed from the evidence.

`audit` runs every check for which the evidence has the numbers and returns their tables and
findings; `audit_frame` and `audit_document` are the same for people and for programs.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_ptsd.audit.adverse import check_adverse_events
from bayes_ptsd.audit.baseline import check_baseline
from bayes_ptsd.audit.claims import (
    check_claims,
    check_directions,
    check_multiplicity,
    check_power,
    check_unstated,
)
from bayes_ptsd.audit.finding import SEVERITIES, Figure, Finding, Section
from bayes_ptsd.audit.flow import check_flow, check_leavers, check_sizes
from bayes_ptsd.audit.posteriors import check_likelihoods, check_order, check_shape
from bayes_ptsd.audit.precision import check_precision
from bayes_ptsd.audit.relations import check_mediation, check_subscales
from bayes_ptsd.audit.report_file import read_report
from bayes_ptsd.audit.rows import check_freedom, check_rows
from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.readings import flow_reading_of

__all__ = [
    "SEVERITIES",
    "Finding",
    "audit_document",
    "audit_evidence",
    "audit_findings",
    "audit_frame",
    "audit_posteriors",
]

TEXTS = ("check", "severity", "place", "statement")


def audit_evidence(evidence: Evidence, *, flow_reading: str = "paper") -> xr.DataTree:
    """Check printed numbers against each other, as far as the evidence has the tables.

    Node ``findings`` has dim `finding`, each table a node of the check's name; differences are
    positive when the active treatment is better. Evidence of another kind raises `EvidenceError`.
    """
    flow_reading_of(flow_reading)
    if evidence.kind != "published" or "effects" not in evidence.data.children:
        raise EvidenceError(
            f"the audit is of printed numbers, not of evidence of kind '{evidence.kind}'; load "
            "them with load_published"
        )
    sections = list(_sections(evidence, flow_reading))
    found = [finding for section in sections for finding in section.findings]
    nodes = {section.name: section.table for section in sections if section.table is not None}
    tree = xr.DataTree.from_dict({"findings": _findings(found), **nodes})
    tree.attrs = {
        "evidence_kind": evidence.kind,
        "evidence_digest": evidence.digest,
        "trial": evidence.trial.name,
        "flow_reading": flow_reading,
    }
    return tree


def audit_posteriors(file: Path) -> xr.DataTree:
    """Check the posteriors that a report prints against themselves, their priors and each other.

    The file is that of `bayes_ptsd.audit.report_file.read_report`; node ``findings`` has dim
    `finding`. Numbers that no distribution, no log-concave density or no one normal likelihood
    behind all of them can have are contradictions.
    """
    posteriors = read_report(file)
    checks = (check_order, check_shape, check_likelihoods)
    found = [finding for check in checks for finding in check(posteriors).findings]
    tree = xr.DataTree.from_dict({"findings": _findings(found)})
    tree.attrs = {"evidence_kind": "published", "file": file.name, "posteriors": len(posteriors)}
    return tree


def audit_findings(tree: xr.DataTree) -> list[Finding]:
    """Return the findings of an audit in the order of the checks, those that agree included."""
    node = tree["findings"].to_dataset()
    columns = [node[name].values.tolist() for name in ("finding", *TEXTS, "figures")]
    return [
        Finding(name, check, severity, place, statement, json.loads(figures))
        for name, check, severity, place, statement, figures in zip(*columns, strict=True)
    ]


def audit_frame(tree: xr.DataTree) -> pd.DataFrame:
    """Return the findings as a table for people, contradictions first and agreement last."""
    found = sorted(audit_findings(tree), key=lambda finding: SEVERITIES.index(finding.severity))
    columns = ["severity", "check", "place", "statement", "id"]
    rows = [[getattr(finding, name) for name in columns] for finding in found]
    return pd.DataFrame(rows, columns=columns)


def audit_document(tree: xr.DataTree) -> dict[str, Any]:
    """Return the audit as a document that JSON can hold; numbers that do not exist are None."""
    found = audit_findings(tree)
    return {
        **{str(name): value for name, value in tree.attrs.items()},
        "counts": {s: sum(finding.severity == s for finding in found) for s in SEVERITIES},
        "findings": [
            {
                "id": finding.id,
                **{name: getattr(finding, name) for name in TEXTS},
                "figures": {key: _plain(value) for key, value in finding.figures.items()},
            }
            for finding in found
        ],
        "tables": {
            name: _table_document(node.to_dataset())
            for name, node in tree.children.items()
            if name != "findings"
        },
    }


def _sections(evidence: Evidence, flow_reading: str) -> Iterator[Section]:
    """Run every check whose tables are there."""
    checks: list[tuple[str, Callable[[Evidence], Section]]] = [
        ("effects", check_rows),
        ("effects", check_directions),
        ("effects", check_unstated),
        ("effects", check_subscales),
        ("effects", partial(check_precision, flow_reading=flow_reading)),
        ("effects", check_freedom),
        ("effects", check_mediation),
        ("flow", partial(check_flow, flow_reading=flow_reading)),
        ("flow", partial(check_leavers, flow_reading=flow_reading)),
        ("flow", check_sizes),
        ("adverse_events", check_adverse_events),
        ("baseline", check_baseline),
        ("design", check_power),
        ("effects", check_multiplicity),
        ("claims", check_claims),
    ]
    for node, check in checks:
        if node in evidence.data.children:
            yield check(evidence)


def _findings(found: list[Finding]) -> xr.Dataset:
    """Return findings as text along `finding`."""
    texts = {name: ("finding", [getattr(finding, name) for finding in found]) for name in TEXTS}
    figures = [
        json.dumps({key: _plain(value) for key, value in finding.figures.items()})
        for finding in found
    ]
    return xr.Dataset(
        {**texts, "figures": ("finding", figures)}, {"finding": [finding.id for finding in found]}
    )


def _plain(value: Any) -> Figure:
    """Return a number or text as plain Python, None for numbers that do not exist."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value  # type: ignore[no-any-return]


def _table_document(table: xr.Dataset) -> dict[str, Any]:
    """Return a dataset as nested lists of plain values."""
    content = table.to_dict()
    for kind in ("coords", "data_vars"):
        content[kind] = {
            name: {"dims": list(entry["dims"]), "data": _plain_list(entry["data"])}
            for name, entry in content[kind].items()
        }
    return {"dims": content["dims"], "coords": content["coords"], "variables": content["data_vars"]}


def _plain_list(data: Any) -> Any:
    """Return nested lists with plain values."""
    return [_plain_list(item) for item in data] if isinstance(data, list) else _plain(data)
