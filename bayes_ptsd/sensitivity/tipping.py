"""Tipping points: how large a bias, or how bad the missing, until P(benefit) falls to a level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.published import select_contrast
from bayes_ptsd.exact.summary import exact_posterior, likelihood_of
from bayes_ptsd.priors import Prior
from bayes_ptsd.sensitivity.bias import tipping_bias
from bayes_ptsd.sensitivity.missing import REASONS, missing_shares, tipping_delta

__all__ = ["LEVELS", "tipping_points"]

# where the lower limit of a two-sided, and of a one-sided, 95% interval reaches 0
LEVELS = (0.975, 0.95)


def tipping_points(
    evidence: Evidence,
    contrast: str,
    *,
    crossover_reading: str = "as_published",
    flow_reading: str = "paper",
    levels: Sequence[float] = LEVELS,
) -> list[dict[str, Any]]:
    """Return the tipping points of one printed row under convention T and a flat prior.

    Each is a known bias, or, for crossover rows only, the Delta of active-first patients without a
    second period, in score units; ``possible`` says whether the endpoint's range allows it.
    """
    selected = select_contrast(evidence, contrast, crossover_reading=crossover_reading)
    row = selected.data["effects"].to_dataset()
    likelihood, flat = likelihood_of(row, "T"), Prior("flat")
    range_ = evidence.trial.endpoint(str(row["endpoint"].item())).range
    width = float("inf") if range_ is None else range_[1] - range_[0]
    values = [
        ("known bias", "all patients", level, tipping_bias(likelihood, flat, level=level))
        for level in levels
    ]
    if str(row["analysis"].item()) == "crossover":
        exact = exact_posterior(likelihood, flat)
        for reason in REASONS:
            try:
                shares = missing_shares(evidence, reason=reason, flow_reading=flow_reading)
            except EvidenceError:
                break
            values += [
                (
                    "missing second periods",
                    f"{shares.label}, {evidence.trial.active}-first",
                    level,
                    tipping_delta(exact, share=shares.active_first, level=level),
                )
                for level in levels
            ]
    return [
        {"assumption": what, "who": who, "level": level, "value": value,
         "possible": abs(value) <= width}
        for what, who, level, value in values
    ]  # fmt: skip
