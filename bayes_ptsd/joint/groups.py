"""The groups of a fit of several printed contrasts: exact posterior, predictions, prior draws."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy.interpolate import CubicSpline

from bayes_ptsd.exact.grid import grid_quantile
from bayes_ptsd.exact.mixture import Mixture, mixture_grid
from bayes_ptsd.joint.model import JointModel
from bayes_ptsd.joint.posterior import joint_posterior, normal_draws, posterior_given
from bayes_ptsd.joint.problem import JointProblem
from bayes_ptsd.priors import FloatArray

__all__ = ["exact_joint", "joint_groups", "predictive_tail"]

# as many as NUTS keeps by default, 4 chains of 1,000, and a quarter of them of the prior
DRAWS, PRIOR_DRAWS = 4000, 1000
# odd, so that every second point makes the grid that tells the error
POINTS = 401
# prior mass of omega beyond the grid
REACH = 1e-12


def exact_joint(model: JointModel, *, seed: int) -> dict[str, xr.Dataset]:
    """Compute the posterior of all differences without sampling.

    ``posterior`` has 4,000 independent draws in one chain, ``exact`` each difference, their sum
    where it is an estimand, and the heterogeneity.
    """
    problem = model.problem
    exact = joint_posterior(problem)
    omega, error = _heterogeneity(problem)
    combinations = {
        f"difference[{name}]": problem.unit * np.eye(problem.size)[place]
        for place, name in enumerate(problem.endpoint)
    }
    if model.has_total:
        combinations = {"treatment_difference": problem.unit} | combinations
    grids = [mixture_grid(_mixture(exact, vector), error) for vector in combinations.values()]
    names = xr.Variable("estimand", [*combinations, "heterogeneity"])
    generator = np.random.default_rng(seed)
    drawn = grid_quantile(omega, generator.uniform(size=DRAWS))
    _, mean, covariance = posterior_given(problem, drawn)
    differences = normal_draws(mean, covariance, generator) * problem.unit
    return {
        "posterior": _with_total(_draws(model, drawn[None], differences[None]), model),
        "exact": xr.concat([*grids, omega], names),
        "quadrature": xr.Dataset(
            {
                "quadrature_error": error,
                "box_edge": 0.0,
                "log_marginal_likelihood": exact["log_marginal_likelihood"],
            }
        ),
    }


def joint_groups(posterior: xr.Dataset, model: JointModel, *, seed: int) -> dict[str, xr.Dataset]:
    """Compute data, predictive, likelihood and prior groups from draws, estimates in score units.

    ``posterior`` has the sum of the differences where it is an estimand.
    """
    problem = model.problem
    generator = np.random.default_rng(seed)
    omega = posterior["heterogeneity"].values
    difference = posterior["endpoint_difference"].transpose("chain", "draw", "endpoint").values
    size = problem.size
    own = (difference / problem.unit).reshape(-1, size)
    noise = _noise(problem, len(own), generator).reshape(difference.shape)
    prior = problem.fixed + np.square(omega)[..., None, None] * problem.spread
    sampling = np.broadcast_to(problem.sampling, (len(own), size, size))
    believed = problem.heterogeneity.quantile(generator.uniform(size=PRIOR_DRAWS))
    before = problem.fixed + np.square(believed)[:, None, None] * problem.spread
    center = np.broadcast_to(problem.center, (PRIOR_DRAWS, size))
    drawn = normal_draws(center, before, generator) * problem.unit
    replicated = drawn + _noise(problem, PRIOR_DRAWS, generator)
    labels = {"endpoint": list(problem.endpoint)}
    log_prior = {
        "heterogeneity": problem.heterogeneity.logpdf(omega),
        "endpoint_difference": _log_normal(
            own - problem.center, prior.reshape(-1, size, size)
        ).reshape(omega.shape),
    }
    log_likelihood = _log_normal(problem.estimate - own, sampling).reshape(omega.shape)
    return {
        "posterior": _with_total(posterior, model),
        "observed_data": xr.Dataset(
            {"estimate": ("endpoint", problem.estimate * problem.unit)}, coords=labels
        ),
        "posterior_predictive": _estimates(difference + noise, labels),
        "log_likelihood": xr.Dataset({"estimate": (("chain", "draw"), log_likelihood)}),
        "log_prior": xr.Dataset({key: (("chain", "draw"), v) for key, v in log_prior.items()}),
        "prior": _with_total(_draws(model, believed[None], drawn[None]), model),
        "prior_predictive": _estimates(replicated[None], labels),
    }


def predictive_tail(problem: JointProblem, replicated: xr.Dataset) -> float:
    """Return the share of estimates drawn from the prior that lie further out than the printed.

    Small where prior and estimates disagree; distances are those of the covariance of the draws.
    """
    drawn = replicated["estimate"].values.reshape(-1, problem.size)
    inverse = np.linalg.inv(np.cov(drawn.T))
    center = problem.center * problem.unit
    away = drawn - center
    seen = problem.estimate * problem.unit - center
    distance = np.einsum("di,ij,dj->d", away, inverse, away)
    return float((distance >= seen @ inverse @ seen).mean())


def _mixture(exact: xr.Dataset, vector: FloatArray) -> Mixture:
    """Return the posterior of a linear combination of the differences."""
    spread = np.sqrt(np.einsum("i,nij,j->n", vector, exact["covariance"].values, vector))
    weight = exact["weight"].values
    keep = weight > 1e-15
    center = exact["mean"].values @ vector
    return Mixture(weight[keep] / weight[keep].sum(), center[keep], spread[keep])


def _heterogeneity(problem: JointProblem) -> tuple[xr.Dataset, float]:
    """Return the posterior of the heterogeneity on a grid, and the error of its integral."""
    reach = float(problem.heterogeneity.quantile(np.array(1 - REACH)))
    omega = np.linspace(0.0, reach, POINTS)
    logs = posterior_given(problem, omega)[0] + problem.heterogeneity.logpdf(omega)
    height = np.exp(logs - logs.max())
    masses = [_mass(omega[::step], height[::step]) for step in (1, 2)]
    pdf = height / masses[0][-1]
    first, second = (_mass(omega, omega**power * pdf)[-1] for power in (1, 2))
    found = {
        "value": ("grid", omega), "pdf": ("grid", pdf),
        "cdf": ("grid", np.clip(np.maximum.accumulate(masses[0] / masses[0][-1]), 0, 1)),
    }  # fmt: skip
    error = float(abs(masses[1][-1] / masses[0][-1] - 1))
    sd = float(np.sqrt(second - first**2))
    grid = xr.Dataset({**found, "mean": float(first), "sd": sd, "quadrature_error": error})
    return grid, error


def _mass(x: FloatArray, height: FloatArray) -> FloatArray:
    """Integrate from the first point to each."""
    return np.asarray(CubicSpline(x, height).antiderivative()(x))


def _noise(problem: JointProblem, count: int, generator: np.random.Generator) -> FloatArray:
    """Draw sampling errors in score units, dims (draw, endpoint)."""
    covariance = np.broadcast_to(problem.sampling, (count, problem.size, problem.size))
    return normal_draws(np.zeros((count, problem.size)), covariance, generator) * problem.unit


def _log_normal(residual: FloatArray, covariance: FloatArray) -> FloatArray:
    """Return log densities of centered normals, dim (draw,)."""
    scaled = np.linalg.solve(covariance, residual[..., None])[..., 0]
    square = (residual * scaled).sum(axis=-1)
    size = residual.shape[-1]
    return np.asarray(-0.5 * (square + np.linalg.slogdet(covariance)[1] + size * np.log(2 * np.pi)))


def _draws(model: JointModel, omega: FloatArray, difference: FloatArray) -> xr.Dataset:
    """Return draws with their labels, dims (chain, draw) first."""
    coords = {
        "chain": np.arange(omega.shape[0]),
        "draw": np.arange(omega.shape[1]),
        "endpoint": list(model.problem.endpoint),
    }
    return xr.Dataset(
        {
            "heterogeneity": (("chain", "draw"), omega),
            "endpoint_difference": (("chain", "draw", "endpoint"), difference),
        },
        coords=coords,
    )


def _with_total(draws: xr.Dataset, model: JointModel) -> xr.Dataset:
    """Add the sum of the differences where it is an estimand."""
    if not model.has_total:
        return draws
    return draws.assign(treatment_difference=draws["endpoint_difference"].sum("endpoint"))


def _estimates(values: FloatArray, labels: dict[str, list[str]]) -> xr.Dataset:
    """Return replicated estimates with their labels."""
    return xr.Dataset({"estimate": (("chain", "draw", "endpoint"), values)}, coords=labels)
