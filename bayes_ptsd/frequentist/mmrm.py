"""Arms of a parallel trial with several visits: differences at every visit and on average.

Treatment by visit, visits and covariates in the mean; the baseline is a covariate, or one more
response whose mean the arms share.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from bayes_ptsd.errors import SpecError
from bayes_ptsd.frequentist.repeated import (
    RepeatedMeasures,
    contrast_table,
    fit_repeated_measures,
)
from bayes_ptsd.gaussian.marginal_covariance import FloatArray

__all__ = ["clda_analysis", "mmrm_analysis"]


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
    """Compare the arms of a parallel trial at every visit and on average [1]_.

    Scores have dims (subject, visit), NaN where missing; labels of a coordinate ``visit`` name the
    estimands. ``treatment_difference`` (mean over the visits, equal weights) and
    ``treatment_difference[VISIT]`` are benefit-positive, in score units. `covariates` have the same
    slope at every visit, `covariates_by_visit` one for each.

    References
    ----------
    .. [1] Mallinckrodt CH, Clark WS, David SR. Accounting for dropout bias using mixed-effects
       models. Journal of Biopharmaceutical Statistics 2001;11:9-21.
    """
    scores = np.array(outcome, dtype=float)
    design = _visit_design(scores, active, covariates, covariates_by_visit)
    fit = fit_repeated_measures(scores, design, structure=structure, times=times)
    labels = _labels(outcome, scores.shape[1])
    return _visit_table(
        fit, labels, labels, benefit_sign=benefit_sign, inference=inference, level=level
    )


def clda_analysis(
    outcome: xr.DataArray | ArrayLike,
    baseline: ArrayLike,
    active: ArrayLike,
    *,
    covariates: ArrayLike | None = None,
    structure: str = "unstructured",
    times: ArrayLike | None = None,
    benefit_sign: int = 1,
    inference: str = "kenward_roger",
    level: float = 0.95,
) -> xr.Dataset:
    """Compare the arms with the baseline as one more response, its mean common to both arms.

    Constrained longitudinal data analysis [1]_: subjects without a baseline, or with nothing else,
    are kept. With complete data and any covariance the estimates are those of an analysis of
    covariance at each visit. Structure and times are those of the baseline and the visits together.

    References
    ----------
    .. [1] Coffman CJ, Edelman D, Woolson RF. To condition or not condition? Analysing 'change' in
       longitudinal randomised controlled trials. BMJ Open 2016;6:e013096.
    """
    before = np.asarray(baseline, dtype=float)
    later = np.array(outcome, dtype=float)
    if before.shape != later.shape[:1]:
        raise SpecError(f"baseline has shape {before.shape}; there are {len(later)} subjects")
    scores = np.column_stack([before, later])
    # without the first column the arms have one baseline mean
    design = _visit_design(scores, active, None, covariates)[..., 1:]
    fit = fit_repeated_measures(scores, design, structure=structure, times=times)
    labels = _labels(outcome, later.shape[1])
    table = _visit_table(
        fit,
        labels,
        ["baseline", *labels],
        benefit_sign=benefit_sign,
        inference=inference,
        level=level,
    )
    return table.assign_attrs(method=f"Constrained baseline; {table.attrs['method']}")


def _visit_table(
    fit: RepeatedMeasures,
    compared: Sequence[str],
    labels: Sequence[str],
    *,
    benefit_sign: int,
    inference: str,
    level: float,
) -> xr.Dataset:
    """Return the treatment differences of a fit whose design begins with them."""
    at_visits = benefit_sign * np.eye(len(compared), len(fit.tables.ordinary))
    names = [f"treatment_difference[{label}]" for label in compared]
    contrasts = {"treatment_difference": at_visits.mean(axis=0)}
    contrasts |= dict(zip(names, at_visits, strict=True))
    table = contrast_table(fit, contrasts, inference=inference, level=level)
    sd = np.sqrt(np.diag(fit.covariance))
    return table.assign(
        residual_sd=("visit", sd),
        correlation=(("visit", "other_visit"), fit.covariance / np.outer(sd, sd)),
    ).assign_coords(visit=list(labels), other_visit=list(labels))


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
