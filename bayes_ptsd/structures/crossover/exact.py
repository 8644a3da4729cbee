"""Exact posterior of a Gaussian two-treatment, two-period crossover.

Given the standard deviations, the linear coefficients (level, treatment, carryover, ...)
have a normal posterior in closed form; the standard deviations are integrated out by Gauss-Legendre
quadrature. Equations in ``docs/methods/crossover.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from bayes_ptsd.errors import EvidenceError, FitError, SpecError
from bayes_ptsd.evidence.pairs import BoolArray, CrossoverPairs
from bayes_ptsd.gaussian.axes import DispersionPrior, inverse_sd
from bayes_ptsd.gaussian.draws import draw_posterior
from bayes_ptsd.gaussian.problem import Solution, solve_problem
from bayes_ptsd.gaussian.summaries import (
    DRAW_TOLERANCE,
    Moments,
    batch_moments,
    batch_summaries,
    posterior_tree,
)
from bayes_ptsd.priors import FloatArray, Prior
from bayes_ptsd.provenance import EXACT_DRAWS
from bayes_ptsd.structures.crossover.design import crossover_problem
from bayes_ptsd.structures.crossover.model import CrossoverModel

__all__ = [
    "REACH",
    "CrossoverPriors",
    "batch_with_tails",
    "crossover_batch",
    "crossover_batch_draws",
    "crossover_posterior",
    "exact_crossover",
    "exact_priors",
    "stacked_pairs",
    "treatment_batch",
    "why_not_exact",
]

CrossoverPriors = Mapping[str, Prior | DispersionPrior]

# Data sets solved at once, by number of axes: with 32 nodes on two axes an array of 24 takes 200
# kB, one of 20 nodes on three axes 64 kB, and both stay in the processor's cache.
CHUNK = {1: 24, 2: 24, 3: 1}
# Data sets whose scores are reduced to cross-products at once: of 30 patients 40 MB with what
# that takes, so that a million data sets need no more than their scores and answers.
BLOCK = 4800
# Highest Legendre coefficients accepted in a batch, relative to the largest: means and
# probabilities are accurate to about its square, 1e-2.
BATCH_TOLERANCE = 0.1
REACH = 8.0
"""How many standard deviations around all posteriors their tail probabilities are taken."""


def why_not_exact(options: Mapping[str, Any]) -> str:
    """Say why the exact engine has no answer for a crossover model; empty where it has one."""
    if options["likelihood"] != "normal":
        return f"it integrates normal likelihoods, not {options['likelihood']}"
    if options["baseline"] == "joint":
        return "it has no joint model of baselines"
    if options["subject_effects"] == "sampled":
        return "it integrates the subject effects out and draws none"
    if (options["form"], options["period_sd"]) == ("random_intercept", "unequal"):
        return "its random intercept has equal standard deviations; take form = 'bivariate'"
    if (options["form"], options["period_sd"]) == ("bivariate", "equal"):
        return "its bivariate form has a standard deviation for each period"
    return ""


def exact_priors(model: CrossoverModel) -> dict[str, Prior | Callable[[FloatArray], FloatArray]]:
    """Return the priors as the exact engine takes them: of ``inverse_sd`` its density."""
    return {
        name: inverse_sd if prior.dist == "inverse_sd" else prior
        for name, prior in model.priors.items()
        if isinstance(prior, Prior)
    }


def exact_crossover(model: CrossoverModel, *, seed: int) -> dict[str, xr.Dataset]:
    """Return the groups ``posterior``, ``exact`` and ``quadrature`` (error figures) of a crossover.

    The posterior has 4,000 independent draws in one chain; an improper one is a FitError.
    """
    if reason := why_not_exact(model.options):
        raise SpecError(f"no exact engine for model '{model.spec.name}': {reason}; take nuts")
    tree = crossover_posterior(
        model.pairs,
        exact_priors(model),
        benefit_sign=model.sign,
        covariance=model.options["form"],
        draws=EXACT_DRAWS,
        seed=seed,
    )
    figures = ("quadrature_error", "box_edge", "nodes_per_axis", "log_marginal_likelihood")
    posterior = tree["posterior"].to_dataset()
    if "period" not in posterior.coords:
        posterior = posterior.assign_coords(period=np.array([1, 2]))
    return {
        "posterior": posterior,
        "exact": tree["exact"].to_dataset(),
        "quadrature": xr.Dataset({name: tree.attrs[name] for name in figures}),
    }


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
        ``level`` (mean over periods and treatments), ``period_effect`` (period 2 minus period 1)
        and ``treatment``, and where the model has them ``carryover``, ``sequence``,
        ``baseline_slope``: flat, normal, Student-t, Cauchy or a mixture. ``sd_subject`` and
        ``sd_within`` (or ``sd_period`` and ``correlation``): any prior on their range, or a
        callable that returns a log density. Without ``carryover`` the carryover is zero.
    benefit_sign : {1, -1}
        +1 if a higher score is better, else -1 (`Endpoint.benefit_sign`).
    covariance : {"random_intercept", "bivariate", "first_period"}
        One variance between and one within patients; or two variances and a correlation between
        -1 and 1; or the first period alone, with priors ``level``, ``treatment``,
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
    >>> priors = {"level": Prior("flat"), "period_effect": Prior("flat"),
    ...           "treatment": normal(0, 20), "sd_subject": half, "sd_within": half}
    >>> fit = crossover_posterior(pairs, priors, benefit_sign=-1)
    >>> round(float(fit["exact"]["mean"].sel(estimand="treatment_difference")), 2)
    3.33
    """
    if pairs.batched:
        raise SpecError(
            "the patients have a 'dataset' dim: use crossover_batch or crossover_batch_draws"
        )
    problem = crossover_problem(pairs, priors, benefit_sign=benefit_sign, covariance=covariance)
    try:
        tree = posterior_tree(problem, draws=draws, seed=seed)
    except FitError as error:
        raise FitError(_no_variation(pairs.score, pairs.active_first) or str(error)) from error
    tree.attrs["covariance"] = covariance
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

    Scores have dims ``(dataset, subject, period)``, missing ones may differ by data set. ``mean,
    sd`` are on ``(dataset, estimand)``; ``prob_greater`` than the thresholds (score units) has one
    dim more and is NaN for standard deviations.
    """
    solutions = _solutions(
        pairs, priors, BATCH_TOLERANCE, benefit_sign=benefit_sign, covariance=covariance
    )
    return batch_summaries(solutions, thresholds)


def treatment_batch(
    pairs: CrossoverPairs,
    priors: CrossoverPriors,
    *,
    benefit_sign: int = 1,
    covariance: str = "random_intercept",
    thresholds: Sequence[float] = (0.0,),
) -> Moments:
    """Compute what `crossover_batch` does of the treatment difference alone, as arrays.

    Its dim ``estimand`` has length one; the quickest where a million trials are simulated.
    """
    solutions = _solutions(
        pairs, priors, BATCH_TOLERANCE, benefit_sign=benefit_sign, covariance=covariance
    )
    return batch_moments(solutions, thresholds, ("treatment_difference",))


def crossover_batch_draws(
    pairs: CrossoverPairs,
    priors: CrossoverPriors,
    *,
    benefit_sign: int = 1,
    covariance: str = "random_intercept",
    draws: int = 100,
    seed: int = 20140601,
) -> xr.Dataset:
    """Draw from the posteriors of many crossovers for calibration, dims ``(dataset, draw)``."""
    solutions = _solutions(
        pairs, priors, DRAW_TOLERANCE, benefit_sign=benefit_sign, covariance=covariance
    )
    rng = np.random.default_rng(seed)
    parts = [draw_posterior(solution, draws=draws, rng=rng) for solution in solutions]
    return xr.concat(parts, dim="dataset")


def batch_with_tails(
    pairs: CrossoverPairs, priors: Mapping[str, Any], steps: int, **settings: Any
) -> xr.Dataset:
    """Return `crossover_batch` of the treatment difference in every set, with tail probabilities.

    ``prob_greater`` is at `steps` limits, dim ``threshold``, common to all sets.
    """
    rough = crossover_batch(pairs, priors, **settings).sel(estimand="treatment_difference")
    low = float((rough["mean"] - REACH * rough["sd"]).min())
    high = float((rough["mean"] + REACH * rough["sd"]).max())
    limits = np.linspace(low, high, steps).tolist()
    table = crossover_batch(pairs, priors, thresholds=limits, **settings)
    return table.sel(estimand="treatment_difference")


def stacked_pairs(models: Sequence[CrossoverModel]) -> CrossoverPairs:
    """Return scores of all reconstructions, dims (reconstruction, subject, period), by sequence."""
    orders = [np.argsort(~one.pairs.active_first, kind="stable") for one in models]
    scores = [one.pairs.score[order] for one, order in zip(models, orders, strict=True)]
    if len({score.shape for score in scores}) > 1:
        raise EvidenceError("reconstructions with different numbers of patients cannot be pooled")
    active_first = models[0].pairs.active_first[orders[0]]
    return CrossoverPairs(np.stack(scores), active_first, np.arange(len(active_first)))


def _no_variation(score: FloatArray, active_first: BoolArray) -> str:
    """Say that the within-patient differences do not vary, where they do not; else nothing."""
    both = np.isfinite(score).all(axis=1)
    first, change = active_first[both], score[both, 1] - score[both, 0]
    gain = np.where(first, -change, change)
    size = 1e-9 * np.abs(score[both]).max(initial=0.0)
    rest = [np.ptp(change[first == one]) for one in np.unique(first)]
    if len(change) <= len(rest) or max(rest) > size:
        return ""
    pairs = f"{len(gain)} within-patient differences"
    if np.ptp(gain) <= size:
        found = f"all {pairs} between the treatments are {gain[0] + 0.0:g}"
    elif np.ptp(change) <= size:
        found = f"all {pairs} between the periods are {change[0] + 0.0:g}"
    else:
        found = f"the {pairs} do not vary within the sequences"
    return (
        f"{found}: there is no residual variation, and nothing bounds the standard deviation "
        "within patients from below; are these scores derived or rounded?"
    )


def _solutions(
    pairs: CrossoverPairs, priors: CrossoverPriors, tolerance: float, **settings: Any
) -> Iterator[Solution]:
    """Solve a batch in parts that stay in the processor's cache, one block of scores at a time."""
    for start in range(0, len(pairs.score) if pairs.batched else 1, BLOCK):
        block = pairs.part(slice(start, start + BLOCK)) if pairs.batched else pairs
        problem = crossover_problem(block, priors, **settings)
        size = CHUNK[len(problem.axes)]
        for first in range(0, len(problem.scale), size):
            part = problem.part(slice(first, first + size))
            yield solve_problem(part, tolerance=tolerance, first=start + first)
