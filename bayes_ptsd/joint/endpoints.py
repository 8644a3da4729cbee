"""Hierarchical shrinkage over endpoints: an answer to many unadjusted contrasts.

Standardized effects of one domain scatter around a mean of their own::

    theta[e] = treatment difference[e] / SD[e]
    theta[e] ~ Normal(mu[domain of e], omega^2),  mu ~ Normal(0, 0.5^2),  omega ~ HalfNormal(0.3)
    estimate / SD ~ Normal(theta, S R S),  R one correlation between the estimates

The correlation between estimates of one set of patients is not printed: it is an assumption, 0.5
by default. A total and its subscales never enter together.
"""

from __future__ import annotations

import numpy as np

from bayes_ptsd.errors import EvidenceError
from bayes_ptsd.evidence import Evidence
from bayes_ptsd.joint.problem import JointProblem, analysis_rows, equicorrelated, normal_errors
from bayes_ptsd.priors import Prior

__all__ = ["endpoints_problem"]

# in reference SDs: 95% of the mean effects of a domain within one SD of zero
MEAN_SD = 0.5
# in reference SDs: 95% of the spreads within a domain below .6
HETEROGENEITY = Prior("half_normal", {"sigma": 0.3})


def endpoints_problem(
    evidence: Evidence,
    *,
    analysis: str,
    crossover_reading: str = "as_published",
    correlation: float = 0.5,
    mean_sd: float = MEAN_SD,
    heterogeneity: Prior = HETEROGENEITY,
) -> JointProblem:
    """Set up the endpoints of one analysis that have a ``domain``, in reference SDs.

    `correlation` is that between the estimates of any two endpoints, `mean_sd` the prior sd of a
    domain's mean effect, `heterogeneity` the prior of omega.
    """
    trial = evidence.trial
    chosen = {name: one for name, one in trial.endpoints.items() if one.domain}
    if not chosen:
        raise EvidenceError(f"{trial.source}: no endpoint has a 'domain'; add it to those to join")
    lacking = [name for name, one in chosen.items() if one.reference_sd is None]
    if lacking:
        raise EvidenceError(f"{trial.source}: no 'reference_sd' for {', '.join(lacking)}; add it")
    rows = analysis_rows(evidence, analysis, list(chosen), crossover_reading=crossover_reading)
    unit = np.array([float(one.reference_sd or np.nan) for one in chosen.values()])
    estimate, se = normal_errors(rows)
    domains = [one.domain for one in chosen.values()]
    same = np.array([[a == b for b in domains] for a in domains], dtype=float)
    return JointProblem(
        endpoint=tuple(chosen),
        estimate=estimate / unit,
        sampling=equicorrelated(se / unit, correlation),
        fixed=mean_sd**2 * same,
        spread=np.eye(len(chosen)),
        center=np.zeros(len(chosen)),
        heterogeneity=heterogeneity,
        unit=unit,
        mcid=np.array([np.nan if one.mcid is None else one.mcid for one in chosen.values()]),
        evidence_kind=evidence.kind,
        analysis=analysis,
        crossover_reading=crossover_reading,
        assumptions=(f"correlation {correlation:g} between the estimates, not printed",),
    )
