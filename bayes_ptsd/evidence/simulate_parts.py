"""Parts of a simulated trial: how scores vary together, become categories and get lost.

Each part is a small value that is checked when it is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import special

from bayes_ptsd.errors import SpecError

__all__ = ["Baseline", "Missingness", "Variation", "lost", "to_categories"]

FloatArray: TypeAlias = NDArray[np.float64]
BoolArray: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True)
class Variation:
    """How the scores of a patient vary and go together, in score units.

    Either `sd_subject` and `sd_within` (a random intercept) or `sd_total` and `correlation` (a
    bivariate distribution of the two periods, in which the correlation may be negative).

    Attributes
    ----------
    sd_subject : float, optional
        Standard deviation between patients; 1 unless `correlation` is given. For ordinal and binary
        outcomes on the scale of the link.
    sd_within : float or pair of float, optional
        Standard deviation within a patient and period, or one per period; 1 unless `correlation`
        is given. Fixed by the link for ordinal and binary outcomes.
    sd_total : float or pair of float, optional
        Standard deviation of a score, or one per period.
    correlation : float, optional
        Between the two periods of a patient at the same visit.
    visit_correlation : float
        Between visits of the same period; of what `sd_subject` does not explain, if that is given.
        With the structure ``autoregressive``, between visits one day apart.
    visit_structure : {"compound", "autoregressive"}
        The same correlation for all visits, or ``visit_correlation ** days`` apart.
    """

    sd_subject: float | None = None
    sd_within: float | tuple[float, float] | None = None
    sd_total: float | tuple[float, float] | None = None
    correlation: float | None = None
    visit_correlation: float = 0.0
    visit_structure: Literal["compound", "autoregressive"] = "compound"

    def __post_init__(self) -> None:
        """Refuse what is no covariance."""
        intercept = self.sd_subject is not None or self.sd_within is not None
        if (self.sd_total is None) != (self.correlation is None):
            raise SpecError("'sd_total' and 'correlation' come together; give both or neither")
        if intercept and self.correlation is not None:
            raise SpecError(
                "give 'sd_subject' and 'sd_within', or 'sd_total' and 'correlation', not both"
            )
        for name in ("sd_subject", "sd_within", "sd_total"):
            value = getattr(self, name)
            if value is not None and not (np.isfinite(value).all() and np.min(value) >= 0):
                raise SpecError(f"'{name}' must not be negative, got {value}")
        for name in ("correlation", "visit_correlation"):
            value = getattr(self, name)
            if value is not None and not -1 <= value <= 1:
                raise SpecError(f"'{name}' must be between -1 and 1, got {value}")
        if self.visit_structure not in ("compound", "autoregressive"):
            raise SpecError(
                f"'visit_structure' is '{self.visit_structure}'; compound or autoregressive"
            )
        if self.visit_structure == "autoregressive" and self.visit_correlation < 0:
            raise SpecError("an autoregressive 'visit_correlation' must not be negative")

    def subject_variance(self) -> float:
        """Return the variance of the patients' random intercept."""
        return float(1.0 if self.sd_subject is None else self.sd_subject) ** 2

    def visits(self, days: Sequence[float]) -> FloatArray:
        """Return the correlation matrix of visits, given their times in days."""
        gaps = np.abs(np.subtract.outer(days, days))
        same = gaps == 0
        if self.visit_structure == "compound":
            return np.where(same, 1.0, self.visit_correlation)
        return np.asarray(np.where(same, 1.0, self.visit_correlation**gaps))

    def covariance(self, periods: int, days: Sequence[float]) -> FloatArray:
        """Return the covariance matrix of the scores of one patient, period 1 and its visits first.

        `days` are the times of the visits; a pair of standard deviations needs two periods.
        """
        visits = self.visits(days)
        if self.correlation is None:
            sd = _per_period(self.sd_within, periods, "sd_within")
            within = np.asarray(np.kron(np.diag(sd**2), visits), dtype=float)
            return within + self.subject_variance()
        sd = _per_period(self.sd_total, periods, "sd_total")
        between = np.where(np.eye(periods) == 1, 1.0, self.correlation)
        return np.asarray(np.kron(np.outer(sd, sd) * between, visits), dtype=float)


@dataclass(frozen=True)
class Baseline:
    """A score before treatment.

    Attributes
    ----------
    mean : float
        Its mean, in score units (on the scale of the link for ordinal and binary outcomes).
    sd : float, optional
        Its standard deviation; that of the first score if not given. Continuous outcomes only.
    correlation : float
        With every other measurement of the patient. Continuous outcomes only: ordinal and binary
        baselines share the patient's random intercept instead.
    each_period : bool
        Whether there is one before each period, or only before the first.
    carryover : float
        Benefit that remains, before period 2, of the active treatment of period 1, in score units.
    """

    mean: float
    sd: float | None = None
    correlation: float = 0.0
    each_period: bool = False
    carryover: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is no distribution."""
        if self.sd is not None and self.sd < 0:
            raise SpecError(f"'sd' of the baseline must not be negative, got {self.sd}")
        if not -1 <= self.correlation <= 1:
            raise SpecError(f"'correlation' of the baseline is {self.correlation}; -1 to 1")


@dataclass(frozen=True)
class Missingness:
    """How scores get lost; all ways that are given apply.

    Attributes
    ----------
    at_random : float
        Probability that a score is missing, each on its own.
    dropout : float
        Probability to leave for good after a scored occasion (a visit of a period).
    remission : float, optional
        Patients whose last score of period 1 is better than this have no second period.
    remission_after : {"active", "any"}
        Whether that holds only after the active treatment.
    by_value : float
        Probability that an average score is missing because of its value (not at random).
    by_value_slope : float
        Log odds ratio of that per standard deviation; positive: higher scores get lost more.
    """

    at_random: float = 0.0
    dropout: float = 0.0
    remission: float | None = None
    remission_after: Literal["active", "any"] = "active"
    by_value: float = 0.0
    by_value_slope: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is no probability."""
        for name in ("at_random", "dropout", "by_value"):
            if not 0 <= getattr(self, name) < 1:
                raise SpecError(
                    f"'{name}' must be a probability below 1, got {getattr(self, name)}"
                )
        if self.remission_after not in ("active", "any"):
            raise SpecError(f"'remission_after' is '{self.remission_after}'; active or any")


def lost(
    missingness: Missingness,
    scores: FloatArray,
    *,
    active: BoolArray,
    benefit_sign: int,
    rng: np.random.Generator,
) -> BoolArray:
    """Draw which scores are missing, dims (subject, period, visit).

    `active` has dims (subject, period); `benefit_sign` is that of the endpoint.
    """
    missing = rng.random(scores.shape) < missingness.at_random
    occasions = scores.reshape(len(scores), -1)
    left = np.cumsum(rng.random(occasions.shape) < missingness.dropout, axis=1)
    missing |= (np.pad(left, ((0, 0), (1, 0)))[:, :-1] > 0).reshape(scores.shape)
    if missingness.by_value:
        standard = (scores - scores.mean()) / (scores.std() or 1.0)
        logit = special.logit(missingness.by_value) + missingness.by_value_slope * standard
        missing |= rng.random(scores.shape) < special.expit(logit)
    if missingness.remission is not None:
        remitted = benefit_sign * (scores[:, 0, -1] - missingness.remission) > 0
        missing[remitted & (active[:, 0] | (missingness.remission_after == "any")), 1:] = True
    return missing


def to_categories(latent: FloatArray, cutpoints: Sequence[float], *, lowest: int) -> FloatArray:
    """Return the category of each latent value: `lowest` plus the increasing cutpoints below."""
    cuts = np.asarray(cutpoints, dtype=float)
    if cuts.size == 0 or not (np.diff(cuts) > 0).all():
        raise SpecError(f"cutpoints must increase, got {list(cutpoints)}")
    return np.asarray(lowest + np.searchsorted(cuts, latent), dtype=float)


def _per_period(value: float | tuple[float, float] | None, periods: int, name: str) -> FloatArray:
    """Return one standard deviation a period."""
    sd = np.atleast_1d(np.asarray(1.0 if value is None else value, dtype=float))
    if sd.size not in (1, periods):
        raise SpecError(f"'{name}' has {sd.size} values for {periods} period(s)")
    return np.broadcast_to(sd, periods)
