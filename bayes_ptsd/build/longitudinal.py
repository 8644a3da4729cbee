"""The PyMC model of a comparison of the arms at several visits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayes_ptsd.evidence import Evidence
from bayes_ptsd.gaussian.covariance import (
    correlation_entries,
    covariance_entries,
    log_matrix_density,
)
from bayes_ptsd.gaussian.observed import observe_masked
from bayes_ptsd.longitudinal.model import LongitudinalModel, longitudinal_model
from bayes_ptsd.priors import Prior
from bayes_ptsd.pymc_priors import prior_variable
from bayes_ptsd.scaled_priors import PriorVector
from bayes_ptsd.specification import ModelSpec

__all__ = ["build_longitudinal", "longitudinal_pymc", "partial_correlations"]


def build_longitudinal(evidence: Evidence, spec: ModelSpec) -> pm.Model:
    """Build the model of a comparison of the arms at several visits.

    Patient i at visit t, `s` = +1 if higher scores are better, else -1, ``x[i]`` = +1/2 in the
    active and -1/2 in the control arm, ``b[i]`` the baseline minus its mean::

        mean[i,t] = level[t] + s * visit_difference[t] * x[i]
                  + baseline_slope[t] * b[i]                    (baseline = "covariate")
                  + baseline_slope * b[i]                       (baseline = "common_slope")
                  + sum_j covariate[j] * z[i,j]                 (option covariates)
        score[i]  ~ Normal(mean[i], covariance over the visits)

        visit_difference[t] ~ treatment prior, independently                      (no shrinkage)
        visit_difference[t] = shrinkage_mean + shrinkage_sd * u[t], u ~ Normal(0, 1)  (shrinkage)
        treatment_difference = mean of visit_difference over the visits

        covariance[t,u] = sd_visit[t] sd_visit[u] * correlation[t,u]
        unstructured      correlation ~ prior of a matrix, by its partial correlations
        compound          correlation[t,u] = correlation
        autoregressive    correlation[t,u] = (1 - nugget) 2^(-|days[t] - days[u]| / half_life)

    With ``baseline = "joint"`` the baseline is the first occasion of the vector, with one mean,
    ``level[baseline]``, for both arms. Occasions that are missing are integrated out: their row of
    the covariance is that of an independent variable of variance 1 and their residual is zero,
    which leaves the marginal density of the others.

    Differences are positive where the active treatment is better. Scores, which of them are there,
    and prior parameters are data that can be exchanged; an improper prior is a SpecError.
    """
    return longitudinal_pymc(longitudinal_model(evidence, spec))


def longitudinal_pymc(problem: LongitudinalModel) -> pm.Model:
    """Build the PyMC model of a specification that has met its patients."""
    with pm.Model(coords={"subject": problem.subject, **problem.coords}) as model:
        observe_masked(
            "score",
            problem.values,
            mean=_mean(problem),
            covariance=_covariance(problem),
            dims=("subject", "occasion"),
        )
    return model


def _mean(problem: LongitudinalModel) -> Any:
    """Return the means of every patient's occasions."""
    contrast = pm.Data("contrast", problem.contrast, dims="subject")
    benefit = pm.Data("benefit_sign", float(problem.sign)) * contrast
    difference = _differences(problem)
    pm.Deterministic("treatment_difference", difference.mean())
    if problem.joint:  # nobody is treated yet
        difference = pt.concatenate([pt.zeros(1), difference])
    mean = _variable(problem, "level") + benefit[:, None] * difference
    if problem.baseline is not None:
        baseline = pm.Data("baseline_centered", problem.baseline, dims="subject")
        mean = mean + baseline[:, None] * _variable(problem, "baseline_slope")
    if problem.covariates.size:
        columns = pm.Data("covariates", problem.covariates.values, dims=("subject", "column"))
        shift = (columns * _variable(problem, "covariate")).sum(axis=1)
        mean = mean + shift[:, None]
    return mean


def _differences(problem: LongitudinalModel) -> Any:
    """Return the treatment difference at each visit."""
    if not problem.options["shrinkage"]:
        return _variable(problem, "treatment")
    center, spread = _variable(problem, "treatment"), _variable(problem, "shrinkage_sd")
    standard = pm.Normal("visit_standard", 0, 1, dims="visit")
    return pm.Deterministic("visit_difference", center + spread * standard, dims="visit")


def _covariance(problem: LongitudinalModel) -> Any:
    """Return the covariance of a patient's occasions."""
    count, structure = len(problem.occasions), str(problem.options["covariance"])
    sd = _variable(problem, "sd_visit")
    columns = [sd[i] if problem.options["visit_sd"] == "unequal" else sd for i in range(count)]
    found: dict[str, Any] = {}
    if structure == "unstructured":
        prior = problem.priors["correlations"]
        found["partial"] = partial_correlations(prior, count, dim="visit_pair")
    elif structure == "compound":
        found["correlation"] = _variable(problem, "correlation")
    else:
        found["half_life"] = _variable(problem, "half_life")
        if problem.options["nugget"]:
            found["nugget"] = _variable(problem, "nugget")
    correlations = correlation_entries(structure, count, days=problem.days, **found)
    rows = covariance_entries(correlations, columns)
    return pt.stack([pt.stack(row) for row in rows])


def partial_correlations(prior: Prior | PriorVector, count: int, *, dim: str) -> list[Any]:
    """Return partial correlations by pair (1, 0), (2, 0), (2, 1), under their matrix's prior."""
    assert isinstance(prior, Prior)
    unit = pm.Uniform("partial_unit", 0, 1, dims=dim)
    partial = pm.Deterministic("partial_correlation", 2 * unit - 1, dims=dim)
    pairs = [partial[k] for k in range(count * (count - 1) // 2)]
    # densities of the partial correlations, whose range is twice that of the units
    density = log_matrix_density(prior, pairs, count, log=pt.log) + len(pairs) * np.log(2)
    pm.Potential("correlations", density)
    return pairs


def _variable(problem: LongitudinalModel, key: str) -> Any:
    """Return a parameter with its prior."""
    one = problem.parameters[key]
    dims = one.dims[0] if one.dims else None
    return prior_variable(one.name, one.prior, dims=dims, exchangeable=True)
