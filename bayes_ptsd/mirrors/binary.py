"""The mirror of a binary model: logistic regression, or two risks."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayes_ptsd.categorical.model import CategoricalModel, categorical_model
from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.frequentist.binary import gee_analysis, logistic_analysis, two_risks
from bayes_ptsd.mirrors.lines import COLUMNS, analysis_document, line
from bayes_ptsd.spec import ModelSpec

__all__ = ["binary_mirror"]


def binary_mirror(evidence: Evidence, spec: ModelSpec) -> dict[str, Any]:
    """Return the logistic regression of a binary outcome, or the difference of two separate risks.

    Both periods of a crossover have subject effects, integrated out by adaptive quadrature, and
    generalized estimating equations beside it (``gee``, an average over the population). Where
    there is no finite estimate the method says ``none`` and why.
    """
    model = categorical_model(evidence, spec)
    if model.separate_risks:
        return _risks(model)
    nothing: dict[str, Any] = dict.fromkeys((*COLUMNS, "ci95"))
    found, reason = {}, ""
    for name, analysis in ANALYSES.items():
        if name == "logistic" or model.two_periods:
            try:
                found[name] = analysis_document(analysis(**_columns(model)))
            except EvidenceError as error:
                reason = reason or str(error)
    if "logistic" not in found:
        said = {"method": f"none: {reason}", **nothing}
    else:
        estimands = found["logistic"]["estimands"]
        said = {"method": found["logistic"]["method"], **estimands["log_odds_ratio"]}
    return {**said, "estimand": "log_odds_ratio", "analyses": found}


def _logistic(**columns: Any) -> Any:
    """Run the logistic regression without profile likelihoods."""
    return logistic_analysis(
        columns.pop("response"), columns.pop("active"), profile=False, **columns
    )


def _gee(**columns: Any) -> Any:
    """Run the generalized estimating equations."""
    return gee_analysis(columns.pop("response"), columns.pop("active"), **columns)


ANALYSES = {"logistic": _logistic, "gee": _gee}


def _columns(model: CategoricalModel) -> dict[str, Any]:
    """Return the columns of a regression."""
    response, active = model.observed["score"].values, model.scores.active == 1
    one, before = not model.two_periods, model.scores.baseline
    return {
        "response": response[:, 0] if one else response,
        "active": active[:, 0] if one else active,
        "covariates": None if before is None else np.asarray(before)[:, None],
        "benefit_sign": model.sign,
    }


def _risks(model: CategoricalModel) -> dict[str, Any]:
    """Return the difference of two risks, and the odds ratios beside it."""
    columns = _columns(model)
    table = two_risks(columns["response"], columns["active"], benefit_sign=model.sign)
    names = [str(name) for name in table["estimand"].values]
    rows = {name: line(table.sel(estimand=name)) for name in names}
    methods = {name: str(table["method"].sel(estimand=name).item()) for name in names}
    return {
        "method": methods["risk_difference"],
        **rows["risk_difference"],
        "estimand": "treatment_difference",
        "analyses": {
            name: {"method": methods[name], "note": "", "estimands": {name: rows[name]}}
            for name in names
        },
    }
