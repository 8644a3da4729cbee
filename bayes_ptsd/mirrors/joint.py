"""The mirror of several printed contrasts: the rows as printed, each on its own."""

from __future__ import annotations

from typing import Any

from bayes_ptsd.evidence import Evidence
from bayes_ptsd.joint.model import joint_model
from bayes_ptsd.joint.problem import analysis_rows
from bayes_ptsd.mirrors.lines import COLUMNS, finite
from bayes_ptsd.spec import ModelSpec

__all__ = ["joint_mirror"]


def joint_mirror(evidence: Evidence, spec: ModelSpec) -> dict[str, Any]:
    """Return the printed rows that a joint model analyzes, and of subscales that of the total."""
    model = joint_model(evidence, spec)
    problem = model.problem
    names = list(problem.endpoint)
    if model.has_total:
        names = [model.endpoint.id, *names]
    rows = analysis_rows(
        evidence, problem.analysis, names, crossover_reading=problem.crossover_reading
    )
    lines = {}
    for name, row in zip(names, rows, strict=True):
        line: dict[str, Any] = {key: finite(row[key].item()) for key in COLUMNS}
        line["ci95"] = [finite(row[key].item()) for key in ("interval_low", "interval_high")]
        whole = model.has_total and name == model.endpoint.id
        lines["treatment_difference" if whole else f"difference[{name}]"] = line
    nothing: dict[str, Any] = dict.fromkeys((*COLUMNS, "ci95"))
    method = "as printed: each row on its own, without adjustment for their number"
    return {
        "method": method,
        **lines.get("treatment_difference", nothing),
        "analyses": {"printed": {"method": method, "note": "", "estimands": lines}},
    }
