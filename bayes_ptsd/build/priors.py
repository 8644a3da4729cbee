"""A prior value as a PyMC variable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pymc as pm

from bayes_ptsd.errors import SpecError, nearest
from bayes_ptsd.priors import Prior

__all__ = ["prior_variable"]

# PyMC's name of a distribution and its arguments, from ours
VARIABLES: Mapping[str, tuple[Any, Callable[..., dict[str, float]]]] = {
    "normal": (pm.Normal, lambda mu, sigma: {"mu": mu, "sigma": sigma}),
    "student_t": (pm.StudentT, lambda nu, mu, sigma: {"nu": nu, "mu": mu, "sigma": sigma}),
    "cauchy": (pm.Cauchy, lambda mu, sigma: {"alpha": mu, "beta": sigma}),
    "half_normal": (pm.HalfNormal, lambda sigma: {"sigma": sigma}),
    "half_cauchy": (pm.HalfCauchy, lambda sigma: {"beta": sigma}),
    "log_normal": (pm.LogNormal, lambda mu, sigma: {"mu": mu, "sigma": sigma}),
    "gamma": (pm.Gamma, lambda shape, rate: {"alpha": shape, "beta": rate}),
    "exponential": (pm.Exponential, lambda rate: {"lam": rate}),
    "beta": (pm.Beta, lambda shape1, shape2: {"alpha": shape1, "beta": shape2}),
    "uniform": (pm.Uniform, lambda low, high: {"lower": low, "upper": high}),
}


def prior_variable(name: str, prior: Prior) -> Any:
    """Return a prior as a random variable of the model in context.

    Parameters
    ----------
    name : str
        Name of the variable, not ``alpha``: ArviZ's power-scaling plots break on that name.
    prior : Prior
        A proper prior, in the unit of the variable.

    Returns
    -------
    pytensor variable
        The random variable.

    Raises
    ------
    SpecError
        If the prior is flat, which NUTS cannot be trusted with, or has no PyMC counterpart.

    Examples
    --------
    >>> from bayes_ptsd.priors import normal
    >>> with pm.Model() as model:
    ...     difference = prior_variable("treatment_difference", normal(0, 7.879))
    >>> [variable.name for variable in model.free_RVs]
    ['treatment_difference']
    """
    if not prior.proper:
        raise SpecError(
            f"the flat prior on '{name}' is improper; only the exact engines use it: take "
            "'reference' for a sampled fit"
        )
    if prior.dist == "mixture":
        parts = [_distribution(part).dist(**_arguments(part)) for part in prior.components]
        return pm.Mixture(name, w=np.array(prior.weights), comp_dists=parts)
    return _distribution(prior)(name, **_arguments(prior))


def _distribution(prior: Prior) -> Any:
    """Return the PyMC class of a simple prior."""
    if prior.dist not in VARIABLES:
        raise SpecError(f"no PyMC variable for '{prior.dist}'{nearest(prior.dist, VARIABLES)}")
    return VARIABLES[prior.dist][0]


def _arguments(prior: Prior) -> dict[str, float]:
    """Return the PyMC arguments of a simple prior."""
    return VARIABLES[prior.dist][1](**prior.params)
