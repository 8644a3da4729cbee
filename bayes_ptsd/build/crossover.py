"""The PyMC models of an AB/BA crossover."""

from __future__ import annotations

from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayes_ptsd.build.crossover_baselines import build_joint
from bayes_ptsd.crossover.model import CrossoverModel, crossover_model
from bayes_ptsd.crossover.priors import NU_FLOOR
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.priors import Prior
from bayes_ptsd.pymc_priors import prior_distribution, prior_variable
from bayes_ptsd.specification import ModelSpec

__all__ = ["build_crossover", "crossover_pymc"]


def build_crossover(evidence: Evidence, spec: ModelSpec) -> pm.Model:
    """Build the model of a crossover in patients.

    Patient i in period p, `s` = +1 if higher scores are better, else -1::

        mean[i,p] = level + period_effect * (p - 3/2)
                  + s * treatment_difference * x[i,p]
                  + s * carryover * half[i] * 1[p = 2]                  (option carryover)
                  + sequence_effect * half[i]                           (option sequence_effect)
                  + baseline_slope[p] * (baseline[i] - mean baseline)   (option baseline)
        half[i]   = +1/2 if active first else -1/2;  x[i,1] = half[i], x[i,2] = -half[i]

        random_intercept   score[i,p] = mean[i,p] + u[i] + e[i,p],
                           u[i] ~ Normal(0, sd_subject),  e[i,p] ~ Normal(0, sd_within[p])
        bivariate          (score[i,1], score[i,2]) ~ Normal(mean[i],
                           standard deviations sd_period[p], correlation in (-1, 1))
        student_t          a patient's u and e are divided by sqrt(w[i]), w[i] ~ Gamma(nu/2, nu/2)

    The level is the mean over both treatments and periods. With ``subject_effects = "integrated"``
    u and w are integrated out: ``score[i,1]`` has its marginal distribution and ``score[i,2]`` the
    one given ``score[i,1]``. A patient with one period, whichever it is, contributes the marginal
    distribution of that score.

    Treatment difference and carryover are positive where the active treatment is better; period and
    sequence effects are in the direction of the score. Scores and prior parameters are data that
    can be exchanged; an improper prior is a SpecError.
    """
    return crossover_pymc(crossover_model(evidence, spec))


def crossover_pymc(problem: CrossoverModel) -> pm.Model:
    """Build the PyMC model of a specification that has met its patients."""
    if problem.options["baseline"] == "joint":
        return build_joint(problem)
    subject, period = np.nonzero(np.isfinite(problem.pairs.score))
    labels = sorted(set(problem.sequence))
    coords = {
        "subject": problem.pairs.subject,
        "period": [1, 2],
        "sequence": labels,
        "observation": np.arange(len(subject)),
    }
    with pm.Model(coords=coords) as model:
        score = pm.Data("score_data", problem.pairs.score[subject, period], dims="observation")
        subject_of = pm.Data("subject_of", subject, dims="observation")
        period_of = pm.Data("period_of", period, dims="observation")
        mean = _means(problem, subject_of, period_of)
        nu = None
        if problem.options["likelihood"] == "student_t":
            weight_df = prior_distribution("nu", _prior(problem, "nu"))
            nu = pm.Truncated("nu", weight_df, lower=NU_FLOOR)
        if problem.options["subject_effects"] == "sampled":
            _sampled_effects(problem, score, mean, subject_of, period_of, nu)
        else:
            _integrated_effects(problem, score, mean, period_of, nu)
    return model


def _means(problem: CrossoverModel, subject_of: Any, period_of: Any) -> Any:
    """Return the mean of every observation and name the estimands."""
    options = problem.options
    sign = pm.Data("benefit_sign", float(problem.sign))
    labels = sorted(set(problem.sequence))
    starts = [bool(problem.pairs.active_first[problem.sequence == name].all()) for name in labels]
    starts_active = pm.Data("starts_active", np.array(starts, dtype=float), dims="sequence")
    place = np.searchsorted(labels, problem.sequence)
    half = starts_active[pm.Data("sequence_of", place, dims="subject")][subject_of] - 0.5
    second_period = period_of
    coded = pt.switch(pt.eq(second_period, 0), half, -half)

    treatment_difference = _variable(problem, "treatment", "treatment_difference")
    mean = _variable(problem, "level") + _variable(problem, "period_effect") * (period_of - 0.5)
    mean = mean + sign * treatment_difference * coded
    if options["carryover"]:
        carryover = _variable(problem, "carryover")
        pm.Deterministic("within_patient_contrast", treatment_difference - carryover / 2)
        mean = mean + sign * carryover * half * second_period
    if options["sequence_effect"]:
        mean = mean + _variable(problem, "sequence", "sequence_effect") * half
    if problem.pairs.baseline is not None:
        centered = problem.pairs.baseline - problem.pairs.baseline.mean()
        baseline = pm.Data("baseline_centered", centered, dims="subject")
        slope = _variable(problem, "baseline_slope", dims="period")
        mean = mean + slope[period_of] * baseline[subject_of]
    return mean


def _integrated_effects(
    problem: CrossoverModel, score: Any, mean: Any, period_of: Any, nu: Any
) -> None:
    """Observe each score given the patient's earlier one, subject effects integrated out."""
    sd, rho = _marginal_spread(problem)
    earlier, paired = _earlier(problem)
    earlier = pm.Data("earlier", earlier, dims="observation")
    paired = pm.Data("paired", paired, dims="observation")
    before = (score - mean)[earlier] / sd[0]
    expected = mean + paired * rho * sd[period_of] * before
    spread = sd[period_of] * pt.sqrt(1 - paired * rho**2)
    if nu is None:
        pm.Normal("score", mu=expected, sigma=spread, observed=score, dims="observation")
    else:
        spread = spread * pt.sqrt((nu + paired * before**2) / (nu + paired))
        pm.StudentT(
            "score", nu=nu + paired, mu=expected, sigma=spread, observed=score, dims="observation"
        )


def _sampled_effects(
    problem: CrossoverModel, score: Any, mean: Any, subject_of: Any, period_of: Any, nu: Any
) -> None:
    """Observe each score given an effect of its patient, non-centered."""
    sd_subject = _variable(problem, "sd_subject")
    sd_within = _spread(problem, "sd_within")
    scale: Any = pt.ones(len(problem.sequence))
    if nu is not None:
        scale = 1 / pt.sqrt(pm.Gamma("patient_weight", alpha=nu / 2, beta=nu / 2, dims="subject"))
    standard = pm.Normal("subject_standard", 0, 1, dims="subject")
    effect = pm.Deterministic("subject_effect", sd_subject * standard * scale, dims="subject")
    spread = sd_within[period_of] * scale[subject_of]
    pm.Normal(
        "score", mu=mean + effect[subject_of], sigma=spread, observed=score, dims="observation"
    )


def _marginal_spread(problem: CrossoverModel) -> tuple[Any, Any]:
    """Return the standard deviation of each period and the correlation between them."""
    if problem.options["form"] == "random_intercept":
        between = _variable(problem, "sd_subject")
        sd = pt.sqrt(between**2 + _spread(problem, "sd_within") ** 2)
        return sd, between**2 / (sd[0] * sd[1])
    sd = _spread(problem, "sd_period")
    prior = _prior(problem, "correlation")
    if prior.dist != "beta":
        return sd, _variable(problem, "correlation")
    unit = prior_variable("correlation_unit", prior, exchangeable=True)
    return sd, pm.Deterministic("correlation", 2 * unit - 1)


def _spread(problem: CrossoverModel, name: str) -> Any:
    """Return a standard deviation for each period, the same one where they are equal."""
    if problem.options["period_sd"] == "unequal":
        return _variable(problem, name, dims="period")
    return pt.repeat(_variable(problem, name)[None], 2)


def _variable(problem: CrossoverModel, key: str, name: str = "", *, dims: str | None = None) -> Any:
    """Return a parameter with its prior."""
    return prior_variable(name or key, problem.priors[key], dims=dims, exchangeable=True)


def _prior(problem: CrossoverModel, key: str) -> Prior:
    """Return the prior of one number."""
    prior = problem.priors[key]
    assert isinstance(prior, Prior)
    return prior


def _earlier(problem: CrossoverModel) -> tuple[Any, Any]:
    """Return, of each observation, the place of the patient's earlier one and whether it has one.

    Without an earlier one the place is that of the observation itself, and is not used.
    """
    subject, period = np.nonzero(np.isfinite(problem.pairs.score))
    paired = (period == 1) & problem.pairs.complete[subject]
    # observations are ordered by subject, then period
    return np.arange(len(subject)) - paired, paired.astype(float)
