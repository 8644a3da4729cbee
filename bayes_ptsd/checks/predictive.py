"""Posterior predictive checks: the features of scores that an analysis leans on.

Replicated data sets have the same patients, sequences and missing cells. A feature whose observed
value lies far out among its replicates is something the model cannot say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import xarray as xr

from bayes_ptsd.check_roles import Check
from bayes_ptsd.trial import Endpoint

__all__ = [
    "FAR",
    "Feature",
    "arm_features",
    "end_features",
    "endpoint_features",
    "feature_table",
    "predictive_checks",
    "prior_scores",
]

# Each tail. Of four standard deviations under a common one, the most features that one parameter
# has, a true model fails one in 1.1% of trials of 12 patients and in .5% of trials of 80.
FAR = 0.005
Scores = xr.DataArray
Feature = Callable[[Scores], Scores]


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
    # patients too few for a mean or a spread have no feature
    draws = np.stack(drawn) if drawn else np.empty((0, 1))
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


def arm_features(observed: Scores) -> dict[str, Feature]:
    """Return the features that a comparison of arms leans on: mean, sd and extremes by arm."""
    found: dict[str, Feature] = {}
    for label in sorted(set(observed["treatment"].values.tolist())):
        rows = np.flatnonzero(observed["treatment"].values == label)
        found[f"mean_{label}"] = lambda y, rows=rows: y.isel(subject=rows).mean("subject")  # type: ignore[misc]
        if len(rows) > 1:
            found[f"sd_{label}"] = lambda y, rows=rows: y.isel(subject=rows).std("subject", ddof=1)  # type: ignore[misc]
            found[f"lowest_{label}"] = lambda y, rows=rows: y.isel(subject=rows).min("subject")  # type: ignore[misc]
            found[f"highest_{label}"] = lambda y, rows=rows: y.isel(subject=rows).max("subject")  # type: ignore[misc]
    return found


def endpoint_features(observed: Scores, endpoints: Iterable[Endpoint]) -> dict[str, Feature]:
    """Return, for several endpoints of one visit, what a comparison of arms leans on.

    Scores have dims (subject, endpoint) and a coordinate ``treatment(subject)``; names begin with
    that of the endpoint.
    """
    found: dict[str, Feature] = {}
    for endpoint in endpoints:
        own = observed.sel(endpoint=endpoint.id)
        for name, feature in (arm_features(own) | end_features(endpoint.range)).items():
            found[f"{endpoint.id}_{name}"] = lambda y, f=feature, e=endpoint.id: f(  # type: ignore[misc]
                y.sel(endpoint=e, drop=True)
            )
    return found
