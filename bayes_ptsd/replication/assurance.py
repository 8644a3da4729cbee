"""Assurance: the probability that a planned replication reaches its goal, averaged over a prior.

The replication's estimate is normal around the difference, its squared standard error a scaled
chi-square; the analysis uses the Student-t likelihood that belongs to them, as a normal mixture
over the variance. For each standard error the estimates that reach the goal are one or more
intervals: under an informative analysis prior the posterior probability rises with the estimate
and falls back, because a t likelihood gives way to a prior that it contradicts. Every probability
is a sum of normal areas over those intervals and over nodes of the standard error: no simulation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import xarray as xr
from scipy import special

from bayes_ptsd.errors import SpecError
from bayes_ptsd.priors import FloatArray, Prior
from bayes_ptsd.replication.designs import ReplicationDesign
from bayes_ptsd.replication.goals import (
    NODE_WEIGHT,
    Goal,
    chi_square,
    crossings,
    normal_components,
    posterior_above,
)

__all__ = [
    "QUANTILES",
    "Case",
    "Goal",
    "assurance_curve",
    "cases_label",
    "checked_cases",
    "discount_note",
    "goal_ceiling",
    "reach_probability",
]

BEYOND = 9.0
"""Standard deviations of the predicted estimate beyond which nothing is left."""
AVERAGED = ("assurance", "discounted", "same_sign", "standard_error", "complete")
# the median, the middle half and the middle 80% of what may be found
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
# down to which the nodes that stand for a t likelihood are exact to 1e-7 (`goals.COARSE`)
LEAST_DF = 3.0
DISCOUNT = (
    "an estimate far outside the analysis prior {} is discounted: a t likelihood gives way to the "
    "prior, so that a larger estimate can miss a goal that a smaller one reaches"
)
Case = tuple[float, Prior, ReplicationDesign]
"""A weight, a design prior, and the design with the precision that goes with it."""


def reach_probability(prior: Prior, design: ReplicationDesign, *, n: float, goal: Goal) -> float:
    """Return the assurance [1]_, the probability that `n` patients in all reach the goal.

    A normal prior with a tiny sd gives the power at one difference.

    References
    ----------
    .. [1] O'Hagan A, Stevens JW, Campbell MJ. Assurance in clinical trial design. Pharmaceutical
       Statistics 2005;4:187-201.
    """
    return _reached(prior, design, n, goal)[0]


def goal_ceiling(prior: Prior, goal: Goal) -> float:
    """Return what the assurance tends to as the replication grows: P(difference > margin)."""
    return float(prior.sf(goal.margin))


def assurance_curve(
    prior: Prior,
    design: ReplicationDesign,
    *,
    sizes: Sequence[int],
    goal: Goal,
    nuisance: Sequence[tuple[float, float, float]] | None = None,
    cases: Sequence[Case] | None = None,
) -> xr.Dataset:
    """Return the assurance for a range of sizes, with pre-posterior quantiles, on dim ``n``.

    `nuisance` (weight, sd, correlation) is belief over which everything is averaged; `cases` stand
    instead of prior, design and nuisance where prior and precision go together, as under readings
    of one row. ``same_sign`` is the probability of an estimate in favor of the active treatment;
    ``discounted`` that of an estimate above one that reaches the goal which yet misses it, because
    it contradicts the analysis prior; ``complete`` counts patients with all their data.
    ``prob_quantile``, dim ``probability``, has quantiles of the posterior probability that the
    difference exceeds the margin, as one would foretell it today.
    """
    found = _nuisance_cases(prior, design, nuisance) if cases is None else checked_cases(cases)
    rows = [_one_size(found, n, goal) for n in sizes]
    averaged = "; averaged over belief about sd and correlation" if nuisance is not None else ""
    return xr.Dataset(
        {
            **{name: ("n", [row[0][name] for row in rows]) for name in AVERAGED},
            "prob_quantile": (("n", "probability"), [row[1] for row in rows]),
            "ceiling": sum(weight * goal_ceiling(one, goal) for weight, one, _ in found),
        },
        coords={"n": list(sizes), "probability": list(QUANTILES)},
        attrs={
            "design": design.label + averaged if cases is None else cases_label(found),
            "goal": goal.label,
            "design_prior": prior.formula,
            "note": discount_note(goal),
        },
    )


def discount_note(goal: Goal) -> str:
    """Return what an informative analysis prior does to large estimates, "" for a flat one."""
    return "" if goal.exact else DISCOUNT.format(goal.analysis.formula)


def checked_cases(cases: Sequence[Case]) -> list[Case]:
    """Return the cases, or refuse weights that are no distribution."""
    total = sum(weight for weight, _, _ in cases)
    if not math.isclose(total, 1, abs_tol=1e-8) or any(not weight > 0 for weight, _, _ in cases):
        raise SpecError(f"weights of cases are positive and sum to one, got {total:g}")
    return list(cases)


def cases_label(cases: Sequence[Case]) -> str:
    """Return the designs of cases in words, each once."""
    return "; or ".join(dict.fromkeys(design.label for _, _, design in cases))


def _one_size(cases: Sequence[Case], n: int, goal: Goal) -> tuple[dict[str, float], FloatArray]:
    """Return averages over the cases by name, and quantiles of the posterior probability."""
    averages = dict.fromkeys(AVERAGED, 0.0)
    values, mass = [], []
    for share, prior, design in cases:
        reached, discounted = _reached(prior, design, n, goal)
        weights, mu, sigma = normal_components(prior)
        se = design.standard_error(n)
        positive = float(weights @ special.ndtr(mu / np.hypot(sigma, se)))
        one = (reached, discounted, positive, se, n * design.complete)
        for name, value in zip(averages, one, strict=True):
            averages[name] += share * value
        foretold, likely = _foretold(prior, design, n, goal)
        values.append(foretold)
        mass.append(share * likely)
    every, each = np.concatenate(values), np.concatenate(mass)
    order = np.argsort(every)
    below = np.cumsum(each[order]) - each[order] / 2
    return averages, np.interp(QUANTILES, below, every[order])


def _foretold(
    prior: Prior, design: ReplicationDesign, n: int, goal: Goal
) -> tuple[FloatArray, FloatArray]:
    """Return posterior probabilities of the goal's event, and how likely each is to be found."""
    se, df = _precision(design, n)
    weights, mu, sigma = normal_components(prior)
    grid = np.linspace(-4.5, 4.5, 91)
    mass = np.exp(-0.5 * grid**2)
    estimate = mu[:, None] + np.hypot(sigma, se)[:, None] * grid
    scale = se * np.sqrt(chi_square(df) / df)
    every_other = slice(None, None, 3)
    some, share = scale[every_other], NODE_WEIGHT[every_other] / NODE_WEIGHT[every_other].sum()
    above = posterior_above(goal, estimate.ravel()[:, None], some, df)
    joint = (weights[:, None] * mass / mass.sum()).ravel()[:, None] * share
    return above.ravel(), joint.ravel()


def _reached(prior: Prior, design: ReplicationDesign, n: float, goal: Goal) -> tuple[float, float]:
    """Return the probability of the goal, and of an estimate too far above the prior for it."""
    se, df = _precision(design, n)
    scale = se * np.sqrt(chi_square(df) / df)
    weights, mu, sigma = normal_components(prior)
    spread = np.hypot(sigma, se)
    if goal.exact:
        # "difference > margin" of the frequentist goal is the shifted null hypothesis
        needed = goal.margin + special.stdtrit(df, goal.level) * scale
        tails = special.ndtr((mu[:, None] - needed) / spread[:, None])
        return float(weights @ tails @ NODE_WEIGHT), 0.0
    ends = float((mu - BEYOND * spread).min()), float((mu + BEYOND * spread).max())
    cuts = crossings(goal, scale, df, ends)
    # the goal is held between cuts 0 and 1, 2 and 3, ...; cuts that are not there lie at infinity
    tails = special.ndtr((mu[:, None, None] - cuts) / spread[:, None, None])
    signs = np.where(np.arange(cuts.shape[1]) % 2 == 0, 1.0, -1.0)
    reached = float(weights @ (tails @ signs) @ NODE_WEIGHT)
    above_first = tails[:, :, :1].sum(axis=2)
    return reached, float(weights @ above_first @ NODE_WEIGHT) - reached


def _precision(design: ReplicationDesign, n: float) -> tuple[float, float]:
    """Return standard error and degrees of freedom, or refuse too small a trial."""
    df = design.degrees_of_freedom(n)
    if not df >= LEAST_DF:
        raise SpecError(
            f"{n:g} patients leave {df:.3g} degrees of freedom ({design.label}); at least "
            f"{LEAST_DF:g} are needed"
        )
    return design.standard_error(n), df


def _nuisance_cases(
    prior: Prior,
    design: ReplicationDesign,
    nuisance: Sequence[tuple[float, float, float]] | None,
) -> list[Case]:
    """Return the design with each sd and correlation, and their weights."""
    if nuisance is None:
        return [(1.0, prior, design)]
    return checked_cases([
        (weight, prior, design.with_nuisance(sd=sd, correlation=rho))
        for weight, sd, rho in nuisance
    ])  # fmt: skip
