"""Priors in units of an endpoint: multiples of its standard deviation, at zero or at the data.

A model file says ``sigma = 1.05, unit = "sd"`` once, and every endpoint gets its own prior.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayes_ptsd.errors import SpecError, shown
from bayes_ptsd.priors import FloatArray, Prior, mixture, prior_from_table

__all__ = ["PriorVector", "ScaledPrior", "prior_value", "prior_vector", "rescaled"]

ORIGINS = ("zero", "data")
UNITS: Mapping[str, str] = {"sd": "SD", "sd_ratio": "SD / SD of predictor"}

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
    "gamma_precision": lambda shift, unit, shape, rate: {"shape": shape, "rate": rate * unit**2},
    "exponential": lambda shift, unit, rate: {"rate": rate / unit},
    "uniform": lambda shift, unit, low, high: {
        "low": shift + unit * low,
        "high": shift + unit * high,
    },
}
POSITIVE = ("half_normal", "half_cauchy", "log_normal", "gamma", "gamma_precision", "exponential")


@dataclass(frozen=True)
class PriorVector:
    """Independent priors of one distribution, one for each element of a parameter's last dim."""

    priors: tuple[Prior, ...]  # in score units

    @property
    def dist(self) -> str:
        """The distribution that all elements share."""
        return self.priors[0].dist

    @property
    def proper(self) -> bool:
        """Whether the density integrates to one."""
        return self.priors[0].proper

    @property
    def drawable(self) -> bool:
        """Whether draws of every element are numbers to compute with."""
        return all(one.drawable for one in self.priors)

    @property
    def params(self) -> dict[str, FloatArray]:
        """Parameters by name, dim of the elements."""
        names = self.priors[0].params
        return {name: np.array([one.params[name] for one in self.priors]) for name in names}

    @property
    def formula(self) -> str:
        """The priors in short mathematical notation, in the order of the elements."""
        return "; ".join(one.formula for one in self.priors)

    def table(self) -> list[dict[str, Any]]:
        """Return the priors as plain tables that JSON can hold."""
        return [one.table() for one in self.priors]

    def quantile(self, p: FloatArray) -> FloatArray:
        """Return quantiles, the last dim of `p` that of the elements."""
        found = [one.quantile(p[..., place]) for place, one in enumerate(self.priors)]
        return np.stack(found, axis=-1)

    def logpdf(self, x: FloatArray) -> FloatArray:
        """Return log densities, the last dim of `x` that of the elements."""
        found = [one.logpdf(x[..., place]) for place, one in enumerate(self.priors)]
        return np.stack(found, axis=-1)


def prior_vector(priors: Sequence[Prior]) -> Prior | PriorVector:
    """Return the priors of a parameter's elements, a single one where all are the same."""
    return priors[0] if len(set(map(_key, priors))) == 1 else PriorVector(tuple(priors))


def _key(prior: Prior) -> str:
    """Return what two equal priors share."""
    return str(prior.table())


@dataclass(frozen=True)
class ScaledPrior:
    """A prior that becomes a distribution in score units once endpoint and data are known."""

    prior: Prior  # in units
    # sd of the outcome, or sd_ratio: these per sd of the predictor that it is the slope of
    unit: str = "sd"
    # zero lies at zero, or where the data lie, both treatments weighted alike
    origin: str = "zero"

    def __post_init__(self) -> None:
        """Refuse what cannot be scaled."""
        if self.unit not in UNITS:
            raise SpecError(
                f"'unit' is '{shown(self.unit)}'; write one of score, {', '.join(UNITS)}"
            )
        if self.origin not in ORIGINS:
            raise SpecError(f"origin '{shown(self.origin)}' is none of {', '.join(ORIGINS)}")
        if self.origin == "data" and self.prior.dist in POSITIVE:
            raise SpecError(f"a {self.prior.dist} prior begins at zero; leave out its origin")
        rescaled(self.prior, unit=1.0, shift=0.0)

    def resolve(self, *, sd: float, location: float, predictor_sd: float | None = None) -> Prior:
        """Return the prior in score units, or in score units per unit of the predictor."""
        if self.unit == "sd_ratio":
            if predictor_sd is None:
                raise SpecError(f"'{self.formula}' is a prior of a slope; write unit = 'sd'")
            sd = sd / predictor_sd
        return rescaled(self.prior, unit=sd, shift=location if self.origin == "data" else 0.0)

    def table(self) -> dict[str, Any]:
        """Return the prior as a plain table that JSON and TOML can hold."""
        return {**self.prior.table(), "unit": self.unit, "origin": self.origin}

    @property
    def formula(self) -> str:
        """The prior in short mathematical notation."""
        start = "mean of the data + " if self.origin == "data" else ""
        return f"{start}{UNITS[self.unit]} x {self.prior.formula}"


def rescaled(prior: Prior, *, unit: float, shift: float) -> Prior:
    """Return the prior of ``shift + unit * x`` where `x` has the given one, in score units.

    An improper prior is its own rescaling; a beta, which has no unit, is refused.
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
    """Read a prior table; with ``unit = "sd"`` it is a prior in units of the endpoint."""
    plain = {key: value for key, value in table.items() if key not in ("unit", "origin")}
    prior = prior_from_table(plain, where)
    if table.get("unit", "score") == "score" and "origin" not in table:
        return prior
    unit, origin = table.get("unit", "score"), table.get("origin", "zero")
    if not isinstance(unit, str) or not isinstance(origin, str):
        raise SpecError(f"{where}: 'unit' and 'origin' must be texts")
    try:
        return ScaledPrior(prior, unit, origin)
    except SpecError as error:
        raise SpecError(f"{where}: {error}") from error
