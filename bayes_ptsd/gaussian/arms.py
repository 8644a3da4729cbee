"""Exact posterior of a normal comparison of two arms at one visit.

Given the residual standard deviations the linear coefficients have a normal posterior in closed
form; one standard deviation, or one for each arm, is integrated out by Gauss-Legendre quadrature.
Equations in ``docs/methods/first-period.md``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from bayes_ptsd.evidence.pairs import BoolArray
from bayes_ptsd.gaussian.axes import DispersionPrior, sd_axis
from bayes_ptsd.gaussian.designs import Covariance, Design
from bayes_ptsd.gaussian.problem import Problem, problem_of_rows
from bayes_ptsd.gaussian.summaries import posterior_tree
from bayes_ptsd.priors import FloatArray, Prior

__all__ = ["arm_posterior", "arm_problem"]


def _products(rows: FloatArray, present: BoolArray) -> FloatArray:
    """Return cross-products of each arm; a patient's row is in the place of the arm, else zero."""
    return np.asarray(np.einsum("dsac,dsae->dace", rows, rows))


def _common_log_det(value: Sequence[FloatArray], count: Sequence[FloatArray]) -> FloatArray:
    """Return the log determinant of all scores under one standard deviation."""
    return np.asarray(2 * sum(count) * np.log(value[0]))


def _arm_log_det(value: Sequence[FloatArray], count: Sequence[FloatArray]) -> FloatArray:
    """Return the log determinant of all scores under a standard deviation for each arm."""
    return np.asarray(2 * (count[1] * np.log(value[0]) + count[2] * np.log(value[1])))


# One residual standard deviation for both arms.
EQUAL = Covariance(
    ("sd_residual",),
    ("sd_residual",),
    ("log",),
    _products,
    lambda value: [value[0] ** -2] * 2,
    _common_log_det,
)
# One for each arm: [1] is the control arm, [2] the active one, the order of the rows.
UNEQUAL = Covariance(
    ("sd_residual[1]", "sd_residual[2]"),
    ("sd_residual", "sd_residual"),
    ("log", "log"),
    _products,
    lambda value: [sd**-2 for sd in value],
    _arm_log_det,
)


def arm_problem(
    score: FloatArray,
    active: BoolArray,
    columns: Mapping[str, FloatArray],
    priors: Mapping[str, Prior],
    sd_prior: DispersionPrior,
    *,
    equal: bool,
) -> Problem:
    """Reduce a comparison of arms to the cross-products that its posterior needs.

    The control arm has the first place of every row, the active arm the second. Scores are as
    recorded, dim ``(subject,)`` or ``(dataset, subject)``; columns by coefficient have dim
    ``(subject,)``; the prior of the residual standard deviation is one for both arms.
    """
    table = np.atleast_2d(score)
    place = np.stack([~active, active], axis=1)
    stacked = np.stack([np.asarray(column, dtype=float) for column in columns.values()], axis=-1)
    rows = np.broadcast_to(place[None, :, :, None] * stacked[None, :, None, :],
                           (len(table), *place.shape, stacked.shape[1]))  # fmt: skip
    covariance = EQUAL if equal else UNEQUAL
    unit = dict(zip(columns, np.eye(len(columns)), strict=True))
    return problem_of_rows(
        Design({name: priors[name] for name in columns}, rows, unit),
        covariance,
        [sd_axis(name, sd_prior, may_be_zero=False) for name in covariance.dispersion],
        np.where(place[None], table[:, :, None], np.nan),
    )


def arm_posterior(problem: Problem, *, draws: int = 4000, seed: int = 20140601) -> xr.DataTree:
    """Compute the posterior of a comparison of arms without sampling [1]_.

    As `posterior_tree`; unequal standard deviations have dim ``treatment``, control first.

    References
    ----------
    .. [1] Gelman A, Carlin JB, Stern HS, Dunson DB, Vehtari A, Rubin DB. Bayesian Data Analysis.
       3rd ed. CRC Press; 2013. Section 14.2.
    """
    tree = posterior_tree(problem, draws=draws, seed=seed)
    posterior = tree["posterior"].to_dataset()
    if "period" in posterior.dims:
        posterior = posterior.rename(period="treatment").drop_vars("treatment")
        tree["posterior"] = xr.DataTree(posterior)
    return tree
