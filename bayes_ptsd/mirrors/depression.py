"""The mirror of a model with a mediator: both regressions by least squares, and their products."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from scipy import linalg

from bayes_ptsd.depression.model import (
    DepressionModel,
    depression_model,
    mediator_columns,
    outcome_columns,
)
from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.frequentist._table import inference_table
from bayes_ptsd.mirrors.lines import COLUMNS, analysis_document
from bayes_ptsd.priors import FloatArray
from bayes_ptsd.spec import ModelSpec

__all__ = ["depression_mirror", "least_squares_effects"]

# the level of the intervals of every analysis and posterior
LEVEL = 0.95
METHOD = "Least squares: outcome on treatment and mediator"
NOTE = (
    "natural effects from products of coefficients, standard errors by the delta method with the "
    "degrees of freedom of the outcome's regression"
)


def depression_mirror(evidence: Evidence, spec: ModelSpec) -> dict[str, Any]:
    """Return the least-squares analysis of the effects of a model with a mediator."""
    model = depression_model(evidence, spec)
    try:
        document = analysis_document(least_squares_effects(model))
    except EvidenceError as error:
        return {"method": f"none: {error}", **dict.fromkeys((*COLUMNS, "ci95")), "analyses": {}}
    chosen = document["estimands"]["treatment_difference"]
    return {
        "method": document["method"],
        "estimand": "treatment_difference",
        **chosen,
        "analyses": {"least squares": document},
    }


def least_squares_effects(model: DepressionModel) -> xr.Dataset:
    """Return coefficients of both regressions and the effects by least squares, dim ``estimand``.

    Names are those of the posterior; each coefficient has the degrees of freedom of its regression.
    Patients who do not tell the coefficients apart are an EvidenceError.
    """
    outcome = _least_squares(model.score, outcome_columns(model))
    mediator = _least_squares(model.mediator_score, mediator_columns(model))
    both = outcome[0] | mediator[0]
    names = list(both)
    covariance = linalg.block_diag(outcome[1], mediator[1])
    sign, product = model.signs[0], model.signs[0] * model.signs[1]
    moved = product * both["mediator_difference"]
    omega = both.get("interaction", 0.0)
    away = both["mediator_level"] - float(model.mediator_score.mean())
    away = away - model.signs[1] * both["mediator_difference"] / 2
    slope = both["mediator_slope"] + omega / 2
    direct = {
        "controlled_direct_effect": 1.0,
        "interaction": sign * away,
        "mediator_level": sign * omega,
        "mediator_difference": -product * omega / 2,
    }
    indirect = {
        "mediator_slope": moved,
        "interaction": moved / 2,
        "mediator_difference": product * slope,
    }
    keys = direct | indirect
    total = {key: direct.get(key, 0.0) + indirect.get(key, 0.0) for key in keys}
    effects = {
        "treatment_difference": (
            both["controlled_direct_effect"] + sign * omega * away + slope * moved, total
        ),
        "natural_direct_effect": (both["controlled_direct_effect"] + sign * omega * away, direct),
        "natural_indirect_effect": (slope * moved, indirect),
    }  # fmt: skip
    errors = {name: _delta(gradient, names, covariance) for name, (_, gradient) in effects.items()}
    own = dict(zip(names, np.sqrt(np.diag(covariance)), strict=True))
    freedom = {name: outcome[2] if name in outcome[0] else mediator[2] for name in names}
    every = list(effects) + names
    return inference_table(
        {name: value for name, (value, _) in effects.items()} | both,
        se=[(errors | own)[name] for name in every],
        df=[freedom.get(name, outcome[2]) for name in every],
        level=LEVEL,
        attrs={"method": METHOD, "note": NOTE},
    )


def _least_squares(
    score: FloatArray, columns: Mapping[str, FloatArray]
) -> tuple[dict[str, float], FloatArray, float]:
    """Return coefficients, their covariance and the degrees of freedom."""
    x = np.stack(list(columns.values()), axis=1)
    freedom = len(score) - x.shape[1]
    if freedom < 1 or np.linalg.matrix_rank(x) < x.shape[1]:
        raise EvidenceError(f"{len(score)} patients do not tell {x.shape[1]} coefficients apart")
    inverse = np.linalg.inv(x.T @ x)
    found = inverse @ x.T @ score
    variance = float(((score - x @ found) ** 2).sum()) / freedom
    return dict(zip(columns, found.tolist(), strict=True)), variance * inverse, float(freedom)


def _delta(gradient: Mapping[str, float], names: list[str], covariance: FloatArray) -> float:
    """Return the standard error of a function of the coefficients."""
    vector = np.array([gradient.get(name, 0.0) for name in names])
    return float(np.sqrt(vector @ covariance @ vector))
