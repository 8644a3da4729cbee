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

    Parameters
    ----------
    fit : xr.DataTree
        A fit from either engine.
    model : JointModel
        What was fitted.

    Returns
    -------
    dict of str to xr.Dataset
        ``checks``, and ``joint``: probabilities that at least so many endpoints benefit, from
        200,000 draws of an exact posterior or the draws of a sampled one.

    Examples
    --------
    >>> from bayes_ptsd.evidence.published import load_published
    >>> from bayes_ptsd.joint.groups import exact_joint, joint_groups
    >>> from bayes_ptsd.joint.model import joint_model
    >>> from bayes_ptsd.spec import load_model
    >>> model = joint_model(load_published(), load_model("subscales"))
    >>> groups = exact_joint(model, seed=1)
    >>> fit = xr.DataTree.from_dict(groups | joint_groups(groups["posterior"], model, seed=1))
    >>> joint_checks(fit, model)["joint"].sizes["count"]
    3
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
