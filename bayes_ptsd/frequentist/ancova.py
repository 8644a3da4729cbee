"""Two arms, one score a subject: analysis of covariance, with one variance or one for each arm.

For parallel trials and for the first period of a crossover alike.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from bayes_ptsd.errors import EvidenceError, SpecError, nearest
from bayes_ptsd.frequentist.inference import inference_table
from bayes_ptsd.gaussian.marginal_covariance import Covariance, FloatArray
from bayes_ptsd.gaussian.restricted import (
    Tables,
    cross_products,
    maximize,
    restricted_likelihood,
)
from bayes_ptsd.gaussian.small_sample import contrast_inference

__all__ = ["ancova_analysis"]

METHOD = "Analysis of covariance"
ONE_VARIANCE = "one variance"
TWO_VARIANCES = "a variance for each arm by REML"
INFERENCES = {"kenward_roger": "Kenward-Roger", "satterthwaite": "Satterthwaite"}


def ancova_analysis(
    outcome: ArrayLike,
    active: ArrayLike,
    *,
    covariates: ArrayLike | None = None,
    interaction: bool = False,
    equal_variances: bool = True,
    inference: str = "kenward_roger",
    benefit_sign: int = 1,
    level: float = 0.95,
) -> xr.Dataset:
    """Compare two arms, adjusted for covariates.

    With one variance these are least squares and Student's t. With a variance for each arm they are
    restricted maximum likelihood and the degrees of freedom of Satterthwaite [1]_, by default with
    the standard error of Kenward and Roger [2]_, which allows for the estimation of two variances;
    without covariates both are Welch's test [3]_.

    Subjects without an outcome, NaN, are left out. ``treatment_difference`` is benefit-positive, in
    score units; with an interaction it is that at the mean covariates of the subjects with an
    outcome, and ``interaction[1]``, ... are benefit per unit of the covariate.

    References
    ----------
    .. [1] Satterthwaite FE. An approximate distribution of estimates of variance components.
       Biometrics Bulletin 1946;2:110-114.
    .. [2] Kenward MG, Roger JH. Small sample inference for fixed effects from restricted maximum
       likelihood. Biometrics 1997;53:983-997.
    .. [3] Welch BL. The generalization of 'Student's' problem when several different population
       variances are involved. Biometrika 1947;34:28-35.
    """
    if inference not in INFERENCES:
        raise SpecError(f"no inference '{inference}'{nearest(inference, INFERENCES)}")
    scores = np.asarray(outcome, dtype=float)
    arm = np.asarray(active)
    if scores.ndim != 1 or arm.shape != scores.shape:
        raise SpecError(f"outcome and active have shapes {scores.shape} and {arm.shape}")
    here = np.isfinite(scores)
    scores, arm = scores[here], arm[here].astype(bool)
    names, design = _design(arm, _covariates(covariates, here), interaction, benefit_sign)
    group = np.zeros(len(arm), dtype=int) if equal_variances else arm.astype(int)
    tables = cross_products(scores[:, None], design[:, None, :], group)
    variance = _variances(tables, 1 if equal_variances else 2)
    covariance = _covariance(tables, variance, natural=True)
    at = restricted_likelihood(tables, covariance)
    contrasts = np.eye(len(names), design.shape[1])
    estimate, se, df = contrast_inference(
        tables, covariance, at, contrasts, adjust=inference == "kenward_roger"
    )
    return inference_table(
        dict(zip(names, estimate.tolist(), strict=True)),
        se=se,
        df=df,
        level=level,
        attrs={
            "method": _method(equal_variances, inference),
            "note": "",
            "sd_active": float(np.sqrt(variance[-1])),
            "sd_control": float(np.sqrt(variance[0])),
            "minus_two_reml": at.value,
            "subjects": len(scores),
        },
    )


def _method(equal_variances: bool, inference: str) -> str:
    """Return the analysis in words."""
    if equal_variances:
        return f"{METHOD}, {ONE_VARIANCE}"
    return f"{METHOD}, {TWO_VARIANCES}; {INFERENCES[inference]}"


def _covariates(covariates: ArrayLike | None, here: NDArray[np.bool_]) -> FloatArray:
    """Return the covariates of the subjects with an outcome, around their means."""
    if covariates is None:
        return np.empty((int(here.sum()), 0))
    matrix = np.asarray(covariates, dtype=float)
    if len(matrix) != len(here) or matrix.ndim > 2:
        raise SpecError(f"covariates have shape {matrix.shape}; there are {len(here)} subjects")
    found = matrix.reshape(len(here), -1)[here]
    return np.asarray(found - found.mean(axis=0))


def _design(
    arm: NDArray[np.bool_], covariates: FloatArray, interaction: bool, sign: int
) -> tuple[list[str], FloatArray]:
    """Return the estimands and a design that begins with their columns."""
    if interaction and not covariates.shape[1]:
        raise SpecError("an interaction needs covariates")
    treatment = sign * arm.astype(float)[:, None]
    products = treatment * covariates if interaction else np.empty((len(arm), 0))
    names = [f"interaction[{number + 1}]" for number in range(products.shape[1])]
    columns = [treatment, products, np.ones((len(arm), 1)), covariates]
    return ["treatment_difference", *names], np.concatenate(columns, axis=1)


def _variances(tables: Tables, count: int) -> FloatArray:
    """Return the variances, that of the control arm first."""
    squares = np.bincount(tables.label, tables.products[:, 0, 0, -1, -1], count)
    subjects = np.bincount(tables.label, tables.count, count)
    if not (squares > 1e-20 * (1 + np.abs(tables.ordinary).max() ** 2)).all():
        raise EvidenceError("an arm is empty, or its scores do not vary around their mean")
    if count == 1:
        return np.array([squares[0] / tables.freedom])
    start = np.log(squares / subjects)
    return np.exp(maximize(tables, lambda logs: _covariance(tables, np.exp(logs)), start))


def _covariance(tables: Tables, variance: FloatArray, *, natural: bool = False) -> Covariance:
    """Return variances by group, with derivatives in them or in their logarithms."""
    count = len(variance)
    member = (tables.label == np.arange(count)[:, None]).astype(float)
    first = member if natural else member * variance[:, None]
    second = np.zeros((count, count, *tables.label.shape))
    if not natural:
        second[np.arange(count), np.arange(count)] = first
    return Covariance(
        variance[tables.label][:, None, None], first[..., None, None], second[..., None, None]
    )
