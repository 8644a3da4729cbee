"""The mirror of one printed contrast: the row as printed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bayes_ptsd.evidence import Evidence
from bayes_ptsd.exact.printed import accepted_row
from bayes_ptsd.mirrors.lines import COLUMNS, finite
from bayes_ptsd.spec import ModelSpec

__all__ = ["printed_mirror"]


def printed_mirror(evidence: Evidence, spec: ModelSpec) -> dict[str, Any]:
    """Return a printed contrast, benefit-positive in score units, its limits as read."""
    row = accepted_row(evidence, spec)
    line: Mapping[str, Any] = {key: finite(row[key].item()) for key in COLUMNS}
    limits = [finite(row[key].item()) for key in ("interval_low", "interval_high")]
    return {"method": f"as printed: {row['cell'].item()}", **line, "ci95": limits}
