"""Posterior predictive checks of a crossover: the features that an analysis leans on.

Replicated data sets have the same patients, sequences and missing cells. A feature whose observed
value lies far out among its replicates is something the model cannot say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayes_ptsd.check_roles import Check

__all__ = [
    "FAR",
    "Feature",
    "end_features",
    "feature_table",
    "predictive_checks",
    "predictive_features",
    "prior_scores",
]

# Each tail. Of four standard deviations under a common one, the most features that one parameter
# has, a true model fails one in 1.1% of trials of 12 patients and in .5% of trials of 80.
FAR = 0.005
Scores = xr.DataArray
Feature = Callable[[Scores], Scores]


def predictive_features(fit: xr.DataTree, *, range_: tuple[float, float] | None) -> xr.Dataset:
    """Compare features of the observed scores with their replicates, as `feature_table`.

    Means and standard deviations by sequence and period, correlation between periods and, with a
    range, numbers of scores at or beyond each end.
    """
    observed = fit["observed_data"].to_dataset()["score"]
    return feature_table(fit, _features(observed) | end_features(range_))


def feature_table(fit: xr.DataTree, features: Mapping[str, Feature]) -> xr.Dataset:
    """Compare given features of the observed scores with their replicates, dim ``statistic``.

    ``observed``, ``mean, low, high`` of the replicates (95% interval) and ``p``, the share of them
    above the observed value, ties counted half.
    """
    observed = fit["observed_data"].to_dataset()["score"]
    replicated = fit["posterior_predictive"].to_dataset()["score"]
    names, found, drawn = [], [], []
    for name, feature in features.items():
        names.append(name)
        found.append(float(feature(observed)))
        drawn.append(feature(replicated).values.ravel())
    draws = np.stack(drawn)
    value = np.array(found)[:, None]
    p = np.mean(draws > value, axis=1) + 0.5 * np.mean(draws == value, axis=1)
    columns = {
        "observed": value[:, 0],
        "mean": draws.mean(axis=1),
        "low": np.quantile(draws, 0.025, axis=1),
        "high": np.quantile(draws, 0.975, axis=1),
        "p": p,
    }
    return xr.Dataset(
        {key: ("statistic", column) for key, column in columns.items()},
        coords={"statistic": names},
    )


def predictive_checks(features: xr.Dataset) -> list[Check]:
    """Judge features: none may lie beyond all but half a percent of its replicates.

    The figure is the smaller tail probability; a feature that the data do not have is left out
    (there is no correlation of scores that are all alike).
    """
    features = features.isel(statistic=np.isfinite(features["observed"].values))
    p = features["p"].values
    tails = np.minimum(p, 1 - p)
    return [
        Check(
            f"predictive_{name}", tail, FAR, tail >= FAR,
            meaning=f"observed {observed:.4g}, replicates {low:.4g} to {high:.4g}",
        )
        for name, observed, low, high, tail in zip(
            features["statistic"].values.tolist(),
            *(features[key].values.tolist() for key in ("observed", "low", "high")),
            tails.tolist(),
            strict=True,
        )
    ]  # fmt: skip


def prior_scores(
    replicated: xr.Dataset,
    ranges: tuple[float, float] | Mapping[str, tuple[float, float] | None] | None,
) -> xr.Dataset:
    """Summarize what the priors alone make of scores: shown, and never a check.

    Priors of levels are wide on purpose, so that they cannot move a difference; that many of the
    scores they allow lie beyond the ends of the scale is how wide they are, not a fault. ``low,
    high`` are of the central 95%, ``inside`` is the share within the range, NaN without one.
    """
    score = replicated["score"]
    over = [dim for dim in score.dims if dim != "endpoint"]
    low, high = score.quantile([0.025, 0.975], dim=over).drop_vars("quantile")
    if isinstance(ranges, Mapping):
        ends = np.array(
            [ranges[str(name)] or (np.nan, np.nan) for name in score["endpoint"].values]
        )
        least, most = (xr.DataArray(end, dims="endpoint") for end in ends.T)
    else:
        least, most = map(xr.DataArray, ranges or (np.nan, np.nan))
    there = score.notnull() & least.notnull()
    inside = ((score >= least) & (score <= most)).where(there).mean(over)
    return xr.Dataset({"low": low, "high": high, "inside": inside})


def _features(observed: Scores) -> dict[str, Feature]:
    """Return the features by name; each takes scores with dims subject and period."""
    found: dict[str, Feature] = {}
    for label in sorted(set(observed["sequence"].values.tolist())):
        rows = np.flatnonzero(observed["sequence"].values == label)
        for period in (1, 2):
            if int(observed.isel(subject=rows).sel(period=period).notnull().sum()) < 2:
                continue
            found[f"mean_{label}_{period}"] = _cell(rows, period, "mean")
            found[f"sd_{label}_{period}"] = _cell(rows, period, "std")
    if int(observed.notnull().all("period").sum()) > 2:
        found["correlation"] = _correlation
    return found


def end_features(range_: tuple[float, float] | None) -> dict[str, Feature]:
    """Return the numbers of scores at or beyond each end of the range; none without one."""
    if range_ is None:
        return {}
    low, high = range_

    def counted(there: Scores) -> Scores:
        return there.sum([dim for dim in there.dims if dim not in ("chain", "draw")])

    return {
        "at_floor": lambda scores: counted(scores <= low),
        "at_ceiling": lambda scores: counted(scores >= high),
    }


def _cell(rows: NDArray[np.intp], period: int, method: str) -> Feature:
    """Return the mean or standard deviation of one sequence in one period."""

    def feature(scores: Scores) -> Scores:
        cell = scores.isel(subject=rows).sel(period=period)
        return cell.mean("subject") if method == "mean" else cell.std("subject", ddof=1)

    return feature


def _correlation(scores: Scores) -> Scores:
    """Return the correlation between periods within sequences, complete patients."""
    complete = scores.where(scores.notnull().all("period"))
    centered = complete.groupby("sequence") - complete.groupby("sequence").mean()
    first, second = centered.sel(period=1), centered.sel(period=2)
    product = (first * second).sum("subject")
    return product / np.sqrt((first**2).sum("subject") * (second**2).sum("subject"))
