"""The PyMC model of ordered categories."""

from __future__ import annotations

from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayes_ptsd.categorical.model import CategoricalModel, categorical_model
from bayes_ptsd.categorical.observed import category_shares, observe_repeated
from bayes_ptsd.categorical.priors import prior_shapes
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.pymc_priors import prior_variable
from bayes_ptsd.specification import ModelSpec

__all__ = ["build_categorical", "categorical_pymc"]


def build_categorical(evidence: Evidence, spec: ModelSpec) -> pm.Model:
    """Build the model of an outcome in ordered categories.

    Patient i in period p, treatment x = 1/2 (active) or -1/2 (control), `s` = +1 if higher
    categories are better, else -1, F logistic (logit) or standard normal (probit)::

        P(category[i,p] <= k) = F(cutpoint[k] - eta[i,p])
        eta[i,p] = s * effect * x[i,p]
                 + period_effect * (p - 1.5) + sd_subject * z[i]    (both periods)
                 + baseline_slope * (baseline[i] - mean baseline)   (option baseline)
        z[i] ~ Normal(0, 1), integrated out of the likelihood
        F(cutpoint[1]), F(cutpoint[2]) - F(cutpoint[1]), ... ~ Dirichlet(1, ..., 1)

    With ``odds = "by_arm"`` the gaps between cutpoints are multiplied by ``exp(log_gap_ratio * x)``
    and their mean stays, so that those of the active arm are ``exp(log_gap_ratio)`` times those of
    the control arm. A missing period is no observation. A binary outcome
    has the categories 0 and 1; with ``form = "beta_binomial"`` it has a risk in each arm::

        P(category[i] = 1) = risk_active if active[i] else risk_control

    The effect (``log_odds_ratio`` or ``probit_difference``) is positive where the active treatment
    is better; the period effect is in the direction of the score. Categories and prior parameters
    are data that can be exchanged; an improper prior is a SpecError.
    """
    return categorical_pymc(categorical_model(evidence, spec))


def categorical_pymc(problem: CategoricalModel) -> pm.Model:
    """Build the PyMC model of a specification that has met its patients."""
    if problem.separate_risks:
        return _separate_risks(problem)
    scores = problem.scores
    subject, period = np.nonzero(scores.there)
    labels = {name: problem.coords[name] for name in ("category", "at_most", "gap")}
    coords = {**labels, "subject": scores.subject, "observation": np.arange(len(subject))}
    with pm.Model(coords=coords) as model:
        place = pm.Data("place", scores.place[subject, period], dims="observation")
        treatment = pm.Data("treatment", scores.active[subject, period] - 0.5, dims="observation")
        parameters = {
            name: prior_variable(name, prior, dims=dim, exchangeable=True)
            for name, prior, dim in prior_shapes(problem).values()
        }
        sign = pm.Data("benefit_sign", float(problem.sign))
        eta = sign * parameters[problem.effect] * treatment
        if problem.two_periods:
            centered = pm.Data("period_centered", period - 0.5, dims="observation")
            eta = eta + parameters["period_effect"] * centered
        if scores.baseline is not None:
            baseline = pm.Data("baseline_centered", scores.baseline[subject], dims="observation")
            eta = eta + parameters["baseline_slope"] * baseline
        cuts = _cutpoints(problem, treatment, parameters.get("log_gap_ratio"))
        moved = cuts - eta[:, None]
        if problem.two_periods:
            number = np.full(scores.there.shape, len(subject))
            number[subject, period] = np.arange(len(subject))
            member = pm.Data("member", number)
            observe_repeated(
                "score", place, cuts=moved, spread=parameters["sd_subject"], member=member,
                link=problem.link, dims="observation",
            )  # fmt: skip
        else:
            shares = category_shares(moved, problem.link)
            pm.Categorical("score", p=shares, observed=place, dims="observation")
    return model


def _separate_risks(problem: CategoricalModel) -> pm.Model:
    """Build the model of two risks with independent priors."""
    scores = problem.scores
    with pm.Model(coords={"observation": np.arange(scores.there.sum())}) as model:
        place = pm.Data("place", scores.place[scores.there], dims="observation")
        active = pm.Data("active", scores.active[scores.there], dims="observation")
        risks = {
            name: prior_variable(name, prior, exchangeable=True)
            for name, prior, _ in prior_shapes(problem).values()
        }
        risk = pt.switch(pt.eq(active, 1), risks["risk_active"], risks["risk_control"])
        pm.Bernoulli("score", p=risk, observed=place, dims="observation")
    return model


def _cutpoints(problem: CategoricalModel, treatment: Any, log_ratio: Any) -> Any:
    """Return the cutpoints of every observation, dims (observation or 1, cut)."""
    share = pm.Dirichlet("category_share", np.ones(len(problem.categories)), dims="category")
    below, above = pt.cumsum(share)[:-1], pt.cumsum(share[::-1])[::-1][1:]
    if problem.link == "logit":
        cut = pt.log(below) - pt.log(above)
    else:
        cut = pt.switch(below < above, pm.math.probit(below), -pm.math.probit(above))
    cut = pm.Deterministic("cutpoint", cut, dims="at_most")
    if log_ratio is None:
        return cut[None, :]
    gaps = (cut[1:] - cut[:-1])[None, :] * pt.exp(log_ratio[None, :] * treatment[:, None])
    steps = pt.concatenate([pt.zeros_like(gaps[:, :1]), pt.cumsum(gaps, axis=1)], axis=1)
    return steps - steps.mean(axis=1, keepdims=True) + cut.mean()
