"""Mixed model for repeated measures of a parallel trial: REML, small-sample inference.

Treatment by visit and covariates in the mean, one covariance matrix of the visits, no subject
effects beside it. Values that are missing at random need nothing: a subject contributes the visits
it has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from bayes_ptsd.errors import EvidenceError, SpecError, nearest
from bayes_ptsd.frequentist._covariance import (
    STRUCTURES,
    Covariance,
    FloatArray,
    natural_covariance,
    starting_values,
    working_covariance,
)
from bayes_ptsd.frequentist._restricted import (
    Tables,
    cross_products,
    maximize,
    restricted_likelihood,
)
from bayes_ptsd.frequentist._small_sample import contrast_inference
from bayes_ptsd.frequentist._table import inference_table

__all__ = [
    "INFERENCES",
    "RepeatedMeasures",
    "contrast_table",
    "fit_repeated_measures",
    "mmrm_analysis",
]

INFERENCES = {
    "kenward_roger": "Kenward-Roger, covariance parameters as in SAS PROC MIXED",
    "kenward_roger_mmrm": "Kenward-Roger, covariance parameters as in R mmrm",
    "satterthwaite": "Satterthwaite",
}
"""How standard errors and degrees of freedom are computed, by name, in words."""


@dataclass(frozen=True)
class RepeatedMeasures:
    """A repeated-measures model at its restricted maximum likelihood.

    Attributes
    ----------
    tables : Tables
        The data, as cross-products.
    structure : str
        Covariance structure.
    theta : ndarray
        Its working parameters, dim (parameter).
    times : ndarray
        Times of the visits, dim (visit).
    covariance : ndarray
        Of the visits, dims (visit, visit), squared score units.
    minus_two_reml : float
        Twice the negative restricted log likelihood, with the constant of SAS PROC MIXED.
    """

    tables: Tables
    structure: str
    theta: FloatArray
    times: FloatArray
    covariance: FloatArray
    minus_two_reml: float


def fit_repeated_measures(
    outcome: ArrayLike,
    design: ArrayLike,
    *,
    structure: str = "unstructured",
    times: ArrayLike | None = None,
) -> RepeatedMeasures:
    """Fit any mean to repeated measures by restricted maximum likelihood.

    Parameters
    ----------
    outcome : array_like
        Scores, dims (subject, visit), NaN where missing.
    design : array_like
        Dims (subject, visit, coefficient); where an outcome is missing it is not read.
    structure : str
        One of `STRUCTURES`.
    times : array_like, optional
        Times of the visits, dim (visit), any unit, increasing. Needed where the correlation falls
        with time.

    Returns
    -------
    RepeatedMeasures
        The fit.

    Raises
    ------
    EvidenceError
        If the data do not determine the coefficients, or the likelihood has no maximum.
    SpecError
        If structure or times are not valid, or dims do not agree.

    Examples
    --------
    >>> score = np.random.default_rng(1).normal(40, 5, (30, 3))
    >>> fit = fit_repeated_measures(score, np.ones((30, 3, 1)), structure="compound_symmetric")
    >>> fit.covariance.shape
    (3, 3)
    """
    scores = np.array(outcome, dtype=float)
    columns = np.asarray(design, dtype=float)
    if scores.ndim != 2 or columns.shape[:2] != scores.shape or columns.ndim != 3:
        raise SpecError(
            f"outcome and design have shapes {scores.shape} and {columns.shape}; they need dims "
            "(subject, visit) and (subject, visit, coefficient)"
        )
    hours = _times(structure, times, scores.shape[1])
    tables = cross_products(scores, columns)
    start = starting_values(structure, _moments(tables))
    theta = maximize(tables, lambda values: working_covariance(structure, values, hours), start)
    covariance = working_covariance(structure, theta, hours)
    found = restricted_likelihood(tables, covariance)
    return RepeatedMeasures(tables, structure, theta, hours, covariance.value[0], found.value)


def contrast_table(
    fit: RepeatedMeasures,
    contrasts: Mapping[str, ArrayLike],
    *,
    inference: str = "kenward_roger",
    level: float = 0.95,
) -> xr.Dataset:
    """Estimate linear contrasts of the coefficients.

    Parameters
    ----------
    fit : RepeatedMeasures
        A fit.
    contrasts : mapping of str to array_like
        Weights of the coefficients by estimand, dim (coefficient).
    inference : str
        One of `INFERENCES`. The two variants of Kenward and Roger [1]_ differ in the parameters
        whose second derivatives enter the standard error: those of SAS are variances, covariances
        and correlations, so that nothing enters for unstructured and compound symmetric matrices;
        R's mmrm takes logarithms and Cholesky factors. Degrees of freedom are the same, and
        Satterthwaite's [2]_. All take the observed information of the parameters.
    level : float
        Confidence level.

    Returns
    -------
    xr.Dataset
        ``estimate, se, df, ci_low, ci_high, p_value`` on dim ``estimand``; attributes ``method``,
        ``inference``, ``structure``, ``minus_two_reml``, ``subjects`` and ``observations``.

    Raises
    ------
    SpecError
        If there is no such inference, or a contrast has the wrong length.
    EvidenceError
        If a standard error is zero or undefined.

    References
    ----------
    .. [1] Kenward MG, Roger JH. Small sample inference for fixed effects from restricted maximum
       likelihood. Biometrics 1997;53:983-997.
    .. [2] Satterthwaite FE. An approximate distribution of estimates of variance components.
       Biometrics Bulletin 1946;2:110-114.

    Examples
    --------
    >>> score = np.random.default_rng(1).normal(40, 5, (30, 3))
    >>> fit = fit_repeated_measures(score, np.ones((30, 3, 1)), structure="compound_symmetric")
    >>> round(contrast_table(fit, {"mean": [1.0]})["df"].item(), 6)
    29.0
    """
    if inference not in INFERENCES:
        raise SpecError(f"no inference '{inference}'{nearest(inference, INFERENCES)}")
    weights = np.atleast_2d(np.array(list(contrasts.values()), dtype=float))
    count = len(fit.tables.ordinary)
    if weights.shape != (len(contrasts), count):
        raise SpecError(f"contrasts have shape {weights.shape}; each needs {count} weights")
    covariance = _parameters(fit, inference)
    at = restricted_likelihood(fit.tables, covariance)
    estimate, se, df = contrast_inference(
        fit.tables, covariance, at, weights, adjust=inference != "satterthwaite"
    )
    words = fit.structure.replace("_", " ")
    return inference_table(
        dict(zip(contrasts, estimate.tolist(), strict=True)),
        se=se,
        df=df,
        level=level,
        attrs={
            "method": f"MMRM by REML, {words} covariance; {INFERENCES[inference]}",
            "note": "",
            "inference": inference,
            "structure": fit.structure,
            "minus_two_reml": fit.minus_two_reml,
            "subjects": int(fit.tables.count.sum()),
            "observations": fit.tables.freedom + count,
        },
    )


def mmrm_analysis(
    outcome: xr.DataArray | ArrayLike,
    active: ArrayLike,
    *,
    covariates: ArrayLike | None = None,
    covariates_by_visit: ArrayLike | None = None,
    structure: str = "unstructured",
    times: ArrayLike | None = None,
    benefit_sign: int = 1,
    inference: str = "kenward_roger",
    level: float = 0.95,
) -> xr.Dataset:
    """Compare the arms of a parallel trial at every visit and on average.

    Parameters
    ----------
    outcome : xr.DataArray or array_like
        Scores, dims (subject, visit), NaN where missing. Labels of a coordinate ``visit`` name the
        estimands; without one they are 1, 2, ...
    active : array_like of bool
        Whether the subject had the active treatment, dim (subject).
    covariates : array_like, optional
        Dims (subject, covariate), the same slope at every visit.
    covariates_by_visit : array_like, optional
        Dims (subject, covariate), a slope for each visit.
    structure, times
        As in `fit_repeated_measures`.
    benefit_sign : {1, -1}
        +1 if a higher score is better, else -1.
    inference, level
        As in `contrast_table`.

    Returns
    -------
    xr.Dataset
        ``estimate, se, df, ci_low, ci_high, p_value`` on dim ``estimand``:
        ``treatment_difference`` (mean over the visits, equal weights) and
        ``treatment_difference[VISIT]`` for each, benefit-positive, in score units;
        ``residual_sd(visit)`` and ``correlation(visit, other_visit)``; attributes of
        `contrast_table`.

    Raises
    ------
    EvidenceError, SpecError
        As in `fit_repeated_measures` and `contrast_table`.

    References
    ----------
    .. [1] Mallinckrodt CH, Clark WS, David SR. Accounting for dropout bias using mixed-effects
       models. Journal of Biopharmaceutical Statistics 2001;11:9-21.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> active = np.arange(40) < 20
    >>> score = 50 - 6.0 * active[:, None] + rng.normal(0, 5, (40, 1)) + rng.normal(0, 3, (40, 2))
    >>> result = mmrm_analysis(score, active, benefit_sign=-1)
    >>> result["estimand"].values.tolist()
    ['treatment_difference', 'treatment_difference[1]', 'treatment_difference[2]']
    """
    scores = np.array(outcome, dtype=float)
    design = _visit_design(scores, active, covariates, covariates_by_visit)
    fit = fit_repeated_measures(scores, design, structure=structure, times=times)
    visits = scores.shape[1]
    labels = _labels(outcome, visits)
    at_visits = benefit_sign * np.eye(visits, design.shape[2])
    names = [f"treatment_difference[{label}]" for label in labels]
    contrasts = {"treatment_difference": at_visits.mean(axis=0)}
    contrasts |= dict(zip(names, at_visits, strict=True))
    table = contrast_table(fit, contrasts, inference=inference, level=level)
    sd = np.sqrt(np.diag(fit.covariance))
    return table.assign(
        residual_sd=("visit", sd),
        correlation=(("visit", "other_visit"), fit.covariance / np.outer(sd, sd)),
    ).assign_coords(visit=labels, other_visit=labels)


def _parameters(fit: RepeatedMeasures, inference: str) -> Covariance:
    """Return the covariance with derivatives in the parameters of a variant."""
    form = natural_covariance if inference == "kenward_roger" else working_covariance
    return form(fit.structure, fit.theta, fit.times)


def _moments(tables: Tables) -> FloatArray:
    """Return mean products of least-squares residuals, dims (visit, visit)."""
    products = tables.products[..., -1, -1].sum(axis=0)
    there = tables.present.astype(float)
    pairs = np.einsum("g,ga,gb->ab", tables.count, there, there)
    moments = products / np.maximum(pairs, 1)
    if (np.diag(pairs) == 0).any():
        raise EvidenceError("a visit has no outcome at all; leave it out")
    if not (np.diag(moments) > 1e-20 * np.max(tables.ordinary**2)).all():
        raise EvidenceError("the scores of a visit do not vary around their mean")
    return np.asarray(moments)


def _times(structure: str, times: ArrayLike | None, visits: int) -> FloatArray:
    """Return the times of the visits, or their numbers where the structure needs no times."""
    if structure not in STRUCTURES:
        raise SpecError(f"no covariance structure '{structure}'{nearest(structure, STRUCTURES)}")
    if times is None:
        if structure.startswith("autoregressive"):
            raise SpecError(f"structure '{structure}' needs the times of the visits")
        return np.arange(visits, dtype=float)
    found = np.asarray(times, dtype=float)
    if found.shape != (visits,) or not (np.diff(found) > 0).all():
        raise SpecError(f"times are {found.tolist()}; {visits} visits need increasing times")
    return found


def _visit_design(
    scores: FloatArray,
    active: ArrayLike,
    covariates: ArrayLike | None,
    covariates_by_visit: ArrayLike | None,
) -> FloatArray:
    """Return columns: treatment by visit, visits, covariates, covariates by visit."""
    if scores.ndim != 2:
        raise SpecError(f"outcome has shape {scores.shape}; it needs dims (subject, visit)")
    subjects, visits = scores.shape
    arm = np.asarray(active, dtype=float)
    if arm.shape != (subjects,):
        raise SpecError(f"active has shape {arm.shape}; there are {subjects} subjects")
    visit = np.broadcast_to(np.eye(visits), (subjects, visits, visits))
    blocks = [visit * arm[:, None, None], visit]
    if covariates is not None:
        matrix = _matrix(covariates, subjects)
        blocks.append(np.repeat(matrix[:, None, :], visits, axis=1))
    if covariates_by_visit is not None:
        matrix = _matrix(covariates_by_visit, subjects)
        wide = np.einsum("sc,svw->svcw", matrix, visit)
        blocks.append(wide.reshape(subjects, visits, -1))
    return np.concatenate(blocks, axis=2)


def _matrix(covariates: ArrayLike, subjects: int) -> FloatArray:
    """Return covariates as a matrix, one row a subject."""
    matrix = np.asarray(covariates, dtype=float).reshape(subjects, -1)
    if len(matrix) != subjects:
        raise SpecError(f"covariates have {len(matrix)} rows; there are {subjects} subjects")
    return matrix


def _labels(outcome: xr.DataArray | ArrayLike, visits: int) -> list[str]:
    """Return the labels of the visits."""
    if isinstance(outcome, xr.DataArray) and "visit" in outcome.coords:
        return [str(label) for label in outcome["visit"].values]
    return [str(number) for number in range(1, visits + 1)]
