"""A fit as the document of ``fit --json``, with the frequentist analysis of the same estimand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import xarray as xr

from bayes_ptsd.estimands import probabilities_above
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.measured_rows import PrintedScale, printed_scale
from bayes_ptsd.evidence.patient_subjects import covariate_kinds
from bayes_ptsd.fit import frequentist_document
from bayes_ptsd.frequentist.documents import finite
from bayes_ptsd.specification import ModelSpec

__all__ = ["fit_document"]

CHECK = ("check", "figure", "threshold", "passed", "role", "meaning")
DIAGNOSTICS = ("rhat_max", "ess_bulk_min", "ess_tail_min", "divergences", "ebfmi_min")


def fit_document(
    fit: xr.DataTree, evidence: Evidence, spec: ModelSpec, *, thresholds: Sequence[float] = ()
) -> dict[str, Any]:
    """Return a fit as a JSON-safe document; what does not exist is None.

    `thresholds`, in score units, each add a probability that an estimand exceeds it; of a ratio
    they are ratios, and ``printed_scale`` has the answer as one. ``passed`` of
    the diagnostics is that of every required check. A fit with covariates has ``covariates``, what
    each was read as. A fit of patients has ``power_scaling``, a line for every prior, and with
    priors that can be drawn from ``prior_scores``, what they alone make of scores. A fit with a
    mediator also has ``mediation``: the share mediated, and direct and indirect effect by the
    correlation of the errors; one of several endpoints ``joint``, the probabilities that at least
    one, two, ... of them exceed 0, or their MCID.
    """
    attrs = fit.attrs
    named = ("result_id", "model", "endpoint", "evidence_kind", "prior", "engine", "contrast")
    document: dict[str, Any] = {key: str(attrs[key]) for key in named if key in attrs}
    checks = {
        str(name): {"figure": finite(figure), "threshold": finite(limit), "passed": bool(passed),
                    "role": str(role), "meaning": str(meaning)}
        for name, figure, limit, passed, role, meaning in zip(
            *(fit["checks"][key].values for key in CHECK), strict=True
        )
    }  # fmt: skip
    document |= _prior_document(fit)
    scale = printed_scale({str(key): value for key, value in attrs.items()})
    figures = {name: checks.get(name, {}).get("figure") for name in DIAGNOSTICS}
    document |= spec.room.document(fit)
    analyzed = thresholds if scale is None else [scale.analyzed(one) for one in thresholds]
    estimands: dict[str, Any] = json.loads(attrs["summary"])
    if thresholds:
        for name, above in probabilities_above(fit, analyzed).items():
            estimands[name]["prob_gt"] = above
    if scale is not None:
        document["printed_scale"] = _as_printed(scale, estimands, thresholds)
    return document | {
        "estimands": estimands,
        "diagnostics": {"passed": bool(attrs["checks_passed"]), **figures},
        "checks": checks,
        "frequentist": json.loads(attrs["frequentist"])
        if "frequentist" in attrs
        else frequentist_document(evidence, spec),
        **_covariates(evidence, spec),
        "n": json.loads(attrs["size"]) if "size" in attrs else _printed_size(evidence),
        "warnings": json.loads(attrs["warnings"]),
        "seconds": float(attrs["seconds"]),
    }


def _as_printed(
    scale: PrintedScale, estimands: dict[str, Any], thresholds: Sequence[float]
) -> dict[str, Any]:
    """Return the answer about a ratio on its printed scale."""
    found = estimands["treatment_difference"]
    beyond = found.pop("prob_gt", {})
    return {
        "measure": scale.measure,
        "label": scale.label,
        "better": "lower" if scale.sign < 0 else "higher",
        "median": scale.printed(found["median"]),
        "eti95": list(scale.limits(*found["eti95"])),
        "prob_benefit": found["prob_benefit"],
        "beyond": [{"threshold": one, "probability": beyond[f"{scale.analyzed(one):g}"]}
                   for one in thresholds],
    }  # fmt: skip


def _covariates(evidence: Evidence, spec: ModelSpec) -> dict[str, Any]:
    """Return what each covariate of the model was read as: a number, or so many categories."""
    names = spec.options.get("covariates", ())
    kinds = covariate_kinds(evidence)
    found = {name: kinds[name] for name in names if name in kinds}
    return {"covariates": found} if found else {}


def _prior_document(fit: xr.DataTree) -> dict[str, Any]:
    """Return which prior moves each estimand by how much, and what the priors make of scores."""
    found: dict[str, Any] = {}
    if "sensitivity" in fit.children and "part" in fit["sensitivity"].dims:
        table = fit["sensitivity"].to_dataset()
        found["power_scaling"] = [
            {
                "estimand": str(name),
                "part": str(part),
                "kind": str(one["kind"].item()),
                "sensitivity": finite(float(one["sensitivity"])),
                "moved_per_doubling": finite(float(one["moved"])),
            }
            for name in table["estimand"].values
            for part, one in ((part, table.sel(estimand=name, part=part))
                              for part in table["part"].values)
        ]  # fmt: skip
    if "prior_scores" in fit.children:
        scores = fit["prior_scores"].to_dataset()
        rows = scores.expand_dims("endpoint") if "endpoint" not in scores.dims else scores
        found["prior_scores"] = [
            {
                "endpoint": str(one["endpoint"].item()) if "endpoint" in scores.dims
                else str(fit.attrs["endpoint"]),
                "interval95": [finite(float(one[key])) for key in ("low", "high")],
                "share_inside_range": finite(float(one["inside"])),
            }
            for one in (rows.isel(endpoint=place) for place in range(rows.sizes["endpoint"]))
        ]  # fmt: skip
    return found


def _printed_size(evidence: Evidence) -> dict[str, Any]:
    """Return the number of patients behind a printed contrast."""
    row = evidence.data["effects"].to_dataset()
    return {"subjects": finite(float(row["n"])), "observations": None, "by_sequence": {}}
