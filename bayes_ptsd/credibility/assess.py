"""Everything that one printed interval says about its own credibility, as data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from scipy import stats

from bayes_ptsd.credibility.bayes_factors import (
    bayes_factor_10,
    from_log,
    minimum_bayes_factor,
    prior_odds_needed,
    sellke_bound,
)
from bayes_ptsd.credibility.catalog import CONVENTIONS, QUANTITIES
from bayes_ptsd.credibility.replication import (
    SCEPTICAL_CALIBRATIONS,
    conditional_replication_probability,
    replication_probability,
    sceptical_p_value,
)
from bayes_ptsd.credibility.reverse_bayes import (
    INTRINSIC_FACTORS,
    critical_prior,
    intrinsic_p_value,
)
from bayes_ptsd.credibility.shrinkage import cochrane_shrinkage, empirical_bayes_factor
from bayes_ptsd.errors import SpecError
from bayes_ptsd.exact.grid import grid_cdf, grid_quantile
from bayes_ptsd.exact.summary import conjugate_posterior, exact_posterior, likelihood_of
from bayes_ptsd.prior_family import PRIOR_FAMILY, resolve_prior
from bayes_ptsd.priors import Prior

__all__ = ["assess_interval"]

SCALE_FREE = ("flat", "cochrane")
# of a 95% equal-tailed interval
TAILS = np.array([0.025, 0.975])


def assess_interval(
    estimate: float,
    low: float,
    high: float,
    *,
    df: float | None = None,
    sd: float | None = None,
    priors: Sequence[str | Prior] | None = None,
    relative_size: float = 1.0,
    replication_z: float | None = None,
) -> xr.Dataset:
    """Return every credibility measure of one printed 95% interval, in score units.

    Positive when the active treatment is better. A finite `df` adds convention T, `sd` (of the
    score) the priors that are multiples of it. `relative_size` is the variance of the estimate over
    that of a replication, whose z value is by default that of the same estimate,
    ``z sqrt(relative_size)``. Dims ``convention`` (N, T), ``prior``, ``method`` (held, matthews),
    ``calibration`` (nominal, golden, controlled); measures without the dim ``convention`` are of
    convention N. The attributes of each say its label, formula, source, unit and why it may be
    missing. A replication that points the other way is refused.
    """
    df = None if df == math.inf else df
    _check(estimate, low, high, df, relative_size)
    row = xr.Dataset(
        {
            "estimate": estimate,
            "interval_low": low,
            "interval_high": high,
            "df": math.inf if df is None else df,
        }
    )
    likelihoods = {name: likelihood_of(row, name) for name in (["N"] if df is None else ["N", "T"])}
    parts = [
        _statistics(likelihood, relative_size, replication_z).expand_dims(convention=[name])
        for name, likelihood in likelihoods.items()
    ]
    believed = [
        _beliefs(likelihood, _priors(priors, sd, likelihood)).expand_dims(convention=[name])
        for name, likelihood in likelihoods.items()
    ]
    dataset = xr.merge(
        [
            xr.concat(parts, dim="convention"),
            xr.concat(believed, dim="convention"),
            _reverse(low, high),
            _shrunken(float(parts[0]["z"].item())),
            _replications(likelihoods["N"], _priors(priors, sd, likelihoods["N"]), relative_size),
        ]
    )
    return _described(dataset).assign_attrs(
        relative_size=relative_size, **{f"convention_{k}": CONVENTIONS[k] for k in likelihoods}
    )


def _check(
    estimate: float, low: float, high: float, df: float | None, relative_size: float
) -> None:
    """Refuse what is no estimate with its interval."""
    if not all(map(math.isfinite, (estimate, low, high))):
        raise SpecError(f"estimate and limits must be finite, got {estimate}, {low}, {high}")
    if not low < high:
        raise SpecError(f"interval {low:g} to {high:g}: the lower limit must be below the upper")
    if not low <= estimate <= high:
        raise SpecError(f"the interval {low:g} to {high:g} does not hold the estimate {estimate:g}")
    if df is not None and not 1 <= df < math.inf:
        raise SpecError(f"df is {df}: give degrees of freedom of 1 or more, or none")
    if not (math.isfinite(relative_size) and relative_size > 0):
        raise SpecError(f"relative_size is {relative_size}: give a positive number, original = 1")


def _priors(
    asked: Sequence[str | Prior] | None, sd: float | None, likelihood: Prior
) -> list[Prior]:
    """Return the priors in score units; cochrane scales with the convention's standard error."""
    names = asked or (SCALE_FREE if sd is None else tuple(PRIOR_FAMILY))
    se = likelihood.params["sigma"]
    priors = []
    for item in names:
        if isinstance(item, Prior):
            priors.append(item)
            continue
        if sd is None and item in PRIOR_FAMILY and item not in SCALE_FREE:
            raise SpecError(f"prior '{item}' is a multiple of the score's SD: give sd")
        priors.append(resolve_prior(item, sd=se if sd is None else sd, se=se))
    labels = [_label(prior) for prior in priors]
    if len(set(labels)) < len(labels):
        raise SpecError(f"the same prior twice: {', '.join(labels)}")
    return priors


def _label(prior: Prior) -> str:
    """Return the coordinate of a prior: its name in the family, else its formula."""
    return prior.formula if prior.name == "custom" else prior.name


def _statistics(likelihood: Prior, relative_size: float, replication_z: float | None) -> xr.Dataset:
    """Return the measures that need z or P only."""
    df = likelihood.params.get("nu", math.inf)
    statistic = likelihood.params["mu"] / likelihood.params["sigma"]
    p_value = float(2 * stats.t.sf(abs(statistic), df))
    # the normal score is never beyond t, and unlike it infinite where P underflows
    score = min(float(stats.norm.isf(p_value / 2)), abs(statistic))
    z = statistic if math.isinf(df) else math.copysign(score, statistic)
    zr = z * math.sqrt(relative_size) if replication_z is None else replication_z
    minimum = minimum_bayes_factor(statistic, df=df)
    sceptical = [
        sceptical_p_value(z, zr, c=relative_size, calibration=name) if z else math.nan
        for name in SCEPTICAL_CALIBRATIONS
    ]
    return xr.Dataset(
        {
            "estimate": likelihood.params["mu"],
            "se": likelihood.params["sigma"],
            "statistic": statistic,
            "p_value": p_value,
            "z": z,
            "minimum_bayes_factor": minimum,
            "prior_odds_at_minimum": prior_odds_needed(1.0) * minimum,
            "sellke_bound": sellke_bound(p_value),
            "intrinsic_p": ("method", [intrinsic_p_value(z, method=m) for m in INTRINSIC_FACTORS]),
            "sceptical_p": ("calibration", sceptical),
        },
        coords={"method": list(INTRINSIC_FACTORS), "calibration": list(SCEPTICAL_CALIBRATIONS)},
    )


def _beliefs(likelihood: Prior, priors: list[Prior]) -> xr.Dataset:
    """Return posterior summaries and Bayes factors under every prior."""
    rows = [_belief(likelihood, prior) for prior in priors]
    names = list(rows[0])
    return xr.Dataset(
        {name: ("prior", [row[name] for row in rows]) for name in names},
        coords={"prior": [_label(prior) for prior in priors]},
    )


def _belief(likelihood: Prior, prior: Prior) -> dict[str, float]:
    """Return posterior summary and Bayes factor under one prior."""
    posterior = conjugate_posterior(likelihood, prior)
    if posterior is not None:
        low, high = posterior.interval()
        mean, above = posterior.mean, float(posterior.sf(0.0))
        factor = bayes_factor_10(prior, likelihood) if prior.proper else math.nan
    else:
        exact = exact_posterior(likelihood, prior)
        low, high = map(float, grid_quantile(exact, TAILS))
        mean, above = float(exact["mean"]), 1 - float(grid_cdf(exact, np.array(0.0)))
        log_ratio = float(exact["log_marginal_likelihood"]) - float(likelihood.logpdf(0.0))
        factor = from_log(log_ratio)
    return {
        "posterior_mean": mean,
        "posterior_low": low,
        "posterior_high": high,
        "prob_benefit": above,
        "bayes_factor_10": factor,
        "prior_odds_needed": prior_odds_needed(factor) if prior.proper else math.nan,
    }


def _reverse(low: float, high: float) -> xr.Dataset:
    """Return the analysis of credibility."""
    result = critical_prior(low, high)
    return xr.Dataset(
        {
            "critical_kind": result.kind,
            "critical_limit": result.limit,
            "critical_prior_low": result.low,
            "critical_prior_high": result.high,
            "critical_reason": result.reason,
        }
    )


def _shrunken(z: float) -> xr.Dataset:
    """Return what the record of other trials makes of the z value."""
    result = cochrane_shrinkage(z)
    return xr.Dataset(
        {
            "expected_snr": result.expected_snr,
            "shrinkage_factor": result.factor,
            "exaggeration": result.exaggeration,
            "sign_probability": result.sign_probability,
            "empirical_bayes_shrinkage": empirical_bayes_factor(z),
        }
    )


def _replications(likelihood: Prior, priors: list[Prior], c: float) -> xr.Dataset:
    """Return the predictive probabilities of a replication, convention N."""
    estimate, se = likelihood.params["mu"], likelihood.params["sigma"]
    predicted = []
    for prior in priors:
        posterior = conjugate_posterior(likelihood, prior)
        known = posterior is not None and estimate != 0
        predicted.append(
            replication_probability(posterior, se=se, c=c, direction=estimate)
            if known and posterior is not None
            else math.nan
        )
    certain = conditional_replication_probability(estimate / se, c=c) if estimate else math.nan
    return xr.Dataset(
        {
            "replication_probability": ("prior", predicted),
            "replication_probability_conditional": certain,
        },
        coords={"prior": [_label(prior) for prior in priors]},
    )


def _described(dataset: xr.Dataset) -> xr.Dataset:
    """Give every measure its label, formula, source and unit."""
    for name in dataset.data_vars:
        quantity = QUANTITIES[str(name)]
        attrs: dict[str, Any] = {
            "label": quantity.label,
            "formula": quantity.formula,
            "source": quantity.source,
            "undefined": quantity.undefined,
            "unit": quantity.unit,
        }
        if "convention" not in dataset[name].dims:
            attrs["convention"] = "N"
        dataset[name].attrs = attrs
    return dataset
