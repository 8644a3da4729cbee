"""What a specification of the parts of a total says in words, on simulated patients."""

from __future__ import annotations

import numpy as np

from bayes_ptsd.evidence import Evidence
from bayes_ptsd.parts.groups import draw_priors
from bayes_ptsd.parts.model import parts_model
from bayes_ptsd.priors import Prior
from bayes_ptsd.provenance import DEFAULT_SEED
from bayes_ptsd.spec import ModelSpec

__all__ = ["parts_prior_lines"]

# as many prior draws as a fit keeps
DRAWS = 1000


def parts_prior_lines(evidence: Evidence, spec: ModelSpec) -> tuple[dict[str, str], bool]:
    """Return the priors of a specification in words, and whether all are proper."""
    model = parts_model(evidence, spec)
    lines = {f"prior {name}": prior.formula for name, prior in model.priors.items()}
    if not all(prior.proper for prior in model.priors.values()):
        return lines, False
    treatment = model.priors["treatment"]
    assert isinstance(treatment, Prior)
    low, high = treatment.interval()
    lines["prior interval"] = f"treatment: 95% from {low:.2f} to {high:.2f} score units"
    drawn = draw_priors(model, DRAWS, seed=DEFAULT_SEED)
    for name in model.names:
        ends = np.quantile(drawn["endpoint_difference"].sel(endpoint=name), [0.025, 0.975])
        lines[f"prior difference {name}"] = f"95% from {ends[0]:.1f} to {ends[1]:.1f} score units"
    return lines, True
