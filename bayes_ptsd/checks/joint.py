"""Checks of a fit of several printed contrasts beyond convergence."""

from __future__ import annotations

import xarray as xr

from bayes_ptsd.check_roles import Check, check_table
from bayes_ptsd.checks.quadrature import quadrature_checks
from bayes_ptsd.joint.groups import predictive_tail
from bayes_ptsd.joint.model import JointModel
from bayes_ptsd.joint.posterior import joint_posterior, joint_probabilities, share_above

__all__ = ["joint_checks"]

# The usual 5%: estimates that one trial in twenty shows under the prior are no news.
CONFLICT = 0.05


def joint_checks(fit: xr.DataTree, model: JointModel) -> dict[str, xr.Dataset]:
    """Judge the integration and whether prior and estimates agree; count what benefits jointly.

    ``joint`` has the probabilities that at least so many endpoints benefit, from 200,000 draws of
    an exact posterior or the draws of a sampled one.
    """
    problem = model.problem
    tail = predictive_tail(problem, fit["prior_predictive"].to_dataset())
    said = (
        f"prior-data conflict: under the prior, estimates this far out have probability {tail:.3f}"
    )
    checks = [
        *quadrature_checks(fit),
        Check("prior_predictive_tail", tail, CONFLICT, tail >= CONFLICT, meaning=said),
    ]
    if "exact" in fit.children:
        joint = joint_probabilities(problem, joint_posterior(problem))
    else:
        drawn = fit["posterior"].to_dataset()["endpoint_difference"]
        ordered = drawn.transpose("chain", "draw", "endpoint").values
        joint = share_above(problem, ordered.reshape(-1, problem.size))
    return {"checks": check_table(checks), "joint": joint.drop_attrs()}
