"""Linear columns of scores in one or two periods, and the covariance of a patient's two scores."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bayes_ptsd.errors import SpecError, nearest, refuse_unknown_keys
from bayes_ptsd.evidence.pairs import BoolArray
from bayes_ptsd.gaussian.axes import Axis, DispersionPrior, sd_axis
from bayes_ptsd.priors import FloatArray, Prior

__all__ = [
    "COVARIANCES",
    "Covariance",
    "Design",
    "covariance_axes",
]

# A difference this small beside the largest residual is rounding: doubles have 16 digits.
ROUNDING = 1e-13
# smaller than any spread that scores can show; the square of its inverse is still a number
VARIANCE_FLOOR = 1e-60


@dataclass(frozen=True)
class Design:
    """Linear columns of every cell and the estimands that are made of their coefficients."""

    priors: Mapping[str, Prior]  # by coefficient, in the order of the columns
    columns: FloatArray  # dims (dataset, subject, period, coefficient)
    estimands: Mapping[str, FloatArray]  # weights of the coefficients


@dataclass(frozen=True)
class Covariance:
    """Covariance of the two scores of a patient."""

    dispersion: tuple[str, ...]  # names of the parameters, one an axis
    prior_keys: tuple[str, ...]  # the prior that each of them takes
    kinds: tuple[Literal["log", "from_zero", "atanh"], ...]  # coordinate of each axis
    # Rows (dataset, subject, period, column), zero where missing, and which periods are there, to
    # cross-products (dataset, block, column, column).
    blocks: Callable[[FloatArray, BoolArray], FloatArray]
    # Parameters by axis, whose dims (dataset, then those of the nodes) broadcast, to the inverse
    # covariances by block.
    weights: Callable[[Sequence[FloatArray]], list[FloatArray]]
    # Parameters and the numbers of patients with both, only the first and only the second period,
    # which broadcast with them, to log determinants.
    log_det: Callable[[Sequence[FloatArray], Sequence[FloatArray]], FloatArray]


def covariance_axes(
    covariance: str, priors: Mapping[str, Prior | DispersionPrior], *, linear: Collection[str]
) -> tuple[Covariance, list[Axis]]:
    """Return a covariance structure and its axes; refuse priors that are missing or not its own.

    `linear` are the coefficients of the model, whose priors may stand beside.
    """
    if covariance not in COVARIANCES:
        raise SpecError(f"unknown covariance '{covariance}'{nearest(covariance, COVARIANCES)}")
    found = COVARIANCES[covariance]
    allowed = {*linear, *found.prior_keys}
    refuse_unknown_keys(priors, allowed, f"priors of the {covariance} model", error=SpecError)
    axes = []
    for name, key, kind in zip(found.dispersion, found.prior_keys, found.kinds, strict=True):
        if key not in priors:
            raise SpecError(f"no prior for '{key}'; the {covariance} covariance needs one")
        if kind == "atanh":
            axes.append(Axis(name, "atanh", priors[key]))
        else:
            axes.append(sd_axis(name, priors[key], may_be_zero=kind == "from_zero"))
    return found, axes


def _products(left: FloatArray, right: FloatArray) -> FloatArray:
    """Return cross-products over patients, dims (dataset, column, column)."""
    return np.asarray(np.swapaxes(left, 1, 2) @ right)


def _intercept_blocks(rows: FloatArray, present: BoolArray) -> FloatArray:
    """Return cross-products of half-differences, half-sums and single periods."""
    both = np.all(present, axis=-1, keepdims=True)
    change = np.where(both, rows[:, :, 0] - rows[:, :, 1], 0.0) * np.sqrt(0.5)
    # a difference of rounding only is none: a standard deviation near zero would blow it up
    change = np.where(np.abs(change) < ROUNDING * np.abs(rows).max(axis=(1, 2))[:, None], 0, change)
    total = np.where(both, rows[:, :, 0] + rows[:, :, 1], 0.0) * np.sqrt(0.5)
    single = np.where(both, 0.0, rows[:, :, 0] + rows[:, :, 1])
    return np.stack([_products(part, part) for part in (change, total, single)], axis=1)


def _intercept_variances(value: Sequence[FloatArray]) -> list[FloatArray]:
    """Return the variances of half-differences, half-sums and single periods."""
    # both can be zero where the scores leave them free; the square of 1/floor is still a number
    between, within = value[0] ** 2, np.maximum(value[1] ** 2, VARIANCE_FLOOR)
    return [within, within + 2 * between, within + between]


def _intercept_log_det(value: Sequence[FloatArray], count: Sequence[FloatArray]) -> FloatArray:
    """Return the log determinant of all scores under a random intercept."""
    change, total, single = map(np.log, _intercept_variances(value))
    return np.asarray(count[0] * (change + total) + (count[1] + count[2]) * single)


def _bivariate_blocks(rows: FloatArray, present: BoolArray) -> FloatArray:
    """Return cross-products within and between periods, and of single periods."""
    both = np.all(present, axis=-1, keepdims=True)
    first, second = (np.where(both, rows[:, :, period], 0.0) for period in (0, 1))
    alone = [np.where(both, 0.0, rows[:, :, period]) for period in (0, 1)]
    cross = _products(first, second)
    parts = [_products(first, first), cross + np.swapaxes(cross, 1, 2), _products(second, second)]
    return np.stack([*parts, *(_products(part, part) for part in alone)], axis=1)


def _bivariate_weights(value: Sequence[FloatArray]) -> list[FloatArray]:
    """Return the entries of the inverse covariance of a pair, then of single periods."""
    first, second, rho = value
    rest = 1 - rho**2
    pair = [1 / (first**2 * rest), -rho / (first * second * rest), 1 / (second**2 * rest)]
    return [*pair, first**-2, second**-2]


def _bivariate_log_det(value: Sequence[FloatArray], count: Sequence[FloatArray]) -> FloatArray:
    """Return the log determinant of all scores under two variances and a correlation."""
    first, second, rho = value
    pair = count[0] * np.log1p(-(rho**2))
    alone = [2 * (count[0] + count[i]) * np.log(sd) for i, sd in ((1, first), (2, second))]
    return np.asarray(pair + alone[0] + alone[1])


# By name. Brackets hold the period of a parameter; 2 makes the log of an sd that of a variance.
COVARIANCES: Mapping[str, Covariance] = {
    "first_period": Covariance(
        ("sd_residual",),
        ("sd_residual",),
        ("log",),
        lambda rows, present: _products(rows[:, :, 0], rows[:, :, 0])[:, None],
        lambda value: [value[0] ** -2],
        lambda value, count: 2 * sum(count) * np.log(value[0]),
    ),
    "random_intercept": Covariance(
        ("sd_subject", "sd_within"),
        ("sd_subject", "sd_within"),
        ("from_zero", "log"),
        _intercept_blocks,
        lambda value: [1 / variance for variance in _intercept_variances(value)],
        _intercept_log_det,
    ),
    "bivariate": Covariance(
        ("sd_period[1]", "sd_period[2]", "correlation"),
        ("sd_period", "sd_period", "correlation"),
        ("log", "log", "atanh"),
        _bivariate_blocks,
        _bivariate_weights,
        _bivariate_log_det,
    ),
}
