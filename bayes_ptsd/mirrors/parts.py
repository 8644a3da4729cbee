"""The mirror of the parts of a total: analysis of covariance of the sum and of each part."""

from __future__ import annotations

from typing import Any

import xarray as xr

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.frequentist.ancova import ancova_analysis
from bayes_ptsd.mirrors.lines import COLUMNS, analysis_document, line
from bayes_ptsd.parts.model import PartsModel, parts_model
from bayes_ptsd.spec import ModelSpec

__all__ = ["parts_mirror"]


def parts_mirror(evidence: Evidence, spec: ModelSpec) -> dict[str, Any]:
    """Return the analysis of covariance of the sum of the parts, and of each of them."""
    model = parts_model(evidence, spec)
    try:
        document = analysis_document(_ancova(model, None))
        for place, name in enumerate(model.names):
            one = _ancova(model, place).sel(estimand="treatment_difference")
            document["estimands"][f"difference[{name}]"] = line(one)
    except EvidenceError as error:
        return {"method": f"none: {error}", **dict.fromkeys((*COLUMNS, "ci95")), "analyses": {}}
    chosen = document["estimands"]["treatment_difference"]
    return {"method": document["method"], **chosen, "analyses": {"ancova": document}}


def _ancova(model: PartsModel, place: int | None) -> xr.Dataset:
    """Compare the arms on one part, or on the sum of all."""
    score = model.score.sum(axis=1) if place is None else model.score[:, place]
    before = None
    if model.baseline is not None:
        before = model.baseline.sum(axis=1) if place is None else model.baseline[:, place]
    return ancova_analysis(score, model.active, covariates=before, benefit_sign=model.sign)
