"""Checks as values, the one form in which a fit keeps them, and which of them it has to pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

import numpy as np
import xarray as xr

from bayes_ptsd.errors import FitError

__all__ = [
    "CHECK_ROLES",
    "Check",
    "check_role",
    "check_table",
    "checks_passed",
    "failed_checks",
    "joined_checks",
]

REQUIRED, WARNS, SHOWN = "required", "warns", "shown"

CHECK_ROLES: Mapping[str, tuple[str, str]] = {
    "rhat_max": (REQUIRED, "the chains have not met"),
    "ess_bulk_min": (REQUIRED, "too few independent draws for means"),
    "ess_tail_min": (REQUIRED, "too few independent draws for limits of intervals"),
    "divergences": (REQUIRED, "the sampler left out a part of the posterior"),
    "ebfmi_min": (REQUIRED, "the sampler moved too slowly through the tails"),
    "mcse_mean_max": (REQUIRED, "a reported mean has too large a Monte Carlo error"),
    "quadrature_error": (REQUIRED, "the exact engine did not resolve the posterior"),
    "box_edge": (REQUIRED, "the exact engine cut off a part of the posterior"),
    "mass_outside_grid": (REQUIRED, "the grid cut off a part of the posterior"),
    "failed_fits": (REQUIRED, "a fit in a pooled result failed a required check"),
    "predictive_*mean_*": (REQUIRED, "the model cannot give a mean that the data have"),
    "predictive_*sd_*": (REQUIRED, "the model cannot give a spread that the data have"),
    "predictive_*correlation*": (REQUIRED, "the model cannot give a correlation that is there"),
    "predictive_agreement": (REQUIRED, "the model cannot give how often a patient stays alike"),
    "predictive_number_*": (REQUIRED, "the model cannot give a count of a category"),
    "predictive_spread_of_log_odds_ratios": (WARNS, "odds are not proportional"),
    "predictive_*lowest_*": (WARNS, "an extreme that the distribution does not have"),
    "predictive_*highest_*": (WARNS, "an extreme that the distribution does not have"),
    "predictive_*at_floor": (WARNS, "scores heap at an end of the scale"),
    "predictive_*at_ceiling": (WARNS, "scores heap at an end of the scale"),
    "loo_pareto_k_max": (WARNS, "leave-one-out, not the posterior, is unreliable"),
    "loo_pit_uniformity": (WARNS, "scores are not distributed as the model says"),
    "proportional_odds": (WARNS, "the effect depends on where the scale is cut"),
    "patients_in_each_cell": (WARNS, "a cell of the design has no patient, or a single one"),
    "sd_subject_at_zero": (WARNS, "the data favor no differences between patients"),
    "correlation_at_an_end": (WARNS, "the periods are almost the same score"),
    "visit_correlation_at_an_end": (WARNS, "two visits are almost the same score"),
    "power_scaling_nuisance": (WARNS, "a prior that is not about the treatment moves its effect"),
    "power_scaling_likelihood": (WARNS, "the data hardly move the effect"),
    "prior_conflict": (WARNS, "the estimate lies where the prior did not expect it"),
    "prior_predictive_tail": (WARNS, "the estimate lies where the prior did not expect it"),
    "power_scaling_treatment": (SHOWN, "how much the prior of the treatment informs"),
    "power_scaling_beliefs": (SHOWN, "how much priors that are meant to inform do so"),
}
"""Name of a check, or pattern of names, to its role and what failing it says; first match counts.

Required: the result is not the posterior of its model (convergence, integration), or the model
cannot produce the means, spreads and correlations that the effect and its interval are made of. A
result that fails one is stored and marked as failed. Warns: the effect stands, but something about
it has to be known. Shown: a figure without a threshold: informing is what such a prior is for.
"""


def check_role(name: str) -> str:
    """Return the role of a check: required, warns or shown; one with no role is an error."""
    for pattern, (role, _) in CHECK_ROLES.items():
        if fnmatchcase(name, pattern):
            return role
    raise FitError(f"check '{name}' has no role: give it one in CHECK_ROLES of check_roles")


class Check(NamedTuple):
    """One check."""

    name: str
    figure: float
    threshold: float
    passed: bool  # on the right side of the threshold; always, where there is none
    meaning: str = ""  # what failing means, in words


def check_table(checks: Sequence[Check]) -> xr.Dataset:
    """Return checks, each with its role, as a fit keeps them: on dim ``check``."""
    names, figures, thresholds, passed, meaning = zip(*checks, strict=True)
    roles = [check_role(name) for name in names]
    return xr.Dataset(
        {
            "figure": ("check", np.array(figures, dtype=float)),
            "threshold": ("check", np.array(thresholds, dtype=float)),
            "passed": ("check", np.array(passed, dtype=bool)),
            "role": ("check", roles),
            "required": ("check", np.array([role == "required" for role in roles])),
            "meaning": ("check", list(meaning)),
        },
        coords={"check": list(names)},
    )


def joined_checks(tables: Sequence[xr.Dataset]) -> xr.Dataset:
    """Put tables of checks under each other."""
    return xr.concat(list(tables), dim="check")


def checks_passed(fit: xr.DataTree) -> bool:
    """Tell whether every required check of a fit passed."""
    checks = fit["checks"].to_dataset()
    return bool((checks["passed"] | ~checks["required"]).all())


def failed_checks(fit: xr.DataTree) -> list[str]:
    """Say in words which checks of a fit failed, with figure and threshold, required ones first."""
    checks = fit["checks"].to_dataset()
    failed = checks.isel(check=np.flatnonzero(~checks["passed"].values))
    failed = failed.isel(check=np.argsort(~failed["required"].values, kind="stable"))
    keys = ("check", "figure", "threshold", "required", "meaning")
    return [
        f"{'required ' if required else ''}check failed: {name} is {figure:.4g}, threshold "
        f"{limit:g}" + (f" ({meaning})" if str(meaning) else "")
        for name, figure, limit, required, meaning in zip(
            *(failed[key].values for key in keys), strict=True
        )
    ]
