"""Several printed contrasts in one model: endpoints of domains, subscales of a total.

Estimates of one analysis share patients, so that their errors are correlated; print does not say
how much. With `omega` the heterogeneity and R one correlation between the estimates::

    estimate ~ Normal(difference, S R S)
    difference | omega ~ Normal(center, fixed + omega^2 spread)

**Endpoints.** Standardized effects of one domain scatter around a mean of their own: an answer to
many contrasts that the paper adjusts for nothing. R is an assumption, an option of the model::

    theta[e] = difference[e] / SD[e],  theta[e] ~ Normal(mu[domain of e], omega^2)
    mu ~ Normal(0, 0.5^2),  omega ~ HalfNormal(0.3), in reference SDs

95% of the mean effects of a domain are then within one SD of zero, and 95% of the spreads below .6.
A total and its subscales never enter together.

**Subscales.** The differences of the parts add up to that of the total, in the prior too; w is the
share of each part in the total's range, R the one correlation that the printed errors imply::

    difference[k] = w[k] total + d[k],  sum of d = 0,  d ~ Normal(0, omega^2) on that plane
    total ~ prior of the treatment difference,  omega ~ HalfNormal(1.5), in score units

A spread of 1.5 is about .3, as between endpoints, of a part's share (6 or 8 items of 22) of the
total's reference SD, 14.4.
"""

from bayes_ptsd.structures.joint.room import ENDPOINTS, SUBSCALES

__all__ = ["ENDPOINTS", "SUBSCALES"]
