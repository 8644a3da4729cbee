"""What the plans of models of patients have in common."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from bayes_ptsd.priors import Prior
from bayes_ptsd.scaled_priors import PriorVector
from bayes_ptsd.spec import ModelSpec

__all__ = ["patient_attrs", "prior_kinds"]


def patient_attrs(
    spec: ModelSpec,
    priors: Mapping[str, Prior | PriorVector],
    *,
    visit: str,
    size: Mapping[str, Any],
    main: str = "treatment",
) -> dict[str, Any]:
    """Return what names the analysis: visit, priors, that of `main` first, numbers of patients."""
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


def prior_kinds(
    priors: Mapping[str, Prior | PriorVector], *, inside: Collection[str]
) -> dict[str, Any]:
    """Return what is compiled in of a prior: its distribution, or all of a mixture or `inside`."""
    return {
        name: prior.table() if name in inside or prior.dist == "mixture" else prior.dist
        for name, prior in priors.items()
    }
