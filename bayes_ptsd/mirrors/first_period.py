"""The mirror of a first-period model: analysis of covariance."""

from __future__ import annotations

from typing import Any

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.first_period.model import FirstPeriodModel, adjustment, first_period_model
from bayes_ptsd.frequentist.ancova import ancova_analysis
from bayes_ptsd.mirrors.lines import COLUMNS, analysis_document
from bayes_ptsd.spec import ModelSpec

__all__ = ["first_period_mirror"]


def first_period_mirror(evidence: Evidence, spec: ModelSpec) -> dict[str, Any]:
    """Return the analysis of covariance of the estimand of a first-period model.

    With a standard deviation for each arm it is restricted maximum likelihood with Kenward-Roger
    inference. An interaction gives each arm its own slope on the baseline, and on the covariates
    where there are any.
    """
    model = first_period_model(evidence, spec)
    try:
        table = _ancova(model)
    except EvidenceError as error:
        return {"method": f"none: {error}", **dict.fromkeys((*COLUMNS, "ci95")), "analyses": {}}
    document = analysis_document(table)
    chosen = document["estimands"]["treatment_difference"]
    return {"method": document["method"], **chosen, "analyses": {"ancova": document}}


def _ancova(model: FirstPeriodModel) -> Any:
    """Run the analysis of covariance."""
    return ancova_analysis(
        model.score,
        model.active,
        covariates=adjustment(model),
        interaction=model.options["interaction"],
        equal_variances=model.options["arm_sd"] == "equal",
        benefit_sign=model.sign,
    )
