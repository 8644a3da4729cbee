"""The mirror of an ordinal model: a cumulative-link model by maximum likelihood."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayes_ptsd.categorical.model import CategoricalModel, categorical_model
from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.frequentist.ordinal import ordinal_analysis
from bayes_ptsd.mirrors.lines import COLUMNS, analysis_document
from bayes_ptsd.spec import ModelSpec

__all__ = ["ordinal_mirror"]


def ordinal_mirror(evidence: Evidence, spec: ModelSpec) -> dict[str, Any]:
    """Return the cumulative-link analysis of the effect on the scale of the link.

    Both periods of a crossover have subject effects, integrated out by adaptive quadrature; where
    there is no finite estimate the method says ``none`` and why. The odds are proportional also
    where the cutpoints of the model are by arm: then there is no counterpart.
    """
    model = categorical_model(evidence, spec)
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
