"""The PyMC model of several printed contrasts."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayes_ptsd.build.priors import prior_variable
from bayes_ptsd.joint.problem import JointProblem
from bayes_ptsd.priors import FloatArray

__all__ = ["build_joint"]


def build_joint(problem: JointProblem) -> pm.Model:
    """Build the model of several printed contrasts.

    With F F' = fixed and S S' = spread, and z, w standard normal::

        difference = center + F z + heterogeneity S w
        estimate ~ Normal(difference, sampling)

    Parameters
    ----------
    problem : JointProblem
        Estimates, in their own unit, benefit-positive.

    Returns
    -------
    pm.Model
        Dim endpoint; variables ``heterogeneity`` and ``difference``.

    Examples
    --------
    >>> from bayes_ptsd.evidence.published import load_published
    >>> from bayes_ptsd.joint import endpoints_problem
    >>> model = build_joint(endpoints_problem(load_published(), analysis="first_period"))
    >>> model.observed_RVs[0].name
    'estimate'
    """
    fixed, spread = _root(problem.fixed), _root(problem.spread)
    with pm.Model(coords={"endpoint": list(problem.endpoint)}) as model:
        heterogeneity = prior_variable("heterogeneity", problem.heterogeneity)
        common = pm.Normal("common_standard", 0.0, 1.0, shape=fixed.shape[1])
        own = pm.Normal("own_standard", 0.0, 1.0, shape=spread.shape[1])
        moved = pt.dot(fixed, common) + heterogeneity * pt.dot(spread, own)
        difference = pm.Deterministic("difference", problem.center + moved, dims="endpoint")
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
