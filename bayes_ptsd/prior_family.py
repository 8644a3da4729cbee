"""The named priors for a treatment difference, and what a prior is worth in patients.

Scales are multiples of the endpoint's total standard deviation, so that every endpoint gets its own
prior; positive values mean that the active treatment is better.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from scipy import special

from bayes_ptsd.errors import SpecError, nearest
from bayes_ptsd.priors import FloatArray, Prior, mixture, normal

__all__ = [
    "COCHRANE_SDS",
    "COCHRANE_WEIGHTS",
    "DESIGN_EFFECT",
    "PRIOR_FAMILY",
    "WITHOUT_SD",
    "elir_ess",
    "ess_patients",
    "resolve_prior",
]

DESIGN_EFFECT = 0.9
"""The trial's own design alternative, in total standard deviations."""

# of the normal mixture that van Zwet, Schwab and Senn (2021) estimate from 20,000 trials
COCHRANE_WEIGHTS = (0.32, 0.31, 0.30, 0.07)
# of the signal-to-noise ratio, so they multiply a standard error; the same source
COCHRANE_SDS = (0.61, 1.42, 2.16, 5.64)

PRIOR_FAMILY: Mapping[str, str] = {
    "flat": "improper, constant density; only the exact engines use it",
    "reference": "normal, mean 0, sd 10 SD: a stand-in for flat where samplers need one, no belief",
    "weak": "normal, mean 0, sd 2 SD: rules out absurd effects only",
    "skeptical": "normal, mean 0, with probability .05 above the design alternative 0.9 SD",
    "enthusiastic": "normal, mean 0.9 SD, same sd as skeptical: probability .05 below 0",
    "cochrane": "signal-to-noise ratios of 20,000 trials in the Cochrane database; scales with "
    "this row's own standard error, so it is a statement about the study",
}

WITHOUT_SD = ("flat", "cochrane")
"""Members of the family that are no multiple of the endpoint's total SD."""


def resolve_prior(name: str, *, sd: float | None, se: float | None = None) -> Prior:
    """Return a prior of the family in score units, with its name and source.

    `sd` is the endpoint's total SD, None where it is not known: `flat` needs none, and `cochrane`
    [1]_ scales with the standard error `se` instead.
    `skeptical` and `enthusiastic` are those of [2]_.

    References
    ----------
    .. [1] van Zwet E, Schwab S, Senn S. The statistical properties of RCTs and a proposal for
       shrinkage. Statistics in Medicine 2021;40:6107-6117 (mixture for "cochrane").
    .. [2] Spiegelhalter DJ, Freedman LS, Parmar MKB. Bayesian approaches to randomized trials.
       JRSS A 1994;157:357-416 (skeptical and enthusiastic priors).
    """
    if name not in PRIOR_FAMILY:
        raise SpecError(f"unknown prior '{name}'{nearest(name, PRIOR_FAMILY)}")
    if sd is not None and not sd > 0:
        raise SpecError(f"prior '{name}': the endpoint's reference SD must be positive, got {sd}")
    if name == "cochrane":
        return _cochrane(se).named(name, PRIOR_FAMILY[name])
    if name == "flat":
        return Prior("flat").named(name, PRIOR_FAMILY[name])
    if sd is None:
        raise SpecError(f"prior '{name}' is a multiple of the endpoint's reference SD; give one")
    doubt = DESIGN_EFFECT * sd / float(special.ndtri(0.95))
    family = {
        "reference": normal(0, 10 * sd),
        "weak": normal(0, 2 * sd),
        "skeptical": normal(0, doubt),
        "enthusiastic": normal(DESIGN_EFFECT * sd, doubt),
    }
    return family[name].named(name, PRIOR_FAMILY[name])


def _cochrane(se: float | None) -> Prior:
    """Return the Cochrane mixture in the unit of `se`."""
    if se is None or not se > 0:
        raise SpecError("prior 'cochrane' scales with the estimate's standard error; give one")
    return mixture(list(COCHRANE_WEIGHTS), [normal(0, s * se) for s in COCHRANE_SDS])


def elir_ess(prior: Prior, *, information: float) -> float:
    """Return the expected-local-information-ratio effective sample size of a prior, 0 for flat.

    It is ``E[-d2 log p / d theta2] / information`` [1]_, with the information of one unit. What is
    integrated is ``E[(d log p / d theta)^2] / information``, equal to it for a density on the whole
    line, the only one that is allowed.

    References
    ----------
    .. [1] Neuenschwander B, Weber S, Schmidli H, O'Hagan A. Predictively consistent prior
       effective sample sizes. Biometrics 2020;76:578-587.
    """
    if prior.dist == "flat":
        return 0.0
    if prior.dist == "normal":
        return 1 / (prior.params["sigma"] ** 2 * information)
    if prior.dist == "student_t":
        nu, sigma = prior.params["nu"], prior.params["sigma"]
        return (nu + 1) / ((nu + 3) * sigma**2 * information)
    if prior.dist != "mixture" or {part.dist for part in prior.components} - {
        "normal",
        "student_t",
    }:
        raise SpecError(
            f"the ELIR effective sample size is defined here for normal, Student-t and their "
            f"mixtures, not for {prior.dist}"
        )
    return _mixture_information(prior) / information


def _mixture_information(prior: Prior) -> float:
    """Integrate the squared score of a mixture, panel by panel over its components' bulk."""
    from scipy import integrate

    # a panel a standard deviation near each center, wide ones where its tail is all there is
    steps = np.array([-1e4, -40, -8, -4, -2, -1, 0, 1, 2, 4, 8, 40, 1e4])
    weight, parts = np.array(prior.weights), prior.components
    mu, sigma = (np.array([part.params[key] for part in parts]) for key in ("mu", "sigma"))
    nu = np.array([part.params.get("nu", np.inf) for part in parts])
    edges = np.unique(mu[:, None] + steps * sigma[:, None])

    def integrand(x: FloatArray) -> FloatArray:
        distance = (x[..., None] - mu) / sigma
        density = weight * _standard_density(distance, nu) / sigma
        slope = (density * _score(distance, nu) / sigma).sum(axis=-1)
        whole = density.sum(axis=-1)
        return np.asarray(np.divide(slope**2, whole, out=np.zeros_like(x), where=whole > 0))

    return float(integrate.tanhsinh(integrand, edges[:-1], edges[1:], rtol=1e-10).integral.sum())


def _standard_density(distance: FloatArray, nu: FloatArray) -> FloatArray:
    """Return the density of standard normal (`nu` infinite) or Student-t variables, last dim."""
    if np.isinf(nu).all():
        return np.asarray(np.exp(-(distance**2) / 2) / math.sqrt(2 * math.pi))
    from scipy import stats

    return np.asarray(stats.t.pdf(distance, nu))


def _score(distance: FloatArray, nu: FloatArray) -> FloatArray:
    """Return the derivative of the log density of standard normal or Student-t variables."""
    # (nu + 1) / (nu + z^2) in a form that has its limit, 1, at an infinite nu
    score: FloatArray = -distance * (1 + 1 / nu) / (1 + distance**2 / nu)
    return score


def ess_patients(prior: Prior, *, sd: float) -> float:
    """Return the ELIR effective sample size in patients of a 1:1 parallel trial, both arms.

    One patient carries information ``1 / (2 sd)^2`` about the difference, because n patients give
    it the variance ``4 sd^2 / n``; `sd` is the total SD of the score. It is 0 for the flat prior.
    """
    if not (sd > 0 and math.isfinite(sd)):
        raise SpecError(f"sd must be positive, got {sd}")
    return elir_ess(prior, information=1 / (2 * sd) ** 2)
