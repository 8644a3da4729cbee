"""The PyMC model of a comparison of the arms at several visits."""

from __future__ import annotations

from typing import Any

import pymc as pm
import pytensor.tensor as pt

from bayes_ptsd.build.masked_normal import observe_masked
from bayes_ptsd.build.priors import prior_variable
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.longitudinal.covariance import (
    correlation_entries,
    covariance_entries,
    partial_shapes,
)
from bayes_ptsd.longitudinal.model import LongitudinalModel, longitudinal_model
from bayes_ptsd.spec import ModelSpec

__all__ = ["build_longitudinal", "longitudinal_pymc"]


def build_longitudinal(evidence: Evidence, spec: ModelSpec) -> pm.Model:
    """Build the model of a comparison of the arms at several visits.

    Patient i at visit t, `s` = +1 if higher scores are better, else -1, ``b[i]`` the baseline minus
    its mean::

        mean[i,t] = visit_mean[t] + s * visit_difference[t] * active[i]
                  + baseline_slope[t] * b[i]                    (baseline = "covariate")
                  + baseline_slope * b[i]                       (baseline = "common_slope")
                  + sum_j covariate[j] * x[i,j]                 (option covariates)
        score[i]  ~ Normal(mean[i], covariance over the visits)

        visit_difference[t] = shrinkage_mean + shrinkage_sd * z[t], z ~ Normal(0, 1)  (shrinkage)
        visit_difference[t] ~ treatment prior, independently                      (no shrinkage)
        treatment_difference = mean of visit_difference over the visits

        covariance[t,u] = sd_visit[t] sd_visit[u] * correlation[t,u]
        unstructured      correlation ~ LKJ(1), by its partial correlations
        compound          correlation[t,u] = correlation
        autoregressive    correlation[t,u] = (1 - nugget) 2^(-|days[t] - days[u]| / half_life)

    With ``baseline = "joint"`` the baseline is the first occasion of the vector, with one mean
    ``baseline_mean`` for both arms. Occasions that are missing are integrated out: their row of the
    covariance is that of an independent variable of variance 1 and their residual is zero, which
    leaves the marginal density of the others.

    Parameters
    ----------
    evidence : Evidence
        Patients with one endpoint and several visits.
    spec : ModelSpec
        Of structure ``longitudinal``.

    Returns
    -------
    pm.Model
        Dims subject, visit, occasion, visit_pair, column. Differences are positive where the active
        treatment is better. Scores, which of them are there, and prior parameters are data that
        can be exchanged.

    Raises
    ------
    EvidenceError
        If the evidence is not patients with one endpoint and several visits, or lacks what the
        model needs.
    SpecError
        If a prior is improper.

    Examples
    --------
    >>> from bayes_ptsd.longitudinal.example import example_trajectories
    >>> from bayes_ptsd.spec import load_model
    >>> model = build_longitudinal(example_trajectories(), load_model("longitudinal-ar"))
    >>> model.observed_RVs[0].name
    'score'
    """
    return longitudinal_pymc(longitudinal_model(evidence, spec))


def longitudinal_pymc(problem: LongitudinalModel) -> pm.Model:
    """Build the PyMC model of a specification that has met its patients.

    Examples
    --------
    >>> from bayes_ptsd.longitudinal.example import example_trajectories
    >>> from bayes_ptsd.spec import load_model
    >>> problem = longitudinal_model(example_trajectories(), load_model("longitudinal"))
    >>> "visit_difference" in longitudinal_pymc(problem).named_vars
    True
    """
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
    active = pm.Data("active", problem.active.astype(float), dims="subject")
    benefit = pm.Data("benefit_sign", float(problem.sign)) * active
    difference = _differences(problem)
    pm.Deterministic("treatment_difference", difference.mean())
    mean = _variable(problem, "visit_mean") + benefit[:, None] * difference
    if problem.baseline is not None:
        baseline = pm.Data("baseline_centered", problem.baseline, dims="subject")
        mean = mean + baseline[:, None] * _variable(problem, "baseline_slope")
    if problem.joint:
        before = pt.zeros_like(mean[:, :1]) + _variable(problem, "baseline_mean")
        mean = pt.concatenate([before, mean], axis=1)
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
        shape = partial_shapes(count)
        unit = pm.Beta("partial_unit", shape, shape, dims="visit_pair")
        partial = pm.Deterministic("partial_correlation", 2 * unit - 1, dims="visit_pair")
        found["partial"] = [partial[k] for k in range(len(shape))]
    elif structure == "compound":
        found["correlation"] = _variable(problem, "correlation")
    else:
        found["half_life"] = _variable(problem, "half_life")
        if problem.options["nugget"]:
            found["nugget"] = _variable(problem, "nugget")
    correlations = correlation_entries(structure, count, days=problem.days, **found)
    rows = covariance_entries(correlations, columns)
    return pt.stack([pt.stack(row) for row in rows])


def _variable(problem: LongitudinalModel, key: str) -> Any:
    """Return a parameter with its prior."""
    one = problem.parameters[key]
    dims = one.dims[0] if one.dims else None
    return prior_variable(one.name, one.prior, dims=dims, exchangeable=True)
