"""The smallest replication that reaches a target, what it costs, and designs against each other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from bayes_ptsd.errors import SpecError
from bayes_ptsd.priors import Prior
from bayes_ptsd.replication.assurance import (
    Case,
    Goal,
    cases_label,
    checked_cases,
    goal_ceiling,
    reach_probability,
)
from bayes_ptsd.replication.designs import ReplicationDesign
from bayes_ptsd.replication.mixtures import mixture_parts

__all__ = ["compare_designs", "expected_size", "normal_sample_size", "smallest_size"]

# more than anybody can treat: a target that needs them is as good as above its ceiling
LARGEST = 200_000
# a parallel trial of 60 has a standard error of .26 SD, half the sd of the skeptical prior
EVERY_SIZE = 60
GROWTH = 1.05
"""Under an informative analysis prior assurance need not rise with size. Small trials, whose
standard error is as wide as the prior, are tried one by one, then sizes 5% apart."""


def smallest_size(
    prior: Prior,
    design: ReplicationDesign,
    *,
    goal: Goal,
    target: float,
    cases: Sequence[Case] | None = None,
) -> dict[str, Any]:
    """Return the smallest replication whose assurance reaches a target: ``n`` in all, even (1:1).

    Beside it ``complete``, patients expected with all their data, and ``ceiling``, P(difference >
    margin) under the design prior: a target that is not below it is refused. `cases` are averaged
    over instead of `prior` with `design`.
    """
    if not 0 < target < 1:
        raise SpecError(f"a target assurance lies between 0 and 1, got {target}")
    found = [(1.0, prior, design)] if cases is None else checked_cases(cases)
    ceiling = sum(weight * goal_ceiling(one, goal) for weight, one, _ in found)
    if target >= ceiling:
        raise SpecError(
            f"no size reaches an assurance of {target:g}: the design prior gives a difference "
            f"above {goal.margin:g} the probability {ceiling:.4f}, and that is the ceiling"
        )

    def reached(n: int) -> float:
        return sum(w * reach_probability(one, plan, n=n, goal=goal) for w, one, plan in found)

    settled, growth = _rising_from(found, goal)
    high = low = max(2 * math.ceil(5.2 / plan.complete / 2) for _, _, plan in found)
    while reached(high) < target:
        low, high = high, high + 2 if high < settled else 2 * math.ceil(growth * high / 2)
        if high > LARGEST:
            raise SpecError(
                f"an assurance of {target:g} needs more than {LARGEST:,} patients; the ceiling is "
                f"{ceiling:.4f}"
            )
    while high - low > 2:
        middle = 2 * ((low + high) // 4)
        low, high = (low, middle) if reached(middle) >= target else (middle, high)
    complete = sum(weight * plan.complete for weight, _, plan in found)
    return {
        "n": high,
        "per_group": high // 2,
        "complete": high * complete,
        "assurance": reached(high),
        "ceiling": ceiling,
    }


def _rising_from(cases: Sequence[Case], goal: Goal) -> tuple[float, float]:
    """Return the size from which assurance rises with size, and the pace of a search from there.

    Where the needed estimate is t standard errors above the margin, the probability under a
    component N(margin + m, s^2) rises as the standard error falls below ``t s^2 / -m``, and always
    if m is not negative. Nothing is known of informative analysis priors.
    """
    if not goal.exact:
        return EVERY_SIZE, GROWTH
    needed = float(stats.norm.ppf(goal.level))
    sizes = [0.0]
    for _, prior, design in cases:
        for part in mixture_parts(prior)[1]:
            below = max(goal.margin - part.params["mu"], 0.0)
            sizes.append((below / (needed * part.params["sigma"] ** 2)) ** 2 / design.information)
    # beyond it every size in between would be tried: no prior of a plan knows its difference
    return min(max(sizes), 10 * EVERY_SIZE), 2.0


def expected_size(
    prior: Prior,
    design: ReplicationDesign,
    *,
    goal: Goal,
    target: float,
    nuisance: Sequence[tuple[float, float, float]],
) -> dict[str, float]:
    """Return mean, ``q10``, ``q50``, ``q90`` of the size if sd and correlation are learned first.

    `nuisance` (weight, sd, correlation) is the belief about them.
    """
    designs = [design.with_nuisance(sd=sd, correlation=rho) for _, sd, rho in nuisance]
    sizes = np.array([smallest_size(prior, one, goal=goal, target=target)["n"] for one in designs])
    weights = np.array([weight for weight, _, _ in nuisance])
    order = np.argsort(sizes)
    below = np.cumsum(weights[order])
    points = {f"q{p}": float(sizes[order][np.searchsorted(below, p / 100 - 1e-12)])
              for p in (10, 50, 90)}  # fmt: skip
    return {"mean": float(weights @ sizes), **points}


def compare_designs(
    prior: Prior,
    designs: Mapping[str, ReplicationDesign],
    *,
    goal: Goal,
    target: float,
    cases: Mapping[str, Sequence[Case] | None] | None = None,
) -> list[dict[str, Any]]:
    """Return the smallest size of several designs, with what each costs.

    ``treatments`` are those given in all (a patient who crosses gets two), ``patient_worth`` is in
    patients of the first design; `cases` by name are what a design is averaged over.
    """
    first = next(iter(designs.values()))
    rows = []
    for name, design in designs.items():
        own = (cases or {}).get(name) or [(1.0, prior, design)]
        found = smallest_size(prior, design, goal=goal, target=target, cases=own)
        information = sum(weight * one.information for weight, _, one in own)
        periods = 1 + design.complete if design.kind == "crossover" else 1.0
        rows.append({
            "design": name, "label": cases_label(own), **found,
            "treatments": found["n"] * periods,
            "patient_worth": information / first.information,
        })  # fmt: skip
    return rows


def normal_sample_size(
    *, difference: float, information: float, level: float, power: float
) -> float:
    """Return how many patients in all a z test needs for one assumed difference.

    ``(z_level + z_power)^2 / (difference^2 information)``, the one-sided `level` as 0.975; the t
    test of a real trial needs a few more.
    """
    if not (difference != 0 and information > 0 and 0.5 < level < 1 and 0 < power < 1):
        raise SpecError("a sample size needs a difference that is not 0, a positive information, "
                        "a level above .5 and a power between 0 and 1")  # fmt: skip
    z = float(stats.norm.ppf(level) + stats.norm.ppf(power))
    return z**2 / (difference**2 * information)
