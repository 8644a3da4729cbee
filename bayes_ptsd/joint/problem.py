"""Several estimates of one analysis and their joint prior, as one value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from bayes_ptsd.audit.finding import printed_rows
from bayes_ptsd.errors import EvidenceError, SpecError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.published import select_contrast
from bayes_ptsd.exact.summary import likelihood_of
from bayes_ptsd.priors import FloatArray, Prior

__all__ = ["JointProblem", "analysis_rows", "equicorrelated", "normal_errors"]


@dataclass(frozen=True)
class JointProblem:
    """Estimates with their sampling covariance, and a prior that ties their differences together.

    With `omega` the heterogeneity, ``estimate | tau ~ Normal(tau, sampling)`` and ``tau | omega ~
    Normal(center, fixed + omega^2 spread)``, in the unit of each estimate.
    """

    endpoint: tuple[str, ...]  # one label per estimate
    estimate: FloatArray  # benefit-positive, dim (endpoint,)
    sampling: FloatArray  # covariance (endpoint, endpoint), as are `fixed` and `spread`
    fixed: FloatArray
    spread: FloatArray
    center: FloatArray  # prior means
    heterogeneity: Prior  # of omega, on positive numbers
    # score units per unit of each estimate: the reference SD for standardized ones, else 1
    unit: FloatArray
    mcid: FloatArray  # in score units; NaN where there is none
    evidence_kind: str
    analysis: str
    crossover_reading: str  # how crossover rows are read
    assumptions: tuple[str, ...] = ()  # in words, what print does not settle

    def __post_init__(self) -> None:
        """Refuse a heterogeneity that is no scale."""
        if not self.heterogeneity.proper or self.heterogeneity.support[0] < 0:
            raise SpecError(
                f"heterogeneity {self.heterogeneity.formula}: give a proper prior on positive "
                "numbers, such as half_normal(0.3)"
            )

    @property
    def size(self) -> int:
        """Number of estimates."""
        return len(self.endpoint)


def analysis_rows(
    evidence: Evidence, analysis: str, endpoints: Sequence[str], *, crossover_reading: str
) -> list[xr.Dataset]:
    """Return each endpoint's printed row in an analysis, corrected rows in place of misprints.

    Score units, benefit-positive; an endpoint without a row is an EvidenceError.
    """
    rows = printed_rows(evidence, [analysis], corrected=True)
    names = dict(
        zip(rows["endpoint"].values.tolist(), rows["contrast"].values.tolist(), strict=True)
    )
    absent = [name for name in endpoints if name not in names]
    if absent:
        raise EvidenceError(f"analysis '{analysis}' has no printed row of {', '.join(absent)}")
    reading = crossover_reading if analysis == "crossover" else "as_published"
    return [
        select_contrast(evidence, names[name], crossover_reading=reading)
        .data["effects"]
        .to_dataset()
        for name in endpoints
    ]


def normal_errors(rows: Sequence[xr.Dataset]) -> tuple[FloatArray, FloatArray]:
    """Return estimates and standard errors under convention N."""
    likelihoods = [likelihood_of(row, "N") for row in rows]
    params = [(one.params["mu"], one.params["sigma"]) for one in likelihoods]
    return np.array([mu for mu, _ in params]), np.array([sigma for _, sigma in params])


def equicorrelated(sd: FloatArray, correlation: float) -> FloatArray:
    """Return a covariance with one correlation, dims (n, n); SpecError if none can have it."""
    lowest = -1 / (len(sd) - 1) if len(sd) > 1 else -1.0
    if not lowest < correlation < 1:
        raise SpecError(
            f"correlation {correlation:g} between {len(sd)} estimates; it lies between "
            f"{lowest:.3g} and 1"
        )
    matrix = np.full((len(sd), len(sd)), correlation)
    np.fill_diagonal(matrix, 1.0)
    return matrix * np.outer(sd, sd)
