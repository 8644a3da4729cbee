"""What the checks of every model of patients have in common."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import xarray as xr

from bayes_ptsd.check_roles import Check, check_table
from bayes_ptsd.checks.loo import loo_checks, loo_groups
from bayes_ptsd.checks.predictive import predictive_checks, prior_scores
from bayes_ptsd.checks.sensitivity import BELIEFS, sensitivity_checks, sensitivity_table

__all__ = ["patient_checks", "quadrature_checks"]

Range = tuple[float, float] | None


def patient_checks(
    fit: xr.DataTree,
    features: xr.Dataset,
    *,
    estimand: str = "treatment_difference",
    ranges: Range | Mapping[str, Range] = None,
    beliefs: Collection[str] = BELIEFS,
    further: Sequence[Check] = (),
) -> dict[str, xr.Dataset]:
    """Run the integration, predictive, cross-validation and sensitivity checks.

    Beside ``checks`` are the tables behind them, so that a report needs no patients' rows:
    ``predictive_summary``, ``loo``, ``sensitivity`` and, where every prior is proper,
    ``prior_scores``. `estimand` is the one that the prior of the treatment is about, `beliefs` the
    parameters besides it whose priors are meant to inform, `further` the checks of this model
    alone.
    """
    sensitivity = sensitivity_table(fit, beliefs=beliefs)
    loo = loo_groups(fit)["loo"]
    checks = [
        *quadrature_checks(fit),
        *predictive_checks(features),
        *loo_checks(loo),
        *sensitivity_checks(sensitivity, estimand=estimand),
        *further,
    ]
    found = {
        "checks": check_table(checks),
        "predictive_summary": features,
        "loo": loo,
        "sensitivity": sensitivity,
    }
    if "prior_predictive" in fit.children:
        found["prior_scores"] = prior_scores(fit["prior_predictive"].to_dataset(), ranges)
    return found


# What `gaussian.quadrature` refuses, so that a result beyond these was not made by it as it is:
# size of the highest Legendre coefficients relative to the density, and density at the edge of
# the widest box relative to its peak.
QUADRATURE, BOX = 1e-2, 1e-5


def quadrature_checks(fit: xr.DataTree) -> list[Check]:
    """Judge the integration of an exact fit: resolution, mass beyond the box; none if sampled."""
    if "quadrature" not in fit.children:
        return []
    error, edge = (float(fit["quadrature"][name]) for name in ("quadrature_error", "box_edge"))
    return [
        Check("quadrature_error", error, QUADRATURE, error <= QUADRATURE),
        Check("box_edge", edge, BOX, edge <= BOX),
    ]
