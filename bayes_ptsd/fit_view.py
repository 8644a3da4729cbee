"""A fit as the document of ``fit --json``, with the frequentist analysis of the same estimand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from bayes_ptsd.crossover.model import CrossoverModel, crossover_model
from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.estimands import estimate, summary_document
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.exact.printed import accepted_row
from bayes_ptsd.frequentist import frequentist_crossover
from bayes_ptsd.spec import ModelSpec

__all__ = ["fit_document", "frequentist_document"]

DIAGNOSTICS = ("rhat_max", "ess_bulk_min", "ess_tail_min", "divergences", "ebfmi_min")
COLUMNS = ("estimate", "se", "df", "p_value")
MIRRORS = {"completers": "hills_armitage", "all": "reml"}


def fit_document(
    fit: xr.DataTree, evidence: Evidence, spec: ModelSpec, *, thresholds: Sequence[float] = ()
) -> dict[str, Any]:
    """Return a fit as a JSON-safe document.

    Parameters
    ----------
    fit : xr.DataTree
        A fit, fresh or loaded from a store.
    evidence : Evidence
        What it analyzes.
    spec : ModelSpec
        Under which model.
    thresholds : sequence of float
        Score units; each adds a probability that an estimand exceeds it.

    Returns
    -------
    dict
        ``result_id, model, endpoint, evidence_kind, prior, engine, estimands, diagnostics,
        checks, frequentist, n, warnings, seconds``; what does not exist is None.

    Examples
    --------
    >>> from bayes_ptsd.crossover.example import example_patients
    >>> from bayes_ptsd.fit import fit_model
    >>> from bayes_ptsd.spec import load_model
    >>> spec = load_model("crossover").having(priors={"treatment": "weak"})
    >>> fit = fit_model(example_patients(seed=2), spec, engine="exact")
    >>> document = fit_document(fit, example_patients(seed=2), spec, thresholds=[5.0])
    >>> sorted(document["estimands"]["treatment_difference"]["prob_gt"])
    ['5']
    """
    attrs = fit.attrs
    named = ("result_id", "model", "endpoint", "evidence_kind", "prior", "engine", "contrast")
    document: dict[str, Any] = {key: str(attrs[key]) for key in named if key in attrs}
    checks = {
        str(name): {"figure": _number(figure), "threshold": _number(limit), "passed": bool(passed)}
        for name, figure, limit, passed in zip(
            *(fit["checks"][key].values for key in ("check", "figure", "threshold", "passed")),
            strict=True,
        )
    }
    figures = {name: checks.get(name, {}).get("figure") for name in DIAGNOSTICS}
    return document | {
        "estimands": summary_document(estimate(fit, thresholds=thresholds)),
        "diagnostics": {"passed": bool(attrs["checks_passed"]), **figures},
        "checks": checks,
        "frequentist": frequentist_document(evidence, spec),
        "n": json.loads(attrs["size"]) if "size" in attrs else _printed_size(evidence),
        "warnings": json.loads(attrs["warnings"]),
        "seconds": float(attrs["seconds"]),
    }


def frequentist_document(evidence: Evidence, spec: ModelSpec) -> dict[str, Any]:
    """Return the frequentist analysis of the estimand of a model.

    Parameters
    ----------
    evidence : Evidence
        What is analyzed.
    spec : ModelSpec
        The model.

    Returns
    -------
    dict
        ``method, estimate, se, df, ci95, p_value`` of the treatment difference (benefit-positive,
        score units); for patients also ``analyses``, every estimand of every analysis. With
        carryover in the model the mirror is the first-period comparison, for completers
        Hills-Armitage, else the mixed model by REML.

    Examples
    --------
    >>> from bayes_ptsd.crossover.example import example_patients
    >>> from bayes_ptsd.spec import load_model
    >>> mirror = frequentist_document(example_patients(), load_model("crossover-completers"))
    >>> mirror["method"].partition(":")[0]
    'Hills-Armitage'
    """
    if spec.structure == "summary":
        return _printed(accepted_row(evidence, spec))
    model = crossover_model(evidence, spec)
    try:
        table = frequentist_crossover(model.pairs, benefit_sign=model.sign)
    except EvidenceError as error:
        return {"method": f"none: {error}", **dict.fromkeys((*COLUMNS, "ci95")), "analyses": {}}
    analyses = {str(name): _analysis(table.sel(analysis=name)) for name in table["analysis"].values}
    chosen = _mirror(model)
    return {
        "method": analyses[chosen]["method"],
        **analyses[chosen]["estimands"]["treatment_difference"],
        "analyses": analyses,
    }


def _mirror(model: CrossoverModel) -> str:
    """Return the analysis whose estimand is that of the model."""
    if model.options["carryover"]:
        return "first_period"
    if model.options["sequence_effect"] and model.options["patients"] == "all":
        return "reml_sequence"
    return MIRRORS[model.options["patients"]]


def _analysis(one: xr.Dataset) -> dict[str, Any]:
    """Return one frequentist analysis with the estimands it has."""
    found = one.isel(estimand=np.flatnonzero(np.isfinite(one["estimate"].values)))
    return {
        "method": str(one["method"].item()),
        "note": str(one["note"].item()),
        "estimands": {
            str(name): _line(found.sel(estimand=name)) for name in found["estimand"].values
        },
    }


def _line(row: xr.Dataset) -> dict[str, Any]:
    """Return one estimate with its interval."""
    line: dict[str, Any] = {key: _number(row[key].item()) for key in COLUMNS}
    line["ci95"] = [_number(row[key].item()) for key in ("ci_low", "ci_high")]
    return line


def _printed(row: xr.Dataset) -> dict[str, Any]:
    """Return a printed contrast, its limits as read."""
    line: Mapping[str, Any] = {key: _number(row[key].item()) for key in COLUMNS}
    limits = [_number(row[key].item()) for key in ("interval_low", "interval_high")]
    return {"method": f"as printed: {row['cell'].item()}", **line, "ci95": limits}


def _printed_size(evidence: Evidence) -> dict[str, Any]:
    """Return the number of patients behind a printed contrast."""
    row = evidence.data["effects"].to_dataset()
    return {"subjects": _number(float(row["n"])), "observations": None, "by_sequence": {}}


def _number(value: Any) -> float | None:
    """Return a number that JSON can hold, None for NaN and infinities."""
    return float(value) if np.isfinite(value) else None
