"""A prior value as a PyMC variable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pymc as pm

from bayes_ptsd.errors import SpecError, nearest
from bayes_ptsd.gaussian.parameters import Parameter
from bayes_ptsd.priors import Prior
from bayes_ptsd.scaled_priors import PriorVector

__all__ = ["parameter_variable", "prior_distribution", "prior_variable"]


def _sd_of_gamma(shape: Any, rate: Any, size: Any = None) -> Any:
    """Return the standard deviation whose precision is gamma; PyMC derives its log density."""
    return pm.Gamma.dist(alpha=shape, beta=rate, size=size) ** -0.5


class GammaPrecision:
    """A standard deviation whose precision is gamma, called as PyMC calls its distributions."""

    def __new__(cls, name: str, *, shape: Any, rate: Any, dims: str | None = None) -> Any:
        """Return it as a variable of the model in context, sampled on the log scale."""
        log = pm.distributions.transforms.log
        return pm.CustomDist(name, shape, rate, dist=_sd_of_gamma, transform=log, dims=dims)

    @staticmethod
    def dist(*, shape: Any, rate: Any) -> Any:
        """Return it as an unnamed distribution."""
        return pm.CustomDist.dist(shape, rate, dist=_sd_of_gamma)


# PyMC's name of a distribution and its arguments, from ours
VARIABLES: Mapping[str, tuple[Any, Callable[..., dict[str, Any]]]] = {
    "normal": (pm.Normal, lambda mu, sigma: {"mu": mu, "sigma": sigma}),
    "student_t": (pm.StudentT, lambda nu, mu, sigma: {"nu": nu, "mu": mu, "sigma": sigma}),
    "cauchy": (pm.Cauchy, lambda mu, sigma: {"alpha": mu, "beta": sigma}),
    "half_normal": (pm.HalfNormal, lambda sigma: {"sigma": sigma}),
    "half_cauchy": (pm.HalfCauchy, lambda sigma: {"beta": sigma}),
    "log_normal": (pm.LogNormal, lambda mu, sigma: {"mu": mu, "sigma": sigma}),
    "gamma": (pm.Gamma, lambda shape, rate: {"alpha": shape, "beta": rate}),
    "gamma_precision": (GammaPrecision, lambda shape, rate: {"shape": shape, "rate": rate}),
    "exponential": (pm.Exponential, lambda rate: {"lam": rate}),
    "beta": (pm.Beta, lambda shape1, shape2: {"alpha": shape1, "beta": shape2}),
    "uniform": (pm.Uniform, lambda low, high: {"lower": low, "upper": high}),
}


def prior_variable(
    name: str, prior: Prior | PriorVector, *, dims: str | None = None, exchangeable: bool = False
) -> Any:
    """Return a prior as a random variable of the model in context.

    Parameters
    ----------
    name : str
        Name of the variable, not ``alpha``: ArviZ's power-scaling plots break on that name.
    prior : Prior or PriorVector
        A proper prior, in the unit of the variable, or one for each element.
    dims : str, optional
        Dim of the variable; a single prior is that of each element.
    exchangeable : bool
        Keep the prior's parameters as data ``prior_<name>_<parameter>``, so that a compiled model
        takes another prior of the same kind; a mixture stays as it is.

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
    _refuse_improper(name, prior)
    if isinstance(prior, Prior) and prior.dist == "mixture":
        parts = [
            _distribution(part.dist).dist(**_arguments(part.dist, part.params))
            for part in prior.components
        ]
        return pm.Mixture(name, w=np.array(prior.weights), comp_dists=parts, dims=dims)
    params: Mapping[str, Any] = dict(prior.params)
    if exchangeable:
        params = {key: pm.Data(f"prior_{name}_{key}", value) for key, value in params.items()}
    return _distribution(prior.dist)(name, dims=dims, **_arguments(prior.dist, params))


def parameter_variable(one: Parameter) -> Any:
    """Return a parameter of a patient model as a variable with exchangeable numbers of its prior.

    One with a floor is cut off below it, and its prior is compiled in.
    """
    if np.isfinite(one.floor):
        return pm.Truncated(one.name, prior_distribution(one.name, one.prior), lower=one.floor)
    dims = one.dims[0] if one.dims else None
    return prior_variable(one.name, one.prior, dims=dims, exchangeable=True)


def prior_distribution(name: str, prior: Prior | PriorVector) -> Any:
    """Return a prior as an unnamed distribution, for use in another one; not a mixture."""
    _refuse_improper(name, prior)
    return _distribution(prior.dist).dist(**_arguments(prior.dist, prior.params))


def _refuse_improper(name: str, prior: Prior | PriorVector) -> None:
    """Refuse a prior that no sampler should be given."""
    if not prior.proper:
        raise SpecError(
            f"the {prior.dist} prior on '{name}' is improper; only the exact engines use it: take "
            "'reference' for a sampled fit"
        )


def _distribution(dist: str) -> Any:
    """Return the PyMC class of a simple prior."""
    if dist not in VARIABLES:
        raise SpecError(f"no PyMC variable for '{dist}'{nearest(dist, VARIABLES)}")
    return VARIABLES[dist][0]


def _arguments(dist: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the PyMC arguments of a simple prior."""
    return VARIABLES[dist][1](**params)
