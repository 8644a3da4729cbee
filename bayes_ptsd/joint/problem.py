"""Several estimates of one analysis and their joint prior, as one value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from bayes_ptsd.errors import EvidenceError, SpecError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.audit.finding import printed_rows
from bayes_ptsd.evidence.published import select_contrast
from bayes_ptsd.exact.summary import likelihood_of
from bayes_ptsd.priors import FloatArray, Prior

__all__ = ["JointProblem", "analysis_rows", "equicorrelated", "normal_errors"]


@dataclass(frozen=True)
class JointProblem:
    """Estimates with their sampling covariance, and a prior that ties their differences together.

    With `omega` the heterogeneity, ``estimate | tau ~ Normal(tau, sampling)`` and
    ``tau | omega ~ Normal(center, fixed + omega^2 spread)``, in the unit of each estimate.

    Attributes
    ----------
    endpoint : tuple of str
        One label per estimate.
    estimate : ndarray
        Benefit-positive, shape (endpoint,).
    sampling, fixed, spread : ndarray
        Covariances, shape (endpoint, endpoint).
    center : ndarray
        Prior means.
    heterogeneity : Prior
        Of omega, on positive numbers.
    unit : ndarray
        Score units per unit of each estimate: the reference SD for standardized ones, else 1.
    mcid : ndarray
        In score units; NaN where there is none.
    evidence_kind : str
        Kind of evidence.
    analysis, crossover_reading : str
        Which analysis, and how crossover rows are read.
    assumptions : tuple of str
        In words, what print does not settle.

    Raises
    ------
    SpecError
        If the heterogeneity can be negative or is improper.

    Examples
    --------
    >>> one = np.eye(1)
    >>> JointProblem(("a",), np.ones(1), one, one, one, np.zeros(1),
    ...     Prior("half_normal", {"sigma": 0.3}), np.ones(1), np.ones(1), "published", "x", "").size
    1
    """

    endpoint: tuple[str, ...]
    estimate: FloatArray
    sampling: FloatArray
    fixed: FloatArray
    spread: FloatArray
    center: FloatArray
    heterogeneity: Prior
    unit: FloatArray
    mcid: FloatArray
    evidence_kind: str
    analysis: str
    crossover_reading: str
    assumptions: tuple[str, ...] = ()

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
    """Return one printed row per endpoint of an analysis, corrected rows in place of misprints.

    Parameters
    ----------
    evidence : Evidence
        Of kind ``published``.
    analysis : str
        Such as ``crossover`` or ``first_period``.
    endpoints : sequence of str
        Ids.
    crossover_reading : str
        For crossover rows.

    Returns
    -------
    list of xr.Dataset
        In the order of `endpoints`, score units, benefit-positive.

    Raises
    ------
    EvidenceError
        If an endpoint has no row in this analysis.

    Examples
    --------
    >>> from bayes_ptsd.evidence.published import load_published
    >>> rows = analysis_rows(load_published(), "first_period", ["ies_r_avoidance"],
    ...     crossover_reading="as_published")
    >>> str(rows[0]["contrast"].item())
    'T2.AVOI.F*'
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
    """Return a covariance with one correlation.

    Parameters
    ----------
    sd : ndarray
        Standard deviations.
    correlation : float
        Between any two.

    Returns
    -------
    ndarray
        Shape (n, n).

    Raises
    ------
    SpecError
        If no set of variables can have that correlation.

    Examples
    --------
    >>> equicorrelated(np.array([1.0, 2.0]), 0.5).tolist()
    [[1.0, 1.0], [1.0, 4.0]]
    """
    lowest = -1 / (len(sd) - 1) if len(sd) > 1 else -1.0
    if not lowest < correlation < 1:
        raise SpecError(
            f"correlation {correlation:g} between {len(sd)} estimates; it lies between "
            f"{lowest:.3g} and 1"
        )
    matrix = np.full((len(sd), len(sd)), correlation)
    np.fill_diagonal(matrix, 1.0)
    return matrix * np.outer(sd, sd)
