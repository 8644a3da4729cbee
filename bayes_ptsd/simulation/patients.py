"""Patients of a trial whose truth is known.

Scores are simulated in the units in which they would be recorded; effects of treatment are given
as benefit, so that the same number is an improvement whichever direction is better.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, Literal, get_args

import numpy as np
import xarray as xr

from bayes_ptsd.errors import SpecError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.evidence.intervals import FloatArray
from bayes_ptsd.evidence.patient_arrays import outcome_tree
from bayes_ptsd.evidence.patient_checks import check_design
from bayes_ptsd.simulation.draws import (
    Baseline,
    Link,
    Missingness,
    Variation,
    blank_patients,
    choose_cutpoints,
    count_baselines,
    draw_errors,
    lost,
    mean_scores,
    measurement_covariance,
    measurement_means,
    per_visit,
    periods_of,
    record,
    visits_of,
)
from bayes_ptsd.trial import Endpoint, Trial

__all__ = ["Baseline", "Missingness", "made_up_trial", "simulate_trial"]

Structure = Literal["compound", "autoregressive"]


def made_up_trial(
    design: Literal["crossover", "parallel"] = "crossover",
    *,
    kind: Literal["continuous", "ordinal", "binary"] = "continuous",
    better: Literal["lower", "higher"] = "higher",
    range: tuple[float, float] | None = None,
    visits: Mapping[str, float] | None = None,
) -> Trial:
    """Return a trial of treatments A (active) and B with one endpoint, ``score``.

    `visits` are hours after treatment by label, `range` the possible scores.
    """
    return Trial(
        name="simulated",
        title="Simulated trial",
        design=design,
        active="A",
        control="B",
        endpoints={"score": Endpoint("score", "Score", kind, better, range=range)},
        sequences={"AB": ("A", "B"), "BA": ("B", "A")} if design == "crossover" else {},
        visits=dict(visits or {}),
    )


def simulate_trial(
    trial: Trial | None = None,
    endpoint: str | None = None,
    *,
    n_by_sequence: int | Mapping[str, int],
    seed: int,
    treatment: float | Sequence[float] = 0.0,
    period: float = 0.0,
    carryover: float = 0.0,
    level: float | Sequence[float] | None = None,
    sd_subject: float | None = None,
    sd_within: float | tuple[float, float] | None = None,
    sd_total: float | tuple[float, float] | None = None,
    correlation: float | None = None,
    visit_correlation: float = 0.0,
    visit_structure: Structure = "compound",
    baseline: Baseline | None = None,
    missingness: Missingness | None = None,
    cutpoints: Sequence[float] | None = None,
    link: Link = "logit",
    decimals: int | None = None,
) -> Evidence:
    """Simulate the patients of a two-treatment trial.

    Parameters
    ----------
    trial : Trial, optional
        A crossover or a parallel trial, with its visits; `made_up_trial` otherwise.
    endpoint : str, optional
        Which one; the first of the trial otherwise.
    n_by_sequence : int or mapping of str to int
        Patients per sequence (per treatment in a parallel trial).
    seed : int
        The same seed gives the same patients.
    treatment : float or sequence of float
        Benefit of the active treatment over the control, or one per visit: in score units for a
        continuous endpoint, else on the scale of the link.
    period : float
        Second minus first period, in units as recorded.
    carryover : float
        Benefit that the active treatment of period 1 still has in period 2.
    level : float or sequence of float, optional
        Mean under the control in period 1, or one per visit; the middle of the endpoint's range,
        else 0. For ordinal and binary endpoints on the scale of the link, 0 if not given.
    sd_subject, sd_within : float, optional
        Between patients, and within a patient (or a pair, one per period). Default 1 and 1.
        Ordinal and binary endpoints take `sd_subject` only, on the scale of the link.
    sd_total, correlation : float, optional
        Instead of those two: of a score (or a pair, one per period), and between the periods;
        the correlation may be negative.
    visit_correlation : float
        Between visits of one period, given the patient; one day apart if autoregressive.
    visit_structure : {"compound", "autoregressive"}
        How it depends on time.
    baseline : Baseline, optional
        A score before treatment.
    missingness : Missingness, optional
        How scores get lost; none otherwise.
    cutpoints : sequence of float, optional
        Of an ordinal (or binary) endpoint, on the scale of the link; evenly spaced from -2 to 2
        (or 0) otherwise.
    link : {"logit", "probit"}
        Of ordinal and binary endpoints.
    decimals : int, optional
        To which a continuous score is rounded.

    Returns
    -------
    Evidence
        Of kind ``simulated``, laid out as `load_patients` does. Node ``truth`` has the parameters
        (``treatment_effect(visit)``, ``period_effect``, ``carryover``, ...),
        ``mean(sequence, period, visit)`` (before rounding, limits and cutpoints),
        ``covariance(measure, other)`` of a continuous endpoint, and ``complete``, the scores before
        any got lost.

    Raises
    ------
    SpecError
        If parameters contradict each other, the trial or the kind of endpoint.

    Notes
    -----
    A continuous score of patient i in period p at visit v is ``level[v] + period [p=2] + s
    (treatment[v] K[p] + carryover K[1] [p=2]) + e``, K = 1 under the active treatment, s the
    benefit sign of the endpoint, e normal; it is then rounded and held to the endpoint's range.
    An ordinal score is the category of the same sum with a normal patient effect and a logistic
    (or normal) error.

    Examples
    --------
    >>> evidence = simulate_trial(
    ...     n_by_sequence={"AB": 12, "BA": 11}, treatment=2.0, sd_within=0.5, seed=1
    ... )
    >>> evidence.data["outcomes"].sizes["subject"], evidence.data["truth"]["carryover"].item()
    (23, 0.0)
    """
    trial = _prepared(trial or made_up_trial())
    target = trial.endpoint(endpoint or next(iter(trial.endpoints)))
    sizes = (sd_subject, sd_within, sd_total, correlation, visit_correlation, visit_structure)
    variation = Variation(*sizes)
    _check(trial, target, variation, baseline=baseline, effects=(period, carryover), link=link)
    mean = mean_scores(
        trial, target, level=level, treatment=treatment, period=period, carryover=carryover
    )
    blank = blank_patients(trial, target, n_by_sequence)
    rng = np.random.default_rng(seed)
    means = measurement_means(trial, target, blank, mean=mean, baseline=baseline)
    errors = draw_errors(rng, means.shape, trial, target, variation, baseline=baseline, link=link)
    cuts = choose_cutpoints(target, cutpoints)
    scores = record(means + errors, target, cuts, decimals=decimals)
    complete = blank.copy(data=scores[:, -blank[0].size :].reshape(blank.shape))
    values = _observed(complete, trial, target, missingness=missingness, rng=rng)
    truth = _truth(trial, target, variation, mean=mean, baseline=baseline).assign(
        treatment_effect=("visit", per_visit(treatment, trial, "treatment")),
        period_effect=period,
        carryover=carryover,
        cutpoints=("cutpoint", np.array(cuts, dtype=float)),
        seed=seed,
        complete=complete[..., 0].drop_vars(["sequence", "treatment", "endpoint"]),
        **{f"missingness_{name}": value for name, value in _given(missingness)},
    )
    tree = outcome_tree(values, baseline=_baseline(scores, values, baseline))
    tree["truth"] = xr.DataTree(truth)
    return Evidence("simulated", trial, tree, source="simulate_trial")


def _prepared(trial: Trial) -> Trial:
    """Return a trial that has its sequences."""
    check_design(trial)
    if trial.design == "parallel" or trial.sequences:
        return trial
    order = (trial.active, trial.control)
    return replace(trial, sequences={"AB": order, "BA": order[::-1]})


def _check(
    trial: Trial,
    target: Endpoint,
    variation: Variation,
    *,
    baseline: Baseline | None,
    effects: tuple[float, float],
    link: Link,
) -> None:
    """Refuse parameters that the design or the kind of endpoint has no use for."""
    if link not in get_args(Link):
        raise SpecError(f"'link' is '{link}'; one of {', '.join(get_args(Link))}")
    second = baseline is not None and (baseline.each_period or baseline.carryover)
    if trial.design == "parallel" and (any(effects) or second or variation.correlation is not None):
        raise SpecError(
            "a parallel trial has one period: no period effect, carryover, correlation between "
            "periods or second baseline"
        )
    discrete = target.kind != "continuous"
    if discrete and (variation.sd_within is not None or variation.sd_total is not None):
        raise SpecError(
            f"the link sets the variation within patients of a {target.kind} endpoint; "
            "give 'sd_subject' only"
        )
    if discrete and baseline is not None and (baseline.sd is not None or baseline.correlation):
        raise SpecError(
            f"the baseline of a {target.kind} endpoint shares the patient effect; "
            "give its mean only"
        )


def _observed(
    complete: xr.DataArray,
    trial: Trial,
    target: Endpoint,
    *,
    missingness: Missingness | None,
    rng: np.random.Generator,
) -> xr.DataArray:
    """Return the scores that are not lost."""
    missing = lost(
        missingness or Missingness(),
        complete.values[..., 0],
        active=(complete["treatment"] == trial.active).values,
        benefit_sign=target.benefit_sign,
        rng=rng,
    )
    return complete.where(~missing[..., None])


def _baseline(
    scores: FloatArray, values: xr.DataArray, baseline: Baseline | None
) -> xr.DataArray | None:
    """Return the baselines, of period 2 only where it took place."""
    if baseline is None:
        return None
    before = xr.full_like(values.isel(visit=0, drop=True), np.nan)
    count = count_baselines(baseline)
    before.values[:, :count, 0] = scores[:, :count]
    took_place = values.notnull().any("visit") | (values["period"] == 1)
    return before.where(took_place).rename("baseline")


def _truth(
    trial: Trial,
    target: Endpoint,
    variation: Variation,
    *,
    mean: xr.DataArray,
    baseline: Baseline | None,
) -> xr.Dataset:
    """Return the distribution the patients were drawn from."""
    truth = xr.Dataset({"mean": mean, **{f"baseline_{k}": v for k, v in _given(baseline)}})
    truth = truth.assign(dict(_given(variation)))
    if variation.correlation is None:
        truth["sd_subject"] = np.sqrt(variation.subject_variance())
    if target.kind != "continuous":
        return truth
    measures = [f"baseline {number + 1}" for number in range(count_baselines(baseline))]
    measures += [
        f"period {number} {visit}" for number in periods_of(trial) for visit in visits_of(trial)[0]
    ]
    covariance = measurement_covariance(trial, variation, baseline)
    truth["covariance"] = (("measure", "other"), covariance)
    return truth.assign_coords(measure=measures, other=measures)


def _given(part: Baseline | Missingness | Variation | None) -> list[tuple[str, Any]]:
    """Return what is set in a part, by name; a pair is one value a period."""
    values = [] if part is None else [(f.name, getattr(part, f.name)) for f in fields(part)]
    return [
        (name, ("period", list(value)) if isinstance(value, tuple) else value)
        for name, value in values
        if value is not None
    ]
