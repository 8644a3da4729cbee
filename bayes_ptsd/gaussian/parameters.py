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
    """One parameter of a model."""

    name: str
    prior: Prior | PriorVector  # score units; of every element alike, or of each, independently
    dims: tuple[str, ...] = ()  # beside chain and draw
    floor: float = -np.inf  # the prior is cut off below this value
    unit: bool = False  # the prior is that of (1 + value) / 2, as a beta prior of a correlation

    def quantile(self, p: FloatArray) -> FloatArray:
        """Return quantiles of the prior above the floor."""
        if self.unit:
            return np.asarray(2 * self.prior.quantile(p) - 1)
        if np.isinf(self.floor) or isinstance(self.prior, PriorVector):
            return self.prior.quantile(p)
        below = float(self.prior.cdf(self.floor))
        return self.prior.quantile(below + (1 - below) * p)

    def logpdf(self, value: FloatArray) -> FloatArray:
        """Return the log density of the prior above the floor."""
        if self.unit:
            return np.asarray(self.prior.logpdf((1 + value) / 2) - np.log(2))
        if np.isinf(self.floor) or isinstance(self.prior, PriorVector):
            return self.prior.logpdf(value)
        return np.asarray(self.prior.logpdf(value) - np.log(self.prior.sf(self.floor)))


def draw_parameters(
    parameters: Sequence[Parameter], coords: Mapping[str, Any], size: int, *, seed: int
) -> xr.Dataset:
    """Draw every parameter from its proper prior, dims ``chain`` (1), ``draw`` and its own."""
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
    """Return each parameter's log prior density at each draw, up to a constant if improper."""
    return xr.Dataset(
        {
            one.name: draws[one.name].copy(data=one.logpdf(draws[one.name].values))
            for one in parameters
        }
    )
