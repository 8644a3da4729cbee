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
    else the mixed model by REML. ``periods`` has what each period says alone.

    Examples
    --------
    >>> from bayes_ptsd.crossover.example import example_patients
    >>> from bayes_ptsd.spec import load_model
    >>> mirror = crossover_mirror(example_patients(), load_model("crossover-carryover"))
    >>> mirror["estimate"] == mirror["analyses"]["first_period"]["estimands"][
    ...     "treatment_difference"]["estimate"]
    True
    """
    model = crossover_model(evidence, spec)
    periods = period_lines(period_differences(evidence, model.endpoint.id))
    try:
        table = frequentist_crossover(model.pairs, benefit_sign=model.sign)
    except EvidenceError as error:
        empty = dict.fromkeys((*COLUMNS, "ci95"))
        return {"method": f"none: {error}", **empty, "analyses": {}, "periods": periods}
    analyses = {
        str(name): analysis_document(table.sel(analysis=name)) | _spread(table.sel(analysis=name))
        for name in table["analysis"].values
    }
    chosen = _mirror(model)
    return {
        "method": analyses[chosen]["method"],
        **analyses[chosen]["estimands"]["treatment_difference"],
        "analyses": analyses,
        "periods": periods,
    }


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
