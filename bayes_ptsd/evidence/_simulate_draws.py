"""What simulated patients are drawn from: designs, means, errors, and what is written down.

Measurements of a patient are ordered: baselines, then the visits of period 1, then of period 2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import xarray as xr
from scipy import special

from bayes_ptsd.errors import SpecError, refuse_unknown_keys
from bayes_ptsd.evidence.patient_arrays import ONLY_VISIT
from bayes_ptsd.evidence.patient_checks import Orders
from bayes_ptsd.evidence.simulate_parts import (
    Baseline,
    FloatArray,
    Variation,
    to_categories,
)
from bayes_ptsd.trial import Endpoint, Trial

__all__ = [
    "Link",
    "blank_patients",
    "choose_cutpoints",
    "count_baselines",
    "draw_errors",
    "mean_scores",
    "measurement_covariance",
    "measurement_means",
    "per_visit",
    "periods_of",
    "record",
    "visits_of",
]

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
    joint = np.outer(sd, sd) * np.where(np.eye(sd.size) == 1, 1.0, baseline.correlation)
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
