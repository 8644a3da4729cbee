"""Every check of a longitudinal fit beyond convergence, with the tables behind the figures."""

from __future__ import annotations

import itertools

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayes_ptsd.check_roles import Check
from bayes_ptsd.checks.patients import patient_checks
from bayes_ptsd.checks.predictive import Feature, end_features, feature_table
from bayes_ptsd.checks.sensitivity import boundary_check

__all__ = ["longitudinal_checks", "visit_boundary_checks", "visit_features"]

# Two scores that share 90% of their variance tell one thing.
NEAR_ONE = 0.95
# Two scores always lie on a line: of fewer than three no spread or correlation is a feature.
FEWEST = 3


def longitudinal_checks(
    fit: xr.DataTree, *, range_: tuple[float, float] | None
) -> dict[str, xr.Dataset]:
    """Run the predictive, cross-validation, sensitivity and boundary checks of several visits."""
    features = feature_table(
        fit, visit_features(fit["observed_data"].to_dataset()["score"]) | end_features(range_)
    )
    boundary = visit_boundary_checks(fit)
    return patient_checks(fit, features, ranges=range_, further=boundary)


def visit_features(observed: xr.DataArray) -> dict[str, Feature]:
    """Return the features that a comparison over visits leans on.

    Mean of each arm at each visit; standard deviation of each visit and correlation of each pair of
    visits, within arms.
    """
    arm = observed["treatment"].values
    visits = [str(label) for label in observed["visit"].values]
    found: dict[str, Feature] = {}
    for place, visit in enumerate(visits):
        there = np.isfinite(observed.values[:, place])
        for label in sorted(set(arm.tolist())):
            rows = np.flatnonzero((arm == label) & there)
            if len(rows):
                found[f"mean_{label}_{visit}"] = _mean(rows, place)
        if int(there.sum()) >= FEWEST:
            found[f"sd_{visit}"] = _spread(np.flatnonzero(there), place, arm)
    for first, second in itertools.combinations(range(len(visits)), 2):
        both = np.flatnonzero(np.isfinite(observed.values[:, [first, second]]).all(axis=1))
        if len(both) >= FEWEST:
            name = f"correlation_{visits[first]}_{visits[second]}"
            found[name] = _correlation(both, (first, second), arm)
    return found


def visit_boundary_checks(fit: xr.DataTree) -> list[Check]:
    """Warn where the data push correlations of visits to one.

    The largest probability, over pairs, of a correlation beyond +-0.95, against that of the prior
    where every prior is proper.
    """
    after, before = (
        _end_share(fit[group].to_dataset()) if group in fit.children else np.nan
        for group in ("posterior", "prior")
    )
    said = "scores of two visits are almost the same, which is hard to tell from a patient effect"
    return [boundary_check("visit_correlation_at_an_end", after, before, said)]


def _end_share(draws: xr.Dataset) -> float:
    """Return the largest share, over pairs of visits, of correlations beyond +-0.95."""
    beyond = abs(draws["visit_correlation"]) > NEAR_ONE
    return float(beyond.mean(("chain", "draw")).max())


def _mean(rows: NDArray[np.intp], place: int) -> Feature:
    """Return the mean of one arm at one visit."""
    return lambda scores: scores.isel(subject=rows, visit=place).mean("subject")


def _spread(rows: NDArray[np.intp], place: int, arm: NDArray[np.str_]) -> Feature:
    """Return the standard deviation within arms at one visit."""

    def feature(scores: xr.DataArray) -> xr.DataArray:
        centered = _centered(scores.isel(subject=rows, visit=place), arm[rows])
        freedom = len(rows) - len(set(arm[rows].tolist()))
        return ((centered**2).sum("subject") / freedom) ** 0.5

    return feature


def _correlation(rows: NDArray[np.intp], places: tuple[int, int], arm: NDArray[np.str_]) -> Feature:
    """Return the correlation within arms of two visits."""

    def feature(scores: xr.DataArray) -> xr.DataArray:
        one, other = (
            _centered(scores.isel(subject=rows, visit=place), arm[rows]) for place in places
        )
        size = np.sqrt((one**2).sum("subject") * (other**2).sum("subject"))
        return (one * other).sum("subject") / size

    return feature


def _centered(scores: xr.DataArray, arm: NDArray[np.str_]) -> xr.DataArray:
    """Return scores minus the mean of their arm."""
    found = scores.transpose("subject", ...).copy()
    for label in set(arm.tolist()):
        found.values[arm == label] -= found.values[arm == label].mean(axis=0)
    return found
