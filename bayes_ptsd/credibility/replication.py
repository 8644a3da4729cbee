"""What a replication would have to show: sceptical P values and predictive probabilities.

The relative size `c` is the variance of the original estimate over that of the replication, which
is the ratio of sample sizes where the designs agree. All formulas are of convention N.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import special, stats

from bayes_ptsd.errors import SpecError, nearest
from bayes_ptsd.priors import Prior

__all__ = [
    "SCEPTICAL_CALIBRATIONS",
    "conditional_replication_probability",
    "replication_probability",
    "sceptical_null_survival",
    "sceptical_p_value",
    "sceptical_z",
]

SCEPTICAL_CALIBRATIONS = ("nominal", "golden", "controlled")
GOLDEN_RATIO = (1 + math.sqrt(5)) / 2
CRITICAL_Z = float(stats.norm.ppf(0.975))
LOG_TANGENT = np.linspace(-40.0, 40.0, 4001)
"""Beyond 40 lies an angle of 1e-17; steps of .02 resolve the peak at a tail of 1e-300."""
ANGLE_WEIGHT = (LOG_TANGENT[1] - LOG_TANGENT[0]) / math.pi / np.cosh(LOG_TANGENT)


def sceptical_z(zo: float, zr: float, *, c: float) -> float:
    """Return the z value of the sceptical P value.

    Parameters
    ----------
    zo, zr : float
        z values of the original study and the replication; they must share their sign.
    c : float
        Relative size of the replication, positive.

    Returns
    -------
    float
        Root of ``(zo^2/zS^2 - 1) (zr^2/zS^2 - 1) = c`` between 0 and both z values [1]_. With
        c = 1 its square is half the harmonic mean of the squared z values.

    Raises
    ------
    SpecError
        If `c` is not positive or the z values do not share their sign.

    References
    ----------
    .. [1] Held L. A new standard for the analysis and design of replication studies. Journal of
       the Royal Statistical Society A 2020;183(2):431-448.

    Examples
    --------
    >>> round(sceptical_z(2.5, 2.5, c=1), 4) == round(2.5 / 2**0.5, 4)
    True
    """
    _check_size(c)
    if not zo * zr > 0:
        raise SpecError(
            f"the sceptical P value is defined only for a replication with the sign of the "
            f"original: zo = {zo:.4g}, zr = {zr:.4g}"
        )
    arithmetic = (zo**2 + zr**2) / 2
    harmonic = 2 / (1 / zo**2 + 1 / zr**2)
    root = math.sqrt(arithmetic * (arithmetic + (c - 1) * harmonic))
    return math.sqrt(arithmetic * harmonic / (root + arithmetic))


def sceptical_p_value(zo: float, zr: float, *, c: float, calibration: str = "golden") -> float:
    """Return the one-sided sceptical P value of an original study and its replication.

    Parameters
    ----------
    zo, zr : float
        z values of the original study and the replication; they must share their sign.
    c : float
        Relative size of the replication, positive.
    calibration : {"nominal", "golden", "controlled"}, optional
        Nominal: ``1 - Phi(zS)`` [1]_. Golden: ``1 - Phi(zS sqrt(1.618))``, so that an original
        at the threshold needs a replication estimate at least as large [2]_. Controlled:
        ``sqrt(P(ZS >= zS)) / 2`` under no effect in both studies, so that the rate of success at
        level alpha is ``alpha^2`` as for two independent trials [3]_.

    Returns
    -------
    float
        One-sided P value in the direction of the original; twice it is the two-sided one.

    Raises
    ------
    SpecError
        If `c` is not positive, the signs differ, or the calibration is unknown.

    References
    ----------
    .. [1] Held L. A new standard for the analysis and design of replication studies. Journal of
       the Royal Statistical Society A 2020;183(2):431-448.
    .. [2] Held L, Micheloud C, Pawel S. The assessment of replication success based on relative
       effect size. Annals of Applied Statistics 2022;16(2):706-720.
    .. [3] Micheloud C, Balabdaoui F, Held L. Assessing replicability with the sceptical p-value:
       Type-I error control and sample size planning. Statistica Neerlandica 2023,
       doi:10.1111/stan.12312.

    Examples
    --------
    >>> [round(sceptical_p_value(2.4523, 2.4523, c=1, calibration=k), 4)
    ...  for k in SCEPTICAL_CALIBRATIONS]
    [0.0415, 0.0137, 0.0114]
    """
    if calibration not in SCEPTICAL_CALIBRATIONS:
        known = nearest(calibration, SCEPTICAL_CALIBRATIONS)
        raise SpecError(f"unknown calibration '{calibration}'{known}")
    zs = sceptical_z(zo, zr, c=c)
    if calibration == "controlled":
        return math.sqrt(sceptical_null_survival(zs, c=c)) / 2
    return float(stats.norm.sf(zs * (math.sqrt(GOLDEN_RATIO) if calibration == "golden" else 1)))


def sceptical_null_survival(zs: float, *, c: float) -> float:
    """Return the chance of a sceptical z value this large when neither study has an effect.

    Parameters
    ----------
    zs : float
        Sceptical z value, not negative.
    c : float
        Relative size of the replication, positive.

    Returns
    -------
    float
        ``P(ZS >= zs)`` for independent standard normal zo and zr, the formula taken for either
        pair of signs. For c = 1 it is the upper tail of a gamma distribution with shape 1/2 and
        rate 2 at ``zs^2``.

    Raises
    ------
    SpecError
        If `c` is not positive or `zs` is negative.

    Notes
    -----
    ZS is the distance of (zo, zr) from the origin times a function of their angle, and the square
    of that distance is exponential with mean 2, so that ``P(ZS >= zs) = E exp(-u zs^2 / 2)`` with
    ``u = 1/ZS^2`` on the unit circle and a uniform angle: a finite integral, by the trapezoidal
    rule in the logarithm of the angle's tangent.

    References
    ----------
    .. [1] Micheloud C, Balabdaoui F, Held L. Assessing replicability with the sceptical p-value:
       Type-I error control and sample size planning. Statistica Neerlandica 2023,
       doi:10.1111/stan.12312.

    Examples
    --------
    >>> round(sceptical_null_survival(1.5, c=1.0), 6), round(sceptical_null_survival(1.5, c=2), 6)
    (0.0027, 0.001052)
    """
    _check_size(c)
    if not zs >= 0:
        raise SpecError(f"a sceptical z value is not negative, got {zs}")
    original, replication = np.exp(LOG_TANGENT), np.exp(-LOG_TANGENT)
    # (zo^2 u - 1)(zr^2 u - 1) = c, solved for u where zo^2 + zr^2 = 1
    root = np.hypot(original - replication, 2 * math.sqrt(c))
    u = (original + replication) * (original + replication + root) / 2
    survival = float(ANGLE_WEIGHT @ np.exp(-u * zs**2 / 2))
    return min(survival, 1.0)


def replication_probability(posterior: Prior, *, se: float, c: float, direction: float) -> float:
    """Return the predictive probability that a replication agrees with the original.

    Parameters
    ----------
    posterior : Prior
        Posterior of the treatment difference: a normal or a mixture of normals, score units.
    se : float
        Standard error of the original estimate; the replication's is ``se / sqrt(c)``.
    c : float
        Relative size of the replication, positive.
    direction : float
        Its sign is the direction of the original estimate.

    Returns
    -------
    float
        Probability of a two-sided P below .05 in that direction,
        ``Phi((m - 1.96 s / sqrt c) / sqrt(v + s^2 / c))`` summed over the components.

    Raises
    ------
    SpecError
        If `c` or `se` is not positive, `direction` is zero, or the posterior is not normal.

    Examples
    --------
    >>> from bayes_ptsd.priors import normal
    >>> round(replication_probability(normal(12.7, 5.1787), se=5.1787, c=1, direction=1), 4)
    0.6361
    """
    _check_size(c)
    if not se > 0 or not abs(direction) > 0:
        raise SpecError(f"se must be positive and direction not 0, got {se} and {direction}")
    parts = posterior.components if posterior.dist == "mixture" else (posterior,)
    if {part.dist for part in parts} != {"normal"}:
        raise SpecError(f"{posterior.formula} is not a normal posterior or a mixture of them")
    mu, sigma = (np.array([part.params[key] for part in parts]) for key in ("mu", "sigma"))
    spread = se / math.sqrt(c)
    mean = math.copysign(1, direction) * mu
    tails = special.ndtr((mean - CRITICAL_Z * spread) / np.hypot(sigma, spread))
    return float(np.dot(posterior.weights or (1.0,), tails))


def conditional_replication_probability(z: float, *, c: float) -> float:
    """Return the power of a replication if the original estimate were the truth.

    Parameters
    ----------
    z : float
        z value of the original study.
    c : float
        Relative size of the replication, positive.

    Returns
    -------
    float
        ``Phi(|z| sqrt c - 1.96)``: probability of a two-sided P below .05 in the same direction,
        without any uncertainty about the effect [1]_.

    Raises
    ------
    SpecError
        If `c` is not positive.

    References
    ----------
    .. [1] Goodman SN. A comment on replication, p-values and evidence. Statistics in Medicine
       1992;11(7):875-879.

    Examples
    --------
    >>> round(conditional_replication_probability(1.959964, c=1), 3)
    0.5
    """
    _check_size(c)
    return float(special.ndtr(abs(z) * math.sqrt(c) - CRITICAL_Z))


def _check_size(c: float) -> None:
    """Refuse a replication of no size."""
    if not (math.isfinite(c) and c > 0):
        raise SpecError(f"the relative size c of a replication must be positive, got {c}")
