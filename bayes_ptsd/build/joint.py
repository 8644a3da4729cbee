"""The PyMC model of several printed contrasts."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayes_ptsd.evidence import Evidence
from bayes_ptsd.joint.model import joint_model
from bayes_ptsd.joint.problem import JointProblem
from bayes_ptsd.priors import FloatArray
from bayes_ptsd.pymc_priors import prior_variable
from bayes_ptsd.specification import ModelSpec

__all__ = ["build_joint", "build_joint_model"]


def build_joint_model(evidence: Evidence, spec: ModelSpec) -> pm.Model:
    """Build the model of a specification of several printed contrasts."""
    model = joint_model(evidence, spec)
    return build_joint(model.problem, total=model.has_total)


def build_joint(problem: JointProblem, *, total: bool = False) -> pm.Model:
    """Build the model of several printed contrasts.

    With F F' = fixed and S S' = spread, and z, w standard normal::

        difference = center + F z + heterogeneity S w
        estimate ~ Normal(difference, sampling)

    ``difference`` is in the unit of the estimates, ``endpoint_difference`` in score units, both
    benefit-positive; with `total` their sum is ``treatment_difference``.
    """
    fixed, spread = _root(problem.fixed), _root(problem.spread)
    with pm.Model(coords={"endpoint": list(problem.endpoint)}) as model:
        heterogeneity = prior_variable("heterogeneity", problem.heterogeneity)
        common = pm.Normal("common_standard", 0.0, 1.0, shape=fixed.shape[1])
        own = pm.Normal("own_standard", 0.0, 1.0, shape=spread.shape[1])
        moved = pt.dot(fixed, common) + heterogeneity * pt.dot(spread, own)
        difference = pm.Deterministic("difference", problem.center + moved, dims="endpoint")
        scores = pm.Deterministic("endpoint_difference", difference * problem.unit, dims="endpoint")
        if total:
            pm.Deterministic("treatment_difference", scores.sum())
        pm.MvNormal(
            "estimate",
            mu=difference,
            cov=problem.sampling,
            observed=problem.estimate,
            dims="endpoint",
        )
    return model


def _root(covariance: FloatArray) -> FloatArray:
    """Return a root without the directions in which nothing varies."""
    values, vectors = np.linalg.eigh(covariance)
    kept = values > 1e-12 * values.max()
    return np.asarray(vectors[:, kept] * np.sqrt(values[kept]))
