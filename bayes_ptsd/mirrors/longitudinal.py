"""The mirror of a longitudinal model: repeated measures by REML."""

from __future__ import annotations

from typing import Any

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.longitudinal.model import longitudinal_model, trajectory_mmrm
from bayes_ptsd.mirrors.lines import COLUMNS, analysis_document
from bayes_ptsd.spec import ModelSpec

__all__ = ["longitudinal_mirror"]


def longitudinal_mirror(evidence: Evidence, spec: ModelSpec) -> dict[str, Any]:
    """Return the repeated-measures analysis of the estimands of a longitudinal model.

    The covariance structure is that of the model, its nugget left out; a joint baseline is a
    covariate, and patients without one are left out.
    """
    model = longitudinal_model(evidence, spec)
    try:
        table = trajectory_mmrm(model)
    except EvidenceError as error:
        return {"method": f"none: {error}", **dict.fromkeys((*COLUMNS, "ci95")), "analyses": {}}
    document = analysis_document(table)
    document["residual_sd"] = dict(
        zip(model.visits, map(float, table["residual_sd"].values), strict=True)
    )
    chosen = document["estimands"]["treatment_difference"]
    return {"method": document["method"], **chosen, "analyses": {"mmrm": document}}
