"""Repeated measures with any mean by restricted maximum likelihood, and contrasts of its mean.

One covariance matrix of the visits, no subject effects beside it. Values that are missing at random
need nothing: a subject contributes the visits it has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from bayes_ptsd.errors import EvidenceError, SpecError, nearest
from bayes_ptsd.frequentist.inference import inference_table
from bayes_ptsd.gaussian.marginal_covariance import (
    STRUCTURES,
    Covariance,
    FloatArray,
    natural_covariance,
    starting_values,
    working_covariance,
)
from bayes_ptsd.gaussian.restricted import (
    Tables,
    cross_products,
    maximize,
    restricted_likelihood,
)
from bayes_ptsd.gaussian.small_sample import contrast_inference

__all__ = [
    "INFERENCES",
    "RepeatedMeasures",
    "contrast_table",
    "fit_repeated_measures",
]

INFERENCES = {
    "kenward_roger": "Kenward-Roger, covariance parameters as in SAS PROC MIXED",
    "kenward_roger_mmrm": "Kenward-Roger, covariance parameters as in R mmrm",
    "satterthwaite": "Satterthwaite",
}
"""How standard errors and degrees of freedom are computed, by name, in words."""


@dataclass(frozen=True)
class RepeatedMeasures:
    """A repeated-measures model at its restricted maximum likelihood."""

    tables: Tables
    structure: str
    theta: FloatArray  # working parameters of the structure
    times: FloatArray
    covariance: FloatArray  # of the visits, squared score units
    minus_two_reml: float  # with the constant of SAS PROC MIXED


def fit_repeated_measures(
    outcome: ArrayLike,
    design: ArrayLike,
    *,
    structure: str = "unstructured",
    times: ArrayLike | None = None,
) -> RepeatedMeasures:
    """Fit any mean to repeated measures by restricted maximum likelihood.

    Scores have dims (subject, visit), NaN where missing; the design has one dim more and is not
    read there. `times` of the visits, any unit, are needed where the correlation falls with time.
    Data whose likelihood has no maximum are refused.
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

    The two variants of Kenward and Roger [1]_ differ in the parameters whose second derivatives
    enter the standard error: those of SAS are variances, covariances and correlations, so that
    nothing enters for unstructured and compound symmetric matrices; R's mmrm takes logarithms and
    Cholesky factors. Degrees of freedom are the same, and Satterthwaite's [2]_. All take the
    observed information of the parameters.

    References
    ----------
    .. [1] Kenward MG, Roger JH. Small sample inference for fixed effects from restricted maximum
       likelihood. Biometrics 1997;53:983-997.
    .. [2] Satterthwaite FE. An approximate distribution of estimates of variance components.
       Biometrics Bulletin 1946;2:110-114.
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
