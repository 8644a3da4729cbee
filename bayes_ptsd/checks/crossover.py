"""Every check of a crossover fit beyond convergence, with the tables behind the figures."""

from __future__ import annotations

from collections.abc import Mapping

import xarray as xr

from bayes_ptsd.check_roles import Check
from bayes_ptsd.checks.patients import patient_checks
from bayes_ptsd.checks.predictive import predictive_features
from bayes_ptsd.checks.sensitivity import boundary_checks
from bayes_ptsd.priors import Prior

__all__ = ["crossover_checks"]

LEAST = 2.0
"""Patients in a cell that show how far patients differ there."""


def crossover_checks(
    fit: xr.DataTree, *, range_: tuple[float, float] | None, priors: Mapping[str, Prior]
) -> dict[str, xr.Dataset]:
    """Run the predictive, cross-validation, sensitivity and boundary checks of a crossover.

    Beside ``checks`` are the tables behind them, so that a report needs no patients' rows.
    """
    features = predictive_features(fit, range_=range_)
    boundary = boundary_checks(fit["posterior"].to_dataset(), priors)
    return patient_checks(fit, features, ranges=range_, further=[*_cell_checks(fit), *boundary])


def _cell_checks(fit: xr.DataTree) -> list[Check]:
    """Warn where a cell of the design, a sequence in a period, has no patient or a single one."""
    score = fit["observed_data"]["score"]
    counts = score.notnull().groupby("sequence").sum("subject")
    least = counts.isel(counts.argmin(...))  # type: ignore[arg-type]
    figure = int(least)
    said = f"sequence {least['sequence'].item()}, period {int(least['period'])}: its mean is "
    said += "that of one patient" if figure else "what model and priors make of the other cells"
    return [Check("patients_in_each_cell", figure, LEAST, figure >= LEAST, meaning=said)]
