"""The room of an outcome in ordered categories, such as a rating, in patients.

    P(y[i,p] <= k) = F(cutpoint[k] - eta[i,p])
    eta[i,p] = s tau x[i,p] + period_effect (p - 1.5) + baseline_slope bt[i] + u[i]

`structures.categorical` has the model. tau has a prior of one unit of log odds: an odds ratio of a
better category of 7 is at its 95% limit, and with few patients the data may not bound it at all,
which the checks then say. ``odds = "by_arm"`` multiplies the gaps between cutpoints by
``exp(log_gap_ratio * x)`` and keeps their mean, so that those of the active arm are
``exp(log_gap_ratio)`` times those of the control arm: proportional odds are log ratios of zero.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bayes_ptsd.errors import EvidenceError, FitError
from bayes_ptsd.frequentist.documents import COLUMNS, analysis_document
from bayes_ptsd.frequentist.ordinal import ordinal_analysis
from bayes_ptsd.specification import Groups, Options, Structure
from bayes_ptsd.structures.categorical.checks import checks
from bayes_ptsd.structures.categorical.model import CategoricalModel
from bayes_ptsd.structures.categorical.patients import example_categories
from bayes_ptsd.structures.categorical.room import (
    NO_EXACT,
    groups,
    prior_lines,
    problem,
    pymc_model,
)
from bayes_ptsd.structures.patients import asked_outcome

__all__ = ["ORDINAL"]


def _uses(options: Options) -> tuple[str, ...]:
    """Return the parameters of an ordinal model that have a prior of their own."""
    names = ["treatment"]
    names += ["period_effect", "sd_subject"] if options["periods"] == "both" else []
    names += ["baseline_slope"] if options["baseline"] == "covariate" else []
    return (*names, *(["gap_ratio"] if options["odds"] == "by_arm" else []))


def _exact(_: CategoricalModel, __: int) -> Groups:
    """Refuse: there is none."""
    raise FitError(NO_EXACT)


def _counterpart(model: CategoricalModel) -> dict[str, Any]:
    """Return the cumulative-link analysis of the effect on the scale of the link.

    Both periods of a crossover have subject effects, integrated out by adaptive quadrature; where
    there is no finite estimate the method says ``none`` and why. The odds are proportional also
    where the cutpoints of the model are by arm: then there is no counterpart.
    """
    nothing: dict[str, Any] = dict.fromkeys((*COLUMNS, "ci95"))
    nothing |= {"estimand": model.effect, "analyses": {}}
    if model.by_arm:
        return {"method": "none: no analysis here has cutpoints by arm", **nothing}
    try:
        document = analysis_document(_cumulative(model))
    except EvidenceError as error:
        return {"method": f"none: {error}", **nothing}
    return {
        "method": document["method"],
        **document["estimands"][model.effect],
        "estimand": model.effect,
        "analyses": {"cumulative_link": document},
    }


def _cumulative(model: CategoricalModel) -> Any:
    """Run the cumulative-link model."""
    scores = model.scores
    category = model.observed["score"].values
    active = scores.active == 1
    one = not model.two_periods
    return ordinal_analysis(
        category[:, 0] if one else category,
        active[:, 0] if one else active,
        covariates=None if scores.baseline is None else np.asarray(scores.baseline)[:, None],
        link=model.link,
        profile=False,
        benefit_sign=model.sign,
    )


ORDINAL = Structure(
    name="ordinal",
    prior_estimands=("log_odds_ratio", "probit_difference"),
    options={
        "periods": ("both", "first"),
        "link": ("logit", "probit"),
        "odds": ("proportional", "by_arm"),
        "baseline": ("none", "covariate"),
    },
    priors=("treatment", "period_effect", "baseline_slope", "sd_subject", "gap_ratio"),
    equation="P(y[i,p] <= k) = F(cutpoint[k] - eta[i,p]);  eta[i,p] = s tau x[i,p] + "
    "period_effect (p - 1.5) + u[i], x = 1/2 active, -1/2 control, s = +1 if higher is better else "
    "-1, u ~ Normal(0, sd_subject), no period and no u in one period;  F logistic or normal;  "
    "F(cutpoint) cuts Dirichlet(1) shares, midway between the treatments",
    room="bayes_ptsd/structures/ordinal.py",
    uses=_uses,
    conflict=lambda _: "",
    select=asked_outcome,
    problem=problem,
    pymc_model=pymc_model,
    exact=_exact,
    groups=groups,
    checks=checks,
    counterpart=_counterpart,
    prior_lines=prior_lines,
    example=lambda _: example_categories("ordinal", baseline=True),
    kinds=("ordinal",),
    locations=("period_effect", "baseline_slope"),
    renamed={"period": "period_effect"},
    version=2,  # treatment coded -1/2 and +1/2: no prior of a level moves the difference
)
