"""The PyMC model of one printed contrast."""

from __future__ import annotations

import math

import pymc as pm

from bayes_ptsd.evidence import Evidence
from bayes_ptsd.exact.printed import accepted_row, row_prior
from bayes_ptsd.exact.summary import likelihood_of
from bayes_ptsd.pymc_priors import prior_variable
from bayes_ptsd.specification import ModelSpec

__all__ = ["build_summary"]


def build_summary(evidence: Evidence, spec: ModelSpec) -> pm.Model:
    """Build the model of one printed contrast.

    ``treatment_difference ~ prior``; convention N: ``estimate ~ Normal(treatment_difference, s)``;
    convention T: ``estimate ~ StudentT(df, treatment_difference, se)``. The estimate is the printed
    one (N) or the center of the printed interval (T), in score units, positive when the active
    treatment is better.
    """
    likelihood = likelihood_of(accepted_row(evidence, spec), spec.options["convention"])
    prior = row_prior(spec, evidence)
    df = likelihood.params.get("nu", math.inf)
    with pm.Model() as model:
        printed = pm.Data("estimate_printed", likelihood.params["mu"])
        se = pm.Data("se", likelihood.params["sigma"])
        difference = prior_variable("treatment_difference", prior)
        if math.isinf(df):
            pm.Normal("estimate", mu=difference, sigma=se, observed=printed)
        else:
            degrees = pm.Data("df", df)
            pm.StudentT("estimate", nu=degrees, mu=difference, sigma=se, observed=printed)
    return model
