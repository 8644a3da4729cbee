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
    """Return what names the analysis of patients: visit, priors, numbers of patients.

    Parameters
    ----------
    spec : ModelSpec
        The specification.
    priors : mapping of str to Prior or PriorVector
        In score units.
    visit : str
        Label of the visit or visits.
    size : mapping
        Numbers of subjects, observations and subjects by sequence or arm.
    main : str
        Parameter whose prior names the analysis.

    Returns
    -------
    dict
        Attributes of the fit.

    Examples
    --------
    >>> from bayes_ptsd.priors import normal
    >>> from bayes_ptsd.spec import load_model
    >>> priors = {"treatment": normal(0, 28.8)}
    >>> patient_attrs(load_model("first-period"), priors, visit="24h", size={})["prior_formula"]
    'N(0, 28.8²)'
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


def prior_kinds(
    priors: Mapping[str, Prior | PriorVector], *, inside: Collection[str]
) -> dict[str, Any]:
    """Return of each prior what is compiled into a model and is not data.

    Parameters
    ----------
    priors : mapping of str to Prior or PriorVector
        By parameter.
    inside : collection of str
        Parameters whose numbers are compiled in, too.

    Returns
    -------
    dict
        The distribution, or the whole table.

    Examples
    --------
    >>> from bayes_ptsd.priors import normal
    >>> prior_kinds({"treatment": normal(0, 28.8)}, inside=())
    {'treatment': 'normal'}
    """
    return {
        name: prior.table() if name in inside or prior.dist == "mixture" else prior.dist
        for name, prior in priors.items()
    }
