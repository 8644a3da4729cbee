"""What a replication would have to show: sceptical P values and predictive probabilities.

The relative size `c` is the variance of the original estimate over that of the replication, which
is the ratio of sample sizes where the designs agree. All formulas are of convention N.

References
----------
.. [1] Held L. A new standard for the analysis and design of replication studies. Journal of the
   Royal Statistical Society A 2020;183(2):431-448.
.. [2] Held L, Micheloud C, Pawel S. The assessment of replication success based on relative effect
   size. Annals of Applied Statistics 2022;16(2):706-720.
.. [3] Micheloud C, Balabdaoui F, Held L. Assessing replicability with the sceptical p-value: Type-I
   error control and sample size planning. Statistica Neerlandica 2023, doi:10.1111/stan.12312.
.. [4] Goodman SN. A comment on replication, p-values and evidence. Statistics in Medicine
   1992;11(7):875-879.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from bayes_ptsd.errors import SpecError, nearest
from bayes_ptsd.priors import Prior

__all__ = [
    "CRITICAL_Z",
    "SCEPTICAL_CALIBRATIONS",
    "conditional_replication_probability",
    "replication_probability",
    "sceptical_null_survival",
    "sceptical_p_value",
    "sceptical_z",
]

SCEPTICAL_CALIBRATIONS = ("nominal", "golden", "controlled")
# by which the golden calibration multiplies zS^2 [2]
GOLDEN_RATIO = (1 + math.sqrt(5)) / 2
# of two-sided P < .05
CRITICAL_Z = float(special.ndtri(0.975))
LOG_TANGENT = np.linspace(-40.0, 40.0, 4001)
"""Beyond 40 lies an angle of 1e-17; steps of .02 resolve the peak at a tail of 1e-300."""
# the step times the density of the log tangent of a uniform angle, 1 / (pi cosh)
ANGLE_WEIGHT = (LOG_TANGENT[1] - LOG_TANGENT[0]) / math.pi / np.cosh(LOG_TANGENT)


def sceptical_z(zo: float, zr: float, *, c: float) -> float:
    """Return the z value of the sceptical P value; `zo` and `zr` must share their sign.

    Root of ``(zo^2/zS^2 - 1) (zr^2/zS^2 - 1) = c`` between 0 and both z values [1]_. With c = 1 its
    square is half the harmonic mean of the squared z values.
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

    In the direction of the original; twice it is the two-sided one. Nominal: ``1 - Phi(zS)`` [1]_.
    Golden: ``1 - Phi(zS sqrt(1.618))``, so that an original at the threshold needs a replication
    estimate at least as large [2]_. Controlled: ``sqrt(P(ZS >= zS)) / 2`` under no effect in both
    studies, so that the rate of success at level alpha is ``alpha^2`` as for two independent trials
    [3]_.
    """
    if calibration not in SCEPTICAL_CALIBRATIONS:
        known = nearest(calibration, SCEPTICAL_CALIBRATIONS)
        raise SpecError(f"unknown calibration '{calibration}'{known}")
    zs = sceptical_z(zo, zr, c=c)
    if calibration == "controlled":
        return math.sqrt(sceptical_null_survival(zs, c=c)) / 2
    return float(special.ndtr(-zs * (math.sqrt(GOLDEN_RATIO) if calibration == "golden" else 1)))


def sceptical_null_survival(zs: float, *, c: float) -> float:
    """Return ``P(ZS >= zs)`` for independent standard normal zo and zr [3]_.

    The formula is taken for either pair of signs; for c = 1 it is the upper tail of a gamma
    distribution with shape 1/2 and rate 2 at ``zs^2``. ZS is the distance of (zo, zr) from the
    origin times a function of their angle, and the square of that distance is exponential with mean
    2, so that ``P(ZS >= zs) = E exp(-u zs^2 / 2)`` with ``u = 1/ZS^2`` on the unit circle and a
    uniform angle: a finite integral, by the trapezoidal rule in the logarithm of the angle's
    tangent.
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

    Two-sided P below .05 with the sign of `direction`: ``Phi((m - 1.96 s / sqrt c) / sqrt(v + s^2 /
    c))``, s the standard error `se` of the original estimate, summed over the components of a
    normal mixture.
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

    ``Phi(|z| sqrt c - 1.96)``: probability of a two-sided P below .05 in the same direction,
    without any uncertainty about the effect [4]_.
    """
    _check_size(c)
    return float(special.ndtr(abs(z) * math.sqrt(c) - CRITICAL_Z))


def _check_size(c: float) -> None:
    """Refuse a replication of no size."""
    if not (math.isfinite(c) and c > 0):
        raise SpecError(f"the relative size c of a replication must be positive, got {c}")
