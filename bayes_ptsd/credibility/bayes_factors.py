"""Bayes factors of one estimate: against a prior's alternative, and the bounds on them.

`BF10` is the evidence for the alternative over "no difference", `BF01` its reciprocal. A Bayes
factor needs a proper prior under the alternative: the flat prior has none.
"""

from __future__ import annotations

import math

from bayes_ptsd.errors import SpecError
from bayes_ptsd.exact.summary import log_marginal_likelihood
from bayes_ptsd.priors import Prior

__all__ = [
    "SELLKE_LIMIT",
    "bayes_factor_10",
    "from_log",
    "minimum_bayes_factor",
    "prior_odds_needed",
    "sellke_bound",
]

# of the largest double the logarithm is 709.78
LARGEST_LOG = 709.0
SELLKE_LIMIT = math.exp(-1)
"""P value below which the bound of Sellke, Bayarri and Berger holds."""


def bayes_factor_10(prior: Prior, likelihood: Prior) -> float:
    """Return ``BF10 = f(estimate | prior) / f(estimate | difference 0)`` [1]_.

    Above one it favors the alternative. Closed form for normal priors and their mixtures under
    convention N, else quadrature with a relative error below 1e-8; an improper prior is refused.

    References
    ----------
    .. [1] Kass RE, Raftery AE. Bayes factors. Journal of the American Statistical Association
       1995;90(430):773-795.
    """
    if not prior.proper:
        raise SpecError("the flat prior is improper: it has no marginal likelihood or Bayes factor")
    return from_log(log_marginal_likelihood(likelihood, prior) - float(likelihood.logpdf(0.0)))


def from_log(log_factor: float) -> float:
    """Return a Bayes factor from its logarithm, infinite where no float can hold it."""
    return math.exp(log_factor) if log_factor < LARGEST_LOG else math.inf


def minimum_bayes_factor(statistic: float, *, df: float = math.inf) -> float:
    """Return the smallest BF01 that any prior under the alternative can give.

    The likelihood of no difference over that of the estimate itself: ``exp(-z^2 / 2)`` [1]_, or for
    a t value ``(1 + t^2 / df)^(-(df + 1) / 2)``.

    References
    ----------
    .. [1] Edwards W, Lindman H, Savage LJ. Bayesian statistical inference for psychological
       research. Psychological Review 1963;70(3):193-242.
    """
    if math.isinf(df):
        return math.exp(-(statistic**2) / 2)
    return float((1 + statistic**2 / df) ** (-(df + 1) / 2))


def sellke_bound(p_value: float) -> float:
    """Return the bound ``-e p ln p`` on BF01 for a two-sided P value [1]_.

    NaN for P at or above ``1/e = 0.368``, where it does not hold.

    References
    ----------
    .. [1] Sellke T, Bayarri MJ, Berger JO. Calibration of p values for testing precise null
       hypotheses. The American Statistician 2001;55(1):62-71.
    """
    if not 0 <= p_value <= 1:
        raise SpecError(f"a P value lies between 0 and 1, got {p_value}")
    if p_value == 0:
        return 0.0
    return -math.e * p_value * math.log(p_value) if p_value < SELLKE_LIMIT else math.nan


def prior_odds_needed(bf10: float, *, probability: float = 0.95) -> float:
    """Return the prior odds of the alternative at which its posterior probability is reached.

    ``probability / (1 - probability) / BF10``, infinite for a Bayes factor of 0.
    """
    if not 0 < probability < 1:
        raise SpecError(f"the posterior probability must be between 0 and 1, got {probability}")
    if bf10 < 0:
        raise SpecError(f"a Bayes factor cannot be negative, got {bf10}")
    return probability / (1 - probability) / bf10 if bf10 else math.inf
