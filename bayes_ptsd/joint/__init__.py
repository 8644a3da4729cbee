"""Several printed contrasts in one model: endpoints of a domain, subscales of a total."""

from bayes_ptsd.joint.endpoints import endpoints_problem
from bayes_ptsd.joint.posterior import (
    joint_draws,
    joint_marginal,
    joint_posterior,
    joint_probabilities,
    joint_table,
)
from bayes_ptsd.joint.problem import JointProblem
from bayes_ptsd.joint.subscales import subscales_problem

__all__ = [
    "JointProblem",
    "endpoints_problem",
    "joint_draws",
    "joint_marginal",
    "joint_posterior",
    "joint_probabilities",
    "joint_table",
    "subscales_problem",
]
