"""What a specification with a mediator says in words, on simulated patients."""

from __future__ import annotations

import numpy as np

from bayes_ptsd.depression.effects import mediation_effects
from bayes_ptsd.depression.groups import draw_priors
from bayes_ptsd.depression.likelihood import replicated_scores
from bayes_ptsd.depression.model import depression_model
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.provenance import DEFAULT_SEED
from bayes_ptsd.spec import ModelSpec

__all__ = ["depression_prior_lines"]

# as many prior draws as a fit keeps
DRAWS = 1000


def depression_prior_lines(evidence: Evidence, spec: ModelSpec) -> tuple[dict[str, str], bool]:
    """Return the priors of a specification in words, and whether all are proper."""
    model = depression_model(evidence, spec)
    lines = {f"prior {name}": prior.formula for name, prior in model.priors.items()}
    if not all(prior.proper for prior in model.priors.values()):
        return lines, False
    low, high = model.priors["treatment"].interval()
    lines["prior interval"] = f"treatment: 95% from {low:.2f} to {high:.2f} score units"
    drawn = draw_priors(model, DRAWS, seed=DEFAULT_SEED)
    effects = mediation_effects(drawn, model)
    low, high = np.quantile(effects["natural_indirect_effect"].values, [0.025, 0.975])
    lines["prior indirect effect"] = f"95% from {low:.1f} to {high:.1f} score units"
    scores = replicated_scores(drawn, model, np.random.default_rng(DEFAULT_SEED))["score"]
    for endpoint in (model.endpoint, model.mediator):
        ends = np.quantile(scores.sel(endpoint=endpoint.id).values, [0.025, 0.975])
        lines[f"prior predictive {endpoint.id}"] = (
            f"95% of scores from {ends[0]:.1f} to {ends[1]:.1f}"
        )
    return lines, True
