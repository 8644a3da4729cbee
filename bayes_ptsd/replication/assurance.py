"""Assurance: the probability that a planned replication reaches its goal, averaged over a prior.

The replication's estimate is normal around the difference, its squared standard error a scaled
chi-square; the analysis uses the Student-t likelihood that belongs to them, as a normal mixture
over the variance. The goal is reached above one estimate for each standard error, so that every
probability is a sum over nodes of the standard error: no simulation.
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
    "Goal",
    "assurance_curve",
    "goal_ceiling",
    "reach_probability",
]

NODES = np.linspace(-5.4, 5.4, 25)
NODE_WEIGHT = np.exp(-0.5 * NODES**2) / np.exp(-0.5 * NODES**2).sum()
BISECTIONS = 60
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
LEAST_DF = 3.0
FLAT = Prior("flat")


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
        """Whether the needed estimate is a multiple of the standard error."""
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
    se, df = _precision(design, n)
    limit = _needed(goal, se, df)
    weights, mu, sigma = _components(prior)
    spread = np.hypot(sigma, se)
    tails = special.ndtr((mu[:, None] - limit) / spread[:, None])
    return float(weights @ tails @ NODE_WEIGHT)


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

    Returns
    -------
    xr.Dataset
        On dim ``n``: ``assurance``; ``same_sign``, the probability of an estimate in favor of the
        active treatment; ``standard_error``; ``complete``, patients with all their data;
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
    designs = _nuisance_designs(design, nuisance)
    rows = [_one_size(prior, designs, n, goal) for n in sizes]
    averaged = "" if nuisance is None else "; averaged over belief about sd and correlation"
    return xr.Dataset(
        {
            "assurance": ("n", [row[0] for row in rows]),
            "same_sign": ("n", [row[1] for row in rows]),
            "standard_error": ("n", [row[2] for row in rows]),
            "complete": ("n", [n * design.complete for n in sizes]),
            "prob_quantile": (("n", "probability"), [row[3] for row in rows]),
            "ceiling": goal_ceiling(prior, goal),
        },
        coords={"n": list(sizes), "probability": list(QUANTILES)},
        attrs={
            "design": design.label + averaged,
            "goal": goal.label,
            "design_prior": prior.formula,
        },
    )


def _one_size(
    prior: Prior, designs: list[tuple[float, ReplicationDesign]], n: int, goal: Goal
) -> tuple[float, float, float, FloatArray]:
    """Return assurance, probability of the sign, standard error and quantiles for one size."""
    shares = np.array([weight for weight, _ in designs])
    reached = [reach_probability(prior, design, n=n, goal=goal) for _, design in designs]
    weights, mu, sigma = _components(prior)
    errors = np.array([design.standard_error(n) for _, design in designs])
    positive = [float(weights @ special.ndtr(mu / np.hypot(sigma, se))) for se in errors]
    foretold = [_foretold(prior, design, n, goal) for _, design in designs]
    values = np.concatenate([value for value, _ in foretold])
    mass = np.concatenate([share * m for share, (_, m) in zip(shares, foretold, strict=True)])
    order = np.argsort(values)
    below = np.cumsum(mass[order]) - mass[order] / 2
    quantiles = np.interp(QUANTILES, below, values[order])
    return float(shares @ reached), float(shares @ positive), float(shares @ errors), quantiles


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


def _needed(goal: Goal, se: float, df: float) -> FloatArray:
    """Return the estimate that reaches the goal for each node of the standard error."""
    scale = se * np.sqrt(_chi_square(df) / df)
    if goal.exact:
        # "difference > margin" of the frequentist goal is the shifted null hypothesis
        return np.asarray(goal.margin + stats.t.ppf(goal.level, df) * scale)
    _, mu, sigma = _components(goal.analysis)
    reach = 12 * float(np.abs(np.r_[mu, goal.margin]).max() + sigma.max() + scale.max())
    low, high = np.full_like(scale, -reach), np.full_like(scale, reach)
    # the posterior probability rises with the estimate, whatever the prior
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        above = _posterior_above(goal, middle, scale, df) > goal.level
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return high


def _posterior_above(goal: Goal, estimate: FloatArray, scale: FloatArray, df: float) -> FloatArray:
    """Return the posterior probability above the margin, for estimates with standard errors."""
    if goal.exact:
        return np.asarray(stats.t.cdf((estimate - goal.margin) / scale, df))
    weights, mu, sigma = _components(goal.analysis)
    # t as a normal mixture: variance scale^2 df / chi-square, times each component of the prior
    variance = (scale**2)[..., None, None] * (df / _chi_square(df))[:, None]
    total = variance + sigma**2
    gap = estimate[..., None, None] - mu
    logs = np.log(weights) + np.log(NODE_WEIGHT)[:, None] - 0.5 * (gap**2 / total + np.log(total))
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


def _nuisance_designs(
    design: ReplicationDesign, nuisance: Sequence[tuple[float, float, float]] | None
) -> list[tuple[float, ReplicationDesign]]:
    """Return the design with each sd and correlation, and their weights."""
    if nuisance is None:
        return [(1.0, design)]
    total = sum(weight for weight, _, _ in nuisance)
    if not math.isclose(total, 1, abs_tol=1e-8) or any(not w > 0 for w, _, _ in nuisance):
        raise SpecError(f"weights of (sd, correlation) are positive and sum to one, got {total:g}")
    return [(w, design.with_nuisance(sd=sd, correlation=rho)) for w, sd, rho in nuisance]
