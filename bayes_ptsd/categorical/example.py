"""A small simulated trial in ordered categories that shows what a model does, with known truth."""

from __future__ import annotations

from typing import Literal

from bayes_ptsd.evidence import Evidence
from bayes_ptsd.simulation.patients import Baseline, Missingness, made_up_trial, simulate_trial

__all__ = ["example_categories"]


def example_categories(
    kind: Literal["ordinal", "binary"] = "ordinal",
    *,
    design: Literal["crossover", "parallel"] = "crossover",
    subjects: int = 40,
    effect: float = 1.2,
    link: Literal["logit", "probit"] = "logit",
    baseline: bool = False,
    missing: float = 0.0,
    seed: int = 1,
) -> Evidence:
    """Simulate categories 1 to 5 (lower is better) or 0 and 1 (higher is better).

    `effect` is the benefit of the active treatment on the scale of the link, on which subject
    effects have the standard deviation 1 (none in a parallel trial) and a crossover the period
    effect -0.5; `missing` is the share of second periods lost at random.
    """
    ordinal, crossover = kind == "ordinal", design == "crossover"
    trial = made_up_trial(
        design,
        kind=kind,
        better="lower" if ordinal else "higher",
        range=(1.0, 5.0) if ordinal else None,
    )
    return simulate_trial(
        trial,
        n_by_sequence=subjects // 2,
        treatment=effect,
        period=-0.5 if crossover else 0.0,
        sd_subject=1.0 if crossover else 0.0,
        cutpoints=[-2.0, -0.7, 0.4, 1.6] if ordinal else [0.3],
        link=link,
        baseline=Baseline(mean=0.0) if baseline else None,
        missingness=Missingness(dropout=missing) if missing else None,
        seed=seed,
    )
