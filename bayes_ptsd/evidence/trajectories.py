"""Scores by visit before a change of treatment: a parallel trial, or period 1 of a crossover."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from bayes_ptsd.errors import EvidenceError, nearest
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.patient_arrays import outcomes_of

__all__ = ["arm_trajectories", "covariate_columns", "select_endpoint"]


def select_endpoint(evidence: Evidence, endpoint: str | None = None) -> Evidence:
    """Select one endpoint with all its visits before anybody changed treatment.

    Parameters
    ----------
    evidence : Evidence
        Patients of a parallel trial or a crossover, as `load_patients` reads them.
    endpoint : str, optional
        Which one; needed where there are several.

    Returns
    -------
    Evidence
        The same patients with this endpoint, at the visits where it was scored in period 1;
        covariates stay. Models of several visits read period 1 only.

    Raises
    ------
    EvidenceError
        If the endpoint is unknown, has to be named or has no score in period 1.

    Examples
    --------
    >>> from bayes_ptsd.reconstruction.release import load_release
    >>> scores = select_endpoint(load_release(m=1)[0], "ies_r").data["outcomes"]
    >>> scores["visit"].values.tolist()
    ['24h', '48h', '72h', '7d']
    """
    outcomes = outcomes_of(evidence)
    known = [str(name) for name in outcomes["endpoint"].values]
    if endpoint is None and len(known) > 1:
        raise EvidenceError(f"name the endpoint: these patients have {', '.join(known)}")
    chosen = known[0] if endpoint is None else endpoint
    if chosen not in known:
        raise EvidenceError(f"these patients have no endpoint '{chosen}'{nearest(chosen, known)}")
    outcomes = outcomes.sel(endpoint=[chosen])
    first = outcomes["value"].sel(period=1).notnull().any(("subject", "endpoint"))
    if not bool(first.any()):
        raise EvidenceError(f"endpoint '{chosen}' has no score before anybody changed treatment")
    nodes = {name: node.to_dataset() for name, node in evidence.data.children.items()}
    nodes["outcomes"] = outcomes.isel(visit=first.values)
    data = xr.DataTree.from_dict(nodes)
    return Evidence(evidence.kind, evidence.trial, data, evidence.assumptions, evidence.source)


def arm_trajectories(evidence: Evidence) -> xr.Dataset:
    """Return the scores of one endpoint by subject and visit, before anybody changes treatment.

    ``score`` as recorded, NaN where missing; ``active`` 1 under the active treatment; ``baseline``
    from before treatment. Subjects without any score are left out and counted in
    ``subjects_without_score``.
    """
    if "outcomes" not in evidence.data.children:
        raise EvidenceError(
            f"this model needs patients; this evidence is '{evidence.kind}': load a patient file, "
            "or take a model such as 'published-first-period'"
        )
    outcomes = outcomes_of(evidence).sel(period=1)
    names = [str(name) for name in outcomes["endpoint"].values]
    if len(names) != 1:
        raise EvidenceError(
            f"select one endpoint first: select_endpoint(evidence, '{names[0]}') with all visits, "
            f"select_outcome(evidence, '{names[0]}') at one; there are {', '.join(names)}"
        )
    outcomes = outcomes.isel(endpoint=0)
    keep = outcomes["value"].notnull().any("visit").values
    arrays = xr.Dataset({"score": outcomes["value"].transpose("subject", "visit")})
    arrays["active"] = (outcomes["treatment"] == evidence.trial.active).astype(int)
    if "baseline" in outcomes and bool(outcomes["baseline"].notnull().any()):
        arrays["baseline"] = outcomes["baseline"]
    arrays = arrays.drop_vars(["endpoint", "period", "sequence"], errors="ignore").isel(
        subject=keep
    )
    _refuse_empty(arrays, names[0], _later_advice(evidence, names[0]))
    return arrays.assign_attrs(endpoint=names[0], subjects_without_score=int((~keep).sum()))


def covariate_columns(
    evidence: Evidence, subject: xr.DataArray, names: Sequence[str]
) -> xr.DataArray:
    """Return covariates of patients as columns with mean zero, dims (subject, column).

    A number is divided by its standard deviation, a text makes one column for each category but
    the first, such as ``sex: male``. A covariate that is missing, or the same for all, is refused.
    """
    there = "covariates" in evidence.data.children
    known = evidence.data["covariates"].to_dataset() if there else xr.Dataset()
    columns: dict[str, xr.DataArray] = {}
    for name in names:
        if name not in known:
            listed = nearest(name, map(str, known.data_vars))
            raise EvidenceError(f"these patients have no covariate '{name}'{listed}")
        columns |= _columns(name, known[name].sel(subject=subject.values))
    if not columns:
        return xr.DataArray(
            np.zeros((subject.size, 0)),
            dims=("subject", "column"),
            coords={"subject": subject.values, "column": np.array([], dtype=str)},
        )
    table = np.stack([column.values for column in columns.values()], axis=1)
    coords = {"subject": subject.values, "column": list(columns)}
    return xr.DataArray(table - table.mean(axis=0), dims=("subject", "column"), coords=coords)


def _later_advice(evidence: Evidence, endpoint: str) -> tuple[str, str]:
    """Return where the scores are looked for, and what to do if period 2 has what is missing."""
    if evidence.trial.design != "crossover":
        return "", ""
    scores = outcomes_of(evidence)["value"].sel(endpoint=endpoint)
    seen = scores.notnull().any("visit")
    under = set(scores["treatment"].values[seen.values])
    orders = set(scores["sequence"].values[seen.any("period").values])
    enough = len(under) > 1 and len(orders) > 1
    return " in period 1", ": take model 'crossover'" if enough else ""


def _refuse_empty(arrays: xr.Dataset, endpoint: str, advice: tuple[str, str]) -> None:
    """Refuse visits without scores and a trial with one arm."""
    where, instead = advice
    empty = arrays["score"].isnull().all("subject").values
    if empty.all():
        raise EvidenceError(
            f"endpoint '{endpoint}' has no score{where}, and this model reads no other{instead}"
        )
    if empty.any():
        label = arrays["visit"].values[empty][0]
        raise EvidenceError(f"endpoint '{endpoint}' has no score at visit '{label}'; leave it out")
    if arrays["active"].values.min(initial=1) == arrays["active"].values.max(initial=0):
        raise EvidenceError(
            f"endpoint '{endpoint}' has scores under one treatment only{where}, so that nothing "
            f"compares the treatments{' there' if where else ''}{instead}"
        )


def _columns(name: str, values: xr.DataArray) -> dict[str, xr.DataArray]:
    """Return the columns of one covariate."""
    is_text = values.dtype.kind in "OUST"
    missing = (values.astype(str) == "") if is_text else values.isnull()
    if bool(missing.any()):
        raise EvidenceError(
            f"covariate '{name}' is missing for {int(missing.sum())} of {values.size} patients; "
            "complete it, or leave the covariate or these patients out"
        )
    categories = np.unique(values.values)
    if len(categories) < 2:
        raise EvidenceError(f"covariate '{name}' is the same for all patients; leave it out")
    if is_text:
        return {f"{name}: {label}": (values == label).astype(float) for label in categories[1:]}
    return {name: values.astype(float) / float(values.std(ddof=1))}
