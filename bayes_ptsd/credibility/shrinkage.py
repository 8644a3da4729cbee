"""Shrinkage of a published estimate by the record of trials in the Cochrane database [1]_.

The signal-to-noise ratio SNR is the true difference over the standard error of its estimate; the z
value of a trial is its SNR plus a standard normal error (convention N). The record is the z values
of 23,551 trials, to which the mixture was fitted.

References
----------
.. [1] van Zwet E, Schwab S, Senn S. The statistical properties of RCTs and a proposal for
   shrinkage. Statistics in Medicine 2021;40(27):6107-6117.
"""

from __future__ import annotations

from dataclasses import dataclass

from scipy import special

from bayes_ptsd.credibility.replication import CRITICAL_Z
from bayes_ptsd.exact.summary import conjugate_posterior
from bayes_ptsd.prior_family import COCHRANE_SDS, COCHRANE_WEIGHTS
from bayes_ptsd.priors import Prior, mixture, normal

__all__ = [
    "COCHRANE_SNR",
    "Shrinkage",
    "achieved_power",
    "cochrane_shrinkage",
    "empirical_bayes_factor",
    "median_achieved_power",
]

COCHRANE_SNR = mixture(list(COCHRANE_WEIGHTS), [normal(0, sd) for sd in COCHRANE_SDS])
"""Distribution of the signal-to-noise ratio of trials in the Cochrane database."""

# stands for 0: the factor, even in z, is within about 1e-12 of its limit there
LEAST_Z = 1e-6


@dataclass(frozen=True)
class Shrinkage:
    """What the Cochrane record makes of one z value."""

    expected_snr: float  # ``E[SNR | z]``, in standard errors
    factor: float  # ``E[SNR | z] / z``: share of the estimate that remains
    exaggeration: float  # ``|z| / median(|SNR| given z)``: expected overstatement
    sign_probability: float  # that the true difference has the sign of the estimate


def cochrane_shrinkage(z: float) -> Shrinkage:
    """Return what the Cochrane record makes of a z value; at 0 the factor is its limit."""
    size = max(abs(z), LEAST_Z)
    posterior = conjugate_posterior(normal(size, 1.0), COCHRANE_SNR) or COCHRANE_SNR
    factor = posterior.mean / size
    return Shrinkage(
        expected_snr=factor * z,
        factor=factor,
        exaggeration=abs(z) / _median_magnitude(posterior),
        sign_probability=float(posterior.sf(0.0)),
    )


def _median_magnitude(distribution: Prior) -> float:
    """Return the median of the absolute value."""
    from scipy.optimize import brentq

    def excess(x: float) -> float:
        return float(distribution.cdf(x) - distribution.cdf(-x)) - 0.5

    top = max(abs(part.params["mu"]) + 5 * part.params["sigma"] for part in distribution.components)
    return float(brentq(excess, 0.0, top, xtol=1e-13))


def empirical_bayes_factor(z: float) -> float:
    """Return the empirical-Bayes shrinkage factor of one estimate on its own.

    ``max(1 - 1/z^2, 0)``: the factor of a normal prior about zero whose variance is estimated from
    this one z by maximum marginal likelihood.
    """
    return 1 - 1 / z**2 if abs(z) > 1 else 0.0


def achieved_power(snr: float) -> float:
    """Return the power of a two-sided 5% test at a signal-to-noise ratio, either sign counted."""
    return float(special.ndtr(-CRITICAL_Z - snr) + special.ndtr(-CRITICAL_Z + snr))


def median_achieved_power() -> float:
    """Return the power at the median absolute signal-to-noise ratio of the Cochrane record."""
    return achieved_power(_median_magnitude(COCHRANE_SNR))
