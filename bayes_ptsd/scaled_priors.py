"""Priors in units of an endpoint: multiples of its standard deviation around a location.

A model file says ``sigma = 1.05, unit = "sd"`` once, and every endpoint gets its own prior.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bayes_ptsd.errors import SpecError
from bayes_ptsd.priors import Prior, mixture, prior_from_table

__all__ = ["ScaledPrior", "prior_value", "rescaled"]

ORIGINS = ("zero", "midpoint")

# Parameters of each distribution after a shift and a change of unit.
RESCALE: Mapping[str, Callable[..., dict[str, float]]] = {
    "normal": lambda shift, unit, mu, sigma: {"mu": shift + unit * mu, "sigma": unit * sigma},
    "cauchy": lambda shift, unit, mu, sigma: {"mu": shift + unit * mu, "sigma": unit * sigma},
    "student_t": lambda shift, unit, nu, mu, sigma: {
        "nu": nu,
        "mu": shift + unit * mu,
        "sigma": unit * sigma,
    },
    "half_normal": lambda shift, unit, sigma: {"sigma": unit * sigma},
    "half_cauchy": lambda shift, unit, sigma: {"sigma": unit * sigma},
    "log_normal": lambda shift, unit, mu, sigma: {"mu": mu + math.log(unit), "sigma": sigma},
    "gamma": lambda shift, unit, shape, rate: {"shape": shape, "rate": rate / unit},
    "exponential": lambda shift, unit, rate: {"rate": rate / unit},
    "uniform": lambda shift, unit, low, high: {
        "low": shift + unit * low,
        "high": shift + unit * high,
    },
}
POSITIVE = ("half_normal", "half_cauchy", "log_normal", "gamma", "exponential")


@dataclass(frozen=True)
class ScaledPrior:
    """A prior that becomes a distribution in score units once the endpoint is known.

    Attributes
    ----------
    prior : Prior
        The distribution in standard deviations of the endpoint.
    origin : {"zero", "midpoint"}
        Where its zero lies: at zero, or at the midpoint of the endpoint's range.

    Raises
    ------
    SpecError
        If the distribution has no unit, or a distribution of positive numbers is to be shifted.

    Examples
    --------
    >>> from bayes_ptsd.priors import normal
    >>> ScaledPrior(normal(0, 1.05), "midpoint").resolve(sd=14.4, location=44.0).formula
    'N(44, 15.12²)'
    """

    prior: Prior
    origin: str = "zero"

    def __post_init__(self) -> None:
        """Refuse what cannot be scaled."""
        if self.origin not in ORIGINS:
            raise SpecError(f"origin '{self.origin}' is none of {', '.join(ORIGINS)}")
        if self.origin == "midpoint" and self.prior.dist in POSITIVE:
            raise SpecError(f"a {self.prior.dist} prior begins at zero; leave out its origin")
        rescaled(self.prior, unit=1.0, shift=0.0)

    def resolve(self, *, sd: float, location: float) -> Prior:
        """Return the prior in score units."""
        return rescaled(self.prior, unit=sd, shift=location if self.origin == "midpoint" else 0.0)

    def table(self) -> dict[str, Any]:
        """Return the prior as a plain table that JSON and TOML can hold."""
        return {**self.prior.table(), "unit": "sd", "origin": self.origin}

    @property
    def formula(self) -> str:
        """The prior in short mathematical notation."""
        start = "midpoint + " if self.origin == "midpoint" else ""
        return f"{start}SD x {self.prior.formula}"


def rescaled(prior: Prior, *, unit: float, shift: float) -> Prior:
    """Return the prior of ``shift + unit * x`` where `x` has the given one.

    Parameters
    ----------
    prior : Prior
        Any but a beta, which lives between 0 and 1 and has no unit.
    unit, shift : float
        Positive size of the unit, and location, in score units.

    Returns
    -------
    Prior
        In score units; an improper prior is its own rescaling.

    Raises
    ------
    SpecError
        If the distribution has no unit.

    Examples
    --------
    >>> from bayes_ptsd.priors import normal
    >>> round(rescaled(normal(0, 0.4), unit=14.4, shift=0.0).sd, 6)
    5.76
    """
    if not prior.proper:
        return prior
    if prior.dist == "mixture":
        parts = [rescaled(part, unit=unit, shift=shift) for part in prior.components]
        return mixture(list(prior.weights), parts)
    if prior.dist not in RESCALE:
        raise SpecError(f"a {prior.dist} prior has no unit; leave out 'unit' and 'origin'")
    return Prior(prior.dist, RESCALE[prior.dist](shift, unit, **prior.params))


def prior_value(table: Mapping[str, Any], where: str) -> Prior | ScaledPrior:
    """Read a prior table, with ``unit = "sd"`` as a prior in units of the endpoint.

    Parameters
    ----------
    table : mapping
        Distribution, parameters and, where the prior scales with the endpoint, unit and origin.
    where : str
        File and key, for error messages.

    Returns
    -------
    Prior or ScaledPrior
        The value.

    Raises
    ------
    SpecError
        If a key or value is not allowed.

    Examples
    --------
    >>> prior_value({"dist": "half_normal", "sigma": 1.05, "unit": "sd"}, "prior").origin
    'zero'
    """
    plain = {key: value for key, value in table.items() if key not in ("unit", "origin")}
    prior = prior_from_table(plain, where)
    if table.get("unit", "score") == "score" and "origin" not in table:
        return prior
    if table.get("unit") != "sd":
        raise SpecError(f"{where}: 'unit' is {table.get('unit')!r}; write 'sd' or 'score'")
    try:
        return ScaledPrior(prior, str(table.get("origin", "zero")))
    except SpecError as error:
        raise SpecError(f"{where}: {error}") from error
