"""The PyMC model of the parts of a total in patients."""

from __future__ import annotations

from typing import Any

import pymc as pm
import pytensor.tensor as pt

from bayes_ptsd.build.longitudinal import partial_correlations
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.gaussian.covariance import correlation_entries, covariance_entries
from bayes_ptsd.gaussian.observed import observe_masked
from bayes_ptsd.parts.model import PartsModel, parts_model, plane_root
from bayes_ptsd.pymc_priors import prior_variable
from bayes_ptsd.specification import ModelSpec

__all__ = ["build_parts", "parts_pymc"]


def build_parts(evidence: Evidence, spec: ModelSpec) -> pm.Model:
    """Build the model of the parts of a total in patients.

    Patient i, part k, treatment x = 1/2 (active) or -1/2 (control), `s` = +1 if higher scores are
    better, else -1, `w` the share of each part in the total's range, b its baseline around the
    mean::

        endpoint_difference = w * treatment_difference + heterogeneity * P z,   z ~ Normal(0, 1)
        mean[i,k]  = level[k] + s * endpoint_difference[k] * x[i]
                   + baseline_slope[k] * b[i,k]                              (option baseline)
        score[i]   ~ Normal(mean[i], covariance over the parts)
        covariance = sd_residual[k] sd_residual[l] correlation[k,l],   a prior of the matrix

    with P P' = I - 1/parts, so that the differences of the parts add up to that of the total, in
    the prior too. Correlations are made from their partial correlations.

    Differences are positive where the active treatment is better. Scores and prior parameters are
    data that can be exchanged; an improper prior is a SpecError.
    """
    return parts_pymc(parts_model(evidence, spec))


def parts_pymc(problem: PartsModel) -> pm.Model:
    """Build the PyMC model of a specification that has met its patients."""
    count = len(problem.parts)
    named = {one.name: one for one in problem.parameters}

    def variable(name: str) -> Any:
        dims = named[name].dims[0] if named[name].dims else None
        return prior_variable(name, named[name].prior, dims=dims, exchangeable=True)

    with pm.Model(coords={"subject": problem.subject, **problem.coords}) as model:
        treatment = pm.Data("treatment", problem.contrast, dims="subject")
        weight = pm.Data("part_weight", problem.weight, dims="endpoint")
        sign = pm.Data("benefit_sign", float(problem.sign))

        total, heterogeneity = variable("treatment_difference"), variable("heterogeneity")
        standard = pm.Normal("plane_standard", 0.0, 1.0, shape=count - 1)
        apart = heterogeneity * pt.dot(plane_root(count), standard)
        difference = pm.Deterministic(
            "endpoint_difference", weight * total + apart, dims="endpoint"
        )
        mean = variable("level") + (sign * treatment)[:, None] * difference
        if problem.baseline is not None:
            before = pm.Data("baseline", problem.baseline, dims=("subject", "endpoint"))
            mean = mean + variable("baseline_slope") * before

        spread = variable("sd_residual")
        partial = partial_correlations(problem.priors["correlations"], count, dim="pair")
        entries = correlation_entries("unstructured", count, partial=partial)
        pairs = [entries[i][j] for i in range(count) for j in range(i)]
        pm.Deterministic("part_correlation", pt.stack(pairs), dims="pair")
        rows = covariance_entries(entries, [spread[k] for k in range(count)])
        covariance = pt.stack([pt.stack(row) for row in rows])
        observe_masked(
            "score", problem.score, mean=mean, covariance=covariance, dims=("subject", "endpoint")
        )
    return model
