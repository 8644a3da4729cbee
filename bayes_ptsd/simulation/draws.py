"""What simulated patients are drawn from: designs, means, errors, losses, and what is written down.

Measurements of a patient are ordered: baselines, then the visits of period 1, then of period 2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import special

from bayes_ptsd.errors import SpecError, refuse_unknown_keys
from bayes_ptsd.evidence.intervals import FloatArray
from bayes_ptsd.evidence.patient_arrays import ONLY_VISIT
from bayes_ptsd.evidence.patient_checks import Orders
from bayes_ptsd.gaussian.covariance import correlation_matrix, covariance_matrix
from bayes_ptsd.trial import Endpoint, Trial

__all__ = [
    "Baseline",
    "Link",
    "Missingness",
    "Variation",
    "blank_patients",
    "choose_cutpoints",
    "count_baselines",
    "draw_errors",
    "lost",
    "mean_scores",
    "measurement_covariance",
    "measurement_means",
    "per_visit",
    "periods_of",
    "record",
    "to_categories",
    "visits_of",
]

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
        correlation, times = np.asarray(self.visit_correlation), np.asarray(days)
        matrix = correlation_matrix(
            self.visit_structure, len(times), correlation=correlation, days=times
        )
        return np.asarray(matrix, dtype=np.float64)

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
        between = correlation_matrix("compound", periods, correlation=np.asarray(self.correlation))
        scores = covariance_matrix(between, sd)
        return np.asarray(np.kron(scores, visits), dtype=np.float64)


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


Link = Literal["logit", "probit"]


def periods_of(trial: Trial) -> list[int]:
    """Return the periods of a trial."""
    return [1, 2] if trial.design == "crossover" else [1]


def orders_of(trial: Trial) -> Orders:
    """Return the order of treatments by sequence; in a parallel trial a treatment is one."""
    return (
        dict(trial.sequences)
        if trial.design == "crossover"
        else {trial.active: (trial.active,), trial.control: (trial.control,)}
    )


def visits_of(trial: Trial) -> tuple[list[str], list[float]]:
    """Return the labels of the visits and their times in days."""
    return list(trial.visits) or [ONLY_VISIT], [h / 24 for h in trial.visits.values()] or [0.0]


def per_visit(value: float | Sequence[float], trial: Trial, name: str) -> FloatArray:
    """Return one number a visit."""
    count = len(visits_of(trial)[0])
    numbers = np.atleast_1d(np.asarray(value, dtype=float))
    if numbers.size not in (1, count) or not np.isfinite(numbers).all():
        raise SpecError(f"'{name}' needs one finite number, or one for each of {count} visits")
    return np.broadcast_to(numbers, count)


def mean_scores(
    trial: Trial,
    target: Endpoint,
    *,
    level: float | Sequence[float] | None,
    treatment: float | Sequence[float],
    period: float,
    carryover: float,
) -> xr.DataArray:
    """Return the mean score of each sequence, period and visit."""
    if level is None:
        middle = target.kind == "continuous" and target.range
        level = sum(target.range) / 2 if middle and target.range else 0.0
    orders = orders_of(trial)
    active = np.array([[name == trial.active for name in order] for order in orders.values()])
    second = np.array(periods_of(trial)) == 2
    benefit = active[..., None] * per_visit(treatment, trial, "treatment")
    benefit = benefit + carryover * (active[:, :1] & second)[..., None]
    mean = per_visit(level, trial, "level") + period * second[:, None]
    return xr.DataArray(
        mean + target.benefit_sign * benefit,
        dims=("sequence", "period", "visit"),
        coords={
            "sequence": list(orders),
            "period": periods_of(trial),
            "visit": visits_of(trial)[0],
        },
    )


def blank_patients(
    trial: Trial, target: Endpoint, n_by_sequence: int | Mapping[str, int]
) -> xr.DataArray:
    """Return the patients without their scores."""
    orders = orders_of(trial)
    if not isinstance(n_by_sequence, Mapping):
        n_by_sequence = dict.fromkeys(orders, n_by_sequence)
    refuse_unknown_keys(n_by_sequence, orders, "n_by_sequence", error=SpecError)
    counts = [n_by_sequence.get(key, 0) for key in orders]
    if min(counts) < 1:
        raise SpecError(f"'n_by_sequence' needs at least 1 patient in each of {', '.join(orders)}")
    sequence = np.repeat(list(orders), counts)
    width = len(str(len(sequence)))
    visits, days = visits_of(trial)
    shape = (len(sequence), len(periods_of(trial)), len(visits), 1)
    blank = xr.DataArray(
        np.full(shape, np.nan),
        dims=("subject", "period", "visit", "endpoint"),
        coords={
            "subject": [f"s{number + 1:0{width}d}" for number in range(len(sequence))],
            "period": periods_of(trial),
            "visit": visits,
            "endpoint": [target.id],
            "sequence": ("subject", sequence),
            "treatment": (("subject", "period"), np.array([orders[key] for key in sequence])),
        },
    )
    return blank.assign_coords(hours=("visit", np.array(days) * 24)) if trial.visits else blank


def count_baselines(baseline: Baseline | None) -> int:
    """Return how many baselines a patient has."""
    return 0 if baseline is None else 1 + baseline.each_period


def measurement_means(
    trial: Trial,
    target: Endpoint,
    blank: xr.DataArray,
    *,
    mean: xr.DataArray,
    baseline: Baseline | None,
) -> FloatArray:
    """Return the means of a patient's measurements: baselines, then visits within periods."""
    after = mean.sel(sequence=blank["sequence"]).transpose(..., "period", "visit").values
    after = after.reshape(len(blank), -1)
    if baseline is None:
        return after
    before = np.full((len(blank), count_baselines(baseline)), baseline.mean)
    first_active = (blank["treatment"][:, 0] == trial.active).values
    before[:, 1:] += target.benefit_sign * baseline.carryover * first_active[:, None]
    return np.concatenate([before, after], axis=1)


def measurement_covariance(
    trial: Trial, variation: Variation, baseline: Baseline | None
) -> FloatArray:
    """Return the covariance of a patient's measurements of a continuous endpoint."""
    scores = variation.covariance(len(periods_of(trial)), visits_of(trial)[1])
    if baseline is None:
        return scores
    sd = np.sqrt(np.diag(scores))
    first = [sd[0] if baseline.sd is None else baseline.sd] * count_baselines(baseline)
    sd = np.concatenate([first, sd])
    same = correlation_matrix("compound", sd.size, correlation=np.asarray(baseline.correlation))
    joint = np.asarray(covariance_matrix(same, sd), dtype=np.float64)
    joint[len(first) :, len(first) :] = scores
    return joint


def draw_errors(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    trial: Trial,
    target: Endpoint,
    variation: Variation,
    *,
    baseline: Baseline | None,
    link: Link,
) -> FloatArray:
    """Draw what differs between patients and within them."""
    if target.kind == "continuous":
        return _normal(rng, shape[0], measurement_covariance(trial, variation, baseline))
    within = np.eye(shape[1])
    skip = count_baselines(baseline)
    visits = variation.visits(visits_of(trial)[1])
    within[skip:, skip:] = np.kron(np.eye(len(periods_of(trial))), visits)
    error = _normal(rng, shape[0], within)
    if link == "logit":
        error = special.logit(special.ndtr(error))
    return rng.normal(0.0, np.sqrt(variation.subject_variance()), (shape[0], 1)) + error


def _normal(rng: np.random.Generator, count: int, covariance: FloatArray) -> FloatArray:
    """Draw from a centered normal distribution."""
    center = np.zeros(len(covariance))
    try:
        return rng.multivariate_normal(
            center, covariance, size=count, check_valid="raise", method="eigh"
        )
    except ValueError as error:
        raise SpecError(
            "no patients can have these correlations at once; bring the correlations of "
            "baseline, visits and periods closer together"
        ) from error


def choose_cutpoints(target: Endpoint, cutpoints: Sequence[float] | None) -> Sequence[float]:
    """Return the cutpoints of an ordinal or binary endpoint, none of a continuous one."""
    if target.kind == "continuous":
        if cutpoints is not None:
            raise SpecError(f"endpoint '{target.id}' is continuous and has no cutpoints")
        return []
    wanted = 1 if target.kind == "binary" else None
    if target.kind == "ordinal" and target.range:
        wanted = int(target.range[1] - target.range[0])
    if cutpoints is None and wanted is None:
        raise SpecError(f"endpoint '{target.id}' has no range: give its cutpoints")
    if cutpoints is None:
        return [0.0] if wanted == 1 else [float(cut) for cut in np.linspace(-2, 2, wanted or 1)]
    if wanted not in (None, len(cutpoints)):
        raise SpecError(f"endpoint '{target.id}' needs {wanted} cutpoints, got {len(cutpoints)}")
    return cutpoints


def record(
    latent: FloatArray, target: Endpoint, cuts: Sequence[float], *, decimals: int | None
) -> FloatArray:
    """Return scores as a rater would write them down."""
    if target.kind == "binary":
        return to_categories(latent, cuts, lowest=0)
    if target.kind == "ordinal":
        return to_categories(latent, cuts, lowest=int(target.range[0]) if target.range else 1)
    scores = latent if decimals is None else np.round(latent, decimals)
    return scores if target.range is None else np.clip(scores, *target.range)
