"""The PyMC model of a comparison of the arms at one visit."""

from __future__ import annotations

from typing import Any

import pymc as pm
import pytensor.tensor as pt

from bayes_ptsd.evidence import Evidence
from bayes_ptsd.first_period.model import FirstPeriodModel, first_period_model
from bayes_ptsd.gaussian.parameters import NU_FLOOR
from bayes_ptsd.pymc_priors import prior_distribution, prior_variable
from bayes_ptsd.specification import ModelSpec

__all__ = ["build_first_period", "first_period_pymc"]


def build_first_period(evidence: Evidence, spec: ModelSpec) -> pm.Model:
    """Build the model of a comparison of the arms at one visit.

    Patient i, `s` = +1 if higher scores are better, else -1, ``x[i]`` = +1/2 in the active and -1/2
    in the control arm, ``b[i] = baseline[i] - mean``::

        mean[i]  = level + s * treatment_difference * x[i]
                 + baseline_slope * b[i]                              (option baseline)
                 + s * interaction * b[i] * x[i]                      (option interaction)
                 + sum_j covariate[j] * z[i,j]                        (option covariates)
        score[i] ~ Normal(mean[i], sd_residual)                       (arm_sd = "equal")
        score[i] ~ Normal(mean[i], sd_residual[arm of i])             (arm_sd = "unequal")
        score[i] ~ StudentT(nu, mean[i], sd_residual), nu > 2         (likelihood = "student_t")

    Every ``z[:,j]`` has mean zero, so the treatment difference is the one at the mean baseline,
    which is also its mean over these patients.

    The treatment difference is positive where the active treatment is better. Scores and prior
    parameters are data that can be exchanged; an improper prior is a SpecError.
    """
    return first_period_pymc(first_period_model(evidence, spec))


def first_period_pymc(problem: FirstPeriodModel) -> pm.Model:
    """Build the PyMC model of a specification that has met its patients."""
    with pm.Model(coords={"subject": problem.subject, **problem.coords}) as model:
        score = pm.Data("score_data", problem.score, dims="subject")
        contrast = pm.Data("contrast", problem.contrast, dims="subject")
        mean = _mean(problem, contrast)
        spread = _variable(problem, "sd_residual")
        if problem.options["arm_sd"] == "unequal":
            spread = pt.switch(pt.gt(contrast, 0), spread[1], spread[0])
        if problem.options["likelihood"] == "student_t":
            tails = prior_distribution("nu", problem.priors["nu"])
            nu = pm.Truncated("nu", tails, lower=NU_FLOOR)
            pm.StudentT("score", nu=nu, mu=mean, sigma=spread, observed=score, dims="subject")
        else:
            pm.Normal("score", mu=mean, sigma=spread, observed=score, dims="subject")
    return model


def _mean(problem: FirstPeriodModel, contrast: Any) -> Any:
    """Return the mean of every patient's score."""
    benefit = pm.Data("benefit_sign", float(problem.sign)) * contrast
    difference = _variable(problem, "treatment")
    mean = _variable(problem, "level") + difference * benefit
    if problem.baseline is not None:
        baseline = pm.Data("baseline_centered", problem.baseline, dims="subject")
        mean = mean + _variable(problem, "baseline_slope") * baseline
        if problem.options["interaction"]:
            mean = mean + _variable(problem, "interaction") * baseline * benefit
    if problem.covariates.size:
        columns = pm.Data("covariates", problem.covariates.values, dims=("subject", "column"))
        mean = mean + (columns * _variable(problem, "covariate")).sum(axis=1)
    return mean


def _variable(problem: FirstPeriodModel, key: str) -> Any:
    """Return a parameter with its prior."""
    one = problem.parameters[key]
    dims = one.dims[0] if one.dims else None
    return prior_variable(one.name, one.prior, dims=dims, exchangeable=True)
