"""Restricted maximum likelihood with Kenward-Roger inference for a crossover.

Half-differences, half-sums and single periods of a random-intercept model are independent with
variances ``v_e``, ``v_e + 2 v_b`` and ``v_e + v_b``, so all formulas are sums over these three
groups and exact: no iteration beyond one root, no matrix of the size of the data.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence.pairs import CrossoverPairs, FloatArray
from bayes_ptsd.frequentist.inference import inference_table

__all__ = ["reml_crossover"]

METHOD = "REML, random intercept, Kenward-Roger; all patients"
BOUNDARY_NOTE = (
    "The subject variance is estimated at its boundary, zero: the periods of a patient are not "
    "positively correlated, and differences between patients count as much as those within."
)
# derivatives of the three group variances with respect to v_b and v_e
SLOPES = np.array([[0.0, 2.0, 1.0], [1.0, 1.0, 1.0]])
# Of the variances between and within patients: at 1e8 the differences of a patient have lost half
# of a double's 16 digits to the level.
LARGEST_RATIO = 1e8


@dataclass(frozen=True)
class Groups:
    """Cross-products of design and score in the three independent groups.

    Attributes
    ----------
    count : ndarray
        Numbers of values, dim ``(group,)``.
    design : ndarray
        Dims ``(group, column, column)``.
    cross : ndarray
        Design by score, dims ``(group, column)``.
    square : ndarray
        Sums of squared scores, dim ``(group,)``.
    """

    count: FloatArray
    design: FloatArray
    cross: FloatArray
    square: FloatArray


def reml_crossover(
    pairs: CrossoverPairs,
    *,
    benefit_sign: int = 1,
    level: float = 0.95,
    sequence: bool = False,
) -> xr.Dataset:
    """Fit treatment and period with a random patient intercept, one-period patients included.

    Standard errors and degrees of freedom are those of Kenward and Roger [1]_; for a single
    contrast their degrees of freedom equal Satterthwaite's with the expected information.

    Parameters
    ----------
    pairs : CrossoverPairs
        One data set; either period may be missing.
    benefit_sign : {1, -1}
        +1 if a higher score is better, else -1.
    level : float
        Confidence level.
    sequence : bool
        Add a sequence effect (active first minus control first).

    Returns
    -------
    xr.Dataset
        ``estimate, se, df, ci_low, ci_high, p_value`` on dim ``estimand``:
        ``treatment_difference`` (benefit-positive), ``period_effect`` and, where asked for,
        ``sequence_effect`` (as recorded), in score units. Attributes ``sd_subject``, ``sd_within``,
        ``boundary`` (1 where the subject variance is zero) and ``note``.

    Raises
    ------
    EvidenceError
        If there are too few complete patients to tell the two variances apart.

    References
    ----------
    .. [1] Kenward MG, Roger JH. Small sample inference for fixed effects from restricted maximum
       likelihood. Biometrics 1997;53:983-997.

    Examples
    --------
    >>> score = np.array([[12.0, np.nan], [9, 14], [11, 12], [16, 11], [13, 9], [15, 13]])
    >>> pairs = CrossoverPairs(score, np.arange(6) < 3, np.arange(6))
    >>> reml_crossover(pairs, benefit_sign=-1)["estimand"].values.tolist()
    ['treatment_difference', 'period_effect']
    """
    names, groups = _groups(pairs, benefit_sign=benefit_sign, sequence=sequence)
    ratio = _ratio(groups)
    weight = 1 / _relative(ratio)
    coefficients, residual = _fit(groups, weight)
    freedom = groups.count.sum() - groups.design.shape[1]
    within = float(weight @ residual / freedom)
    se, df = _kenward_roger(groups, within * _relative(ratio))
    kept = slice(1, None)
    return inference_table(
        dict(zip(names[kept], coefficients[kept].tolist(), strict=True)),
        se=se[kept],
        df=df[kept],
        level=level,
        attrs={
            "method": METHOD + (", sequence effect" if sequence else ""),
            "note": BOUNDARY_NOTE if ratio == 0 else "",
            "boundary": int(ratio == 0),
            "patients": int(groups.count[0] + groups.count[2]),
            "complete_patients": int(groups.count[0]),
            "sd_subject": float(np.sqrt(ratio * within)),
            "sd_within": float(np.sqrt(within)),
        },
    )


def _groups(
    pairs: CrossoverPairs, *, benefit_sign: int, sequence: bool
) -> tuple[list[str], Groups]:
    """Return coefficient names and the cross-products of the three groups."""
    if pairs.batched:
        raise EvidenceError("the frequentist analyses take one data set at a time")
    first = pairs.active_first.astype(float)
    one = np.ones_like(first)
    treatment = benefit_sign * np.stack([first, 1 - first], axis=1)
    columns = {
        "intercept": np.stack([one, one], axis=1),
        "treatment_difference": treatment,
        "period_effect": np.stack([-one / 2, one / 2], axis=1),
    }
    if sequence:
        columns["sequence_effect"] = np.stack([first - 0.5, first - 0.5], axis=1)
    # scores around their mean: sums of squares keep their digits
    score = pairs.score - np.nanmean(pairs.score)
    rows = np.stack([*columns.values(), score], axis=-1)
    both = pairs.complete
    single = rows[~both][np.isfinite(pairs.score[~both])]
    change = (rows[both, 0] - rows[both, 1]) * np.sqrt(0.5)
    total = (rows[both, 0] + rows[both, 1]) * np.sqrt(0.5)
    _refuse_unidentified(change[:, :-1], total[:, :-1], single[:, :-1], names=list(columns))
    products = np.stack([part.T @ part for part in (change, total, single)])
    return list(columns), Groups(
        np.array([len(change), len(total), len(single)], dtype=float),
        products[:, :-1, :-1],
        products[:, :-1, -1],
        products[:, -1, -1],
    )


def _refuse_unidentified(
    change: FloatArray, total: FloatArray, single: FloatArray, *, names: list[str]
) -> None:
    """Refuse designs that leave no residuals within patients, or coefficients that are aliased."""
    rank, inner = np.linalg.matrix_rank, np.linalg.matrix_rank(change)
    if len(change) <= inner or len(total) + len(single) <= len(names) - inner:
        raise EvidenceError(
            f"{len(change)} complete patients do not separate the variances between and within "
            "patients; at least three, or two of one sequence if the other has none, are needed"
        )
    if rank(np.concatenate([change, total, single])) < len(names):
        raise EvidenceError(
            f"an empty cell of the design leaves {', '.join(names[1:])} aliased with each other"
        )


def _relative(ratio: float) -> FloatArray:
    """Return the group variances in units of the variance within patients."""
    return np.asarray(SLOPES[1] + ratio * SLOPES[0])


def _fit(groups: Groups, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return generalized least-squares coefficients and residual sums of squares by group."""
    information = np.einsum("g,gij->ij", weight, groups.design)
    coefficients = np.linalg.solve(information, weight @ groups.cross)
    fitted = np.einsum("i,gij,j->g", coefficients, groups.design, coefficients)
    residual = groups.square - 2 * groups.cross @ coefficients + fitted
    return coefficients, np.maximum(residual, 0.0)


def _ratio(groups: Groups) -> float:
    """Return the restricted maximum likelihood estimate of v_b / v_e, zero or above."""
    from scipy import optimize

    def score(log_ratio: float) -> float:
        return _ratio_score(groups, float(np.exp(log_ratio)))

    if _ratio_score(groups, 0.0) <= 0:
        return 0.0
    low, high = np.log(1e-10), np.log(LARGEST_RATIO)
    if score(low) <= 0:
        return 0.0
    if score(high) >= 0:
        raise EvidenceError(
            "the scores of a patient hardly differ from each other: the variance within patients "
            "is zero to rounding"
        )
    return float(np.exp(optimize.brentq(score, low, high, xtol=1e-13)))


def _ratio_score(groups: Groups, ratio: float) -> float:
    """Return the derivative of the profile restricted log likelihood in the ratio, doubled."""
    weight = 1 / _relative(ratio)
    _, residual = _fit(groups, weight)
    slope = SLOPES[0] * weight**2
    inverse = np.linalg.inv(np.einsum("g,gij->ij", weight, groups.design))
    trace = groups.count @ (SLOPES[0] * weight) - np.einsum(
        "ij,g,gji->", inverse, slope, groups.design
    )
    freedom = groups.count.sum() - len(inverse)
    return float(freedom * (slope @ residual) / (weight @ residual) - trace)


def _kenward_roger(groups: Groups, variance: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return adjusted standard errors and degrees of freedom of the coefficients.

    Notation of Kenward and Roger: `phi` the covariance of the coefficients, `p` and `q` the
    derivatives of its inverse, `w` the covariance of the two variance estimates.
    """
    weight = 1 / variance
    phi = np.linalg.inv(np.einsum("g,gij->ij", weight, groups.design))
    p = -np.einsum("ag,g,gij->aij", SLOPES, weight**2, groups.design)
    q = np.einsum("ag,bg,g,gij->abij", SLOPES, SLOPES, weight**3, groups.design)
    phi_p = phi @ p
    information = 0.5 * (
        np.einsum("ag,bg,g,g->ab", SLOPES, SLOPES, weight**2, groups.count)
        - 2 * np.einsum("ij,abji->ab", phi, q)
        + np.einsum("aij,bji->ab", phi_p, phi_p)
    )
    w = np.linalg.inv(information)
    middle = np.einsum("ab,abij->ij", w, q) - np.einsum("ab,aij,jk,bkl->il", w, p, phi, p)
    adjusted = phi + 2 * phi @ middle @ phi
    relative = np.einsum("aij,ji->ai", phi_p, phi) / np.diag(phi)
    return np.sqrt(np.diag(adjusted)), 2 / np.einsum("ab,ai,bi->i", w, relative, relative)
