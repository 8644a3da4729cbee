"""What the rooms of models of patients share: what names a fit, what is compiled, who is loaded."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from bayes_ptsd.errors import SpecError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.outcome import endpoint_of_kind, select_outcome
from bayes_ptsd.evidence.patients import load_patients
from bayes_ptsd.priors import Prior
from bayes_ptsd.scaled_priors import PriorVector
from bayes_ptsd.specification import ModelSpec, Request
from bayes_ptsd.trial import Endpoint, load_trial

__all__ = [
    "PRIOR_DRAWS",
    "asked_outcome",
    "asked_patients",
    "formulas",
    "patient_attrs",
    "patient_files",
    "predictive_line",
    "prior_kinds",
    "treatment_interval",
]

Priors = Mapping[str, Prior | PriorVector]
# prior draws serve figures and checks; a probability has a Monte Carlo error of at most .016
PRIOR_DRAWS = 1000


def patient_attrs(
    spec: ModelSpec,
    priors: Priors,
    *,
    visit: str,
    size: Mapping[str, Any],
    main: str = "treatment",
) -> dict[str, Any]:
    """Return what names the analysis of patients: visit, priors in score units, numbers.

    `main` is the parameter whose prior names the analysis.
    """
    asked, prior = spec.priors[main], priors[main]
    own = "custom" if prior.proper else prior.dist
    tables = {name: value.table() for name, value in priors.items()}
    return {
        "timepoint": visit,
        "prior": asked if isinstance(asked, str) else own,
        "prior_table": json.dumps(prior.table()),
        "prior_formula": prior.formula,
        "priors": json.dumps(tables),
        "size": json.dumps(dict(size)),
    }


def prior_kinds(priors: Priors, *, inside: Collection[str]) -> dict[str, Any]:
    """Return what of each prior is compiled into a model and is not data.

    That is its distribution; the numbers, too, of the parameters `inside` and of mixtures.
    """
    return {
        name: prior.table() if name in inside or prior.dist == "mixture" else prior.dist
        for name, prior in priors.items()
    }


def formulas(priors: Priors) -> dict[str, str]:
    """Return the priors in score units by line."""
    return {f"prior {name}": prior.formula for name, prior in priors.items()}


def treatment_interval(priors: Priors, *, unit: str = "score units") -> dict[str, str]:
    """Return the line with the 95% interval of the treatment prior, the same at all visits."""
    prior = priors["treatment"]
    one = prior.priors[0] if isinstance(prior, PriorVector) else prior
    low, high = one.interval()
    return {"prior interval": f"treatment: 95% from {low:.2f} to {high:.2f} {unit}"}


def predictive_line(drawn: xr.Dataset, endpoint: Endpoint) -> dict[str, str]:
    """Return the line that says what the priors of means and standard deviations make of scores."""
    low, high = np.nanquantile(drawn["score"].values, [0.025, 0.975])
    ends = endpoint.range
    scale = f"on a {ends[0]:g}-{ends[1]:g} scale" if ends else endpoint.unit
    return {"prior predictive": f"95% of scores from {low:.1f} to {high:.1f} {scale}"}


def patient_files(spec: ModelSpec, request: Request) -> tuple[Path, Path]:
    """Return trial and patient file of a request, or say that they are missing."""
    if request.trial is None or request.data is None:
        raise SpecError(f"model '{spec.name}' analyzes patients: add --trial FILE --data FILE")
    return request.trial, request.data


def asked_patients(spec: ModelSpec, request: Request) -> tuple[Evidence, str | None]:
    """Return the patients asked for and their endpoint, or the only one of the model's kind."""
    trial, data = patient_files(spec, request)
    described = load_trial(trial)
    chosen = request.endpoint or endpoint_of_kind(described, spec.room.kinds)
    names = spec.options.get("covariates", ())
    loaded = load_patients(data, described, endpoint=chosen, covariates=names, key=request.key)
    return loaded, chosen


def asked_outcome(spec: ModelSpec, request: Request) -> Evidence:
    """Return one outcome of patients at one visit."""
    loaded, chosen = asked_patients(spec, request)
    return select_outcome(loaded, chosen, visit=request.visit)
