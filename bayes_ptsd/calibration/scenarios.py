"""Scenarios: truths that an analysis may meet, and patients simulated under them."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np

from bayes_ptsd.calibration.work import BLOCK, seed_of
from bayes_ptsd.errors import SpecError
from bayes_ptsd.priors import FloatArray
from bayes_ptsd.structures.crossover.model import CrossoverModel

__all__ = ["Scenario", "scenario_grid", "simulate_scenario"]


@dataclass(frozen=True)
class Scenario:
    """A truth, in reference SDs of the endpoint."""

    treatment: float = 0.0  # true difference, positive = active treatment better
    carryover: float = 0.0  # residual benefit of the active treatment of period 1 in period 2
    correlation: float = 0.5  # of a patient's two scores
    sd_ratio: float = 1.0  # sd of period 2 over that of period 1, which is one reference SD
    # Who has no second period: patients chosen before they have scores, or ("informative"), after
    # the active treatment, those with the best first scores.
    crossing: Literal["random", "informative"] = "random"

    def __post_init__(self) -> None:
        """Refuse what cannot be simulated."""
        if not -1 < self.correlation < 1 or not self.sd_ratio > 0:
            raise SpecError(
                f"correlation {self.correlation:g} must be between -1 and 1 and sd_ratio "
                f"{self.sd_ratio:g} positive"
            )
        if self.crossing not in ("random", "informative"):
            raise SpecError(f"crossing is '{self.crossing}'; random or informative")

    @property
    def key(self) -> int:
        """A number of the scenario's content, which decides its seed."""
        content = json.dumps(asdict(self), sort_keys=True).encode()
        return int.from_bytes(hashlib.sha256(content).digest()[:4], "big")


def scenario_grid(
    *,
    treatment: Sequence[float] = (0.0, 0.3, 0.6, 0.9),
    carryover: Sequence[float] = (0.0, 0.4),
    correlation: Sequence[float] = (0.5,),
    sd_ratio: Sequence[float] = (1.0,),
) -> list[Scenario]:
    """Return all combinations of truths, treatment varying fastest, with random crossing."""
    table = itertools.product(sd_ratio, correlation, carryover, treatment)
    return [Scenario(float(t), float(c), float(r), float(q)) for q, r, c, t in table]


def simulate_scenario(
    model: CrossoverModel, scenario: Scenario, block: int, *, seed: int
) -> FloatArray:
    """Simulate one block of 24 trials, scores with dims ``(dataset, subject, period)``.

    As recorded, not rounded and not held to the range; NaN where a period is missing. The mean
    under control is where the prior of the level is centered, the same in both periods.
    """
    rng = np.random.default_rng(seed_of(seed, scenario.key, block))
    unit = _reference_sd(model)
    first = model.pairs.active_first
    mean = np.stack([first, ~first], axis=1) * scenario.treatment
    mean[:, 1] += scenario.carryover * first
    noise = rng.normal(size=(BLOCK, len(first), 2))
    rest = np.sqrt(1 - scenario.correlation**2)
    second = scenario.sd_ratio * (scenario.correlation * noise[..., 0] + rest * noise[..., 1])
    errors = np.stack([noise[..., 0], second], axis=-1)
    score = _middle(model) + unit * (model.sign * mean + errors)
    if scenario.crossing == "informative":
        return _informative(score, model)
    return np.where(np.isfinite(model.pairs.score), score, np.nan)


def _informative(score: FloatArray, model: CrossoverModel) -> FloatArray:
    """Take period 2 from the best of the active-first patients, as many as the pattern has."""
    present = np.broadcast_to(np.isfinite(model.pairs.score), score.shape).copy()
    rows = np.flatnonzero(model.pairs.active_first)
    lost = int((~present[0, rows, 1]).sum())
    best = np.argsort(-model.sign * score[:, rows, 0], axis=1)[:, :lost]
    present[:, rows, 1] = True
    for number, chosen in enumerate(rows[best]):
        present[number, chosen, 1] = False
    return np.where(present, score, np.nan)


def _reference_sd(model: CrossoverModel) -> float:
    """Return the unit of the scenario."""
    assert model.endpoint.reference_sd is not None
    return float(model.endpoint.reference_sd)


def _middle(model: CrossoverModel) -> float:
    """Return where the prior of the level is centered."""
    prior = model.priors["level"]
    return float(prior.quantile(np.array(0.5))) if prior.proper else 0.0
