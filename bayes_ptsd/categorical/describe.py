"""What a specification for ordered categories says in words, on simulated patients."""

from __future__ import annotations

import numpy as np

from bayes_ptsd.categorical.estimands import estimand_units, with_estimands
from bayes_ptsd.categorical.model import categorical_model
from bayes_ptsd.categorical.priors import draw_priors
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.provenance import DEFAULT_SEED
from bayes_ptsd.spec import ModelSpec

__all__ = ["categorical_prior_lines"]

# Enough for an interval that is shown before any fit: its ends have Monte Carlo errors of about a
# tenth of the sd.
DRAWS = 1000


def categorical_prior_lines(evidence: Evidence, spec: ModelSpec) -> tuple[dict[str, str], bool]:
    """Return the priors of a specification in words, and whether all are proper.

    The prior predictive is what the priors make of the mean difference on the scale.
    """
    model = categorical_model(evidence, spec)
    lines = {f"prior {name}": prior.formula for name, prior in model.priors.items()}
    if model.separate_risks:
        low, high = model.priors["risk"].interval()
        return {**lines, "prior interval": f"risk: 95% from {low:.3f} to {high:.3f}"}, True
    lines["prior categories"] = "shares at the reference: Dirichlet(1, ..., 1)"
    if not all(prior.proper for prior in model.priors.values()):
        return lines, False
    low, high = model.priors["treatment"].interval()
    unit = estimand_units(model)[model.effect]
    lines["prior interval"] = f"treatment: 95% from {low:.2f} to {high:.2f} {unit}"
    drawn = with_estimands(draw_priors(model, DRAWS, seed=DEFAULT_SEED), model)
    low, high = np.quantile(drawn["treatment_difference"].values, [0.025, 0.975])
    ends = f"{model.categories[0]} to {model.categories[-1]}"
    lines["prior predictive"] = (
        f"95% of mean differences from {low:.2f} to {high:.2f} on a scale of {ends}"
    )
    return lines, True
