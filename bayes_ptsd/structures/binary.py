"""The room of an outcome that occurs or not, in patients.

``form = "logistic"`` is the model of `structures.categorical` with two categories::

    logit P(y[i,p] = 1) = -cutpoint + s tau x[i,p] + period_effect (p - 1.5) + u[i]

``form = "beta_binomial"`` has a risk in each arm of one period, with independent beta priors, and
an exact posterior::

    P(y[i] = 1) = risk_active if active[i] else risk_control

Jeffreys' Beta(1/2, 1/2) is the prior of each risk: it has the weight of one patient, and the same
for an event and for its absence. Nothing ties the two risks together, which is what the logistic
form's prior of tau does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_ptsd.categorical.beta_binomial import RISKS, beta_posterior, exact_risks
from bayes_ptsd.errors import EvidenceError, SpecError
from bayes_ptsd.frequentist.binary import gee_analysis, logistic_analysis, two_risks
from bayes_ptsd.frequentist.documents import COLUMNS, analysis_document, line
from bayes_ptsd.specification import Groups, Options, Structure
from bayes_ptsd.structures.categorical.checks import checks
from bayes_ptsd.structures.categorical.model import CategoricalModel
from bayes_ptsd.structures.categorical.patients import example_categories
from bayes_ptsd.structures.categorical.room import groups, prior_lines, problem
from bayes_ptsd.structures.categorical.room import pymc_model as pymc_logistic
from bayes_ptsd.structures.patients import asked_outcome, formulas

if TYPE_CHECKING:
    import pymc as pm

__all__ = ["BINARY", "risk_shapes"]


def _uses(options: Options) -> tuple[str, ...]:
    """Return the parameters of a binary model that have a prior of their own."""
    if options["form"] == "beta_binomial":
        return ("risk",)
    names = ["treatment"]
    names += ["period_effect", "sd_subject"] if options["periods"] == "both" else []
    return (*names, *(["baseline_slope"] if options["baseline"] == "covariate" else []))


def _conflict(options: Options) -> str:
    """Say which options of a binary model exclude each other."""
    if options["form"] == "logistic":
        return ""
    needed = {"periods": "first", "baseline": "none"}
    wrong = [f"{key} = '{value}'" for key, value in needed.items() if options[key] != value]
    return f"form = 'beta_binomial' needs {wrong[0]}" if wrong else ""


def pymc_model(model: CategoricalModel) -> pm.Model:
    """Build the PyMC model: two risks, or the logistic model; the data can be exchanged."""
    if not model.separate_risks:
        return pymc_logistic(model)
    import pymc as pm
    import pytensor.tensor as pt

    from bayes_ptsd.pymc_priors import prior_variable

    scores = model.scores
    with pm.Model(coords={"observation": np.arange(scores.there.sum())}) as built:
        place = pm.Data("place", scores.place[scores.there], dims="observation")
        active = pm.Data("active", scores.active[scores.there], dims="observation")
        risk_active, risk_control = (
            prior_variable(name, model.priors["risk"], exchangeable=True) for name in RISKS
        )
        risk = pt.switch(pt.eq(active, 1), risk_active, risk_control)
        pm.Bernoulli("score", p=risk, observed=place, dims="observation")
    return built


def risk_shapes(model: CategoricalModel) -> dict[str, tuple[float, float]]:
    """Return both shapes of the beta posterior of each arm's risk; other priors are refused."""
    prior, scores = model.priors["risk"], model.scores
    if prior.dist != "beta":
        raise SpecError(
            f"model '{model.spec.name}': the risks need a beta prior, such as --set "
            f"'risk=beta(0.5, 0.5)', not {prior.dist}"
        )
    found = {}
    for name, arm in zip(RISKS, (1, 0), strict=True):
        here = scores.there & (scores.active == arm)
        found[name] = beta_posterior(prior, int(scores.place[here].sum()), int(here.sum()))
    return found


def _exact(model: CategoricalModel, seed: int) -> Groups:
    """Return the closed form of two separate risks."""
    return exact_risks(risk_shapes(model), benefit_sign=model.sign, seed=seed)


def _prior_lines(model: CategoricalModel) -> tuple[dict[str, str], bool]:
    """Return the priors of a specification in words, and whether all are proper."""
    if not model.separate_risks:
        return prior_lines(model)
    low, high = model.priors["risk"].interval()
    interval = {"prior interval": f"risk: 95% from {low:.3f} to {high:.3f}"}
    return formulas(model.priors) | interval, True


def _counterpart(model: CategoricalModel) -> dict[str, Any]:
    """Return the logistic regression of a binary outcome, or the difference of two separate risks.

    Both periods of a crossover have subject effects, integrated out by adaptive quadrature, and
    generalized estimating equations beside it (``gee``, an average over the population). Where
    there is no finite estimate the method says ``none`` and why.
    """
    if model.separate_risks:
        return _risks(model)
    nothing: dict[str, Any] = dict.fromkeys((*COLUMNS, "ci95"))
    found, reason = {}, ""
    for name, analysis in ANALYSES.items():
        if name == "logistic" or model.two_periods:
            try:
                found[name] = analysis_document(analysis(**_columns(model)))
            except EvidenceError as error:
                reason = reason or str(error)
    if "logistic" not in found:
        said = {"method": f"none: {reason}", **nothing}
    else:
        estimands = found["logistic"]["estimands"]
        said = {"method": found["logistic"]["method"], **estimands["log_odds_ratio"]}
    return {**said, "estimand": "log_odds_ratio", "analyses": found}


def _logistic(**columns: Any) -> Any:
    """Run the logistic regression without profile likelihoods."""
    return logistic_analysis(
        columns.pop("response"), columns.pop("active"), profile=False, **columns
    )


def _gee(**columns: Any) -> Any:
    """Run the generalized estimating equations."""
    return gee_analysis(columns.pop("response"), columns.pop("active"), **columns)


ANALYSES = {"logistic": _logistic, "gee": _gee}


def _columns(model: CategoricalModel) -> dict[str, Any]:
    """Return the columns of a regression."""
    response, active = model.observed["score"].values, model.scores.active == 1
    one, before = not model.two_periods, model.scores.baseline
    return {
        "response": response[:, 0] if one else response,
        "active": active[:, 0] if one else active,
        "covariates": None if before is None else np.asarray(before)[:, None],
        "benefit_sign": model.sign,
    }


def _risks(model: CategoricalModel) -> dict[str, Any]:
    """Return the difference of two risks, and the odds ratios beside it."""
    columns = _columns(model)
    table = two_risks(columns["response"], columns["active"], benefit_sign=model.sign)
    names = [str(name) for name in table["estimand"].values]
    rows = {name: line(table.sel(estimand=name)) for name in names}
    methods = {name: str(table["method"].sel(estimand=name).item()) for name in names}
    return {
        "method": methods["risk_difference"],
        **rows["risk_difference"],
        "estimand": "treatment_difference",
        "analyses": {
            name: {"method": methods[name], "note": "", "estimands": {name: rows[name]}}
            for name in names
        },
    }


BINARY = Structure(
    name="binary",
    prior_estimands=("log_odds_ratio",),
    options={
        "periods": ("both", "first"),
        "form": ("logistic", "beta_binomial"),
        "baseline": ("none", "covariate"),
    },
    priors=("treatment", "period_effect", "baseline_slope", "sd_subject", "risk"),
    equation="logit P(y[i,p] = 1) = -cutpoint + s tau x[i,p] + period_effect (p - 1.5) + u[i], "
    "x = 1/2 active, -1/2 control, s = +1 if 1 is better else -1, u ~ Normal(0, sd_subject), no "
    "period and no u in one period;  P(1) midway between the treatments ~ Uniform(0, 1);  "
    "beta_binomial: a Beta prior on the risk of each arm",
    room="bayes_ptsd/structures/binary.py",
    uses=_uses,
    conflict=_conflict,
    select=asked_outcome,
    problem=problem,
    pymc_model=pymc_model,
    exact=_exact,
    groups=groups,
    checks=checks,
    counterpart=_counterpart,
    prior_lines=_prior_lines,
    example=lambda _: example_categories("binary", baseline=True),
    kinds=("binary",),
    locations=("period_effect", "baseline_slope"),
    renamed={"period": "period_effect"},
    version=2,  # treatment coded -1/2 and +1/2: no prior of a level moves the difference
)
