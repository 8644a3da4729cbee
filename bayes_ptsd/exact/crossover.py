"""Exact posterior of a Gaussian two-treatment, two-period crossover.

Given the standard deviations, the linear coefficients (period means, treatment, carryover, ...)
have a normal posterior in closed form; the standard deviations are integrated out by Gauss-Legendre
quadrature. Equations in ``docs/methods/crossover.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import xarray as xr
from scipy import special

from bayes_ptsd.errors import SpecError
from bayes_ptsd.evidence.pairs import BoolArray, CrossoverPairs
from bayes_ptsd.exact._axes import DispersionPrior, inverse_sd
from bayes_ptsd.exact._problem import Problem, Solution, crossover_problem, solve_problem
from bayes_ptsd.exact._quadrature import series_cdf, series_pdf
from bayes_ptsd.exact.crossover_draws import draw_posterior
from bayes_ptsd.priors import FloatArray, Prior

__all__ = [
    "CrossoverPriors",
    "crossover_batch",
    "crossover_batch_draws",
    "crossover_posterior",
    "inverse_sd",
]

CrossoverPriors = Mapping[str, Prior | DispersionPrior]

GRID = 401
CHUNK = {1: 24, 2: 24, 3: 1}
TAIL = 1e-10
DRAW_TOLERANCE = 1e-3
BATCH_TOLERANCE = 0.1


def crossover_posterior(
    pairs: CrossoverPairs,
    priors: CrossoverPriors,
    *,
    benefit_sign: int = 1,
    covariance: str = "random_intercept",
    draws: int = 4000,
    seed: int = 20140601,
) -> xr.DataTree:
    """Compute the posterior of a Gaussian AB/BA crossover without sampling.

    The treatment difference is positive where the active treatment is better; carryover is positive
    where the active treatment of period 1 still helps in period 2. Patients with one period,
    whichever it is, are included.

    Parameters
    ----------
    pairs : CrossoverPairs
        The patients of one data set.
    priors : mapping of str to Prior
        ``period_mean`` and ``treatment``, and where the model has them ``carryover``, ``sequence``,
        ``baseline_slope``: flat, normal, Student-t, Cauchy or a mixture. ``sd_subject`` and
        ``sd_within`` (or ``sd_period`` and ``correlation``): any prior on their range, or a
        callable that returns a log density. Without ``carryover`` the carryover is zero.
    benefit_sign : {1, -1}
        +1 if a higher score is better, else -1 (`Endpoint.benefit_sign`).
    covariance : {"random_intercept", "bivariate", "first_period"}
        One variance between and one within patients; or two variances and a correlation between
        -1 and 1; or the first period alone, with priors ``intercept``, ``treatment``,
        ``sd_residual`` and perhaps ``baseline_slope``.
    draws : int
        Independent draws of all parameters jointly.
    seed : int
        Seed of the draws; everything else is deterministic.

    Returns
    -------
    xr.DataTree
        Group ``posterior`` with dims ``(chain, draw)``; group ``exact`` with ``value, pdf, cdf`` on
        dims ``(estimand, grid)`` and ``mean, sd, quadrature_error`` on ``estimand``. Attributes:
        ``log_marginal_likelihood`` (its constant is arbitrary where a prior is flat),
        ``nodes_per_axis``, ``box_edge`` (relative density at the edge of the integration box) and
        ``quadrature_error``.

    Raises
    ------
    SpecError
        If a prior is missing, unknown or not of a kind above, or the model is aliased.
    FitError
        If the posterior is improper or the quadrature cannot resolve it.

    References
    ----------
    .. [1] Grieve AP. A Bayesian analysis of the two-period crossover design for clinical trials.
       Biometrics 1985;41:979-990.
    .. [2] Senn S. Cross-over Trials in Clinical Research. 2nd ed. Wiley; 2002.

    Examples
    --------
    >>> from bayes_ptsd.priors import normal
    >>> score = np.array([[12.0, 15], [9, 14], [11, 12], [16, 11], [13, 9], [15, 13]])
    >>> pairs = CrossoverPairs(score, np.arange(6) < 3, np.arange(6))
    >>> half = Prior("half_normal", {"sigma": 5.0})
    >>> priors = {"period_mean": Prior("flat"), "treatment": normal(0, 20), "sd_subject": half,
    ...           "sd_within": half}
    >>> fit = crossover_posterior(pairs, priors, benefit_sign=-1)
    >>> round(float(fit["exact"]["mean"].sel(estimand="treatment_difference")), 2)
    3.33
    """
    if pairs.batched:
        raise SpecError(
            "the patients have a 'dataset' dim: use crossover_batch or crossover_batch_draws"
        )
    problem = crossover_problem(pairs, priors, benefit_sign=benefit_sign, covariance=covariance)
    solution = solve_problem(problem, tolerance=DRAW_TOLERANCE)
    drawn = draw_posterior(solution, draws=draws, rng=np.random.default_rng(seed))
    posterior = drawn.rename(dataset="chain").assign_coords(chain=[0], draw=np.arange(draws))
    tree = xr.DataTree.from_dict({"posterior": posterior, "exact": _exact_group(solution)})
    tree.attrs = {
        "covariance": covariance,
        "log_marginal_likelihood": float(solution.quadrature.log_evidence[0]),
        "nodes_per_axis": int(solution.quadrature.series.shape[1]),
        "box_edge": float(solution.quadrature.edge[0]),
        "quadrature_error": float(solution.quadrature.resolution[0]),
    }
    return tree


def crossover_batch(
    pairs: CrossoverPairs,
    priors: CrossoverPriors,
    *,
    benefit_sign: int = 1,
    covariance: str = "random_intercept",
    thresholds: Sequence[float] = (0.0,),
) -> xr.Dataset:
    """Compute means, standard deviations and probabilities of many crossovers at once.

    Parameters
    ----------
    pairs : CrossoverPairs
        Scores with dims ``(dataset, subject, period)``; missing periods can differ by data set.
    priors, benefit_sign, covariance
        As in `crossover_posterior`; the same for every data set.
    thresholds : sequence of float
        Values, in score units, that the estimands are compared with.

    Returns
    -------
    xr.Dataset
        ``mean, sd`` on dims ``(dataset, estimand)``, ``prob_greater`` on ``(dataset, estimand,
        threshold)`` for the linear estimands (NaN for standard deviations),
        ``log_marginal_likelihood`` on ``dataset``.

    Raises
    ------
    SpecError, FitError
        As in `crossover_posterior`.

    Examples
    --------
    >>> rng = np.random.default_rng(3)
    >>> pairs = CrossoverPairs(rng.normal(size=(50, 12, 2)), np.arange(12) < 6, np.arange(12))
    >>> flat, half = Prior("flat"), Prior("half_normal", {"sigma": 2.0})
    >>> priors = {"period_mean": flat, "treatment": flat, "sd_subject": half, "sd_within": half}
    >>> crossover_batch(pairs, priors)["mean"].sizes["dataset"]
    50
    """
    problem = crossover_problem(pairs, priors, benefit_sign=benefit_sign, covariance=covariance)
    return xr.concat(
        [_summaries(solution, thresholds) for solution in _chunks(problem, BATCH_TOLERANCE)],
        dim="dataset",
    )


def crossover_batch_draws(
    pairs: CrossoverPairs,
    priors: CrossoverPriors,
    *,
    benefit_sign: int = 1,
    covariance: str = "random_intercept",
    draws: int = 100,
    seed: int = 20140601,
) -> xr.Dataset:
    """Draw from the posteriors of many crossovers, for calibration studies.

    Parameters
    ----------
    pairs, priors, benefit_sign, covariance
        As in `crossover_batch`.
    draws : int
        Independent draws of each data set.
    seed : int
        Seed of the draws.

    Returns
    -------
    xr.Dataset
        Dims ``(dataset, draw)``, and ``period`` for parameters of one period.

    Raises
    ------
    SpecError, FitError
        As in `crossover_posterior`.

    Examples
    --------
    >>> rng = np.random.default_rng(3)
    >>> pairs = CrossoverPairs(rng.normal(size=(8, 12, 2)), np.arange(12) < 6, np.arange(12))
    >>> flat, half = Prior("flat"), Prior("half_normal", {"sigma": 2.0})
    >>> priors = {"period_mean": flat, "treatment": flat, "sd_subject": half, "sd_within": half}
    >>> dict(crossover_batch_draws(pairs, priors, draws=20).sizes)["draw"]
    20
    """
    problem = crossover_problem(pairs, priors, benefit_sign=benefit_sign, covariance=covariance)
    rng = np.random.default_rng(seed)
    parts = [
        draw_posterior(solution, draws=draws, rng=rng)
        for solution in _chunks(problem, DRAW_TOLERANCE)
    ]
    return xr.concat(parts, dim="dataset")


def _chunks(problem: Problem, tolerance: float) -> list[Solution]:
    """Solve a batch in parts that stay in the processor's cache."""
    size = CHUNK[len(problem.axes)]
    return [
        solve_problem(problem.part(slice(first, first + size)), tolerance=tolerance, first=first)
        for first in range(0, len(problem.scale), size)
    ]


def _summaries(solution: Solution, thresholds: Sequence[float]) -> xr.Dataset:
    """Return moments and probabilities of one part of a batch."""
    mean, sd, above = [], [], []
    limits = np.asarray(thresholds, dtype=float)
    for vector in solution.problem.design.estimands.values():
        center, spread = solution.linear.combination(vector)
        mean.append((solution.weight * center).sum(axis=(1, 2)))
        second = spread**2 + (center - mean[-1][:, None, None]) ** 2
        sd.append(np.sqrt((solution.weight * second).sum(axis=(1, 2))))
        tails = [special.ndtr((center - limit) / spread) * solution.weight for limit in limits]
        above.append(np.stack([tail.sum(axis=(1, 2)) for tail in tails], axis=-1))
    for axis in range(len(solution.problem.axes)):
        center, weight = solution.value[:, axis], solution.quadrature.weight
        mean.append((weight * center).sum(axis=1))
        sd.append(np.sqrt((weight * (center - mean[-1][:, None]) ** 2).sum(axis=1)))
        above.append(np.full((len(center), len(limits)), np.nan))
    return xr.Dataset(
        {
            "mean": (("dataset", "estimand"), np.stack(mean, axis=1)),
            "sd": (("dataset", "estimand"), np.stack(sd, axis=1)),
            "prob_greater": (("dataset", "estimand", "threshold"), np.stack(above, axis=1)),
            "log_marginal_likelihood": ("dataset", solution.quadrature.log_evidence),
        },
        coords={"estimand": _names(solution.problem), "threshold": limits},
    )


def _names(problem: Problem) -> list[str]:
    """Return the names of all estimands, linear ones first."""
    return [*problem.design.estimands, *(axis.name for axis in problem.axes)]


def _exact_group(solution: Solution) -> xr.Dataset:
    """Return density, distribution function and moments of every parameter of one data set."""
    summary = _summaries(solution, (0.0,)).isel(dataset=0)
    grids = [_linear_grid(solution, v) for v in solution.problem.design.estimands.values()]
    grids += [_axis_grid(solution, axis) for axis in range(len(solution.problem.axes))]
    table = np.stack(grids)
    error = np.full(len(table), float(solution.quadrature.resolution[0]))
    variables = {
        name: (("estimand", "grid"), table[:, i]) for i, name in enumerate(("value", "pdf", "cdf"))
    }
    return xr.Dataset(
        variables | {"quadrature_error": ("estimand", error)},
        coords={"estimand": summary["estimand"]},
    ).assign(mean=summary["mean"], sd=summary["sd"])


def _linear_grid(solution: Solution, vector: FloatArray) -> FloatArray:
    """Return value, density and distribution function of a mixture of normals over the nodes."""
    center, spread = solution.linear.combination(vector)
    keep = _heavy(solution.weight)
    weight = solution.weight[keep] / solution.weight[keep].sum()
    center, spread = (np.broadcast_to(part, keep.shape)[keep] for part in (center, spread))

    def cdf(value: float) -> float:
        return float(weight @ special.ndtr((value - center) / spread))

    middle = float(weight @ center)
    width = float(np.sqrt(weight @ (spread**2 + (center - middle) ** 2)))
    low, high = (_tail(cdf, middle, side * width) for side in (-1, 1))
    # sinh spacing: dense where the density is, out to tails of 1e-10
    reach = np.arcsinh(np.array([low - middle, high - middle]) / width)
    value = middle + width * np.sinh(np.linspace(reach[0], reach[1], GRID))
    below, density = np.empty(GRID), np.empty(GRID)
    height = weight / spread / np.sqrt(2 * np.pi)
    for part in np.array_split(np.arange(GRID), 8):
        z = (value[part, None] - center) / spread
        below[part] = np.einsum("gn,n->g", special.ndtr(z), weight)
        density[part] = np.einsum("gn,n->g", np.exp(-0.5 * z**2), height)
    return np.stack([value, density, below])


def _heavy(weight: FloatArray) -> BoolArray:
    """Tell the nodes that together hold all but 1e-11 of the probability."""
    order = np.sort(weight, axis=None)
    return np.asarray(weight >= order[np.searchsorted(np.cumsum(order), 1e-11)])


def _tail(cdf: Callable[[float], float], middle: float, step: float) -> float:
    """Walk from the center until the probability beyond is negligible."""
    distance = 6.0
    while distance < 1e6:
        value = middle + distance * step
        below = cdf(value)
        if (below if step < 0 else 1 - below) < TAIL:
            break
        distance *= 1.25
    return middle + distance * step


def _axis_grid(solution: Solution, axis: int) -> FloatArray:
    """Return value, density and distribution function of a dispersion parameter."""
    problem, quadrature = solution.problem, solution.quadrature
    unit = np.linspace(-1, 1, GRID)
    half = (quadrature.high[0, axis] - quadrature.low[0, axis]) / 2
    x = quadrature.low[0, axis] + half * (unit + 1)
    series = quadrature.marginal(axis)[0]
    slope = half * np.exp(problem.axes[axis].log_jacobian(x, problem.scale))
    value = problem.axes[axis].value(x, problem.scale)
    below = series_cdf(series, unit) / series_cdf(series, np.ones(1))
    density = np.maximum(series_pdf(series, unit), 0.0)
    return np.stack([value, density / slope, np.clip(np.maximum.accumulate(below), 0, 1)])
