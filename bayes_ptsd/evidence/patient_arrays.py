"""Patients as labelled arrays: the layout all kinds of patient evidence share, and views of it.

Scores stay as recorded. Only differences between treatments are turned so that positive means
benefit, and not here.
"""

from __future__ import annotations

from typing import Any

import xarray as xr

from bayes_ptsd.errors import EvidenceError, nearest
from bayes_ptsd.evidence import ONLY_VISIT, Evidence

__all__ = [
    "ONLY_VISIT",
    "crossover_arrays",
    "flow",
    "outcome_tree",
    "outcomes_of",
    "period_differences",
    "period_lines",
]


def outcome_tree(
    values: xr.DataArray,
    *,
    baseline: xr.DataArray | None = None,
    covariates: xr.Dataset | None = None,
) -> xr.DataTree:
    """Arrange patients as every kind of patient evidence has them.

    Scores as recorded have dims (subject, period, visit, endpoint), a baseline (subject, period,
    endpoint), NaN where there is none; covariates (subject).
    """
    dims = ("subject", "period", "visit", "endpoint")
    if values.dims != dims or not {"sequence", "treatment"} <= set(values.coords):
        raise EvidenceError(f"patients need dims {dims}, sequence and treatment; got {values.dims}")
    outcomes = values.rename("value").to_dataset()
    if baseline is not None:
        outcomes["baseline"] = baseline
    nodes = {"outcomes": outcomes} | ({} if covariates is None else {"covariates": covariates})
    return xr.DataTree.from_dict(nodes)


def crossover_arrays(evidence: Evidence, endpoint: str, *, visit: str | None = None) -> xr.Dataset:
    """Return the scores of one endpoint of a crossover, dims (subject, period), NaN where missing.

    ``y`` is as recorded, ``active`` 1 under the active treatment. Subjects with one score are kept,
    those with none are left out and counted in the attribute ``subjects_without_score``.
    """
    outcomes = outcomes_of(evidence, endpoint)
    if evidence.trial.design != "crossover":
        raise EvidenceError(f"trial '{evidence.trial.name}' is parallel; it has no second period")
    values = outcomes["value"]
    scored = values["visit"].values[values.notnull().any(("subject", "period")).values]
    chosen = scored[0] if visit is None and len(scored) == 1 else visit
    if chosen not in scored:
        wanted = f"visit '{visit}' has no score of" if visit else "name the visit of"
        raise EvidenceError(f"{wanted} endpoint '{endpoint}'; scored at {', '.join(scored)}")
    y = values.sel(visit=chosen).reset_coords(drop=True)
    keep = y.notnull().any("period").values
    labels = outcomes[["sequence", "treatment"]]
    arrays = xr.Dataset({"y": y, "observed": y.notnull()}).assign_coords(labels.coords)
    arrays["active"] = (arrays["treatment"] == evidence.trial.active).astype(int)
    if "baseline" in outcomes and outcomes["baseline"].notnull().any():
        arrays["baseline"] = outcomes["baseline"]
    arrays = arrays.drop_vars(["endpoint", "visit", "hours"], errors="ignore").isel(subject=keep)
    return arrays.assign_attrs(
        endpoint=endpoint, visit=str(chosen), subjects_without_score=int((~keep).sum())
    )


def period_differences(
    evidence: Evidence, endpoint: str, *, visit: str | None = None
) -> xr.Dataset:
    """Compare the treatments in each period alone: what a crossover puts together, before it does.

    Dims (patients, period), patients ``all`` with a score in the period or ``completers`` of both:
    ``difference`` of means (score units, positive = active better), ``sd`` pooled within groups,
    ``n``.
    """
    arrays = crossover_arrays(evidence, endpoint, visit=visit)
    sign, active = evidence.trial.endpoint(endpoint).benefit_sign, arrays["active"] == 1
    both = arrays["observed"].all("period")
    tables = []
    for score in (arrays["y"], arrays["y"].where(both)):
        on, off = score.where(active), score.where(~active)
        n = score.notnull().sum("subject")
        squares = sum(((one - one.mean("subject")) ** 2).sum("subject") for one in (on, off))
        sd = (squares / (n - 2).where(n > 2)) ** 0.5
        difference = sign * (on.mean("subject") - off.mean("subject"))
        tables.append(xr.Dataset({"difference": difference, "sd": sd, "n": n}))
    return xr.concat(tables, dim="patients").assign_coords(patients=["all", "completers"])


def period_lines(table: xr.Dataset) -> list[dict[str, Any]]:
    """Return what `period_differences` found as JSON-safe lines, None where there is no number."""
    lines = []
    for patients in table["patients"].values.tolist():
        for period in table["period"].values.tolist():
            one = table.sel(patients=patients, period=period)
            numbers = {key: float(one[key]) for key in ("difference", "sd")}
            known = {key: x if x == x else None for key, x in numbers.items()}
            line = {"patients": patients, "period": period, **known, "n": int(one["n"])}
            lines.append(line)
    return lines


def flow(evidence: Evidence) -> xr.Dataset:
    """Count patients by sequence and period.

    ``subjects(sequence)`` are all in the file, ``scored(sequence, period, visit, endpoint)`` have a
    score, ``complete(sequence, visit, endpoint)`` one in every period. In a parallel trial the
    sequence is the treatment.
    """
    outcomes = outcomes_of(evidence)
    there = outcomes["value"].notnull()
    ones = xr.ones_like(outcomes["sequence"], dtype=int)
    counts = xr.Dataset(
        {
            "subjects": ones.groupby("sequence").sum(),
            "scored": there.astype(int).groupby("sequence").sum("subject"),
            "complete": there.all("period").astype(int).groupby("sequence").sum("subject"),
        }
    )
    return counts.assign_coords(sequence=counts["sequence"].astype(str))


def outcomes_of(evidence: Evidence, endpoint: str | None = None) -> xr.Dataset:
    """Return the outcomes of patients as `outcome_tree` has them; of one, without the dim."""
    if "outcomes" not in evidence.data.children:
        raise EvidenceError(f"evidence of kind '{evidence.kind}' has no patients")
    outcomes = evidence.data["outcomes"].to_dataset()
    if endpoint is None:
        return outcomes
    known = [str(name) for name in outcomes["endpoint"].values]
    if endpoint not in known:
        raise EvidenceError(
            f"these patients have no endpoint '{endpoint}'{nearest(endpoint, known)}"
        )
    return outcomes.sel(endpoint=endpoint)
