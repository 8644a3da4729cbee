"""The PyMC model of several printed contrasts."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayes_ptsd.build.priors import prior_variable
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.joint.model import joint_model
from bayes_ptsd.joint.problem import JointProblem
from bayes_ptsd.priors import FloatArray
from bayes_ptsd.spec import ModelSpec

__all__ = ["build_joint", "build_joint_model"]


def build_joint_model(evidence: Evidence, spec: ModelSpec) -> pm.Model:
    """Build the model of a specification of several printed contrasts.

    Parameters
    ----------
    evidence : Evidence
        Of kind ``published``, all of it.
    spec : ModelSpec
        Of structure ``endpoints`` or ``subscales``.

    Returns
    -------
    pm.Model
        As `build_joint`.

    Examples
    --------
    >>> from bayes_ptsd.evidence.published import load_published
    >>> from bayes_ptsd.spec import load_model
    >>> model = build_joint_model(load_published(), load_model("subscales"))
    >>> "treatment_difference" in model.named_vars
    True
    """
    model = joint_model(evidence, spec)
    return build_joint(model.problem, total=model.has_total)


def build_joint(problem: JointProblem, *, total: bool = False) -> pm.Model:
    """Build the model of several printed contrasts.

    With F F' = fixed and S S' = spread, and z, w standard normal::

        difference = center + F z + heterogeneity S w
        estimate ~ Normal(difference, sampling)

    Parameters
    ----------
    problem : JointProblem
        Estimates, in their own unit, benefit-positive.
    total : bool
        Whether the sum of the differences is an estimand.

    Returns
    -------
    pm.Model
        Dim endpoint; variables ``heterogeneity``, ``difference`` in the unit of the estimates and
        ``endpoint_difference`` in score units; with `total` their sum, ``treatment_difference``.

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
