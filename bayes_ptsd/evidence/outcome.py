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
    """Select one endpoint at one visit of patients, for models of one outcome.

    Parameters
    ----------
    evidence : Evidence
        Patients, as `load_patients` reads them.
    endpoint : str, optional
        Which one; needed where there are several.
    visit : str, optional
        Which one; needed where the endpoint was scored at several.

    Returns
    -------
    Evidence
        The same patients with this outcome only; covariates stay.

    Raises
    ------
    EvidenceError
        If endpoint or visit is unknown, or has to be named; the message has the names.

    Examples
    --------
    >>> from bayes_ptsd.reconstruction.release import load_release
    >>> outcome = select_outcome(load_release(m=1)[0], "ies_r", visit="24h")
    >>> outcome.data["outcomes"]["value"].dims, outcome.data["outcomes"]["value"].shape
    (('subject', 'period', 'visit', 'endpoint'), (41, 2, 1, 1))
    """
    outcomes = _outcomes(evidence)
    return _selected(evidence, outcomes, [_one(outcomes, "endpoint", endpoint)], visit)


def select_outcomes(
    evidence: Evidence, endpoints: Sequence[str], *, visit: str | None = None
) -> Evidence:
    """Select several endpoints of patients at one visit, for models of several outcomes.

    Parameters
    ----------
    evidence : Evidence
        Patients, as `load_patients` reads them.
    endpoints : sequence of str
        Which ones, in the order that is kept.
    visit : str, optional
        Which one; needed where they were scored at several.

    Returns
    -------
    Evidence
        The same patients with these outcomes only; covariates stay.

    Raises
    ------
    EvidenceError
        If an endpoint or the visit is unknown, or has to be named; the message has the names.

    Examples
    --------
    >>> from bayes_ptsd.reconstruction.release import load_release
    >>> both = select_outcomes(load_release(m=1)[0], ["ies_r", "madrs"], visit="24h")
    >>> both.data["outcomes"]["endpoint"].values.tolist()
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
    """Return the only endpoint whose kind is among `kinds`, None if there is none, or more."""
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
