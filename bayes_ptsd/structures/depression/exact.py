"""The exact engine behind a specification with a mediator: two regressions, then their effects.

Both regressions have independent priors, and the likelihood is that of the mediator times that of
the outcome given the mediator, so that their posteriors are independent and each is known: normal
coefficients given a standard deviation that is integrated out. A direct, indirect or total effect
is linear in the outcome's coefficients once the mediator's are given. Quadrature over the latter
and over both standard deviations makes each effect a finite mixture of normals.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import special

from bayes_ptsd.exact.mixture import Mixture, mixture_grid
from bayes_ptsd.gaussian.arms import arm_posterior, arm_problem
from bayes_ptsd.gaussian.axes import inverse_sd
from bayes_ptsd.gaussian.problem import Problem, Solution, solve_problem
from bayes_ptsd.gaussian.summaries import DRAW_TOLERANCE
from bayes_ptsd.priors import FloatArray, Prior
from bayes_ptsd.provenance import EXACT_DRAWS
from bayes_ptsd.structures.depression.model import (
    DepressionModel,
    mediator_columns,
    outcome_columns,
)

__all__ = ["effect_mixtures", "exact_depression", "regressions"]

IndexArray = NDArray[np.intp]

# nodes of a log sd, of each coefficient of the mediator, and of each half of those that crowd about
# zero: means are then accurate to 1e-5 and probabilities to 1e-6
SPREADS, HERMITE, LEGENDRE = 7, 16, 48
# logs over the greatest of the nodes that crowd about zero, where they begin and end and where the
# halves meet: nearer than 8e-7 there is no mass that counts, and the densest is below exp(-2.5)
LOG_ENDS = (-14.0, -2.5, 0.0)


@dataclass(frozen=True)
class _Regression:
    """Coefficients of one regression on a few values of its standard deviation."""

    weight: FloatArray  # dim (component,)
    sd: FloatArray
    mean: FloatArray  # dims (component, coefficient)
    covariance: FloatArray  # dims (component, coefficient, coefficient)


def exact_depression(model: DepressionModel, *, seed: int) -> dict[str, xr.Dataset]:
    """Compute the posterior of both regressions and of the effects without sampling.

    ``posterior`` has 4,000 independent draws of the parameters in one chain, ``exact`` every
    parameter and effect, ``quadrature`` the larger error figures of the two regressions and the
    ``log_marginal_likelihood`` of both scores. An improper posterior is a FitError.
    """
    problems = regressions(model)
    trees = [arm_posterior(one, draws=EXACT_DRAWS, seed=seed + i) for i, one in enumerate(problems)]
    solutions = [solve_problem(one, tolerance=DRAW_TOLERANCE) for one in problems]
    error = max(float(tree.attrs["quadrature_error"]) for tree in trees)
    tables = [_renamed(tree["exact"].to_dataset(), i) for i, tree in enumerate(trees)]
    known = {str(name) for table in tables for name in table["estimand"].values}
    effects = {
        name: mixture_grid(one, error)
        for name, one in effect_mixtures(solutions, model).items()
        if name not in known
    }
    names = xr.Variable("estimand", list(effects))
    largest = {name: max(float(tree.attrs[name]) for tree in trees)
               for name in ("quadrature_error", "box_edge", "nodes_per_axis")}  # fmt: skip
    evidence = sum(float(tree.attrs["log_marginal_likelihood"]) for tree in trees)
    posteriors = [_renamed(tree["posterior"].to_dataset(), i) for i, tree in enumerate(trees)]
    return {
        "posterior": xr.merge(posteriors),
        "exact": xr.concat([xr.concat(list(effects.values()), names), *tables], "estimand"),
        "quadrature": xr.Dataset({**largest, "log_marginal_likelihood": evidence}),
    }


def regressions(model: DepressionModel) -> tuple[Problem, Problem]:
    """Return the regressions of outcome and mediator for the exact engine."""
    named = {model.parameters[key].name: prior for key, prior in model.priors.items()}

    def regression(score: FloatArray, columns: Mapping[str, FloatArray], sd: str) -> Problem:
        spread: Prior = named[sd]
        return arm_problem(
            score, model.active, columns, {name: named[name] for name in columns},
            inverse_sd if spread.dist == "inverse_sd" else spread, equal=True,
        )  # fmt: skip

    return (
        regression(model.score, outcome_columns(model), "sd_residual"),
        regression(model.mediator_score, mediator_columns(model), "mediator_sd"),
    )


def effect_mixtures(
    solutions: list[Solution], model: DepressionModel, *, rho: float = 0.0
) -> dict[str, Mixture]:
    """Return direct, indirect and total effects, and the mediator's, as mixtures of normals.

    `solutions` are of the outcome's and the mediator's regression; `rho` as in `mediation_effects`.
    """
    outcome = _regression(
        solutions[0], ("controlled_direct_effect", "mediator_slope", "interaction")
    )
    mediator = _regression(solutions[1], ("mediator_level", "mediator_difference"))
    sign, both = model.signs[0], model.signs[0] * model.signs[1]
    slope = rho / np.sqrt(1 - rho**2) * outcome.sd[:, None] / mediator.sd
    place = np.arange(len(mediator.weight))
    # the total and the direct effect: both coefficients of the mediator from its bivariate normal
    weight, means, moved, which = _normal_nodes(mediator, place)
    moved = both * moved
    away = sign * (means - float(model.mediator_score.mean()))
    kappa = slope[:, which]
    one, zero = np.ones_like(moved), np.zeros_like(moved)
    total = _linear(outcome, weight, np.stack([one, moved, away]), zero)
    direct = _linear(outcome, weight, np.stack([one, zero, away - moved / 2]), kappa * moved)
    # a product of two unknowns: nodes that crowd about zero, where the product has its peak
    weight, moved, which = _crowded_nodes(mediator, place)
    moved = both * moved
    kappa = slope[:, which]
    indirect = _linear(
        outcome, weight, np.stack([np.zeros_like(moved), moved, moved / 2]), -kappa * moved
    )
    first = np.eye(3)[:, [0]]
    controlled = _linear(
        outcome, mediator.weight, np.repeat(first, len(place), axis=1),
        both * slope * mediator.mean[:, 1],
        more=(slope * np.sqrt(mediator.covariance[:, 1, 1])) ** 2,
    )  # fmt: skip
    own = Mixture(mediator.weight, mediator.mean[:, 1], np.sqrt(mediator.covariance[:, 1, 1]))
    return {
        "treatment_difference": total,
        "natural_direct_effect": direct,
        "natural_indirect_effect": indirect,
        "controlled_direct_effect": controlled,
        "mediator_difference": own,
    }


def _regression(solution: Solution, names: tuple[str, ...]) -> _Regression:
    """Return some coefficients on Gauss nodes of the posterior of the standard deviation."""
    problem = solution.problem
    weight = solution.weight[0].sum(axis=0)
    log_sd, share = _gauss(np.log(solution.value[0, 0]), weight / weight.sum(), SPREADS)
    value = np.exp(log_sd)[None]
    linear = problem.linear([value])
    logs = linear.log_marginal[0]
    parts = np.exp(logs - special.logsumexp(logs, axis=0)) * share
    known = list(problem.design.priors)
    vectors = [np.eye(len(known))[known.index(name)] if name in known else None for name in names]
    mean, covariance = np.zeros((parts.size, len(names))), np.zeros((parts.size, *2 * [len(names)]))

    def moments(vector: FloatArray) -> tuple[FloatArray, FloatArray]:
        center, spread = linear.combination(vector)
        return (np.broadcast_to(center[0], parts.shape).ravel(),
                np.broadcast_to(spread[0], parts.shape).ravel() ** 2)  # fmt: skip

    for i, first in enumerate(vectors):
        if first is None:
            continue
        mean[:, i], covariance[:, i, i] = moments(first)
        for j, second in enumerate(vectors[:i]):
            if second is not None:
                cross = (moments(first + second)[1] - moments(first - second)[1]) / 4
                covariance[:, i, j] = covariance[:, j, i] = cross
    sd = np.broadcast_to(value, parts.shape).ravel()
    return _Regression(parts.ravel() / parts.sum(), sd, mean, covariance)


def _gauss(x: FloatArray, weight: FloatArray, count: int) -> tuple[FloatArray, FloatArray]:
    """Return few nodes and weights with the first moments of many, by Lanczos iteration."""
    root = np.sqrt(weight)
    basis, diagonal, off = [root / np.linalg.norm(root)], [], []
    for step in range(count):
        moved = x * basis[-1]
        diagonal.append(float(moved @ basis[-1]))
        moved = moved - np.array(basis).T @ (np.array(basis) @ moved)
        size = float(np.linalg.norm(moved))
        if step == count - 1 or size < 1e-10 * np.abs(x).max():
            break
        off.append(size)
        basis.append(moved / size)
    matrix = np.diag(diagonal) + np.diag(off, 1) + np.diag(off, -1)
    nodes, vectors = np.linalg.eigh(matrix)
    return nodes, vectors[0] ** 2


def _normal_nodes(
    mediator: _Regression, place: IndexArray
) -> tuple[FloatArray, FloatArray, FloatArray, IndexArray]:
    """Return weight, mean, difference and component of Gauss-Hermite nodes."""
    x, w = np.polynomial.hermite_e.hermegauss(HERMITE)
    first, second = (grid.ravel() for grid in np.meshgrid(x, x, indexing="ij"))
    product = np.outer(w, w).ravel() / (2 * np.pi)
    keep = product > 1e-13
    z = np.stack([first[keep], second[keep]])
    root = np.linalg.cholesky(mediator.covariance)
    points = mediator.mean[:, :, None] + root @ z
    weight = mediator.weight[:, None] * product[keep]
    which = np.repeat(place, keep.sum())
    return weight.ravel(), points[:, 0].ravel(), points[:, 1].ravel(), which


def _crowded_nodes(
    mediator: _Regression, place: IndexArray
) -> tuple[FloatArray, FloatArray, IndexArray]:
    """Return weight, difference and component of nodes whose logarithms are evenly dense."""
    center, spread = mediator.mean[:, 1], np.sqrt(mediator.covariance[:, 1, 1])
    scale = float(np.abs(center).max() + 8 * spread.max())
    x, w = np.polynomial.legendre.leggauss(LEGENDRE)
    found = []
    for low, high in pairwise(LOG_ENDS):
        log = (high - low) / 2 * (x + 1) + low
        size = scale * np.exp(log)
        found.append((size, size * w * (high - low) / 2))
    size, step = (np.concatenate([part[i] for part in found]) for i in (0, 1))
    t, step = np.concatenate([-size, size]), np.concatenate([step, step])
    density = np.exp(-0.5 * ((t - center[:, None]) / spread[:, None]) ** 2) / spread[:, None]
    weight = mediator.weight[:, None] * density * step / np.sqrt(2 * np.pi)
    keep = weight.ravel() > 1e-16
    t = np.broadcast_to(t, weight.shape).ravel()[keep]
    which = np.broadcast_to(place[:, None], weight.shape).ravel()[keep]
    return weight.ravel()[keep], t, which


def _linear(
    outcome: _Regression,
    weight: FloatArray,
    vectors: FloatArray,
    constant: FloatArray,
    *,
    more: FloatArray | float = 0.0,
) -> Mixture:
    """Return linear combinations of the outcome's coefficients, one for each node.

    `more` is variance that comes from elsewhere.
    """
    center = outcome.mean @ vectors + constant
    spread = np.sqrt(np.einsum("in,kij,jn->kn", vectors, outcome.covariance, vectors) + more)
    both = outcome.weight[:, None] * weight
    keep = both > 1e-11
    kept = both[keep]
    center = np.broadcast_to(center, both.shape)[keep]
    return Mixture(kept / kept.sum(), center, spread[keep])


def _renamed(table: xr.Dataset, regression: int) -> xr.Dataset:
    """Name the standard deviation of the mediator, which the engine calls residual."""
    if regression == 0:
        return table
    if "estimand" in table.dims:
        names = [str(n).replace("sd_residual", "mediator_sd") for n in table["estimand"].values]
        return table.assign_coords(estimand=names)
    return table.rename(sd_residual="mediator_sd")
