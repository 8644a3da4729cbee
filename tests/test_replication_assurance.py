"""Assurance under informative analysis priors, against simulated trials."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from bayes_ptsd.prior_family import resolve_prior
from bayes_ptsd.priors import FloatArray, Prior, mixture, normal
from bayes_ptsd.replication.assurance import Goal, assurance_curve, reach_probability
from bayes_ptsd.replication.designs import DESIGNS, ReplicationDesign
from bayes_ptsd.replication.goals import NODE_WEIGHT, chi_square, crossings, posterior_above
from bayes_ptsd.replication.sample_size import smallest_size

SD = 14.4
BELIEF = mixture(
    [0.6304, 0.1696, 0.2], [normal(5.524, 4.670), normal(5.907, 10.193), normal(0, 28.8)]
)
"""A replication prior of the first period, as an earlier version made it."""
SKEPTICAL = resolve_prior("skeptical", sd=SD)
TRIALS = 20_000


def drawn(prior: Prior, rng: np.random.Generator) -> FloatArray:
    """Return true differences from a normal mixture."""
    parts = prior.components or (prior,)
    part = rng.choice(len(parts), size=TRIALS, p=prior.weights or (1.0,))
    mu, sigma = (np.array([one.params[key] for one in parts]) for key in ("mu", "sigma"))
    return np.asarray(rng.normal(mu[part], sigma[part]))


def simulated(
    design: ReplicationDesign, n: int, analysis: Prior, belief: Prior, *, seed: int
) -> float:
    """Return the share of simulated trials whose posterior probability of benefit exceeds .975.

    Each trial has its own estimate and standard error; its posterior is a sum over a plain grid of
    the difference, t density times prior density.
    """
    rng = np.random.default_rng(seed)
    se, df = design.standard_error(n), design.degrees_of_freedom(n)
    estimate = rng.normal(drawn(belief, rng), se)
    scale = se * np.sqrt(rng.chisquare(df, TRIALS) / df)
    if analysis.dist == "flat":
        return float((stats.t.cdf(estimate / scale, df) > 0.975).mean())
    sigmas = [part.params["sigma"] for part in analysis.components or (analysis,)]
    grid = np.linspace(-6, 6, 401) * (8.0 if max(sigmas) < 10 else 20.0)
    share = np.where(grid > 0, 1.0, np.where(grid == 0, 0.5, 0.0))
    prior = analysis.pdf(grid)
    reached = 0
    for y, s in zip(np.split(estimate, 20), np.split(scale, 20), strict=True):
        z = (y[:, None] - grid) / s[:, None]
        weight = np.exp(-0.5 * (df + 1) * np.log1p(z * z / df)) * prior
        reached += int((weight @ share > 0.975 * weight.sum(axis=1)).sum())
    return reached / TRIALS


SIZES = (6, 8, 10, 12, 14, 20, 30, 40, 60, 80)
CELLS = [
    (DESIGNS[(place + shift) % 3], n, name)
    for shift, name in enumerate(("flat", "skeptical", "robust"))
    for place, n in enumerate(SIZES)
]


@pytest.mark.parametrize(("kind", "n", "name"), CELLS)
def test_thirty_designs_against_simulated_trials(kind: str, n: int, name: str) -> None:
    """Assurance is the share of 20,000 simulated trials that reach the goal, within 4 MC errors."""
    analysis = {"flat": Prior("flat"), "skeptical": SKEPTICAL, "robust": BELIEF}[name]
    design = ReplicationDesign(kind, SD, visits=4 if kind == "repeated" else 1)
    found = reach_probability(BELIEF, design, n=n, goal=Goal(analysis=analysis))
    share = simulated(design, n, analysis, BELIEF, seed=n)
    assert found == pytest.approx(share, abs=4 * math.sqrt(found * (1 - found) / TRIALS))


@pytest.mark.parametrize(
    ("kind", "n", "belief", "known"),
    [
        ("crossover", 12, BELIEF, 0.247),
        ("crossover", 14, BELIEF, 0.297),
        ("crossover", 20, BELIEF, 0.385),
        ("crossover", 12, normal(20, 1e-6), 0.931),
    ],
)
def test_small_trials_under_a_skeptical_prior(
    kind: str, n: int, belief: Prior, known: float
) -> None:
    """Shares of independently simulated trials; looking for one estimate to beat gave .027, .056.

    They are rounded shares of some thousand trials: 4 of their errors are .014.
    """
    design = ReplicationDesign(kind, SD)
    found = reach_probability(belief, design, n=n, goal=Goal(analysis=SKEPTICAL))
    assert found == pytest.approx(known, abs=0.014)


def test_a_large_estimate_is_discounted_and_said_to_be() -> None:
    """P(benefit) rises and falls back with the estimate; its share is in the curve, in words too.

    At 16 df, standard error 7 and a prior sd of 7.88 it is .989 at 5.5 and .901 at 14 errors.
    """
    design = ReplicationDesign("crossover", SD)
    curve = assurance_curve(BELIEF, design, sizes=[6, 12, 80], goal=Goal(analysis=SKEPTICAL))
    assert "far outside the analysis prior N(0, 7.879²) is discounted" in curve.attrs["note"]
    discounted = curve["discounted"].values
    assert discounted[0] > 0.01 > discounted[1] > 0.005 > discounted[2] >= 0
    flat = assurance_curve(BELIEF, design, sizes=[6], goal=Goal())
    assert (flat.attrs["note"], float(flat["discounted"][0])) == ("", 0.0)


def test_size_is_the_smallest_where_assurance_is_not_monotone() -> None:
    """The smallest size reaches its target and no even size below it does."""
    design = ReplicationDesign("crossover", SD)
    for belief, goal, target in (
        (BELIEF, Goal(analysis=SKEPTICAL), 0.35),
        (normal(40, 1e-3), Goal(analysis=SKEPTICAL), 0.9),
        (normal(5.0, 2.0), Goal(margin=7.2, level=0.8), 0.1),
    ):
        n = smallest_size(belief, design, goal=goal, target=target)["n"]
        reached = [
            reach_probability(belief, design, n=size, goal=goal) for size in range(6, n + 1, 2)
        ]
        assert reached[-1] >= target
        assert not reached[:-1] or max(reached[:-1]) < target


def test_cases_are_averaged() -> None:
    """Priors that go with precisions of their own give the weighted mean of the assurances."""
    narrow = ReplicationDesign("crossover", SD, correlation=0.7)
    wide = ReplicationDesign("crossover", SD, correlation=-0.5)
    cases = [(0.3, normal(12, 5), wide), (0.7, normal(6, 3), narrow)]
    known = sum(
        w * reach_probability(prior, design, n=30, goal=Goal()) for w, prior, design in cases
    )
    curve = assurance_curve(BELIEF, narrow, sizes=[30], goal=Goal(), cases=cases)
    assert float(curve["assurance"][0]) == pytest.approx(known)
    size = smallest_size(BELIEF, narrow, goal=Goal(), target=known - 1e-6, cases=cases)
    assert size["n"] == 30


def test_a_goal_that_no_estimate_reaches() -> None:
    """A prior that is surer than the trial: P(benefit) stays below .975 whatever is seen."""
    surer = Goal(analysis=normal(0, 7.88))
    assert crossings(surer, np.array([7.0]), 6.0, (-200.0, 200.0)).size == 0
    sure = Goal(analysis=normal(0, 1))
    # what is left are trials whose standard error comes out twenty times too small
    assert reach_probability(BELIEF, ReplicationDesign("parallel", SD), n=8, goal=sure) < 1e-7


@pytest.mark.parametrize("df", [3.0, 10.0, 40.0])
def test_nodes_of_the_standard_error(df: float) -> None:
    """The nodes have the mean df and the variance 2 df of a chi-square; P(benefit) is that of t.

    A wide normal analysis prior, integrated over the nodes, leaves the t probability as it was.
    """
    nodes = chi_square(df)
    mean = float(NODE_WEIGHT @ nodes)
    assert mean == pytest.approx(df, abs=1e-5)
    assert float(NODE_WEIGHT @ (nodes - mean) ** 2) == pytest.approx(2 * df, abs=1e-3)
    estimate, scale = np.array([1.0, 4.0]), np.array([2.0, 2.0])
    known = stats.t.cdf(estimate / scale, df)
    assert posterior_above(Goal(), estimate, scale, df) == pytest.approx(known)
    wide = Goal(analysis=normal(0, 1e5))
    assert posterior_above(wide, estimate, scale, df) == pytest.approx(known, abs=1e-6)
