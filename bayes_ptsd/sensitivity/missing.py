"""Second periods that are missing: what they would have to be like to change the answer.

The crossover contrast is about patients with both periods. For all randomized patients the
within-patient benefit of those without a second period is the completers' plus an unknown Delta,
by sequence, so that the sequence-averaged treatment difference becomes::

    tau(Delta) = tau + (f_active Delta_active + f_control Delta_control) / 2

with f the share of each sequence that has no second period. Nothing in the data informs Delta.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy import optimize, special

from bayes_ptsd.audit.flow import total_count
from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.readings import flow_reading_of
from bayes_ptsd.exact.grid import grid_cdf, grid_quantile
from bayes_ptsd.priors import FloatArray

__all__ = [
    "MissingShares",
    "linear_summary",
    "missing_contour",
    "missing_shares",
    "tipping_delta",
]

# of a standard normal: 64 points give the tails of a linear function of a normal to 1e-8
NODES, WEIGHTS = special.roots_hermitenorm(64)
REASONS = ("remitted", "all")


@dataclass(frozen=True)
class MissingShares:
    """Share, from 0 to 1, of each sequence's randomized patients who have no second period."""

    active_first: float  # by the treatment of the first period
    control_first: float
    label: str  # who they are, in words

    def __post_init__(self) -> None:
        """Refuse what is no share."""
        for share in (self.active_first, self.control_first):
            if not 0 <= share <= 1:
                raise EvidenceError(f"{share:g} is not a share of patients; it is from 0 to 1")

    def shift(self, delta_active_first: float, delta_control_first: float) -> float:
        """Return by how much the treatment difference moves, score units."""
        return (
            self.active_first * delta_active_first + self.control_first * delta_control_first
        ) / 2


def missing_shares(
    evidence: Evidence, *, reason: str = "all", flow_reading: str = "paper"
) -> MissingShares:
    """Return the shares without a second period in the printed flow of patients.

    `reason` counts those not infused again because they had remitted, or all without a rating.
    """
    if reason not in REASONS:
        raise EvidenceError(f"reason '{reason}' is none of {', '.join(REASONS)}")
    if "flow" not in evidence.data.children:
        raise EvidenceError(f"{evidence.source}: no flow of patients; add flow.csv")
    flow, reading = evidence.data["flow"].to_dataset(), flow_reading_of(flow_reading).name
    shares = dict.fromkeys((True, False), 0.0)
    if evidence.trial.design == "parallel" or not evidence.trial.sequences:
        raise EvidenceError(
            f"{evidence.source}: no second period; it needs sequences of a crossover"
        )
    for sequence, treatments in evidence.trial.sequences.items():
        randomized, completed = (
            total_count(flow, stage, sequence=sequence, reading=reading)
            for stage in ("randomized", "completed_second")
        )
        if not 0 < completed <= randomized:
            raise EvidenceError(
                f"{evidence.source}/flow.csv: sequence '{sequence}' has {randomized} randomized "
                f"and {completed} who completed both periods; give both stages by sequence"
            )
        if reason == "all":
            missing = randomized - completed
        else:
            rows = (flow["stage"] == "completed_first") & (flow["sequence"] == sequence)
            missing = int(flow["count"].where(rows, 0).sum())
        shares[treatments[0] == evidence.trial.active] = missing / randomized
    label = "remitters without period 2" if reason == "remitted" else (
        "all without period 2"
    )  # fmt: skip
    return MissingShares(shares[True], shares[False], label)


def tipping_delta(exact: xr.Dataset, *, share: float, level: float = 0.975) -> float:
    """Return the Delta of one sequence, in score units, at which P(benefit) falls to `level`.

    Negative where the missing patients must have done worse than the completers.
    """
    if not share > 0:
        raise EvidenceError("nobody is missing in this sequence: no Delta changes the answer")
    return float(-2 * grid_quantile(exact, np.array(1 - level)) / share)


def missing_contour(
    exact: xr.Dataset,
    shares: MissingShares,
    *,
    deltas: Sequence[float] | FloatArray,
    margins: Sequence[float] = (0.0,),
) -> xr.DataArray:
    """Return P(tau(Delta) > margin), dims (margin, delta_active_first, delta_control_first)."""
    values = np.asarray(deltas, dtype=float)
    moved = (shares.active_first * values[:, None] + shares.control_first * values[None, :]) / 2
    limits = np.asarray(margins, dtype=float)
    below = grid_cdf(exact, limits[:, None, None] - moved[None])
    return xr.DataArray(
        1 - below,
        dims=("margin", "delta_active_first", "delta_control_first"),
        coords={"margin": limits, "delta_active_first": values, "delta_control_first": values},
        name="probability",
    )


def linear_summary(
    exact: xr.Dataset, *, slope: float = 1.0, shift: float = 0.0, spread: float = 0.0,
    mcid: float | None = None,
) -> dict[str, float]:  # fmt: skip
    """Summarize ``slope * tau + shift + spread * e`` with e standard normal, slope above 0.

    A Delta that is normal given tau makes the treatment difference of all patients of this form.
    `low` and `high` are the 95% equal-tailed limits; `prob_gt_mcid` is NaN without an MCID.
    """

    def below(limit: float) -> float:
        inner = (limit - shift - spread * NODES) / slope
        return float(WEIGHTS @ grid_cdf(exact, inner) / WEIGHTS.sum())

    # to a millionth, so that quadrature error does not decide how a half is rounded for display
    mean = round(slope * float(exact["mean"]) + shift, 6)
    sd = float(np.hypot(slope * float(exact["sd"]), spread))

    def quantile(p: float) -> float:
        ends = (mean - 40 * sd, mean + 40 * sd)
        return float(optimize.brentq(lambda x: below(x) - p, *ends, xtol=1e-10))

    return {
        "mean": mean,
        "sd": sd,
        "low": quantile(0.025),
        "high": quantile(0.975),
        "prob_benefit": 1 - below(0.0),
        "prob_gt_mcid": float("nan") if mcid is None else 1 - below(mcid),
    }
