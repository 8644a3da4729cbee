"""Cumulative-link models of ordered categories by maximum likelihood.

One period without subject effects, both periods of a crossover with a normal effect for each
subject. What holds in large samples only says so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from bayes_ptsd.categorical.cells import EFFECTS, LINKS
from bayes_ptsd.errors import EvidenceError, SpecError, nearest
from bayes_ptsd.frequentist.cumulative import (
    CategoryData,
    FloatArray,
    evaluate,
    infinite_coefficients,
    maximize_likelihood,
)
from bayes_ptsd.frequentist.inference import inference_table, profile_inference

__all__ = ["LARGE_SAMPLE", "Responses", "ordinal_analysis", "refuse_separation", "responses"]

LARGE_SAMPLE = "Wald intervals and P values are from large-sample theory (normal)."
"""The caution that goes with every Wald interval from a likelihood."""

BOUNDARY_NOTE = (
    "The standard deviation between subjects is estimated at its boundary, zero: estimates and "
    "standard errors are those without subject effects."
)
NO_PROFILE = (
    "Where a profile limit is not a number, the likelihood has no maximum at some held value."
)
PROFILE = ("profile_low", "profile_high", "lr_p_value")
# Of the log likelihood, from twice the nodes: far below the 1.92 by which it falls to a 95% limit.
LARGEST_ERROR = 1e-4
# The nodes that are asked for, and up to three doublings: 15 become 127.
DOUBLINGS = 4
# One node is Laplace's approximation, which gives 3.82 instead of 4.19 for a public trial
# (docs/methods/frequentist.md); from five nodes, three doublings reach 47.
FEWEST_POINTS = 5
# Standard deviation between subjects, on the scale of the link, that is taken as zero: it changes a
# log likelihood by about its square.
BOUNDARY = 1e-3


@dataclass(frozen=True)
class Responses:
    """Categories of subjects with the columns that explain them."""

    data: CategoryData  # subjects with any category
    names: list[str]  # the coefficients that are estimands, which come first
    labels: FloatArray  # the categories as recorded, in order


def ordinal_analysis(
    category: ArrayLike,
    active: ArrayLike,
    *,
    covariates: ArrayLike | None = None,
    link: str = "logit",
    subject_effects: bool | None = None,
    points: int = 15,
    profile: bool = True,
    benefit_sign: int = 1,
    level: float = 0.95,
) -> xr.Dataset:
    """Compare treatments on ordered categories.

    ``P(category <= k) = F(c_k - effect - u)`` with ``u`` normal between subjects, or none: with one
    period it cannot be told from F. The integral over ``u`` is by adaptive Gauss-Hermite quadrature
    [1]_, derivatives are exact [2]_; `points` nodes are doubled, up to three times, while twice as
    many would change the log likelihood by more than 0.0001.

    Categories have dims (subject) or (subject, period), NaN where missing; those that nobody has
    are left out, which changes no other estimate. ``log_odds_ratio`` (or ``probit_difference``) is
    benefit-positive and given the subject where there are subject effects; ``period_effect`` is
    second minus first in the direction of the recorded category. Intervals are Wald's and, with
    `profile`, from the likelihood ratio, which does not depend on the scale: infinite where the
    likelihood does not fall far enough. An estimate that is not finite is refused by name.

    References
    ----------
    .. [1] Liu Q, Pierce DA. A note on Gauss-Hermite quadrature. Biometrika 1994;81:624-629.
    .. [2] Louis TA. Finding the observed information matrix when using the EM algorithm. Journal
       of the Royal Statistical Society B 1982;44:226-233.
    """
    if link not in LINKS:
        raise SpecError(f"no link '{link}'{nearest(link, LINKS)}")
    if points < FEWEST_POINTS:
        raise SpecError(f"points is {points}; at least {FEWEST_POINTS} are needed")
    found = responses(category, active, covariates, link=link, benefit_sign=benefit_sign)
    mixed = _with_effects(found.data, subject_effects)
    refuse_separation(found)
    data, theta = _estimate(found.data, points if mixed else 0)
    at = evaluate(data, theta)
    attrs: dict[str, str | int | float] = {
        "method": _method(link, data.points),
        "note": LARGE_SAMPLE,
        "link": link,
        "log_likelihood": at.value,
        "subjects": len(data.category),
        "observations": int((data.category >= 0).sum()),
    }
    if mixed:
        attrs |= _subject_attrs(data, theta)
    first = data.cutpoints
    kept = slice(first, first + len(found.names))
    covariance = np.linalg.inv(-at.hessian)
    se = np.sqrt(np.diag(covariance)[kept])
    table = inference_table(
        dict(zip(found.names, theta[kept].tolist(), strict=True)),
        se=se,
        df=np.inf,
        level=level,
        attrs=attrs,
    ).assign(cutpoint=("step", theta[:first]))
    if not profile:
        return table
    return _with_profile(table, data, theta, first=first, level=level)


def responses(
    category: ArrayLike,
    active: ArrayLike,
    covariates: ArrayLike | None,
    *,
    link: str,
    benefit_sign: int,
) -> Responses:
    """Arrange categories, treatment, period and covariates for a cumulative link.

    Subjects with any category, without subject effects.
    """
    values = np.array(category, dtype=float)
    values = values[:, None] if values.ndim == 1 else values
    arms = np.asarray(active, dtype=float).reshape(len(values), -1)
    if values.ndim != 2 or values.shape[1] > 2 or arms.shape != values.shape:
        raise SpecError(
            f"category and active have shapes {values.shape} and {arms.shape}; both need dims "
            "(subject) or (subject, period) with one or two periods"
        )
    there = np.isfinite(values)
    labels, code = np.unique(values[there], return_inverse=True)
    if len(labels) < 2:
        raise EvidenceError("all responses are in one category; nothing can be compared")
    coded = np.full(values.shape, -1)
    coded[there] = code
    effect = EFFECTS[link]
    columns = {effect: benefit_sign * arms}
    if values.shape[1] == 2:
        columns["period_effect"] = np.broadcast_to([0.0, 1.0], values.shape)
    blocks = [np.stack(list(columns.values()), axis=-1)]
    if covariates is not None:
        matrix = np.asarray(covariates, dtype=float).reshape(len(values), -1)
        matrix = matrix - np.nanmean(matrix, axis=0)
        blocks.append(np.repeat(matrix[:, None, :], values.shape[1], axis=1))
    design = np.where(there[..., None], np.concatenate(blocks, axis=-1), 0.0)
    _refuse_design(design[there])
    used = there.any(axis=1)
    data = CategoryData(coded[used], design[used], len(labels), link, 0)
    return Responses(data, list(columns), labels)


def refuse_separation(found: Responses) -> None:
    """Refuse data under which a coefficient has no finite maximum likelihood estimate."""
    names = [*found.names, *(f"covariate {k + 1}" for k in range(found.data.design.shape[2]))]
    infinite = [
        f"{names[number]} {'+' if sign > 0 else '-'}infinity"
        for number, sign in infinite_coefficients(found.data)
    ]
    if infinite:
        raise EvidenceError(
            "the categories are separated: the maximum likelihood estimate of "
            f"{', '.join(infinite)}; there is no finite estimate, so use an exact or a Bayesian "
            "analysis"
        )


def _refuse_design(rows: FloatArray) -> None:
    """Refuse covariates that are missing and columns that cannot be told apart."""
    if not np.isfinite(rows).all():
        raise EvidenceError("a covariate is missing where there is a category; leave it out first")
    whole = np.column_stack([np.ones(len(rows)), rows])
    if np.linalg.matrix_rank(whole) < whole.shape[1]:
        raise EvidenceError(
            f"{len(rows)} categories do not determine {rows.shape[1]} coefficients: an arm or "
            "period is empty, or covariates repeat each other"
        )


def _with_effects(data: CategoryData, subject_effects: bool | None) -> bool:
    """Tell whether the model has subject effects; refuse them where nothing identifies them."""
    repeated = bool(((data.category >= 0).sum(axis=1) > 1).any())
    if subject_effects and not repeated:
        raise EvidenceError("subject effects need subjects with two periods; there are none")
    return repeated if subject_effects is None else subject_effects


def _estimate(plain: CategoryData, points: int) -> tuple[CategoryData, FloatArray]:
    """Return the maximum likelihood estimate, with as many nodes as it takes."""
    there = plain.category >= 0
    share = np.bincount(plain.category[there])[:-1].cumsum() / there.sum()
    start = np.append(np.log(share / (1 - share)), np.zeros(plain.design.shape[2]))
    theta, without = maximize_likelihood(plain, start)
    if not points:
        return plain, theta
    for doubling in range(DOUBLINGS):
        data = replace(plain, points=2**doubling * (points + 1) - 1)
        try:
            mixed, found = maximize_likelihood(data, np.append(theta, 1.0))
        except EvidenceError:
            continue
        if abs(mixed[-1]) < BOUNDARY or found.value < without.value:
            return data, np.append(theta, 0.0)
        if _quadrature_error(data, mixed) < LARGEST_ERROR:
            return data, np.append(mixed[:-1], abs(mixed[-1]))
    raise EvidenceError(
        "the likelihood has no maximum at a standard deviation between subjects that "
        f"{data.points} nodes can integrate: it keeps rising with it, or nearly so; leave subject "
        "effects out, or use a Bayesian analysis, whose prior bounds it"
    )


def _quadrature_error(data: CategoryData, theta: FloatArray) -> float:
    """Return by how much twice the nodes change the log likelihood."""
    finer = replace(data, points=2 * data.points + 1)
    return abs(evaluate(finer, theta).value - evaluate(data, theta).value)


def _subject_attrs(data: CategoryData, theta: FloatArray) -> dict[str, str | int | float]:
    """Return what is said about subject effects."""
    boundary = int(theta[-1] == 0)
    return {
        "sd_subject": float(theta[-1]),
        "boundary": boundary,
        "points": data.points,
        "quadrature_error": _quadrature_error(data, theta),
        "note": f"{BOUNDARY_NOTE} {LARGE_SAMPLE}" if boundary else LARGE_SAMPLE,
    }


def _with_profile(
    table: xr.Dataset, data: CategoryData, theta: FloatArray, *, first: int, level: float
) -> xr.Dataset:
    """Add profile limits and likelihood-ratio P values of every estimand."""
    top = float(table.attrs["log_likelihood"])
    rows = np.array(
        [
            _profile(data, theta, first + number, top=top, se=float(se), level=level)
            for number, se in enumerate(table["se"].values)
        ]
    )
    note = str(table.attrs["note"]) + (f" {NO_PROFILE}" if np.isnan(rows).any() else "")
    columns = {name: ("estimand", rows[:, n]) for n, name in enumerate(PROFILE)}
    return table.assign(columns).assign_attrs(note=note)


def _profile(
    data: CategoryData, theta: FloatArray, number: int, *, top: float, se: float, level: float
) -> tuple[float, float, float]:
    """Return profile limits and likelihood-ratio P value of one parameter, NaN without them."""
    start = theta.copy()
    if data.points:
        start[-1] = max(start[-1], 0.5)
    plain = replace(data, points=0)

    def highest(value: float) -> float:
        fixed = {number: value}
        found = maximize_likelihood(data, start, fixed=fixed)[1].value
        if not data.points:
            return found
        # the sd between subjects may have a second maximum, at zero
        return max(found, maximize_likelihood(plain, theta[:-1], fixed=fixed)[1].value)

    try:
        return profile_inference(highest, float(theta[number]), top=top, se=se, level=level)
    except EvidenceError:
        return np.nan, np.nan, np.nan


def _method(link: str, points: int) -> str:
    """Return the analysis in words."""
    if not points:
        return f"Cumulative {link} model by maximum likelihood"
    return f"Cumulative {link} model, normal subject effects, adaptive quadrature {points} points"
