"""One endpoint at one visit of patients: what a model of one outcome analyzes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import xarray as xr

from bayes_ptsd.errors import EvidenceError, nearest
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.trial import Trial

__all__ = ["endpoint_of_kind", "select_outcome", "select_outcomes"]


def select_outcome(
    evidence: Evidence, endpoint: str | None = None, *, visit: str | None = None
) -> Evidence:
    """Select one endpoint, and one visit, of patients.

    Parameters
    ----------
    evidence : Evidence
        Patients.
    endpoint : str, optional
        Id of the endpoint; not needed where there is one.
    visit : str, optional
        Label of the visit; not needed where the endpoint was scored at one.

    Returns
    -------
    Evidence
        Of the same kind and trial, with one endpoint and one visit; its digest is its own.

    Raises
    ------
    EvidenceError
        If this is no evidence on patients, or the outcome is not named or not there.

    Examples
    --------
    >>> from bayes_ptsd.crossover.example import example_patients
    >>> select_outcome(example_patients(), "ies_r").data["outcomes"].sizes["endpoint"]
    1
    """
    outcomes = _outcomes(evidence)
    return _selected(evidence, outcomes, [_one(outcomes, "endpoint", endpoint)], visit)


def select_outcomes(
    evidence: Evidence, endpoints: Sequence[str], *, visit: str | None = None
) -> Evidence:
    """Select several endpoints of patients at one visit.

    Parameters
    ----------
    evidence : Evidence
        Patients.
    endpoints : sequence of str
        Ids of the endpoints, in the order wanted.
    visit : str, optional
        Label of the visit; not needed where any of them was scored at one only.

    Returns
    -------
    Evidence
        Of the same kind and trial; its digest is its own.

    Raises
    ------
    EvidenceError
        If this is no evidence on patients, or an endpoint or the visit is not there.

    Examples
    --------
    >>> from bayes_ptsd.evidence.reconstruct.release import load_release
    >>> two = select_outcomes(load_release(m=1)[0], ["ies_r", "madrs"], visit="24h")
    >>> two.data["outcomes"]["endpoint"].values.tolist()
    ['ies_r', 'madrs']
    """
    outcomes = _outcomes(evidence)
    chosen = [_one(outcomes, "endpoint", name) for name in endpoints]
    return _selected(evidence, outcomes, chosen, visit)


def _outcomes(evidence: Evidence) -> xr.Dataset:
    """Return the scores of patients."""
    if "outcomes" not in evidence.data.children:
        raise EvidenceError(f"evidence of kind '{evidence.kind}' has no patients")
    return evidence.data["outcomes"].to_dataset()


def _selected(
    evidence: Evidence, outcomes: xr.Dataset, endpoints: list[str], visit: str | None
) -> Evidence:
    """Return the evidence with these endpoints at one visit."""
    outcomes = outcomes.sel(endpoint=endpoints)
    scored = outcomes["value"].notnull().any(("subject", "period", "endpoint"))
    outcomes = outcomes.isel(visit=scored.values)
    outcomes = outcomes.sel(visit=[_one(outcomes, "visit", visit)])
    nodes = {name: node.to_dataset() for name, node in evidence.data.children.items()}
    return replace(evidence, data=xr.DataTree.from_dict(nodes | {"outcomes": outcomes}))


def endpoint_of_kind(trial: Trial, kinds: Sequence[str]) -> str | None:
    """Return the only endpoint of a trial whose kind is among `kinds`.

    Parameters
    ----------
    trial : Trial
        The trial.
    kinds : sequence of str
        Kinds that a model is for.

    Returns
    -------
    str or None
        Its id; None where there is none, or more than one.

    Examples
    --------
    >>> from bayes_ptsd.evidence.simulate import made_up_trial
    >>> endpoint_of_kind(made_up_trial(kind="ordinal", range=(1, 4)), ["ordinal"])
    'score'
    """
    found = [key for key, endpoint in trial.endpoints.items() if endpoint.kind in kinds]
    return found[0] if len(found) == 1 else None


def _one(outcomes: xr.Dataset, dim: str, asked: str | None) -> str:
    """Return the label that is asked for, or the only one."""
    known = [str(name) for name in outcomes[dim].values]
    if not known:
        raise EvidenceError(f"these patients have no score at any {dim}")
    if asked is None and len(known) == 1:
        return known[0]
    if asked is None:
        raise EvidenceError(f"name the {dim}: these patients have {', '.join(known)}")
    if asked not in known:
        raise EvidenceError(f"these patients have no {dim} '{asked}'{nearest(asked, known)}")
    return asked
