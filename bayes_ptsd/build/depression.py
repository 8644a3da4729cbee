"""The PyMC model of a comparison of the arms that is adjusted for a mediator."""

from __future__ import annotations

from typing import Any

import pymc as pm

from bayes_ptsd.depression.model import DepressionModel, depression_model
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.pymc_priors import prior_variable
from bayes_ptsd.specification import ModelSpec

__all__ = ["build_depression", "depression_pymc"]


def build_depression(evidence: Evidence, spec: ModelSpec) -> pm.Model:
    """Build the model of a comparison of the arms that is adjusted for a mediator.

    Patient i, treatment x = 1/2 (active) or -1/2 (control), `s` and `s_m` = +1 if higher scores of
    outcome and mediator are better, else -1, `m` the mean of the mediator over these patients,
    baselines around their means::

        mediator[i] ~ Normal(mediator_level + s_m * mediator_difference * x[i]
                             + mediator_own_slope * mediator_baseline[i], mediator_sd)
        score[i]    ~ Normal(level + s * controlled_direct_effect * x[i]
                             + baseline_slope * baseline[i]
                             + (mediator_slope + interaction * x[i]) * (mediator[i] - m)
                             + mediator_baseline_slope * mediator_baseline[i], sd_residual)

        under_control           = mediator_level - s_m * mediator_difference / 2
        natural_direct_effect   = controlled_direct_effect + s * interaction * (under_control - m)
        natural_indirect_effect = s * s_m * (mediator_slope + interaction / 2) * mediator_difference
        treatment_difference    = natural_direct_effect + natural_indirect_effect

    Options leave out the interaction, the baseline of the outcome, or that of the mediator.

    Effects are positive where the active treatment is better. Scores and prior parameters are data
    that can be exchanged; an improper prior is a SpecError.
    """
    return depression_pymc(depression_model(evidence, spec))


def depression_pymc(problem: DepressionModel) -> pm.Model:
    """Build the PyMC model of a specification that has met its patients."""
    with pm.Model(coords={"subject": problem.subject}) as model:
        treatment = pm.Data("treatment", problem.contrast, dims="subject")
        sign = pm.Data("benefit_sign", float(problem.signs[0]))
        mediator_sign = pm.Data("mediator_benefit_sign", float(problem.signs[1]))
        center = pm.Data("mediator_center", float(problem.mediator_score.mean()))
        scores = pm.Data("mediator_data", problem.mediator_score, dims="subject")
        before = None
        if problem.mediator_baseline is not None:
            before = pm.Data("mediator_baseline", problem.mediator_baseline, dims="subject")

        # the mediator
        level = _variable(problem, "mediator_level")
        moved = _variable(problem, "mediator_treatment")
        mean = level + mediator_sign * moved * treatment
        if before is not None:
            mean = mean + _variable(problem, "mediator_own_slope") * before
        spread = _variable(problem, "mediator_sd")
        pm.Normal("mediator", mu=mean, sigma=spread, observed=scores, dims="subject")

        # the outcome given the mediator
        controlled = _variable(problem, "treatment")
        slope = _variable(problem, "mediator_slope")
        interaction = _variable(problem, "interaction") if problem.options["interaction"] else 0.0
        mean = _variable(problem, "level") + sign * controlled * treatment
        mean = mean + (slope + interaction * treatment) * (scores - center)
        if problem.baseline is not None:
            baseline = pm.Data("baseline", problem.baseline, dims="subject")
            mean = mean + _variable(problem, "baseline_slope") * baseline
        if before is not None:
            mean = mean + _variable(problem, "mediator_baseline_slope") * before
        score = pm.Data("score_data", problem.score, dims="subject")
        residual = _variable(problem, "sd_residual")
        pm.Normal("score", mu=mean, sigma=residual, observed=score, dims="subject")

        under_control = level - mediator_sign * moved / 2
        direct = controlled + sign * interaction * (under_control - center)
        indirect = sign * mediator_sign * (slope + interaction / 2) * moved
        pm.Deterministic("natural_direct_effect", direct)
        pm.Deterministic("natural_indirect_effect", indirect)
        pm.Deterministic("treatment_difference", direct + indirect)
    return model


def _variable(problem: DepressionModel, key: str) -> Any:
    """Return a parameter with its prior."""
    one = problem.parameters[key]
    return prior_variable(one.name, one.prior, exchangeable=True)
