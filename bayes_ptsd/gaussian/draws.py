"""Draws from an exact crossover posterior: independent, continuous, of all parameters jointly.

The density of the dispersion parameters is known between the nodes as a Legendre series; its
conditional distribution functions are inverted one axis after the other. Draws that sit on the
nodes themselves would fail calibration.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.polynomial import legendre
from scipy import special

from bayes_ptsd.gaussian.problem import Solution
from bayes_ptsd.gaussian.quadrature import Quadrature, series_quantile
from bayes_ptsd.priors import FloatArray

__all__ = ["draw_posterior"]


def draw_posterior(solution: Solution, *, draws: int, rng: np.random.Generator) -> xr.Dataset:
    """Draw all parameters of a batch of crossover posteriors, dims ``(dataset, draw)``.

    In score units; treatment difference and carryover are benefit-positive, the others as recorded.
    """
    problem = solution.problem
    value = problem.values(list(np.moveaxis(_coordinates(solution.quadrature, draws, rng), 1, 0)))
    linear = problem.linear(value)
    share = linear.log_marginal - special.logsumexp(linear.log_marginal, axis=1, keepdims=True)
    passed = np.cumsum(np.exp(share), axis=1)[:, :-1]
    chosen = (rng.uniform(size=(len(problem.scale), 1, draws)) > passed).sum(axis=1, keepdims=True)
    noise = rng.normal(size=(len(problem.design.priors), *linear.mean[0].shape))
    table = [
        np.take_along_axis(np.broadcast_to(part, share.shape), chosen, axis=1)[:, 0]
        for part in linear.draw(noise)
    ]
    coefficients = np.stack(table, axis=-1)
    named = {name: coefficients @ v for name, v in problem.design.estimands.items()}
    named |= {axis.name: value[i] for i, axis in enumerate(problem.axes)}
    return _dataset(named)


def _coordinates(quadrature: Quadrature, draws: int, rng: np.random.Generator) -> FloatArray:
    """Invert the distribution functions of the axes in turn, dims (dataset, axis, draw)."""
    series = quadrature.series[:, None]
    found = []
    for _ in range(quadrature.low.shape[1]):
        others = series.ndim - 3
        marginal = series.reshape(*series.shape[:3], -1)[..., 0]
        unit = series_quantile(marginal, rng.uniform(size=(len(series), draws)))
        found.append(unit)
        if others:
            basis = legendre.legvander(unit, series.shape[2] - 1)
            flat = series.reshape(*series.shape[:3], -1)
            # the first axis has one series for all draws: one product a data set
            series = basis @ flat[:, 0] if len(found) == 1 else (basis[:, :, None] @ flat)[:, :, 0]
            series = series.reshape(len(unit), draws, *quadrature.series.shape[-others:])
    low, high = quadrature.low[:, :, None], quadrature.high[:, :, None]
    return np.asarray(low + (high - low) * (np.stack(found, axis=1) + 1) / 2)


def _dataset(named: dict[str, FloatArray]) -> xr.Dataset:
    """Put ``name[1]`` and ``name[2]`` on a dim ``period``."""
    variables: dict[str, xr.Variable] = {}
    for name, table in named.items():
        stem, bracket, _ = name.partition("[")
        if not bracket:
            variables[name] = xr.Variable(("dataset", "draw"), table)
        elif stem not in variables:
            both = np.stack([table, named[f"{stem}[2]"]], axis=-1)
            variables[stem] = xr.Variable(("dataset", "draw", "period"), both)
    coords = {"period": [1, 2]} if any("period" in v.dims for v in variables.values()) else {}
    return xr.Dataset(variables, coords=coords)
