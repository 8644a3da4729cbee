"""Parameters of a patient model as values: names, priors, dims; their draws and densities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from bayes_ptsd.priors import FloatArray, Prior
from bayes_ptsd.scaled_priors import PriorVector

__all__ = ["NU_FLOOR", "Parameter", "draw_parameters", "log_prior_densities"]

NU_FLOOR = 2.0
"""Student-t scores have a variance: degrees of freedom stay above this."""


@dataclass(frozen=True)
class Parameter:
    """One parameter of a model.

    Attributes
    ----------
    name : str
        Its name in a posterior.
    prior : Prior or PriorVector
        In score units; of every element alike, or of each, independently.
    dims : tuple of str
        Its dims beside chain and draw.
    floor : float
        The prior is cut off below this value.
    """

    name: str
    prior: Prior | PriorVector
    dims: tuple[str, ...] = ()
    floor: float = -np.inf

    def quantile(self, p: FloatArray) -> FloatArray:
        """Return quantiles of the prior above the floor."""
        if np.isinf(self.floor) or isinstance(self.prior, PriorVector):
            return self.prior.quantile(p)
        below = float(self.prior.cdf(self.floor))
        return self.prior.quantile(below + (1 - below) * p)

    def logpdf(self, value: FloatArray) -> FloatArray:
        """Return the log density of the prior above the floor."""
        if np.isinf(self.floor) or isinstance(self.prior, PriorVector):
            return self.prior.logpdf(value)
        return np.asarray(self.prior.logpdf(value) - np.log(self.prior.sf(self.floor)))


def draw_parameters(
    parameters: Sequence[Parameter], coords: Mapping[str, Any], size: int, *, seed: int
) -> xr.Dataset:
    """Draw every parameter from its prior.

    Parameters
    ----------
    parameters : sequence of Parameter
        With proper priors.
    coords : mapping of str to array_like
        Labels by dim.
    size : int
        Number of draws.
    seed : int
        Seed of the draws.

    Returns
    -------
    xr.Dataset
        Dims ``chain`` (1), ``draw`` and those of the parameters.

    Raises
    ------
    SpecError
        If a prior is improper.

    Examples
    --------
    >>> from bayes_ptsd.priors import normal
    >>> level = Parameter("level", normal(40, 15), ("visit",))
    >>> dict(draw_parameters([level], {"visit": ["24h", "7d"]}, 5, seed=1).sizes)
    {'chain': 1, 'draw': 5, 'visit': 2}
    """
    rng = np.random.default_rng(seed)
    drawn = {}
    for one in parameters:
        shape = (1, size, *(len(coords[dim]) for dim in one.dims))
        value = one.quantile(rng.uniform(size=shape))
        drawn[one.name] = xr.Variable(("chain", "draw", *one.dims), value)
    used = {dim for one in parameters for dim in one.dims}
    labels = {dim: list(coords[dim]) for dim in coords if dim in used}
    return xr.Dataset(drawn, coords={"chain": [0], "draw": np.arange(size), **labels})


def log_prior_densities(draws: xr.Dataset, parameters: Sequence[Parameter]) -> xr.Dataset:
    """Return the log prior density of each parameter at each draw.

    Parameters
    ----------
    draws : xr.Dataset
        Parameters, dims ``chain`` and ``draw``.
    parameters : sequence of Parameter
        Their priors.

    Returns
    -------
    xr.Dataset
        One variable a parameter, with its dims; improper priors up to a constant.

    Examples
    --------
    >>> from bayes_ptsd.priors import normal
    >>> draws = xr.Dataset({"mu": (("chain", "draw"), [[0.0]])})
    >>> round(float(log_prior_densities(draws, [Parameter("mu", normal(0, 1))])["mu"].item()), 4)
    -0.9189
    """
    return xr.Dataset(
        {
            one.name: draws[one.name].copy(data=one.logpdf(draws[one.name].values))
            for one in parameters
        }
    )
