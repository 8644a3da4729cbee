"""The exact posterior of several treatment differences: normal given the heterogeneity.

Everything is normal given omega, and omega is integrated out by Gauss-Legendre quadrature: the
posterior is a finite mixture of multivariate normals.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy.interpolate import CubicSpline

from bayes_ptsd.exact.grid import grid_quantile
from bayes_ptsd.exact.mixture import Mixture, mixture_grid
from bayes_ptsd.priors import FloatArray, Prior, mixture, normal
from bayes_ptsd.provenance import DEFAULT_SEED, EXACT_DRAWS
from bayes_ptsd.structures.joint.problem import JointModel, JointProblem

__all__ = [
    "NOTHING",
    "exact_joint",
    "joint_draws",
    "joint_marginal",
    "joint_posterior",
    "joint_probabilities",
    "joint_table",
    "labelled_draws",
    "normal_draws",
    "posterior_given",
    "share_above",
    "with_total",
]

# Gauss-Legendre: the posterior is that of adaptive quadrature to 1e-8
NODES = 96
# prior mass of omega beyond the last node
REACH = 1e-12
# a probability then has a Monte Carlo error of at most .0011
COUNTED = 200_000
# of the density of omega; odd, so that every second point makes the grid that tells the error
POINTS = 401
# posterior weight of a node below which its normal does not count
LEAST = 1e-15
# of a variance: what rounding leaves of one that is zero is a few times 1e-16 of the largest
NOTHING = 1e-12


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
    drawn = grid_quantile(omega, generator.uniform(size=EXACT_DRAWS))
    _, mean, covariance = posterior_given(problem, drawn)
    differences = normal_draws(mean, covariance, generator) * problem.unit
    return {
        "posterior": labelled_draws(model, drawn[None], differences[None]),
        "exact": xr.concat([*grids, omega], names),
        "quadrature": xr.Dataset(
            {
                "quadrature_error": error,
                "box_edge": 0.0,
                "log_marginal_likelihood": exact["log_marginal_likelihood"],
            }
        ),
    }


def joint_posterior(problem: JointProblem) -> xr.Dataset:
    """Return the posterior by ``node`` of omega: its weight, and a normal of the differences.

    ``omega``, ``prior_weight`` and ``weight`` (its prior and posterior probabilities), ``mean``
    (endpoint) and ``covariance`` (endpoint, other_endpoint) in the unit of the estimates;
    ``log_marginal_likelihood``.
    """
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    reach = float(problem.heterogeneity.quantile(np.array(1 - REACH)))
    omega = (nodes + 1) * reach / 2
    log_prior = problem.heterogeneity.logpdf(omega) + np.log(weights * reach / 2)
    log_likelihood, mean, covariance = posterior_given(problem, omega)
    log_weight = log_prior + log_likelihood
    log_mass = float(np.logaddexp.reduce(log_weight))
    return xr.Dataset(
        {
            "omega": ("node", omega),
            "prior_weight": ("node", np.exp(log_prior)),
            "weight": ("node", np.exp(log_weight - log_mass)),
            "mean": (("node", "endpoint"), mean),
            "covariance": (("node", "endpoint", "other_endpoint"), covariance),
            "log_marginal_likelihood": log_mass,
        },
        coords={"endpoint": list(problem.endpoint), "other_endpoint": list(problem.endpoint)},
        attrs={"evidence_kind": problem.evidence_kind},
    )


def posterior_given(
    problem: JointProblem, omega: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return log likelihood (node), mean (node, endpoint) and covariance given `omega` (node).

    Of the differences in the unit of the estimates.
    """
    prior = problem.fixed + np.square(omega)[:, None, None] * problem.spread
    total = prior + problem.sampling
    gain = np.swapaxes(np.linalg.solve(total, prior), 1, 2)
    residual = problem.estimate - problem.center
    distance = np.linalg.solve(total, np.broadcast_to(residual, total.shape[:2])[..., None])
    log_det = np.linalg.slogdet(total)[1]
    logs = -0.5 * (problem.size * np.log(2 * np.pi) + log_det + distance[..., 0] @ residual)
    return logs, problem.center + gain @ residual, prior - gain @ prior


def labelled_draws(model: JointModel, omega: FloatArray, difference: FloatArray) -> xr.Dataset:
    """Return draws with their labels, dims (chain, draw) first, and their sum if an estimand."""
    coords = {
        "chain": np.arange(omega.shape[0]),
        "draw": np.arange(omega.shape[1]),
        "endpoint": list(model.problem.endpoint),
    }
    found = {
        "heterogeneity": (("chain", "draw"), omega),
        "endpoint_difference": (("chain", "draw", "endpoint"), difference),
    }
    return with_total(xr.Dataset(found, coords=coords), model)


def with_total(draws: xr.Dataset, model: JointModel) -> xr.Dataset:
    """Add the sum of the differences where it is an estimand."""
    if not model.has_total:
        return draws
    return draws.assign(treatment_difference=draws["endpoint_difference"].sum("endpoint"))


def joint_marginal(exact: xr.Dataset, combination: FloatArray) -> Prior:
    """Return the exact posterior of a linear combination of differences, a mixture of normals."""
    means = exact["mean"].values @ combination
    sds = np.sqrt(np.einsum("i,nij,j->n", combination, exact["covariance"].values, combination))
    kept = [
        (w, normal(m, s))
        for w, m, s in zip(exact["weight"].values, means, sds, strict=True)
        if w > LEAST
    ]
    weights = np.array([w for w, _ in kept])
    return mixture(list(weights / weights.sum()), [part for _, part in kept])


def joint_draws(
    exact: xr.Dataset, *, draws: int = COUNTED, seed: int = DEFAULT_SEED
) -> xr.DataArray:
    """Draw all differences together, dims (draw, endpoint), in the unit of the estimates."""
    generator = np.random.default_rng(seed)
    weight = exact["weight"].values
    chosen = np.searchsorted(np.cumsum(weight)[:-1], generator.random(draws))
    roots = _roots(exact["covariance"].values)
    standard = generator.standard_normal((draws, exact.sizes["endpoint"]))
    drawn = exact["mean"].values[chosen] + np.einsum("dij,dj->di", roots[chosen], standard)
    return xr.DataArray(drawn, dims=("draw", "endpoint"), coords={"endpoint": exact["endpoint"]})


def normal_draws(
    mean: FloatArray, covariance: FloatArray, generator: np.random.Generator
) -> FloatArray:
    """Draw once from each of many normals, dims (draw, endpoint)."""
    standard = generator.standard_normal(mean.shape)
    return np.asarray(mean + np.einsum("dij,dj->di", _roots(covariance), standard))


def _roots(covariance: FloatArray) -> FloatArray:
    """Return symmetric roots: on a plane of zero sums a covariance has no Cholesky root.

    Eigenvectors alone would be roots as well, but their signs differ from one processor to another.
    """
    values, vectors = np.linalg.eigh(covariance)
    kept = np.where(values > NOTHING * values[:, -1:], values, 0.0)
    return np.asarray(vectors * np.sqrt(kept)[:, None, :] @ vectors.swapaxes(1, 2))


def joint_probabilities(
    problem: JointProblem, exact: xr.Dataset, *, draws: int = COUNTED, seed: int = DEFAULT_SEED
) -> xr.Dataset:
    """Return P(at least so many differences exceed 0, or their MCID), dim ``count`` from 1.

    ``mcse`` is the largest Monte Carlo error that any of them can have; an endpoint without MCID
    exceeds none.
    """
    return share_above(problem, joint_draws(exact, draws=draws, seed=seed).values * problem.unit)


def share_above(problem: JointProblem, drawn: FloatArray) -> xr.Dataset:
    """Return `joint_probabilities` from independent draws in score units, dims (draw, endpoint)."""
    counts = np.arange(1, problem.size + 1)

    def at_least(margin: FloatArray) -> FloatArray:
        number = (drawn > margin).sum(axis=1)
        return np.asarray((number[:, None] >= counts).mean(axis=0))

    return xr.Dataset(
        {
            "at_least_above_zero": ("count", at_least(np.zeros(problem.size))),
            "at_least_above_mcid": ("count", at_least(problem.mcid)),
            "mcse": 0.5 / float(np.sqrt(len(drawn))),
        },
        coords={"count": counts},
        attrs={"evidence_kind": problem.evidence_kind},
    )


def joint_table(problem: JointProblem, exact: xr.Dataset) -> pd.DataFrame:
    """Return each endpoint's printed and joint result, score units.

    ``estimate, se`` as printed (convention N); ``mean, sd, low, high``, ``prob_benefit,
    prob_gt_mcid`` of the joint posterior; ``shrinkage`` = 1 - mean/estimate.
    """
    lines = [
        _line(problem, exact, place) | {"endpoint": name}
        for place, name in enumerate(problem.endpoint)
    ]
    frame = pd.DataFrame(lines).assign(
        analysis=problem.analysis,
        crossover_reading=problem.crossover_reading,
        evidence_kind=problem.evidence_kind,
    )
    return frame[["endpoint", *(name for name in frame.columns if name != "endpoint")]]


def _line(problem: JointProblem, exact: xr.Dataset, place: int) -> dict[str, Any]:
    """Return one endpoint in score units."""
    unit, mcid = float(problem.unit[place]), float(problem.mcid[place])
    marginal = joint_marginal(exact, np.eye(problem.size)[place] * unit)
    low, high = marginal.interval()
    return {
        "estimate": unit * float(problem.estimate[place]),
        "se": unit * float(np.sqrt(problem.sampling[place, place])),
        "mean": marginal.mean,
        "sd": marginal.sd,
        "low": low,
        "high": high,
        "prob_benefit": _above(marginal, 0.0),
        "prob_gt_mcid": _above(marginal, mcid) if np.isfinite(mcid) else np.nan,
        "shrinkage": 1 - marginal.mean / (unit * float(problem.estimate[place])),
    }


def _above(marginal: Prior, margin: float) -> float:
    """Return the probability above a margin."""
    return float(marginal.sf(np.array(margin)))


def _mixture(exact: xr.Dataset, vector: FloatArray) -> Mixture:
    """Return the posterior of a linear combination of the differences."""
    spread = np.sqrt(np.einsum("i,nij,j->n", vector, exact["covariance"].values, vector))
    weight = exact["weight"].values
    keep = weight > LEAST
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
