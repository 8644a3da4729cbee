"""A prior from history meets its trial: the arms updated, and the difference between them.

A control arm has the prior that earlier trials gave it, an active arm one of its own, and the two
are independent. Everything is in the unit and the direction of the data: nothing is turned so that
positive is better, and the difference is always active minus control.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special
from scipy.optimize import elementwise

from bayes_ptsd.errors import EvidenceError, FitError, SpecError, refuse_unknown_keys, shown
from bayes_ptsd.exact._risks import BetaPair, difference_below
from bayes_ptsd.exact.history import HistoricalTrials, binomial_trials, normal_trials
from bayes_ptsd.inputs import is_number
from bayes_ptsd.priors import FloatArray, Prior
from bayes_ptsd.replication.historical import mixture_rows
from bayes_ptsd.replication.mixtures import mixture_parts, update_binomial, update_normal

__all__ = ["DEFAULT_ACTIVE", "UpdatedArm", "difference_cdf", "new_trial_document", "parse_arm"]

# both ends of the central 95% and the median
TAILS = (0.025, 0.5, 0.975)
# what a likelihood's arm is given by, the first of which the file of the history has as columns
WANTED: Mapping[str, tuple[str, ...]] = {"binomial": ("n,r",), "normal": ("n,y", "y,se")}
DEFAULT_ACTIVE: Mapping[str, Prior] = {
    "binomial": Prior("beta", {"shape1": 1.0, "shape2": 1.0}),
    "normal": Prior("flat"),
}
"""Prior of an active arm of which nothing is known: every risk alike, every mean alike."""


@dataclass(frozen=True)
class UpdatedArm:
    """One arm of the new trial with what was believed of it before."""

    arm: HistoricalTrials  # one row
    prior: Prior

    @property
    def posterior(self) -> Prior:
        """The prior after the arm's data, conjugate."""
        if self.arm.likelihood == "binomial":
            n, r = int(self.arm.size[0]), int(self.arm.events[0])
            return update_binomial(self.prior, n=n, r=r)
        estimate, se = float(self.arm.estimate[0]), float(self.arm.se[0])
        return update_normal(self.prior, estimate=estimate, se=se)


def parse_arm(
    text: str, *, option: str, likelihood: str, sigma: float | None = None
) -> HistoricalTrials:
    """Read one arm from the notation of the command line, ``n=24,r=14`` or ``y=-29.2,se=14``."""
    where = f"{option} '{shown(text)}'"
    pairs = [part.partition("=") for part in text.split(",")]
    values = {name.strip(): _numeral(value, where) for name, _, value in pairs}
    refuse_unknown_keys(values, {"n", "r", "y", "se"}, where, error=SpecError)
    wanted = {frozenset(names.split(",")) for names in WANTED[likelihood]}
    if len(pairs) != len(values) or frozenset(values) not in wanted:
        forms = " or ".join(f"'{_form(names)}'" for names in WANTED[likelihood])
        raise SpecError(f"{where}: an arm of a {likelihood} trial is written {forms}")
    try:
        if likelihood == "binomial":
            return binomial_trials(option, n=values["n"], r=values["r"])
        return normal_trials(
            option, y=values["y"], se=values.get("se"), n=values.get("n"), sigma=sigma
        )
    except EvidenceError as error:
        raise EvidenceError(f"{where}: {error}") from error


def difference_cdf(active: Prior, control: Prior, d: FloatArray) -> FloatArray:
    """Return P(active - control < d) of independent normals, or betas, or mixtures of them."""
    pairs = [
        (v * w, one, two)
        for v, one in zip(*mixture_parts(active), strict=True)
        for w, two in zip(*mixture_parts(control), strict=True)
    ]
    if {part.dist for _, *both in pairs for part in both} == {"beta"}:
        below = [w * difference_below(_betas(one, two), d) for w, one, two in pairs]
    else:
        below = [w * _normal_below(one, two, d) for w, one, two in pairs]
    return np.asarray(np.clip(sum(below), 0, 1))


def new_trial_document(
    control: UpdatedArm, active: UpdatedArm | None = None, *, below: Sequence[float] = (0.0,)
) -> dict[str, Any]:
    """Return the arms before and after the new trial, and their difference, as JSON values.

    ``prob_below`` has P(active - control < d) for every `below`, in the unit of the data, risks
    for binomial arms.
    """
    document = {"control": _arm_document(control)}
    if active is None:
        return document
    one, two = active.posterior, control.posterior
    quantiles = _difference_quantiles(one, two)
    probability = difference_cdf(one, two, np.array(below, dtype=float))
    return document | {
        "active": _arm_document(active),
        "difference": {
            "mean": one.mean - two.mean,
            "sd": math.hypot(one.sd, two.sd),
            "quantiles": dict(zip(map(str, TAILS), quantiles.tolist(), strict=True)),
            "prob_below": [
                {"difference": float(d), "probability": float(p)}
                for d, p in zip(below, probability, strict=True)
            ],
        },
    }


def _numeral(text: str, where: str) -> float:
    """Return a typed number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not is_number(value):
        raise SpecError(f"{where}: '{shown(text)}' is no number from -1e15 to 1e15")
    return value


def _form(names: str) -> str:
    """Return names as an arm is typed."""
    return ",".join(f"{name}=.." for name in names.split(","))


def _betas(one: Prior, two: Prior) -> BetaPair:
    """Return the shapes of two betas."""
    return BetaPair(
        one.params["shape1"], one.params["shape2"], two.params["shape1"], two.params["shape2"]
    )


def _normal_below(one: Prior, two: Prior, d: FloatArray) -> FloatArray:
    """Return the distribution function of the difference of two normals."""
    spread = math.hypot(one.params["sigma"], two.params["sigma"])
    return np.asarray(special.ndtr((d - one.params["mu"] + two.params["mu"]) / spread))


def _difference_quantiles(active: Prior, control: Prior) -> FloatArray:
    """Return the median and the central 95% of the difference."""
    p = np.array(TAILS)
    # half of each tail left out of either arm cannot reach the tail of their difference
    low = active.quantile(p / 4) - control.quantile(1 - p / 4)
    high = active.quantile(1 - (1 - p) / 4) - control.quantile((1 - p) / 4)
    found = elementwise.find_root(
        lambda d, q: difference_cdf(active, control, d) - q, (low, high), args=(p,)
    )
    if not found.success.all():
        raise FitError("the quantiles of the difference between the arms were not found")
    return np.asarray(found.x)


def _arm_document(one: UpdatedArm) -> dict[str, Any]:
    """Return an arm, its prior and its posterior as JSON values."""
    arm, posterior = one.arm, one.posterior
    if arm.likelihood == "binomial":
        data: dict[str, float] = {"n": int(arm.size[0]), "r": int(arm.events[0])}
    else:
        data = {"y": float(arm.estimate[0]), "se": float(arm.se[0])}
    quantiles = posterior.quantile(np.array(TAILS)).tolist()
    return {
        "data": data,
        "prior": one.prior.formula,
        "posterior": {
            "mean": posterior.mean,
            "sd": posterior.sd,
            "quantiles": dict(zip(map(str, TAILS), quantiles, strict=True)),
            "components": mixture_rows(posterior),
        },
    }
