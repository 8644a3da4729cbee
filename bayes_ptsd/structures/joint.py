"""The structures of several printed contrasts: endpoints of domains, subscales of a total."""

from __future__ import annotations

from bayes_ptsd.structures.structure import NAME, NUMBER, Structure

__all__ = ["ENDPOINTS", "SUBSCALES"]

ANALYSES = ("first_period", "crossover")
READINGS = ("as_published", "carryover_covariate", "unhalved", "change", "change_unhalved")

ENDPOINTS = Structure(
    options={"analysis": ANALYSES, "crossover_reading": READINGS, "correlation": NUMBER},
    priors=("mean", "heterogeneity"),
    equation="estimate[e] / SD[e] ~ Normal(theta, S R S);  theta[e] ~ Normal(mu[domain of e], "
    "heterogeneity^2);  difference[e] = SD[e] theta[e]",
    builder="bayes_ptsd/build/joint.py",
    uses=lambda _: ("mean", "heterogeneity"),
    conflict=lambda _: "",
    kinds=(),
    effects=(),
)
SUBSCALES = Structure(
    options={"total": NAME, "analysis": ANALYSES, "crossover_reading": READINGS},
    priors=("treatment", "heterogeneity"),
    equation="estimate[k] ~ Normal(difference, S R S);  difference[k] = w[k] tau + d[k], sum of d "
    "= 0, d ~ Normal(0, heterogeneity^2) on that plane;  treatment difference = sum of difference",
    builder="bayes_ptsd/build/joint.py",
    uses=lambda _: ("treatment", "heterogeneity"),
    conflict=lambda _: "",
    kinds=(),
)
