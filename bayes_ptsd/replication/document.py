"""Replication priors, predictions and plans as plain documents, for JSON and for tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import xarray as xr

from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.measured_rows import printed_scale
from bayes_ptsd.evidence.published import select_contrast
from bayes_ptsd.exact.printed import fit_exact
from bayes_ptsd.exact.summary import likelihood_of
from bayes_ptsd.models_files import load_model
from bayes_ptsd.replication.designs import ReplicationDesign
from bayes_ptsd.replication.export import mixture_json, preliz_code, pymc_code, stan_code
from bayes_ptsd.replication.historical import mixture_rows
from bayes_ptsd.replication.joint import joint_json, joint_pymc_code
from bayes_ptsd.replication.prior import ReplicationPrior

__all__ = [
    "CENTER_WORDS",
    "curve_document",
    "original_estimate",
    "prior_document",
    "row_fits",
]

CENTER_WORDS: Mapping[str, str] = {
    "flat": "centered at the published estimate, which is too large on average if it was noticed "
    "because it was large",
    "reference": "centered at the estimate of these patients, which is too large on average if it "
    "was noticed because it was large",
    "cochrane": "centered at the estimate shrunk by the record of trials in the Cochrane database",
}


def row_fits(
    evidence: Evidence, contrast: str, *, center: str, convention: str, readings: list[str]
) -> dict[str, xr.DataTree]:
    """Return the exact fits of one printed row, one per reading of the crossover contrast.

    `center` is the prior of the family it is analyzed under; a row of no crossover has one fit,
    under the first of `readings`.
    """
    fits = {}
    for reading in readings:
        row = select_contrast(evidence, contrast, crossover_reading=reading)
        crossover = str(row.data["effects"]["analysis"].item()) == "crossover"
        options = {"convention": convention}
        if crossover:
            options["crossover_reading"] = reading
        spec = load_model("published").having(options=options, priors={"treatment": center})
        fits[reading] = fit_exact(row, spec)
        if not crossover:
            break
    return fits


def original_estimate(evidence: Evidence, contrast: str, *, reading: str) -> tuple[float, float]:
    """Return estimate and standard error of a printed row, convention N, benefit-positive."""
    row = select_contrast(evidence, contrast, crossover_reading=reading)
    found = likelihood_of(row.data["effects"].to_dataset(), "N")
    return found.params["mu"], found.params["sigma"]


def prior_document(
    found: ReplicationPrior, designs: Mapping[str, ReplicationDesign], *, sensitivity: bool = True
) -> dict[str, Any]:
    """Return a replication prior as JSON values, with its worth under designs and its exports.

    `sensitivity` adds how wide it is under each heterogeneity of the grid.
    """
    about = dict(found.about)
    sigma = 2 * float(about["sd"])
    low, high = found.prior.interval()
    scale = printed_scale(about)
    ratio = {} if scale is None else {"printed_scale": {
        "label": scale.label, "median": scale.printed(float(found.prior.quantile(0.5))),
        "interval95": list(scale.limits(low, high)),
    }}  # fmt: skip
    return {
        **about,
        "center_words": CENTER_WORDS.get(
            str(about["center"]), f"posterior under the prior '{about['center']}'"
        ),
        "heterogeneity": {
            "scale_in_sd": found.heterogeneity,
            "distribution": "half-normal",
            "capped": found.capped,
        },
        "sensitivity": _sensitivity(found) if sensitivity else [],
        "prior": {
            "mean": found.prior.mean,
            "sd": found.prior.sd,
            "interval95": [low, high],
            "prob_benefit": float(found.prior.sf(0.0)),
            "components": mixture_rows(found.prior),
            "divergence": found.divergence,
            **ratio,
        },
        "informative": {"mean": found.informative.mean, "sd": found.informative.sd},
        "weak_component": {
            "formula": found.weak.formula,
            "weight": found.robust_weight,
            "effective_size": found.weak_worth,
        },
        "worth": {name: found.worth(design) for name, design in designs.items()},
        "designs": {name: design.label for name, design in designs.items()},
        "exports": {
            "rbest": mixture_json(found.prior, sigma=sigma),
            "preliz": preliz_code(found.prior),
            "pymc": pymc_code(found.prior),
            "stan": stan_code(found.prior),
            "rbest_joint": None if found.joint is None else joint_json(found.joint),
            "pymc_joint": None if found.joint is None else joint_pymc_code(found.joint),
        },
    }


def _sensitivity(found: ReplicationPrior) -> list[dict[str, Any]]:
    """Return how wide the informative part is under each heterogeneity of the grid."""
    return [
        {
            "scale_in_sd": float(scale),
            "sd": float(row["sd"]),
            "interval95": row["interval"].values.tolist(),
            "elir": float(row["elir"]),
        }
        for scale in found.sensitivity["scale"].values
        for row in [found.sensitivity.sel(scale=scale)]
    ]


def curve_document(curve: xr.Dataset) -> dict[str, Any]:
    """Return an assurance curve as JSON values: design, goal, ceiling and a row a size."""
    rows = [
        {
            "n": int(n),
            **{
                key: float(row[key])
                for key in (
                    "assurance",
                    "discounted",
                    "same_sign",
                    "standard_error",
                    "complete",
                )
            },
            "prob_quantiles": dict(
                zip(
                    map(str, curve["probability"].values.tolist()),
                    row["prob_quantile"].values.tolist(),
                    strict=True,
                )
            ),
        }
        for n in curve["n"].values
        for row in [curve.sel(n=n)]
    ]
    return {**curve.attrs, "ceiling": float(curve["ceiling"]), "rows": rows}
