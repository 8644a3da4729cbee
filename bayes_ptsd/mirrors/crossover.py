"""The mirror of a crossover in patients: least squares or the mixed model by REML."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from bayes_ptsd.crossover.model import CrossoverModel, crossover_model
from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.patient_arrays import period_differences, period_lines
from bayes_ptsd.frequentist import frequentist_crossover
from bayes_ptsd.mirrors.lines import COLUMNS, analysis_document
from bayes_ptsd.spec import ModelSpec

__all__ = ["crossover_mirror"]

BY_PATIENTS = {"completers": "hills_armitage", "all": "reml"}


def crossover_mirror(evidence: Evidence, spec: ModelSpec) -> dict[str, Any]:
    """Return the frequentist analysis of the estimand of a crossover model, and all beside it.

    With carryover in the model it is the first-period comparison, for completers Hills-Armitage,
    else the mixed model by REML. ``periods`` has what each period says alone. Of an analysis that
    the patients do not allow there is the reason, under ``not_possible``.
    """
    model = crossover_model(evidence, spec)
    chosen, nothing = _mirror(model), dict.fromkeys((*COLUMNS, "ci95"))
    periods = period_lines(period_differences(evidence, model.endpoint.id))
    beside: dict[str, Any] = {"analyses": {}, "not_possible": {}, "periods": periods}
    try:
        table = frequentist_crossover(model.pairs, benefit_sign=model.sign)
    except EvidenceError as error:
        return {"method": f"none: {error}", **nothing, **beside}
    analyses = {
        str(name): analysis_document(table.sel(analysis=name)) | _spread(table.sel(analysis=name))
        for name in table["analysis"].values
    }
    reasons: dict[str, str] = table.attrs["not_possible"]
    if chosen in reasons:
        found = {"method": f"none: {chosen.replace('_', '-')}: {reasons[chosen]}", **nothing}
    else:
        said = analyses[chosen]
        found = {"method": said["method"], **said["estimands"]["treatment_difference"]}
    return {**found, **beside, "analyses": analyses, "not_possible": reasons}


def _spread(one: xr.Dataset) -> dict[str, dict[str, float]]:
    """Return the standard deviations of a mixed model; nothing of another analysis."""
    found = {name: float(one[name]) for name in ("sd_subject", "sd_within")}
    return {} if np.isnan(found["sd_within"]) else {"standard_deviations": found}


def _mirror(model: CrossoverModel) -> str:
    """Return the analysis whose estimand is that of the model."""
    if model.options["carryover"]:
        return "first_period"
    if model.options["sequence_effect"] and model.options["patients"] == "all":
        return "reml_sequence"
    return BY_PATIENTS[model.options["patients"]]
