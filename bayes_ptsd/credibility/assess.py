"""Everything that one printed interval says about its own credibility, as data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

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
from bayes_ptsd.exact.summary import (
    conjugate_posterior,
    grid_posterior,
    likelihood_of_interval,
)
from bayes_ptsd.location_scale import LocationScale
from bayes_ptsd.prior_family import PRIOR_FAMILY, resolve_prior
from bayes_ptsd.priors import Prior

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Assessment", "assess_interval", "assessed"]

SCALE_FREE = ("flat", "cochrane")
# of a 95% equal-tailed interval
TAILS = np.array([0.025, 0.975])


@dataclass(frozen=True)
class Assessment:
    """The credibility measures of one interval as plain values with named dimensions."""

    values: Mapping[str, tuple[tuple[str, ...], Any]]  # dims and nested lists, or a scalar
    coords: Mapping[str, list[str]]


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
    import xarray as xr

    found = assessed(
        estimate, low, high, df=df, sd=sd, priors=priors, relative_size=relative_size,
        replication_z=replication_z,
    )  # fmt: skip
    return xr.Dataset(
        {name: (dims, one, _described(name, dims)) for name, (dims, one) in found.values.items()},
        coords=found.coords,
        attrs={
            "relative_size": relative_size,
            **{f"convention_{key}": CONVENTIONS[key] for key in found.coords["convention"]},
        },
    )


def assessed(
    estimate: float,
    low: float,
    high: float,
    *,
    df: float | None = None,
    sd: float | None = None,
    priors: Sequence[str | Prior] | None = None,
    relative_size: float = 1.0,
    replication_z: float | None = None,
) -> Assessment:
    """Return what `assess_interval` does, as plain values."""
    df = math.inf if df is None else df
    _check(estimate, low, high, df, relative_size)
    names = ["N"] if math.isinf(df) else ["N", "T"]
    likelihoods = [likelihood_of_interval(estimate, low, high, df, name) for name in names]
    asked = [_priors(priors, sd, likelihood) for likelihood in likelihoods]
    statistics = [_statistics(one, relative_size, replication_z) for one in likelihoods]
    believed = [_beliefs(*both) for both in zip(likelihoods, asked, strict=True)]
    values = {
        **_by_convention(statistics, {"intrinsic_p": "method", "sceptical_p": "calibration"}),
        **_by_convention(believed, dict.fromkeys(believed[0], "prior")),
        **{name: ((), value) for name, value in _reverse(low, high).items()},
        **{name: ((), value) for name, value in _shrunken(statistics[0]["z"]).items()},
        **_replications(likelihoods[0], asked[0], relative_size),
    }
    coords = {
        "convention": names,
        "method": list(INTRINSIC_FACTORS),
        "calibration": list(SCEPTICAL_CALIBRATIONS),
        "prior": [_label(prior) for prior in asked[0]],
    }
    return Assessment(values, coords)


def _by_convention(
    found: Sequence[Mapping[str, Any]], dims: Mapping[str, str]
) -> dict[str, tuple[tuple[str, ...], Any]]:
    """Put the measures of every convention together, a further dimension where one is named."""
    return {
        name: (
            ("convention", *([dims[name]] if name in dims else ())),
            [one[name] for one in found],
        )
        for name in found[0]
    }


def _check(estimate: float, low: float, high: float, df: float, relative_size: float) -> None:
    """Refuse what is no estimate with its interval."""
    if not all(map(math.isfinite, (estimate, low, high))):
        raise SpecError(f"estimate and limits must be finite, got {estimate}, {low}, {high}")
    if not low < high:
        raise SpecError(f"interval {low:g} to {high:g}: the lower limit must be below the upper")
    if not low <= estimate <= high:
        raise SpecError(f"the interval {low:g} to {high:g} does not hold the estimate {estimate:g}")
    if not df >= 1:
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


def _statistics(
    likelihood: Prior, relative_size: float, replication_z: float | None
) -> dict[str, Any]:
    """Return the measures that need z or P only."""
    df = likelihood.params.get("nu", math.inf)
    statistic = likelihood.params["mu"] / likelihood.params["sigma"]
    p_value = float(2 * LocationScale(0.0, 1.0, df).sf(abs(statistic)))
    # the normal score is never beyond t, and unlike it infinite where P underflows
    score = min(-float(special.ndtri(p_value / 2)), abs(statistic))
    z = statistic if math.isinf(df) else math.copysign(score, statistic)
    zr = z * math.sqrt(relative_size) if replication_z is None else replication_z
    minimum = minimum_bayes_factor(statistic, df=df)
    sceptical = [
        sceptical_p_value(z, zr, c=relative_size, calibration=name) if z else math.nan
        for name in SCEPTICAL_CALIBRATIONS
    ]
    return {
        "estimate": likelihood.params["mu"],
        "se": likelihood.params["sigma"],
        "statistic": statistic,
        "p_value": p_value,
        "z": z,
        "minimum_bayes_factor": minimum,
        "prior_odds_at_minimum": prior_odds_needed(1.0) * minimum,
        "sellke_bound": sellke_bound(p_value),
        "intrinsic_p": [intrinsic_p_value(z, method=m) for m in INTRINSIC_FACTORS],
        "sceptical_p": sceptical,
    }


def _beliefs(likelihood: Prior, priors: Sequence[Prior]) -> dict[str, list[float]]:
    """Return posterior summaries and Bayes factors under every prior."""
    rows = [_belief(likelihood, prior) for prior in priors]
    return {name: [row[name] for row in rows] for name in rows[0]}


def _belief(likelihood: Prior, prior: Prior) -> dict[str, float]:
    """Return posterior summary and Bayes factor under one prior."""
    posterior = conjugate_posterior(likelihood, prior)
    if posterior is not None:
        low, high = posterior.interval()
        mean, above = posterior.mean, float(posterior.sf(0.0))
        factor = bayes_factor_10(prior, likelihood) if prior.proper else math.nan
    else:
        exact = grid_posterior(likelihood, prior)
        low, high = map(float, exact.quantile(TAILS))
        mean, above = exact.mean, 1 - float(exact.below(0.0))
        log_ratio = exact.log_mass - float(likelihood.logpdf(0.0))
        factor = from_log(log_ratio)
    return {
        "posterior_mean": mean,
        "posterior_low": low,
        "posterior_high": high,
        "prob_benefit": above,
        "bayes_factor_10": factor,
        "prior_odds_needed": prior_odds_needed(factor) if prior.proper else math.nan,
    }


def _reverse(low: float, high: float) -> dict[str, float | str]:
    """Return the analysis of credibility."""
    result = critical_prior(low, high)
    return {
        "critical_kind": result.kind,
        "critical_limit": result.limit,
        "critical_prior_low": result.low,
        "critical_prior_high": result.high,
        "critical_reason": result.reason,
    }


def _shrunken(z: float) -> dict[str, float]:
    """Return what the record of other trials makes of the z value."""
    result = cochrane_shrinkage(z)
    return {
        "expected_snr": result.expected_snr,
        "shrinkage_factor": result.factor,
        "exaggeration": result.exaggeration,
        "sign_probability": result.sign_probability,
        "empirical_bayes_shrinkage": empirical_bayes_factor(z),
    }


def _replications(
    likelihood: Prior, priors: Sequence[Prior], c: float
) -> dict[str, tuple[tuple[str, ...], Any]]:
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
    return {
        "replication_probability": (("prior",), predicted),
        "replication_probability_conditional": ((), certain),
    }


def _described(name: str, dims: tuple[str, ...]) -> dict[str, str]:
    """Return the label, formula, source and unit of a measure."""
    quantity = QUANTITIES[name]
    attrs = {
        "label": quantity.label,
        "formula": quantity.formula,
        "source": quantity.source,
        "undefined": quantity.undefined,
        "unit": quantity.unit,
    }
    return attrs if "convention" in dims else attrs | {"convention": "N"}
