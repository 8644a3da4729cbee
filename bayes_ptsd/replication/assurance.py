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
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy import special, stats

from bayes_ptsd.errors import SpecError
from bayes_ptsd.priors import FloatArray, Prior
from bayes_ptsd.replication.designs import ReplicationDesign
from bayes_ptsd.replication.mixtures import mixture_parts

__all__ = [
    "Case",
    "Goal",
    "assurance_curve",
    "goal_ceiling",
    "reach_probability",
]

NODES = np.linspace(-5.4, 5.4, 25)
NODE_WEIGHT = np.exp(-0.5 * NODES**2) / np.exp(-0.5 * NODES**2).sum()
COARSE = slice(None, None, 2)
"""Of the nodes that stand for the t likelihood: steps of .9 are exact to 1e-7 from 3 df on."""
PACE = 0.2
"""Estimates at which the goal is looked at lie a fifth of a standard error apart, then 20% farther
each: four times as dense moves an assurance by less than 1e-9."""
BISECTIONS = 40
"""They leave 1e-12 of a gap between two estimates."""
BEYOND = 9.0
"""Standard deviations of the predicted estimate beyond which nothing is left."""
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
LEAST_DF = 3.0
DISCOUNT = (
    "an estimate far outside the analysis prior {} is discounted: a t likelihood gives way to the "
    "prior, so that a larger estimate can miss a goal that a smaller one reaches"
)
FLAT = Prior("flat")

Case = tuple[float, Prior, ReplicationDesign]
"""A weight, a design prior, and the design with the precision that goes with it."""


@dataclass(frozen=True)
class Goal:
    """What a replication has to show.

    Attributes
    ----------
    kind : {"bayes", "frequentist"}
        Posterior probability of a difference above `margin` beyond `level`; or a two-sided P value
        below ``2 (1 - level)`` with a difference above `margin`.
    margin : float
        In score units; 0 for benefit, the MCID for a worthwhile one.
    level : float
        Between 0.5 and 1.
    analysis : Prior
        Prior of the replication's Bayesian analysis: flat, normal, or a mixture of normals.

    Raises
    ------
    SpecError
        If the goal is none.

    Examples
    --------
    >>> Goal().label
    'P(difference > 0) > 0.975, analysis prior flat'
    """

    kind: str = "bayes"
    margin: float = 0.0
    level: float = 0.975
    analysis: Prior = FLAT

    def __post_init__(self) -> None:
        """Refuse what is not a goal."""
        if self.kind not in ("bayes", "frequentist"):
            raise SpecError(f"a goal is 'bayes' or 'frequentist', not '{self.kind}'")
        if not 0.5 < self.level < 1:
            raise SpecError(f"the level of a goal lies between 0.5 and 1, got {self.level}")
        if not math.isfinite(self.margin):
            raise SpecError(f"the margin of a goal is a number, got {self.margin}")
        kinds = {part.dist for part in mixture_parts(self.analysis)[1]}
        if kinds not in ({"flat"}, {"normal"}):
            raise SpecError(f"an analysis prior is flat or normal, not {self.analysis.formula}")

    @property
    def label(self) -> str:
        """The goal in words."""
        if self.kind == "frequentist":
            return f"two-sided P < {2 * (1 - self.level):.3g}, difference > {self.margin:g}"
        name = "flat" if self.analysis.dist == "flat" else self.analysis.formula
        return f"P(difference > {self.margin:g}) > {self.level:g}, analysis prior {name}"

    @property
    def exact(self) -> bool:
        """Whether the needed estimate is a multiple of the standard error, with nothing beyond."""
        return self.kind == "frequentist" or self.analysis.dist == "flat"


def reach_probability(prior: Prior, design: ReplicationDesign, *, n: float, goal: Goal) -> float:
    """Return the probability that a replication reaches its goal.

    Parameters
    ----------
    prior : Prior
        Design prior of the difference: a normal, or a mixture of normals. (A normal with a tiny
        sd gives the power at one difference.)
    design : ReplicationDesign
        The design, with its known sd and correlation.
    n : float
        Patients randomized, both arms or sequences together.
    goal : Goal
        What has to be shown.

    Returns
    -------
    float
        The assurance.

    Raises
    ------
    SpecError
        If the prior is not normal or too few patients leave degrees of freedom.

    References
    ----------
    .. [1] O'Hagan A, Stevens JW, Campbell MJ. Assurance in clinical trial design. Pharmaceutical
       Statistics 2005;4:187-201.

    Examples
    --------
    >>> from bayes_ptsd.priors import normal
    >>> design = ReplicationDesign("parallel", sd=14.4)
    >>> round(reach_probability(normal(0.9 * 14.4, 1e-6), design, n=40, goal=Goal()), 3)
    0.792
    """
    return _reached(prior, design, n, goal)[0]


def goal_ceiling(prior: Prior, goal: Goal) -> float:
    """Return what the assurance tends to as the replication grows: P(difference > margin).

    Examples
    --------
    >>> from bayes_ptsd.priors import normal
    >>> round(goal_ceiling(normal(1.0, 1.0), Goal()), 4)
    0.8413
    """
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
    """Return the assurance for a range of sizes, with pre-posterior quantiles.

    Parameters
    ----------
    prior : Prior
        Design prior of the difference: a normal, or a mixture of normals.
    design : ReplicationDesign
        The design.
    sizes : sequence of int
        Patients randomized in all.
    goal : Goal
        What has to be shown.
    nuisance : sequence of (weight, sd, correlation), optional
        Belief about the standard deviation and the correlation, over which everything is averaged;
        by default those of the design, known.
    cases : sequence of (weight, prior, design), optional
        Where prior and precision go together, as under readings of one row: averaged over instead
        of `prior` with `design` and `nuisance`.

    Returns
    -------
    xr.Dataset
        On dim ``n``: ``assurance``; ``same_sign``, the probability of an estimate in favor of the
        active treatment; ``discounted``, that of an estimate above one that reaches the goal which
        yet misses it, because it contradicts the analysis prior; ``standard_error``; ``complete``,
        patients with all their data;
        ``prob_quantile`` on dim ``probability``, quantiles of the posterior probability that the
        difference exceeds the margin, as one would foretell it today. ``ceiling`` is the limit of
        the assurance.

    Raises
    ------
    SpecError
        If a size leaves no degrees of freedom or weights do not sum to one.

    Examples
    --------
    >>> from bayes_ptsd.priors import normal
    >>> design = ReplicationDesign("crossover", sd=14.4, correlation=0.5)
    >>> curve = assurance_curve(normal(6, 4), design, sizes=[20, 80], goal=Goal())
    >>> curve["assurance"].values.round(3)
    array([0.449, 0.742])
    """
    found = _nuisance_cases(prior, design, nuisance) if cases is None else checked(cases)
    rows = [_one_size(found, n, goal) for n in sizes]
    averaged = "; averaged over belief about sd and correlation" if nuisance is not None else ""
    names = ("assurance", "discounted", "same_sign", "standard_error", "complete")
    return xr.Dataset(
        {
            **{name: ("n", [row[0][name] for row in rows]) for name in names},
            "prob_quantile": (("n", "probability"), [row[1] for row in rows]),
            "ceiling": sum(weight * goal_ceiling(one, goal) for weight, one, _ in found),
        },
        coords={"n": list(sizes), "probability": list(QUANTILES)},
        attrs={
            "design": design.label + averaged if cases is None else cases_label(found),
            "goal": goal.label,
            "design_prior": prior.formula,
            "note": "" if goal.exact else DISCOUNT.format(goal.analysis.formula),
        },
    )


def cases_label(cases: Sequence[Case]) -> str:
    """Return the designs of the cases in words, each once."""
    return "; or ".join(dict.fromkeys(design.label for _, _, design in cases))


def checked(cases: Sequence[Case]) -> list[Case]:
    """Return the cases, or refuse weights that are no distribution."""
    total = sum(weight for weight, _, _ in cases)
    if not math.isclose(total, 1, abs_tol=1e-8) or any(not weight > 0 for weight, _, _ in cases):
        raise SpecError(f"weights of cases are positive and sum to one, got {total:g}")
    return list(cases)


def _one_size(cases: Sequence[Case], n: int, goal: Goal) -> tuple[dict[str, float], FloatArray]:
    """Return averages over the cases by name, and quantiles of the posterior probability."""
    averages = dict.fromkeys(
        ("assurance", "discounted", "same_sign", "standard_error", "complete"), 0.0
    )
    values, mass = [], []
    for share, prior, design in cases:
        reached, discounted = _reached(prior, design, n, goal)
        weights, mu, sigma = _components(prior)
        se = design.standard_error(n)
        positive = float(weights @ special.ndtr(mu / np.hypot(sigma, se)))
        one = (reached, discounted, positive, se, n * design.complete)
        for name, value in zip(averages, one, strict=True):
            averages[name] += share * value
        foretold, likely = _foretold(prior, design, n, goal)
        values.append(foretold)
        mass.append(share * likely)
    value, likely = np.concatenate(values), np.concatenate(mass)
    order = np.argsort(value)
    below = np.cumsum(likely[order]) - likely[order] / 2
    return averages, np.interp(QUANTILES, below, value[order])


def _foretold(
    prior: Prior, design: ReplicationDesign, n: int, goal: Goal
) -> tuple[FloatArray, FloatArray]:
    """Return posterior probabilities of the goal's event, and how likely each is to be found."""
    se, df = _precision(design, n)
    weights, mu, sigma = _components(prior)
    grid = np.linspace(-4.5, 4.5, 91)
    mass = np.exp(-0.5 * grid**2)
    estimate = mu[:, None] + np.hypot(sigma, se)[:, None] * grid
    scale = se * np.sqrt(_chi_square(df) / df)
    every_other = slice(None, None, 3)
    some, share = scale[every_other], NODE_WEIGHT[every_other] / NODE_WEIGHT[every_other].sum()
    above = _posterior_above(goal, estimate.ravel()[:, None], some, df)
    joint = (weights[:, None] * mass / mass.sum()).ravel()[:, None] * share
    return above.ravel(), joint.ravel()


def _reached(
    prior: Prior, design: ReplicationDesign, n: float, goal: Goal
) -> tuple[float, float]:
    """Return the probability of the goal, and of an estimate too far above the prior for it."""
    se, df = _precision(design, n)
    scale = se * np.sqrt(_chi_square(df) / df)
    weights, mu, sigma = _components(prior)
    spread = np.hypot(sigma, se)
    if goal.exact:
        # "difference > margin" of the frequentist goal is the shifted null hypothesis
        needed = goal.margin + stats.t.ppf(goal.level, df) * scale
        tails = special.ndtr((mu[:, None] - needed) / spread[:, None])
        return float(weights @ tails @ NODE_WEIGHT), 0.0
    ends = float((mu - BEYOND * spread).min()), float((mu + BEYOND * spread).max())
    cuts = _crossings(goal, scale, df, ends)
    # the goal is held between cuts 0 and 1, 2 and 3, ...; cuts that are not there lie at infinity
    tails = special.ndtr((mu[:, None, None] - cuts) / spread[:, None, None])
    signs = np.where(np.arange(cuts.shape[1]) % 2 == 0, 1.0, -1.0)
    reached = float(weights @ (tails @ signs) @ NODE_WEIGHT)
    above_first = tails[:, :, 0] if cuts.shape[1] else np.zeros(tails.shape[:2])
    return reached, float(weights @ above_first @ NODE_WEIGHT) - reached


def _crossings(
    goal: Goal, scale: FloatArray, df: float, ends: tuple[float, float]
) -> FloatArray:
    """Return the estimates between which the goal is reached, dims (node, cut), cuts in order.

    Even cuts are where the posterior probability rises above the level, odd ones where it falls
    below; what a node lacks is infinite.
    """
    points = _looked_at(goal, scale, ends)
    above = _posterior_above(goal, points, scale[:, None], df) > goal.level
    node, place = np.nonzero(above[:, 1:] != above[:, :-1])
    low, high = points[node, place], points[node, place + 1]
    rising = above[node, place + 1]
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        right = (_posterior_above(goal, middle, scale[node], df) > goal.level) != rising
        low, high = np.where(right, middle, low), np.where(right, high, middle)
    held = above[:, 0]
    order = np.arange(len(node)) - np.searchsorted(node, node) + held[node]
    cuts = np.full((len(scale), int(order.max(initial=-1)) + 1 + bool(held.any())), np.inf)
    cuts[node, order] = high
    cuts[held, 0] = -np.inf
    return cuts


def _looked_at(goal: Goal, scale: FloatArray, ends: tuple[float, float]) -> FloatArray:
    """Return estimates around the margin and each mean of the prior, dims (node, estimate)."""
    _, mu, _ = _components(goal.analysis)
    centers = np.unique(np.append(mu, goal.margin))
    reach = max(abs(end - center) for end in ends for center in centers)
    count = math.ceil(float(np.arcsinh(reach / scale.min())) / PACE)
    steps = np.sinh(PACE * np.arange(-count, count + 1))
    points = centers[:, None] + scale[:, None, None] * steps
    return np.sort(points.reshape(len(scale), -1), axis=1)


def _posterior_above(goal: Goal, estimate: FloatArray, scale: FloatArray, df: float) -> FloatArray:
    """Return the posterior probability above the margin, for estimates with standard errors."""
    if goal.exact:
        return np.asarray(stats.t.cdf((estimate - goal.margin) / scale, df))
    weights, mu, sigma = _components(goal.analysis)
    # t as a normal mixture: variance scale^2 df / chi-square, times each component of the prior
    variance = (scale**2)[..., None, None] * (df / _chi_square(df)[COARSE])[:, None]
    total = variance + sigma**2
    gap = estimate[..., None, None] - mu
    mass = np.log(NODE_WEIGHT[COARSE])[:, None]
    logs = np.log(weights) + mass - 0.5 * (gap**2 / total + np.log(total))
    share = np.exp(logs - logs.max(axis=(-1, -2), keepdims=True))
    share /= share.sum(axis=(-1, -2), keepdims=True)
    center = mu + sigma**2 / total * gap
    spread = np.sqrt(variance * sigma**2 / total)
    return np.asarray((share * special.ndtr((center - goal.margin) / spread)).sum(axis=(-1, -2)))


def _chi_square(df: float) -> FloatArray:
    """Return chi-square values at the nodes, which are normal scores."""
    upper = NODES > 0
    found = np.empty_like(NODES)
    found[~upper] = stats.chi2.ppf(special.ndtr(NODES[~upper]), df)
    found[upper] = stats.chi2.isf(special.ndtr(-NODES[upper]), df)
    return found


def _precision(design: ReplicationDesign, n: float) -> tuple[float, float]:
    """Return standard error and degrees of freedom, or refuse too small a trial."""
    df = design.degrees_of_freedom(n)
    if not df >= LEAST_DF:
        raise SpecError(
            f"{n:g} patients leave {df:.3g} degrees of freedom ({design.label}); at least "
            f"{LEAST_DF:g} are needed"
        )
    return design.standard_error(n), df


def _components(prior: Prior) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return weights, means and sds of a normal mixture, or refuse another prior."""
    weights, parts = mixture_parts(prior)
    if {part.dist for part in parts} != {"normal"}:
        raise SpecError(f"a design prior is normal or a mixture of normals, not {prior.formula}")
    mu, sigma = (np.array([part.params[key] for part in parts]) for key in ("mu", "sigma"))
    return weights, mu, sigma


def _nuisance_cases(
    prior: Prior,
    design: ReplicationDesign,
    nuisance: Sequence[tuple[float, float, float]] | None,
) -> list[Case]:
    """Return the design with each sd and correlation, and their weights."""
    if nuisance is None:
        return [(1.0, prior, design)]
    return checked([
        (weight, prior, design.with_nuisance(sd=sd, correlation=rho))
        for weight, sd, rho in nuisance
    ])  # fmt: skip
